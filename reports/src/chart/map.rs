//! The map: where people live, and a line from each vantage to where Route 53 sends it. The line is
//! heavy where another endpoint is proven faster. Degrees are pixels: no projection is computed.

use super::canvas::{Anchor, Canvas, Lettering, pixel, text_width};
use super::paint::Paint;
use super::{Figure, Width};
use crate::assemble::counted;
use crate::document::{Document, RoutedFacts};
use crate::section::how_known;

const LAND: &str = include_str!("../../data/land.csv");
/// Degrees of a cell of land.
const CELL: f64 = 2.0;
/// What is shown, in degrees north.
const NORTH: f64 = 74.0;
const SOUTH: f64 = -56.0;
/// Endpoints that are named.
const NAMES_MAX: usize = 14;

/// Degrees north and east.
type Place = (f64, f64);

pub(super) fn figures(document: &Document) -> Vec<Figure> {
    let routing = &document.routing;
    if !routing.endpoints.iter().any(|endpoint| endpoint.place.is_some()) {
        return Vec::new();
    }
    let unplaced = routing.vantages.iter().filter(|line| line.place.is_none()).count();
    let elsewhere = if unplaced > 0 {
        format!(" Without a place on the map: {}.", counted(unplaced, "vantage"))
    } else {
        String::new()
    };
    let caption = format!(
        "Where Route 53 sends each vantage ({}). A heavy line: another endpoint is proven faster. \
         Grey dots are where people live: GeoNames, CC BY 4.0.{elsewhere}",
        how_known(&routing.preferred)
    );
    vec![Figure::new("map".to_owned(), caption, |width| draw(document, width))]
}

struct Projection {
    width: i32,
}

impl Projection {
    fn at(&self, (north, east): Place) -> (i32, i32) {
        let scale = f64::from(self.width) / 360.0;
        (pixel((east + 180.0) * scale), pixel((NORTH - north) * scale))
    }
}

fn draw(document: &Document, width: Width) -> Canvas {
    let to = Projection { width: width.px() };
    let height = to.at((SOUTH, 0.0)).1;
    let mut canvas = Canvas::new(width.px(), height, "Map of routing and regret");
    land(&mut canvas, &to, width);
    let routing = &document.routing;
    let place_of = |id: &str| {
        routing.endpoints.iter().find(|endpoint| endpoint.endpoint == id).and_then(|one| one.place)
    };
    let (heavy, light): (Vec<&RoutedFacts>, Vec<&RoutedFacts>) =
        routing.vantages.iter().partition(|line| line.proven_gain_ms.is_some());
    for line in light.into_iter().chain(heavy) {
        if let (Some(from), Some(end)) = (line.place, place_of(&line.endpoint)) {
            route(&mut canvas, &to, (from, end), line.proven_gain_ms.is_some());
        }
    }
    for line in &routing.vantages {
        if let Some(place) = line.place {
            let paint = if line.proven_gain_ms.is_some() { Paint::Bad } else { Paint::Series(0) };
            canvas.dot(to.at(place), if width == Width::Wide { 4 } else { 3 }, paint);
            if width == Width::Wide {
                let (x, y) = to.at(place);
                canvas.hint((x - 7, y - 7), (14, 14), &words(line));
            }
        }
    }
    names(&mut canvas, &to, document);
    canvas
}

fn words(line: &RoutedFacts) -> String {
    let sent = format!("{}: sent to {}", line.vantage, line.endpoint);
    match line.proven_gain_ms {
        Some(gain_ms) => format!("{sent}; another endpoint is proven {gain_ms:.1} ms faster"),
        None => sent,
    }
}

