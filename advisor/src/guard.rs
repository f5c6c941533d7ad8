//! Permission as a filter over the plan: the only place that makes a `Cleared<Plan>`.
//!
//! Pure: each rule is a small function of the plan and the situation. There is no override; limits
//! move in the configuration only.

mod domain;
mod refusal;

use std::collections::{BTreeMap, BTreeSet};

use crate::domains::DomainFinding;
use crate::mark::Marks;
use crate::name::Name;
use crate::plan::{Intent, Move, Plan, scope};
use crate::record::{Action, Change, RecordSet, RecordType};
use crate::zone::Protection;

pub use refusal::Refusal;

/// What a plan says of preferred labels that nobody asked Route 53 for.
pub const MODELLED: &str = "modelled";
/// How long before applying a target may have been proven.
const PROOF_MAX_AGE_MS: i64 = 60_000;
/// How far the clocks of planning and applying may be apart.
const CLOCK_SKEW_MS: i64 = 60_000;
/// How long a target's certificate must still be valid.
const CERTIFICATE_MIN_LEFT_MS: i64 = 14 * 24 * 3_600_000;

/// The configuration's limits.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardRule {
    /// Service names that may be written.
    pub allow: Vec<Name>,
    /// Service names whose records may be taken over from another tool.
    pub adopt: Vec<Name>,
    /// The largest share of the traffic that one plan may move.
    pub max_traffic_moved: f64,
    /// Times during which nothing is applied: start and end, milliseconds since the epoch.
    pub freeze: Vec<(i64, i64)>,
    /// Age from which evidence is stale.
    pub stale_ms: i64,
}

/// Whether an endpoint showed that it is in its Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RegionProof {
    /// It named its Region.
    Proven,
    /// Nothing in the configuration says how.
    Unproven,
    /// It named another, or none.
    Wrong(String),
}

/// What an alias target answered when it was asked as clients would ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetProof {
    /// The endpoint.
    pub endpoint: String,
    /// When, milliseconds since the epoch.
    pub taken_at_ms: i64,
    /// The end of the certificate's validity and the Region, or why there was no answer.
    pub answer: Result<(i64, RegionProof), String>,
}

/// How things are right before applying.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// The time, milliseconds since the epoch.
    pub now_ms: i64,
    /// The zone that the configuration and the credentials lead to.
    pub zone_id: &'a str,
    /// The record sets at and below the service name, and at its `registry_names`.
    pub records: &'a [RecordSet],
    /// The targets of the plan, as they answered.
    pub proofs: &'a [TargetProof],
    /// What API Gateway says of those targets that are its own, by endpoint.
    pub domains: &'a BTreeMap<String, DomainFinding>,
    /// The zone's protected record sets, as far as they could be listed.
    pub protections: &'a [Protection],
}

/// A plan that may be applied. Only `guard` makes one.
#[derive(Debug, Clone, PartialEq)]
pub struct Cleared<T>(T);

impl<T> Cleared<T> {
    /// What was cleared.
    #[must_use]
    pub fn get(&self) -> &T {
        &self.0
    }
}

/// Clears a plan, or says the first reason why not.
pub fn guard(
    plan: Plan,
    rule: &GuardRule,
    situation: &Situation<'_>,
) -> Result<Cleared<Plan>, Refusal> {
    let Ok(service) = Name::parse(&plan.service) else {
        return Err(Refusal::NotAllowed(plan.service));
    };
    the_same_zone(&plan, situation)?;
    allowed(&service, rule)?;
    not_drifted(&plan, &service, situation)?;
    only_at_home(&plan, &service)?;
    none_protected(&plan, situation.protections)?;
    lock_rises(&plan, &service)?;
    ours_or_adopted(&plan, &service, rule)?;
    not_external_dns(&service, situation.records)?;
    // Taking back is never frozen: a change that misleads clients must not stand for the window.
    if !matches!(plan.intent, Intent::Rollback(_)) {
        not_frozen(rule, situation.now_ms)?;
    }
    an_answer_stays(&plan, &service)?;
    // A Region is drained in need: no evidence is asked for, and all the other rules hold.
    if plan.intent.rests_on_evidence() {
        labels_were_asked(&plan)?;
        evidence_is_fresh(&plan, rule, situation.now_ms)?;
    }
    if plan.intent.routes() {
        traffic_within(&plan, rule)?;
        targets_are_proven(&plan, situation)?;
        domain::domains_are_available(&plan, situation)?;
    }
    Ok(Cleared(plan))
}

