//! A cost matrix of what is deployed and of what could be: measured costs where there is an endpoint,
//! estimates where only round trips to a candidate were measured.

use std::collections::{BTreeMap, BTreeSet};

use probe::sample::Connection;

use super::estimate::{Fit, Hops, LeftOut, Observed, fit, leave_one_out};
use super::matrix::CostMatrix;

/// One measured series: the median response of an endpoint at a vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Who measured.
    pub vantage: String,
    /// The endpoint's id.
    pub endpoint: String,
    /// The Region that it stands in.
    pub region: String,
    /// Over which kind of connection.
    pub connection: Connection,
    /// The median response, in ms.
    pub response_ms: f64,
}

/// The model of one connection series, and how it does where the truth is known.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesModel {
    /// Which series.
    pub connection: Connection,
    /// The model, fitted on every endpoint.
    pub fit: Fit,
    /// Each endpoint estimated from the others; empty with fewer than three endpoints.
    pub left_out: Vec<LeftOut>,
}

impl SeriesModel {
    /// The error that this share of the left-out estimates does not exceed, as a share of the truth.
    #[must_use]
    pub fn error_share(&self, quantile: f64) -> Option<f64> {
        let mut errors: Vec<f64> = self.left_out.iter().map(LeftOut::error_share).collect();
        errors.sort_by(f64::total_cmp);
        let last = errors.len().checked_sub(1)?;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a share of a length"
        )]
        let at = (quantile * last as f64).ceil() as usize;
        errors.get(at).copied()
    }
}

/// A matrix whose columns are endpoints and candidate Regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Vantage x column, `cost_ms`.
    pub matrix: CostMatrix,
    /// The columns whose costs are estimates.
    pub estimated: BTreeSet<usize>,
    /// The models behind them, one for each series that the cost is made of.
    pub models: Vec<SeriesModel>,
}

/// Puts measured endpoints and candidate Regions together. `round_trips` is by vantage and Region.
/// A Region that has an endpoint is no candidate. Without enough endpoints for a model the matrix
/// has what is measured only.
#[must_use]
pub fn deployment(
    measured: &[Measured],
    round_trips: &BTreeMap<(String, String), f64>,
    cold_share: f64,
) -> Deployment {
    let parts: Vec<(Connection, f64)> =
        [(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)]
            .into_iter()
            .filter(|(_, share)| *share > 0.0)
            .collect();
    let models: Vec<SeriesModel> = parts
        .iter()
        .filter_map(|(connection, _)| model(measured, round_trips, *connection))
        .collect();
    let endpoints: BTreeSet<&str> = measured.iter().map(|cell| cell.endpoint.as_str()).collect();
    let regions: BTreeSet<&str> = measured.iter().map(|cell| cell.region.as_str()).collect();
    let mut columns: BTreeSet<&str> = endpoints.clone();
    if models.len() == parts.len() {
        let candidates = round_trips.keys().map(|(_, region)| region.as_str());
        columns.extend(candidates.filter(|region| !regions.contains(region)));
    }
    let vantages: BTreeSet<&str> = measured.iter().map(|cell| cell.vantage.as_str()).collect();
    let cost = |vantage: &str, column: &str| {
        let key = (vantage.to_owned(), column.to_owned());
        let series = parts.iter().enumerate().map(|(at, (connection, share))| {
            let response_ms = if endpoints.contains(column) {
                response(measured, vantage, column, *connection)?
            } else {
                models[at].fit.estimate_ms(*round_trips.get(&key)?, 0.0)
            };
            Some(share * response_ms)
        });
        series.sum::<Option<f64>>()
    };
    let rows = vantages.iter().map(|vantage| {
        let costs = columns.iter().map(|column| cost(vantage, column)).collect();
        ((*vantage).to_owned(), 1.0, costs)
    });
    let estimated = columns.iter().enumerate().filter(|(_, column)| !endpoints.contains(*column));
    let estimated = estimated.map(|(at, _)| at).collect();
    let names = columns.iter().map(|column| (*column).to_owned()).collect();
    Deployment { matrix: CostMatrix::from_costs(names, rows), estimated, models }
}

fn response(
    measured: &[Measured],
    vantage: &str,
    endpoint: &str,
    connection: Connection,
) -> Option<f64> {
    let is_it = |cell: &&Measured| {
        cell.vantage == vantage && cell.endpoint == endpoint && cell.connection == connection
    };
    measured.iter().find(is_it).map(|cell| cell.response_ms)
}

fn model(
    measured: &[Measured],
    round_trips: &BTreeMap<(String, String), f64>,
    connection: Connection,
) -> Option<SeriesModel> {
    let of_series = measured.iter().filter(|cell| cell.connection == connection);
    let observed: Vec<Observed> = of_series
        .filter_map(|cell| {
            let key = (cell.vantage.clone(), cell.region.clone());
            Some(Observed {
                vantage: cell.vantage.clone(),
                endpoint: cell.endpoint.clone(),
                round_trip_ms: *round_trips.get(&key)?,
                response_ms: cell.response_ms,
            })
        })
        .collect();
    // Where the data stands is not known here: the way to it counts as service time.
    let hops = Hops::new();
    let fit = fit(&observed, &hops, &[])?;
    Some(SeriesModel { connection, fit, left_out: leave_one_out(&observed, &hops) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(regions: &[&str]) -> (Vec<Measured>, BTreeMap<(String, String), f64>) {
        let mut measured = Vec::new();
        let mut round_trips = BTreeMap::new();
        for vantage in 0..4_u8 {
            for (at, region) in (0_u8..).zip(&["r0", "r1", "r2", "r3"]) {
                let round_trip_ms = 3.0 + f64::from((vantage * 3 + at * 5) % 7) * 20.0;
                round_trips.insert((format!("v{vantage}"), (*region).to_owned()), round_trip_ms);
                for (connection, trips) in [(Connection::Cold, 3.0), (Connection::Warm, 1.0)] {
                    if regions.contains(region) {
                        measured.push(Measured {
                            vantage: format!("v{vantage}"),
                            endpoint: (*region).to_owned(),
                            region: (*region).to_owned(),
                            connection,
                            response_ms: trips * round_trip_ms + 40.0,
                        });
                    }
                }
            }
        }
        (measured, round_trips)
    }

    #[test]
    fn candidates_are_estimated_and_endpoints_measured() {
        let (cells, round_trips) = measured(&["r0", "r1", "r2"]);
        let made = deployment(&cells, &round_trips, 0.2);
        assert_eq!(made.matrix.columns, ["r0", "r1", "r2", "r3"]);
        assert_eq!(made.estimated, BTreeSet::from([3]));
        assert_eq!(made.models.len(), 2);
        assert!(made.models.iter().all(|model| model.error_share(0.9) < Some(1e-9)));
        for vantage in 0..4 {
            for (column, region) in made.matrix.columns.iter().enumerate() {
                let trip = round_trips[&(format!("v{vantage}"), region.clone())];
                let cost = made.matrix.costs(vantage)[column].unwrap();
                assert!((cost - (1.4 * trip + 40.0)).abs() < 1e-9, "{vantage} {region}: {cost}");
            }
        }
    }

    #[test]
    fn without_a_model_nothing_is_estimated() {
        let (cells, round_trips) = measured(&["r0"]);
        let made = deployment(&cells, &round_trips, 0.2);
        assert_eq!(made.matrix.columns, ["r0"]);
        assert!(made.estimated.is_empty() && made.models.is_empty());
    }
}
