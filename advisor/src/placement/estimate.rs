//! What a Region would cost where nothing is deployed: round trips to a candidate there, times the
//! round trips that a response takes, plus the service time seen elsewhere, plus the way to the data.
//!
//! One model for each connection series: `response = multiplier x round trip + service + trips x hop`,
//! in which hop is the round trip from the endpoint's Region to the data tier. An estimate is always
//! given with the error that such estimates have where the truth was measured.

use std::collections::{BTreeMap, BTreeSet};

/// The share of truths that lie within the printed interval.
const INTERVAL: f64 = 0.9;
/// Endpoints at least: one alone says nothing of another.
const ENDPOINTS_MIN: usize = 2;

/// One measured cell of one connection series.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// Who measured.
    pub vantage: String,
    /// What was measured.
    pub endpoint: String,
    /// The median round trip to the endpoint's Region, in ms.
    pub round_trip_ms: f64,
    /// The median response time, in ms.
    pub response_ms: f64,
}

/// The round trip between each endpoint's Region and the data tier, in ms; an endpoint that is not
/// in it, or an empty one, has its data beside it.
pub type Hops = BTreeMap<String, f64>;

/// The model of one connection series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fit {
    /// Round trips that a response takes.
    pub multiplier: f64,
    /// What remains without them: the service time, in ms.
    pub service_ms: f64,
    /// Round trips to the data tier for each response.
    pub trips_to_data: f64,
}

impl Fit {
    /// The response time at a round trip and a hop to the data tier, all in ms.
    #[must_use]
    pub fn estimate_ms(&self, round_trip_ms: f64, hop_ms: f64) -> f64 {
        self.multiplier * round_trip_ms + self.service_ms + self.trips_to_data * hop_ms
    }
}

/// An estimate of what was measured, made without it.
#[derive(Debug, Clone, PartialEq)]
pub struct LeftOut {
    /// Who measured.
    pub vantage: String,
    /// What was measured, and left out of the fit.
    pub endpoint: String,
    /// The estimate, in ms.
    pub estimate_ms: f64,
    /// The truth, in ms.
    pub measured_ms: f64,
    /// The interval that was given for it; `None` with fewer than three endpoints.
    pub interval_ms: Option<(f64, f64)>,
}

impl LeftOut {
    /// By how much the estimate missed, as a share of the truth.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        (self.estimate_ms - self.measured_ms).abs() / self.measured_ms
    }
}

/// Fits the model to all endpoints but `without`. `None` with fewer than two of them, or where no
/// two vantages of one endpoint have different round trips.
#[must_use]
pub fn fit(observed: &[Observed], hops: &Hops, without: &[&str]) -> Option<Fit> {
    let used: Vec<&Observed> =
        observed.iter().filter(|cell| !without.contains(&cell.endpoint.as_str())).collect();
    let endpoints: BTreeSet<&str> = used.iter().map(|cell| cell.endpoint.as_str()).collect();
    if endpoints.len() < ENDPOINTS_MIN {
        return None;
    }
    let multiplier = slope(&endpoints, &used)?;
    // What each endpoint needs beyond round trips; hops tell how much of it is the way to the data.
    let rests: Vec<(f64, f64)> = endpoints
        .iter()
        .map(|endpoint| {
            let of = used.iter().filter(|cell| cell.endpoint == *endpoint);
            let rest = of.map(|cell| (cell.response_ms - multiplier * cell.round_trip_ms, 1.0));
            (hops.get(*endpoint).copied().unwrap_or(0.0), weighted_median(rest.collect()))
        })
        .collect();
    let trips_to_data = pairs(&rests).map_or(0.0, |slope| slope.max(0.0));
    let services = rests.iter().map(|(hop, rest)| (rest - trips_to_data * hop, 1.0));
    let service_ms = weighted_median(services.collect()).max(0.0);
    Some(Fit { multiplier, service_ms, trips_to_data })
}

/// Leaves each endpoint out in turn and estimates it from the others.
#[must_use]
pub fn leave_one_out(observed: &[Observed], hops: &Hops) -> Vec<LeftOut> {
    let endpoints: BTreeSet<&str> = observed.iter().map(|cell| cell.endpoint.as_str()).collect();
    let mut left_out = Vec::with_capacity(observed.len());
    for endpoint in &endpoints {
        let Some(fit) = fit(observed, hops, &[endpoint]) else { continue };
        // Errors of the same kind, of which none has seen the endpoint.
        let others = endpoints.iter().filter(|other| *other != endpoint);
        let errors: Vec<f64> =
            others.flat_map(|other| errors(observed, hops, &[endpoint, other])).collect();
        for cell in observed.iter().filter(|cell| cell.endpoint == *endpoint) {
            let hop_ms = hops.get(*endpoint).copied().unwrap_or(0.0);
            let estimate_ms = fit.estimate_ms(cell.round_trip_ms, hop_ms);
            left_out.push(LeftOut {
                vantage: cell.vantage.clone(),
                endpoint: cell.endpoint.clone(),
                estimate_ms,
                measured_ms: cell.response_ms,
                interval_ms: interval(estimate_ms, &errors),
            });
        }
    }
    left_out
}

