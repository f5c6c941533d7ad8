//! The matrix: vantage x endpoint, each cell with the cost of every block.
//!
//! Pure: built from block statistics of any source. It does no IO and reads no clock.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use probe::sample::Connection;
use probe::store::WindowSet;

use crate::statistics::median;

/// The statistics of one series (vantage x endpoint x connection) in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct CellBlock {
    /// Who measured.
    pub vantage: String,
    /// What was measured.
    pub endpoint: String,
    /// Over which kind of connection.
    pub connection: Connection,
    /// Start of the block, milliseconds since the epoch, aligned to the block's length.
    pub start_ms: i64,
    /// The asked quantile of the response time in milliseconds, failures counted as slower than
    /// the timeout.
    pub value_ms: f64,
    /// Samples, failures among them.
    pub attempts: u64,
    /// Samples that failed.
    pub failures: u64,
    /// The windows of the block that are evidence.
    pub valid: WindowSet,
}

/// What was asked of a source and could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read measurements from {place}: {cause}")]
pub struct SourceError {
    /// Which store.
    pub place: String,
    /// What it said.
    pub cause: String,
    /// What to try.
    pub hint: &'static str,
}

/// Where the blocks come from: the embedded store, or CloudWatch.
pub trait MatrixSource {
    /// The closed blocks that start within `since_ms..until_ms`, with `quantile` as their value.
    fn cell_blocks(
        &self,
        quantile: f64,
        since_ms: i64,
        until_ms: i64,
    ) -> impl Future<Output = Result<Vec<CellBlock>, SourceError>> + Send;

    /// The median network round trip in milliseconds of (vantage, endpoint), where it was measured.
    fn round_trips(
        &self,
        since_ms: i64,
        until_ms: i64,
    ) -> impl Future<Output = Result<BTreeMap<(String, String), f64>, SourceError>> + Send;
}

/// How blocks become costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CostRule {
    /// The share of requests that open a new connection, 0 to 1.
    pub cold_share: f64,
    /// The length of a block.
    pub block_ms: i64,
}

/// The cost of one cell in one block.
#[derive(Debug, Clone, PartialEq)]
pub struct CostBlock {
    /// `cold_share x Q_cold + (1 - cold_share) x Q_warm`.
    pub cost_ms: f64,
    /// Windows that are evidence in every series the cost is made of.
    pub valid: WindowSet,
}

/// One cell: its blocks by their start, in milliseconds since the epoch.
pub type Cell = BTreeMap<i64, CostBlock>;

/// Vantage x endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    /// The length of a block.
    pub block_ms: i64,
    /// Ids, sorted.
    pub vantages: Vec<String>,
    /// Ids, sorted.
    pub endpoints: Vec<String>,
    /// The end of the newest block that has a cost, milliseconds since the epoch.
    end_ms: Option<i64>,
    rows: Rows,
}

/// Cells by vantage, then endpoint.
type Rows = BTreeMap<String, BTreeMap<String, Measured>>;

/// What is known of one cell.
#[derive(Debug, Clone, PartialEq, Default)]
struct Measured {
    cell: Cell,
    counts: BTreeMap<i64, Counts>,
}

/// How often a cell was tried in one block, whether or not a cost came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Samples.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
}

impl Matrix {
    /// Puts the series together. A block that lacks a series its cost is made of has no cost, but
    /// its failures count.
    #[must_use]
    pub fn build(rows: &[CellBlock], rule: CostRule) -> Self {
        let mut cells: BTreeMap<&str, BTreeMap<&str, Vec<&CellBlock>>> = BTreeMap::new();
        for row in rows {
            cells.entry(&row.vantage).or_default().entry(&row.endpoint).or_default().push(row);
        }
        let mut measured = Rows::new();
        for (vantage, row) in cells {
            let cell = |(endpoint, mut blocks): (&str, Vec<&CellBlock>)| {
                blocks.sort_by_key(|block| block.start_ms);
                (endpoint.to_owned(), Measured::of(&blocks, rule.cold_share))
            };
            measured.insert(vantage.to_owned(), row.into_iter().map(cell).collect());
        }
        let endpoints: BTreeSet<&String> = measured.values().flat_map(BTreeMap::keys).collect();
        Self {
            block_ms: rule.block_ms,
            vantages: measured.keys().cloned().collect(),
            endpoints: endpoints.into_iter().cloned().collect(),
            end_ms: end_ms(&measured, rule.block_ms),
            rows: measured,
        }
    }

