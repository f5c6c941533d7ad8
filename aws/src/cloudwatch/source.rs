//! CloudWatch as a source of matrices: blocks as periods, values at the quantile that is asked for.
//!
//! CloudWatch tells how many samples a block has, not in which minutes they lie. Two sets that each
//! hold three quarters of a block share at least half of it; so a block is valid, whole, when it has
//! three quarters of the samples that are due in it, and otherwise not at all.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use advisor::matrix::{CellBlock, MatrixSource, SourceError};
use aws_sdk_cloudwatch::Client;
use probe::clock::Clock;
use probe::config::Config;
use probe::publish::{FAILURES, RESPONSE, dimensions, phase_metric};
use probe::sample::{Connection, Phase};
use probe::store::WindowSet;
use tokio::sync::OnceCell;

use super::query::{Points, Question, ask};
use super::{Patience, connect};
use crate::Access;

/// Reading is repeated by the SDK where it fails.
const PATIENCE: Patience = Patience { attempts: 3, attempt: Duration::from_secs(20) };
/// The share of a block's samples that makes it valid.
const VALID_SHARE: f64 = 0.75;
/// Answers that are kept.
const CACHE_MAX: usize = 8;
/// Calls at once, and calls a second after that: a fifth of the default quota of an account.
const BURST: f64 = 10.0;
const CALLS_PER_S: f64 = 10.0;
/// The period of round trips: a day.
const DAY_S: i32 = 86_400;
const HOUR_MS: i64 = 3_600_000;

/// What was asked of CloudWatch. It takes money for metrics, each as often as it is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spent {
    /// Calls of GetMetricData, pages among them.
    pub calls: u64,
    /// Metrics asked for by them.
    pub metrics: u64,
}

/// A token bucket for calls, and what they came to.
pub(super) struct Pace {
    clock: Arc<dyn Clock>,
    state: Mutex<(f64, Instant)>,
    spent: Mutex<Spent>,
}

impl Pace {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let now = clock.now();
        Self { clock, state: Mutex::new((BURST, now)), spent: Mutex::default() }
    }

    /// Takes a token for a call that asks for so many metrics; without one, waits until there is.
    pub(super) async fn wait(&self, metrics: usize) {
        {
            let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
            spent.calls += 1;
            spent.metrics += u64::try_from(metrics).unwrap_or(u64::MAX);
        }
        let short = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            let gained = now.saturating_duration_since(state.1).as_secs_f64() * CALLS_PER_S;
            *state = ((state.0 + gained).min(BURST) - 1.0, now);
            -state.0 / CALLS_PER_S
        };
        if short > 0.0 {
            tokio::time::sleep(Duration::from_secs_f64(short)).await;
        }
    }
}

/// One series of the matrix.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    pub(super) vantage: String,
    pub(super) endpoint: String,
    pub(super) connection: Connection,
    /// Samples that are due in a block.
    due: f64,
}

/// What was asked, as the key of its answer.
type Asked = (u64, i64, i64);
/// Round trips by vantage and endpoint, in ms.
type RoundTrips = BTreeMap<(String, String), f64>;

/// The metrics of one namespace and Region.
pub struct CloudWatchSource {
    access: Access,
    region: String,
    client: OnceCell<Client>,
    place: String,
    namespace: String,
    pub(super) cells: Vec<Cell>,
    period_s: i32,
    windows: u32,
    pace: Pace,
    cache: Mutex<BTreeMap<Asked, Vec<CellBlock>>>,
    /// The newest round trips, with the hour up to which they were asked.
    round_trips: Mutex<Option<(i64, RoundTrips)>>,
}

impl std::fmt::Debug for CloudWatchSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CloudWatchSource").field("place", &self.place).finish_non_exhaustive()
    }
}

/// A configuration whose blocks CloudWatch cannot keep apart.
#[derive(Debug, thiserror::Error)]
#[error(
    "evidence.window ({window_ms} ms) and evidence.block ({block_ms} ms) must be whole minutes for CloudWatch"
)]
pub struct GridError {
    window_ms: u128,
    block_ms: u128,
}

impl CloudWatchSource {
    /// A source for the vantages, endpoints and connections of a configuration. It connects when it
    /// is asked first.
    pub fn new(
        access: &Access,
        (region, namespace): (&str, &str),
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GridError> {
        let evidence = &config.evidence;
        let (window_ms, block_ms) = (evidence.window.as_millis(), evidence.block.as_millis());
        let period_s = i32::try_from(block_ms / 1_000).ok();
        let whole = window_ms % 60_000 == 0 && block_ms % 60_000 == 0;
        let period_s = period_s.filter(|_| whole).ok_or(GridError { window_ms, block_ms })?;
        Ok(Self {
            access: access.clone(),
            region: region.to_owned(),
            client: OnceCell::new(),
            place: format!("CloudWatch namespace {namespace} in {region}"),
            namespace: namespace.to_owned(),
            cells: cells(config),
            period_s,
            windows: u32::try_from(block_ms / window_ms.max(1)).unwrap_or(u32::MAX),
            pace: Pace::new(clock),
            cache: Mutex::default(),
            round_trips: Mutex::default(),
        })
    }

    /// What was asked so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        *self.pace.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn ask(
        &self,
        questions: &[Question],
        range_s: (i64, i64),
    ) -> Result<Vec<Points>, SourceError> {
        if questions.is_empty() || range_s.0 >= range_s.1 {
            return Ok(vec![Points::new(); questions.len()]);
        }
        let connecting = || connect(&self.access, &self.region, PATIENCE);
        let client = self.client.get_or_init(connecting).await;
        let asked = ask(client, &self.namespace, questions, range_s, Some(&self.pace)).await;
        asked.map_err(|error| SourceError {
            place: self.place.clone(),
            cause: error.to_string(),
            hint: error.hint(),
        })
    }

