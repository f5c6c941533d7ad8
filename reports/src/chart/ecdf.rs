//! The empirical distribution of response times, a line for each kind of connection.

use super::axis::{Plot, legend, round_end, round_steps};
use super::canvas::{Canvas, Lettering};
use super::paint::Paint;
use super::{Figure, Width, populations};
use crate::SHARES;
use crate::document::{DistributionFacts, Document};

/// The axis ends here, so that a few slow ones do not press the rest together.
const SHARE_SHOWN: f64 = 0.99;

pub(super) fn figures(document: &Document) -> Vec<Figure> {
    let all = &document.distributions;
    let figure = |population: &str| {
        let lines: Vec<&DistributionFacts> =
            all.iter().filter(|line| line.population == population).collect();
        let caption = format!(
            "Share of responses no slower than so many ms, {population} vantages, where Route 53 sends \
             them; cold is a new connection with a full TLS handshake, warm one that was kept. \
             Failures count as slower than the timeout. The axis ends at the slowest line's 99 %."
        );
        Figure::new(format!("distribution-{population}"), caption, |width| draw(&lines, width))
    };
    populations(all.iter().map(|line| line.population)).into_iter().map(figure).collect()
}

pub(super) fn paint_of(connection: &str) -> Paint {
    match connection {
        "cold" => Paint::Series(0),
        "warm" => Paint::Series(1),
        _ => Paint::Series(3),
    }
}

fn draw(lines: &[&DistributionFacts], width: Width) -> Canvas {
    let mut canvas = Canvas::new(width.px(), 330, "Distribution of response times, cold and warm");
    let shown = SHARES.iter().position(|share| *share >= SHARE_SHOWN).unwrap_or(SHARES.len() - 1);
    let ends = lines.iter().filter_map(|line| line.values_ms.get(shown));
    let most_ms = ends.copied().max_by(f64::total_cmp).unwrap_or(1.0);
    let plot = Plot {
        left: 56,
        top: 60,
        right: width.px() - 16,
        bottom: 280,
        x: (0.0, round_end(most_ms)),
        y: (0.0, 1.0),
    };
    let entries: Vec<(Paint, String)> = lines
        .iter()
        .map(|line| {
            let median = SHARES.iter().position(|share| *share >= 0.5);
            let median_ms = median.and_then(|at| line.values_ms.get(at)).copied();
            let text = format!("{}, median {:.0} ms", line.connection, median_ms.unwrap_or(0.0));
            (paint_of(line.connection), text)
        })
        .collect();
    legend(&mut canvas, (plot.left, 14), &entries);
    plot.grid_y(&mut canvas, "%", |share| format!("{:.0}", share * 100.0));
    let ticks = round_steps(plot.x, if width == Width::Wide { 10 } else { 5 });
    let ticks: Vec<(f64, String)> =
        ticks.into_iter().map(|value| (value, format!("{value}"))).collect();
    plot.letters_x(&mut canvas, &ticks);
    canvas.text((plot.left, plot.bottom + 36), "response, ms", Lettering::SMALL);
    for line in lines {
        let points = SHARES.iter().zip(&line.values_ms).take(shown + 1);
        let points = points.map(|(share, ms)| plot.at(*ms, *share)).collect();
        canvas.path(points, paint_of(line.connection), 2);
    }
    canvas
}
