//! From evidence to advice: which labels should be installed, where each should point, and why.
//!
//! The words of advice, and which rule gives it: `eyeball` where measured clients suffice, else
//! `witness` by cloud evidence. The two populations are never merged. Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::evidence::{Comparison, EvidenceRule};
use crate::matrix::Matrix;
use crate::name::Label;
use crate::program::Value;
use crate::{eyeball, witness};

/// The share of a catchment's traffic that measured clients must carry before it is changed.
pub const COVERED: f64 = 0.9;

/// The figures of both rules beside the block test's own, with the same defaults as a configuration's.
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

impl Default for AdviceRule {
    fn default() -> Self {
        Self { evidence: EvidenceRule::default(), triangle_ms: 20.0, harm_ms: 5.0 }
    }
}

/// Where things are, apart from what was measured.
#[derive(Debug, Clone, PartialEq)]
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
    /// What is known of clients. Rule 2 looks at nothing else.
    pub eyeballs: Eyeballs,
}

/// Measured clients, and the traffic that nothing measured stands for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Eyeballs {
    /// Vantages in networks of users.
    pub rows: BTreeMap<String, EyeballRow>,
    /// The traffic of each installed label's catchment that no row stands for, in the same unit as
    /// the rows' weights.
    pub unmeasured: BTreeMap<Label, f64>,
    /// Installed labels that stay: those of the endpoints' own Regions.
    pub own_labels: BTreeSet<Label>,
    /// Whether Route 53 was asked who prefers which of the installed labels; else that is modelled.
    pub asked: bool,
    /// Which labels are chosen from.
    pub choice: Choice,
}

impl Eyeballs {
    /// The labels that Route 53 was asked about beside the installed ones.
    pub(crate) fn next(&self) -> Option<&NextLabels> {
        match &self.choice {
            Choice::Asked(next) => next.as_ref(),
            Choice::All => None,
        }
    }
}

/// Which labels are chosen from.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Choice {
    /// Any that the rows' orders name, which are taken for certain.
    #[default]
    All,
    /// Two sets, neither a part nor a mixture of them: the installed labels, and others that Route 53
    /// was asked about.
    Asked(Option<NextLabels>),
}

/// Labels that may be installed in the place of those that are.
#[derive(Debug, Clone, PartialEq)]
pub struct NextLabels {
    /// The labels.
    pub labels: BTreeSet<Label>,
    /// The traffic of each label's catchment, once these are installed, that no row stands for.
    pub unmeasured: BTreeMap<Label, f64>,
}

/// One measured client.
#[derive(Debug, Clone, PartialEq)]
pub struct EyeballRow {
    /// Its traffic.
    pub weight: f64,
    /// Every label that may be installed, the one that Route 53 prefers most first. Labels that
    /// are missing are never added.
    pub order: Vec<Label>,
}

impl Routing {
    /// The vantages for which Route 53 prefers `label`, of either population: anyone may object.
    pub fn catchment<'a>(&'a self, label: &'a Label) -> impl Iterator<Item = &'a str> {
        let of_label = move |(_, preferred): &(&String, &Label)| *preferred == label;
        self.preferred.iter().filter(of_label).map(|(vantage, _)| vantage.as_str())
    }

    pub(crate) fn without(&self, vantage: &str) -> Self {
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
    /// It may have the label, and the advised endpoints cost the measured clients less.
    Outweighed,
}

/// One challenger, judged for one label.
#[derive(Debug, Clone, PartialEq)]
pub struct Considered {
    /// The endpoint.
    pub challenger: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What the witness measured, or the client of the label's own that gains most.
    pub comparison: Comparison,
    /// The vantage that decided a verdict about the catchment.
    pub at: Option<String>,
    /// Mean cost over the witness and the catchment's vantages.
    pub mean_cost_ms: Option<f64>,
}

/// Why a label gets what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The witness gains, and nobody of the catchment loses; or measured clients gain.
    Repoint,
    /// Measured clients gain by a label of their own.
    Add,
    /// No client loses when the label goes, and others serve them better.
    Remove,
    /// A challenger gains at the witness, and something else stands against it.
    Keep,
    /// The endpoint has no witness, or its witness does not gain so surely that its clients must:
    /// cloud evidence does not support a move. Or too little of the catchment's traffic is measured.
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
            Self::Add => "add",
            Self::Remove => "remove",
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
    /// Where it points now; `None` where it is not installed.
    pub current: Option<String>,
    /// Where it should point; `None` where it should go.
    pub advised: Option<String>,
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

impl HeldOut {
    /// From the costs of those left out: weight, today's cost, and the advised one.
    pub(crate) fn of(costs: &[(f64, f64, f64)]) -> Self {
        let weight: f64 = costs.iter().map(|(weight, _, _)| weight).sum();
        let mean = |pick: fn(&(f64, f64, f64)) -> f64| {
            let sum: f64 = costs.iter().map(|cost| cost.0 * pick(cost)).sum();
            if weight > 0.0 { sum / weight } else { 0.0 }
        };
        Self { tested: costs.len(), today_ms: mean(|c| c.1), advised_ms: mean(|c| c.2) }
    }

    /// Whether those left out would not be better off. Without anybody to leave out nobody objects.
    pub(crate) fn objects(self) -> bool {
        self.tested > 0 && self.advised_ms >= self.today_ms
    }
}

/// What measured clients had to say, and what the advice does to them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Heard {
    /// Those that are rows of rule 2.
    pub rows: Vec<String>,
    /// Those that are not, and why.
    pub left_out: BTreeMap<String, Reason>,
    /// The share of each installed label's traffic that the rows carry, where it is too little.
    pub uncovered: BTreeMap<Label, f64>,
    /// Rows that are sent elsewhere and lose by it.
    pub losses: Vec<Loss>,
    /// The mean regret of the rows as labels stand, in milliseconds.
    pub regret_ms: Option<f64>,
    /// The sets of labels that were compared, the installed one first.
    pub sets: Vec<LabelSet>,
}

