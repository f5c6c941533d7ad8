//! What the receiving Region says of itself: failures, throttles, concurrency, minute by minute.
//!
//! It judges figures that others fetched. A minute that is missing is a failed one: a Region that
//! cannot say how it is, is not well.

use super::game::RateGame;

/// How much more often than before the canary requests may fail: one percentage point.
const EXCESS: f64 = 0.01;
/// The share of the concurrency limit above which a Region counts as full.
const CONCURRENCY_SHARE_MAX: f64 = 0.8;
/// Bad minutes in a row that are harm.
const BAD_IN_A_ROW: u32 = 3;

/// One settled minute of a Region's own metrics. What is absent was not published.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RegionMinute {
    /// Requests.
    pub requests: Option<f64>,
    /// Those that failed by the Region's fault (5XX).
    pub failures: Option<f64>,
    /// Invocations that were refused for want of concurrency.
    pub throttles: Option<f64>,
    /// The most that ran at once, as a share of the limit.
    pub concurrency_share: Option<f64>,
}

/// A Region that receives traffic, as it is watched during one step.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionWatch {
    game: RateGame,
    minutes: u32,
    bad_in_a_row: u32,
}

impl RegionWatch {
    /// A Region of whose requests `failing` (a share) failed before the canary.
    #[must_use]
    pub fn new(failing: f64) -> Self {
        let bound = (failing + EXCESS).clamp(EXCESS, 0.9);
        Self { game: RateGame::new(bound), minutes: 0, bad_in_a_row: 0 }
    }

    /// The next settled minute. A throttled invocation fails a request, so the larger of the two counts.
    pub fn push(&mut self, minute: &RegionMinute) {
        self.minutes = self.minutes.saturating_add(1);
        let is_full = |share: f64| share > CONCURRENCY_SHARE_MAX;
        let bad = match (minute.requests, minute.failures, minute.throttles) {
            (Some(requests), Some(failures), Some(throttles)) if requests > 0.0 => {
                self.game.play(failures.max(throttles).min(requests), requests);
                minute.concurrency_share.is_none_or(is_full)
            }
            _ => true,
        };
        self.bad_in_a_row = if bad { self.bad_in_a_row + 1 } else { 0 };
    }

    /// The evidence that requests fail more often than before.
    #[must_use]
    pub fn e(&self) -> f64 {
        self.game.e()
    }

    /// Whether so many minutes in a row were missing or full that this is harm.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.bad_in_a_row >= BAD_IN_A_ROW
    }

    /// Whether nothing stands against sending it more: it was seen, and its newest minute was good.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.minutes >= BAD_IN_A_ROW && self.bad_in_a_row == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(failures: f64, throttles: f64, concurrency_share: f64) -> RegionMinute {
        RegionMinute {
            requests: Some(1_000.0),
            failures: Some(failures),
            throttles: Some(throttles),
            concurrency_share: Some(concurrency_share),
        }
    }

    fn after(minutes: &[RegionMinute]) -> RegionWatch {
        let mut watch = RegionWatch::new(0.002);
        for minute in minutes {
            watch.push(minute);
        }
        watch
    }

    #[test]
    fn a_region_as_before_is_well() {
        let watch = after(&[minute(2.0, 0.0, 0.3); 15]);
        assert!(watch.is_well() && !watch.is_lost() && watch.e() < 1.0, "{watch:?}");
        assert!(!after(&[minute(2.0, 0.0, 0.3); 2]).is_well(), "seen too shortly");
    }

    #[test]
    fn failures_and_throttles_are_harm_within_minutes() {
        for bad in [minute(100.0, 0.0, 0.3), minute(0.0, 100.0, 0.3)] {
            assert!(after(&[bad; 2]).e() >= 200.0, "{bad:?}");
        }
    }

    #[test]
    fn what_is_missing_or_full_is_bad() {
        let good = minute(0.0, 0.0, 0.1);
        for bad in [
            RegionMinute::default(),
            RegionMinute { requests: None, ..good },
            RegionMinute { requests: Some(0.0), ..good },
            RegionMinute { failures: None, ..good },
            RegionMinute { throttles: None, ..good },
            RegionMinute { concurrency_share: None, ..good },
            minute(0.0, 0.0, 0.81),
        ] {
            assert!(!after(&[good, good, good, bad]).is_well(), "{bad:?}");
            assert!(!after(&[bad, bad, good, bad, bad]).is_lost(), "{bad:?}");
            assert!(after(&[good, bad, bad, bad]).is_lost(), "{bad:?}");
        }
    }
}
