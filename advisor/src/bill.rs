//! What a fleet costs a month, before anything runs. Pure: quantities in, dollars out.
//!
//! Prices are those of us-east-1 without free tiers and taxes. Each says where it comes from; one
//! that nobody could confirm here is marked, and so is every line that it is part of.

/// Hours of a month, as AWS counts them.
const HOURS: f64 = 730.0;
/// Memory of a function with one whole processor, GB.
const LAMBDA_GB: f64 = 1_769.0 / 1_024.0;

/// A price.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Price {
    /// US dollars for one unit.
    usd: f64,
    /// Where it was read.
    source: &'static str,
    /// Whether a page of AWS's own confirms it.
    verified: bool,
}

const RECALLED: &str = "recalled, no source at hand";
const ROUGH: &str = "github.com/nishinoshake/aws-rough, issue 37 (2022)";

/// Metrics of a month: up to so many, at so much each.
const METRIC_TIERS: [(f64, f64); 4] =
    [(10_000.0, 0.30), (250_000.0, 0.10), (1_000_000.0, 0.05), (f64::INFINITY, 0.02)];
const METRIC: Price = Price { usd: 0.30, source: ROUGH, verified: false };
const METRIC_ASKED: Price = Price { usd: 0.01 / 1_000.0, source: ROUGH, verified: false };
const ASKED: &str = "metrics asked by GetMetricData";
const API_CALL: Price = Price { usd: 0.01 / 1_000.0, source: RECALLED, verified: false };
const ALARM: Price = Price { usd: 0.10, source: RECALLED, verified: false };
const LAMBDA_CALL: Price = Price { usd: 0.20 / 1e6, source: RECALLED, verified: false };
const LAMBDA_GB_S: Price = Price { usd: 0.000_016_666_7, source: RECALLED, verified: false };
const ZONE: Price = Price { usd: 0.50, source: RECALLED, verified: false };
const LATENCY_QUERIES: Price = Price { usd: 0.60, source: RECALLED, verified: false };
/// Outside AWS, over HTTPS: the dearer reading of a custom domain.
const HEALTH_CHECK: Price = Price { usd: 0.75 + 2.00, source: RECALLED, verified: false };
const ALIAS_QUERY: Price = Price {
    usd: 0.0,
    source: "Route 53 developer guide, choosing between alias and non-alias records",
    verified: true,
};

/// How large a fleet is, and what is done with it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fleet {
    /// Places that measure.
    pub vantages: f64,
    /// Endpoints of the service: each has a health check.
    pub endpoints: f64,
    /// Metrics that are always there.
    pub metrics: f64,
    /// Metrics at most: while everything fails in every way.
    pub metrics_most: f64,
    /// Metrics asked for by one reading of the matrix.
    pub asked: f64,
    /// Readings of the matrix a month.
    pub readings: f64,
    /// Requests that one vantage publishes with a minute; 0 where it runs as a function.
    pub requests_a_minute: f64,
    /// Seconds of one round as a function, once a minute; 0 where probes are none.
    pub lambda_s: f64,
    /// Millions of DNS queries a month that no alias answers.
    pub queries_millions: f64,
}

/// One line of the bill.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// For what.
    pub what: &'static str,
    /// How many.
    pub quantity: f64,
    /// US dollars a month.
    pub usd: f64,
    /// Where the price comes from.
    pub source: &'static str,
    /// Whether the price is confirmed.
    pub verified: bool,
}

/// A month.
#[derive(Debug, Clone, PartialEq)]
pub struct Bill {
    /// What it is made of.
    pub lines: Vec<Line>,
    /// US dollars.
    pub usd: f64,
    /// The same, if every metric that there may be is there all month.
    pub usd_most: f64,
}

/// How often something that lasts `seconds` happens in a month.
#[must_use]
pub fn times_a_month(seconds: f64) -> f64 {
    if seconds > 0.0 { HOURS * 3_600.0 / seconds } else { 0.0 }
}

