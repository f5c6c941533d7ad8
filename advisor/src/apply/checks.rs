//! The health checks of an operation: made, observed, and deleted once nothing names them.
//!
//! It never deletes a check that a record set still names.

use std::collections::BTreeMap;

use probe::clock::Clock;

use super::{Applier, ApplyError};
use crate::answers::Answers;
use crate::digest::sha256_hex;
use crate::journal::{Ending, Event, Operation};
use crate::plan::{BRAKE, Intent, Plan};
use crate::record::{Change, HealthCheck, RecordSet};
use crate::zone::{BrakeSpec, HealthCheckSpec, Zone, ZoneError};

impl<Z: Zone, A: Answers, C: Clock> Applier<'_, Z, A, C> {
    pub(super) async fn ensure_health_checks(
        &mut self,
        operation: &Operation,
    ) -> Result<BTreeMap<String, String>, ApplyError> {
        let mut ids = operation.health_checks.clone();
        for one in checks_made(&operation.plan) {
            let caller_reference = one.caller_reference().to_owned();
            if ids.contains_key(&caller_reference) {
                continue;
            }
            let own = one.own(own_reference(operation, &caller_reference));
            let own_reference = own.caller_reference().to_owned();
            self.note(Event::EnsuresHealthCheck { caller_reference: own_reference })?;
            // Repeating is safe: Route 53 returns the check that a reference already made.
            let ensured = self.patiently(|| self.ensure(&own)).await;
            let id = match ensured {
                Err(ZoneError::Unsettled(_)) => self.patiently(|| self.ensure(&own)).await?,
                other => other?,
            };
            self.note(Event::HasHealthCheck {
                caller_reference: caller_reference.clone(),
                id: id.clone(),
            })?;
            ids.insert(caller_reference, id);
        }
        Ok(ids)
    }

    async fn ensure(&self, wanted: &Wanted) -> Result<String, ZoneError> {
        match wanted {
            Wanted::Endpoint(spec) => self.zone.ensure_health_check(spec).await,
            Wanted::Brake(spec) => self.zone.ensure_brake(spec).await,
        }
    }

    /// Waits until each check that the batch names anew sees its endpoint, new ones and found ones:
    /// without observations Route 53 counts a check as healthy.
    pub(super) async fn wait_observed(
        &self,
        plan: &Plan,
        ids: &BTreeMap<String, String>,
    ) -> Result<(), ApplyError> {
        let started = self.clock.now();
        let checks = checks_made(plan);
        let made = checks
            .iter()
            .filter_map(|one| ids.get(one.caller_reference()).map(|id| (one.name(), id)));
        let found = plan.reused_health_checks.iter().map(|(name, id)| (name.as_str(), id));
        for (endpoint, id) in made.chain(found) {
            loop {
                let seen = self.patiently(|| self.zone.observations(id)).await?;
                if seen.is_healthy() {
                    break;
                }
                let waited = self.clock.now().saturating_duration_since(started);
                if waited >= self.patience.observed {
                    return Err(ApplyError::Unhealthy {
                        endpoint: endpoint.to_owned(),
                        waited_s: waited.as_secs(),
                        healthy: seen.healthy,
                        reported: seen.reported,
                    });
                }
                tokio::time::sleep(self.patience.poll).await;
            }
        }
        Ok(())
    }

    /// Deletes what an operation leaves without a name, where it may: what a way back would name again
    /// is kept.
    pub(super) async fn retire_unnamed(
        &self,
        operation: &Operation,
        current: Vec<RecordSet>,
    ) -> Result<(), ApplyError> {
        let (mut before, mut after) = (operation.plan.prior.clone(), current);
        let operations = self.journal.operations();
        let of = |id: &String| {
            let id = id.clone();
            operations.iter().filter(move |one| one.plan.undone_by() == id)
        };
        match &operation.plan.intent {
            // A step that was interrupted at its very end may have left what only it named before.
            Intent::Rollback(id) => before.extend(of(id).flat_map(|one| one.plan.prior.clone())),
            Intent::Canary { terms, .. } => {
                let first = of(&terms.plan).find(|one| one.is_in_place());
                after.extend(first.iter().flat_map(|first| first.plan.prior.clone()));
            }
            _ => return Ok(()),
        }
        self.retire(&before, &after).await
    }

    /// Deletes the health checks of ours that `before` named and `after` does not.
    async fn retire(&self, before: &[RecordSet], after: &[RecordSet]) -> Result<(), ApplyError> {
        let named = health_check_ids(after);
        let ours = self.patiently(|| self.zone.health_checks(HEALTH_CHECK_PREFIX)).await?;
        for id in health_check_ids(before) {
            if !named.contains(&id) && ours.iter().any(|check| check.id == id) {
                self.patiently(|| self.zone.delete_health_check(&id)).await?;
            }
        }
        Ok(())
    }

    /// Ends an operation of which nothing was written, and deletes the checks it created. They are
    /// found by their references, so that one whose reply was lost is not forgotten.
    pub(super) async fn abandon(
        &mut self,
        operation: &Operation,
        cause: &str,
    ) -> Result<(), ApplyError> {
        let own: Vec<String> = checks_made(&operation.plan)
            .iter()
            .map(|one| own_reference(operation, one.caller_reference()))
            .collect();
        let found = if own.is_empty() {
            Vec::new()
        } else {
            self.patiently(|| self.zone.health_checks(HEALTH_CHECK_PREFIX)).await?
        };
        let named = health_check_ids(&self.read_scope(&operation.plan).await?);
        for check in found.iter().filter(|check| own.contains(&check.caller_reference)) {
            if !named.contains(&check.id) {
                self.patiently(|| self.zone.delete_health_check(&check.id)).await?;
            }
        }
        self.note(Event::Ends(Ending::Abandoned(cause.to_owned())))
    }
}

