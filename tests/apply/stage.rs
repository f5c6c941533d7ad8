//! What the tests of the writing path share: a quick lab, a plan that needs no measurements, a zone
//! that stops in the middle of a call, and what must hold of any zone at rest.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use advisor::answers::Answers as _;
use advisor::apply::{Applier, Patience};
use advisor::guard::{Cleared, Refusal, Situation, guard};
use advisor::journal::{Ending, Journal};
use advisor::name::{Label, Name};
use advisor::observe::Observer;
use advisor::plan::{Effect, Move, Plan};
use advisor::record::{ChangeBatch, RecordSet, RecordType};
use advisor::settings;
use advisor::survey::ZoneView;
use advisor::zone::{
    BrakeSpec, ChangeId, ChangeStatus, ExistingHealthCheck, HealthCheckSpec, Observations,
    Protection, Zone, ZoneError, ZoneFacts,
};
use aws::{Access, Route53Zone};
use lab::route53::Options;
use lab::route53::model;
use lab::scenario::Scenario;
use lab::{Lab, LabOptions};
use nearside::command::apply::Writer;
use nearside::setup::{Setup, read_config};
use nearside::terminal::Terminal;
use probe::clock::{Clock as _, SystemClock};
use probe::url::IpPrefix;

/// The label that the tests move, and where to.
pub(crate) const MOVED: (&str, &str) = ("ap-southeast-1", "ap-south-1");

pub(crate) const TERMINAL: Terminal = Terminal { json: true, quiet: true, color: false };

/// Waits short enough for hundreds of operations.
pub(crate) fn patience() -> Patience {
    Patience {
        observed: Duration::from_secs(5),
        in_sync: Duration::from_secs(5),
        busy: Duration::from_secs(2),
        lost: Duration::from_millis(50),
        poll: Duration::from_millis(10),
    }
}

/// A Route 53 that makes a test wait as little as may be.
pub(crate) fn quick() -> Options {
    Options {
        insync_delay: Duration::from_millis(20),
        throttling: None,
        first_observation: Duration::from_millis(5),
        health_interval: Duration::from_millis(300),
        ..Options::default()
    }
}

/// Each operation makes its own checks: what they are called differs, that they are named does not.
pub(crate) fn without_check_ids(mut sets: Vec<model::RecordSet>) -> Vec<model::RecordSet> {
    for id in sets.iter_mut().filter_map(|set| set.health_check_id.as_mut()) {
        *id = "one of ours".into();
    }
    sets
}

pub(crate) struct Stage {
    pub(crate) lab: Lab,
    pub(crate) setup: Setup,
    pub(crate) zone: Route53Zone,
    pub(crate) observer: Observer,
    pub(crate) dir: tempfile::TempDir,
}

impl Stage {
    pub(crate) async fn start() -> Self {
        Self::start_with(quick()).await
    }

    pub(crate) async fn start_with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut scenario = Scenario::calm();
        scenario.vantages.retain(|id| ["us-east-1", "ap-southeast-1"].contains(&id.as_str()));
        for endpoint in &mut scenario.endpoints {
            endpoint.faults.fixed_service_ms = Some(0.1);
        }
        let lab_options = LabOptions { scenario, seed: 7, dir: dir.path().join("lab") };
        let lab = Lab::start_with(lab_options, options).await.unwrap();
        let setup = Setup {
            config: read_config(&lab.facts().config, &BTreeMap::new()).unwrap(),
            store: dir.path().join("nearside.sqlite"),
            fleet: None,
            access: Access {
                endpoint_url: Some(lab.facts().route53.clone()),
                apigateway_url: Some(lab.facts().apigateway.clone()),
                credentials: Some(("lab".into(), "lab".into())),
                ..Access::default()
            },
            clock: Arc::new(SystemClock),
        };
        let zone = setup.zone().await.unwrap();
        let observer = setup.observer(&zone).await.unwrap();
        Self { lab, setup, zone, observer, dir }
    }

    pub(crate) fn service(&self) -> Name {
        settings::service(&self.setup.config).unwrap()
    }

    pub(crate) async fn view(&self) -> ZoneView {
        ZoneView::read(&self.zone, &self.setup.config).await.unwrap()
    }

    /// A plan that moves one label, made from the zone as it is.
    pub(crate) async fn plan(&self) -> Plan {
        self.plan_to(MOVED.0, MOVED.1).await
    }

    pub(crate) async fn plan_to(&self, label: &str, to: &str) -> Plan {
        let view = self.view().await;
        let live = view.live().unwrap();
        let label = Label::new(label);
        let step = Move::whole(&label, &live.tree()[&label], to, "repoint");
        let now_ms = self.setup.now_ms();
        let effect =
            Effect { traffic_moved: 0.1, evidence_until_ms: Some(now_ms), ..Effect::default() };
        view.ground(now_ms).route(&live, vec![step], effect)
    }

    /// The plan as cleared by the guards, with targets proven over TLS.
    pub(crate) async fn cleared(&self, plan: &Plan) -> Result<Cleared<Plan>, Refusal> {
        let records = self.zone.record_sets(&self.service()).await.unwrap();
        let targets: Vec<String> = plan.targets().into_iter().map(str::to_owned).collect();
        let proofs = self.observer.prove(&targets).await;
        let (config, clock) = (&self.setup.config, self.setup.clock.as_ref());
        let service = self.service();
        let gateway = self.setup.gateway().await.unwrap();
        let domains = advisor::domains::findings(&gateway, config, &service, &targets, clock).await;
        let situation = Situation {
            now_ms: self.setup.clock.wall_ms(),
            zone_id: &self.zone.facts().id,
            records: &records,
            proofs: &proofs,
            domains: &domains,
            protections: &[],
        };
        guard(plan.clone(), &settings::guard_rule(&self.setup.config).unwrap(), &situation)
    }

    pub(crate) fn journal_path(&self) -> PathBuf {
        self.setup.journal_path()
    }

    pub(crate) fn applier<'a, Z: Zone>(
        &'a self,
        zone: &'a Z,
        journal: &Path,
    ) -> Applier<'a, Z, Observer, SystemClock> {
        Applier {
            zone,
            answers: &self.observer,
            clock: self.setup.clock.as_ref(),
            journal: Journal::open(journal).unwrap(),
            patience: patience(),
        }
    }

    /// Applies a plan and stops at a call. `false`: it came to its end before that call.
    pub(crate) async fn stopped(&self, plan: &Plan, stop_at: usize, after: bool) -> bool {
        let cleared = self.cleared(plan).await.unwrap();
        let zone = Stopping::new(&self.zone, stop_at, after);
        let mut applier = self.applier(&zone, &self.journal_path());
        match zone.run(applier.apply(&cleared)).await {
            Some(done) => {
                assert_eq!(done.unwrap().ending, Ending::Applied);
                false
            }
            None => true,
        }
    }

    pub(crate) async fn writer(&self) -> Writer<'_> {
        Writer::open(&self.setup, TERMINAL).await.unwrap().with_patience(patience())
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

    /// Health checks of ours, and those that records name.
    pub(crate) async fn checks(&self) -> (BTreeSet<String>, BTreeSet<String>) {
        let ours = self.zone.health_checks("nearside-").await.unwrap();
        let named = self.rest_of_zone().into_iter().filter_map(|set| set.health_check_id);
        (ours.into_iter().map(|check| check.id).collect(), named.collect())
    }

    /// What holds of every zone at rest: each health check of ours is named, and each named exists.
    pub(crate) async fn assert_no_stray_checks(&self, when: &str) {
        let (ours, named) = self.checks().await;
        assert_eq!(ours, named, "health checks, and those named, {when}");
    }
}

