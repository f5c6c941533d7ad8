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
use crate::preferred::{self, Asked, Next, Preference};
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
            asked: self.preference != Preference::Modelled,
            next: self.next.as_ref(),
        };
        self.routing.eyeballs = rows::eyeballs(config, known);
    }

    /// What the program would install by orders that fit these answers, where those are other labels and
    /// regret falls by them. That is a promise: it rests on a model.
    fn promised(&self, config: &Config, answered: &[Next]) -> Option<LabelSet> {
        let mut open = Self { next: None, ..self.clone() };
        open.learn(config, answered);
        open.routing.eyeballs.choice = Choice::All;
        eyeball::modelled(&self.matrix, &open.routing, &settings::advice_rule(&config.evidence))
    }

    /// What the installed labels are worth, and then those that were asked about.
    fn values(&self, config: &Config, answered: &[&Next]) -> Vec<LabelSet> {
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

/// How often Route 53 is asked about other labels in one inquiry at most.
pub const ROUNDS: usize = 8;

/// One inquiry: what Route 53 has answered in it so far.
///
/// It asks as if nothing had been asked before, and an answer that stands already only saves its round.
/// So the same inquiry, made again, asks about no other labels and leaves the same ones standing.
#[derive(Debug, Clone)]
pub struct Inquiry {
    /// What stood when it began, until its turn comes.
    standing: Option<Next>,
    /// The answers, the oldest first.
    answered: Vec<Next>,
    rounds: usize,
}

/// What comes next.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To ask Route 53 about these labels, of which this much is promised.
    Ask(LabelSet),
    /// Nothing more.
    End(Findings),
}

/// What an inquiry came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Findings {
    /// What the installed labels are worth, and then those that were asked about; nothing where nobody was
    /// measured.
    pub values: Vec<LabelSet>,
    /// Of the labels that were asked about beside the installed ones those that are worth most: they are
    /// to be left standing. `None` where no others were asked about, or nobody was measured: then what stands is
    /// left as it is.
    pub best: Option<BTreeSet<Label>>,
    /// What is promised still, where the rounds are over.
    pub open: Option<LabelSet>,
}

impl Inquiry {
    /// One that begins with what the `next` shadow stands for.
    #[must_use]
    pub fn new(standing: Option<Next>) -> Self {
        Self { standing, answered: Vec::new(), rounds: 0 }
    }

    /// How often it has asked.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.rounds
    }

    /// Takes up an answer.
    pub fn hear(&mut self, next: Next) {
        self.answered.retain(|one| one.labels != next.labels);
        self.answered.push(next);
    }

    /// Decides what comes next: the labels that promise more than all that were asked about, unless they
    /// were asked about, too, or the rounds are over.
    pub fn step(&mut self, survey: &Survey, config: &Config) -> Step {
        let mut open = self.question(survey, config);
        if let Some(known) = self.standing.take_if(|one| is_about(open.as_ref(), one)) {
            self.hear(known);
            open = self.question(survey, config);
        }
        match open {
            Some(question) if self.rounds < ROUNDS => {
                self.rounds += 1;
                Step::Ask(question)
            }
            open => {
                let values = survey.values(config, &self.known());
                Step::End(Findings { best: best(&values), values, open })
            }
        }
    }

    fn question(&self, survey: &Survey, config: &Config) -> Option<LabelSet> {
        let promised = survey.promised(config, &self.answered)?;
        let was_asked = self.answered.iter().any(|next| next.labels == promised.labels);
        let values = survey.values(config, &self.known());
        let is_best = values.iter().all(|set| promised.is_better(set.value.as_ref()));
        (!was_asked && is_best).then_some(promised)
    }

    /// All answers; of equals what stood before is the first.
    fn known(&self) -> Vec<&Next> {
        self.standing.iter().chain(&self.answered).collect()
    }
}

fn is_about(question: Option<&LabelSet>, next: &Next) -> bool {
    question.is_some_and(|set| set.labels == next.labels)
}

/// The best of all sets but the first, which is installed; of equals the first.
fn best(values: &[LabelSet]) -> Option<BTreeSet<Label>> {
    let others = values.iter().skip(1);
    let best =
        others.reduce(|best, set| if set.is_better(best.value.as_ref()) { set } else { best });
    best.map(|best| best.labels.clone())
}

#[cfg(test)]
mod tests;
