//! A store that is elsewhere and paid for by the question: asked at a stated pace, one question at a
//! time, and never waited for.
//!
//! Who asks it for us lives outside this crate: orders go out on one channel, what came back comes in
//! on the other.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use probe::sample::{Connection, Phase, Series};
use probe::store::{Grid, SpanRow};
use tokio::sync::mpsc;

use super::history::Kept;
use crate::figures::{Merger, Span};
use crate::log::Entry;
use crate::range::Range;
use crate::snapshot::{ConnectionDetail, Detail, Question, Spread, StoreState};
use crate::words::shown;

/// How long a store that failed is left alone, at most: never longer than the stated pace.
const RETRY: Duration = Duration::from_secs(30);
/// Most failed spans that one reading tells of: the newest.
const FAILED_MAX: usize = 200;
/// How far back the log looks for failures.
const FAILED_SINCE_MS: i64 = 3_600_000;

/// What is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// The spans of every series of one connection.
    Spans(Connection),
    /// One vantage and target over every connection.
    Cell(String, String),
}

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// What is asked for.
    pub wanted: Wanted,
    /// How long a span is, in ms.
    pub span_ms: i64,
    /// From when on, in ms since 1970; the start of a span.
    pub since_ms: i64,
    /// Until when, in ms since 1970.
    pub until_ms: i64,
}

/// One connection of a cell, as the store told it.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Over which connection.
    pub connection: Connection,
    /// Its spans, oldest first.
    pub rows: Vec<SpanRow>,
    /// The median of each phase that is kept, in microseconds, by the start of its span in ms.
    pub phases: Vec<(Phase, Vec<(i64, u64)>)>,
    /// Failures by outcome kind.
    pub by_kind: BTreeMap<&'static str, u64>,
}

/// What the store answered.
#[derive(Debug, Clone, PartialEq)]
pub enum Supply {
    /// To [`Wanted::Spans`].
    Spans(Vec<(Series, Vec<SpanRow>)>),
    /// To [`Wanted::Cell`].
    Cell(Vec<Part>),
}

/// The store did not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What failed; escaped.
    pub what: String,
    /// What to try.
    pub hint: String,
}

/// A store that is elsewhere.
#[derive(Debug)]
pub struct Remote {
    /// Where questions go.
    pub orders: mpsc::Sender<Order>,
    /// Where answers come from, in the order of the questions.
    pub supplies: mpsc::Receiver<Result<Supply, Trouble>>,
    /// How often the same is asked again.
    pub every: Duration,
    /// How windows are laid into blocks.
    pub grid: Grid,
    /// What a success is called in the log.
    pub read: String,
}

type Key = (Range, Connection);
type CellName = (String, String);

/// Follows a store that is elsewhere. Bounded: one reading for each range and connection, one cell.
#[derive(Debug)]
pub(super) struct RemoteFollower {
    remote: Remote,
    readings: HashMap<Key, (Kept, Instant)>,
    cell: Option<(Range, CellName, Vec<Part>, Instant)>,
    shown: Option<Key>,
    /// What was asked and not answered yet.
    waiting: Option<(Question, Order)>,
    trouble: Option<Trouble>,
    retry_at: Option<Instant>,
    merger: Merger,
}

impl RemoteFollower {
    pub(super) fn new(remote: Remote) -> Self {
        Self {
            remote,
            readings: HashMap::new(),
            cell: None,
            shown: None,
            waiting: None,
            trouble: None,
            retry_at: None,
            merger: Merger::default(),
        }
    }

    /// What was read for the range and connection that are shown.
    pub(super) fn kept(&self) -> Option<&Kept> {
        self.readings.get(&self.shown?).map(|(kept, _)| kept)
    }

    pub(super) fn grid(&self) -> Grid {
        self.remote.grid
    }

    /// Whether an answer is still to come.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Takes in what came, asks for what is due; says whether the picture changed, and how the store is.
    pub(super) fn poll(
        &mut self,
        question: &Question,
        (now, now_ms): (Instant, i64),
        entries: &mut Vec<Entry>,
    ) -> (bool, StoreState) {
        let key = (question.range, question.connection.unwrap_or(Connection::Cold));
        let mut is_new = self.shown != Some(key);
        self.shown = Some(key);
        match self.remote.supplies.try_recv() {
            Ok(Ok(supply)) => {
                is_new = true;
                (self.trouble, self.retry_at) = (None, None);
                self.take(supply, (now, now_ms), entries);
            }
            Ok(Err(trouble)) => {
                self.waiting = None;
                self.retry_at = Some(now + RETRY.min(self.remote.every));
                self.trouble = Some(trouble);
            }
            Err(mpsc::error::TryRecvError::Disconnected) => {
                let (what, hint) = ("nobody reads the store any more", "start the dashboard again");
                self.trouble = Some(Trouble { what: what.to_owned(), hint: hint.to_owned() });
            }
            Err(mpsc::error::TryRecvError::Empty) => {}
        }
        self.order(question, key, (now, now_ms));
        (is_new, self.state())
    }

    fn state(&self) -> StoreState {
        if let Some(Trouble { what, hint }) = &self.trouble {
            return StoreState::Trouble { what: what.clone(), hint: hint.clone() };
        }
        // A connection that nobody measures is no empty store.
        let holds = |(kept, _): &(Kept, Instant)| !kept.names.is_empty();
        match self.kept() {
            None => StoreState::Reading,
            Some(_) if self.readings.values().any(holds) => StoreState::Read,
            Some(_) => StoreState::Empty,
        }
    }

