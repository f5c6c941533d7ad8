//! Vantage x endpoint: a heat map whose figures are always written out.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use probe::store::Quantiles;

use super::words::{advised_words, cell_words, sent_words};
use super::{cell, heading, newest, split};
use advisor::topology::Shares;

use crate::model::{Figure, Model};
use crate::palette::LEVELS;
use crate::snapshot::StoreState;
use crate::words::{NONE, fit, left, ms, percent, right, short_name, shown, width};

/// Mark, figure, level and the space behind.
const CELL_MIN: usize = 10;
/// From so many columns a cell has room for the spread.
const CELL_SPREAD: usize = 20;
const CELL_MAX: usize = 42;
const NAME_MAX: usize = 20;
/// A glyph for each level, so that nothing is said by colour alone.
const GLYPHS: [&str; LEVELS] = [" ", "▁", "▂", "▄", "▆", "█"];
/// Lines below the rows: the chosen cell, where it is sent, the levels.
const FOOT_ROWS: u16 = 5;

/// Where rows and columns stand.
struct Layout<'a> {
    area: Rect,
    rows: Vec<&'a str>,
    columns: Vec<&'a str>,
    name: usize,
    cell: usize,
    top: usize,
    first: usize,
}

impl<'a> Layout<'a> {
    fn new(model: &'a Model, area: Rect) -> Self {
        let (rows, columns) = (model.rows(), model.columns());
        let longest = rows.iter().map(|id| width(&shown(id))).max().unwrap_or(0);
        let name = longest.clamp(7, NAME_MAX) + 2;
        let room = usize::from(area.width).saturating_sub(name);
        let cell = (room / columns.len().max(1)).clamp(CELL_MIN, CELL_MAX);
        let at = |ids: &[&str], chosen: Option<&str>| {
            ids.iter().position(|id| Some(*id) == chosen).unwrap_or(0)
        };
        let first = at(&columns, model.target.as_deref());
        let top = at(&rows, model.vantage.as_deref());
        let (across, down) = (room / cell, usize::from(area.height).saturating_sub(1));
        Self {
            area,
            name,
            cell,
            top: window(top, down, rows.len()),
            first: window(first, across, columns.len()),
            rows,
            columns,
        }
    }

    fn shown_columns(&self) -> &[&'a str] {
        let across = (usize::from(self.area.width).saturating_sub(self.name)) / self.cell;
        let end = (self.first + across).min(self.columns.len());
        self.columns.get(self.first..end).unwrap_or_default()
    }

    fn shown_rows(&self) -> &[&'a str] {
        let down = usize::from(self.area.height).saturating_sub(1);
        let end = (self.top + down).min(self.rows.len());
        self.rows.get(self.top..end).unwrap_or_default()
    }
}

/// The first of `shown` items so that the chosen one is among them, in the middle where it can be.
fn window(chosen: usize, shown: usize, all: usize) -> usize {
    chosen.saturating_sub(shown / 2).min(all.saturating_sub(shown))
}

fn table_area(model: &Model, area: Rect) -> (Rect, Rect, Rect) {
    let table = u16::try_from(model.rows().len() + 1).unwrap_or(u16::MAX);
    let (_, body) = split(area, 1);
    let with_panel = model.has_panel();
    let least = if with_panel { body.height / 2 } else { 0 };
    let most = body.height.saturating_sub(FOOT_ROWS + least);
    let (table, rest) = split(body, table.min(most));
    let (foot, panel) = split(rest, FOOT_ROWS);
    (table, foot, if with_panel { panel } else { split(panel, 0).0 })
}