    pub(super) fn question(&self, cell: &Cell, metric: &str, statistic: &str) -> Question {
        Question {
            metric: metric.to_owned(),
            dimensions: dimensions(&cell.vantage, &cell.endpoint, cell.connection.as_str(), ""),
            statistic: statistic.to_owned(),
            period_s: self.period_s,
        }
    }

    /// The span of the blocks that lie wholly in a time, in seconds since 1970. One that still runs is
    /// no block yet: its figures change, and evidence is looked at when a block ends.
    fn closed_blocks_s(&self, since_ms: i64, until_ms: i64) -> (i64, i64) {
        let period_ms = i64::from(self.period_s) * 1_000;
        let blocks = (-(-since_ms).div_euclid(period_ms), until_ms.div_euclid(period_ms));
        let start_s = |block: i64| block * i64::from(self.period_s);
        (start_s(blocks.0), start_s(blocks.1))
    }

    fn blocks(&self, cell: &Cell, answers: &[Points]) -> Vec<CellBlock> {
        let [values, counts, failures] = answers else { return Vec::new() };
        let counts: BTreeMap<i64, f64> = counts.iter().copied().collect();
        let failures: BTreeMap<i64, f64> = failures.iter().copied().collect();
        let block = |(start_s, value_ms): &(i64, f64)| {
            let attempts = counts.get(start_s).copied()?;
            let valid = attempts >= VALID_SHARE * cell.due;
            Some(CellBlock {
                vantage: cell.vantage.clone(),
                endpoint: cell.endpoint.clone(),
                connection: cell.connection,
                start_ms: start_s * 1_000,
                value_ms: *value_ms,
                attempts: whole(attempts),
                failures: whole(failures.get(start_s).copied().unwrap_or_default()),
                valid: if valid { all(self.windows) } else { WindowSet::new(self.windows) },
            })
        };
        values.iter().filter_map(block).collect()
    }
}

/// A count that was a float on its way.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts of samples, far below 2^52"
)]
pub(super) fn whole(count: f64) -> u64 {
    count.round().max(0.0) as u64
}

fn all(windows: u32) -> WindowSet {
    let mut set = WindowSet::new(windows);
    for window in 0..windows {
        set.insert(window);
    }
    set
}

/// Vantage x endpoint x connection, in this order.
fn cells(config: &Config) -> Vec<Cell> {
    let mut cells = Vec::new();
    for vantage in &config.vantages {
        for endpoint in &config.endpoints {
            for connection in &config.probe.connections {
                let interval = match connection {
                    Connection::Warm => config.probe.interval_warm,
                    Connection::Cold | Connection::Resumed => config.probe.interval,
                };
                cells.push(Cell {
                    vantage: vantage.id.clone(),
                    endpoint: endpoint.id.clone(),
                    connection: *connection,
                    due: config.evidence.block.as_secs_f64() / interval.as_secs_f64(),
                });
            }
        }
    }
    cells
}

impl MatrixSource for CloudWatchSource {
    async fn cell_blocks(
        &self,
        quantile: f64,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<CellBlock>, SourceError> {
        let key = (quantile.to_bits(), since_ms, until_ms);
        let cached = self.cache.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(blocks) = cached {
            return Ok(blocks);
        }
        let statistic = format!("p{}", quantile * 100.0);
        let questions: Vec<Question> = self
            .cells
            .iter()
            .flat_map(|cell| {
                [
                    self.question(cell, RESPONSE, &statistic),
                    self.question(cell, RESPONSE, "SampleCount"),
                    self.question(cell, FAILURES, "Sum"),
                ]
            })
            .collect();
        let answers = self.ask(&questions, self.closed_blocks_s(since_ms, until_ms)).await?;
        let of_cells = self.cells.iter().zip(answers.chunks(3));
        let blocks: Vec<CellBlock> =
            of_cells.flat_map(|(cell, answers)| self.blocks(cell, answers)).collect();
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if cache.len() >= CACHE_MAX {
            cache.clear();
        }
        cache.insert(key, blocks.clone());
        Ok(blocks)
    }

    /// The medians of the newest UTC day that has any, where connects are published. They are asked
    /// for once an hour: a day's median moves slowly, and each question is paid for.
    async fn round_trips(&self, since_ms: i64, until_ms: i64) -> Result<RoundTrips, SourceError> {
        let hour = until_ms.div_euclid(HOUR_MS);
        let known = self.round_trips.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, known)) = known.filter(|(asked, _)| *asked == hour) {
            return Ok(known);
        }
        let cold: Vec<&Cell> =
            self.cells.iter().filter(|cell| cell.connection == Connection::Cold).collect();
        let connect = phase_metric(Phase::Connect);
        let question =
            |cell: &&Cell| Question { period_s: DAY_S, ..self.question(cell, connect, "p50") };
        let questions: Vec<Question> = cold.iter().map(question).collect();
        let range_s = (since_ms.div_euclid(1_000), until_ms.div_euclid(1_000));
        let answers = self.ask(&questions, range_s).await?;
        let newest = |(cell, points): (&&Cell, &Points)| {
            let (_, ms) = points.last()?;
            Some(((cell.vantage.clone(), cell.endpoint.clone()), *ms))
        };
        let found: RoundTrips = cold.iter().zip(&answers).filter_map(newest).collect();
        *self.round_trips.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((hour, found.clone()));
        Ok(found)
    }
}
