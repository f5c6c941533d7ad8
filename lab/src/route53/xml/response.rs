//! The documents of replies and errors, in the member order of AWS's API model.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::write::Writer;
use crate::route53::answer::Rcode;
use crate::route53::error::{ApiError, Code};
use crate::route53::health::config::Config;
use crate::route53::health::{AlarmState, Checker, Checks, HealthCheck, Report};
use crate::route53::model::{Data, GeoLocation, GeoPlace, Policy, RecordSet, RrType};
use crate::route53::name::Name;
use crate::route53::regions::CHECKER_REGIONS;
use crate::route53::state::{ChangeInfo, Tags};
use crate::route53::zone::Zone;

/// An error document. With `bare_batch`, `InvalidChangeBatch` takes the form in which it is the
/// root element; AWS has used both.
#[must_use]
pub fn error(error: &ApiError, request_id: &str, bare_batch: bool) -> String {
    let (code, status) = error.code.wire();
    if bare_batch && error.code == Code::InvalidChangeBatch {
        return Writer::document("InvalidChangeBatch", |w| {
            messages(w, error);
            w.text("RequestId", request_id);
        });
    }
    Writer::document("ErrorResponse", |w| {
        w.element("Error", |w| {
            w.text("Type", if status < 500 { "Sender" } else { "Receiver" });
            w.text("Code", code);
            w.text("Message", error.message());
            if !error.protections.is_empty() {
                protection_errors(w, error);
            }
        });
        w.text("RequestId", request_id);
    })
}

fn messages(w: &mut Writer, error: &ApiError) {
    w.element("Messages", |w| {
        for message in &error.messages {
            w.text("Message", message);
        }
    });
}

fn protection_errors(w: &mut Writer, error: &ApiError) {
    w.element("Errors", |w| {
        for entry in &error.protections {
            w.element("ProtectionError", |w| {
                w.text("RecordName", &entry.name);
                w.text("RecordType", &entry.kind);
                w.text("Code", entry.code);
                w.text("Message", &entry.message);
            });
        }
    });
}

/// A moment since the lab started, in AWS's form.
fn moment(epoch: Timestamp, at: Duration) -> String {
    let since = SignedDuration::try_from(at).unwrap_or(SignedDuration::ZERO);
    let at = epoch.checked_add(since).unwrap_or(epoch);
    format!("{at:.3}")
}

/// A `ChangeInfo` element.
pub fn change_info(w: &mut Writer, info: &ChangeInfo, epoch: Timestamp) {
    w.element("ChangeInfo", |w| {
        w.text("Id", format!("/change/{}", info.id));
        w.text("Status", if info.insync { "INSYNC" } else { "PENDING" });
        w.text("SubmittedAt", moment(epoch, info.submitted_at));
        w.optional("Comment", info.comment.as_ref());
    });
}

/// A `HostedZone` element.
pub fn zone(w: &mut Writer, zone: &Zone) {
    w.element("HostedZone", |w| {
        w.text("Id", format!("/hostedzone/{}", zone.id));
        w.text("Name", &zone.name);
        w.text("CallerReference", &zone.caller_reference);
        w.element("Config", |w| {
            w.optional("Comment", zone.comment.as_ref());
            w.text("PrivateZone", false);
        });
        w.text("ResourceRecordSetCount", zone.latest().len());
    });
}

/// A `DelegationSet` element.
pub fn delegation_set(w: &mut Writer, zone: &Zone) {
    w.element("DelegationSet", |w| {
        w.element("NameServers", |w| {
            for server in &zone.name_servers {
                w.text("NameServer", server.trim_end_matches('.'));
            }
        });
    });
}

/// One page of record sets.
#[must_use]
pub fn record_sets(page: &[Arc<RecordSet>], next: Option<&RecordSet>, max_items: usize) -> String {
    Writer::document("ListResourceRecordSetsResponse", |w| {
        w.element("ResourceRecordSets", |w| {
            for set in page {
                record_set(w, set);
            }
        });
        w.text("IsTruncated", next.is_some());
        if let Some(next) = next {
            w.text("NextRecordName", &next.name);
            w.text("NextRecordType", next.kind);
            w.optional("NextRecordIdentifier", next.set_identifier());
        }
        w.text("MaxItems", max_items);
    })
}

