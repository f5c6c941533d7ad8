//! Everything the screen shows and where the cursor is. It answers questions and does no IO.

use std::sync::Arc;
use std::time::Duration;

use advisor::topology::Shares;
use probe::sample::Connection;

use crate::decision::Decision;
use crate::figures::Figures;
use crate::log::Log;
use crate::palette::Palette;
use crate::range::Range;
use crate::snapshot::{Detail, Question, Snapshot, StoreState};
use crate::words::shown;

/// What the screen shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// Vantage x endpoint.
    Matrix,
    /// One pair in full.
    Cell,
    /// The world.
    Map,
    /// What is advised.
    Advice,
    /// What would be changed.
    Plan,
    /// What happened.
    Log,
}

impl View {
    /// All, in the order of their keys.
    pub const ALL: [Self; 6] =
        [Self::Matrix, Self::Cell, Self::Map, Self::Advice, Self::Plan, Self::Log];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matrix => "Matrix",
            Self::Cell => "Cell",
            Self::Map => "Map",
            Self::Advice => "Advice",
            Self::Plan => "Plan",
            Self::Log => "Log",
        }
    }

    /// The view of this name, in any case.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|view| view.as_str().eq_ignore_ascii_case(name))
    }
}

/// Who gets the keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The view.
    Normal,
    /// The filter is being typed.
    Filter,
    /// The help is open.
    Help,
    /// Quitting would stop the agent as well: that is asked first.
    ConfirmQuit,
}

/// Which figure the matrix shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    /// The median response.
    P50,
    /// The 95th percentile.
    P95,
    /// The share of samples that failed.
    Loss,
    /// What the vantage would gain at that endpoint.
    Regret,
}

impl Figure {
    /// All, in the order of their key.
    pub const ALL: [Self; 4] = [Self::P50, Self::P95, Self::Loss, Self::Regret];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::Loss => "loss",
            Self::Regret => "regret",
        }
    }

    /// The least value of each level above the lowest.
    pub(crate) fn bounds(self) -> [f64; 5] {
        match self {
            Self::P50 | Self::P95 => [50.0, 100.0, 200.0, 400.0, 800.0],
            Self::Loss => [0.000_1, 0.001, 0.01, 0.05, 0.2],
            Self::Regret => [0.1, 5.0, 20.0, 50.0, 100.0],
        }
    }

    /// The level of a value, from 0.
    pub(crate) fn level(self, value: f64) -> usize {
        self.bounds().iter().filter(|bound| value >= **bound).count()
    }
}

/// In which order rows stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// As configured; in the log, failures first.
    Given,
    /// The highest figure of a row first; in the log, newest first.
    Worst,
    /// The highest figure in the chosen column first.
    Column,
}

impl Sort {
    /// All, in the order of their key.
    pub const ALL: [Self; 3] = [Self::Given, Self::Worst, Self::Column];
}

/// Whether new pictures are shown.
#[derive(Debug, Clone, PartialEq)]
pub enum Flow {
    /// They are.
    Live,
    /// They wait.
    Frozen {
        /// Since when, in ms since 1970.
        at_ms: i64,
        /// The newest that waits.
        newer: Option<Arc<Snapshot>>,
        /// The newest decision that waits.
        decided: Option<Arc<Decision>>,
    },
}

/// The zone could not be surveyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    /// What failed.
    pub what: String,
    /// What to try.
    pub hint: Option<String>,
}

/// What a dashboard is of.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// The service's name.
    pub service: String,
    /// Ids of endpoints with their Regions, in the order of the configuration.
    pub endpoints: Vec<(String, String)>,
    /// How the store is named on the command line.
    pub store: String,
    /// Whether the agent runs in this process.
    pub measures: bool,
    /// What reading costs, where the store is paid for by the question.
    pub price: Option<Price>,
}

/// What it costs to look at a store that is paid for by the question.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// How the store is called, in a word.
    pub name: &'static str,
    /// How often it is read.
    pub every: Duration,
    /// US dollars for one reading.
    pub reading_usd: f64,
    /// US dollars for a month of readings, the advisor's own among them.
    pub month_usd: f64,
    /// Whether the price behind both is confirmed.
    pub is_verified: bool,
}

