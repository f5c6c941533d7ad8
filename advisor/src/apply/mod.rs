//! Applying a cleared plan, one journalled step at a time, and taking it back.
//!
//! The only writer. Each call is written to the journal before it is made, so that after a crash at
//! any point the same function goes on from where things stand: `drive` looks at the operation, does
//! the next step, and repeats. What a lost reply left behind is settled by reading back.

mod checks;
mod error;
mod settle;
mod state;

use std::time::Duration;

use probe::clock::Clock;

use crate::answers::Answers;
use crate::batch::batch;
use crate::digest::sha256_hex;
use crate::guard::Cleared;
use crate::journal::{Ending, Event, Journal, Operation};
use crate::name::Name;
use crate::plan::{Plan, scope};
use crate::record::{ChangeBatch, RecordSet};
use crate::verify::{Verification, verify};
use crate::zone::{Zone, ZoneError};

pub use checks::{BRAKE_PREFIX, HEALTH_CHECK_PREFIX};
pub use error::ApplyError;
pub use state::difference_since;
use state::{desired, first_difference, with_run};

/// How long each wait may take, and how often it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until a new health check has been observed.
    pub observed: Duration,
    /// Until a change is on all name servers. Route 53 names 60 seconds as usual.
    pub in_sync: Duration,
    /// Until Route 53 takes a call that it asked to repeat later.
    pub busy: Duration,
    /// From sending a batch until one without a reply cannot be taken any more. Longer than one call
    /// may last.
    pub lost: Duration,
    /// Between two looks.
    pub poll: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            observed: Duration::from_mins(3),
            in_sync: Duration::from_mins(5),
            busy: Duration::from_mins(2),
            lost: Duration::from_secs(20),
            poll: Duration::from_secs(2),
        }
    }
}

/// What an operation came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Its number in the journal.
    pub operation: u64,
    /// The change, where it is known.
    pub change_id: Option<String>,
    /// What reading back and asking showed; `None` where nothing was written.
    pub verification: Option<Verification>,
    /// How it ended.
    pub ending: Ending,
}

/// The writer: everything that a step needs.
pub struct Applier<'a, Z, A, C> {
    /// The zone.
    pub zone: &'a Z,
    /// What clients see.
    pub answers: &'a A,
    /// The clock, for the journal.
    pub clock: &'a C,
    /// The journal, locked.
    pub journal: Journal,
    /// How long to wait.
    pub patience: Patience,
}

