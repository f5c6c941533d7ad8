//! Reports of what was measured, advised and applied, for people who were not there.
//!
//! From store rows, survey, advice and journal to a document, and from that to JSON, Markdown, a page
//! and charts: all of it pure, the same input gives the same bytes. [`collect()`], [`service`]
//! and [`deliver`] are the shell: they read the store, wait, write files and send. Nothing here can write DNS.

pub mod assemble;
pub mod chart;
mod collect;
pub mod deliver;
pub mod document;
mod escape;
mod html;
mod markdown;
pub mod period;
pub mod schedule;
mod section;
pub mod service;
pub mod totals;

pub use assemble::{Decided, Material, SHARES, assemble};
pub use collect::{Asked, CollectError, Samples, collect};
pub use html::html;
pub use markdown::markdown;

use chart::{ChartError, figures};
use document::Document;
use period::Period;

/// A report in every form, ready to be written or sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// What it tells.
    pub document: Document,
    /// The page.
    pub html: String,
    /// The same facts as text.
    pub markdown: String,
    /// The same facts as data.
    pub json: String,
    /// File names and bytes of the charts, where they were asked for.
    pub png: Vec<(String, Vec<u8>)>,
}

/// A report could not be made.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A chart.
    #[error(transparent)]
    Chart(#[from] ChartError),
    /// JSON.
    #[error("cannot write the report as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl Report {
    /// Makes all forms of one document, with the charts as PNG files too where asked.
    pub fn render(document: Document, period: &Period, png: bool) -> Result<Self, RenderError> {
        let figures = figures(&document, period);
        let mut json = serde_json::to_string_pretty(&document)?;
        json.push('\n');
        let pictures = figures.all().filter(|_| png);
        let png = pictures
            .map(|figure| Ok((format!("{}.png", figure.name), figure.wide.png()?)))
            .collect::<Result<_, ChartError>>()?;
        Ok(Self {
            html: html(&document, period, &figures)?,
            markdown: markdown(&document, period),
            json,
            png,
            document,
        })
    }

    /// Names and bytes of its files.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let texts = [
            ("report.html", self.html.as_bytes()),
            ("report.md", self.markdown.as_bytes()),
            ("report.json", self.json.as_bytes()),
        ];
        texts.into_iter().chain(self.png.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])))
    }

    /// Whether an objective was breached.
    #[must_use]
    pub fn breached(&self) -> bool {
        self.document.objectives.iter().any(|one| one.status == assemble::BREACHED)
    }
}
