//! The lab's Route 53 as one running thing: what API, DNS and health checkers share, how it
//! starts and how it ends. The only place that reads a clock.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::answer::{self, Answer, Question, View};
use super::cidr::CidrCollection;
use super::error::ApiError;
use super::faults::Faults;
use super::health::{AlarmState, checker};
use super::limits::Throttling;
use super::model::{ChangeBatch, RecordSet};
use super::state::{ChangeInfo, Settings, State};
use super::{Internet, api, dns};
use crate::accept::stopped;

/// How often the data behind alarms are looked at.
const ALARM_TICK: Duration = Duration::from_millis(250);

/// How the lab's Route 53 behaves.
#[derive(Debug, Clone)]
pub struct Options {
    /// From the acceptance of a change to INSYNC. AWS: within 60 s.
    pub insync_delay: Duration,
    /// How long a change is processed; another change of the same zone is refused meanwhile.
    pub processing: Duration,
    /// Token buckets as AWS has them, scaled; `None` never throttles.
    pub throttling: Option<Throttling>,
    /// From the creation of a health check to its first request.
    pub first_observation: Duration,
    /// The time that stands for a request interval of 30 s; one of 10 s takes a third of it.
    pub health_interval: Duration,
    /// How long a checker waits to connect. AWS: 4 s.
    pub connect_timeout: Duration,
    /// How long a checker waits for the answer after that. AWS: 2 s.
    pub response_timeout: Duration,
    /// CIDR collections that exist.
    pub cidr_collections: Vec<CidrCollection>,
    /// Whether `InvalidChangeBatch` is the root element of its document, the older form.
    pub bare_batch_errors: bool,
    /// How far the API's clock is ahead of the machine's, in seconds.
    pub clock_ahead_s: i64,
    /// Ids, name servers and weighted draws follow from it.
    pub seed: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            insync_delay: Duration::from_secs(1),
            processing: Duration::ZERO,
            throttling: Some(Throttling::default()),
            first_observation: Duration::from_secs(1),
            health_interval: Duration::from_secs(1),
            connect_timeout: Duration::from_secs(4),
            response_timeout: Duration::from_secs(2),
            cidr_collections: Vec::new(),
            bare_batch_errors: false,
            clock_ahead_s: 0,
            seed: 0,
        }
    }
}

/// Why the lab's Route 53 did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A socket could not be had.
    #[error("cannot bind {what} on 127.0.0.1")]
    Bind {
        /// Which.
        what: &'static str,
        /// The cause.
        source: std::io::Error,
    },
    /// The TLS settings of the health checkers were refused.
    #[error("cannot set up TLS for health checkers")]
    Tls(#[source] rustls::Error),
}

/// What all parts share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) internet: Arc<dyn Internet>,
    pub(crate) faults: Faults,
    /// When the lab started, on the wall.
    pub(crate) epoch: Timestamp,
    started: Instant,
    state: Mutex<State>,
    draw: Mutex<ChaCha8Rng>,
}

impl Shared {
    #[expect(clippy::disallowed_methods, reason = "the one place where this service reads a clock")]
    fn new(options: Options, internet: Arc<dyn Internet>) -> Self {
        let settings = Settings {
            insync_delay: options.insync_delay,
            processing: options.processing,
            first_observation: options.first_observation,
            throttling: options.throttling,
            cidr_collections: options.cidr_collections.clone(),
            seed: options.seed,
        };
        Self {
            internet,
            faults: Faults::default(),
            epoch: Timestamp::now(),
            started: Instant::now(),
            state: Mutex::new(State::new(settings)),
            draw: Mutex::new(ChaCha8Rng::seed_from_u64(options.seed)),
            options,
        }
    }

    /// The time on the API's calendar.
    pub(crate) fn calendar(&self) -> Timestamp {
        let now = crate::clock::calendar();
        now.checked_add(SignedDuration::from_secs(self.options.clock_ahead_s)).unwrap_or(now)
    }

    /// The time since the lab started.
    pub(crate) fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Works on the state as of now.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State, Duration) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.now();
        state.advance(now);
        work(&mut state, now)
    }

    /// Answers a question, from one zone if `zone_id` is given.
    pub(crate) fn answer(
        &self,
        question: &Question,
        zone_id: Option<&str>,
    ) -> Result<Answer, ApiError> {
        let mut rng = self.draw.lock().unwrap_or_else(PoisonError::into_inner);
        let mut draw = |below: u64| rng.random_range(0..below.max(1));
        self.with(|state, _| {
            let view = View {
                zones: state.zones().collect(),
                internet: &*self.internet,
                checks: state.checks(),
                cidr_collections: state.cidr_collections(),
            };
            match zone_id {
                Some(id) => Ok(answer::answer_in_zone(&view, state.zone(id)?, question, &mut draw)),
                None => Ok(answer::answer(&view, question, &mut draw)),
            }
        })
    }
}

