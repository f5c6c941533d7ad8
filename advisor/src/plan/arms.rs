//! Plans of whole topologies: the wrapper, its arms and their weights, each change one batch.
//!
//! Pure, as the rest of planning.

use std::collections::BTreeSet;

use super::{CanaryTerms, Ground, Intent, Move, Plan};
use crate::group::latency_sets;
use crate::mark::{Marks, Shadow};
use crate::name::{Label, Name};
use crate::record::{HealthCheck, Policy, RecordSet, RecordType};
use crate::topology::{
    Arm, Shape, Shares, Site, StepsError, Topology, TopologyError, Tree, read, steps_left,
};

/// What the brake is called among the health checks of a plan.
pub(crate) const BRAKE: &str = "the canary's brake";

/// Why a canary has no next step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CanaryPlanError {
    /// What stands, or what is planned.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// The shares, or another canary.
    #[error(transparent)]
    Steps(#[from] StepsError),
    /// Both arms of a canary answer by the same labels.
    #[error("the plan adds or removes labels, and both arms of a canary have the same ones")]
    OtherLabels,
    /// An arm has one endpoint a label.
    #[error("label {0} is split among endpoints by weights, and in a canary each label has one")]
    Weighted(Label),
}

impl CanaryPlanError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Topology(error) => error.hint(),
            Self::Steps(error) => error.hint(),
            Self::OtherLabels => "apply it without --canary; `advisor rollback` takes it back",
            Self::Weighted(_) => {
                "apply it without --canary: weights go by steps of their own, at most max_step each"
            }
        }
    }
}

/// Where the tree stands that a plan without a canary changes: the service name, or the one arm below
/// the wrapper. `None` while two arms stand.
#[must_use]
pub fn home(service: &Name, records: &[RecordSet]) -> Option<Name> {
    let marks = Marks::of(service);
    let leads_to = |arm: &Arm| {
        let to = marks.arm(*arm);
        let is_wrapper = |set: &RecordSet| {
            set.name == *service
                && matches!(set.policy, Policy::Weighted(_))
                && set.alias_target() == Some(&to)
        };
        records.iter().any(is_wrapper)
    };
    match [Arm::Blue, Arm::Green].into_iter().filter(leads_to).collect::<Vec<_>>()[..] {
        [] => Some(service.clone()),
        [arm] => Some(marks.arm(arm)),
        _ => None,
    }
}

