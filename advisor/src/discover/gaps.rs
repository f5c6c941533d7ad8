//! What stands between what was found and a first plan, in the order to fix it. Pure.

use std::collections::BTreeSet;

use probe::config::EndpointKind;

use super::draft::at;
use super::{Draft, DraftEndpoint, Findings, Wishes, domains, not_enabled, region_of_target};
use crate::domains::DomainError;
use crate::group::{EndpointTarget, GroupError, live_group};
use crate::lint::lint;
use crate::name::Name;
use crate::record::RecordType;
use crate::zone::HealthCheckSpec;

/// Regions that are told by their names.
const NAMED_MAX: usize = 4;

/// One thing that is missing, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// What.
    pub what: String,
    /// How to mend it.
    pub fix: String,
}

/// All gaps. `unproven` are the endpoints that did not answer as the service, each with its cause.
#[must_use]
pub fn gaps(
    findings: &Findings,
    draft: &Draft,
    wishes: &Wishes,
    unproven: &[(String, String)],
) -> Vec<Gap> {
    let mut gaps = silent_regions(findings);
    gaps.extend(edge(findings));
    gaps.extend(too_few(findings, draft));
    gaps.extend(draft.endpoints.iter().filter_map(unavailable));
    gaps.extend(own_domains(findings, draft));
    gaps.extend(records(findings, draft));
    gaps.extend(unproven.iter().map(|(endpoint, cause)| Gap {
        what: format!("{endpoint} does not answer as {} at {}: {cause}", findings.service, wishes.health_path),
        fix: "serve that path with a status of 200 to 399 over TLS, or name another with --health-path"
            .into(),
    }));
    if draft.region_proof.is_none() && unproven.is_empty() && !draft.endpoints.is_empty() {
        gaps.push(Gap {
            what: format!("nothing in the answer of {} names the Region", wishes.health_path),
            fix: "let it answer a header such as x-region with the Region's code (AWS_REGION in Lambda), then \
                  write it as region_proof; without it changes are marked unproven"
                .into(),
        });
    }
    gaps.extend(unwatched(findings));
    gaps.extend(notes(findings));
    gaps
}

/// Regions that did not answer, by cause; those that are not enabled are no gap.
fn silent_regions(findings: &Findings) -> Vec<Gap> {
    let off = not_enabled(&findings.listings);
    let mut causes: Vec<(DomainError, Vec<&str>)> = Vec::new();
    for (region, listed) in &findings.listings {
        let Err(cause) = listed else { continue };
        if off.contains(region) {
            continue;
        }
        match causes.iter_mut().find(|(known, _)| kind(known) == kind(cause)) {
            Some((_, regions)) => regions.push(region),
            None => causes.push((cause.clone(), vec![region])),
        }
    }
    let gap = |(cause, regions): (DomainError, Vec<&str>)| {
        let fix = match &cause {
            DomainError::Denied(denial) => denial.hint().to_owned(),
            DomainError::Failed(_) => {
                "try again; or name the Regions that matter with --region".into()
            }
        };
        Gap { what: format!("API Gateway did not answer in {}: {cause}", list(&regions)), fix }
    };
    causes.into_iter().map(gap).collect()
}

/// A few Regions by name, many by their number.
fn list(regions: &[&str]) -> String {
    match regions {
        few if few.len() <= NAMED_MAX => few.join(", "),
        many => format!("{} Regions ({} and so on)", many.len(), many[..NAMED_MAX].join(", ")),
    }
}

/// What makes two causes one: the messages name Regions, so that they differ.
fn kind(cause: &DomainError) -> (u8, Option<&str>) {
    use crate::denial::Denial;
    match cause {
        DomainError::Failed(_) => (0, None),
        DomainError::Denied(Denial::NoCredentials(_)) => (1, None),
        DomainError::Denied(Denial::Expired(_)) => (2, None),
        DomainError::Denied(Denial::Unknown(_)) => (3, None),
        DomainError::Denied(Denial::NotEnabled(_)) => (4, None),
        DomainError::Denied(Denial::WrongSecret(_)) => (5, None),
        DomainError::Denied(Denial::Clock { .. }) => (6, None),
        DomainError::Denied(Denial::Permission { action, .. }) => (7, action.as_deref()),
    }
}

/// The edge-optimized domain of the service, which no second Region can have.
fn edge(findings: &Findings) -> Option<Gap> {
    let of_service = domains(&findings.listings).filter(|(_, one)| one.name == findings.service);
    let (region, _) =
        of_service.into_iter().find(|(_, one)| one.face(EndpointKind::EdgeOptimized).is_some())?;
    Some(Gap {
        what: format!(
            "{} is edge-optimized in {region}: such a name exists once in the world, so no second Region can \
             serve it",
            findings.service
        ),
        fix: format!(
            "add the endpoint type REGIONAL to the domain in {region} (a domain may have both), point DNS at \
             its Regional target, then create the Regional domain in the other Regions"
        ),
    })
}

