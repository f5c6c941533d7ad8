//! Axes: round numbers, lines behind the data, letters beside them.

use super::canvas::{Anchor, Canvas, Lettering, pixel, text_width};
use super::paint::Paint;

/// The part of a canvas that holds the data, with what lies at its ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Plot {
    pub(super) left: i32,
    pub(super) top: i32,
    pub(super) right: i32,
    pub(super) bottom: i32,
    pub(super) x: (f64, f64),
    pub(super) y: (f64, f64),
}

impl Plot {
    pub(super) fn x(&self, value: f64) -> i32 {
        self.left + pixel(scaled(value, self.x) * f64::from(self.right - self.left))
    }

    pub(super) fn y(&self, value: f64) -> i32 {
        self.bottom - pixel(scaled(value, self.y) * f64::from(self.bottom - self.top))
    }

    pub(super) fn at(&self, x: f64, y: f64) -> (i32, i32) {
        (self.x(x), self.y(y))
    }

    /// Lines across, with their values at the left, and the unit above them.
    pub(super) fn grid_y(&self, canvas: &mut Canvas, unit: &str, text: impl Fn(f64) -> String) {
        let small = Lettering::SMALL.anchored(Anchor::End);
        for value in round_steps(self.y, 5) {
            let y = self.y(value);
            canvas.line((self.left, y), (self.right, y), Paint::Grid);
            canvas.text((self.left - 8, y), &text(value), small);
        }
        canvas.text((self.left - 8, self.top - 14), unit, small);
    }

    /// Letters under the axis at these values. Those without room are left out.
    pub(super) fn letters_x(&self, canvas: &mut Canvas, ticks: &[(f64, String)]) {
        let mut free_from = i32::MIN;
        for (value, text) in ticks {
            let (x, half) = (self.x(*value), text_width(text, 12) / 2);
            canvas.line((x, self.bottom), (x, self.bottom + 4), Paint::Muted);
            if x - half < free_from || x + half > canvas.width() {
                continue;
            }
            let style = Lettering::SMALL.anchored(Anchor::Middle);
            canvas.text((x, self.bottom + 16), text, style);
            free_from = x + half + 8;
        }
        canvas.line((self.left, self.bottom), (self.right, self.bottom), Paint::Muted);
    }
}

fn scaled(value: f64, (low, high): (f64, f64)) -> f64 {
    let share = if high > low { (value - low) / (high - low) } else { 0.0 };
    share.clamp(-0.02, 1.02)
}

/// At most about `most` round values within a range that begins at or above 0.
pub(super) fn round_steps((low, high): (f64, f64), most: usize) -> Vec<f64> {
    let rough = (high - low).max(1e-9) / most.max(1) as f64;
    let mut step = 1e-3;
    // A table and no logarithm, which differs in its last digits between machines.
    'found: for _ in 0..12 {
        for factor in [1.0, 2.0, 2.5, 5.0] {
            if step * factor >= rough {
                step *= factor;
                break 'found;
            }
        }
        step *= 10.0;
    }
    let first = (low / step).ceil();
    (0..=most + 1)
        .map(|n| (first + n as f64) * step)
        .take_while(|value| *value <= high + step * 1e-6)
        .collect()
}

/// A round value at or above `high`, for the end of an axis.
pub(super) fn round_end(high: f64) -> f64 {
    let steps = round_steps((0.0, high.max(1e-3) * 1.2), 5);
    steps.into_iter().find(|value| *value >= high).unwrap_or(high * 1.05)
}

/// Squares with names, in rows from `at`; returns where the next row would begin.
pub(super) fn legend(canvas: &mut Canvas, at: (i32, i32), entries: &[(Paint, String)]) -> i32 {
    let (mut x, mut y) = at;
    for (paint, text) in entries {
        let width = 16 + text_width(text, 12) + 18;
        if x + width > canvas.width() && x > at.0 {
            (x, y) = (at.0, y + 20);
        }
        canvas.rect((x, y - 5), (10, 10), *paint);
        canvas.text((x + 16, y), text, Lettering::SMALL.painted(Paint::Ink));
        x += width;
    }
    y + 20
}

/// A text cut to so many pixels.
pub(super) fn fitted(text: &str, px: u32, width: i32) -> String {
    if text_width(text, px) <= width {
        return text.to_owned();
    }
    let mut cut = String::new();
    for c in text.chars() {
        cut.push(c);
        if text_width(&cut, px) + text_width("\u{2026}", px) > width {
            cut.pop();
            break;
        }
    }
    cut.push('\u{2026}');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_round() {
        assert_eq!(round_steps((0.0, 100.0), 5), [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]);
        assert_eq!(round_steps((0.0, 0.7), 5).len(), 4);
        assert!((round_end(93.0) - 100.0).abs() < 1e-9);
        assert!((round_end(0.0)).abs() < 1.0);
        assert_eq!(fitted("ap-southeast-1", 12, 50), "ap-sou\u{2026}");
    }
}
