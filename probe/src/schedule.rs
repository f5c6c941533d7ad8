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
    /// Its place among the targets of one group, which share a phase.
    pub place: Option<Place>,
}

/// The place of a series in its group: in each round the members are due within a second (or
/// within the interval, where that is shorter), in an order drawn anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Which member, below `size`.
    pub index: u32,
    /// How many members.
    pub size: u32,
    /// Seed of the orders: the same for all members.
    seed: u64,
}

/// The members of a group are due within this.
const GROUP_SPREAD: Duration = Duration::from_secs(1);

impl Place {
    /// When this member is due in round `k`, from the start of the round.
    fn offset(&self, k: u64, interval: Duration) -> Duration {
        let spread_ns = interval.min(GROUP_SPREAD).as_nanos();
        let step_ns = spread_ns / u128::from(self.size.max(1));
        let ns = step_ns * u128::from(self.position(k));
        u64::try_from(ns).map_or(Duration::ZERO, Duration::from_nanos)
    }

    /// Where this member stands in the order of round `k`: members are sorted by a hash of the
    /// round and the member, so that every order is as likely as any other.
    fn position(&self, k: u64) -> u32 {
        let draw = |index: u32| {
            let round = mix(self.seed ^ mix(k.wrapping_add(0x9e37_79b9_7f4a_7c15)));
            (mix(round ^ mix(u64::from(index) + 1)), index)
        };
        let own = draw(self.index);
        let before = (0..self.size).filter(|other| draw(*other) < own).count();
        u32::try_from(before).unwrap_or(0)
    }
}

impl Schedule {
    /// The grid of one of `size` members of a group. The phase belongs to vantage, group and
    /// connection, so that all members share it.
    #[must_use]
    pub fn in_group(
        seed: u64,
        (series, group): (&Series, &str),
        (index, size): (u32, u32),
        interval: Duration,
    ) -> Self {
        // No id holds a space, so that no target is called like a group.
        let of_group = Series { target: format!("group {group}"), ..series.clone() };
        let place = Place { index, size, seed: hash(seed, &of_group) };
        Self { place: Some(place), ..Self::new(seed, &of_group, interval) }
    }

    /// The grid of a series: its phase is a hash of seed and series, so that series do not
    /// synchronise, and so that the same seed gives the same grid.
    #[must_use]
    pub fn new(seed: u64, series: &Series, interval: Duration) -> Self {
        let interval_ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX).max(1);
        let phase_ns = hash(seed, series) % interval_ns;
        Self {
            phase: Duration::from_nanos(phase_ns),
            interval: Duration::from_nanos(interval_ns),
            place: None,
        }
    }

    /// The due instant of slot `k`, from the start of the run; saturating.
    #[must_use]
    pub fn due(&self, k: u64) -> Duration {
        let interval_ns = self.interval.as_nanos();
        let ns = self.phase.as_nanos() + interval_ns * u128::from(k);
        let round = u64::try_from(ns).map_or(Duration::MAX, Duration::from_nanos);
        let offset = self.place.map_or(Duration::ZERO, |place| place.offset(k, self.interval));
        round.saturating_add(offset)
    }

    /// How many slots are due before `length` of the run has passed.
    #[must_use]
    pub fn slots_before(&self, length: Duration) -> u64 {
        let after = length.saturating_sub(self.phase).as_nanos();
        let rounds = u64::try_from(after.div_ceil(self.interval.as_nanos())).unwrap_or(u64::MAX);
        // In a group the last one's turn may come after the end.
        match rounds.checked_sub(1) {
            Some(last) if self.due(last) >= length => last,
            _ => rounds,
        }
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
    mix(state)
}

fn mix(mut mixed: u64) -> u64 {
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

    #[test]
    fn members_of_a_group_meet_within_a_second_in_every_order() {
        let interval = Duration::from_secs(10);
        let member = |index: u32| {
            let series = series("v", &format!("t{index}"));
            Schedule::in_group(7, (&series, "g"), (index, 3), interval)
        };
        let members = [member(0), member(1), member(2)];
        let mut orders = std::collections::BTreeMap::new();
        for k in 0..600 {
            let dues = members.map(|member| member.due(k));
            let (first, last) = (dues.iter().min().unwrap(), dues.iter().max().unwrap());
            assert!(last.abs_diff(*first) < Duration::from_secs(1));
            let mut order = [0, 1, 2];
            order.sort_by_key(|index| dues[*index]);
            *orders.entry(order).or_insert(0_u32) += 1;
        }
        assert_eq!(orders.len(), 6);
        assert!(orders.values().all(|count| (60..=145).contains(count)), "{orders:?}");
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
