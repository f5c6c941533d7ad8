//! CloudWatch as the store of the binaries: probes publish to it, the advisor decides from it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod stage;
#[path = "../support/mod.rs"]
mod support;
mod told;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use lab::LabOptions;
use lab::cloudwatch::{Fault, Operation};
use lab::scenario::Scenario;
use probe::clock::{Clock as _, SystemClock};
use probe::sample::{Connection, Series};
use probe::window::Window;
use serde_json::Value;
use stage::{STORE, command, configuration, document, run, send};
use support::Lab;

const BLOCK_MS: i64 = 4 * 3_600_000;

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
    send(lab, windows, BTreeMap::new());
}

#[test]
fn the_advisor_decides_from_cloudwatch() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let config = configuration(&lab.config(), folder.path(), "");
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
    let config = configuration(&lab.config(), folder.path(), "");
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
    let config = configuration(&lab.config(), folder.path(), "max_metrics = 100\n");
    let refused = |config: &Path, store: &str| {
        let line = format!("probe run --vantage us-east-1 --for 1s --store {store}");
        let done = run(&lab, folder.path(), config, &line);
        assert_eq!(done.code, Some(2), "{}", done.stderr);
        done.stderr
    };
    let over = refused(&config, STORE);
    let said = "96 series make 144 metrics in CloudWatch, over cloudwatch.max_metrics (100)";
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
    // Kept connections have no phase of their own here; each cold pair is read by four metrics, each
    // warm one by three, 182.5 times a month.
    let quantity = |what: &str| {
        let lines = bill["month"]["lines"].as_array().unwrap();
        lines.iter().find(|line| line["what"] == what).unwrap()["quantity"].clone()
    };
    assert_eq!(quantity("CloudWatch metrics"), 144.0);
    assert_eq!(quantity("metrics asked by GetMetricData"), 48.0 * 7.0 * 182.5);
    assert!(bill["month"]["usd"].as_f64().unwrap() > 43.2, "{bill}");
}

/// A disk that takes no byte stands in nobody's way, and what nobody has at the end is counted as dropped.
#[test]
fn a_full_disk_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let config = configuration(&lab.config(), folder.path(), "");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = format!("http://{nobody}");
    let told = |cloudwatch: &str| {
        let line = format!("probe run --vantage us-east-1 --for 3s --store {STORE} --json");
        let mut full = Command::new("sh");
        // The system refuses each write to a file as a full disk does, with another code.
        full.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""]);
        let inner = command(folder.path(), &config, &line);
        full.arg(inner.get_program()).args(inner.get_args()).current_dir(folder.path());
        let variables = [
            ("AWS_ENDPOINT_URL_CLOUDWATCH", cloudwatch),
            ("AWS_ACCESS_KEY_ID", "lab"),
            ("AWS_SECRET_ACCESS_KEY", "lab"),
        ];
        let done = support::run_with(full, Duration::from_mins(1), &variables);
        assert!(done.stderr.contains("the spool's disk takes nothing"), "{}", done.stderr);
        let summary = document(&done);
        println!("full disk: {}", summary["cloudwatch"]);
        let count = |key: &str| summary["cloudwatch"][key].as_u64().unwrap();
        (count("sent"), count("spooled"), count("dropped"), count("duplicated"))
    };
    let (sent, spooled, dropped, duplicated) = told(lab.text("cloudwatch"));
    assert!(sent >= 8 && (spooled, dropped, duplicated) == (0, 0, 0), "{sent} {spooled} {dropped}");
    let (sent, spooled, dropped, duplicated) = told(&away);
    assert!(dropped >= 8 && (sent, spooled, duplicated) == (0, 0, 0), "{sent} {spooled} {dropped}");
}

/// What is wrong with whoever publishes and reads is said, no secret is shown, and no window is lost by it.
#[test]
fn whoever_asks_wrongly_is_told_and_loses_nothing() {
    const SECRET: &str = "a-secret-that-nobody-may-see";
    let folder = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options =
        LabOptions { scenario: Scenario::calm(), seed: 7, dir: folder.path().join("lab") };
    let lab = runtime.block_on(lab::Lab::start(options)).unwrap();
    let facts = lab.facts().clone();
    let config = configuration(&facts.config, folder.path(), "");
    let asked = |line: &str, credentials: bool| {
        let mut variables = vec![
            ("AWS_ENDPOINT_URL_CLOUDWATCH", facts.cloudwatch.as_str()),
            ("AWS_ENDPOINT_URL_ROUTE_53", &facts.route53),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        if credentials {
            variables.extend([("AWS_ACCESS_KEY_ID", "lab"), ("AWS_SECRET_ACCESS_KEY", SECRET)]);
        }
        let command = command(folder.path(), &config, &format!("{line} --store {STORE}"));
        let done = support::run_with(command, Duration::from_mins(1), &variables);
        assert!(!done.stderr.contains(SECRET) && !done.stdout.contains(SECRET), "{}", done.stderr);
        done
    };
    let mut told = String::new();
    let mut tell = |what: &str, credentials: bool| {
        let sent = asked("probe run --vantage us-east-1 --for 2s", credentials);
        assert_eq!(sent.code, Some(0), "{}", sent.stderr);
        let warning = sent.stderr.lines().find_map(|line| line.split_once(" WARN ")).unwrap().1;
        let read = asked("advisor matrix", credentials);
        assert_eq!(read.code, Some(1), "{}", read.stderr);
        writeln!(told, "{what}\n  {warning}\n{}", read.stderr).unwrap();
    };
    tell("no credentials", false);
    let faults = lab.cloudwatch().faults();
    for fault in [
        Fault::AccessDenied,
        Fault::ExpiredToken,
        Fault::InvalidClientTokenId,
        Fault::ClockAhead(960),
    ] {
        for operation in [Operation::PutMetricData, Operation::GetMetricData] {
            faults.stand(operation, fault);
        }
        tell(&format!("{fault:?}"), true);
    }
    faults.clear();
    let waiting = std::fs::read_dir(folder.path().join("spool")).unwrap();
    let ends: Vec<String> = waiting
        .filter_map(|file| Some(file.unwrap().path().extension()?.to_str()?.to_owned()))
        .collect();
    assert!(ends.len() >= 5 && ends.iter().all(|end| end == "json"), "none is in doubt: {ends:?}");
    let line = "probe run --vantage us-east-1 --for 2s --json";
    let summary = document(&asked(line, true));
    let counts = &summary["cloudwatch"];
    println!("after five runs of whoever may not ask: {counts}");
    // Four endpoints, cold and warm, in each of the six runs; a minute may end in any.
    assert!(counts["sent"].as_u64().unwrap() >= 48, "{summary}");
    for none in ["spooled", "dropped", "refused", "duplicated"] {
        assert_eq!(counts[none], 0, "{summary}");
    }
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b\d{8}T\d{6}Z\b", "[TIME]");
    // Between signing and reading a second may begin.
    settings.add_filter(r"16 min 1 s|15 min 59 s", "16 min");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!("fleet_who_asks", told));
    runtime.block_on(lab.shutdown());
}
