//! From evidence to advice: the endpoint each installed label should point at, and why.
//!
//! Rule 1, the witness rule: cloud evidence only repoints installed labels and never adds one. A
//! vantage is not its catchment, so the witness of an endpoint (the vantage in its own Region) must
//! gain so much that, by the triangle inequality, every client of that endpoint gains; and no
//! vantage of the label's catchment may lose. Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{Comparison, EvidenceRule, compare, success_gate};
use crate::matrix::Matrix;
use crate::name::Label;
use crate::statistics::holm_rejects;

/// The figures of rule 1 beside the block test's own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdviceRule {
    /// The block test.
    pub evidence: EvidenceRule,
    /// What a witness must gain above the least gain: it covers violations of the triangle
    /// inequality.
    pub triangle_ms: f64,
    /// What any vantage of a catchment may lose.
    pub harm_ms: f64,
}

/// Where things are, apart from what was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// The endpoint that each installed label points at now.
    pub live: BTreeMap<Label, String>,
    /// The label that Route 53 prefers for each vantage, given the installed labels.
    pub preferred: BTreeMap<String, Label>,
    /// The witness of each endpoint: the cloud vantage in its own Region.
    pub witnesses: BTreeMap<String, String>,
    /// Vantages that measure from a data centre. Rule 1 looks at no others.
    pub cloud: BTreeSet<String>,
    /// Labels that changed too recently, with the time from which they may change again.
    pub cooling: BTreeMap<Label, i64>,
}

impl Routing {
    /// The cloud vantages for which Route 53 prefers `label`.
    pub fn catchment<'a>(&'a self, label: &'a Label) -> impl Iterator<Item = &'a str> {
        self.preferred
            .iter()
            .filter(move |(vantage, preferred)| {
                *preferred == label && self.cloud.contains(*vantage)
            })
            .map(|(vantage, _)| vantage.as_str())
    }

    fn without(&self, vantage: &str) -> Self {
        let mut rest = self.clone();
        rest.cloud.remove(vantage);
        rest.preferred.remove(vantage);
        rest.witnesses.retain(|_, witness| witness != vantage);
        rest
    }
}

/// Why a challenger may not have a label, or that it may.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Verdict {
    /// Nothing stands against it.
    Admissible,
    /// Fewer valid blocks than the test needs.
    InsufficientData,
    /// The witness does not gain enough, or not surely enough.
    NoGain,
    /// It fails more often: the bound of the excess, a share.
    FailsMore(f64),
    /// A vantage of the catchment would lose this much, in milliseconds.
    Harms(f64),
    /// A vantage of the catchment has no cost at one of the two.
    UnknownCost,
}

/// One challenger, judged for one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Considered {
    /// The endpoint.
    pub challenger: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What the witness measured.
    pub comparison: Comparison,
    /// The vantage that decided a verdict about the catchment.
    pub at: Option<String>,
    /// Mean cost over the witness and the catchment's vantages.
    pub mean_cost_ms: Option<f64>,
}

/// Why a label gets what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The witness gains, and nobody of the catchment loses.
    Repoint,
    /// No challenger is admissible.
    Keep,
    /// The endpoint has no witness: cloud evidence cannot speak for its clients.
    Unsupported,
    /// Too few blocks for any verdict.
    InsufficientData,
    /// Changed too recently.
    CoolingDown,
    /// Repeating the rule without each vantage in turn does not help those left out.
    NotConfirmed,
}

impl Reason {
    /// The code in JSON and on screens.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Repoint => "repoint",
            Self::Keep => "keep",
            Self::Unsupported => "unsupported",
            Self::InsufficientData => "insufficient-data",
            Self::CoolingDown => "cooling-down",
            Self::NotConfirmed => "not-confirmed",
        }
    }
}

/// The advice for one label.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelAdvice {
    /// The label.
    pub label: Label,
    /// Where it points now.
    pub current: String,
    /// Where it should point.
    pub advised: String,
    /// Why.
    pub reason: Reason,
    /// The vantages it stands for.
    pub catchment: Vec<String>,
    /// Every challenger, by itself.
    pub considered: Vec<Considered>,
}

