//! Which store is used, and CloudWatch as the fleet's: where it is, what it may cost, how windows get
//! there.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use advisor::bill::asked;
use advisor::matrix::{CellBlock, MatrixSource, SourceError};
use advisor::source::StoreSource;
use advisor::survey::SurveyError;
use aws::{Access, CloudWatchCourier, CloudWatchSource, Spent, Wanted};
use probe::agent;
use probe::clock::{Clock, SystemClock};
use probe::config::{CloudWatchSettings, Config};
use probe::publish::Shape;
use probe::publish::budget::Budget;
use probe::publish::counts::Counted;
use probe::sample::{Connection, Phase};
use probe::spool::{Disk, Rules, Spool};
use serde_json::{Value, json};

use crate::failure::{Exit, Failure};

/// How long after a lost reply CloudWatch is asked what it holds: it takes data in within minutes.
const SETTLE: Duration = Duration::from_mins(5);
const MIB: u64 = 1024 * 1024;

/// What `--store` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The embedded store.
    Sqlite(PathBuf),
    /// A namespace of CloudWatch.
    CloudWatch(String),
}

impl Choice {
    /// Reads `sqlite:PATH` or `cloudwatch:NAMESPACE`.
    pub fn parse(store: &str) -> Result<Self, Failure> {
        match store.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(PathBuf::from(path))),
            Some(("cloudwatch", namespace)) => Ok(Self::CloudWatch(namespace.to_owned())),
            _ => Err(Failure::new(Exit::Usage, format!("--store {store}: not a store"))
                .hint("write sqlite:PATH or cloudwatch:NAMESPACE")),
        }
    }
}

/// CloudWatch as the store of a fleet.
#[derive(Clone)]
pub struct Fleet {
    settings: CloudWatchSettings,
    /// Reads what the probes published.
    pub source: Arc<CloudWatchSource>,
    access: Access,
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fleet").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Fleet {
    /// The fleet of a configuration, in a namespace. One that makes more metrics than it may is refused.
    pub fn new(
        config: &Config,
        namespace: &str,
        access: &Access,
        clock: &Arc<SystemClock>,
    ) -> Result<Self, Failure> {
        let usage = |message: String| Failure::new(Exit::Usage, message);
        let settings = config.cloudwatch.as_ref().ok_or_else(|| {
            usage(format!("--store cloudwatch:{namespace} needs [cloudwatch] in the configuration"))
                .hint("write [cloudwatch] with namespace and region")
        })?;
        if namespace != settings.namespace {
            let known = &settings.namespace;
            let message =
                format!("--store cloudwatch:{namespace}: the configuration says namespace {known}");
            return Err(usage(message).hint("name the same namespace in both"));
        }
        let budget = budget(config)?;
        let most = u64::from(settings.max_metrics);
        if budget.steady > most {
            let Budget { series, steady, .. } = budget;
            let message = format!(
                "{series} series make {steady} metrics in CloudWatch, over cloudwatch.max_metrics ({most})"
            );
            return Err(usage(message).hint(
                "`advisor cost` tells what they cost; measure less, publish fewer phases, or raise the bound",
            ));
        }
        let place = (settings.region.as_str(), namespace);
        let source = CloudWatchSource::new(access, place, config, Arc::<SystemClock>::clone(clock))
            .map_err(|error| usage(error.to_string()).hint("the defaults are 1m and 4h"))?;
        let source = Arc::new(source);
        Ok(Self { settings: settings.clone(), source, access: access.clone() })
    }

    /// What CloudWatch knows of every series of a span. Limits of objectives are kept exactly;
    /// the distribution of round trips comes where it is wanted, and connects are published.
    pub async fn counted(
        &self,
        config: &Config,
        range_ms: (i64, i64),
        round_trips: bool,
    ) -> Result<Vec<Counted>, Failure> {
        let series = agent::series(config).map_err(series_failure)?;
        let mut exact_us: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for slo in &config.slos {
            exact_us.entry(slo.target.clone()).or_default().push(us(slo.limit_ms));
        }
        let phases = &self.settings.phases;
        let wanted = Wanted {
            series: &series,
            phases,
            round_trips: round_trips && phases.contains(&Phase::Connect),
            exact_us: &exact_us,
            range_ms,
        };
        Ok(self.source.counted(&wanted).await.map_err(SurveyError::Source)?)
    }

