//! The way of windows to CloudWatch: through a spool on disk, so that an outage loses nothing that
//! fits into it. It knows no SDK: a [`Courier`] makes the requests.
//!
//! CloudWatch cannot tell a duplicate. So a batch whose request ended without an answer is not sent
//! again before CloudWatch was asked whether it holds it; only one that cannot be asked about for an
//! hour is sent again, and counted as perhaps duplicated.

mod disk;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::publish::{Batch, Datum, Shape, batches};
use crate::window::{Sink, SinkError, Window};

pub use disk::{Disk, Doubt, SpoolError, State};

/// How long the spool is emptied after each write, at most; one request may run over it.
const DRAIN: Duration = Duration::from_millis(500);
/// Older data are refused by CloudWatch: two weeks, less an hour.
const AGE_MAX_MS: i64 = (14 * 24 - 1) * HOUR_MS;
/// How long CloudWatch is asked about a doubtful batch.
const ASKED_MAX_MS: i64 = HOUR_MS;
const HOUR_MS: i64 = 3_600_000;

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivery {
    /// The data were taken.
    Taken,
    /// They were certainly not taken; later they may be.
    NotTaken(String),
    /// Nobody knows: the reply was lost, or the service failed.
    Unknown(String),
    /// They are refused, and always will be.
    Refused(String),
}

/// Carries batches to CloudWatch.
pub trait Courier: Send {
    /// Makes one request, which is never repeated by itself.
    fn deliver(&mut self, batch: &Batch) -> Delivery;

    /// How many values CloudWatch holds of a datum's metric in its minute. `None`: it cannot be asked.
    fn held(&mut self, datum: &Datum) -> Option<u64>;
}

/// What became of windows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken by CloudWatch.
    pub sent: u64,
    /// Still in the spool.
    pub spooled: u64,
    /// Dropped, because the spool was full, no disk took them, or they were too old.
    pub dropped: u64,
    /// Refused by CloudWatch for what they hold.
    pub refused: u64,
    /// Sent again though the first request may have been taken.
    pub duplicated: u64,
    /// Datums left out, because their metric would have been one too many.
    pub over_budget: u64,
}

/// How windows are published.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What of a window is published.
    pub shape: Shape,
    /// The most metrics that this process may make.
    pub metrics_max: usize,
    /// How long after a lost reply CloudWatch is asked whether it holds the data; longer where they
    /// were hours old.
    pub settle: Duration,
}

/// A sink that spools, and empties its spool after each write.
pub struct Spool<C> {
    disk: Disk,
    courier: C,
    clock: Arc<dyn Clock>,
    rules: Rules,
    metrics: BTreeSet<(String, Vec<(String, String)>)>,
    counts: Arc<Mutex<Counts>>,
    failing: bool,
}

/// How long CloudWatch may hide data that were so old when they came. Its API's documents say: up to 2
/// hours where they are 3 hours old, and "at least 48 hours" from a day on, to which a day is added here.
fn hidden_ms(age_ms: i64) -> i64 {
    match age_ms / HOUR_MS {
        ..3 => 0,
        3..24 => 2 * HOUR_MS,
        _ => 72 * HOUR_MS,
    }
}

impl<C> Spool<C> {
    /// What became of the windows, for whoever watches.
    #[must_use]
    pub fn counts(&self) -> Arc<Mutex<Counts>> {
        Arc::clone(&self.counts)
    }

    fn count(&self, work: impl FnOnce(&mut Counts)) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut counts);
        counts.spooled = self.disk.windows();
    }
}

impl<C> Drop for Spool<C> {
    /// What no disk has taken is lost with the process, and counted.
    fn drop(&mut self) {
        self.disk.keep_held();
        let lost = self.disk.lose_held();
        self.count(|counts| counts.dropped += lost);
    }
}

impl<C: Courier> Spool<C> {
    /// A sink over an open spool.
    #[must_use]
    pub fn new(disk: Disk, courier: C, clock: Arc<dyn Clock>, rules: Rules) -> Self {
        let counts = Counts { spooled: disk.windows(), ..Counts::default() };
        let counts = Arc::new(Mutex::new(counts));
        let metrics = BTreeSet::new();
        Self { disk, courier, clock, rules, metrics, counts, failing: false }
    }

    /// Leaves out the datums of metrics beyond the budget.
    fn within_budget(&mut self, batch: &mut Batch) {
        let before = batch.datums.len();
        batch.datums.retain(|datum| {
            let key = (datum.name.clone(), datum.dimensions.clone());
            let room = self.metrics.len() < self.rules.metrics_max;
            self.metrics.contains(&key) || (room && self.metrics.insert(key))
        });
        let left_out = u64::try_from(before - batch.datums.len()).unwrap_or(u64::MAX);
        if left_out > 0 {
            self.count(|counts| counts.over_budget += left_out);
        }
    }

