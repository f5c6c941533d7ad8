//! Record sets that Route 53 accepts and that do not do what people mean by them, and settings that
//! count for nothing.
//!
//! Pure: record sets and a configuration in, findings out. A finding never refuses anything; guards do
//! that.

mod gateway_zones;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use probe::config::Config;

use crate::name::{Label, Name};
use crate::record::{Answer, Policy, RecordSet, RecordType};
use gateway_zones::zone_of;

/// The hosted zone of every `CloudFront` distribution, and of edge-optimized API Gateway domains.
const CLOUDFRONT_ZONE: &str = "Z2FDTNDATAQYW2";
/// The longest TTL with which a failover is seen in time.
const TTL_MAX_S: u32 = 60;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lint {
    /// The alias zone is not that of the Region in the target's name.
    AliasZone {
        /// The set.
        set: String,
        /// The Region in the target's name.
        region: String,
        /// The zone that belongs to it.
        expected: String,
        /// The zone that stands there.
        found: String,
    },
    /// An edge-optimized domain or a distribution under latency routing.
    EdgeUnderLatency {
        /// The set.
        set: String,
    },
    /// `EvaluateTargetHealth` alone watches an API Gateway domain.
    TargetHealthAlone {
        /// The set.
        set: String,
    },
    /// A long TTL beside a health check.
    LongTtl {
        /// The set.
        set: String,
        /// Its TTL in seconds.
        ttl_s: u32,
    },
    /// AAAA for some targets of a group only.
    SomeAaaa {
        /// The name of the group.
        name: String,
        /// The targets without AAAA, or with it alone.
        targets: Vec<String>,
    },
    /// TTLs of one weighted group that differ.
    WeightedTtls {
        /// Name and type of the group.
        group: String,
        /// The TTLs in seconds.
        ttls_s: Vec<u32>,
    },
    /// Capacities that nothing is held against.
    CapacityUnused {
        /// The endpoints that have one.
        endpoints: Vec<String>,
    },
    /// A label that no client prefers.
    UnusedLabel {
        /// The label.
        label: String,
    },
}

impl Lint {
    /// A word for scripts.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AliasZone { .. } => "alias-zone",
            Self::EdgeUnderLatency { .. } => "edge-under-latency",
            Self::TargetHealthAlone { .. } => "target-health-alone",
            Self::LongTtl { .. } => "long-ttl",
            Self::SomeAaaa { .. } => "some-aaaa",
            Self::WeightedTtls { .. } => "weighted-ttls",
            Self::CapacityUnused { .. } => "capacity-unused",
            Self::UnusedLabel { .. } => "unused-label",
        }
    }
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AliasZone { set, region, expected, found } => write!(
                f,
                "{set}: alias zone {found} is not that of API Gateway in {region}, {expected}"
            ),
            Self::EdgeUnderLatency { set } => write!(
                f,
                "{set}: CloudFront or an edge-optimized domain under latency routing; one name can stand in \
                 one distribution only, so the other Regions never serve it"
            ),
            Self::TargetHealthAlone { set } => write!(
                f,
                "{set}: EvaluateTargetHealth on API Gateway fails only with the whole Region; a health check \
                 sees more"
            ),
            Self::LongTtl { set, ttl_s } => write!(
                f,
                "{set}: clients keep it {ttl_s} s, so a failing health check is seen late; {TTL_MAX_S} s or \
                 less is advised"
            ),
            Self::SomeAaaa { name, targets } => write!(
                f,
                "{name}: A and AAAA do not have the same targets ({}); IPv6 clients are routed otherwise",
                targets.join(", ")
            ),
            Self::WeightedTtls { group, ttls_s } => {
                let ttls: Vec<String> = ttls_s.iter().map(|ttl| format!("{ttl} s")).collect();
                write!(f, "{group}: the TTLs of one weighted group differ ({})", ttls.join(", "))
            }
            Self::CapacityUnused { endpoints } => write!(
                f,
                "endpoint.capacity of {}: no plan keeps it and no loss is held against it, because \
                 traffic.requests_per_s does not say how much all clients ask",
                endpoints.join(", ")
            ),
            Self::UnusedLabel { label } => write!(
                f,
                "label {label}: Route 53 prefers it for no vantage and no client that was asked for"
            ),
        }
    }
}

/// All findings over the record sets of a service, in a fixed order. `preferred` are the labels that
/// Route 53 prefers for anybody, and `installed` those at the service name; both empty where nobody was
/// asked.
#[must_use]
pub fn lint(
    records: &[RecordSet],
    installed: &BTreeSet<Label>,
    preferred: &BTreeSet<Label>,
) -> Vec<Lint> {
    let mut found: Vec<Lint> = records.iter().flat_map(lint_set).collect();
    found.extend(weighted_ttls(records));
    found.extend(some_aaaa(records));
    if !preferred.is_empty() {
        let unused = installed.difference(preferred);
        found.extend(unused.map(|label| Lint::UnusedLabel { label: label.to_string() }));
    }
    found.sort();
    found
}

