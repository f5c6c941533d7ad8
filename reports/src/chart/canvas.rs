//! What charts draw on: a list of shapes in whole pixels, which plotters turns into SVG or PNG.
//!
//! Charts place shapes by arithmetic that is the same on every machine; nothing here asks a font of
//! the system, for the one that PNG files are lettered with is built in.

use std::sync::OnceLock;

use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{
    Color as _, FontStyle, FontTransform, IntoFont as _, RGBAColor, RGBColor, ShapeStyle,
    TextStyle, register_font,
};

use super::paint::{Paint, with_variables};
use crate::escape;

/// Where a text's position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Rect { corner: (i32, i32), size: (i32, i32), paint: Paint, filled: bool },
    Path { points: Vec<(i32, i32)>, paint: Paint, width: u32 },
    Area { points: Vec<(i32, i32)>, paint: Paint, alpha: f64 },
    Dot { centre: (i32, i32), radius: u32, paint: Paint },
    Text { at: (i32, i32), text: String, style: Lettering },
}

impl Shape {
    fn lowered(&self, by: i32) -> Self {
        let low = |(x, y): (i32, i32)| (x, y + by);
        let all = |points: &[(i32, i32)]| points.iter().map(|point| low(*point)).collect();
        match self.clone() {
            Self::Rect { corner, size, paint, filled } => {
                Self::Rect { corner: low(corner), size, paint, filled }
            }
            Self::Path { points, paint, width } => {
                Self::Path { points: all(&points), paint, width }
            }
            Self::Area { points, paint, alpha } => {
                Self::Area { points: all(&points), paint, alpha }
            }
            Self::Dot { centre, radius, paint } => Self::Dot { centre: low(centre), radius, paint },
            Self::Text { at, text, style } => Self::Text { at: low(at), text, style },
        }
    }
}

/// How a text looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Lettering {
    pub(crate) px: u32,
    pub(crate) paint: Paint,
    pub(crate) anchor: Anchor,
    /// Read from below to above.
    pub(crate) upward: bool,
    pub(crate) bold: bool,
}

impl Lettering {
    /// Small text of axes.
    pub(crate) const SMALL: Self =
        Self { px: 12, paint: Paint::Muted, anchor: Anchor::Start, upward: false, bold: false };

    pub(crate) fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(crate) fn painted(self, paint: Paint) -> Self {
        Self { paint, ..self }
    }

    pub(crate) fn sized(self, px: u32) -> Self {
        Self { px, ..self }
    }

    pub(crate) fn bold(self) -> Self {
        Self { bold: true, ..self }
    }

    pub(crate) fn upward(self) -> Self {
        Self { upward: true, ..self }
    }
}

/// A chart, drawn.
#[derive(Debug, Clone, PartialEq)]
pub struct Canvas {
    size: (i32, i32),
    /// What it shows, for who cannot see it.
    title: String,
    shapes: Vec<Shape>,
    hints: Vec<Hint>,
}

/// What is told where the pointer rests.
#[derive(Debug, Clone, PartialEq)]
struct Hint {
    corner: (i32, i32),
    size: (i32, i32),
    text: String,
}

/// Pixels of the title above a chart that is a file of its own.
const TITLE: i32 = 34;

/// A chart could not be turned into a picture.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw a chart: {0}")]
pub struct ChartError(String);

/// Pixels of a text: no font is asked, so that the answer is the same everywhere.
pub(crate) fn text_width(text: &str, px: u32) -> i32 {
    let chars = i32::try_from(text.chars().count()).unwrap_or(i32::MAX / 64);
    chars * i32::try_from(px).unwrap_or(12) * 29 / 50
}

/// The nearest pixel.
#[expect(clippy::cast_possible_truncation, reason = "charts are small; more is cut off")]
pub(crate) fn pixel(value: f64) -> i32 {
    value.round().clamp(-1e6, 1e6) as i32
}

