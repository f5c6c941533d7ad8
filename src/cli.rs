//! The command lines of both binaries. Shapes and help only.

mod init;
mod shell;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use init::InitArgs;
pub use shell::{CompletionsArgs, ManArgs, SchemaArgs};

/// Finds the fastest endpoint for each user of an API in several AWS Regions, and routes to it.
#[derive(Debug, Parser)]
#[command(name = "advisor", version, max_term_width = 100)]
pub struct Advisor {
    /// What holds for all commands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: AdvisorCommand,
}

/// Measures end-to-end latency, phase by phase.
#[derive(Debug, Parser)]
#[command(name = "probe", version, max_term_width = 100)]
pub struct Probe {
    /// What holds for all commands.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: ProbeCommand,
}

/// What holds for all commands.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The configuration [default: ./nearside.toml, then the user's configuration folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Where measurements are kept: sqlite:PATH, or cloudwatch:NAMESPACE
    #[arg(long, global = true, value_name = "STORE", default_value = "sqlite:./nearside.sqlite")]
    pub store: String,
    /// Print one JSON document on stdout, and nothing else there
    #[arg(long, global = true)]
    pub json: bool,
    /// Print no progress
    #[arg(long, short, global = true)]
    pub quiet: bool,
}

/// The advisor's commands.
#[derive(Debug, Subcommand)]
pub enum AdvisorCommand {
    /// Show the whole loop on this machine: measure, advise, apply, verify, roll back
    Demo(DemoArgs),
    /// Run the lab, a small AWS on loopback, until interrupted
    Lab(LabArgs),
    /// Find endpoints, zone and records in AWS, write nearside.toml, and say what is missing
    Init(InitArgs),
    /// Measure from this machine into the store, as `probe run` does
    Probe(WatchedRunArgs),
    /// Show what was measured: vantage x endpoint
    Matrix,
    /// Watch live what is measured, where users are sent, and what is advised
    Tui(TuiArgs),
    /// Show where Route 53 sends each vantage, and what another endpoint would give
    Regret(RegretArgs),
    /// Say which Regions serve the clients of a cost matrix best, proven
    Recommend(RecommendArgs),
    /// Count clients in access logs, and say which vantages stand for them
    Traffic(TrafficArgs),
    /// Show where clients of an address are sent, why, and what the advice would change for them
    Explain(ExplainArgs),
    /// Decide, and write the exact record changes to a plan file
    Plan(PlanArgs),
    /// Plan to take one Region out of answers, or to put it back
    Drain(DrainArgs),
    /// Apply a plan file: guarded, atomic, verified
    Apply(ApplyArgs),
    /// Restore the records that a plan replaced
    Rollback(RollbackArgs),
    /// List what was applied and how it ended
    History,
    /// Decide again and again, one JSON line a cycle; plan only, unless told to apply
    Watch(WatchArgs),
    /// Write a report that can be forwarded: HTML, Markdown and JSON
    Report(ReportArgs),
    /// Tell what running this fleet costs a month
    Cost(CostArgs),
    /// Check what the advisor leans on: store, zone, records, endpoints; each with what to do
    Doctor,
    /// Print the JSON Schema of nearside.toml, by which editors complete it
    Schema(SchemaArgs),
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// The probe's commands.
#[derive(Debug, Subcommand)]
pub enum ProbeCommand {
    /// Measure URLs now and show where the time went
    Once(OnceArgs),
    /// Measure what the configuration names, until stopped
    Run(RunArgs),
    /// Write what was measured to stdout in another tool's format
    Export(ExportArgs),
    /// Run as a function of AWS Lambda: one round for each invocation, published through its log, or
    /// with --store cloudwatch:NAMESPACE to the Region that holds all
    Lambda,
    /// Print the completions for a shell
    Completions(CompletionsArgs),
    /// Write the manual pages
    Man(ManArgs),
}

/// `advisor demo`
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Which world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long to measure, like 42s
    #[arg(long = "for", value_name = "DURATION", default_value = "42s", value_parser = duration)]
    pub measure: Duration,
    /// Where the lab's files, the store, the plans and the report go
    #[arg(long, value_name = "DIR", default_value = "./nearside-demo")]
    pub keep: PathBuf,
}

/// `advisor lab`
#[derive(Debug, Args)]
pub struct LabArgs {
    /// A built-in scenario (demo, calm, app) or a TOML file
    #[arg(long, default_value = "demo")]
    pub scenario: String,
    /// Which world
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Where the lab's files go
    #[arg(long, value_name = "DIR", default_value = "./nearside-lab")]
    pub dir: PathBuf,
}