/// Everything the screen shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// What it is of.
    pub subject: Subject,
    /// The colours.
    pub palette: Palette,
    /// Columns and rows of the terminal.
    pub size: (u16, u16),
    /// Wall time, in ms since 1970.
    pub now_ms: i64,
    /// How long it has run.
    pub running: Duration,
    /// What is shown.
    pub view: View,
    /// Who gets the keys.
    pub mode: Mode,
    /// Whether new pictures are shown.
    pub flow: Flow,
    /// How far back.
    pub range: Range,
    /// Which figure.
    pub figure: Figure,
    /// Over which connection.
    pub connection: Connection,
    /// In which order.
    pub sort: Sort,
    /// The filter as it was typed.
    pub filter: String,
    /// The chosen vantage, by id.
    pub vantage: Option<String>,
    /// The chosen target, by id.
    pub target: Option<String>,
    /// The chosen label of the advice, by its place.
    pub label: usize,
    /// How far each view is scrolled.
    pub scroll: [usize; View::ALL.len()],
    /// Whether the mouse is ours.
    pub has_mouse: bool,
    /// What was measured.
    pub snapshot: Arc<Snapshot>,
    /// The newest detail of a cell.
    pub detail: Option<Detail>,
    /// What was decided.
    pub decision: Option<Arc<Decision>>,
    /// Why nothing newer was decided.
    pub undecided: Option<Undecided>,
    /// What happened.
    pub log: Log,
    /// Messages that there was no room for.
    pub dropped: u64,
    /// What the reader was asked last.
    pub asked: Option<Question>,
}

/// From so many rows the matrix shows the chosen cell below it.
const PANEL_FROM_ROWS: u16 = 36;

impl Model {
    /// A dashboard before anything was read.
    #[must_use]
    pub fn new(subject: Subject, palette: Palette, size: (u16, u16), now_ms: i64) -> Self {
        Self {
            subject,
            palette,
            size,
            now_ms,
            running: Duration::ZERO,
            view: View::Matrix,
            mode: Mode::Normal,
            flow: Flow::Live,
            range: Range::Minutes15,
            figure: Figure::P50,
            connection: Connection::Cold,
            sort: Sort::Given,
            filter: String::new(),
            vantage: None,
            target: None,
            label: 0,
            scroll: [0; View::ALL.len()],
            has_mouse: false,
            snapshot: Arc::new(Snapshot::empty(Range::Minutes15, StoreState::Reading)),
            detail: None,
            decision: None,
            undecided: None,
            log: Log::default(),
            dropped: 0,
            asked: None,
        }
    }

    /// What the reader should answer now.
    #[must_use]
    pub fn question(&self) -> Question {
        let wanted = self.view == View::Cell || self.view == View::Matrix && self.has_panel();
        let cell = self.vantage.clone().zip(self.target.clone());
        let connection = self.subject.price.as_ref().map(|_| self.connection);
        Question { range: self.range, connection, cell: cell.filter(|_| wanted) }
    }

    /// Whether the matrix shows the chosen cell below it: where there is room, and where moving the
    /// cursor costs no money.
    pub(crate) fn has_panel(&self) -> bool {
        self.size.1 >= PANEL_FROM_ROWS && self.subject.price.is_none()
    }

    /// The figures of one cell over the chosen connection.
    pub(crate) fn figures(&self, vantage: &str, target: &str) -> Option<&Figures> {
        let at = Connection::ALL.iter().position(|one| *one == self.connection)?;
        self.snapshot.cell(vantage, target)?.get(at).filter(|figures| figures.attempts > 0)
    }

    /// The chosen figure of one cell: milliseconds, or a share of loss.
    pub(crate) fn value(&self, vantage: &str, target: &str) -> Option<f64> {
        let ms = |us: u64| us as f64 / 1_000.0;
        match self.figure {
            Figure::P50 => Some(ms(self.figures(vantage, target)?.quantiles?.p50_us)),
            Figure::P95 => Some(ms(self.figures(vantage, target)?.quantiles?.p95_us)),
            Figure::Loss => self.figures(vantage, target)?.loss(),
            Figure::Regret => {
                let decision = self.decision.as_ref()?;
                if self.preferred(vantage) == Some(target) {
                    return Some(0.0);
                }
                decision.against(vantage, target)?.gain_ms
            }
        }
    }

