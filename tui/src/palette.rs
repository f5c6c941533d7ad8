//! Colours: which ones, for how many the terminal has. Nothing here is said by colour alone.
//!
//! Levels run from dark blue to yellow in the manner of cividis, a map made so that people with and
//! without a colour vision deficiency see nearly the same; its lightness rises all the way, so that it
//! holds in grey too. Phases take the colours of Okabe and Ito, told apart in every common deficiency.

use ratatui::style::{Color, Modifier, Style};

/// How many levels a figure can have.
pub(crate) const LEVELS: usize = 6;

/// How many colours the terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// `NO_COLOR`, or a terminal without any.
    None,
    /// The 16 of every terminal.
    Sixteen,
    /// 256, by number.
    Indexed,
    /// 24 bits.
    True,
}

impl Depth {
    /// From the environment's `NO_COLOR`, `COLORTERM` and `TERM`.
    #[must_use]
    pub fn of(no_color: bool, colorterm: Option<&str>, term: Option<&str>) -> Self {
        let term = term.unwrap_or_default();
        if no_color || term == "dumb" || term.is_empty() {
            Self::None
        } else if colorterm.is_some_and(|value| matches!(value, "truecolor" | "24bit")) {
            Self::True
        } else if term.contains("256color") || term.contains("direct") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

/// One colour in the three ways to say it.
type Shade = ((u8, u8, u8), u8, Color);

const HEAT: [Shade; LEVELS] = [
    ((0, 34, 78), 17, Color::Blue),
    ((53, 69, 108), 60, Color::Cyan),
    ((102, 105, 112), 242, Color::DarkGray),
    ((148, 142, 119), 144, Color::Gray),
    ((200, 184, 102), 179, Color::Yellow),
    ((254, 232, 56), 227, Color::LightYellow),
];

/// The same levels, light enough to be read as lines and words on a dark ground.
const HEAT_INK: [Shade; LEVELS] = [
    ((100, 143, 220), 68, Color::LightBlue),
    ((120, 160, 200), 110, Color::Cyan),
    ((150, 155, 165), 247, Color::Gray),
    ((180, 172, 140), 144, Color::White),
    ((215, 195, 95), 179, Color::Yellow),
    ((254, 232, 56), 227, Color::LightYellow),
];

const PHASES: [Shade; 6] = [
    ((0, 158, 115), 36, Color::Green),
    ((86, 180, 233), 74, Color::LightCyan),
    ((204, 121, 167), 175, Color::Magenta),
    ((230, 159, 0), 178, Color::Yellow),
    ((240, 228, 66), 227, Color::LightYellow),
    ((153, 153, 153), 246, Color::Gray),
];

const ACCENT: Shade = ((86, 180, 233), 74, Color::LightCyan);
const WARNING: Shade = ((230, 159, 0), 178, Color::Yellow);
const QUIET: Shade = ((140, 140, 140), 245, Color::DarkGray);
const LAND: Shade = ((90, 90, 90), 240, Color::DarkGray);

/// The styles of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Palette {
    depth: Depth,
}

impl Palette {
    /// The styles for a terminal of this depth.
    #[must_use]
    pub fn new(depth: Depth) -> Self {
        Self { depth }
    }

    fn color(self, (rgb, index, basic): Shade) -> Color {
        match self.depth {
            Depth::None => Color::Reset,
            Depth::Sixteen => basic,
            Depth::Indexed => Color::Indexed(index),
            Depth::True => Color::Rgb(rgb.0, rgb.1, rgb.2),
        }
    }

    /// The ground of a figure at this level.
    pub(crate) fn heat(self, level: usize) -> Style {
        let level = level.min(LEVELS - 1);
        if self.depth == Depth::None {
            return Style::default();
        }
        let ink = match self.depth {
            // Blue and dark grey are dark, the others are not.
            Depth::Sixteen if matches!(level, 0 | 2) => Color::White,
            Depth::Sixteen => Color::Black,
            Depth::True if level < 3 => Color::Rgb(255, 255, 255),
            Depth::True => Color::Rgb(0, 0, 0),
            _ if level < 3 => Color::Indexed(231),
            _ => Color::Indexed(16),
        };
        Style::default().fg(ink).bg(self.color(HEAT[level]))
    }

