//! `advisor apply`, `advisor rollback`, `advisor history`, and the way every write takes.

use std::path::Path;
use std::time::Duration;

use advisor::answers::Answers as _;
use advisor::apply::{Applier, Outcome, Patience, difference_since};
use advisor::canary::Brake as _;
use advisor::domains;
use advisor::guard::{Cleared, Situation, guard, registry_names};
use advisor::journal::{Ending, Operation, newest_standing};
use advisor::observe::Observer;
use advisor::plan::{CanaryTerms, Intent, Plan};
use advisor::settings;
use advisor::survey::ZoneView;
use advisor::zone::{Protection, Zone as _};
use aws::{ApiGateway, CloudWatchBrake, Route53Zone};
use probe::clock::SystemClock;
use serde_json::json;

use crate::cli::{ApplyArgs, RollbackArgs};
use crate::command::canary::{self, Pace};
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show;
use crate::terminal::Terminal;

/// `advisor apply PLAN`, `advisor apply --resume`
pub async fn apply(setup: &Setup, terminal: Terminal, args: &ApplyArgs) -> Result<(), Failure> {
    let outcome = if let Some(path) = &args.plan {
        let plan = read_plan(path)?;
        if plan.is_empty() {
            return terminal.result("nothing to do\n", &json!({"applied": null}));
        }
        let writer = Writer::open(setup, terminal).await?;
        if let Some(percents) = &args.canary {
            let pace = Pace { percents, observe: args.observe, every: args.every };
            return canary::apply(&writer, plan, pace, args.yes).await;
        }
        writer.write(plan, args.yes).await?
    } else {
        let writer = Writer::open(setup, terminal).await?;
        if let Some(step) = canary::interrupted(&setup.operations()?) {
            return canary::resume(&writer, step).await;
        }
        writer.resume().await?
    };
    terminal.result(&show::outcome_text(&outcome), &show::outcome_json(&outcome))
}

/// `advisor rollback [ID]`
pub async fn rollback(
    setup: &Setup,
    terminal: Terminal,
    args: &RollbackArgs,
) -> Result<(), Failure> {
    let writer = Writer::open(setup, terminal).await?;
    match writer.rollback(args.id.as_deref(), args.yes).await? {
        Some(outcome) => {
            terminal.result(&show::outcome_text(&outcome), &show::outcome_json(&outcome))
        }
        None => terminal.result("nothing to roll back\n", &json!({"rolled_back": null})),
    }
}

/// `advisor history`
pub fn history(setup: &Setup, terminal: Terminal) -> Result<(), Failure> {
    let operations = setup.operations()?;
    terminal.result(&show::history_text(&operations), &show::history_json(&operations))
}

/// Reads a plan file. One that is missing, edited or of another version is unusable.
pub fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let text = std::fs::read_to_string(path).map_err(|cause| {
        Failure::new(Exit::Usage, format!("cannot read plan {}: {cause}", path.display()))
            .hint("`advisor plan` writes one")
    })?;
    Plan::from_json(&text).map_err(|error| {
        let failure = Failure::from(error);
        Failure { message: format!("plan {}: {}", path.display(), failure.message), ..failure }
    })
}

type RealApplier<'a> = Applier<'a, Route53Zone, Observer, SystemClock>;

/// The way every write takes: prove, guard, ask, apply, verify, and take back what misleads.
pub struct Writer<'a> {
    setup: &'a Setup,
    terminal: Terminal,
    zone: Route53Zone,
    observer: Observer,
    gateway: ApiGateway,
    patience: Patience,
}

impl<'a> Writer<'a> {
    /// Finds the zone and its name servers.
    pub async fn open(setup: &'a Setup, terminal: Terminal) -> Result<Self, Failure> {
        let zone = setup.zone().await?;
        let observer = setup.observer(&zone).await?;
        observer.reaches_dns()?;
        let gateway = setup.gateway().await?;
        Ok(Self { setup, terminal, zone, observer, gateway, patience: Patience::default() })
    }

