//! Which kind of endpoint is faster in one Region: Regional, edge-optimized, or `CloudFront` in front.
//!
//! It judges pairs that were measured in the same window by the same vantage, and says what to do
//! about edge-optimized domains. Arithmetic and words; it reads nothing.

use std::collections::BTreeMap;

use probe::config::{Endpoint, EndpointKind};
use probe::sample::Connection;

use crate::statistics::{median, median_interval};

/// Pairs that a verdict needs.
pub const PAIRS_MIN: usize = 30;

/// What pairs say of two endpoints, the first against the second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum KindVerdict {
    /// Too few pairs.
    InsufficientData {
        /// How many there are.
        pairs: usize,
    },
    /// The interval of the difference spans zero.
    NoDifference(Difference),
    /// The first is faster.
    Faster(Difference),
    /// The first is slower.
    Slower(Difference),
}

/// The second's response minus the first's, in ms: what the first gains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// How many pairs.
    pub pairs: usize,
    /// The median.
    pub gain_ms: f64,
    /// Its interval by order statistics, at the level asked for.
    pub interval_ms: (f64, f64),
}

impl KindVerdict {
    /// The word for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::InsufficientData { .. } => "insufficient-data",
            Self::NoDifference(_) => "no-difference",
            Self::Faster(_) => "faster",
            Self::Slower(_) => "slower",
        }
    }

    /// The difference, where there is data enough.
    #[must_use]
    pub fn difference(&self) -> Option<Difference> {
        match self {
            Self::InsufficientData { .. } => None,
            Self::NoDifference(difference)
            | Self::Faster(difference)
            | Self::Slower(difference) => Some(*difference),
        }
    }
}

/// Judges pairs of responses (first, second), in ms, at level `1 - alpha`.
#[must_use]
pub fn kind_verdict(pairs: &[(f64, f64)], alpha: f64) -> KindVerdict {
    let gains: Vec<f64> = pairs.iter().map(|(first, second)| second - first).collect();
    let told = median(&gains).zip(median_interval(&gains, alpha));
    let Some((gain_ms, interval_ms)) = told.filter(|_| gains.len() >= PAIRS_MIN) else {
        return KindVerdict::InsufficientData { pairs: pairs.len() };
    };
    let difference = Difference { pairs: pairs.len(), gain_ms, interval_ms };
    if interval_ms.0 > 0.0 {
        KindVerdict::Faster(difference)
    } else if interval_ms.1 < 0.0 {
        KindVerdict::Slower(difference)
    } else {
        KindVerdict::NoDifference(difference)
    }
}

/// Two endpoints of one Region that are of different kinds.
#[derive(Debug, Clone, PartialEq)]
pub struct KindComparison {
    /// Their Region.
    pub region: String,
    /// The first's id.
    pub first: String,
    /// The second's id.
    pub second: String,
    /// Over which kind of connection.
    pub connection: Connection,
    /// The first against the second.
    pub verdict: KindVerdict,
}

/// Median responses in ms by connection, endpoint, vantage and start of the window.
pub type WindowMedians = BTreeMap<(Connection, String, String, i64), f64>;

/// Compares all endpoints of different kinds that stand in one Region, cold and warm apart.
#[must_use]
pub fn compare_kinds(
    endpoints: &[Endpoint],
    medians: &WindowMedians,
    alpha: f64,
) -> Vec<KindComparison> {
    let mut comparisons = Vec::new();
    for (at, first) in endpoints.iter().enumerate() {
        let differs =
            |second: &&Endpoint| second.region == first.region && second.kind != first.kind;
        for second in endpoints[at + 1..].iter().filter(differs) {
            for connection in [Connection::Cold, Connection::Warm] {
                let pairs = pairs(medians, connection, &first.id, &second.id);
                comparisons.push(KindComparison {
                    region: first.region.clone(),
                    first: first.id.clone(),
                    second: second.id.clone(),
                    connection,
                    verdict: kind_verdict(&pairs, alpha),
                });
            }
        }
    }
    comparisons
}

/// Medians of the same vantage and window.
fn pairs(
    medians: &WindowMedians,
    connection: Connection,
    first: &str,
    second: &str,
) -> Vec<(f64, f64)> {
    let of_first = medians.iter().filter(|((c, id, ..), _)| *c == connection && id == first);
    let pair = |((_, _, vantage, start), ms): (&(Connection, String, String, i64), &f64)| {
        let key = (connection, second.to_owned(), vantage.clone(), *start);
        Some((*ms, *medians.get(&key)?))
    };
    of_first.filter_map(pair).collect()
}

/// Whether an edge-optimized endpoint shares the service name with another endpoint.
#[must_use]
pub fn is_edge_optimized_trap(endpoints: &[Endpoint]) -> bool {
    endpoints.len() > 1 && endpoints.iter().any(|e| e.kind == EndpointKind::EdgeOptimized)
}

/// Why an edge-optimized domain cannot be routed between Regions.
pub const EDGE_OPTIMIZED_TRAP: &str = "an edge-optimized domain name exists once for all Regions: it cannot stand in \
     two of them under one name, so that Route 53 has nothing to choose between";

/// How to make an edge-optimized domain Regional without downtime, in order.
pub const EDGE_OPTIMIZED_MIGRATION: [&str; 5] = [
    "request an ACM certificate for the name in each Region (the edge's own lies in us-east-1)",
    "UpdateDomainName: add /endpointConfiguration/types REGIONAL and add /regionalCertificateArn; \
     both endpoints then stand side by side, within a minute",
    "create the same custom domain as REGIONAL in each further Region, with its base path mappings",
    "switch DNS: latency records that alias each regionalDomainName (its zone is \
     regionalHostedZoneId), by `advisor plan` and `advisor apply`",
    "when nobody resolves the old name any more: UpdateDomainName: remove \
     /endpointConfiguration/types EDGE, and UpdateRestApi: replace \
     /endpointConfiguration/types/EDGE with REGIONAL",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(count: i32, gain: impl Fn(i32) -> f64) -> Vec<(f64, f64)> {
        (0..count).map(|n| (100.0, 100.0 + gain(n))).collect()
    }

    #[test]
    fn verdicts() {
        let few = kind_verdict(&pairs(29, |_| 50.0), 0.05);
        assert_eq!(few, KindVerdict::InsufficientData { pairs: 29 });
        let faster = kind_verdict(&pairs(60, |n| 10.0 + f64::from(n % 7)), 0.05);
        assert_eq!((faster.code(), faster.difference().map(|d| d.gain_ms)), ("faster", Some(13.0)));
        let slower = kind_verdict(&pairs(60, |n| -10.0 - f64::from(n % 7)), 0.05);
        assert_eq!(slower.code(), "slower");
        let same = kind_verdict(&pairs(60, |n| f64::from(n % 7) - 3.0), 0.05);
        assert_eq!(same.code(), "no-difference");
    }
}
