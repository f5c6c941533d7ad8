//! The whole of `nearside.toml`, as types that cannot be invalid.
//!
//! [`build`] is pure: layers come in as text and maps, and nothing here reads a file, a clock or
//! the environment. Layers, weakest first: built-in defaults, file, environment, flags.

mod duration;
mod layers;
mod raw;
mod reference;
mod validate;
mod validate_lists;
mod validate_metrics;
mod validate_sections;
mod validate_target;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::sample::{Connection, HttpVersion, Phase};
use crate::url::{HostPort, HttpUrl, IpPrefix, Proxy};

pub use duration::{format_duration, parse_duration};
pub use layers::{DEFAULTS, ENVIRONMENT, Flags, build};
pub use reference::{reference, schema, schema_text};
pub use validate_lists::warm_interval_bound;

/// The configuration is unusable. The message names the key, the value and the bound.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The text is not TOML, or holds an unknown key or a value of a wrong type.
    #[error("{layer} cannot be read: {cause}")]
    Syntax {
        /// Which layer: the file, the environment, a flag.
        layer: String,
        /// What the parser says, with the place.
        cause: String,
    },
    /// A key that must be there is not.
    #[error("{key} is missing: {bound}")]
    Missing {
        /// The key, with its section.
        key: String,
        /// What it must be.
        bound: String,
    },
    /// A value is out of its bound.
    #[error("{key} = {value}: {bound}")]
    Invalid {
        /// The key, with its section.
        key: String,
        /// The value as written.
        value: String,
        /// What it must be.
        bound: String,
    },
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The service name that users ask for; inside `zone`.
    pub name: String,
    /// The hosted zone's name.
    pub zone: String,
    /// Whether any endpoint may answer any request, so that weights may be used.
    pub stateless: bool,
    /// The places that measure.
    pub vantages: Vec<Vantage>,
    /// The targets that DNS can answer with.
    pub endpoints: Vec<Endpoint>,
    /// What else is measured; the candidates stand at the end, as `candidate-REGION`.
    pub targets: Vec<Target>,
    /// Sequences of targets that a user goes through.
    pub journeys: Vec<Journey>,
    /// How to measure.
    pub probe: ProbeSettings,
    /// When to believe.
    pub evidence: EvidenceSettings,
    /// What may be changed.
    pub guard: GuardSettings,
    /// How weights may move.
    pub weights: WeightSettings,
    /// Whom to ask.
    pub dns: DnsSettings,
    /// What was promised.
    pub slos: Vec<Slo>,
    /// Who the users are.
    pub traffic: Option<TrafficSettings>,
    /// The fleet store.
    pub cloudwatch: Option<CloudWatchSettings>,
    /// Who asks AWS.
    pub aws: AwsSettings,
}

/// What kind of place a vantage is. The two are never merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Population {
    /// A probe in a data centre.
    Cloud,
    /// A user's network.
    Eyeball,
}

impl Population {
    /// The name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Eyeball => "eyeball",
        }
    }
}

/// A place that measures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vantage {
    /// Its id, usually an AWS Region.
    pub id: String,
    /// What kind of place it is.
    pub population: Population,
    /// The SOCKS5 proxy that everything from here goes through.
    pub proxy: Option<Proxy>,
    /// The client subnet it speaks for in DNS, IPv4.
    pub subnet4: Option<IpPrefix>,
    /// The client subnet it speaks for in DNS, IPv6.
    pub subnet6: Option<IpPrefix>,
}

/// What an endpoint is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EndpointKind {
    /// A regional API Gateway domain.
    Regional,
    /// An edge-optimized API Gateway domain.
    EdgeOptimized,
    /// A `CloudFront` distribution.
    CloudFront,
}

impl EndpointKind {
    /// The name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Regional => "regional",
            Self::EdgeOptimized => "edge_optimized",
            Self::CloudFront => "cloudfront",
        }
    }
}

/// What a Route 53 alias record points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The DNS name of the target, without a dot at its end.
    pub dns_name: String,
    /// The hosted zone id that AWS publishes for the target.
    pub hosted_zone_id: String,
}

/// How an endpoint proves its Region: the value found must be the Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegionProof {
    /// A JSON pointer into the body of the health URL.
    Pointer(String),
    /// A header of the health URL's response, in lower case.
    Header(String),
}