impl<Z: Zone, A: Answers, C: Clock> Applier<'_, Z, A, C> {
    /// Applies a cleared plan.
    pub async fn apply(&mut self, plan: &Cleared<Plan>) -> Result<Outcome, ApplyError> {
        if let Some(unfinished) = self.journal.unfinished() {
            return Err(ApplyError::Unfinished(unfinished.number, unfinished.plan.id()));
        }
        self.journal.begin(self.clock.wall_ms(), plan.get())?;
        self.drive().await
    }

    /// The plan that must be cleared again before `resume`: that of the unfinished operation, unless
    /// its batch was taken, which is settled here by reading back.
    pub async fn must_clear(&mut self) -> Result<Option<Plan>, ApplyError> {
        let operation = self.unfinished()?;
        if operation.accepted.is_some() {
            return Ok(None);
        }
        if self.was_taken(&operation).await? {
            self.note(Event::Accepted { change_id: None })?;
            return Ok(None);
        }
        Ok(Some(operation.plan))
    }

    /// Goes on with the operation that has begun and not ended. What is not written yet is written
    /// only if it was `cleared` anew.
    pub async fn resume(&mut self, cleared: Option<&Cleared<Plan>>) -> Result<Outcome, ApplyError> {
        let operation = self.unfinished()?;
        let is_cleared = cleared.is_some_and(|cleared| *cleared.get() == operation.plan);
        if operation.accepted.is_none() && !is_cleared {
            return Err(ApplyError::NotCleared(operation.number));
        }
        self.drive().await
    }

    /// Settles an unfinished operation without going on: it ends as abandoned if nothing of it was
    /// written, and stays in place, ready for rollback, if it was.
    pub async fn settle(&mut self) -> Result<(), ApplyError> {
        if self.journal.unfinished().is_none() {
            return Ok(());
        }
        let operation = self.unfinished()?;
        if operation.accepted.is_some() || self.was_taken_at_last(&operation).await? {
            if operation.accepted.is_none() {
                self.note(Event::Accepted { change_id: None })?;
            }
            return self.note(Event::Ends(Ending::Unverified("interrupted".into())));
        }
        self.abandon(&operation, "interrupted before anything was written").await
    }

    /// The operation that has begun and not ended, if it is of the zone at hand: what another zone
    /// holds says nothing about it.
    fn unfinished(&self) -> Result<Operation, ApplyError> {
        let Some(operation) = self.journal.unfinished() else {
            return Err(ApplyError::Nothing("no operation is unfinished".into()));
        };
        let (planned, found) = (&operation.plan.zone_id, &self.zone.facts().id);
        if planned == found {
            return Ok(operation.clone());
        }
        let (planned, found) = (planned.clone(), found.clone());
        Err(ApplyError::OtherZone { number: operation.number, planned, found })
    }

    async fn drive(&mut self) -> Result<Outcome, ApplyError> {
        let mut unsettled_since = None;
        loop {
            let operation = self.unfinished()?;
            if operation.in_sync {
                return self.conclude(&operation).await;
            } else if let Some(change_id) = &operation.accepted {
                self.wait_in_sync(&operation, change_id.as_ref()).await?;
            } else if operation.submitted.is_some() {
                let now = self.clock.now();
                let since = *unsettled_since.get_or_insert(now);
                self.settle_submitted(&operation, now.saturating_duration_since(since)).await?;
            } else {
                self.prepare_and_submit(&operation).await?;
            }
        }
    }

    fn note(&mut self, event: Event) -> Result<(), ApplyError> {
        Ok(self.journal.note(self.clock.wall_ms(), event)?)
    }

    async fn read_scope(&self, plan: &Plan) -> Result<Vec<RecordSet>, ApplyError> {
        let service = Name::parse(&plan.service)?;
        let records = self.patiently(|| self.zone.record_sets(&service)).await?;
        Ok(scope(&service, &records))
    }

    /// Health checks first, then the last look at the zone, then the batch.
    async fn prepare_and_submit(&mut self, operation: &Operation) -> Result<(), ApplyError> {
        let ids = self.ensure_health_checks(operation).await?;
        if let Err(error) = self.wait_observed(&operation.plan, &ids).await {
            self.abandon(operation, &error.to_string()).await?;
            return Err(error);
        }
        let current = self.read_scope(&operation.plan).await?;
        if let Some(difference) = first_difference(&operation.plan.prior, &current) {
            self.abandon(operation, "the zone changed").await?;
            return Err(ApplyError::Drift(difference));
        }
        let run = self.run_token(operation);
        let comment = format!("nearside plan {}", operation.plan.id());
        let with_token = with_run(&operation.plan, &run)?;
        let batch = batch(&with_token, &comment, &ids)?;
        self.note(Event::Submits { batch: batch.clone(), run })?;
        self.submit(operation, &batch).await
    }

    async fn submit(
        &mut self,
        operation: &Operation,
        batch: &ChangeBatch,
    ) -> Result<(), ApplyError> {
        match self.patiently(|| self.zone.change(batch)).await {
            Ok(change_id) => self.note(Event::Accepted { change_id: Some(change_id) }),
            Err(ZoneError::Unsettled(_)) => Ok(()),
            Err(ZoneError::Refused { code, messages }) => {
                // A repeated call can be refused because the first one was taken.
                let submitted = self.journal.unfinished().cloned();
                if let Some(submitted) = submitted
                    && self.was_taken(&submitted).await?
                {
                    return self.note(Event::Accepted { change_id: None });
                }
                let cause = format!("{code}: {}", messages.join("; "));
                self.abandon(operation, &cause).await?;
                Err(ApplyError::Drift(cause))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// Reads back, asks as clients would, removes what is not referenced any more, and ends.
    async fn conclude(&mut self, operation: &Operation) -> Result<Outcome, ApplyError> {
        let current = self.read_scope(&operation.plan).await?;
        let desired = desired(operation);
        let verification = verify(&operation.plan, &desired, &current, self.answers).await;
        let ending = match verification.failure() {
            None => Ending::Applied,
            Some(cause) => Ending::Unverified(cause),
        };
        if verification.missing.is_empty() {
            self.retire_unnamed(operation, current).await?;
        }
        self.note(Event::Ends(ending.clone()))?;
        let change_id = operation.accepted.clone().flatten().map(|id| id.0);
        let verification = Some(verification);
        Ok(Outcome { operation: operation.number, change_id, verification, ending })
    }

    /// Repeats a call that Route 53 asked to repeat, with growing pauses, within `patience.busy`.
    async fn patiently<T, F>(&self, call: impl Fn() -> F) -> Result<T, ZoneError>
    where
        F: Future<Output = Result<T, ZoneError>>,
    {
        let started = self.clock.now();
        let mut pause = self.patience.poll.min(Duration::from_secs(1));
        loop {
            match call().await {
                Err(ZoneError::Busy(cause)) => {
                    let waited = self.clock.now().saturating_duration_since(started);
                    if waited + pause > self.patience.busy {
                        return Err(ZoneError::Busy(cause));
                    }
                }
                other => return other,
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(20));
        }
    }

    /// A token that no other run has: of the plan, the operation, the time and the process.
    fn run_token(&self, operation: &Operation) -> String {
        let seed = format!(
            "{} {} {} {}",
            operation.plan.hash(),
            operation.number,
            self.clock.wall_ns(),
            std::process::id()
        );
        sha256_hex(seed.as_bytes())[..12].to_owned()
    }
}
