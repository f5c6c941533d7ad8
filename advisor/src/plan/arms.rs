//! Plans of whole topologies: the wrapper, its arms and their weights, each change one batch.
//!
//! Pure, as the rest of planning.

use std::collections::BTreeSet;

use super::{Ground, Intent, Plan};
use crate::group::latency_sets;
use crate::mark::{Marks, Shadow};
use crate::name::{Label, Name};
use crate::record::{Policy, RecordSet, RecordType};
use crate::topology::{Arm, Shape, Shares, Site, Topology, TopologyError, Tree, read};

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

    /// The plan that puts `topology` in the place of what stands. Where only one tree stands at the end,
    /// the shadow groups get its labels.
    pub fn stand(&self, intent: Intent, topology: &Topology) -> Result<Plan, TopologyError> {
        let site =
            Site { service: self.service, zone_id: &self.zone.id, endpoints: self.endpoints };
        let mut names = self.topology()?.names(self.service);
        names.extend(topology.names(self.service));
        let mut sets = self.kept_at_service();
        sets.extend(topology.sets(&site)?);
        if let Some(labels) = only_labels(topology) {
            let marks = Marks::of(self.service);
            for shadow in [Shadow::Live, Shadow::Next] {
                names.insert(marks.shadow(shadow));
                sets.extend(marks.shadow_sets(shadow, labels.iter().copied()));
            }
        }
        let names: Vec<Name> = names.into_iter().collect();
        let mut plan = self.document(intent, &self.replacing(&names, sets));
        plan.health_checks = self.health_checks(&plan.changes);
        Ok(plan)
    }
}

fn only_labels(topology: &Topology) -> Option<BTreeSet<&Label>> {
    let tree = match &topology.shape {
        Shape::Plain(tree) => tree,
        Shape::Wrapped(arms) if arms.len() == 1 => &arms.values().next()?.tree,
        Shape::Wrapped(_) => return None,
    };
    Some(tree.keys().collect())
}
