//! From the elements of a request to its raw fields. Only names and shapes are checked here; the
//! values are typed by `validate` and `health::config`.

use super::read::{Element, parse};
use crate::route53::error::ApiError;
use crate::route53::health::config::RawConfig;
use crate::route53::model::ChangeBatch;
use crate::route53::state::{RawProtection, Tags};
use crate::route53::validate::facet;
use crate::route53::validate::shape::{self, RawChange, RawGeoproximity, RawSet};

type Parsed<T> = Result<T, ApiError>;

fn text(element: Option<Element>) -> Parsed<Option<String>> {
    element.map(Element::into_text).transpose()
}

/// The texts of the children of an optional element.
fn texts<const N: usize>(
    element: Option<Element>,
    names: [&str; N],
) -> Parsed<Option<[Option<String>; N]>> {
    let Some(element) = element else { return Ok(None) };
    let mut found = [const { None }; N];
    for (slot, field) in found.iter_mut().zip(element.into_fields(names)?) {
        *slot = text(field)?;
    }
    Ok(Some(found))
}

/// The texts of a list.
fn list(element: Option<Element>, item: &str) -> Parsed<Option<Vec<String>>> {
    let Some(element) = element else { return Ok(None) };
    element.into_list(item)?.into_iter().map(Element::into_text).collect::<Parsed<_>>().map(Some)
}

fn required<T>(value: Option<T>, element: &str, child: &str) -> Parsed<T> {
    value.ok_or_else(|| facet::incomplete(element, child))
}

/// `ChangeResourceRecordSetsRequest`.
pub fn change_batch(body: &[u8]) -> Parsed<ChangeBatch> {
    const ROOT: &str = "ChangeResourceRecordSetsRequest";
    let [batch] = parse(body, ROOT)?.into_fields(["ChangeBatch"])?;
    let [comment, changes] =
        required(batch, ROOT, "ChangeBatch")?.into_fields(["Comment", "Changes"])?;
    let changes = required(changes, "ChangeBatch", "Changes")?.into_list("Change")?;
    let changes = changes.into_iter().map(change).collect::<Parsed<_>>()?;
    shape::batch(text(comment)?, changes)
}

fn change(element: Element) -> Parsed<RawChange> {
    let [action, set] = element.into_fields(["Action", "ResourceRecordSet"])?;
    Ok(RawChange { action: text(action)?, set: set.map(record_set).transpose()? })
}

fn record_set(element: Element) -> Parsed<RawSet> {
    let [
        name,
        kind,
        set_identifier,
        weight,
        region,
        geo,
        failover,
        multivalue,
        ttl,
        values,
        alias,
        health_check_id,
        instance,
        cidr,
        geoproximity,
    ] = element.into_fields([
        "Name",
        "Type",
        "SetIdentifier",
        "Weight",
        "Region",
        "GeoLocation",
        "Failover",
        "MultiValueAnswer",
        "TTL",
        "ResourceRecords",
        "AliasTarget",
        "HealthCheckId",
        "TrafficPolicyInstanceId",
        "CidrRoutingConfig",
        "GeoProximityLocation",
    ])?;
    Ok(RawSet {
        name: text(name)?,
        kind: text(kind)?,
        set_identifier: text(set_identifier)?,
        weight: text(weight)?,
        region: text(region)?,
        geo: texts(geo, ["ContinentCode", "CountryCode", "SubdivisionCode"])?,
        failover: text(failover)?,
        multivalue: text(multivalue)?,
        ttl: text(ttl)?,
        values: values.map(record_values).transpose()?,
        alias: texts(alias, ["HostedZoneId", "DNSName", "EvaluateTargetHealth"])?.map(bare_zone),
        health_check_id: text(health_check_id)?,
        traffic_policy_instance_id: text(instance)?,
        cidr: texts(cidr, ["CollectionId", "LocationName"])?,
        geoproximity: geoproximity.map(geoproximity_location).transpose()?,
    })
}

/// An alias's zone may come with its path prefix, as ids may in paths.
fn bare_zone(mut alias: [Option<String>; 3]) -> [Option<String>; 3] {
    if let Some(zone) = &mut alias[0]
        && let Some(bare) = zone.strip_prefix("/hostedzone/")
    {
        *zone = bare.to_owned();
    }
    alias
}

