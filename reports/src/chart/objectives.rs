//! Objectives: the share of the traffic that was within its limit, against the share promised.

use super::axis::{Plot, fitted};
use super::canvas::{Anchor, Canvas, Lettering};
use super::paint::Paint;
use super::{Figure, Width};
use crate::assemble::MET;
use crate::document::{Document, ObjectiveFacts};

pub(super) fn figures(document: &Document) -> Vec<Figure> {
    let lines: Vec<&ObjectiveFacts> =
        document.objectives.iter().filter(|line| line.share_within.is_some()).collect();
    if lines.is_empty() {
        return Vec::new();
    }
    let caption =
        "Share of the traffic within each limit; the mark is the share that was promised.";
    vec![Figure::new("objectives".to_owned(), caption.to_owned(), |width| draw(&lines, width))]
}

fn draw(lines: &[&ObjectiveFacts], width: Width) -> Canvas {
    const ROW: i32 = 44;
    let rows = i32::try_from(lines.len()).unwrap_or(1);
    let mut canvas = Canvas::new(width.px(), rows * ROW + 30, "Attainment of objectives");
    let plot = Plot {
        // Half of the first letters of the axis.
        left: 14,
        top: 0,
        right: width.px() - 70,
        bottom: rows * ROW,
        x: (0.0, 1.0),
        y: (0.0, 1.0),
    };
    for (row, line) in lines.iter().enumerate() {
        let y = i32::try_from(row).unwrap_or(0) * ROW;
        one(&mut canvas, &plot, y, line);
    }
    let ticks: Vec<(f64, String)> =
        (0..=4).map(|n| (f64::from(n) / 4.0, format!("{} %", n * 25))).collect();
    plot.letters_x(&mut canvas, &ticks);
    canvas
}

fn one(canvas: &mut Canvas, plot: &Plot, y: i32, line: &ObjectiveFacts) {
    let share = line.share_within.unwrap_or_default();
    let title = format!(
        "{}, {}: {} % within {} ms",
        line.target,
        line.population,
        percent(line.quantile),
        line.limit_ms
    );
    let title = fitted(&title, 12, plot.right - plot.left);
    canvas.text((plot.left, y + 10), &title, Lettering::SMALL.painted(Paint::Ink));
    canvas.rect((plot.left, y + 20), (plot.right - plot.left, 14), Paint::Grid);
    let paint = if line.status == MET { Paint::Good } else { Paint::Bad };
    canvas.rect((plot.left, y + 20), (plot.x(share) - plot.left, 14), paint);
    let mark = plot.x(line.share_needed);
    canvas.path(vec![(mark, y + 16), (mark, y + 38)], Paint::Ink, 2);
    let style = Lettering::SMALL.painted(paint).anchored(Anchor::Start).bold();
    canvas.text((plot.right + 8, y + 27), &format!("{} %", percent(share)), style);
}

fn percent(share: f64) -> f64 {
    (share * 1_000.0).round() / 10.0
}
