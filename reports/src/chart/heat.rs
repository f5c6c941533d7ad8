//! The heat map: vantage x endpoint, coloured by cost on a scale that is the same in every report.

use std::collections::BTreeMap;

use super::axis::{fitted, legend};
use super::canvas::{Anchor, Canvas, Lettering, text_width};
use super::paint::{HEAT_STEPS, Paint};
use super::{Figure, Width, populations};
use crate::assemble::counted;
use crate::document::{CellFacts, Document};

/// Costs below these, in ms, have the steps 0 to 7; the rest has step 8.
const BOUNDS_MS: [f64; 8] = [25.0, 50.0, 75.0, 100.0, 150.0, 200.0, 300.0, 500.0];

pub(super) fn figures(document: &Document) -> Vec<Figure> {
    let measured = document.cells.iter().filter(|cell| cell.cost_ms.is_some());
    let populations = populations(measured.map(|cell| cell.population));
    let figure = |population: &str| {
        let cells: Vec<&CellFacts> =
            document.cells.iter().filter(|cell| cell.population == population).collect();
        let caption = format!(
            "Median cost in ms, {population} vantages. A frame marks where Route 53 sends the \
             vantage; an empty cell was not measured."
        );
        Figure::new(format!("heat-{population}"), caption, |width| draw(&cells, width))
    };
    populations.into_iter().map(figure).collect()
}

pub(super) fn step(cost_ms: f64) -> u8 {
    let below = BOUNDS_MS.iter().position(|bound| cost_ms < *bound);
    below.and_then(|step| u8::try_from(step).ok()).unwrap_or(HEAT_STEPS - 1)
}

/// Where cells stand.
struct Grid<'a> {
    rows: Vec<&'a str>,
    columns: Vec<&'a str>,
    corner: (i32, i32),
    cell: (i32, i32),
    /// Whether the names of columns are read from below.
    upward: bool,
}

fn draw(cells: &[&CellFacts], width: Width) -> Canvas {
    let grid = grid(cells, width);
    let count = |n: usize| i32::try_from(n).unwrap_or(i32::MAX / 64);
    let bottom = grid.corner.1 + count(grid.rows.len()) * grid.cell.1;
    let legend_rows = if width == Width::Wide { 1 } else { 3 };
    let mut canvas = Canvas::new(
        width.px(),
        bottom + 14 + 20 * legend_rows,
        "Median cost by vantage and endpoint",
    );
    letters(&mut canvas, &grid);
    let by_place: BTreeMap<(&str, &str), &CellFacts> =
        cells.iter().map(|cell| ((cell.vantage.as_str(), cell.endpoint.as_str()), *cell)).collect();
    let mut frames = Vec::new();
    for (row, vantage) in grid.rows.iter().enumerate() {
        for (column, endpoint) in grid.columns.iter().enumerate() {
            let Some(cell) = by_place.get(&(*vantage, *endpoint)) else { continue };
            let corner = (
                grid.corner.0 + count(column) * grid.cell.0,
                grid.corner.1 + count(row) * grid.cell.1,
            );
            one(&mut canvas, cell, corner, grid.cell);
            if let (Some(words), Width::Wide) = (words(cell), width) {
                canvas.hint(corner, grid.cell, &words);
            }
            if cell.routed {
                frames.push(corner);
            }
        }
    }
    for (x, y) in frames {
        canvas.frame((x, y), (grid.cell.0 - 2, grid.cell.1 - 2), Paint::Ink);
    }
    scale(&mut canvas, bottom + 18);
    canvas
}