/// `advisor cost`
#[derive(Debug, Args)]
pub struct CostArgs {
    /// How often the matrix is read
    #[arg(long, value_name = "DURATION", default_value = "4h", value_parser = duration)]
    pub refresh: Duration,
    /// DNS queries for the service a month that are not answered by an alias, in millions
    #[arg(long, value_name = "MILLIONS", default_value_t = 0.0)]
    pub queries: f64,
    /// Seconds that one round of a probe takes as a function; 0 where probes are no functions
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub lambda_s: f64,
}

/// `probe run`, `advisor probe`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Measure as this vantage; several may be named [default: all that have a proxy, or the only one]
    #[arg(long, value_name = "ID")]
    pub vantage: Vec<String>,
    /// How long to measure, like 10m [default: until stopped]
    #[arg(long = "for", value_name = "DURATION", value_parser = duration)]
    pub measure: Option<Duration>,
    /// Serve /metrics and /healthz here
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<SocketAddr>,
}

/// `advisor probe`
#[derive(Debug, Args)]
pub struct WatchedRunArgs {
    /// As for `probe run`.
    #[command(flatten)]
    pub run: RunArgs,
    /// Show the dashboard while measuring; quitting it stops both
    #[arg(long)]
    pub tui: bool,
}

/// `advisor tui`
#[derive(Debug, Args)]
pub struct TuiArgs {
    /// Print one frame of so many columns and rows as text, like 120x40, and end
    #[arg(long, value_name = "WxH", value_parser = frame_size)]
    pub frame: Option<(u16, u16)>,
    /// Keys that are pressed before the frame is drawn, like 2jj
    #[arg(long, value_name = "KEYS", default_value = "", requires = "frame")]
    pub keys: String,
    /// Whether the frame has colours
    #[arg(long, value_enum, default_value_t = ColorArg::Auto, requires = "frame")]
    pub color: ColorArg,
    /// How often CloudWatch is read, 5m without this; each reading is paid for, and the screen says
    /// how much
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub refresh: Option<Duration>,
}

/// When there are colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ColorArg {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// `probe export`
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// A histogram log that the tools of the HdrHistogram project read
    #[arg(long, required = true)]
    pub hlog: bool,
    /// How far back, like 6h [default: all windows that are kept, a day]
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub since: Option<Duration>,
}

/// `advisor regret`
#[derive(Debug, Args)]
pub struct RegretArgs {
    /// Install the shadow groups, so that preferred labels are asked and not modelled
    #[arg(long, conflicts_with = "remove_shadow")]
    pub install_shadow: bool,
    /// Remove the shadow groups
    #[arg(long)]
    pub remove_shadow: bool,
    /// Do not ask before writing
    #[arg(long)]
    pub yes: bool,
}

/// `advisor recommend`
#[derive(Debug, Args)]
pub struct RecommendArgs {
    /// Costs in ms, CSV: client,COLUMN,...; empty where unknown [default: what the store has of
    /// endpoints, and estimates for the candidates]
    #[arg(long, value_name = "FILE")]
    pub matrix: Option<PathBuf>,
    /// What each client weighs, CSV: client,weight [default: 1]
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
    /// How many columns to choose
    #[arg(long, value_name = "K")]
    pub regions: usize,
    /// A column that is always chosen; several may be named
    #[arg(long, value_name = "COLUMN")]
    pub pin: Vec<String>,
    /// A column that is never chosen; several may be named
    #[arg(long, value_name = "COLUMN")]
    pub forbid: Vec<String>,
    /// What is minimised: mean, slo:MS (the weight above MS), p95 (the MS within which 95 % lies)
    #[arg(long, default_value = "mean", value_parser = objective)]
    pub objective: ObjectiveArg,
    /// What each column costs in units of the weighted sum, CSV: column,cost [default: nothing]
    #[arg(long, value_name = "FILE")]
    pub fixed_cost: Option<PathBuf>,
    /// Count the cost with one of the chosen down, each in turn
    #[arg(long)]
    pub n_minus_1: bool,
    /// Every number of columns up to K, also where K is over 20
    #[arg(long)]
    pub frontier: bool,
    /// Seconds after which the best so far is printed with its gap
    #[arg(long, value_name = "S", default_value = "60", value_parser = seconds)]
    pub time_limit: f64,
}