fn record_values(element: Element) -> Parsed<Vec<String>> {
    let value = |record: Element| {
        let [value] = record.into_fields(["Value"])?;
        required(value, "ResourceRecord", "Value")?.into_text()
    };
    element.into_list("ResourceRecord")?.into_iter().map(value).collect()
}

fn geoproximity_location(element: Element) -> Parsed<RawGeoproximity> {
    let [region, group, coordinates, bias] =
        element.into_fields(["AWSRegion", "LocalZoneGroup", "Coordinates", "Bias"])?;
    Ok(RawGeoproximity {
        region: text(region)?,
        local_zone_group: text(group)?,
        coordinates: texts(coordinates, ["Latitude", "Longitude"])?,
        bias: text(bias)?,
    })
}

/// The fields of `CreateHostedZoneRequest`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateZone {
    /// `Name`.
    pub name: String,
    /// `CallerReference`.
    pub caller_reference: String,
    /// The comment of `HostedZoneConfig`.
    pub comment: Option<String>,
    /// Whether it asks for what the lab does not have: a private zone or a delegation set.
    pub beyond_the_lab: bool,
}

/// `CreateHostedZoneRequest`.
pub fn create_zone(body: &[u8]) -> Parsed<CreateZone> {
    const ROOT: &str = "CreateHostedZoneRequest";
    let [name, vpc, reference, config, delegation] = parse(body, ROOT)?.into_fields([
        "Name",
        "VPC",
        "CallerReference",
        "HostedZoneConfig",
        "DelegationSetId",
    ])?;
    let [comment, private] = texts(config, ["Comment", "PrivateZone"])?.unwrap_or_default();
    let private = private.as_deref().map_or(Ok(false), facet::boolean)?;
    Ok(CreateZone {
        name: required(text(name)?, ROOT, "Name")?,
        caller_reference: required(text(reference)?, ROOT, "CallerReference")?,
        comment,
        beyond_the_lab: private || vpc.is_some() || delegation.is_some(),
    })
}

/// `CreateHealthCheckRequest`: the caller's reference and the settings.
pub fn create_check(body: &[u8]) -> Parsed<(String, RawConfig)> {
    const ROOT: &str = "CreateHealthCheckRequest";
    let [reference, config] =
        parse(body, ROOT)?.into_fields(["CallerReference", "HealthCheckConfig"])?;
    let reference = required(text(reference)?, ROOT, "CallerReference")?;
    let [kind, interval, latency, routing_control, rest @ ..] =
        required(config, ROOT, "HealthCheckConfig")?.into_fields([
            "Type",
            "RequestInterval",
            "MeasureLatency",
            "RoutingControlArn",
            "IPAddress",
            "Port",
            "ResourcePath",
            "FullyQualifiedDomainName",
            "SearchString",
            "FailureThreshold",
            "Inverted",
            "Disabled",
            "HealthThreshold",
            "ChildHealthChecks",
            "EnableSNI",
            "Regions",
            "AlarmIdentifier",
            "InsufficientDataHealthStatus",
        ])?;
    if routing_control.is_some() {
        return Err(ApiError::input("Invalid parameter : the lab has no routing controls"));
    }
    let raw = RawConfig {
        kind: text(kind)?,
        request_interval: text(interval)?,
        measure_latency: text(latency)?,
        ..settings(rest)?
    };
    Ok((reference, raw))
}

/// The settings that creation and update share.
fn settings(fields: [Option<Element>; 14]) -> Parsed<RawConfig> {
    let [
        ip,
        port,
        path,
        fqdn,
        search,
        failures,
        inverted,
        disabled,
        threshold,
        children,
        sni,
        regions,
        alarm,
        insufficient,
    ] = fields;
    Ok(RawConfig {
        ip_address: text(ip)?,
        port: text(port)?,
        resource_path: text(path)?,
        fqdn: text(fqdn)?,
        search_string: text(search)?,
        failure_threshold: text(failures)?,
        inverted: text(inverted)?,
        disabled: text(disabled)?,
        health_threshold: text(threshold)?,
        children: list(children, "ChildHealthCheck")?,
        enable_sni: text(sni)?,
        regions: list(regions, "Region")?,
        alarm: texts(alarm, ["Region", "Name"])?,
        insufficient: text(insufficient)?,
        ..RawConfig::default()
    })
}

