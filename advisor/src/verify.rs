//! Did it happen? The zone read back, the name asked as clients would, the Region proven.
//!
//! It compares and reports; reverting is the caller's decision.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::answers::{Answered, Answers};
use crate::mark::{Marks, Shadow};
use crate::name::{Label, Name};
use crate::plan::{Intent, Plan};
use crate::record::{RecordSet, RecordType};

/// What the checks showed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Planned record sets that stand in the zone.
    pub matched: usize,
    /// Planned record sets that do not.
    pub missing: Vec<String>,
    /// Record sets in the plan's scope that nobody planned.
    pub foreign: Vec<String>,
    /// DNS questions asked, as clients near each vantage would.
    pub asked: usize,
    /// Those answered with an address of the planned endpoint.
    pub as_planned: usize,
    /// What was answered otherwise.
    pub otherwise: Vec<String>,
}

impl Verification {
    /// Why the change does not count as verified, if it does not.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let first = |list: &[String]| list.first().cloned().unwrap_or_default();
        if !self.missing.is_empty() {
            return Some(format!(
                "{} record sets are missing: {}",
                self.missing.len(),
                first(&self.missing)
            ));
        }
        if !self.foreign.is_empty() {
            return Some(format!(
                "{} record sets are foreign: {}",
                self.foreign.len(),
                first(&self.foreign)
            ));
        }
        if !self.otherwise.is_empty() {
            let (count, first) = (self.otherwise.len(), first(&self.otherwise));
            return Some(format!("{count} DNS answers are not as planned: {first}"));
        }
        None
    }

    /// Whether clients get answers that the plan did not mean, with the records as planned.
    #[must_use]
    pub fn misleads_clients(&self) -> bool {
        self.missing.is_empty() && !self.otherwise.is_empty()
    }
}

/// Compares the zone with what was desired, and asks DNS where the plan routes.
pub async fn verify<A: Answers>(
    plan: &Plan,
    desired: &[RecordSet],
    current: &[RecordSet],
    answers: &A,
) -> Verification {
    let mut report = Verification::default();
    for set in desired {
        if current.contains(set) {
            report.matched += 1;
        } else {
            report.missing.push(set.to_string());
        }
    }
    report.foreign =
        current.iter().filter(|set| !desired.contains(set)).map(ToString::to_string).collect();
    let sends = plan.intent.routes() || matches!(plan.intent, Intent::Rollback(_));
    if sends && !plan.labels.is_empty() {
        ask(plan, desired, answers, &mut report).await;
    }
    report
}

async fn ask<A: Answers>(
    plan: &Plan,
    desired: &[RecordSet],
    answers: &A,
    report: &mut Verification,
) {
    let Ok(service) = Name::parse(&plan.service) else { return };
    let families: BTreeSet<RecordType> = desired
        .iter()
        .filter(|set| set.name == service && set.record_type.is_address())
        .map(|set| set.record_type.clone())
        .collect();
    let families: Vec<RecordType> = families.into_iter().collect();
    // After a rollback there may be no shadow group left to tell which label is preferred: then any
    // address of any planned endpoint is as planned.
    let has_shadow = !Marks::of(&service).shadow_labels(Shadow::Live, desired).is_empty();
    let preferred =
        if has_shadow { answers.preferred(Shadow::Live).await } else { Ok(BTreeMap::new()) };
    let preferred = match preferred {
        Ok(preferred) => preferred,
        Err(cause) => {
            report.otherwise.push(format!("preferred labels: {cause}"));
            return;
        }
    };
    // Of two arms the new one may have other labels.
    let next = if has_shadow && plan.intent.canary().is_some() {
        answers.preferred(Shadow::Next).await.unwrap_or_default()
    } else {
        BTreeMap::new()
    };
    let targets = target_addresses(plan, &families, answers, report).await;
    for answered in answers.answers(&families).await {
        report.asked += 1;
        let vantage = &answered.question.vantage;
        let expected = expected(plan, preferred.get(vantage), next.get(vantage));
        match judge(&expected, &answered, &targets) {
            Ok(()) => report.as_planned += 1,
            Err(cause) => report.otherwise.push(cause),
        }
    }
}

type Targets = BTreeMap<(String, RecordType), BTreeSet<IpAddr>>;

async fn target_addresses<A: Answers>(
    plan: &Plan,
    families: &[RecordType],
    answers: &A,
    report: &mut Verification,
) -> Targets {
    let mut targets = Targets::new();
    for endpoint in expected(plan, None, None) {
        for family in families {
            match answers.target_addresses(endpoint, family).await {
                Ok(found) => {
                    targets.insert((endpoint.to_owned(), family.clone()), found);
                }
                Err(cause) => report.otherwise.push(format!("{family} of {endpoint}: {cause}")),
            }
        }
    }
    targets
}

/// The endpoints that a vantage may be answered with: those of the labels that are preferred for it
/// among the live ones and, while two arms stand, among the next. Where none is known: any.
fn expected<'a>(plan: &'a Plan, live: Option<&Label>, next: Option<&Label>) -> BTreeSet<&'a str> {
    if live.is_none() {
        let labels = plan.labels.keys();
        return labels.flat_map(|label| plan.endpoints_of(label)).collect();
    }
    let labels = live.into_iter().chain(next);
    labels.flat_map(|label| plan.endpoints_of(label.as_str())).collect()
}

/// An answer is as planned when it is an address of an endpoint that is expected, or, since a service
/// may rotate its addresses, when it proved that endpoint's Region over TLS.
fn judge(expected: &BTreeSet<&str>, answered: &Answered, targets: &Targets) -> Result<(), String> {
    let (vantage, family) = (&answered.question.vantage, &answered.question.family);
    let addresses =
        answered.addresses.as_ref().map_err(|cause| format!("{family} for {vantage}: {cause}"))?;
    let is_target = |endpoint: &&str| {
        targets
            .get(&((*endpoint).to_owned(), family.clone()))
            .is_some_and(|known| !addresses.is_empty() && addresses.is_subset(known))
    };
    let wanted: Vec<&str> = expected.iter().copied().collect();
    let by_address = wanted.iter().any(is_target);
    let shown: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    match &answered.proven {
        Some(Ok(endpoint)) if wanted.contains(&endpoint.as_str()) => Ok(()),
        Some(Ok(endpoint)) => Err(format!(
            "{family} for {vantage}: {} is {endpoint}, not {}",
            shown.join(" "),
            wanted.join(" or ")
        )),
        Some(Err(cause)) => Err(format!("{family} for {vantage}: {} {cause}", shown.join(" "))),
        None if by_address => Ok(()),
        None => Err(format!(
            "{family} for {vantage}: {} is no address of {}",
            shown.join(" "),
            wanted.join(" or ")
        )),
    }
}
