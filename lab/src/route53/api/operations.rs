//! The operations: arguments in, document out. State decides; this reads and writes.

use std::net::IpAddr;

use super::Reply;
use super::query::Query;
use super::route::Call;
use crate::route53::answer::Question;
use crate::route53::error::{ApiError, Code};
use crate::route53::health::config::CheckType;
use crate::route53::limits;
use crate::route53::model::RrType;
use crate::route53::name::Name;
use crate::route53::operation::Operation;
use crate::route53::records::Start;
use crate::route53::server::Shared;
use crate::route53::state::{State, Tagged};
use crate::route53::validate::facet;
use crate::route53::xml::write::Writer;
use crate::route53::xml::{request, response};

type Performed = Result<Reply, ApiError>;

pub(super) fn perform(shared: &Shared, call: &Call, body: &[u8]) -> Performed {
    use Operation as Op;
    match call.operation() {
        Op::CreateHostedZone => create_zone(shared, body),
        Op::GetHostedZone => shared.with(|state, _| get_zone(state, &call.id)),
        Op::ListHostedZones => shared.with(|state, _| list_zones(state, &call.query)),
        Op::ListHostedZonesByName => shared.with(|state, _| zones_by_name(state, &call.query)),
        Op::DeleteHostedZone => {
            let info = shared.with(|state, now| state.delete_zone(&call.id, now))?;
            Ok(Reply::ok(Writer::document("DeleteHostedZoneResponse", |w| {
                response::change_info(w, &info, shared.epoch);
            })))
        }
        Op::GetHostedZoneCount => {
            Ok(count("HostedZoneCount", shared.with(|state, _| state.zones().count())))
        }
        Op::ChangeResourceRecordSets => change(shared, &call.id, body),
        Op::ListResourceRecordSets => {
            shared.with(|state, _| list_records(state, &call.id, &call.query))
        }
        Op::GetChange => {
            let info = shared.with(|state, now| state.get_change(&call.id, now))?;
            Ok(Reply::ok(Writer::document("GetChangeResponse", |w| {
                response::change_info(w, &info, shared.epoch);
            })))
        }
        Op::TestDNSAnswer => test_dns_answer(shared, &call.query),
        Op::CreateHealthCheck => create_check(shared, body),
        Op::GetHealthCheck => shared.with(|state, _| {
            let check = state.check(&call.id)?;
            Ok(Reply::ok(Writer::document("GetHealthCheckResponse", |w| {
                response::health_check(w, check);
            })))
        }),
        Op::ListHealthChecks => shared.with(|state, _| list_checks(state, &call.query)),
        Op::UpdateHealthCheck => update_check(shared, &call.id, body),
        Op::DeleteHealthCheck => {
            shared.with(|state, _| state.delete_check(&call.id))?;
            Ok(Reply::ok(Writer::document("DeleteHealthCheckResponse", |_| ())))
        }
        Op::GetHealthCheckStatus | Op::GetHealthCheckLastFailureReason => {
            observations(shared, call)
        }
        Op::GetHealthCheckCount => {
            Ok(count("HealthCheckCount", shared.with(|state, _| state.checks().ids().len())))
        }
        Op::GetCheckerIpRanges => Ok(Reply::ok(response::checker_ranges())),
        Op::ChangeTagsForResource | Op::ListTagsForResource | Op::ListTagsForResources => {
            tags(shared, call, body)
        }
        Op::CreateResourceRecordSetProtections => {
            let batch = request::protections(body, false)?;
            shared.with(|state, _| state.protect(&call.id, &batch))?;
            let root = "CreateResourceRecordSetProtectionsResponse";
            Ok(Reply::ok(Writer::document(root, |_| ())))
        }
        Op::DeleteResourceRecordSetProtections => {
            let batch = request::protections(body, true)?;
            shared.with(|state, _| state.unprotect(&call.id, &batch))?;
            let root = "DeleteResourceRecordSetProtectionsResponse";
            Ok(Reply::ok(Writer::document(root, |_| ())))
        }
        Op::ListResourceRecordSetProtections => {
            shared.with(|state, _| list_protections(state, &call.id, &call.query))
        }
    }
}

fn count(name: &str, count: usize) -> Reply {
    let root = format!("Get{name}Response");
    Reply::ok(Writer::document(&root, |w| w.text(name, count)))
}

