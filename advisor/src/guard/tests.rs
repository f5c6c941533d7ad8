//! One case for each refusal, and the edges of each limit.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::*;
use crate::domains::{CustomDomain, DomainError, DomainTarget};
use crate::group::live_group;
use crate::group::tests::{adopted, endpoint, name};
use crate::name::Label;
use crate::plan::{Effect, Ground, Move};
use crate::record::{Answer, Policy};
use crate::topology::Shares;
use crate::zone::ZoneFacts;

const NOW_MS: i64 = 1_800_000_000_000;
const DAY_MS: i64 = 24 * 3_600_000;
const REGIONS: [&str; 2] = ["eu-west-1", "us-east-1"];

/// A plan with everything around it in order; each case breaks one thing.
struct Case {
    plan: Plan,
    rule: GuardRule,
    zone_id: String,
    records: Vec<RecordSet>,
    proofs: Vec<TargetProof>,
    domains: BTreeMap<String, DomainFinding>,
    protections: Vec<Protection>,
}

fn service() -> Name {
    name("api.example.com")
}

fn records() -> Vec<RecordSet> {
    REGIONS.iter().map(|region| adopted(region, region, RecordType::A)).collect()
}

fn plan_over(records: &[RecordSet]) -> Plan {
    let endpoints = REGIONS.map(endpoint);
    let live = live_group(&service(), records, &endpoints).unwrap();
    let zone = ZoneFacts {
        id: "Z1".into(),
        name: name("example.com"),
        name_servers: Vec::new(),
        api: String::new(),
    };
    let ground = Ground {
        zone: &zone,
        service: &service(),
        records,
        endpoints: &endpoints,
        now_ms: NOW_MS - 1_000,
    };
    let us = "us-east-1";
    let step = Move::whole(&Label::new(us), &Shares::one(us), "eu-west-1", "repoint");
    let effect =
        Effect { traffic_moved: 0.25, evidence_until_ms: Some(NOW_MS), ..Effect::default() };
    ground.route(&live, vec![step], effect)
}

fn proof(endpoint: &str) -> TargetProof {
    let answer = Ok((NOW_MS + 90 * DAY_MS, RegionProof::Proven));
    TargetProof { endpoint: endpoint.into(), taken_at_ms: NOW_MS, answer }
}

fn available(region: &str) -> DomainFinding {
    let alias = DomainTarget {
        dns_name: endpoint(region).dns_name,
        hosted_zone_id: endpoint(region).hosted_zone_id,
    };
    let targets = vec![alias.clone()];
    let domain = CustomDomain { status: "AVAILABLE".into(), status_message: None, targets };
    DomainFinding {
        region: region.into(),
        taken_at_ms: NOW_MS,
        alias,
        proves_region: true,
        answer: Ok(Some(domain)),
    }
}

/// The finding of the one endpoint, changed.
fn domain_with(change: impl FnOnce(&mut DomainFinding)) -> Case {
    Case::good().changed(change)
}

fn protected(at: &str, record_type: RecordType) -> Protection {
    Protection { name: name(at), record_type, comment: Some("ask Ops first".into()) }
}

impl Case {
    fn changed(mut self, change: impl FnOnce(&mut DomainFinding)) -> Self {
        change(self.domains.get_mut("eu-west-1").unwrap());
        self
    }

    fn good() -> Self {
        Self {
            plan: plan_over(&records()),
            rule: GuardRule {
                allow: vec![service()],
                adopt: vec![service()],
                max_traffic_moved: 0.25,
                freeze: Vec::new(),
                stale_ms: DAY_MS,
            },
            zone_id: "Z1".into(),
            records: records(),
            proofs: vec![proof("eu-west-1")],
            domains: BTreeMap::from([("eu-west-1".to_owned(), available("eu-west-1"))]),
            protections: vec![protected("www.example.com", RecordType::A)],
        }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut case = Self::good();
        change(&mut case);
        case
    }

    fn judge(self) -> Result<Cleared<Plan>, Refusal> {
        let (zone_id, records, proofs) = (&self.zone_id, &self.records, &self.proofs);
        let (domains, protections) = (&self.domains, &self.protections);
        let situation =
            Situation { now_ms: NOW_MS, zone_id, records, proofs, domains, protections };
        guard(self.plan, &self.rule, &situation)
    }
}

fn rollback(mut plan: Plan) -> Plan {
    plan.intent = Intent::Rollback("0123456789ab".into());
    plan
}

#[test]
fn a_plan_in_order_is_cleared_unchanged() {
    let case = Case::good();
    let plan = case.plan.clone();
    assert_eq!(case.judge().unwrap().get(), &plan);
}

