//! What DNS answers: routing policies, health, alias chains, CNAME, wildcards, delegation,
//! NXDOMAIN and no data. Pure: zones, health and the draw of chance are given.

use std::net::IpAddr;

use super::cidr::CidrCollection;
use super::health::Checks;
use super::model::{Data, Failover, GeoLocation, GeoPlace, Policy, RecordSet, RrType};
use super::name::Name;
use super::records::Records;
use super::regions::{AwsName, aws_name};
use super::zone::Zone;
use super::{Internet, Location};

/// Alias steps that are followed. AWS's own bound is unknown.
pub const ALIAS_DEPTH_MAX: usize = 8;
/// CNAME steps that are followed inside a zone.
pub const CNAME_DEPTH_MAX: usize = 8;
/// Healthy sets that a multivalue answer holds at most.
const MULTIVALUE_MAX: usize = 8;

/// What answers are made of.
pub struct View<'a> {
    /// The zones, each with the records it serves.
    pub zones: Vec<&'a Zone>,
    /// Latency, places and AWS resources.
    pub internet: &'a dyn Internet,
    /// Health.
    pub checks: &'a Checks,
    /// CIDR collections.
    pub cidr_collections: &'a [CidrCollection],
}

/// A question.
#[derive(Debug, Clone)]
pub struct Question {
    /// The name.
    pub name: Name,
    /// The type; `None` for one that no zone can hold.
    pub kind: Option<RrType>,
    /// The client's network, or the resolver's address.
    pub client: IpAddr,
}

/// The code of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rcode {
    /// The name exists.
    NoError,
    /// The name does not exist.
    NxDomain,
    /// The name is not of any zone here.
    Refused,
}

/// A record of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The owner.
    pub name: Name,
    /// The type.
    pub kind: RrType,
    /// Seconds.
    pub ttl_s: u32,
    /// In presentation form.
    pub value: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The code.
    pub rcode: Rcode,
    /// Whether the zone itself answers; `false` for a referral and a refusal.
    pub authoritative: bool,
    /// The answer section.
    pub answers: Vec<Record>,
    /// The authority section: SOA without an answer, NS of a referral.
    pub authority: Vec<Record>,
    /// Whether the client's network had a say.
    pub by_network: bool,
}

/// A draw of chance: a number below its argument, which is at least 1.
pub type Draw<'a> = &'a mut dyn FnMut(u64) -> u64;

/// Answers a question from all zones, or for the name of an AWS resource.
pub fn answer(view: &View<'_>, question: &Question, draw: Draw<'_>) -> Answer {
    let zone = view
        .zones
        .iter()
        .filter(|zone| question.name.is_within(&zone.name))
        .max_by_key(|zone| zone.name.as_str().len());
    match zone {
        Some(zone) => answer_in_zone(view, zone, question, draw),
        None => resource_answer(view, question),
    }
}

/// Answers a question from one zone, which the name must be within.
pub fn answer_in_zone(view: &View<'_>, zone: &Zone, question: &Question, draw: Draw<'_>) -> Answer {
    let mut walk = Walk { view, zone, client: question.client, draw, by_network: false };
    let mut answer = walk.answer(question);
    answer.by_network = walk.by_network;
    answer
}

fn resource_answer(view: &View<'_>, question: &Question) -> Answer {
    let name = question.name.bare();
    let (rcode, answers) = match (view.internet.resource(name), question.kind) {
        (Some(_), Some(kind)) => {
            let found = resource_records(view, &question.name, name, (kind, question.client));
            (Rcode::NoError, found)
        }
        (Some(_), None) => (Rcode::NoError, Vec::new()),
        (None, _) if aws_name(name).is_some() => (Rcode::NxDomain, Vec::new()),
        (None, _) => (Rcode::Refused, Vec::new()),
    };
    let authoritative = rcode != Rcode::Refused;
    let by_network = view.internet.by_network(name);
    Answer { rcode, authoritative, answers, authority: Vec::new(), by_network }
}

