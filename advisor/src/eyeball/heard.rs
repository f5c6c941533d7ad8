//! What measured clients had to say: who counts, who does not and why, what labels are worth to them, and
//! who loses by the advice.
//!
//! It tells what the rule did, and decides nothing.

use std::collections::BTreeSet;

use super::{Client, Decided, Ground, Posed, Trial};
use crate::advice::{AdviceRule, COVERED, Choice, Heard, LabelSet, Loss, Reason, Routing};
use crate::matrix::Matrix;
use crate::name::Label;
use crate::program::Solution;

/// The sets of labels that Route 53 was asked about, the installed one first. Where nobody was measured
/// they are worth nothing that could be told.
pub(crate) fn compared(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Vec<LabelSet> {
    let ground = Ground::new(matrix, routing, rule);
    if ground.clients.is_empty() { Vec::new() } else { ground.compared(&ground.trial(None)) }
}

/// The labels that would be installed if the rows' orders held for all of them; nothing where those are
/// the installed ones.
pub(crate) fn modelled(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Option<LabelSet> {
    let ground = Ground::new(matrix, routing, rule);
    ground.modelled(&ground.trial(None))
}

impl<'a> Ground<'a> {
    pub(super) fn heard(&self, trial: &Trial<'_, 'a>, decided: &Decided<'a>) -> Heard {
        let is_row = |id: &str| self.clients.iter().any(|client| client.id == id);
        let left_out = self.routing.eyeballs.rows.keys().filter(|id| !is_row(id)).map(|id| {
            // Without a label nobody knows where it is sent; otherwise its cost there is unknown.
            let knows = self.routing.preferred.contains_key(id);
            (id.clone(), if knows { Reason::InsufficientData } else { Reason::Unsupported })
        });
        let traffic = self.traffic(None);
        let uncovered = traffic.into_iter().filter_map(|(label, (measured, all))| {
            let is_live = self.routing.live.contains_key(label);
            (is_live && measured < COVERED * all).then(|| (label.clone(), measured / all))
        });
        let is_known = !self.clients.is_empty();
        let now = is_known.then(|| self.pose_installed(trial).as_it_stands()).flatten();
        Heard {
            rows: self.clients.iter().map(|client| client.id.to_owned()).collect(),
            left_out: left_out.collect(),
            uncovered: uncovered.collect(),
            losses: self.losses(decided),
            regret_ms: now.map(|now| now.value.regret_ms()),
            sets: if is_known { self.sets(trial) } else { Vec::new() },
        }
    }

    /// The sets that were compared, or, where only the installed labels were asked about, those and what
    /// the program would install by the modelled orders.
    fn sets(&self, trial: &Trial<'_, 'a>) -> Vec<LabelSet> {
        let choice = &self.routing.eyeballs.choice;
        if *choice == Choice::All {
            return Vec::new();
        }
        let mut sets = self.compared(trial);
        if *choice == Choice::Asked(None) {
            let installed = sets.first().and_then(|set| set.value.as_ref());
            let better = |set: &LabelSet| set.is_better(installed);
            sets.extend(self.modelled(trial).filter(better));
        }
        sets
    }

    fn compared(&self, trial: &Trial<'_, 'a>) -> Vec<LabelSet> {
        let set = |(index, (posed, found)): (usize, (Posed<'a>, Option<Solution>))| LabelSet {
            labels: posed.set.into_iter().flatten().cloned().collect(),
            // The first is installed; only others that were asked about are options.
            asked: index > 0 || self.routing.eyeballs.asked,
            value: found.map(|found| found.value),
        };
        self.options(trial).into_iter().enumerate().map(set).collect()
    }

    fn modelled(&self, trial: &Trial<'_, 'a>) -> Option<LabelSet> {
        let posed = self.pose(trial, None);
        let found = self.search(&posed)?;
        let installed = posed.labels.iter().zip(&found.points_at);
        let labels: BTreeSet<Label> =
            installed.filter(|(_, to)| to.is_some()).map(|(label, _)| (*label).clone()).collect();
        let others = !labels.iter().eq(self.routing.live.keys());
        others.then_some(LabelSet { labels, asked: false, value: Some(found.value) })
    }

    fn losses(&self, decided: &Decided<'_>) -> Vec<Loss> {
        let loss = |client: &Client<'_>| {
            let to = decided.answer(client)?;
            let (_, loss_ms) = client.costs[to].filter(|(_, loss_ms)| *loss_ms > 0.0)?;
            Some(Loss {
                vantage: client.id.to_owned(),
                from: self.endpoints[client.today].clone(),
                to: self.endpoints[to].clone(),
                loss_ms,
            })
        };
        self.clients.iter().filter_map(loss).collect()
    }
}