/// Turns when the service ends.
pub(crate) type Ending = watch::Receiver<bool>;

/// A running Route 53 on loopback: API, DNS and health checkers. Dropping it stops it.
pub struct Route53 {
    shared: Arc<Shared>,
    api: SocketAddr,
    dns: SocketAddr,
    end: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl Route53 {
    /// Starts it on ports that the system chooses.
    pub async fn start(options: Options, internet: Arc<dyn Internet>) -> Result<Self, StartError> {
        let tls = checker::tls().map_err(StartError::Tls)?;
        let shared = Arc::new(Shared::new(options, internet));
        let bind = |what| move |source| StartError::Bind { what, source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(bind("the API"))?;
        let api = listener.local_addr().map_err(bind("the API"))?;
        let sockets = dns::bind().await.map_err(bind("DNS"))?;
        let dns = sockets.addr;
        let (end, ending) = watch::channel(false);
        let mut tasks = JoinSet::new();
        tasks.spawn(api::serve(listener, shared.clone(), ending.clone()));
        tasks.spawn(dns::serve_udp(sockets.udp, shared.clone(), ending.clone()));
        tasks.spawn(dns::serve_tcp(sockets.tcp, shared.clone(), ending.clone()));
        tasks.spawn(checker::run(shared.clone(), tls, ending));
        Ok(Self { shared, api, dns, end, tasks })
    }

    /// The URL of the API, for `AWS_ENDPOINT_URL_ROUTE_53`.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// The address of the DNS server, on UDP and TCP.
    #[must_use]
    pub fn dns_addr(&self) -> SocketAddr {
        self.dns
    }

    /// Faults on request, and call counters.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.shared.faults.clone()
    }

    /// Creates a zone, past throttling, and gives its id.
    pub fn create_zone(&self, name: &str) -> Result<String, ApiError> {
        self.shared.with(|state, now| {
            let reference = format!("lab-{}", state.request_id());
            state.create_zone(name, &reference, None, now).map(|(zone, _)| zone.id)
        })
    }

    /// Applies a change batch, past throttling and faults.
    pub fn change(&self, zone_id: &str, batch: &ChangeBatch) -> Result<ChangeInfo, ApiError> {
        let internet = &*self.shared.internet;
        self.shared.with(|state, now| state.change(zone_id, batch, internet, now))
    }

    /// The state of a change.
    pub fn get_change(&self, id: &str) -> Result<ChangeInfo, ApiError> {
        self.shared.with(|state, now| state.get_change(id, now))
    }

    /// The latest record sets of a zone, in order.
    pub fn record_sets(&self, zone_id: &str) -> Result<Vec<RecordSet>, ApiError> {
        self.shared.with(|state, _| {
            let zone = state.zone(zone_id)?;
            Ok(zone.latest().iter().map(|set| (**set).clone()).collect())
        })
    }

    /// Answers a question as DNS would, without a socket.
    pub fn answer(&self, question: &Question) -> Result<Answer, ApiError> {
        self.shared.answer(question, None)
    }

    /// Whether a health check counts as healthy; one that does not exist does.
    #[must_use]
    pub fn is_healthy(&self, health_check_id: &str) -> bool {
        self.shared.with(|state, _| state.checks().healthy(health_check_id))
    }

    /// Sets the state of the data behind a CloudWatch alarm.
    pub fn set_alarm_state(&self, region: &str, name: &str, alarm: AlarmState) {
        self.shared.with(|state, now| state.checks_mut().set_alarm(region, name, alarm, now));
    }

    /// Lets the checks on metrics follow what `streams` says of each alarm's data: Region, name and
    /// state. An alarm that is gone has insufficient data.
    pub(crate) fn follow_alarms(
        &mut self,
        streams: impl Fn() -> Vec<(String, String, AlarmState)> + Send + Sync + 'static,
    ) {
        let (shared, ending) = (self.shared.clone(), self.end.subscribe());
        self.tasks.spawn(async move {
            let mut known: BTreeSet<(String, String)> = BTreeSet::new();
            let mut ticks = tokio::time::interval(ALARM_TICK);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stopped(ending.clone()) => return,
                    _ = ticks.tick() => {}
                }
                let found = streams();
                let now_known =
                    found.iter().map(|(region, name, _)| (region.clone(), name.clone()));
                let now_known: BTreeSet<_> = now_known.collect();
                shared.with(|state, now| {
                    for (region, name) in known.difference(&now_known) {
                        let gone = AlarmState::InsufficientData;
                        state.checks_mut().set_alarm(region, name, gone, now);
                    }
                    for (region, name, alarm) in found {
                        state.checks_mut().set_alarm(&region, &name, alarm, now);
                    }
                });
                known = now_known;
            }
        });
    }

    /// Stops it and waits until its tasks have ended.
    pub async fn shutdown(mut self) {
        // Nobody listening means that all tasks have ended.
        let _ = self.end.send(true);
        while self.tasks.join_next().await.is_some() {}
    }
}
