//! A distribution read back from CloudWatch: between which edges its values are counted, and the
//! histogram that such counts make. Counts add up over hours, series and vantages, as percentiles do
//! not. It asks nobody. Pure.

use std::collections::BTreeMap;

use crate::histogram::Histogram;
use crate::sample::{Phase, Series};

/// Edges of a tenfold range: a bucket is 7.5 % wide.
const EDGES_A_DECADE: i32 = 32;
/// Decades that have edges: 1 us to 100 s, beyond what is measured.
const DECADES: i32 = 8;
/// An edge of the grid that lies nearer to one that is asked for is left out: the middle of what lies
/// between two edges must differ from both.
const APART: f64 = 0.002;

/// One series over a span, as far as CloudWatch knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Counted {
    /// Whose.
    pub series: Series,
    /// Samples of windows without missed slots.
    pub attempts: u64,
    /// Samples of windows with missed slots. No other figure holds them.
    pub incomplete: u64,
    /// Those that failed.
    pub failures: u64,
    /// The same by outcome kind, as far as kinds were published.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// The response, failures above the timeout.
    pub response: Histogram,
    /// Round trips of new connections; empty where they were not asked for or are not published.
    pub round_trips: Histogram,
    /// Samples and sum in ms of each phase that is published.
    pub phases: Vec<(Phase, u64, f64)>,
    /// The end of the newest hour that has samples, in ms since 1970.
    pub last_ms: i64,
}

/// Buckets between the least and the greatest value, both counted in them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "the unit stands last in a name")]
pub struct Buckets {
    least_us: u64,
    greatest_us: u64,
    /// Upper ends of all buckets but the last, which they belong to.
    edges_us: Vec<u64>,
    timeout_us: u64,
}

/// The most by which a quantile of such counts is off, as a share: half a bucket.
#[must_use]
pub fn error_bound() -> f64 {
    10_f64.powf(0.5 / f64::from(EDGES_A_DECADE)) - 1.0
}

impl Buckets {
    /// Buckets of values from `least_us` to `greatest_us` with edges at `exact_us` and at the timeout, above
    /// which there is nothing but failures.
    #[must_use]
    pub fn new((least_us, greatest_us): (u64, u64), exact_us: &[u64], timeout_us: u64) -> Self {
        let exact: Vec<u64> = exact_us.iter().copied().chain([timeout_us]).collect();
        let is_apart = |edge: &u64| {
            let near = |one: &u64| (*edge as f64 / *one as f64 - 1.0).abs() < APART;
            !exact.iter().any(near)
        };
        let all = grid().filter(is_apart).chain(exact.iter().copied());
        let mut edges_us: Vec<u64> =
            all.filter(|edge| (least_us..greatest_us).contains(edge)).collect();
        edges_us.sort_unstable();
        edges_us.dedup();
        Self { least_us, greatest_us, edges_us, timeout_us }
    }

    /// The statistics that count what lies in each bucket but the last, in their order.
    #[must_use]
    pub fn statistics(&self) -> Vec<String> {
        let lower = [None].into_iter().chain(self.edges_us.iter().map(Some));
        let named = lower.zip(&self.edges_us).map(|(lower, upper)| {
            let lower = lower.map(|us| ms(*us)).unwrap_or_default();
            // The lower end is outside, the upper one inside.
            format!("TC({lower}:{})", ms(*upper))
        });
        named.collect()
    }

    /// The histogram of these counts, of `total` values: the last bucket holds the rest. What lies in a
    /// bucket is told as its geometric middle, and failures as the greatest value.
    #[must_use]
    pub fn histogram(&self, counts: &[u64], total: u64) -> Histogram {
        let mut histogram = Histogram::new();
        let mut lower_us = self.least_us;
        let mut rest = total;
        for (upper_us, count) in self.edges_us.iter().zip(counts) {
            histogram.record_n(self.middle_us(lower_us, *upper_us), *count);
            rest = rest.saturating_sub(*count);
            lower_us = *upper_us;
        }
        histogram.record_n(self.middle_us(lower_us, self.greatest_us), rest);
        histogram
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it lies between two whole numbers"
    )]
    fn middle_us(&self, lower_us: u64, upper_us: u64) -> u64 {
        if lower_us >= self.timeout_us {
            return self.greatest_us;
        }
        (lower_us as f64 * upper_us as f64).sqrt().round() as u64
    }
}