impl Ground<'_> {
    /// What stands at the service name.
    pub fn topology(&self) -> Result<Topology, TopologyError> {
        read(self.service, self.records, self.endpoints)
    }

    /// The record sets of a latency tree at `home`, with weighted groups below its labels.
    pub(super) fn tree_sets(
        &self,
        home: &Name,
        families: &BTreeSet<RecordType>,
        tree: &Tree,
    ) -> Vec<RecordSet> {
        let site =
            Site { service: self.service, zone_id: &self.zone.id, endpoints: self.endpoints };
        let one =
            |(label, shares): (&Label, &Shares)| Some((label.clone(), shares.only()?.to_owned()));
        let mut sets =
            latency_sets(home, &tree.iter().filter_map(one).collect(), families, self.endpoints);
        for (label, shares) in tree.iter().filter(|(_, shares)| shares.only().is_none()) {
            for family in families {
                sets.extend(site.latency_set(home, family, label, shares));
                sets.extend(site.weighted_sets(family, label, shares).into_iter().flatten());
            }
        }
        sets
    }

    /// The plan that puts `topology` in the place of what stands. The shadow groups get the labels of
    /// the one tree that stands at the end; of two arms, `live` those of the old one and `next` those of
    /// the new one, which has a brake.
    pub fn stand(&self, intent: Intent, topology: &Topology) -> Result<Plan, TopologyError> {
        let site =
            Site { service: self.service, zone_id: &self.zone.id, endpoints: self.endpoints };
        let mut names = self.topology()?.names(self.service);
        names.extend(topology.names(self.service));
        let mut sets = self.kept_at_service();
        sets.extend(topology.sets(&site)?);
        let marks = Marks::of(self.service);
        for (shadow, labels) in shadow_labels(topology) {
            names.insert(marks.shadow(shadow));
            sets.extend(marks.shadow_sets(shadow, labels.iter().copied()));
        }
        let names: Vec<Name> = names.into_iter().collect();
        let mut plan = self.document(intent, &self.replacing(&names, sets));
        plan.health_checks = self.health_checks(&plan.changes);
        plan.reused_health_checks = self.reused_health_checks(&plan.changes);
        Ok(plan)
    }

    /// The plan of the next step of a canary, from what stands to the labels of `target`: a plan of
    /// routing, or an earlier step of the same canary. `None` where all of it stands.
    pub fn canary(
        &self,
        target: &Plan,
        terms: &CanaryTerms,
    ) -> Result<Option<Plan>, CanaryPlanError> {
        if target.moves.iter().any(Move::changes_the_set) {
            return Err(CanaryPlanError::OtherLabels);
        }
        let standing = self.topology()?;
        let known = standing_brake(&standing);
        let made = HealthCheck::Reference(terms.brake.caller_reference.clone());
        let brake = known.clone().unwrap_or(made);
        let tree = tree_of(target);
        if target.intent.canary().is_none() {
            let leads_to = self.leads_to(target)?;
            let is_split = |(label, shares): &(&Label, &Shares)| tree.get(label) != Some(shares);
            if let Some((label, _)) = leads_to.iter().find(is_split) {
                return Err(CanaryPlanError::Weighted(label.clone()));
            }
        }
        let mut left = steps_left(&standing, &tree, &terms.percents, &brake)?.into_iter();
        let Some(step) = left.next() else { return Ok(None) };
        let intent = Intent::Canary { percent: step.percent, terms: terms.clone() };
        let mut plan = self.stand(intent, &step.topology)?;
        if let (Some(HealthCheck::Id(id)), Some(_)) = (known, standing_brake(&step.topology)) {
            plan.reused_health_checks.insert(BRAKE.to_owned(), id);
        }
        plan.labels.clone_from(&target.labels);
        plan.moves.clone_from(&target.moves);
        plan.effect = target.effect.clone();
        plan.thresholds = target.thresholds.clone();
        plan.unproven.clone_from(&target.unproven);
        Ok(Some(plan))
    }

    /// The one tree that stands once a plan is applied without a canary.
    fn leads_to(&self, plan: &Plan) -> Result<Tree, TopologyError> {
        let trees = match read(self.service, &plan.desired(), self.endpoints)?.shape {
            Shape::Plain(tree) => vec![tree],
            Shape::Wrapped(arms) => arms.into_values().map(|state| state.tree).collect(),
        };
        Ok(trees.into_iter().next().unwrap_or_default())
    }
}

/// The labels of a plan as a tree.
fn tree_of(plan: &Plan) -> Tree {
    plan.labels.iter().map(|(label, id)| (Label::new(label), Shares::one(id))).collect()
}

fn standing_brake(topology: &Topology) -> Option<HealthCheck> {
    match &topology.shape {
        Shape::Plain(_) => None,
        Shape::Wrapped(arms) => arms.values().find_map(|state| state.brake.clone()),
    }
}

/// The labels that each shadow group shows. Of two arms without a brake none is known to be the new
/// one, and the groups stay as they are.
fn shadow_labels(topology: &Topology) -> Vec<(Shadow, BTreeSet<&Label>)> {
    if let Some([(_, old), (_, new)]) = topology.old_and_new() {
        return vec![(Shadow::Live, labels(&old.tree)), (Shadow::Next, labels(&new.tree))];
    }
    let tree = match &topology.shape {
        Shape::Plain(tree) => Some(tree),
        Shape::Wrapped(arms) if arms.len() == 1 => arms.values().next().map(|state| &state.tree),
        Shape::Wrapped(_) => None,
    };
    let both = |tree| [Shadow::Live, Shadow::Next].map(|shadow| (shadow, labels(tree)));
    tree.into_iter().flat_map(both).collect()
}

fn labels(tree: &Tree) -> BTreeSet<&Label> {
    tree.keys().collect()
}
