//! A histogram as at most 150 values with counts. Pure.
//!
//! Up to 150 values go as they are. More are put into buckets of equal ratio over the histogram's own
//! range, each told as the geometric middle of what it holds: a quantile is then off by at most
//! [`error_bound`], which is half a bucket: 0.8 % over a tenfold range, 3.8 % over 1 ms to 80 s.

use crate::histogram::{Histogram, next_above_us};

/// Most values of one datum.
pub const VALUES_MAX: usize = 150;

/// Values in milliseconds, ascending, with counts. What is above `timeout_us` is one value just above
/// it, so that no failure is taken for an answer.
#[must_use]
pub fn values(histogram: &Histogram, timeout_us: Option<u64>) -> Vec<(f64, u64)> {
    let timeout_us = timeout_us.unwrap_or(u64::MAX);
    let mut inside: Vec<(f64, u64)> = Vec::new();
    let mut above = 0;
    for (low, high, count) in histogram.buckets() {
        if low > timeout_us {
            above += count;
        } else {
            inside.push((high as f64, count));
        }
    }
    let room = VALUES_MAX - usize::from(above > 0);
    if inside.len() > room {
        inside = merged(&inside, room);
    }
    if above > 0 {
        inside.push((next_above_us(timeout_us) as f64, above));
    }
    inside.into_iter().map(|(us, count)| (us / 1_000.0, count)).collect()
}

/// The most by which a quantile of [`values`] is off, as a share: half a bucket over the range.
#[must_use]
pub fn error_bound(least: f64, greatest: f64) -> f64 {
    (greatest / least).powf(0.5 / (VALUES_MAX - 1) as f64) - 1.0
}

/// `sorted` in at most `room` buckets of equal ratio.
fn merged(sorted: &[(f64, u64)], room: usize) -> Vec<(f64, u64)> {
    let (Some((least, _)), Some((greatest, _))) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let width = (greatest / least).ln() / room as f64;
    let mut packed = Vec::with_capacity(room);
    let mut at = 0;
    while let Some((first, _)) = sorted.get(at) {
        // The bucket that holds the next value, so that there are never more than `room`.
        let index = ((first / least).ln() / width).floor().min((room - 1) as f64);
        let end = if index >= (room - 1) as f64 {
            f64::INFINITY
        } else {
            least * ((index + 1.0) * width).exp()
        };
        let held = sorted[at..].iter().take_while(|(value, _)| *value < end).count().max(1);
        let bucket = &sorted[at..at + held];
        let top = bucket.last().map_or(*first, |(value, _)| *value);
        packed.push(((first * top).sqrt(), bucket.iter().map(|(_, count)| count).sum()));
        at += held;
    }
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The smallest value whose cumulated share is at least `quantile`, as CloudWatch is asked.
    fn quantile(values: &[(f64, u64)], quantile: f64) -> f64 {
        let total: u64 = values.iter().map(|(_, count)| count).sum();
        let rank = (quantile * total as f64 - 1e-9).ceil().max(1.0);
        let mut seen = 0;
        let found = values.iter().find(|(_, count)| {
            seen += count;
            seen as f64 >= rank
        });
        found.unwrap().0
    }

    #[test]
    fn the_stated_errors() {
        assert!(error_bound(1.0, 10.0) < 0.0078);
        let wide = error_bound(1.0, 80_000.0);
        assert!(wide > 0.037 && wide < 0.0387, "{wide}");
    }

    #[test]
    fn few_values_are_exact() {
        let mut histogram = Histogram::new();
        for value in [1_000, 1_500, 2_000] {
            histogram.record(value);
        }
        assert_eq!(values(&histogram, None), [(1.0, 1), (1.5, 1), (2.0, 1)]);
        assert!(values(&Histogram::new(), Some(5)).is_empty());
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_bound(
            samples in prop::collection::vec((500.0_f64.ln()..60e6_f64.ln()).prop_map(f64::exp), 1..2_000),
            failures in 0_u64..50,
            permille in 1_u32..=1000,
        ) {
            const TIMEOUT_US: u64 = 30_000_000;
            let mut histogram = Histogram::new();
            for sample in &samples {
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below 60 s")]
                histogram.record((*sample as u64).min(TIMEOUT_US));
            }
            histogram.record_n(next_above_us(TIMEOUT_US), failures);
            let made = values(&histogram, Some(TIMEOUT_US));
            prop_assert!(made.len() <= VALUES_MAX);
            prop_assert!(made.is_sorted_by(|a, b| a.0 < b.0));
            prop_assert_eq!(made.iter().map(|(_, n)| n).sum::<u64>(), histogram.len());
            let share = f64::from(permille) / 1000.0;
            let truth = histogram.quantile_us(share).unwrap() as f64 / 1_000.0;
            let told = quantile(&made, share);
            let bound = error_bound(500.0, 30_000_000.0) + 0.001;
            prop_assert!((told / truth - 1.0).abs() <= bound, "{} for {}", told, truth);
            let failed = failures as f64 / histogram.len() as f64;
            let is_failure = told >= next_above_us(TIMEOUT_US) as f64 / 1_000.0;
            prop_assert_eq!(is_failure, share > 1.0 - failed + 1e-12);
        }
    }
}
