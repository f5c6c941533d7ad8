//! `advisor recommend` without a matrix: what the store has of endpoints, estimates for candidates,
//! endpoints of different kinds side by side, and what stands behind and before them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use probe::clock::{Clock as _, SystemClock};
use probe::sample::{Attribution, Connection, Series, ServerTiming};
use probe::store::{Grid, Store};
use probe::window::Window;
use serde_json::Value;

mod support;

const COMMAND_MAX: Duration = Duration::from_mins(1);
const WINDOW_MS: i64 = 60_000;
const WINDOWS: i64 = 40;
const VANTAGES: [&str; 4] = ["eu-west-1", "us-east-1", "ap-south-1", "ap-northeast-1"];
/// Round trips in ms between the vantages, in their order.
const ROUND_TRIPS_MS: [[u64; 4]; 4] =
    [[3, 70, 125, 210], [70, 2, 190, 150], [125, 190, 4, 130], [210, 150, 130, 3]];
/// What the edge-optimized endpoint takes longer, cold.
const EDGE_COLD_MS: u64 = 25;

fn config() -> String {
    let mut text = "name = \"api.example.test\"\nzone = \"example.test\"\n\
                    candidates = [\"ap-northeast-1\"]\n"
        .to_owned();
    for vantage in VANTAGES {
        writeln!(text, "[[vantage]]\nid = \"{vantage}\"\npopulation = \"cloud\"").unwrap();
    }
    let kinds = [
        ("eu-west-1", "eu-west-1", "regional"),
        ("us-east-1", "us-east-1", "regional"),
        ("ap-south-1", "ap-south-1", "regional"),
        ("edge", "us-east-1", "edge_optimized"),
    ];
    for (id, region, kind) in kinds {
        writeln!(
            text,
            "[[endpoint]]\nid = \"{id}\"\nregion = \"{region}\"\nkind = \"{kind}\"\n\
             url = \"https://api.example.test/ping\""
        )
        .unwrap();
    }
    text
}

/// A window in which every response took as long.
fn window(series: Series, start_ms: i64, connect_ms: u64, response_ms: u64) -> Window {
    let connection = series.connection;
    let mut window = Window::new(series, start_ms, WINDOW_MS);
    window.attempts = 6;
    for _ in 0..6 {
        window.response.record(response_ms * 1_000);
        window.service.record(response_ms * 1_000);
        if connection == Connection::Cold {
            window.phases.connect.record(connect_ms * 1_000);
        }
    }
    window
}

fn windows(start_ms: i64) -> Vec<Window> {
    // Target, its Region's place among the vantages, and what it takes longer.
    let targets = [
        ("eu-west-1", 0, 0),
        ("us-east-1", 1, 0),
        ("ap-south-1", 2, 0),
        ("edge", 1, EDGE_COLD_MS),
        ("candidate-ap-northeast-1", 3, 0),
    ];
    let mut windows = Vec::new();
    for (vantage, round_trips) in VANTAGES.iter().zip(ROUND_TRIPS_MS) {
        for (target, region, longer) in targets {
            for (connection, trips) in [(Connection::Cold, 3), (Connection::Warm, 1)] {
                let series = Series {
                    vantage: (*vantage).to_owned(),
                    target: target.to_owned(),
                    connection,
                    path: String::new(),
                };
                let trip = round_trips[region];
                let longer = if connection == Connection::Cold { longer } else { 0 };
                windows.push(window(series, start_ms, trip, trips * trip + 30 + longer));
            }
        }
    }
    windows
}

fn measured(folder: &Path) {
    std::fs::write(folder.join("nearside.toml"), config()).unwrap();
    let mut store = Store::open(folder.join("nearside.sqlite")).unwrap();
    let now_ms = SystemClock.wall_ms();
    let last_ms = now_ms - now_ms % WINDOW_MS - WINDOW_MS;
    for back in (0..WINDOWS).rev() {
        store.write(&windows(last_ms - back * WINDOW_MS)).unwrap();
    }
}

fn run(folder: &Path, line: &str) -> support::Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
    command.args(line.split(' ')).current_dir(folder).stdin(Stdio::null());
    support::run(command, COMMAND_MAX)
}

