//! What the store or CloudWatch knows of a deployment: costs, round trips to candidates, kinds of
//! endpoints side by side, and what stands around them. It reads; `advisor::placement` makes sense of it.

use std::collections::BTreeMap;

use advisor::placement::{
    self, Deployment, Evidence, Measured, WindowMedians, compare_kinds, deployment,
    is_edge_optimized_trap,
};
use probe::config::{Config, EndpointKind};
use probe::histogram::Histogram;
use probe::publish::counts::Counted;
use probe::sample::{Connection, Phase, Series};
use probe::store::{Store, WindowRow};

use crate::command::matrix::span_ms;
use crate::command::run::store_failure;
use crate::command::tiers;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show::tiers::Around;

/// What deployment advice is made from.
#[derive(Debug, Clone)]
pub struct Stored {
    /// Costs and estimates.
    pub deployment: Deployment,
    /// What stands around the endpoints.
    pub around: Around,
}

/// Reads the span of the evidence. `weigh` gives the clients of a matrix their weights.
pub async fn stored(
    setup: &Setup,
    weigh: impl Fn(&mut Deployment) -> Result<(), Failure>,
) -> Result<Stored, Failure> {
    let range_ms = (setup.now_ms() - span_ms(setup), setup.now_ms());
    match &setup.fleet {
        Some(fleet) => {
            let counted = fleet.counted(&setup.config, range_ms, true).await?;
            of_cloudwatch(&setup.config, &counted, weigh)
        }
        None => of_store(setup, range_ms, weigh),
    }
}

/// CloudWatch has costs and round trips. It keeps neither what functions and edges told nor windows of
/// series with several paths, so that what stands around the endpoints is not known.
fn of_cloudwatch(
    config: &Config,
    counted: &[Counted],
    weigh: impl Fn(&mut Deployment) -> Result<(), Failure>,
) -> Result<Stored, Failure> {
    let seen: Vec<Seen<'_>> = counted
        .iter()
        .map(|one| Seen {
            series: &one.series,
            attempts: one.attempts,
            response: &one.response,
            connects: &one.round_trips,
        })
        .collect();
    let deployment = Costs::of(config, &seen).deployment(&BTreeMap::new(), &weigh)?;
    let is_trapped = is_edge_optimized_trap(&config.endpoints);
    Ok(Stored { deployment, around: Around { known: None, is_trapped } })
}

fn of_store(
    setup: &Setup,
    (since_ms, now_ms): (i64, i64),
    weigh: impl Fn(&mut Deployment) -> Result<(), Failure>,
) -> Result<Stored, Failure> {
    let config = &setup.config;
    let store = Store::open_existing(&setup.store).map_err(|error| store_failure(&error))?;
    let rows = store.merged(since_ms, now_ms).map_err(|error| store_failure(&error))?;
    let windows = windows(config, &store, (since_ms, now_ms))?;
    let medians = medians(config, windows);
    let seen: Vec<Seen<'_>> = rows
        .iter()
        .map(|row| Seen {
            series: &row.series,
            attempts: row.attempts,
            response: &row.response,
            connects: row.phases.get(Phase::Connect),
        })
        .collect();
    let costs = Costs::of(config, &seen);
    let span = tiers::Span { config, store: &store, rows: &rows, since_ms, now_ms };
    let tiers = span.read(&costs.deployment(&BTreeMap::new(), &weigh)?, &medians)?;
    let deployment = costs.deployment(&tiers.to_data_ms, &weigh)?;
    let kinds = compare_kinds(&config.endpoints, &medians, config.evidence.alpha);
    let is_trapped = is_edge_optimized_trap(&config.endpoints);
    Ok(Stored { deployment, around: Around { known: Some((kinds, tiers)), is_trapped } })
}

/// One series over the span, wherever it was read.
struct Seen<'a> {
    series: &'a Series,
    attempts: u64,
    response: &'a Histogram,
    /// Round trips of new connections.
    connects: &'a Histogram,
}

/// What costs are made from.
struct Costs {
    measured: Vec<Measured>,
    round_trips: BTreeMap<(String, String), f64>,
    cold_share: f64,
}

