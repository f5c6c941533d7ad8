//! From a configuration to the series that are measured.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::{AgentError, Options};
use crate::clock::Clock;
use crate::config::{Addresses, Config, Endpoint, EndpointKind, NameSource, Target, TargetKind};
use crate::config::{Journey, RegionProof, Vantage};
use crate::exchange::{Due, Exchange, Identity, Names, Request, TrustError};
use crate::place::least_round_trip_us;
use crate::sample::{Connection, Series};
use crate::schedule::{Schedule, in_flight_max};

/// What a slot of a series does.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// One sample.
    One(Arc<Request>),
    /// One sample of each address.
    Each(Arc<Request>),
    /// One sample of each step, one after the other, and the whole.
    Steps(Arc<[(String, Arc<Request>)]>),
}

impl Work {
    /// The requests, for what must be prepared.
    pub(super) fn requests(&self) -> Vec<Arc<Request>> {
        match self {
            Self::One(request) | Self::Each(request) => vec![Arc::clone(request)],
            Self::Steps(steps) => steps.iter().map(|(_, request)| Arc::clone(request)).collect(),
        }
    }
}

/// How the samples of a series are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Paths {
    /// Not at all.
    One,
    /// By POP and cache state.
    Edge,
    /// By address.
    Address,
    /// By step.
    Step,
}

/// One series, and how it is measured.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub series: Series,
    pub work: Work,
    pub schedule: Schedule,
    pub in_flight_max: u32,
    pub paths: Paths,
    /// The least round trip that light allows between the Regions of vantage and target.
    pub least_us: Option<u64>,
    /// Within this a sample must end, from sent on.
    pub timeout: Duration,
    /// The longest that a slot may take, with what it waits for and prepares.
    pub longest: Duration,
}

/// The longest that a slot may take: a resumed one may fetch a ticket first, a warm one may wait
/// for its connection and open it anew, each within a timeout of its own.
fn longest(connection: Connection, timeout: Duration) -> Duration {
    match connection {
        Connection::Cold => timeout,
        Connection::Resumed => timeout * 2,
        Connection::Warm => timeout * 3,
    }
}

/// Something to measure, before it has a vantage and a connection.
struct Subject {
    id: String,
    request: Request,
    paths: Paths,
    region: Option<String>,
    /// Group, own index in it, its size.
    group: Option<(String, u32, u32)>,
}

/// All series of the configuration, in the order of vantage, target, connection.
pub(super) fn lanes(config: &Config, options: &Options) -> Result<Vec<Lane>, AgentError> {
    for id in &options.vantages {
        if !config.vantages.iter().any(|vantage| vantage.id == *id) {
            return Err(AgentError::Vantage { id: id.clone() });
        }
    }
    let wanted =
        |vantage: &&Vantage| options.vantages.is_empty() || options.vantages.contains(&vantage.id);
    let subjects = subjects(config)?;
    let mut lanes = Vec::new();
    for vantage in config.vantages.iter().filter(wanted) {
        for connection in &config.probe.connections {
            let maker = Maker { config, seed: options.seed, vantage, connection: *connection };
            lanes.extend(subjects.iter().map(|subject| maker.lane(subject)));
            lanes.extend(config.journeys.iter().map(|journey| maker.journey(journey, &subjects)));
        }
    }
    if lanes.is_empty() {
        let (vantages, targets) = (config.vantages.len(), subjects.len());
        return Err(AgentError::Nothing { vantages, targets });
    }
    Ok(lanes)
}

fn subjects(config: &Config) -> Result<Vec<Subject>, TrustError> {
    let mut subjects: Vec<Subject> =
        config.endpoints.iter().map(|endpoint| of_endpoint(config, endpoint)).collect();
    let mut groups: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    for group in config.targets.iter().filter_map(|target| target.group.as_deref()) {
        groups.entry(group).or_default().1 += 1;
    }
    for target in &config.targets {
        let mut subject = of_target(config, target)?;
        if let Some(group) = &target.group
            && let Some((next, size)) = groups.get_mut(group.as_str())
        {
            subject.group = Some((group.clone(), *next, *size));
            *next += 1;
        }
        subjects.push(subject);
    }
    Ok(subjects)
}

fn of_endpoint(config: &Config, endpoint: &Endpoint) -> Subject {
    let connect_to = endpoint.connect_to.clone();
    let timeout = config.probe.timeout;
    let mut request = Request { connect_to, timeout, ..Request::get(endpoint.url.clone()) };
    let by_edge = endpoint.kind != EndpointKind::Regional;
    request.region_header = region_header(endpoint);
    if endpoint.kind == EndpointKind::CloudFront {
        request.headers.push(server_timing());
    }
    Subject {
        id: endpoint.id.clone(),
        request,
        paths: if by_edge { Paths::Edge } else { Paths::One },
        // Who answers behind an edge is the edge, wherever it is.
        region: (!by_edge).then(|| endpoint.region.clone()),
        group: None,
    }
}

/// The header in which an endpoint's answers name their Region.
fn region_header(endpoint: &Endpoint) -> Option<String> {
    match &endpoint.region_proof {
        Some(RegionProof::Header(name)) => Some(name.clone()),
        Some(RegionProof::Pointer(_)) | None => None,
    }
}

/// What makes `CloudFront` tell its own times.
fn server_timing() -> (String, String) {
    ("pragma".to_owned(), "server-timing".to_owned())
}

