//! Cost over time: the middle vantage, the band of the vantages from 10 to 90 %, and the moments
//! at which something was applied.

use super::axis::{Plot, fitted, round_end};
use super::canvas::{Anchor, Canvas, Lettering};
use super::paint::Paint;
use super::{Figure, Width, populations};
use crate::assemble::counted;
use crate::document::{ApplyFacts, Document, LatencyFacts, PointFacts};
use crate::period::Period;

/// Endpoints that get a panel of their own.
const PANELS_MAX: usize = 12;

pub(super) fn figures(document: &Document, period: &Period) -> Vec<Figure> {
    let mut figures = Vec::new();
    for population in populations(document.latency.iter().map(|line| line.population)) {
        let of = |line: &&LatencyFacts| line.population == population;
        let all: Vec<&LatencyFacts> = document.latency.iter().filter(of).collect();
        let applies = &document.applies;
        if let Some(routed) = all.iter().find(|line| line.endpoint.is_none()) {
            let caption = format!(
                "Cost in ms where Route 53 sent each of {}: the middle one, and the band from the \
                 vantage at 10 % to that at 90 %. A line marks each change of records.",
                counted(routed.vantages, &format!("{population} vantage"))
            );
            figures.push(Figure::new(format!("latency-{population}"), caption, |width| {
                let mut canvas =
                    Canvas::new(width.px(), 300, "Cost over time where people are sent");
                let room = (0, 0, width.px(), 300);
                let plot = panel(&mut canvas, room, (routed, period, applies), highest(&[routed]));
                if width == Width::Wide {
                    hints(&mut canvas, &plot, &routed.points, period);
                }
                canvas
            }));
        }
        let endpoints: Vec<&LatencyFacts> =
            all.into_iter().filter(|line| line.endpoint.is_some()).take(PANELS_MAX).collect();
        if !endpoints.is_empty() {
            let caption = format!(
                "Cost in ms of each endpoint over all {population} vantages, wherever they are sent: \
                 the middle vantage, and the band from 10 to 90 %."
            );
            figures.push(Figure::new(format!("endpoints-{population}"), caption, |width| {
                panels(&endpoints, period, applies, width)
            }));
        }
    }
    figures
}

fn panels(
    lines: &[&LatencyFacts],
    period: &Period,
    applies: &[ApplyFacts],
    width: Width,
) -> Canvas {
    const HEIGHT: i32 = 190;
    let columns = if width == Width::Wide { 2 } else { 1 };
    let rows = (i32::try_from(lines.len()).unwrap_or(1) + columns - 1) / columns;
    let mut canvas = Canvas::new(width.px(), rows * HEIGHT, "Cost over time of each endpoint");
    let each = width.px() / columns;
    let most_ms = highest(lines);
    for (index, line) in lines.iter().enumerate() {
        let index = i32::try_from(index).unwrap_or(0);
        let corner = (index % columns * each, index / columns * HEIGHT);
        let room = (corner.0, corner.1, corner.0 + each, corner.1 + HEIGHT);
        let _ = panel(&mut canvas, room, (line, period, applies), most_ms);
    }
    canvas
}

fn highest(lines: &[&LatencyFacts]) -> f64 {
    let points = lines.iter().flat_map(|line| &line.points);
    points.map(|point| point.p90_ms).max_by(f64::total_cmp).unwrap_or(1.0)
}

