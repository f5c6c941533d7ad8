//! The routing group at the service name: reading the one that is there, making the one wanted.
//!
//! Pure. It knows record sets and endpoints, and nothing of evidence.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::{Label, Name};
use crate::record::{Answer, HealthCheck, Policy, RecordSet, RecordType};
use crate::topology::{Shares, Tree};
use crate::zone::HealthCheckSpec;

/// An endpoint as DNS answers with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointTarget {
    /// Its id in the configuration.
    pub id: String,
    /// Its Region's code.
    pub region: String,
    /// The alias target.
    pub dns_name: Name,
    /// The hosted zone of the alias target.
    pub hosted_zone_id: String,
    /// The health check that all labels of this endpoint share.
    pub health_check: HealthCheckSpec,
    /// Its id, where it exists already.
    pub health_check_id: Option<String>,
    /// Whether it proves its Region by an answer of its own, or has none to prove (`CloudFront`).
    pub proves_region: bool,
}

impl EndpointTarget {
    pub(crate) fn health_check(&self) -> HealthCheck {
        match &self.health_check_id {
            Some(id) => HealthCheck::Id(id.clone()),
            None => HealthCheck::Reference(self.health_check.caller_reference.clone()),
        }
    }

    /// The alias to it. `EvaluateTargetHealth` is off: for API Gateway it fails only with the whole
    /// Region, and the endpoint's own check says more.
    pub(crate) fn answer(&self) -> Answer {
        Answer::Alias {
            hosted_zone_id: self.hosted_zone_id.clone(),
            dns_name: self.dns_name.clone(),
            evaluate_target_health: false,
        }
    }
}

/// What stands at the service name, by the policy of its sets.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Prior {
    /// A latency group.
    #[default]
    Latency,
    /// One simple alias, which everybody is answered with.
    Simple,
    /// A weighted group: the weight of each endpoint that is answered.
    Weighted(BTreeMap<String, u32>),
}

/// The group that stands at the service name now, or the latency group that it is converted to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveGroup {
    /// The endpoint that each label points at, of several with weights the one with the most. Of a group that is to be converted: the label of each
    /// answered endpoint's own Region, so that nobody is sent where nobody was sent before.
    pub labels: BTreeMap<Label, String>,
    /// The labels that lead to several endpoints with weights.
    pub weights: BTreeMap<Label, Shares>,
    /// Address types that are answered.
    pub families: BTreeSet<RecordType>,
    /// What stands there.
    pub prior: Prior,
}

impl LiveGroup {
    /// Where each label leads.
    #[must_use]
    pub fn tree(&self) -> Tree {
        let whole = |(label, id): (&Label, &String)| {
            let shares = self.weights.get(label).cloned();
            (label.clone(), shares.unwrap_or_else(|| Shares::one(id)))
        };
        self.labels.iter().map(whole).collect()
    }
}

/// Why the group at the service name cannot be planned over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A policy that may stand for law or failover, not latency.
    #[error(
        "'{name}' {record_type} uses {kind} routing, which {}: it is never converted",
        meaning(kind)
    )]
    ForeignPolicy {
        /// The service name.
        name: Name,
        /// Of the set.
        record_type: RecordType,
        /// The policy.
        kind: String,
    },
    /// Sets of one name and type that do not go together.
    #[error("'{name}' {record_type} mixes routing policies")]
    Mixed {
        /// The service name.
        name: Name,
        /// Of the sets.
        record_type: RecordType,
    },
    /// Two answered endpoints want the same label.
    #[error(
        "'{name}' is weighted between '{first}' and '{second}', both in {label}: a latency group has one endpoint a label"
    )]
    SameRegion {
        /// The service name.
        name: Name,
        /// The Region.
        label: Label,
        /// One endpoint.
        first: String,
        /// The other.
        second: String,
    },
    /// A CNAME excludes every other type.
    #[error("'{0}' is a CNAME; a latency group of aliases cannot stand beside it")]
    Cname(Name),
    /// A target that is no endpoint of the configuration.
    #[error("{which} of '{name}' points at '{target}', which is no [[endpoint]]")]
    UnknownTarget {
        /// The service name.
        name: Name,
        /// The label, or what kind of set it is.
        which: String,
        /// The target, or the values.
        target: String,
    },
    /// A and AAAA disagree.
    #[error(
        "A and AAAA of '{name}' differ at label {label}; they must have the same labels, endpoints and policy"
    )]
    FamiliesDiffer {
        /// The service name.
        name: Name,
        /// The first label that differs.
        label: Label,
    },
    /// Nothing is there.
    #[error("'{0}' has no address records yet")]
    Empty(Name),
    /// A weighted group below a label that nothing of ours made.
    #[error("{0}")]
    Weights(String),
    /// Two trees stand at once.
    #[error("'{0}' has two arms: a canary has begun and not ended")]
    TwoArms(Name),
}

