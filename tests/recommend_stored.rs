//! `advisor recommend` without a matrix: what the store has of endpoints, estimates for candidates,
//! and endpoints of different kinds side by side.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use probe::clock::{Clock as _, SystemClock};
use probe::sample::{Connection, Series};
use probe::store::Store;
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
