//! The best k of the endpoints there are, and of those with the candidate Regions beside them: the
//! exact program of the advisor, each population by itself. What nothing is deployed for is an estimate,
//! and is said to be one.

use std::collections::{BTreeMap, BTreeSet};

use advisor::matrix::CellBlock;
use advisor::placement::{
    self, Answer, CostMatrix, Evidence, Measured, SeriesModel, deployment as estimates,
    plain_frontier,
};
use advisor::statistics::median;
use probe::config::{EndpointKind, Population};
use probe::sample::Connection;

use super::{Material, round_ms, round_share};
use crate::document::{CellFacts, ChoiceFacts, DeploymentFacts, ModelFacts};
use crate::period::Period;

/// The largest number of endpoints that is looked at.
const K_MAX: usize = 10;
/// How often the solver may ask whether it must end.
const ASKS_MAX: u32 = 1_000_000;

/// The median over blocks of each vantage, endpoint and connection, in ms.
pub type SeriesMedians = BTreeMap<(String, String, Connection), f64>;

/// The medians of the blocks that begin in the period.
#[must_use]
pub fn series_medians(blocks: &[CellBlock], period: &Period) -> SeriesMedians {
    let mut values: BTreeMap<(&str, &str, Connection), Vec<f64>> = BTreeMap::new();
    let span = period.since_ms..period.until_ms;
    for block in blocks.iter().filter(|block| span.contains(&block.start_ms)) {
        let key = (block.vantage.as_str(), block.endpoint.as_str(), block.connection);
        values.entry(key).or_default().push(block.value_ms);
    }
    let medians = values.into_iter().filter_map(|((vantage, endpoint, connection), values)| {
        Some(((vantage.to_owned(), endpoint.to_owned(), connection), median(&values)?))
    });
    medians.collect()
}

/// One line a population with costs at more than one endpoint, and another one where candidates
/// could be estimated.
pub(super) fn deployment(material: &Material<'_>, cells: &[CellFacts]) -> Vec<DeploymentFacts> {
    let populations: BTreeSet<Population> = material.vantages().into_values().collect();
    let lines = populations.into_iter().flat_map(|population| {
        let own = cells.iter().filter(|cell| cell.population == population.as_str());
        let own: Vec<&CellFacts> = own.filter(|cell| cell.cost_ms.is_some()).collect();
        [measured(material, population, &own), estimated(material, population)]
    });
    lines.flatten().collect()
}

/// Of the endpoints there are.
fn measured(
    material: &Material<'_>,
    population: Population,
    cells: &[&CellFacts],
) -> Option<DeploymentFacts> {
    let columns: BTreeSet<&str> = cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    let mut rows: BTreeMap<&str, BTreeMap<&str, f64>> = BTreeMap::new();
    for cell in cells {
        if let Some(cost_ms) = cell.cost_ms {
            rows.entry(&cell.vantage).or_default().insert(&cell.endpoint, cost_ms);
        }
    }
    let ids: Vec<&str> = rows.keys().copied().collect();
    let weights = material.weights(&ids);
    let rows = rows.into_iter().map(|(vantage, costs)| {
        let costs = columns.iter().map(|column| costs.get(column).copied()).collect();
        (vantage.to_owned(), weights.get(vantage).copied().unwrap_or(0.0), costs)
    });
    let names = columns.iter().map(|column| (*column).to_owned()).collect();
    let choices = frontier(&CostMatrix::from_costs(names, rows))?;
    let population = population.as_str();
    Some(DeploymentFacts { population, estimated: Vec::new(), models: Vec::new(), choices })
}

/// Of the endpoints there are and the candidates, whose costs are estimated from round trips.
fn estimated(material: &Material<'_>, population: Population) -> Option<DeploymentFacts> {
    let round_trips = round_trips(material, population);
    // Where the data stands is not looked at here: the way to it counts as service time.
    let made = estimates(&Evidence {
        measured: &responses(material, population),
        round_trips: &round_trips,
        to_data_ms: &BTreeMap::new(),
        cold_share: material.config.evidence.cold_share,
    });
    if made.estimated.is_empty() {
        return None;
    }
    let matrix = made.matrix;
    let ids: Vec<&str> = matrix.clients.iter().map(String::as_str).collect();
    let weights = material.weights(&ids);
    let rows = matrix.clients.iter().enumerate().map(|(row, vantage)| {
        let weight = weights.get(vantage.as_str()).copied().unwrap_or(0.0);
        (vantage.clone(), weight, matrix.costs(row).to_vec())
    });
    let weighed = CostMatrix::from_costs(matrix.columns.clone(), rows);
    let names = made.estimated.iter().filter_map(|column| matrix.columns.get(*column));
    Some(DeploymentFacts {
        population: population.as_str(),
        estimated: names.cloned().collect(),
        models: made.models.iter().map(model).collect(),
        choices: frontier(&weighed)?,
    })
}

fn model(model: &SeriesModel) -> ModelFacts {
    ModelFacts {
        connection: model.connection.as_str(),
        multiplier: round_ms(model.fit.multiplier),
        service_ms: round_ms(model.fit.service_ms),
        error_p50: model.error_share(0.5).map(round_share),
        error_p90: model.error_share(0.9).map(round_share),
    }
}

/// The median responses of Regional endpoints.
fn responses(material: &Material<'_>, population: Population) -> Vec<Measured> {
    let vantages = material.vantages();
    let regional = |id: &str| {
        let of_id = material.config.endpoints.iter().find(|endpoint| endpoint.id == id)?;
        (of_id.kind == EndpointKind::Regional).then(|| of_id.region.clone())
    };
    let cell = |((vantage, endpoint, connection), response_ms): (&(String, String, _), &f64)| {
        let is_own = vantages.get(vantage.as_str()) == Some(&population);
        Some(Measured {
            vantage: vantage.clone(),
            endpoint: endpoint.clone(),
            region: regional(endpoint).filter(|_| is_own)?,
            connection: *connection,
            response_ms: *response_ms,
        })
    };
    material.series.iter().filter_map(cell).collect()
}

/// The medians of round trips that the vantages of one population took, by vantage and Region.
fn round_trips(material: &Material<'_>, population: Population) -> BTreeMap<(String, String), f64> {
    let vantages = material.vantages();
    let medians = material.totals.round_trips.iter().filter_map(|((vantage, target), tally)| {
        let us = tally.histogram().quantile_us(0.5)?;
        let is_own = vantages.get(vantage.as_str()) == Some(&population);
        is_own.then(|| (vantage.as_str(), target.as_str(), super::us_to_ms(us)))
    });
    placement::round_trips(material.config, medians)
}

fn frontier(matrix: &CostMatrix) -> Option<Vec<ChoiceFacts>> {
    let most = matrix.columns.len().min(K_MAX);
    if most < 2 {
        return None;
    }
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
    Some(plain_frontier(matrix, most, ASKS_MAX).into_iter().map(choice).collect())
}
