//! Regret: what Route 53's choice costs each vantage, against each challenger by itself.
//!
//! Pure. The regret of "the best of many" is biased and is not computed here.

use crate::advice::Routing;
use crate::evidence::{Comparison, EvidenceRule, compare};
use crate::matrix::Matrix;
use crate::name::Label;

/// One challenger at one vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct Challenger {
    /// The endpoint.
    pub endpoint: String,
    /// The median over the newest blocks of its cost.
    pub cost_ms: Option<f64>,
    /// Against where Route 53 sends the vantage now.
    pub comparison: Comparison,
}

/// One vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct RegretRow {
    /// The vantage.
    pub vantage: String,
    /// The label that Route 53 prefers for it.
    pub label: Label,
    /// The endpoint behind that label.
    pub endpoint: String,
    /// The median over the newest blocks of its cost.
    pub cost_ms: Option<f64>,
    /// Every other endpoint, by name.
    pub challengers: Vec<Challenger>,
}

/// The regret of every vantage whose preferred label is known, in order of vantage.
#[must_use]
pub fn regret(matrix: &Matrix, routing: &Routing, rule: &EvidenceRule) -> Vec<RegretRow> {
    let recent = matrix.newest(EvidenceRule::slots(rule.blocks));
    let row = |(vantage, label): (&String, &Label)| {
        let endpoint = routing.live.get(label)?;
        let others = matrix.endpoints.iter().filter(|other| *other != endpoint);
        let challengers = others
            .map(|other| Challenger {
                endpoint: other.clone(),
                cost_ms: recent.median_cost_ms(vantage, other),
                comparison: compare(matrix, vantage, (endpoint, other), 0.0, rule),
            })
            .collect();
        Some(RegretRow {
            vantage: vantage.clone(),
            label: label.clone(),
            endpoint: endpoint.clone(),
            cost_ms: recent.median_cost_ms(vantage, endpoint),
            challengers,
        })
    };
    routing.preferred.iter().filter_map(row).collect()
}
