//! What stands behind an edge, by what its answers told of their way: one edge or two, one Region or
//! whichever the edge's own resolver was sent to. Counting and words; it reads nothing.

use std::collections::BTreeMap;

use probe::store::WayRow;

/// Answers that a verdict needs.
pub const ANSWERS_MIN: u64 = 30;
/// The share of answers from which on a way is the way, and not a change that was under way.
const SHARE_MIN: f64 = 0.5;
/// The share of answers that makes a Region one of several.
const REGION_SHARE_MIN: f64 = 0.02;

/// What was seen behind one name that edges serve.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgePath {
    /// The endpoint's or target's id.
    pub target: String,
    /// Answers that came by an edge.
    pub answers: u64,
    /// The share of them that passed two edges or more before API Gateway answered.
    pub twice_share: f64,
    /// How many answers each Region gave, of those that named one.
    pub regions: BTreeMap<String, u64>,
    /// The Region that most answers at each vantage came from.
    pub by_vantage: BTreeMap<String, String>,
}

impl EdgePath {
    /// `CloudFront` in front of an edge-optimized endpoint. `None` with too few answers.
    #[must_use]
    pub fn is_double_hop(&self) -> Option<bool> {
        (self.answers >= ANSWERS_MIN).then_some(self.twice_share >= SHARE_MIN)
    }

    /// `CloudFront` with a name as its origin that Route 53 answers by latency. `None` with too few
    /// answers, or where none names its Region.
    #[must_use]
    pub fn is_origin_by_name(&self) -> Option<bool> {
        let all: u64 = self.regions.values().sum();
        let least = REGION_SHARE_MIN * all as f64;
        let several = self.regions.values().filter(|count| **count as f64 >= least).count() > 1;
        (all >= ANSWERS_MIN).then_some(several)
    }

    /// The words for scripts: every finding, or why there is none.
    #[must_use]
    pub fn codes(&self) -> Vec<&'static str> {
        let found = [
            (self.is_double_hop() == Some(true)).then_some("double-hop"),
            (self.is_origin_by_name() == Some(true)).then_some("origin-by-name"),
        ];
        let codes: Vec<&str> = found.into_iter().flatten().collect();
        match (codes.is_empty(), self.is_double_hop()) {
            (false, _) => codes,
            (true, None) => vec!["insufficient-data"],
            (true, Some(_)) => vec!["one-edge"],
        }
    }
}

/// Adds up the ways of each endpoint and target.
#[must_use]
pub fn edge_paths(rows: &[WayRow]) -> Vec<EdgePath> {
    let mut by_target: BTreeMap<&str, Vec<&WayRow>> = BTreeMap::new();
    for row in rows {
        by_target.entry(&row.series.target).or_default().push(row);
    }
    by_target.into_iter().map(|(target, rows)| edge_path(target, &rows)).collect()
}

fn edge_path(target: &str, rows: &[&WayRow]) -> EdgePath {
    let answers: u64 = rows.iter().map(|row| row.count).sum();
    let is_twice = |row: &&&WayRow| row.way.is_api && row.way.edges >= 2;
    let twice: u64 = rows.iter().filter(is_twice).map(|row| row.count).sum();
    let mut regions: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for row in rows.iter().filter(|row| !row.way.region.is_empty()) {
        *regions.entry(row.way.region.clone()).or_insert(0) += row.count;
        let here = seen.entry(&row.series.vantage).or_default();
        *here.entry(&row.way.region).or_insert(0) += row.count;
    }
    let most = |(vantage, counts): (&str, BTreeMap<&str, u64>)| {
        let (region, _) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        Some((vantage.to_owned(), region.to_owned()))
    };
    EdgePath {
        target: target.to_owned(),
        answers,
        twice_share: if answers == 0 { 0.0 } else { twice as f64 / answers as f64 },
        regions,
        by_vantage: seen.into_iter().filter_map(most).collect(),
    }
}

/// Why two edges are one too many.
pub const DOUBLE_HOP: &str = "CloudFront stands in front of an edge-optimized endpoint, which is \
     CloudFront itself: each request passes two edges, and what the first tells of its user \
     (CloudFront-Viewer-Country and the like) is overwritten by the second";

/// How to take the second edge away without downtime, in order.
pub const DOUBLE_HOP_MIGRATION: [&str; 5] = [
    "UpdateRestApi: replace /endpointConfiguration/types/EDGE with REGIONAL; the execute-api name \
     stays as it is",
    "where the origin is the API's custom domain: request an ACM certificate in the API's own \
     Region, then UpdateDomainName: add /endpointConfiguration/types REGIONAL and add \
     /regionalCertificateArn; both endpoints then stand side by side, within a minute",
    "UpdateDistribution: the origin becomes the regionalDomainName with the custom domain as Host \
     (or the execute-api name, with every viewer header but Host)",
    "measure again: via names one cloudfront.net hop, and this line goes away",
    "then UpdateDomainName: remove /endpointConfiguration/types EDGE",
];

/// What an origin by name means.
pub const ORIGIN_BY_NAME: &str = "the origin is a name that Route 53 answers by latency: the \
     resolver it sees is CloudFront's, near the edge, so that each edge is routed and not each \
     user. A label's catchment is then a set of edges (weigh them by x-edge-location), an answer \
     is kept by the edge for its TTL, and a regret by user networks says nothing about this way";

#[cfg(test)]
mod tests {
    use super::*;
    use probe::sample::{Connection, Series};
    use probe::told::Way;

    fn row(vantage: &str, edges: u8, is_api: bool, region: &str, count: u64) -> WayRow {
        let series = Series {
            vantage: vantage.to_owned(),
            target: "cdn".to_owned(),
            connection: Connection::Warm,
            path: format!("{vantage} miss"),
        };
        WayRow { series, way: Way { edges, is_api, region: region.to_owned() }, count }
    }

    fn codes(rows: &[WayRow]) -> Vec<&'static str> {
        edge_paths(rows)[0].codes()
    }

    #[test]
    fn verdicts() {
        let few = [row("v", 2, true, "", 29)];
        assert_eq!(codes(&few), ["insufficient-data"]);
        let once = [row("v", 1, true, "us", 90), row("w", 1, true, "us", 90)];
        assert_eq!(codes(&once), ["one-edge"]);
        let twice = [row("v", 2, true, "us", 90), row("v", 1, true, "us", 20)];
        assert_eq!(codes(&twice), ["double-hop"]);
        // A cache behind a cache, without API Gateway, is no edge-optimized endpoint.
        assert_eq!(codes(&[row("v", 2, false, "us", 90)]), ["one-edge"]);
        let by_name = [row("v", 1, true, "us", 50), row("w", 1, true, "eu", 50)];
        assert_eq!(codes(&by_name), ["origin-by-name"]);
        let path = &edge_paths(&by_name)[0];
        let seen: Vec<(&str, &str)> =
            path.by_vantage.iter().map(|(v, r)| (v.as_str(), r.as_str())).collect();
        assert_eq!(seen, [("v", "us"), ("w", "eu")]);
        // One answer of a failover is not a second Region.
        let failover = [row("v", 1, true, "us", 99), row("w", 1, true, "eu", 1)];
        assert_eq!(codes(&failover), ["one-edge"]);
    }
}
