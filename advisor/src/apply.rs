//! Applying a cleared plan, one journalled step at a time, and taking it back.
//!
//! The only writer. Each call is written to the journal before it is made, so that after a crash at
//! any point the same function goes on from where things stand: `drive` looks at the operation, does
//! the next step, and repeats. What a lost reply left behind is settled by reading back.

use std::collections::BTreeMap;
use std::time::Duration;

use probe::clock::Clock;

use crate::answers::Answers;
use crate::batch::{BatchError, applied, batch};
use crate::digest::sha256_hex;
use crate::guard::Cleared;
use crate::journal::{Ending, Event, Journal, JournalError, Operation};
use crate::mark::Marks;
use crate::name::Name;
use crate::plan::{Intent, Plan, scope};
use crate::record::{ChangeBatch, HealthCheck, RecordSet};
use crate::verify::{Verification, verify};
use crate::zone::{ChangeStatus, HealthCheckSpec, Zone, ZoneError};

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

/// Why applying stopped. The journal tells how far it came.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Route 53.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The changes do not make a batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Another operation has begun and not ended.
    #[error("operation {0} (plan {1}) has begun and not ended")]
    Unfinished(u64, String),
    /// The journal's operation belongs to another zone than the one at hand.
    #[error(
        "operation {number} is of hosted zone {planned}, and the configuration leads to {found}"
    )]
    OtherZone {
        /// Of the operation.
        number: u64,
        /// Of its plan.
        planned: String,
        /// Of the configuration and the credentials.
        found: String,
    },
    /// An interrupted operation of which nothing was written must be cleared again.
    #[error("operation {0} was not cleared again: proofs and evidence may be old by now")]
    NotCleared(u64),
    /// There is nothing to resume or to roll back.
    #[error("{0}")]
    Nothing(String),
    /// The zone changed between planning and writing; nothing of the plan was written.
    #[error("the zone changed meanwhile, nothing was written: {0}")]
    Drift(String),
    /// A health check that does not see its endpoint; nothing was written.
    #[error(
        "health check of endpoint {endpoint} is not healthy after {waited_s} s ({healthy} of {reported} checkers); nothing was written"
    )]
    Unhealthy {
        /// The endpoint.
        endpoint: String,
        /// How long was waited.
        waited_s: u64,
        /// Checkers that see it.
        healthy: usize,
        /// Checkers that reported.
        reported: usize,
    },
    /// The change was taken and is not everywhere yet.
    #[error("the change is not on all name servers after {0} s")]
    NotInSync(u64),
    /// The names of the plan are broken.
    #[error("the plan's service name is unusable: {0}")]
    Name(#[from] crate::name::NameError),
}

impl ApplyError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Journal(error) => Some(error.hint()),
            Self::Zone(error) => error.hint(),
            Self::Unfinished(..) => {
                Some("`advisor apply --resume` goes on with it, `advisor rollback` takes it back")
            }
            Self::OtherZone { .. } => {
                Some("use the configuration and the credentials with which it was begun")
            }
            Self::NotCleared(_) => Some("`advisor apply --resume` asks the targets again"),
            Self::Drift(_) => Some("look at who changed the zone, then plan again"),
            Self::Unhealthy { .. } => {
                Some("check endpoint.health_url and that the checkers may reach it")
            }
            Self::NotInSync(_) => Some("`advisor apply --resume` waits on"),
            Self::Nothing(_) => Some("`advisor history` tells how each operation ended"),
            Self::Batch(_) | Self::Name(_) => None,
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

    async fn ensure_health_checks(
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

    /// Waits until each new check sees its endpoint: before that Route 53 counts it as healthy.
    async fn wait_observed(
        &self,
        plan: &Plan,
        ids: &BTreeMap<String, String>,
    ) -> Result<(), ApplyError> {
        let started = self.clock.now();
        for spec in &plan.health_checks {
            let Some(id) = ids.get(&spec.caller_reference) else { continue };
            loop {
                let seen = self.patiently(|| self.zone.observations(id)).await?;
                if seen.is_healthy() {
                    break;
                }
                let waited = self.clock.now().saturating_duration_since(started);
                if waited >= self.patience.observed {
                    return Err(ApplyError::Unhealthy {
                        endpoint: spec.endpoint.clone(),
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

    /// A batch was about to be sent and no reply is known: reads back, and sends it again only if
    /// the zone is exactly as it was, for as long as Route 53 may be busy.
    async fn settle_submitted(
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
    async fn was_taken(&self, operation: &Operation) -> Result<bool, ApplyError> {
        let Some((_, run)) = &operation.submitted else { return Ok(false) };
        let service = Name::parse(&operation.plan.service)?;
        let lock = Marks::of(&service).lock_set(operation.plan.generation, Some(run));
        Ok(self.read_scope(&operation.plan).await?.contains(&lock))
    }

    /// The same, once a batch that is still on its way has had the time to arrive.
    async fn was_taken_at_last(&self, operation: &Operation) -> Result<bool, ApplyError> {
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

    async fn wait_in_sync(
        &mut self,
        operation: &Operation,
        change_id: Option<&crate::zone::ChangeId>,
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

    /// Reads back, asks as clients would, removes what is not referenced any more, and ends.
    async fn conclude(&mut self, operation: &Operation) -> Result<Outcome, ApplyError> {
        let current = self.read_scope(&operation.plan).await?;
        let desired = desired(operation);
        let verification = verify(&operation.plan, &desired, &current, self.answers).await;
        let ending = match verification.failure() {
            None => Ending::Applied,
            Some(cause) => Ending::Unverified(cause),
        };
        let is_written = verification.missing.is_empty();
        if is_written && matches!(operation.plan.intent, Intent::Rollback(_)) {
            self.retire(&operation.plan.prior, &current).await?;
        }
        self.note(Event::Ends(ending.clone()))?;
        let change_id = operation.accepted.clone().flatten().map(|id| id.0);
        let verification = Some(verification);
        Ok(Outcome { operation: operation.number, change_id, verification, ending })
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
    async fn abandon(&mut self, operation: &Operation, cause: &str) -> Result<(), ApplyError> {
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

/// The plan's changes with the applier's token in the lock.
fn with_run(plan: &Plan, run: &str) -> Result<Vec<crate::record::Change>, ApplyError> {
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
fn desired(operation: &Operation) -> Vec<RecordSet> {
    match &operation.submitted {
        Some((batch, _)) => applied(&operation.plan.prior, &batch.changes),
        None => operation.plan.prior.clone(),
    }
}

fn first_difference(planned: &[RecordSet], found: &[RecordSet]) -> Option<String> {
    let went = planned.iter().find(|set| !found.contains(set)).map(|set| format!("gone: {set}"));
    went.or_else(|| {
        found.iter().find(|set| !planned.contains(set)).map(|set| format!("appeared: {set}"))
    })
}
