//! One frame without a terminal: as text, or with the codes that colour it.

use std::fmt::Write as _;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::{Buffer, Cell};
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use crate::message::Message;
use crate::model::Model;
use crate::update::update;
use crate::view::view;

/// Draws the model in its own size.
#[must_use]
pub fn draw(model: &Model) -> Buffer {
    let (columns, rows) = model.size;
    let Ok(mut terminal) = Terminal::new(TestBackend::new(columns, rows));
    let Ok(_) = terminal.draw(|frame| view(model, frame));
    terminal.backend().buffer().clone()
}

/// Presses these keys, a letter each. What they would have done outside is left.
pub fn press(model: &mut Model, keys: &str) {
    for c in keys.chars() {
        let code = match c {
            '\n' => KeyCode::Enter,
            '\t' => KeyCode::Tab,
            '\u{1b}' => KeyCode::Esc,
            c => KeyCode::Char(c),
        };
        let _ = update(model, Message::Key(KeyEvent::new(code, KeyModifiers::NONE)));
    }
}

/// The rows of a frame, without the spaces at their ends.
#[must_use]
pub fn text(buffer: &Buffer) -> String {
    render(buffer, |_, _| String::new())
}

/// The same with colours, as codes that terminals obey.
#[must_use]
pub fn ansi(buffer: &Buffer) -> String {
    let code = |cell: &Cell, before: Option<&Cell>| {
        let style = |cell: &Cell| (cell.fg, cell.bg, cell.modifier);
        let plain = (Color::Reset, Color::Reset, Modifier::empty());
        if before.map_or(plain, style) == style(cell) { String::new() } else { codes(cell) }
    };
    let mut out = String::new();
    for line in render_lines(buffer, code) {
        let _ = writeln!(out, "{line}\u{1b}[0m");
    }
    out
}

fn render(buffer: &Buffer, code: impl Fn(&Cell, Option<&Cell>) -> String) -> String {
    let mut out = String::new();
    for line in render_lines(buffer, code) {
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn render_lines(
    buffer: &Buffer,
    code: impl Fn(&Cell, Option<&Cell>) -> String,
) -> impl Iterator<Item = String> {
    let columns = usize::from(buffer.area.width).max(1);
    buffer.content.chunks(columns).map(move |row| {
        let mut line = String::new();
        let mut before = None;
        let mut hidden = 0;
        for cell in row {
            if hidden > 0 {
                hidden -= 1;
                continue;
            }
            line.push_str(&code(cell, before));
            line.push_str(cell.symbol());
            hidden = crate::words::width(cell.symbol()).saturating_sub(1);
            before = Some(cell);
        }
        line
    })
}

fn codes(cell: &Cell) -> String {
    let mut codes = "0".to_owned();
    for (modifier, code) in [(Modifier::BOLD, 1), (Modifier::REVERSED, 7)] {
        if cell.modifier.contains(modifier) {
            let _ = write!(codes, ";{code}");
        }
    }
    for (color, base) in [(cell.fg, 30), (cell.bg, 40)] {
        let _ = match color {
            Color::Rgb(r, g, b) => write!(codes, ";{};2;{r};{g};{b}", base + 8),
            Color::Indexed(index) => write!(codes, ";{};5;{index}", base + 8),
            other => basic(other).map_or(Ok(()), |at| {
                write!(codes, ";{}", if at < 8 { base + at } else { base + 52 + at })
            }),
        };
    }
    format!("\u{1b}[{codes}m")
}

/// The place of one of the 16 colours.
fn basic(color: Color) -> Option<u32> {
    const ORDER: [Color; 16] = [
        Color::Black,
        Color::Red,
        Color::Green,
        Color::Yellow,
        Color::Blue,
        Color::Magenta,
        Color::Cyan,
        Color::Gray,
        Color::DarkGray,
        Color::LightRed,
        Color::LightGreen,
        Color::LightYellow,
        Color::LightBlue,
        Color::LightMagenta,
        Color::LightCyan,
        Color::White,
    ];
    let at = ORDER.iter().position(|one| *one == color)?;
    u32::try_from(at).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    #[test]
    fn a_frame_is_text_with_or_without_colours() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 6, 2));
        buffer.set_string(0, 0, "a東", Style::default().fg(Color::LightCyan));
        buffer.set_string(0, 1, "b", Style::default().bg(Color::Indexed(17)));
        assert_eq!(text(&buffer), "a東\nb\n");
        let want =
            "\u{1b}[0;96ma東\u{1b}[0m   \u{1b}[0m\n\u{1b}[0;48;5;17mb\u{1b}[0m     \u{1b}[0m\n";
        assert_eq!(ansi(&buffer), want);
    }
}
