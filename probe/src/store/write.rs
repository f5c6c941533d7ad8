//! Writing: windows in one transaction, then the blocks, hours and days that they finish, then
//! expiry. What is not yet finished is listed in `unfinished`, so that a kill leaves nothing
//! half made: the next write goes on from that list. Work in one transaction is bounded.

use rusqlite::{Connection, OptionalExtension, params};

use super::span::{self, Body, Place, Table, signed};
use super::{Grid, Quantiles, RowError, Store, StoreError, WindowSet, told};
use crate::histogram::Histogram;
use crate::sample::Series;
use crate::window::{BelowLight, Window, aligned_start_ms};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
/// How long rows are kept.
const WINDOWS_KEPT_MS: i64 = DAY_MS;
const BLOCKS_KEPT_MS: i64 = 35 * DAY_MS;
const HOURS_KEPT_MS: i64 = 35 * DAY_MS;
const DAYS_KEPT_MS: i64 = 400 * DAY_MS;
/// Most blocks, and most hours and days, that one transaction finishes.
const BLOCKS_FINISHED_MAX: i64 = 512;
const SPANS_FINISHED_MAX: i64 = 64;
/// Most rows of one table that one transaction expires.
const EXPIRED_MAX: i64 = 2_000;

impl Store {
    /// Writes these windows, all or none, and finishes what they end. A window that is there
    /// already is merged with the new one.
    pub fn write(&mut self, windows: &[Window]) -> Result<(), StoreError> {
        let grid = self.grid;
        self.transact(|connection| {
            let mut horizon_ms = meta(connection, "horizon_ms", i64::MIN)?;
            for window in windows {
                put_window(connection, grid, window)?;
                horizon_ms = horizon_ms.max(window.start_ms + window.len_ms);
            }
            if horizon_ms == i64::MIN {
                return Ok(());
            }
            set_meta(connection, "horizon_ms", horizon_ms)?;
            finish(connection, horizon_ms)?;
            expire(connection, horizon_ms)
        })
    }

    /// Writes the rows of all blocks, hours and days that have ended at `now_ms`.
    pub fn close_open_blocks(&mut self, now_ms: i64) -> Result<(), StoreError> {
        // Each round finishes at least one span, so that the number of spans bounds the rounds.
        while self.transact(|connection| finish(connection, now_ms))? > 0 {}
        Ok(())
    }

    pub(super) fn transact<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, RowError>,
    ) -> Result<T, StoreError> {
        let behavior = rusqlite::TransactionBehavior::Immediate;
        let path = self.path.clone();
        let fault = |cause| StoreError::from_sqlite(&path, cause);
        let transaction = self.connection.transaction_with_behavior(behavior).map_err(fault)?;
        match work(&transaction) {
            Ok(done) => transaction.commit().map_err(fault).map(|()| done),
            Err(cause) => {
                // A roll-back that fails was done by SQLite itself already.
                let _ = transaction.rollback();
                Err(self.row_fault(cause))
            }
        }
    }
}

pub(super) fn meta(connection: &Connection, key: &str, absent: i64) -> rusqlite::Result<i64> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE key = ?1")?
        .query_row([key], |row| row.get(0))
        .optional()
        .map(|value| value.unwrap_or(absent))
}

pub(super) fn set_meta(connection: &Connection, key: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
        .execute(params![key, value])
        .map(|_| ())
}

