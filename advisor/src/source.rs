//! The embedded store as a source of matrices.

use std::collections::BTreeMap;

use probe::sample::{Connection, Phase};
use probe::store::{Store, StoreError};

use crate::matrix::{CellBlock, MatrixSource, SourceError};

/// The quantile of a round trip: its median.
const MEDIAN: f64 = 0.5;

/// Reads the embedded store. Each call opens the file anew, so that a probe may go on writing.
#[derive(Debug, Clone)]
pub struct StoreSource {
    path: std::path::PathBuf,
}

impl StoreSource {
    /// A source over the store at `path`. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl Into<std::path::PathBuf>) -> Self {
        Self { path: path.into() }
    }

    fn error(&self, error: &StoreError) -> SourceError {
        SourceError {
            place: self.path.display().to_string(),
            cause: error.to_string(),
            hint: error.hint().unwrap_or("measure anew into another store, named with --store"),
        }
    }

    fn open(&self) -> Result<Store, SourceError> {
        Store::open_existing(&self.path).map_err(|error| self.error(&error))
    }
}

impl MatrixSource for StoreSource {
    async fn cell_blocks(
        &self,
        quantile: f64,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<Vec<CellBlock>, SourceError> {
        let rows = self.open()?.blocks(since_ms, until_ms).map_err(|error| self.error(&error))?;
        let cell = |row: probe::store::BlockRow| {
            let value_us = row.quantiles.get(quantile)?;
            Some(CellBlock {
                vantage: row.series.vantage,
                endpoint: row.series.target,
                connection: row.series.connection,
                start_ms: row.start_ms,
                value_ms: value_us as f64 / 1_000.0,
                attempts: row.attempts,
                failures: row.failures,
                valid: row.valid,
            })
        };
        Ok(rows.into_iter().filter_map(cell).collect())
    }

    async fn round_trips(
        &self,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<BTreeMap<(String, String), f64>, SourceError> {
        let rows = self.open()?.merged(since_ms, until_ms).map_err(|error| self.error(&error))?;
        let mut round_trips = BTreeMap::new();
        // Only a cold series opens a connection of its own.
        for row in rows.into_iter().filter(|row| row.series.connection == Connection::Cold) {
            if let Some(connect_us) = row.phases.get(Phase::Connect).quantile_us(MEDIAN) {
                let cell = (row.series.vantage, row.series.target);
                round_trips.insert(cell, connect_us as f64 / 1_000.0);
            }
        }
        Ok(round_trips)
    }
}

/// A source that holds nothing: what is left to decide with when there are no measurements.
#[derive(Debug, Clone, Copy)]
pub struct Unmeasured;

impl MatrixSource for Unmeasured {
    async fn cell_blocks(
        &self,
        _quantile: f64,
        _since_ms: i64,
        _until_ms: i64,
    ) -> Result<Vec<CellBlock>, SourceError> {
        Ok(Vec::new())
    }

    async fn round_trips(
        &self,
        _since_ms: i64,
        _until_ms: i64,
    ) -> Result<BTreeMap<(String, String), f64>, SourceError> {
        Ok(BTreeMap::new())
    }
}