fn refused() -> Vec<Case> {
    let txt = |at: &str, text: &str| RecordSet::txt(name(at), 300, text);
    let external_dns = "heritage=external-dns,external-dns/owner=k8s";
    let proof_with = |answer| {
        move |case: &mut Case| case.proofs = vec![TargetProof { answer, ..proof("eu-west-1") }]
    };
    let mut owned = records();
    owned.push(Marks::of(&service()).owner_set(1));
    vec![
        Case::with(|case| case.zone_id = "Z2".into()),
        Case::with(|case| case.rule.allow.clear()),
        Case::with(|case| case.plan.service = "www.example.com".into()),
        Case::with(|case| case.rule.adopt.clear()),
        Case::with(|case| {
            // Our marker stands, and the sets are another tool's all the same.
            case.plan = plan_over(&owned);
            case.records = owned;
            case.rule.adopt.clear();
        }),
        Case::with(|case| case.records.push(txt("a-record.api.example.com", external_dns))),
        Case::with(|case| case.records.push(txt("cname-api.example.com", external_dns))),
        Case::with(|case| {
            case.plan.changes[0].resource_record_set.name = name("www.example.com");
        }),
        Case::with(|case| {
            case.plan.changes[0].resource_record_set.name =
                name("_nearside-lock.eu.api.example.com");
        }),
        Case::with(|case| {
            let lock = Marks::of(&service()).lock();
            case.plan.changes.retain(|change| change.resource_record_set.name != lock);
        }),
        Case::with(|case| case.plan.effect.traffic_moved = 0.251),
        Case::with(|case| case.plan.effect.traffic_moved = f64::NAN),
        Case::with(|case| case.plan.effect.evidence_until_ms = Some(NOW_MS - DAY_MS - 1)),
        Case::with(|case| case.plan.effect.evidence_until_ms = Some(i64::MIN)),
        Case::with(|case| case.plan.effect.evidence_until_ms = Some(NOW_MS + 3_600_000)),
        Case::with(|case| case.plan.effect.evidence_until_ms = Some(i64::MAX)),
        Case::with(|case| case.plan.effect.evidence_until_ms = None),
        Case::with(|case| case.rule.freeze = vec![(NOW_MS - 1, NOW_MS + 60_000)]),
        Case::with(|case| {
            let gone = |change: &Change| {
                change.action == Action::Create && change.resource_record_set.name == service()
            };
            case.plan.changes.retain(|change| !gone(change));
        }),
        Case::with(|case| case.proofs.clear()),
        Case::with(|case| case.proofs[0].taken_at_ms = NOW_MS - 60_001),
        Case::with(|case| case.proofs[0].taken_at_ms = NOW_MS + 1),
        Case::with(proof_with(Err("connect_refused".into()))),
        Case::with(proof_with(Ok((NOW_MS + 14 * DAY_MS - 1, RegionProof::Proven)))),
        Case::with(proof_with(Ok((NOW_MS - 1, RegionProof::Proven)))),
        Case::with(proof_with(Ok((
            NOW_MS + 90 * DAY_MS,
            RegionProof::Wrong("it says 'us-east-1', not 'eu-west-1'".into()),
        )))),
        Case::with(|case| {
            case.records.pop();
        }),
        Case::with(|case| {
            case.records.push(adopted("ap-south-1", "eu-west-1", RecordType::A));
        }),
        Case::with(|case| {
            if let Answer::Alias { evaluate_target_health, .. } = &mut case.records[0].answer {
                *evaluate_target_health = true;
            }
        }),
        Case::with(|case| case.records[0].policy = Policy::Weighted(1)),
    ]
}

/// A plan that removes a label, with what is known of the labels that are left.
fn with_a_label_less(preferred_after: Option<&str>) -> Case {
    Case::with(|case| {
        case.plan.moves[0].to = None;
        case.plan.effect.preferred_after = preferred_after.map(str::to_owned);
    })
}

#[test]
fn other_labels_are_installed_only_after_route_53_was_asked_about_them() {
    for preferred_after in [None, Some(MODELLED)] {
        let refusal = with_a_label_less(preferred_after).judge().unwrap_err();
        assert_eq!(refusal, Refusal::SetNotAsked);
    }
    insta::assert_snapshot!(
        Refusal::SetNotAsked,
        @"the plan changes which labels are installed, and Route 53 was not asked about those"
    );
    assert!(with_a_label_less(Some("asked")).judge().is_ok());
}

/// What Route 53 and API Gateway say beside the records.
fn refused_by_services() -> Vec<Case> {
    vec![
        Case::with(|case| case.protections.push(protected("api.example.com", RecordType::A))),
        Case::with(|case| {
            let lock = Marks::of(&service()).lock();
            case.protections
                .push(Protection { comment: None, ..protected(lock.as_str(), RecordType::Txt) });
        }),
        domain_with(|finding| finding.answer = Ok(None)),
        domain_with(|finding| finding.taken_at_ms = NOW_MS - 60_001),
        domain_with(|finding| {
            let domain = finding.answer.as_mut().unwrap().as_mut().unwrap();
            domain.status = "PENDING_CERTIFICATE_REIMPORT".into();
            domain.status_message = Some("import it again".into());
        }),
        domain_with(|finding| finding.alias.hosted_zone_id = "Z9".into()),
        domain_with(|finding| {
            finding.answer = Ok(Some(CustomDomain {
                status: "AVAILABLE".into(),
                status_message: None,
                targets: Vec::new(),
            }));
        }),
        domain_with(|finding| {
            finding.answer =
                Err(DomainError::Denied(crate::denial::Denial::of("AccessDeniedException", "no")));
            finding.proves_region = false;
        }),
        Case::with(|case| {
            case.plan.unproven.insert("eu-west-1".into());
            case.domains.clear();
        }),
    ]
}

