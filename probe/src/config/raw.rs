//! `nearside.toml` as it is written: strings and numbers, nothing checked but names and types.
//!
//! What is said of a key here is what docs/configuration.md and the JSON Schema say of it: bounds and words
//! are those of the checks, which a test compares.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// The configuration of Nearside: what is measured, when it is believed, and what may be changed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "nearside.toml")]
pub(super) struct RawConfig {
    /// The service name that users ask for. It lies inside `zone`.
    #[schemars(required)]
    pub name: Option<String>,
    /// The hosted zone, by its name.
    #[schemars(required)]
    pub zone: Option<String>,
    /// Any endpoint may answer any request: labels then move by weights.
    pub stateless: Option<bool>,
    /// Regions where nothing is deployed, measured as targets of kind `candidate`: `"all"`, or a list.
    pub candidates: Option<RawCandidates>,
    /// What is asked in a candidate Region: a URL with `{region}` in it. AWS documents no contract for the
    /// one that is built in.
    pub candidate_url: Option<String>,
    /// Places that measure.
    #[serde(default)]
    pub vantage: Vec<RawVantage>,
    /// Targets that DNS can answer with.
    #[serde(default)]
    pub endpoint: Vec<RawEndpoint>,
    /// What else is measured.
    #[serde(default)]
    pub target: Vec<RawTarget>,
    /// Sequences of targets that a user goes through.
    #[serde(default)]
    pub journey: Vec<RawJourney>,
    /// How to measure.
    #[serde(default)]
    pub probe: RawProbe,
    /// When to believe.
    #[serde(default)]
    pub evidence: RawEvidence,
    /// What may be changed.
    #[serde(default)]
    pub guard: RawGuard,
    /// How weights may move, where `stateless` says so.
    #[serde(default)]
    pub weights: RawWeights,
    /// Whom to ask.
    #[serde(default)]
    pub dns: RawDns,
    /// What was promised; `advisor report` judges it.
    #[serde(default)]
    pub slo: Vec<RawSlo>,
    /// Who the users are.
    pub traffic: Option<RawTraffic>,
    /// CloudWatch as the store of a fleet.
    pub cloudwatch: Option<RawCloudWatch>,
    /// Who asks AWS.
    #[serde(default)]
    pub aws: RawAws,
}

/// A place that measures. Give it the Region's code as its id, and it is the witness of the endpoint there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "vantage")]
pub(super) struct RawVantage {
    /// Lower-case letters, digits and `-`; unique.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// `cloud`: a data centre; `eyeball`: a user's network. `cloud` where it is not said.
    #[schemars(extend("enum" = ["cloud", "eyeball"]))]
    pub population: Option<String>,
    /// The SOCKS5 proxy that everything from here goes through: `socks5://USER:PASSWORD@HOST:PORT`, or `socks5h`
    /// for names resolved there.
    pub proxy: Option<String>,
    /// The client subnet that it asks DNS for, IPv4, such as `198.51.100.0/24`.
    pub subnet4: Option<String>,
    /// The same for IPv6.
    pub subnet6: Option<String>,
}

/// A target that DNS can answer with. Planning needs `alias` and `health_url` of every endpoint; measuring does
/// not.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "endpoint")]
pub(super) struct RawEndpoint {
    /// Lower-case letters, digits and `-`; unique among endpoints, targets and journeys.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// The AWS Region it stands in.
    pub region: String,
    /// What it is made of; `regional` where it is not said.
    #[schemars(extend("enum" = ["regional", "edge_optimized", "cloudfront"]))]
    pub kind: Option<String>,
    /// What is measured. Its host is SNI and Host.
    pub url: String,
    /// The host and port to connect to, where it is not the URL's: the Region's own target, so that one Region
    /// is measured behind the shared name.
    pub connect_to: Option<String>,
    /// What its health check asks: the domain of this Region alone, never the service name.
    pub health_url: Option<String>,
    /// How it proves its Region: a header of the health URL whose value is the Region's code, or a JSON pointer
    /// (a value that begins with `/`) to it. Without one, plans say `unproven`.
    #[schemars(length(min = 1, max = 256))]
    pub region_proof: Option<String>,
    /// Requests a second that it can take. Without it: what AWS gives every account, 10,000 a second in a Region
    /// (2,500 in those that begin lower) for API Gateway and 250,000 for a CloudFront distribution. Where Lambda is
    /// the bound, write its concurrency divided by the mean duration of a request in seconds.
    #[schemars(range(min = 0.001, max = 1_000_000_000))]
    pub capacity: Option<f64>,
    /// What its alias records point at.
    pub alias: Option<RawAlias>,
    /// Where CloudWatch has what its own Region publishes of it; a canary needs it of every endpoint that
    /// receives traffic.
    pub metrics: Option<RawMetrics>,
}