/// The CallerReference of a health check that this operation makes: the plan's, and what no other
/// operation has. Appliers of the same plan never share a check that one of them may delete, and the
/// reference of a deleted check, which Route 53 never takes again, is not asked for twice.
fn own_reference(operation: &Operation, planned: &str) -> String {
    let seed = format!("{} {} {}", operation.plan.hash(), operation.number, operation.began_at_ms);
    format!("{planned}-{}", &sha256_hex(seed.as_bytes())[..8])
}

/// A health check that an operation makes.
enum Wanted {
    Endpoint(HealthCheckSpec),
    Brake(BrakeSpec),
}

impl Wanted {
    fn caller_reference(&self) -> &str {
        match self {
            Self::Endpoint(spec) => &spec.caller_reference,
            Self::Brake(spec) => &spec.caller_reference,
        }
    }

    /// What it is the check of.
    fn name(&self) -> &str {
        match self {
            Self::Endpoint(spec) => &spec.endpoint,
            Self::Brake(_) => BRAKE,
        }
    }

    /// The same with another reference.
    fn own(self, caller_reference: String) -> Self {
        match self {
            Self::Endpoint(spec) => Self::Endpoint(HealthCheckSpec { caller_reference, ..spec }),
            Self::Brake(spec) => Self::Brake(BrakeSpec { caller_reference, ..spec }),
        }
    }
}

/// The health checks that a plan's changes name by their references.
fn checks_made(plan: &Plan) -> Vec<Wanted> {
    let mut checks: Vec<Wanted> =
        plan.health_checks.iter().cloned().map(Wanted::Endpoint).collect();
    let brake = plan.intent.canary().map(|terms| &terms.brake).filter(|brake| {
        let reference = HealthCheck::Reference(brake.caller_reference.clone());
        let check = |change: &Change| change.resource_record_set.health_check.clone();
        plan.changes.iter().any(|change| check(change).as_ref() == Some(&reference))
    });
    checks.extend(brake.cloned().map(Wanted::Brake));
    checks
}

/// How the CallerReference of every brake begins.
pub const BRAKE_PREFIX: &str = "nearside-brake-";

/// How every CallerReference of ours begins.
pub const HEALTH_CHECK_PREFIX: &str = "nearside-";

fn health_check_ids(sets: &[RecordSet]) -> Vec<String> {
    let mut ids: Vec<String> = sets
        .iter()
        .filter_map(|set| match &set.health_check {
            Some(HealthCheck::Id(id)) => Some(id.clone()),
            _ => None,
        })
        .collect();
    ids.sort();
    ids.dedup();
    ids
}
