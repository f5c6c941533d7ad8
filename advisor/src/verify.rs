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
    let targets = target_addresses(plan, &families, answers, report).await;
    for answered in answers.answers(&families).await {
        report.asked += 1;
        let label = preferred.get(&answered.question.vantage);
        match judge(plan, label, &answered, &targets) {
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
    for endpoint in plan.targets() {
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

/// An answer is as planned when it is an address of the endpoint that the preferred label points
/// at, or, since a service may rotate its addresses, when it proved that endpoint's Region over TLS.
fn judge(
    plan: &Plan,
    label: Option<&Label>,
    answered: &Answered,
    targets: &Targets,
) -> Result<(), String> {
    let (vantage, family) = (&answered.question.vantage, &answered.question.family);
    let addresses =
        answered.addresses.as_ref().map_err(|cause| format!("{family} for {vantage}: {cause}"))?;
    let wanted: Vec<&str> = match label.map(Label::as_str) {
        Some(label) => match (plan.weights.get(label), plan.labels.get(label)) {
            (Some(shares), _) => shares.iter().map(|(endpoint, _)| endpoint).collect(),
            (None, one) => one.map(String::as_str).into_iter().collect(),
        },
        None => plan.targets().into_iter().collect(),
    };
    let is_target = |endpoint: &&str| {
        targets
            .get(&((*endpoint).to_owned(), family.clone()))
            .is_some_and(|known| !addresses.is_empty() && addresses.is_subset(known))
    };
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
