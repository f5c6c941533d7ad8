//! `advisor apply PLAN --canary`: the wrapper, then the new arm at rising percentages, each observed until
//! the evidence decides; and the way back, by itself.
//!
//! It drives. Which records a step has, what the evidence says and what may be written is decided in the
//! `advisor` crate; every write takes the same guarded and journalled way as any other.

mod observing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use advisor::apply::Outcome;
use advisor::canary::{BEAT, Brake as _, Canary, CanaryRule, PAIRS_MIN, Pulse, brake_spec};
use advisor::journal::{Operation, canary_under_way, standing};
use advisor::plan::{CanaryPlanError, CanaryTerms, Intent, Plan};
use advisor::settings::millis;
use advisor::topology::{StepsError, WHOLE};
use aws::{CloudWatchBrake, CloudWatchFigures};
use probe::config::{Config, Endpoint};
use tokio::sync::watch;

use crate::command::apply::{Writer, not_changed_since, reverted};
use crate::command::watch::listen;
use crate::failure::{Exit, Failure};
use crate::show::canary::{Course, StepReport, canary_json, canary_text, course_text};

/// Where the brake's alarm stands, where the configuration names no Region of `CloudWatch`.
const BRAKE_REGION: &str = "us-east-1";
/// How long resolvers keep an alias to an AWS resource, where nobody can be asked.
const TTL: Duration = Duration::from_mins(1);
/// Why a canary is taken back that somebody ended.
const SIGNAL: &str = "a signal ended it";
/// What a write may take beside its own waits.
const WRITE_ROOM: Duration = Duration::from_mins(1);

/// How fast a canary goes.
#[derive(Debug, Clone, Copy)]
pub struct Pace<'a> {
    /// The new arm's shares of 100.
    pub percents: &'a [u8],
    /// How long each is observed at least.
    pub observe: Duration,
    /// From one sample of an arm to the next.
    pub every: Duration,
}

/// The step of a canary at which an advisor was interrupted: unfinished, or observed.
#[must_use]
pub fn interrupted(operations: &[Operation]) -> Option<Operation> {
    let unfinished = operations.last().filter(|operation| operation.ending.is_none());
    let step = match unfinished {
        Some(operation) => Some(operation).filter(|one| one.plan.intent.canary().is_some()),
        None => canary_under_way(operations),
    };
    step.cloned()
}

/// Applies a plan by a canary.
pub async fn apply(
    writer: &Writer<'_>,
    plan: Plan,
    pace: Pace<'_>,
    yes: bool,
) -> Result<(), Failure> {
    let terms = terms(writer, &plan, pace).await?;
    let mut run = Run::new(writer, plan.clone(), terms).await?;
    if !run.rule.can_promote() {
        let message = format!(
            "--observe {} ms: a step would end before there can be evidence",
            run.rule.observe_ms
        );
        return Err(Failure::new(Exit::Usage, message).hint("15m is the default"));
    }
    let more = course_text(&run.course());
    let cleared = writer.confirmed(plan, &more, yes).await?;
    run.target = cleared.get().clone();
    let ended = run.steps(None).await;
    run.end(ended).await
}

/// Goes on with a canary that was interrupted. What was observed before counts no more.
pub async fn resume(writer: &Writer<'_>, step: Operation) -> Result<(), Failure> {
    let Intent::Canary { percent, terms } = step.plan.intent.clone() else {
        return Err(Failure::new(Exit::Failed, "the interrupted operation is no canary"));
    };
    let mut run = Run::new(writer, step.plan.clone(), terms).await?;
    writer.terminal().say(&course_text(&run.course()));
    let ended = run.go_on(&step, percent).await;
    run.end(ended).await
}

/// What all steps have in common, or why there is no canary of this plan.
async fn terms(writer: &Writer<'_>, plan: &Plan, pace: Pace<'_>) -> Result<CanaryTerms, Failure> {
    let config = &writer.setup().config;
    if plan.intent != Intent::Route || plan.moves.is_empty() {
        let failure = Failure::new(Exit::Usage, "--canary: the plan moves no label by advice");
        return Err(failure.hint("apply it without --canary"));
    }
    let window = config.evidence.window;
    if pace.every.is_zero() || pace.every * u32::try_from(PAIRS_MIN).unwrap_or(1) > window {
        let message = format!(
            "--every {} ms: a window of {} ms must hold {PAIRS_MIN} samples",
            pace.every.as_millis(),
            window.as_millis()
        );
        return Err(Failure::new(Exit::Usage, message).hint("1s is the default"));
    }
    let view = writer.view().await?;
    let region = config.cloudwatch.as_ref().map_or(BRAKE_REGION, |one| one.region.as_str());
    let ground = view.ground(writer.setup().now_ms());
    let terms = CanaryTerms {
        plan: plan.id(),
        percents: pace.percents.to_vec(),
        observe_ms: millis(pace.observe),
        every_ms: millis(pace.every),
        brake: brake_spec(&view.zone.id, &view.service, region, ground.generation()),
    };
    ground.canary(plan, &terms)?;
    let vantages = &plan.effect.vantages;
    if !vantages.is_empty() && vantages.iter().all(|line| line.from == line.to) {
        let failure = Failure::new(Exit::Refused, "--canary: the plan sends no vantage elsewhere");
        return Err(failure.hint("nothing could be compared; apply it without --canary"));
    }
    Ok(terms)
}

