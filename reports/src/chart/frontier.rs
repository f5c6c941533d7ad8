//! The frontier of deployment: the mean cost of the best k endpoints.

use super::axis::{Plot, round_end};
use super::canvas::{Anchor, Canvas, Lettering};
use super::paint::Paint;
use super::{Figure, Width};
use crate::document::{ChoiceFacts, DeploymentFacts, Document};

pub(super) fn figures(document: &Document) -> Vec<Figure> {
    document.deployment.iter().map(|line| figure(line, &document.routing.weights)).collect()
}

fn figure(line: &DeploymentFacts, weights: &str) -> Figure {
    let (of, mark) = if line.estimated.is_empty() {
        ("the endpoints there are", "")
    } else {
        (
            "the endpoints there are and the candidate Regions, whose costs are estimates",
            "-candidates",
        )
    };
    let caption = format!(
        "Mean cost of the best k of {of}, over {} vantages, each at its best one of the k; {weights}.",
        line.population
    );
    let name = format!("frontier-{}{mark}", line.population);
    Figure::new(name, caption, |width| draw(&line.choices, width))
}

fn draw(choices: &[ChoiceFacts], width: Width) -> Canvas {
    let mut canvas = Canvas::new(width.px(), 260, "Mean cost of the best k endpoints");
    let costs = choices.iter().filter_map(|choice| choice.cost_ms);
    let most_ms = costs.max_by(f64::total_cmp).unwrap_or(1.0);
    let plot = Plot {
        left: 56,
        top: 36,
        right: width.px() - 16,
        bottom: 204,
        x: (0.5, choices.len() as f64 + 0.5),
        y: (0.0, round_end(most_ms)),
    };
    plot.grid_y(&mut canvas, "ms", |value| format!("{value}"));
    let ticks: Vec<(f64, String)> =
        choices.iter().map(|choice| (choice.k as f64, choice.k.to_string())).collect();
    plot.letters_x(&mut canvas, &ticks);
    canvas.text((plot.left, plot.bottom + 36), "endpoints", Lettering::SMALL);
    let points: Vec<((i32, i32), f64)> = choices
        .iter()
        .filter_map(|choice| {
            let cost_ms = choice.cost_ms?;
            Some((plot.at(choice.k as f64, cost_ms), cost_ms))
        })
        .collect();
    canvas.path(points.iter().map(|(at, _)| *at).collect(), Paint::Series(0), 2);
    for (at, cost_ms) in points {
        canvas.dot(at, 4, Paint::Series(0));
        let style = Lettering::SMALL.anchored(Anchor::Middle).painted(Paint::Ink);
        canvas.text((at.0, at.1 - 14), &format!("{cost_ms:.0}"), style);
    }
    canvas
}