fn the_same_zone(plan: &Plan, situation: &Situation<'_>) -> Result<(), Refusal> {
    if plan.zone_id == situation.zone_id {
        return Ok(());
    }
    let (planned, found) = (plan.zone_id.clone(), situation.zone_id.to_owned());
    Err(Refusal::OtherZone { planned, found })
}

fn allowed(service: &Name, rule: &GuardRule) -> Result<(), Refusal> {
    if rule.allow.contains(service) {
        Ok(())
    } else {
        Err(Refusal::NotAllowed(service.to_string()))
    }
}

fn not_drifted(plan: &Plan, service: &Name, situation: &Situation<'_>) -> Result<(), Refusal> {
    let now = scope(service, situation.records);
    let missing_from = |these: &[RecordSet], those: &[RecordSet]| -> Vec<RecordSet> {
        these.iter().filter(|set| !those.contains(set)).cloned().collect()
    };
    let appeared = missing_from(&now, &plan.prior);
    let went = missing_from(&plan.prior, &now);
    if appeared.is_empty() && went.is_empty() {
        Ok(())
    } else {
        Err(Refusal::Drift { appeared, went })
    }
}

fn only_at_home(plan: &Plan, service: &Name) -> Result<(), Refusal> {
    let marks = Marks::of(service);
    let names = plan.changes.iter().map(|change| &change.resource_record_set.name);
    match names.into_iter().find(|name| *name != service && !marks.is_ours(name)) {
        Some(changed) => {
            Err(Refusal::Elsewhere { changed: changed.clone(), service: service.clone() })
        }
        None => Ok(()),
    }
}

fn none_protected(plan: &Plan, protections: &[Protection]) -> Result<(), Refusal> {
    let touches = |protection: &&Protection| {
        plan.changes
            .iter()
            .map(|change| &change.resource_record_set)
            .any(|set| set.name == protection.name && set.record_type == protection.record_type)
    };
    match protections.iter().find(touches) {
        None => Ok(()),
        Some(Protection { name, record_type, comment }) => Err(Refusal::Protected {
            name: name.clone(),
            record_type: record_type.clone(),
            comment: comment.clone(),
        }),
    }
}

fn lock_rises(plan: &Plan, service: &Name) -> Result<(), Refusal> {
    let marks = Marks::of(service);
    let found = marks.generation(&plan.prior);
    let lock = marks.lock_set(plan.generation, None);
    let is_lock =
        |change: &Change| change.action == Action::Create && change.resource_record_set == lock;
    if plan.is_empty() || plan.generation > found && plan.changes.iter().any(is_lock) {
        Ok(())
    } else {
        Err(Refusal::NoLock { found })
    }
}

fn ours_or_adopted(plan: &Plan, service: &Name, rule: &GuardRule) -> Result<(), Refusal> {
    let marks = Marks::of(service);
    let touches_service =
        plan.changes.iter().any(|change| change.resource_record_set.name == *service);
    if !touches_service || marks.is_owned(&plan.prior) && all_ours(plan, service) {
        return Ok(());
    }
    if rule.adopt.contains(service) {
        Ok(())
    } else {
        Err(Refusal::NotAdopted(service.to_string()))
    }
}

/// Whether each set that the plan deletes at the service name carries our identifier.
fn all_ours(plan: &Plan, service: &Name) -> bool {
    plan.prior
        .iter()
        .filter(|set| set.name == *service && set.record_type.is_address())
        .all(|set| set.set_identifier.as_deref().is_some_and(|id| id.starts_with("nearside-")))
}

/// Where external-dns keeps its owner marks beside a name, by the type of the record it made.
#[must_use]
pub fn registry_names(service: &Name) -> Vec<Name> {
    let beside = |prefix| Name::parse(&format!("{prefix}-{}", service.as_str())).ok();
    ["a", "aaaa", "cname"].into_iter().filter_map(beside).collect()
}

