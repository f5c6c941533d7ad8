//! What became of a batch: whether it was taken, and whether it is everywhere.
//!
//! It reads back and asks; the zone itself decides, never a guess.

use std::time::Duration;

use probe::clock::Clock;

use super::{Applier, ApplyError, first_difference};
use crate::answers::Answers;
use crate::journal::{Event, Operation};
use crate::mark::Marks;
use crate::name::Name;
use crate::zone::{ChangeId, ChangeStatus, Zone, ZoneError};

impl<Z: Zone, A: Answers, C: Clock> Applier<'_, Z, A, C> {
    /// A batch was about to be sent and no reply is known: reads back, and sends it again only if
    /// the zone is exactly as it was, for as long as Route 53 may be busy.
    pub(super) async fn settle_submitted(
        &mut self,
        operation: &Operation,
        unsettled: Duration,
    ) -> Result<(), ApplyError> {
        if self.was_taken(operation).await? {
            return self.note(Event::Accepted { change_id: None });
        }
        let current = self.read_scope(&operation.plan).await?;
        if let Some(difference) = first_difference(&operation.plan.prior, &current) {
            if self.was_taken_at_last(operation).await? {
                return self.note(Event::Accepted { change_id: None });
            }
            self.abandon(operation, "the zone changed").await?;
            return Err(ApplyError::Drift(difference));
        }
        if unsettled > self.patience.busy {
            let tried = format!("the batch was sent again for {} s", unsettled.as_secs());
            return Err(ZoneError::Unsettled(tried).into());
        }
        tokio::time::sleep(self.patience.poll).await;
        match &operation.submitted {
            Some((batch, _)) => self.submit(operation, batch).await,
            None => Ok(()),
        }
    }

    /// Whether the lock carries this operation's token.
    pub(super) async fn was_taken(&self, operation: &Operation) -> Result<bool, ApplyError> {
        let Some((_, run)) = &operation.submitted else { return Ok(false) };
        let service = Name::parse(&operation.plan.service)?;
        let lock = Marks::of(&service).lock_set(operation.plan.generation, Some(run));
        Ok(self.read_scope(&operation.plan).await?.contains(&lock))
    }

    /// The same, once a batch that is still on its way has had the time to arrive.
    pub(super) async fn was_taken_at_last(
        &self,
        operation: &Operation,
    ) -> Result<bool, ApplyError> {
        if operation.submitted.is_none() {
            return Ok(false);
        }
        let since_ms = self.clock.wall_ms().saturating_sub(operation.last_at_ms).max(0);
        let since = Duration::from_millis(since_ms.unsigned_abs());
        let started = self.clock.now();
        let left = self.patience.lost.saturating_sub(since);
        loop {
            if self.was_taken(operation).await? {
                return Ok(true);
            }
            if self.clock.now().saturating_duration_since(started) >= left {
                return Ok(false);
            }
            tokio::time::sleep(self.patience.poll).await;
        }
    }

    pub(super) async fn wait_in_sync(
        &mut self,
        operation: &Operation,
        change_id: Option<&ChangeId>,
    ) -> Result<(), ApplyError> {
        let started = self.clock.now();
        loop {
            let in_sync = match (change_id, &operation.submitted) {
                (Some(id), submitted) => {
                    match (self.patiently(|| self.zone.change_status(id)).await, submitted) {
                        // Route 53 forgets changes; then the name servers tell.
                        (Err(ZoneError::Refused { .. }), Some((_, run))) => {
                            self.answers.lock_is_everywhere(run).await
                        }
                        (status, _) => status? == ChangeStatus::InSync,
                    }
                }
                (None, Some((_, run))) => self.answers.lock_is_everywhere(run).await,
                (None, None) => true,
            };
            if in_sync {
                return self.note(Event::InSync);
            }
            let waited = self.clock.now().saturating_duration_since(started);
            if waited >= self.patience.in_sync {
                return Err(ApplyError::NotInSync(waited.as_secs()));
            }
            tokio::time::sleep(self.patience.poll.min(Duration::from_secs(1))).await;
        }
    }
}
