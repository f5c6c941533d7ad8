//! One vantage and target in full: phases, spread, history, failures, paths.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};

use probe::histogram::Histogram;
use probe::sample::Phase;
use probe::store::Quantiles;

use super::words::{advised_words, sent_words};
use super::{draw_lines, heading, history, newest, split};
use crate::model::Model;
use crate::snapshot::{ConnectionDetail, Detail, Spread};
use crate::words::{NONE, count, fit, left, ms_of_us, percent, right, shown};

/// How each phase is filled, `local` last: told apart without colours.
const FILLS: [char; 6] = ['░', '▒', '▓', '█', '▚', '·'];
const NAME: usize = 10;
const COLUMN: usize = 9;
/// Columns of what stands behind the name of a path.
const PATH_FIGURES: usize = 20;
/// The fewest bars of a histogram.
const BARS_MIN: usize = 16;
/// The eighths of a column of blocks.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (Some(vantage), Some(target)) = (&model.vantage, &model.target) else {
        heading(model, area, "No cell", "choose one in the matrix", buffer);
        return;
    };
    let title = format!("{} > {}", shown(vantage), shown(target));
    let note = format!("last {}, {}", model.range.as_str(), newest(model));
    let rest = heading(model, area, &title, &note, buffer);
    let sent = format!(" {}   {}", sent_words(model, vantage), advised_words(model, vantage));
    let columns = usize::from(area.width);
    let (line, rest) = split(rest, 1);
    buffer.set_stringn(line.x, line.y, fit(&sent, columns), columns, model.palette.quiet());
    let Some(detail) = model.chosen_detail() else {
        let text = " reading this cell";
        buffer.set_stringn(rest.x, rest.y, text, columns, Style::default());
        return;
    };
    if detail.connections.is_empty() {
        let text = format!(" no sample in the last {}; t looks further back", model.range.as_str());
        buffer.set_stringn(rest.x, rest.y, text, columns, Style::default());
        return;
    }
    let rows_each = if is_narrow(area) { 2 } else { 1 };
    let phases = u16::try_from(detail.connections.len() * rows_each + 2).unwrap_or(u16::MAX);
    let (top, rest) = split(rest, phases);
    draw_phases(model, detail, top, buffer);
    let spread = if rest.height >= 26 { 8 } else { 5 };
    let (middle, bottom) = split(rest, spread);
    draw_middle(model, detail, middle, buffer);
    history::draw(model, detail, bottom, buffer);
}

/// Where the bars of the phases stand below their figures.
fn is_narrow(area: Rect) -> bool {
    area.width < 110
}

/// The phases of each connection, as figures and end to end on one scale of time.
fn draw_phases(model: &Model, detail: &Detail, area: Rect, buffer: &mut Buffer) {
    let body = heading(model, area, "Phases", "medians in ms; they need not sum to p50", buffer);
    let mut head = vec![Span::styled(left("", NAME), model.palette.quiet())];
    let names = Phase::ALL.iter().map(|phase| phase.as_str()).chain(["local"]);
    for (index, (name, fill)) in names.zip(FILLS).enumerate() {
        let name = if name == "processing" { "process" } else { name };
        let style = model.palette.phase(index);
        let room = COLUMN - 1;
        head.push(Span::styled(right(&format!("{fill}{}", fit(name, room)), COLUMN), style));
    }
    head.push(Span::styled(
        right("p50", COLUMN - 1),
        Style::default().add_modifier(Modifier::BOLD),
    ));
    let figures = NAME + COLUMN * 7 + 1;
    let before = if is_narrow(area) { NAME } else { figures };
    let bar = usize::from(area.width).saturating_sub(before + 1);
    let longest = detail.connections.iter().map(total_us).max().unwrap_or(1);
    let mut lines = vec![Line::from(head)];
    for one in &detail.connections {
        let mut line = phase_figures(model, one);
        let bar = phase_bar(model, one, bar, longest);
        if is_narrow(area) {
            lines.push(Line::from(line));
            line = vec![Span::raw(" ".repeat(NAME))];
        } else {
            line.push(Span::raw("  "));
        }
        line.extend(bar);
        lines.push(Line::from(line));
    }
    draw_lines(&lines, 0, body, buffer);
}

fn parts_us(one: &ConnectionDetail) -> impl Iterator<Item = Option<u64>> {
    one.phases_us.into_iter().chain([one.local_us])
}

fn total_us(one: &ConnectionDetail) -> u64 {
    parts_us(one).flatten().sum()
}