    /// The endpoint that Route 53 sends a vantage to now, of several the one that costs most.
    pub(crate) fn preferred(&self, vantage: &str) -> Option<&str> {
        self.decision.as_ref()?.line_of(vantage)?.current.as_deref()
    }

    /// Where Route 53 sends a vantage now.
    pub(crate) fn sent(&self, vantage: &str) -> Option<Shares> {
        self.decision.as_ref()?.sent(vantage)
    }

    /// Where it would be sent, where that is elsewhere.
    pub(crate) fn advised(&self, vantage: &str) -> Option<Shares> {
        self.decision.as_ref()?.advised(vantage)
    }

    /// The Region of an endpoint.
    pub(crate) fn region(&self, endpoint: &str) -> Option<&str> {
        let found = self.subject.endpoints.iter().find(|(id, _)| id == endpoint)?;
        Some(found.1.as_str())
    }

    /// The two halves of the filter: words of a vantage, words of an endpoint.
    fn filter_words(&self) -> (Vec<String>, Vec<String>) {
        let lower = self.filter.to_lowercase();
        let (vantage, target) = lower.split_once('>').unwrap_or((&lower, ""));
        let words = |half: &str| half.split_whitespace().map(str::to_owned).collect();
        (words(vantage), words(target))
    }

    /// The vantages that are shown, in their order.
    pub(crate) fn rows(&self) -> Vec<&str> {
        let (words, _) = self.filter_words();
        let mut rows: Vec<&str> = self
            .snapshot
            .vantages
            .iter()
            .map(String::as_str)
            .filter(|id| has(id, &words))
            .collect();
        let key = |vantage: &str| -> f64 {
            let of = |target: &str| self.value(vantage, target).unwrap_or(f64::NEG_INFINITY);
            match (self.sort, &self.target) {
                (Sort::Column, Some(target)) => of(target),
                _ => self.columns().iter().map(|t| of(t)).fold(f64::NEG_INFINITY, f64::max),
            }
        };
        if self.sort != Sort::Given {
            let mut keyed: Vec<(f64, &str)> = rows.iter().map(|id| (key(id), *id)).collect();
            keyed.sort_by(|a, b| b.0.total_cmp(&a.0));
            rows = keyed.into_iter().map(|(_, id)| id).collect();
        }
        rows
    }

    /// The targets that are shown, in their order; of regret only endpoints have any.
    pub(crate) fn columns(&self) -> Vec<&str> {
        let (_, words) = self.filter_words();
        let shown = |id: &&str| {
            has(id, &words) && (self.figure != Figure::Regret || self.region(id).is_some())
        };
        self.snapshot.targets.iter().map(String::as_str).filter(shown).collect()
    }

    /// Whether a line of the log is shown.
    pub(crate) fn is_logged(&self, text: &str) -> bool {
        let (vantage, target) = self.filter_words();
        has(text, &vantage) && has(text, &target)
    }

    /// The detail of the chosen cell, once it was read.
    pub(crate) fn chosen_detail(&self) -> Option<&Detail> {
        let detail = self.detail.as_ref()?;
        let is_it = Some(&detail.vantage) == self.vantage.as_ref()
            && Some(&detail.target) == self.target.as_ref();
        is_it.then_some(detail)
    }

    /// What stands on the screen whatever the view: trouble, and what to try.
    pub(crate) fn notice(&self) -> Option<(String, String)> {
        match &self.snapshot.store {
            StoreState::Trouble { what, hint } => return Some((what.clone(), hint.clone())),
            StoreState::Empty if !self.subject.measures => {
                let what = format!("{} holds no window yet", shown(&self.subject.store));
                return Some((what, "start `advisor probe`; windows appear as they close".into()));
            }
            _ => {}
        }
        let undecided = self.undecided.as_ref()?;
        matches!(self.view, View::Map | View::Advice | View::Plan)
            .then(|| (undecided.what.clone(), undecided.hint.clone().unwrap_or_default()))
    }

    /// How far the shown view is scrolled.
    pub(crate) fn scrolled(&self) -> usize {
        self.scroll[self.view as usize]
    }
}

fn has(text: &str, words: &[String]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}