fn create_zone(shared: &Shared, body: &[u8]) -> Performed {
    let asked = request::create_zone(body)?;
    if asked.beyond_the_lab {
        let text = "the lab's Route 53 has no private zones and no reusable delegation sets";
        return Err(ApiError::new(Code::NotImplemented, text));
    }
    let (zone, info) = shared.with(|state, now| {
        state.create_zone(&asked.name, &asked.caller_reference, asked.comment, now)
    })?;
    let location = format!("https://route53.amazonaws.com/2013-04-01/hostedzone/{}", zone.id);
    let body = Writer::document("CreateHostedZoneResponse", |w| {
        response::zone(w, &zone);
        response::change_info(w, &info, shared.epoch);
        response::delegation_set(w, &zone);
    });
    Ok(Reply::created(location, body))
}

fn get_zone(state: &State, id: &str) -> Performed {
    let zone = state.zone(id)?;
    Ok(Reply::ok(Writer::document("GetHostedZoneResponse", |w| {
        response::zone(w, zone);
        response::delegation_set(w, zone);
    })))
}

fn list_zones(state: &State, query: &Query) -> Performed {
    let max = query.limit("maxitems", limits::PAGE)?;
    let marker = query.get("marker").unwrap_or_default();
    let mut zones = state.zones().filter(|zone| zone.id.as_str() >= marker);
    let page: Vec<_> = zones.by_ref().take(max).collect();
    let next = zones.next();
    Ok(Reply::ok(Writer::document("ListHostedZonesResponse", |w| {
        w.element("HostedZones", |w| page.iter().for_each(|zone| response::zone(w, zone)));
        w.optional("Marker", query.get("marker"));
        w.text("IsTruncated", next.is_some());
        w.optional("NextMarker", next.map(|zone| &zone.id));
        w.text("MaxItems", max);
    })))
}

fn zones_by_name(state: &State, query: &Query) -> Performed {
    let max = query.limit("maxitems", limits::PAGE)?;
    let from = query.get("dnsname").map(zone_name).transpose()?;
    let from_id = query.get("hostedzoneid");
    if from.is_none() && from_id.is_some() {
        return Err(ApiError::input("hostedzoneid is given without dnsname"));
    }
    let mut zones: Vec<_> = state.zones().collect();
    zones.sort_by_key(|zone| (zone.name.sort_key(), zone.id.clone()));
    let from_id = from_id.map(|id| id.trim_start_matches("/hostedzone/"));
    let start = (from.as_ref().map(Name::sort_key), from_id);
    let mut rest = zones.into_iter().filter(|zone| match &start {
        (Some(name), id) => {
            let own = zone.name.sort_key();
            own > *name || (own == *name && zone.id.as_str() >= id.unwrap_or_default())
        }
        (None, _) => true,
    });
    let page: Vec<_> = rest.by_ref().take(max).collect();
    let next = rest.next();
    Ok(Reply::ok(Writer::document("ListHostedZonesByNameResponse", |w| {
        w.element("HostedZones", |w| page.iter().for_each(|zone| response::zone(w, zone)));
        w.optional("DNSName", query.get("dnsname"));
        w.optional("HostedZoneId", query.get("hostedzoneid"));
        w.text("IsTruncated", next.is_some());
        if let Some(next) = next {
            w.text("NextDNSName", &next.name);
            w.text("NextHostedZoneId", &next.id);
        }
        w.text("MaxItems", max);
    })))
}

fn zone_name(text: &str) -> Result<Name, ApiError> {
    Name::parse(text).map_err(|_| {
        ApiError::new(Code::InvalidDomainName, format!("{text} is not a valid domain name."))
    })
}

fn change(shared: &Shared, id: &str, body: &[u8]) -> Performed {
    let batch = request::change_batch(body)?;
    let internet = &*shared.internet;
    let info = shared.with(|state, now| state.change(id, &batch, internet, now))?;
    Ok(Reply::ok(Writer::document("ChangeResourceRecordSetsResponse", |w| {
        response::change_info(w, &info, shared.epoch);
    })))
}

/// A record name or type of a query. The texts are unverified.
fn record_name(text: &str) -> Result<Name, ApiError> {
    facet::length("DNSName", 0, 1024, text)?;
    Name::parse(text).map_err(|error| ApiError::input(format!("FATAL problem: {error}")))
}

fn record_type(text: &str) -> Result<RrType, ApiError> {
    RrType::parse(text).ok_or_else(|| {
        let all: Vec<&str> = RrType::ALL.iter().map(|kind| kind.as_str()).collect();
        facet::not_in_enumeration(text, &all)
    })
}

