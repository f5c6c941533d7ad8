//! The spans of one range, kept from one reading of the store to the next. No IO.

use std::collections::{BTreeMap, VecDeque};

use probe::sample::Series;
use probe::store::{Grid, SpanRow};

use crate::figures::Span;

/// What was read of a store: its series, and their spans in one range.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) grid: Grid,
    pub(super) names: BTreeMap<i64, Series>,
    pub(super) history: History,
    /// The end of the newest window.
    pub(super) newest_ms: Option<i64>,
}

/// Spans by the store's number of their series, oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    tracks: BTreeMap<i64, VecDeque<Span>>,
    newest_ms: Option<i64>,
}

impl History {
    /// The start of the newest span.
    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// Takes a span in; one that begins with it is replaced, because windows grow.
    pub(super) fn put(&mut self, row: &SpanRow) {
        let track = self.tracks.entry(row.series).or_default();
        let span = Span::from(row);
        let at = track.partition_point(|there| there.start_ms < span.start_ms);
        match track.get_mut(at) {
            Some(there) if there.start_ms == span.start_ms => *there = span,
            _ => track.insert(at, span),
        }
        self.newest_ms = self.newest_ms.max(Some(span.start_ms));
    }

    /// Lets go of what begins before `since_ms`.
    pub(super) fn forget_before(&mut self, since_ms: i64) {
        for track in self.tracks.values_mut() {
            while track.front().is_some_and(|span| span.start_ms < since_ms) {
                track.pop_front();
            }
        }
        self.tracks.retain(|_, track| !track.is_empty());
    }

    /// The spans of one series.
    pub(super) fn spans(&self, series: i64) -> impl Iterator<Item = &Span> {
        self.tracks.get(&series).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_grow_and_expire() {
        let row = |start_ms, attempts| SpanRow {
            series: 7,
            start_ms,
            len_ms: 10,
            attempts,
            failures: 0,
            missed: 0,
            quantiles: None,
        };
        let mut history = History::default();
        for (start_ms, attempts) in [(20, 1), (10, 1), (20, 5), (30, 2)] {
            history.put(&row(start_ms, attempts));
        }
        let seen = |history: &History| -> Vec<(i64, u32)> {
            history.spans(7).map(|span| (span.start_ms, span.attempts)).collect()
        };
        assert_eq!(seen(&history), [(10, 1), (20, 5), (30, 2)]);
        history.forget_before(20);
        assert_eq!(seen(&history), [(20, 5), (30, 2)]);
        assert_eq!((history.newest_ms(), history.spans(8).count()), (Some(30), 0));
    }
}