fn series_id(connection: &Connection, series: &Series) -> rusqlite::Result<i64> {
    let columns = params![series.vantage, series.target, series.connection.as_str(), series.path];
    let found = connection
        .prepare_cached(
            "SELECT id FROM series \
             WHERE vantage = ?1 AND target = ?2 AND connection = ?3 AND path = ?4",
        )?
        .query_row(columns, |row| row.get(0))
        .optional()?;
    if let Some(id) = found {
        return Ok(id);
    }
    connection
        .prepare_cached(
            "INSERT INTO series (vantage, target, connection, path) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(columns)?;
    Ok(connection.last_insert_rowid())
}

fn put_window(connection: &Connection, grid: Grid, window: &Window) -> Result<(), RowError> {
    let series = series_id(connection, &window.series)?;
    let place = Place { series, start_ms: window.start_ms, len_ms: window.len_ms };
    let mut body = Body::of(window);
    if let Some(there) = span::get(connection, Table::Windows, place)? {
        body.merge(&there);
    }
    span::put(connection, Table::Windows, place, &body)?;
    if let Some(flag) = &window.below_light {
        put_flag(connection, place, flag)?;
    }
    told::put(connection, series, aligned_start_ms(window.start_ms, grid.block_ms), &window.told)?;
    for (level, len_ms) in [("block", grid.block_ms), ("hour", HOUR_MS)] {
        let start_ms = aligned_start_ms(window.start_ms, len_ms);
        mark(connection, level, Place { series, start_ms, len_ms }, grid.window_ms)?;
    }
    Ok(())
}

fn put_flag(connection: &Connection, at: Place, flag: &BelowLight) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO flags (series, start_ms, len_ms, kind, count, fastest_us, least_us) \
             VALUES (?1, ?2, ?3, 'below_light', ?4, ?5, ?6)",
        )?
        .execute(params![
            at.series,
            at.start_ms,
            at.len_ms,
            signed(flag.count),
            signed(flag.fastest_us),
            signed(flag.least_us),
        ])
        .map(|_| ())
}

fn mark(connection: &Connection, level: &str, at: Place, window_ms: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO unfinished (level, start_ms, series, len_ms, window_ms) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![level, at.start_ms, at.series, at.len_ms, window_ms])
        .map(|_| ())
}

/// Finishes blocks, hours and days that ended at `horizon_ms`; says how many.
fn finish(connection: &Connection, horizon_ms: i64) -> Result<usize, RowError> {
    let blocks = take_ended(connection, "block", horizon_ms, BLOCKS_FINISHED_MAX)?;
    for (place, window_ms) in &blocks {
        write_block(connection, *place, *window_ms)?;
    }
    let hours = take_ended(connection, "hour", horizon_ms, SPANS_FINISHED_MAX)?;
    for (place, window_ms) in &hours {
        if let Some(body) = span::merged_inside(connection, Table::Windows, *place)? {
            span::put(connection, Table::Hours, *place, &body)?;
            let start_ms = aligned_start_ms(place.start_ms, DAY_MS);
            let day = Place { series: place.series, start_ms, len_ms: DAY_MS };
            mark(connection, "day", day, *window_ms)?;
        }
    }
    let days = take_ended(connection, "day", horizon_ms, SPANS_FINISHED_MAX)?;
    for (place, _) in &days {
        if let Some(body) = span::merged_inside(connection, Table::Hours, *place)? {
            span::put(connection, Table::Days, *place, &body)?;
        }
    }
    Ok(blocks.len() + hours.len() + days.len())
}

fn take_ended(
    connection: &Connection,
    level: &str,
    horizon_ms: i64,
    most: i64,
) -> Result<Vec<(Place, i64)>, RowError> {
    let mut statement = connection.prepare_cached(
        "SELECT series, start_ms, len_ms, window_ms FROM unfinished \
         WHERE level = ?1 AND start_ms + len_ms <= ?2 ORDER BY start_ms, series LIMIT ?3",
    )?;
    let rows = statement.query_map(params![level, horizon_ms, most], |row| {
        let place = Place { series: row.get(0)?, start_ms: row.get(1)?, len_ms: row.get(2)? };
        Ok((place, row.get(3)?))
    })?;
    let ended = rows.collect::<rusqlite::Result<Vec<(Place, i64)>>>()?;
    for (place, _) in &ended {
        connection
            .prepare_cached(
                "DELETE FROM unfinished WHERE level = ?1 AND start_ms = ?2 AND series = ?3",
            )?
            .execute(params![level, place.start_ms, place.series])?;
    }
    Ok(ended)
}