impl GroupError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::ForeignPolicy { .. } => {
                "route another name through Nearside, or replace the group by hand first"
            }
            Self::Cname(_) | Self::Empty(_) => {
                "create an alias record to one of the endpoints first, then plan again"
            }
            Self::Mixed { .. } => "look at the group in the console: Route 53 does not make such",
            Self::SameRegion { .. } => "leave one endpoint of each Region in the group first",
            Self::UnknownTarget { .. } => {
                "add the endpoint to nearside.toml with this alias.dns_name"
            }
            Self::Weights(_) => "restore the weighted group by hand, or remove it, then plan again",
            Self::TwoArms(_) => "`advisor rollback` takes the canary back",
            Self::FamiliesDiffer { .. } => {
                "give every label both an A and an AAAA record, or none an AAAA"
            }
        }
    }
}

/// Why a policy of this kind is left alone.
fn meaning(kind: &str) -> &'static str {
    match kind {
        "geolocation" => "may be law (who may be served from where), not latency",
        "failover" => "says who stands in for whom",
        "cidr" => "was written for certain networks",
        "multivalue" => "answers with several endpoints at once",
        "geoproximity" => "was drawn by hand with its biases",
        "traffic policy" => "belongs to a Traffic Flow policy, which would write it again",
        _ => "is not known to be about latency",
    }
}

/// Reads the group at `service` from the zone's record sets. Latency groups are taken as they are;
/// simple and weighted ones as the latency group that they can be converted to.
pub fn live_group(
    service: &Name,
    records: &[RecordSet],
    endpoints: &[EndpointTarget],
) -> Result<LiveGroup, GroupError> {
    let mut by_family: BTreeMap<RecordType, Vec<&RecordSet>> = BTreeMap::new();
    for set in records.iter().filter(|set| set.name == *service) {
        if set.record_type == RecordType::Other("CNAME".into()) {
            return Err(GroupError::Cname(service.clone()));
        }
        if set.record_type.is_address() {
            by_family.entry(set.record_type.clone()).or_default().push(set);
        }
    }
    let mut groups = Vec::with_capacity(by_family.len());
    for sets in by_family.values() {
        groups.push(family_group(sets, endpoints)?);
    }
    let mut groups = groups.into_iter();
    let Some((labels, prior)) = groups.next() else {
        return Err(GroupError::Empty(service.clone()));
    };
    for (others, of_others) in groups {
        let differs =
            |label: &&Label| labels.get(*label) != others.get(*label) || prior != of_others;
        if let Some(label) = labels.keys().chain(others.keys()).find(differs) {
            return Err(GroupError::FamiliesDiffer { name: service.clone(), label: label.clone() });
        }
    }
    let families = by_family.into_keys().collect();
    Ok(LiveGroup { labels, weights: BTreeMap::new(), families, prior })
}

/// The group of one name and type.
fn family_group(
    sets: &[&RecordSet],
    endpoints: &[EndpointTarget],
) -> Result<(BTreeMap<Label, String>, Prior), GroupError> {
    let mut latency = BTreeMap::new();
    let mut weights: Vec<(&EndpointTarget, u32)> = Vec::new();
    let mut simple = None;
    for set in sets {
        match &set.policy {
            Policy::Foreign { kind, .. } => {
                let (name, record_type) = (set.name.clone(), set.record_type.clone());
                return Err(GroupError::ForeignPolicy { name, record_type, kind: kind.clone() });
            }
            Policy::Latency(label) => {
                let target = target_of(set, endpoints, &format!("label {label}"))?;
                latency.insert(label.clone(), target.id.clone());
            }
            Policy::Simple => simple = Some(target_of(set, endpoints, "the simple set")?),
            Policy::Weighted(weight) => {
                let target = target_of(set, endpoints, "a weighted set")?;
                weights.push((target, u32::from(*weight)));
            }
        }
    }
    match (latency.is_empty(), simple, weights.is_empty()) {
        (false, None, true) => Ok((latency, Prior::Latency)),
        (true, Some(one), true) => Ok((BTreeMap::from([own_label(one)]), Prior::Simple)),
        (true, None, false) => weighted_group(&sets[0].name, &weights),
        _ => Err(GroupError::Mixed {
            name: sets[0].name.clone(),
            record_type: sets[0].record_type.clone(),
        }),
    }
}