/// A target that DNS can answer with.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// The AWS Region it stands in.
    pub region: String,
    /// What it is made of.
    pub kind: EndpointKind,
    /// What to measure.
    pub url: HttpUrl,
    /// The host to connect to, where it is not the URL's.
    pub connect_to: Option<HostPort>,
    /// What its health check asks.
    pub health_url: Option<HttpUrl>,
    /// How it proves its Region.
    pub region_proof: Option<RegionProof>,
    /// Requests a second that it can take.
    pub capacity: Option<f64>,
    /// What its alias records point at.
    pub alias: Option<Alias>,
    /// Where its Region's own figures of it are.
    pub metrics: Option<EndpointMetrics>,
}

/// Where `CloudWatch` has the figures that an endpoint's own Region publishes of it.
#[derive(Debug, Clone, PartialEq)]
pub struct EndpointMetrics {
    /// The API's dimension in `AWS/ApiGateway`.
    pub api: ApiDimension,
    /// The function behind it.
    pub function: String,
    /// Executions that the account may have at once in that Region.
    pub concurrency: f64,
    /// How often figures are published.
    pub period: Duration,
}

/// How API Gateway names an API in its metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiDimension {
    /// A REST API, by its name.
    Name(String),
    /// An HTTP API, by its id.
    Id(String),
}

/// What else is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TargetKind {
    /// An API endpoint.
    Api,
    /// A `CloudFront` edge.
    Edge,
    /// A Region where nothing is deployed yet.
    Candidate,
    /// The static front end.
    Static,
    /// Sign-in.
    Auth,
    /// The data tier.
    Data,
}

impl TargetKind {
    /// All kinds.
    pub const ALL: [Self; 6] =
        [Self::Api, Self::Edge, Self::Candidate, Self::Static, Self::Auth, Self::Data];

    /// The name in files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Edge => "edge",
            Self::Candidate => "candidate",
            Self::Static => "static",
            Self::Auth => "auth",
            Self::Data => "data",
        }
    }
}

/// Which addresses of a name are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Addresses {
    /// The first that answers.
    First,
    /// Each, as a path of its own.
    All,
}

/// Something measured that DNS does not answer with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Its id.
    pub id: String,
    /// What it is.
    pub kind: TargetKind,
    /// What to measure.
    pub url: HttpUrl,
    /// Targets of one group are measured as interleaved pairs.
    pub group: Option<String>,
    /// The HTTP version.
    pub http: HttpVersion,
    /// Which addresses are measured.
    pub addresses: Addresses,
    /// The AWS Region it stands in, where that is known.
    pub region: Option<String>,
    /// The host to connect to, where it is not the URL's.
    pub connect_to: Option<HostPort>,
    /// Who is asked for its name.
    pub resolver: NameSource,
    /// What is sent, and what must come back.
    pub ask: Ask,
}

/// Who is asked for a target's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NameSource {
    /// The system's resolver.
    System,
    /// This resolver, which recurses. It is told the vantage's client subnet.
    Server(SocketAddr),
    /// The name's own authoritative servers, or those of `[dns] servers` where some are named.
    /// They are told the vantage's client subnet.
    Authoritative,
}

/// What is sent to a target, and what must come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// The method: upper-case letters.
    pub method: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
    /// The statuses that are a success; empty: 200 to 399.
    pub expect_status: Vec<u16>,
    /// What the first 64 KiB of the body must contain.
    pub expect_body: Option<String>,
    /// The largest body that is read, in bytes.
    pub body_limit_bytes: u64,
    /// The files of a client certificate and its key, in PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// Whether `CloudFront` is asked for its own times (`Pragma: server-timing`).
    pub server_timing: bool,
}

impl Default for Ask {
    /// A plain GET; at most 10 MB of body.
    fn default() -> Self {
        Self {
            method: "GET".to_owned(),
            headers: Vec::new(),
            body: String::new(),
            expect_status: Vec::new(),
            expect_body: None,
            body_limit_bytes: 10_000_000,
            identity: None,
            server_timing: false,
        }
    }
}

/// A sequence of endpoints and targets that a user goes through, such as page, sign-in, API, data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// Its id: unique among endpoints, targets and journeys.
    pub id: String,
    /// Ids of endpoints and targets, in their order.
    pub steps: Vec<String>,
}

