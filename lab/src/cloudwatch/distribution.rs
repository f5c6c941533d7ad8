//! What was published for one metric in one interval: values with their counts, and sums that came
//! without values. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// A number in its total order.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// A statistic set: values that nobody can tell apart any more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct StatisticSet {
    pub(super) count: f64,
    pub(super) sum: f64,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
}

/// Everything of one interval.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Distribution {
    values: BTreeMap<Ordered, f64>,
    sets: Option<StatisticSet>,
}

impl Distribution {
    /// Counts a value so many times; a count of 0 counts nothing.
    pub(super) fn add(&mut self, value: f64, count: f64) {
        if count > 0.0 {
            // -0 and 0 are one value.
            *self.values.entry(Ordered(value + 0.0)).or_insert(0.0) += count;
        }
    }

    /// Adds a statistic set. One that can only come of equal values is those values.
    pub(super) fn add_set(&mut self, set: StatisticSet) {
        let StatisticSet { count, sum, minimum, maximum } = set;
        let equal = minimum.total_cmp(&maximum) == Ordering::Equal
            && sum.total_cmp(&(minimum * count)) == Ordering::Equal;
        if equal {
            return self.add(minimum, count);
        }
        self.sets = Some(match self.sets {
            None => set,
            Some(before) => StatisticSet {
                count: before.count + count,
                sum: before.sum + sum,
                minimum: before.minimum.min(minimum),
                maximum: before.maximum.max(maximum),
            },
        });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        for (value, count) in &other.values {
            self.add(value.0, *count);
        }
        if let Some(set) = other.sets {
            self.add_set(set);
        }
    }

    /// Values that are kept apart.
    pub(super) fn len(&self) -> usize {
        self.values.len() + usize::from(self.sets.is_some())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty() && self.sets.is_none()
    }

    pub(super) fn count(&self) -> f64 {
        self.values.values().sum::<f64>() + self.sets.map_or(0.0, |set| set.count)
    }

    pub(super) fn sum(&self) -> f64 {
        let own: f64 = self.values.iter().map(|(value, count)| value.0 * count).sum();
        own + self.sets.map_or(0.0, |set| set.sum)
    }

    pub(super) fn minimum(&self) -> Option<f64> {
        let own = self.values.first_key_value().map(|(value, _)| value.0);
        own.into_iter().chain(self.sets.map(|set| set.minimum)).reduce(f64::min)
    }

    pub(super) fn maximum(&self) -> Option<f64> {
        let own = self.values.last_key_value().map(|(value, _)| value.0);
        own.into_iter().chain(self.sets.map(|set| set.maximum)).reduce(f64::max)
    }

    /// Values with counts, ascending; `None` where percentiles do not exist: of statistic sets, and
    /// as soon as one value is negative.
    pub(super) fn ranked(&self) -> Option<Vec<(f64, f64)>> {
        let negative = self.values.first_key_value().is_some_and(|(value, _)| value.0 < 0.0);
        if self.sets.is_some() || negative || self.values.is_empty() {
            return None;
        }
        Some(self.values.iter().map(|(value, count)| (value.0, *count)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(count: f64, sum: f64, minimum: f64, maximum: f64) -> StatisticSet {
        StatisticSet { count, sum, minimum, maximum }
    }

    #[test]
    fn percentiles_exist_where_values_can_be_told_apart() {
        let of = |sets: &[StatisticSet], values: &[f64]| {
            let mut made = Distribution::default();
            for one in sets {
                made.add_set(*one);
            }
            for value in values {
                made.add(*value, 1.0);
            }
            made.ranked().is_some()
        };
        assert!(of(&[], &[1.0, 2.0]));
        assert!(of(&[set(1.0, 7.0, 7.0, 7.0)], &[]));
        assert!(of(&[set(3.0, 21.0, 7.0, 7.0)], &[1.0]));
        assert!(!of(&[set(2.0, 3.0, 1.0, 2.0)], &[1.0]));
        assert!(!of(&[], &[-1.0, 5.0]));
        assert!(!of(&[], &[]));
    }

    #[test]
    fn sums_are_of_values_and_sets() {
        let mut made = Distribution::default();
        made.add(2.0, 3.0);
        made.add(9.0, 0.0);
        made.add_set(set(2.0, 30.0, 10.0, 20.0));
        let mut twice = made.clone();
        twice.merge(&made);
        assert_eq!((made.count(), made.sum()), (5.0, 36.0));
        assert_eq!((made.minimum(), made.maximum()), (Some(2.0), Some(20.0)));
        assert_eq!((twice.count(), twice.sum(), twice.len()), (10.0, 72.0, 2));
    }
}
