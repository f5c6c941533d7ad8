//! The report as data: what JSON holds, and what Markdown and HTML tell. Shapes only.
//!
//! These are wire types: a field keeps its name and its meaning. Times are RFC 3339 in the zone of
//! the report; figures in ms are rounded to a microsecond.

use serde::Serialize;

/// The version of this shape.
pub const FORMAT: u32 = 1;

/// A whole report.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// [`FORMAT`].
    pub format: u32,
    /// The version that made it.
    pub version: &'static str,
    /// The service name.
    pub service: String,
    /// Where the measurements were read: `sqlite`, or `cloudwatch`, which keeps no histograms.
    pub store: &'static str,
    /// What it speaks of.
    pub period: PeriodFacts,
    /// What that is compared with.
    pub compared: Option<PeriodFacts>,
    /// The answer, a sentence each.
    pub answer: Vec<String>,
    /// What the reader must know of the data.
    pub notices: Vec<String>,
    /// Where Route 53 sends whom, and how that is known.
    pub routing: RoutingFacts,
    /// Vantage x endpoint.
    pub cells: Vec<CellFacts>,
    /// What changed since the period it is compared with.
    pub changes: Option<ChangeFacts>,
    /// What was promised.
    pub objectives: Vec<ObjectiveFacts>,
    /// Each vantage against each other endpoint.
    pub regret: Vec<RegretFacts>,
    /// One line a label.
    pub advice: Vec<AdviceFacts>,
    /// The sets of labels that were compared for measured clients, the installed one first.
    pub label_sets: Vec<LabelSetFacts>,
    /// The best k of the endpoints there are.
    pub deployment: Vec<DeploymentFacts>,
    /// What was written to the zone in the period.
    pub applies: Vec<ApplyFacts>,
    /// Cost over time.
    pub latency: Vec<LatencyFacts>,
    /// Percentiles and phases of each target.
    pub targets: Vec<TargetFacts>,
    /// How response times are distributed where Route 53 sends people.
    pub distributions: Vec<DistributionFacts>,
    /// What was measured, and how well.
    pub coverage: Vec<CoverageFacts>,
    /// What measuring costs.
    pub monitoring: MonitoringFacts,
    /// What only a lab knows.
    pub truth: Option<TruthFacts>,
    /// How the figures came about.
    pub method: Vec<MethodFacts>,
}

/// A stretch of time, the end outside.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PeriodFacts {
    /// `day`, `week`, `month` or `time`.
    pub unit: &'static str,
    /// Its start.
    pub since: String,
    /// Its end.
    pub until: String,
    /// Its start, in ms since 1970.
    pub since_ms: i64,
    /// Its end, in ms since 1970.
    pub until_ms: i64,
    /// The zone's name.
    pub time_zone: String,
}

/// Where Route 53 sends whom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoutingFacts {
    /// `asked`, `modelled` or `unknown`.
    pub preferred: String,
    /// Why it is unknown.
    pub cause: Option<String>,
    /// Where the weights of vantages come from.
    pub weights: String,
    /// The share of the traffic that the advice would move.
    pub traffic_moved: Option<f64>,
    /// The share of the traffic that no vantage stands for.
    pub traffic_unknown: f64,
    /// What is proven to be gained elsewhere, one line a population.
    pub proven: Vec<ProvenFacts>,
    /// One line a vantage whose label is known.
    pub vantages: Vec<RoutedFacts>,
    /// Where endpoints stand.
    pub endpoints: Vec<PlaceFacts>,
}

/// What other endpoints are proven to give the traffic of one population.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProvenFacts {
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// The share of the traffic that its routed vantages stand for.
    pub traffic: f64,
    /// The largest proven gain of each vantage, weighed by its share of the traffic; none counts as
    /// zero.
    pub mean_gain_ms: f64,
}

/// One vantage on the map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RoutedFacts {
    /// The vantage.
    pub vantage: String,
    /// The label that is preferred for it.
    pub label: String,
    /// The endpoint it is sent to; of several with weights the one that costs most.
    pub endpoint: String,
    /// All of them with their parts, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The ids of all of them.
    #[serde(skip)]
    pub endpoints: Vec<String>,
    /// The share of the traffic that it stands for.
    pub share: f64,
    /// The largest gain that is proven at another endpoint, and which.
    pub proven_gain_ms: Option<f64>,
    /// Degrees north and east, where the vantage is a Region of the built-in table.
    pub place: Option<(f64, f64)>,
}

/// Where an endpoint stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlaceFacts {
    /// Its id.
    pub endpoint: String,
    /// Its Region.
    pub region: String,
    /// Degrees north and east, where they are known.
    pub place: Option<(f64, f64)>,
}

