//! A small service that was measured for two weeks: its store, its journal and what follows.
//!
//! Every figure comes of a fixed sequence. It judges nothing.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use advisor::advice::{Advice, Routing, advise};
use advisor::journal::{Journal, Operation};
use advisor::matrix::Matrix;
use advisor::name::Label;
use advisor::plan::Effect;
use advisor::settings;
use advisor::shares::Shares;
use advisor::source::StoreSource;
use advisor::survey::read_matrix;
use probe::config::{Config, DEFAULTS, Flags, build};
use probe::histogram::Histogram;
use probe::publish::counts::Counted;
use probe::sample::{Connection, Phase, Series};
use probe::store::{Grid, MergedRow, Store};
use probe::window::Window;
use reports::document::{Document, TruthFacts};
use reports::period::{Period, Unit, time_zone};
use reports::{Asked, Decided, Samples, collect};
use serde_json::json;

pub(crate) const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
/// 2026-11-09T00:00:00Z, a Monday.
pub(crate) const START_MS: i64 = 1_794_182_400_000;
/// The end of the data: two weeks later.
pub(crate) const END_MS: i64 = START_MS + 14 * DAY_MS;
/// When the label was moved: on the Thursday of the second week.
const APPLY_MS: i64 = START_MS + 10 * DAY_MS + 9 * HOUR_MS;

const PLACES: [&str; 4] = ["ap-south-1", "ap-southeast-1", "eu-west-1", "us-east-1"];
const ENDPOINTS: [&str; 3] = ["ap-southeast-1", "eu-west-1", "us-east-1"];

/// The configuration; a vantage of a user's network among the others.
pub(crate) fn config(slos: &str) -> Config {
    config_with("", slos)
}

/// The same with more at the top.
pub(crate) fn config_with(top: &str, slos: &str) -> Config {
    let mut text = format!(
        "name = \"api.myapp.com\"\nzone = \"myapp.com\"\n{top}[evidence]\nwindow = \"1h\"\n\
         block = \"4h\"\n"
    );
    text.push_str(slos);
    for id in PLACES {
        writeln!(text, "[[vantage]]\nid = \"{id}\"").unwrap();
    }
    text.push_str("[[vantage]]\nid = \"home-lisbon\"\npopulation = \"eyeball\"\n");
    for id in ENDPOINTS {
        writeln!(text, "[[endpoint]]\nid = \"{id}\"\nregion = \"{id}\"\nkind = \"regional\"")
            .unwrap();
        writeln!(text, "url = \"https://{id}.api.myapp.com/ping\"").unwrap();
    }
    build(DEFAULTS, &text, &BTreeMap::new(), &Flags::default()).unwrap()
}

/// Objectives: one that is met, one that is not.
pub(crate) const SLOS: &str = "[[slo]]\ntarget = \"eu-west-1\"\nquantile = 0.95\nlimit_ms = 900\n\
                               share = 0.9\n[[slo]]\ntarget = \"us-east-1\"\nquantile = 0.5\n\
                               limit_ms = 120\nshare = 0.8\n";

/// A service and where it is kept.
pub(crate) struct Service {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: Config,
    pub(crate) traffic: Shares,
}

impl Service {
    /// Two weeks of hourly windows, and an apply in the second one.
    pub(crate) fn new(slos: &str) -> Self {
        Self::of(config(slos))
    }

    /// The same with a configuration of its own.
    pub(crate) fn of(config: Config) -> Self {
        let (folder, traffic) = (tempfile::tempdir().unwrap(), Shares::equal(&config));
        let service = Self { folder, config, traffic };
        service.fill();
        service
    }

    /// One that nothing was measured of.
    pub(crate) fn empty() -> Self {
        let config = config("");
        let (folder, traffic) = (tempfile::tempdir().unwrap(), Shares::equal(&config));
        let service = Self { folder, config, traffic };
        Store::open(service.store_path()).unwrap();
        service
    }

    /// One that nothing answered for a week.
    pub(crate) fn failing() -> Self {
        let service = Self::empty();
        let mut store = service.store();
        store.set_grid(Grid { window_ms: HOUR_MS, block_ms: 4 * HOUR_MS }).unwrap();
        let hours = (START_MS..END_MS).step_by(usize::try_from(HOUR_MS).unwrap());
        for start_ms in hours.filter(|start_ms| *start_ms >= END_MS - 7 * DAY_MS) {
            let mut one = window("eu-west-1", "eu-west-1", Connection::Cold, start_ms);
            one.failures = BTreeMap::from([("proxy", one.attempts)]);
            store.write(&[one]).unwrap();
        }
        store.close_open_blocks(END_MS).unwrap();
        service
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.folder.path().join("nearside.sqlite")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open_existing(self.store_path()).unwrap()
    }

