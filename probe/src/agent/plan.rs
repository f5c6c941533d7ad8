//! From a configuration to the series that are measured.

use std::sync::Arc;
use std::time::Duration;

use super::{AgentError, Options};
use crate::clock::Clock;
use crate::config::{Config, EndpointKind, TargetKind, Vantage};
use crate::exchange::{Due, Exchange, Request};
use crate::sample::{Connection, Series};
use crate::schedule::{Schedule, in_flight_max};

/// One series, and how it is measured.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub series: Series,
    pub request: Arc<Request>,
    pub schedule: Schedule,
    pub in_flight_max: u32,
    /// Whether samples are told apart by POP and cache state.
    pub by_edge: bool,
}

/// All series of the configuration, in the order of vantage, target, connection.
pub(super) fn lanes(config: &Config, options: &Options) -> Result<Vec<Lane>, AgentError> {
    for id in &options.vantages {
        if !config.vantages.iter().any(|vantage| vantage.id == *id) {
            return Err(AgentError::Vantage { id: id.clone() });
        }
    }
    let wanted =
        |vantage: &&Vantage| options.vantages.is_empty() || options.vantages.contains(&vantage.id);
    let targets = targets(config);
    let mut lanes = Vec::new();
    for vantage in config.vantages.iter().filter(wanted) {
        for (id, request, by_edge) in &targets {
            for connection in &config.probe.connections {
                let of = (id.as_str(), request, *by_edge);
                lanes.push(lane(config, options.seed, vantage, of, *connection));
            }
        }
    }
    if lanes.is_empty() {
        let (vantages, targets) = (config.vantages.len(), targets.len());
        return Err(AgentError::Nothing { vantages, targets });
    }
    Ok(lanes)
}

fn targets(config: &Config) -> Vec<(String, Request, bool)> {
    let timeout = config.probe.timeout;
    let endpoints = config.endpoints.iter().map(|endpoint| {
        let connect_to = endpoint.connect_to.clone();
        let request = Request { connect_to, timeout, ..Request::get(endpoint.url.clone()) };
        (endpoint.id.clone(), request, endpoint.kind != EndpointKind::Regional)
    });
    let others = config.targets.iter().map(|target| {
        let http = target.http;
        let request = Request { http, timeout, ..Request::get(target.url.clone()) };
        (target.id.clone(), request, matches!(target.kind, TargetKind::Edge | TargetKind::Static))
    });
    endpoints.chain(others).collect()
}

fn lane(
    config: &Config,
    seed: u64,
    vantage: &Vantage,
    (id, request, by_edge): (&str, &Request, bool),
    connection: Connection,
) -> Lane {
    let series = Series {
        vantage: vantage.id.clone(),
        target: id.to_owned(),
        connection,
        path: String::new(),
    };
    let interval = config.probe.interval_of(connection);
    let own = in_flight_max(config.probe.timeout, interval);
    Lane {
        request: Arc::new(Request {
            key: series.to_string(),
            proxy: vantage.proxy.clone(),
            connection,
            ..request.clone()
        }),
        schedule: Schedule::new(seed, &series, interval),
        in_flight_max: config.probe.max_in_flight.unwrap_or(own),
        series,
        by_edge,
    }
}

/// Prepares a series; of a warm one it says how long a response takes, the better of two.
pub(super) async fn prime(
    exchange: &Exchange,
    clock: &dyn Clock,
    request: &Request,
) -> Option<Duration> {
    exchange.prime(request).await;
    if request.connection != Connection::Warm {
        return None;
    }
    let mut best: Option<Duration> = None;
    for _ in 0..2 {
        let at = clock.now();
        let due = Due { origin: at, at, wall_ms: clock.wall_ms() };
        let sample = exchange.measure(request, due).await;
        if !sample.outcome.is_ok() {
            return best;
        }
        let took = Duration::from_micros(sample.total_us);
        best = Some(best.map_or(took, |best| best.min(took)));
    }
    best
}
