//! The reading thread: questions in, pictures out, at most five a second.

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use probe::agent::Event;
use probe::clock::Clock;
use probe::sample::{Connection, Series};
use probe::store::{Grid, MergedRow, StoreError};
use probe::window::Window;
use tokio::sync::mpsc;

use super::detail::detail_of;
use super::history::Kept;
use super::live::{Live, span_of};
use super::remote::{Remote, RemoteFollower};
use super::store::Follower;
use crate::figures::{Merger, Span};
use crate::inbox::{Inbox, Slot};
use crate::log::Entry;
use crate::message::Message;
use crate::range::Range;
use crate::snapshot::{Cell, Detail, Question, Snapshot, StoreState};

/// How often the store is asked whether anything is new; it answers from memory.
const POLL: Duration = Duration::from_millis(200);
/// How long a store that cannot be read is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// Most events that are folded between two looks at the store.
const EVENTS_MAX: usize = 10_000;
/// Histograms are read again after so many times as long as reading them took.
const DETAIL_REST: u32 = 20;

/// Where the store is.
#[derive(Debug)]
pub enum Place {
    /// In a file.
    File(PathBuf),
    /// Elsewhere.
    Remote(Remote),
}

/// What a reader works with.
pub struct ReaderOptions {
    /// The store.
    pub store: Place,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Ids of vantages, in the order of the configuration.
    pub vantages: Vec<String>,
    /// Ids of endpoints and targets, in the order of the configuration.
    pub targets: Vec<String>,
    /// Targets whose paths are steps, which are not the target as a whole.
    pub journeys: BTreeSet<String>,
    /// The length of a window and the longest that a sample may take.
    pub window: (Duration, Duration),
    /// The agent's events, where it runs in this process.
    pub events: Option<mpsc::Receiver<Event>>,
}

/// What follows the store.
#[derive(Debug)]
enum Source {
    File(Box<Follower>),
    Remote(Box<RemoteFollower>),
}

impl Source {
    /// What was read, if it ever was.
    fn kept(&self) -> Option<&Kept> {
        match self {
            Self::File(follower) => follower.open().map(|open| &open.kept),
            Self::Remote(follower) => follower.kept(),
        }
    }

    fn grid(&self) -> Grid {
        match self {
            Self::File(_) => self.kept().map_or_else(Grid::default, |kept| kept.grid),
            Self::Remote(follower) => follower.grid(),
        }
    }
}

/// Reads, until nobody asks any more.
pub struct Reader {
    clock: Arc<dyn Clock>,
    vantages: Vec<String>,
    targets: Vec<String>,
    journeys: BTreeSet<String>,
    events: Option<mpsc::Receiver<Event>>,
    source: Source,
    live: Live,
    question: Question,
    state: StoreState,
    merger: Merger,
    stored_detail: Option<StoredDetail>,
    retry_at: Option<Instant>,
    logged_ms: i64,
    /// Whether the store was read and not yet searched for failures.
    is_unlogged: bool,
}

/// Histograms of one cell as they were read.
struct StoredDetail {
    question: Question,
    rows: Vec<MergedRow>,
    again_at: Instant,
}

impl Reader {
    /// A reader that has read nothing yet.
    #[must_use]
    pub fn new(options: ReaderOptions, question: Question) -> Self {
        let ms = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let ReaderOptions { store, clock, vantages, targets, journeys, window, events } = options;
        let window_ms = i64::try_from(ms(window.0)).unwrap_or(i64::MAX);
        let source = match store {
            Place::File(path) => Source::File(Box::new(Follower::new(path))),
            Place::Remote(remote) => Source::Remote(Box::new(RemoteFollower::new(remote))),
        };
        Self {
            source,
            live: Live::new(window_ms, ms(window.1).saturating_mul(1_000)),
            question,
            state: StoreState::Reading,
            merger: Merger::default(),
            stored_detail: None,
            retry_at: None,
            logged_ms: i64::MIN,
            is_unlogged: false,
            clock,
            vantages,
            targets,
            journeys,
            events,
        }
    }

    /// Answers questions until the slot is closed.
    pub fn run(mut self, questions: &Slot<Question>, inbox: &Inbox) {
        let mut wait = Duration::ZERO;
        loop {
            let asked = match questions.take(wait) {
                Err(_closed) => return,
                Ok(question) => question,
            };
            wait = POLL;
            let mut is_new = asked.is_some();
            if let Some(question) = asked {
                self.question = question;
            }
            let mut entries = Vec::new();
            is_new |= self.fold_events(&mut entries);
            is_new |= self.follow(&mut entries);
            if !entries.is_empty() {
                inbox.push(Message::Happened(std::mem::take(&mut entries)));
            }
            if is_new {
                inbox.push(Message::Measured(Arc::new(self.snapshot())));
            }
            // The picture first: looking for failures reads more rows than it does.
            self.log_failures(&mut entries);
            if !entries.is_empty() {
                inbox.push(Message::Happened(entries));
            }
        }
    }

