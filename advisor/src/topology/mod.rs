//! The record trees at a service name: latency records, weighted groups below labels, and the
//! canary's wrapper of two arms.
//!
//! Pure. Each topology makes its record sets and is read from them again; what turns one into another
//! is the difference of their sets. Chains of aliases are at most three long: service name, arm,
//! label group, endpoint.

mod read;
mod steps;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::group::{EndpointTarget, GroupError};
use crate::mark::Marks;
use crate::name::{Label, Name};
use crate::record::{Answer, HealthCheck, Policy, RecordSet, RecordType};

pub use read::{read, standing};
pub use steps::{Step, StepsError, steps, steps_left};

/// The weights of both arms sum to this.
pub const WHOLE: u8 = 100;

/// Where a label leads: endpoints with weights, none of them 0. One endpoint alone needs no weight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, u8>")]
pub struct Shares(BTreeMap<String, u8>);

impl Shares {
    /// Everything to one endpoint.
    #[must_use]
    pub fn one(endpoint: &str) -> Self {
        Self(BTreeMap::from([(endpoint.to_owned(), 1)]))
    }

    /// Shares in proportion to weights; `None` where no weight is above 0.
    #[must_use]
    pub fn weighted(weights: impl IntoIterator<Item = (String, u8)>) -> Option<Self> {
        let weights: BTreeMap<String, u8> =
            weights.into_iter().filter(|(_, weight)| *weight > 0).collect();
        if weights.len() == 1 {
            return weights.into_keys().next().map(|endpoint| Self::one(&endpoint));
        }
        (!weights.is_empty()).then_some(Self(weights))
    }

    /// The endpoint, where there is only one.
    #[must_use]
    pub fn only(&self) -> Option<&str> {
        let mut endpoints = self.0.keys();
        endpoints.next().filter(|_| self.0.len() == 1).map(String::as_str)
    }

    /// The endpoint that most is sent to; of equals the first by name.
    #[must_use]
    pub fn first(&self) -> &str {
        let most = self.0.iter().rev().max_by_key(|(_, weight)| **weight);
        most.map_or("", |(endpoint, _)| endpoint.as_str())
    }

    /// The part of the whole that an endpoint gets.
    #[must_use]
    pub fn part(&self, endpoint: &str) -> f64 {
        let all: u32 = self.0.values().map(|weight| u32::from(*weight)).sum();
        let own = self.0.get(endpoint).copied().unwrap_or(0);
        f64::from(own) / f64::from(all.max(1))
    }

    /// The part of the whole that goes elsewhere when these shares become `others`.
    #[must_use]
    pub fn moved(&self, others: &Self) -> f64 {
        self.0.keys().map(|one| (self.part(one) - others.part(one)).max(0.0)).sum()
    }

    /// What is left without these endpoints, in the same proportions.
    #[must_use]
    pub fn without(&self, gone: impl Fn(&str) -> bool) -> Option<Self> {
        let left = self.iter().filter(|(endpoint, _)| !gone(endpoint));
        Self::weighted(left.map(|(endpoint, weight)| (endpoint.to_owned(), weight)))
    }

    /// Endpoints and their weights.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u8)> {
        self.0.iter().map(|(endpoint, weight)| (endpoint.as_str(), *weight))
    }
}

impl TryFrom<BTreeMap<String, u8>> for Shares {
    type Error = &'static str;

    fn try_from(weights: BTreeMap<String, u8>) -> Result<Self, Self::Error> {
        Self::weighted(weights).ok_or("no weight is above 0")
    }
}

impl fmt::Display for Shares {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(endpoint) = self.only() {
            return f.write_str(endpoint);
        }
        for (index, endpoint) in self.0.keys().enumerate() {
            let between = if index == 0 { "" } else { " + " };
            write!(f, "{between}{endpoint} {:.1} %", self.part(endpoint) * 100.0)?;
        }
        Ok(())
    }
}

/// A whole latency tree: where each label leads.
pub type Tree = BTreeMap<Label, Shares>;

/// One of the two places where a latency tree may stand below the wrapper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arm {
    /// Where the first tree stands.
    Blue,
    /// Where the next one is built.
    Green,
}

impl Arm {
    /// The other place.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Blue => Self::Green,
            Self::Green => Self::Blue,
        }
    }

    /// Its word in names.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blue => "blue",
            Self::Green => "green",
        }
    }
}

impl fmt::Display for Arm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An arm below the wrapper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArmState {
    /// Its weight, of 100.
    pub weight: u8,
    /// Its tree.
    pub tree: Tree,
    /// The health check that takes it out of answers by itself.
    pub brake: Option<HealthCheck>,
}

/// How the trees stand below a service name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// One tree at the name itself.
    Plain(Tree),
    /// A weighted group of arms at the name.
    Wrapped(BTreeMap<Arm, ArmState>),
}

/// What stands at a service name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Address types that are answered.
    pub families: BTreeSet<RecordType>,
    /// The trees.
    pub shape: Shape,
}

/// Why records are no topology, or a topology has no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopologyError {
    /// A group that is not a latency tree.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A weighted group below a label, or a wrapper, that nothing of ours made.
    #[error("'{name}' is no weighted group of Nearside: {cause}")]
    Foreign {
        /// Where it stands.
        name: Name,
        /// What is odd.
        cause: String,
    },
    /// Both arms need the one weighted group that a label has.
    #[error("label {0} has other weights in each arm, and there is one weighted group a label")]
    SharedLabel(Label),
    /// An endpoint that the configuration does not have.
    #[error("endpoint {0} is not in the configuration")]
    UnknownEndpoint(String),
}

