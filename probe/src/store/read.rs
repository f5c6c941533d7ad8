//! Reading: block rows for advice, merged histograms for percentiles. Nothing is changed here.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Row};

use super::blob::{decode_kinds, split_phases};
use super::cover::{Kept, cover};
use super::span::{BODY_COLUMNS, Body, Table, body_of_row, unsigned};
use super::write::meta;
use super::{
    BlobError, BlockRow, FlagRow, MergedRow, Quantiles, RowError, Span, Store, StoreError,
    WindowRow, WindowSet,
};
use crate::histogram::{Encoded, Histogram, HistogramError};
use crate::sample::{Connection as Reuse, Series};
use crate::window::BelowLight;

impl Store {
    /// The closed blocks that lie wholly in `since_ms..until_ms`, by series, then by time.
    pub fn blocks(&self, since_ms: i64, until_ms: i64) -> Result<Vec<BlockRow>, StoreError> {
        blocks(&self.connection, since_ms, until_ms).map_err(|cause| self.row_fault(cause))
    }

    /// Everything that begins in `since_ms..until_ms`, merged, one row for each series, in their
    /// order. Where windows have expired, whole hours stand for them, and whole days for those.
    pub fn merged(&self, since_ms: i64, until_ms: i64) -> Result<Vec<MergedRow>, StoreError> {
        let transaction =
            self.connection.unchecked_transaction().map_err(|cause| self.fault(cause))?;
        merged(&transaction, since_ms, until_ms).map_err(|cause| self.row_fault(cause))
    }

