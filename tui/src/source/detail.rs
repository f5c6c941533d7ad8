//! One cell in full, from the histograms of its series. No IO.

use probe::histogram::Histogram;
use probe::sample::{Connection, Phase};
use probe::store::{MergedRow, Quantiles};
use probe::window::Window;

use super::live::span_of;
use crate::figures::Span;
use crate::snapshot::{ConnectionDetail, Detail, PathDetail, Spread};

/// An open window in the shape of a row of the store.
pub(super) fn row_of(window: &Window) -> MergedRow {
    MergedRow {
        series: window.series.clone(),
        attempts: window.attempts,
        failures: window.failures_total(),
        missed: window.missed,
        late: window.late,
        by_kind: window.failures.clone(),
        response: window.response.clone(),
        service: window.service.clone(),
        phases: window.phases.clone(),
        last_ms: window.start_ms + window.len_ms,
    }
}

/// Puts together what the store and the open windows hold of one cell. `history` are the spans of
/// one connection, oldest first.
pub(super) fn detail_of(
    (vantage, target): &(String, String),
    stored: &[MergedRow],
    open: &[&Window],
    history: impl Fn(Connection) -> Vec<Span>,
    last: Option<&String>,
) -> Detail {
    let live: Vec<MergedRow> = open.iter().map(|window| row_of(window)).collect();
    let rows: Vec<&MergedRow> = stored.iter().chain(&live).collect();
    let mut connections = Vec::new();
    for connection in Connection::ALL {
        let of: Vec<&&MergedRow> =
            rows.iter().filter(|row| row.series.connection == connection).collect();
        if of.is_empty() {
            continue;
        }
        let mut spans = history(connection);
        let windows = open.iter().filter(|window| window.series.connection == connection);
        spans.extend(windows.map(|window| span_of(window)));
        connections.push(merge(connection, &of, spans));
    }
    Detail {
        vantage: vantage.clone(),
        target: target.clone(),
        connections,
        paths: paths(&rows),
        last: last.cloned(),
    }
}

fn merge(connection: Connection, rows: &[&&MergedRow], history: Vec<Span>) -> ConnectionDetail {
    let mut detail = ConnectionDetail { history, ..ConnectionDetail::new(connection) };
    let mut phases = probe::window::PhaseHistograms::default();
    let mut response = Histogram::new();
    for row in rows {
        detail.attempts += row.attempts;
        detail.missed += row.missed;
        detail.late += row.late;
        for (kind, count) in &row.by_kind {
            *detail.by_kind.entry(kind).or_insert(0) += count;
        }
        response.merge(&row.response);
        phases.merge(&row.phases);
    }
    detail.response = Spread::Histogram(response);
    detail.phases_us = Phase::ALL.map(|phase| phases.get(phase).quantile_us(0.5));
    detail.local_us = phases.local.quantile_us(0.5);
    detail
}

/// The paths of a cell that has any, the most used first.
fn paths(rows: &[&MergedRow]) -> Vec<PathDetail> {
    let named = rows.iter().filter(|row| !row.series.path.is_empty() && row.attempts > 0);
    let mut paths: Vec<PathDetail> = named
        .map(|row| PathDetail {
            connection: row.series.connection,
            path: row.series.path.clone(),
            attempts: row.attempts,
            failures: row.failures,
            p50_us: Quantiles::of(&row.response).map(|q| q.p50_us),
        })
        .collect();
    paths.sort_by(|a, b| b.attempts.cmp(&a.attempts).then_with(|| a.path.cmp(&b.path)));
    paths
}