impl TopologyError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Group(error) => error.hint(),
            Self::Foreign { .. } => "restore the group by hand, or remove it, then plan again",
            Self::SharedLabel(_) => "change weights without --canary, in steps of their own",
            Self::UnknownEndpoint(_) => "plan again with this configuration",
        }
    }
}

/// What record sets are made for.
#[derive(Debug, Clone, Copy)]
pub struct Site<'a> {
    /// The service name.
    pub service: &'a Name,
    /// The id of its hosted zone, for aliases within it.
    pub zone_id: &'a str,
    /// The endpoints.
    pub endpoints: &'a [EndpointTarget],
}

impl Topology {
    /// The trees, with the name at which each stands.
    fn trees(&self, service: &Name) -> Vec<(Name, &Tree)> {
        let marks = Marks::of(service);
        match &self.shape {
            Shape::Plain(tree) => vec![(service.clone(), tree)],
            Shape::Wrapped(arms) => {
                arms.iter().map(|(arm, state)| (marks.arm(*arm), &state.tree)).collect()
            }
        }
    }

    /// The record sets, sorted.
    pub fn sets(&self, site: &Site<'_>) -> Result<Vec<RecordSet>, TopologyError> {
        let mut sets = Vec::new();
        let mut groups: BTreeMap<&Label, &Shares> = BTreeMap::new();
        for (at, tree) in self.trees(site.service) {
            for (label, shares) in tree {
                let is_weighted = shares.only().is_none();
                if is_weighted && groups.insert(label, shares).is_some_and(|other| other != shares)
                {
                    return Err(TopologyError::SharedLabel(label.clone()));
                }
                for family in &self.families {
                    sets.push(site.latency_set(&at, family, label, shares)?);
                }
            }
        }
        for (label, shares) in groups {
            for family in &self.families {
                sets.extend(site.weighted_sets(family, label, shares)?);
            }
        }
        if let Shape::Wrapped(arms) = &self.shape {
            for family in &self.families {
                sets.extend(arms.iter().map(|(arm, state)| site.wrapper_set(family, *arm, state)));
            }
        }
        sets.sort();
        Ok(sets)
    }

    /// The old and the new arm of a canary under way: the new one is the one with a brake.
    #[must_use]
    pub fn old_and_new(&self) -> Option<[(Arm, &ArmState); 2]> {
        let Shape::Wrapped(arms) = &self.shape else { return None };
        let mut by_brake = arms.iter().map(|(arm, state)| (state.brake.is_some(), (*arm, state)));
        match (by_brake.next(), by_brake.next()) {
            (Some((false, old)), Some((true, new))) | (Some((true, new)), Some((false, old))) => {
                Some([old, new])
            }
            _ => None,
        }
    }

    /// The names at which this topology has record sets.
    #[must_use]
    pub fn names(&self, service: &Name) -> BTreeSet<Name> {
        let marks = Marks::of(service);
        let mut names = BTreeSet::from([service.clone()]);
        for (at, tree) in self.trees(service) {
            names.insert(at);
            let weighted = tree.iter().filter(|(_, shares)| shares.only().is_none());
            names.extend(weighted.map(|(label, _)| marks.weighted(label)));
        }
        names
    }
}

impl Site<'_> {
    fn endpoint(&self, id: &str) -> Result<&EndpointTarget, TopologyError> {
        let found = self.endpoints.iter().find(|endpoint| endpoint.id == id);
        found.ok_or_else(|| TopologyError::UnknownEndpoint(id.to_owned()))
    }

    /// An alias to a name of ours in the same zone, whose health is that of what lies below it.
    fn inner_alias(&self, to: Name) -> Answer {
        Answer::Alias {
            hosted_zone_id: self.zone_id.to_owned(),
            dns_name: to,
            evaluate_target_health: true,
        }
    }

    pub(crate) fn latency_set(
        &self,
        at: &Name,
        family: &RecordType,
        label: &Label,
        shares: &Shares,
    ) -> Result<RecordSet, TopologyError> {
        let (answer, health_check) = match shares.only() {
            Some(id) => {
                let endpoint = self.endpoint(id)?;
                (endpoint.answer(), Some(endpoint.health_check()))
            }
            None => (self.inner_alias(Marks::of(self.service).weighted(label)), None),
        };
        Ok(RecordSet {
            name: at.clone(),
            record_type: family.clone(),
            set_identifier: Some(format!("nearside-{label}")),
            policy: Policy::Latency(label.clone()),
            answer,
            health_check,
        })
    }

    pub(crate) fn weighted_sets(
        &self,
        family: &RecordType,
        label: &Label,
        shares: &Shares,
    ) -> Result<Vec<RecordSet>, TopologyError> {
        let name = Marks::of(self.service).weighted(label);
        let set = |(id, weight): (&str, u8)| {
            let endpoint = self.endpoint(id)?;
            Ok(RecordSet {
                name: name.clone(),
                record_type: family.clone(),
                set_identifier: Some(format!("nearside-{id}")),
                policy: Policy::Weighted(weight),
                answer: endpoint.answer(),
                health_check: Some(endpoint.health_check()),
            })
        };
        shares.iter().map(set).collect()
    }

    fn wrapper_set(&self, family: &RecordType, arm: Arm, state: &ArmState) -> RecordSet {
        RecordSet {
            name: self.service.clone(),
            record_type: family.clone(),
            set_identifier: Some(format!("nearside-{arm}")),
            policy: Policy::Weighted(state.weight),
            answer: self.inner_alias(Marks::of(self.service).arm(arm)),
            health_check: state.brake.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
