//! What a plan does to each vantage, and to the traffic. Pure arithmetic on a survey.

use probe::config::Config;

use super::Survey;
use crate::evidence::EvidenceRule;
use crate::group::Prior;
use crate::name::Label;
use crate::plan::{Effect, VantageEffect};
use crate::preferred::{Next, Preference};
use crate::topology::{Shares, Tree};

/// What shares may lack of 1 by rounding.
const ROUNDING: f64 = 1e-9;

/// How it is known which of the labels that are installed then Route 53 will prefer.
#[derive(Clone, Copy)]
enum Then<'a> {
    /// The same labels are installed as now.
    Same,
    /// There is one label.
    Only(&'a Label),
    /// They are those of the `next` shadow.
    Asked(&'a Next),
    /// Nobody asked: by the round trips.
    Modelled,
}

impl Survey {
    /// The share of a label's clients that are answered with another endpoint than before.
    fn leaving(&self, label: &Label, to: Option<&Shares>) -> f64 {
        match (&self.live.prior, self.live.tree().get(label), to) {
            (Prior::Weighted(weights), _, Some(to)) => {
                let all: u32 = weights.values().sum();
                let stay = |(id, _)| {
                    let before = weights.get(id).copied().unwrap_or(0);
                    (f64::from(before) / f64::from(all.max(1))).min(to.part(id))
                };
                1.0 - to.iter().map(stay).sum::<f64>()
            }
            (_, Some(before), Some(to)) => before.moved(to),
            (_, before, to) => f64::from(u8::from(before.is_some() != to.is_some())),
        }
    }

    fn then<'a>(&'a self, after: &'a Tree) -> Then<'a> {
        if after.keys().eq(self.live.labels.keys()) {
            return Then::Same;
        }
        if let (1, Some(only)) = (after.len(), after.keys().next()) {
            return Then::Only(only);
        }
        let next = self.next.as_ref().filter(|next| next.labels.iter().eq(after.keys()));
        next.map_or(Then::Modelled, Then::Asked)
    }

    /// The label that Route 53 will prefer for a vantage, which prefers `now`.
    fn label_after<'a>(
        &'a self,
        (vantage, now): (&str, &'a Label),
        after: &Tree,
        then: Then<'a>,
    ) -> Option<&'a Label> {
        match then {
            Then::Same => Some(now),
            Then::Only(label) => Some(label),
            Then::Asked(next) => next.preferred.get(vantage),
            Then::Modelled => {
                self.orders.get(vantage)?.iter().find(|label| after.contains_key(*label))
            }
        }
    }

    /// What it does to each vantage, and to the traffic, when labels point at `after`.
    #[must_use]
    pub fn effect(&self, config: &Config, after: &Tree) -> Effect {
        let then = self.then(after);
        let recent = self.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let before = self.live.tree();
        let paid_ms = |vantage: &str, shares: &Shares| -> Option<f64> {
            let part =
                |(id, _): (&str, u8)| Some(shares.part(id) * recent.median_cost_ms(vantage, id)?);
            shares.iter().map(part).sum()
        };
        let line = |(vantage, label): (&String, &Label)| {
            let label_after = self.label_after((vantage, label), after, then)?;
            let (from, to) = (before.get(label)?, after.get(label_after)?);
            let share = self.traffic.of_vantage(vantage);
            let effect = VantageEffect {
                vantage: vantage.clone(),
                label: label.to_string(),
                label_after: (!matches!(then, Then::Same)).then(|| label_after.to_string()),
                from: from.first().to_owned(),
                to: to.first().to_owned(),
                share,
                cost_before_ms: paid_ms(vantage, from),
                cost_after_ms: paid_ms(vantage, to),
            };
            Some((effect, share * self.leaving(label, Some(to))))
        };
        let lines = self.routing.preferred.iter().filter_map(line);
        let (vantages, leaving): (Vec<VantageEffect>, Vec<f64>) = lines.unzip();
        let known = vantages.iter().map(|line| line.share).sum::<f64>()
            + self.clients.values().sum::<f64>();
        let moved = leaving.iter().sum::<f64>() + self.clients_moved(after, then);
        // Of traffic that nothing represents the worst is assumed.
        let moves_any = *after != before || self.live.prior != Prior::Latency;
        let worst = f64::from(u8::from(moves_any));
        let unknown = 1.0 - known;
        Effect {
            traffic_moved: if known > 0.0 { moved / known } else { worst },
            traffic_unknown: if unknown > ROUNDING { unknown } else { 0.0 },
            weights: self.traffic.source.clone(),
            preferred: self.preference.as_str().into(),
            preferred_after: preference_after(then).map(|how| how.as_str().into()),
            evidence_until_ms: None,
            vantages,
        }
    }

    /// The traffic that moves, of clients that no vantage stands for. Of those of whom nobody asked what they
    /// will prefer, all of it.
    fn clients_moved(&self, after: &Tree, then: Then<'_>) -> f64 {
        let to =
            |now: &Label, label: &Label, share: f64| share * self.leaving(now, after.get(label));
        match then {
            Then::Same => self.clients.iter().map(|(now, share)| to(now, now, *share)).sum(),
            Then::Only(label) => {
                self.clients.iter().map(|(now, share)| to(now, label, *share)).sum()
            }
            Then::Asked(next) => {
                let known: f64 = next.clients.values().sum();
                let moved = next.clients.iter().map(|((now, label), share)| to(now, label, *share));
                moved.sum::<f64>() + (self.clients.values().sum::<f64>() - known).max(0.0)
            }
            Then::Modelled => self.clients.values().sum(),
        }
    }
}

fn preference_after(then: Then<'_>) -> Option<Preference> {
    match then {
        Then::Same => None,
        Then::Only(_) => Some(Preference::Only),
        Then::Asked(next) => Some(next.how),
        Then::Modelled => Some(Preference::Modelled),
    }
}