fn record_set(w: &mut Writer, set: &RecordSet) {
    w.element("ResourceRecordSet", |w| {
        w.text("Name", &set.name);
        w.text("Type", set.kind);
        w.optional("SetIdentifier", set.set_identifier());
        let late = set.policy().filter(|policy| is_late(policy));
        if let Some(early) = set.policy().filter(|policy| !is_late(policy)) {
            policy(w, early);
        }
        match &set.data {
            Data::Records { ttl_s, values } => {
                w.text("TTL", ttl_s);
                w.element("ResourceRecords", |w| {
                    for value in values {
                        w.element("ResourceRecord", |w| w.text("Value", value));
                    }
                });
            }
            Data::Alias(target) => w.element("AliasTarget", |w| {
                w.text("HostedZoneId", &target.hosted_zone_id);
                w.text("DNSName", &target.dns_name);
                w.text("EvaluateTargetHealth", target.evaluate_target_health);
            }),
        }
        w.optional("HealthCheckId", set.health_check_id.as_ref());
        if let Some(late) = late {
            policy(w, late);
        }
    });
}

/// Whether the policy's element stands behind the values.
fn is_late(policy: &Policy) -> bool {
    matches!(policy, Policy::Cidr { .. } | Policy::Geoproximity { .. })
}

fn policy(w: &mut Writer, policy: &Policy) {
    match policy {
        Policy::Weighted(weight) => w.text("Weight", weight),
        Policy::Latency(region) => w.text("Region", region),
        Policy::Failover(role) => w.text("Failover", role),
        Policy::Multivalue => w.text("MultiValueAnswer", true),
        Policy::Geolocation(location) => w.element("GeoLocation", |w| match location {
            GeoLocation::Continent(code) => w.text("ContinentCode", code),
            GeoLocation::Country(code) => w.text("CountryCode", code),
            GeoLocation::Subdivision(country, code) => {
                w.text("CountryCode", country);
                w.text("SubdivisionCode", code);
            }
        }),
        Policy::Cidr { collection, location } => w.element("CidrRoutingConfig", |w| {
            w.text("CollectionId", collection);
            w.text("LocationName", location);
        }),
        Policy::Geoproximity { place, bias } => w.element("GeoProximityLocation", |w| {
            match place {
                GeoPlace::Region(region) => w.text("AWSRegion", region),
                GeoPlace::LocalZoneGroup(group) => w.text("LocalZoneGroup", group),
                GeoPlace::Coordinates(latitude, longitude) => w.element("Coordinates", |w| {
                    w.text("Latitude", latitude);
                    w.text("Longitude", longitude);
                }),
            }
            w.optional("Bias", bias.as_ref());
        }),
    }
}

/// A `HealthCheck` element.
pub fn health_check(w: &mut Writer, check: &HealthCheck) {
    w.element("HealthCheck", |w| {
        w.text("Id", &check.id);
        w.text("CallerReference", &check.caller_reference);
        w.element("HealthCheckConfig", |w| check_config(w, &check.config));
        w.text("HealthCheckVersion", check.version);
    });
}

fn check_config(w: &mut Writer, config: &Config) {
    let endpoint = config.kind.has_endpoint();
    w.optional("IPAddress", config.ip_address);
    w.optional("Port", config.port);
    w.text("Type", config.kind);
    w.optional("ResourcePath", config.resource_path.as_ref());
    w.optional("FullyQualifiedDomainName", config.fqdn.as_ref());
    w.optional("SearchString", config.search_string.as_ref());
    w.optional("RequestInterval", endpoint.then_some(config.request_interval_s));
    w.optional("FailureThreshold", endpoint.then_some(config.failure_threshold));
    w.optional("MeasureLatency", endpoint.then_some(config.measure_latency));
    w.text("Inverted", config.inverted);
    w.text("Disabled", config.disabled);
    w.optional("HealthThreshold", config.health_threshold);
    string_list(w, "ChildHealthChecks", "ChildHealthCheck", &config.children);
    w.optional("EnableSNI", config.enable_sni);
    string_list(w, "Regions", "Region", &config.regions);
    if let Some((region, name)) = &config.alarm {
        w.element("AlarmIdentifier", |w| {
            w.text("Region", region);
            w.text("Name", name);
        });
    }
    w.optional("InsufficientDataHealthStatus", config.insufficient);
}