fn phase_figures(model: &Model, one: &ConnectionDetail) -> Vec<Span<'static>> {
    let figure = |us: Option<u64>| us.map_or_else(|| NONE.to_owned(), ms_of_us);
    let is_chosen = one.connection == model.connection;
    let name = format!("{}{}", if is_chosen { ">" } else { " " }, one.connection);
    let style = if is_chosen { model.palette.accent() } else { Style::default() };
    let mut spans = vec![Span::styled(left(&name, NAME), style)];
    spans.extend(parts_us(one).map(|us| Span::raw(right(&figure(us), COLUMN))));
    let bold = Style::default().add_modifier(Modifier::BOLD);
    let p50 = figure(one.response.quantile_us(0.5));
    spans.push(Span::styled(right(&p50, COLUMN - 1), bold));
    spans
}

/// The phases end to end; the longest connection fills all columns.
fn phase_bar(
    model: &Model,
    one: &ConnectionDetail,
    columns: usize,
    longest_us: u64,
) -> Vec<Span<'static>> {
    let mut spans = Vec::with_capacity(FILLS.len());
    let mut until_us = 0;
    let mut drawn = 0;
    for (index, (us, fill)) in parts_us(one).zip(FILLS).enumerate() {
        until_us += us.unwrap_or(0);
        let end = usize::try_from(until_us * columns as u64 / longest_us.max(1)).unwrap_or(0);
        let text = fill.to_string().repeat(end.saturating_sub(drawn));
        spans.push(Span::styled(text, model.palette.phase(index)));
        drawn = drawn.max(end);
    }
    spans
}

/// The histogram of the chosen connection, and what failed.
fn draw_middle(model: &Model, detail: &Detail, area: Rect, buffer: &mut Buffer) {
    let wide = area.width * 3 / 5;
    let one = chosen(model, detail);
    let left_side = Rect { width: wide.saturating_sub(1), ..area };
    let right_side = Rect { x: area.x + wide, width: area.width - wide, ..area };
    draw_histogram(model, one, left_side, buffer);
    draw_failures(model, detail, one, right_side, buffer);
}

/// The chosen connection, or the first that was measured.
pub(super) fn chosen<'a>(model: &Model, detail: &'a Detail) -> &'a ConnectionDetail {
    let found = detail.connections.iter().find(|one| one.connection == model.connection);
    found.unwrap_or(&detail.connections[0])
}

fn draw_histogram(model: &Model, one: &ConnectionDetail, area: Rect, buffer: &mut Buffer) {
    let title = format!("Response, {}", one.connection);
    let q = |quantile: f64| {
        one.response.quantile_us(quantile).map_or_else(|| NONE.to_owned(), ms_of_us)
    };
    let note = if area.width < 60 {
        format!("p50 {}  p99 {} ms", q(0.5), q(0.99))
    } else {
        format!("p50 {}  p90 {}  p95 {}  p99 {} ms", q(0.5), q(0.9), q(0.95), q(0.99))
    };
    let body = heading(model, area, &title, &note, buffer);
    let columns = usize::from(body.width).saturating_sub(2);
    let rows = usize::from(body.height).saturating_sub(1);
    let histogram = match &one.response {
        Spread::Histogram(histogram) => histogram,
        Spread::Quantiles(quantiles) => {
            draw_quantiles(model, quantiles.as_ref(), body, buffer);
            return;
        }
    };
    let wide = bar_width(histogram.len(), columns);
    let (Some(bars), true) = (bars(histogram, columns / wide), rows > 0) else { return };
    let most = bars.counts.iter().copied().max().unwrap_or(1).max(1);
    for (index, count) in bars.counts.iter().enumerate() {
        // What there is must be seen, however little.
        let eighths = (count * rows as u64 * 8).div_ceil(most);
        for row in 0..rows {
            let left = eighths.saturating_sub(row as u64 * 8).min(8);
            let x = body.x + 1 + u16::try_from(index * wide).unwrap_or(0);
            let y = body.y + u16::try_from(rows - 1 - row).unwrap_or(0);
            let glyph = EIGHTHS[usize::try_from(left).unwrap_or(0)].to_string();
            buffer.set_string(x, y, glyph.repeat(wide), model.palette.phase(1));
        }
    }
    let axis = Rect { y: body.bottom() - 1, height: 1, ..body };
    draw_axis(model, &bars, axis, bars.counts.len() * wide, buffer);
}

