//! The report in the order in which it is read: sections of text, tables and figures, made once,
//! so that Markdown and HTML tell the same facts. Nothing is escaped here. Pure.

mod measured;
mod routed;

use crate::chart::Figure;
use crate::chart::Figures;
use crate::document::Document;
use crate::period::Period;

/// What a cell of a table says of itself beside its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Nothing.
    Plain,
    /// It stands out.
    Strong,
    /// It is well.
    Good,
    /// It is not.
    Bad,
}

/// A cell of a table.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cell {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

impl Cell {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), tone: Tone::Plain }
    }

    pub(crate) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { text: text.into(), tone }
    }
}

/// A table. Columns whose head ends in a space and a unit, or is marked so, hold numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) caption: String,
    /// Names, and whether the column holds numbers.
    pub(crate) heads: Vec<(String, bool)>,
    pub(crate) rows: Vec<Vec<Cell>>,
    /// Whether it only repeats in figures what a chart shows.
    pub(crate) folded: bool,
}

impl Table {
    fn new(caption: &str, texts: &[&str], numbers: &[&str]) -> Self {
        let texts = texts.iter().map(|head| ((*head).to_owned(), false));
        let numbers = numbers.iter().map(|head| ((*head).to_owned(), true));
        Self {
            caption: caption.to_owned(),
            heads: texts.chain(numbers).collect(),
            rows: Vec::new(),
            folded: false,
        }
    }

    fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into_iter().collect());
    }
}

/// A part of the report.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section<'a> {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) text: Vec<String>,
    pub(crate) figures: &'a [Figure],
    pub(crate) tables: Vec<Table>,
}

impl<'a> Section<'a> {
    fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, text: Vec::new(), figures: &[], tables: Vec::new() }
    }

    fn say(mut self, text: impl Into<String>) -> Self {
        self.text.push(text.into());
        self
    }

    fn draw(mut self, figures: &'a [Figure]) -> Self {
        self.figures = figures;
        self
    }

    fn tabulate(mut self, table: Table) -> Self {
        if !table.rows.is_empty() {
            self.tables.push(table);
        }
        self
    }
}

/// A figure that stands at the top.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tile {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) note: String,
    pub(crate) tone: Tone,
}

/// All sections, in order. Those of which there is nothing say so.
pub(crate) fn sections<'a>(
    document: &'a Document,
    period: &Period,
    figures: &'a Figures,
) -> Vec<Section<'a>> {
    vec![
        routed::changes(document, period),
        routed::regret(document).draw(&figures.map),
        routed::advice(document),
        measured::deployment(document).draw(&figures.frontier),
        measured::cells(document).draw(&figures.heat),
        measured::latency(document).draw(&figures.latency),
        routed::applies(document, period),
        measured::objectives(document).draw(&figures.objectives),
        measured::distributions(document).draw(&figures.distributions),
        measured::phases(document).draw(&figures.phases),
        measured::coverage(document, period),
        measured::monitoring(document),
        measured::method(document),
    ]
}

/// What stands at the top.
pub(crate) fn tiles(document: &Document) -> Vec<Tile> {
    let mut tiles = Vec::new();
    if let Some(truth) = document.truth {
        tiles.push(Tile {
            name: "mean regret of clients",
            value: format!("{:.1} ms", truth.regret_after_ms),
            note: format!("{:.1} ms before", truth.regret_before_ms),
            tone: Tone::Good,
        });
    }
    if let Some(change) = document.changes.as_ref().and_then(|changes| changes.routed) {
        let tone = match (change.low_ms > 0.0, change.high_ms < 0.0) {
            (true, _) => Tone::Bad,
            (_, true) => Tone::Good,
            _ => Tone::Plain,
        };
        tiles.push(Tile {
            name: "mean cost where people are sent",
            value: format!("{:.1} ms", change.now_ms),
            note: format!("{:+.1} ms since the period before", change.change_ms),
            tone,
        });
    }
    let routed = &document.routing.vantages;
    if !routed.is_empty() {
        let slower = routed.iter().filter(|line| line.proven_gain_ms.is_some()).count();
        tiles.push(Tile {
            name: "vantages with a proven faster endpoint",
            value: format!("{slower} of {}", routed.len()),
            note: how_known(&document.routing.preferred),
            tone: if slower == 0 { Tone::Good } else { Tone::Bad },
        });
    }
    tiles.extend(measured::tiles(document));
    tiles
}

/// How the preferred labels are known, in words.
pub(crate) fn how_known(preferred: &str) -> String {
    match preferred {
        "asked" => "labels as Route 53 answers".to_owned(),
        "modelled" => "labels modelled by the shortest round trip".to_owned(),
        other => format!("labels {other}"),
    }
}

fn ms(value: Option<f64>) -> Cell {
    Cell::new(value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}")))
}

fn interval(low_ms: Option<f64>, high_ms: Option<f64>) -> Cell {
    Cell::new(match (low_ms, high_ms) {
        (Some(low), Some(high)) => format!("{low:.1} to {high:.1}"),
        _ => "-".to_owned(),
    })
}

fn percent(share: f64, decimals: usize) -> String {
    format!("{:.decimals$} %", share * 100.0)
}

/// A whole number with a narrow gap after each three digits.
fn whole(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}