fn string_list(w: &mut Writer, name: &str, item: &str, texts: &[String]) {
    if !texts.is_empty() {
        w.element(name, |w| texts.iter().for_each(|text| w.text(item, text)));
    }
}

/// The observations of a check, or with `failures` its last failures, in the document `root`.
#[must_use]
pub fn observations(
    root: &str,
    check: &HealthCheck,
    checks: &Checks,
    failures: bool,
    epoch: Timestamp,
) -> String {
    let report = |checker: &Checker| {
        if failures { checker.last_failure.clone() } else { checker.last.clone() }
    };
    let mut reports: Vec<(&str, Report)> =
        check.checkers().filter_map(|(region, checker)| Some((region, report(checker)?))).collect();
    // A check on a metric has no checkers of its own. What AWS lists then is unverified.
    if let Some((state, at)) = checks.alarm_report(&check.config) {
        let status = match state {
            AlarmState::Ok => "Success: The alarm's data is within its threshold.",
            AlarmState::Alarm => "Failure: The alarm's data is over its threshold.",
            AlarmState::InsufficientData => "Failure: The alarm has insufficient data.",
        };
        if !failures || state != AlarmState::Ok {
            let report = Report { status: status.to_owned(), at };
            reports.extend(CHECKER_REGIONS.map(|region| (region, report.clone())));
        }
    }
    Writer::document(root, |w| {
        w.element("HealthCheckObservations", |w| {
            for (region, report) in reports {
                w.element("HealthCheckObservation", |w| {
                    w.text("Region", region);
                    w.text("IPAddress", checker_address(region));
                    w.element("StatusReport", |w| {
                        w.text("Status", report.status);
                        w.text("CheckedTime", moment(epoch, report.at));
                    });
                });
            }
        });
    })
}

/// The lab's checkers have addresses of a documentation network, one for each Region.
fn checker_address(region: &str) -> String {
    let at = CHECKER_REGIONS.iter().position(|name| *name == region).unwrap_or(0);
    format!("198.51.100.{}", at * 16 + 1)
}

/// The networks of the lab's checkers.
#[must_use]
pub fn checker_ranges() -> String {
    Writer::document("GetCheckerIpRangesResponse", |w| {
        w.element("CheckerIpRanges", |w| {
            for at in 0..CHECKER_REGIONS.len() {
                w.text("member", format!("198.51.100.{}/28", at * 16));
            }
        });
    })
}

/// A `ResourceTagSet` element.
pub fn tag_set(w: &mut Writer, kind: &str, id: &str, tags: &Tags) {
    w.element("ResourceTagSet", |w| {
        w.text("ResourceType", kind);
        w.text("ResourceId", id);
        w.element("Tags", |w| {
            for (key, value) in tags {
                w.element("Tag", |w| {
                    w.text("Key", key);
                    w.text("Value", value);
                });
            }
        });
    });
}

/// What `TestDNSAnswer` says.
#[must_use]
pub fn dns_answer(
    name_server: &str,
    name: &Name,
    kind: RrType,
    rcode: Rcode,
    values: &[String],
) -> String {
    Writer::document("TestDNSAnswerResponse", |w| {
        w.text("Nameserver", name_server.trim_end_matches('.'));
        w.text("RecordName", name);
        w.text("RecordType", kind);
        w.element("RecordData", |w| {
            for value in values {
                w.text("RecordDataEntry", value);
            }
        });
        w.text(
            "ResponseCode",
            match rcode {
                Rcode::NoError => "NOERROR",
                Rcode::NxDomain => "NXDOMAIN",
                Rcode::Refused => "REFUSED",
            },
        );
        w.text("Protocol", "UDP");
    })
}
