//! The open-loop schedule: due instants from a fixed grid, with a seeded phase for each series.
//! Pure: it says when, and never waits. What happens to a sample never moves a due instant.

use std::time::Duration;

use crate::sample::Series;

/// The due instants of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The first due instant, from the start of the run; below `interval`.
    pub phase: Duration,
    /// Between two due instants.
    pub interval: Duration,
}

impl Schedule {
    /// The grid of a series: its phase is a hash of seed and series, so that series do not
    /// synchronise, and so that the same seed gives the same grid.
    #[must_use]
    pub fn new(seed: u64, series: &Series, interval: Duration) -> Self {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let phase_ns = hash(seed, series) % interval_ns;
        Self { phase: Duration::from_nanos(phase_ns), interval: Duration::from_nanos(interval_ns) }
    }

    /// The due instant of slot `k`, from the start of the run; saturating.
    #[must_use]
    pub fn due(&self, k: u64) -> Duration {
        let interval_ns = self.interval.as_nanos();
        let ns = self.phase.as_nanos() + interval_ns * u128::from(k);
        u64::try_from(ns).map_or(Duration::MAX, Duration::from_nanos)
    }

    /// How many slots are due before `length` of the run has passed.
    #[must_use]
    pub fn slots_before(&self, length: Duration) -> u64 {
        let after = length.saturating_sub(self.phase).as_nanos();
        u64::try_from(after.div_ceil(self.interval.as_nanos())).unwrap_or(u64::MAX)
    }
}

/// The least number of samples in flight with which a stall of `timeout` hides no slot:
/// ceil(timeout / interval) + 1.
#[must_use]
pub fn in_flight_max(timeout: Duration, interval: Duration) -> u32 {
    let slots = timeout.as_nanos().div_ceil(interval.as_nanos().max(1));
    u32::try_from(slots).unwrap_or(u32::MAX).saturating_add(1)
}

/// FNV-1a over the parts, then the finaliser of `SplitMix64`, so that near names part far.
fn hash(seed: u64, series: &Series) -> u64 {
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    let mut eat = |byte: u8| {
        state ^= u64::from(byte);
        state = state.wrapping_mul(0x0000_0100_0000_01b3);
    };
    seed.to_le_bytes().into_iter().for_each(&mut eat);
    for part in [&series.vantage, &series.target, series.connection.as_str(), &series.path] {
        part.bytes().for_each(&mut eat);
        // A byte that no text holds parts "ab" + "c" from "a" + "bc".
        eat(0xff);
    }
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Connection;
    use proptest::prelude::*;

    fn series(vantage: &str, target: &str) -> Series {
        Series {
            vantage: vantage.to_owned(),
            target: target.to_owned(),
            connection: Connection::Cold,
            path: String::new(),
        }
    }

    #[test]
    fn phases_spread_over_the_interval() {
        let interval = Duration::from_secs(10);
        let mut tenths = [0_u32; 10];
        for index in 0..1_000 {
            let schedule = Schedule::new(7, &series("v", &format!("t{index}")), interval);
            tenths[usize::try_from(schedule.phase.as_secs()).unwrap()] += 1;
        }
        assert!(tenths.iter().all(|count| (60..=140).contains(count)), "{tenths:?}");
    }

    #[test]
    fn in_flight_covers_a_whole_timeout() {
        for (timeout_ms, interval_ms, want) in [(10_000, 500, 21), (1, 1_000, 2), (999, 500, 3)] {
            let got = in_flight_max(
                Duration::from_millis(timeout_ms),
                Duration::from_millis(interval_ms),
            );
            assert_eq!(got, want);
        }
    }

    proptest! {
        #[test]
        fn the_grid_is_fixed(seed: u64, ms in 10_u64..100_000, k in 0_u64..1_000_000) {
            let interval = Duration::from_millis(ms);
            let schedule = Schedule::new(seed, &series("a", "b"), interval);
            prop_assert!(schedule.phase < interval);
            prop_assert_eq!(schedule.due(k) + interval, schedule.due(k + 1));
            prop_assert_eq!(schedule, Schedule::new(seed, &series("a", "b"), interval));
            let slots = schedule.slots_before(schedule.due(k));
            prop_assert_eq!(slots, k);
        }
    }
}
