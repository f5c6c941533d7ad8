//! A sparse histogram of microseconds, with the buckets of an HDR histogram of three digits.
//!
//! It is sparse throughout, because a dense one takes 140 kB and there are thousands of series;
//! the dense form is built only to be encoded. Quantiles are never averaged: merge, then ask.

mod encoded;

use std::collections::BTreeMap;

use hdrhistogram::serialization::{Deserializer, Serializer, V2Serializer};

pub use encoded::{Encoded, Tally};

/// The largest value that is told apart, in microseconds: 60 s.
pub const MAX_US: u64 = 60_000_000;

/// Values below this one have a bucket each; from here on a bucket spans 1/1024 of its value or
/// less, which is three significant digits.
const EXACT_BELOW: u64 = 2_048;

/// Counts of microseconds. Values are kept to three significant digits, from 1 us to 60 s; what
/// is smaller or larger is counted at the bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Lowest value of a bucket, and how many values fell into it.
    counts: BTreeMap<u32, u64>,
    total: u64,
}

/// A histogram could not be encoded or decoded.
#[derive(Debug, thiserror::Error)]
pub enum HistogramError {
    /// The library refused to build the dense form.
    #[error("could not build a histogram of 1 us to 60 s with 3 digits: {0}")]
    Create(#[from] hdrhistogram::CreationError),
    /// The dense form could not be written.
    #[error("could not encode a histogram: {0}")]
    Encode(#[from] hdrhistogram::serialization::V2SerializeError),
    /// The bytes are not a V2 histogram.
    #[error("could not decode {bytes} bytes as a V2 histogram: {cause}")]
    Decode {
        /// How many bytes there were.
        bytes: usize,
        /// What the library said.
        cause: hdrhistogram::serialization::DeserializeError,
    },
}

/// The width of the bucket that holds `value_us`.
fn width(value_us: u64) -> u64 {
    if value_us < EXACT_BELOW { 1 } else { 1 << (value_us.ilog2() - 10) }
}

/// The lowest value of the bucket that holds `value_us`.
fn lowest(value_us: u64) -> u64 {
    let value_us = value_us.clamp(1, MAX_US);
    value_us - value_us % width(value_us)
}

/// The highest value of the bucket that starts at `low_us`.
fn highest(low_us: u64) -> u64 {
    low_us + width(low_us) - 1
}

/// The least value that every quantile tells apart from `value_us`, above it.
#[must_use]
pub fn next_above_us(value_us: u64) -> u64 {
    let low = lowest(value_us);
    low + width(low)
}

impl Histogram {
    /// An empty histogram.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one value, in microseconds.
    pub fn record(&mut self, value_us: u64) {
        self.record_n(value_us, 1);
    }

    /// Counts one value `count` times.
    pub fn record_n(&mut self, value_us: u64, count: u64) {
        if count == 0 {
            return;
        }
        let low = u32::try_from(lowest(value_us)).unwrap_or(u32::MAX);
        let slot = self.counts.entry(low).or_insert(0);
        *slot = slot.saturating_add(count);
        self.total = self.total.saturating_add(count);
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (low, count) in &other.counts {
            self.record_n(u64::from(*low), *count);
        }
    }

    /// How many values were counted.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.total
    }

    /// Whether nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    /// The quantile by the inverted distribution function: the smallest counted value whose
    /// cumulated share is at least `quantile` (clamped to 0..=1), as the highest value of its
    /// bucket, in microseconds. `None` when nothing was counted.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank lies in 1..=total, which is far below 2^52"
    )]
    pub fn quantile_us(&self, quantile: f64) -> Option<u64> {
        let share = if quantile.is_nan() { 1.0 } else { quantile.clamp(0.0, 1.0) };
        // 0.95 x 20 is 19.000000000000004 in floating point: a hair of tolerance keeps it at 19.
        let rank = ((share * self.total as f64) - 1e-9).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (low, count) in &self.counts {
            seen += count;
            if seen >= rank {
                return Some(highest(u64::from(*low)));
            }
        }
        self.counts.last_key_value().map(|(low, _)| highest(u64::from(*low)))
    }

    /// The mean of the bucket middles, in microseconds. `None` when nothing was counted.
    #[must_use]
    pub fn mean_us(&self) -> Option<f64> {
        if self.total == 0 {
            return None;
        }
        let sum: f64 =
            self.buckets().map(|(low, high, n)| (low + high) as f64 / 2.0 * n as f64).sum();
        Some(sum / self.total as f64)
    }

    /// Lowest value, highest value and count of each bucket that holds something, ascending.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> + '_ {
        self.counts.iter().map(|(low, n)| (u64::from(*low), highest(u64::from(*low)), *n))
    }

    /// The dense form, just large enough for what was counted.
    pub(crate) fn to_dense(&self) -> Result<hdrhistogram::Histogram<u64>, HistogramError> {
        let max = self.counts.last_key_value().map_or(2, |(low, _)| u64::from(*low).max(2));
        let mut dense = hdrhistogram::Histogram::<u64>::new_with_bounds(1, max, 3)?;
        for (low, count) in &self.counts {
            dense.saturating_record_n(u64::from(*low), *count);
        }
        Ok(dense)
    }

    /// The V2 bytes that every HDR histogram tool reads.
    pub fn encode(&self) -> Result<Vec<u8>, HistogramError> {
        let dense = self.to_dense()?;
        let mut bytes = Vec::new();
        V2Serializer::new().serialize(&dense, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads V2 bytes; values are counted to three digits, whatever the source had.
    pub fn decode(bytes: &[u8]) -> Result<Self, HistogramError> {
        if bytes.is_empty() {
            return Self::decode_by_library(bytes);
        }
        let mut sparse = Self::new();
        Encoded(bytes).each(|low, _, n| sparse.record_n(low, n))?;
        Ok(sparse)
    }

    fn decode_by_library(bytes: &[u8]) -> Result<Self, HistogramError> {
        let dense: hdrhistogram::Histogram<u64> = Deserializer::new()
            .deserialize(&mut &bytes[..])
            .map_err(|cause| HistogramError::Decode { bytes: bytes.len(), cause })?;
        let mut sparse = Self::new();
        for step in dense.iter_recorded() {
            sparse.record_n(step.value_iterated_to(), step.count_since_last_iteration());
        }
        Ok(sparse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_failure_is_slower_than_the_timeout() {
        for timeout_us in [1, 999, 2_047, 2_048, 30_000_000, 59_000_000] {
            let mut histogram = Histogram::new();
            histogram.record(timeout_us);
            histogram.record(next_above_us(timeout_us));
            assert!(histogram.quantile_us(0.5).unwrap() < histogram.quantile_us(1.0).unwrap());
            assert!(next_above_us(timeout_us) > timeout_us);
        }
    }

    #[test]
    fn an_empty_histogram_has_no_quantile() {
        assert_eq!(Histogram::new().quantile_us(0.5), None);
        assert_eq!(Histogram::decode(&Histogram::new().encode().unwrap()).unwrap().len(), 0);
    }

    #[test]
    fn broken_bytes_are_an_error() {
        assert!(Histogram::decode(b"not a histogram").is_err());
        assert!(Histogram::decode(&[]).is_err());
    }

    proptest! {
        #[test]
        fn buckets_are_those_of_hdr(value in 1_u64..MAX_US) {
            let dense = hdrhistogram::Histogram::<u64>::new_with_bounds(1, MAX_US, 3).unwrap();
            prop_assert_eq!(lowest(value), dense.lowest_equivalent(value));
            prop_assert_eq!(highest(lowest(value)), dense.highest_equivalent(value));
        }

        #[test]
        fn bytes_come_back(values in prop::collection::vec(1_u64..MAX_US, 0..200)) {
            let mut histogram = Histogram::new();
            for value in &values {
                histogram.record(*value);
            }
            let back = Histogram::decode(&histogram.encode().unwrap()).unwrap();
            prop_assert_eq!(back, histogram);
        }

        #[test]
        fn quantiles_are_order_statistics(
            mut values in prop::collection::vec(1_u64..MAX_US, 1..200),
            permille in 0_usize..=1000,
        ) {
            let mut histogram = Histogram::new();
            for value in &values {
                histogram.record(*value);
            }
            values.sort_unstable();
            let rank = (permille * values.len()).div_ceil(1000).max(1);
            let truth = values[rank - 1];
            let told = histogram.quantile_us(permille as f64 / 1000.0).unwrap();
            prop_assert!(told >= truth && told - truth <= truth / 1000 + 1);
        }

        #[test]
        fn merging_is_recording(left in prop::collection::vec(1_u64..MAX_US, 0..50),
                                right in prop::collection::vec(1_u64..MAX_US, 0..50)) {
            let of = |values: &[u64]| {
                let mut histogram = Histogram::new();
                for value in values {
                    histogram.record(*value);
                }
                histogram
            };
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(merged, of(&[left, right].concat()));
        }

        #[test]
        fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Histogram::decode(&bytes);
        }
    }
}