impl Costs {
    fn of(config: &Config, seen: &[Seen<'_>]) -> Self {
        Self {
            measured: measured(config, seen),
            round_trips: round_trips(config, seen),
            cold_share: config.evidence.cold_share,
        }
    }

    fn deployment(
        &self,
        to_data_ms: &BTreeMap<String, f64>,
        weigh: &impl Fn(&mut Deployment) -> Result<(), Failure>,
    ) -> Result<Deployment, Failure> {
        let mut made = deployment(&Evidence {
            measured: &self.measured,
            round_trips: &self.round_trips,
            to_data_ms,
            cold_share: self.cold_share,
        });
        if made.matrix.clients.is_empty() {
            let what = "the store has no cost of any Regional endpoint";
            return Err(Failure::new(Exit::Failed, what)
                .hint("measure with `advisor probe`, or bring costs with --matrix"));
        }
        weigh(&mut made)?;
        Ok(made)
    }
}

/// The windows, where something is compared by them: kinds of endpoints, or edges that keep objects.
fn windows(
    config: &Config,
    store: &Store,
    (since_ms, now_ms): (i64, i64),
) -> Result<Vec<WindowRow>, Failure> {
    let has_kinds = config.endpoints.iter().any(|endpoint| endpoint.kind != EndpointKind::Regional);
    if !has_kinds && tiers::keeping_edges(config).is_empty() {
        return Ok(Vec::new());
    }
    store.windows(since_ms, now_ms).map_err(|error| store_failure(&error))
}

/// The median of each window, all paths of an endpoint together; of edges that keep objects the hits.
fn medians(config: &Config, windows: Vec<WindowRow>) -> WindowMedians {
    let keeping = tiers::keeping_edges(config);
    let mut merged: BTreeMap<(Connection, String, String, i64), Histogram> = BTreeMap::new();
    for window in windows {
        let series = window.series;
        if keeping.contains(&series.target) && !series.path.ends_with(" hit") {
            continue;
        }
        let key = (series.connection, series.target, series.vantage, window.start_ms);
        merged.entry(key).or_default().merge(&window.response);
    }
    let median = |histogram: &Histogram| Some(histogram.quantile_us(0.5)? as f64 / 1_000.0);
    merged.into_iter().filter_map(|(key, all)| Some((key, median(&all)?))).collect()
}

/// The median responses of Regional endpoints; of several paths the one that most samples took.
fn measured(config: &Config, seen: &[Seen<'_>]) -> Vec<Measured> {
    let mut heaviest: BTreeMap<(&str, &str, Connection), &Seen<'_>> = BTreeMap::new();
    for row in seen {
        let key = (&row.series.vantage[..], &row.series.target[..], row.series.connection);
        let kept = heaviest.entry(key).or_insert(row);
        if row.attempts > kept.attempts {
            *kept = row;
        }
    }
    let regional = |id: &str| {
        let of_id = config.endpoints.iter().find(|endpoint| endpoint.id == id);
        of_id.filter(|endpoint| endpoint.kind == EndpointKind::Regional)
    };
    let cell = |((vantage, target, connection), row): ((&str, &str, _), &Seen<'_>)| {
        Some(Measured {
            vantage: vantage.to_owned(),
            endpoint: target.to_owned(),
            region: regional(target)?.region.clone(),
            connection,
            response_ms: row.response.quantile_us(0.5)? as f64 / 1_000.0,
        })
    };
    heaviest.into_iter().filter_map(cell).collect()
}

/// The medians of round trips of new connections, by vantage and Region.
fn round_trips(config: &Config, seen: &[Seen<'_>]) -> BTreeMap<(String, String), f64> {
    let cold = seen.iter().filter(|row| row.series.connection == Connection::Cold);
    let medians = cold.filter_map(|row| {
        let us = row.connects.quantile_us(0.5)?;
        Some((row.series.vantage.as_str(), row.series.target.as_str(), us as f64 / 1_000.0))
    });
    placement::round_trips(config, medians)
}
