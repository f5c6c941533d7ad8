//! The health checks of an operation: made, observed, and deleted once nothing names them.
//!
//! It never deletes a check that a record set still names.

use std::collections::BTreeMap;

use probe::clock::Clock;

use super::{Applier, ApplyError};
use crate::answers::Answers;
use crate::digest::sha256_hex;
use crate::journal::{Ending, Event, Operation};
use crate::plan::Plan;
use crate::record::{HealthCheck, RecordSet};
use crate::zone::{HealthCheckSpec, Zone, ZoneError};

impl<Z: Zone, A: Answers, C: Clock> Applier<'_, Z, A, C> {
    pub(super) async fn ensure_health_checks(
        &mut self,
        operation: &Operation,
    ) -> Result<BTreeMap<String, String>, ApplyError> {
        let mut ids = operation.health_checks.clone();
        for spec in &operation.plan.health_checks {
            let caller_reference = spec.caller_reference.clone();
            if ids.contains_key(&caller_reference) {
                continue;
            }
            let own = own_reference(operation, &caller_reference);
            self.note(Event::EnsuresHealthCheck { caller_reference: own.clone() })?;
            let spec = HealthCheckSpec { caller_reference: own, ..spec.clone() };
            // Repeating is safe: Route 53 returns the check that a reference already made.
            let ensured = self.patiently(|| self.zone.ensure_health_check(&spec)).await;
            let id = match ensured {
                Err(ZoneError::Unsettled(_)) => {
                    self.patiently(|| self.zone.ensure_health_check(&spec)).await?
                }
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

    /// Waits until each check that the batch names anew sees its endpoint, new ones and found ones:
    /// without observations Route 53 counts a check as healthy.
    pub(super) async fn wait_observed(
        &self,
        plan: &Plan,
        ids: &BTreeMap<String, String>,
    ) -> Result<(), ApplyError> {
        let started = self.clock.now();
        let made = plan
            .health_checks
            .iter()
            .filter_map(|spec| ids.get(&spec.caller_reference).map(|id| (&spec.endpoint, id)));
        for (endpoint, id) in made.chain(&plan.reused_health_checks) {
            loop {
                let seen = self.patiently(|| self.zone.observations(id)).await?;
                if seen.is_healthy() {
                    break;
                }
                let waited = self.clock.now().saturating_duration_since(started);
                if waited >= self.patience.observed {
                    return Err(ApplyError::Unhealthy {
                        endpoint: endpoint.clone(),
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

    /// Deletes the health checks of ours that `before` named and `after` does not.
    pub(super) async fn retire(
        &self,
        before: &[RecordSet],
        after: &[RecordSet],
    ) -> Result<(), ApplyError> {
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
        let specs = &operation.plan.health_checks;
        let own: Vec<String> =
            specs.iter().map(|spec| own_reference(operation, &spec.caller_reference)).collect();
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
