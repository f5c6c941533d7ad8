//! The objectives of the configuration: the share of the traffic whose quantile is within a limit.

use std::collections::BTreeSet;

use probe::config::{Population, Slo};
use probe::histogram::Tally;
use probe::sample::Connection;

use super::{Material, round_share, us_to_ms};
use crate::document::{ObjectiveFacts, ObjectiveVantage};
use crate::totals::weighted_quantile_us;

/// The status of an objective that was kept.
pub const MET: &str = "met";
/// The status of one that was not.
pub const BREACHED: &str = "breached";

pub(super) fn objectives(material: &Material<'_>) -> Vec<ObjectiveFacts> {
    let vantages = material.vantages();
    let populations: BTreeSet<Population> = vantages.values().copied().collect();
    let mut lines = Vec::new();
    for slo in &material.config.slos {
        for population in &populations {
            let own = vantages.iter().filter(|(_, of)| *of == population);
            let own = own.map(|(id, _)| *id).collect();
            lines.push(objective(material, slo, (*population, own)));
        }
    }
    lines
}

/// One line a population: the two are never merged. Vantages weigh as their shares of the traffic.
/// Cold and warm are mixed by the configured share of cold connections; where only one of them was
/// measured, it speaks for both.
fn objective(
    material: &Material<'_>,
    slo: &Slo,
    (population, vantages): (Population, Vec<&str>),
) -> ObjectiveFacts {
    let cold_share = material.config.evidence.cold_share;
    let value = |vantage: &str| {
        let of = |connection| {
            let key = (vantage.to_owned(), slo.target.clone(), connection);
            material.totals.promised_responses.get(&key).map(Tally::histogram)
        };
        let parts: Vec<_> = [(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)]
            .into_iter()
            .filter_map(|(connection, weight)| Some((of(connection)?, weight)))
            .collect();
        let parts: Vec<_> = parts.iter().map(|(response, weight)| (response, *weight)).collect();
        weighted_quantile_us(&parts, slo.quantile).map(us_to_ms)
    };
    let values: Vec<(&str, f64)> =
        vantages.into_iter().filter_map(|vantage| Some((vantage, value(vantage)?))).collect();
    let ids: Vec<&str> = values.iter().map(|(vantage, _)| *vantage).collect();
    let weights = material.weights(&ids);
    let line = |(vantage, value_ms): &(&str, f64)| ObjectiveVantage {
        vantage: (*vantage).to_owned(),
        weight: round_share(weights.get(vantage).copied().unwrap_or(0.0)),
        value_ms: *value_ms,
        within: *value_ms <= slo.limit_ms,
    };
    let within = values.iter().filter(|(_, value_ms)| *value_ms <= slo.limit_ms);
    let within: f64 = within.filter_map(|(vantage, _)| weights.get(vantage)).sum();
    let share_within = (!values.is_empty()).then(|| round_share(within));
    let vantages = values.iter().map(line).collect();
    ObjectiveFacts {
        target: slo.target.clone(),
        population: population.as_str(),
        quantile: slo.quantile,
        limit_ms: slo.limit_ms,
        share_needed: slo.share,
        share_within,
        status: match share_within {
            None => "unknown",
            // 0.95 of 20 must be 19, whatever floating point says of it.
            Some(share) if share + 1e-6 >= slo.share => MET,
            Some(_) => BREACHED,
        },
        vantages,
    }
}
