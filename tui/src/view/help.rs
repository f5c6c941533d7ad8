//! The help: made from the table of keys, so that it cannot be wrong.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};

use super::{draw_page, heading};
use crate::keymap::{BINDINGS, Binding, names};
use crate::model::Model;
use crate::words::right;

const KEYS: usize = 20;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    Clear.render(area, buffer);
    let note = "↓ ↑ scroll, any other key closes";
    let body = heading(model, area, "Keys", note, buffer);
    let entry = |binding: &'static Binding| -> Vec<Span<'static>> {
        vec![
            Span::styled(right(&names(binding), KEYS), model.palette.accent()),
            Span::styled(format!("  {}", binding.help), Style::default()),
        ]
    };
    let lines: Vec<Line<'_>> = BINDINGS.iter().map(|binding| Line::from(entry(binding))).collect();
    let most = lines.len().saturating_sub(usize::from(body.height));
    draw_page(model, &lines, model.scrolled().min(most), body, buffer);
}