impl LabelAdvice {
    /// Whether the label moves.
    #[must_use]
    pub fn moves(&self) -> bool {
        self.current != self.advised
    }
}

/// What repeating the rule without each vantage showed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HeldOut {
    /// Vantages whose answer changed when they were left out.
    pub tested: usize,
    /// Mean cost of those vantages where Route 53 sends them today.
    pub today_ms: f64,
    /// Mean cost of those vantages where the advice found without them would send them.
    pub advised_ms: f64,
}

/// Advice for every installed label, in order of label.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// One line a label.
    pub labels: Vec<LabelAdvice>,
    /// The check by leaving one out; `None` where no label would move.
    pub held_out: Option<HeldOut>,
}

impl Advice {
    /// The endpoint of each label once the advice is followed.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<Label, String> {
        self.labels.iter().map(|line| (line.label.clone(), line.advised.clone())).collect()
    }

    /// The labels that move.
    pub fn moves(&self) -> impl Iterator<Item = &LabelAdvice> {
        self.labels.iter().filter(|line| line.moves())
    }
}

/// Applies rule 1, then repeats it without each vantage and withdraws what that does not confirm.
#[must_use]
pub fn advise(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Advice {
    let recent = matrix.newest(EvidenceRule::slots(rule.evidence.blocks));
    let mut labels = decide(matrix, &recent, routing, rule);
    let held_out =
        labels.iter().any(LabelAdvice::moves).then(|| hold_out(matrix, &recent, routing, rule));
    if held_out.is_some_and(|held_out| held_out.advised_ms > held_out.today_ms) {
        for line in labels.iter_mut().filter(|line| line.moves()) {
            line.advised.clone_from(&line.current);
            line.reason = Reason::NotConfirmed;
        }
    }
    Advice { labels, held_out }
}

fn decide(
    matrix: &Matrix,
    recent: &Matrix,
    routing: &Routing,
    rule: &AdviceRule,
) -> Vec<LabelAdvice> {
    let tests = witness_tests(matrix, routing, rule);
    routing
        .live
        .iter()
        .map(|(label, current)| {
            let considered: Vec<Considered> = tests
                .iter()
                .filter(|test| test.current == *current)
                .map(|test| consider(recent, routing, label, test, rule))
                .collect();
            conclude(routing, label, current, considered)
        })
        .collect()
}

/// One (endpoint, challenger) pair, tested at the endpoint's witness.
struct WitnessTest {
    current: String,
    challenger: String,
    witness: String,
    comparison: Comparison,
    gains: bool,
}

/// Tests every pair at its witness, with Holm's correction over all of them.
fn witness_tests(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Vec<WitnessTest> {
    let mut tests = Vec::new();
    for (current, witness) in &routing.witnesses {
        for challenger in matrix.endpoints.iter().filter(|endpoint| *endpoint != current) {
            let pair = (current.as_str(), challenger.as_str());
            tests.push(WitnessTest {
                current: current.clone(),
                challenger: challenger.clone(),
                witness: witness.clone(),
                comparison: compare(matrix, witness, pair, rule.triangle_ms, &rule.evidence),
                gains: false,
            });
        }
    }
    let p_values: Vec<f64> = tests.iter().map(|test| test.comparison.p).collect();
    let gains = holm_rejects(&p_values, rule.evidence.alpha);
    for (test, gains) in tests.iter_mut().zip(gains) {
        test.gains = gains;
    }
    tests
}

fn consider(
    recent: &Matrix,
    routing: &Routing,
    label: &Label,
    test: &WitnessTest,
    rule: &AdviceRule,
) -> Considered {
    let (verdict, at) = judge(recent, routing, label, test, rule);
    let mut vantages: BTreeSet<&str> = routing.catchment(label).collect();
    vantages.insert(&test.witness);
    let costs: Option<Vec<f64>> =
        vantages.iter().map(|vantage| recent.median_cost_ms(vantage, &test.challenger)).collect();
    let mean_cost_ms = costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64);
    let (challenger, comparison) = (test.challenger.clone(), test.comparison.clone());
    Considered { challenger, verdict, comparison, at, mean_cost_ms }
}

fn judge(
    recent: &Matrix,
    routing: &Routing,
    label: &Label,
    test: &WitnessTest,
    rule: &AdviceRule,
) -> (Verdict, Option<String>) {
    if !test.comparison.is_sufficient() {
        return (Verdict::InsufficientData, None);
    }
    if !test.gains {
        return (Verdict::NoGain, None);
    }
    let failures = |endpoint: &str| recent.failures(endpoint, |v| routing.cloud.contains(v));
    let gate = success_gate(failures(&test.challenger), failures(&test.current), &rule.evidence);
    if let Err(bound) = gate {
        return (Verdict::FailsMore(bound), None);
    }
    for vantage in routing.catchment(label) {
        let cost_ms = |endpoint: &str| recent.median_cost_ms(vantage, endpoint);
        let (Some(here), Some(there)) = (cost_ms(&test.current), cost_ms(&test.challenger)) else {
            return (Verdict::UnknownCost, Some(vantage.to_owned()));
        };
        if there - here > rule.harm_ms {
            return (Verdict::Harms(there - here), Some(vantage.to_owned()));
        }
    }
    (Verdict::Admissible, None)
}

fn conclude(
    routing: &Routing,
    label: &Label,
    current: &str,
    considered: Vec<Considered>,
) -> LabelAdvice {
    let best = considered
        .iter()
        .filter(|challenger| challenger.verdict == Verdict::Admissible)
        .filter_map(|challenger| challenger.mean_cost_ms.map(|cost| (cost, &challenger.challenger)))
        .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)))
        .map(|(_, challenger)| challenger.clone());
    let all_insufficient = !considered.is_empty()
        && considered.iter().all(|challenger| challenger.verdict == Verdict::InsufficientData);
    let reason = match &best {
        _ if !routing.witnesses.contains_key(current) => Reason::Unsupported,
        _ if all_insufficient => Reason::InsufficientData,
        Some(_) if routing.cooling.contains_key(label) => Reason::CoolingDown,
        Some(_) => Reason::Repoint,
        None => Reason::Keep,
    };
    let advised = match (reason, best) {
        (Reason::Repoint, Some(best)) => best,
        _ => current.to_owned(),
    };
    LabelAdvice {
        label: label.clone(),
        current: current.to_owned(),
        advised,
        reason,
        catchment: routing.catchment(label).map(str::to_owned).collect(),
        considered,
    }
}

/// Repeats the rule without each vantage in turn and looks at what the left-out one would get.
///
/// Vantages whose answer stays the same either way say nothing and are not counted; nor are those
/// without a cost.
fn hold_out(matrix: &Matrix, recent: &Matrix, routing: &Routing, rule: &AdviceRule) -> HeldOut {
    let mut costs = Vec::new();
    for (vantage, label) in &routing.preferred {
        if !routing.cloud.contains(vantage) {
            continue;
        }
        let decided = decide(matrix, recent, &routing.without(vantage), rule);
        let Some(line) = decided.iter().find(|line| line.label == *label && line.moves()) else {
            continue;
        };
        let cost_ms = |endpoint: &str| recent.median_cost_ms(vantage, endpoint);
        if let (Some(today), Some(advised)) = (cost_ms(&line.current), cost_ms(&line.advised)) {
            costs.push((today, advised));
        }
    }
    let mean = |pick: fn(&(f64, f64)) -> f64| {
        costs.iter().map(pick).sum::<f64>() / costs.len().max(1) as f64
    };
    HeldOut { tested: costs.len(), today_ms: mean(|c| c.0), advised_ms: mean(|c| c.1) }
}

#[cfg(test)]
mod tests;
