//! What the sets of one name allow each other: CNAME rules, one policy in a (name, type) group,
//! and the rules inside each policy.

use super::{Context, Failures, fail};
use crate::route53::limits;
use crate::route53::model::{Data, Policy, RecordSet, RrType};
use crate::route53::records::{Key, Records};

/// Checks a set that is to be created, or to replace the one of the same key.
pub(super) fn check(
    context: &Context<'_>,
    records: &Records,
    set: &RecordSet,
) -> Result<(), Failures> {
    check_cname(context, records, set)?;
    let key = Key::of(set);
    let replaced = records.get(&key);
    let others: Vec<&RecordSet> = records
        .group(&set.name, set.kind)
        .filter(|other| Key::of(other) != key)
        .map(AsRef::as_ref)
        .collect();
    // An UPSERT cannot change the policy: against the set it would replace, it acts as a CREATE.
    let with_replaced = others.iter().copied().chain(replaced.map(AsRef::as_ref));
    let Some(policy) = set.policy() else {
        if others.is_empty() {
            return Ok(());
        }
        return fail(format!(
            "RRSet with DNS name {}, type {} cannot be created as other RRSets exist with the \
             same name and type.",
            set.name, set.kind
        ));
    };
    for other in with_replaced {
        if other.policy().map(Policy::word) != Some(policy.word()) {
            return fail(format!(
                "{} cannot be created as a non-{} set exists with the same name and type.",
                named(set),
                policy.word()
            ));
        }
    }
    check_count(policy, set, others.len())?;
    check_one_value(policy, set)?;
    check_policy(context, policy, set, &others)
}

/// The set as AWS's messages on policies name it.
fn named(set: &RecordSet) -> String {
    format!(
        "RRSet with DNS name {}, type {}, SetIdentifier {}",
        set.name,
        set.kind,
        set.set_identifier().unwrap_or_default()
    )
}

fn check_cname(context: &Context<'_>, records: &Records, set: &RecordSet) -> Result<(), Failures> {
    let (name, zone, kind) = (&set.name, context.zone, set.kind);
    if kind == RrType::Cname {
        if name == zone {
            return fail(format!(
                "RRSet of type CNAME with DNS name {name} is not permitted at apex in zone {zone}"
            ));
        }
        if records.at(name).any(|other| other.kind != RrType::Cname) {
            return fail(format!(
                "RRSet of type CNAME with DNS name {name} is not permitted as it conflicts with \
                 other records with the same DNS name in zone {zone}"
            ));
        }
    } else if records.at(name).any(|other| other.kind == RrType::Cname) {
        return fail(format!(
            "RRSet of type {kind} with DNS name {name} is not permitted because a conflicting \
             RRSet of type CNAME with the same DNS name already exists in zone {zone}"
        ));
    }
    Ok(())
}

fn check_count(policy: &Policy, set: &RecordSet, others: usize) -> Result<(), Failures> {
    let max = match policy {
        Policy::Geoproximity { .. } => limits::GEOPROXIMITY_MAX,
        _ => limits::GROUP_MAX,
    };
    if others < max {
        return Ok(());
    }
    fail(format!(
        "Exceeded limit on number of {} RRSets for {}, type {} in this zone.",
        policy.word(),
        set.name,
        set.kind
    ))
}

/// Weighted and latency sets have one value. The text is unverified.
fn check_one_value(policy: &Policy, set: &RecordSet) -> Result<(), Failures> {
    match (&set.data, policy) {
        (Data::Records { values, .. }, Policy::Weighted(_) | Policy::Latency(_))
            if values.len() > 1 =>
        {
            fail(format!(
                "{} cannot be created as {} sets must contain exactly one resource record.",
                named(set),
                policy.word()
            ))
        }
        _ => Ok(()),
    }
}

fn check_policy(
    context: &Context<'_>,
    policy: &Policy,
    set: &RecordSet,
    others: &[&RecordSet],
) -> Result<(), Failures> {
    match policy {
        Policy::Weighted(_) => check_ttl(set, others),
        Policy::Latency(region) => check_latency(region, policy, set, others),
        // Unverified text.
        Policy::Multivalue if set.alias().is_some() => fail(format!(
            "{} cannot be created as multivalue answer sets cannot be aliases.",
            named(set)
        )),
        Policy::Multivalue => Ok(()),
        Policy::Cidr { collection, location } => {
            check_cidr(context, (collection, location), set, others)?;
            check_unique(policy, set, others)
        }
        Policy::Failover(_) | Policy::Geolocation(_) | Policy::Geoproximity { .. } => {
            check_unique(policy, set, others)
        }
    }
}

fn check_ttl(set: &RecordSet, others: &[&RecordSet]) -> Result<(), Failures> {
    let ttl = |set: &RecordSet| match &set.data {
        Data::Records { ttl_s, .. } => Some(*ttl_s),
        Data::Alias(_) => None,
    };
    let Some(own) = ttl(set) else { return Ok(()) };
    if others.iter().filter_map(|other| ttl(other)).all(|ttl_s| ttl_s == own) {
        return Ok(());
    }
    fail(format!("{} cannot be created as weighted sets must contain the same TTL.", named(set)))
}

fn check_latency(
    region: &str,
    policy: &Policy,
    set: &RecordSet,
    others: &[&RecordSet],
) -> Result<(), Failures> {
    if others.iter().all(|other| other.policy() != Some(policy)) {
        return Ok(());
    }
    fail(format!(
        "{}, and Region Name={region} cannot be created because a latency RRSet with the same \
         name, type and region already exists.",
        named(set)
    ))
}

/// One set for each role, place or location. The text is unverified.
fn check_unique(policy: &Policy, set: &RecordSet, others: &[&RecordSet]) -> Result<(), Failures> {
    let same = |other: &Policy| match (policy, other) {
        (Policy::Geoproximity { place: a, .. }, Policy::Geoproximity { place: b, .. }) => a == b,
        (a, b) => a == b,
    };
    if !others.iter().filter_map(|other| other.policy()).any(same) {
        return Ok(());
    }
    fail(format!(
        "{} cannot be created because a {} RRSet with the same name, type and location or role \
         already exists.",
        named(set),
        policy.word()
    ))
}

/// The collection and its location exist, and the group has one collection. Unverified texts.
fn check_cidr(
    context: &Context<'_>,
    (collection, location): (&str, &str),
    set: &RecordSet,
    others: &[&RecordSet],
) -> Result<(), Failures> {
    let Some(known) = context.cidr_collections.iter().find(|known| known.id == collection) else {
        return fail(format!("The CIDR collection {collection} does not exist."));
    };
    if location != "*" && !known.locations.contains_key(location) {
        return fail(format!("The CIDR collection {collection} has no location {location}."));
    }
    let other_collection = |policy: &Policy| match policy {
        Policy::Cidr { collection: other, .. } => other != collection,
        _ => false,
    };
    if others.iter().filter_map(|other| other.policy()).any(other_collection) {
        return fail(format!(
            "{} cannot be created as cidr sets must name the same collection.",
            named(set)
        ));
    }
    Ok(())
}
