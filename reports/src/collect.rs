//! Reads what a report is made from, once, and has it put together. Decides nothing.

use std::collections::{BTreeMap, BTreeSet};

use advisor::journal::Operation;
use advisor::matrix::{CellBlock, Matrix, MatrixSource, SourceError};
use advisor::settings;
use advisor::shares::Shares;
use probe::config::Config;
use probe::publish::counts::Counted;
use probe::store::{Store, StoreError};

use crate::assemble::{self, Decided, Material, assemble};
use crate::document::{Document, TruthFacts};
use crate::period::Period;
use crate::totals::{Kept, Totals};

/// What a report is asked to be, and what is known beside the measurements.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What it speaks of.
    pub period: &'a Period,
    /// What that is compared with.
    pub compared: Option<&'a Period>,
    /// The zone and the advice, or why there is none.
    pub decided: Result<Decided<'a>, &'a str>,
    /// Who the users are.
    pub traffic: &'a Shares,
    /// The journal.
    pub operations: &'a [Operation],
    /// What a lab knows.
    pub truth: Option<TruthFacts>,
}

/// The measurements cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Histograms.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Blocks.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// What is known of the samples of the period.
#[derive(Debug)]
pub enum Samples<'a> {
    /// The embedded store, which has histograms.
    Store(&'a Store),
    /// What CloudWatch counted.
    CloudWatch {
        /// Every series.
        counted: &'a [Counted],
        /// Targets whose series it keeps under paths that are not known here.
        left_out: BTreeSet<String>,
    },
}

/// Reads the blocks of both periods from `source`, the histograms of the period from `samples`, and
/// makes the document of them.
pub async fn collect<S: MatrixSource>(
    samples: Samples<'_>,
    source: &S,
    asked: &Asked<'_>,
) -> Result<Document, CollectError> {
    let config = asked.config;
    let blocks = blocks(source, asked).await?;
    let series = assemble::series_medians(&blocks, asked.period);
    let endpoints = config.endpoints.iter().map(|endpoint| endpoint.id.as_str());
    let rule = settings::cost_rule(&config.evidence);
    let matrix = Matrix::build(&blocks, rule).with_endpoints(endpoints);
    drop(blocks);
    let mut totals = Totals::new(config, routed(asked));
    let (since_ms, until_ms) = (asked.period.since_ms, asked.period.until_ms);
    match samples {
        Samples::Store(store) => {
            store.each_span(since_ms, until_ms, |series, span| totals.add(series, span))?;
        }
        Samples::CloudWatch { counted, left_out } => {
            for one in counted {
                totals.add_counted(one);
            }
            totals.kept = Kept::Counts { left_out };
        }
    }
    Ok(assemble(&Material {
        config,
        period: asked.period,
        compared: asked.compared,
        matrix: &matrix,
        series: &series,
        totals: &totals,
        decided: asked.decided,
        traffic: asked.traffic,
        operations: asked.operations,
        truth: asked.truth,
    }))
}

/// The blocks of the period and of the one that it is compared with.
async fn blocks<S: MatrixSource>(
    source: &S,
    asked: &Asked<'_>,
) -> Result<Vec<CellBlock>, SourceError> {
    let period = asked.period;
    let before_ms = asked.compared.map_or(period.since_ms, |before| before.since_ms);
    let since_ms = before_ms.min(period.since_ms);
    source.cell_blocks(asked.config.evidence.quantile, since_ms, period.until_ms).await
}

fn routed(asked: &Asked<'_>) -> BTreeMap<String, String> {
    let Ok(decided) = asked.decided else { return BTreeMap::new() };
    let preferred = decided.routing.preferred.iter();
    let to = preferred
        .map(|(vantage, label)| Some((vantage.clone(), decided.routing.live.get(label)?.clone())));
    to.flatten().collect()
}
