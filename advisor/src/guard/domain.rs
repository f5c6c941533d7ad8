//! The rule over what API Gateway says of the plan's targets.
//!
//! Pure. A domain that is known not to be AVAILABLE refuses always; one that is not known refuses only
//! where the endpoint itself does not prove its Region.

use super::{PROOF_MAX_AGE_MS, Refusal, Situation};
use crate::domains::{CustomDomain, DomainFinding};
use crate::plan::Plan;

const AVAILABLE: &str = "AVAILABLE";

pub(super) fn domains_are_available(plan: &Plan, situation: &Situation<'_>) -> Result<(), Refusal> {
    let targets = plan.targets();
    for (endpoint, finding) in situation.domains {
        if !targets.contains(endpoint.as_str()) {
            continue;
        }
        let age_ms = situation.now_ms.saturating_sub(finding.taken_at_ms);
        if !(0..=PROOF_MAX_AGE_MS).contains(&age_ms) {
            return Err(Refusal::NoProof(endpoint.clone()));
        }
        judge(endpoint, finding)?;
    }
    // Without an answer of its own an endpoint must be among those that API Gateway was asked for.
    let unasked =
        |one: &&&str| plan.unproven.contains(**one) && !situation.domains.contains_key(**one);
    match targets.iter().find(unasked) {
        Some(endpoint) => Err(Refusal::NoProof((*endpoint).to_owned())),
        None => Ok(()),
    }
}

fn judge(endpoint: &str, finding: &DomainFinding) -> Result<(), Refusal> {
    let (endpoint, region) = (endpoint.to_owned(), finding.region.clone());
    match &finding.answer {
        Err(_) if finding.proves_region => Ok(()),
        Err(error) => Err(Refusal::NothingProves { endpoint, region, cause: error.to_string() }),
        Ok(None) => Err(Refusal::NoDomain { endpoint, region }),
        Ok(Some(domain)) if domain.status != AVAILABLE => Err(Refusal::DomainNotAvailable {
            endpoint,
            region,
            status: domain.status.clone(),
            message: domain.status_message.clone(),
        }),
        Ok(Some(domain)) if domain.targets.contains(&finding.alias) => Ok(()),
        Ok(Some(domain)) => Err(Refusal::DomainDiffers {
            endpoint,
            region,
            alias: finding.alias.dns_name.clone(),
            zone: finding.alias.hosted_zone_id.clone(),
            found: listed(domain),
        }),
    }
}

fn listed(domain: &CustomDomain) -> String {
    let targets = domain.targets.iter();
    let targets: Vec<String> = targets
        .map(|target| format!("{} in zone {}", target.dns_name, target.hosted_zone_id))
        .collect();
    if targets.is_empty() { "nothing".to_owned() } else { targets.join(", ") }
}
