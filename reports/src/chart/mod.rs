//! Charts: pure functions from parts of the document to shapes. They read no clock and no file.

mod axis;
mod canvas;
mod ecdf;
mod frontier;
mod heat;
mod latency;
mod map;
mod objectives;
pub(crate) mod paint;
mod phases;

pub use canvas::{Canvas, ChartError};

use crate::document::Document;
use crate::period::Period;

/// How much room a chart has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// A desk, or paper.
    Wide,
    /// A phone.
    Narrow,
}

impl Width {
    /// In pixels.
    pub(crate) fn px(self) -> i32 {
        match self {
            Self::Wide => 960,
            Self::Narrow => 400,
        }
    }
}

/// A chart with what is said under it.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// A name for a file.
    pub name: String,
    /// What it shows.
    pub caption: String,
    /// With much room.
    pub wide: Canvas,
    /// With little room, where that is drawn otherwise.
    pub narrow: Option<Canvas>,
}

impl Figure {
    fn new(name: String, caption: String, draw: impl Fn(Width) -> Canvas) -> Self {
        Self { name, caption, wide: draw(Width::Wide), narrow: Some(draw(Width::Narrow)) }
    }
}

/// All figures of a report, by the section they stand in.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Figures {
    /// Where people are sent, on the map.
    pub map: Vec<Figure>,
    /// Vantage x endpoint.
    pub heat: Vec<Figure>,
    /// The best k endpoints.
    pub frontier: Vec<Figure>,
    /// Cost over time.
    pub latency: Vec<Figure>,
    /// Objectives.
    pub objectives: Vec<Figure>,
    /// Cold against warm.
    pub distributions: Vec<Figure>,
    /// Phases by endpoint.
    pub phases: Vec<Figure>,
}

impl Figures {
    /// In the order of the report.
    pub fn all(&self) -> impl Iterator<Item = &Figure> {
        let sections = [
            &self.map,
            &self.frontier,
            &self.heat,
            &self.latency,
            &self.objectives,
            &self.distributions,
            &self.phases,
        ];
        sections.into_iter().flatten()
    }
}

/// Draws everything that the document has data for.
#[must_use]
pub fn figures(document: &Document, period: &Period) -> Figures {
    Figures {
        map: map::figures(document),
        frontier: frontier::figures(document),
        heat: heat::figures(document),
        latency: latency::figures(document, period),
        objectives: objectives::figures(document),
        distributions: ecdf::figures(document),
        phases: phases::figures(document),
    }
}

/// The populations of which there is something, `cloud` first.
fn populations<'a>(of: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut found: Vec<&str> = of.collect();
    found.sort_unstable();
    found.dedup();
    found
}