fn too_few(findings: &Findings, draft: &Draft) -> Option<Gap> {
    let service = &findings.service;
    match draft.endpoints.as_slice() {
        [] => Some(Gap {
            what: format!("no Region serves {service}"),
            fix: format!(
                "create the custom domain {service} (type REGIONAL) in each Region of the API"
            ),
        }),
        [one] => Some(Gap {
            what: format!(
                "only {} serves {service}: there is nothing to choose between",
                one.region
            ),
            fix: format!(
                "deploy the API to a second Region, with the custom domain {service} of type REGIONAL"
            ),
        }),
        _ => None,
    }
}

fn unavailable(endpoint: &DraftEndpoint) -> Option<Gap> {
    let (status, message) = endpoint.status.as_ref()?;
    if status == "AVAILABLE" {
        return None;
    }
    let words = message.as_ref().map(|words| format!(" ({words})")).unwrap_or_default();
    Some(Gap {
        what: format!("the custom domain in {} is {status}{words}, not AVAILABLE", endpoint.region),
        fix: "wait until it is, or mend its certificate; plans refuse it until then".into(),
    })
}

fn own_domains(findings: &Findings, draft: &Draft) -> Vec<Gap> {
    let one = |endpoint: &DraftEndpoint| {
        let region = &endpoint.region;
        match &endpoint.own {
            None => {
                let example = findings.service.child(region);
                Some(Gap {
                    what: format!("{region} has no custom domain of its own for health checks"),
                    fix: format!(
                        "create {example} (type REGIONAL) in {region} with the same API mapping, an alias record \
                         to its target, and write it as health_url"
                    ),
                })
            }
            Some(own) if !endpoint.own_in_dns => Some(Gap {
                what: format!(
                    "{own} is a custom domain in {region}, and the zone has no record for it"
                ),
                fix: format!("create alias records (A, AAAA) from {own} to its Regional target"),
            }),
            Some(_) => None,
        }
    };
    draft.endpoints.iter().filter_map(one).collect()
}

/// What keeps the records at the service name from being planned over.
fn records(findings: &Findings, draft: &Draft) -> Vec<Gap> {
    let targets: Vec<EndpointTarget> = draft.endpoints.iter().map(target).collect();
    let error = match live_group(&findings.service, &findings.records, &targets) {
        Ok(live) => {
            let answered: BTreeSet<&String> = live.labels.values().collect();
            let idle = targets.iter().filter(|target| !answered.contains(&target.id));
            let idle: Vec<&str> = idle.map(|target| target.id.as_str()).collect();
            return match idle.as_slice() {
                [] => Vec::new(),
                idle => vec![Gap {
                    what: format!("no record of {} leads to {}", findings.service, idle.join(", ")),
                    fix: "add a latency record for each of these Regions; advice on cloud evidence only \
                          repoints labels that are there"
                        .into(),
                }],
            };
        }
        Err(error) => error,
    };
    let fix = match &error {
        GroupError::Empty(_) => format!(
            "create one latency alias record (A and AAAA) at {} for each Region, to its target",
            findings.service
        ),
        GroupError::UnknownTarget { target, .. } => match region_of(target) {
            Some(region) => format!(
                "create the custom domain {} (type REGIONAL) in {region}, or take the record away: nothing \
                 serves its users",
                findings.service
            ),
            None => error.hint().to_owned(),
        },
        other => other.hint().to_owned(),
    };
    vec![Gap { what: error.to_string(), fix }]
}

/// The Region of a target that API Gateway was asked for.
fn region_of(target: &str) -> Option<String> {
    region_of_target(&Name::parse(target).ok()?).map(str::to_owned)
}

/// The endpoint as the group at the service name knows it: only its target is looked at.
fn target(endpoint: &DraftEndpoint) -> EndpointTarget {
    EndpointTarget {
        id: endpoint.region.clone(),
        region: endpoint.region.clone(),
        dns_name: endpoint.alias.dns_name.clone(),
        hosted_zone_id: endpoint.alias.hosted_zone_id.clone(),
        health_check: HealthCheckSpec {
            caller_reference: String::new(),
            endpoint: endpoint.region.clone(),
            https: true,
            host: String::new(),
            port: 443,
            path: String::new(),
        },
        health_check_id: None,
        proves_region: false,
    }
}

fn unwatched(findings: &Findings) -> Option<Gap> {
    let error = findings.health_checks.as_ref().err()?;
    Some(Gap {
        what: format!("health checks cannot be listed: {error}"),
        fix: error.hint().unwrap_or("try again").to_owned(),
    })
}

/// Records at the service name that do not do what they seem to.
fn notes(findings: &Findings) -> Vec<Gap> {
    let at_service: Vec<_> = at(&findings.records, &findings.service).cloned().collect();
    let found = lint(&at_service, &BTreeSet::new(), &BTreeSet::new());
    let mut gaps: Vec<Gap> = found
        .iter()
        .map(|note| Gap {
            what: note.to_string(),
            fix: "the first plan that is applied writes the group anew, without this".into(),
        })
        .collect();
    let has = |family: &RecordType| at_service.iter().any(|set| set.record_type == *family);
    if has(&RecordType::A) && !has(&RecordType::Aaaa) {
        gaps.push(Gap {
            what: format!("{} has A records and no AAAA", findings.service),
            fix: "set the domains to dualstack and add AAAA alias records, if users have IPv6"
                .into(),
        });
    }
    gaps
}