/// Where CloudWatch has the figures that API Gateway and Lambda publish of an endpoint in its Region. It has either
/// `api_name` or `api_id`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "metrics")]
pub(super) struct RawMetrics {
    /// The name of a REST API: its dimension in `AWS/ApiGateway`.
    #[schemars(length(min = 1, max = 255))]
    pub api_name: Option<String>,
    /// The id of an HTTP API: its dimension in `AWS/ApiGateway`.
    #[schemars(length(min = 1, max = 255))]
    pub api_id: Option<String>,
    /// The function behind it: its dimension in `AWS/Lambda`.
    #[schemars(length(min = 1, max = 255))]
    pub function: String,
    /// Executions that the account may have at once in that Region; 1000 where it is not said.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub concurrency: Option<f64>,
    /// How often figures are published, `1s` to `5m`; `1m` where it is not said, which is AWS's.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub period: Option<String>,
}

/// What a Route 53 alias record points at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "alias")]
pub(super) struct RawAlias {
    /// The target's DNS name: `regionalDomainName` of the custom domain.
    pub dns_name: String,
    /// The target's hosted zone: `regionalHostedZoneId` of the custom domain.
    #[schemars(regex(pattern = "^Z[A-Z0-9]{1,31}$"))]
    pub hosted_zone_id: String,
}

/// What else is measured: other front doors, candidates by hand, static pages, sign-in, data tiers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "target")]
pub(super) struct RawTarget {
    /// Lower-case letters, digits and `-`; unique among endpoints, targets and journeys.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// What it is.
    #[schemars(extend("enum" = ["api", "edge", "candidate", "static", "auth", "data"]))]
    pub kind: String,
    /// What is measured.
    pub url: String,
    /// Targets of one group are measured within the same second, in random order.
    pub group: Option<String>,
    /// The HTTP version; `1.1` where it is not said.
    #[schemars(extend("enum" = ["1.1", "2"]))]
    pub http: Option<String>,
    /// `first`, or `all` for every address of the name, each as a path of its own.
    #[schemars(extend("enum" = ["first", "all"]))]
    pub addresses: Option<String>,
    /// Where it stands: a round trip faster than light is then flagged.
    pub region: Option<String>,
    /// Another host and port to connect to.
    pub connect_to: Option<String>,
    /// Who is asked for its name: `system`, `authoritative`, or the address of a resolver.
    pub resolver: Option<String>,
    /// The method, upper-case letters; `GET` where it is not said.
    pub method: Option<String>,
    /// Headers of the request.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The body of the request.
    pub body: Option<String>,
    /// The statuses that are a success; 200 to 399 where it is not said.
    pub expect_status: Option<Vec<i64>>,
    /// What the first 64 KiB of the body must contain.
    pub expect_body: Option<String>,
    /// The largest body that is read; 10,000,000 where it is not said.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub body_limit_bytes: Option<i64>,
    /// A client certificate, a PEM file; with `client_key`.
    pub client_cert: Option<String>,
    /// Its key, a PEM file.
    pub client_key: Option<String>,
    /// Asks CloudFront for its own times; on where it is not said for `edge` and `static`.
    pub server_timing: Option<bool>,
}