    /// What was asked of CloudWatch, and what that costs, as a line.
    #[must_use]
    pub fn spent_text(&self) -> String {
        let Spent { calls, metrics } = self.source.spent();
        let usd = asked(metrics as f64).usd;
        format!("CloudWatch was asked for {metrics} metrics in {calls} calls: about {usd:.4} USD\n")
    }

    /// The same as JSON.
    #[must_use]
    pub fn spent_json(&self) -> Value {
        let Spent { calls, metrics } = self.source.spent();
        json!({ "calls": calls, "metrics": metrics, "usd": asked(metrics as f64).usd })
    }

    /// The sink of an agent: through the spool, which this process holds alone.
    pub async fn sink(
        &self,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Spool<CloudWatchCourier>, Failure> {
        let CloudWatchSettings { region, namespace, max_metrics, spool, spool_mib, .. } =
            &self.settings;
        let bytes_max = u64::from(*spool_mib) * MIB;
        let disk = open_disk(spool, bytes_max, &*clock)?;
        let courier = CloudWatchCourier::open(&self.access, region, namespace).await;
        let rules = Rules {
            shape: shape(config, &self.settings)?,
            metrics_max: usize::try_from(*max_metrics).unwrap_or(usize::MAX),
            settle: SETTLE,
        };
        Ok(Spool::new(disk, courier, clock, rules))
    }
}

/// A limit in whole microseconds.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the configuration bounds limits"
)]
fn us(limit_ms: f64) -> u64 {
    (limit_ms * 1_000.0).round() as u64
}

fn open_disk(folder: &Path, bytes_max: u64, clock: &dyn Clock) -> Result<Disk, Failure> {
    Disk::open(folder, bytes_max, clock.wall_ms()).map_err(|error| {
        Failure::new(Exit::Failed, error).hint("name another folder with cloudwatch.spool")
    })
}

fn series_failure(error: agent::AgentError) -> Failure {
    Failure::new(Exit::Usage, error)
}

/// The metrics that a configuration makes.
pub fn budget(config: &Config) -> Result<Budget, Failure> {
    let series = agent::series(config).map_err(series_failure)?;
    let connections: Vec<Connection> = series.iter().map(|(series, _)| series.connection).collect();
    let phases = config.cloudwatch.as_ref().map_or(&[][..], |settings| &settings.phases);
    Ok(Budget::of(&connections, phases))
}

/// What of a window is published.
pub fn shape(config: &Config, settings: &CloudWatchSettings) -> Result<Shape, Failure> {
    let series = agent::series(config).map_err(series_failure)?;
    let timeouts_us: BTreeMap<String, u64> = series
        .into_iter()
        .map(|(series, timeout)| {
            (series.target, u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX))
        })
        .collect();
    Ok(Shape { phases: settings.phases.clone(), timeouts_us })
}

/// Where measurements are read.
#[derive(Debug, Clone)]
pub enum Source {
    /// The embedded store.
    Sqlite(StoreSource),
    /// CloudWatch.
    CloudWatch(Arc<CloudWatchSource>),
}

impl MatrixSource for Source {
    async fn cell_blocks(
        &self,
        quantile: f64,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<CellBlock>, SourceError> {
        match self {
            Self::Sqlite(source) => source.cell_blocks(quantile, since_ms, until_ms).await,
            Self::CloudWatch(source) => source.cell_blocks(quantile, since_ms, until_ms).await,
        }
    }

    async fn round_trips(
        &self,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<BTreeMap<(String, String), f64>, SourceError> {
        match self {
            Self::Sqlite(source) => source.round_trips(since_ms, until_ms).await,
            Self::CloudWatch(source) => source.round_trips(since_ms, until_ms).await,
        }
    }
}