/// How to measure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeSettings {
    /// Between two slots of a cold or resumed series.
    pub interval: Duration,
    /// Between two slots of a warm series.
    pub interval_warm: Duration,
    /// The longest a whole exchange may take.
    pub timeout: Duration,
    /// The series that are measured.
    pub connections: Vec<Connection>,
    /// More roots of trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// At most this many samples of one series at a time; otherwise ceil(timeout / interval) + 1.
    pub max_in_flight: Option<u32>,
    /// Whether the kernel's times are taken where it has them.
    pub kernel_time: bool,
}

impl ProbeSettings {
    /// Between two slots of a series of this connection.
    #[must_use]
    pub fn interval_of(&self, connection: Connection) -> Duration {
        match connection {
            Connection::Cold | Connection::Resumed => self.interval,
            Connection::Warm => self.interval_warm,
        }
    }
}

/// When to believe.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceSettings {
    /// Length of a window.
    pub window: Duration,
    /// Length of a block: a multiple of `window`.
    pub block: Duration,
    /// Blocks that a test needs.
    pub blocks: u32,
    /// The level of the tests, in (0, 0.5].
    pub alpha: f64,
    /// The least gain worth a change, in ms.
    pub min_gain_ms: f64,
    /// The least gain worth a change, as a share of the current cost.
    pub min_gain_share: f64,
    /// How much worse a client may get, in ms.
    pub harm_ms: f64,
    /// Allowance for violations of the triangle inequality, in ms.
    pub triangle_ms: f64,
    /// The share of cold connections in the cost.
    pub cold_share: f64,
    /// Evidence older than this is stale.
    pub stale: Duration,
    /// The quantile that the cost is made of.
    pub quantile: f64,
    /// How long a label rests after a change.
    pub cooldown: Duration,
    /// The history that volatility is judged on.
    pub volatility_history: Duration,
    /// Blocks that a volatile pair needs.
    pub volatile_blocks: u32,
}

/// A time in which nothing is applied, in ms since 1970; the end is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freeze {
    /// Its start.
    pub start_ms: i64,
    /// Its end.
    pub end_ms: i64,
}

/// What may be changed.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardSettings {
    /// Names that may be changed; `_nearside` names of the service belong to it always.
    pub allow: Vec<String>,
    /// Names whose existing records are taken over.
    pub adopt: Vec<String>,
    /// The largest share of the traffic that one plan may move.
    pub max_traffic_moved: f64,
    /// When nothing is applied.
    pub freeze: Vec<Freeze>,
    /// Whether advice may rest on cloud vantages alone.
    pub allow_cloud_only: bool,
}

/// How weights may move, where the service is stateless.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightSettings {
    /// The share of a label's traffic that an endpoint keeps where it is answered, at least.
    pub floor: f64,
    /// How much of a label's traffic one plan may take from an endpoint or give to it, as a share.
    pub max_step: f64,
}

/// Whom to ask.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DnsSettings {
    /// Name servers to ask instead of the zone's own; empty: the zone's own.
    pub servers: Vec<SocketAddr>,
}

/// What was promised.
#[derive(Debug, Clone, PartialEq)]
pub struct Slo {
    /// The endpoint or target it is about.
    pub target: String,
    /// The quantile, in (0, 1).
    pub quantile: f64,
    /// The limit, in ms.
    pub limit_ms: f64,
    /// The share of the traffic that must be within the limit.
    pub share: f64,
}

/// Who the users are.
#[derive(Debug, Clone, PartialEq)]
pub struct TrafficSettings {
    /// A CSV of weights.
    pub file: PathBuf,
    /// Requests a second of all clients together, at the busiest.
    pub requests_per_s: Option<f64>,
}

/// Who asks AWS, where it is not whoever the credentials name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AwsSettings {
    /// The role to assume for the hosted zone, its health checks and its changes.
    pub zone_role: Option<String>,
    /// The role to assume for API Gateway.
    pub api_role: Option<String>,
}

/// The fleet store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudWatchSettings {
    /// The namespace of the metrics.
    pub namespace: String,
    /// The Region they are kept in.
    pub region: String,
    /// The most metrics that may be made, each of which costs money.
    pub max_metrics: u32,
    /// The phases that are published beside the response, each a metric of its own.
    pub phases: Vec<Phase>,
    /// The folder in which windows wait while CloudWatch cannot be reached.
    pub spool: PathBuf,
    /// How large that folder may grow, in MiB.
    pub spool_mib: u32,
}