    fn fill(&self) {
        let mut store = Store::open(self.store_path()).unwrap();
        store.set_grid(Grid { window_ms: HOUR_MS, block_ms: 4 * HOUR_MS }).unwrap();
        for start_ms in (START_MS..END_MS).step_by(usize::try_from(HOUR_MS).unwrap()) {
            let mut windows = Vec::new();
            for vantage in &self.config.vantages {
                for endpoint in ENDPOINTS {
                    windows.push(window(&vantage.id, endpoint, Connection::Cold, start_ms));
                    windows.push(window(&vantage.id, endpoint, Connection::Warm, start_ms));
                }
                for target in &self.config.targets {
                    windows.push(window(&vantage.id, &target.id, Connection::Cold, start_ms));
                }
            }
            store.write(&windows).unwrap();
        }
        store.close_open_blocks(END_MS).unwrap();
    }

    /// The last week, compared with the one before.
    pub(crate) fn week(zone: &str) -> (Period, Period) {
        let period = Period::last(Unit::Week, END_MS, time_zone(zone).unwrap()).unwrap();
        let before = period.previous().unwrap();
        (period, before)
    }

    /// What is decided at the end of the data.
    pub(crate) async fn decision(&self) -> Decision {
        let source = StoreSource::new(self.store_path());
        let matrix = read_matrix(&source, &self.config, END_MS).await.unwrap();
        let label = |id: &str| Label::new(id);
        let preferred = [
            ("ap-south-1", "ap-southeast-1"),
            ("ap-southeast-1", "ap-southeast-1"),
            ("eu-west-1", "eu-west-1"),
            ("home-lisbon", "eu-west-1"),
            ("us-east-1", "us-east-1"),
        ];
        let routing = Routing {
            live: ENDPOINTS.iter().map(|id| (label(id), (*id).to_owned())).collect(),
            preferred: preferred.map(|(id, to)| (id.to_owned(), label(to))).into(),
            witnesses: settings::witnesses(&self.config),
            cloud: settings::cloud_vantages(&self.config),
            cooling: BTreeMap::new(),
            eyeballs: advisor::advice::Eyeballs::default(),
        };
        let rule = settings::advice_rule(&self.config.evidence);
        let advice = advise(&matrix, &routing, &rule);
        let moved = advice.moves().count() as f64 / ENDPOINTS.len() as f64;
        let effect = Effect {
            traffic_moved: moved,
            weights: "equal weights over vantages".into(),
            ..Effect::default()
        };
        Decision { matrix, routing, split: BTreeMap::new(), advice, effect }
    }

    /// The journal: us-east-1 pointed at eu-west-1 until it was moved back.
    pub(crate) fn operations(&self, ending: &serde_json::Value) -> Vec<Operation> {
        let path = self.folder.path().join("nearside.journal");
        let plan = json!({
            "format": 1, "intent": "route", "made_at_ms": APPLY_MS, "zone_id": "Z1",
            "zone": "myapp.com.", "service": "api.myapp.com.", "generation": 1,
            "labels": {"us-east-1": "us-east-1"},
            "moves": [{"label": "us-east-1", "from": "eu-west-1", "to": "us-east-1",
                       "reason": "repoint"}],
            "effect": Effect::default(), "thresholds": advisor::plan::Thresholds::default(),
            "health_checks": [], "changes": [], "prior": []
        });
        let events = [
            json!({"begins": plan}),
            json!({"accepted": {"change_id": null}}),
            json!("in_sync"),
            json!({"ends": ending}),
        ];
        let lines = events.iter().enumerate().map(|(index, event)| {
            let at_ms = APPLY_MS + i64::try_from(index).unwrap() * 10_000;
            format!("{}\n", json!({"at_ms": at_ms, "operation": 1, "event": event}))
        });
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        Journal::read(&path).unwrap()
    }

    /// The document of the last week.
    pub(crate) async fn document(&self, zone: &str) -> (Document, Period) {
        let decision = self.decision().await;
        let operations = self.operations(&json!("applied"));
        self.collected(zone, Ok(decision.facts()), &operations, None).await
    }

    /// The same as CloudWatch tells it, with connects published alone. In each vantage's newest windows slots
    /// were missed.
    pub(crate) async fn told_by_cloudwatch(&self, zone: &str) -> (Document, Period) {
        let (period, _) = Self::week(zone);
        let decision = self.decision().await;
        let rows = self.store().merged(period.since_ms, period.until_ms).unwrap();
        let counted: Vec<Counted> = rows.into_iter().map(counted).collect();
        let asked = Asked {
            config: &self.config,
            period: &period,
            compared: None,
            decided: Ok(decision.facts()),
            traffic: &self.traffic,
            operations: &[],
            truth: None,
        };
        let samples =
            Samples::CloudWatch { counted: &counted, left_out: ["page".to_owned()].into() };
        let source = StoreSource::new(self.store_path());
        (collect(samples, &source, &asked).await.unwrap(), period)
    }