/// Labels that may be installed together, and what they are worth to measured clients.
#[derive(Debug, Clone, PartialEq)]
pub struct LabelSet {
    /// The labels.
    pub labels: BTreeSet<Label>,
    /// Whether Route 53 was asked who prefers which of them; else that is modelled.
    pub asked: bool,
    /// What they are worth with each at its best endpoint; `None` where somebody would be moved who may
    /// not be.
    pub value: Option<Value>,
}

impl LabelSet {
    /// The labels that it adds to the installed ones, and those that it lacks.
    #[must_use]
    pub fn changes<'a>(
        &'a self,
        installed: &'a BTreeSet<Label>,
    ) -> (Vec<&'a Label>, Vec<&'a Label>) {
        (self.labels.difference(installed).collect(), installed.difference(&self.labels).collect())
    }

    /// The same in words, with a sign before each label.
    #[must_use]
    pub fn beside(&self, installed: &BTreeSet<Label>) -> String {
        let (added, removed) = self.changes(installed);
        let added = added.iter().map(|label| format!("+{label}"));
        let changed: Vec<String> =
            added.chain(removed.iter().map(|label| format!("-{label}"))).collect();
        if changed.is_empty() { "the installed ones".to_owned() } else { changed.join(" ") }
    }

    /// Whether they are worth more than another set: by regret, then with an endpoint down, then by
    /// their number.
    #[must_use]
    pub fn is_better(&self, than: Option<&Value>) -> bool {
        let rank = |value: &Value| (value.regret, value.failover_regret, value.installed);
        match (&self.value, than) {
            (Some(value), Some(than)) => rank(value) < rank(than),
            (value, _) => value.is_some(),
        }
    }
}

/// What one measured client loses by the advice.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The vantage.
    pub vantage: String,
    /// The endpoint that serves it now.
    pub from: String,
    /// The endpoint that it is sent to.
    pub to: String,
    /// How much more that costs, in milliseconds.
    pub loss_ms: f64,
}

/// Whose measurements advice rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Basis {
    /// Vantages in data centres: rule 1.
    Cloud,
    /// Vantages in networks of users: rule 2.
    Eyeball,
}

impl Basis {
    /// The word in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cloud => "cloud",
            Self::Eyeball => "eyeball",
        }
    }
}

/// Advice for every label that is installed or should be, in order of label.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// Whose measurements it rests on.
    pub basis: Basis,
    /// One line a label.
    pub labels: Vec<LabelAdvice>,
    /// The check by leaving one out; `None` where no label would move.
    pub held_out: Option<HeldOut>,
    /// What measured clients had to say, whichever rule decided.
    pub heard: Heard,
}

impl Advice {
    /// The endpoint of each label once the advice is followed.
    #[must_use]
    pub fn endpoints(&self) -> BTreeMap<Label, String> {
        let installed =
            self.labels.iter().filter_map(|line| Some((line.label.clone(), line.advised.clone()?)));
        installed.collect()
    }

    /// The sets of labels that were compared for measured clients, each with whether it is the one that is
    /// installed once the advice is followed.
    pub fn compared(&self) -> impl Iterator<Item = (&LabelSet, bool)> {
        let installs = |set: &LabelSet| self.endpoints().keys().eq(&set.labels);
        self.heard.sets.iter().map(move |set| (set, installs(set)))
    }

    /// The labels that are installed now.
    #[must_use]
    pub fn installed(&self) -> BTreeSet<Label> {
        let now = self.labels.iter().filter(|line| line.current.is_some());
        now.map(|line| line.label.clone()).collect()
    }

    /// Whether other labels are installed afterwards than before.
    #[must_use]
    pub fn changes_the_set(&self) -> bool {
        self.labels.iter().any(|line| line.current.is_some() != line.advised.is_some())
    }

    /// Takes back every move: those left out would not be better off.
    pub(crate) fn withdraw(&mut self) {
        self.heard.losses.clear();
        for line in self.labels.iter_mut().filter(|line| line.moves()) {
            line.advised.clone_from(&line.current);
            line.reason = Reason::NotConfirmed;
        }
    }

    /// The labels that move.
    pub fn moves(&self) -> impl Iterator<Item = &LabelAdvice> {
        self.labels.iter().filter(|line| line.moves())
    }
}

/// Advice by measured clients where they suffice for any, else by cloud evidence.
///
/// Never by both at once: what one rule changes, the other judges anew once that is in place.
#[must_use]
pub fn advise(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Advice {
    let by_clients = eyeball::advise(matrix, routing, rule);
    if by_clients.moves().next().is_some() || routing.cloud.is_empty() {
        return by_clients;
    }
    let mut by_cloud = witness::advise(matrix, routing, rule);
    // Why clients do not move a label says more than that no witness was asked.
    for line in by_cloud.labels.iter_mut().filter(|line| line.considered.is_empty()) {
        let told = by_clients.labels.iter().find(|other| other.label == line.label);
        if let Some(told) = told.filter(|told| !told.considered.is_empty()) {
            line.clone_from(told);
        }
    }
    by_cloud.heard = by_clients.heard;
    by_cloud
}

#[cfg(test)]
mod tests;
