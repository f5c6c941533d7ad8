//! How histograms and counts lie in columns: V2 bytes, and a text of kinds. No SQL here.

use std::collections::BTreeMap;

use crate::histogram::{Histogram, HistogramError};
use crate::sample::outcome_kind;
use crate::window::PhaseHistograms;

/// A column does not hold what this code writes.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// A histogram.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// The phases of a row end early.
    #[error("the phase histograms end after {bytes} bytes")]
    Short {
        /// How many bytes there were.
        bytes: usize,
    },
    /// The counts of failures.
    #[error("the failure counts {text:?} are not KIND=COUNT")]
    Kinds {
        /// The column's text.
        text: String,
    },
}

/// Six histograms, each after its length in four bytes, little end first; an empty one is length 0.
pub(super) fn encode_phases(phases: &PhaseHistograms) -> Result<Vec<u8>, BlobError> {
    let mut bytes = Vec::new();
    for histogram in phases.all() {
        let body = if histogram.is_empty() { Vec::new() } else { histogram.encode()? };
        let len = u32::try_from(body.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&body);
    }
    Ok(bytes)
}

pub(super) fn decode_phases(bytes: &[u8]) -> Result<PhaseHistograms, BlobError> {
    let mut phases = PhaseHistograms::default();
    for (histogram, body) in phases.all_mut().into_iter().zip(split_phases(bytes)?) {
        if !body.is_empty() {
            *histogram = Histogram::decode(body)?;
        }
    }
    Ok(phases)
}

/// The bytes of each histogram, in the order of [`PhaseHistograms`].
pub(super) fn split_phases(bytes: &[u8]) -> Result<[&[u8]; 6], BlobError> {
    let short = || BlobError::Short { bytes: bytes.len() };
    let mut bodies: [&[u8]; 6] = [&[]; 6];
    let mut rest = bytes;
    for body in &mut bodies {
        let (len, tail) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let len = usize::try_from(u32::from_le_bytes(*len)).unwrap_or(usize::MAX);
        (*body, rest) = tail.split_at_checked(len).ok_or_else(short)?;
    }
    Ok(bodies)
}

pub(super) fn encode_kinds(kinds: &BTreeMap<&'static str, u64>) -> String {
    let pairs: Vec<String> = kinds.iter().map(|(kind, count)| format!("{kind}={count}")).collect();
    pairs.join(",")
}

pub(super) fn decode_kinds(text: &str) -> Result<BTreeMap<&'static str, u64>, BlobError> {
    let bad = || BlobError::Kinds { text: text.to_owned() };
    text.split(',')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (kind, count) = pair.split_once('=').ok_or_else(bad)?;
            let kind = outcome_kind(kind).ok_or_else(bad)?;
            Ok((kind, count.parse().map_err(|_| bad())?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn phases_come_back() {
        let mut phases = PhaseHistograms::default();
        phases.tls.record(1_234);
        phases.local.record(7);
        assert_eq!(decode_phases(&encode_phases(&phases).unwrap()).unwrap(), phases);
        assert!(matches!(decode_phases(&[9, 0, 0, 0, 1]), Err(BlobError::Short { bytes: 5 })));
    }

    #[test]
    fn kinds_come_back() {
        let kinds = BTreeMap::from([("reset", 3), ("tls_timeout", 1)]);
        assert_eq!(decode_kinds(&encode_kinds(&kinds)).unwrap(), kinds);
        assert!(decode_kinds("").unwrap().is_empty());
        assert!(decode_kinds("nonsense=1").is_err());
        assert!(decode_kinds("reset=x").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_decode_or_fail(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode_phases(&bytes);
        }
    }
}