    /// Asks for what is missing or older than the pace, unless an answer is still to come.
    fn order(&mut self, question: &Question, key: Key, (now, now_ms): (Instant, i64)) {
        if self.waiting.is_some() || self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        let every = self.remote.every;
        let is_fresh = |read_at: &Instant| now.saturating_duration_since(*read_at) < every;
        let wanted = if !self.readings.get(&key).is_some_and(|(_, at)| is_fresh(at)) {
            Wanted::Spans(key.1)
        } else if let Some(cell) = &question.cell {
            let is_it = |known: &(Range, CellName, Vec<Part>, Instant)| {
                known.0 == question.range && known.1 == *cell && is_fresh(&known.3)
            };
            if self.cell.as_ref().is_some_and(is_it) {
                return;
            }
            Wanted::Cell(cell.0.clone(), cell.1.clone())
        } else {
            return;
        };
        let (_, span_ms) = question.range.table(self.remote.grid);
        let since_ms = now_ms - question.range.len_ms(self.remote.grid);
        let since_ms = since_ms - since_ms.rem_euclid(span_ms.max(1));
        let order = Order { wanted, span_ms, since_ms, until_ms: now_ms };
        if self.remote.orders.try_send(order.clone()).is_ok() {
            self.waiting = Some((question.clone(), order));
        }
    }

    fn take(&mut self, supply: Supply, (now, now_ms): (Instant, i64), entries: &mut Vec<Entry>) {
        let Some((asked, order)) = self.waiting.take() else { return };
        match (supply, order.wanted) {
            (Supply::Spans(series), Wanted::Spans(connection)) => {
                entries.extend(failures(&series, now_ms - FAILED_SINCE_MS));
                let read = Entry::success(now_ms, self.remote.read.clone());
                entries.push(read.keyed("reading".to_owned()));
                let kept = kept(series, self.remote.grid, now_ms);
                self.readings.insert((asked.range, connection), (kept, now));
            }
            (Supply::Cell(parts), Wanted::Cell(vantage, target)) => {
                self.cell = Some((asked.range, (vantage, target), parts, now));
            }
            // An answer to something else is no answer; it is asked for again.
            _ => {}
        }
    }

    /// The cell in full, once it was read.
    pub(super) fn detail(&mut self, range: Range, cell: &CellName) -> Option<Detail> {
        let (known_range, name, parts, _) = self.cell.as_ref()?;
        if *known_range != range || name != cell {
            return None;
        }
        let merger = &mut self.merger;
        let measured = parts.iter().filter(|part| !part.rows.is_empty());
        Some(Detail {
            vantage: cell.0.clone(),
            target: cell.1.clone(),
            connections: measured.map(|part| connection_of(part, merger)).collect(),
            paths: Vec::new(),
            last: None,
        })
    }
}

fn kept(series: Vec<(Series, Vec<SpanRow>)>, grid: Grid, now_ms: i64) -> Kept {
    let mut kept = Kept { grid, ..Kept::default() };
    for (id, (series, rows)) in (0_i64..).zip(series) {
        for row in rows {
            let end_ms = (row.start_ms + row.len_ms).min(now_ms);
            kept.newest_ms = kept.newest_ms.max(Some(end_ms));
            kept.history.put(&SpanRow { series: id, ..row });
        }
        kept.names.insert(id, series);
    }
    kept
}

/// What the log should hold of spans that begin at `since_ms` or later: the newest failures.
fn failures(series: &[(Series, Vec<SpanRow>)], since_ms: i64) -> Vec<Entry> {
    let failed = series.iter().flat_map(|(series, rows)| {
        let rows = rows.iter().filter(|row| row.failures > 0 && row.start_ms >= since_ms);
        rows.map(move |row| {
            let name = format!("{} > {} {}", series.vantage, series.target, series.connection);
            let text = format!("{name}: {} of {} samples failed", row.failures, row.attempts);
            Entry::failure(row.start_ms, shown(&text)).keyed(format!("{}/{name}", row.start_ms))
        })
    });
    let mut failed: Vec<Entry> = failed.collect();
    failed.sort_by_key(|entry| std::cmp::Reverse(entry.at_ms));
    failed.truncate(FAILED_MAX);
    failed
}

/// One connection, each span standing for its samples by what it keeps.
fn connection_of(part: &Part, merger: &mut Merger) -> ConnectionDetail {
    let history: Vec<Span> = part.rows.iter().map(Span::from).collect();
    let figures = merger.merge(&history);
    let successes: HashMap<i64, u64> = part
        .rows
        .iter()
        .map(|row| (row.start_ms, row.attempts.saturating_sub(row.failures)))
        .collect();
    let mut detail = ConnectionDetail {
        attempts: figures.attempts,
        by_kind: part.by_kind.clone(),
        response: Spread::Quantiles(figures.quantiles),
        ..ConnectionDetail::new(part.connection)
    };
    for (phase, medians) in &part.phases {
        let spans: Vec<Span> = medians
            .iter()
            .map(|(start_ms, us)| Span::of_median(*start_ms, successes.get(start_ms).copied(), *us))
            .collect();
        let at = Phase::ALL.iter().position(|one| one == phase);
        if let Some(slot) = at.and_then(|at| detail.phases_us.get_mut(at)) {
            *slot = merger.merge(&spans).quantiles.map(|quantiles| quantiles.p50_us);
        }
    }
    detail.history = history;
    detail
}