/// `advisor traffic`
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("source").required(true))]
pub struct TrafficArgs {
    /// `CloudFront` access logs, plain or gzip: standard, real-time, RTMP, JSON
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source")]
    pub cloudfront: Vec<PathBuf>,
    /// API Gateway access logs, plain or gzip: JSON or the common log format
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source")]
    pub apigateway: Vec<PathBuf>,
    /// Route 53 query logs, plain or gzip: they count what resolvers had not cached, not traffic
    #[arg(long, value_name = "FILE", num_args = 1.., group = "source")]
    pub query_log: Vec<PathBuf>,
    /// No log: the cities where the world's internet users live
    #[arg(long, group = "source")]
    pub population: bool,
    /// A vantage, by its Region; several may be named [default: all commercial Regions]
    #[arg(long, value_name = "REGION")]
    pub vantage: Vec<String>,
    /// Up to how many km a vantage stands for clients
    #[arg(long, value_name = "KM", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub within: u32,
    /// What the weights are of: each client's network or place, or the vantage nearest to it
    #[arg(long, value_enum, default_value_t = WeightsOf::Vantage)]
    pub by: WeightsOf,
    /// Write weights here, CSV: client,weight
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// What a file of weights names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WeightsOf {
    /// The nearest vantage, as a matrix between Regions has it
    Vantage,
    /// The edge or the city
    Place,
    /// The client's /24 or /48
    Prefix,
}

/// What a recommendation minimises.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ObjectiveArg {
    /// The weighted mean cost.
    Mean,
    /// The weight that costs more than so many ms.
    Slo(f64),
    /// The cost within which 95 % of the weight lies.
    P95,
}

/// `advisor plan`
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Where the plan goes
    #[arg(long, value_name = "FILE", default_value = "plan.json")]
    pub out: PathBuf,
    /// Print the routing records as they will stand, for another tool
    #[arg(long, value_enum, value_name = "TOOL")]
    pub emit: Option<EmitArg>,
}

/// Whose syntax the records are printed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum EmitArg {
    /// HCL for Terraform, and for tools that read it too
    Terraform,
    /// A template in JSON for `CloudFormation`
    Cloudformation,
    /// YAML for octoDNS' configuration
    Octodns,
}

/// `advisor explain`
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// An address, or a prefix such as 198.51.100.0/24
    #[arg(value_name = "IP_OR_PREFIX")]
    pub client: String,
}

/// `advisor drain`
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// The AWS Region
    pub region: String,
    /// Put back what an earlier drain took out
    #[arg(long)]
    pub back: bool,
    /// Where the plan goes
    #[arg(long, value_name = "FILE", default_value = "plan.json")]
    pub out: PathBuf,
}

/// `advisor apply`
#[derive(Debug, Args)]
pub struct ApplyArgs {
    /// The plan file
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    pub plan: Option<PathBuf>,
    /// Go on with the operation that was interrupted
    #[arg(long)]
    pub resume: bool,
    /// Do not ask before writing
    #[arg(long)]
    pub yes: bool,
    /// Move the traffic by these percentages, rising to 100; go on when nothing gets worse, go back
    /// when something does [without a value: 1,10,50,100]
    #[arg(
        long, value_name = "PERCENTS", value_delimiter = ',', num_args = 0..=1,
        default_missing_value = "1,10,50,100", conflicts_with = "resume"
    )]
    pub canary: Option<Vec<u8>>,
    /// How long each percentage is observed at least
    #[arg(
        long, value_name = "DURATION", default_value = "15m", value_parser = duration,
        requires = "canary"
    )]
    pub observe: Duration,
    /// From one sample of each way to the next
    #[arg(
        long, value_name = "DURATION", default_value = "1s", value_parser = duration,
        requires = "canary"
    )]
    pub every: Duration,
}

/// `advisor rollback`
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The id of the plan to take back [default: the newest that stands]
    pub id: Option<String>,
    /// Do not ask before writing
    #[arg(long)]
    pub yes: bool,
}

/// `advisor watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Apply plans within the guards; on cloud evidence alone only if the configuration allows it
    #[arg(long)]
    pub apply: bool,
    /// From the end of one cycle to the next
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub interval: Duration,
    /// Plans that may be applied within 24 hours
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub changes_a_day: usize,
}

/// `advisor report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Where the report goes; with --schedule, each into a folder of its own
    #[arg(long, value_name = "DIR", default_value = "./nearside-report")]
    pub out: PathBuf,
    /// How far back, from the newest data [default: 7d]
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "period")]
    pub since: Option<Duration>,
    /// The last whole day, week or month
    #[arg(long, value_enum)]
    pub period: Option<PeriodArg>,
    /// What it is compared with: previous, none, or how much earlier, like 28d
    #[arg(long, value_name = "WHICH", default_value = "previous", value_parser = compared)]
    pub compare: Compare,
    /// Where days begin, and how times are told, like Europe/Berlin
    #[arg(long, value_name = "NAME", default_value = "UTC")]
    pub time_zone: String,
    /// Stay, and write a report at these times: minute hour day month weekday
    #[arg(long, value_name = "CRON", conflicts_with = "fail_on_breach")]
    pub schedule: Option<String>,
    /// Send it too: a folder, `s3://BUCKET/PREFIX`, `https://...`, `slack+https://...`,
    /// `teams+https://...`, or `env:NAME`
    #[arg(long, value_name = "URL")]
    pub deliver: Vec<String>,
    /// Write the charts as PNG files too
    #[arg(long)]
    pub png: bool,
    /// End with code 6 where an objective ([[slo]]) is breached
    #[arg(long)]
    pub fail_on_breach: bool,
}

