//! V2 bytes read bucket by bucket, without building the dense form: a month of many series is read
//! this way. Bytes that another program wrote with other bounds go through the library.

use super::{Histogram, HistogramError, MAX_US, highest, lowest};

/// What our own encoding begins with: cookie of V2 with 64-bit words, here without the length.
const COOKIE: u32 = 0x1c84_9313;
/// Bytes before the counts.
const HEAD: usize = 40;
/// Significant digits that are written.
const DIGITS: u32 = 3;
/// Buckets that share a width, from the second row on.
const ROW: u64 = 1_024;

/// An encoded histogram; empty bytes are an empty one.
#[derive(Debug, Clone, Copy)]
pub struct Encoded<'a>(pub(crate) &'a [u8]);

impl Encoded<'_> {
    /// Shows lowest value, highest value and count of each bucket that holds something, ascending.
    pub fn each(&self, mut show: impl FnMut(u64, u64, u64)) -> Result<(), HistogramError> {
        if self.0.is_empty() {
            return Ok(());
        }
        let Some(counts) = counts(self.0) else {
            for (low, high, n) in Histogram::decode_by_library(self.0)?.buckets() {
                show(low, high, n);
            }
            return Ok(());
        };
        for (index, n) in counts {
            let low = lowest(value_at(index));
            show(low, highest(low), n);
        }
        Ok(())
    }
}

/// Indexes and counts; `None` where the bytes are not as we write them, or are broken.
fn counts(bytes: &[u8]) -> Option<Vec<(u64, u64)>> {
    let (head, body) = bytes.split_at_checked(HEAD)?;
    let word = |at: usize| Some(u32::from_be_bytes(*head.get(at..at + 4)?.first_chunk()?));
    let long = |at: usize| Some(u64::from_be_bytes(*head.get(at..at + 8)?.first_chunk()?));
    let ours = word(0)? == COOKIE && word(8)? == 0 && word(12)? == DIGITS && long(16)? == 1;
    let len = usize::try_from(word(4)?).ok()?;
    let (mut rest, mut index) = (body.get(..len)?, 0_u64);
    let mut counts = Vec::new();
    while ours && !rest.is_empty() {
        let (value, tail) = number(rest)?;
        rest = tail;
        if value < 0 {
            index = index.checked_add(value.unsigned_abs())?;
            continue;
        }
        if value > 0 {
            counts.push((index, value.unsigned_abs()));
        }
        index += 1;
        if index > index_of(u64::from(u32::MAX)) {
            return None;
        }
    }
    ours.then_some(counts)
}

/// A number of the encoding: seven bits a byte, the lowest first, eight in the ninth; the sign is in
/// the lowest bit.
fn number(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let mut value = 0_u64;
    for (at, byte) in bytes.iter().take(9).enumerate() {
        let whole = at == 8;
        let bits = if whole { u64::from(*byte) } else { u64::from(byte & 0x7f) };
        value |= bits << (7 * at);
        if whole || byte & 0x80 == 0 {
            let magnitude = i64::try_from(value >> 1).ok()?;
            let value = if value & 1 == 1 { -magnitude - 1 } else { magnitude };
            return Some((value, bytes.get(at + 1..)?));
        }
    }
    None
}

/// The lowest value of a bucket.
fn value_at(index: u64) -> u64 {
    if index < 2 * ROW {
        return index;
    }
    let row = index / ROW - 1;
    (index % ROW + ROW).checked_shl(u32::try_from(row).unwrap_or(u32::MAX)).unwrap_or(MAX_US)
}

/// The bucket that holds a value.
fn index_of(value: u64) -> u64 {
    if value < 2 * ROW {
        return value;
    }
    let row = u64::from(value.ilog2() - 10);
    row * ROW + (value >> row)
}

/// Counts of many histograms added up; quicker than a sparse one where many meet. It takes 140 kB.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    counts: Vec<u64>,
}

impl Tally {
    /// Adds an encoded histogram.
    pub fn add(&mut self, encoded: Encoded<'_>) -> Result<(), HistogramError> {
        encoded.each(|low, _, n| self.count(low, n))
    }

    /// Counts a value, in microseconds, `n` times.
    pub fn count(&mut self, us: u64, n: u64) {
        let index = usize::try_from(index_of(us)).unwrap_or(0);
        if index >= self.counts.len() {
            self.counts.resize(index + 1, 0);
        }
        if let Some(slot) = self.counts.get_mut(index) {
            *slot = slot.saturating_add(n);
        }
    }

    /// What was added up.
    #[must_use]
    pub fn histogram(&self) -> Histogram {
        let mut histogram = Histogram::new();
        for (index, n) in self.counts.iter().enumerate() {
            histogram.record_n(value_at(index as u64), *n);
        }
        histogram
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        for value in values {
            histogram.record(*value);
        }
        histogram
    }

    #[test]
    fn other_bounds_go_through_the_library() {
        let mut coarse = hdrhistogram::Histogram::<u64>::new_with_bounds(10, 1_000_000, 2).unwrap();
        coarse.record(12_345).unwrap();
        let mut bytes = Vec::new();
        hdrhistogram::serialization::Serializer::serialize(
            &mut hdrhistogram::serialization::V2Serializer::new(),
            &coarse,
            &mut bytes,
        )
        .unwrap();
        assert!(counts(&bytes).is_none());
        let decoded = Histogram::decode(&bytes).unwrap();
        assert_eq!(decoded.len(), 1);
        assert!((12_000..12_700).contains(&decoded.quantile_us(0.5).unwrap()));
    }

    proptest! {
        #[test]
        fn it_reads_what_the_library_reads(
            values in prop::collection::vec((1_u64..MAX_US, 1_u64..1_000_000), 0..100),
        ) {
            let mut written = Histogram::new();
            for (value, n) in &values {
                written.record_n(*value, *n);
            }
            let bytes = written.encode().unwrap();
            prop_assert!(counts(&bytes).is_some(), "our own bytes are read here");
            let by_library = Histogram::decode_by_library(&bytes).unwrap();
            let mut read = Histogram::new();
            Encoded(&bytes).each(|low, high, n| {
                assert!(low <= high);
                read.record_n(low, n);
            }).unwrap();
            prop_assert_eq!(&read, &by_library);
            prop_assert_eq!(read, written);
        }

        #[test]
        fn adding_up_is_merging(left in prop::collection::vec(1_u64..MAX_US, 0..50),
                                right in prop::collection::vec(1_u64..MAX_US, 0..50)) {
            let mut tally = Tally::default();
            for values in [&left, &right] {
                let bytes = histogram(values).encode().unwrap();
                tally.add(Encoded(&bytes)).unwrap();
            }
            prop_assert_eq!(tally.histogram(), histogram(&[left, right].concat()));
        }

        #[test]
        fn broken_bytes_are_read_as_the_library_does(
            values in prop::collection::vec(1_u64..MAX_US, 1..20),
            at in any::<prop::sample::Index>(), byte in any::<u8>(), len in any::<prop::sample::Index>(),
        ) {
            let mut bytes = histogram(&values).encode().unwrap();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            bytes.truncate(len.index(bytes.len()) + 1);
            // Neither panics; what is read here and there is the same.
            let (ours, theirs) = (Histogram::decode(&bytes), Histogram::decode_by_library(&bytes));
            if let (Ok(ours), Ok(theirs)) = (ours, theirs) {
                prop_assert_eq!(ours, theirs);
            }
        }
    }
}