#[test]
fn candidates_are_estimated_and_kinds_compared() {
    let folder = tempfile::tempdir().unwrap();
    measured(folder.path());
    let done = run(folder.path(), "recommend --regions 4 --json");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    let mut chosen = VANTAGES;
    chosen.sort_unstable();
    assert_eq!(told["regions"]["chosen"], serde_json::json!(chosen));
    // Each vantage at its own Region: 1.4 round trips and 30 ms of service, two of them of 3 ms.
    let expected = 1.4 * (3.0 + 2.0 + 4.0 + 3.0) / 4.0 + 30.0;
    let cost_ms = told["regions"]["cost_ms"].as_f64().unwrap();
    assert!((cost_ms - expected).abs() < 0.1, "{cost_ms} {expected}");
    assert_eq!(told["estimates"]["columns"], serde_json::json!(["ap-northeast-1"]));
    for (model, trips) in told["estimates"]["models"].as_array().unwrap().iter().zip([3.0, 1.0]) {
        assert!((model["multiplier"].as_f64().unwrap() - trips).abs() < 0.01, "{model}");
        assert!(model["left_out_error_p90_share"].as_f64().unwrap() < 0.01, "{model}");
    }
    let kinds = told["endpoint_kinds"].as_array().unwrap();
    let reasons: Vec<&str> = kinds.iter().filter_map(|kind| kind["reason"].as_str()).collect();
    assert_eq!(reasons, ["faster", "no-difference"], "{kinds:?}");
    assert!((kinds[0]["gain_ms"].as_f64().unwrap() - EDGE_COLD_MS as f64).abs() < 0.5);
    assert_eq!(told["migration"].as_array().unwrap().len(), 5);

    let page = run(folder.path(), "recommend --regions 4 --pin us-east-1 --quiet");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("recommend_stored", page.stdout));
}

/// An app around the endpoints: every function reads a table in us-east-1 twice, a page is kept at the
/// edges, a distribution stands before an edge-optimized domain, another has the service's name as
/// its origin.
fn app_config() -> String {
    let mut text = config().replace("candidates = [\"ap-northeast-1\"]", "candidates = []");
    let targets = [
        ("page", "static", ""),
        ("twice", "edge", ""),
        ("by-name", "edge", ""),
        ("data-us-east-1", "data", "us-east-1"),
        ("data-eu-west-1", "data", "eu-west-1"),
    ];
    for (id, kind, region) in targets {
        writeln!(
            text,
            "[[target]]\nid = \"{id}\"\nkind = \"{kind}\"\nurl = \"https://{id}.example.test/\""
        )
        .unwrap();
        if !region.is_empty() {
            writeln!(text, "region = \"{region}\"").unwrap();
        }
    }
    text + "[[journey]]\nid = \"visit\"\nsteps = [\"page\", \"us-east-1\", \"data-us-east-1\"]\n"
}

const CONNECTIONS: [(Connection, u64); 2] = [(Connection::Cold, 3), (Connection::Warm, 1)];

fn series(vantage: &str, target: &str, connection: Connection, path: &str) -> Series {
    let (vantage, target, path) = (vantage.to_owned(), target.to_owned(), path.to_owned());
    Series { vantage, target, connection, path }
}

/// Six answers that told the same.
fn tell(window: &mut Window, attribution: &Attribution) {
    (0..6).for_each(|_| window.told.add(attribution));
}

fn storage(ms: u64) -> Attribution {
    let timing = ServerTiming {
        name: "dynamodb".to_owned(),
        duration_ms: Some(ms as f64),
        description: None,
    };
    Attribution { server_timing: vec![timing], ..Attribution::default() }
}

fn passed(edges: usize, region: &str) -> Attribution {
    Attribution {
        via: Some(vec!["1.1 0a.cloudfront.net (CloudFront)"; edges].join(", ")),
        apigw_rest_id: Some("id=".to_owned()),
        region: Some(region.to_owned()),
        ..Attribution::default()
    }
}

/// The windows of one vantage. Storage takes 5 ms, and two round trips where it is far.
fn app_windows(at: usize, start_ms: i64) -> Vec<Window> {
    let (vantage, trips_ms) = (VANTAGES[at], ROUND_TRIPS_MS[at]);
    let mut windows = Vec::new();
    for (connection, trips) in CONNECTIONS {
        let made = |target: &str, path: &str, trip: u64, ms: u64| {
            let series = series(vantage, target, connection, path);
            window(series, start_ms, trip, trips * trip + ms)
        };
        for (place, region) in VANTAGES[..3].iter().enumerate() {
            let far = if *region == "us-east-1" { 0 } else { 2 * ROUND_TRIPS_MS[place][1] };
            let mut api = made(region, "", trips_ms[place], 25 + 5 + far);
            tell(&mut api, &storage(5 + far));
            windows.push(api);
        }
        let mut twice = made("twice", "FRA2 miss", 4, 100);
        tell(&mut twice, &passed(2, "us-east-1"));
        let mut by_name = made("by-name", "FRA2 miss", 4, 90);
        tell(&mut by_name, &passed(1, ["eu-west-1", "us-east-1"][at % 2]));
        let whole = trips * 2 * trips_ms[1] + 33;
        windows.extend([
            twice,
            by_name,
            made("data-eu-west-1", "", trips_ms[0], 2),
            made("data-us-east-1", "", trips_ms[1], 2),
            made("page", "FRA2 hit", 4, 1),
            made("page", "FRA2 miss", 4, 300),
            made("visit", "page", 4, 1),
            made("visit", "us-east-1", trips_ms[1], 30),
            made("visit", "data-us-east-1", trips_ms[1], 2),
            made("visit", "", 4, whole),
        ]);
    }
    windows
}

