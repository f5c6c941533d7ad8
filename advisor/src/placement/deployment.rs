//! A cost matrix of what is deployed and of what could be: measured costs where there is an endpoint,
//! estimates where only round trips to a candidate were measured.

use std::collections::{BTreeMap, BTreeSet};

use probe::sample::Connection;

use super::estimate::{Fit, Hops, LeftOut, Observed, fit, interval, leave_one_out};
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

/// What a candidate Region would cost its vantages.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Its column.
    pub column: usize,
    /// The mean of its estimates over the vantages that have one, in ms.
    pub mean_ms: f64,
    /// The interval that nine of ten such estimates' truths lie in, each by itself: their mean is
    /// rather surer. `None` with fewer than three endpoints.
    pub interval_ms: Option<(f64, f64)>,
}

/// A matrix whose columns are endpoints and candidate Regions.
#[derive(Debug, Clone, PartialEq)]
pub struct Deployment {
    /// Vantage x column, `cost_ms`.
    pub matrix: CostMatrix,
    /// The columns whose costs are estimates.
    pub estimated: BTreeSet<usize>,
    /// Those columns with their intervals, in their order.
    pub candidates: Vec<Candidate>,
    /// Candidate Regions that are not estimated, since their way to the data is not known.
    pub unestimated: Vec<String>,
    /// The models behind them, one for each series that the cost is made of.
    pub models: Vec<SeriesModel>,
}

impl Deployment {
    /// Of a matrix in which everything is known.
    #[must_use]
    pub fn of_matrix(matrix: CostMatrix) -> Self {
        Self {
            matrix,
            estimated: BTreeSet::new(),
            candidates: Vec::new(),
            unestimated: Vec::new(),
            models: Vec::new(),
        }
    }
}

/// What there is to estimate from.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence<'a> {
    /// The series that were measured at endpoints.
    pub measured: &'a [Measured],
    /// Round trips by vantage and Region, in ms.
    pub round_trips: &'a BTreeMap<(String, String), f64>,
    /// The round trip between each Region and the data tier, in ms; empty where its place is not
    /// known: the way to it counts as service time then.
    pub to_data_ms: &'a BTreeMap<String, f64>,
    /// The share of cold connections in the cost.
    pub cold_share: f64,
}

