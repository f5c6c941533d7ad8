//! What headers told, by series and block: written with each window, read merged.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::read::{SERIES_COLUMNS, series_of_row};
use super::span::{signed, unsigned};
use super::{RowError, Store, StoreError};
use crate::histogram::Histogram;
use crate::sample::Series;
use crate::told::{METRICS_MAX, OTHER, Told, WAYS_MAX, Way};

/// What one metric of `server-timing` took in the answers of one series, in one block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimingRow {
    /// Whose.
    pub series: Series,
    /// Wall time of the block's start, in ms since 1970.
    pub start_ms: i64,
    /// The metric. Outside text: escape it.
    pub name: String,
    /// What it took in each answer, in microseconds.
    pub took: Histogram,
}

/// How many answers of one series came one way through `CloudFront`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayRow {
    /// Whose.
    pub series: Series,
    /// Which way.
    pub way: Way,
    /// How many.
    pub count: u64,
}

impl Store {
    /// The timings of blocks that begin in `since_ms..until_ms`, by series, block and name.
    pub fn timings(&self, since_ms: i64, until_ms: i64) -> Result<Vec<TimingRow>, StoreError> {
        timings(&self.connection, since_ms, until_ms).map_err(|cause| self.row_fault(cause))
    }

    /// The ways of blocks that begin in `since_ms..until_ms`, added, by series and way.
    pub fn ways(&self, since_ms: i64, until_ms: i64) -> Result<Vec<WayRow>, StoreError> {
        ways(&self.connection, since_ms, until_ms).map_err(|cause| self.row_fault(cause))
    }
}

/// Adds what one window told to its block.
pub(super) fn put(
    connection: &Connection,
    series: i64,
    start_ms: i64,
    told: &Told,
) -> Result<(), RowError> {
    for (name, took) in &told.timings {
        put_timing(connection, (series, start_ms), name, took)?;
    }
    for (way, count) in &told.ways {
        put_way(connection, (series, start_ms), way, *count)?;
    }
    Ok(())
}

fn put_timing(
    connection: &Connection,
    at: (i64, i64),
    name: &str,
    took: &Histogram,
) -> Result<(), RowError> {
    let mut name = name;
    let mut there = timing(connection, at, name)?;
    if there.is_none() && count_of(connection, "timings", at)? >= METRICS_MAX {
        name = OTHER;
        there = timing(connection, at, name)?;
    }
    let mut all = took.clone();
    if let Some(bytes) = there {
        all.merge(&Histogram::decode(&bytes)?);
    }
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO timings (series, start_ms, name, took) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![at.0, at.1, name, all.encode()?])?;
    Ok(())
}

fn timing(
    connection: &Connection,
    (series, start_ms): (i64, i64),
    name: &str,
) -> rusqlite::Result<Option<Vec<u8>>> {
    connection
        .prepare_cached(
            "SELECT took FROM timings WHERE start_ms = ?1 AND series = ?2 AND name = ?3",
        )?
        .query_row(params![start_ms, series, name], |row| row.get(0))
        .optional()
}

/// Rows of one series and block. The table's name is fixed, so that it may stand in SQL text.
fn count_of(
    connection: &Connection,
    table: &str,
    (series, start_ms): (i64, i64),
) -> rusqlite::Result<usize> {
    let sql = format!("SELECT count(*) FROM {table} WHERE start_ms = ?1 AND series = ?2");
    let count: i64 =
        connection.prepare_cached(&sql)?.query_row([start_ms, series], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(usize::MAX))
}

fn put_way(connection: &Connection, at: (i64, i64), way: &Way, count: u64) -> rusqlite::Result<()> {
    let is_known = |region: &str| {
        let sql = "SELECT 1 FROM ways WHERE start_ms = ?1 AND series = ?2 AND edges = ?3 \
                   AND is_api = ?4 AND region = ?5";
        let columns = params![at.1, at.0, way.edges, way.is_api, region];
        connection.prepare_cached(sql)?.exists(columns)
    };
    let has_room = is_known(&way.region)? || count_of(connection, "ways", at)? < WAYS_MAX;
    let region = if has_room { &way.region[..] } else { "" };
    connection
        .prepare_cached(
            "INSERT INTO ways (series, start_ms, edges, is_api, region, count) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
             ON CONFLICT (start_ms, series, edges, is_api, region) \
             DO UPDATE SET count = count + excluded.count",
        )?
        .execute(params![at.0, at.1, way.edges, way.is_api, region, signed(count)])
        .map(|_| ())
}

fn timings(
    connection: &Connection,
    since_ms: i64,
    until_ms: i64,
) -> Result<Vec<TimingRow>, RowError> {
    let sql = format!(
        "SELECT {SERIES_COLUMNS}, start_ms, name, took \
         FROM timings JOIN series ON series.id = timings.series \
         WHERE start_ms >= ?1 AND start_ms < ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([since_ms, until_ms])?;
    let mut timings = Vec::new();
    while let Some(row) = rows.next()? {
        let bytes: Vec<u8> = row.get(6)?;
        timings.push(TimingRow {
            series: series_of_row(row)?,
            start_ms: row.get(4)?,
            name: row.get(5)?,
            took: Histogram::decode(&bytes)?,
        });
    }
    timings.sort_by(|a, b| (&a.series, a.start_ms, &a.name).cmp(&(&b.series, b.start_ms, &b.name)));
    Ok(timings)
}

fn ways(connection: &Connection, since_ms: i64, until_ms: i64) -> Result<Vec<WayRow>, RowError> {
    let sql = format!(
        "SELECT {SERIES_COLUMNS}, edges, is_api, region, count \
         FROM ways JOIN series ON series.id = ways.series \
         WHERE start_ms >= ?1 AND start_ms < ?2"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([since_ms, until_ms])?;
    let mut counts: BTreeMap<(Series, Way), u64> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let way = Way { edges: row.get(4)?, is_api: row.get(5)?, region: row.get(6)? };
        *counts.entry((series_of_row(row)?, way)).or_insert(0) += unsigned(row.get(7)?);
    }
    Ok(counts.into_iter().map(|((series, way), count)| WayRow { series, way, count }).collect())
}
