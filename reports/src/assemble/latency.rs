//! Cost over time: in each block the vantages of one population in the order of their cost.
//!
//! Populations are never merged. What a point shows is the spread over places, not over requests.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::Population;

use super::{Material, round_ms};
use crate::document::{LatencyFacts, PointFacts};
use crate::period::Period;

/// Points of one line; above that, blocks are taken together.
const POINTS_MAX: usize = 240;

/// A point needs a cost at one of so many vantages: the first and the last block of a period hold few of
/// them, and would be a spread of others than the rest.
const LEAST_PART: usize = 3;

/// Where Route 53 sent the vantages, and each endpoint, for each population that measured.
pub(super) fn latency(material: &Material<'_>) -> Vec<LatencyFacts> {
    let vantages = material.vantages();
    let mut lines = Vec::new();
    for population in [Population::Cloud, Population::Eyeball] {
        let ids: Vec<&str> =
            vantages.iter().filter(|(_, of)| **of == population).map(|(id, _)| *id).collect();
        let history = RoutingHistory::new(material);
        if history.is_known() {
            let costs = ids.iter().map(|id| history.costs(material, id, material.period));
            lines.extend(line(material, population, None, &costs.collect::<Vec<_>>()));
        }
        for endpoint in &material.matrix.endpoints {
            let costs = ids.iter().map(|id| material.costs(id, endpoint, material.span()));
            let costs: Vec<_> = costs.collect();
            lines.extend(line(material, population, Some(endpoint), &costs));
        }
    }
    lines
}

/// The means over the traffic of all blocks in which every routed vantage has a cost. Populations are
/// never merged: cloud vantages, or those of users' networks where no cloud vantage is routed.
pub(super) fn routed_means(material: &Material<'_>, period: &Period) -> Vec<f64> {
    let history = RoutingHistory::new(material);
    let configured = material.vantages();
    let known = history.preferred.keys().filter_map(|id| configured.get(id));
    let Some(population) = known.min() else { return Vec::new() };
    let vantages = history.preferred.keys().filter(|id| configured.get(*id) == Some(population));
    let ids: Vec<&str> = vantages.copied().collect();
    let weights = material.weights(&ids);
    let costs: Vec<(f64, BTreeMap<i64, f64>)> = weights
        .iter()
        .map(|(id, weight)| (*weight, history.costs(material, id, period).into_iter().collect()))
        .collect();
    let Some((_, first)) = costs.first() else { return Vec::new() };
    let mean = |start_ms: &i64| -> Option<f64> {
        costs.iter().map(|(weight, cell)| Some(weight * cell.get(start_ms)?)).sum()
    };
    first.keys().filter_map(mean).collect()
}

/// Which endpoint each label pointed at, back in time, as the journal tells.
struct RoutingHistory<'a> {
    preferred: BTreeMap<&'a str, &'a str>,
    /// Until when each state of the labels held, the newest first; the last one holds for ever.
    states: Vec<(i64, BTreeMap<&'a str, &'a str>)>,
}

impl<'a> RoutingHistory<'a> {
    fn new(material: &Material<'a>) -> Self {
        let Ok(decided) = material.decided else {
            return Self { preferred: BTreeMap::new(), states: Vec::new() };
        };
        let routing = decided.routing;
        let preferred =
            routing.preferred.iter().map(|(id, label)| (id.as_str(), label.as_str())).collect();
        let mut labels: BTreeMap<&str, &str> =
            routing.live.iter().map(|(label, to)| (label.as_str(), to.as_str())).collect();
        let mut states = Vec::new();
        let known = material.operations.iter().filter(|one| one.last_at_ms <= decided.at_ms);
        for operation in known.rev().filter(|one| one.is_in_place()) {
            states.push((operation.last_at_ms, labels.clone()));
            for step in &operation.plan.moves {
                match &step.from {
                    Some(from) => labels.insert(&step.label, from),
                    None => labels.remove(step.label.as_str()),
                };
            }
        }
        // Each state held from the end of its operation; the oldest one since ever.
        states.push((i64::MIN, labels));
        Self { preferred, states }
    }

    fn is_known(&self) -> bool {
        !self.preferred.is_empty()
    }

    /// The costs of one vantage wherever it was sent.
    fn costs(&self, material: &Material<'_>, vantage: &str, period: &Period) -> Vec<(i64, f64)> {
        let Some(label) = self.preferred.get(vantage) else { return Vec::new() };
        let mut until_ms = period.until_ms;
        let mut costs = Vec::new();
        for (from_ms, labels) in &self.states {
            let since_ms = (*from_ms).max(period.since_ms).min(until_ms);
            if let Some(endpoint) = labels.get(label) {
                costs.extend(material.costs(vantage, endpoint, (since_ms, until_ms)));
            }
            until_ms = since_ms;
        }
        costs.sort_by_key(|(start_ms, _)| *start_ms);
        costs
    }
}

fn line(
    material: &Material<'_>,
    population: Population,
    endpoint: Option<&String>,
    costs: &[Vec<(i64, f64)>],
) -> Option<LatencyFacts> {
    let starts: BTreeSet<i64> = costs.iter().flatten().map(|(start_ms, _)| *start_ms).collect();
    let first_ms = *starts.first()?;
    let blocks_a_point = starts.len().div_ceil(POINTS_MAX);
    let width_ms = material.matrix.block_ms * i64::try_from(blocks_a_point).unwrap_or(1);
    let mut points: BTreeMap<i64, Vec<f64>> = BTreeMap::new();
    for (start_ms, cost_ms) in costs.iter().flatten() {
        let at_ms = first_ms + (start_ms - first_ms).div_euclid(width_ms.max(1)) * width_ms;
        points.entry(at_ms).or_default().push(*cost_ms);
    }
    let vantages = costs.iter().filter(|of_vantage| !of_vantage.is_empty()).count();
    let points = of_enough(points, vantages);
    let point = |(at_ms, mut values): (i64, Vec<f64>)| {
        values.sort_by(f64::total_cmp);
        PointFacts {
            at_ms,
            p10_ms: round_ms(order_statistic(&values, 0.1)),
            p50_ms: round_ms(order_statistic(&values, 0.5)),
            p90_ms: round_ms(order_statistic(&values, 0.9)),
        }
    };
    Some(LatencyFacts {
        population: population.as_str(),
        endpoint: endpoint.cloned(),
        vantages,
        blocks_a_point,
        points: points.into_iter().map(point).collect(),
    })
}

/// The points that enough of the vantages have a cost in.
fn of_enough(points: BTreeMap<i64, Vec<f64>>, vantages: usize) -> BTreeMap<i64, Vec<f64>> {
    points.into_iter().filter(|(_, values)| values.len() * LEAST_PART >= vantages).collect()
}

/// The smallest value that at least this share of the values does not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank lies in 1..=values.len()"
)]
fn order_statistic(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64 - 1e-9).ceil().max(1.0) as usize;
    sorted.get(rank - 1).or(sorted.last()).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_that_few_vantages_have_is_no_point() {
        let points = BTreeMap::from([(0, vec![390.0]), (1, vec![1.0; 4]), (2, vec![1.0; 12])]);
        let starts = |vantages| of_enough(points.clone(), vantages).into_keys().collect::<Vec<_>>();
        assert_eq!((starts(12), starts(13), starts(1)), (vec![1, 2], vec![2], vec![0, 1, 2]));
    }
}
