//! Record sets between the SDK's shapes and the advisor's.
//!
//! Reading is total: a set of a policy that the advisor never writes is kept as foreign, with its
//! figures as text, so that nothing in a zone is overlooked. Writing takes only what the advisor
//! makes.

use advisor::name::{Label, Name};
use advisor::record::{Action, Answer, Change, HealthCheck, Policy, RecordSet, RecordType};
use advisor::zone::ZoneError;
use aws_sdk_route53::error::BuildError;
use aws_sdk_route53::types as sdk;

/// One set as Route 53 lists it.
pub(crate) fn from_sdk(set: &sdk::ResourceRecordSet) -> Result<RecordSet, ZoneError> {
    let unreadable =
        |cause: String| ZoneError::Failed(format!("record set '{}': {cause}", set.name));
    let name = Name::parse(&set.name).map_err(|error| unreadable(error.to_string()))?;
    let answer = match &set.alias_target {
        Some(target) => Answer::Alias {
            hosted_zone_id: target.hosted_zone_id.clone(),
            dns_name: Name::parse(&target.dns_name)
                .map_err(|error| unreadable(error.to_string()))?,
            evaluate_target_health: target.evaluate_target_health,
        },
        None => Answer::Values {
            ttl_s: set.ttl.and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or_default(),
            values: set.resource_records().iter().map(|record| record.value.clone()).collect(),
        },
    };
    Ok(RecordSet {
        name,
        record_type: RecordType::parse(set.r#type.as_str()),
        set_identifier: set.set_identifier.clone(),
        policy: policy(set).map_err(unreadable)?,
        answer,
        health_check: set.health_check_id.clone().map(HealthCheck::Id),
    })
}

fn policy(set: &sdk::ResourceRecordSet) -> Result<Policy, String> {
    let foreign = |kind: &str, detail: String| Policy::Foreign { kind: kind.to_owned(), detail };
    if let Some(instance) = &set.traffic_policy_instance_id {
        return Ok(foreign("traffic policy", instance.clone()));
    }
    if let Some(place) = &set.geo_location {
        let parts = [&place.continent_code, &place.country_code, &place.subdivision_code];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        return Ok(foreign("geolocation", parts.join("-")));
    }
    if let Some(role) = &set.failover {
        return Ok(foreign("failover", role.as_str().to_owned()));
    }
    if let Some(cidr) = &set.cidr_routing_config {
        return Ok(foreign("cidr", format!("{} {}", cidr.collection_id, cidr.location_name)));
    }
    if let Some(place) = &set.geo_proximity_location {
        return Ok(foreign("geoproximity", geo_proximity(place)));
    }
    if set.multi_value_answer == Some(true) {
        return Ok(foreign("multivalue", String::new()));
    }
    if let Some(region) = &set.region {
        return Ok(Policy::Latency(Label::new(region.as_str())));
    }
    match set.weight {
        Some(weight) => u8::try_from(weight)
            .map(Policy::Weighted)
            .map_err(|_| format!("weight {weight} is not 0 to 255")),
        None => Ok(Policy::Simple),
    }
}

fn geo_proximity(place: &sdk::GeoProximityLocation) -> String {
    let coordinates =
        place.coordinates.as_ref().map(|at| format!("{},{}", at.latitude, at.longitude));
    let parts = [
        place.aws_region.clone(),
        place.local_zone_group.clone(),
        coordinates,
        place.bias.map(|bias| format!("bias {bias}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// One change as Route 53 takes it.
pub(crate) fn to_sdk(change: &Change) -> Result<sdk::Change, ZoneError> {
    let set = &change.resource_record_set;
    let unwritable = |error: BuildError| ZoneError::Failed(format!("record set '{set}': {error}"));
    let action = match change.action {
        Action::Create => sdk::ChangeAction::Create,
        Action::Delete => sdk::ChangeAction::Delete,
    };
    let mut builder = sdk::ResourceRecordSet::builder()
        .name(set.name.as_str())
        .r#type(sdk::RrType::from(set.record_type.as_str()))
        .set_set_identifier(set.set_identifier.clone());
    builder = match &set.policy {
        Policy::Simple => builder,
        Policy::Weighted(weight) => builder.weight(i64::from(*weight)),
        Policy::Latency(label) => {
            builder.region(sdk::ResourceRecordSetRegion::from(label.as_str()))
        }
        Policy::Foreign { kind, .. } => {
            return Err(ZoneError::Failed(format!("record set '{set}': {kind} is never written")));
        }
    };
    builder = match &set.answer {
        Answer::Values { ttl_s, values } => {
            let records: Result<Vec<_>, _> = values
                .iter()
                .map(|value| sdk::ResourceRecord::builder().value(value).build())
                .collect();
            builder.ttl(i64::from(*ttl_s)).set_resource_records(Some(records.map_err(unwritable)?))
        }
        Answer::Alias { hosted_zone_id, dns_name, evaluate_target_health } => {
            let target = sdk::AliasTarget::builder()
                .hosted_zone_id(hosted_zone_id)
                .dns_name(dns_name.as_str())
                .evaluate_target_health(*evaluate_target_health)
                .build();
            builder.alias_target(target.map_err(unwritable)?)
        }
    };
    builder = match &set.health_check {
        None => builder,
        Some(HealthCheck::Id(id)) => builder.health_check_id(id),
        Some(HealthCheck::Reference(reference)) => {
            return Err(ZoneError::Failed(format!("health check '{reference}' has no id yet")));
        }
    };
    let set = builder.build().map_err(unwritable)?;
    sdk::Change::builder().action(action).resource_record_set(set).build().map_err(unwritable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> aws_sdk_route53::types::builders::ResourceRecordSetBuilder {
        let record = sdk::ResourceRecord::builder().value("192.0.2.1").build().unwrap();
        sdk::ResourceRecordSet::builder()
            .name("api.example.com.")
            .r#type(sdk::RrType::A)
            .ttl(60)
            .resource_records(record)
    }

    #[test]
    fn what_the_advisor_writes_is_read_back_the_same() {
        let set = listed()
            .set_identifier("nearside-eu-west-1")
            .region(sdk::ResourceRecordSetRegion::EuWest1)
            .health_check_id("abc")
            .build()
            .unwrap();
        let change =
            Change { action: Action::Create, resource_record_set: from_sdk(&set).unwrap() };
        assert_eq!(to_sdk(&change).unwrap().resource_record_set, Some(set));
    }

    #[test]
    fn foreign_policies_are_named_and_never_written() {
        let geo = sdk::GeoLocation::builder().country_code("US").subdivision_code("CA").build();
        let cases = [
            listed().set_identifier("g").geo_location(geo).build(),
            listed().set_identifier("f").failover(sdk::ResourceRecordSetFailover::Primary).build(),
            listed().set_identifier("m").multi_value_answer(true).build(),
            listed().traffic_policy_instance_id("t-1").build(),
        ];
        let read: Vec<RecordSet> =
            cases.into_iter().map(|set| from_sdk(&set.unwrap()).unwrap()).collect();
        let shown: Vec<String> = read.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "api.example.com A geolocation US-CA -> 192.0.2.1 (60 s)",
                "api.example.com A failover PRIMARY -> 192.0.2.1 (60 s)",
                "api.example.com A multivalue  -> 192.0.2.1 (60 s)",
                "api.example.com A traffic policy t-1 -> 192.0.2.1 (60 s)",
            ]
        );
        for set in read {
            assert!(to_sdk(&Change { action: Action::Create, resource_record_set: set }).is_err());
        }
    }
}
