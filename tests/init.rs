//! `advisor init` and `advisor doctor` against the lab: what they find, what they say where something is
//! wrong with whoever asks, and that the throwaway record leaves nothing behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]

mod support;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lab::apigateway::faults::DomainFault;
use lab::route53::faults::Fault;
use lab::route53::operation::Operation;
use lab::route53::{Options, model};
use lab::scenario::Scenario;
use lab::{Lab, LabOptions};
use serde_json::Value;
use support::{Done, Services};
use tokio::runtime::Runtime;

/// The longest that one command may take: the store of a short measurement is the slowest of them.
const COMMAND_MAX: Duration = Duration::from_mins(1);

/// A lab in this process, whose faults can be set, and a folder in which commands are run.
struct Place {
    lab: Option<Lab>,
    runtime: Runtime,
    dir: tempfile::TempDir,
}

impl Place {
    fn start(scenario: Scenario, options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let lab_options = LabOptions { scenario, seed: 7, dir: dir.path().join("lab") };
        let lab = runtime.block_on(Lab::start_with(lab_options, options)).unwrap();
        Self { lab: Some(lab), runtime, dir }
    }

    fn calm() -> Self {
        let quick = Duration::from_millis(20);
        Self::start(Scenario::calm(), Options { insync_delay: quick, ..Options::default() })
    }

    fn lab(&self) -> &Lab {
        self.lab.as_ref().unwrap()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What nobody can find out about the lab: its port, its name server, its authority.
    fn init(&self, more: &str) -> String {
        let facts = self.lab().facts();
        let url: probe::url::HttpUrl = facts.endpoints[0].url.parse().unwrap();
        let (port, dns, ca) = (url.port, facts.dns, facts.ca.display());
        format!("advisor init --port {port} --path /ping --server {dns} --cacert {ca}{more}")
    }

    fn command(&self, line: &str) -> Command {
        let facts = self.lab().facts();
        let (route53, apigateway) = (facts.route53.clone(), facts.apigateway.clone());
        support::command(line, self.dir.path(), &Services { route53, apigateway })
    }

    fn run(&self, line: &str) -> Done {
        let mut command = self.command(line);
        command.env("AWS_ACCESS_KEY_ID", "lab").env("AWS_SECRET_ACCESS_KEY", "lab");
        support::run(command, COMMAND_MAX)
    }

    fn document(&self, line: &str) -> Value {
        let done = self.run(&format!("{line} --json"));
        assert_eq!(done.code, Some(0), "{line}: {}{}", done.stdout, done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }

    fn config(&self) -> probe::config::Config {
        let none = std::collections::BTreeMap::new();
        nearside::setup::read_config(&self.path("nearside.toml"), &none).unwrap()
    }

    fn records(&self) -> Vec<model::RecordSet> {
        self.lab().route53().record_sets(&self.lab().facts().hosted_zone_id).unwrap()
    }

    /// Lets every Region meet this fault.
    fn everywhere(&self, fault: &DomainFault) {
        for place in probe::place::commercial_regions() {
            self.lab().domain_faults().set(place.region, fault.clone());
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(lab) = self.lab.take() {
            self.runtime.block_on(lab.shutdown());
        }
    }
}

/// What a user sees of a command, parted from the next one.
fn seen(line: &str, done: &Done) -> String {
    format!("{}\n", support::seen(line, done))
}

/// Compares with the snapshot of this name, without paths, ports, ids and times.
fn check(name: &str, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r" --port \d+ .*pem", " ...");
    settings.add_filter(r"/[^\s:]*/\.tmp[A-Za-z0-9]+", "[FOLDER]");
    settings.add_filter(r"127\.0\.0\.1:\d{4,5}", "127.0.0.1:[PORT]");
    settings.add_filter(r"\b\d{8}T\d{6}Z\b", "[TIME]");
    // Between signing and reading a second may begin.
    settings.add_filter(r"16 min 1 s|15 min 59 s", "16 min");
    settings.add_filter(r"\b96[01] s|959 s", "960 s");
    settings.add_filter(r"certificate valid for \d+ days", "certificate valid for [N] days");
    settings.add_filter(r"\bZ[0-9A-Z]{12,}\b", "[ZONE]");
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, seen));
}

