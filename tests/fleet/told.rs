//! Reports and deployment advice from CloudWatch, beside those of an embedded store that holds the
//! same samples: the same advice, figures within the stated error, and nothing that says 0 of what
//! CloudWatch does not know.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use probe::clock::{Clock as _, SystemClock};
use probe::histogram::next_above_us;
use probe::publish::counts::error_bound;
use probe::sample::{Connection, Series};
use probe::store::{Grid, Store};
use probe::window::Window;
use serde_json::Value;

use crate::stage::{STORE, configuration, run, send};
use crate::support::{Done, Lab};

const MINUTE_MS: i64 = 60_000;
const BLOCK_MS: i64 = 4 * MINUTE_MS;
const BLOCKS: i64 = 26;
const TIMEOUT_US: u64 = 10_000_000;
const SAMPLES: u64 = 6;
const CANDIDATE: &str = "candidate-eu-north-1";
/// Here some slots were missed, so that its windows are no evidence.
const MISSING: (&str, &str) = ("us-east-1", "eu-west-1");
/// And here one sample of 48 fails.
const FAILING: (&str, &str) = ("sa-east-1", "us-east-1");
/// What a histogram of three digits adds to an error.
const DIGITS: f64 = 0.002;

/// Short blocks, a candidate, and promises of which one is kept and one is not.
fn short(config: &Path) {
    let mut table: toml::Table = std::fs::read_to_string(config).unwrap().parse().unwrap();
    let candidates = toml::Value::Array(vec!["eu-north-1".into()]);
    table.insert("candidates".into(), candidates);
    let mut set = |section: &str, key: &str, value: &str| {
        let section = table[section].as_table_mut().unwrap();
        section.insert(key.into(), value.into());
    };
    set("evidence", "window", "1m");
    set("evidence", "block", "4m");
    set("evidence", "volatility_history", "2h");
    set("probe", "timeout", "10s");
    set("probe", "interval", "10s");
    set("probe", "interval_warm", "10s");
    let promises = "\n[[slo]]\ntarget = 'us-east-1'\nquantile = 0.9\nlimit_ms = 700\nshare = 0.9\n\
                    [[slo]]\ntarget = 'ap-south-1'\nquantile = 0.5\nlimit_ms = 285\nshare = 0.2\n";
    std::fs::write(config, table.to_string() + promises).unwrap();
}

/// Above what light needs to the far side of the earth and back; 0 to 24 % more by a fixed sequence.
fn trip_us(vantage: &str, target: &str, at: u64) -> u64 {
    let least = if target.ends_with(vantage) { 5_000 } else { 215_000 };
    least + (at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % (least / 4)
}

fn window(series: Series, start_ms: i64) -> Window {
    let place = (series.vantage.clone(), series.target.clone());
    let is = |other: (&str, &str)| place.0 == other.0 && place.1 == other.1;
    let is_cold = series.connection == Connection::Cold;
    let service_us = match place.1.as_str() {
        "ap-southeast-1" => 900_000,
        "eu-west-1" => 45_000,
        "us-east-1" => 60_000,
        _ => 30_000,
    };
    let minute = start_ms.unsigned_abs() / 60_000;
    let mut window = Window::new(series, start_ms, MINUTE_MS);
    for sample in 0..SAMPLES {
        let at = minute * SAMPLES + sample;
        window.attempts += 1;
        if is(FAILING) && at.is_multiple_of(48) {
            *window.failures.entry("connect_timeout").or_insert(0) += 1;
            window.response.record(next_above_us(TIMEOUT_US));
            continue;
        }
        let trip_us = trip_us(&place.0, &place.1, at);
        window.response.record(service_us + trip_us * if is_cold { 3 } else { 1 });
        if is_cold {
            window.phases.connect.record(trip_us);
        }
    }
    if is(MISSING) && minute.is_multiple_of(10) {
        window.missed = 2;
    }
    window
}

/// The same windows in both stores, up to the minute that runs. Says how many samples they hold.
fn fill(lab: &Lab, folder: &Path) -> u64 {
    let ids = |key: &str, id: &str| -> Vec<String> {
        let all = lab.facts[key].as_array().unwrap().iter();
        all.map(|one| one[id].as_str().unwrap().to_owned()).collect()
    };
    let (vantages, mut targets) = (ids("vantages", "id"), ids("endpoints", "region"));
    targets.push(CANDIDATE.to_owned());
    let now_ms = SystemClock.wall_ms();
    let end_ms = now_ms - now_ms.rem_euclid(MINUTE_MS);
    let first_ms = end_ms - end_ms.rem_euclid(BLOCK_MS) - BLOCKS * BLOCK_MS;
    let mut store = Store::open(folder.join("own.sqlite")).unwrap();
    store.set_grid(Grid { window_ms: MINUTE_MS, block_ms: BLOCK_MS }).unwrap();
    let mut all = Vec::new();
    for start_ms in (first_ms..end_ms).step_by(60_000) {
        let mut windows = Vec::new();
        for vantage in &vantages {
            for target in &targets {
                for connection in [Connection::Cold, Connection::Warm] {
                    let (vantage, target) = (vantage.clone(), target.clone());
                    let series = Series { vantage, target, connection, path: String::new() };
                    windows.push(window(series, start_ms));
                }
            }
        }
        store.write(&windows).unwrap();
        all.extend(windows);
    }
    store.close_open_blocks(end_ms).unwrap();
    let timeouts = targets.into_iter().map(|target| (target, TIMEOUT_US)).collect();
    let samples = all.iter().map(|window| window.attempts).sum();
    send(lab, all, timeouts);
    samples
}

struct Stage {
    samples: u64,
    lab: Lab,
    folder: tempfile::TempDir,
    config: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let lab = Lab::start(&folder.path().join("lab"), "calm");
        let config = configuration(&lab.config(), folder.path(), "");
        short(&config);
        let samples = fill(&lab, folder.path());
        Self { samples, lab, folder, config }
    }

    fn run(&self, line: &str, store: &str) -> Done {
        let line = format!("advisor {line} --store {store}");
        run(&self.lab, self.folder.path(), &self.config, &line)
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap()
    }

    fn json(&self, file: &str) -> Value {
        serde_json::from_str(&self.read(file)).unwrap()
    }
}

