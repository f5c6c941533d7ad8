//! A small world for tests of the screen: figures that were measured nowhere, and everything that is
//! decided on them by the advisor's own code.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use advisor::advice::{Eyeballs, Routing};
use advisor::group::{LiveGroup, latency_sets};
use advisor::matrix::{CellBlock, Matrix};
use advisor::name::{Label, Name};
use advisor::preferred::Preference;
use advisor::record::RecordType;
use advisor::settings;
use advisor::shares::Shares;
use advisor::survey::{Survey, ZoneView};
use advisor::topology;
use advisor::zone::ZoneFacts;
use probe::config::Config;
use probe::histogram::Histogram;
use probe::sample::Connection;
use probe::store::{Quantiles, WindowSet};
use tui::{
    Cell, ConnectionDetail, Decision, Depth, Detail, Entry, Figures, Message, Model, Palette,
    PathDetail, Range, Refused, Snapshot, Span, Spread, StoreState, Subject, update,
};

/// 2026-03-01 12:00:00 UTC.
pub(crate) const NOW_MS: i64 = 1_772_366_400_000;
const BLOCK_MS: i64 = 14_400_000;
const MINUTE_MS: i64 = 60_000;

pub(crate) const VANTAGES: [&str; 8] = [
    "us-east-1",
    "us-west-2",
    "eu-west-1",
    "eu-central-1",
    "ap-south-1",
    "ap-southeast-1",
    "ap-northeast-1",
    "sa-east-1",
];
pub(crate) const ENDPOINTS: [&str; 4] = ["us-east-1", "eu-west-1", "ap-south-1", "ap-southeast-1"];

/// The round trip in ms of two places, by their distance.
fn round_trip_ms(from: &str, to: &str) -> f64 {
    let km = probe::place::distance_km(
        probe::place::region(from).unwrap(),
        probe::place::region(to).unwrap(),
    );
    2.0 + km * 0.0157
}

/// What a request takes: one backend is slow where DNS cannot see it.
fn response_ms(from: &str, to: &str, connection: Connection) -> f64 {
    let trips = if connection == Connection::Cold { 3.0 } else { 1.0 };
    let slow = if to == "ap-southeast-1" { 120.0 } else { 0.0 };
    trips * round_trip_ms(from, to) + 30.0 + slow
}

fn us(ms: f64) -> u64 {
    Duration::from_secs_f64(ms / 1_000.0).as_micros().try_into().unwrap()
}

pub(crate) fn config() -> Config {
    let mut text = "name = 'api.example.com'\nzone = 'example.com'\n\
                    guard.allow = ['api.example.com']\n"
        .to_owned();
    for id in VANTAGES {
        writeln!(text, "[[vantage]]\nid = '{id}'\npopulation = 'cloud'").unwrap();
    }
    for id in ENDPOINTS {
        writeln!(
            text,
            "[[endpoint]]\nid = '{id}'\nregion = '{id}'\nkind = 'regional'\n\
             url = 'https://api.example.com/ping'\nhealth_url = 'https://{id}.api.example.com/health'\n\
             alias = {{ dns_name = 'd-{}.execute-api.{id}.amazonaws.com', hosted_zone_id = 'ZONE{}' }}",
            id.len(),
            id.len()
        )
        .unwrap();
    }
    let nothing = BTreeMap::new();
    let flags = probe::config::Flags::default();
    probe::config::build(probe::config::DEFAULTS, &text, &nothing, &flags).unwrap()
}

fn matrix(config: &Config) -> Matrix {
    let mut rows = Vec::new();
    for (vantage, endpoint) in VANTAGES.iter().flat_map(|v| ENDPOINTS.map(|e| (*v, e))) {
        for connection in [Connection::Cold, Connection::Warm] {
            for block in 0..30 {
                let mut valid = WindowSet::new(240);
                (0..240).for_each(|index| valid.insert(index));
                let jitter = f64::from(block * 7 % 5);
                rows.push(CellBlock {
                    vantage: vantage.to_owned(),
                    endpoint: endpoint.to_owned(),
                    connection,
                    start_ms: NOW_MS - BLOCK_MS * (i64::from(block) + 1),
                    value_ms: response_ms(vantage, endpoint, connection) + jitter,
                    attempts: 1_440,
                    failures: 0,
                    valid,
                });
            }
        }
    }
    Matrix::build(&rows, settings::cost_rule(&config.evidence))
}

