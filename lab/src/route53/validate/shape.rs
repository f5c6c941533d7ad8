//! From the texts of a request to typed changes: facets, required fields, and "exactly one of".
//! Knows no zone. What it refuses is `InvalidInput`, but names, which are `InvalidChangeBatch`.

use super::facet;
use crate::route53::error::ApiError;
use crate::route53::model::{
    Action, AliasTarget, Change, ChangeBatch, Data, Failover, GeoLocation, GeoPlace, Policy,
    RecordSet, Routing, RrType,
};
use crate::route53::name::Name;
use crate::route53::regions::LATENCY_REGIONS;

/// A change as the request spells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawChange {
    /// `Action`.
    pub action: Option<String>,
    /// `ResourceRecordSet`.
    pub set: Option<RawSet>,
}

/// A record set as the request spells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawSet {
    /// `Name`.
    pub name: Option<String>,
    /// `Type`.
    pub kind: Option<String>,
    /// `SetIdentifier`.
    pub set_identifier: Option<String>,
    /// `Weight`.
    pub weight: Option<String>,
    /// `Region`.
    pub region: Option<String>,
    /// `GeoLocation`: continent, country, subdivision.
    pub geo: Option<[Option<String>; 3]>,
    /// `Failover`.
    pub failover: Option<String>,
    /// `MultiValueAnswer`.
    pub multivalue: Option<String>,
    /// `TTL`.
    pub ttl: Option<String>,
    /// `ResourceRecords`.
    pub values: Option<Vec<String>>,
    /// `AliasTarget`: hosted zone, name, evaluation of the target's health.
    pub alias: Option<[Option<String>; 3]>,
    /// `HealthCheckId`.
    pub health_check_id: Option<String>,
    /// `TrafficPolicyInstanceId`.
    pub traffic_policy_instance_id: Option<String>,
    /// `CidrRoutingConfig`: collection, location.
    pub cidr: Option<[Option<String>; 2]>,
    /// `GeoProximityLocation`.
    pub geoproximity: Option<RawGeoproximity>,
}

/// A geoproximity location as the request spells it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawGeoproximity {
    /// `AWSRegion`.
    pub region: Option<String>,
    /// `LocalZoneGroup`.
    pub local_zone_group: Option<String>,
    /// `Coordinates`: latitude, longitude.
    pub coordinates: Option<[Option<String>; 2]>,
    /// `Bias`.
    pub bias: Option<String>,
}

/// Types a batch. Names that are none are gathered, one message for each change.
pub fn batch(comment: Option<String>, changes: Vec<RawChange>) -> Result<ChangeBatch, ApiError> {
    if let Some(comment) = &comment {
        facet::length("ResourceDescription", 0, 256, comment)?;
    }
    if changes.is_empty() {
        return Err(facet::incomplete("Changes", "Change"));
    }
    let mut typed = Vec::with_capacity(changes.len());
    let mut messages = Vec::new();
    for raw in changes {
        match change(raw)? {
            Ok(change) => typed.push(change),
            Err(message) => messages.push(message),
        }
    }
    if !messages.is_empty() {
        return Err(ApiError::batch(messages));
    }
    Ok(ChangeBatch { comment, changes: typed })
}

/// A change, or the message of a name that is none.
type Named<T> = Result<T, String>;

fn change(raw: RawChange) -> Result<Named<Change>, ApiError> {
    let action = required(raw.action, "Change", "Action")?;
    let action = enumerated(Action::parse, Action::ALL, Action::as_str, &action)?;
    let raw = raw.set.ok_or_else(|| facet::incomplete("Change", "ResourceRecordSet"))?;
    let text = required(raw.name.clone(), "ResourceRecordSet", "Name")?;
    facet::length("DNSName", 0, 1024, &text)?;
    let kind = required(raw.kind.clone(), "ResourceRecordSet", "Type")?;
    let kind = enumerated(RrType::parse, RrType::ALL, RrType::as_str, &kind)?;
    let place = format!(
        "Change with [Action={action}, Name={text}, Type={kind}, SetIdentifier={}]",
        raw.set_identifier.as_deref().unwrap_or("null")
    );
    if let Some(id) = &raw.health_check_id {
        facet::length("HealthCheckId", 0, 64, id)?;
    }
    let routing = routing(&raw, &place)?;
    let data = data(&raw, &place)?;
    let health_check_id = raw.health_check_id;
    let set = move |name, data| RecordSet { name, kind, routing, data, health_check_id };
    let named = Name::parse(&text)
        .map_err(|error| format!("FATAL problem: {error}"))
        .and_then(|name| Ok(Change { action, set: set(name, data?) }));
    Ok(named)
}

fn required(value: Option<String>, element: &str, child: &str) -> Result<String, ApiError> {
    value.ok_or_else(|| facet::incomplete(element, child))
}

