//! Time comes from a [`Clock`]. Durations are monotonic; wall time only names windows.
//!
//! [`SystemClock`] is the one place in the product that reads the machine's clocks.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of time.
pub trait Clock: Send + Sync {
    /// The monotonic instant now.
    fn now(&self) -> Instant;
    /// Wall time now, in nanoseconds since 1970. It may step either way at any moment.
    fn wall_ns(&self) -> i64;

    /// Wall time now, in milliseconds since 1970.
    fn wall_ms(&self) -> i64 {
        self.wall_ns().div_euclid(1_000_000)
    }
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    fn now(&self) -> Instant {
        Instant::now()
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clocks")]
    fn wall_ns(&self) -> i64 {
        let now = SystemTime::now();
        match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        }
    }
}

/// A clock that is moved by hand, for tests and replays.
#[derive(Debug)]
pub struct ManualClock {
    origin: Instant,
    elapsed_ns: AtomicU64,
    wall_ns: AtomicI64,
}

impl ManualClock {
    /// A clock that stands at this wall time, in milliseconds since 1970.
    #[must_use]
    pub fn new(wall_ms: i64) -> Self {
        Self {
            origin: SystemClock.now(),
            elapsed_ns: AtomicU64::new(0),
            wall_ns: AtomicI64::new(wall_ms.saturating_mul(1_000_000)),
        }
    }

    /// Moves both clocks forward.
    pub fn advance(&self, by: Duration) {
        let ns = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        self.elapsed_ns.fetch_add(ns, Ordering::SeqCst);
        self.wall_ns.fetch_add(i64::try_from(ns).unwrap_or(i64::MAX), Ordering::SeqCst);
    }

    /// Steps the wall clock only, as an operator or NTP would, in milliseconds.
    pub fn step_wall_ms(&self, by_ms: i64) {
        self.wall_ns.fetch_add(by_ms.saturating_mul(1_000_000), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        self.origin + Duration::from_nanos(self.elapsed_ns.load(Ordering::SeqCst))
    }

    fn wall_ns(&self) -> i64 {
        self.wall_ns.load(Ordering::SeqCst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_step_moves_no_duration() {
        let clock = ManualClock::new(1_000);
        let before = clock.now();
        clock.step_wall_ms(-10_000);
        assert_eq!(clock.now(), before);
        assert_eq!(clock.wall_ms(), -9_000);
        clock.advance(Duration::from_millis(3));
        assert_eq!(clock.now() - before, Duration::from_millis(3));
        assert_eq!(clock.wall_ms(), -8_997);
    }
}
