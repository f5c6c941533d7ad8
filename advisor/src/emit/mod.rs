//! A plan's routing records as code, for people whose DNS lives in a repository of theirs.
//!
//! Pure: text out, nothing written. Lock, owner and shadow records are left out: only the advisor writes
//! them.

mod cloudformation;
mod octodns;
mod terraform;

use crate::plan::Plan;
use crate::record::{HealthCheck, RecordSet};
use crate::zone::HealthCheckSpec;

/// Whose syntax.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// HCL for Terraform and `OpenTofu`.
    Terraform,
    /// A `CloudFormation` template in JSON.
    CloudFormation,
    /// YAML for octoDNS' configuration.
    OctoDns,
}

/// The plan's routing records as they will stand, in another tool's syntax.
#[must_use]
pub fn emit(plan: &Plan, dialect: Dialect) -> String {
    let routing: Vec<RecordSet> =
        plan.desired().into_iter().filter(|set| set.record_type.is_address()).collect();
    match dialect {
        Dialect::Terraform => terraform::text(plan, &routing),
        Dialect::CloudFormation => cloudformation::text(plan, &routing),
        Dialect::OctoDns => octodns::text(plan),
    }
}

/// Letters and digits of a text in one word, for names of resources: the rest becomes `between`.
fn word(text: &str, between: &str) -> String {
    let parts = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join(between)
}

/// The check of this plan that a record names by its reference.
fn new_check<'a>(plan: &'a Plan, set: &RecordSet) -> Option<&'a HealthCheckSpec> {
    match &set.health_check {
        Some(HealthCheck::Reference(reference)) => {
            plan.health_checks.iter().find(|spec| spec.caller_reference == *reference)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::{adopted, endpoint, name};
    use crate::group::{LiveGroup, live_group};
    use crate::plan::{Effect, Ground};
    use crate::record::{Policy, RecordType};
    use crate::zone::ZoneFacts;

    /// A weighted group that becomes a latency group, with one check that exists and one that does not.
    fn plan() -> Plan {
        let service = name("api.example.com");
        let mut endpoints = [endpoint("eu-west-1"), endpoint("us-east-1")];
        endpoints[1].health_check_id = Some("0f1e2d3c-0000-4000-8000-000000000000".into());
        endpoints[0].health_check.path = "/health?a=${b}\"%{c}".into();
        let set = |region: &str| RecordSet {
            policy: Policy::Weighted(1),
            ..adopted(region, region, RecordType::A)
        };
        let records = [set("eu-west-1"), set("us-east-1")];
        let live: LiveGroup = live_group(&service, &records, &endpoints).unwrap();
        let zone = ZoneFacts {
            id: "Z0123456789ABC".into(),
            name: name("example.com"),
            name_servers: Vec::new(),
            api: String::new(),
        };
        let ground = Ground {
            zone: &zone,
            service: &service,
            records: &records,
            endpoints: &endpoints,
            now_ms: 1,
        };
        ground.route(&live, Vec::new(), Effect::default())
    }

    #[test]
    fn each_dialect_holds_the_records_and_their_checks() {
        let plan = plan();
        insta::assert_snapshot!("terraform", emit(&plan, Dialect::Terraform));
        insta::assert_snapshot!("cloudformation", emit(&plan, Dialect::CloudFormation));
        insta::assert_snapshot!("octodns", emit(&plan, Dialect::OctoDns));
    }

    #[test]
    fn nothing_of_ours_is_emitted() {
        for dialect in [Dialect::Terraform, Dialect::CloudFormation] {
            assert!(!emit(&plan(), dialect).contains("_nearside-"), "{dialect:?}");
        }
    }
}