fn list_records(state: &State, id: &str, query: &Query) -> Performed {
    let zone = state.zone(id)?;
    let max = query.limit("maxitems", limits::RECORDS_PAGE)?;
    let start = Start {
        name: query.get("name").map(record_name).transpose()?,
        kind: query.get("type").map(record_type).transpose()?,
        set_identifier: query.get("identifier").map(str::to_owned),
    };
    // Unverified texts.
    if start.kind.is_some() && start.name.is_none() {
        return Err(ApiError::input("The type parameter requires the name parameter."));
    }
    if start.set_identifier.is_some() && start.kind.is_none() {
        return Err(ApiError::input("The identifier parameter requires the type parameter."));
    }
    let (page, next) = zone.latest().page(&start, max);
    Ok(Reply::ok(response::record_sets(&page, next.as_deref(), max)))
}

fn test_dns_answer(shared: &Shared, query: &Query) -> Performed {
    let id = query.required("hostedzoneid")?.trim_start_matches("/hostedzone/");
    facet::length("ResourceId", 0, 32, id)?;
    let name = record_name(query.required("recordname")?)?;
    let kind = record_type(query.required("recordtype")?)?;
    let (zone, server) = shared.with(|state, _| {
        let zone = state.zone(id)?;
        Ok::<_, ApiError>((zone.name.clone(), zone.name_servers[0].clone()))
    })?;
    if !name.is_within(&zone) {
        // Unverified text.
        let text = format!("The record {name} is not in the hosted zone {zone}");
        return Err(ApiError::input(text));
    }
    let client = client_of(query)?;
    let question = Question { name: name.clone(), kind: Some(kind), client };
    let answer = shared.answer(&question, Some(id))?;
    let values: Vec<String> = answer.answers.into_iter().map(|record| record.value).collect();
    Ok(Reply::ok(response::dns_answer(&server, &name, kind, answer.rcode, &values)))
}

/// The client subnet, else the resolver, else a resolver in us-east-1, which loopback stands for.
fn client_of(query: &Query) -> Result<IpAddr, ApiError> {
    let address = |name: &str| {
        let parse = |text: &str| {
            text.parse::<IpAddr>()
                .map_err(|_| ApiError::input(format!("Invalid IP address: {text}")))
        };
        query.get(name).map(parse).transpose()
    };
    let resolver = address("resolverip")?;
    let Some(subnet) = address("edns0clientsubnetip")? else {
        if query.get("edns0clientsubnetmask").is_some() {
            return Err(ApiError::input("edns0clientsubnetmask requires edns0clientsubnetip"));
        }
        return Ok(resolver.unwrap_or(IpAddr::from([127, 0, 0, 1])));
    };
    let (default, max) = if subnet.is_ipv4() { (24, 32) } else { (64, 128) };
    let mask = match query.get("edns0clientsubnetmask") {
        None => default,
        Some(text) => match text.parse::<u8>() {
            Ok(mask) if mask <= max => mask,
            _ => return Err(ApiError::input(format!("Invalid subnet mask: {text}"))),
        },
    };
    Ok(masked(subnet, mask))
}

/// The address with all bits behind the prefix cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix.min(32))).unwrap_or(0);
            IpAddr::from((v4.to_bits() & mask).to_be_bytes())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
            IpAddr::from((v6.to_bits() & mask).to_be_bytes())
        }
    }
}

fn create_check(shared: &Shared, body: &[u8]) -> Performed {
    let (reference, raw) = request::create_check(body)?;
    let (check, _) = shared.with(|state, now| state.create_check(&reference, &raw, now))?;
    let location = format!("https://route53.amazonaws.com/2013-04-01/healthcheck/{}", check.id);
    let body = Writer::document("CreateHealthCheckResponse", |w| {
        response::health_check(w, &check);
    });
    Ok(Reply::created(location, body))
}

fn update_check(shared: &Shared, id: &str, body: &[u8]) -> Performed {
    let (version, raw, reset) = request::update_check(body)?;
    let check = shared.with(|state, _| state.update_check(id, version, &raw, &reset))?;
    Ok(Reply::ok(Writer::document("UpdateHealthCheckResponse", |w| {
        response::health_check(w, &check);
    })))
}