/// `candidates`: the word `all`, or a list of Regions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "candidates")]
pub(super) enum RawCandidates {
    /// `"all"`
    Word(String),
    /// Regions.
    List(Vec<String>),
}

/// Targets measured one after the other: each step is a series, and so is the whole.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "journey")]
pub(super) struct RawJourney {
    /// Lower-case letters, digits and `-`; unique among endpoints, targets and journeys.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// Ids of endpoints and targets, in their order.
    #[schemars(length(min = 1, max = 30))]
    pub steps: Vec<String>,
}

/// How to measure.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "probe")]
pub(super) struct RawProbe {
    /// Between two samples of a cold or resumed series: one each 10 s is enough evidence for p95.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub interval: Option<String>,
    /// Between two samples of a warm series; at least 1.5 times its slowest response.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub interval_warm: Option<String>,
    /// The longest a whole exchange may take, from sent to the last byte; at most 59s.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub timeout: Option<String>,
    /// Some of `cold`, `resumed`, `warm`.
    #[schemars(extend("items" = { "type": "string", "enum": ["cold", "resumed", "warm"] }))]
    pub connections: Option<Vec<String>>,
    /// More roots of trust, a PEM file.
    pub ca_file: Option<String>,
    /// At most this many samples of one series at a time; else the timeout over the interval, rounded up,
    /// and 1.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_in_flight: Option<i64>,
    /// `kernel`: the kernel's own times where it has them; `user`: never.
    #[schemars(extend("enum" = ["kernel", "user"]))]
    pub clock: Option<String>,
}

/// When to believe.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "evidence")]
pub(super) struct RawEvidence {
    /// An aligned interval of one series.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub window: Option<String>,
    /// A run of windows, aligned to UTC: the unit of evidence. A multiple of `window`.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub block: Option<String>,
    /// Blocks that a test needs.
    #[schemars(range(min = 1, max = 10_000))]
    pub blocks: Option<i64>,
    /// The level of the tests.
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 0.5))]
    pub alpha: Option<f64>,
    /// The least gain worth a change, in ms: the larger of this and `min_gain_share`.
    #[schemars(range(min = 0, max = 10_000))]
    pub min_gain_ms: Option<f64>,
    /// The least gain worth a change, as a share of the current cost.
    #[schemars(range(min = 0, max = 1))]
    pub min_gain_share: Option<f64>,
    /// How much worse a client may get, in ms.
    #[schemars(range(min = 0, max = 10_000))]
    pub harm_ms: Option<f64>,
    /// Allowance for violations of the triangle inequality, in ms.
    #[schemars(range(min = 0, max = 10_000))]
    pub triangle_ms: Option<f64>,
    /// The share of cold connections in the cost.
    #[schemars(range(min = 0, max = 1))]
    pub cold_share: Option<f64>,
    /// Evidence older than this is stale.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub stale: Option<String>,
    /// The quantile that the cost is made of.
    #[schemars(extend("enum" = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99]))]
    pub quantile: Option<f64>,
    /// How long a label rests after a change.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub cooldown: Option<String>,
    /// The history that volatility is judged on.
    #[schemars(extend("pattern" = "^[0-9]+(ms|s|m|h|d)$"))]
    pub volatility_history: Option<String>,
    /// Blocks that a volatile pair needs; not fewer than `blocks`.
    #[schemars(range(min = 1, max = 10_000))]
    pub volatile_blocks: Option<i64>,
}

/// What may be changed. There is no flag that overrides it: limits move here, where they are reviewed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "guard")]
pub(super) struct RawGuard {
    /// Names that may be written; the `_nearside` names of the service belong to it always.
    pub allow: Option<Vec<String>>,
    /// Names whose existing records, made by another tool, are taken over.
    pub adopt: Option<Vec<String>>,
    /// The largest share of the traffic that one plan may move.
    #[schemars(range(min = 0, max = 1))]
    pub max_traffic_moved: Option<f64>,
    /// When nothing is applied: `START/END` in RFC 3339.
    pub freeze: Option<Vec<String>>,
    /// Whether `advisor watch --apply` may rest on cloud vantages alone.
    pub allow_cloud_only: Option<bool>,
}