    /// One picture of what is there now, for a frame that is printed.
    pub fn answer(&mut self, question: Question) -> (Snapshot, Vec<Entry>) {
        self.question = question;
        let mut entries = Vec::new();
        self.follow(&mut entries);
        let snapshot = self.snapshot();
        self.log_failures(&mut entries);
        (snapshot, entries)
    }

    /// Whether an answer of the store is still to come.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(&self.source, Source::Remote(follower) if follower.is_waiting())
    }

    fn fold_events(&mut self, entries: &mut Vec<Entry>) -> bool {
        let now_ms = self.clock.wall_ms();
        let Some(events) = &mut self.events else { return false };
        let before = entries.len();
        for _ in 0..EVENTS_MAX {
            let Ok(event) = events.try_recv() else { break };
            entries.push(self.live.take(&event, now_ms));
        }
        entries.len() > before
    }

    /// Looks at the store; says whether the picture changed.
    fn follow(&mut self, entries: &mut Vec<Entry>) -> bool {
        let now = self.clock.now();
        if self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        let now_ms = self.clock.wall_ms();
        let (is_new, state) = match &mut self.source {
            Source::File(follower) => follow_file(follower, self.question.range, now_ms),
            Source::Remote(follower) => follower.poll(&self.question, (now, now_ms), entries),
        };
        let is_file = matches!(self.source, Source::File(_));
        let is_trouble = matches!(state, StoreState::Trouble { .. });
        self.retry_at = (is_trouble && is_file).then(|| now + RETRY);
        let changed = state != self.state;
        if changed {
            entries.extend(entry_of(&state, now_ms));
            self.state = state;
        }
        if is_new {
            self.forget_stored();
            self.is_unlogged = true;
        }
        is_new || changed
    }

    /// Open windows that the store has are the store's from now on.
    fn forget_stored(&mut self) {
        if self.events.is_none() {
            return;
        }
        let Some(kept) = self.source.kept() else { return };
        // A path of the store may be one that events do not tell, so that the cell decides.
        let mut newest: HashMap<(&str, &str, Connection), i64> = HashMap::new();
        for (id, series) in &kept.names {
            let Some(span) = kept.history.spans(*id).last() else { continue };
            let cell = (series.vantage.as_str(), series.target.as_str(), series.connection);
            let known = newest.entry(cell).or_insert(span.start_ms);
            *known = span.start_ms.max(*known);
        }
        self.live.forget_until(|series| {
            let cell = (series.vantage.as_str(), series.target.as_str(), series.connection);
            newest.get(&cell).copied()
        });
    }

    /// Without an agent in this process the log tells what the store knows of failures.
    fn log_failures(&mut self, entries: &mut Vec<Entry>) {
        let Source::File(follower) = &self.source else { return };
        if self.events.is_some() || !std::mem::take(&mut self.is_unlogged) {
            return;
        }
        let Some(open) = follower.open() else { return };
        let Some(newest_ms) = open.kept.newest_ms else { return };
        let grid = open.kept.grid;
        let since_ms = self.logged_ms.max(newest_ms - Range::Hour.len_ms(grid));
        if let Ok(failures) = open.failures(since_ms) {
            entries.extend(failures);
            self.logged_ms = newest_ms - 2 * grid.window_ms;
        }
    }

    fn snapshot(&mut self) -> Snapshot {
        let range = self.question.range;
        let detail = self.question.cell.clone().and_then(|cell| self.detail(&cell));
        let grid = self.source.grid();
        let (vantages, targets) = self.axes();
        let cells = self.cells(&vantages, &targets);
        let newest = self.source.kept().and_then(|kept| kept.newest_ms);
        let open = self.live.windows().map(|window| window.start_ms + window.len_ms).max();
        let now_ms = self.clock.wall_ms();
        Snapshot {
            range,
            range_ms: range.len_ms(grid),
            span_ms: range.table(grid).1,
            newest_ms: newest.max(open.map(|end_ms| end_ms.min(now_ms))),
            vantages,
            targets,
            cells,
            detail,
            store: self.state.clone(),
        }
    }

    /// Who and what there is: the configuration's first, then what only the store knows.
    fn axes(&self) -> (Vec<String>, Vec<String>) {
        let names = self.source.kept().map(|kept| &kept.names);
        let names = || names.into_iter().flat_map(|names| names.values());
        let add = |configured: &[String], of: fn(&Series) -> &String| {
            let mut ids = configured.to_vec();
            let known: BTreeSet<&String> = configured.iter().collect();
            let others: BTreeSet<&String> =
                names().map(of).filter(|id| !known.contains(*id)).collect();
            ids.extend(others.into_iter().cloned());
            ids
        };
        (add(&self.vantages, |series| &series.vantage), add(&self.targets, |series| &series.target))
    }

    fn cells(&mut self, vantages: &[String], targets: &[String]) -> Vec<Cell> {
        let groups = self.groups(vantages, targets);
        let history = self.source.kept().map(|kept| &kept.history);
        let merger = &mut self.merger;
        let mut figures = groups.iter().map(|group| {
            let stored = group.stored.iter().filter_map(|id| Some(history?.spans(*id)));
            merger.merge(stored.flatten().chain(&group.open))
        });
        let mut cells = Vec::with_capacity(vantages.len() * targets.len());
        while let Some(cold) = figures.next() {
            let resumed = figures.next().unwrap_or_default();
            cells.push([cold, resumed, figures.next().unwrap_or_default()]);
        }
        cells
    }

    /// What each cell and connection is made of, in their order.
    fn groups(&self, vantages: &[String], targets: &[String]) -> Vec<Group> {
        let index = |ids: &[String]| -> HashMap<String, usize> {
            ids.iter().cloned().enumerate().map(|(at, id)| (id, at)).collect()
        };
        let (rows, columns) = (index(vantages), index(targets));
        let place = |series: &Series| {
            let is_step = !series.path.is_empty() && self.journeys.contains(&series.target);
            let cell = rows.get(&series.vantage)? * targets.len() + columns.get(&series.target)?;
            let connection = Connection::ALL.iter().position(|one| *one == series.connection)?;
            (!is_step).then_some(cell * Connection::ALL.len() + connection)
        };
        let mut groups =
            vec![Group::default(); vantages.len() * targets.len() * Connection::ALL.len()];
        for (id, series) in self.source.kept().into_iter().flat_map(|kept| &kept.names) {
            if let Some(group) = place(series).and_then(|at| groups.get_mut(at)) {
                group.stored.push(*id);
            }
        }
        for window in self.live.windows() {
            if let Some(group) = place(&window.series).and_then(|at| groups.get_mut(at)) {
                group.open.push(span_of(window));
            }
        }
        groups
    }

    fn detail(&mut self, cell: &(String, String)) -> Option<Detail> {
        if let Source::Remote(follower) = &mut self.source {
            return follower.detail(self.question.range, cell);
        }
        self.read_detail(cell);
        let is_here = |series: &Series| series.vantage == cell.0 && series.target == cell.1;
        let open: Vec<&Window> =
            self.live.windows().filter(|window| is_here(&window.series)).collect();
        let source = &self.source;
        let history = |connection: Connection| -> Vec<Span> {
            let of = source.kept().into_iter().flat_map(|kept| {
                let ids = kept
                    .names
                    .iter()
                    .filter(|(_, series)| is_here(series) && series.connection == connection);
                // Of several paths the one with the most spans speaks for the cell's history.
                let longest = ids.max_by_key(|(id, _)| kept.history.spans(**id).count());
                longest.into_iter().flat_map(move |(id, _)| kept.history.spans(*id))
            });
            of.copied().collect()
        };
        let stored = self.stored_detail.as_ref().map_or(&[][..], |stored| stored.rows.as_slice());
        Some(detail_of(cell, stored, &open, history, self.live.last(cell)))
    }

    /// Reads the histograms of the cell, unless they were read just now.
    fn read_detail(&mut self, cell: &(String, String)) {
        let now = self.clock.now();
        let is_fresh =
            |stored: &StoredDetail| stored.question == self.question && now < stored.again_at;
        if self.stored_detail.as_ref().is_some_and(is_fresh) {
            return;
        }
        let Source::File(follower) = &self.source else { return };
        let rows = follower.open().map(|open| open.merged_of(cell, self.question.range));
        let rows = rows.unwrap_or_default();
        let took = self.clock.now().saturating_duration_since(now);
        let again_at = now + took * DETAIL_REST;
        self.stored_detail = Some(StoredDetail { question: self.question.clone(), rows, again_at });
    }
}