/// The quantiles that are kept where there are no histograms, each with a bar up to it.
fn draw_quantiles(model: &Model, quantiles: Option<&Quantiles>, area: Rect, buffer: &mut Buffer) {
    let Some(q) = quantiles else { return };
    let named = [
        ("p10", q.p10_us),
        ("p25", q.p25_us),
        ("p50", q.p50_us),
        ("p75", q.p75_us),
        ("p90", q.p90_us),
        ("p95", q.p95_us),
        ("p99", q.p99_us),
    ];
    // The middle and both ends, where there is no room for all.
    let kept: Vec<(&str, u64)> = match usize::from(area.height) {
        rows if rows >= named.len() => named.to_vec(),
        4.. => vec![named[0], named[2], named[4], named[6]],
        _ => vec![named[2], named[6]],
    };
    let room = usize::from(area.width).saturating_sub(16);
    for ((name, us), y) in kept.into_iter().zip(area.y..area.bottom()) {
        let cells = usize::try_from(us * room as u64 / q.p99_us.max(1)).unwrap_or(0).min(room);
        let line = Line::from(vec![
            Span::styled(format!(" {name}{} ", right(&ms_of_us(us), 9)), model.palette.quiet()),
            Span::styled("▇".repeat(cells.max(1)), model.palette.phase(1)),
        ]);
        buffer.set_line(area.x, y, &line, area.width);
    }
}

fn draw_axis(model: &Model, bars: &Bars, area: Rect, columns: usize, buffer: &mut Buffer) {
    let mut text = String::new();
    let middle = (bars.low_us.max(1) as f64 * bars.high_us as f64).sqrt() / 1_000.0;
    let (low, high) = (ms_of_us(bars.low_us), format!("{} ms", ms_of_us(bars.high_us)));
    text.push_str(&low);
    let middle = crate::words::ms(middle);
    let at = (columns / 2).saturating_sub(middle.len() / 2);
    if columns > 30 && bars.high_us > bars.low_us + bars.low_us / 10 {
        text = left(&text, at) + &middle;
    }
    let rest = columns.saturating_sub(text.chars().count());
    let text = text + &right(&high, rest);
    buffer.set_stringn(area.x + 1, area.y, text, columns, model.palette.quiet());
}

/// Columns of one bar: with few samples many bars would be a comb of holes.
fn bar_width(samples: u64, columns: usize) -> usize {
    let bars = usize::try_from(samples / 3).unwrap_or(usize::MAX).max(BARS_MIN);
    columns.div_ceil(bars).max(1)
}

/// Counts by equal steps of the logarithm.
struct Bars {
    counts: Vec<u64>,
    low_us: u64,
    high_us: u64,
}

fn bars(histogram: &Histogram, columns: usize) -> Option<Bars> {
    let low_us = histogram.buckets().next()?.0;
    let high_us = histogram.buckets().last()?.1;
    let (from, to) = ((low_us.max(1) as f64).ln(), (high_us.max(1) as f64).ln());
    let mut counts = vec![0; columns.max(1)];
    let last = counts.len() - 1;
    for (low, high, n) in histogram.buckets() {
        let middle = (f64::midpoint(low as f64, high as f64)).max(1.0).ln();
        let share = (middle - from) / (to - from).max(1e-9);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of 0 to 1 of some columns"
        )]
        let at = (share.clamp(0.0, 1.0) * last as f64).round() as usize;
        counts[at.min(last)] += n;
    }
    Some(Bars { counts, low_us, high_us })
}

fn draw_failures(
    model: &Model,
    detail: &Detail,
    one: &ConnectionDetail,
    area: Rect,
    buffer: &mut Buffer,
) {
    let note = format!("{} of {} samples", count(one.failures()), count(one.attempts));
    let body = heading(model, area, "Failures", &note, buffer);
    let mut lines: Vec<Line<'_>> = Vec::new();
    let mut kinds: Vec<(&&str, &u64)> = one.by_kind.iter().collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for (kind, n) in kinds {
        let share = *n as f64 / one.attempts.max(1) as f64;
        let text = format!("{}{:>6}{:>7}", left(kind, 19), count(*n), percent(share));
        lines.push(Line::styled(text, model.palette.warning()));
    }
    if lines.is_empty() {
        lines.push(Line::styled("none", model.palette.quiet()));
    }
    if one.missed + one.late > 0 {
        let text = format!("missed slots {}, started late {}", count(one.missed), count(one.late));
        lines.push(Line::styled(text, model.palette.quiet()));
    }
    for path in detail.paths.iter().filter(|path| path.connection == one.connection) {
        let p50 = path.p50_us.map_or_else(|| NONE.to_owned(), ms_of_us);
        let room = usize::from(body.width).saturating_sub(PATH_FIGURES).clamp(13, 40);
        let name = left(&shown(&path.path), room);
        let text = format!("{name} n {:<5} p50 {p50}", count(path.attempts));
        lines.push(Line::raw(text));
    }
    if let Some(last) = &detail.last {
        lines.push(Line::styled(fit(last, usize::from(body.width)), model.palette.quiet()));
    }
    draw_lines(&lines, 0, body, buffer);
}