/// How weights may move, where `stateless` says so.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "weights")]
pub(super) struct RawWeights {
    /// The share of a label's traffic that an endpoint keeps at least where it is answered.
    #[schemars(range(min = 0, max = 0.5))]
    pub floor: Option<f64>,
    /// How much of a label's traffic one plan may take from an endpoint, or give to it, as a share.
    #[schemars(range(min = 0.01, max = 1))]
    pub max_step: Option<f64>,
}

/// Whom to ask.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "dns")]
pub(super) struct RawDns {
    /// Name servers to ask, as IP or IP:PORT; none: the zone's own.
    pub servers: Option<Vec<String>>,
}

/// What was promised; `advisor report` judges it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "slo")]
pub(super) struct RawSlo {
    /// The endpoint or target it is about.
    pub target: String,
    /// The quantile.
    #[schemars(range(min = 0.01, max = 0.999))]
    pub quantile: f64,
    /// The limit, in ms.
    #[schemars(range(min = 0.001, max = 60_000))]
    pub limit_ms: f64,
    /// The share of the traffic that must be within the limit.
    #[schemars(range(min = 0, max = 1))]
    pub share: f64,
}

/// Who the users are. Without it all vantages weigh the same, and the output says so.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "traffic")]
pub(super) struct RawTraffic {
    /// A CSV with the header `client,weight` (or `prefix,weight`, `vantage,weight`; more columns are ignored): a
    /// client prefix or a vantage's id, and its weight, finite and not negative. A prefix within a vantage's
    /// subnet counts for that vantage; for the 500 heaviest others Route 53 is asked which label it prefers, where
    /// shadow records stand. The share that is neither is printed.
    pub file: String,
    /// Requests a second of all clients together, at the busiest. With it the loss of an endpoint is held against
    /// what the others take, and weights keep within the capacity of endpoints.
    #[schemars(range(min = 0.001, max = 1_000_000_000))]
    pub requests_per_s: Option<f64>,
}

/// CloudWatch as the store: `--store cloudwatch:NAMESPACE` publishes to and reads from one Region for the whole
/// fleet. The apply journal stays a local file, `nearside.journal`. `advisor cost` tells the price. `probe lambda`
/// measures one round for each invocation of a function as the vantage `AWS_REGION`, and publishes through its
/// log, into the metrics of its own Region; with `--store cloudwatch:NAMESPACE` it sends to `cloudwatch.region`
/// instead, so that one Region holds all. Write `interval` and `interval_warm` as `1m` for it, and give it 1,769
/// MB, which is one whole processor.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "cloudwatch")]
pub(super) struct RawCloudWatch {
    /// That of the metrics, not beginning with `AWS/`; the same as in `--store`.
    #[schemars(extend("pattern" = "^(?!AWS/)[A-Za-z0-9._/#:-]{1,255}$"))]
    pub namespace: String,
    /// The Region that holds them.
    pub region: String,
    /// A configuration that makes more metrics is refused; 1,000 where it is not said.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_metrics: Option<i64>,
    /// Phases with a metric of their own; none where it is not said. Without a shadow group the advisor needs
    /// `connect`.
    #[schemars(extend("items" = {
        "type": "string", "enum": ["resolve", "connect", "tls", "processing", "transfer"]
    }))]
    pub phases: Option<Vec<String>>,
    /// The folder where windows wait while CloudWatch cannot be reached; `nearside-spool` where it is not
    /// said.
    pub spool: Option<String>,
    /// How large it may grow, MiB; 256 where it is not said.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub spool_mib: Option<i64>,
}

/// Who asks AWS, where zone and APIs belong to other accounts than the credentials.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "aws")]
pub(super) struct RawAws {
    /// The role to assume for Route 53: `arn:aws:iam::123456789012:role/NAME`.
    pub zone_role: Option<String>,
    /// The role to assume for API Gateway.
    pub api_role: Option<String>,
}