impl From<CanaryPlanError> for Failure {
    fn from(error: CanaryPlanError) -> Self {
        let exit = match &error {
            CanaryPlanError::Steps(StepsError::NotRising(_)) => Exit::Usage,
            _ => Exit::Refused,
        };
        Self::new(exit, &error).hint(error.hint())
    }
}

/// The endpoints that receive traffic. Each must say where its Region's figures of it are.
fn receiving<'a>(config: &'a Config, plan: &Plan) -> Result<Vec<&'a Endpoint>, Failure> {
    let ids: BTreeSet<&str> = plan.moves.iter().filter_map(|step| step.to.as_deref()).collect();
    let endpoints: Vec<&Endpoint> =
        config.endpoints.iter().filter(|one| ids.contains(one.id.as_str())).collect();
    match endpoints.iter().find(|endpoint| endpoint.metrics.is_none()) {
        None => Ok(endpoints),
        Some(endpoint) => {
            let message = format!("--canary: endpoint {} has no metrics", endpoint.id);
            Err(Failure::new(Exit::Usage, message)
                .hint("endpoint.metrics says where its Region's own figures are in CloudWatch"))
        }
    }
}

/// A canary under way.
struct Run<'a> {
    writer: &'a Writer<'a>,
    /// A plan with the labels that it leads to.
    target: Plan,
    terms: CanaryTerms,
    rule: CanaryRule,
    /// Endpoints that receive traffic, and the periods of their figures in milliseconds.
    receiving: BTreeMap<String, i64>,
    figures: Arc<CloudWatchFigures>,
    brake: Arc<CloudWatchBrake>,
    pulse: Option<Pulse>,
    evidence: Option<Canary>,
    reports: Vec<StepReport>,
    stop: watch::Receiver<bool>,
}

/// How a canary ended that did not fail.
enum Ended {
    /// All of it stands.
    Promoted(Option<Outcome>),
    /// The evidence, or a signal, says that it must not stand.
    Harmful(String),
}

impl<'a> Run<'a> {
    async fn new(
        writer: &'a Writer<'a>,
        target: Plan,
        terms: CanaryTerms,
    ) -> Result<Self, Failure> {
        let setup = writer.setup();
        let config = &setup.config;
        let endpoints = receiving(config, &target)?;
        let period_ms = |endpoint: &&Endpoint| {
            let metrics = endpoint.metrics.as_ref()?;
            Some((endpoint.id.clone(), millis(metrics.period)))
        };
        let rule = CanaryRule {
            window_ms: millis(config.evidence.window),
            timeout_ms: millis(config.probe.timeout),
            ttl_ms: millis(writer.observer().ttl().await.unwrap_or(TTL)),
            observe_ms: terms.observe_ms,
        };
        Ok(Self {
            writer,
            rule,
            receiving: endpoints.iter().filter_map(period_ms).collect(),
            figures: Arc::new(CloudWatchFigures::open(&setup.access, &endpoints).await),
            brake: Arc::new(writer.brake(&terms).await),
            target,
            terms,
            pulse: None,
            evidence: None,
            reports: Vec::new(),
            stop: listen()?,
        })
    }