fn list_checks(state: &State, query: &Query) -> Performed {
    let max = query.limit("maxitems", limits::PAGE)?;
    let marker = query.get("marker").unwrap_or_default();
    let mut checks = state.checks().iter().filter(|check| check.id.as_str() >= marker);
    let page: Vec<_> = checks.by_ref().take(max).collect();
    let next = checks.next();
    Ok(Reply::ok(Writer::document("ListHealthChecksResponse", |w| {
        w.element("HealthChecks", |w| {
            for check in &page {
                response::health_check(w, check);
            }
        });
        w.text("Marker", marker);
        w.text("IsTruncated", next.is_some());
        w.optional("NextMarker", next.map(|check| &check.id));
        w.text("MaxItems", max);
    })))
}

fn observations(shared: &Shared, call: &Call) -> Performed {
    let failures = call.operation() == Operation::GetHealthCheckLastFailureReason;
    shared.with(|state, _| {
        let check = state.check(&call.id)?;
        if check.config.kind == CheckType::Calculated {
            // Unverified text.
            return Err(ApiError::input("A calculated health check has no status of its own."));
        }
        let root = format!("{}Response", call.operation());
        let checks = state.checks();
        Ok(Reply::ok(response::observations(&root, check, checks, failures, shared.epoch)))
    })
}

fn tags(shared: &Shared, call: &Call, body: &[u8]) -> Performed {
    let kind = call.tagged.unwrap_or(Tagged::HostedZone);
    let word = match kind {
        Tagged::HealthCheck => "healthcheck",
        Tagged::HostedZone => "hostedzone",
    };
    let root = format!("{}Response", call.operation());
    match call.operation() {
        Operation::ChangeTagsForResource => {
            let (add, remove) = request::change_tags(body)?;
            shared.with(|state, _| state.change_tags(kind, &call.id, add, &remove))?;
            Ok(Reply::ok(Writer::document(&root, |_| ())))
        }
        Operation::ListTagsForResource => {
            let tags = shared.with(|state, _| state.tags(kind, &call.id))?;
            let write = |w: &mut Writer| response::tag_set(w, word, &call.id, &tags);
            Ok(Reply::ok(Writer::document(&root, write)))
        }
        _ => {
            let ids = request::list_tags(body)?;
            let find = |id: String| {
                let tags = shared.with(|state, _| state.tags(kind, &id))?;
                Ok((id, tags))
            };
            let found = ids.into_iter().map(find).collect::<Result<Vec<_>, ApiError>>()?;
            Ok(Reply::ok(Writer::document(&root, |w| {
                w.element("ResourceTagSets", |w| {
                    for (id, tags) in &found {
                        response::tag_set(w, word, id, tags);
                    }
                });
            })))
        }
    }
}

/// Protections in the order of the API. The token is the name and type of the next one.
fn list_protections(state: &State, id: &str, query: &Query) -> Performed {
    let zone = state.zone(id)?;
    let max = query.limit("maxresults", limits::RECORDS_PAGE)?;
    let (name, kind) = match query.get("nexttoken") {
        Some(token) => {
            let invalid = || {
                ApiError::new(Code::InvalidPaginationToken, "The pagination token is not valid.")
            };
            let (name, kind) = token.split_once(' ').ok_or_else(invalid)?;
            let name = Name::parse(name).map_err(|_| invalid())?;
            (Some(name), Some(RrType::parse(kind).ok_or_else(invalid)?))
        }
        None => (
            query.get("name").map(record_name).transpose()?,
            query.get("type").map(record_type).transpose()?,
        ),
    };
    if kind.is_some() && name.is_none() {
        return Err(ApiError::input("The type parameter requires the name parameter."));
    }
    let at_or_after = |own: &(Name, RrType)| match &name {
        None => true,
        Some(name) => own.0 > *name || (own.0 == *name && kind.is_none_or(|kind| own.1 >= kind)),
    };
    let mut rest = zone.protections.iter().filter(|(key, _)| at_or_after(key));
    let page: Vec<_> = rest.by_ref().take(max).collect();
    let next = rest.next();
    Ok(Reply::ok(Writer::document("ListResourceRecordSetProtectionsResponse", |w| {
        w.element("ResourceRecordSetProtections", |w| {
            for ((name, kind), comment) in &page {
                w.element("ResourceRecordSetProtection", |w| {
                    w.text("RecordName", name);
                    w.text("RecordType", kind);
                    w.optional("Comment", comment.as_ref());
                });
            }
        });
        w.optional("NextToken", next.map(|((name, kind), _)| format!("{name} {kind}")));
    })))
}
