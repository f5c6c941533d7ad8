//! CloudWatch as the store of the binaries: probes publish to it, the advisor decides from it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws::{Access, CloudWatchCourier};
use probe::clock::{Clock as _, SystemClock};
use probe::publish::Shape;
use probe::sample::{Connection, Phase, Series};
use probe::spool::{Disk, Rules, Spool};
use probe::window::{Sink as _, Window};
use serde_json::Value;
use support::{Done, Lab};

const BLOCK_MS: i64 = 4 * 3_600_000;
const STORE: &str = "cloudwatch:Nearside";

/// The lab's configuration with the product's own windows and blocks, and a section for CloudWatch.
fn configuration(lab: &Lab, folder: &Path, more: &str) -> PathBuf {
    let mut config: toml::Table = std::fs::read_to_string(lab.config()).unwrap().parse().unwrap();
    let evidence = config["evidence"].as_table_mut().unwrap();
    for key in ["window", "block", "volatility_history"] {
        evidence.remove(key);
    }
    config["guard"].as_table_mut().unwrap().insert("max_traffic_moved".into(), 1.0.into());
    let spool = folder.join("spool");
    let section = format!(
        "\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\nphases = ['connect']\n\
         spool = '{}'\n{more}",
        spool.display()
    );
    let path = folder.join("fleet.toml");
    std::fs::write(&path, config.to_string() + &section).unwrap();
    path
}

fn run(lab: &Lab, folder: &Path, config: &Path, line: &str) -> Done {
    let mut words = line.split(' ');
    let program = match words.next().unwrap() {
        "probe" => env!("CARGO_BIN_EXE_probe"),
        _ => env!("CARGO_BIN_EXE_advisor"),
    };
    let mut command = Command::new(program);
    command.args(words).arg("--config").arg(config).current_dir(folder);
    let variables = [
        ("AWS_ENDPOINT_URL_ROUTE_53", lab.text("route53")),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", lab.text("cloudwatch")),
        ("AWS_ACCESS_KEY_ID", "lab"),
        ("AWS_SECRET_ACCESS_KEY", "lab"),
    ];
    support::run_with(command, Duration::from_mins(1), &variables)
}