/// The addresses of the resource `target` as a client's network sees it, as records of `owner`.
fn resource_records(
    view: &View<'_>,
    owner: &Name,
    target: &str,
    (kind, client): (RrType, IpAddr),
) -> Vec<Record> {
    let Some(resource) = view.internet.resource_for(target, client) else { return Vec::new() };
    let values: Vec<String> = match kind {
        RrType::A => resource.ipv4.iter().map(ToString::to_string).collect(),
        RrType::Aaaa => resource.ipv6.iter().map(ToString::to_string).collect(),
        _ => Vec::new(),
    };
    let record = |value| Record { name: owner.clone(), kind, ttl_s: resource.ttl_s, value };
    values.into_iter().map(record).collect()
}

/// The way from a question to its records, inside one zone.
struct Walk<'a, 'd> {
    view: &'a View<'a>,
    zone: &'a Zone,
    client: IpAddr,
    draw: Draw<'d>,
    by_network: bool,
}

impl<'a> Walk<'a, '_> {
    fn records(&self) -> &'a Records {
        self.zone.served()
    }

    fn answer(&mut self, question: &Question) -> Answer {
        if let Some(referral) = self.referral(&question.name) {
            return referral;
        }
        let mut answers = Vec::new();
        let mut name = question.name.clone();
        let mut rcode = Rcode::NoError;
        for _ in 0..=CNAME_DEPTH_MAX {
            let Some(source) = self.source(&name) else {
                rcode = Rcode::NxDomain;
                break;
            };
            let found =
                question.kind.map_or(Vec::new(), |kind| self.group(&source, &name, kind, 0));
            if !found.is_empty() {
                answers.extend(found);
                return self.made(rcode, answers, Vec::new());
            }
            let cname = self.group(&source, &name, RrType::Cname, 0);
            let Some(target) = cname.first().and_then(|cname| Name::parse(&cname.value).ok())
            else {
                break;
            };
            answers.extend(cname);
            // A chain that comes back to a name is told once, as far as it goes.
            let seen = answers.iter().any(|record: &Record| record.name == target);
            if seen || !target.is_within(&self.zone.name) || self.referral(&target).is_some() {
                return self.made(rcode, answers, Vec::new());
            }
            name = target;
        }
        let authority = self.soa();
        self.made(rcode, answers, authority)
    }

    fn made(&self, rcode: Rcode, answers: Vec<Record>, authority: Vec<Record>) -> Answer {
        Answer { rcode, authoritative: true, answers, authority, by_network: self.by_network }
    }

    fn soa(&self) -> Vec<Record> {
        let sets = self.records().group(&self.zone.name, RrType::Soa);
        sets.flat_map(|set| plain_records(&set.name, set)).collect()
    }

    /// The NS set of the highest delegation at or above `name`, below the apex.
    fn referral(&self, name: &Name) -> Option<Answer> {
        let mut cut = None;
        let mut at = Some(name.clone());
        while let Some(here) = at.filter(|here| here.is_within(&self.zone.name)) {
            if here == self.zone.name {
                break;
            }
            if self.records().group(&here, RrType::Ns).next().is_some() {
                cut = Some(here.clone());
            }
            at = here.parent();
        }
        let cut = cut?;
        let sets = self.records().group(&cut, RrType::Ns);
        let authority = sets.flat_map(|set| plain_records(&cut, set)).collect();
        Some(Answer {
            rcode: Rcode::NoError,
            authoritative: false,
            answers: Vec::new(),
            authority,
            by_network: false,
        })
    }

    /// The name whose sets answer for `name`: itself, or the wildcard of its closest encloser.
    fn source(&self, name: &Name) -> Option<Name> {
        let exists = |name: &Name| {
            self.records().at(name).next().is_some() || self.records().has_below(name)
        };
        if exists(name) {
            return Some(name.clone());
        }
        let mut encloser = name.parent();
        while let Some(here) = encloser {
            if !here.is_within(&self.zone.name) {
                return None;
            }
            if exists(&here) {
                let wildcard = here.wildcard();
                return self.records().at(&wildcard).next().is_some().then_some(wildcard);
            }
            encloser = here.parent();
        }
        None
    }

    /// The records that the group (`source`, `kind`) answers with, owned by `owner`.
    fn group(&mut self, source: &Name, owner: &Name, kind: RrType, depth: usize) -> Vec<Record> {
        if depth > ALIAS_DEPTH_MAX {
            return Vec::new();
        }
        let sets: Vec<&'a RecordSet> =
            self.records().group(source, kind).map(AsRef::as_ref).collect();
        let chosen = self.choose(&sets, depth);
        chosen.into_iter().flat_map(|set| self.follow(set, owner, depth)).collect()
    }

    /// The records of a set: its values, or what its alias leads to.
    fn follow(&mut self, set: &RecordSet, owner: &Name, depth: usize) -> Vec<Record> {
        let Some(target) = set.alias() else { return plain_records(owner, set) };
        if target.hosted_zone_id == self.zone.id {
            self.group(&target.dns_name, owner, set.kind, depth + 1)
        } else {
            let name = target.dns_name.bare();
            self.by_network |= self.view.internet.by_network(name);
            resource_records(self.view, owner, name, (set.kind, self.client))
        }
    }

    /// Whether a set may answer: its health check, and its target where that is asked for.
    fn healthy(&self, set: &RecordSet, depth: usize) -> bool {
        let checked = set.health_check_id.as_ref().is_none_or(|id| self.view.checks.healthy(id));
        checked && self.target_healthy(set, depth)
    }

    fn target_healthy(&self, set: &RecordSet, depth: usize) -> bool {
        let Some(target) = set.alias().filter(|target| target.evaluate_target_health) else {
            return true;
        };
        if target.hosted_zone_id != self.zone.id {
            // An API Gateway domain is unhealthy only when the service is; the lab's never is.
            let name = target.dns_name.bare();
            return matches!(aws_name(name), Some(AwsName::ApiGateway(_)))
                || self.view.internet.resource(name).is_some();
        }
        depth < ALIAS_DEPTH_MAX
            && self
                .records()
                .group(&target.dns_name, set.kind)
                .any(|child| self.healthy(child, depth + 1))
    }

    /// The sets of a group that answer. If none is healthy, all count as healthy.
    fn choose<'s>(&mut self, sets: &[&'s RecordSet], depth: usize) -> Vec<&'s RecordSet> {
        let Some(first) = sets.first() else { return Vec::new() };
        let Some(policy) = first.policy() else { return vec![first] };
        let healthy: Vec<&RecordSet> =
            sets.iter().copied().filter(|set| self.healthy(set, depth)).collect();
        let candidates = if healthy.is_empty() { sets.to_vec() } else { healthy };
        match policy {
            Policy::Multivalue => self.several(candidates),
            Policy::Weighted(_) => self.by_weight(&candidates).into_iter().collect(),
            Policy::Failover(_) => by_role(&candidates).into_iter().collect(),
            Policy::Latency(_) => self.by_label(&candidates).into_iter().collect(),
            Policy::Geolocation(_) => self.by_place(&candidates).into_iter().collect(),
            Policy::Cidr { .. } => self.by_block(&candidates).into_iter().collect(),
            Policy::Geoproximity { .. } => self.by_distance(&candidates).into_iter().collect(),
        }
    }

    /// Up to eight sets in random order.
    fn several<'s>(&mut self, mut sets: Vec<&'s RecordSet>) -> Vec<&'s RecordSet> {
        let mut drawn = Vec::new();
        while !sets.is_empty() && drawn.len() < MULTIVALUE_MAX {
            let at = (self.draw)(sets.len() as u64);
            drawn.push(sets.swap_remove(usize::try_from(at).unwrap_or(0) % sets.len()));
        }
        drawn
    }

    /// In proportion to weight; weight 0 only where every candidate has it, and then evenly.
    fn by_weight<'s>(&mut self, sets: &[&'s RecordSet]) -> Option<&'s RecordSet> {
        let weight = |set: &RecordSet| match set.policy() {
            Some(Policy::Weighted(weight)) => u64::from(*weight),
            _ => 0,
        };
        let total: u64 = sets.iter().map(|set| weight(set)).sum();
        if total == 0 {
            let at = (self.draw)(sets.len().max(1) as u64);
            return sets.get(usize::try_from(at).ok()?).copied();
        }
        let mut left = (self.draw)(total);
        sets.iter().copied().find(|set| {
            let own = weight(set);
            let hit = left < own;
            left = left.saturating_sub(own);
            hit
        })
    }

    /// The label with the lowest latency of those present. Where that is not known, the first.
    fn by_label<'s>(&mut self, sets: &[&'s RecordSet]) -> Option<&'s RecordSet> {
        self.by_network = true;
        let label = |set: &&'s RecordSet| match set.policy() {
            Some(Policy::Latency(region)) => Some(region.as_str()),
            _ => None,
        };
        let labels: Vec<&'s str> = sets.iter().filter_map(label).collect();
        let nearest = self.view.internet.nearest_label(self.client, &labels);
        sets.iter().copied().find(|set| label(set) == nearest).or_else(|| sets.first().copied())
    }

    /// Subdivision, then country, then continent, then the default; no set, no answer.
    fn by_place<'s>(&mut self, sets: &[&'s RecordSet]) -> Option<&'s RecordSet> {
        self.by_network = true;
        let place = self.view.internet.location(self.client).unwrap_or_default();
        let rank = |set: &RecordSet| match set.policy() {
            Some(Policy::Geolocation(location)) => place_rank(location, &place),
            _ => None,
        };
        let ranked = sets.iter().copied().filter_map(|set| Some((rank(set)?, set)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, set)| set)
    }

    /// The set of the location with the longest block that holds the client, else the default.
    fn by_block<'s>(&mut self, sets: &[&'s RecordSet]) -> Option<&'s RecordSet> {
        self.by_network = true;
        let client = self.client;
        let located = sets.iter().copied().filter_map(|set| {
            let Some(Policy::Cidr { collection, location }) = set.policy() else { return None };
            let known = self.view.cidr_collections.iter().find(|known| known.id == *collection)?;
            let found = known.locate(client);
            let rank = match found {
                Some((name, prefix)) if name == location => u16::from(prefix) + 1,
                _ if location == "*" => 0,
                _ => return None,
            };
            Some((rank, set))
        });
        located.max_by_key(|(rank, _)| *rank).map(|(_, set)| set)
    }

    /// The nearest Region by latency, which stands in for distance; bias is not applied.
    fn by_distance<'s>(&mut self, sets: &[&'s RecordSet]) -> Option<&'s RecordSet> {
        self.by_network = true;
        let region = |set: &&'s RecordSet| match set.policy() {
            Some(Policy::Geoproximity { place: GeoPlace::Region(region), .. }) => {
                Some(region.as_str())
            }
            _ => None,
        };
        let regions: Vec<&'s str> = sets.iter().filter_map(region).collect();
        let nearest = self.view.internet.nearest_label(self.client, &regions);
        sets.iter().copied().find(|set| region(set) == nearest).or_else(|| sets.first().copied())
    }
}

fn place_rank(location: &GeoLocation, place: &Location) -> Option<u8> {
    match location {
        GeoLocation::Subdivision(country, subdivision) => {
            let same = *country == place.country && Some(subdivision) == place.subdivision.as_ref();
            same.then_some(0)
        }
        GeoLocation::Country(country) if country == "*" => Some(3),
        GeoLocation::Country(country) => (*country == place.country).then_some(1),
        GeoLocation::Continent(continent) => (*continent == place.continent).then_some(2),
    }
}

/// The primary if it is among the candidates; if all are unhealthy, both are, and it wins.
fn by_role<'s>(sets: &[&'s RecordSet]) -> Option<&'s RecordSet> {
    let primary = |set: &&&RecordSet| set.policy() == Some(&Policy::Failover(Failover::Primary));
    sets.iter().find(primary).or_else(|| sets.first()).copied()
}

fn plain_records(owner: &Name, set: &RecordSet) -> Vec<Record> {
    let Data::Records { ttl_s, values } = &set.data else { return Vec::new() };
    let record = |value: &String| Record {
        name: owner.clone(),
        kind: set.kind,
        ttl_s: *ttl_s,
        value: value.clone(),
    };
    values.iter().map(record).collect()
}
