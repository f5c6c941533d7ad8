//! What could be answered at the edge, what that would save each vantage, and within which limits.
//!
//! What an edge's answer costs is measured, not modelled: it is what the same vantage pays for an
//! object in the edge's cache, in the same window. Arithmetic and words; it reads nothing.

use std::collections::BTreeMap;

use probe::config::{Config, Target, TargetKind};
use probe::sample::Connection;

use super::endpoint_kind::{KindVerdict, WindowMedians, kind_verdict};

/// What an answer at the edge would save one vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct EdgeSaving {
    /// Who measured.
    pub vantage: String,
    /// The endpoint that serves it best.
    pub endpoint: String,
    /// The object in the edge's cache that it is compared with.
    pub at_edge: String,
    /// The edge against the endpoint: the gain is what is saved, by `cost_ms`.
    pub verdict: KindVerdict,
}

/// Compares each vantage's best endpoint with the edge that is cheapest for it, by pairs of windows.
/// `best` is by vantage, `edges` are targets of which `medians` holds cache hits only.
#[must_use]
pub fn edge_savings(
    best: &BTreeMap<String, String>,
    edges: &[String],
    medians: &WindowMedians,
    (cold_share, alpha): (f64, f64),
) -> Vec<EdgeSaving> {
    let saving = |(vantage, endpoint): (&String, &String)| {
        let now = costs(medians, vantage, endpoint, cold_share);
        let paired = |edge: &String| {
            let there = costs(medians, vantage, edge, cold_share);
            let pairs: Vec<(f64, f64)> = there
                .into_iter()
                .filter_map(|(start, edge_ms)| Some((edge_ms, *now.get(&start)?)))
                .collect();
            (edge.clone(), kind_verdict(&pairs, alpha))
        };
        let gain = |verdict: &KindVerdict| verdict.difference().map_or(f64::MIN, |d| d.gain_ms);
        let compared = edges.iter().map(paired);
        let (at_edge, verdict) = compared.max_by(|a, b| gain(&a.1).total_cmp(&gain(&b.1)))?;
        let (vantage, endpoint) = (vantage.clone(), endpoint.clone());
        Some(EdgeSaving { vantage, endpoint, at_edge, verdict })
    };
    best.iter().filter_map(saving).collect()
}

/// `cost_ms` by the start of the window, where the series that it is made of are all there.
fn costs(
    medians: &WindowMedians,
    vantage: &str,
    target: &str,
    cold_share: f64,
) -> BTreeMap<i64, f64> {
    let parts = [(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)];
    let mut sums: BTreeMap<i64, (f64, usize)> = BTreeMap::new();
    let used: Vec<(Connection, f64)> =
        parts.into_iter().filter(|(_, share)| *share > 0.0).collect();
    for (connection, share) in &used {
        let (target, vantage) = (target.to_owned(), vantage.to_owned());
        let from = (*connection, target.clone(), vantage.clone(), i64::MIN);
        let to = (*connection, target, vantage, i64::MAX);
        for ((.., start), ms) in medians.range(from..=to) {
            let sum = sums.entry(*start).or_default();
            *sum = (sum.0 + share * ms, sum.1 + 1);
        }
    }
    let whole = sums.into_iter().filter(|(_, (_, parts))| *parts == used.len());
    whole.map(|(start, (ms, _))| (start, ms)).collect()
}

/// Where a request could be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answerable {
    /// An edge answers it already.
    AlreadyThere,
    /// The edge's cache could keep it: a public document that is read.
    Cache,
    /// A function at the edge, where the answer needs no storage.
    Function,
    /// The functions read storage: an edge would have the same way to it.
    NeedsData,
    /// It changes something, or carries a body: its origin.
    Origin,
}

impl Answerable {
    /// The word for scripts.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::AlreadyThere => "already-there",
            Self::Cache => "cache",
            Self::Function => "function",
            Self::NeedsData => "needs-data",
            Self::Origin => "origin",
        }
    }
}