/// The answered endpoints of a weighted group, each under its own Region's label. A weight of 0 is not
/// answered, unless all are 0, which Route 53 treats as equal.
fn weighted_group(
    name: &Name,
    weights: &[(&EndpointTarget, u32)],
) -> Result<(BTreeMap<Label, String>, Prior), GroupError> {
    let all_zero = weights.iter().all(|(_, weight)| *weight == 0);
    let (mut labels, mut answered) = (BTreeMap::new(), BTreeMap::new());
    for (endpoint, weight) in weights {
        let weight = if all_zero { 1 } else { *weight };
        if weight == 0 {
            continue;
        }
        *answered.entry(endpoint.id.clone()).or_default() += weight;
        let (label, id) = own_label(endpoint);
        if let Some(first) = labels.insert(label.clone(), id.clone()).filter(|first| *first != id) {
            return Err(GroupError::SameRegion { name: name.clone(), label, first, second: id });
        }
    }
    Ok((labels, Prior::Weighted(answered)))
}

fn own_label(endpoint: &EndpointTarget) -> (Label, String) {
    (Label::new(&endpoint.region), endpoint.id.clone())
}

fn target_of<'a>(
    set: &RecordSet,
    endpoints: &'a [EndpointTarget],
    which: &str,
) -> Result<&'a EndpointTarget, GroupError> {
    let found = endpoints.iter().find(|endpoint| Some(&endpoint.dns_name) == set.alias_target());
    found.ok_or_else(|| GroupError::UnknownTarget {
        name: set.name.clone(),
        which: which.to_owned(),
        target: match &set.answer {
            Answer::Alias { dns_name, .. } => dns_name.to_string(),
            Answer::Values { values, .. } => values.join(" "),
        },
    })
}

