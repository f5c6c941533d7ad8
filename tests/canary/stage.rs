//! What the tests of canaries share: a lab with short times, the binary, and the name as clients ask for it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use advisor::name::Label;
use advisor::plan::{Effect, Move, Plan};
use advisor::survey::ZoneView;
use advisor::topology::Shares;
use advisor::zone::Zone as _;
use aws::Access;
use lab::route53::Options;
use lab::route53::model;
use lab::scenario::Scenario;
use lab::{Lab, LabOptions};
use nearside::setup::{Setup, read_config};
use probe::clock::{Clock as _, SystemClock};
use probe::dns::{Client, RecordType};
use serde_json::Value;

/// The label that the canaries move, and where to: its endpoint is slow where DNS cannot see it.
pub(crate) const MOVED: (&str, &str) = ("ap-southeast-1", "ap-south-1");
/// Answers that are looked at to tell a share.
const ASKED: usize = 60;

pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) setup: Setup,
    dir: tempfile::TempDir,
}

/// What the binary said when it ended.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", self.stderr))
    }
}

impl Stage {
    /// Answers live a second and own metrics have a period of 5 s; the rest is as anywhere.
    pub(crate) async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut scenario = Scenario::demo();
        let vantages = ["us-east-1", "ap-southeast-1", "ap-southeast-2", "ap-northeast-1"];
        scenario.vantages = vantages.map(str::to_owned).to_vec();
        (scenario.answer_ttl_s, scenario.metrics_period_s) = (1, 5);
        (scenario.config.window_ms, scenario.config.block_ms) = (5_000, 5_000);
        let settings = Options { throttling: None, ..Options::default() };
        let options = LabOptions { scenario, seed: 1, dir: dir.path().join("lab") };
        let lab = Lab::start_with(options, settings).await.unwrap();
        let setup = Setup {
            config: read_config(&lab.facts().config, &BTreeMap::new()).unwrap(),
            store: dir.path().join("nearside.sqlite"),
            fleet: None,
            access: Access {
                endpoint_url: Some(lab.facts().route53.clone()),
                credentials: Some(("lab".into(), "lab".into())),
                ..Access::default()
            },
            clock: Arc::new(SystemClock),
        };
        Self { lab, setup, dir }
    }

    pub(crate) async fn view(&self) -> ZoneView {
        let zone = self.setup.zone().await.unwrap();
        ZoneView::read(&zone, &self.setup.config).await.unwrap()
    }

    /// A plan that moves one label, and its file.
    pub(crate) async fn plan(&self) -> (Plan, PathBuf) {
        let view = self.view().await;
        let live = view.live().unwrap();
        let step = Move::whole(&Label::new(MOVED.0), &Shares::one(MOVED.0), MOVED.1, "repoint");
        let now_ms = self.setup.now_ms();
        let effect =
            Effect { traffic_moved: 0.1, evidence_until_ms: Some(now_ms), ..Effect::default() };
        let plan = view.ground(now_ms).route(&live, vec![step], effect);
        let path = self.dir.path().join(format!("plan-{}.json", plan.id()));
        std::fs::write(&path, plan.to_json().unwrap()).unwrap();
        (plan, path)
    }

    /// Starts the binary in the lab's environment.
    pub(crate) fn advisor(&self, arguments: &[&str]) -> Child {
        let facts = self.lab.facts();
        let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
        command
            .args(arguments)
            .arg("--config")
            .arg(&facts.config)
            .arg("--store")
            .arg(format!("sqlite:{}", self.setup.store.display()))
            .env_clear()
            .env("AWS_ENDPOINT_URL_ROUTE_53", &facts.route53)
            .env("AWS_ENDPOINT_URL_CLOUDWATCH", &facts.cloudwatch)
            .env("AWS_ENDPOINT_URL_API_GATEWAY", &facts.apigateway)
            .env("AWS_ENDPOINT_URL_APIGATEWAYV2", &facts.apigateway)
            .env("AWS_ACCESS_KEY_ID", "AKIDLAB")
            .env("AWS_SECRET_ACCESS_KEY", "very-secret")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    pub(crate) fn canary(&self, plan: &std::path::Path, pace: &[&str]) -> Child {
        let plan = plan.to_str().unwrap();
        self.advisor(&[&["apply", plan, "--yes", "--json", "--canary"], pace].concat())
    }

    pub(crate) async fn run(&self, arguments: &[&str]) -> Ended {
        finish(self.advisor(arguments)).await
    }

    /// The whole zone without lock and marker, whose generation only rises.
    pub(crate) fn rest_of_zone(&self) -> Vec<model::RecordSet> {
        let all = self.lab.route53().record_sets(&self.lab.facts().hosted_zone_id).unwrap();
        all.into_iter()
            .filter(|set| {
                let name = set.name.to_string();
                !name.starts_with("_nearside-lock.") && !name.starts_with("_nearside-owner.")
            })
            .collect()
    }

    /// The weight of the new arm, once it has one.
    pub(crate) fn percent(&self) -> Option<u8> {
        self.rest_of_zone().iter().find_map(|set| {
            let routing = set.routing.as_ref()?;
            match routing.policy {
                model::Policy::Weighted(weight) if routing.set_identifier == "nearside-green" => {
                    Some(weight)
                }
                _ => None,
            }
        })
    }

    pub(crate) async fn until_percent(&self, percent: u8) {
        let reached = || self.percent() == Some(percent);
        let limit = Duration::from_secs(90);
        assert!(within(limit, reached).await.is_some(), "{percent} % were not reached");
    }

    /// The share of answers, as a client in the moved catchment gets them, that are of the new endpoint.
    pub(crate) async fn share_of_new(&self) -> f64 {
        let world = self.lab.world();
        let new = world.endpoint(MOVED.1).unwrap().ipv4;
        let vantage = self.setup.config.vantages.iter().find(|one| one.id == MOVED.0).unwrap();
        let client = Client::new(self.lab.facts().dns);
        let mut hits = 0;
        for _ in 0..ASKED {
            let name = &self.setup.config.name;
            let answer = client.query(name, RecordType::A, vantage.subnet4).await.unwrap();
            let is_new = |(address, _): (IpAddr, u32)| address == IpAddr::V4(new);
            hits += usize::from(answer.addresses().any(is_new));
        }
        hits as f64 / ASKED as f64
    }

    /// No health check is left, and each that a record names is there.
    pub(crate) async fn assert_no_stray_checks(&self) {
        let zone = self.setup.zone().await.unwrap();
        let ours = zone.health_checks("nearside-").await.unwrap();
        let mut ours: Vec<String> = ours.into_iter().map(|check| check.id).collect();
        let named = self.rest_of_zone().into_iter().filter_map(|set| set.health_check_id);
        let mut named: Vec<String> = named.collect();
        named.sort();
        named.dedup();
        ours.sort();
        assert_eq!(ours, named);
    }
}

/// Waits for the binary's end.
pub(crate) async fn finish(child: Child) -> Ended {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert!(!stderr.contains("very-secret"), "{stderr}");
    Ended { code: output.status.code(), stdout, stderr }
}

/// How long it takes until something is so; `None` where it is not in time.
pub(crate) async fn within(limit: Duration, is_so: impl Fn() -> bool) -> Option<Duration> {
    let began: Instant = SystemClock.now();
    while !is_so() {
        if SystemClock.now() - began > limit {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Some(SystemClock.now() - began)
}
