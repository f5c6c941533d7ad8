//! Metrics as they are before they are written in one form or another: families, labels, values,
//! and counts in buckets, classic and native. It writes nothing.

use std::collections::BTreeMap;

/// Upper bounds of the classic buckets, in microseconds and as Prometheus writes them in seconds.
pub(super) const BUCKETS: [(u64, &str); 15] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (200_000, "0.2"),
    (300_000, "0.3"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];

/// Schema of the native buckets: eight for each doubling, so that a bucket is 9 % wide.
pub(super) const SCHEMA: i32 = 3;

/// What a family's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Metrics of one name.
#[derive(Debug)]
pub(super) struct Family<'a> {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub metrics: Vec<Metric<'a>>,
}

/// One value with its labels. Labels are outside text.
#[derive(Debug)]
pub(super) struct Metric<'a> {
    pub labels: Vec<(&'static str, &'a str)>,
    pub value: Value<'a>,
}

/// A value.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    /// A plain number.
    Count(u64),
    /// A time in microseconds, written in seconds.
    Micros(u64),
    /// Times in buckets.
    Counts(&'a Counts),
}

/// Microseconds, counted in classic and in native buckets. Both are bounded: no value of 64 bits
/// of microseconds lies beyond native bucket 354.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Not cumulated.
    pub classic: [u64; BUCKETS.len()],
    /// Native bucket i holds what is above 2^((i-1)/8) s and at most 2^(i/8) s.
    pub native: BTreeMap<i32, u64>,
    /// Values of 0 us, which are in no native bucket.
    pub zeros: u64,
    pub total: u64,
    pub sum_us: u64,
}

impl Counts {
    pub(super) fn record(&mut self, us: u64) {
        self.total += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        let within = BUCKETS.iter().position(|(bound, _)| us <= *bound);
        if let Some(count) = within.and_then(|index| self.classic.get_mut(index)) {
            *count += 1;
        }
        match native_index(us) {
            Some(index) => *self.native.entry(index).or_insert(0) += 1,
            None => self.zeros += 1,
        }
    }

    /// Runs of native buckets that lie side by side: how many are left out before it, counted from
    /// bucket 0 for the first, and its counts.
    pub(super) fn spans(&self) -> Vec<(i32, Vec<u64>)> {
        let (mut spans, mut next): (Vec<(i32, Vec<u64>)>, i32) = (Vec::new(), 0);
        for (index, count) in &self.native {
            match spans.last_mut() {
                Some((_, run)) if *index == next => run.push(*count),
                _ => spans.push((index - next, vec![*count])),
            }
            next = index + 1;
        }
        spans
    }
}

/// The native bucket of a time; `None` for zero.
#[expect(clippy::cast_possible_truncation, reason = "an index lies within -160 and 354")]
fn native_index(us: u64) -> Option<i32> {
    if us == 0 {
        return None;
    }
    let seconds = us as f64 / 1e6;
    let index = (seconds.log2() * f64::from(1 << SCHEMA)).ceil() as i32;
    // The logarithm may be off by its last digit where a value is a bound.
    Some(if seconds <= upper_bound_s(index - 1) { index - 1 } else { index })
}

fn upper_bound_s(index: i32) -> f64 {
    (f64::from(index) / f64::from(1 << SCHEMA)).exp2()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn runs_of_buckets() {
        let mut counts = Counts::default();
        assert_eq!(counts.spans(), []);
        // 1 s is the bound of bucket 0, 1.05 s lies in bucket 1, 2 s is the bound of bucket 8.
        for us in [0, 1_000_000, 1_050_000, 1_050_001, 2_000_000] {
            counts.record(us);
        }
        assert_eq!(counts.spans(), [(0, vec![1, 2]), (6, vec![1])]);
        assert_eq!((counts.zeros, counts.total), (1, 5));
        counts.record(500_000);
        assert_eq!(counts.spans(), [(-8, vec![1]), (7, vec![1, 2]), (6, vec![1])]);
    }

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket(us in prop_oneof![1_u64..3_000, 1_u64..60_000_000, any::<u64>()]) {
            let Some(index) = native_index(us) else { return Ok(()) };
            let seconds = us as f64 / 1e6;
            prop_assert!(seconds <= upper_bound_s(index) * (1.0 + 1e-12));
            prop_assert!(seconds > upper_bound_s(index - 1) * (1.0 - 1e-12));
            prop_assert!((-160..=354).contains(&index));
        }
    }
}