/// Makes the row of one block from its windows of the grid's length.
fn write_block(connection: &Connection, place: Place, window_ms: i64) -> Result<(), RowError> {
    let mut statement = connection.prepare_cached(
        "SELECT start_ms, attempts, failures, missed, response FROM windows \
         WHERE start_ms >= ?1 AND start_ms < ?2 AND series = ?3 AND len_ms = ?4",
    )?;
    let end_ms = place.start_ms + place.len_ms;
    let mut rows = statement.query([place.start_ms, end_ms, place.series, window_ms])?;
    let (mut attempts, mut failures, mut missed) = (0_i64, 0_i64, 0_i64);
    let mut response = Histogram::new();
    let windows = u32::try_from(place.len_ms / window_ms.max(1)).unwrap_or(0);
    let mut valid = WindowSet::new(windows);
    while let Some(row) = rows.next()? {
        let (start_ms, sent): (i64, i64) = (row.get(0)?, row.get(1)?);
        let missed_here: i64 = row.get(3)?;
        let bytes: Vec<u8> = row.get(4)?;
        attempts += sent;
        failures += row.get::<_, i64>(2)?;
        missed += missed_here;
        response.merge(&Histogram::decode(&bytes)?);
        if sent > 0 && missed_here == 0 {
            let index = (start_ms - place.start_ms) / window_ms.max(1);
            valid.insert(u32::try_from(index).unwrap_or(u32::MAX));
        }
    }
    let Some(q) = Quantiles::of(&response) else { return Ok(()) };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO blocks (series, start_ms, len_ms, attempts, failures, missed, \
             p10_us, p25_us, p50_us, p75_us, p90_us, p95_us, p99_us, windows, valid) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
        )?
        .execute(params![
            place.series,
            place.start_ms,
            place.len_ms,
            attempts,
            failures,
            missed,
            signed(q.p10_us),
            signed(q.p25_us),
            signed(q.p50_us),
            signed(q.p75_us),
            signed(q.p90_us),
            signed(q.p95_us),
            signed(q.p99_us),
            windows,
            valid.as_bytes(),
        ])?;
    Ok(())
}

/// Deletes what is kept no longer. Windows go by whole hours and hours by whole days, so that
/// what replaces them covers the same time; readers know the cuts from `meta`.
fn expire(connection: &Connection, horizon_ms: i64) -> Result<(), RowError> {
    let windows_ms = aligned_start_ms(horizon_ms - WINDOWS_KEPT_MS, HOUR_MS);
    let hours_ms = aligned_start_ms(horizon_ms - HOURS_KEPT_MS, DAY_MS);
    let cuts = [
        ("windows", unfinished_before(connection, "hour", windows_ms)?),
        ("hours", unfinished_before(connection, "day", hours_ms)?),
        ("blocks", horizon_ms - BLOCKS_KEPT_MS),
        ("days", horizon_ms - DAYS_KEPT_MS),
        ("flags", horizon_ms - BLOCKS_KEPT_MS),
        ("timings", horizon_ms - BLOCKS_KEPT_MS),
        ("ways", horizon_ms - BLOCKS_KEPT_MS),
    ];
    for (table, cut_ms) in cuts {
        set_meta(connection, &format!("{table}_from_ms"), cut_ms)?;
        let sql = format!(
            "DELETE FROM {table} WHERE id IN \
             (SELECT id FROM {table} WHERE start_ms < ?1 ORDER BY start_ms LIMIT ?2)"
        );
        connection.prepare_cached(&sql)?.execute([cut_ms, EXPIRED_MAX])?;
    }
    Ok(())
}

/// `cut_ms`, or the start of the oldest unfinished span of this level where that is earlier.
fn unfinished_before(connection: &Connection, level: &str, cut_ms: i64) -> rusqlite::Result<i64> {
    let oldest: Option<i64> = connection
        .prepare_cached("SELECT min(start_ms) FROM unfinished WHERE level = ?1")?
        .query_row([level], |row| row.get(0))?;
    Ok(oldest.map_or(cut_ms, |oldest_ms| oldest_ms.min(cut_ms)))
}
