//! What labels carry and what they cost: the ground for weights and for the loss of an endpoint.
//!
//! Pure: from a survey to the facts that `weights` and `outage` decide on.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::Config;
use probe::place;

use super::Survey;
use crate::advice::{Advice, Basis};
use crate::drain::{Knowledge, drain};
use crate::evidence::EvidenceRule;
use crate::name::Label;
use crate::outage::{Catchment, Outage, outages};
use crate::plan::Move;
use crate::quota::quota;
use crate::settings;
use crate::weights::{Facts, Weighing, WeightError, propose};

impl Survey {
    /// The weights that follow from the advice and from what endpoints take. Capacities count where
    /// `traffic.requests_per_s` says how much all clients ask.
    #[must_use]
    pub fn weigh(&self, config: &Config, advice: &Advice) -> Weighing {
        if advice.changes_the_set() {
            return Weighing { changes: Vec::new(), refused: Some(WeightError::LabelsFirst) };
        }
        let rate = requests_per_s(config);
        let capacity = |id: &String| -> Option<f64> {
            let endpoint = config.endpoints.iter().find(|endpoint| endpoint.id == *id)?;
            rate.and(endpoint.capacity)
        };
        let capacity_per_s: Vec<Option<f64>> = self.matrix.endpoints.iter().map(capacity).collect();
        let shares = self.label_shares();
        let per_s = shares.into_iter().map(|(label, share)| (label, share * rate.unwrap_or(1.0)));
        let facts = Facts {
            advice,
            tree: &self.live.tree(),
            endpoints: &self.matrix.endpoints,
            cost_ms: &self.costs(config, advice.basis),
            per_s: &per_s.collect(),
            cooling: &self.routing.cooling,
            capacity_per_s: &capacity_per_s,
            min_gain_ms: config.evidence.min_gain_ms,
        };
        propose(&facts, settings::weight_rule(config))
    }

    /// What the loss of each endpoint that is answered today does.
    #[must_use]
    pub fn outages(&self, config: &Config) -> Vec<Outage> {
        let recent = self.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let known = self.known_traffic();
        let of_vantage = |(vantage, label): (&String, &Label)| {
            let cost = |id: &String| Some((id.clone(), recent.median_cost_ms(vantage, id)?));
            Catchment {
                vantage: Some(vantage.clone()),
                share: self.traffic.of_vantage(vantage) / known,
                order: self.order(vantage, label),
                cost_ms: recent.endpoints.iter().filter_map(cost).collect(),
            }
        };
        let of_clients = |(label, share): (&Label, &f64)| Catchment {
            vantage: None,
            share: share / known,
            order: self.order(label.as_str(), label),
            cost_ms: BTreeMap::new(),
        };
        let vantages = self.routing.preferred.iter().map(of_vantage);
        let catchments: Vec<Catchment> =
            vantages.chain(self.clients.iter().map(of_clients)).collect();
        let answerable = config.endpoints.iter().filter(|endpoint| endpoint.alias.is_some());
        let quotas = answerable.map(|endpoint| (endpoint.id.clone(), quota(endpoint))).collect();
        outages(&self.live.tree(), &catchments, &quotas, requests_per_s(config))
    }

    /// The moves by which `advisor drain` would take an endpoint's Region out of answers; none where it
    /// is the last one.
    #[must_use]
    pub fn drained(&self, config: &Config, endpoint: &str) -> Vec<Move> {
        let recent = self.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let known = Knowledge { recent: &recent, preferred: &self.routing.preferred };
        let found = config.endpoints.iter().find(|one| one.id == endpoint);
        let moves = found.map(|one| drain(&one.region, config, &self.live, known));
        moves.and_then(Result::ok).unwrap_or_default()
    }