/// One panel in the room between left, top, right and bottom.
fn panel(
    canvas: &mut Canvas,
    (left, top, right, bottom): (i32, i32, i32, i32),
    (line, period, applies): (&LatencyFacts, &Period, &[ApplyFacts]),
    most_ms: f64,
) -> Plot {
    let plot = Plot {
        left: left + 56,
        top: top + 36,
        right: right - 16,
        bottom: bottom - 30,
        x: (period.since_ms as f64, period.until_ms as f64),
        y: (0.0, round_end(most_ms)),
    };
    if let Some(endpoint) = &line.endpoint {
        let title = fitted(endpoint, 12, plot.right - plot.left);
        let style = Lettering::SMALL.painted(Paint::Ink).bold();
        canvas.text((plot.left, top + 16), &title, style);
    }
    plot.grid_y(canvas, "ms", |value| format!("{value}"));
    let most = usize::try_from((plot.right - plot.left) / 80).unwrap_or(4);
    let (ticks, pattern) = period.ticks(most);
    let ticks: Vec<(f64, String)> =
        ticks.into_iter().map(|at_ms| (at_ms as f64, period.format(at_ms, pattern))).collect();
    plot.letters_x(canvas, &ticks);
    for run in runs(&line.points) {
        band(canvas, &plot, run);
    }
    if line.endpoint.is_none() {
        moments(canvas, &plot, applies);
    }
    plot
}

/// Each point in figures, from half way to the one before to half way to the one after.
fn hints(canvas: &mut Canvas, plot: &Plot, points: &[PointFacts], period: &Period) {
    let x = |at: usize| points.get(at).map(|point| plot.x(point.at_ms as f64));
    for (at, point) in points.iter().enumerate() {
        let here = plot.x(point.at_ms as f64);
        let half =
            |there: Option<i32>| there.map_or(8, |there| (there - here).abs() / 2).clamp(1, 20);
        let (before, after) = (half(at.checked_sub(1).and_then(x)), half(x(at + 1)));
        let words = format!(
            "{}: {:.1} ms, from {:.1} to {:.1}",
            period.text(point.at_ms),
            point.p50_ms,
            point.p10_ms,
            point.p90_ms
        );
        let corner = (here - before, plot.top);
        canvas.hint(corner, (before + after, plot.bottom - plot.top), &words);
    }
}

/// Stretches without a gap: points lie a constant step apart, or further where data are missing.
fn runs(points: &[PointFacts]) -> Vec<&[PointFacts]> {
    let step = points.windows(2).map(|two| two[1].at_ms - two[0].at_ms).min().unwrap_or(1);
    points.chunk_by(|a, b| b.at_ms - a.at_ms <= step + step / 2).collect()
}

fn band(canvas: &mut Canvas, plot: &Plot, run: &[PointFacts]) {
    let at = |point: &PointFacts, ms: f64| plot.at(point.at_ms as f64, ms);
    if let [point] = run {
        let (low, high) = (at(point, point.p10_ms), at(point, point.p90_ms));
        canvas.line(low, high, Paint::Series(0));
        canvas.dot(at(point, point.p50_ms), 2, Paint::Series(0));
        return;
    }
    let upper = run.iter().map(|point| at(point, point.p90_ms));
    let lower = run.iter().rev().map(|point| at(point, point.p10_ms));
    canvas.area(upper.chain(lower).collect(), Paint::Series(0), 0.18);
    canvas.path(run.iter().map(|point| at(point, point.p50_ms)).collect(), Paint::Series(0), 2);
}

/// A line for each change of records, with its name where there is room.
fn moments(canvas: &mut Canvas, plot: &Plot, applies: &[ApplyFacts]) {
    let mut free_from = i32::MIN;
    for apply in applies.iter().filter(|apply| !apply.moves.is_empty()) {
        // What was applied right after the last block stands at the end.
        let x = plot.x(apply.at_ms as f64).min(plot.right);
        canvas.path(vec![(x, plot.top - 6), (x, plot.bottom)], Paint::Series(1), 2);
        if x < free_from {
            continue;
        }
        let near_end = x > plot.right - 90;
        let (dx, anchor) = if near_end { (-6, Anchor::End) } else { (6, Anchor::Start) };
        let style = Lettering::SMALL.painted(Paint::Series(1)).anchored(anchor);
        canvas.text((x + dx, plot.top - 8), apply.what, style);
        free_from = x + 70;
    }
}