/// The interval of an estimate from leave-one-out errors, each `truth - estimate` in ms: what varies
/// is the service time and the way to the data, which do not grow with the round trip.
#[must_use]
pub fn interval(estimate_ms: f64, errors: &[f64]) -> Option<(f64, f64)> {
    let mut sorted = errors.to_vec();
    sorted.sort_by(f64::total_cmp);
    let tail = (1.0 - INTERVAL) / 2.0;
    // The k-th of n is exceeded with probability 1 - k / (n + 1); between two of them in proportion,
    // and at the outermost where there are too few.
    let rank = (tail * (sorted.len() + 1) as f64 - 1.0).max(0.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a length"
    )]
    let at = rank as usize;
    let between = |a: f64, b: f64| a + (b - a) * rank.fract();
    let low = between(*sorted.get(at)?, *sorted.get(at + 1)?);
    sorted.reverse();
    let high = between(sorted[at], sorted[at + 1]);
    Some((estimate_ms + low, estimate_ms + high))
}

/// `truth - estimate` in ms of the last endpoint of `without`, by a fit without all of them.
fn errors(observed: &[Observed], hops: &Hops, without: &[&str]) -> Vec<f64> {
    let (Some(fit), Some(endpoint)) = (fit(observed, hops, without), without.last()) else {
        return Vec::new();
    };
    let hop_ms = hops.get(*endpoint).copied().unwrap_or(0.0);
    let of = observed.iter().filter(|cell| cell.endpoint == *endpoint);
    of.map(|cell| cell.response_ms - fit.estimate_ms(cell.round_trip_ms, hop_ms)).collect()
}

/// The slope of responses over round trips, within endpoints: their service times differ.
fn slope(endpoints: &BTreeSet<&str>, used: &[&Observed]) -> Option<f64> {
    let mut slopes = Vec::new();
    for endpoint in endpoints {
        let cells = used.iter().filter(|cell| cell.endpoint == *endpoint);
        let points: Vec<(f64, f64)> =
            cells.map(|cell| (cell.round_trip_ms, cell.response_ms)).collect();
        slopes.extend(slopes_of(&points));
    }
    (!slopes.is_empty()).then(|| weighted_median(slopes))
}

fn pairs(points: &[(f64, f64)]) -> Option<f64> {
    let slopes = slopes_of(points);
    (!slopes.is_empty()).then(|| weighted_median(slopes))
}

/// Slopes between all pairs of points, each with its distance as weight (Sen 1968, weighted as
/// Jaeckel 1972 does: a slope between near points says little).
fn slopes_of(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut slopes = Vec::new();
    for (at, a) in points.iter().enumerate() {
        for b in &points[at + 1..] {
            let distance = (b.0 - a.0).abs();
            if distance > 0.0 {
                slopes.push(((b.1 - a.1) / (b.0 - a.0), distance));
            }
        }
    }
    slopes
}

/// The median of values with weights; 0 of nothing.
fn weighted_median(mut values: Vec<(f64, f64)>) -> f64 {
    values.sort_by(|a, b| a.0.total_cmp(&b.0));
    let half = values.iter().map(|(_, weight)| weight).sum::<f64>() / 2.0;
    let mut below = 0.0;
    for (at, (value, weight)) in values.iter().enumerate() {
        below += weight;
        if below < half {
            continue;
        }
        // Exactly half on either side: between the two in the middle.
        let next = values.get(at + 1).filter(|_| below <= half);
        return next.map_or(*value, |next| f64::midpoint(*value, next.0));
    }
    values.last().map_or(0.0, |(value, _)| *value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(multiplier: f64, trips: f64) -> (Vec<Observed>, Hops) {
        let endpoints = [("a", 0.0), ("b", 80.0), ("c", 30.0)];
        let hops = endpoints.map(|(id, hop)| (id.to_owned(), hop)).into();
        let mut observed = Vec::new();
        for (at, (endpoint, hop)) in endpoints.into_iter().enumerate() {
            for vantage in 0..6_u8 {
                let round_trip_ms = 2.0 + f64::from(vantage) * 31.0 + at as f64 * 7.0;
                observed.push(Observed {
                    vantage: format!("v{vantage}"),
                    endpoint: endpoint.to_owned(),
                    round_trip_ms,
                    response_ms: multiplier * round_trip_ms + 25.0 + trips * hop,
                });
            }
        }
        (observed, hops)
    }

    #[test]
    fn the_model_is_found_and_what_is_left_out_is_met() {
        for (multiplier, trips) in [(1.0, 0.0), (3.0, 1.0), (4.0, 2.0)] {
            let (observed, hops) = world(multiplier, trips);
            let fit = fit(&observed, &hops, &[]).unwrap();
            assert!((fit.multiplier - multiplier).abs() < 1e-9, "{fit:?}");
            assert!((fit.service_ms - 25.0).abs() < 1e-9, "{fit:?}");
            assert!((fit.trips_to_data - trips).abs() < 1e-9, "{fit:?}");
            let left_out = leave_one_out(&observed, &hops);
            assert_eq!(left_out.len(), observed.len());
            assert!(left_out.iter().all(|cell| cell.error_share() < 1e-9), "{left_out:?}");
        }
    }

    #[test]
    fn one_endpoint_says_nothing_of_another() {
        let (observed, hops) = world(3.0, 0.0);
        assert_eq!(fit(&observed, &hops, &["a", "b"]), None);
        let two: Vec<Observed> =
            observed.iter().filter(|cell| cell.endpoint != "c").cloned().collect();
        assert!(leave_one_out(&two, &hops).is_empty());
    }

    #[test]
    fn intervals_leave_a_twentieth_on_either_side() {
        let errors: Vec<f64> = (0..99).map(|n| f64::from(n - 49)).collect();
        let (low, high) = interval(100.0, &errors).unwrap();
        assert!((low - 55.0).abs() < 1e-9 && (high - 145.0).abs() < 1e-9, "{low} {high}");
        assert_eq!(interval(100.0, &[]), None);
    }
}