pub(super) fn cell_at(model: &Model, area: Rect, (x, y): (u16, u16)) -> Option<(String, String)> {
    let (table, _, _) = table_area(model, area);
    let layout = Layout::new(model, table);
    let row = usize::from(y.checked_sub(table.y + 1)?);
    let column = usize::from(x).checked_sub(layout.name)? / layout.cell;
    let vantage = layout.shown_rows().get(row)?;
    let target = layout.shown_columns().get(column)?;
    Some(((*vantage).to_owned(), (*target).to_owned()))
}

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let title = match model.figure {
        Figure::P50 => "Median response, ms",
        Figure::P95 => "95th percentile of the response, ms",
        Figure::Loss => "Share of samples that failed",
        Figure::Regret => "What each endpoint would gain over the one in use, ms",
    };
    let connection = if model.figure == Figure::Regret {
        "cost of cold and warm, over blocks".to_owned()
    } else {
        format!("{} connections, last {}", model.connection, model.range.as_str())
    };
    let note = format!("{connection}, {}", newest(model));
    heading(model, area, title, &note, buffer);
    let (table, foot, panel) = table_area(model, area);
    let layout = Layout::new(model, table);
    if layout.rows.is_empty() || layout.columns.is_empty() {
        draw_nothing(model, table, buffer);
        return;
    }
    draw_head(model, &layout, buffer);
    let scale = Scale::of(model, &layout);
    for (vantage, y) in layout.shown_rows().iter().zip(table.y + 1..table.bottom()) {
        draw_row(model, &layout, &scale, vantage, y, buffer);
    }
    draw_foot(model, foot, buffer);
    if panel.height > 0 {
        cell::draw(model, panel, buffer);
    }
}

fn draw_nothing(model: &Model, area: Rect, buffer: &mut Buffer) {
    let text = if model.snapshot.store == StoreState::Reading {
        "  reading the store"
    } else if !model.filter.is_empty() {
        "  nothing matches the filter; Esc clears it"
    } else if model.subject.measures {
        "  waiting for the first samples"
    } else {
        "  nothing measured yet: start `advisor probe`"
    };
    buffer.set_stringn(area.x, area.y + 1, text, usize::from(area.width), Style::default());
}

fn draw_head(model: &Model, layout: &Layout<'_>, buffer: &mut Buffer) {
    let y = layout.area.y;
    let hidden = layout.rows.len() - layout.shown_rows().len();
    let corner = if hidden > 0 { format!(" {hidden} more ↕") } else { " vantage".to_owned() };
    buffer.set_stringn(layout.area.x, y, &corner, layout.name, model.palette.quiet());
    let mut x = layout.area.x + u16::try_from(layout.name).unwrap_or(0);
    for target in layout.shown_columns() {
        let full = shown(target);
        let room = layout.cell - 1;
        let name = if width(&full) + 1 > room { short_name(&full) } else { full };
        let is_chosen = model.target.as_deref() == Some(*target);
        let style = if is_chosen { model.palette.accent() } else { Style::default() };
        buffer.set_stringn(x, y, left(&format!(" {name}"), room), room, style);
        x += u16::try_from(layout.cell).unwrap_or(0);
    }
    if layout.shown_columns().len() < layout.columns.len() && layout.area.width > 2 {
        buffer.set_string(layout.area.right() - 1, y, "↔", model.palette.quiet());
    }
}

fn draw_row(
    model: &Model,
    layout: &Layout<'_>,
    scale: &Scale,
    vantage: &str,
    y: u16,
    buffer: &mut Buffer,
) {
    let is_row = model.vantage.as_deref() == Some(vantage);
    let name = shown(vantage);
    let name = if width(&name) + 2 > layout.name { fit(&name, layout.name - 2) } else { name };
    let style = if is_row { model.palette.accent() } else { Style::default() };
    let name = left(&format!(" {name}"), layout.name);
    buffer.set_stringn(layout.area.x, y, name, layout.name, style);
    let mut x = layout.area.x + u16::try_from(layout.name).unwrap_or(0);
    for target in layout.shown_columns() {
        let is_chosen = is_row && model.target.as_deref() == Some(*target);
        let (text, style) = cell_text(model, vantage, target);
        let style = if is_chosen { model.palette.cursor() } else { style };
        let (after, _) = buffer.set_stringn(x, y, text, layout.cell, style);
        if layout.cell >= CELL_SPREAD && model.figure != Figure::Regret {
            let spread = model.figures(vantage, target).and_then(|figures| figures.quantiles);
            if let Some(quantiles) = spread {
                let room = layout.cell - CELL_MIN - 1;
                let bar = scale.bar(&quantiles, room);
                buffer.set_stringn(after + 1, y, bar, room, model.palette.quiet());
            }
        }
        x += u16::try_from(layout.cell).unwrap_or(0);
    }
}

