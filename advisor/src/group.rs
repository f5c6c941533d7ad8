//! The routing group at the service name: reading the one that is there, making the one wanted.
//!
//! Pure. It knows record sets and endpoints, and nothing of evidence.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::{Label, Name};
use crate::record::{Answer, HealthCheck, Policy, RecordSet, RecordType};
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

/// The group that stands at the service name now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LiveGroup {
    /// The endpoint that each installed label points at.
    pub labels: BTreeMap<Label, String>,
    /// Address types that are answered.
    pub families: BTreeSet<RecordType>,
}

/// Why the group at the service name cannot be planned over.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GroupError {
    /// A policy that may stand for law or failover, not latency.
    #[error("'{name}' {record_type} uses {kind} routing, which is never converted")]
    ForeignPolicy {
        /// The service name.
        name: Name,
        /// Of the set.
        record_type: RecordType,
        /// The policy.
        kind: String,
    },
    /// Simple or weighted sets.
    #[error("'{name}' {record_type} is a {kind} set; only latency groups are planned over")]
    NotLatency {
        /// The service name.
        name: Name,
        /// Of the set.
        record_type: RecordType,
        /// `simple` or `weighted`.
        kind: &'static str,
    },
    /// A CNAME excludes every other type.
    #[error("'{0}' is a CNAME; a latency group of aliases cannot stand beside it")]
    Cname(Name),
    /// A target that is no endpoint of the configuration.
    #[error("label {label} of '{name}' points at '{target}', which is no [[endpoint]]")]
    UnknownTarget {
        /// The service name.
        name: Name,
        /// The label.
        label: Label,
        /// The target, or the values.
        target: String,
    },
    /// A and AAAA disagree.
    #[error(
        "A and AAAA of '{name}' differ at label {label}; they must have the same labels and endpoints"
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
            Self::NotLatency { .. } | Self::Cname(_) | Self::Empty(_) => {
                "create one latency alias record for each endpoint first, then plan again"
            }
            Self::UnknownTarget { .. } => {
                "add the endpoint to nearside.toml with this alias.dns_name"
            }
            Self::TwoArms(_) => "`advisor rollback` takes the canary back",
            Self::FamiliesDiffer { .. } => {
                "give every label both an A and an AAAA record, or none an AAAA"
            }
        }
    }
}

/// Reads the group at `service` from the zone's record sets.
pub fn live_group(
    service: &Name,
    records: &[RecordSet],
    endpoints: &[EndpointTarget],
) -> Result<LiveGroup, GroupError> {
    let mut by_family: BTreeMap<RecordType, BTreeMap<Label, String>> = BTreeMap::new();
    for set in records.iter().filter(|set| set.name == *service) {
        if set.record_type == RecordType::Other("CNAME".into()) {
            return Err(GroupError::Cname(service.clone()));
        }
        if set.record_type.is_address() {
            let (label, endpoint) = latency_member(set, endpoints)?;
            by_family.entry(set.record_type.clone()).or_default().insert(label, endpoint);
        }
    }
    let mut families = by_family.iter();
    let Some((_, labels)) = families.next() else {
        return Err(GroupError::Empty(service.clone()));
    };
    for (_, others) in families {
        let differs = |label: &&Label| labels.get(*label) != others.get(*label);
        if let Some(label) = labels.keys().chain(others.keys()).find(differs) {
            return Err(GroupError::FamiliesDiffer { name: service.clone(), label: label.clone() });
        }
    }
    Ok(LiveGroup { labels: labels.clone(), families: by_family.into_keys().collect() })
}

fn latency_member(
    set: &RecordSet,
    endpoints: &[EndpointTarget],
) -> Result<(Label, String), GroupError> {
    let (name, record_type) = (set.name.clone(), set.record_type.clone());
    let label = match &set.policy {
        Policy::Latency(label) => label.clone(),
        Policy::Foreign { kind, .. } => {
            return Err(GroupError::ForeignPolicy { name, record_type, kind: kind.clone() });
        }
        Policy::Simple => return Err(GroupError::NotLatency { name, record_type, kind: "simple" }),
        Policy::Weighted(_) => {
            return Err(GroupError::NotLatency { name, record_type, kind: "weighted" });
        }
    };
    let found = endpoints.iter().find(|endpoint| Some(&endpoint.dns_name) == set.alias_target());
    match (found, &set.answer) {
        (Some(endpoint), _) => Ok((label, endpoint.id.clone())),
        (None, Answer::Alias { dns_name, .. }) => {
            Err(GroupError::UnknownTarget { name, label, target: dns_name.to_string() })
        }
        (None, Answer::Values { values, .. }) => {
            Err(GroupError::UnknownTarget { name, label, target: values.join(" ") })
        }
    }
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

    #[test]
    fn groups_that_are_not_plain_latency_are_refused() {
        let endpoints = [endpoint("eu-west-1")];
        let good = adopted("eu-west-1", "eu-west-1", RecordType::A);
        let foreign = Policy::Foreign { kind: "geolocation".into(), detail: "DE".into() };
        let cases = [
            vec![RecordSet { policy: foreign, ..good.clone() }],
            vec![RecordSet { policy: Policy::Weighted(3), ..good.clone() }],
            vec![RecordSet { policy: Policy::Simple, set_identifier: None, ..good.clone() }],
            vec![RecordSet { record_type: RecordType::Other("CNAME".into()), ..good.clone() }],
            vec![adopted("eu-west-1", "ap-south-1", RecordType::A)],
            vec![good, adopted("us-east-1", "eu-west-1", RecordType::Aaaa)],
            vec![],
        ];
        let service = name("api.example.com");
        let messages: Vec<String> = cases
            .iter()
            .map(|records| live_group(&service, records, &endpoints).unwrap_err().to_string())
            .collect();
        insta::assert_snapshot!(messages.join("\n"), @r"
        'api.example.com' A uses geolocation routing, which is never converted
        'api.example.com' A is a weighted set; only latency groups are planned over
        'api.example.com' A is a simple set; only latency groups are planned over
        'api.example.com' is a CNAME; a latency group of aliases cannot stand beside it
        label eu-west-1 of 'api.example.com' points at 'd-1.execute-api.ap-south-1.amazonaws.com', which is no [[endpoint]]
        A and AAAA of 'api.example.com' differ at label eu-west-1; they must have the same labels and endpoints
        'api.example.com' has no address records yet
        ");
    }
}
