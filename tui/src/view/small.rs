//! A terminal that is too small for the views still says what is asked, what is wrong, and the chosen
//! cell's figures.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{COLUMNS_MIN, ROWS_MIN};
use crate::figures::Figures;
use crate::model::{Mode, Model};
use crate::words::{NONE, ms_of_us, percent, shown, wrapped};

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let columns = usize::from(area.width);
    let mut lines = urgent(model);
    if let (Some(vantage), Some(target)) = (&model.vantage, &model.target) {
        lines.push((shown(vantage), model.palette.accent()));
        lines.push((format!("> {}", shown(target)), model.palette.accent()));
        let figures = model.figures(vantage, target);
        let quantiles = figures.and_then(|figures| figures.quantiles);
        let p50 = quantiles.map_or_else(|| NONE.to_owned(), |q| ms_of_us(q.p50_us));
        let loss = figures.and_then(Figures::loss).map_or_else(|| NONE.to_owned(), percent);
        lines.push((format!("p50 {p50} ms"), Style::default()));
        lines.push((format!("loss {loss}"), Style::default()));
    } else if lines.is_empty() {
        lines.push(("nothing measured".to_owned(), Style::default()));
    }
    let needed = format!("{COLUMNS_MIN}x{ROWS_MIN} shows more");
    lines.push((needed, model.palette.quiet()));
    let parts = lines.into_iter().flat_map(|(text, style)| {
        wrapped(&text, columns, 1).into_iter().map(move |part| (part, style))
    });
    for ((text, style), y) in parts.zip(area.y..area.bottom()) {
        buffer.set_stringn(area.x, y, text, columns, style);
    }
}

/// What waits for a key, and what went wrong: before any figure.
fn urgent(model: &Model) -> Vec<(String, Style)> {
    let asked = match model.mode {
        Mode::ConfirmQuit => Some("quit and stop measuring? y/n".to_owned()),
        Mode::Filter => Some(format!("filter: {}", shown(&model.filter))),
        Mode::Normal | Mode::Help => None,
    };
    let trouble = model.notice().map(|(what, hint)| format!("! {what}: {hint}"));
    asked.into_iter().chain(trouble).map(|text| (text, model.palette.warning())).collect()
}