#[test]
fn what_it_writes_is_what_doctor_and_plan_accept() {
    let place = Place::calm();
    let line = place.init("");
    let first = place.run(&line);
    check("init_calm", &seen(&line, &first));
    // The lab's own configuration is the judge: the same endpoints, found and not told.
    let none = std::collections::BTreeMap::new();
    let judge = nearside::setup::read_config(&place.lab().facts().config, &none).unwrap();
    let written = place.config();
    let by_id = |config: &probe::config::Config| {
        let mut endpoints = config.endpoints.clone();
        endpoints.sort_by(|a, b| a.id.cmp(&b.id));
        // Which function stands behind a domain is not to be had from the domain; only canaries ask.
        for endpoint in &mut endpoints {
            endpoint.metrics = None;
        }
        endpoints
    };
    assert_eq!(by_id(&written), by_id(&judge));
    assert_eq!((written.name, written.zone), (judge.name, judge.zone));
    assert_eq!(written.guard.adopt, judge.guard.adopt);

    let doctor = place.run("advisor doctor --json");
    let told: Value = serde_json::from_str(&doctor.stdout).unwrap();
    let failed: Vec<&str> = told["checks"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["ok"] == false)
        .map(|one| one["what"].as_str().unwrap())
        .collect();
    assert_eq!(failed, ["measurements"], "{told:#}");

    // Vantages behind the lab's ocean, its short blocks, and the file as it was written.
    let lab: toml::Table =
        std::fs::read_to_string(&place.lab().facts().config).unwrap().parse().unwrap();
    let text = std::fs::read_to_string(place.path("nearside.toml")).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    for section in ["vantage", "evidence", "probe"] {
        config.insert(section.to_owned(), lab[section].clone());
    }
    std::fs::write(place.path("measured.toml"), config.to_string()).unwrap();
    let measured = place.run("probe run --config measured.toml --for 6s --json");
    assert_eq!(measured.code, Some(0), "{}", measured.stderr);
    let plan = place.document("advisor plan --config measured.toml");
    assert_eq!(
        plan["advice"]["labels"].as_array().unwrap().len(),
        judge.endpoints.len(),
        "{plan:#}"
    );
}

#[test]
fn a_file_that_is_there_stays() {
    let place = Place::calm();
    std::fs::write(place.path("nearside.toml"), "# mine\n").unwrap();
    let line = place.init("");
    check("init_there", &seen(&line, &place.run(&line)));
    let text = || std::fs::read_to_string(place.path("nearside.toml")).unwrap();
    assert_eq!(text(), "# mine\n");
    assert_eq!(place.run(&place.init(" --config other.toml")).code, Some(0));
    assert!(place.path("other.toml").exists());
    assert_eq!(place.run(&place.init(" --force")).code, Some(0));
    assert!(text().contains("name = \"api.nearside.test\""));
}

/// Regions that are off, without permission or half deployed, beside an edge-optimized domain.
#[test]
fn what_is_missing_is_told_in_the_order_to_fix_it() {
    let place = Place::start(Scenario::app(), Options::default());
    let faults = place.lab().domain_faults();
    faults.set("me-south-1", DomainFault::NotEnabled);
    faults.set("af-south-1", DomainFault::NotEnabled);
    faults.set("sa-east-1", DomainFault::Denied);
    faults.set("ap-south-1", DomainFault::Status("UPDATING".into()));
    faults.set("eu-west-1", DomainFault::Missing);
    let line = place.init("");
    check("init_missing", &seen(&line, &place.run(&line)));
    let edge = place.init(" --name edge.nearside.test --config edge.toml");
    check("init_edge", &seen(&edge, &place.run(&edge)));
}

#[test]
fn whoever_asks_wrongly_is_told_what_is_wrong() {
    let place = Place::calm();
    let line = place.init("");
    let mut told = String::new();
    let bare = support::run(place.command(&line), COMMAND_MAX);
    told.push_str(&seen(&line, &bare));
    for fault in [DomainFault::Expired, DomainFault::NotEnabled, DomainFault::ClockAhead(960)] {
        place.everywhere(&fault);
        told.push_str(&seen(&line, &place.run(&line)));
    }
    place.lab().domain_faults().clear();
    assert!(!place.path("nearside.toml").exists(), "nothing was written");
    check("init_who_asks", &told);

    assert_eq!(place.run(&line).code, Some(0));
    let mut told = String::new();
    let faults = place.lab().route53().faults();
    for (operation, fault) in [
        (Operation::ListHostedZonesByName, Fault::ExpiredToken),
        (Operation::ListHostedZonesByName, Fault::InvalidClientTokenId),
        (Operation::ListHostedZonesByName, Fault::AccessDenied),
        (Operation::ListResourceRecordSets, Fault::AccessDenied),
        (Operation::ListHealthChecks, Fault::AccessDenied),
    ] {
        faults.stand(operation, fault);
        let done = place.run("advisor doctor");
        let failed: Vec<&str> =
            done.stdout.lines().skip_while(|line| !line.starts_with("FAIL")).take(2).collect();
        writeln!(told, "{fault:?} on {operation}\n{}", failed.join("\n")).unwrap();
        faults.clear();
    }
    check("doctor_who_asks", &told);
}

