//! From the model to the screen. It draws and changes nothing.

mod advice;
mod cell;
mod help;
mod history;
mod log;
mod map;
mod matrix;
mod plan;
mod small;
mod words;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use crate::keymap::BINDINGS;
use crate::model::{Flow, Mode, Model, Sort, View};
use crate::words::{age, fit, length, right, shown, time_of_day, width};

/// The least terminal that the views are made for.
const COLUMNS_MIN: u16 = 70;
const ROWS_MIN: u16 = 16;

/// Draws the whole screen.
pub fn view(model: &Model, frame: &mut Frame<'_>) {
    let area = frame.area();
    let buffer = frame.buffer_mut();
    if is_small(area) {
        small::draw(model, area, buffer);
        return;
    }
    let areas = areas(model, area);
    draw_head(model, areas.head, buffer);
    match model.view {
        View::Matrix => matrix::draw(model, areas.body, buffer),
        View::Cell => cell::draw(model, areas.body, buffer),
        View::Map => map::draw(model, areas.body, buffer),
        View::Advice => advice::draw(model, areas.body, buffer),
        View::Plan => plan::draw(model, areas.body, buffer),
        View::Log => log::draw(model, areas.body, buffer),
    }
    draw_notice(model, areas.notice, buffer);
    draw_price(model, areas.price, buffer);
    draw_foot(model, areas.foot, buffer);
    if model.mode == Mode::Help {
        help::draw(model, areas.body, buffer);
    }
}

fn is_small(area: Rect) -> bool {
    area.width < COLUMNS_MIN || area.height < ROWS_MIN
}

/// Where things stand.
struct Areas {
    head: Rect,
    body: Rect,
    notice: Rect,
    price: Rect,
    foot: Rect,
}

fn areas(model: &Model, area: Rect) -> Areas {
    let notice = if model.notice().is_some() { 2 } else { 0 };
    let price = u16::from(model.subject.price.is_some());
    let row = |y: u16, height: u16| Rect { x: area.x, y: area.y + y, width: area.width, height };
    let body = area.height.saturating_sub(2 + notice + price);
    Areas {
        head: row(0, 1),
        body: row(1, body),
        notice: row(1 + body, notice),
        price: row(1 + body + notice, price),
        foot: row(area.height.saturating_sub(1), 1),
    }
}

/// How many lines the shown view has to scroll over.
pub(crate) fn lines_of(model: &Model) -> usize {
    match model.view {
        View::Plan => plan::lines(model, usize::from(model.size.0)).len(),
        View::Log => log::entries(model).len(),
        _ => 0,
    }
}

/// The view whose tab stands here.
pub(crate) fn tab_at(model: &Model, (x, y): (u16, u16)) -> Option<View> {
    let (columns, rows) = model.size;
    if y != 0 || is_small(Rect::new(0, 0, columns, rows)) {
        return None;
    }
    tabs()
        .find(|(view, start)| {
            let len = view.as_str().len() + TAB_EXTRA;
            (*start..*start + len).contains(&usize::from(x))
        })
        .map(|(view, _)| view)
}

/// The cell of the matrix that stands here.
pub(crate) fn cell_at(model: &Model, place: (u16, u16)) -> Option<(String, String)> {
    let (columns, rows) = model.size;
    let area = Rect::new(0, 0, columns, rows);
    if model.view != View::Matrix || is_small(area) {
        return None;
    }
    matrix::cell_at(model, areas(model, area).body, place)
}

const NAME: &str = " Nearside ";
/// The number of a tab and the spaces around it.
const TAB_EXTRA: usize = 4;

/// Each tab with its first column.
fn tabs() -> impl Iterator<Item = (View, usize)> {
    let mut start = NAME.len();
    View::ALL.into_iter().map(move |view| {
        let here = start;
        start += view.as_str().len() + TAB_EXTRA;
        (view, here)
    })
}

fn draw_head(model: &Model, area: Rect, buffer: &mut Buffer) {
    let palette = model.palette;
    let mut spans = vec![Span::styled(NAME, palette.accent())];
    for (index, view) in View::ALL.into_iter().enumerate() {
        let style = if view == model.view { palette.cursor() } else { Style::default() };
        spans.push(Span::styled(format!(" {} {} ", index + 1, view.as_str()), style));
        spans.push(Span::raw(" "));
    }
    let line = Line::from(spans);
    let taken = line.width();
    buffer.set_line(area.x, area.y, &line, area.width);
    let room = usize::from(area.width).saturating_sub(taken + 1);
    let (text, style) = match &model.flow {
        Flow::Live => (format!("{} UTC", time_of_day(model.now_ms)), Style::default()),
        Flow::Frozen { at_ms, .. } => {
            (format!("FROZEN {} UTC", &time_of_day(*at_ms)[..5]), palette.warning())
        }
    };
    let service = shown(&model.subject.service);
    let both = format!("{service}  {text}");
    let fitting = [both, text].into_iter().find(|text| width(text) <= room).unwrap_or_default();
    let x = area.x + u16::try_from(taken).unwrap_or(u16::MAX);
    buffer.set_stringn(x, area.y, right(&fitting, room), room, style);
}

fn draw_notice(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some((what, hint)) = model.notice() else { return };
    let columns = usize::from(area.width);
    let lines =
        [(format!(" ! {what}"), model.palette.warning()), (format!("   {hint}"), Style::default())];
    for ((text, style), y) in lines.into_iter().zip(area.y..area.bottom()) {
        buffer.set_stringn(area.x, y, fit(&text, columns), columns, style);
    }
}

