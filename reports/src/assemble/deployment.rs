//! The best k of the endpoints there are, from the costs of the cells: the exact program of the
//! advisor, each population by itself. Regions without an endpoint are not in it.

use std::collections::{BTreeMap, BTreeSet};

use advisor::placement::{Answer, CostMatrix, plain_frontier};

use super::round_ms;
use crate::document::{CellFacts, ChoiceFacts, DeploymentFacts};

/// The largest number of endpoints that is looked at.
const K_MAX: usize = 10;
/// How often the solver may ask whether it must end.
const ASKS_MAX: u32 = 1_000_000;

/// One line a population with costs at more than one endpoint.
pub(super) fn deployment(cells: &[CellFacts]) -> Vec<DeploymentFacts> {
    let populations: BTreeSet<&str> = cells.iter().map(|cell| cell.population).collect();
    let measured = |population: &str| -> Vec<&CellFacts> {
        let own = cells.iter().filter(|cell| cell.population == population);
        own.filter(|cell| cell.cost_ms.is_some()).collect()
    };
    let lines = populations.into_iter().filter_map(|population| {
        let cells = measured(population);
        let choices = frontier(&matrix(&cells))?;
        let population = cells.first()?.population;
        Some(DeploymentFacts { population, choices })
    });
    lines.collect()
}

fn matrix(cells: &[&CellFacts]) -> CostMatrix {
    let columns: BTreeSet<&str> = cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    let mut rows: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for cell in cells {
        if let Some(cost_ms) = cell.cost_ms {
            rows.entry(&cell.vantage).or_default().insert(&cell.endpoint, cost_ms);
        }
    }
    let rows = rows.into_iter().map(|(vantage, costs)| {
        let costs = columns.iter().map(|column| costs.get(column).copied()).collect();
        (vantage.to_owned(), 1.0, costs)
    });
    CostMatrix::from_costs(columns.iter().map(|column| (*column).to_owned()).collect(), rows)
}

fn frontier(matrix: &CostMatrix) -> Option<Vec<ChoiceFacts>> {
    let most = matrix.columns.len().min(K_MAX);
    if most < 2 {
        return None;
    }
    let answers = plain_frontier(matrix, most, ASKS_MAX);
    let choice = |answer: Answer| {
        let names = answer.chosen.iter().filter_map(|column| matrix.columns.get(*column));
        ChoiceFacts {
            k: answer.k,
            chosen: names.cloned().collect(),
            cost_ms: answer.cost_ms.map(round_ms),
            optimal: answer.optimal,
            gap: answer.gap,
        }
    };
    Some(answers.into_iter().map(choice).collect())
}
