//! The world: vantages, endpoints, and who is sent where.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;
use ratatui::widgets::canvas::{Canvas, Context, Line as Stroke, Map, MapResolution};

use probe::place::{RegionPlace, region};

use super::words::{advised_words, sent_words, shares_column, shares_words, survey_words};
use super::{draw_lines, heading, split};
use crate::model::{Figure, Model};
use crate::words::{NONE, fit, left, maybe_ms, right, short_name, shown, width};

/// How much too high the Earth may be drawn.
const STRETCH_MAX: f64 = 1.3;
/// What of the Earth is drawn: nothing of ours stands nearer to a pole.
const LATITUDES: [f64; 2] = [-56.0, 76.0];
const LONGITUDES: [f64; 2] = [-180.0, 180.0];
/// How much is gained by the advice, as a glyph: level by level.
const GLYPHS: [&str; 6] = ["o", "○", "◔", "◑", "◕", "●"];

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let note = survey_words(model);
    let body = heading(model, area, "Who is sent where", &note, buffer);
    let rows = model.rows();
    let list = u16::try_from(rows.len() + 1).unwrap_or(u16::MAX).min(body.height / 3);
    // A row is as high as two columns are wide: more rows would stretch the Earth.
    let degrees = LATITUDES[1] - LATITUDES[0];
    let due = f64::from(body.width) * degrees / 360.0 / 2.0 * STRETCH_MAX;
    let most = body.height - list;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of the columns of a terminal"
    )]
    let (map, list) = split(body, most.min(due.ceil() as u16));
    draw_world(model, &rows, map, buffer);
    draw_list(model, &rows, list, buffer);
}

/// What the advice would save a vantage, and the level of that.
fn gain(model: &Model, vantage: &str) -> Option<(f64, usize)> {
    let gain_ms = model.decision.as_ref()?.advised_gain_ms(vantage)?;
    Some((gain_ms, Figure::Regret.level(gain_ms)))
}

fn draw_world(model: &Model, rows: &[&str], area: Rect, buffer: &mut Buffer) {
    let resolution = if area.width >= 100 { MapResolution::High } else { MapResolution::Low };
    let canvas =
        Canvas::default().marker(Marker::Braille).x_bounds(LONGITUDES).y_bounds(LATITUDES).paint(
            |context| {
                context.draw(&Map { resolution, color: model.palette.land() });
                context.layer();
                draw_ways(model, rows, context);
                context.layer();
                draw_places(model, rows, 360.0 / f64::from(area.width.max(1)), context);
            },
        );
    canvas.render(area, buffer);
}

/// Where a vantage stands: its id, or its endpoint's Region.
fn place(model: &Model, id: &str) -> Option<RegionPlace> {
    region(id).or_else(|| region(model.region(id)?))
}

fn draw_ways(model: &Model, rows: &[&str], context: &mut Context<'_>) {
    for vantage in rows {
        let (Some(from), Some(sent)) = (place(model, vantage), model.sent(vantage)) else {
            continue;
        };
        let level = gain(model, vantage).map_or(0, |(_, level)| level);
        for to in sent.iter().filter_map(|(endpoint, _)| place(model, endpoint)) {
            draw_way(from, to, model.palette.ink(level), context);
        }
    }
}

/// The shorter way round, over the border of the map where that is shorter.
fn draw_way(
    from: RegionPlace,
    to: RegionPlace,
    color: ratatui::style::Color,
    context: &mut Context<'_>,
) {
    let round = to.longitude - from.longitude;
    let shift = if round > 180.0 {
        -360.0
    } else if round < -180.0 {
        360.0
    } else {
        0.0
    };
    let stroke = |x: f64| Stroke {
        x1: from.longitude + x,
        y1: from.latitude,
        x2: to.longitude + shift + x,
        y2: to.latitude,
        color,
    };
    context.draw(&stroke(0.0));
    if shift != 0.0 {
        context.draw(&stroke(-shift));
    }
}