/// What is known and decided: Route 53 sends everybody to the nearest endpoint.
pub(crate) fn decision() -> Decision {
    decision_with(BTreeMap::new())
}

/// The same with labels that lead to several endpoints.
pub(crate) fn decision_with(weights: BTreeMap<Label, topology::Shares>) -> Decision {
    let config = config();
    let service = Name::parse("api.example.com").unwrap();
    let endpoints = settings::endpoint_targets(&config, &[], 1).unwrap();
    let labels: BTreeMap<Label, String> =
        ENDPOINTS.iter().map(|id| (Label::new(id), (*id).to_owned())).collect();
    let families = BTreeSet::from([RecordType::A]);
    let records = latency_sets(&service, &labels, &families, &endpoints);
    let nearest = |vantage: &str| {
        let trip = |id: &&&str| round_trip_ms(vantage, id);
        *ENDPOINTS.iter().min_by(|a, b| trip(a).total_cmp(&trip(b))).unwrap()
    };
    let zone = ZoneFacts {
        id: "Z0123456789".into(),
        name: Name::parse("example.com").unwrap(),
        name_servers: vec!["ns-1.example.net".into()],
        api: "https://route53.amazonaws.com".into(),
    };
    let survey = Survey {
        view: ZoneView { zone, service, records, endpoints },
        live: LiveGroup { labels: labels.clone(), families, weights, ..LiveGroup::default() },
        matrix: matrix(&config),
        routing: Routing {
            live: labels,
            preferred: VANTAGES.map(|id| (id.to_owned(), Label::new(nearest(id)))).into(),
            witnesses: settings::witnesses(&config),
            cloud: settings::cloud_vantages(&config),
            cooling: BTreeMap::new(),
            eyeballs: Eyeballs::default(),
        },
        preference: Preference::Asked,
        traffic: Shares::equal(&config),
        clients: BTreeMap::new(),
        unasked: (0, 0.0),
        round_trips: BTreeMap::new(),
        orders: BTreeMap::new(),
        next: None,
    };
    let mut decision = Decision::new(survey, &config, NOW_MS - 42_000, Duration::from_mins(5));
    decision.guard = Some(Err(Refused {
        what: "the plan moves 25.0 % of the traffic, and guard.max_traffic_moved is 20.0 %".into(),
        hint: "raise guard.max_traffic_moved, if so much may move at once".into(),
    }));
    decision
}

fn quantiles(p50_ms: f64) -> Quantiles {
    let of = |factor: f64| us(p50_ms * factor);
    Quantiles {
        p10_us: of(0.92),
        p25_us: of(0.96),
        p50_us: of(1.0),
        p75_us: of(1.06),
        p90_us: of(1.2),
        p95_us: of(1.35),
        p99_us: of(1.9),
    }
}

fn figures(vantage: &str, endpoint: &str, connection: Connection) -> Figures {
    if connection == Connection::Resumed {
        return Figures::default();
    }
    let is_lossy = vantage == "sa-east-1" && endpoint == "ap-south-1";
    Figures {
        attempts: 1_234,
        failures: if is_lossy { 31 } else { 0 },
        quantiles: Some(quantiles(response_ms(vantage, endpoint, connection))),
        newest_ms: Some(NOW_MS - MINUTE_MS),
    }
}

/// What was measured in the last 15 minutes.
pub(crate) fn snapshot() -> Snapshot {
    let cell = |vantage: &str, endpoint: &str| -> Cell {
        Connection::ALL.map(|connection| figures(vantage, endpoint, connection))
    };
    let mut targets: Vec<String> = ENDPOINTS.map(str::to_owned).into();
    targets.push("front".into());
    let mut cells = Vec::new();
    for vantage in VANTAGES {
        cells.extend(ENDPOINTS.map(|endpoint| cell(vantage, endpoint)));
        cells.push([Figures::default(); 3]);
    }
    Snapshot {
        range: Range::Minutes15,
        range_ms: 15 * MINUTE_MS,
        span_ms: MINUTE_MS,
        newest_ms: Some(NOW_MS - 3_000),
        vantages: VANTAGES.map(str::to_owned).into(),
        targets,
        cells,
        detail: None,
        store: StoreState::Read,
    }
}