#[test]
fn what_stands_around_the_endpoints_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nearside.toml"), app_config()).unwrap();
    let mut store = Store::open(folder.path().join("nearside.sqlite")).unwrap();
    // A block is a window here, so that there are blocks enough.
    store.set_grid(Grid { window_ms: WINDOW_MS, block_ms: WINDOW_MS }).unwrap();
    let now_ms = SystemClock.wall_ms();
    let last_ms = now_ms - now_ms % WINDOW_MS - WINDOW_MS;
    for back in (0..WINDOWS).rev() {
        let start_ms = last_ms - back * WINDOW_MS;
        let windows: Vec<Window> = (0..4).flat_map(|at| app_windows(at, start_ms)).collect();
        store.write(&windows).unwrap();
    }
    drop(store);
    let done = run(folder.path(), "recommend --regions 1 --json");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    let number = |path: &str| told.pointer(path).and_then(Value::as_f64).unwrap();
    let word = |path: &str| told.pointer(path).and_then(Value::as_str).unwrap();

    assert_eq!(word("/data_tier/0/home"), "us-east-1");
    assert_eq!(word("/data_tier/0/reason"), "replica");
    // Today all are best served at us-east-1: 1.4 round trips and 30 ms, where the data is. With a
    // replica in ap-south-1 or eu-west-1 those near it stay there.
    let cost = |trip: f64| 1.4 * trip + 30.0;
    let gains = [
        ("eu-west-1", cost(70.0) - cost(3.0) + cost(190.0) - cost(125.0)),
        ("ap-south-1", cost(190.0) - cost(4.0) + cost(150.0) - cost(130.0)),
    ];
    let best = gains.iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap();
    assert_eq!(word("/data_tier/0/replica/region"), best.0);
    assert!((number("/data_tier/0/replica/gain/ms") - best.1 / 4.0).abs() < 0.5, "{told}");
    assert!((number("/data_tier/0/endpoints/1/round_trips") - 2.0).abs() < 0.01, "{told}");
    assert!((number("/data_tier/0/endpoints/0/told_ms") - 5.0).abs() < 0.01);

    let paths = told["edge_paths"].as_array().unwrap();
    let reasons: Vec<(&str, &Value)> =
        paths.iter().map(|path| (path["target"].as_str().unwrap(), &path["reasons"][0])).collect();
    assert_eq!(reasons, [("by-name", &"origin-by-name".into()), ("twice", &"double-hop".into())]);
    assert_eq!(paths[1]["migration"].as_array().unwrap().len(), 5);

    let savings = told["edge_compute"]["savings"].as_array().unwrap();
    assert_eq!(savings.len(), VANTAGES.len());
    for saving in savings {
        let at = VANTAGES.iter().position(|v| saving["vantage"] == *v).unwrap();
        let expected = cost(ROUND_TRIPS_MS[at][1] as f64) - (1.4 * 4.0 + 1.0);
        assert!((saving["gain_ms"].as_f64().unwrap() - expected).abs() < 0.5, "{saving}");
        assert_eq!(saving["reason"], "faster");
    }
    let answerable = told["edge_compute"]["answerable"].as_array().unwrap();
    let of = |id: &str| &answerable.iter().find(|one| one["target"] == id).unwrap()["reason"];
    assert_eq!((of("page"), of("us-east-1")), (&"already-there".into(), &"needs-data".into()));
    assert_eq!(told["journeys"][2]["step"], "data-us-east-1");
    assert_eq!(word("/tier_moves/0/other"), "data-eu-west-1");
    let moved = cost(70.0) - cost(3.0) + cost(190.0) - cost(125.0);
    assert!((number("/tier_moves/0/gain/ms") - moved / 4.0).abs() < 0.5, "{told}");

    let page = run(folder.path(), "recommend --regions 1 --quiet");
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("recommend_around", page.stdout));
}

#[test]
fn a_store_without_costs_says_so() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("nearside.toml"), config()).unwrap();
    drop(Store::open(folder.path().join("nearside.sqlite")).unwrap());
    let done = run(folder.path(), "recommend --regions 1");
    assert_eq!(done.code, Some(1));
    let said = "error: the store has no cost of any Regional endpoint\nhint: measure with";
    assert!(done.stderr.contains(said), "{}", done.stderr);
}
