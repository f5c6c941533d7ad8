//! `advisor matrix`: what was measured, vantage x endpoint.

use probe::store::{MergedRow, Store};

use crate::command::run::store_failure;
use crate::failure::Failure;
use crate::setup::Setup;
use crate::show::matrix::MatrixView;
use crate::terminal::Terminal;
use advisor::survey::SurveyError;

/// How far back the merged percentiles look: the span of the evidence.
pub(crate) fn span_ms(setup: &Setup) -> i64 {
    let evidence = &setup.config.evidence;
    let slots = advisor::evidence::EvidenceRule::slots(evidence.blocks);
    advisor::settings::millis(evidence.block) * i64::from(slots)
}

/// Prints the matrix.
pub async fn run(setup: &Setup, terminal: Terminal) -> Result<(), Failure> {
    let view = read(setup).await?;
    terminal.result(&view.text(), &view.json())
}

/// Reads the matrix and the merged percentiles of the same span.
pub async fn read(setup: &Setup) -> Result<MatrixView, Failure> {
    let now_ms = setup.now_ms();
    let matrix = advisor::survey::read_matrix(&setup.source(), &setup.config, now_ms)
        .await
        .map_err(SurveyError::Source)?;
    // CloudWatch keeps no histograms that could be merged.
    let merged = if setup.fleet.is_some() { Vec::new() } else { merged(setup, now_ms)? };
    Ok(MatrixView::new(&setup.config, &matrix, &merged, now_ms))
}

fn merged(setup: &Setup, now_ms: i64) -> Result<Vec<MergedRow>, Failure> {
    let store = Store::open_existing(&setup.store).map_err(|error| store_failure(&error))?;
    store.merged(now_ms - span_ms(setup), now_ms).map_err(|error| store_failure(&error))
}