/// All findings over the settings.
#[must_use]
pub fn lint_settings(config: &Config) -> Vec<Lint> {
    let rate = config.traffic.as_ref().and_then(|traffic| traffic.requests_per_s);
    let limited = config.endpoints.iter().filter(|endpoint| endpoint.capacity.is_some());
    let endpoints: Vec<String> = limited.map(|endpoint| endpoint.id.clone()).collect();
    if rate.is_some() || endpoints.is_empty() {
        return Vec::new();
    }
    vec![Lint::CapacityUnused { endpoints }]
}

fn lint_set(set: &RecordSet) -> Vec<Lint> {
    let shown = || named(set);
    let mut found = Vec::new();
    match &set.answer {
        Answer::Alias { hosted_zone_id, dns_name, evaluate_target_health } => {
            let gateway = gateway_region(dns_name);
            if let Some(region) = gateway
                && let Some(expected) = zone_of(region)
                && expected != hosted_zone_id
            {
                found.push(Lint::AliasZone {
                    set: shown(),
                    region: region.to_owned(),
                    expected: expected.to_owned(),
                    found: hosted_zone_id.clone(),
                });
            }
            if matches!(set.policy, Policy::Latency(_)) && is_edge(dns_name, hosted_zone_id) {
                found.push(Lint::EdgeUnderLatency { set: shown() });
            }
            if gateway.is_some() && *evaluate_target_health && set.health_check.is_none() {
                found.push(Lint::TargetHealthAlone { set: shown() });
            }
        }
        Answer::Values { ttl_s, .. } if set.health_check.is_some() && *ttl_s > TTL_MAX_S => {
            found.push(Lint::LongTtl { set: shown(), ttl_s: *ttl_s });
        }
        Answer::Values { .. } => {}
    }
    found
}

/// How a set is named in a finding: name, type, and what tells it from the others of its group.
fn named(set: &RecordSet) -> String {
    let identifier = set.set_identifier.as_ref().map(|id| format!(" '{id}'"));
    format!("{} {}{}", set.name, set.record_type, identifier.unwrap_or_default())
}

/// The Region in the name of a regional API Gateway domain.
fn gateway_region(target: &Name) -> Option<&str> {
    let labels: Vec<&str> = target.without_dot().split('.').collect();
    match labels.as_slice() {
        [.., "execute-api", region, "amazonaws", "com"]
        | [.., "execute-api", region, "amazonaws", "com", "cn"] => Some(region),
        _ => None,
    }
}

fn is_edge(target: &Name, zone: &str) -> bool {
    zone == CLOUDFRONT_ZONE || target.without_dot().ends_with(".cloudfront.net")
}

fn weighted_ttls(records: &[RecordSet]) -> Vec<Lint> {
    let mut groups: BTreeMap<(&Name, &RecordType), BTreeSet<u32>> = BTreeMap::new();
    for set in records.iter().filter(|set| matches!(set.policy, Policy::Weighted(_))) {
        if let Answer::Values { ttl_s, .. } = &set.answer {
            groups.entry((&set.name, &set.record_type)).or_default().insert(*ttl_s);
        }
    }
    let differing = groups.into_iter().filter(|(_, ttls)| ttls.len() > 1);
    let finding =
        |((name, record_type), ttls): ((&Name, &RecordType), BTreeSet<u32>)| Lint::WeightedTtls {
            group: format!("{name} {record_type}"),
            ttls_s: ttls.into_iter().collect(),
        };
    differing.map(finding).collect()
}