fn line(what: &'static str, quantity: f64, price: Price) -> Line {
    let Price { usd, source, verified } = price;
    Line { what, quantity, usd: quantity * usd, source, verified }
}

/// What asking CloudWatch for so many metrics costs.
#[must_use]
pub fn asked(metrics: f64) -> Line {
    line(ASKED, metrics, METRIC_ASKED)
}

/// The bill of a fleet.
#[must_use]
pub fn bill(fleet: &Fleet) -> Bill {
    let minutes = HOURS * 60.0;
    let rounds = if fleet.lambda_s > 0.0 { fleet.vantages * minutes } else { 0.0 };
    let puts = fleet.vantages * fleet.requests_a_minute * minutes;
    let mut lines = vec![Line {
        what: "CloudWatch metrics",
        quantity: fleet.metrics,
        usd: metrics_usd(fleet.metrics),
        source: METRIC.source,
        verified: METRIC.verified,
    }];
    let mut add = |what, quantity, price| lines.push(line(what, quantity, price));
    add("PutMetricData requests", puts, API_CALL);
    add(ASKED, fleet.asked * fleet.readings, METRIC_ASKED);
    add("CloudWatch alarms of canaries", fleet.endpoints, ALARM);
    add("Lambda invocations", rounds, LAMBDA_CALL);
    add("Lambda GB-seconds", rounds * fleet.lambda_s * LAMBDA_GB, LAMBDA_GB_S);
    add("Route 53 zone", 1.0, ZONE);
    add("Route 53 health checks", fleet.endpoints, HEALTH_CHECK);
    add("million queries to records that are no alias", fleet.queries_millions, LATENCY_QUERIES);
    add("queries to aliases of API Gateway", 0.0, ALIAS_QUERY);
    let usd: f64 = lines.iter().map(|line| line.usd).sum();
    let more = metrics_usd(fleet.metrics_most) - metrics_usd(fleet.metrics);
    Bill { lines, usd, usd_most: usd + more.max(0.0) }
}

/// Metrics of a month, tier by tier.
fn metrics_usd(metrics: f64) -> f64 {
    let mut below = 0.0;
    METRIC_TIERS
        .iter()
        .map(|(until, usd)| {
            let within = (metrics.min(*until) - below).max(0.0);
            below = *until;
            within * usd
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_tiers() {
        let table = [
            (0.0, 0.0),
            (100.0, 30.0),
            (10_000.0, 3_000.0),
            (20_000.0, 4_000.0),
            (250_000.0, 27_000.0),
            (1_000_000.0, 64_500.0),
            (1_100_000.0, 66_500.0),
        ];
        for (metrics, usd) in table {
            assert!((metrics_usd(metrics) - usd).abs() < 1e-6, "{metrics}");
        }
    }

    #[test]
    fn a_bill_is_the_sum_of_its_lines() {
        let fleet = Fleet {
            vantages: 35.0,
            endpoints: 4.0,
            metrics: 280.0,
            metrics_most: 4_760.0,
            asked: 840.0,
            readings: times_a_month(14_400.0),
            requests_a_minute: 1.0,
            lambda_s: 0.0,
            queries_millions: 2.0,
        };
        let found = bill(&fleet);
        let of = |what: &str| found.lines.iter().find(|line| line.what == what).unwrap().usd;
        assert!((of("CloudWatch metrics") - 84.0).abs() < 1e-9);
        assert!((of("PutMetricData requests") - 35.0 * 43_800.0 * 1e-5).abs() < 1e-9);
        assert!((of("metrics asked by GetMetricData") - 840.0 * 182.5 * 1e-5).abs() < 1e-9);
        assert!((of("Lambda invocations")).abs() < 1e-9);
        assert!((of("Route 53 health checks") - 11.0).abs() < 1e-9);
        let sum: f64 = found.lines.iter().map(|line| line.usd).sum();
        assert!((found.usd - sum).abs() < 1e-9);
        assert!((found.usd_most - found.usd - 0.3 * 4_480.0).abs() < 1e-6);
    }
}