fn enumerated<T: Copy>(
    parse: fn(&str) -> Option<T>,
    all: &[T],
    as_str: fn(T) -> &'static str,
    value: &str,
) -> Result<T, ApiError> {
    parse(value).ok_or_else(|| {
        let allowed: Vec<&str> = all.iter().map(|item| as_str(*item)).collect();
        facet::not_in_enumeration(value, &allowed)
    })
}

fn routing(raw: &RawSet, place: &str) -> Result<Option<Routing>, ApiError> {
    const ONE_OF: &str = "Invalid request: Expected exactly one of [Weight, Region, Failover, \
                          GeoLocation, or MultiValueAnswer], but found";
    if let Some(id) = &raw.set_identifier {
        facet::length("ResourceRecordSetIdentifier", 1, 128, id)?;
    }
    let mut policies = policies(raw)?;
    let policy = match (policies.pop(), policies.is_empty()) {
        (Some(policy), true) => policy,
        (Some(_), false) => {
            return Err(ApiError::input(format!("{ONE_OF} more than one in {place}")));
        }
        (None, _) if raw.set_identifier.is_some() => {
            return Err(ApiError::input(format!("{ONE_OF} none in {place}")));
        }
        (None, _) => return Ok(None),
    };
    let Some(set_identifier) = raw.set_identifier.clone() else {
        return Err(ApiError::input(format!(
            "Invalid request: Missing field 'SetIdentifier' in {place}"
        )));
    };
    Ok(Some(Routing { set_identifier, policy }))
}

/// Every policy that the set names. `MultiValueAnswer` false counts as absent (unverified).
fn policies(raw: &RawSet) -> Result<Vec<Policy>, ApiError> {
    let mut found = Vec::new();
    if let Some(weight) = &raw.weight {
        let weight = facet::integer("ResourceRecordSetWeight", 0, 255, weight)?;
        found.push(Policy::Weighted(u8::try_from(weight).unwrap_or(u8::MAX)));
    }
    if let Some(region) = &raw.region {
        if !LATENCY_REGIONS.contains(&region.as_str()) {
            return Err(facet::not_in_enumeration(region, &LATENCY_REGIONS));
        }
        found.push(Policy::Latency(region.clone()));
    }
    if let Some(role) = &raw.failover {
        let role = enumerated(Failover::parse, Failover::ALL, Failover::as_str, role)?;
        found.push(Policy::Failover(role));
    }
    if let Some(geo) = &raw.geo {
        found.push(Policy::Geolocation(geolocation(geo)?));
    }
    if let Some(multivalue) = &raw.multivalue
        && facet::boolean(multivalue)?
    {
        found.push(Policy::Multivalue);
    }
    if let Some(config) = &raw.cidr {
        found.push(cidr(config)?);
    }
    if let Some(location) = &raw.geoproximity {
        found.push(geoproximity(location)?);
    }
    Ok(found)
}

const CONTINENTS: [&str; 7] = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"];

/// A continent, a country, or a country with a subdivision. The texts are unverified.
fn geolocation(raw: &[Option<String>; 3]) -> Result<GeoLocation, ApiError> {
    let upper = |text: &str| text.bytes().all(|byte| byte.is_ascii_uppercase());
    match raw {
        [Some(continent), None, None] => {
            facet::length("GeoLocationContinentCode", 2, 2, continent)?;
            if !CONTINENTS.contains(&continent.as_str()) {
                return Err(ApiError::input(format!("Invalid continent code: {continent}")));
            }
            Ok(GeoLocation::Continent(continent.clone()))
        }
        [None, Some(country), subdivision] => {
            facet::length("GeoLocationCountryCode", 1, 2, country)?;
            if country != "*" && !(country.len() == 2 && upper(country)) {
                return Err(ApiError::input(format!("Invalid country code: {country}")));
            }
            let Some(subdivision) = subdivision else {
                return Ok(GeoLocation::Country(country.clone()));
            };
            facet::length("GeoLocationSubdivisionCode", 1, 3, subdivision)?;
            if country != "US" || subdivision.len() != 2 || !upper(subdivision) {
                return Err(ApiError::input(format!(
                    "Invalid subdivision code: {subdivision} of country {country}"
                )));
            }
            Ok(GeoLocation::Subdivision(country.clone(), subdivision.clone()))
        }
        _ => Err(ApiError::input(
            "Invalid GeoLocation: expected a continent code, or a country code with an optional \
             subdivision code",
        )),
    }
}

fn cidr(raw: &[Option<String>; 2]) -> Result<Policy, ApiError> {
    let [collection, location] = raw;
    let collection = required(collection.clone(), "CidrRoutingConfig", "CollectionId")?;
    let location = required(location.clone(), "CidrRoutingConfig", "LocationName")?;
    let groups: Vec<&str> = collection.split('-').collect();
    let is_uuid = groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.concat().bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_uuid {
        let pattern = "[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}";
        return Err(facet::not_in_pattern("UUID", pattern, &collection));
    }
    facet::length("CidrLocationNameDefaultAllowed", 1, 16, &location)?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'*');
    if !location.bytes().all(fits) {
        let kind = "CidrLocationNameDefaultAllowed";
        return Err(facet::not_in_pattern(kind, "[0-9A-Za-z_\\-\\*]+", &location));
    }
    Ok(Policy::Cidr { collection, location })
}