/// Mark, figure and level of one cell: nine columns.
fn cell_text(model: &Model, vantage: &str, target: &str) -> (String, Style) {
    let serves = |shares: Option<Shares>| shares.is_some_and(|shares| shares.part(target) > 0.0);
    let mark = if serves(model.sent(vantage)) {
        "●"
    } else if serves(model.advised(vantage)) {
        "◆"
    } else {
        " "
    };
    let Some(value) = model.value(vantage, target) else {
        return (format!("{mark}{} ", right(NONE, 7)), Style::default());
    };
    let level = model.figure.level(value);
    let text = match model.figure {
        Figure::Loss => percent(value),
        Figure::Regret if value > 0.0 => format!("+{}", ms(value)),
        _ => ms(value),
    };
    (format!("{mark}{}{}", right(&text, 7), GLYPHS[level]), model.palette.heat(level))
}

/// The scale that all spreads of a screen share: logarithms of microseconds.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn of(model: &Model, layout: &Layout<'_>) -> Self {
        let mut scale = Self { low: f64::INFINITY, high: f64::NEG_INFINITY };
        for vantage in layout.shown_rows() {
            for target in layout.shown_columns() {
                let figures = model.figures(vantage, target);
                if let Some(quantiles) = figures.and_then(|figures| figures.quantiles) {
                    scale.low = scale.low.min(ln(quantiles.p10_us));
                    scale.high = scale.high.max(ln(quantiles.p90_us));
                }
            }
        }
        scale
    }

    /// From p10 to p90, thick from p25 to p75, the median on it.
    fn bar(&self, quantiles: &Quantiles, columns: usize) -> String {
        let last = columns.saturating_sub(1) as f64;
        let place = |us: u64| {
            let share = (ln(us) - self.low) / (self.high - self.low).max(1e-9);
            (share.clamp(0.0, 1.0) * last).round()
        };
        let q = quantiles;
        let marks = [q.p10_us, q.p25_us, q.p50_us, q.p75_us, q.p90_us].map(place);
        let glyph = |column: usize| {
            let at = column as f64;
            let within = |low: f64, high: f64| (low..=high).contains(&at);
            if within(marks[2], marks[2]) {
                '┃'
            } else if within(marks[1], marks[3]) {
                '━'
            } else if within(marks[0], marks[4]) {
                '─'
            } else {
                ' '
            }
        };
        (0..columns).map(glyph).collect()
    }
}

fn ln(us: u64) -> f64 {
    (us.max(1) as f64).ln()
}

fn draw_foot(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (Some(vantage), Some(target)) = (&model.vantage, &model.target) else { return };
    let columns = usize::from(area.width);
    let say = |text: String| fit(&format!(" {text}"), columns);
    let lines = [
        Line::default(),
        Line::raw(say(cell_words(model, vantage, target))),
        Line::raw(say(sent_words(model, vantage))),
        Line::styled(say(advised_words(model, vantage)), model.palette.accent()),
        legend(model, columns),
    ];
    for (line, y) in lines.iter().zip(area.y..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// What the levels and marks mean.
fn legend(model: &Model, columns: usize) -> Line<'static> {
    let quiet = model.palette.quiet();
    let bound = |value: f64| match model.figure {
        Figure::Loss => percent(value).replace(".0%", "%"),
        _ => format!("{value}"),
    };
    let bounds = model.figure.bounds();
    let mut spans = vec![Span::raw(" ")];
    for (level, glyph) in GLYPHS.iter().enumerate() {
        let text = match level {
            0 => format!("<{}", bound(bounds[0])),
            level => format!("≥{}", bound(bounds[level - 1])),
        };
        spans.push(Span::styled(format!(" {text}{glyph} "), model.palette.heat(level)));
        spans.push(Span::raw(" "));
    }
    let marks = "  ● sent there now  ◆ advised";
    let spread = "   ─ p10 to p90  ━ p25 to p75  ┃ median";
    let taken: usize = spans.iter().map(Span::width).sum();
    if taken + width(marks) <= columns {
        spans.push(Span::styled(marks, quiet));
    }
    let is_spread = model.figure != Figure::Regret;
    if is_spread && taken + width(marks) + width(spread) <= columns {
        spans.push(Span::styled(spread, quiet));
    }
    Line::from(spans)
}