fn land(canvas: &mut Canvas, to: &Projection, width: Width) {
    let radius = if width == Width::Wide { 2 } else { 1 };
    for line in LAND.lines().skip(1) {
        let Some((row, columns)) = line.split_once(',') else { continue };
        let Ok(row) = row.parse::<f64>() else { continue };
        let north = (row + 0.5) * CELL - 90.0;
        if !(SOUTH..NORTH).contains(&north) {
            continue;
        }
        for column in columns.split(' ').filter_map(|column| column.parse::<f64>().ok()) {
            let east = (column + 0.5) * CELL - 180.0;
            canvas.dot(to.at((north, east)), radius, Paint::Land);
        }
    }
}

/// A bow, the shorter way around. What leaves the map at one side comes in at the other.
fn route(canvas: &mut Canvas, to: &Projection, (from, end): (Place, Place), heavy: bool) {
    const STEPS: u32 = 48;
    let mut east = end.1;
    if east - from.1 > 180.0 {
        east -= 360.0;
    } else if east - from.1 < -180.0 {
        east += 360.0;
    }
    let distance = (east - from.1).abs() + (end.0 - from.0).abs();
    let control = (f64::midpoint(from.0, end.0) + distance * 0.18, f64::midpoint(from.1, east));
    let point = |step: u32| {
        let t = f64::from(step) / f64::from(STEPS);
        let mix = |a: f64, b: f64, c: f64| {
            (1.0 - t) * (1.0 - t) * a + 2.0 * (1.0 - t) * t * b + t * t * c
        };
        (mix(from.0, control.0, end.0), mix(from.1, control.1, east))
    };
    let points: Vec<Place> = (0..=STEPS).map(point).collect();
    let (colour, width) = if heavy { (Paint::Bad, 3) } else { (Paint::Series(0), 1) };
    for shift in [-360.0, 0.0, 360.0] {
        let inside = |(_, east): &&Place| (-180.0..=180.0).contains(&(east + shift));
        let part: Vec<(i32, i32)> = points
            .iter()
            .filter(inside)
            .map(|(north, east)| to.at((*north, east + shift)))
            .collect();
        if part.len() > 1 {
            canvas.path(part, colour, width);
        }
    }
}

/// Endpoints, named where there is room.
fn names(canvas: &mut Canvas, to: &Projection, document: &Document) {
    let endpoints = &document.routing.endpoints;
    let mut taken: Vec<(i32, i32, i32)> = Vec::new();
    let dots: Vec<(i32, i32)> =
        document.routing.vantages.iter().filter_map(|line| Some(to.at(line.place?))).collect();
    for endpoint in endpoints {
        let Some(place) = endpoint.place else { continue };
        let (x, y) = to.at(place);
        canvas.rect((x - 6, y - 6), (12, 12), Paint::Surface);
        canvas.rect((x - 4, y - 4), (8, 8), Paint::Ink);
        if endpoints.len() > NAMES_MAX {
            continue;
        }
        let width = text_width(&endpoint.endpoint, 12);
        let at_left = x + 10 + width > canvas.width();
        let from = if at_left { x - 10 - width } else { x + 10 };
        let free = |y: i32| {
            let apart = |(other, end, at): &(i32, i32, i32)| {
                from > *end || from + width < *other || (y - at).abs() >= 14
            };
            taken.iter().all(apart) && y > 8 && y < canvas.height() - 8
        };
        let hides = |y: i32| {
            let over = |(dot, at): &(i32, i32)| {
                (from - 5..=from + width + 5).contains(dot) && (y - at).abs() < 11
            };
            dots.iter().any(over)
        };
        let rows = [y, y + 14, y - 14, y + 28, y - 28];
        let clear = rows.into_iter().find(|y| free(*y) && !hides(*y));
        let Some(y) = clear.or_else(|| rows.into_iter().find(|y| free(*y))) else { continue };
        let style = Lettering::SMALL.painted(Paint::Ink).bold();
        let (at, anchor) = if at_left { (x - 10, Anchor::End) } else { (x + 10, Anchor::Start) };
        taken.push((from, from + width, y));
        canvas.rect((from - 2, y - 7), (width + 4, 14), Paint::Surface);
        canvas.text((at, y), &endpoint.endpoint, style.anchored(anchor));
    }
}