/// What looking on costs, where it costs anything.
fn draw_price(model: &Model, area: Rect, buffer: &mut Buffer) {
    let Some(price) = &model.subject.price else { return };
    let every = length(i64::try_from(price.every.as_millis()).unwrap_or(i64::MAX));
    let mark = if price.is_verified { "" } else { ", unverified price" };
    let month =
        format!(" {} every {every}: at most {:.2} USD a month{mark}", price.name, price.month_usd);
    let more =
        format!("; {:.4} USD a reading, and t, c and a cell read once more", price.reading_usd);
    let columns = usize::from(area.width);
    let text = format!("{month}{more}");
    let text = if width(&text) <= columns { text } else { fit(&month, columns) };
    buffer.set_stringn(area.x, area.y, text, columns, model.palette.quiet());
}

fn draw_foot(model: &Model, area: Rect, buffer: &mut Buffer) {
    let palette = model.palette;
    let line = match model.mode {
        Mode::Filter => Line::from(vec![
            Span::styled(" filter: ", palette.accent()),
            Span::raw(shown(&model.filter)),
            Span::styled(" ", palette.cursor()),
            Span::styled("  vantage > endpoint; Enter keeps it, Esc clears it", palette.quiet()),
        ]),
        Mode::ConfirmQuit => Line::from(vec![
            Span::styled(" This process measures: quitting stops it. Quit? ", palette.warning()),
            Span::raw("y quits, any other key stays"),
        ]),
        Mode::Normal | Mode::Help => hints(model),
    };
    buffer.set_line(area.x, area.y, &line, area.width);
    let right_side = match (&model.mode, model.dropped) {
        (Mode::Normal, 0) if !model.filter.is_empty() => {
            format!("filter: {} ", shown(&model.filter))
        }
        (_, 0) => String::new(),
        (_, dropped) => format!("{dropped} messages dropped "),
    };
    let wide = u16::try_from(width(&right_side)).unwrap_or(u16::MAX);
    if usize::from(area.width) > line.width() + usize::from(wide) {
        let x = area.right() - wide;
        buffer.set_string(x, area.y, right_side, palette.warning());
    }
}

/// The keys that matter most, with what they stand at now.
fn hints(model: &Model) -> Line<'static> {
    use crate::keymap::{Action, names};
    let mut spans = vec![Span::raw(" ")];
    for binding in BINDINGS {
        let Some(hint) = binding.hint else { continue };
        let state = match binding.action {
            Action::Figure => model.figure.as_str(),
            Action::Connection => model.connection.as_str(),
            Action::Range => model.range.as_str(),
            Action::Sort => match model.sort {
                Sort::Given => "sort",
                Sort::Worst => "sort:worst",
                Sort::Column => "sort:column",
            },
            _ => hint,
        };
        let first = names(binding).split(' ').next().unwrap_or_default().to_owned();
        let state = format!(" {state}  ");
        let taken: usize = spans.iter().map(Span::width).sum();
        if taken + width(&first) + width(state.trim_end()) > usize::from(model.size.0) {
            break;
        }
        spans.push(Span::styled(first, model.palette.accent()));
        spans.push(Span::raw(state));
    }
    Line::from(spans)
}

/// A heading across the area, with what explains it behind; returns what is left below.
fn heading(model: &Model, area: Rect, text: &str, note: &str, buffer: &mut Buffer) -> Rect {
    if area.height == 0 {
        return area;
    }
    let columns = usize::from(area.width);
    let rule = "─".repeat(columns);
    buffer.set_stringn(area.x, area.y, rule, columns, model.palette.quiet());
    let text = fit(&format!(" {text} "), columns.saturating_sub(2));
    let (x, _) = buffer.set_stringn(area.x + 1, area.y, &text, columns, model.palette.accent());
    let room = usize::from(area.right().saturating_sub(x + 1));
    if !note.is_empty() && room > 8 {
        buffer.set_stringn(
            x,
            area.y,
            fit(&format!("· {note} "), room),
            room,
            model.palette.quiet(),
        );
    }
    Rect { y: area.y + 1, height: area.height - 1, ..area }
}

/// How old what was measured is.
fn newest(model: &Model) -> String {
    model.snapshot.newest_ms.map_or_else(
        || "nothing measured yet".to_owned(),
        |newest_ms| format!("newest {}", age(model.now_ms.saturating_sub(newest_ms))),
    )
}

/// Several lines, as many as fit, from `skip` on.
fn draw_lines(lines: &[Line<'_>], skip: usize, area: Rect, buffer: &mut Buffer) {
    for (line, y) in lines.iter().skip(skip).zip(area.y..area.bottom()) {
        buffer.set_line(area.x, y, line, area.width);
    }
}

/// The same; where lines are hidden below, the last row says how many.
fn draw_page(model: &Model, lines: &[Line<'_>], skip: usize, area: Rect, buffer: &mut Buffer) {
    let hidden = lines.len().saturating_sub(skip + usize::from(area.height));
    let (body, more) = split(area, area.height.saturating_sub(u16::from(hidden > 0)));
    draw_lines(lines, skip, body, buffer);
    if more.height > 0 {
        draw_more(model, &format!("{} more lines", hidden + 1), more, buffer);
    }
}

/// At the right end of a row: what stands further down.
fn draw_more(model: &Model, what: &str, area: Rect, buffer: &mut Buffer) {
    let text = fit(&format!("{what} ↓ PgDn "), usize::from(area.width));
    let x = area.right().saturating_sub(u16::try_from(width(&text)).unwrap_or(0));
    buffer.set_string(x, area.y, text, model.palette.accent());
}

/// The top `rows` rows of an area, and the rest.
fn split(area: Rect, rows: u16) -> (Rect, Rect) {
    let rows = rows.min(area.height);
    let top = Rect { height: rows, ..area };
    (top, Rect { y: area.y + rows, height: area.height - rows, ..area })
}