/// The latency topology: one alias for each label and family, with the endpoint's health check.
#[must_use]
pub fn latency_sets(
    service: &Name,
    labels: &BTreeMap<Label, String>,
    families: &BTreeSet<RecordType>,
    endpoints: &[EndpointTarget],
) -> Vec<RecordSet> {
    let mut sets = Vec::with_capacity(labels.len() * families.len());
    for family in families {
        for (label, id) in labels {
            let Some(endpoint) = endpoints.iter().find(|endpoint| endpoint.id == *id) else {
                continue;
            };
            sets.push(RecordSet {
                name: service.clone(),
                record_type: family.clone(),
                set_identifier: Some(format!("nearside-{label}")),
                policy: Policy::Latency(label.clone()),
                answer: endpoint.answer(),
                health_check: Some(endpoint.health_check()),
            });
        }
    }
    sets
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    pub(crate) fn endpoint(region: &str) -> EndpointTarget {
        EndpointTarget {
            id: region.into(),
            region: region.into(),
            dns_name: name(&format!("d-1.execute-api.{region}.amazonaws.com")),
            hosted_zone_id: "Z1".into(),
            health_check: HealthCheckSpec {
                caller_reference: format!("nearside-{region}"),
                endpoint: region.into(),
                https: true,
                host: format!("{region}.api.example.com"),
                port: 443,
                path: "/health".into(),
            },
            health_check_id: None,
            proves_region: true,
        }
    }

    /// A latency set as another tool would have made it.
    pub(crate) fn adopted(label: &str, region: &str, family: RecordType) -> RecordSet {
        RecordSet {
            name: name("api.example.com"),
            record_type: family,
            set_identifier: Some(format!("tf-{label}")),
            policy: Policy::Latency(Label::new(label)),
            answer: Answer::Alias {
                hosted_zone_id: "Z1".into(),
                dns_name: endpoint(region).dns_name,
                evaluate_target_health: false,
            },
            health_check: None,
        }
    }

    #[test]
    fn a_latency_group_is_read_and_made_again() {
        let endpoints = [endpoint("eu-west-1"), endpoint("us-east-1")];
        let records = [
            adopted("eu-west-1", "eu-west-1", RecordType::A),
            adopted("eu-west-1", "eu-west-1", RecordType::Aaaa),
            adopted("us-east-1", "eu-west-1", RecordType::A),
            adopted("us-east-1", "eu-west-1", RecordType::Aaaa),
        ];
        let service = name("api.example.com");
        let live = live_group(&service, &records, &endpoints).unwrap();
        assert_eq!(live.labels[&Label::new("us-east-1")], "eu-west-1");
        let made = latency_sets(&service, &live.labels, &live.families, &endpoints);
        assert_eq!(live_group(&service, &made, &endpoints).unwrap(), live);
    }

    fn with_policy(policy: Policy, region: &str) -> RecordSet {
        let set_identifier = match &policy {
            Policy::Simple => None,
            _ => Some(format!("s-{region}")),
        };
        RecordSet { set_identifier, policy, ..adopted(region, region, RecordType::A) }
    }

    #[test]
    fn simple_and_weighted_groups_become_the_labels_of_the_answered_regions() {
        let endpoints = [endpoint("eu-west-1"), endpoint("us-east-1"), endpoint("ap-south-1")];
        let service = name("api.example.com");
        let read = |records: &[RecordSet]| live_group(&service, records, &endpoints).unwrap();
        let labels = |live: &LiveGroup| -> Vec<String> {
            live.labels.iter().map(|(label, id)| format!("{label}={id}")).collect()
        };
        let simple = read(&[with_policy(Policy::Simple, "us-east-1")]);
        assert_eq!(labels(&simple), ["us-east-1=us-east-1"]);
        assert_eq!(simple.prior, Prior::Simple);
        let weighted = read(&[
            with_policy(Policy::Weighted(3), "us-east-1"),
            with_policy(Policy::Weighted(1), "eu-west-1"),
            with_policy(Policy::Weighted(0), "ap-south-1"),
        ]);
        assert_eq!(labels(&weighted), ["eu-west-1=eu-west-1", "us-east-1=us-east-1"]);
        let shares = BTreeMap::from([("eu-west-1".to_owned(), 1), ("us-east-1".to_owned(), 3)]);
        assert_eq!(weighted.prior, Prior::Weighted(shares));
        let zeros = read(&[
            with_policy(Policy::Weighted(0), "us-east-1"),
            with_policy(Policy::Weighted(0), "eu-west-1"),
        ]);
        assert_eq!(labels(&zeros), ["eu-west-1=eu-west-1", "us-east-1=us-east-1"]);
    }

    #[test]
    fn groups_that_are_not_about_latency_are_refused_each_in_its_own_words() {
        let mut second = endpoint("eu-west-1");
        (second.id, second.dns_name) =
            ("second".into(), name("d-2.execute-api.eu-west-1.amazonaws.com"));
        let endpoints = [endpoint("eu-west-1"), second];
        let good = adopted("eu-west-1", "eu-west-1", RecordType::A);
        let kinds =
            ["geolocation", "failover", "cidr", "multivalue", "geoproximity", "traffic policy"];
        let foreign = |kind: &str| {
            let policy = Policy::Foreign { kind: kind.into(), detail: "x".into() };
            vec![good.clone(), RecordSet { policy, ..good.clone() }]
        };
        let second = RecordSet {
            answer: Answer::Alias {
                hosted_zone_id: "Z1".into(),
                dns_name: name("d-2.execute-api.eu-west-1.amazonaws.com"),
                evaluate_target_health: false,
            },
            ..with_policy(Policy::Weighted(1), "eu-west-1")
        };
        let values = Answer::Values { ttl_s: 60, values: vec!["192.0.2.1".into()] };
        let mut cases: Vec<Vec<RecordSet>> = kinds.iter().map(|kind| foreign(kind)).collect();
        cases.extend([
            vec![RecordSet { record_type: RecordType::Other("CNAME".into()), ..good.clone() }],
            vec![adopted("eu-west-1", "ap-south-1", RecordType::A)],
            vec![RecordSet { answer: values, ..with_policy(Policy::Simple, "eu-west-1") }],
            vec![good.clone(), adopted("us-east-1", "eu-west-1", RecordType::Aaaa)],
            vec![
                with_policy(Policy::Simple, "eu-west-1"),
                adopted("eu-west-1", "eu-west-1", RecordType::Aaaa),
            ],
            vec![with_policy(Policy::Weighted(1), "eu-west-1"), second],
            vec![good, with_policy(Policy::Weighted(1), "eu-west-1")],
            vec![],
        ]);
        let service = name("api.example.com");
        let messages: Vec<String> = cases
            .iter()
            .map(|records| live_group(&service, records, &endpoints).unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(messages.join("\n"));
    }
}
