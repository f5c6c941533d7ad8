//! The two programs as users meet them when something is wrong: messages, exit codes, what is left
//! behind. Messages are snapshots of the real output, with what differs from run to run replaced.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use advisor::plan::Plan;
use advisor::record::RecordSet;
use advisor::survey::ZoneView;
use nearside::setup::{self, Setup};
use probe::clock::{Clock as _, SystemClock};
use probe::store::Store;
use serde_json::Value;
use support::{Done, Lab, Services};

mod support;

/// The longest that a command which fails may take.
const COMMAND_MAX: Duration = Duration::from_secs(40);

/// A configuration that is whole, and of which nothing is reachable.
const CONFIG: &str = r#"
name = "api.example.test"
zone = "example.test"

[[vantage]]
id = "eu-west-1"
population = "cloud"

[[endpoint]]
id = "eu-west-1"
region = "eu-west-1"
kind = "regional"
url = "https://api.example.test/ping"
connect_to = "127.0.0.1:1"
"#;

/// A folder in which one command after the other is run.
struct Place {
    folder: tempfile::TempDir,
    services: Services,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), services: Services::none() }
    }

    fn with_lab(scenario: &str) -> (Self, Lab) {
        let mut place = Self::new();
        let lab = Lab::start(&place.path("lab"), scenario);
        let at = |service| lab.text(service).to_owned();
        place.services = Services { route53: at("route53"), apigateway: at("apigateway") };
        std::fs::copy(lab.config(), place.path("nearside.toml")).unwrap();
        (place, lab)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn command(&self, line: &str) -> Command {
        let mut command = support::command(line, self.folder.path(), &self.services);
        command.env("AWS_ACCESS_KEY_ID", "lab").env("AWS_SECRET_ACCESS_KEY", "lab");
        command
    }

    fn run(&self, line: &str) -> Done {
        support::run(self.command(line), COMMAND_MAX)
    }

    /// What a user sees of a command.
    fn seen(&self, line: &str) -> String {
        support::seen(line, &self.run(line))
    }
}

