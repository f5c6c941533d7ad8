//! Reading the topology that stands in a zone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arm, ArmState, Shape, Shares, Topology, TopologyError, Tree};
use crate::group::{EndpointTarget, GroupError, LiveGroup, Prior, live_group};
use crate::mark::Marks;
use crate::name::{Label, Name};
use crate::record::{Policy, RecordSet, RecordType};

/// Reads what stands at `service`: latency records, with weighted groups of ours below labels, or the
/// wrapper.
pub fn read(
    service: &Name,
    records: &[RecordSet],
    endpoints: &[EndpointTarget],
) -> Result<Topology, TopologyError> {
    let reader = Reader { service, marks: Marks::of(service), records, endpoints };
    let arm_names = [Arm::Blue, Arm::Green].map(|arm| reader.marks.arm(arm));
    let wrapped = reader
        .addresses(service)
        .any(|set| set.alias_target().is_some_and(|target| arm_names.contains(target)));
    let (families, shape) = if wrapped {
        let (families, arms) = reader.wrapper()?;
        (families, Shape::Wrapped(arms))
    } else {
        let (families, tree) = reader.tree(service)?;
        (families, Shape::Plain(tree))
    };
    Ok(Topology { families, shape })
}

/// The one tree at `home`, the service name or an arm, as the group that plans start from.
pub fn standing(
    service: &Name,
    home: &Name,
    records: &[RecordSet],
    endpoints: &[EndpointTarget],
) -> Result<LiveGroup, GroupError> {
    let reader = Reader { service, marks: Marks::of(service), records, endpoints };
    if !records.iter().any(|set| set.name == *home && reader.is_weighted(set)) {
        return live_group(home, records, endpoints);
    }
    let (families, tree) = reader.tree(home).map_err(|error| match error {
        TopologyError::Group(error) => error,
        other => GroupError::Weights(other.to_string()),
    })?;
    let first = |(label, shares): (&Label, &Shares)| (label.clone(), shares.first().to_owned());
    let labels = tree.iter().map(first).collect();
    let weights = tree.into_iter().filter(|(_, shares)| shares.only().is_none()).collect();
    Ok(LiveGroup { labels, weights, families, prior: Prior::Latency })
}

struct Reader<'a> {
    service: &'a Name,
    marks: Marks,
    records: &'a [RecordSet],
    endpoints: &'a [EndpointTarget],
}

type Families = BTreeSet<RecordType>;

fn foreign(name: &Name, cause: impl Into<String>) -> TopologyError {
    TopologyError::Foreign { name: name.clone(), cause: cause.into() }
}

impl<'a> Reader<'a> {
    fn addresses(&self, name: &Name) -> impl Iterator<Item = &'a RecordSet> + use<'a> {
        let name = name.clone();
        self.records.iter().filter(move |set| set.name == name && set.record_type.is_address())
    }

    /// Whether a label's set leads to its weighted group.
    fn is_weighted(&self, set: &RecordSet) -> bool {
        match &set.policy {
            Policy::Latency(label) => set.alias_target() == Some(&self.marks.weighted(label)),
            _ => false,
        }
    }

    /// The latency tree at `at`, the same for every family.
    fn tree(&self, at: &Name) -> Result<(Families, Tree), TopologyError> {
        let (groups, rest): (Vec<&RecordSet>, Vec<&RecordSet>) = self
            .records
            .iter()
            .filter(|set| set.name == *at)
            .partition(|set| self.is_weighted(set));
        let odd = |set: &&&RecordSet| {
            set.record_type.is_address() && !matches!(set.policy, Policy::Latency(_))
        };
        if let Some(odd) = rest.iter().find(odd) {
            return Err(foreign(at, odd.to_string()));
        }
        let (mut families, mut tree) = self.groups(&groups)?;
        if tree.is_empty() || rest.iter().any(|set| set.record_type.is_address()) {
            let rest: Vec<RecordSet> = rest.into_iter().cloned().collect();
            let plain = live_group(at, &rest, self.endpoints)?;
            if !tree.is_empty() && families != plain.families {
                return Err(foreign(at, "labels answer other address types"));
            }
            families = plain.families;
            let one = |(label, id): (Label, String)| (label, Shares::one(&id));
            tree.extend(plain.labels.into_iter().map(one));
        }
        Ok((families, tree))
    }

    /// The labels that lead to weighted groups, the same for every family.
    fn groups(&self, sets: &[&RecordSet]) -> Result<(Families, Tree), TopologyError> {
        let mut by_family: BTreeMap<RecordType, Tree> = BTreeMap::new();
        for set in sets {
            let Policy::Latency(label) = &set.policy else { continue };
            let shares = self.shares(label, &set.record_type)?;
            by_family.entry(set.record_type.clone()).or_default().insert(label.clone(), shares);
        }
        let tree = by_family.values().next().cloned().unwrap_or_default();
        if by_family.values().any(|other| *other != tree) {
            return Err(foreign(self.service, "A and AAAA have other weights"));
        }
        Ok((by_family.into_keys().collect(), tree))
    }

    /// The weighted group of a label.
    fn shares(&self, label: &Label, family: &RecordType) -> Result<Shares, TopologyError> {
        let name = self.marks.weighted(label);
        let mut weights = Vec::new();
        for set in self.addresses(&name).filter(|set| set.record_type == *family) {
            let Policy::Weighted(weight) = set.policy else {
                return Err(foreign(&name, set.to_string()));
            };
            let endpoint = self
                .endpoints
                .iter()
                .find(|endpoint| Some(&endpoint.dns_name) == set.alias_target())
                .ok_or_else(|| foreign(&name, set.to_string()))?;
            weights.push((endpoint.id.clone(), weight));
        }
        Shares::weighted(weights).ok_or_else(|| foreign(&name, "no weight is above 0"))
    }

    /// The wrapper's arms, the same for every family.
    fn wrapper(&self) -> Result<(Families, BTreeMap<Arm, ArmState>), TopologyError> {
        let mut by_family: BTreeMap<RecordType, BTreeMap<Arm, ArmState>> = BTreeMap::new();
        for set in self.addresses(self.service) {
            let (arm, state) = self.arm(set)?;
            by_family.entry(set.record_type.clone()).or_default().insert(arm, state);
        }
        let arms = by_family.values().next().cloned().unwrap_or_default();
        if by_family.values().any(|other| *other != arms) {
            return Err(foreign(self.service, "A and AAAA have other arms or weights"));
        }
        let families: Families = by_family.into_keys().collect();
        for arm in arms.keys() {
            let at = self.marks.arm(*arm);
            if self.tree(&at)?.0 != families {
                return Err(foreign(&at, "it answers other address types than the service"));
            }
        }
        Ok((families, arms))
    }

    fn arm(&self, set: &RecordSet) -> Result<(Arm, ArmState), TopologyError> {
        let target = set.alias_target();
        let arm =
            [Arm::Blue, Arm::Green].into_iter().find(|arm| target == Some(&self.marks.arm(*arm)));
        let (Some(arm), Policy::Weighted(weight)) = (arm, &set.policy) else {
            return Err(foreign(self.service, set.to_string()));
        };
        let (_, tree) = self.tree(&self.marks.arm(arm))?;
        Ok((arm, ArmState { weight: *weight, tree, brake: set.health_check.clone() }))
    }
}
