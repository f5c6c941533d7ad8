//! What was decided, as one picture: the survey, the advice, the plan, and what the guards say.
//!
//! Data and look-ups. It is made elsewhere, and nothing here can apply it.

use std::time::Duration;

use advisor::advice::{Advice, LabelAdvice};
use advisor::evidence::{Comparison, EvidenceRule};
use advisor::journal::Operation;
use advisor::matrix::Matrix;
use advisor::name::Label;
use advisor::placement::{CostMatrix, plain_frontier};
use advisor::plan::{Plan, VantageEffect};
use advisor::regret::{RegretRow, regret};
use advisor::settings;
use advisor::survey::Survey;
use advisor::topology::Shares;
use probe::config::Config;

/// Why the guards would refuse the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The reason.
    pub what: String,
    /// What to try.
    pub hint: String,
}

/// Most endpoints of a frontier, and most steps of solving it: a screen waits for no proof.
const FRONTIER_MAX: usize = 12;
const FRONTIER_STEPS: u32 = 100_000;

/// The best choice of so many endpoints.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// Their ids.
    pub endpoints: Vec<String>,
    /// The mean cost over the vantages, each with the same weight.
    pub cost_ms: Option<f64>,
    /// Whether it is proven that nothing is better.
    pub is_proven: bool,
    /// How much better a choice could at most be, as a share.
    pub gap: f64,
}

/// For each number of endpoints, which of those that are there would serve the vantages best.
fn frontier(matrix: &Matrix, rule: &EvidenceRule) -> Vec<Choice> {
    let recent = matrix.newest(EvidenceRule::slots(rule.blocks));
    let names = recent.endpoints.clone();
    let rows = recent.vantages.iter().map(|vantage| {
        let costs = names.iter().map(|endpoint| recent.median_cost_ms(vantage, endpoint));
        (vantage.clone(), 1.0, costs.collect())
    });
    let costs = CostMatrix::from_costs(names.clone(), rows);
    let answers = plain_frontier(&costs, FRONTIER_MAX, FRONTIER_STEPS);
    let choice = |answer: advisor::placement::Answer| Choice {
        endpoints: answer.chosen.iter().filter_map(|at| names.get(*at).cloned()).collect(),
        cost_ms: answer.cost_ms,
        is_proven: answer.optimal,
        gap: answer.gap,
    };
    answers.into_iter().map(choice).collect()
}

/// Everything decided at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    /// When, in ms since 1970.
    pub made_ms: i64,
    /// How often it is made anew.
    pub every: Duration,
    /// What is known of zone and store.
    pub survey: Survey,
    /// The advice on it.
    pub advice: Advice,
    /// What Route 53's choice costs each vantage.
    pub regret: Vec<RegretRow>,
    /// The plan that follows the advice.
    pub plan: Plan,
    /// What the guards say of it; `None` where there is nothing to clear.
    pub guard: Option<Result<(), Refused>>,
    /// What was applied so far.
    pub operations: Vec<Operation>,
    /// Which endpoints would serve best, one choice for each number of them.
    pub frontier: Vec<Choice>,
}

impl Decision {
    /// Decides on a survey.
    #[must_use]
    pub fn new(survey: Survey, config: &Config, made_ms: i64, every: Duration) -> Self {
        let advice = survey.advise(config);
        let rule = settings::evidence_rule(&config.evidence);
        let regret = regret(&survey.matrix, &survey.routing, &rule);
        let plan = survey.plan(config, &advice, made_ms);
        let frontier = frontier(&survey.matrix, &rule);
        let (guard, operations) = (None, Vec::new());
        Self { made_ms, every, survey, advice, regret, plan, guard, operations, frontier }
    }

    /// The advice for the label that Route 53 prefers for a vantage.
    #[must_use]
    pub fn line_of(&self, vantage: &str) -> Option<&LabelAdvice> {
        let label = self.survey.routing.preferred.get(vantage)?;
        self.advice.labels.iter().find(|line| line.label == *label)
    }

    /// What the vantage would gain at another endpoint than the one it is sent to.
    #[must_use]
    pub fn against(&self, vantage: &str, endpoint: &str) -> Option<&Comparison> {
        let row = self.regret.iter().find(|row| row.vantage == vantage)?;
        let challenger = row.challengers.iter().find(|one| one.endpoint == endpoint)?;
        Some(&challenger.comparison)
    }

    /// Where a label leads now: one endpoint, or several with their parts.
    #[must_use]
    pub fn leads_to(&self, label: &Label) -> Option<Shares> {
        let live = &self.survey.live;
        let one = || live.labels.get(label).map(|id| Shares::one(id));
        live.weights.get(label).cloned().or_else(one)
    }

    /// What the plan does to a vantage.
    fn effect(&self, vantage: &str) -> Option<&VantageEffect> {
        self.plan.effect.vantages.iter().find(|row| row.vantage == vantage)
    }

    /// Where Route 53 sends a vantage now.
    #[must_use]
    pub fn sent(&self, vantage: &str) -> Option<Shares> {
        self.leads_to(self.survey.routing.preferred.get(vantage)?)
    }

    /// What it costs a vantage now; where it is sent to several endpoints, by what each of them gets.
    #[must_use]
    pub fn cost_ms(&self, vantage: &str) -> Option<f64> {
        if self.sent(vantage)?.only().is_none() {
            return self.effect(vantage)?.cost_before_ms;
        }
        self.regret.iter().find(|row| row.vantage == vantage)?.cost_ms
    }

    /// Where it sends a vantage once the plan is applied.
    #[must_use]
    pub fn sent_then(&self, vantage: &str) -> Option<Shares> {
        let effect = self.effect(vantage)?;
        let label = effect.label_after.as_ref().unwrap_or(&effect.label);
        match self.plan.moves.iter().find(|step| step.label == *label) {
            Some(step) => step.after(),
            None => self.leads_to(&Label::new(label)),
        }
    }

    /// What the vantage gains if the advice is followed, in ms: 0 where it stays. Where it is sent to several
    /// endpoints, by what each of them gets.
    #[must_use]
    pub fn advised_gain_ms(&self, vantage: &str) -> Option<f64> {
        self.line_of(vantage)?;
        let Some(then) = self.advised(vantage) else { return Some(0.0) };
        let now = self.sent(vantage)?;
        if let (Some(_), Some(endpoint)) = (now.only(), then.only()) {
            return self.against(vantage, endpoint)?.gain_ms;
        }
        let effect = self.effect(vantage)?;
        Some(effect.cost_before_ms? - effect.cost_after_ms?)
    }

    /// Where a vantage is sent if the advice is followed, where that is another: its label moves, or it will
    /// prefer another label.
    #[must_use]
    pub fn advised(&self, vantage: &str) -> Option<Shares> {
        let (now, then) = (self.sent(vantage)?, self.sent_then(vantage)?);
        (now != then).then_some(then)
    }
}
