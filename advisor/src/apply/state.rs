//! Record sets before and after an operation, and the first difference between two states.
//!
//! Pure.

use super::ApplyError;
use crate::batch::applied;
use crate::journal::Operation;
use crate::mark::Marks;
use crate::name::Name;
use crate::plan::{Plan, scope};
use crate::record::{Change, RecordSet};

/// The plan's changes with the applier's token in the lock.
pub(super) fn with_run(plan: &Plan, run: &str) -> Result<Vec<Change>, ApplyError> {
    let marks = Marks::of(&Name::parse(&plan.service)?);
    let planned = marks.lock_set(plan.generation, None);
    let mut changes = plan.changes.clone();
    for change in changes.iter_mut().filter(|change| change.resource_record_set == planned) {
        change.resource_record_set = marks.lock_set(plan.generation, Some(run));
    }
    Ok(changes)
}

/// What keeps an operation from being taken back: the first record set in its scope that is not as
/// the operation left it.
#[must_use]
pub fn difference_since(operation: &Operation, records: &[RecordSet]) -> Option<String> {
    let service = Name::parse(&operation.plan.service).ok()?;
    let marks = Marks::of(&service);
    // Lock and marker only rise: an operation that was taken back since leaves them higher.
    let rest = |mut sets: Vec<RecordSet>| {
        sets.retain(|set| set.name != marks.lock() && set.name != marks.owner());
        sets
    };
    first_difference(&rest(desired(operation)), &rest(scope(&service, records)))
}

/// The record sets that stand once the operation's batch has been taken.
pub(super) fn desired(operation: &Operation) -> Vec<RecordSet> {
    match &operation.submitted {
        Some((batch, _)) => applied(&operation.plan.prior, &batch.changes),
        None => operation.plan.prior.clone(),
    }
}

pub(super) fn first_difference(planned: &[RecordSet], found: &[RecordSet]) -> Option<String> {
    let went = planned.iter().find(|set| !found.contains(set)).map(|set| format!("gone: {set}"));
    went.or_else(|| {
        found.iter().find(|set| !planned.contains(set)).map(|set| format!("appeared: {set}"))
    })
}