    /// Lines and words at this level.
    pub(crate) fn ink(self, level: usize) -> Color {
        self.color(HEAT_INK[level.min(LEVELS - 1)])
    }

    /// A phase in the order of time; `local` is the last.
    pub(crate) fn phase(self, index: usize) -> Style {
        Style::default().fg(self.color(PHASES[index.min(PHASES.len() - 1)]))
    }

    /// What is chosen: a tab, the heading of a panel.
    pub(crate) fn accent(self) -> Style {
        Style::default().fg(self.color(ACCENT)).add_modifier(Modifier::BOLD)
    }

    /// What went wrong, or needs a look.
    pub(crate) fn warning(self) -> Style {
        Style::default().fg(self.color(WARNING)).add_modifier(Modifier::BOLD)
    }

    /// What explains.
    pub(crate) fn quiet(self) -> Style {
        Style::default().fg(self.color(QUIET))
    }

    /// The coast lines of the map.
    pub(crate) fn land(self) -> Color {
        self.color(LAND)
    }

    /// Where the cursor is, with or without colours.
    pub(crate) fn cursor(self) -> Style {
        self.accent().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_says_how_many_colours_it_has() {
        for (no_color, colorterm, term, want) in [
            (true, Some("truecolor"), Some("xterm-256color"), Depth::None),
            (false, Some("truecolor"), Some("xterm"), Depth::True),
            (false, Some(""), Some("tmux-256color"), Depth::Indexed),
            (false, None, Some("linux"), Depth::Sixteen),
            (false, None, Some("dumb"), Depth::None),
            (false, None, None, Depth::None),
        ] {
            assert_eq!(Depth::of(no_color, colorterm, term), want, "{colorterm:?} {term:?}");
        }
    }

    #[test]
    fn levels_grow_lighter_all_the_way() {
        let light = |(rgb, ..): Shade| {
            let (r, g, b) = rgb;
            0.2126 * f64::from(r) + 0.7152 * f64::from(g) + 0.0722 * f64::from(b)
        };
        for scale in [HEAT, HEAT_INK] {
            assert!(scale.windows(2).all(|pair| light(pair[0]) < light(pair[1])));
        }
    }

    /// The 16 colours of a VGA text screen, which terminals start from.
    fn vga(color: Color) -> (u8, u8, u8) {
        match color {
            Color::Black => (0, 0, 0),
            Color::Blue => (0, 0, 170),
            Color::Cyan => (0, 170, 170),
            Color::DarkGray => (85, 85, 85),
            Color::Gray => (170, 170, 170),
            Color::Yellow => (170, 85, 0),
            Color::LightYellow => (255, 255, 85),
            Color::White => (255, 255, 255),
            Color::Rgb(r, g, b) => (r, g, b),
            other => panic!("{other:?} is no ground and no ink"),
        }
    }

    /// Relative luminance of WCAG 2.
    fn luminance((r, g, b): (u8, u8, u8)) -> f64 {
        let linear = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.040_45 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b)
    }

    #[test]
    fn figures_stand_out_from_their_ground() {
        for depth in [Depth::Sixteen, Depth::True] {
            for level in 0..LEVELS {
                let style = Palette::new(depth).heat(level);
                let of = |color: Option<Color>| luminance(vga(color.unwrap())) + 0.05;
                let (ink, ground) = (of(style.fg), of(style.bg));
                let contrast = ink.max(ground) / ink.min(ground);
                assert!(contrast >= 3.5, "{depth:?} {level}: {contrast:.1}");
            }
        }
    }

    #[test]
    fn no_color_is_no_colour() {
        let palette = Palette::new(Depth::None);
        for level in 0..LEVELS {
            assert_eq!(palette.heat(level), Style::default());
            assert_eq!(palette.ink(level), Color::Reset);
        }
        assert_eq!(palette.accent().fg, Some(Color::Reset));
    }
}
