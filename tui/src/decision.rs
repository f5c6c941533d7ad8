//! What was decided, as one picture: the survey, the advice, the plan, and what the guards say.
//!
//! Data and look-ups. It is made elsewhere, and nothing here can apply it.

use std::time::Duration;

use advisor::advice::{Advice, LabelAdvice};
use advisor::evidence::Comparison;
use advisor::journal::Operation;
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
}

impl Decision {
    /// Decides on a survey.
    #[must_use]
    pub fn new(survey: Survey, config: &Config, made_ms: i64, every: Duration) -> Self {
        let advice = survey.advise(config);
        let rule = settings::evidence_rule(&config.evidence);
        let regret = regret(&survey.matrix, &survey.routing, &rule);
        let plan = survey.plan(config, &advice, made_ms);
        Self { made_ms, every, survey, advice, regret, plan, guard: None, operations: Vec::new() }
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
        let line = self.line_of(vantage)?;
        if !line.moves() {
            return Some(0.0);
        }
        self.against(vantage, line.advised.as_deref()?)?.gain_ms
    }
}