fn document(done: &Done) -> Value {
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// Twenty-four blocks of every series: near endpoints are fast, and one is slow for everybody.
fn publish(lab: &Lab) {
    let vantages = lab.facts["vantages"].as_array().unwrap();
    let endpoints = lab.facts["endpoints"].as_array().unwrap();
    let now_ms = SystemClock.wall_ms();
    let block_ms = |back: i64| now_ms - now_ms.rem_euclid(BLOCK_MS) - back * BLOCK_MS;
    let mut windows = Vec::new();
    for vantage in vantages.iter().map(|one| one["id"].as_str().unwrap()) {
        for target in endpoints.iter().map(|one| one["region"].as_str().unwrap()) {
            // Above what light needs to the far side of the earth and back.
            let trip_us = if vantage == target { 5_000 } else { 220_000 };
            let slow_us = if target == "ap-southeast-1" { 300_000 } else { 30_000 };
            for connection in [Connection::Cold, Connection::Warm] {
                let series = Series {
                    vantage: vantage.to_owned(),
                    target: target.to_owned(),
                    connection,
                    path: String::new(),
                };
                windows.extend((1..=24).map(|back| {
                    let mut window = Window::new(series.clone(), block_ms(back), 60_000);
                    // As many as the lab's intervals of 0.5 and 1 s give.
                    window.response.record_n(trip_us + slow_us, 28_800);
                    if connection == Connection::Cold {
                        window.phases.connect.record_n(trip_us, 28_800);
                    }
                    window.attempts = 28_800;
                    window
                }));
            }
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let access = Access {
        cloudwatch_url: Some(lab.text("cloudwatch").to_owned()),
        credentials: Some(("lab".to_owned(), "lab".to_owned())),
        ..Access::default()
    };
    let courier = runtime.block_on(CloudWatchCourier::open(&access, "eu-west-1", "Nearside"));
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 26, now_ms).unwrap();
    let shape = Shape { phases: vec![Phase::Connect], timeouts_us: BTreeMap::new() };
    let rules = Rules { shape, metrics_max: 10_000, settle: Duration::ZERO };
    let mut spool = Spool::new(disk, courier, Arc::new(SystemClock), rules);
    let (counts, all) = (spool.counts(), windows.len() as u64);
    spool.write(windows).unwrap();
    while counts.lock().unwrap().spooled > 0 {
        spool.write(Vec::new()).unwrap();
    }
    assert_eq!(counts.lock().unwrap().sent, all);
}

#[test]
fn the_advisor_decides_from_cloudwatch() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let config = configuration(&lab, folder.path(), "");
    publish(&lab);
    let ask = |line: &str| {
        document(&run(&lab, folder.path(), &config, &format!("{line} --store {STORE} --json")))
    };
    let matrix = ask("advisor matrix");
    let regret = ask("advisor regret");
    let plan = ask("advisor plan --out plan.json");
    assert_eq!(matrix["block_ms"], BLOCK_MS, "{matrix:#}");
    assert_eq!(regret["preferred"], "modelled", "{regret:#}");
    let labels = plan["advice"]["labels"].as_array().unwrap();
    assert_eq!(labels.len(), 4, "{plan}");
    let moves: Vec<&Value> =
        labels.iter().filter(|line| line["current"] != line["advised"]).collect();
    assert_eq!(moves.len(), 1, "{plan:#}");
    assert_eq!(moves[0]["label"], "ap-southeast-1");
    assert!(folder.path().join("plan.json").exists());
    let doctor = ask("advisor doctor");
    assert_eq!(doctor["failed"], 0, "{doctor:#}");
    let seen: Vec<&str> =
        doctor["checks"].as_array().unwrap().iter().map(|c| c["what"].as_str().unwrap()).collect();
    assert_eq!(
        seen[..6],
        ["configuration", "clock", "credentials", "zone", "records", "protections"]
    );
    assert_eq!(seen[seen.len() - 3..], ["journal", "metrics", "measurements"]);
    assert_eq!(seen.len(), 17, "two for each endpoint: {seen:?}");
    the_dashboard_shows_it(&lab, folder.path(), &config);
}

/// What was published, and what looking costs; what fails stands in the log.
fn the_dashboard_shows_it(lab: &Lab, folder: &Path, config: &Path) {
    let frame = |more: &str| {
        let line = format!("advisor tui --frame 140x40 --store {STORE} {more}");
        run(lab, folder, config, &line)
    };
    let drawn = |more: &str| {
        let done = frame(more);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stdout
    };
    // A week by blocks: every block has all its samples in its first minute.
    let matrix = drawn("--keys tttt");
    let row = matrix.lines().find(|line| line.starts_with(" us-east-1")).unwrap();
    assert!(row.contains("35.0") && row.contains("520.2"), "{matrix}");
    // 48 pairs, 9 statistics each, every 5 min; 3 of 96 series a block, 48 round trips an hour.
    assert!(matrix.contains("CloudWatch every 5 min: at most 38.72 USD a month"), "{matrix}");
    let cell = drawn("--refresh 1h --keys tttt2");
    assert!(cell.contains("CloudWatch every 1 h: at most 4.03 USD a month"), "{cell}");
    for words in ["History, cold", "p99", "connect", "of 691,200 samples"] {
        assert!(cell.contains(words), "{words}: {cell}");
    }
    let refused = frame("--refresh 10s");
    assert_eq!(refused.code, Some(2), "{}", refused.stderr);
    assert!(refused.stderr.contains("--refresh 10 s: must be 1m to 24h"), "{}", refused.stderr);
    let file = run(lab, folder, config, "advisor tui --frame 80x24 --refresh 5m");
    assert_eq!(file.code, Some(2), "{}", file.stderr);
    assert!(file.stderr.contains("--refresh is for CloudWatch"), "{}", file.stderr);
}

#[test]
fn a_probe_publishes_and_says_what_became_of_its_windows() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let config = configuration(&lab, folder.path(), "");
    let line = format!("probe run --vantage us-east-1 --for 3s --store {STORE} --json");
    let summary = document(&run(&lab, folder.path(), &config, &line));
    let told = &summary["cloudwatch"];
    // Four endpoints, cold and warm; a minute may end meanwhile.
    assert!(told["sent"].as_u64().unwrap() >= 8, "{summary}");
    for none in ["spooled", "dropped", "refused", "duplicated", "over_budget"] {
        assert_eq!(told[none], 0, "{summary}");
    }
    let left: Vec<_> = std::fs::read_dir(folder.path().join("spool")).unwrap().collect();
    assert_eq!(left.len(), 1, "nothing but the lock: {left:?}");
}

#[test]
fn what_cannot_be_published_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let config = configuration(&lab, folder.path(), "max_metrics = 100\n");
    let refused = |config: &Path, store: &str| {
        let line = format!("probe run --vantage us-east-1 --for 1s --store {store}");
        let done = run(&lab, folder.path(), config, &line);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        done.stderr
    };
    let over = refused(&config, STORE);
    let said = "96 series make 192 metrics in CloudWatch, over cloudwatch.max_metrics (100)";
    assert!(over.contains(said), "{over}");
    let other = refused(&config, "cloudwatch:Other");
    assert!(other.contains("the configuration says namespace Nearside"), "{other}");
    let without = refused(&lab.config(), STORE);
    assert!(without.contains("needs [cloudwatch] in the configuration"), "{without}");
    let short = folder.path().join("short.toml");
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let text = text + "\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\n";
    std::fs::write(&short, text).unwrap();
    let grid = refused(&short, STORE);
    assert!(grid.contains("must be whole minutes for CloudWatch"), "{grid}");
    let empty = run(&lab, folder.path(), &lab.config(), "advisor doctor");
    assert_eq!(empty.code, Some(1), "{}", empty.stdout);
    assert!(empty.stdout.contains("FAIL  measurements: "), "{}", empty.stdout);
    assert!(
        empty.stdout.contains("ok    endpoint ap-south-1: answers over TLS"),
        "{}",
        empty.stdout
    );
    let bill = document(&run(&lab, folder.path(), &config, "advisor cost --json"));
    assert_eq!(bill["month"]["lines"][0]["quantity"], 192.0);
    assert!(bill["month"]["usd"].as_f64().unwrap() > 57.0, "{bill}");
}
