//! Where the time goes: mean phases of each target, stacked, since means add up.

use super::axis::{Plot, fitted, legend, round_end, round_steps};
use super::canvas::{Anchor, Canvas, Lettering, text_width};
use super::paint::Paint;
use super::{Figure, Width, populations};
use crate::assemble::CLOUDWATCH;
use crate::document::{Document, TargetFacts};
use crate::totals::PARTS;

/// Targets that are drawn.
const BARS_MAX: usize = 40;

pub(super) fn figures(document: &Document) -> Vec<Figure> {
    let mut figures = Vec::new();
    let absent = if document.store == CLOUDWATCH {
        "did not happen, and those that are not published to CloudWatch,"
    } else {
        "did not happen"
    };
    for population in populations(document.targets.iter().map(|line| line.population)) {
        for connection in ["cold", "resumed", "warm"] {
            let of = |line: &&TargetFacts| {
                line.population == population
                    && line.connection == connection
                    && !line.phases.is_empty()
            };
            let lines: Vec<&TargetFacts> =
                document.targets.iter().filter(of).take(BARS_MAX).collect();
            if lines.is_empty() {
                continue;
            }
            let caption = format!(
                "Mean time of each phase on {connection} connections, {population} vantages, successes \
                 only. Phases that {absent} are absent."
            );
            let name = format!("phases-{connection}-{population}");
            figures.push(Figure::new(name, caption, |width| draw(&lines, width)));
        }
    }
    figures
}

fn paint_of(part: usize) -> Paint {
    // Neighbours differ in lightness as well as in hue.
    [5, 0, 3, 1, 2, 4].get(part).map_or(Paint::Muted, |index| Paint::Series(*index))
}

fn total_ms(line: &TargetFacts) -> f64 {
    line.phases.iter().map(|phase| phase.mean_ms).sum()
}

fn draw(lines: &[&TargetFacts], width: Width) -> Canvas {
    const ROW: i32 = 26;
    let rows = i32::try_from(lines.len()).unwrap_or(1);
    let legend_rows = if width == Width::Wide { 1 } else { 2 };
    let top = 14 + legend_rows * 20;
    let mut canvas =
        Canvas::new(width.px(), top + rows * ROW + 48, "Mean phases of each endpoint and target");
    let longest = lines.iter().map(|line| text_width(&line.target, 12)).max().unwrap_or(0);
    let label = longest.min(width.px() * 3 / 10) + 12;
    let most_ms = lines.iter().map(|line| total_ms(line)).max_by(f64::total_cmp).unwrap_or(1.0);
    let plot = Plot {
        left: label,
        top,
        right: width.px() - 50,
        bottom: top + rows * ROW,
        x: (0.0, round_end(most_ms)),
        y: (0.0, 1.0),
    };
    let entries: Vec<(Paint, String)> =
        PARTS.iter().enumerate().map(|(part, name)| (paint_of(part), (*name).to_owned())).collect();
    legend(&mut canvas, (2, 12), &entries);
    let ticks = round_steps(plot.x, if width == Width::Wide { 8 } else { 4 });
    for value in &ticks {
        canvas.line((plot.x(*value), plot.top), (plot.x(*value), plot.bottom), Paint::Grid);
    }
    for (row, line) in lines.iter().enumerate() {
        let y = plot.top + i32::try_from(row).unwrap_or(0) * ROW;
        let style = Lettering::SMALL.anchored(Anchor::End).painted(Paint::Ink);
        canvas.text((label - 8, y + ROW / 2), &fitted(&line.target, 12, label - 12), style);
        bar(&mut canvas, &plot, (y + 4, ROW - 8), line);
    }
    let ticks: Vec<(f64, String)> =
        ticks.into_iter().map(|value| (value, format!("{value}"))).collect();
    plot.letters_x(&mut canvas, &ticks);
    canvas.text((plot.left, plot.bottom + 36), "mean, ms", Lettering::SMALL);
    canvas
}

fn bar(canvas: &mut Canvas, plot: &Plot, (y, height): (i32, i32), line: &TargetFacts) {
    let mut from_ms = 0.0;
    for (part, name) in PARTS.iter().enumerate() {
        let found = line.phases.iter().find(|phase| phase.phase == *name);
        let Some(mean_ms) = found.map(|phase| phase.mean_ms) else { continue };
        let (from, to) = (plot.x(from_ms), plot.x(from_ms + mean_ms));
        if to > from {
            canvas.rect((from, y), (to - from, height), paint_of(part));
        }
        from_ms += mean_ms;
    }
    let text = format!("{from_ms:.1}");
    canvas.text((plot.x(from_ms) + 6, y + height / 2), &text, Lettering::SMALL);
}