/// A zone whose `stop_at`-th call never returns, before or after it was made; all others pass.
pub(crate) struct Stopping<'a> {
    inner: &'a Route53Zone,
    calls: AtomicUsize,
    stop_at: usize,
    after: bool,
    stopped: tokio::sync::Notify,
}

impl<'a> Stopping<'a> {
    pub(crate) fn new(inner: &'a Route53Zone, stop_at: usize, after: bool) -> Self {
        let calls = AtomicUsize::new(0);
        Self { inner, calls, stop_at, after, stopped: tokio::sync::Notify::new() }
    }

    /// Runs until the end, or `None` if it was stopped: everything of it is dropped, as by a kill.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.stopped.notified() => None,
            done = work => Some(done),
        }
    }

    async fn pass<T>(&self, call: impl Future<Output = T>) -> T {
        let number = self.calls.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.stop_at && !self.after {
            self.stop().await;
        }
        let done = call.await;
        if number == self.stop_at {
            self.stop().await;
        }
        done
    }

    async fn stop(&self) {
        self.stopped.notify_one();
        std::future::pending::<()>().await;
    }
}

impl Zone for Stopping<'_> {
    fn facts(&self) -> &ZoneFacts {
        self.inner.facts()
    }

    async fn record_sets(&self, name: &Name) -> Result<Vec<RecordSet>, ZoneError> {
        self.pass(self.inner.record_sets(name)).await
    }

    async fn protections(&self) -> Result<Vec<Protection>, ZoneError> {
        self.pass(self.inner.protections()).await
    }

    async fn test_dns_answer(
        &self,
        name: &Name,
        record_type: &RecordType,
        subnet: IpPrefix,
    ) -> Result<Vec<String>, ZoneError> {
        self.pass(self.inner.test_dns_answer(name, record_type, subnet)).await
    }

    async fn change(&self, batch: &ChangeBatch) -> Result<ChangeId, ZoneError> {
        self.pass(self.inner.change(batch)).await
    }

    async fn change_status(&self, id: &ChangeId) -> Result<ChangeStatus, ZoneError> {
        self.pass(self.inner.change_status(id)).await
    }

    async fn health_checks(&self, prefix: &str) -> Result<Vec<ExistingHealthCheck>, ZoneError> {
        self.pass(self.inner.health_checks(prefix)).await
    }

    async fn ensure_health_check(&self, spec: &HealthCheckSpec) -> Result<String, ZoneError> {
        self.pass(self.inner.ensure_health_check(spec)).await
    }

    async fn ensure_brake(&self, spec: &BrakeSpec) -> Result<String, ZoneError> {
        self.pass(self.inner.ensure_brake(spec)).await
    }

    async fn observations(&self, id: &str) -> Result<Observations, ZoneError> {
        self.pass(self.inner.observations(id)).await
    }

    async fn delete_health_check(&self, id: &str) -> Result<(), ZoneError> {
        self.pass(self.inner.delete_health_check(id)).await
    }
}
