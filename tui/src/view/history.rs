//! The history of one cell: a band from p10 to p90 with the median on it, and what failed.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::cell::chosen;
use super::{heading, split};
use crate::figures::Span;
use crate::model::Model;
use crate::range::Range;
use crate::snapshot::Detail;
use crate::words::{day, left, ms, right, time_of_day};

/// Columns of the figures at the left.
const AXIS: u16 = 9;

pub(super) fn draw(model: &Model, detail: &Detail, area: Rect, buffer: &mut Buffer) {
    let one = chosen(model, detail);
    let title = format!("History, {}", one.connection);
    let note = "● p50  ░ p10 to p90, ms  × a sample failed";
    let body = heading(model, area, &title, note, buffer);
    if body.height < 4 || body.width <= AXIS + 4 || one.history.is_empty() {
        return;
    }
    let (chart, below) = split(body, body.height - 2);
    let plot = Rect { x: chart.x + AXIS, width: chart.width - AXIS, ..chart };
    let spans = newest(&one.history, usize::from(plot.width));
    let scale = Scale::of(spans);
    draw_scale(model, &scale, chart, buffer);
    let wide = (usize::from(plot.width) / spans.len().max(1)).clamp(1, 16);
    for (index, span) in spans.iter().enumerate() {
        for step in 0..wide {
            let x = plot.x + u16::try_from(index * wide + step).unwrap_or(0);
            draw_span(model, &scale, span, (x, plot), step == wide / 2, buffer);
            if span.failures > 0 {
                buffer.set_string(x, below.y, "×", model.palette.warning());
            }
        }
    }
    draw_times(model, spans, wide, Rect { y: below.y + 1, x: plot.x, height: 1, ..plot }, buffer);
}

/// The newest spans with a sample, as many as there are columns.
fn newest(history: &[Span], columns: usize) -> &[Span] {
    &history[history.len().saturating_sub(columns)..]
}

/// Milliseconds from the bottom to the top.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// Wide enough for every band; a failure at the timeout alone does not flatten the rest.
    fn of(spans: &[Span]) -> Self {
        let measured = || spans.iter().filter(|span| span.attempts > 0);
        let mut tops: Vec<u32> = measured().map(|span| span.points_us[4]).collect();
        tops.sort_unstable();
        let usual = tops.get(tops.len() * 9 / 10).or(tops.last()).copied().unwrap_or(1_000);
        let top = tops.last().copied().unwrap_or(1_000).min(usual.saturating_mul(2));
        let low = measured().map(|span| span.points_us[0]).min().unwrap_or(0);
        let (low, high) = (f64::from(low) / 1_000.0, f64::from(top) / 1_000.0);
        let margin = ((high - low) * 0.05).max(0.5);
        Self { low: (low - margin).max(0.0), high: high + margin }
    }

    /// The row of a value, counted from the top of `rows`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of 0 to 1 of some rows"
    )]
    fn row(&self, us: u32, rows: u16) -> u16 {
        let share = (f64::from(us) / 1_000.0 - self.low) / (self.high - self.low);
        let last = f64::from(rows.saturating_sub(1));
        (last - share.clamp(0.0, 1.0) * last).round() as u16
    }

    fn at(&self, row: u16, rows: u16) -> f64 {
        let last = f64::from(rows.saturating_sub(1)).max(1.0);
        self.high - (self.high - self.low) * f64::from(row) / last
    }
}

fn draw_scale(model: &Model, scale: &Scale, area: Rect, buffer: &mut Buffer) {
    let rows = area.height;
    let every = (rows.saturating_sub(1) / 3).max(1);
    let columns = usize::from(AXIS) - 1;
    for row in 0..rows {
        let is_tick = row.is_multiple_of(every) && row + every <= rows || row + 1 == rows;
        let text =
            if is_tick { right(&ms(scale.at(row, rows)), columns - 1) } else { String::new() };
        let line = format!("{}{}", left(&text, columns), if is_tick { "┤" } else { "│" });
        buffer.set_stringn(area.x, area.y + row, line, usize::from(AXIS), model.palette.quiet());
    }
}

fn draw_span(
    model: &Model,
    scale: &Scale,
    span: &Span,
    (x, plot): (u16, Rect),
    is_middle: bool,
    buffer: &mut Buffer,
) {
    if span.attempts == 0 {
        return;
    }
    let row = |us: u32| scale.row(us, plot.height);
    for y in row(span.points_us[4])..=row(span.points_us[0]) {
        buffer.set_string(x, plot.y + y, "░", model.palette.phase(1));
    }
    let (glyph, style) =
        if is_middle { ("●", model.palette.warning()) } else { ("─", Style::default()) };
    buffer.set_string(x, plot.y + row(span.p50_us()), glyph, style);
}

fn draw_times(model: &Model, spans: &[Span], wide: usize, area: Rect, buffer: &mut Buffer) {
    let text = |span: &Span| match model.snapshot.range {
        Range::Week | Range::Month => day(span.start_ms),
        Range::Hours6 | Range::Day => time_of_day(span.start_ms)[..5].to_owned(),
        Range::Minutes15 | Range::Hour => time_of_day(span.start_ms),
    };
    let step = 20_usize.div_ceil(wide).max(1);
    for (index, span) in spans.iter().enumerate().step_by(step) {
        let x = area.x + u16::try_from(index * wide).unwrap_or(0);
        let text = text(span);
        if usize::from(x) + text.len() <= usize::from(area.right()) {
            buffer.set_string(x, area.y, text, model.palette.quiet());
        }
    }
}