/// The same of who plans and applies: nothing is written.
#[test]
fn whoever_may_not_write_is_told_before_anything_is_written() {
    let place = Place::calm();
    let text = std::fs::read_to_string(&place.lab().facts().config).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    config["guard"].as_table_mut().unwrap().insert("max_traffic_moved".into(), 1.0.into());
    std::fs::write(place.path("nearside.toml"), config.to_string()).unwrap();
    place.document("advisor drain eu-west-1 --out plan.json");
    let (before, faults) = (place.records(), place.lab().route53().faults());
    let mut told = String::new();
    let mut tell = |what: &str, line: &str, done: &Done| {
        assert_eq!(done.code, Some(1), "{line}: {}{}", done.stdout, done.stderr);
        let said = done.stderr.lines().skip_while(|line| !line.starts_with("error"));
        writeln!(told, "{line}: {what}\n{}", said.collect::<Vec<_>>().join("\n")).unwrap();
    };
    for line in ["advisor plan", "advisor apply plan.json --yes"] {
        tell("no credentials", line, &support::run(place.command(line), COMMAND_MAX));
        for fault in [Fault::ExpiredToken, Fault::InvalidClientTokenId, Fault::AccessDenied] {
            faults.stand(Operation::ListHostedZonesByName, fault);
            tell(&format!("{fault:?}"), line, &place.run(line));
            faults.clear();
        }
    }
    let line = "advisor apply plan.json --yes";
    for operation in [Operation::CreateHealthCheck, Operation::ChangeResourceRecordSets] {
        faults.stand(operation, Fault::AccessDenied);
        tell(&format!("no {operation}"), line, &place.run(line));
        assert_eq!(place.records(), before);
        assert_eq!(place.run("advisor rollback --yes").code, Some(0));
        faults.clear();
    }
    check("apply_who_asks", &told);
}

/// Reading is enough: no call of `init` and `doctor` needs more, and what lacks is named.
#[test]
fn it_works_with_what_may_be_read() {
    let place = Place::calm();
    let faults = place.lab().route53().faults();
    for operation in [
        Operation::ChangeResourceRecordSets,
        Operation::CreateHealthCheck,
        Operation::ChangeTagsForResource,
        Operation::ListHealthChecks,
        Operation::ListResourceRecordSetProtections,
    ] {
        faults.stand(operation, Fault::AccessDenied);
    }
    place.everywhere(&DomainFault::Denied);
    let line = place.init(" --name api.nearside.test");
    check("init_read_only", &seen(&line, &place.run(&line)));
}

#[test]
fn a_clock_that_is_off_is_explained() {
    let options = Options { clock_ahead_s: 960, ..Options::default() };
    let place = Place::start(Scenario::calm(), options);
    let line = place.init("");
    let mut told = seen(&line, &place.run(&line));
    std::fs::copy(&place.lab().facts().config, place.path("nearside.toml")).unwrap();
    told.push_str(&seen("advisor doctor", &place.run("advisor doctor")));
    check("init_clock", &told);
}

/// A token service that says whose credentials these are.
fn token_service() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut buffer = [0; 8192];
            let _ = stream.read(&mut buffer);
            let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                        <GetCallerIdentityResult><Arn>arn:aws:iam::210987654321:user/other</Arn>\
                        <Account>210987654321</Account></GetCallerIdentityResult>\
                        </GetCallerIdentityResponse>";
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all(format!("{head}{body}").as_bytes());
        }
    });
    url
}

#[test]
fn credentials_of_another_account_are_named() {
    let place = Place::calm();
    let line = place.init(" --name api.elsewhere.test");
    let mut command = place.command(&line);
    command.env("AWS_ACCESS_KEY_ID", "lab").env("AWS_SECRET_ACCESS_KEY", "lab");
    let sts = token_service();
    let done = support::run_with(command, COMMAND_MAX, &[("AWS_ENDPOINT_URL_STS", &sts)]);
    check("init_other_account", &seen(&line, &done));
}

#[test]
fn a_namespace_of_aws_itself_is_refused() {
    let place = Place::calm();
    let text = std::fs::read_to_string(&place.lab().facts().config).unwrap();
    let section = "\n[cloudwatch]\nnamespace = \"AWS/Nearside\"\nregion = \"eu-west-1\"\n";
    std::fs::write(place.path("nearside.toml"), text + section).unwrap();
    let line = "advisor doctor";
    check("doctor_aws_namespace", &seen(line, &place.run(line)));
}