/// Where each endpoint and target could be answered. `reads_storage` says which endpoints told of
/// storage in `server-timing`.
#[must_use]
pub fn answerable(
    config: &Config,
    reads_storage: impl Fn(&str) -> bool,
) -> Vec<(String, Answerable)> {
    let of_endpoint = |id: &String| {
        let what = if reads_storage(id) { Answerable::NeedsData } else { Answerable::Function };
        (id.clone(), what)
    };
    let of_target = |target: &Target| {
        let reads = matches!(target.ask.method.as_str(), "GET" | "HEAD");
        let what = match target.kind {
            _ if !reads || !target.ask.body.is_empty() => Answerable::Origin,
            TargetKind::Static => Answerable::AlreadyThere,
            TargetKind::Auth => Answerable::Cache,
            TargetKind::Data => Answerable::Origin,
            TargetKind::Api | TargetKind::Edge | TargetKind::Candidate => return None,
        };
        Some((target.id.clone(), what))
    };
    let endpoints = config.endpoints.iter().map(|endpoint| of_endpoint(&endpoint.id));
    endpoints.chain(config.targets.iter().filter_map(of_target)).collect()
}

/// One way of answering at the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeTechnique {
    /// Its name.
    pub name: &'static str,
    /// What it can answer.
    pub can: &'static str,
    /// What bounds it.
    pub limits: &'static str,
}

/// The ways, the simplest first (`CloudFront`'s guide: "Differences between CloudFront Functions and
/// Lambda@Edge", "Restrictions on Lambda@Edge", "Quotas").
pub const EDGE_TECHNIQUES: [EdgeTechnique; 3] = [
    EdgeTechnique {
        name: "the edge's cache",
        can: "what is the same for many and may be old for its TTL: pages, public keys, catalogues",
        limits: "GET and HEAD only; what depends on a header, cookie or query must have it in the \
                 cache key; POST, PUT, PATCH and DELETE pass through",
    },
    EdgeTechnique {
        name: "CloudFront Functions",
        can: "redirects, refusals, header and URL rewriting, a token's signature and expiry",
        limits: "JavaScript, viewer events only, 10 KB of code, 2 MB of memory, under a \
                 millisecond, no network and no request body",
    },
    EdgeTechnique {
        name: "Lambda@Edge",
        can: "answers that need code or a call over the network",
        limits: "Node.js or Python, deployed from us-east-1 by version number, without environment \
                 variables, layers or VPC; viewer events 128 MB, 5 s and a response of 40 KB, \
                 origin events 10,240 MB, 30 s and 1 MB; 10,000 requests a second and 1,000 at \
                 once for each Region; a call to storage has the way from the edge to it",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn medians(series: &[(Connection, &str, f64)]) -> WindowMedians {
        let mut medians = WindowMedians::new();
        for (connection, target, ms) in series {
            for start in 0..40 {
                let key = (*connection, (*target).to_owned(), "v".to_owned(), start);
                medians.insert(key, ms + f64::from(i8::try_from(start % 3).unwrap()));
            }
        }
        medians
    }

    #[test]
    fn the_saving_is_what_the_same_window_pays_less_for_a_hit() {
        let medians = medians(&[
            (Connection::Cold, "api", 200.0),
            (Connection::Warm, "api", 100.0),
            (Connection::Cold, "page", 30.0),
            (Connection::Warm, "page", 10.0),
            (Connection::Cold, "half", 1.0),
        ]);
        let best = BTreeMap::from([("v".to_owned(), "api".to_owned())]);
        let edges = ["page".to_owned(), "half".to_owned()];
        let savings = edge_savings(&best, &edges, &medians, (0.2, 0.05));
        assert_eq!((savings.len(), savings[0].at_edge.as_str()), (1, "page"));
        let told = savings[0].verdict.difference().unwrap();
        assert_eq!((savings[0].verdict.code(), told.pairs), ("faster", 40));
        assert!((told.gain_ms - (120.0 - 14.0)).abs() < 1e-9, "{told:?}");
        // Without its warm half a cost is not known.
        let savings = edge_savings(&best, &edges[1..], &medians, (0.2, 0.05));
        assert_eq!(savings[0].verdict, KindVerdict::InsufficientData { pairs: 0 });
        assert!(edge_savings(&best, &[], &medians, (0.2, 0.05)).is_empty());
    }
}
