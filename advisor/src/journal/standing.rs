//! Which operations stand: what was taken back since does not, and a canary's steps stand together.
//!
//! Pure: it reads what the journal folded.

use super::Operation;
use crate::plan::Intent;

/// The operations that stand and were not taken back, oldest first; what took others back is none.
#[must_use]
pub fn standing(operations: &[Operation]) -> Vec<&Operation> {
    let mut standing: Vec<&Operation> = Vec::new();
    for operation in operations.iter().filter(|operation| operation.is_in_place()) {
        match &operation.plan.intent {
            Intent::Rollback(id) => standing.retain(|one| one.plan.undone_by() != *id),
            _ => standing.push(operation),
        }
    }
    standing
}

/// The steps that stand of the canary which the newest standing operation belongs to, oldest first;
/// of any other operation itself alone.
#[must_use]
pub fn newest_standing(operations: &[Operation]) -> Vec<&Operation> {
    let all = standing(operations);
    let Some(newest) = all.last() else { return Vec::new() };
    if newest.plan.intent.canary().is_none() {
        return vec![newest];
    }
    let id = newest.plan.undone_by();
    all.iter().filter(|one| one.plan.undone_by() == id).copied().collect()
}

/// The newest step of a canary that has begun, was not taken back, and does not have all of the traffic.
#[must_use]
pub fn canary_under_way(operations: &[Operation]) -> Option<&Operation> {
    let newest = standing(operations).pop()?;
    let is_under_way =
        |intent: &Intent| matches!(intent, Intent::Canary { percent, .. } if *percent < 100);
    is_under_way(&newest.plan.intent).then_some(newest)
}