const OWN: &str = "sqlite:own.sqlite";

/// The lines of a list by what they are about.
fn by<'a>(document: &'a Value, list: &str, keys: &[&str]) -> BTreeMap<String, &'a Value> {
    let lines = document[list].as_array().unwrap().iter();
    let key =
        |line: &Value| keys.iter().map(|key| line[*key].to_string()).collect::<Vec<_>>().join(" ");
    let found: BTreeMap<String, &Value> = lines.map(|line| (key(line), line)).collect();
    assert!(!found.is_empty(), "{list}");
    found
}

fn off(told: &Value, truth: &Value) -> f64 {
    (told.as_f64().unwrap() / truth.as_f64().unwrap() - 1.0).abs()
}

#[test]
fn a_report_from_cloudwatch_tells_what_the_embedded_store_tells() {
    let stage = Stage::new();
    let report = |store: &str, out: &str| {
        let done = stage.run(&format!("report --since 3h --out {out} --json"), store);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let said: Value = serde_json::from_str(&done.stdout).unwrap();
        (said, stage.json(&format!("{out}/report.json")))
    };
    let (_, own) = report(OWN, "own");
    let (said, fleet) = report(STORE, "fleet");
    assert_eq!((&own["store"], &fleet["store"]), (&"sqlite".into(), &"cloudwatch".into()));
    // The hour that runs is among them, whose windows are not an hour yet: none is counted twice.
    for told in [&own, &fleet] {
        assert_eq!(told["monitoring"]["requests"], stage.samples);
    }
    same_advice(&own, &fleet);
    let worst = figures_are_near(&own, &fleet);
    let bound = error_bound() + DIGITS;
    println!("percentiles are off by at most {:.2} % of {:.2} %", worst * 100.0, bound * 100.0);
    unknown_is_not_zero(&own, &fleet);
    let markdown = stage.read("fleet/report.md");
    for words in [
        "slots missed and late starts are not known from CloudWatch",
        "Percentiles of what CloudWatch counts",
        "at most 3.7 % off",
        "CloudWatch keeps them apart",
        "advisor cost tells how much",
    ] {
        assert!(markdown.contains(words), "{words}: {markdown}");
    }
    assert!(stage.read("fleet/report.html").contains("slots missed and late starts are not known"));
    let spent = &said["cloudwatch"];
    println!("a report asked for {} metrics in {} calls", spent["metrics"], spent["calls"]);
    assert!(spent["calls"].as_u64().unwrap() <= 30, "{spent}");
    // The first objective is not kept, whoever is asked.
    for store in [OWN, STORE] {
        let done = stage.run("report --since 3h --out breach --fail-on-breach", store);
        assert_eq!(done.code, Some(6), "{}", done.stderr);
        assert!(done.stderr.contains("1 objectives are breached"), "{}", done.stderr);
    }
}