    /// The matrix with exactly these endpoints, measured or not.
    #[must_use]
    pub fn with_endpoints<'a>(mut self, endpoints: impl IntoIterator<Item = &'a str>) -> Self {
        let endpoints: BTreeSet<&str> = endpoints.into_iter().collect();
        for row in self.rows.values_mut() {
            row.retain(|endpoint, _| endpoints.contains(endpoint.as_str()));
        }
        self.endpoints = endpoints.into_iter().map(str::to_owned).collect();
        self.end_ms = end_ms(&self.rows, self.block_ms);
        self
    }

    fn measured(&self, vantage: &str, endpoint: &str) -> Option<&Measured> {
        self.rows.get(vantage)?.get(endpoint)
    }

    /// One cell, if anything was measured there.
    #[must_use]
    pub fn cell(&self, vantage: &str, endpoint: &str) -> Option<&Cell> {
        self.measured(vantage, endpoint).map(|measured| &measured.cell)
    }

    /// All cells in order of vantage, then endpoint.
    pub fn cells(&self) -> impl Iterator<Item = (&str, &str, &Cell)> {
        self.rows.iter().flat_map(|(vantage, row)| {
            row.iter().map(|(endpoint, of)| (vantage.as_str(), endpoint.as_str(), &of.cell))
        })
    }

    /// The end of the newest block, milliseconds since the epoch.
    #[must_use]
    pub fn end_ms(&self) -> Option<i64> {
        self.end_ms
    }

    /// The matrix of the `slots` newest block intervals.
    #[must_use]
    pub fn newest(&self, slots: u32) -> Self {
        let Some(end_ms) = self.end_ms else { return self.clone() };
        let start_ms = end_ms - i64::from(slots) * self.block_ms;
        let recent = |(endpoint, of): (&String, &Measured)| (endpoint.clone(), of.since(start_ms));
        Self {
            block_ms: self.block_ms,
            vantages: self.vantages.clone(),
            endpoints: self.endpoints.clone(),
            end_ms: self.end_ms,
            rows: self
                .rows
                .iter()
                .map(|(vantage, row)| (vantage.clone(), row.iter().map(recent).collect()))
                .collect(),
        }
    }

    /// The median over a cell's blocks of their cost.
    #[must_use]
    pub fn median_cost_ms(&self, vantage: &str, endpoint: &str) -> Option<f64> {
        let costs: Vec<f64> =
            self.cell(vantage, endpoint)?.values().map(|block| block.cost_ms).collect();
        median(&costs)
    }

    /// How often one cell was tried.
    #[must_use]
    pub fn counts(&self, vantage: &str, endpoint: &str) -> Counts {
        self.measured(vantage, endpoint).map(Measured::tried).unwrap_or_default()
    }

    /// Failures and attempts at one endpoint, over the vantages that `counts` says yes to.
    #[must_use]
    pub fn failures(&self, endpoint: &str, counts: impl Fn(&str) -> bool) -> (u64, u64) {
        let rows = self.rows.iter().filter(|(vantage, _)| counts(vantage));
        let sum = rows
            .filter_map(|(_, row)| row.get(endpoint))
            .fold(Counts::default(), |sum, measured| sum.plus(&measured.tried()));
        (sum.failures, sum.attempts)
    }
}

impl Measured {
    /// From the rows of one cell, in order of time.
    fn of(rows: &[&CellBlock], cold_share: f64) -> Self {
        let mut measured = Self::default();
        for block in rows.chunk_by(|a, b| a.start_ms == b.start_ms) {
            let start_ms = block[0].start_ms;
            measured.counts.insert(start_ms, counts(block));
            measured.cell.extend(cost_block(block, cold_share).map(|cost| (start_ms, cost)));
        }
        measured
    }

    fn since(&self, start_ms: i64) -> Self {
        Self {
            cell: self.cell.range(start_ms..).map(|(at, block)| (*at, block.clone())).collect(),
            counts: self.counts.range(start_ms..).map(|(at, counts)| (*at, *counts)).collect(),
        }
    }

    fn tried(&self) -> Counts {
        self.counts.values().fold(Counts::default(), Counts::plus)
    }
}

impl Counts {
    fn plus(self, other: &Self) -> Self {
        Self { attempts: self.attempts + other.attempts, failures: self.failures + other.failures }
    }
}

fn end_ms(rows: &Rows, block_ms: i64) -> Option<i64> {
    let cells = rows.values().flat_map(BTreeMap::values);
    let newest = cells.filter_map(|of| of.cell.keys().next_back()).max()?;
    Some(newest + block_ms)
}

fn counts(rows: &[&CellBlock]) -> Counts {
    rows.iter().fold(Counts::default(), |sum, row| {
        sum.plus(&Counts { attempts: row.attempts, failures: row.failures })
    })
}

fn cost_block(rows: &[&CellBlock], cold_share: f64) -> Option<CostBlock> {
    // Several paths of one endpoint cannot be merged without their histograms: the one that most
    // samples took speaks for the endpoint, of equals the slowest. API Gateway's Regional endpoints
    // have one.
    let of = |connection| {
        let series = rows.iter().filter(|row| row.connection == connection);
        let weight = |row: &CellBlock| (row.attempts, row.value_ms);
        series
            .max_by(|a, b| {
                let ((a, a_ms), (b, b_ms)) = (weight(a), weight(b));
                a.cmp(&b).then(a_ms.total_cmp(&b_ms))
            })
            .copied()
    };
    let shares = [(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)];
    let mut parts = Vec::with_capacity(2);
    for (connection, share) in shares.into_iter().filter(|(_, share)| *share > 0.0) {
        parts.push((of(connection)?, share));
    }
    let mut valid = parts.first()?.0.valid.clone();
    for (row, _) in &parts[1..] {
        valid = in_both(&valid, &row.valid);
    }
    Some(CostBlock { cost_ms: parts.iter().map(|(row, share)| share * row.value_ms).sum(), valid })
}

fn in_both(a: &WindowSet, b: &WindowSet) -> WindowSet {
    let bytes: Vec<u8> = a.as_bytes().iter().zip(b.as_bytes()).map(|(a, b)| a & b).collect();
    WindowSet::from_bytes(a.len().min(b.len()), &bytes)
}
