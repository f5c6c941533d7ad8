//! Rows of windows, hours and days: the same columns, read and merged in one place.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, params};

use super::blob::{decode_kinds, decode_phases, encode_kinds, encode_phases};
use super::{Quantiles, RowError};
use crate::histogram::Histogram;
use crate::window::{PhaseHistograms, Window};

/// A table of spans. The names are fixed, so that they may stand in SQL text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Windows,
    Hours,
    Days,
}

impl Table {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Hours => "hours",
            Self::Days => "days",
        }
    }
}

/// What a span holds, without whose and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Body {
    pub attempts: u64,
    pub missed: u64,
    pub late: u64,
    pub by_kind: BTreeMap<&'static str, u64>,
    pub response: Histogram,
    pub service: Histogram,
    pub phases: PhaseHistograms,
}

impl Body {
    pub(super) fn of(window: &Window) -> Self {
        Self {
            attempts: window.attempts,
            missed: window.missed,
            late: window.late,
            by_kind: window.failures.clone(),
            response: window.response.clone(),
            service: window.service.clone(),
            phases: window.phases.clone(),
        }
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.attempts += other.attempts;
        self.missed += other.missed;
        self.late += other.late;
        for (kind, count) in &other.by_kind {
            *self.by_kind.entry(kind).or_insert(0) += count;
        }
        self.response.merge(&other.response);
        self.service.merge(&other.service);
        self.phases.merge(&other.phases);
    }

    pub(super) fn failures(&self) -> u64 {
        self.by_kind.values().sum()
    }
}

/// SQLite's integers are signed; counts here never come near the bound.
pub(super) fn signed(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

pub(super) fn unsigned(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}

/// The columns that [`body_of_row`] reads, in its order.
pub(super) const BODY_COLUMNS: &str = "attempts, missed, late, by_kind, response, service, phases";

/// Reads a body whose columns begin at `first`.
pub(super) fn body_of_row(row: &Row<'_>, first: usize) -> Result<Body, RowError> {
    let kinds: String = row.get(first + 3)?;
    let response: Vec<u8> = row.get(first + 4)?;
    let service: Vec<u8> = row.get(first + 5)?;
    let phases: Vec<u8> = row.get(first + 6)?;
    Ok(Body {
        attempts: unsigned(row.get(first)?),
        missed: unsigned(row.get(first + 1)?),
        late: unsigned(row.get(first + 2)?),
        by_kind: decode_kinds(&kinds)?,
        response: Histogram::decode(&response)?,
        service: Histogram::decode(&service)?,
        phases: decode_phases(&phases)?,
    })
}

/// Where a span lies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub series: i64,
    pub start_ms: i64,
    pub len_ms: i64,
}

/// Writes a span over what may be there.
pub(super) fn put(
    connection: &Connection,
    table: Table,
    place: Place,
    body: &Body,
) -> Result<(), RowError> {
    let sql = format!(
        "INSERT OR REPLACE INTO {} (series, start_ms, len_ms, attempts, failures, missed, late, \
         by_kind, p10_us, p25_us, p50_us, p75_us, p90_us, p95_us, p99_us, response, service, \
         phases) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, \
         ?17, ?18)",
        table.name()
    );
    let quantiles = Quantiles::of(&body.response);
    let q = |pick: fn(&Quantiles) -> u64| quantiles.as_ref().map(|all| signed(pick(all)));
    connection.prepare_cached(&sql)?.execute(params![
        place.series,
        place.start_ms,
        place.len_ms,
        signed(body.attempts),
        signed(body.failures()),
        signed(body.missed),
        signed(body.late),
        encode_kinds(&body.by_kind),
        q(|all| all.p10_us),
        q(|all| all.p25_us),
        q(|all| all.p50_us),
        q(|all| all.p75_us),
        q(|all| all.p90_us),
        q(|all| all.p95_us),
        q(|all| all.p99_us),
        body.response.encode()?,
        body.service.encode()?,
        encode_phases(&body.phases)?,
    ])?;
    Ok(())
}

/// The span that begins here, if there is one.
pub(super) fn get(
    connection: &Connection,
    table: Table,
    place: Place,
) -> Result<Option<Body>, RowError> {
    let sql =
        format!("SELECT {BODY_COLUMNS} FROM {} WHERE start_ms = ?1 AND series = ?2", table.name());
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([place.start_ms, place.series])?;
    rows.next()?.map(|row| body_of_row(row, 0)).transpose()
}

/// All spans of one series that begin inside `place`, merged; `None` when there is none.
pub(super) fn merged_inside(
    connection: &Connection,
    table: Table,
    place: Place,
) -> Result<Option<Body>, RowError> {
    let sql = format!(
        "SELECT {BODY_COLUMNS} FROM {} WHERE start_ms >= ?1 AND start_ms < ?2 AND series = ?3",
        table.name()
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let end_ms = place.start_ms + place.len_ms;
    let mut rows = statement.query([place.start_ms, end_ms, place.series])?;
    let mut merged: Option<Body> = None;
    while let Some(row) = rows.next()? {
        merged.get_or_insert_default().merge(&body_of_row(row, 0)?);
    }
    Ok(merged)
}