impl Canvas {
    pub(crate) fn new(width: i32, height: i32, title: &str) -> Self {
        Self {
            size: (width, height),
            title: title.to_owned(),
            shapes: Vec::new(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn width(&self) -> i32 {
        self.size.0
    }

    pub(crate) fn height(&self) -> i32 {
        self.size.1
    }

    pub(crate) fn rect(&mut self, corner: (i32, i32), size: (i32, i32), paint: Paint) {
        self.shapes.push(Shape::Rect { corner, size, paint, filled: true });
    }

    pub(crate) fn frame(&mut self, corner: (i32, i32), size: (i32, i32), paint: Paint) {
        self.shapes.push(Shape::Rect { corner, size, paint, filled: false });
    }

    pub(crate) fn line(&mut self, from: (i32, i32), to: (i32, i32), paint: Paint) {
        self.path(vec![from, to], paint, 1);
    }

    pub(crate) fn path(&mut self, points: Vec<(i32, i32)>, paint: Paint, width: u32) {
        self.shapes.push(Shape::Path { points, paint, width });
    }

    pub(crate) fn area(&mut self, points: Vec<(i32, i32)>, paint: Paint, alpha: f64) {
        self.shapes.push(Shape::Area { points, paint, alpha });
    }

    pub(crate) fn dot(&mut self, centre: (i32, i32), radius: u32, paint: Paint) {
        self.shapes.push(Shape::Dot { centre, radius, paint });
    }

    /// `at` is the middle of the text's height. Text from outside is made harmless here.
    pub(crate) fn text(&mut self, at: (i32, i32), text: &str, style: Lettering) {
        self.shapes.push(Shape::Text { at, text: escape::visible(text), style });
    }

    /// What a page tells where the pointer rests; nothing is drawn.
    pub(crate) fn hint(&mut self, corner: (i32, i32), size: (i32, i32), text: &str) {
        self.hints.push(Hint { corner, size, text: text.to_owned() });
    }

    /// The chart as an element of a page, in colours of the page's variables.
    pub fn svg(&self) -> Result<String, ChartError> {
        let mut text = String::new();
        let mut backend = SVGBackend::with_string(&mut text, self.pixels(1));
        self.draw(&mut backend, 1, Paint::stand_in)?;
        drop(backend);
        let body = text.split_once(">\n").map_or("", |(_, body)| body);
        let drawn = with_variables(body);
        let drawn = drawn.trim_end().trim_end_matches("</svg>");
        let (width, height) = self.size;
        Ok(format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">\n{drawn}{}</svg>\n",
            escape::html(&self.title),
            self.hints_text()
        ))
    }

    fn hints_text(&self) -> String {
        let hint = |hint: &Hint| {
            let (((x, y), (width, height)), text) =
                ((hint.corner, hint.size), escape::html(&hint.text));
            format!(
                "<rect class=\"hint\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\">\
                 <title>{text}</title></rect>\n"
            )
        };
        self.hints.iter().map(hint).collect()
    }

    /// The chart as the bytes of a PNG file, in light colours, two dots to a pixel, with its title above:
    /// a file stands alone.
    pub fn png(&self) -> Result<Vec<u8>, ChartError> {
        self.titled().untitled_png()
    }

    fn titled(&self) -> Self {
        let size = (self.size.0, self.size.1 + TITLE);
        let mut titled = Self { size, shapes: Vec::new(), hints: Vec::new(), ..self.clone() };
        titled.text(
            (8, TITLE / 2),
            &self.title,
            Lettering::SMALL.sized(15).painted(Paint::Ink).bold(),
        );
        titled.shapes.extend(self.shapes.iter().map(|shape| shape.lowered(TITLE)));
        titled
    }

    fn untitled_png(&self) -> Result<Vec<u8>, ChartError> {
        const SCALE: u32 = 2;
        let (width, height) = self.pixels(SCALE);
        let mut rgb = vec![255; (width * height * 3) as usize];
        let mut backend = BitMapBackend::with_buffer(&mut rgb, (width, height));
        self.draw(&mut backend, SCALE, Paint::light)?;
        drop(backend);
        let error = |error: png::EncodingError| ChartError(error.to_string());
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, width, height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header().map_err(error)?;
        writer.write_image_data(&rgb).map_err(error)?;
        writer.finish().map_err(error)?;
        Ok(bytes)
    }

    fn pixels(&self, scale: u32) -> (u32, u32) {
        let of = |value: i32| u32::try_from(value.max(1)).unwrap_or(1) * scale;
        (of(self.size.0), of(self.size.1))
    }

    fn draw<B: DrawingBackend>(
        &self,
        backend: &mut B,
        scale: u32,
        colour: fn(Paint) -> (u8, u8, u8),
    ) -> Result<(), ChartError> {
        letter()?;
        let pen = Pen { scale, colour };
        for shape in &self.shapes {
            pen.shape(backend, shape)?;
        }
        backend.present().map_err(|error| ChartError(error.to_string()))
    }
}

/// The name under which the built-in font is known, and what a page takes it for.
const FONT: &str = "sans-serif";

fn letter() -> Result<(), ChartError> {
    static READY: OnceLock<bool> = OnceLock::new();
    let ready = READY.get_or_init(|| {
        register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT).is_ok()
    });
    if *ready { Ok(()) } else { Err(ChartError("the built-in font cannot be read".to_owned())) }
}

/// Turns shapes into calls of a backend.
struct Pen {
    scale: u32,
    colour: fn(Paint) -> (u8, u8, u8),
}

impl Pen {
    fn shape<B: DrawingBackend>(&self, backend: &mut B, shape: &Shape) -> Result<(), ChartError> {
        let drawn = match shape {
            Shape::Rect { corner, size, paint, filled } => {
                let to = (corner.0 + size.0, corner.1 + size.1);
                let style = self.stroke(*paint, 1.0, 2);
                backend.draw_rect(self.at(*corner), self.at(to), &style, *filled)
            }
            Shape::Path { points, paint, width } => {
                let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
                backend.draw_path(points, &self.stroke(*paint, 1.0, *width))
            }
            Shape::Area { points, paint, alpha } => {
                let points: Vec<_> = points.iter().map(|point| self.at(*point)).collect();
                backend.fill_polygon(points, &self.stroke(*paint, *alpha, 1))
            }
            Shape::Dot { centre, radius, paint } => {
                let style = self.stroke(*paint, 1.0, 1);
                backend.draw_circle(self.at(*centre), radius * self.scale, &style, true)
            }
            Shape::Text { at, text, style } => {
                backend.draw_text(text, &self.lettering(style), self.at(*at))
            }
        };
        drawn.map_err(|error| ChartError(error.to_string()))
    }