    /// The same with other waits.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    async fn applier(&self) -> Result<RealApplier<'_>, Failure> {
        Ok(Applier {
            zone: &self.zone,
            answers: &self.observer,
            clock: self.setup.clock.as_ref(),
            journal: self.setup.journal().await?,
            patience: self.patience,
        })
    }

    /// Applies a plan. One that is verified and misleads clients is taken back at once.
    pub async fn write(&self, plan: Plan, yes: bool) -> Result<Outcome, Failure> {
        self.write_with(plan, "", yes).await
    }

    /// The same, where whoever is asked says yes to `more` too.
    pub(super) async fn write_with(
        &self,
        plan: Plan,
        more: &str,
        yes: bool,
    ) -> Result<Outcome, Failure> {
        let mut applier = self.applier().await?;
        let cleared = self.confirmed(plan, more, yes).await?;
        let outcome = applier.apply(&cleared).await?;
        drop(applier);
        self.settle(outcome).await
    }

    /// The plan as cleared right now, once whoever must be asked has said yes to it and to `more`.
    pub(super) async fn confirmed(
        &self,
        plan: Plan,
        more: &str,
        yes: bool,
    ) -> Result<Cleared<Plan>, Failure> {
        // Before the proofs, which must be fresh.
        let what = format!("{}{more}{}", show::plan_text(&plan), self.whose().await);
        let cleared = self.clear(plan.clone()).await?;
        let question = format!("Apply plan {} to {}?", plan.id(), plan.service);
        self.ask(&what, &question, yes)?;
        // Whoever was asked may have taken a while: what was proven must be fresh.
        if yes { Ok(cleared) } else { self.clear(plan).await }
    }

    /// Applies a plan that somebody has confirmed as a part of another one.
    pub(super) async fn write_part(&self, plan: Plan) -> Result<Outcome, Failure> {
        let mut applier = self.applier().await?;
        let cleared = self.clear(plan).await?;
        let outcome = applier.apply(&cleared).await?;
        drop(applier);
        self.settle(outcome).await
    }

    /// What commands work with.
    pub(super) fn setup(&self) -> &Setup {
        self.setup
    }

    /// How to talk.
    pub(super) fn terminal(&self) -> Terminal {
        self.terminal
    }

    /// What clients see.
    pub(super) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// How long a write may take until it has failed.
    pub(super) fn longest_write(&self) -> Duration {
        let Patience { observed, in_sync, busy, lost, .. } = self.patience;
        observed + in_sync + busy + lost
    }

    /// The zone as it is.
    pub(super) async fn view(&self) -> Result<ZoneView, Failure> {
        Ok(ZoneView::read(&self.zone, &self.setup.config).await?)
    }

    /// The alarm and the metric of a canary's brake.
    pub(super) async fn brake(&self, terms: &CanaryTerms) -> CloudWatchBrake {
        CloudWatchBrake::open(&self.setup.access, &terms.brake, &self.setup.config.name).await
    }

    /// Deletes the alarm of a canary that is over. Without its health check it does nothing any more.
    pub(super) async fn disarm(&self, terms: &CanaryTerms) {
        if let Err(cause) = self.brake(terms).await.disarm().await {
            let alarm = &terms.brake.alarm;
            self.terminal.say(&format!("note: alarm {alarm} could not be deleted: {cause}"));
        }
    }

    /// Where the change goes and whose zone it is, for people to see before they confirm.
    async fn whose(&self) -> String {
        let api = &self.zone.facts().api;
        match self.zone.account().await {
            None => format!("Route 53 at {api}"),
            Some(Ok(account)) => format!("Route 53 at {api}, account {account}"),
            Some(Err(cause)) => format!("Route 53 at {api}, account unknown ({cause})"),
        }
    }

    fn ask(&self, what: &str, question: &str, yes: bool) -> Result<(), Failure> {
        if yes {
            self.terminal.say(what);
            return Ok(());
        }
        self.terminal.confirm(what, question)
    }

    /// Goes on with an interrupted operation.
    pub async fn resume(&self) -> Result<Outcome, Failure> {
        let mut applier = self.applier().await?;
        let outcome = self.go_on(&mut applier).await?;
        drop(applier);
        self.settle(outcome).await
    }

    /// What was not written before the interruption is judged anew, and given up if it is refused.
    async fn go_on(&self, applier: &mut RealApplier<'_>) -> Result<Outcome, Failure> {
        let Some(plan) = applier.must_clear().await? else {
            return Ok(applier.resume(None).await?);
        };
        match self.clear(plan).await {
            Ok(cleared) => Ok(applier.resume(Some(&cleared)).await?),
            Err(refused) => {
                applier.settle().await?;
                Err(refused)
            }
        }
    }

    /// Takes a plan back. `None` where nothing stands.
    pub async fn rollback(&self, id: Option<&str>, yes: bool) -> Result<Option<Outcome>, Failure> {
        let outcome = self.take_back(id, yes).await?;
        match outcome.as_ref().map(|outcome| &outcome.ending) {
            None | Some(Ending::Applied) => Ok(outcome),
            Some(Ending::Unverified(cause) | Ending::Abandoned(cause)) => {
                Err(Failure::new(Exit::Failed, format!("rolled back, and not verified: {cause}")))
            }
        }
    }

    /// The same, however it ends.
    pub(super) async fn take_back(
        &self,
        id: Option<&str>,
        yes: bool,
    ) -> Result<Option<Outcome>, Failure> {
        let mut applier = self.applier().await?;
        let unfinished = applier.journal.unfinished().map(|operation| &operation.plan.intent);
        if matches!(unfinished, Some(Intent::Rollback(undone)) if id.is_none_or(|id| id == undone))
        {
            return self.go_on(&mut applier).await.map(Some);
        }
        applier.settle().await?;
        let operations = applier.journal.operations().to_vec();
        drop(applier);
        let standing = standing(&operations, id)?;
        let plans: Vec<&Plan> = standing.iter().map(|operation| &operation.plan).collect();
        let (Some(newest), Some((first, later))) = (standing.last(), plans.split_first()) else {
            return Ok(None);
        };
        let view = self.view().await?;
        not_changed_since(newest, &view)?;
        let plan = view.ground(self.setup.now_ms()).rollback_all(first, later);
        let mut applier = self.applier().await?;
        let what = format!("{}{}", show::plan_text(&plan), self.whose().await);
        let cleared = self.clear(plan.clone()).await?;
        let question = format!("Take plan {} back?", newest.plan.undone_by());
        self.ask(&what, &question, yes)?;
        let outcome = applier.apply(&cleared).await?;
        if let Some(terms) = newest.plan.intent.canary() {
            self.disarm(terms).await;
        }
        Ok(Some(outcome))
    }

    /// What the guards would say of a plan now.
    pub async fn judge(&self, plan: Plan) -> Result<(), Failure> {
        self.clear(plan).await.map(|_| ())
    }

    /// Asks the plan's targets and lets the guards judge.
    async fn clear(&self, plan: Plan) -> Result<Cleared<Plan>, Failure> {
        let service = settings::service(&self.setup.config)?;
        let mut records = self.zone.record_sets(&service).await?;
        for name in registry_names(&service) {
            records.extend(self.zone.record_sets(&name).await?);
        }
        let protections = self.protections().await;
        let mut targets = Vec::new();
        if plan.intent.routes() {
            targets.extend(plan.targets().into_iter().map(str::to_owned));
        }
        let (config, clock) = (&self.setup.config, self.setup.clock.as_ref());
        let domains = domains::findings(&self.gateway, config, &service, &targets, clock).await;
        for note in domains::notes(&domains) {
            self.terminal.say(&format!("note: {note}"));
        }
        let proofs = self.observer.prove(&targets).await;
        let situation = Situation {
            now_ms: self.setup.now_ms(),
            zone_id: &self.zone.facts().id,
            records: &records,
            proofs: &proofs,
            domains: &domains,
            protections: &protections,
        };
        Ok(guard(plan, &settings::guard_rule(config)?, &situation)?)
    }

    /// The protected record sets. Where they cannot be listed Route 53 itself still refuses a batch that
    /// touches one, only later.
    async fn protections(&self) -> Vec<Protection> {
        self.zone.protections().await.unwrap_or_else(|error| {
            self.terminal.say(&format!(
                "note: protected record sets could not be listed ({error}); Route 53 refuses a change of \
                 one by itself"
            ));
            Vec::new()
        })
    }

    async fn settle(&self, outcome: Outcome) -> Result<Outcome, Failure> {
        let (Ending::Unverified(cause), Some(verification)) =
            (&outcome.ending, &outcome.verification)
        else {
            return Ok(outcome);
        };
        let operations = self.setup.operations()?;
        let applied = operations.iter().find(|one| one.number == outcome.operation);
        // Only a change of routing is taken back by itself, and never what took one back.
        let Some(id) = applied
            .filter(|operation| operation.plan.intent.routes())
            .map(|operation| operation.plan.undone_by())
        else {
            return Err(Failure::new(Exit::Failed, format!("in place, and not verified: {cause}")));
        };
        if !verification.misleads_clients() {
            let message = format!("applied, and the zone is not as planned: {cause}");
            return Err(Failure::new(Exit::Drift, message).hint(
                "somebody else writes to this zone; `advisor rollback` takes the plan back",
            ));
        }
        self.terminal.say(&format!("not as planned: {cause}; taking it back"));
        match self.take_back(Some(&id), true).await {
            Ok(Some(taken_back)) => Err(reverted(cause, &taken_back)),
            Ok(None) => Err(Failure::new(Exit::Failed, format!("not as planned: {cause}"))),
            Err(failure) => Err(Failure {
                message: format!(
                    "applied, not as planned ({cause}), and still in place: {}",
                    failure.message
                ),
                ..failure
            }),
        }
    }
}