/// The spans of one cell and connection: series of the store, and open windows.
#[derive(Debug, Clone, Default)]
struct Group {
    stored: Vec<i64>,
    open: Vec<Span>,
}

/// Reads what is new in the file; says whether anything was, and how the store is.
fn follow_file(follower: &mut Follower, range: Range, now_ms: i64) -> (bool, StoreState) {
    match follower.poll(range, now_ms) {
        Ok(is_new) => {
            let newest_ms = follower.open().and_then(|open| open.kept.newest_ms);
            (is_new, newest_ms.map_or(StoreState::Empty, |_| StoreState::Read))
        }
        Err(error) => (false, trouble(&error)),
    }
}

fn trouble(error: &StoreError) -> StoreState {
    StoreState::Trouble {
        what: probe::once::escape(&error.to_string()),
        hint: error.hint().unwrap_or("name another store with --store").to_owned(),
    }
}

fn entry_of(state: &StoreState, now_ms: i64) -> Option<Entry> {
    match state {
        StoreState::Reading => None,
        StoreState::Read => Some(Entry::success(now_ms, "the store is read".to_owned())),
        StoreState::Empty => Some(Entry::success(now_ms, "the store is empty".to_owned())),
        StoreState::Trouble { what, .. } => Some(Entry::failure(now_ms, what.clone())),
    }
}