fn grid<'a>(cells: &[&'a CellFacts], width: Width) -> Grid<'a> {
    let mut rows: Vec<&str> = cells.iter().map(|cell| cell.vantage.as_str()).collect();
    let mut columns: Vec<&str> = cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    for names in [&mut rows, &mut columns] {
        names.sort_unstable();
        names.dedup();
    }
    let longest = |names: &[&str]| names.iter().map(|name| text_width(name, 12)).max().unwrap_or(0);
    let label = longest(&rows).min(width.px() * 3 / 10) + 10;
    let columns_n = i32::try_from(columns.len().max(1)).unwrap_or(1);
    let cell_width = ((width.px() - label - 2) / columns_n).clamp(6, 120);
    let upward = longest(&columns) + 8 > cell_width;
    let top = if upward { longest(&columns).min(130) + 10 } else { 24 };
    let cell_height = if rows.len() > 16 { 20 } else { 28 };
    Grid { rows, columns, corner: (label, top), cell: (cell_width, cell_height), upward }
}

fn letters(canvas: &mut Canvas, grid: &Grid<'_>) {
    let at = |n: usize, size: i32| i32::try_from(n).unwrap_or(0) * size + size / 2 - 1;
    for (row, vantage) in grid.rows.iter().enumerate() {
        let text = fitted(vantage, 12, grid.corner.0 - 10);
        let style = Lettering::SMALL.anchored(Anchor::End).painted(Paint::Ink);
        canvas.text((grid.corner.0 - 8, grid.corner.1 + at(row, grid.cell.1)), &text, style);
    }
    for (column, endpoint) in grid.columns.iter().enumerate() {
        let x = grid.corner.0 + at(column, grid.cell.0);
        if grid.upward {
            let px = if grid.cell.0 < 12 { 8 } else { 12 };
            let text = fitted(endpoint, px, grid.corner.1 - 10);
            let style = Lettering::SMALL.sized(px).painted(Paint::Ink).upward();
            canvas.text((x, grid.corner.1 - 6), &text, style);
        } else {
            let style = Lettering::SMALL.anchored(Anchor::Middle).painted(Paint::Ink);
            canvas.text((x, grid.corner.1 - 12), endpoint, style);
        }
    }
}

fn one(canvas: &mut Canvas, cell: &CellFacts, corner: (i32, i32), size: (i32, i32)) {
    let inner = (size.0 - 2, size.1 - 2);
    let Some(cost_ms) = cell.cost_ms else {
        canvas.frame((corner.0 + 1, corner.1 + 1), (inner.0 - 2, inner.1 - 2), Paint::Grid);
        return;
    };
    let step = step(cost_ms);
    canvas.rect(corner, inner, Paint::Heat(step));
    let decimals = usize::from(size.0 >= 48);
    let text = format!("{cost_ms:.decimals$}");
    let px = if size.0 >= 36 { 12 } else { 10 };
    if text_width(&text, px) + 2 <= inner.0 {
        let style =
            Lettering::SMALL.sized(px).anchored(Anchor::Middle).painted(Paint::HeatInk(step));
        canvas.text((corner.0 + inner.0 / 2, corner.1 + inner.1 / 2), &text, style);
    }
}

fn words(cell: &CellFacts) -> Option<String> {
    let cost_ms = cell.cost_ms?;
    let interval = match (cell.low_ms, cell.high_ms) {
        (Some(low_ms), Some(high_ms)) => format!(" ({low_ms:.1} to {high_ms:.1})"),
        _ => String::new(),
    };
    Some(format!(
        "{} to {}: {cost_ms:.1} ms{interval}; {}, {}, {} failed",
        cell.vantage,
        cell.endpoint,
        counted(cell.blocks, "block"),
        counted(usize::try_from(cell.attempts).unwrap_or(usize::MAX), "sample"),
        cell.failures
    ))
}

fn scale(canvas: &mut Canvas, y: i32) {
    let mut entries = Vec::new();
    for (step, bound) in BOUNDS_MS.iter().enumerate() {
        let step = u8::try_from(step).unwrap_or(HEAT_STEPS);
        entries.push((Paint::Heat(step), format!("< {bound:.0}")));
    }
    entries.push((Paint::Heat(HEAT_STEPS - 1), "500 ms or more".to_owned()));
    legend(canvas, (2, y), &entries);
}
