//! What happened: failures first, and kept longer than successes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{draw_lines, draw_more, heading, split};
use crate::log::Entry;
use crate::model::{Model, Sort};
use crate::words::{count, day, time_of_day, wrapped};

const DAY_MS: i64 = 86_400_000;
/// Columns of date, time and mark.
const HEAD: usize = 18;

/// The entries that are shown, in their order.
pub(super) fn entries(model: &Model) -> Vec<&Entry> {
    let is_shown = |entry: &&Entry| model.is_logged(&entry.text);
    match model.sort {
        Sort::Given => model.log.failures_first().filter(is_shown).collect(),
        Sort::Worst | Sort::Column => {
            model.log.newest_first().into_iter().filter(is_shown).collect()
        }
    }
}

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (failures, forgotten) = model.log.failures();
    let order = if model.sort == Sort::Given { "failures first" } else { "newest first" };
    let lost = if forgotten > 0 {
        format!(", {} older forgotten", count(forgotten))
    } else {
        String::new()
    };
    let note = format!("{order}, {} failures kept{lost}", count(failures as u64));
    let body = heading(model, area, "Log", &note, buffer);
    let entries = entries(model);
    if entries.is_empty() {
        let text = " nothing happened yet that the filter shows";
        let text = if model.filter.is_empty() { " nothing happened yet" } else { text };
        buffer.set_stringn(body.x, body.y, text, usize::from(body.width), Style::default());
        return;
    }
    let shown: Vec<&Entry> = entries.into_iter().skip(model.scrolled()).collect();
    let each = shown.iter().take(usize::from(body.height));
    let lines: Vec<Line<'_>> =
        each.flat_map(|entry| lines(model, entry, usize::from(body.width))).collect();
    let is_more = lines.len() > usize::from(body.height) || shown.len() > usize::from(body.height);
    let (body, more) = split(body, body.height.saturating_sub(u16::from(is_more)));
    draw_lines(&lines, 0, body, buffer);
    if is_more {
        draw_more(model, &format!("{} entries from here", count(shown.len() as u64)), more, buffer);
    }
}

/// One entry, in as many lines as it takes.
fn lines(model: &Model, entry: &Entry, columns: usize) -> Vec<Line<'static>> {
    let is_today = entry.at_ms.div_euclid(DAY_MS) == model.now_ms.div_euclid(DAY_MS);
    let date = if is_today { "     ".to_owned() } else { day(entry.at_ms) };
    let (mark, style) = if entry.is_failure {
        ("×", model.palette.warning())
    } else {
        ("·", model.palette.quiet())
    };
    let mut head = vec![
        Span::styled(format!(" {date} {} ", time_of_day(entry.at_ms)), model.palette.quiet()),
        Span::styled(format!("{mark} "), style),
    ];
    let parts = wrapped(&entry.text, columns.saturating_sub(HEAD), 0);
    let line = |part: String| {
        let mut spans = std::mem::replace(&mut head, vec![Span::raw(" ".repeat(HEAD))]);
        spans.push(Span::raw(part));
        Line::from(spans)
    };
    parts.into_iter().map(line).collect()
}