/// `UpdateHealthCheckRequest`: version, settings, elements to reset.
pub fn update_check(body: &[u8]) -> Parsed<(Option<u64>, RawConfig, Vec<String>)> {
    let [version, reset, given @ ..] = parse(body, "UpdateHealthCheckRequest")?.into_fields([
        "HealthCheckVersion",
        "ResetElements",
        "IPAddress",
        "Port",
        "ResourcePath",
        "FullyQualifiedDomainName",
        "SearchString",
        "FailureThreshold",
        "Inverted",
        "Disabled",
        "HealthThreshold",
        "ChildHealthChecks",
        "EnableSNI",
        "Regions",
        "AlarmIdentifier",
        "InsufficientDataHealthStatus",
    ])?;
    let version = match text(version)? {
        Some(version) => {
            u64::try_from(facet::integer("HealthCheckVersion", 1, i64::MAX, &version)?).ok()
        }
        None => None,
    };
    Ok((version, settings(given)?, list(reset, "ResettableElementName")?.unwrap_or_default()))
}

/// `ChangeTagsForResourceRequest`: tags to add, keys to remove.
pub fn change_tags(body: &[u8]) -> Parsed<(Tags, Vec<String>)> {
    let [add, remove] =
        parse(body, "ChangeTagsForResourceRequest")?.into_fields(["AddTags", "RemoveTagKeys"])?;
    let mut tags = Tags::new();
    if let Some(add) = add {
        let add = add.into_list("Tag")?;
        count(add.len(), "TagList")?;
        for tag in add {
            let [key, value] = texts(Some(tag), ["Key", "Value"])?.unwrap_or_default();
            let (key, value) = (required(key, "Tag", "Key")?, value.unwrap_or_default());
            facet::length("TagKey", 0, 128, &key)?;
            facet::length("TagValue", 0, 256, &value)?;
            tags.insert(key, value);
        }
    }
    let remove = list(remove, "Key")?;
    if let Some(remove) = &remove {
        count(remove.len(), "TagKeyList")?;
    }
    Ok((tags, remove.unwrap_or_default()))
}

/// `ListTagsForResourcesRequest`: the ids.
pub fn list_tags(body: &[u8]) -> Parsed<Vec<String>> {
    const ROOT: &str = "ListTagsForResourcesRequest";
    let [ids] = parse(body, ROOT)?.into_fields(["ResourceIds"])?;
    let ids = required(list(ids, "ResourceId")?, ROOT, "ResourceIds")?;
    count(ids.len(), "TagResourceIdList")?;
    Ok(ids)
}

/// Lists of tags, keys and ids hold 1 to 10. Unverified text.
fn count(items: usize, kind: &str) -> Parsed<()> {
    if (1..=10).contains(&items) {
        return Ok(());
    }
    Err(ApiError::input(format!("{kind} has {items} members, 1 to 10 allowed")))
}

/// `CreateResourceRecordSetProtectionsRequest` or, with `delete`, the one that takes them away.
pub fn protections(body: &[u8], delete: bool) -> Parsed<Vec<RawProtection>> {
    let (root, item) = if delete {
        ("DeleteResourceRecordSetProtectionsRequest", "ResourceRecordSetProtectionKey")
    } else {
        ("CreateResourceRecordSetProtectionsRequest", "ResourceRecordSetProtectionConfig")
    };
    let [entries] = parse(body, root)?.into_fields(["Protections"])?;
    let entry = |element: Element| {
        let [name, kind, comment] = if delete {
            let [name, kind] = element.into_fields(["RecordName", "RecordType"])?;
            [name, kind, None]
        } else {
            element.into_fields(["RecordName", "RecordType", "Comment"])?
        };
        let comment = text(comment)?;
        if let Some(comment) = &comment {
            facet::length("ResourceDescription", 0, 256, comment)?;
        }
        Ok(RawProtection {
            name: required(text(name)?, item, "RecordName")?,
            kind: required(text(kind)?, item, "RecordType")?,
            comment,
        })
    };
    required(entries, root, "Protections")?.into_list(item)?.into_iter().map(entry).collect()
}