    fn course(&self) -> Course<'_> {
        Course { terms: &self.terms, rule: &self.rule, receiving: &self.receiving }
    }

    /// Settles the step that was interrupted, observes it where it is to be observed, and goes on.
    async fn go_on(&mut self, step: &Operation, percent: u8) -> Result<Ended, Failure> {
        if percent > 0 && percent < WHOLE {
            self.release_brake().await?;
        }
        if step.ending.is_some() {
            let view = self.writer.view().await?;
            not_changed_since(step, &view)?;
            let seen = self.observed(percent).await?;
            return self.unless_harmful(seen, None).await;
        }
        let outcome = self.writer.resume().await?;
        self.after(percent, outcome).await
    }

    /// Takes the steps that are left.
    async fn steps(&mut self, mut last: Option<Outcome>) -> Result<Ended, Failure> {
        // One more than there can be: the wrapper, and each percentage.
        for _ in 0..self.terms.percents.len() + 2 {
            let Some(plan) = self.next_plan().await? else { return Ok(Ended::Promoted(last)) };
            let Intent::Canary { percent, .. } = plan.intent else { break };
            if *self.stop.borrow() {
                return Ok(Ended::Harmful(SIGNAL.to_owned()));
            }
            if percent > 0 && self.pulse.is_none() {
                self.release_brake().await?;
            }
            if let Some(pulse) = &self.pulse {
                pulse.grant(self.writer.longest_write() + WRITE_ROOM);
            }
            self.writer.terminal().say(&format!("canary: to {percent} %"));
            let outcome = self.writer.write_part(plan).await?;
            let seen = self.report(percent, &outcome).await?;
            if let Some(cause) = seen {
                return Ok(Ended::Harmful(cause));
            }
            last = Some(outcome);
        }
        Err(Failure::new(Exit::Failed, "the canary has more steps than its percentages"))
    }

    async fn after(&mut self, percent: u8, outcome: Outcome) -> Result<Ended, Failure> {
        let seen = self.report(percent, &outcome).await?;
        self.unless_harmful(seen, Some(outcome)).await
    }

    async fn unless_harmful(
        &mut self,
        seen: Option<String>,
        last: Option<Outcome>,
    ) -> Result<Ended, Failure> {
        match seen {
            Some(cause) => Ok(Ended::Harmful(cause)),
            None => Box::pin(self.steps(last)).await,
        }
    }

    /// The next step's plan. What others changed since the last step stops the canary.
    async fn next_plan(&self) -> Result<Option<Plan>, Failure> {
        let view = self.writer.view().await?;
        let setup = self.writer.setup();
        let operations = setup.operations()?;
        let last = canary_under_way(&operations).filter(|one| self.is_mine(one));
        if let Some(last) = last {
            not_changed_since(last, &view)?;
        }
        let plan = view.ground(setup.now_ms()).canary(&self.target, &self.terms)?;
        let is_first = last.is_none() && self.reports.is_empty();
        match &plan {
            Some(first) if is_first && first.prior != self.target.prior => {
                let failure = Failure::new(Exit::Drift, "the zone changed since it was planned");
                Err(failure.hint("plan again"))
            }
            _ => Ok(plan),
        }
    }

    /// Whether any step of it stands.
    fn stands(&self) -> Result<bool, Failure> {
        let operations = self.writer.setup().operations()?;
        Ok(standing(&operations).into_iter().any(|one| self.is_mine(one)))
    }

    fn is_mine(&self, operation: &Operation) -> bool {
        operation.plan.undone_by() == self.terms.plan
    }

    /// Arms the alarm and begins to beat: from now on the new arm may answer.
    async fn release_brake(&mut self) -> Result<(), Failure> {
        let failed = |cause: String| {
            Failure::new(Exit::Failed, format!("the canary's brake cannot be armed: {cause}"))
                .hint("allow cloudwatch:PutMetricAlarm, PutMetricData and DeleteAlarms")
        };
        self.brake.arm().await.map_err(failed)?;
        let clock = Arc::clone(&self.writer.setup().clock);
        let grant = self.writer.longest_write() + WRITE_ROOM;
        let pulse = Pulse::start(Arc::clone(&self.brake), clock, grant, BEAT).await;
        self.pulse = Some(pulse.map_err(failed)?);
        Ok(())
    }

    /// Notes a step that stands, and observes it where both arms stand. Says why it must not stand.
    async fn report(&mut self, percent: u8, outcome: &Outcome) -> Result<Option<String>, Failure> {
        self.reports.push(StepReport::written(percent, outcome));
        self.observed(percent).await
    }

    /// Says how it ended; what must not stand, or failed half way, is taken back first.
    async fn end(mut self, ended: Result<Ended, Failure>) -> Result<(), Failure> {
        let cause = match ended {
            Ok(Ended::Promoted(last)) => {
                self.pulse = None;
                self.writer.disarm(&self.terms).await;
                let document = canary_json(&self.course(), &self.reports, last.as_ref(), None);
                let text = canary_text(&self.reports, last.as_ref());
                return self.writer.terminal().result(&text, &document);
            }
            Ok(Ended::Harmful(cause)) => cause,
            Err(failure) => {
                // From now on the data plane goes back by itself, whatever happens here.
                self.pull_brake();
                let operations = self.writer.setup().operations()?;
                let stands = interrupted(&operations).is_some_and(|step| self.is_mine(&step));
                if !stands || failure.exit == Exit::Drift {
                    return Err(failure);
                }
                failure.message
            }
        };
        self.take_back(&cause).await
    }

    /// Without beats the old arm has all of the traffic within two minutes.
    fn pull_brake(&mut self) {
        if let Some(pulse) = self.pulse.take() {
            pulse.stop();
        }
    }

    async fn take_back(mut self, cause: &str) -> Result<(), Failure> {
        self.pull_brake();
        let terminal = self.writer.terminal();
        terminal.say(&format!("canary: {cause}; taking it back"));
        match self.writer.take_back(Some(&self.terms.plan), true).await {
            Ok(Some(outcome)) => {
                let course = self.course();
                let document = canary_json(&course, &self.reports, Some(&outcome), Some(cause));
                if terminal.json {
                    terminal.result("", &document)?;
                }
                Err(reverted(cause, &outcome))
            }
            Ok(None) => Err(Failure::new(Exit::Failed, format!("canary: {cause}"))),
            Err(_) if !self.stands()? => {
                Err(Failure::new(Exit::Failed, format!("canary: {cause}; nothing of it stands")))
            }
            Err(failure) => {
                let message = format!(
                    "canary: {cause}; and taking it back failed: {}. Its brake is pulled: within \
                     two minutes Route 53 answers from the old arm alone",
                    failure.message
                );
                Err(Failure::new(Exit::Failed, message)
                    .hint("`advisor rollback` restores the records"))
            }
        }
    }
}