/// One vantage at one endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellFacts {
    /// The vantage.
    pub vantage: String,
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// The endpoint.
    pub endpoint: String,
    /// Whether Route 53 sends the vantage there.
    pub routed: bool,
    /// The median over blocks of their cost.
    pub cost_ms: Option<f64>,
    /// The lower end of its interval.
    pub low_ms: Option<f64>,
    /// The upper end.
    pub high_ms: Option<f64>,
    /// Blocks that have a cost.
    pub blocks: usize,
    /// Samples.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChangeFacts {
    /// Cells that could be compared.
    pub compared: usize,
    /// Cells that could not, for want of blocks.
    pub too_thin: usize,
    /// Cells whose interval spares zero.
    pub certain: usize,
    /// The level of the whole family of intervals.
    pub alpha: f64,
    /// Mean cost where Route 53 sends the vantages.
    pub routed: Option<DifferenceFacts>,
    /// Those of them that changed the most, the largest change first.
    pub cells: Vec<CellChangeFacts>,
}

/// A difference with its interval: positive means slower than before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DifferenceFacts {
    /// Before.
    pub before_ms: f64,
    /// Now.
    pub now_ms: f64,
    /// Now less before.
    pub change_ms: f64,
    /// The lower end of the interval of the change.
    pub low_ms: f64,
    /// The upper end.
    pub high_ms: f64,
}

/// A cell that changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellChangeFacts {
    /// The vantage.
    pub vantage: String,
    /// The endpoint.
    pub endpoint: String,
    /// By how much.
    #[serde(flatten)]
    pub difference: DifferenceFacts,
}

/// One objective of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectiveFacts {
    /// The endpoint or target.
    pub target: String,
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// The quantile.
    pub quantile: f64,
    /// Its limit.
    pub limit_ms: f64,
    /// The share of the traffic that must keep it.
    pub share_needed: f64,
    /// The share that did; absent where nothing was measured.
    pub share_within: Option<f64>,
    /// `met`, `breached` or `unknown`.
    pub status: &'static str,
    /// One line a vantage that measured it.
    pub vantages: Vec<ObjectiveVantage>,
}

/// What one vantage says of an objective.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectiveVantage {
    /// The vantage.
    pub vantage: String,
    /// What it weighs among those that measured.
    pub weight: f64,
    /// The quantile there.
    pub value_ms: f64,
    /// Whether it is within the limit.
    pub within: bool,
}

/// One vantage against one other endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RegretFacts {
    /// The vantage.
    pub vantage: String,
    /// The label that is preferred for it.
    pub label: String,
    /// Where it is sent; of several with weights the one that costs most.
    pub endpoint: String,
    /// All of them with their parts, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split: Option<String>,
    /// The median cost there.
    pub cost_ms: Option<f64>,
    /// The other endpoint.
    pub challenger: String,
    /// The median gain there.
    pub gain_ms: Option<f64>,
    /// The lower end of its interval.
    pub low_ms: Option<f64>,
    /// The upper end.
    pub high_ms: Option<f64>,
    /// Blocks found.
    pub blocks: u32,
    /// Blocks needed.
    pub blocks_needed: u32,
    /// Whether the gain is proven, by Holm's procedure over all lines.
    pub proven: bool,
}

/// The advice for one label.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AdviceFacts {
    /// The label.
    pub label: String,
    /// Where it points.
    pub current: String,
    /// Where it should.
    pub advised: String,
    /// A reason code.
    pub reason: &'static str,
    /// The evidence of the move, or what stands against the nearest challenger.
    pub why: String,
    /// The vantages it stands for.
    pub catchment: Vec<String>,
}

/// Labels that may be installed together, and what they are worth to measured clients.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LabelSetFacts {
    /// The labels.
    pub labels: Vec<String>,
    /// What they change of the installed ones, in words.
    pub beside: String,
    /// How it is known who prefers which: `asked` or `modelled`.
    pub preferred: &'static str,
    /// The mean regret with each label at its best endpoint; nothing where somebody would be moved who may
    /// not be.
    pub regret_ms: Option<f64>,
    /// Whether the advice leads to them.
    pub chosen: bool,
}

/// The best choices for the vantages of one population.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DeploymentFacts {
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// The Regions whose costs are estimates, because nothing is deployed there; empty where only
    /// what is measured was looked at.
    pub estimated: Vec<String>,
    /// How such estimates do where the truth is known.
    pub models: Vec<ModelFacts>,
    /// From one endpoint on.
    pub choices: Vec<ChoiceFacts>,
}

/// The model behind estimates of one kind of connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelFacts {
    /// `cold` or `warm`.
    pub connection: &'static str,
    /// Round trips in a response.
    pub multiplier: f64,
    /// What is added to them, in ms.
    pub service_ms: f64,
    /// The median error of endpoints left out in turn, as a share of the truth.
    pub error_p50: Option<f64>,
    /// The error that nine of ten of them do not exceed.
    pub error_p90: Option<f64>,
}

