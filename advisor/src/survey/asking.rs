//! What Route 53 should be asked about next, and what its answers so far come to. Pure.
//!
//! A name server tells of a group of labels which one it prefers, and nothing of those behind it. So
//! orders are modelled and corrected by every answer, and only what was asked is ever planned.

use std::collections::BTreeSet;

use probe::config::Config;

use super::Survey;
use crate::advice::{Choice, LabelSet};
use crate::eyeball::{self, rows};
use crate::name::Label;
use crate::preferred::{self, Asked, Next};
use crate::settings;

impl Survey {
    /// Takes up what was answered: to both shadows now, and to others `earlier`, the oldest first.
    pub fn learn(&mut self, config: &Config, earlier: &[Next]) {
        let live = self.live.labels.keys().collect();
        let mut answers: Vec<Asked<'_>> = earlier.iter().map(Asked::of).collect();
        answers.push(Asked { labels: live, preferred: &self.routing.preferred });
        answers.extend(self.next.as_ref().map(Asked::of));
        self.orders = preferred::orders(config, &self.round_trips, &answers);
        let known = rows::Known {
            live: &self.live.labels,
            preferred: &self.routing.preferred,
            orders: &self.orders,
            traffic: &self.traffic,
            clients: &self.clients,
            next: self.next.as_ref(),
        };
        self.routing.eyeballs = rows::eyeballs(config, known);
    }

    /// The labels to ask Route 53 about next, when it answered so far about these: what the program would
    /// install by orders that fit all answers. `None` where that promises no more than what was asked
    /// about, or was asked about already.
    #[must_use]
    pub fn next_question(&self, config: &Config, answered: &[Next]) -> Option<LabelSet> {
        let mut open = Self { next: None, ..self.clone() };
        open.learn(config, answered);
        open.routing.eyeballs.choice = Choice::All;
        let rule = settings::advice_rule(&config.evidence);
        let promised = eyeball::modelled(&self.matrix, &open.routing, &rule)?;
        let known = answered.iter().any(|next| next.labels == promised.labels);
        let values = self.values(config, answered);
        let is_best = values.iter().all(|set| promised.is_better(set.value.as_ref()));
        (!known && is_best).then_some(promised)
    }

    /// Of the labels that were asked about beside the installed ones those that are worth most.
    #[must_use]
    pub fn best(&self, config: &Config, answered: &[Next]) -> Option<BTreeSet<Label>> {
        let others = self.values(config, answered).into_iter().skip(1);
        let best =
            others.reduce(|best, set| if set.is_better(best.value.as_ref()) { set } else { best });
        best.map(|best| best.labels)
    }

    /// What the installed labels are worth, and then those that were asked about.
    #[must_use]
    pub fn values(&self, config: &Config, answered: &[Next]) -> Vec<LabelSet> {
        let rule = settings::advice_rule(&config.evidence);
        let of = |next: Option<&Next>| {
            let mut told = Self { next: next.cloned(), ..self.clone() };
            told.learn(config, &[]);
            eyeball::compared(&self.matrix, &told.routing, &rule)
        };
        let installed = of(None).into_iter().take(1);
        installed.chain(answered.iter().filter_map(|next| of(Some(next)).pop())).collect()
    }
}
