//! Histogram logs: text files of intervals that the tools of the HdrHistogram project read and
//! write. From windows to a log, and from any V2 log to its intervals. Pure: text in, text out.

use std::fmt::Write;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};
use hdrhistogram::serialization::{Deserializer, Serializer, V2DeflateSerializer};

use crate::histogram::{Histogram, HistogramError};
use crate::store::WindowRow;

/// Largest histogram of a log that is decoded, in characters of base64.
const ENCODED_MAX: usize = 8 * 1024 * 1024;

/// A log cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum HlogError {
    /// A histogram could not be made dense.
    #[error(transparent)]
    Histogram(#[from] HistogramError),
    /// A histogram could not be compressed.
    #[error("could not encode a histogram: {0}")]
    Encode(#[from] hdrhistogram::serialization::V2DeflateSerializeError),
    /// The text is not a log from this place on.
    #[error("byte {offset} of {bytes} begins no line of a histogram log")]
    Line {
        /// Where.
        offset: usize,
        /// How much text there was.
        bytes: usize,
    },
    /// An interval does not hold a histogram.
    #[error("interval {index} holds no histogram: {cause}")]
    Interval {
        /// Which, from 0.
        index: usize,
        /// What is wrong.
        cause: String,
    },
}

/// One interval of a log.
#[derive(Debug, Clone)]
pub struct Interval {
    /// Its tag.
    pub tag: Option<String>,
    /// Its start, from the log's start time, or from 1970 where the log says none.
    pub start: Duration,
    /// How long it took.
    pub length: Duration,
    /// Its counts, in the log's own unit and precision.
    pub histogram: hdrhistogram::Histogram<u64>,
}

/// Windows as a log: version 1.3, compressed V2 histograms of the response in microseconds, the
/// largest value of each interval in milliseconds, and each series as a tag,
/// `VANTAGE/TARGET/CONNECTION` or `VANTAGE/TARGET/CONNECTION/PATH`. Windows come in the order of
/// time.
pub fn write(windows: &[WindowRow]) -> Result<String, HlogError> {
    let origin_ms = windows.iter().map(|window| window.start_ms).min().unwrap_or(0);
    let mut out = String::new();
    // Writing to a String cannot fail, so the result of `writeln!` is dropped.
    let _ = writeln!(out, "#[Responses in microseconds, from due to the end]");
    let _ = writeln!(out, "#[Histogram log format version 1.3]");
    let _ = writeln!(out, "#[StartTime: {} (seconds since epoch)]", seconds(origin_ms));
    let _ = writeln!(
        out,
        "\"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\""
    );
    let mut serializer = V2DeflateSerializer::new();
    for window in windows {
        let dense = window.response.to_dense()?;
        let mut bytes = Vec::new();
        serializer.serialize(&dense, &mut bytes)?;
        let _ = writeln!(
            out,
            "Tag={},{},{},{},{}",
            tag(window),
            seconds(window.start_ms - origin_ms),
            seconds(window.len_ms),
            seconds(i64::try_from(dense.max()).unwrap_or(i64::MAX)),
            STANDARD.encode(&bytes)
        );
    }
    Ok(out)
}

/// Thousandths as a decimal number.
fn seconds(ms: i64) -> String {
    format!("{}.{:03}", ms.div_euclid(1_000), ms.rem_euclid(1_000))
}

/// The series as a tag, which may hold no comma and no space.
fn tag(window: &WindowRow) -> String {
    let series = &window.series;
    let mut parts = vec![&series.vantage, &series.target];
    let connection = series.connection.as_str().to_owned();
    parts.push(&connection);
    if !series.path.is_empty() {
        parts.push(&series.path);
    }
    let plain = |c: char| if c.is_ascii_graphic() && c != ',' { c } else { '_' };
    parts.iter().map(|part| part.chars().map(plain).collect()).collect::<Vec<String>>().join("/")
}

/// The intervals of a log, in its order.
pub fn read(text: &str) -> Result<Vec<Interval>, HlogError> {
    let mut intervals = Vec::new();
    for entry in IntervalLogIterator::new(text.as_bytes()) {
        match entry {
            Ok(LogEntry::Interval(found)) => {
                let index = intervals.len();
                let histogram = decode(found.encoded_histogram())
                    .map_err(|cause| HlogError::Interval { index, cause })?;
                intervals.push(Interval {
                    tag: found.tag().map(|tag| tag.as_str().to_owned()),
                    start: found.start_timestamp(),
                    length: found.duration(),
                    histogram,
                });
            }
            Ok(LogEntry::StartTime(_) | LogEntry::BaseTime(_)) => {}
            Err(error) => {
                let hdrhistogram::serialization::interval_log::LogIteratorError::ParseError {
                    offset,
                } = error;
                return Err(HlogError::Line { offset, bytes: text.len() });
            }
        }
    }
    Ok(intervals)
}

fn decode(encoded: &str) -> Result<hdrhistogram::Histogram<u64>, String> {
    if encoded.len() > ENCODED_MAX {
        return Err(format!("{} characters, above {ENCODED_MAX}", encoded.len()));
    }
    let bytes = STANDARD.decode(encoded).map_err(|cause| cause.to_string())?;
    Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|cause| cause.to_string())
}

/// All of these in one histogram of the probe, where they are in microseconds.
#[must_use]
pub fn merged(intervals: &[Interval]) -> Histogram {
    let mut all = Histogram::new();
    for step in intervals.iter().flat_map(|interval| interval.histogram.iter_recorded()) {
        all.record_n(step.value_iterated_to(), step.count_since_last_iteration());
    }
    all
}
