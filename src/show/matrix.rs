//! The matrix as text and as JSON.

use std::collections::BTreeMap;

use advisor::evidence::EvidenceRule;
use advisor::matrix::Matrix;
use probe::config::Config;
use probe::store::MergedRow;
use serde_json::{Value, json};

use super::table::{Table, ms};

/// The matrix with the merged percentiles of the same span.
#[derive(Debug, Clone)]
pub struct MatrixView {
    cold_share: f64,
    block_ms: i64,
    vantages: Vec<String>,
    endpoints: Vec<String>,
    cells: BTreeMap<(String, String), CellView>,
    series: Vec<Value>,
}

#[derive(Debug, Clone, Default)]
struct CellView {
    cost_ms: Option<f64>,
    blocks: usize,
    attempts: u64,
    failures: u64,
    age_ms: Option<i64>,
}

impl MatrixView {
    /// Puts costs of blocks and merged percentiles side by side.
    #[must_use]
    pub fn new(config: &Config, matrix: &Matrix, merged: &[MergedRow], now_ms: i64) -> Self {
        let recent = matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let cells = recent.cells().map(|(vantage, endpoint, cell)| {
            let view = CellView {
                cost_ms: recent.median_cost_ms(vantage, endpoint),
                blocks: cell.len(),
                attempts: recent.counts(vantage, endpoint).attempts,
                failures: recent.counts(vantage, endpoint).failures,
                age_ms: cell.keys().next_back().map(|start| now_ms - start - matrix.block_ms),
            };
            ((vantage.to_owned(), endpoint.to_owned()), view)
        });
        Self {
            cold_share: config.evidence.cold_share,
            block_ms: matrix.block_ms,
            vantages: recent.vantages.clone(),
            endpoints: recent.endpoints.clone(),
            cells: cells.collect(),
            series: merged.iter().map(series_json).collect(),
        }
    }

    /// One table of costs. Failures stand behind the cost they are counted in.
    #[must_use]
    pub fn text(&self) -> String {
        if self.cells.is_empty() {
            return "no closed blocks yet: let the probes run for at least one block\n".into();
        }
        let headings = std::iter::once("cost, ms").chain(self.endpoints.iter().map(String::as_str));
        let mut table = Table::new(headings);
        for vantage in &self.vantages {
            let cells = self.endpoints.iter().map(|endpoint| {
                let cell = self.cells.get(&(vantage.clone(), endpoint.clone()));
                match cell {
                    Some(cell) if cell.failures > 0 => {
                        format!("{} ({} failed)", ms(cell.cost_ms), cell.failures)
                    }
                    Some(cell) => ms(cell.cost_ms),
                    None => "-".into(),
                }
            });
            table.row(std::iter::once(vantage.clone()).chain(cells));
        }
        let attempts: u64 = self.cells.values().map(|cell| cell.attempts).sum();
        format!(
            "{}\ncost = {} x cold + {} x warm, medians over blocks of {} s; {attempts} samples\n",
            table.text(),
            self.cold_share,
            1.0 - self.cold_share,
            self.block_ms / 1_000
        )
    }

    /// Every cell and every series.
    #[must_use]
    pub fn json(&self) -> Value {
        let cells = self.cells.iter().map(|((vantage, endpoint), cell)| {
            json!({
                "vantage": vantage,
                "endpoint": endpoint,
                "cost_ms": cell.cost_ms,
                "blocks": cell.blocks,
                "n": cell.attempts,
                "failures": cell.failures,
                "age_ms": cell.age_ms,
            })
        });
        json!({
            "cold_share": self.cold_share,
            "block_ms": self.block_ms,
            "vantages": self.vantages,
            "endpoints": self.endpoints,
            "cells": cells.collect::<Vec<_>>(),
            "series": self.series,
        })
    }
}

fn series_json(row: &MergedRow) -> Value {
    let quantile = |q: f64| row.response.quantile_us(q);
    json!({
        "vantage": row.series.vantage,
        "target": row.series.target,
        "connection": row.series.connection.as_str(),
        "path": row.series.path,
        "n": row.attempts,
        "failures": row.failures,
        "failures_by_kind": row.by_kind,
        "missed": row.missed,
        "late": row.late,
        "p10_us": quantile(0.1),
        "p50_us": quantile(0.5),
        "p90_us": quantile(0.9),
        "p95_us": quantile(0.95),
        "p99_us": quantile(0.99),
    })
}