/// Vantages where they are, endpoints a column beside them; `column` is how many degrees one is.
fn draw_places(model: &Model, rows: &[&str], column: f64, context: &mut Context<'_>) {
    for vantage in rows {
        let Some(at) = place(model, vantage) else { continue };
        let level = gain(model, vantage).map_or(0, |(_, level)| level);
        let style = if model.vantage.as_deref() == Some(*vantage) {
            model.palette.cursor()
        } else {
            Style::default().fg(model.palette.ink(level))
        };
        let text = Span::styled(GLYPHS[level], style);
        context.print(at.longitude, at.latitude, Line::from(text));
    }
    for (id, of_region) in &model.subject.endpoints {
        let Some(at) = region(of_region) else { continue };
        let text = format!("◆{}", short_name(&shown(id)));
        let beside = at.longitude + column;
        // A name that would stand beyond the border stands before its place.
        let wide = column * width(&text) as f64;
        let x = if beside + wide > 180.0 { at.longitude - wide } else { beside };
        context.print(x, at.latitude, Line::styled(text, model.palette.accent()));
    }
}

fn draw_list(model: &Model, rows: &[&str], area: Rect, buffer: &mut Buffer) {
    let columns = usize::from(area.width);
    let name = rows.iter().map(|id| shown(id).len()).max().unwrap_or(8).clamp(8, 18);
    let hidden = (rows.len() + 1).saturating_sub(usize::from(area.height));
    let corner = if hidden > 0 { format!("{hidden} more ↕") } else { "vantage".to_owned() };
    let head = format!(
        "   {}  {}{}  {}",
        left(&corner, name),
        left("sent to", name),
        right("cost, ms", 9),
        "saved by the advice, ms"
    );
    let mut lines = vec![Line::styled(fit(&head, columns), model.palette.quiet())];
    let chosen = rows.iter().position(|id| Some(*id) == model.vantage.as_deref()).unwrap_or(0);
    lines.extend(rows.iter().map(|vantage| list_line(model, vantage, name)));
    let room = usize::from(area.height).saturating_sub(1);
    let skip = (chosen + 1).saturating_sub(room);
    let (head, body) = split(area, 1);
    draw_lines(&lines[..1], 0, head, buffer);
    draw_lines(&lines[1..], skip, body, buffer);
    let left_over = area.height.saturating_sub(u16::try_from(lines.len() + 1).unwrap_or(u16::MAX));
    if left_over >= 4 {
        let y = area.bottom() - left_over;
        draw_chosen(model, Rect { y, height: left_over, ..area }, buffer);
    }
}

fn list_line(model: &Model, vantage: &str, name: usize) -> Line<'static> {
    let cost_ms = model.decision.as_ref().and_then(|decision| decision.cost_ms(vantage));
    let to = model
        .sent(vantage)
        .map_or_else(|| NONE.to_owned(), |shares| shares_column(Some(&shares), name));
    let (level, saved) = match gain(model, vantage) {
        Some((gain_ms, level)) => (level, maybe_ms(Some(gain_ms))),
        None => (0, NONE.to_owned()),
    };
    let advised = model.advised(vantage);
    let advised = advised.map_or_else(String::new, |to| format!(" ◆ {}", shares_words(Some(&to))));
    let is_chosen = model.vantage.as_deref() == Some(vantage);
    let nowhere = if place(model, vantage).is_none() { "  not on the map" } else { "" };
    let style = if is_chosen { model.palette.cursor() } else { Style::default() };
    let text = format!(
        "{}  {}{}  {}{advised}{nowhere}",
        left(&shown(vantage), name),
        left(&to, name),
        right(&maybe_ms(cost_ms), 9),
        right(&saved, 6),
    );
    let ink = Style::default().fg(model.palette.ink(level));
    Line::from(vec![Span::styled(format!(" {} ", GLYPHS[level]), ink), Span::styled(text, style)])
}

/// More on the chosen vantage, and what the glyphs mean.
fn draw_chosen(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(vantage) = &model.vantage else { return };
    let columns = usize::from(area.width);
    let bounds = Figure::Regret.bounds();
    let mut legend = vec![Span::styled(" saved: ", model.palette.quiet())];
    for (level, glyph) in GLYPHS.iter().enumerate() {
        let text = match level {
            0 => format!("{glyph} none  "),
            level => format!("{glyph} ≥{}  ", bounds[level - 1]),
        };
        legend.push(Span::styled(text, Style::default().fg(model.palette.ink(level))));
    }
    let lines = [
        Line::from(legend),
        Line::styled(" ◆ endpoint, lines lead to those in use", model.palette.quiet()),
        Line::raw(fit(&format!(" {}: {}", shown(vantage), sent_words(model, vantage)), columns)),
        Line::styled(format!(" {}", advised_words(model, vantage)), model.palette.accent()),
    ];
    draw_lines(&lines, 0, area, buffer);
}
