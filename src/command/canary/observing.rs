//! What a step of a canary shows: both arms sampled side by side, the receiving Regions' own figures, and
//! a verdict at every look.
//!
//! It measures and listens. What the evidence says is decided in the `advisor` crate, what follows from it
//! by whoever drives the canary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use advisor::answers::Answers as _;
use advisor::canary::{Canary, Lack, Lane, RegionReader, Sampler, Verdict, failing_before};
use advisor::mark::{Marks, Shadow};
use advisor::name::Label;
use advisor::plan::CanaryPlanError;
use advisor::topology::WHOLE;
use probe::clock::{Clock, SystemClock};

use super::{Run, SIGNAL};
use crate::failure::{Exit, Failure};
use crate::show::canary::StepReport;

/// How often the evidence is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How long beats go on without another look.
const LOOK_GRANT: Duration = Duration::from_secs(30);
/// Looks from one word of progress to the next.
const LOOKS_A_WORD: u64 = 30;

/// What an observation came to.
struct Seen {
    /// Why the new arm must not stand, if it must not.
    harm: Option<String>,
    /// Slots without a pair.
    missed: u64,
}

impl Run<'_> {
    /// Observes a step where both arms stand. Says why the new one must not stand.
    pub(super) async fn observed(&mut self, percent: u8) -> Result<Option<String>, Failure> {
        if percent == 0 || percent >= WHOLE {
            return Ok(None);
        }
        let in_sync_ms = self.writer.setup().now_ms();
        let lanes = self.lanes().await?;
        let vantages = lanes.iter().map(|lane| lane.vantage.clone()).collect();
        let mut evidence = if let Some(mut evidence) = self.evidence.take() {
            evidence.next_step(in_sync_ms);
            evidence
        } else {
            let failing = self.failing(in_sync_ms).await?;
            let steps = self.terms.percents.len().saturating_sub(1);
            Canary::begin(self.rule, steps, vantages, failing, in_sync_ms)
        };
        let seen = self.observe(&mut evidence, lanes, percent).await;
        let seconds = (self.writer.setup().now_ms() - in_sync_ms).max(0) / 1_000;
        self.reports.push(StepReport::Observed {
            percent,
            seconds,
            samples: evidence.samples(),
            missed: seen.missed,
            harm: seen.harm.clone(),
        });
        self.evidence = Some(evidence);
        Ok(seen.harm)
    }

    /// How often the requests of each receiving endpoint failed before, by its Region's own figures.
    async fn failing(&self, now_ms: i64) -> Result<BTreeMap<String, f64>, Failure> {
        let mut failing = BTreeMap::new();
        for endpoint in self.receiving.keys() {
            let share = failing_before(&*self.figures, endpoint, now_ms).await;
            let share = share.map_err(|cause| {
                Failure::new(Exit::Failed, format!("figures of {endpoint}: {cause}"))
                    .hint("allow cloudwatch:GetMetricData, and check endpoint.metrics")
            })?;
            failing.insert(endpoint.clone(), share);
        }
        Ok(failing)
    }

    /// What is asked of both arms from each vantage that they send to different endpoints.
    async fn lanes(&self) -> Result<Vec<Lane>, Failure> {
        let view = self.writer.view().await?;
        let topology = view.ground(0).topology().map_err(CanaryPlanError::from)?;
        let observer = self.writer.observer();
        let asked = async |shadow| {
            let preferred = observer.preferred(shadow).await;
            preferred
                .map_err(|cause| Failure::new(Exit::Failed, format!("preferred labels: {cause}")))
        };
        let (live, next) = (asked(Shadow::Live).await?, asked(Shadow::Next).await?);
        let mut lanes = Vec::new();
        if let Some([(old, old_arm), (new, new_arm)]) = topology.old_and_new() {
            let marks = Marks::of(&view.service);
            let (old, new) = (marks.arm(old), marks.arm(new));
            for (vantage, label) in &live {
                let label_next: &Label = next.get(vantage).unwrap_or(label);
                let from = old_arm.tree.get(label).and_then(|shares| shares.only());
                let to = new_arm.tree.get(label_next).and_then(|shares| shares.only());
                if let (Some(from), Some(to)) = (from, to)
                    && from != to
                {
                    lanes.extend(observer.lane(vantage, [(&old, from), (&new, to)]));
                }
            }
        }
        if lanes.is_empty() {
            let failure = Failure::new(Exit::Refused, "the canary sends no vantage elsewhere");
            return Err(failure.hint("nothing can be compared; apply the plan without --canary"));
        }
        Ok(lanes)
    }

    /// Measures and judges until the evidence decides.
    async fn observe(&mut self, evidence: &mut Canary, lanes: Vec<Lane>, percent: u8) -> Seen {
        let setup = self.writer.setup();
        let every = Duration::from_millis(self.terms.every_ms.unsigned_abs());
        let clock: Arc<dyn Clock> = Arc::<SystemClock>::clone(&setup.clock);
        let exchange = self.writer.observer().exchange();
        let mut sampler = Sampler::start(exchange, Arc::clone(&clock), lanes, every);
        let (figures, receiving) = (Arc::clone(&self.figures), self.receiving.clone());
        let mut regions = RegionReader::start(figures, clock, receiving, setup.now_ms());
        let mut looks = tokio::time::interval(LOOK);
        looks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let (mut stop, mut looked) = (self.stop.clone(), 0_u64);
        let harm = loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break Some(SIGNAL.to_owned()),
                Some(landed) = sampler.next() => evidence.push(&landed.pair()),
                Some((endpoint, minute)) = regions.next() => evidence.push_minute(&endpoint, &minute),
                _ = looks.tick() => {
                    looked += 1;
                    if !self.is_heard() {
                        break Some("CloudWatch does not take the beats of its brake".to_owned());
                    }
                    match evidence.verdict(setup.now_ms()) {
                        Verdict::Promote => break None,
                        Verdict::Revert(harm) => break Some(harm.to_string()),
                        Verdict::Extend(lack) => self.say(percent, looked, &lack, evidence),
                    }
                }
            }
        };
        Seen { harm, missed: sampler.missed() }
    }

    fn say(&self, percent: u8, looked: u64, lack: &Lack, evidence: &Canary) {
        if looked % LOOKS_A_WORD == 1 {
            let samples = evidence.samples();
            let text = format!("canary at {percent} %: {samples} samples an arm; waits for {lack}");
            self.writer.terminal().say(&text);
        }
    }

    /// Grants more beats, and says whether they are taken.
    fn is_heard(&self) -> bool {
        let Some(pulse) = &self.pulse else { return false };
        pulse.grant(LOOK_GRANT);
        pulse.is_heard()
    }
}
