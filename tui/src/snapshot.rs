//! What was measured, as one picture: made off the drawing thread, replaced whole. Data only.

use std::collections::BTreeMap;

use probe::histogram::Histogram;
use probe::sample::{Connection, Phase};
use probe::store::Quantiles;

use crate::figures::{Figures, Span};
use crate::range::Range;

/// What the reader is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// How far back.
    pub range: Range,
    /// Over which connection, where the store is paid for by the question; otherwise over all.
    pub connection: Option<Connection>,
    /// The vantage and target whose histograms are wanted.
    pub cell: Option<(String, String)>,
}

/// How the store is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreState {
    /// It is being read for the first time.
    Reading,
    /// It was read.
    Read,
    /// It was read, and holds no window.
    Empty,
    /// It cannot be read; what was read before stands.
    Trouble {
        /// What failed.
        what: String,
        /// What to try.
        hint: String,
    },
}

/// One cell: its figures for each connection, in the order of [`Connection::ALL`].
pub type Cell = [Figures; 3];

/// Everything measured, for one range.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// How far back it looks.
    pub range: Range,
    /// The same in ms; shorter where windows are.
    pub range_ms: i64,
    /// The length of the spans it is made of, in ms.
    pub span_ms: i64,
    /// The end of the newest window anywhere, in ms since 1970.
    pub newest_ms: Option<i64>,
    /// Ids of vantages, as they are.
    pub vantages: Vec<String>,
    /// Ids of targets, endpoints first.
    pub targets: Vec<String>,
    /// By vantage, then target.
    pub cells: Vec<Cell>,
    /// Of the cell that was asked for.
    pub detail: Option<Detail>,
    /// How the store is.
    pub store: StoreState,
}

impl Snapshot {
    /// A picture of nothing.
    #[must_use]
    pub fn empty(range: Range, store: StoreState) -> Self {
        Self {
            range,
            range_ms: 0,
            span_ms: 0,
            newest_ms: None,
            vantages: Vec::new(),
            targets: Vec::new(),
            cells: Vec::new(),
            detail: None,
            store,
        }
    }

    /// The cell of these ids.
    #[must_use]
    pub fn cell(&self, vantage: &str, target: &str) -> Option<&Cell> {
        let row = self.vantages.iter().position(|id| id == vantage)?;
        let column = self.targets.iter().position(|id| id == target)?;
        self.cells.get(row * self.targets.len() + column)
    }
}

/// How the responses of one connection are spread.
#[derive(Debug, Clone, PartialEq)]
pub enum Spread {
    /// All of them, in buckets.
    Histogram(Histogram),
    /// What their spans keep, merged, where no histograms are kept.
    Quantiles(Option<Quantiles>),
}

impl Spread {
    /// The response at a quantile: of a histogram any, otherwise those that are kept.
    #[must_use]
    pub fn quantile_us(&self, quantile: f64) -> Option<u64> {
        match self {
            Self::Histogram(histogram) => histogram.quantile_us(quantile),
            Self::Quantiles(quantiles) => quantiles.as_ref()?.get(quantile),
        }
    }
}

/// One connection of one cell, in full.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionDetail {
    /// Which.
    pub connection: Connection,
    /// Samples that were sent.
    pub attempts: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Samples that the prober started late.
    pub late: u64,
    /// Failures by outcome kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// The response, merged.
    pub response: Spread,
    /// The median of each phase that there was, in the order of time.
    pub phases_us: [Option<u64>; 5],
    /// The median of the prober's own time.
    pub local_us: Option<u64>,
    /// Its spans, oldest first.
    pub history: Vec<Span>,
}

impl ConnectionDetail {
    /// An empty one.
    #[must_use]
    pub fn new(connection: Connection) -> Self {
        Self {
            connection,
            attempts: 0,
            missed: 0,
            late: 0,
            by_kind: BTreeMap::new(),
            response: Spread::Histogram(Histogram::new()),
            phases_us: [None; Phase::ALL.len()],
            local_us: None,
            history: Vec::new(),
        }
    }

    /// Failures of every kind.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.by_kind.values().sum()
    }
}

/// One path of a cell: an address, or POP and cache state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathDetail {
    /// Over which connection.
    pub connection: Connection,
    /// The path, as it is.
    pub path: String,
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// The median response in microseconds.
    pub p50_us: Option<u64>,
}

/// One cell in full.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// The vantage's id.
    pub vantage: String,
    /// The target's id.
    pub target: String,
    /// In the order of [`Connection::ALL`]; those that are not measured are missing.
    pub connections: Vec<ConnectionDetail>,
    /// Where a series has paths, the most used first.
    pub paths: Vec<PathDetail>,
    /// What the newest sample's headers and sockets said, where the agent is in this process.
    pub last: Option<String>,
}
