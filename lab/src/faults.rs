//! Faults on request, for the tests of clients: what the next calls of an operation meet, and how
//! often each operation was called.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

/// Faults that wait for one operation at most; more are dropped, and counted.
const QUEUE_MAX: usize = 1_000;

#[derive(Debug)]
struct Inner<O, F> {
    queues: BTreeMap<O, VecDeque<F>>,
    standing: BTreeMap<O, F>,
    calls: BTreeMap<O, u64>,
    dropped: u64,
}

/// A handle to the faults of a server, by operation. Clones share them.
#[derive(Debug)]
pub struct FaultQueue<O, F>(Arc<Mutex<Inner<O, F>>>);

impl<O, F> Clone for FaultQueue<O, F> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<O, F> Default for FaultQueue<O, F> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Inner {
            queues: BTreeMap::new(),
            standing: BTreeMap::new(),
            calls: BTreeMap::new(),
            dropped: 0,
        })))
    }
}

impl<O: Ord + Copy, F: Clone> FaultQueue<O, F> {
    fn with<T>(&self, work: impl FnOnce(&mut Inner<O, F>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a coming call of `operation` meet `fault`, after those already waiting.
    pub fn push(&self, operation: O, fault: F) {
        self.with(|inner| {
            let queue = inner.queues.entry(operation).or_default();
            if queue.len() < QUEUE_MAX {
                queue.push_back(fault);
            } else {
                inner.dropped += 1;
            }
        });
    }

    /// Lets every call of `operation` meet `fault` that meets no waiting one, until it is cleared.
    pub fn stand(&self, operation: O, fault: F) {
        self.with(|inner| inner.standing.insert(operation, fault));
    }

    /// Takes back every fault that waits or stands.
    pub fn clear(&self) {
        self.with(|inner| {
            inner.queues.clear();
            inner.standing.clear();
        });
    }

    /// How many calls of `operation` arrived, those that met a fault included.
    #[must_use]
    pub fn calls(&self, operation: O) -> u64 {
        self.with(|inner| inner.calls.get(&operation).copied().unwrap_or(0))
    }

    /// How many faults were dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.with(|inner| inner.dropped)
    }

    /// Counts a call and takes the fault it meets.
    #[must_use]
    pub fn next(&self, operation: O) -> Option<F> {
        self.with(|inner| {
            *inner.calls.entry(operation).or_insert(0) += 1;
            let waiting = inner.queues.get_mut(&operation).and_then(VecDeque::pop_front);
            waiting.or_else(|| inner.standing.get(&operation).cloned())
        })
    }
}
