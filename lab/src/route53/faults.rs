//! Faults on request, for the tests of clients: what the next calls of an operation meet, and how
//! often each operation was called.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::error::{ApiError, Code};
use super::operation::Operation;
use super::state::prior_request;

/// Faults that wait for one operation at most; more are dropped, and counted.
const QUEUE_MAX: usize = 1_000;

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `Throttling`, HTTP 400.
    Throttling,
    /// `PriorRequestNotComplete`, HTTP 400.
    PriorRequestNotComplete,
    /// HTTP 500.
    InternalFailure,
    /// HTTP 503.
    ServiceUnavailable,
    /// The connection ends and nothing is done.
    DropBefore,
    /// The request is done and the connection ends without a reply.
    DropAfter,
    /// The request is done after this time.
    Delay(Duration),
}

impl Fault {
    /// The error that stands for the fault, if it is one.
    #[must_use]
    pub fn error(self) -> Option<ApiError> {
        match self {
            Self::Throttling => Some(ApiError::new(Code::Throttling, "Rate exceeded")),
            Self::PriorRequestNotComplete => Some(prior_request()),
            Self::InternalFailure => {
                Some(ApiError::new(Code::InternalFailure, "We encountered an internal error."))
            }
            Self::ServiceUnavailable => {
                Some(ApiError::new(Code::ServiceUnavailable, "The service is unavailable."))
            }
            Self::DropBefore | Self::DropAfter | Self::Delay(_) => None,
        }
    }
}

#[derive(Debug, Default)]
struct Inner {
    queues: BTreeMap<Operation, VecDeque<Fault>>,
    calls: BTreeMap<Operation, u64>,
    dropped: u64,
}

/// A handle to the faults of a server. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Faults(Arc<Mutex<Inner>>);

impl Faults {
    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Lets a coming call of `operation` meet `fault`, after those already waiting.
    pub fn push(&self, operation: Operation, fault: Fault) {
        self.with(|inner| {
            let queue = inner.queues.entry(operation).or_default();
            if queue.len() < QUEUE_MAX {
                queue.push_back(fault);
            } else {
                inner.dropped += 1;
            }
        });
    }

    /// Takes back every fault that still waits.
    pub fn clear(&self) {
        self.with(|inner| inner.queues.clear());
    }

    /// How many calls of `operation` arrived, those that met a fault included.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.with(|inner| inner.calls.get(&operation).copied().unwrap_or(0))
    }

    /// How many faults were dropped because too many waited.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.with(|inner| inner.dropped)
    }

    /// Counts a call and takes the fault it meets.
    #[must_use]
    pub fn next(&self, operation: Operation) -> Option<Fault> {
        self.with(|inner| {
            *inner.calls.entry(operation).or_insert(0) += 1;
            inner.queues.get_mut(&operation)?.pop_front()
        })
    }
}
