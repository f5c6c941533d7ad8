//! What changed since the period before, with intervals that hold for all of them together.
//!
//! The interval of a difference of two medians is made of the intervals of both, each at half the
//! level, so that it holds whatever the distributions are; the level is shared among all cells
//! that can be compared (Bonferroni).

use advisor::statistics::{median, median_interval};

use super::{Material, round_ms};
use crate::document::{CellChangeFacts, ChangeFacts, DifferenceFacts};
use crate::period::Period;

/// Cells that are listed; the largest changes first.
const LISTED_MAX: usize = 20;

/// `None` without a period to compare with.
pub(super) fn changes(material: &Material<'_>) -> Option<ChangeFacts> {
    let before = material.compared?;
    let alpha = material.config.evidence.alpha;
    let mut pairs = Vec::new();
    for vantage in material.vantages().into_keys() {
        for endpoint in &material.matrix.endpoints {
            let was = values(material, vantage, endpoint, before);
            let is = values(material, vantage, endpoint, material.period);
            if !was.is_empty() || !is.is_empty() {
                pairs.push((vantage, endpoint, was, is));
            }
        }
    }
    let each = alpha / pairs.len().max(1) as f64;
    let compare = |(vantage, endpoint, was, is): &(&str, &String, Vec<f64>, Vec<f64>)| {
        let difference = difference(was, is, each)?;
        Some(CellChangeFacts {
            vantage: (*vantage).to_owned(),
            endpoint: (*endpoint).clone(),
            difference,
        })
    };
    let compared: Vec<CellChangeFacts> = pairs.iter().filter_map(compare).collect();
    let (count, too_thin) = (compared.len(), pairs.len() - compared.len());
    let mut cells: Vec<CellChangeFacts> = compared
        .into_iter()
        .filter(|cell| cell.difference.low_ms > 0.0 || cell.difference.high_ms < 0.0)
        .collect();
    // The order of cells decides between equals, for the sort is stable.
    cells.sort_by(|a, b| b.difference.change_ms.abs().total_cmp(&a.difference.change_ms.abs()));
    let certain = cells.len();
    cells.truncate(LISTED_MAX);
    Some(ChangeFacts {
        compared: count,
        too_thin,
        certain,
        alpha,
        routed: routed(material, before, alpha),
        cells,
    })
}

fn values(material: &Material<'_>, vantage: &str, endpoint: &str, period: &Period) -> Vec<f64> {
    let costs = material.costs(vantage, endpoint, (period.since_ms, period.until_ms));
    costs.into_iter().map(|(_, cost_ms)| cost_ms).collect()
}

fn difference(was: &[f64], is: &[f64], alpha: f64) -> Option<DifferenceFacts> {
    let (before_ms, now_ms) = (median(was)?, median(is)?);
    let (was, is) = (median_interval(was, alpha / 2.0)?, median_interval(is, alpha / 2.0)?);
    Some(DifferenceFacts {
        before_ms: round_ms(before_ms),
        now_ms: round_ms(now_ms),
        change_ms: round_ms(now_ms - before_ms),
        low_ms: round_ms(is.0 - was.1),
        high_ms: round_ms(is.1 - was.0),
    })
}

/// The mean cost where each vantage was sent at the time, block by block. Only blocks in which
/// every vantage has a cost count: a vantage that falls silent must not look like a change.
fn routed(material: &Material<'_>, before: &Period, alpha: f64) -> Option<DifferenceFacts> {
    let series = |period: &Period| super::latency::routed_means(material, period);
    difference(&series(before), &series(material.period), alpha)
}