fn of_target(config: &Config, target: &Target) -> Result<Subject, TrustError> {
    let ask = &target.ask;
    let mut headers = ask.headers.clone();
    if ask.server_timing && !headers.iter().any(|(name, _)| name == "pragma") {
        headers.push(server_timing());
    }
    let identity = match &ask.identity {
        Some((certificate, key)) => Some(Arc::new(Identity::load(certificate, key)?)),
        None => None,
    };
    let by_edge = matches!(target.kind, TargetKind::Edge | TargetKind::Static);
    let plain = Request::get(target.url.clone());
    // Behind an edge the same service answers: it names its Region as the endpoints do.
    let service = config.endpoints.iter().find_map(region_header);
    let request = Request {
        connect_to: target.connect_to.clone(),
        http: target.http,
        timeout: config.probe.timeout,
        method: ask.method.parse().unwrap_or_else(|_| plain.method.clone()),
        headers,
        body: ask.body.clone().into_bytes(),
        body_limit_bytes: ask.body_limit_bytes,
        expect_status: ask.expect_status.clone(),
        expect_body: ask.expect_body.clone(),
        identity,
        region_header: service.filter(|_| target.kind == TargetKind::Edge),
        names: match target.resolver {
            NameSource::System => Names::System,
            NameSource::Server(server) => Names::Server(server),
            NameSource::Authoritative => Names::Authoritative(config.dns.servers.clone()),
        },
        ..plain
    };
    let paths = match target.addresses {
        Addresses::All => Paths::Address,
        Addresses::First if by_edge => Paths::Edge,
        Addresses::First => Paths::One,
    };
    let region = target.region.clone().filter(|_| !by_edge);
    Ok(Subject { id: target.id.clone(), request, paths, region, group: None })
}

/// What the series of one vantage and connection have in common.
#[derive(Clone, Copy)]
struct Maker<'a> {
    config: &'a Config,
    seed: u64,
    vantage: &'a Vantage,
    connection: Connection,
}

impl Maker<'_> {
    fn series(&self, target: &str) -> Series {
        Series {
            vantage: self.vantage.id.clone(),
            target: target.to_owned(),
            connection: self.connection,
            path: String::new(),
        }
    }

    fn request(&self, key: String, subject: &Subject) -> Arc<Request> {
        Arc::new(Request {
            key,
            proxy: self.vantage.proxy.clone(),
            connection: self.connection,
            subnet: self.vantage.subnet4.or(self.vantage.subnet6),
            ..subject.request.clone()
        })
    }

    fn lane(&self, subject: &Subject) -> Lane {
        let series = self.series(&subject.id);
        let interval = self.config.probe.interval_of(self.connection);
        let request = self.request(series.to_string(), subject);
        let schedule = match &subject.group {
            Some((group, index, size)) => {
                let whose = (&series, group.as_str());
                Schedule::in_group(self.seed, whose, (*index, *size), interval)
            }
            None => Schedule::new(self.seed, &series, interval),
        };
        let longest = longest(self.connection, request.timeout);
        // A member of a group may be due up to a spread early.
        let own = in_flight_max(longest, interval) + u32::from(subject.group.is_some());
        Lane {
            schedule,
            in_flight_max: self.config.probe.max_in_flight.unwrap_or(own),
            paths: subject.paths,
            least_us: subject
                .region
                .as_ref()
                .and_then(|region| least_round_trip_us(&self.vantage.id, region)),
            timeout: request.timeout,
            longest,
            work: match subject.paths {
                Paths::Address => Work::Each(request),
                Paths::One | Paths::Edge | Paths::Step => Work::One(request),
            },
            series,
        }
    }

    fn journey(&self, journey: &Journey, subjects: &[Subject]) -> Lane {
        let series = self.series(&journey.id);
        let interval = self.config.probe.interval_of(self.connection);
        let of_step = |id: &String| {
            let subject = subjects.iter().find(|subject| subject.id == *id)?;
            Some((id.clone(), self.request(format!("{series} {id}"), subject)))
        };
        let steps: Arc<[(String, Arc<Request>)]> =
            journey.steps.iter().filter_map(of_step).collect();
        let timeout = steps.iter().map(|(_, request)| request.timeout).sum();
        let longest = longest(self.connection, timeout);
        let own = in_flight_max(longest, interval);
        Lane {
            schedule: Schedule::new(self.seed, &series, interval),
            in_flight_max: self.config.probe.max_in_flight.unwrap_or(own),
            paths: Paths::Step,
            least_us: None,
            timeout,
            longest,
            work: Work::Steps(steps),
            series,
        }
    }
}

/// Prepares a series; of a warm one it says how long a response takes, the better of two.
pub(super) async fn prime(exchange: &Exchange, clock: &dyn Clock, work: &Work) -> Option<Duration> {
    // Addresses are known only when they are asked for; each is prepared by its first sample.
    if matches!(work, Work::Each(_)) {
        return None;
    }
    let mut slowest: Option<Duration> = None;
    for request in work.requests() {
        let took = prime_one(exchange, clock, &request).await;
        slowest = slowest.max(took);
    }
    slowest
}

async fn prime_one(exchange: &Exchange, clock: &dyn Clock, request: &Request) -> Option<Duration> {
    exchange.prime(request).await;
    if request.connection != Connection::Warm {
        return None;
    }
    let mut best: Option<Duration> = None;
    for _ in 0..2 {
        let at = clock.now();
        let due = Due { origin: at, at, wall_ms: clock.wall_ms() };
        let sample = exchange.measure(request, due).await;
        if !sample.outcome.is_ok() {
            return best;
        }
        let took = Duration::from_micros(sample.total_us);
        best = Some(best.map_or(took, |best| best.min(took)));
    }
    best
}