/// How an apply ended that was taken back by itself. The records decide: an endpoint that answers
/// wrongly does so before and after.
pub(super) fn reverted(cause: &str, taken_back: &Outcome) -> Failure {
    let records = taken_back.verification.as_ref();
    let restored = records.is_some_and(|seen| seen.missing.is_empty() && seen.foreign.is_empty());
    match &taken_back.ending {
        Ending::Applied => {
            Failure::new(Exit::Reverted, format!("applied, and taken back: {cause}"))
                .hint("the zone is as it was before; the journal keeps the whole story")
        }
        Ending::Unverified(still) if restored => {
            let message = format!("applied, and taken back: {cause}; and it still holds: {still}");
            Failure::new(Exit::Reverted, message)
                .hint("the zone is as it was before: what answers wrongly is not the zone")
        }
        Ending::Unverified(still) | Ending::Abandoned(still) => {
            let message = format!("applied ({cause}), and taking it back failed: {still}");
            Failure::new(Exit::Failed, message).hint("`advisor rollback` tries again")
        }
    }
}

/// Refuses where somebody changed the zone since this operation.
pub(super) fn not_changed_since(operation: &Operation, view: &ZoneView) -> Result<(), Failure> {
    let Some(difference) = difference_since(operation, &view.records) else { return Ok(()) };
    let message = format!("the zone is not as plan {} left it: {difference}", operation.plan.id());
    Err(Failure::new(Exit::Drift, message)
        .hint("somebody changed it since: restore by hand what `advisor history --json` shows"))
}

/// The newest operation that stands and was not taken back, a canary with all its steps, if `id` names it
/// or none is given.
fn standing<'a>(
    operations: &'a [Operation],
    id: Option<&str>,
) -> Result<Vec<&'a Operation>, Failure> {
    let standing = newest_standing(operations);
    match (standing.last().map(|newest| newest.plan.undone_by()), id) {
        (Some(newest), Some(id)) if newest != id => {
            let message = format!("plan {id} is not the newest that stands ({newest})");
            Err(Failure::new(Exit::Refused, message).hint("take back the newer one first"))
        }
        (None, Some(id)) => Err(Failure::new(Exit::Refused, format!("plan {id} does not stand"))),
        _ => Ok(standing),
    }
}
