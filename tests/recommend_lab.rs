//! `advisor recommend` on what a probe measured of the lab's app: far storage, two edges one behind the
//! other, an origin by name, and what answers at the edge would save, each against the lab's truth.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::{Done, Lab};

/// Every function reads a table in us-east-1 once.
const SCENARIO: &str = r#"
vantages = ["us-east-1", "eu-west-1", "ap-south-1", "ap-southeast-1"]
[[endpoint]]
region = "us-east-1"
[[endpoint]]
region = "eu-west-1"
[[endpoint]]
region = "ap-south-1"
[[endpoint]]
region = "ap-southeast-1"
[app]
api_data_calls = 1
[config]
interval_ms = 1000
window_ms = 1000
block_ms = 2000
"#;
const JOURNEY: &str = "\n[[journey]]\nid = 'visit'\nsteps = ['page', 'data-us-east-1']\n";
/// Most of the 24 blocks of the evidence, of which 18 are needed.
const MEASURED: &str = "probe run --for 46s";

fn run(folder: &Path, line: &str) -> Done {
    let mut words = line.split(' ');
    let program = match words.next().unwrap() {
        "probe" => env!("CARGO_BIN_EXE_probe"),
        _ => env!("CARGO_BIN_EXE_advisor"),
    };
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(std::process::Stdio::null());
    support::run(command, Duration::from_secs(90))
}

fn told() -> Value {
    let folder = tempfile::tempdir().unwrap();
    let scenario = folder.path().join("app.toml");
    std::fs::write(&scenario, SCENARIO).unwrap();
    let lab = Lab::start(&folder.path().join("lab"), scenario.to_str().unwrap());
    let config = std::fs::read_to_string(lab.config()).unwrap() + JOURNEY;
    std::fs::write(folder.path().join("nearside.toml"), config).unwrap();
    let measured = run(folder.path(), MEASURED);
    assert_eq!(measured.code, Some(0), "{}", measured.stderr);
    let done = run(folder.path(), "advisor recommend --regions 2 --json");
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

#[test]
fn the_lab_s_app_is_seen_as_it_is() {
    let told = told();
    let tier = &told["data_tier"][0];
    assert_eq!((&tier["home"], &tier["reason"]), (&"us-east-1".into(), &"replica".into()));
    assert_eq!(tier["replica"]["borne_out"], true, "{tier}");
    assert!(tier["replica"]["gain"]["low_ms"].as_f64().unwrap() > 5.0, "{tier}");
    let endpoints = tier["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 4);
    for far in &endpoints[1..] {
        let trips = far["round_trips"].as_f64().unwrap();
        assert!((trips - 1.0).abs() < 0.2, "one read is one round trip: {far}");
        assert!(far["processing_share"].as_f64().unwrap() > 0.2, "{far}");
    }
    // Service takes 30 ms; what is far must not be taken for it.
    for model in told["estimates"]["models"].as_array().unwrap() {
        assert!((model["trips_to_data"].as_f64().unwrap() - 1.0).abs() < 0.3, "{model}");
        assert!(model["left_out_error_p50_share"].as_f64().unwrap() < 0.15, "{model}");
    }

    let path = |id: &str| {
        let paths = told["edge_paths"].as_array().unwrap();
        paths.iter().find(|path| path["target"] == id).unwrap()
    };
    assert_eq!(path("api-twice")["reasons"], serde_json::json!(["double-hop"]));
    assert_eq!(path("api-by-name")["reasons"], serde_json::json!(["origin-by-name"]));
    for one_edge in ["page", "api-cloudfront", "api-edge-optimized"] {
        assert_eq!(path(one_edge)["reasons"], serde_json::json!(["one-edge"]), "{one_edge}");
    }
    // Each vantage's edge stands in its own Region, so that the name leads to that Region's endpoint.
    for (vantage, region) in path("api-by-name")["region_by_vantage"].as_object().unwrap() {
        assert_eq!(region, vantage);
    }

    let savings = told["edge_compute"]["savings"].as_array().unwrap();
    assert_eq!(savings.len(), 4);
    for saving in savings {
        assert_eq!(saving["reason"], "faster", "{saving}");
        // No less than the 30 ms of service, which an object in the cache does not need.
        assert!(saving["gain_ms"].as_f64().unwrap() > 20.0, "{saving}");
    }
    let steps: Vec<&str> =
        told["journeys"].as_array().unwrap().iter().filter_map(|s| s["step"].as_str()).collect();
    assert_eq!(steps, ["page", "data-us-east-1"]);
    let best = &told["tier_moves"][0];
    assert_eq!(best["now"], "data-us-east-1");
    assert!(best["gain"]["low_ms"].as_f64().unwrap() > 10.0, "{best}");
}
