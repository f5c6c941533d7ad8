//! Reading for screens: columns of many spans, and histograms of a few series only. Nothing is
//! changed here, and nobody is kept waiting: a store that is busy is asked again later.

use std::collections::BTreeMap;
use std::path::Path;

use super::read::{SERIES_COLUMNS, row_of, series_of_row};
use super::span::{BODY_COLUMNS, Body, body_of_row, unsigned};
use super::{Grid, MergedRow, Quantiles, RowError, Store, StoreError, schema};
use crate::sample::Series;

/// Most rows of one series that a merge reads: more than any screen asks for.
const MERGED_MAX: i64 = 1_024;

/// Which rows stand for a length of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanTable {
    /// Windows, kept for a day.
    Windows,
    /// Blocks, kept for 35 days. They hold no histograms.
    Blocks,
    /// Hours, kept for 35 days.
    Hours,
    /// Days, kept for 400 days.
    Days,
}

impl SpanTable {
    fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Blocks => "blocks",
            Self::Hours => "hours",
            Self::Days => "days",
        }
    }
}

/// The columns of one span of one series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanRow {
    /// Whose: a number of [`Store::series`].
    pub series: i64,
    /// Wall time of its start, in ms since 1970.
    pub start_ms: i64,
    /// Its length, in ms.
    pub len_ms: i64,
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Quantiles of the response; absent without a sample.
    pub quantiles: Option<Quantiles>,
}

/// A window in which something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedWindow {
    /// Whose.
    pub series: Series,
    /// Wall time of its start, in ms since 1970.
    pub start_ms: i64,
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed, as `KIND=COUNT,...`.
    pub by_kind: String,
}

impl Store {
    /// Opens a store that is there, to read only. It neither waits for a writer nor changes a byte.
    pub fn open_read_only(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let connection = schema::open_read_only(path)?;
        let mut store = Self { path: path.to_owned(), connection, grid: Grid::default() };
        store.grid =
            Grid { window_ms: store.meta("window_ms")?, block_ms: store.meta("block_ms")? };
        Ok(store)
    }

    /// A number that changes when another connection has written.
    pub fn data_version(&self) -> Result<i64, StoreError> {
        self.connection
            .pragma_query_value(None, "data_version", |row| row.get(0))
            .map_err(|cause| self.fault(cause))
    }

    /// All series, by the number that spans name them with.
    pub fn series(&self) -> Result<BTreeMap<i64, Series>, StoreError> {
        let read = || -> Result<BTreeMap<i64, Series>, RowError> {
            let sql = format!("SELECT {SERIES_COLUMNS}, id FROM series");
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([])?;
            let mut series = BTreeMap::new();
            while let Some(row) = rows.next()? {
                series.insert(row.get(4)?, series_of_row(row)?);
            }
            Ok(series)
        };
        read().map_err(|cause| self.row_fault(cause))
    }

    /// Hands over the spans that begin in `since_ms..until_ms`, by time.
    pub fn spans(
        &self,
        table: SpanTable,
        (since_ms, until_ms): (i64, i64),
        mut each: impl FnMut(SpanRow),
    ) -> Result<(), StoreError> {
        let mut read = || -> rusqlite::Result<()> {
            let sql = format!(
                "SELECT series, start_ms, len_ms, attempts, failures, missed, p10_us, p25_us, \
                 p50_us, p75_us, p90_us, p95_us, p99_us \
                 FROM {} WHERE start_ms >= ?1 AND start_ms < ?2 ORDER BY start_ms",
                table.name()
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([since_ms, until_ms])?;
            while let Some(row) = rows.next()? {
                each(span_of_row(row)?);
            }
            Ok(())
        };
        read().map_err(|cause| self.fault(cause))
    }

    /// Everything of these series that begins in `since_ms..until_ms`, merged from the histograms
    /// of one table; the newest 1,024 rows of each series at most. Blocks have no histograms: hours
    /// stand for them.
    pub fn merged_of(
        &self,
        series: &BTreeMap<i64, Series>,
        table: SpanTable,
        (since_ms, until_ms): (i64, i64),
    ) -> Result<Vec<MergedRow>, StoreError> {
        let name = if table == SpanTable::Blocks { "hours" } else { table.name() };
        let read = |id: i64| -> Result<Option<(Body, i64)>, RowError> {
            let sql = format!(
                "SELECT start_ms + len_ms, {BODY_COLUMNS} FROM {name} \
                 WHERE start_ms >= ?1 AND start_ms < ?2 AND series = ?3 \
                 ORDER BY start_ms DESC LIMIT ?4"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([since_ms, until_ms, id, MERGED_MAX])?;
            let mut merged: Option<(Body, i64)> = None;
            while let Some(row) = rows.next()? {
                let (body, last_ms) = merged.get_or_insert_with(|| (Body::default(), i64::MIN));
                body.merge(&body_of_row(row, 1)?);
                *last_ms = (*last_ms).max(row.get(0)?);
            }
            Ok(merged)
        };
        let mut merged = Vec::with_capacity(series.len());
        for (id, series) in series {
            let found = read(*id).map_err(|cause| self.row_fault(cause))?;
            merged.extend(found.map(|(body, last_ms)| row_of(series.clone(), body, last_ms)));
        }
        Ok(merged)
    }

    /// The newest windows that begin at `since_ms` or later and hold a failure, oldest first, at
    /// most `most` of them.
    pub fn failed_windows(
        &self,
        since_ms: i64,
        most: u32,
    ) -> Result<Vec<FailedWindow>, StoreError> {
        let read = || -> Result<Vec<FailedWindow>, RowError> {
            let sql = format!(
                "SELECT {SERIES_COLUMNS}, start_ms, attempts, by_kind \
                 FROM windows JOIN series ON series.id = windows.series \
                 WHERE start_ms >= ?1 AND failures > 0 ORDER BY start_ms DESC LIMIT ?2"
            );
            let mut statement = self.connection.prepare_cached(&sql)?;
            let mut rows = statement.query([since_ms, i64::from(most)])?;
            let mut failed = Vec::new();
            while let Some(row) = rows.next()? {
                failed.push(FailedWindow {
                    series: series_of_row(row)?,
                    start_ms: row.get(4)?,
                    attempts: unsigned(row.get(5)?),
                    by_kind: row.get(6)?,
                });
            }
            failed.reverse();
            Ok(failed)
        };
        read().map_err(|cause| self.row_fault(cause))
    }
}

fn span_of_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<SpanRow> {
    let count = |index: usize| row.get(index).map(unsigned);
    let median: Option<i64> = row.get(8)?;
    let quantiles = match median {
        None => None,
        Some(_) => Some(Quantiles {
            p10_us: count(6)?,
            p25_us: count(7)?,
            p50_us: count(8)?,
            p75_us: count(9)?,
            p90_us: count(10)?,
            p95_us: count(11)?,
            p99_us: count(12)?,
        }),
    };
    Ok(SpanRow {
        series: row.get(0)?,
        start_ms: row.get(1)?,
        len_ms: row.get(2)?,
        attempts: count(3)?,
        failures: count(4)?,
        missed: count(5)?,
        quantiles,
    })
}
