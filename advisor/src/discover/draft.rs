//! Which endpoints there are, and by which domain of their own each can be watched. Pure.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::EndpointKind;

use super::{Findings, KINDS, domains, region_of_target};
use crate::domains::{DomainTarget, ListedDomain};
use crate::mark::Marks;
use crate::name::Name;
use crate::record::{Answer, RecordSet};

/// An endpoint that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DraftEndpoint {
    /// Its Region, which is its id.
    pub region: String,
    /// What it is made of.
    pub kind: EndpointKind,
    /// What its alias records point at.
    pub alias: DomainTarget,
    /// API Gateway's status and its words about it; absent where only DNS told of the endpoint.
    pub status: Option<(String, Option<String>)>,
    /// The custom domain of this Region alone, by which health checks can ask for it.
    pub own: Option<Name>,
    /// Whether the zone has an address record for that domain.
    pub own_in_dns: bool,
}

/// A configuration in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// By Region.
    pub endpoints: Vec<DraftEndpoint>,
    /// Whether records stand at the service name that another tool made.
    pub adopt: bool,
    /// How endpoints prove their Region: a header, or a JSON pointer. Found by asking them.
    pub region_proof: Option<String>,
}

/// The endpoints of the service: Regional domains; edge-optimized ones only where there is no Regional
/// one; and what the service's own records point at in Regions that did not answer.
#[must_use]
pub fn draft(findings: &Findings) -> Draft {
    let mut endpoints: BTreeMap<String, DraftEndpoint> = BTreeMap::new();
    for kind in KINDS {
        if kind == EndpointKind::EdgeOptimized && !endpoints.is_empty() {
            break;
        }
        for (region, domain) in domains(&findings.listings) {
            if let Some(found) = listed(findings, region, domain, kind) {
                endpoints.insert(region.clone(), found);
            }
        }
    }
    for set in at(&findings.records, &findings.service) {
        if let Some(found) = pointed_at(findings, set) {
            endpoints.entry(found.region.clone()).or_insert(found);
        }
    }
    let stands = at(&findings.records, &findings.service).next().is_some();
    let owned = Marks::of(&findings.service).is_owned(&findings.records);
    let endpoints = endpoints.into_values().collect();
    Draft { endpoints, adopt: stands && !owned, region_proof: None }
}

/// The address records at a name.
pub(super) fn at<'a>(
    records: &'a [RecordSet],
    name: &'a Name,
) -> impl Iterator<Item = &'a RecordSet> {
    records.iter().filter(move |set| set.name == *name && set.record_type.is_address())
}

fn listed(
    findings: &Findings,
    region: &str,
    domain: &ListedDomain,
    kind: EndpointKind,
) -> Option<DraftEndpoint> {
    let face = (domain.name == findings.service).then(|| domain.face(kind)).flatten()?;
    let status = Some((face.status.clone(), face.status_message.clone()));
    Some(endpoint(findings, region, kind, (face.target.clone(), status)))
}

/// An endpoint that only a record tells of: the permission to ask API Gateway may lack, or the API may
/// belong to another account.
fn pointed_at(findings: &Findings, set: &RecordSet) -> Option<DraftEndpoint> {
    let Answer::Alias { hosted_zone_id, dns_name, .. } = &set.answer else { return None };
    let region = region_of_target(dns_name)?;
    if findings.listings.get(region).is_some_and(Result::is_ok) {
        return None;
    }
    let target =
        DomainTarget { dns_name: dns_name.clone(), hosted_zone_id: hosted_zone_id.clone() };
    Some(endpoint(findings, region, EndpointKind::Regional, (target, None)))
}

fn endpoint(
    findings: &Findings,
    region: &str,
    kind: EndpointKind,
    (alias, status): (DomainTarget, Option<(String, Option<String>)>),
) -> DraftEndpoint {
    let own = own_domain(findings, region);
    let own_in_dns = own.as_ref().is_some_and(|own| at(&findings.records, own).next().is_some());
    DraftEndpoint { region: region.to_owned(), kind, alias, status, own, own_in_dns }
}

/// The custom domain by which this Region alone is reached: in the zone, and served nowhere else. Where the
/// Region did not answer, DNS tells of it.
fn own_domain(findings: &Findings, region: &str) -> Option<Name> {
    let mut served: BTreeMap<&Name, BTreeSet<&str>> = BTreeMap::new();
    for (found, domain) in domains(&findings.listings) {
        if domain.face(EndpointKind::Regional).is_some() {
            served.entry(&domain.name).or_default().insert(found);
        }
    }
    let marks = Marks::of(&findings.service);
    for set in findings.records.iter().filter(|set| !marks.is_ours(&set.name)) {
        let target = set.alias_target().and_then(region_of_target);
        let silent = |region: &&str| !findings.listings.get(*region).is_some_and(Result::is_ok);
        if let Some(found) = target.filter(silent) {
            served.entry(&set.name).or_default().insert(found);
        }
    }
    let alone = served.into_iter().filter(|(name, regions)| {
        **name != findings.service
            && name.is_within(&findings.zone.name)
            && regions.iter().eq([&region])
    });
    choose(alone.map(|(name, _)| name), findings, region)
}

/// One that names the Region comes first, then one that DNS has; among several equals none is guessed.
fn choose<'a>(
    names: impl Iterator<Item = &'a Name>,
    findings: &Findings,
    region: &str,
) -> Option<Name> {
    let mut candidates: Vec<(bool, bool, &Name)> = names
        .map(|name| {
            let unnamed = !name.as_str().contains(region);
            (unnamed, at(&findings.records, name).next().is_none(), name)
        })
        .collect();
    candidates.sort();
    match candidates.as_slice() {
        [] => None,
        [first, second, ..] if (first.0, first.1) == (second.0, second.1) && first.0 => None,
        [(_, _, name), ..] => Some((*name).clone()),
    }
}