fn not_external_dns(service: &Name, records: &[RecordSet]) -> Result<(), Refusal> {
    let beside = registry_names(service);
    let owner = records
        .iter()
        .filter(|set| set.name.is_within(service) || beside.contains(&set.name))
        .flat_map(RecordSet::texts)
        .find(|text| text.contains("heritage=external-dns"));
    match owner {
        Some(text) => Err(Refusal::ExternalDns(service.to_string(), text.to_owned())),
        None => Ok(()),
    }
}

fn not_frozen(rule: &GuardRule, now_ms: i64) -> Result<(), Refusal> {
    match rule.freeze.iter().find(|(start, end)| (*start..*end).contains(&now_ms)) {
        Some((_, end)) => Err(Refusal::Frozen { left_s: (end - now_ms) / 1_000 }),
        None => Ok(()),
    }
}

fn an_answer_stays(plan: &Plan, service: &Name) -> Result<(), Refusal> {
    let desired = plan.desired();
    let answers = |sets: &[RecordSet]| -> BTreeSet<RecordType> {
        let at_service = sets.iter().filter(|set| set.name == *service);
        at_service.map(|set| set.record_type.clone()).filter(RecordType::is_address).collect()
    };
    let after = answers(&desired);
    match answers(&plan.prior).into_iter().find(|record_type| !after.contains(record_type)) {
        Some(record_type) => Err(Refusal::LastAnswer { name: service.clone(), record_type }),
        None => Ok(()),
    }
}

fn traffic_within(plan: &Plan, rule: &GuardRule) -> Result<(), Refusal> {
    let (moved, limit) = (plan.effect.traffic_moved, rule.max_traffic_moved);
    if moved <= limit { Ok(()) } else { Err(Refusal::TooMuchTraffic { moved, limit }) }
}

fn labels_were_asked(plan: &Plan) -> Result<(), Refusal> {
    let effect = &plan.effect;
    let changes_the_set = plan.moves.iter().any(Move::changes_the_set);
    let then_asked = effect.preferred_after.as_deref().is_some_and(|how| how != MODELLED);
    if effect.preferred == MODELLED {
        Err(Refusal::NotAsked)
    } else if changes_the_set && !then_asked {
        Err(Refusal::SetNotAsked)
    } else {
        Ok(())
    }
}

fn evidence_is_fresh(plan: &Plan, rule: &GuardRule, now_ms: i64) -> Result<(), Refusal> {
    if plan.moves.is_empty() {
        return Ok(());
    }
    let until_ms = plan.effect.evidence_until_ms.ok_or(Refusal::NoEvidence)?;
    let age_ms = now_ms.saturating_sub(until_ms);
    if age_ms < -CLOCK_SKEW_MS {
        return Err(Refusal::FutureEvidence { ahead_s: age_ms.saturating_neg() / 1_000 });
    }
    if age_ms <= rule.stale_ms {
        return Ok(());
    }
    Err(Refusal::Stale { age_s: age_ms / 1_000, limit_s: rule.stale_ms / 1_000 })
}

fn targets_are_proven(plan: &Plan, situation: &Situation<'_>) -> Result<(), Refusal> {
    for endpoint in plan.targets() {
        let proof = situation
            .proofs
            .iter()
            .find(|proof| proof.endpoint == endpoint)
            .filter(|proof| {
                let age_ms = situation.now_ms.saturating_sub(proof.taken_at_ms);
                (0..=PROOF_MAX_AGE_MS).contains(&age_ms)
            })
            .ok_or_else(|| Refusal::NoProof(endpoint.to_owned()))?;
        judge_proof(proof, situation.now_ms)?;
    }
    Ok(())
}

fn judge_proof(proof: &TargetProof, now_ms: i64) -> Result<(), Refusal> {
    let endpoint = proof.endpoint.clone();
    match &proof.answer {
        Err(cause) => Err(Refusal::TargetDown { endpoint, cause: cause.clone() }),
        Ok((ends_ms, _)) if ends_ms.saturating_sub(now_ms) < CERTIFICATE_MIN_LEFT_MS => {
            let days_left = ends_ms.saturating_sub(now_ms).div_euclid(24 * 3_600_000);
            Err(Refusal::CertificateEnds { endpoint, days_left })
        }
        Ok((_, RegionProof::Wrong(found))) => {
            Err(Refusal::WrongRegion { endpoint, found: found.clone() })
        }
        Ok((_, RegionProof::Proven | RegionProof::Unproven)) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