    /// The installed labels as a client near `place` most probably prefers them: the known one first, then
    /// as `orders` says, then by distance.
    fn order(&self, place: &str, first: &Label) -> Vec<Label> {
        let rank = |label: &Label| {
            let order = self.orders.get(place)?;
            order.iter().position(|other| other == label)
        };
        let distance_km = |label: &Label| {
            let ends = place::region(place).zip(place::region(label.as_str()));
            ends.map_or(f64::INFINITY, |(from, to)| place::distance_km(from, to))
        };
        let mut order: Vec<Label> = self.live.labels.keys().cloned().collect();
        order.sort_by(|a, b| {
            let key = |label: &Label| rank(label).unwrap_or(usize::MAX);
            let known = (b == first).cmp(&(a == first));
            known.then(key(a).cmp(&key(b))).then(distance_km(a).total_cmp(&distance_km(b)))
        });
        order
    }

    /// The survey with each label that has weights judged by the endpoint of it that costs most: that is
    /// the one to leave.
    pub(super) fn with_costliest(mut self, config: &Config) -> Self {
        let basis = if self.routing.cloud.is_empty() { Basis::Eyeball } else { Basis::Cloud };
        let costs = self.costs(config, basis);
        for (label, shares) in &self.live.weights {
            let cost = |id: &str| costs.get(&(label.clone(), id.to_owned())).copied();
            let known: Option<Vec<(f64, &str)>> =
                shares.iter().map(|(id, _)| Some((cost(id)?, id))).collect();
            let costliest = known.and_then(|known| {
                known.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, id)| id.to_owned())
            });
            if let Some(id) = costliest {
                self.routing.live.insert(label.clone(), id);
            }
        }
        self
    }

    /// What each endpoint costs the catchment of each label: the mean by traffic over the vantages of one
    /// population that prefer it, or, where there is none, what it costs the witness.
    fn costs(&self, config: &Config, basis: Basis) -> BTreeMap<(Label, String), f64> {
        let recent = self.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let is_of =
            |vantage: &&str| self.routing.cloud.contains(*vantage) == (basis == Basis::Cloud);
        let mut costs = BTreeMap::new();
        for (label, endpoint) in &self.routing.live {
            let mut vantages: BTreeSet<&str> =
                self.routing.catchment(label).filter(is_of).collect();
            if vantages.is_empty() {
                vantages.extend(self.routing.witnesses.get(endpoint).map(String::as_str));
            }
            let shares: Vec<f64> =
                vantages.iter().map(|one| self.traffic.of_vantage(one)).collect();
            let is_known = shares.iter().sum::<f64>() > 0.0;
            let weighted: Vec<(&str, f64)> = vantages
                .into_iter()
                .zip(shares)
                .map(|(vantage, share)| (vantage, if is_known { share } else { 1.0 }))
                .collect();
            let all: f64 = weighted.iter().map(|(_, share)| share).sum();
            for id in &recent.endpoints {
                let paid = weighted.iter().map(|(vantage, share)| {
                    Some(share / all * recent.median_cost_ms(vantage, id)?)
                });
                let paid: Option<f64> = paid.sum();
                if let Some(paid_ms) = paid.filter(|_| all > 0.0) {
                    costs.insert((label.clone(), id.clone()), paid_ms);
                }
            }
        }
        costs
    }

    /// The part of the known traffic that prefers each label.
    fn label_shares(&self) -> BTreeMap<Label, f64> {
        let known = self.known_traffic();
        let mut shares: BTreeMap<Label, f64> = BTreeMap::new();
        let vantages = self.routing.preferred.iter();
        let vantages = vantages.map(|(vantage, label)| (label, self.traffic.of_vantage(vantage)));
        for (label, share) in
            vantages.chain(self.clients.iter().map(|(label, share)| (label, *share)))
        {
            *shares.entry(label.clone()).or_default() += share / known;
        }
        shares
    }

    /// The share of the traffic of which it is known where it goes; never 0, for what is divided by it.
    fn known_traffic(&self) -> f64 {
        let of_vantage = |vantage: &String| self.traffic.of_vantage(vantage);
        let vantages: f64 = self.routing.preferred.keys().map(of_vantage).sum();
        (vantages + self.clients.values().sum::<f64>()).max(f64::MIN_POSITIVE)
    }
}

fn requests_per_s(config: &Config) -> Option<f64> {
    config.traffic.as_ref()?.requests_per_s
}