/// Compares with the snapshot of this name, without paths, ports and ids.
fn check(name: &str, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"/tmp/[A-Za-z0-9_./-]*/?\.tmp[A-Za-z0-9]+", "[FOLDER]");
    settings.add_filter(r"/[^\s:]*/\.tmp[A-Za-z0-9]+", "[FOLDER]");
    settings.add_filter(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[PORT]");
    settings.add_filter(r"api\.nearside\.test:\d{4,5}", "api.nearside.test:[PORT]");
    settings.add_filter(r"127\.53\.0\.\d+:\d{4,5}", "[ENDPOINT]");
    settings.add_filter(r"\b[0-9a-f]{64}\b", "[HASH]");
    settings.add_filter(r"\b[0-9a-f]{12}\b", "[ID]");
    settings.add_filter(r#"("[a-z_]+_us"|"[a-z]+"):\d+"#, "$1:[NUMBER]");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, seen));
}

#[test]
fn no_configuration() {
    let place = Place::new();
    check("no_configuration", &place.seen("advisor matrix"));
    check("configuration_missing", &place.seen("advisor plan --config none.toml"));
}

#[test]
fn broken_configurations() {
    let place = Place::new();
    let broken = [
        ("unknown_key", format!("colour = \"blue\"\n{CONFIG}")),
        ("bad_value", format!("{CONFIG}\n[evidence]\nalpha = 1.5\n")),
        ("not_toml", "name = api.example.test".to_owned()),
    ];
    for (name, text) in broken {
        place.write("nearside.toml", &text);
        check(&format!("config_{name}"), &place.seen("advisor matrix"));
        let probe = place.run("probe run --for 1s");
        assert_eq!((probe.code, probe.stdout.as_str()), (Some(2), ""), "{name}: {}", probe.stderr);
    }
    assert!(!place.path("nearside.sqlite").exists(), "nothing is written");
}

#[test]
fn stores_that_cannot_be_used() {
    let place = Place::new();
    place.write("nearside.toml", CONFIG);
    check("store_missing", &place.seen("advisor matrix"));
    assert!(!place.path("nearside.sqlite").exists(), "looking makes no store");
    check("store_unknown", &place.seen("advisor matrix --store postgres:x"));
    let newer = rusqlite::Connection::open(place.path("newer.sqlite")).unwrap();
    newer.pragma_update(None, "user_version", 4_000).unwrap();
    newer.close().unwrap();
    let before = std::fs::read(place.path("newer.sqlite")).unwrap();
    check("store_newer", &place.seen("advisor matrix --store sqlite:newer.sqlite"));
    let probe = place.run("probe run --for 1s --store sqlite:newer.sqlite");
    assert_eq!(probe.code, Some(1), "{}", probe.stderr);
    assert_eq!(std::fs::read(place.path("newer.sqlite")).unwrap(), before, "it is left alone");
    place.write("text.sqlite", &"this is no database\n".repeat(100));
    check("store_foreign", &place.seen("advisor matrix --store sqlite:text.sqlite"));
    let length = std::fs::metadata(place.path("text.sqlite")).unwrap().len();
    assert_eq!(length, 2_000, "it is left alone");
}

/// The plan that installs shadow records in a lab, and the records there.
fn shadow_plan(place: &Place, lab: &Lab) -> (Plan, Vec<RecordSet>) {
    let setup = setup_of(place, lab);
    runtime().block_on(async {
        let view = ZoneView::read(&setup.zone().await.unwrap(), &setup.config).await.unwrap();
        let live = view.live().unwrap();
        (view.ground(setup.now_ms()).install_shadow(&live, live.labels.keys()), view.records)
    })
}

fn setup_of(place: &Place, lab: &Lab) -> Setup {
    Setup {
        config: setup::read_config(&lab.config(), &std::collections::BTreeMap::new()).unwrap(),
        store: place.path("nearside.sqlite"),
        fleet: None,
        access: aws::Access {
            endpoint_url: Some(lab.text("route53").to_owned()),
            apigateway_url: Some(lab.text("apigateway").to_owned()),
            credentials: Some(("lab".to_owned(), "lab".to_owned())),
            ..aws::Access::default()
        },
        clock: std::sync::Arc::new(SystemClock),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

#[test]
fn plans_that_cannot_be_used() {
    let (place, lab) = Place::with_lab("calm");
    let (plan, before) = shadow_plan(&place, &lab);
    let text = plan.to_json().unwrap();
    place.write("good.json", &text);
    place.write("text.json", "this is no plan\n");
    place.write("other.json", "{\"records\": []}\n");
    let edited = text.replacen("ap-south-1", "eu-west-1", 1);
    assert_ne!(edited, text);
    place.write("edited.json", &edited);
    let mut newer: Value = serde_json::from_str(&text).unwrap();
    newer["plan"]["format"] = 99.into();
    place.write("newer.json", &newer.to_string());
    for name in ["missing", "text", "other", "edited", "newer"] {
        let line = format!("advisor apply {name}.json --yes");
        check(&format!("plan_{name}"), &place.seen(&line));
    }
    // Nobody is there who could say yes.
    let unconfirmed = place.run("advisor apply good.json");
    assert_eq!(unconfirmed.code, Some(3), "{}", unconfirmed.stderr);
    assert_eq!(unconfirmed.stdout, "");
    let said = "error: not confirmed, nothing was written\nhint: add --yes";
    assert!(unconfirmed.stderr.contains(said), "{}", unconfirmed.stderr);
    let (_, after) = shadow_plan(&place, &lab);
    assert_eq!(after, before, "nothing was written");
    // The same plan, with a yes, is applied: what was refused was not the plan.
    let applied = place.run("advisor apply good.json --yes --json");
    assert_eq!(applied.code, Some(0), "{}", applied.stderr);
    one_document(&applied);
    // And not twice: the zone is no longer as it was.
    let again = place.run("advisor apply good.json --yes");
    assert_eq!(again.code, Some(4), "{}", again.stderr);
}

#[test]
fn one_place_asked_for_wrongly() {
    let (place, _lab) = Place::with_lab("calm");
    check("explain_nobody", &place.seen("advisor explain nobody"));
    check("explain_without_measurements", &place.seen("advisor explain 198.18.0.1"));
    check("drain_unknown_region", &place.seen("advisor drain sa-east-1"));
    check("drain_back_of_nothing", &place.seen("advisor drain us-east-1 --back"));
    let config = std::fs::read_to_string(place.path("nearside.toml")).unwrap();
    let with_traffic = |file: &str| format!("{config}\n[traffic]\nfile = \"{file}\"\n");
    place.write("weights.csv", "client,weight\nus-east-1,much\n");
    place.write("nearside.toml", &with_traffic("weights.csv"));
    check("traffic_bad_row", &place.seen("advisor drain us-east-1"));
    place.write("nearside.toml", &with_traffic("nothing.csv"));
    check("traffic_missing", &place.seen("advisor drain us-east-1"));
    assert!(!place.path("plan.json").exists(), "nothing was planned");
}

#[test]
fn a_zone_that_does_not_exist() {
    let (place, lab) = Place::with_lab("calm");
    let config = std::fs::read_to_string(lab.config()).unwrap();
    place.write("nearside.toml", &config.replace("nearside.test", "elsewhere.test"));
    check("zone_missing", &place.seen("advisor regret"));
    check("zone_missing_shadow", &place.seen("advisor regret --install-shadow --yes"));
}

#[test]
fn route53_out_of_reach() {
    let place = Place::new();
    place.write("nearside.toml", CONFIG);
    let done = place.run("advisor regret --json");
    assert_eq!((done.code, done.stdout.as_str()), (Some(1), ""), "{}", done.stderr);
    assert!(done.stderr.starts_with("error: "), "{}", done.stderr);
}

/// The one JSON document on stdout.
fn one_document(done: &Done) -> Value {
    let mut documents = serde_json::Deserializer::from_str(&done.stdout).into_iter::<Value>();
    let first = documents.next().expect("a document").unwrap();
    assert!(documents.next().is_none(), "one document only: {}", done.stdout);
    assert!(done.stdout.ends_with('\n') && !done.stdout.starts_with(char::is_whitespace));
    first
}

#[test]
fn nobody_answers() {
    let place = Place::new();
    let done = place.run("probe once https://127.0.0.1:1/ --count 2 --interval 0 --json");
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    assert_eq!(done.stderr, "error: no sample succeeded\n");
    let document = one_document(&done);
    let samples = document["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for sample in samples {
        assert_eq!(sample["outcome"]["kind"], "connect_refused");
        assert_eq!(sample["phases_us"], serde_json::json!({}), "what did not happen is absent");
    }
    assert_eq!(document["summary"][0]["failures"], 2);
    check("once_usage", &place.seen("probe once ftp://127.0.0.1/"));
    check("once_cacert", &place.seen("probe once https://127.0.0.1:1/ --cacert none.pem"));
}

#[test]
fn watching_needs_a_pause() {
    let place = Place::new();
    place.write("nearside.toml", CONFIG);
    check("watch_usage", &place.seen("advisor watch --interval 0s"));
}

#[test]
fn certificates_are_checked() {
    let (place, lab) = Place::with_lab("calm");
    let url = lab.facts["endpoints"][0]["url"].as_str().unwrap().to_owned();
    let port = url.rsplit(':').next().unwrap().trim_end_matches("/ping");
    let ca = lab.text("ca");
    let once = |url: &str, more: &str| {
        let to = format!("--connect-to 127.53.0.10:{port}");
        let done = place.run(&format!("probe once {url} {to} --json{more}"));
        let kind =
            one_document(&done)["samples"][0]["outcome"]["kind"].as_str().unwrap().to_owned();
        (done.code, kind)
    };
    let trusted = format!(" --cacert {ca}");
    let other = url.replace("api.", "other.");
    assert_eq!(once(&url, ""), (Some(1), "tls_certificate".to_owned()), "an unknown authority");
    assert_eq!(once(&other, &trusted), (Some(1), "tls_certificate".to_owned()), "another name");
    assert_eq!(once(&url, &trusted), (Some(0), "ok".to_owned()));
    assert_eq!(once(&url, " --insecure"), (Some(0), "ok".to_owned()));
}

fn wall_ms() -> i64 {
    SystemClock.wall_ms()
}

/// Samples that were kept, and the end of the newest window.
fn kept(store: &Path) -> (u64, i64) {
    let store = Store::open_existing(store).unwrap();
    let rows = store.merged(0, i64::MAX).unwrap();
    assert_eq!(rows.len(), 12 * 4 * 2, "each vantage, each endpoint, cold and warm");
    (rows.iter().map(|row| row.attempts).sum(), store.newest_ms().unwrap().unwrap())
}

/// The demo's window.
const WINDOW_MS: i64 = 2_000;

#[test]
fn an_agent_ends_by_sigterm_and_keeps_its_window() {
    let (place, lab) = Place::with_lab("calm");
    let mut agent = support::start(place.command("probe run --json"));
    std::thread::sleep(Duration::from_millis(7_300));
    support::terminate(&agent);
    let asked_ms = wall_ms();
    let status = support::wait(&mut agent, Duration::from_secs(5));
    let output = agent.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(status.code(), Some(0), "{stderr}");
    let done =
        Done { code: status.code(), stdout: String::from_utf8(output.stdout).unwrap(), stderr };
    let summary = one_document(&done);
    let (samples, newest_ms) = kept(&place.path("nearside.sqlite"));
    assert!(samples > 500, "{summary}");
    assert_eq!(summary["samples"], samples, "what was measured is kept, the open window too");
    assert_eq!(summary["windows_lost"], 0);
    assert!(newest_ms >= asked_ms, "the window that was open at {asked_ms} ends at {newest_ms}");

    // The commands that read and decide: one document each, and nothing else on stdout.
    for line in [
        "advisor matrix --json",
        "advisor regret --json",
        "advisor plan --json",
        "advisor history --json",
        "advisor rollback --yes --json",
    ] {
        let done = place.run(line);
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
        one_document(&done);
    }
    assert!(!place.path("plan.json").exists(), "a few windows are too little to plan on");
    drop(lab);
}

#[test]
fn a_killed_agent_loses_the_open_window_at_most() {
    let (place, lab) = Place::with_lab("calm");
    let mut agent = support::start(place.command("probe run --quiet"));
    std::thread::sleep(Duration::from_millis(11_700));
    // On Unix this is SIGKILL: the agent can do nothing any more.
    agent.kill().unwrap();
    let killed_ms = wall_ms();
    agent.wait().unwrap();
    let (samples, newest_ms) = kept(&place.path("nearside.sqlite"));
    assert!(samples > 500, "{samples}");
    // A window closes once a sample sent at its end must have ended: a timeout of 3 s later.
    let closed_ms = (killed_ms - 3_000).div_euclid(WINDOW_MS) * WINDOW_MS;
    assert!(newest_ms >= closed_ms - WINDOW_MS, "{newest_ms} is all that is there of {killed_ms}");
    // The store is whole: another agent goes on with it.
    let go_on = place.run("probe run --for 3s --json");
    assert_eq!(go_on.code, Some(0), "{}", go_on.stderr);
    let more = one_document(&go_on)["samples"].as_u64().unwrap();
    assert_eq!(kept(&place.path("nearside.sqlite")).0, samples + more);
    drop(lab);
}