    fn at(&self, (x, y): (i32, i32)) -> (i32, i32) {
        let scale = i32::try_from(self.scale).unwrap_or(1);
        (x * scale, y * scale)
    }

    fn rgba(&self, paint: Paint, alpha: f64) -> RGBAColor {
        let (r, g, b) = (self.colour)(paint);
        RGBColor(r, g, b).mix(alpha)
    }

    fn stroke(&self, paint: Paint, alpha: f64, width: u32) -> ShapeStyle {
        let color = self.rgba(paint, alpha);
        ShapeStyle { color, filled: true, stroke_width: width * self.scale }
    }

    fn lettering(&self, style: &Lettering) -> TextStyle<'static> {
        // Plotters takes the height of the whole font, 1.24 of what is called its size.
        let size = f64::from(style.px * self.scale) * 1.24;
        let horizontal = match style.anchor {
            Anchor::Start => HPos::Left,
            Anchor::Middle => HPos::Center,
            Anchor::End => HPos::Right,
        };
        let mut font = (FONT, size).into_font();
        if style.bold {
            font = font.style(FontStyle::Bold);
        }
        if style.upward {
            font = font.transform(FontTransform::Rotate270);
        }
        TextStyle {
            font,
            color: self.rgba(style.paint, 1.0).to_backend_color(),
            pos: Pos::new(horizontal, VPos::Center),
        }
    }
}
