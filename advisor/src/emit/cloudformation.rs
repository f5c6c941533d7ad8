//! A `CloudFormation` template in JSON: one resource for each health check and each record set.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{new_check, word};
use crate::plan::Plan;
use crate::record::{Answer, HealthCheck, Policy, RecordSet};
use crate::zone::HealthCheckSpec;

pub(super) fn text(plan: &Plan, routing: &[RecordSet]) -> String {
    let checks = plan.health_checks.iter().map(|spec| (check_name(spec), check(spec)));
    let records = routing.iter().map(|set| (record_name(set), record(plan, set, routing)));
    let resources: BTreeMap<String, Value> = checks.chain(records).collect();
    let template = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": format!(
            "Routing records of {}, as Nearside plan {} leaves them", plan.service, plan.id()
        ),
        "Resources": resources,
    });
    format!("{template:#}\n")
}

/// A word with its parts' first letters upper-case: logical ids are letters and digits only.
fn logical(text: &str) -> String {
    let capital = |part: &str| {
        let mut letters = part.chars();
        letters.next().map_or_else(String::new, |first| {
            first.to_ascii_uppercase().to_string() + letters.as_str()
        })
    };
    word(text, " ").split(' ').map(capital).collect()
}

fn check_name(spec: &HealthCheckSpec) -> String {
    format!("HealthCheck{}", logical(&spec.endpoint))
}

fn record_name(set: &RecordSet) -> String {
    let identifier = set.set_identifier.as_deref().unwrap_or("simple");
    format!(
        "Record{}{}{}",
        logical(set.name.without_dot()),
        logical(set.record_type.as_str()),
        logical(identifier)
    )
}

fn check(spec: &HealthCheckSpec) -> Value {
    let mut config = json!({
        "Type": if spec.https { "HTTPS" } else { "HTTP" },
        "FullyQualifiedDomainName": spec.host,
        "Port": spec.port,
        "ResourcePath": spec.path,
        "RequestInterval": 30,
        "FailureThreshold": 3,
    });
    if spec.https {
        config["EnableSNI"] = json!(true);
    }
    json!({ "Type": "AWS::Route53::HealthCheck", "Properties": { "HealthCheckConfig": config } })
}

fn record(plan: &Plan, set: &RecordSet, routing: &[RecordSet]) -> Value {
    let mut properties = Map::new();
    let mut put = |key: &str, value: Value| properties.insert(key.to_owned(), value);
    put("HostedZoneId", json!(plan.zone_id));
    put("Name", json!(set.name.as_str()));
    put("Type", json!(set.record_type.as_str()));
    if let Some(identifier) = &set.set_identifier {
        put("SetIdentifier", json!(identifier));
    }
    match &set.policy {
        Policy::Latency(label) => drop(put("Region", json!(label.as_str()))),
        Policy::Weighted(weight) => drop(put("Weight", json!(weight))),
        Policy::Simple | Policy::Foreign { .. } => {}
    }
    match (&set.health_check, new_check(plan, set)) {
        (_, Some(spec)) => drop(put("HealthCheckId", json!({ "Ref": check_name(spec) }))),
        (Some(HealthCheck::Id(id)), None) => drop(put("HealthCheckId", json!(id))),
        (Some(HealthCheck::Reference(_)) | None, None) => {}
    }
    match &set.answer {
        Answer::Alias { hosted_zone_id, dns_name, evaluate_target_health } => {
            let target = json!({
                "HostedZoneId": hosted_zone_id,
                "DNSName": dns_name.as_str(),
                "EvaluateTargetHealth": evaluate_target_health,
            });
            put("AliasTarget", target);
        }
        Answer::Values { ttl_s, values } => {
            put("TTL", json!(ttl_s.to_string()));
            put("ResourceRecords", json!(values));
        }
    }
    let mut resource = json!({ "Type": "AWS::Route53::RecordSet", "Properties": properties });
    // An alias to a name of the same zone needs its target first.
    let targets = routing.iter().filter(|other| {
        Some(&other.name) == set.alias_target() && other.record_type == set.record_type
    });
    let targets: Vec<String> = targets.map(record_name).collect();
    if !targets.is_empty() {
        resource["DependsOn"] = json!(targets);
    }
    resource
}
