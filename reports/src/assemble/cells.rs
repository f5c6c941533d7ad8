//! The cells of the heat map: the median cost of each, with its interval.

use advisor::statistics::{median, median_interval};

use super::{Material, round_ms};
use crate::document::CellFacts;

/// Every configured vantage at every configured endpoint, measured or not, in their order.
pub(super) fn cells(material: &Material<'_>) -> Vec<CellFacts> {
    let routed = material.routed();
    let mut cells = Vec::new();
    for (vantage, population) in material.vantages() {
        for endpoint in &material.matrix.endpoints {
            let costs = material.costs(vantage, endpoint, material.span());
            let costs: Vec<f64> = costs.into_iter().map(|(_, cost_ms)| cost_ms).collect();
            let interval = median_interval(&costs, material.config.evidence.alpha);
            let key = (vantage.to_owned(), endpoint.clone());
            let count = material.totals.counts.get(&key);
            cells.push(CellFacts {
                vantage: vantage.to_owned(),
                population: population.as_str(),
                endpoint: endpoint.clone(),
                routed: routed.get(vantage) == Some(&endpoint.as_str()),
                cost_ms: median(&costs).map(round_ms),
                low_ms: interval.map(|(low_ms, _)| round_ms(low_ms)),
                high_ms: interval.map(|(_, high_ms)| round_ms(high_ms)),
                blocks: costs.len(),
                attempts: count.map_or(0, |count| count.attempts),
                failures: count.map_or(0, |count| count.failures),
            });
        }
    }
    cells
}