/// Puts measured endpoints and candidate Regions together. A Region that has an endpoint is no
/// candidate. Without enough endpoints for a model the matrix has what is measured only.
#[must_use]
pub fn deployment(evidence: &Evidence<'_>) -> Deployment {
    let Evidence { measured, round_trips, cold_share, .. } = *evidence;
    let parts: Vec<(Connection, f64)> =
        [(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)]
            .into_iter()
            .filter(|(_, share)| *share > 0.0)
            .collect();
    let models: Vec<SeriesModel> =
        parts.iter().filter_map(|(connection, _)| model(evidence, *connection)).collect();
    let endpoints: BTreeSet<&str> = measured.iter().map(|cell| cell.endpoint.as_str()).collect();
    let regions: BTreeSet<&str> = measured.iter().map(|cell| cell.region.as_str()).collect();
    let mut columns: BTreeSet<&str> = endpoints.clone();
    let mut unestimated = BTreeSet::new();
    // A way to the data that is of weight must be known, and is never assumed.
    let needs_hop = models.iter().any(|model| model.fit.trips_to_data > 0.0);
    if models.len() == parts.len() {
        let candidates = round_trips.keys().map(|(_, region)| region.as_str());
        for region in candidates.filter(|region| !regions.contains(region)) {
            let is_known = !needs_hop || evidence.to_data_ms.contains_key(region);
            if is_known {
                columns.insert(region)
            } else {
                unestimated.insert(region)
            };
        }
    }
    let vantages: BTreeSet<&str> = measured.iter().map(|cell| cell.vantage.as_str()).collect();
    let cost = |vantage: &str, column: &str| {
        let key = (vantage.to_owned(), column.to_owned());
        let series = parts.iter().enumerate().map(|(at, (connection, share))| {
            let response_ms = if endpoints.contains(column) {
                response(measured, vantage, column, *connection)?
            } else {
                let hop_ms = evidence.to_data_ms.get(column).copied().unwrap_or(0.0);
                models[at].fit.estimate_ms(*round_trips.get(&key)?, hop_ms)
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
    let estimated: BTreeSet<usize> = estimated.map(|(at, _)| at).collect();
    let names = columns.iter().map(|column| (*column).to_owned()).collect();
    let matrix = CostMatrix::from_costs(names, rows);
    let errors = cost_errors(&models, &parts);
    Deployment {
        candidates: estimated.iter().filter_map(|at| candidate(&matrix, *at, &errors)).collect(),
        unestimated: unestimated.into_iter().map(str::to_owned).collect(),
        matrix,
        estimated,
        models,
    }
}

fn candidate(matrix: &CostMatrix, column: usize, errors: &[f64]) -> Option<Candidate> {
    let costs: Vec<f64> =
        (0..matrix.clients.len()).filter_map(|client| matrix.costs(client)[column]).collect();
    let mean_ms = costs.iter().sum::<f64>() / costs.len() as f64;
    let interval_ms = interval(mean_ms, errors);
    (!costs.is_empty()).then_some(Candidate { column, mean_ms, interval_ms })
}

/// By how much `cost_ms` was missed where an endpoint was left out: `truth - estimate`, in ms.
fn cost_errors(models: &[SeriesModel], parts: &[(Connection, f64)]) -> Vec<f64> {
    let mut sums: BTreeMap<(&str, &str), (f64, usize)> = BTreeMap::new();
    for model in models {
        let share = parts.iter().find(|(connection, _)| *connection == model.connection);
        let share = share.map_or(0.0, |(_, share)| *share);
        for cell in &model.left_out {
            let sum = sums.entry((&cell.vantage, &cell.endpoint)).or_default();
            sum.0 += share * (cell.measured_ms - cell.estimate_ms);
            sum.1 += 1;
        }
    }
    sums.into_values().filter(|(_, seen)| *seen == parts.len()).map(|(error, _)| error).collect()
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

fn model(evidence: &Evidence<'_>, connection: Connection) -> Option<SeriesModel> {
    let of_series = evidence.measured.iter().filter(|cell| cell.connection == connection);
    let observed: Vec<Observed> = of_series
        .filter_map(|cell| {
            let key = (cell.vantage.clone(), cell.region.clone());
            Some(Observed {
                vantage: cell.vantage.clone(),
                endpoint: cell.endpoint.clone(),
                round_trip_ms: *evidence.round_trips.get(&key)?,
                response_ms: cell.response_ms,
            })
        })
        .collect();
    let hop =
        |cell: &Measured| Some((cell.endpoint.clone(), *evidence.to_data_ms.get(&cell.region)?));
    // Unless every endpoint's way to the data is known, it counts as service time.
    let hops: Hops = evidence.measured.iter().map(hop).collect::<Option<_>>().unwrap_or_default();
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

    fn made(
        measured: &[Measured],
        round_trips: &BTreeMap<(String, String), f64>,
        to_data_ms: &[(&str, f64)],
    ) -> Deployment {
        let to_data_ms = to_data_ms.iter().map(|(r, ms)| ((*r).to_owned(), *ms)).collect();
        deployment(&Evidence { measured, round_trips, to_data_ms: &to_data_ms, cold_share: 0.2 })
    }

    #[test]
    fn candidates_are_estimated_and_endpoints_measured() {
        let (cells, round_trips) = measured(&["r0", "r1", "r2"]);
        let made = made(&cells, &round_trips, &[]);
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
        let told = &made.candidates[0];
        let (low, high) = told.interval_ms.unwrap();
        assert_eq!(told.column, 3);
        assert!((told.mean_ms - low).abs() < 1e-6 && (high - told.mean_ms).abs() < 1e-6);
    }

    #[test]
    fn the_way_to_the_data_is_in_an_estimate_or_there_is_none() {
        let (mut cells, round_trips) = measured(&["r0", "r1", "r2"]);
        let mut to_data_ms = vec![("r0", 2.0), ("r1", 82.0), ("r2", 42.0)];
        for cell in &mut cells {
            let hop = to_data_ms.iter().find(|(region, _)| *region == cell.region).unwrap();
            cell.response_ms += 2.0 * hop.1;
        }
        let without = made(&cells, &round_trips, &to_data_ms);
        assert_eq!((without.unestimated.len(), without.candidates.len()), (1, 0));
        assert_eq!(without.matrix.columns, ["r0", "r1", "r2"]);
        to_data_ms.push(("r3", 100.0));
        let with = made(&cells, &round_trips, &to_data_ms);
        let trip = round_trips[&("v0".to_owned(), "r3".to_owned())];
        let cost = with.matrix.costs(0)[3].unwrap();
        assert!((cost - (1.4 * trip + 40.0 + 200.0)).abs() < 1e-6, "{cost}");
    }

    #[test]
    fn without_a_model_nothing_is_estimated() {
        let (cells, round_trips) = measured(&["r0"]);
        let made = made(&cells, &round_trips, &[]);
        assert_eq!(made.matrix.columns, ["r0"]);
        assert!(made.estimated.is_empty() && made.models.is_empty());
    }
}
