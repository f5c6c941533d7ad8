//! What was written to the zone in the period, and what it did: measured before and after.

use advisor::journal::{Ending, Operation};
use advisor::plan::{Intent, Move};
use advisor::statistics::median;

use super::advice::endpoint;
use super::{Material, round_ms};
use crate::document::{ApplyFacts, MoveFacts};

/// The newest operations that are told.
const OPERATIONS_MAX: usize = 50;

pub(super) fn applies(material: &Material<'_>) -> Vec<ApplyFacts> {
    // The operations of a day that is still measured end after its last block.
    let until_ms = material.period.until_ms + material.matrix.block_ms.max(60_000);
    let within =
        |one: &&Operation| one.last_at_ms >= material.period.since_ms && one.began_at_ms < until_ms;
    let within: Vec<&Operation> = material.operations.iter().filter(within).collect();
    let newest = within.len().saturating_sub(OPERATIONS_MAX);
    within[newest..].iter().map(|one| apply(material, one)).collect()
}

fn apply(material: &Material<'_>, operation: &Operation) -> ApplyFacts {
    let moves = operation.plan.moves.iter().filter(|_| operation.is_in_place());
    ApplyFacts {
        operation: operation.number,
        at: material.period.rfc3339(operation.began_at_ms),
        at_ms: operation.began_at_ms,
        what: match operation.plan.intent {
            Intent::Rollback(_) => "roll back",
            Intent::InstallShadow => "install shadow records",
            Intent::RemoveShadow => "remove shadow records",
            Intent::Drain(_) => "drain a Region",
            Intent::Restore(_) => "put a Region back",
            Intent::Canary { .. } => "a step of a canary",
            Intent::Route => "apply",
        },
        plan: operation.plan.id(),
        changes: operation.plan.changes.len(),
        ending: ending(operation),
        moves: moves.flat_map(|step| effects(material, operation, step)).collect(),
    }
}

fn ending(operation: &Operation) -> String {
    match &operation.ending {
        Some(Ending::Applied) => "in sync and verified".to_owned(),
        Some(Ending::Unverified(cause)) => format!("not verified: {cause}"),
        Some(Ending::Abandoned(cause)) => format!("abandoned: {cause}"),
        None => "not ended".to_owned(),
    }
}

/// One line for each vantage of the label's catchment.
fn effects(material: &Material<'_>, operation: &Operation, step: &Move) -> Vec<MoveFacts> {
    let catchment: Vec<&str> = match material.decided {
        Ok(decided) => {
            let preferred = decided.routing.preferred.iter();
            let own = preferred.filter(|(_, label)| label.as_str() == step.label);
            own.map(|(vantage, _)| vantage.as_str()).collect()
        }
        Err(_) => Vec::new(),
    };
    if catchment.is_empty() {
        return vec![effect(material, operation, step, None)];
    }
    catchment.into_iter().map(|vantage| effect(material, operation, step, Some(vantage))).collect()
}

/// As many blocks as a verdict needs, right before and right after.
fn effect(
    material: &Material<'_>,
    operation: &Operation,
    step: &Move,
    vantage: Option<&str>,
) -> MoveFacts {
    let blocks = i64::from(material.config.evidence.blocks);
    let span_ms = blocks * material.matrix.block_ms;
    let costs = |endpoint: &str, span: (i64, i64)| -> Vec<f64> {
        let costs = vantage.map(|vantage| material.costs(vantage, endpoint, span));
        costs.into_iter().flatten().map(|(_, cost_ms)| cost_ms).collect()
    };
    // A block that was open at the time of the change belongs to neither side.
    let until_ms = operation.began_at_ms - material.matrix.block_ms + 1;
    let of = |endpoint: &Option<String>, span| {
        endpoint.as_ref().map(|endpoint| costs(endpoint, span)).unwrap_or_default()
    };
    let before = of(&step.from, (until_ms - span_ms, until_ms));
    let since_ms = operation.last_at_ms;
    let after = of(&step.to, (since_ms, since_ms + span_ms));
    MoveFacts {
        label: step.label.clone(),
        from: endpoint(step.from.as_ref()),
        to: endpoint(step.to.as_ref()),
        vantage: vantage.map(str::to_owned),
        before_ms: median(&before).map(round_ms),
        blocks_before: before.len(),
        after_ms: median(&after).map(round_ms),
        blocks_after: after.len(),
    }
}