#[test]
fn each_refusal_says_what_failed_and_what_to_try() {
    let mut shown = String::new();
    for case in refused().into_iter().chain(refused_by_services()) {
        let refusal = case.judge().unwrap_err();
        let drift = if refusal.is_drift() { " (drift)" } else { "" };
        writeln!(shown, "{refusal}{drift}\n    hint: {}", refusal.hint()).unwrap();
    }
    insta::assert_snapshot!(shown);
}

#[test]
fn limits_hold_up_to_their_edge() {
    for (what, case) in [
        ("proof of a minute ago", Case::with(|case| case.proofs[0].taken_at_ms = NOW_MS - 60_000)),
        (
            "certificate of 14 days",
            Case::with(|case| {
                case.proofs[0].answer = Ok((NOW_MS + 14 * DAY_MS, RegionProof::Proven));
            }),
        ),
        (
            "unproven Region",
            Case::with(|case| {
                case.proofs[0].answer = Ok((NOW_MS + 14 * DAY_MS, RegionProof::Unproven));
            }),
        ),
        ("domains listed a minute ago", domain_with(|found| found.taken_at_ms = NOW_MS - 60_000)),
        (
            "no word of API Gateway, and a Region that is proven",
            domain_with(|found| found.answer = Err(DomainError::Failed("no network".into()))),
        ),
        (
            "AAAA is protected, and A is changed",
            Case::with(|case| {
                case.protections.push(protected("api.example.com", RecordType::Aaaa));
            }),
        ),
        (
            "evidence as old as may be",
            Case::with(|case| {
                case.plan.effect.evidence_until_ms = Some(NOW_MS - DAY_MS);
            }),
        ),
        (
            "clocks a minute apart",
            Case::with(|case| {
                case.plan.effect.evidence_until_ms = Some(NOW_MS + 60_000);
            }),
        ),
        (
            "freeze that has just ended",
            Case::with(|case| {
                case.rule.freeze = vec![(NOW_MS - 10, NOW_MS)];
            }),
        ),
        (
            "freeze that has not begun",
            Case::with(|case| {
                case.rule.freeze = vec![(NOW_MS + 1, NOW_MS + 10)];
            }),
        ),
        (
            "external-dns beside the name",
            Case::with(|case| {
                let text = "heritage=external-dns,external-dns/owner=k8s";
                case.records.push(RecordSet::txt(name("xapi.example.com"), 60, text));
            }),
        ),
        (
            "foreign names below",
            Case::with(|case| {
                case.records.push(RecordSet::txt(name("x.api.example.com"), 60, "hello"));
            }),
        ),
    ] {
        assert!(case.judge().is_ok(), "{what}");
    }
    let first = Case::with(|case| case.rule.freeze = vec![(NOW_MS, NOW_MS + 1)]);
    assert_eq!(first.judge().unwrap_err(), Refusal::Frozen { left_s: 0 });
}

#[test]
fn taking_back_is_not_frozen_and_needs_no_evidence_but_no_other_rule_is_waived() {
    let back = |change: fn(&mut Case)| {
        Case::with(|case| {
            case.plan = rollback(case.plan.clone());
            case.proofs.clear();
            case.plan.effect = Effect { traffic_moved: 1.0, ..Effect::default() };
            case.rule.freeze = vec![(NOW_MS - 1, NOW_MS + 1)];
            change(case);
        })
    };
    assert!(back(|_| {}).judge().is_ok());
    assert!(matches!(back(|case| case.rule.allow.clear()).judge(), Err(Refusal::NotAllowed(_))));
    assert!(matches!(back(|case| case.zone_id.clear()).judge(), Err(Refusal::OtherZone { .. })));
    assert!(back(|case| case.records.clear()).judge().unwrap_err().is_drift());
}

#[test]
fn every_target_of_the_plan_is_proven_not_only_the_new_one() {
    let mut case = Case::good();
    let all = BTreeMap::from([
        (Label::new("eu-west-1").to_string(), "eu-west-1".to_owned()),
        (Label::new("us-east-1").to_string(), "us-east-1".to_owned()),
    ]);
    case.plan.labels = all;
    assert_eq!(case.judge().unwrap_err(), Refusal::NoProof("us-east-1".into()));
}