    pub(crate) async fn collected(
        &self,
        zone: &str,
        decided: Result<Decided<'_>, &str>,
        operations: &[Operation],
        truth: Option<TruthFacts>,
    ) -> (Document, Period) {
        let (period, before) = Self::week(zone);
        let asked = Asked {
            config: &self.config,
            period: &period,
            compared: Some(&before),
            decided,
            traffic: &self.traffic,
            operations,
            truth,
        };
        let source = StoreSource::new(self.store_path());
        let document = collect(Samples::Store(&self.store()), &source, &asked).await.unwrap();
        (document, period)
    }
}

fn counted(row: MergedRow) -> Counted {
    let connects = row.phases.get(Phase::Connect);
    let sum_ms = connects.mean_us().unwrap_or_default() * connects.len() as f64 / 1_000.0;
    let is_first = row.series.connection == Connection::Cold && row.series.target == ENDPOINTS[0];
    Counted {
        attempts: row.attempts,
        incomplete: if is_first { 30 } else { 0 },
        failures: row.failures,
        by_kind: row.by_kind,
        response: row.response,
        round_trips: Histogram::new(),
        phases: vec![(Phase::Connect, connects.len(), sum_ms)],
        last_ms: row.last_ms,
        series: row.series,
    }
}

/// What was decided.
pub(crate) struct Decision {
    pub(crate) matrix: Matrix,
    pub(crate) routing: Routing,
    pub(crate) split: BTreeMap<Label, advisor::topology::Shares>,
    pub(crate) advice: Advice,
    pub(crate) effect: Effect,
}

impl Decision {
    pub(crate) fn facts(&self) -> Decided<'_> {
        Decided {
            routing: &self.routing,
            split: &self.split,
            preferred: "asked",
            matrix: &self.matrix,
            advice: &self.advice,
            effect: &self.effect,
            health_checks: 3,
            at_ms: END_MS,
        }
    }
}

/// Sixty samples by a fixed sequence. In the second week ap-southeast-1 answers slowly.
fn window(vantage: &str, endpoint: &str, connection: Connection, start_ms: i64) -> Window {
    let series = Series {
        vantage: vantage.to_owned(),
        target: endpoint.to_owned(),
        connection,
        path: String::new(),
    };
    let round_trip_us = round_trip_us(vantage, endpoint);
    let slow = endpoint == "ap-southeast-1" && start_ms >= START_MS + 7 * DAY_MS;
    let service_us = 30_000 + if slow { 160_000 } else { 0 };
    let mut window = Window::new(series, start_ms, HOUR_MS);
    for index in 0..60 {
        let at = start_ms.unsigned_abs() / 60_000 + index;
        let jitter = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 44;
        let (connect_us, processing_us) = (
            round_trip_us + jitter % (round_trip_us / 8),
            round_trip_us + service_us + jitter % 9_000,
        );
        window.attempts += 1;
        if jitter.is_multiple_of(499) {
            *window.failures.entry("connect_timeout").or_insert(0) += 1;
            window.response.record(10_000_001);
            continue;
        }
        let mut total_us = processing_us + 700;
        if connection == Connection::Cold {
            total_us += 2 * connect_us;
            window.phases.connect.record(connect_us);
            window.phases.tls.record(connect_us);
        }
        window.phases.processing.record(processing_us);
        window.phases.transfer.record(400);
        window.phases.local.record(300);
        window.response.record(total_us);
        window.service.record(total_us);
    }
    window
}

/// Round trips between the places, in ms.
const MS: [[u64; 5]; 5] = [
    [2, 60, 122, 138, 190],
    [60, 2, 170, 186, 216],
    [122, 170, 2, 31, 68],
    [138, 186, 31, 9, 98],
    [190, 216, 68, 98, 2],
];

fn round_trip_us(vantage: &str, endpoint: &str) -> u64 {
    let place = |id: &str| match id.trim_start_matches("candidate-") {
        "ap-south-1" => 0,
        "ap-southeast-1" => 1,
        "eu-west-1" => 2,
        "home-lisbon" => 3,
        _ => 4,
    };
    MS[place(vantage)][place(endpoint)] * 1_000
}

/// A length that is none of the calendar.
pub(crate) fn hours(n: u64) -> Unit {
    Unit::Length(Duration::from_hours(n))
}

/// Everything that turns text around or is obeyed, in one text.
pub(crate) const HOSTILE: &str =
    "<script>alert(1)</script>\"'`&\u{0}\u{1b}[2J\r\n\u{202e}\u{2066}\u{200b}|](javascript:1)";
