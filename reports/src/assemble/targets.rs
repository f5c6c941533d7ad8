//! Percentiles, phases and distributions, all of merged histograms.

use probe::config::Population;
use probe::sample::Connection;

use super::{Material, round_ms, us_to_ms};
use crate::document::{DistributionFacts, PhaseFacts, TargetFacts};
use crate::totals::PARTS;

/// The shares at which a distribution is told.
pub const SHARES: [f64; 43] = [
    0.0, 0.01, 0.025, 0.05, 0.075, 0.1, 0.125, 0.15, 0.175, 0.2, 0.225, 0.25, 0.275, 0.3, 0.325,
    0.35, 0.375, 0.4, 0.425, 0.45, 0.475, 0.5, 0.525, 0.55, 0.575, 0.6, 0.625, 0.65, 0.675, 0.7,
    0.725, 0.75, 0.775, 0.8, 0.825, 0.85, 0.875, 0.9, 0.925, 0.95, 0.975, 0.99, 0.995,
];

/// One line a population, target and connection.
pub(super) fn targets(material: &Material<'_>) -> Vec<TargetFacts> {
    let lines = material.totals.responses.iter().filter_map(|(key, response)| {
        let response = response.histogram();
        let at = |quantile| response.quantile_us(quantile).map(us_to_ms);
        Some(TargetFacts {
            population: key.0.as_str(),
            target: key.1.clone(),
            connection: key.2.as_str(),
            n: response.len(),
            p50_ms: at(0.5)?,
            p95_ms: at(0.95)?,
            p99_ms: at(0.99)?,
            phases: phases(material, key),
        })
    });
    lines.collect()
}

/// The mean of each phase over all successes, so that they add up to the mean of the whole.
fn phases(material: &Material<'_>, key: &(Population, String, Connection)) -> Vec<PhaseFacts> {
    let Some(sums) = material.totals.phases.get(key) else { return Vec::new() };
    let named = PARTS.iter().zip(&sums.parts);
    named
        .filter_map(|(phase, sum)| {
            Some(PhaseFacts { phase, mean_ms: round_ms(sum.mean_ms(sums.samples)?) })
        })
        .collect()
}

/// Response times where Route 53 sends the vantages; without that, nothing.
pub(super) fn distributions(material: &Material<'_>) -> Vec<DistributionFacts> {
    let lines = material.totals.routed_responses.iter();
    lines
        .map(|((population, connection), response)| {
            let response = response.histogram();
            let values = SHARES.iter().filter_map(|share| response.quantile_us(*share));
            DistributionFacts {
                population: population.as_str(),
                connection: connection.as_str(),
                n: response.len(),
                values_ms: values.map(us_to_ms).collect(),
            }
        })
        .collect()
}
