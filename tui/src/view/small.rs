//! A terminal that is too small for the views still says the chosen cell's figures.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::{COLUMNS_MIN, ROWS_MIN};
use crate::figures::Figures;
use crate::model::Model;
use crate::words::{NONE, fit, ms_of_us, percent, shown};

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let columns = usize::from(area.width);
    let mut lines = Vec::new();
    if let (Some(vantage), Some(target)) = (&model.vantage, &model.target) {
        lines.push((shown(vantage), model.palette.accent()));
        lines.push((format!("> {}", shown(target)), model.palette.accent()));
        let figures = model.figures(vantage, target);
        let quantiles = figures.and_then(|figures| figures.quantiles);
        let p50 = quantiles.map_or_else(|| NONE.to_owned(), |q| ms_of_us(q.p50_us));
        let loss = figures.and_then(Figures::loss).map_or_else(|| NONE.to_owned(), percent);
        lines.push((format!("p50 {p50} ms"), Style::default()));
        lines.push((format!("loss {loss}"), Style::default()));
    } else {
        let text = model.notice().map_or_else(|| "nothing measured".to_owned(), |(what, _)| what);
        lines.push((text, Style::default()));
    }
    let needed = format!("{COLUMNS_MIN}x{ROWS_MIN} shows more");
    lines.push((needed, model.palette.quiet()));
    for ((text, style), y) in lines.into_iter().zip(area.y..area.bottom()) {
        buffer.set_stringn(area.x, y, fit(&text, columns), columns, style);
    }
}
