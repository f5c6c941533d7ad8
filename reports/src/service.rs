//! Reports on a schedule: waits, makes one at a time of all processes that share the store, and
//! catches up one that was missed.
//!
//! The clock and the waiting come from outside, so that a month passes in a test within a moment.

use std::future::Future;
use std::time::Duration;

use probe::clock::Clock;
use probe::store::{Store, StoreError};

use crate::schedule::{Schedule, Step};

/// The name of the lease in the store.
const LEASE: &str = "report";
/// How long one report may take, with its deliveries; a process that died holds others up so long.
const LEASE_MS: i64 = 15 * 60_000;
/// The longest wait: then the wall clock is looked at again, for it may have been stepped, or the
/// machine may have slept.
const WAIT_MAX_MS: i64 = 60_000;

/// What one look came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looked {
    /// A report was made.
    Made {
        /// For when it was due, in ms since 1970.
        due_ms: i64,
        /// Earlier ones that were missed.
        skipped: u32,
    },
    /// Another process is at it.
    Busy,
    /// Nothing is due before this time, in ms since 1970.
    Idle {
        /// The time.
        due_ms: i64,
    },
    /// Nothing will ever be due.
    Over,
}

/// Why the service ends.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError<E> {
    /// The store.
    #[error(transparent)]
    Store(StoreError),
    /// A report could not be made.
    #[error("{0}")]
    Make(E),
}

/// Makes reports when they are due.
pub struct Service<'a> {
    /// When.
    pub schedule: &'a Schedule,
    /// The time.
    pub clock: &'a dyn Clock,
    /// A number that no other process has.
    pub holder: i64,
}

impl Service<'_> {
    /// One look: makes what is due, if no other process does. `make` is told when it was due.
    pub async fn look<E, F: Future<Output = Result<(), E>>>(
        &self,
        store: &mut Store,
        make: impl FnOnce(i64) -> F,
    ) -> Result<Looked, ServiceError<E>> {
        let now_ms = self.clock.wall_ms();
        let Some(done_ms) = store.done_ms(LEASE).map_err(ServiceError::Store)? else {
            return self.begin(store, now_ms);
        };
        match self.schedule.step(done_ms, now_ms) {
            Step::Never => Ok(Looked::Over),
            Step::WaitUntil { due_ms } => Ok(Looked::Idle { due_ms }),
            Step::Make { .. } => self.make(store, now_ms, make).await,
        }
    }

    /// The first look ever: what was due before is nobody's loss.
    fn begin<E>(&self, store: &mut Store, now_ms: i64) -> Result<Looked, ServiceError<E>> {
        if !self.take(store, now_ms)? {
            return Ok(Looked::Busy);
        }
        let since_ms = store.done_ms(LEASE).map_err(ServiceError::Store)?.unwrap_or(now_ms);
        store.end_lease(LEASE, self.holder, Some(since_ms)).map_err(ServiceError::Store)?;
        Ok(match self.schedule.after(since_ms) {
            Some(due_ms) => Looked::Idle { due_ms },
            None => Looked::Over,
        })
    }

    fn take<E>(&self, store: &mut Store, now_ms: i64) -> Result<bool, ServiceError<E>> {
        store
            .take_lease(LEASE, self.holder, (now_ms, now_ms.saturating_add(LEASE_MS)))
            .map_err(ServiceError::Store)
    }

    async fn make<E, F: Future<Output = Result<(), E>>>(
        &self,
        store: &mut Store,
        now_ms: i64,
        make: impl FnOnce(i64) -> F,
    ) -> Result<Looked, ServiceError<E>> {
        if !self.take(store, now_ms)? {
            return Ok(Looked::Busy);
        }
        // Another process may have made it between the look and the lease.
        let done_ms = store.done_ms(LEASE).map_err(ServiceError::Store)?.unwrap_or(now_ms);
        let Step::Make { due_ms, skipped } = self.schedule.step(done_ms, now_ms) else {
            store.end_lease(LEASE, self.holder, None).map_err(ServiceError::Store)?;
            return Ok(Looked::Busy);
        };
        let outcome = make(due_ms).await;
        // One that failed is not tried again: the next one is due soon enough, and it is told.
        store.end_lease(LEASE, self.holder, Some(due_ms)).map_err(ServiceError::Store)?;
        outcome.map(|()| Looked::Made { due_ms, skipped }).map_err(ServiceError::Make)
    }

    /// How long to wait after a look.
    #[must_use]
    pub fn pause(&self, looked: Looked) -> Option<Duration> {
        let ms = match looked {
            Looked::Over => return None,
            Looked::Made { .. } => 0,
            Looked::Busy => WAIT_MAX_MS / 12,
            Looked::Idle { due_ms } => (due_ms - self.clock.wall_ms()).clamp(1, WAIT_MAX_MS),
        };
        Some(Duration::from_millis(u64::try_from(ms).unwrap_or(0)))
    }
}

#[cfg(test)]
mod tests;