/// A unit of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PeriodArg {
    /// From midnight
    Day,
    /// From Monday
    Week,
    /// From the first
    Month,
}

/// What a report is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// The period right before.
    Previous,
    /// Nothing.
    None,
    /// The same so much earlier.
    Earlier(Duration),
}

fn compared(text: &str) -> Result<Compare, String> {
    match text {
        "previous" => Ok(Compare::Previous),
        "none" => Ok(Compare::None),
        _ => duration(text).map(Compare::Earlier),
    }
}

/// `probe once`
#[derive(Debug, Args)]
pub struct OnceArgs {
    /// What to measure
    #[arg(required = true, value_name = "URL")]
    pub urls: Vec<String>,
    /// Samples of each URL
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub count: u32,
    /// Milliseconds between due times; 0 sends each as the last one ends
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    pub interval: u64,
    /// How much of the way is reused
    #[arg(long, value_enum, default_value_t = ConnectionArg::Cold)]
    pub connection: ConnectionArg,
    /// The HTTP version
    #[arg(long, value_parser = ["1.1", "2"], default_value = "1.1")]
    pub http: String,
    /// Connect to another host than the URL's
    #[arg(long, value_name = "HOST:PORT")]
    pub connect_to: Option<String>,
    /// A SOCKS5 proxy: socks5://USER:PASSWORD@HOST:PORT, or socks5h for names resolved there
    #[arg(long, value_name = "URL")]
    pub proxy: Option<String>,
    /// More roots of trust, in PEM
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Take any certificate
    #[arg(long)]
    pub insecure: bool,
    /// Ask CloudFront for its own times (Pragma: server-timing)
    #[arg(long)]
    pub server_timing: bool,
    /// Time with the process's clock only, not the kernel's
    #[arg(long)]
    pub user_clock: bool,
    /// The longest that one sample may take, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=59_000))]
    pub timeout: u64,
}

/// A connection series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ConnectionArg {
    /// New TCP and full TLS
    Cold,
    /// New TCP, TLS ticket
    Resumed,
    /// Kept alive
    Warm,
}

impl From<ConnectionArg> for probe::sample::Connection {
    fn from(connection: ConnectionArg) -> Self {
        match connection {
            ConnectionArg::Cold => Self::Cold,
            ConnectionArg::Resumed => Self::Resumed,
            ConnectionArg::Warm => Self::Warm,
        }
    }
}

fn objective(text: &str) -> Result<ObjectiveArg, String> {
    let wrong = || format!("'{text}' is no objective: write mean, slo:MS or p95");
    match text.split_once(':') {
        None if text == "mean" => Ok(ObjectiveArg::Mean),
        None if text == "p95" => Ok(ObjectiveArg::P95),
        Some(("slo", limit)) => {
            let limit_ms: f64 = limit.parse().map_err(|_| wrong())?;
            let is_usable = limit_ms.is_finite() && limit_ms >= 0.0;
            is_usable.then_some(ObjectiveArg::Slo(limit_ms)).ok_or_else(wrong)
        }
        _ => Err(wrong()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    let bound = "write seconds, above 0 and at most 86400";
    let seconds: f64 = text.parse().map_err(|_| bound.to_owned())?;
    if seconds > 0.0 && seconds <= 86_400.0 { Ok(seconds) } else { Err(bound.to_owned()) }
}

fn duration(text: &str) -> Result<Duration, String> {
    probe::config::parse_duration(text).ok_or_else(|| {
        format!("'{text}' is no duration: write a whole number and ms, s, m, h or d")
    })
}

fn frame_size(text: &str) -> Result<(u16, u16), String> {
    let side = |text: &str| text.parse().ok().filter(|side| (1..=1_000).contains(side));
    let sides = text.split_once('x').and_then(|(w, h)| Some((side(w)?, side(h)?)));
    sides.ok_or_else(|| {
        format!("'{text}' is no size: write columns x rows, each 1 to 1000, like 120x40")
    })
}