fn same_advice(own: &Value, fleet: &Value) {
    let keys = ["label", "current", "advised", "reason"];
    let of = |document| by(document, "advice", &keys).into_keys().collect::<Vec<_>>();
    assert_eq!(of(own), of(fleet));
    assert!(of(own).iter().any(|line| line.contains("repoint")), "{:?}", of(own));
    let keys = ["vantage", "endpoint", "challenger", "proven"];
    let of = |document| by(document, "regret", &keys).into_keys().collect::<Vec<_>>();
    assert_eq!(of(own), of(fleet));
    let of = |document: &Value| {
        let lines = document["deployment"].as_array().unwrap().iter();
        let choices = lines.flat_map(|line| line["choices"].as_array().unwrap());
        choices.map(|choice| choice["chosen"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of(own), of(fleet));
    assert!(
        of(own).iter().any(|chosen| chosen.to_string().contains("eu-north-1")),
        "{:?}",
        of(own)
    );
}

/// Says by how much percentiles are off at most.
fn figures_are_near(own: &Value, fleet: &Value) -> f64 {
    let bound = error_bound() + DIGITS;
    let keys = ["population", "target", "connection"];
    let (truths, told) = (by(own, "targets", &keys), by(fleet, "targets", &keys));
    assert!(truths.keys().eq(told.keys()), "{truths:#?} {told:#?}");
    let mut worst: f64 = 0.0;
    for (key, truth) in &truths {
        let found = told[key];
        for percentile in ["p50_ms", "p95_ms", "p99_ms"] {
            let error = off(&found[percentile], &truth[percentile]);
            assert!(error <= bound, "{key} {percentile}: {found} for {truth}");
            worst = worst.max(error);
        }
        let connect = |line: &Value| {
            let phases = line["phases"].as_array().unwrap().iter();
            phases.filter(|one| one["phase"] == "connect").map(|one| one["mean_ms"].clone()).next()
        };
        match (connect(found), connect(truth)) {
            (Some(found), Some(truth)) => assert!(off(&found, &truth) < DIGITS, "{key}"),
            (None, None) => assert!(key.contains("warm"), "{key}"),
            other => panic!("{key}: {other:?}"),
        }
    }
    let keys = ["vantage", "endpoint"];
    let (truths, told) = (by(own, "cells", &keys), by(fleet, "cells", &keys));
    for (key, truth) in &truths {
        let found = told[key];
        assert_eq!(found["failures"], truth["failures"], "{key}");
        assert_eq!(
            (&found["blocks"], &found["routed"]),
            (&truth["blocks"], &truth["routed"]),
            "{key}"
        );
        assert!(off(&found["cost_ms"], &truth["cost_ms"]) < 0.01, "{found} for {truth}");
    }
    let keys = ["target", "population", "status", "share_within"];
    let of = |document| by(document, "objectives", &keys).into_keys().collect::<Vec<_>>();
    assert_eq!(of(own), of(fleet));
    worst
}

fn unknown_is_not_zero(own: &Value, fleet: &Value) {
    let (truths, told) = (by(own, "coverage", &["vantage"]), by(fleet, "coverage", &["vantage"]));
    let mut missed = 0;
    for (key, truth) in &truths {
        let found = told[key];
        let count = |line: &Value, name: &str| line[name].as_u64().unwrap();
        assert_eq!((&found["missed"], &found["late"]), (&Value::Null, &Value::Null), "{found}");
        let all = count(found, "attempts") + count(found, "incomplete");
        assert_eq!(all, count(truth, "attempts"), "{key}");
        assert_eq!(found["failures"], truth["failures"], "{key}");
        assert_eq!(found["worst_kind"], truth["worst_kind"], "{key}");
        // The newest hour is known, not its newest minute.
        let later_ms = count(found, "last_ms") - count(truth, "last_ms");
        assert!(later_ms <= 3_600_000, "{found} {truth}");
        missed += count(truth, "missed");
        assert_eq!(count(found, "incomplete") > 0, count(truth, "missed") > 0, "{found} {truth}");
    }
    assert!(missed > 0);
}

#[test]
fn recommend_from_cloudwatch_advises_what_the_embedded_store_advises() {
    let stage = Stage::new();
    let ask = |store: &str| {
        let done = stage.run("recommend --regions 3 --json", store);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        let told: Value = serde_json::from_str(&done.stdout).unwrap();
        (told, done.stderr)
    };
    let ((own, _), (fleet, said)) = (ask(OWN), ask(STORE));
    assert_eq!(own["regions"]["chosen"], fleet["regions"]["chosen"]);
    let bound = error_bound() + DIGITS;
    assert!(off(&fleet["regions"]["cost_ms"], &own["regions"]["cost_ms"]) <= bound);
    assert_eq!(own["estimates"]["columns"], fleet["estimates"]["columns"]);
    assert_eq!(fleet["estimates"]["columns"], serde_json::json!(["eu-north-1"]));
    for unknown in
        ["endpoint_kinds", "edge_paths", "data_tier", "journeys", "tier_moves", "edge_compute"]
    {
        assert_eq!(fleet[unknown], Value::Null, "{unknown}");
        assert_ne!(own[unknown], Value::Null, "{unknown}");
    }
    assert!(said.contains("CloudWatch was asked for "), "{said}");
    let text = stage.run("recommend --regions 3", STORE);
    assert!(
        text.stdout.contains("not known from CloudWatch: kinds of endpoints"),
        "{}",
        text.stdout
    );
    assert!(!text.stdout.contains("no function tells"), "{}", text.stdout);
}
