//! What was decided, as one picture: the survey, the advice, the plan, and what the guards say.
//!
//! Data and look-ups. It is made elsewhere, and nothing here can apply it.

use std::time::Duration;

use advisor::advice::{Advice, LabelAdvice};
use advisor::evidence::{Comparison, EvidenceRule};
use advisor::journal::Operation;
use advisor::matrix::Matrix;
use advisor::placement::{CostMatrix, plain_frontier};
use advisor::plan::Plan;
use advisor::regret::{RegretRow, regret};
use advisor::settings;
use advisor::survey::Survey;
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

    /// What the vantage gains if the advice is followed, in ms: 0 where it stays.
    #[must_use]
    pub fn advised_gain_ms(&self, vantage: &str) -> Option<f64> {
        self.line_of(vantage)?;
        match self.advised(vantage) {
            Some(endpoint) => self.against(vantage, endpoint)?.gain_ms,
            None => Some(0.0),
        }
    }

    /// The endpoint that a vantage is sent to if the advice is followed, where that is another: its label
    /// moves, or it will prefer another label.
    #[must_use]
    pub fn advised(&self, vantage: &str) -> Option<&str> {
        let effect = self.plan.effect.vantages.iter().find(|row| row.vantage == vantage)?;
        (effect.from != effect.to).then_some(effect.to.as_str())
    }
}