    /// Shows each span of `since_ms..until_ms`: whole days where they are finished, hours and windows
    /// at the ends. What begins inside is shown once, in no order that may be relied on.
    pub fn each_span(
        &self,
        since_ms: i64,
        until_ms: i64,
        mut show: impl FnMut(&Series, &Span<'_>) -> Result<(), HistogramError>,
    ) -> Result<(), StoreError> {
        let transaction =
            self.connection.unchecked_transaction().map_err(|cause| self.fault(cause))?;
        each_span(&transaction, (since_ms, until_ms), &mut show)
            .map_err(|cause| self.row_fault(cause))
    }

    /// The flags of windows that begin in `since_ms..until_ms`, by time.
    pub fn flags(&self, since_ms: i64, until_ms: i64) -> Result<Vec<FlagRow>, StoreError> {
        flags(&self.connection, since_ms, until_ms).map_err(|cause| self.row_fault(cause))
    }

    /// The windows that begin in `since_ms..until_ms` and are still kept, by time, then by series.
    pub fn windows(&self, since_ms: i64, until_ms: i64) -> Result<Vec<WindowRow>, StoreError> {
        windows(&self.connection, since_ms, until_ms).map_err(|cause| self.row_fault(cause))
    }

    /// The end of the newest window that was written, in ms since 1970.
    pub fn newest_ms(&self) -> Result<Option<i64>, StoreError> {
        let newest = meta(&self.connection, "horizon_ms", i64::MIN);
        let newest = newest.map_err(|cause| self.fault(cause))?;
        Ok((newest != i64::MIN).then_some(newest))
    }
}

pub(super) const SERIES_COLUMNS: &str = "vantage, target, connection, path";

pub(super) fn series_of_row(row: &Row<'_>) -> Result<Series, RowError> {
    let name: String = row.get(2)?;
    let connection = Reuse::parse(&name).ok_or(BlobError::Kinds { text: name })?;
    Ok(Series { vantage: row.get(0)?, target: row.get(1)?, connection, path: row.get(3)? })
}

fn blocks(
    connection: &Connection,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<BlockRow>, RowError> {
    let sql = format!(
        "SELECT {SERIES_COLUMNS}, start_ms, len_ms, attempts, failures, missed, p10_us, p25_us, \
         p50_us, p75_us, p90_us, p95_us, p99_us, windows, valid \
         FROM blocks JOIN series ON series.id = blocks.series \
         WHERE start_ms >= ?1 AND start_ms + len_ms <= ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([since_ms, until_ms])?;
    let mut blocks = Vec::new();
    while let Some(row) = rows.next()? {
        blocks.push(block_of_row(row)?);
    }
    blocks.sort_by(|a, b| (&a.series, a.start_ms).cmp(&(&b.series, b.start_ms)));
    Ok(blocks)
}

fn block_of_row(row: &Row<'_>) -> Result<BlockRow, RowError> {
    let count = |index: usize| row.get(index).map(unsigned);
    let valid: Vec<u8> = row.get(17)?;
    Ok(BlockRow {
        series: series_of_row(row)?,
        start_ms: row.get(4)?,
        len_ms: row.get(5)?,
        attempts: count(6)?,
        failures: count(7)?,
        missed: count(8)?,
        quantiles: Quantiles {
            p10_us: count(9)?,
            p25_us: count(10)?,
            p50_us: count(11)?,
            p75_us: count(12)?,
            p90_us: count(13)?,
            p95_us: count(14)?,
            p99_us: count(15)?,
        },
        valid: WindowSet::from_bytes(row.get(16)?, &valid),
    })
}

fn flags(connection: &Connection, since_ms: i64, until_ms: i64) -> Result<Vec<FlagRow>, RowError> {
    let sql = format!(
        "SELECT {SERIES_COLUMNS}, start_ms, len_ms, count, fastest_us, least_us \
         FROM flags JOIN series ON series.id = flags.series \
         WHERE start_ms >= ?1 AND start_ms < ?2 AND kind = 'below_light' ORDER BY flags.id"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([since_ms, until_ms])?;
    let mut flags = Vec::new();
    while let Some(row) = rows.next()? {
        flags.push(FlagRow {
            series: series_of_row(row)?,
            start_ms: row.get(4)?,
            len_ms: row.get(5)?,
            found: BelowLight {
                count: unsigned(row.get(6)?),
                fastest_us: unsigned(row.get(7)?),
                least_us: unsigned(row.get(8)?),
            },
        });
    }
    Ok(flags)
}

fn windows(
    connection: &Connection,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<WindowRow>, RowError> {
    let sql = format!(
        "SELECT {SERIES_COLUMNS}, start_ms, len_ms, response \
         FROM windows JOIN series ON series.id = windows.series \
         WHERE start_ms >= ?1 AND start_ms < ?2 \
         ORDER BY start_ms, vantage, target, connection, path"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([since_ms, until_ms])?;
    let mut windows = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(6)?;
        windows.push(WindowRow {
            series: series_of_row(row)?,
            start_ms: row.get(4)?,
            len_ms: row.get(5)?,
            response: Histogram::decode(&bytes)?,
        });
    }
    Ok(windows)
}

fn merged(
    connection: &Connection,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<MergedRow>, RowError> {
    let windows_ms = meta(connection, "windows_from_ms", i64::MIN)?;
    let hours_ms = meta(connection, "hours_from_ms", i64::MIN)?;
    let mut bodies: BTreeMap<Series, (Body, i64)> = BTreeMap::new();
    let spans = [
        (Table::Days, since_ms, until_ms.min(hours_ms)),
        (Table::Hours, since_ms.max(hours_ms), until_ms.min(windows_ms)),
        (Table::Windows, since_ms.max(windows_ms), until_ms),
    ];
    for (table, from_ms, to_ms) in spans {
        if from_ms < to_ms {
            add_spans(connection, table, (from_ms, to_ms), &mut bodies)?;
        }
    }
    Ok(bodies.into_iter().map(|(series, (body, last_ms))| row_of(series, body, last_ms)).collect())
}

fn each_span(
    connection: &Connection,
    (since_ms, until_ms): (i64, i64),
    show: &mut dyn FnMut(&Series, &Span<'_>) -> Result<(), HistogramError>,
) -> Result<(), RowError> {
    let oldest_unfinished = |levels: &str| -> rusqlite::Result<i64> {
        let sql = format!("SELECT min(start_ms) FROM unfinished WHERE level IN ({levels})");
        let oldest: Option<i64> = connection.query_row(&sql, [], |row| row.get(0))?;
        Ok(oldest.unwrap_or(i64::MAX))
    };
    let kept = Kept {
        windows_from_ms: meta(connection, "windows_from_ms", i64::MIN)?,
        hours_from_ms: meta(connection, "hours_from_ms", i64::MIN)?,
        hours_until_ms: oldest_unfinished("'hour'")?,
        days_until_ms: oldest_unfinished("'hour', 'day'")?,
    };
    let series = all_series(connection)?;
    for (table, from_ms, to_ms) in cover(since_ms, until_ms, kept) {
        let name = table.name();
        let sql = format!(
            "SELECT series, start_ms + len_ms, attempts, missed, late, by_kind, response, phases \
             FROM {name} WHERE start_ms >= ?1 AND start_ms < ?2"
        );
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query([from_ms, to_ms])?;
        while let Some(row) = rows.next()? {
            if let Some(series) = series.get(&row.get(0)?) {
                show(series, &span_of_row(row)?)?;
            }
        }
    }
    Ok(())
}

fn all_series(connection: &Connection) -> Result<HashMap<i64, Series>, RowError> {
    let sql = format!("SELECT {SERIES_COLUMNS}, id FROM series");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    let mut series = HashMap::new();
    while let Some(row) = rows.next()? {
        series.insert(row.get(4)?, series_of_row(row)?);
    }
    Ok(series)
}

fn span_of_row<'a>(row: &'a Row<'_>) -> Result<Span<'a>, RowError> {
    let kinds = row.get_ref(5)?.as_str().map_err(rusqlite::Error::from)?;
    let blob = |index: usize| row.get_ref(index)?.as_blob().map_err(rusqlite::Error::from);
    Ok(Span {
        end_ms: row.get(1)?,
        attempts: unsigned(row.get(2)?),
        missed: unsigned(row.get(3)?),
        late: unsigned(row.get(4)?),
        by_kind: decode_kinds(kinds)?,
        response: Encoded(blob(6)?),
        phases: split_phases(blob(7)?)?.map(Encoded),
    })
}

fn add_spans(
    connection: &Connection,
    table: Table,
    (from_ms, to_ms): (i64, i64),
    bodies: &mut BTreeMap<Series, (Body, i64)>,
) -> Result<(), RowError> {
    let name = table.name();
    let sql = format!(
        "SELECT {SERIES_COLUMNS}, start_ms + len_ms, {BODY_COLUMNS} \
         FROM {name} JOIN series ON series.id = {name}.series \
         WHERE start_ms >= ?1 AND start_ms < ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([from_ms, to_ms])?;
    while let Some(row) = rows.next()? {
        let (body, last_ms) =
            bodies.entry(series_of_row(row)?).or_insert_with(|| (Body::default(), i64::MIN));
        body.merge(&body_of_row(row, 5)?);
        *last_ms = (*last_ms).max(row.get(4)?);
    }
    Ok(())
}

pub(super) fn row_of(series: Series, body: Body, last_ms: i64) -> MergedRow {
    MergedRow {
        series,
        attempts: body.attempts,
        failures: body.failures(),
        missed: body.missed,
        late: body.late,
        by_kind: body.by_kind,
        response: body.response,
        service: body.service,
        phases: body.phases,
        last_ms,
    }
}