#[test]
fn the_trial_of_an_alias_leaves_nothing_behind() {
    let place = Place::calm();
    let before = place.records();
    let alone = place.init(" --prove-alias");
    let unconfirmed = place.run(&alone);
    assert_eq!(unconfirmed.code, Some(3), "{}", unconfirmed.stderr);
    assert!(place.path("nearside.toml").exists(), "the configuration is written all the same");
    assert_eq!(place.records(), before);

    let proven = place.document("advisor init --prove-alias --yes");
    assert_eq!(proven["alias"]["holds"], true, "{proven}");
    assert_eq!(proven["alias"]["name"], "_nearside-trial.api.nearside.test");
    assert_eq!(place.records(), before);
    assert_eq!(place.lab().route53().faults().calls(Operation::ChangeResourceRecordSets), 2);

    // What a trial that was killed has left is taken away first.
    place
        .lab()
        .route53()
        .change(&place.lab().facts().hosted_zone_id, &left(&before, true))
        .unwrap();
    assert_eq!(place.document("advisor init --prove-alias --yes")["alias"]["holds"], true);
    assert_eq!(place.records(), before);

    // What somebody else has put there is not touched.
    place
        .lab()
        .route53()
        .change(&place.lab().facts().hosted_zone_id, &left(&before, false))
        .unwrap();
    let taken = place.records();
    let line = "advisor init --prove-alias --yes";
    check("init_trial_taken", &seen(line, &place.run(line)));
    assert_eq!(place.records(), taken);

    // A reply that is lost, on either call, changes nothing of that.
    place
        .lab()
        .route53()
        .change(&place.lab().facts().hosted_zone_id, &gone(&taken, &before))
        .unwrap();
    for fault in [Fault::DropBefore, Fault::DropAfter, Fault::PriorRequestNotComplete] {
        let faults = place.lab().route53().faults();
        for calls in 0..2 {
            faults.clear();
            for _ in 0..calls {
                faults.push(Operation::ChangeResourceRecordSets, Fault::Delay(Duration::ZERO));
            }
            faults.push(Operation::ChangeResourceRecordSets, fault);
            let done = place.run(line);
            assert_eq!(place.records(), before, "{fault:?} after {calls} calls: {}", done.stderr);
        }
    }
}

/// The record of an earlier trial, or somebody's text at the same name.
fn left(records: &[model::RecordSet], ours: bool) -> model::ChangeBatch {
    let name = lab::route53::name::Name::parse("_nearside-trial.api.nearside.test").unwrap();
    let like = records.iter().find(|set| {
        let alias = matches!(set.data, model::Data::Alias(_));
        set.routing.is_none() && alias && set.kind == model::RrType::A
    });
    let like = like.unwrap().clone();
    let kind = if ours { model::RrType::A } else { model::RrType::Aaaa };
    let mut set = model::RecordSet { name, kind, ..like };
    if !ours {
        let alias = records.iter().find(|one| one.kind == kind && one.routing.is_none());
        set.data = alias.unwrap().data.clone();
    }
    batch(model::Action::Create, set)
}

/// What takes away the one set that is too many.
fn gone(all: &[model::RecordSet], wanted: &[model::RecordSet]) -> model::ChangeBatch {
    let extra = all.iter().find(|set| !wanted.contains(set)).unwrap();
    batch(model::Action::Delete, extra.clone())
}

fn batch(action: model::Action, set: model::RecordSet) -> model::ChangeBatch {
    model::ChangeBatch { comment: None, changes: vec![model::Change { action, set }] }
}

#[test]
fn completions_and_manual_pages_follow_the_command_lines() {
    let place = Place::calm();
    for program in ["advisor", "probe"] {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let done = place.run(&format!("{program} completions {shell}"));
            assert_eq!(done.code, Some(0), "{}", done.stderr);
            let own = if program == "advisor" { "prove-alias" } else { "connect-to" };
            assert!(done.stdout.contains(own), "{program} {shell}: {}", done.stdout);
        }
        let pages = place.document(&format!("{program} man pages"));
        let all: Vec<&str> =
            pages["pages"].as_array().unwrap().iter().map(|one| one.as_str().unwrap()).collect();
        assert!(all.contains(&format!("pages/{program}.1").as_str()), "{all:?}");
        for page in &all {
            let text = std::fs::read_to_string(place.path(page)).unwrap();
            assert!(text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"), "{page}");
        }
    }
    let page = std::fs::read_to_string(place.path("pages/advisor-init.1")).unwrap();
    assert!(page.contains("advisor init") && page.contains("health\\-path"), "{page}");
}
