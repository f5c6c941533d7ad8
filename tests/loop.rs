//! The whole loop as a user runs it: `advisor demo`, on real sockets, for each seed asked for.
//!
//! One seed by default, for the demo takes most of a minute; `NEARSIDE_SEEDS=1,2,3` asks for more.
//! Demos run one after the other, because each measures and wants the machine to itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a helper of a test fails as the test does"
)]

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;

mod support;

/// A demo ends in under 90 s once built.
const DEMO_MAX: Duration = Duration::from_secs(90);
const FIRST_SEED: u64 = 1;

/// What one demo left behind.
struct Demo {
    document: Value,
    plan: Value,
    folder: tempfile::TempDir,
}

fn play(seed: u64) -> Demo {
    // The lock outlives a failed demo: the next one is judged by itself.
    static MACHINE: Mutex<()> = Mutex::new(());
    let _machine = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
    command.args(["demo", "--json", "--for", "42s", "--seed", &seed.to_string(), "--keep"]);
    command.arg(folder.path()).stdin(Stdio::null());
    let done = support::run(command, DEMO_MAX);
    assert_eq!(done.code, Some(0), "seed {seed}: {}", done.stderr);
    println!("seed {seed}: {}", done.stdout.trim());
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    let plan = std::fs::read_to_string(folder.path().join("plan.json")).unwrap();
    Demo { document, plan: serde_json::from_str(&plan).unwrap(), folder }
}

/// The demo of the first seed, which both tests look at.
fn first() -> &'static Demo {
    static FIRST: OnceLock<Demo> = OnceLock::new();
    FIRST.get_or_init(|| play(FIRST_SEED))
}

#[expect(clippy::disallowed_methods, reason = "the one place where this test is told its seeds")]
fn seeds() -> Vec<u64> {
    let asked = std::env::var("NEARSIDE_SEEDS").unwrap_or_else(|_| FIRST_SEED.to_string());
    asked
        .split(',')
        .map(|seed| seed.trim().parse().expect("NEARSIDE_SEEDS: whole numbers"))
        .collect()
}

fn number(document: &Value, path: &str) -> f64 {
    let found = document.pointer(path).and_then(Value::as_f64);
    found.unwrap_or_else(|| panic!("{path} is no number in {document}"))
}

fn judge(seed: u64, demo: &Demo) {
    let document = &demo.document;
    let of = |path: &str| number(document, path);
    let (before_ms, after_ms) = (of("/regret_before_ms"), of("/regret_after_ms"));
    assert!(before_ms > 5.0, "seed {seed}: Route 53's own choice should be wrong for many");
    assert!(after_ms < before_ms / 3.0, "seed {seed}: regret {before_ms} ms became {after_ms} ms");
    assert!(of("/harmed_share") <= 0.01, "seed {seed}: {document}");
    assert!(of("/measured/samples") > 5_000.0, "seed {seed}: {document}");
    assert!(of("/measured/windows") > 1_000.0, "seed {seed}: {document}");
    let expect = [
        ("/world/seed", seed as f64),
        ("/world/vantages", 12.0),
        ("/world/endpoints", 4.0),
        ("/verified/dns/as_planned", of("/verified/dns/asked")),
    ];
    for (path, value) in expect {
        assert!((of(path) - value).abs() < f64::EPSILON, "seed {seed}: {path} is not {value}");
    }
    for list in ["missing", "foreign"] {
        assert_eq!(document["verified"][list], serde_json::json!([]), "seed {seed}: {document}");
    }
    assert!(of("/verified/dns/asked") >= 24.0, "A and AAAA of every vantage");
    assert!(of("/verified/matched") > 0.0 && of("/rolled_back/matched") > 0.0, "{document}");
    assert_eq!(document["applied"]["status"], "INSYNC");
    let changes = demo.plan["plan"]["changes"].as_array().unwrap();
    assert!((of("/plan/changes") - changes.len() as f64).abs() < f64::EPSILON);
    assert_eq!(document["plan"]["id"], demo.plan["id"]);
    let report = Path::new(document["report"].as_str().unwrap());
    assert!(report.starts_with(demo.folder.path().canonicalize().unwrap()), "{document}");
    let page = std::fs::read_to_string(report).unwrap();
    assert!(page.starts_with("<!doctype html>") && page.contains("ap-southeast-1"), "{page}");
    for chart in ["Map of routing", "Median cost by vantage", "Cost over time", "Distribution of"] {
        assert!(page.contains(chart), "no chart '{chart}' in the report");
    }
    let text = std::fs::read_to_string(report.with_extension("md")).unwrap();
    assert!(text.contains("repoint") && text.contains("clients that nothing measured"), "{text}");
}

#[test]
fn the_loop_gains_and_harms_nobody() {
    for seed in seeds() {
        if seed == FIRST_SEED { judge(seed, first()) } else { judge(seed, &play(seed)) }
    }
}

/// The changes of a plan, without what must differ between two runs: the value of the lock record
/// that is deleted names the run that wrote it (`run=`), which is unique so that two appliers
/// cannot both win.
fn changes(plan: &Value) -> Vec<Value> {
    let mut changes = plan["plan"]["changes"].as_array().unwrap().clone();
    let mut runs = 0;
    for change in &mut changes {
        let deleted = change["Action"] == "DELETE";
        let set = &mut change["ResourceRecordSet"];
        if !deleted || !set["Name"].as_str().unwrap().starts_with("_nearside-lock.") {
            continue;
        }
        let value = &mut set["ResourceRecords"][0]["Value"];
        let text = value.as_str().unwrap().to_owned();
        let (before, run) = text.split_once(" run=").expect("a lock names its run");
        assert!(run.len() == 13 && run.ends_with('"'), "{text}");
        *value = Value::from(before);
        runs += 1;
    }
    assert_eq!(runs, 1, "one lock is replaced");
    changes
}

#[test]
fn the_same_seed_gives_the_same_record_changes() {
    let again = play(FIRST_SEED);
    let (once, twice) = (changes(&first().plan), changes(&again.plan));
    assert!(once.len() > 4);
    for (one, other) in once.iter().zip(&twice) {
        assert_eq!(one, other);
    }
    assert_eq!(once.len(), twice.len());
    for key in ["labels", "zone", "zone_id", "service", "generation", "thresholds"] {
        assert_eq!(first().plan["plan"][key], again.plan["plan"][key], "{key}");
    }
}
