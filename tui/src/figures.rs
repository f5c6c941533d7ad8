//! Figures of many spans, from the quantiles that each span keeps. Pure arithmetic.
//!
//! Percentiles are not averaged: each span stands for its samples by seven points of its
//! distribution, the points are merged, then asked. That is exact where spans have one sample, or
//! agree; between a span's points it errs to the slower side.

use probe::store::{Quantiles, SpanRow};

/// Of 100 samples of a span, how many stand at each kept quantile: those since the one below.
const WEIGHTS: [u64; 7] = [10, 15, 25, 25, 15, 5, 5];
/// The kept quantiles, in percent.
const RANKS: [u64; 7] = [10, 25, 50, 75, 90, 95, 99];

/// A span of one series, as small as it can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Wall time of its start, in ms since 1970.
    pub start_ms: i64,
    /// Samples that were sent.
    pub attempts: u32,
    /// Those that failed.
    pub failures: u32,
    /// p10, p25, p50, p75, p90, p95, p99 of the response, in microseconds; 0 without a sample.
    pub points_us: [u32; 7],
}

impl Span {
    /// From its counts and quantiles.
    #[must_use]
    pub fn new(start_ms: i64, attempts: u64, failures: u64, quantiles: Option<Quantiles>) -> Self {
        let small = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        let points_us = quantiles.map_or([0; 7], |q| {
            [q.p10_us, q.p25_us, q.p50_us, q.p75_us, q.p90_us, q.p95_us, q.p99_us].map(small)
        });
        Self { start_ms, attempts: small(attempts), failures: small(failures), points_us }
    }

    /// A span of which only the median is known, and perhaps of how many samples.
    pub(crate) fn of_median(start_ms: i64, samples: Option<u64>, us: u64) -> Self {
        let q = Quantiles {
            p10_us: us,
            p25_us: us,
            p50_us: us,
            p75_us: us,
            p90_us: us,
            p95_us: us,
            p99_us: us,
        };
        Self::new(start_ms, samples.unwrap_or(1).max(1), 0, Some(q))
    }

    /// The median, in microseconds.
    #[must_use]
    pub fn p50_us(&self) -> u32 {
        self.points_us[2]
    }
}

impl From<&SpanRow> for Span {
    fn from(row: &SpanRow) -> Self {
        Self::new(row.start_ms, row.attempts, row.failures, row.quantiles)
    }
}

/// What spans come to together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// Of the response; failures weigh in as slower than the timeout.
    pub quantiles: Option<Quantiles>,
    /// The start of the newest span with a sample, in ms since 1970.
    pub newest_ms: Option<i64>,
}

impl Figures {
    /// The share of samples that failed.
    #[must_use]
    pub fn loss(&self) -> Option<f64> {
        (self.attempts > 0).then(|| self.failures as f64 / self.attempts as f64)
    }
}

/// Merges spans; it keeps its memory from one call to the next.
#[derive(Debug, Default)]
pub struct Merger {
    /// Microseconds in the upper half, weight in the lower: sorted as one number.
    points: Vec<u64>,
}

impl Merger {
    /// The figures of these spans.
    pub fn merge<'a>(&mut self, spans: impl IntoIterator<Item = &'a Span>) -> Figures {
        self.points.clear();
        let mut figures = Figures::default();
        for span in spans.into_iter().filter(|span| span.attempts > 0) {
            figures.attempts += u64::from(span.attempts);
            figures.failures += u64::from(span.failures);
            figures.newest_ms = figures.newest_ms.max(Some(span.start_ms));
            self.add(span);
        }
        figures.quantiles = self.ask();
        figures
    }

    fn add(&mut self, span: &Span) {
        let attempts = u64::from(span.attempts);
        let point = |us: u32, weight: u64| {
            u64::from(us) << 32 | (attempts * weight).min(u64::from(u32::MAX))
        };
        if span.points_us[0] == span.points_us[6] {
            self.points.push(point(span.points_us[0], 100));
        } else {
            let all = span.points_us.iter().zip(WEIGHTS);
            self.points.extend(all.map(|(us, weight)| point(*us, weight)));
        }
    }

    fn ask(&mut self) -> Option<Quantiles> {
        self.points.sort_unstable();
        let weight = |point: &u64| point & u64::from(u32::MAX);
        let total: u64 = self.points.iter().map(weight).sum();
        let mut asked = [0; 7];
        let (mut seen, mut next) = (0, 0);
        for point in &self.points {
            seen += weight(point);
            while next < RANKS.len() && seen * 100 >= RANKS[next] * total {
                asked[next] = point >> 32;
                next += 1;
            }
        }
        let [p10_us, p25_us, p50_us, p75_us, p90_us, p95_us, p99_us] = asked;
        let quantiles = Quantiles { p10_us, p25_us, p50_us, p75_us, p90_us, p95_us, p99_us };
        (!self.points.is_empty()).then_some(quantiles)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe::histogram::Histogram;
    use proptest::prelude::*;

    fn span_of(values: &[u64]) -> (Span, Histogram) {
        let mut histogram = Histogram::new();
        for us in values {
            histogram.record(*us);
        }
        (Span::new(0, values.len() as u64, 0, Quantiles::of(&histogram)), histogram)
    }

    #[test]
    fn nothing_has_no_quantile() {
        assert_eq!(Merger::default().merge([]), Figures::default());
        let empty = Span::new(5, 0, 0, None);
        assert_eq!(Merger::default().merge([&empty]).newest_ms, None);
    }

    proptest! {
        #[test]
        fn spans_of_one_sample_are_exact(values in prop::collection::vec(1_u64..1_000_000, 1..80)) {
            let (_, all) = span_of(&values);
            let spans: Vec<Span> = values.iter().map(|us| span_of(&[*us]).0).collect();
            prop_assert_eq!(Merger::default().merge(&spans).quantiles, Quantiles::of(&all));
        }

        #[test]
        fn spans_that_agree_are_exact(values in prop::collection::vec(1_u64..1_000_000, 1..80), n in 1_usize..9) {
            let (span, histogram) = span_of(&values);
            let merged = Merger::default().merge(&vec![span; n]);
            prop_assert_eq!(merged.quantiles, Quantiles::of(&histogram));
            prop_assert_eq!(merged.attempts, (values.len() * n) as u64);
        }

        #[test]
        fn it_never_errs_to_the_faster_side(
            spans in prop::collection::vec(prop::collection::vec(1_u64..1_000_000, 1..40), 1..20),
        ) {
            let mut truth = Histogram::new();
            let mut columns = Vec::new();
            for values in &spans {
                let (span, histogram) = span_of(values);
                truth.merge(&histogram);
                columns.push(span);
            }
            let told = Merger::default().merge(&columns).quantiles.unwrap();
            let truth = Quantiles::of(&truth).unwrap();
            // Spans of fewer than 100 samples: above p99 a span keeps nothing.
            for q in [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] {
                prop_assert!(told.get(q) >= truth.get(q), "{} {:?} {:?}", q, told, truth);
            }
        }
    }
}