    /// Sends what waits, oldest first, then settles what is in doubt. Stops at the first trouble.
    fn drain(&mut self) {
        let began = self.clock.now();
        let in_time = |clock: &dyn Clock| clock.now().saturating_duration_since(began) < DRAIN;
        for number in self.disk.waiting() {
            if !in_time(&*self.clock) || !self.send(number) {
                break;
            }
        }
        let now_ms = self.clock.wall_ms();
        let settle_ms = i64::try_from(self.rules.settle.as_millis()).unwrap_or(i64::MAX);
        for (number, Doubt { since_ms, oldest_ms }) in self.disk.doubtful() {
            let asked_ms = now_ms - since_ms - settle_ms - hidden_ms(since_ms - oldest_ms);
            if asked_ms >= 0 && in_time(&*self.clock) {
                self.settle(number, asked_ms);
            }
        }
    }

    /// Sends one batch; whether the next may follow.
    fn send(&mut self, number: u64) -> bool {
        let now_ms = self.clock.wall_ms();
        let batch = self.disk.read(number);
        let young = |batch: &Batch| batch.datums.iter().all(|d| d.at_ms > now_ms - AGE_MAX_MS);
        let Some(batch) = batch.filter(young) else {
            let windows = self.disk.remove(number);
            self.count(|counts| counts.dropped += windows);
            return true;
        };
        if let Err(error) = self.disk.mark(number, State::Doubtful(now_ms)) {
            // Without the note a kill would make a duplicate: nothing is sent.
            let _ = self.disk.mark(number, State::Waiting);
            self.trouble(&format!("the spool cannot be written: {error}"));
            return false;
        }
        match self.courier.deliver(&batch) {
            Delivery::Taken => {
                let windows = self.disk.remove(number);
                self.count(|counts| counts.sent += windows);
                self.failing = false;
                true
            }
            Delivery::Refused(cause) => {
                let windows = self.disk.remove(number);
                self.count(|counts| counts.refused += windows);
                tracing::warn!("CloudWatch refuses {windows} windows, which are lost: {cause}");
                true
            }
            Delivery::NotTaken(cause) => {
                // Should the name stay as it is, CloudWatch is asked later.
                let _ = self.disk.mark(number, State::Waiting);
                self.trouble(&cause);
                false
            }
            Delivery::Unknown(cause) => {
                self.trouble(&cause);
                false
            }
        }
    }

    /// Asks whether a doubtful batch was taken. A request is taken whole or not at all, so that one
    /// of its metrics speaks for all.
    fn settle(&mut self, number: u64, asked_ms: i64) {
        let Some(batch) = self.disk.read(number) else {
            let windows = self.disk.remove(number);
            self.count(|counts| counts.dropped += windows);
            return;
        };
        let Some(first) = batch.datums.first() else { return };
        let own: u64 = first.values.iter().map(|(_, count)| count).sum();
        match self.courier.held(first) {
            Some(held) if held >= own => {
                let windows = self.disk.remove(number);
                self.count(|counts| counts.sent += windows);
            }
            Some(_) => {
                // Renamed or not, it waits again.
                let _ = self.disk.mark(number, State::Waiting);
            }
            None if asked_ms >= ASKED_MAX_MS => {
                let _ = self.disk.mark(number, State::Waiting);
                self.count(|counts| counts.duplicated += batch.windows);
            }
            None => {}
        }
    }

    /// Tells of trouble once, until something is taken again.
    fn trouble(&mut self, cause: &str) {
        if !self.failing {
            tracing::warn!("windows wait in the spool: {cause}");
        }
        self.failing = true;
    }
}

impl<C: Courier> Sink for Spool<C> {
    /// Takes the windows into the spool, always. What does not fit is dropped, and counted.
    fn write(&mut self, windows: Vec<Window>) -> Result<(), SinkError> {
        self.disk.keep_held();
        for mut batch in batches(&windows, &self.rules.shape) {
            self.within_budget(&mut batch);
            if !batch.datums.is_empty() {
                let dropped = self.disk.push(batch);
                if dropped > 0 {
                    tracing::warn!("the spool is full: {dropped} windows were dropped, the oldest");
                }
                self.count(|counts| counts.dropped += dropped);
            }
        }
        self.drain();
        self.count(|_| {});
        Ok(())
    }
}

#[cfg(test)]
mod tests;