/// Groups that answer AAAA, and not for the same targets as A.
fn some_aaaa(records: &[RecordSet]) -> Vec<Lint> {
    let mut groups: BTreeMap<&Name, [BTreeSet<String>; 2]> = BTreeMap::new();
    for set in records.iter().filter(|set| set.policy != Policy::Simple) {
        let family = match set.record_type {
            RecordType::A => 0,
            RecordType::Aaaa => 1,
            _ => continue,
        };
        let Some(target) = set.alias_target() else { continue };
        groups.entry(&set.name).or_default()[family].insert(target.to_string());
    }
    let differing = |(_, [v4, v6]): &(&Name, [BTreeSet<String>; 2])| {
        !v4.is_empty() && !v6.is_empty() && v4 != v6
    };
    let finding = |(name, [v4, v6]): (&Name, [BTreeSet<String>; 2])| Lint::SomeAaaa {
        name: name.to_string(),
        targets: v4.symmetric_difference(&v6).cloned().collect(),
    };
    groups.into_iter().filter(differing).map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::{adopted, name};
    use crate::record::HealthCheck;

    fn alias(target: &str, zone: &str, evaluate: bool) -> Answer {
        Answer::Alias {
            hosted_zone_id: zone.into(),
            dns_name: name(target),
            evaluate_target_health: evaluate,
        }
    }

    fn values(ttl_s: u32) -> Answer {
        Answer::Values { ttl_s, values: vec!["192.0.2.1".into()] }
    }

    fn latency(label: &str, answer: Answer) -> RecordSet {
        RecordSet { answer, ..adopted(label, "eu-west-1", RecordType::A) }
    }

    fn codes(records: &[RecordSet]) -> Vec<&'static str> {
        let nobody = BTreeSet::new();
        lint(records, &nobody, &nobody).iter().map(Lint::code).collect()
    }

    const EU: (&str, &str) = ("d-1.execute-api.eu-west-1.amazonaws.com", "ZLY8HYME6SFDD");

    #[test]
    fn each_finding_has_its_case_and_its_neighbour_has_none() {
        let checked =
            |set: RecordSet| RecordSet { health_check: Some(HealthCheck::Id("h-1".into())), ..set };
        let weighted = |id: &str, ttl_s| RecordSet {
            policy: Policy::Weighted(1),
            set_identifier: Some(id.into()),
            ..latency("eu-west-1", values(ttl_s))
        };
        let six = RecordSet {
            record_type: RecordType::Aaaa,
            ..latency("eu-west-1", alias(EU.0, EU.1, false))
        };
        let us = "d-2.execute-api.us-east-1.amazonaws.com";
        let cases: Vec<(Vec<&str>, Vec<RecordSet>)> = vec![
            (vec![], vec![latency("eu-west-1", alias(EU.0, EU.1, false))]),
            (vec!["alias-zone"], vec![latency("eu-west-1", alias(EU.0, "Z1UJRXOUMOOFQ8", false))]),
            // A Region whose zone is not known is not judged.
            (
                vec![],
                vec![latency(
                    "x",
                    alias("d.execute-api.ap-southeast-6.amazonaws.com", "Z1", false),
                )],
            ),
            (
                vec!["edge-under-latency"],
                vec![latency("eu-west-1", alias("d1.cloudfront.net", CLOUDFRONT_ZONE, false))],
            ),
            (vec!["target-health-alone"], vec![latency("eu-west-1", alias(EU.0, EU.1, true))]),
            (vec![], vec![checked(latency("eu-west-1", alias(EU.0, EU.1, true)))]),
            (vec!["long-ttl"], vec![checked(latency("eu-west-1", values(61)))]),
            (vec![], vec![checked(latency("eu-west-1", values(60)))]),
            (vec![], vec![latency("eu-west-1", values(300))]),
            (vec!["weighted-ttls"], vec![weighted("a", 60), weighted("b", 30)]),
            (vec![], vec![weighted("a", 60), weighted("b", 60)]),
            (
                vec!["some-aaaa"],
                vec![
                    latency("eu-west-1", alias(EU.0, EU.1, false)),
                    latency("us-east-1", alias(us, "Z1UJRXOUMOOFQ8", false)),
                    six.clone(),
                ],
            ),
            (vec![], vec![latency("eu-west-1", alias(EU.0, EU.1, false)), six]),
        ];
        for (expected, records) in cases {
            assert_eq!(codes(&records), expected, "{records:?}");
        }
    }

    #[test]
    fn a_label_that_nobody_prefers_is_told_only_where_somebody_was_asked() {
        let label = Label::new;
        let installed = BTreeSet::from([label("eu-west-1"), label("us-east-1")]);
        assert!(lint(&[], &installed, &BTreeSet::new()).is_empty());
        let found = lint(&[], &installed, &BTreeSet::from([label("eu-west-1")]));
        assert_eq!(found, [Lint::UnusedLabel { label: "us-east-1".into() }]);
    }

    #[test]
    fn findings_read_well() {
        let six =
            RecordSet { record_type: RecordType::Aaaa, ..latency("x", alias(EU.0, EU.1, false)) };
        let mut weighted = latency("a", values(30));
        weighted.policy = Policy::Weighted(1);
        let mut other = weighted.clone();
        other.answer = values(300);
        other.health_check = Some(HealthCheck::Id("h-1".into()));
        let records = [
            latency("eu-west-1", alias(EU.0, "Z9", true)),
            latency("us-east-1", alias("d1.cloudfront.net", CLOUDFRONT_ZONE, false)),
            six,
            weighted,
            other,
        ];
        let installed = BTreeSet::from([Label::new("af-south-1")]);
        let preferred = BTreeSet::from([Label::new("eu-west-1")]);
        let mut found = lint(&records, &installed, &preferred);
        found.push(Lint::CapacityUnused { endpoints: vec!["eu-west-1".into(), "us".into()] });
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        insta::assert_snapshot!(shown.join("\n"));
    }
}