/// The best choice of k endpoints.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChoiceFacts {
    /// How many.
    pub k: usize,
    /// Which; empty where every choice leaves a vantage without a cost.
    pub chosen: Vec<String>,
    /// The mean over vantages, each at its best chosen endpoint, weighed by the traffic.
    pub cost_ms: Option<f64>,
    /// Whether it is proven that nothing is better.
    pub optimal: bool,
    /// By how much another choice could at most be better, as a share.
    pub gap: f64,
}

/// One operation on the zone.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ApplyFacts {
    /// Its number in the journal.
    pub operation: u64,
    /// When it began.
    pub at: String,
    /// The same, in ms since 1970.
    pub at_ms: i64,
    /// What it was for.
    pub what: &'static str,
    /// The plan's id.
    pub plan: String,
    /// Record changes.
    pub changes: usize,
    /// How it ended.
    pub ending: String,
    /// What became of each label that moved, at each vantage of its catchment.
    pub moves: Vec<MoveFacts>,
}

/// Before and after, at one vantage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MoveFacts {
    /// The label.
    pub label: String,
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// Who measured; absent where the catchment is unknown.
    pub vantage: Option<String>,
    /// Median cost of the old endpoint in the blocks before.
    pub before_ms: Option<f64>,
    /// Blocks before.
    pub blocks_before: usize,
    /// Median cost of the new endpoint in the blocks after.
    pub after_ms: Option<f64>,
    /// Blocks after.
    pub blocks_after: usize,
}

/// Cost over time, over the vantages of one population.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LatencyFacts {
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// The endpoint; absent: wherever Route 53 sent each vantage.
    pub endpoint: Option<String>,
    /// Vantages in it.
    pub vantages: usize,
    /// How many blocks one point stands for.
    pub blocks_a_point: usize,
    /// Points in order of time.
    pub points: Vec<PointFacts>,
}

/// One point in time: quantiles over vantages of their cost.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PointFacts {
    /// The start of its first block, in ms since 1970.
    pub at_ms: i64,
    /// The vantage at 10 %.
    pub p10_ms: f64,
    /// The middle one.
    pub p50_ms: f64,
    /// The vantage at 90 %.
    pub p90_ms: f64,
}

/// One target as one population sees it over one kind of connection.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetFacts {
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// The endpoint or target.
    pub target: String,
    /// `cold`, `resumed` or `warm`.
    pub connection: &'static str,
    /// Values, failures among them.
    pub n: u64,
    /// Percentiles of the response, of merged histograms.
    pub p50_ms: f64,
    /// The 95th.
    pub p95_ms: f64,
    /// The 99th.
    pub p99_ms: f64,
    /// Mean ms of each phase of successes; means add up, percentiles do not.
    pub phases: Vec<PhaseFacts>,
}

/// The mean of one phase.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PhaseFacts {
    /// Its name.
    pub phase: &'static str,
    /// Its mean over all successes.
    pub mean_ms: f64,
}

/// An empirical distribution.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DistributionFacts {
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// `cold`, `resumed` or `warm`.
    pub connection: &'static str,
    /// Values in it.
    pub n: u64,
    /// The value at each share of [`crate::SHARES`], in ms.
    pub values_ms: Vec<f64>,
}

/// How much was measured by one vantage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CoverageFacts {
    /// The vantage.
    pub vantage: String,
    /// `cloud` or `eyeball`.
    pub population: &'static str,
    /// Samples.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// The most frequent kind of failure.
    pub worst_kind: Option<&'static str>,
    /// Slots that could not start; absent: not known from CloudWatch.
    pub missed: Option<u64>,
    /// Samples that the prober started late; absent likewise.
    pub late: Option<u64>,
    /// Further samples, of windows with missed slots, which CloudWatch keeps apart: no other figure holds
    /// them. Only from there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incomplete: Option<u64>,
    /// The end of the newest data; absent: none in the period.
    pub last: Option<String>,
    /// The same, in ms since 1970.
    pub last_ms: Option<i64>,
    /// Whether that is older than evidence may be at the end of the period.
    pub stale: bool,
}

/// What measuring costs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MonitoringFacts {
    /// Series.
    pub series: usize,
    /// Requests in the period.
    pub requests: u64,
    /// At the same rate in 30 days.
    pub requests_30d: u64,
    /// What the endpoint's gateway takes for them at the built-in price, in USD.
    pub requests_usd_30d: f64,
    /// Health checks that our records name.
    pub health_checks: usize,
    /// Their price in 30 days, in USD.
    pub health_checks_usd_30d: f64,
}

/// What only a lab knows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TruthFacts {
    /// Clients that nothing measured from.
    pub clients: usize,
    /// Their traffic-weighted mean regret before.
    pub regret_before_ms: f64,
    /// And after.
    pub regret_after_ms: f64,
    /// The share of the traffic that got worse by more than 5 ms.
    pub harmed_share: f64,
}

/// One figure of the method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodFacts {
    /// Its name.
    pub name: &'static str,
    /// Its value.
    pub value: String,
}
