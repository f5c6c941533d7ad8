//! Histogram logs: the reference project's own log, our way there and back, and any text.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use std::time::Duration;

use probe::histogram::Histogram;
use probe::hlog::{Interval, merged, read, write};
use probe::sample::{Connection, Series};
use probe::store::WindowRow;
use proptest::prelude::*;

const REFERENCE: &str = include_str!("hdr/jHiccup-2.0.7S.logV2.hlog");

/// Merged into a histogram of three digits, as the reference project's tests do.
fn totals(intervals: &[&Interval]) -> (usize, u64, u64, u64) {
    let mut all = hdrhistogram::Histogram::<u64>::new(3).unwrap();
    for interval in intervals {
        all.add(&interval.histogram).unwrap();
    }
    (intervals.len(), all.len(), all.value_at_quantile(0.999), all.max())
}

#[test]
fn the_reference_log_has_the_reference_totals() {
    let intervals = read(REFERENCE).unwrap();
    let between = |from: u64, to: u64| -> Vec<&Interval> {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        intervals.iter().filter(|one| one.start >= from && one.start < to).collect()
    };
    assert_eq!(totals(&between(0, 1_000)), (62, 48_761, 1_745_879_039, 1_796_210_687));
    assert_eq!(totals(&between(5, 20)), (15, 11_664, 1_536_163_839, 1_544_552_447));
    assert_eq!(totals(&between(40, 60)), (20, 15_830, 1_779_433_471, 1_796_210_687));
}

fn window(path: &str, start_ms: i64, values: &[u64]) -> WindowRow {
    let mut response = Histogram::new();
    for value in values {
        response.record(*value);
    }
    let series = Series {
        vantage: "eu-west-1".to_owned(),
        target: "api".to_owned(),
        connection: Connection::Cold,
        path: path.to_owned(),
    };
    WindowRow { series, start_ms, len_ms: 60_000, response }
}

#[test]
fn tags_hold_nothing_that_would_part_a_line() {
    let text = write(&[window("FRA2-C2 hit,\n\"x", 120_000, &[7])]).unwrap();
    let intervals = read(&text).unwrap();
    assert_eq!(intervals[0].tag.as_deref(), Some("eu-west-1/api/cold/FRA2-C2_hit__\"x"));
    assert!(text.contains("#[StartTime: 120.000 (seconds since epoch)]"));
    assert_eq!(read("").unwrap().len(), 0);
    assert_eq!(read(&write(&[]).unwrap()).unwrap().len(), 0);
}

#[test]
fn broken_logs_are_refused() {
    for text in ["0.1,1.0,2.0,!!!\n", "0.1,1.0,2.0,AAAA\n", "Tag=a,0.1,1.0,2.0,HISTFAAA\n"] {
        assert!(read(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn a_log_comes_back(windows in prop::collection::vec(
        (0_i64..100_000, prop::collection::vec(1_u64..60_000_000, 1..30)), 1..6)) {
        let rows: Vec<WindowRow> =
            windows.iter().map(|(start, values)| window("", start * 1_000, values)).collect();
        let intervals = read(&write(&rows).unwrap()).unwrap();
        prop_assert_eq!(intervals.len(), rows.len());
        let mut all = Histogram::new();
        for row in &rows {
            all.merge(&row.response);
        }
        prop_assert_eq!(merged(&intervals), all);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,120}", cut in 0_usize..7_000) {
        let _ = read(&text);
        let _ = read(&format!("Tag=a,0.1,1.0,2.0,{text}\n"));
        let mut broken: String = REFERENCE.chars().take(cut).collect();
        broken.push_str(&text);
        let _ = read(&broken);
    }
}