fn connection_detail(vantage: &str, endpoint: &str, connection: Connection) -> ConnectionDetail {
    let p50_ms = response_ms(vantage, endpoint, connection);
    let mut response = Histogram::new();
    for index in 0..400_u32 {
        let tail = if index % 40 == 0 { 1.8 } else { 1.0 };
        let spread = 1.0 + f64::from(index * 37 % 100) / 700.0;
        response.record(us(p50_ms * spread * tail));
    }
    let trip_us = us(round_trip_ms(vantage, endpoint));
    let is_cold = connection == Connection::Cold;
    let history = (0..15_u32).map(|index| {
        let q = quantiles(p50_ms * (1.0 + f64::from(index * 5 % 7) / 60.0));
        let failures = u64::from(index == 9) * 3;
        Span::new(NOW_MS - MINUTE_MS * i64::from(15 - index), 6, failures, Some(q))
    });
    ConnectionDetail {
        attempts: 90,
        missed: 2,
        late: 1,
        by_kind: BTreeMap::from([("connect_timeout", 2), ("status", 1)]),
        response: Spread::Histogram(response),
        phases_us: [
            is_cold.then_some(850),
            is_cold.then_some(trip_us),
            is_cold.then_some(trip_us + 1_200),
            Some(us(p50_ms) - trip_us * if is_cold { 2 } else { 0 } - 2_000),
            Some(310),
        ],
        local_us: Some(95),
        history: history.collect(),
        ..ConnectionDetail::new(connection)
    }
}

/// One cell in full.
pub(crate) fn detail(vantage: &str, endpoint: &str) -> Detail {
    let path = |path: &str, attempts, p50_us| PathDetail {
        connection: Connection::Cold,
        path: path.into(),
        attempts,
        failures: 0,
        p50_us: Some(p50_us),
    };
    Detail {
        vantage: vantage.into(),
        target: endpoint.into(),
        connections: [Connection::Cold, Connection::Warm]
            .map(|connection| connection_detail(vantage, endpoint, connection))
            .into(),
        paths: vec![path("SIN2-C1 miss", 61, 181_000), path("SIN52-P1 hit", 29, 42_000)],
        last: Some("kernel time, HTTP/2, TLS 1.3, 192.0.2.7:443, API Gateway rest".into()),
    }
}

/// A dashboard before anything came in.
pub(crate) fn blank(size: (u16, u16), depth: Depth) -> Model {
    let subject = Subject {
        service: "api.example.com".into(),
        endpoints: ENDPOINTS.map(|id| (id.to_owned(), id.to_owned())).into(),
        store: "./nearside.sqlite".into(),
        measures: false,
        price: None,
    };
    Model::new(subject, Palette::new(depth), size, NOW_MS)
}

/// A dashboard that has everything; a cell that shows the point of it all is chosen.
pub(crate) fn model(size: (u16, u16), depth: Depth) -> Model {
    let mut model = blank(size, depth);
    (model.vantage, model.target) = (Some("ap-southeast-1".into()), Some("ap-southeast-1".into()));
    let mut snapshot = snapshot();
    snapshot.detail = Some(detail("ap-southeast-1", "ap-southeast-1"));
    let _ = update(&mut model, Message::Measured(Arc::new(snapshot)));
    let _ = update(&mut model, Message::Decided(Arc::new(decision())));
    let entries = (0..40).rev().map(|index| {
        let at_ms = NOW_MS - 7_000 * index;
        if index % 9 == 4 {
            let text = "sa-east-1 > ap-south-1 cold: connect_timeout after 10000.2 ms".into();
            Entry::failure(at_ms, text)
        } else {
            Entry::success(at_ms, format!("eu-west-1 > us-east-1 warm: {}.3 ms", 90 + index))
        }
    });
    let _ = update(&mut model, Message::Happened(entries.collect()));
    model
}