/// Whole microseconds with the same ratio, the lowest of them rounded together.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "1 to 100,000,000 by the two bounds"
)]
fn grid() -> impl Iterator<Item = u64> {
    let edge = |n: i32| 10_f64.powf(f64::from(n) / f64::from(EDGES_A_DECADE)).round() as u64;
    (0..=DECADES * EDGES_A_DECADE).map(edge)
}

/// Microseconds as CloudWatch has them: milliseconds, with all their digits.
fn ms(us: u64) -> String {
    (us as f64 / 1_000.0).to_string()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::histogram::next_above_us;

    const TIMEOUT_US: u64 = 10_000_000;

    /// What CloudWatch counts by such a statistic: the lower end outside, the upper one inside.
    fn counted(statistic: &str, values_us: &[u64]) -> u64 {
        let inner = statistic.strip_prefix("TC(").unwrap().strip_suffix(')').unwrap();
        let (low, high) = inner.split_once(':').unwrap();
        let low: f64 = if low.is_empty() { f64::NEG_INFINITY } else { low.parse().unwrap() };
        let high: f64 = high.parse().unwrap();
        let inside = values_us.iter().map(|us| *us as f64 / 1_000.0);
        inside.filter(|ms| *ms > low && *ms <= high).count() as u64
    }

    fn read_back(values_us: &[u64], exact_us: &[u64]) -> Histogram {
        let ends = (*values_us.iter().min().unwrap(), *values_us.iter().max().unwrap());
        let buckets = Buckets::new(ends, exact_us, TIMEOUT_US);
        let statistics = buckets.statistics();
        let counts: Vec<u64> = statistics.iter().map(|one| counted(one, values_us)).collect();
        buckets.histogram(&counts, values_us.len() as u64)
    }

    #[test]
    fn few_questions_for_a_narrow_range() {
        let asked =
            |least, greatest| Buckets::new((least, greatest), &[], TIMEOUT_US).statistics().len();
        assert_eq!(asked(35_000, 35_000), 0, "all values are the same, and known");
        assert_eq!(asked(20_000, 200_000), 32);
        assert_eq!(asked(1, 60_000_000), 225, "at most");
        assert!((error_bound() - 0.0366).abs() < 1e-4);
    }

    #[test]
    fn statistics_have_exact_ends() {
        let statistics = Buckets::new((99_000, 106_000), &[100_000], TIMEOUT_US).statistics();
        assert_eq!(statistics, ["TC(:100)"]);
        let statistics = Buckets::new((40_000, 47_000), &[42_500], TIMEOUT_US).statistics();
        assert_eq!(statistics, ["TC(:42.17)", "TC(42.17:42.5)", "TC(42.5:45.316)"]);
    }

    proptest! {
        #[test]
        fn quantiles_are_within_the_bound_and_limits_are_exact(
            logs in prop::collection::vec(500.0_f64.ln()..9.9e6_f64.ln(), 1..400),
            failures in 0_usize..20,
            limit_us in 1_000_u64..9_000_000,
            permille in 1_u32..=1000,
        ) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive and below 10 s")]
            let mut values: Vec<u64> = logs.iter().map(|log| log.exp() as u64).collect();
            values.extend(std::iter::repeat_n(next_above_us(TIMEOUT_US), failures));
            let made = read_back(&values, &[limit_us]);
            prop_assert_eq!(made.len(), values.len() as u64);
            values.sort_unstable();
            let rank = (permille as usize * values.len()).div_ceil(1000).max(1);
            let truth = values[rank - 1] as f64;
            let told = made.quantile_us(f64::from(permille) / 1000.0).unwrap() as f64;
            // And half of what a histogram of three digits adds.
            prop_assert!((told / truth - 1.0).abs() <= error_bound() + 0.002, "{} for {}", told, truth);
            prop_assert_eq!(told > 10_000_000.0, rank > values.len() - failures);
            let below = made.buckets().filter(|(low, _, _)| *low <= limit_us);
            let below: u64 = below.map(|(_, _, n)| n).sum();
            // One whose bucket of three digits holds the limit may be on either side of it.
            let margin = limit_us / 1_000 + 1;
            let least = values.iter().filter(|us| **us + margin <= limit_us).count() as u64;
            let most = values.iter().filter(|us| **us <= limit_us + margin).count() as u64;
            prop_assert!((least..=most).contains(&below), "{} of {} to {}", below, least, most);
        }
    }
}
