//! The colours of charts and page: one table. A chart names a paint; the page gives it a colour for
//! light and one for dark, a PNG takes the light one.
//!
//! Plotters fixes colours as it draws, so that each paint is drawn as a colour of its own that
//! nothing else has, and these are replaced by variables of the page's style.

use std::fmt::Write as _;

/// What something is painted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    /// Text, and what stands out.
    Ink,
    /// Lesser text, and axes.
    Muted,
    /// Lines behind the data.
    Grid,
    /// Where people live, on the map.
    Land,
    /// What the chart is on.
    Surface,
    /// Well.
    Good,
    /// Not well.
    Bad,
    /// One of several things, 0 to 7.
    Series(u8),
    /// How slow, 0 to 8.
    Heat(u8),
    /// Text on it.
    HeatInk(u8),
}

/// Steps of [`Paint::Heat`].
pub(crate) const HEAT_STEPS: u8 = 9;

/// Name of the variable, colour in light, colour in dark.
type Colour = (&'static str, u32, u32);

const NAMED: [Colour; 7] = [
    ("ink", 0x1b_1f24, 0xe8_ebee),
    ("muted", 0x57_616b, 0x9a_a5b1),
    ("grid", 0xe1_e5e8, 0x2c_343c),
    ("land", 0xcb_d3d9, 0x3a_454f),
    ("surface", 0xff_ffff, 0x16_1b21),
    ("good", 0x1a_7f4b, 0x4c_c38a),
    ("bad", 0xb4_2318, 0xff_8577),
];

/// Told apart with any kind of colour vision, and by order where they are stacked.
const SERIES: [Colour; 8] = [
    ("s0", 0x0b_66c3, 0x5c_b0ff),
    ("s1", 0xc4_540a, 0xff_9d57),
    ("s2", 0x14_806b, 0x4f_c9ae),
    ("s3", 0x8a_4bb8, 0xc7_97ee),
    ("s4", 0xa0_7400, 0xe0_b84a),
    ("s5", 0x6a_737d, 0x9a_a5b1),
    ("s6", 0xc2_377a, 0xf5_8fbb),
    ("s7", 0x3c_7d22, 0x8f_cf6d),
];

const HEAT: [Colour; 9] = [
    ("h0", 0xea_f3fb, 0x16_2433),
    ("h1", 0xd3_e6f7, 0x18_304a),
    ("h2", 0xb5_d5f1, 0x1b_3f64),
    ("h3", 0x8f_bfe8, 0x1f_5080),
    ("h4", 0x64_a5dc, 0x2a_659f),
    ("h5", 0x2f_76b8, 0x46_82bd),
    ("h6", 0x20_64a6, 0x6e_a3d6),
    ("h7", 0x14_4f8c, 0x9c_c5eb),
    ("h8", 0x0b_3663, 0xcf_e5fb),
];

const HEAT_INK: [Colour; 9] = [
    ("i0", 0x1b_1f24, 0xe8_ebee),
    ("i1", 0x1b_1f24, 0xe8_ebee),
    ("i2", 0x1b_1f24, 0xe8_ebee),
    ("i3", 0x1b_1f24, 0xff_ffff),
    ("i4", 0x10_1418, 0xff_ffff),
    ("i5", 0xff_ffff, 0x0a_0e12),
    ("i6", 0xff_ffff, 0x0a_0e12),
    ("i7", 0xff_ffff, 0x0a_0e12),
    ("i8", 0xff_ffff, 0x0a_0e12),
];

/// The red of the colours that stand for paints.
const STAND_IN: u32 = 0xfe_0000;

impl Paint {
    fn place(self) -> (u32, u8) {
        match self {
            Self::Ink => (0, 0),
            Self::Muted => (0, 1),
            Self::Grid => (0, 2),
            Self::Land => (0, 3),
            Self::Surface => (0, 4),
            Self::Good => (0, 5),
            Self::Bad => (0, 6),
            Self::Series(index) => (1, index % 8),
            Self::Heat(index) => (2, index.min(HEAT_STEPS - 1)),
            Self::HeatInk(index) => (3, index.min(HEAT_STEPS - 1)),
        }
    }

    fn colour(self) -> Colour {
        let (group, index) = self.place();
        let of = |table: &[Colour]| table.get(usize::from(index)).copied();
        let found = match group {
            0 => of(&NAMED),
            1 => of(&SERIES),
            2 => of(&HEAT),
            _ => of(&HEAT_INK),
        };
        found.unwrap_or(NAMED[0])
    }

    /// The colour on light, as red, green, blue.
    pub(crate) fn light(self) -> (u8, u8, u8) {
        split(self.colour().1)
    }

    /// The colour that stands for it in an SVG.
    pub(crate) fn stand_in(self) -> (u8, u8, u8) {
        let (group, index) = self.place();
        split(STAND_IN | (group << 8) | u32::from(index))
    }

    /// The reference to its variable in a style.
    pub(crate) fn variable(self) -> String {
        format!("var(--{})", self.colour().0)
    }
}

fn split(rgb: u32) -> (u8, u8, u8) {
    let [_, r, g, b] = rgb.to_be_bytes();
    (r, g, b)
}

fn all() -> impl Iterator<Item = Paint> {
    let named = [
        Paint::Ink,
        Paint::Muted,
        Paint::Grid,
        Paint::Land,
        Paint::Surface,
        Paint::Good,
        Paint::Bad,
    ];
    let steps = |make: fn(u8) -> Paint, n| (0..n).map(make);
    named
        .into_iter()
        .chain(steps(Paint::Series, 8))
        .chain(steps(Paint::Heat, HEAT_STEPS))
        .chain(steps(Paint::HeatInk, HEAT_STEPS))
}

/// An SVG with variables in place of the colours that stand for them. They are replaced as
/// attributes only: text from outside has its quotes escaped, so it cannot look like one.
pub(crate) fn with_variables(svg: &str) -> String {
    let mut text = svg.replace(" opacity=\"1\"", "").replace(" stroke=\"none\"", "");
    for paint in all() {
        let (r, g, b) = paint.stand_in();
        text = text.replace(
            &format!("=\"#{r:02X}{g:02X}{b:02X}\""),
            &format!("=\"{}\"", paint.variable()),
        );
    }
    text
}

/// The declarations of all variables, light or dark.
pub(crate) fn declarations(dark: bool) -> String {
    all().fold(String::new(), |mut text, paint| {
        let (name, light_rgb, dark_rgb) = paint.colour();
        let rgb = if dark { dark_rgb } else { light_rgb };
        let _ = write!(text, "--{name}:#{rgb:06x};");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative luminance and contrast as WCAG 2 defines them.
    fn contrast(one: u32, other: u32) -> f64 {
        let luminance = |rgb: u32| {
            let (red, green, blue) = split(rgb);
            let linear = |part: u8| {
                let part = f64::from(part) / 255.0;
                if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn text_can_be_read_in_both_schemes() {
        let surface = Paint::Surface.colour();
        for paint in [Paint::Ink, Paint::Muted, Paint::Good, Paint::Bad] {
            let (name, light, dark) = paint.colour();
            assert!(contrast(light, surface.1) >= 4.5, "{name} on light");
            assert!(contrast(dark, surface.2) >= 4.5, "{name} on dark");
        }
        for step in 0..HEAT_STEPS {
            let (ink, heat) = (Paint::HeatInk(step).colour(), Paint::Heat(step).colour());
            assert!(contrast(ink.1, heat.1) >= 4.0, "step {step}: {}", contrast(ink.1, heat.1));
            assert!(contrast(ink.2, heat.2) >= 4.0, "step {step}: {}", contrast(ink.2, heat.2));
        }
        for index in 0..8 {
            let (name, light, dark) = Paint::Series(index).colour();
            assert!(
                contrast(light, surface.1) >= 3.0 && contrast(dark, surface.2) >= 3.0,
                "{name}"
            );
        }
    }

    #[test]
    fn text_from_outside_is_no_colour() {
        let svg = "<text fill=\"#FE0000\">=&quot;#FE0001&quot;</text>";
        assert_eq!(with_variables(svg), "<text fill=\"var(--ink)\">=&quot;#FE0001&quot;</text>");
    }
}