fn geoproximity(raw: &RawGeoproximity) -> Result<Policy, ApiError> {
    let bias = match &raw.bias {
        Some(bias) => i8::try_from(facet::integer("Bias", -99, 99, bias)?).ok(),
        None => None,
    };
    let place = match (&raw.region, &raw.local_zone_group, &raw.coordinates) {
        (Some(region), None, None) => {
            facet::length("AWSRegion", 1, 64, region)?;
            GeoPlace::Region(region.clone())
        }
        (None, Some(group), None) => {
            facet::length("LocalZoneGroup", 1, 64, group)?;
            GeoPlace::LocalZoneGroup(group.clone())
        }
        (None, None, Some([latitude, longitude])) => {
            let latitude = required(latitude.clone(), "Coordinates", "Latitude")?;
            let longitude = required(longitude.clone(), "Coordinates", "Longitude")?;
            degrees("Latitude", 6, 90.0, &latitude)?;
            degrees("Longitude", 7, 180.0, &longitude)?;
            GeoPlace::Coordinates(latitude, longitude)
        }
        _ => {
            return Err(ApiError::input(
                "Invalid GeoProximityLocation: expected exactly one of [AWSRegion, \
                 LocalZoneGroup, or Coordinates]",
            ));
        }
    };
    Ok(Policy::Geoproximity { place, bias })
}

/// Degrees with at most two decimals.
fn degrees(kind: &str, length_max: usize, bound: f64, value: &str) -> Result<(), ApiError> {
    facet::length(kind, 1, length_max, value)?;
    let digits = value.trim_start_matches(['-', '+']);
    let decimals = digits.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match value.parse::<f64>() {
        Ok(number) if plain && decimals <= 2 && number.abs() <= bound => Ok(()),
        _ => {
            let pattern = match kind {
                "Latitude" => "[-+]?[0-9]{1,2}(\\.[0-9]{0,2})?",
                _ => "[-+]?[0-9]{1,3}(\\.[0-9]{0,2})?",
            };
            Err(facet::not_in_pattern(kind, pattern, value))
        }
    }
}

fn data(raw: &RawSet, place: &str) -> Result<Named<Data>, ApiError> {
    const ONE_OF: &str = "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and \
                          ResourceRecords], or TrafficPolicyInstanceId], but found";
    let ttl_s = match &raw.ttl {
        Some(ttl) => Some(facet::integer("TTL", 0, 2_147_483_647, ttl)?),
        None => None,
    };
    let ttl_s = ttl_s.and_then(|ttl| u32::try_from(ttl).ok());
    if let Some(values) = &raw.values {
        for value in values {
            facet::length("RData", 0, 4000, value)?;
        }
    }
    let instance = raw.traffic_policy_instance_id.is_some();
    match (&raw.alias, ttl_s, &raw.values) {
        (Some(target), None, None) if !instance => alias(target),
        (None, Some(ttl_s), Some(values)) if !instance && !values.is_empty() => {
            Ok(Ok(Data::Records { ttl_s, values: values.clone() }))
        }
        // The lab has no traffic policies, so no instance can be named. The text is unverified.
        (None, None, None) if instance => Err(ApiError::input(format!(
            "Invalid request: TrafficPolicyInstanceId does not exist in {place}"
        ))),
        (None, Some(_), Some(values)) if values.is_empty() => {
            Err(facet::incomplete("ResourceRecords", "ResourceRecord"))
        }
        (None, ttl_s, values) if !instance && (ttl_s.is_none() || values.is_none()) => {
            Err(ApiError::input(format!("{ONE_OF} none in {place}")))
        }
        _ => Err(ApiError::input(format!("{ONE_OF} more than one in {place}"))),
    }
}

fn alias(raw: &[Option<String>; 3]) -> Result<Named<Data>, ApiError> {
    let [zone, target, evaluate] = raw;
    let hosted_zone_id = required(zone.clone(), "AliasTarget", "HostedZoneId")?;
    facet::length("ResourceId", 0, 32, &hosted_zone_id)?;
    let target = required(target.clone(), "AliasTarget", "DNSName")?;
    facet::length("DNSName", 0, 1024, &target)?;
    let evaluate = required(evaluate.clone(), "AliasTarget", "EvaluateTargetHealth")?;
    let evaluate_target_health = facet::boolean(&evaluate)?;
    Ok(Name::parse(&target).map_err(|error| format!("FATAL problem: {error}")).map(|dns_name| {
        Data::Alias(AliasTarget { hosted_zone_id, dns_name, evaluate_target_health })
    }))
}
