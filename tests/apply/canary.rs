//! A canary stopped at every call of each of its steps, and then resumed or taken back. What is observed
//! in between is not of interest here: the steps follow one another at once.

use advisor::canary::brake_spec;
use advisor::journal::{Ending, Journal};
use advisor::plan::{CanaryTerms, Intent, Plan};
use lab::route53::health::AlarmState;
use lab::route53::model::RecordSet;

use crate::stage::{Stage, without_check_ids};

/// More calls than any step of these tests makes.
const CALLS_MAX: usize = 200;
const PERCENTS: [u8; 2] = [10, 100];

/// What all steps have in common. Somebody beats all the time.
async fn terms(stage: &Stage, plan: &Plan) -> CanaryTerms {
    let view = stage.view().await;
    let brake = brake_spec(&view.zone.id, &view.service, "us-east-1", plan.generation);
    stage.lab.route53().set_alarm_state(&brake.region, &brake.alarm, AlarmState::Ok);
    let percents = PERCENTS.to_vec();
    CanaryTerms { plan: plan.id(), percents, observe_ms: 1_000, every_ms: 1_000, brake }
}

/// The next step's plan, from the zone as it is.
async fn next(stage: &Stage, target: &Plan, terms: &CanaryTerms) -> Option<Plan> {
    let view = stage.view().await;
    view.ground(stage.setup.now_ms()).canary(target, terms).unwrap()
}

/// Takes all steps that are left.
async fn finish(stage: &Stage, target: &Plan, terms: &CanaryTerms) {
    while let Some(step) = next(stage, target, terms).await {
        assert!(!stage.stopped(&step, 0, false).await);
    }
}

async fn roll_back(stage: &Stage, before: &[RecordSet], when: &str) {
    let writer = stage.writer().await;
    writer.rollback(None, true).await.unwrap_or_else(|error| panic!("{when}: {error:?}"));
    assert_eq!(stage.rest_of_zone(), before, "{when}");
    stage.assert_no_stray_checks(when).await;
    let journal = Journal::open(&stage.journal_path()).unwrap();
    assert!(journal.unfinished().is_none(), "{when}: the journal is settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_stopped_at_any_call_ends_as_planned_or_as_before() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let target = stage.plan().await;
    let of_all = terms(&stage, &target).await;
    finish(&stage, &target, &of_all).await;
    let planned = without_check_ids(stage.rest_of_zone());
    assert!(planned.iter().any(|set| set.name.to_string().starts_with("_nearside-green.")));
    roll_back(&stage, &before, "all of it").await;
    let mut points = 0;
    for crashed_step in 0..=PERCENTS.len() {
        for after in [false, true] {
            for stop_at in 1..CALLS_MAX {
                let resumes = (stop_at % 2 == 0) == after;
                let when = format!(
                    "step {crashed_step}, call {stop_at}, after: {after}, resumed: {resumes}"
                );
                let target = stage.plan().await;
                let of_all = terms(&stage, &target).await;
                for _ in 0..crashed_step {
                    let step = next(&stage, &target, &of_all).await.unwrap();
                    assert!(!stage.stopped(&step, 0, false).await);
                }
                let step = next(&stage, &target, &of_all).await.unwrap();
                assert!(matches!(step.intent, Intent::Canary { .. }));
                let was_stopped = stage.stopped(&step, stop_at, after).await;
                points += u32::from(was_stopped);
                if was_stopped && resumes {
                    let outcome = stage.writer().await.resume().await;
                    let outcome = outcome.unwrap_or_else(|error| panic!("{when}: {error:?}"));
                    assert_eq!(outcome.ending, Ending::Applied, "{when}");
                    finish(&stage, &step, &of_all).await;
                    assert_eq!(without_check_ids(stage.rest_of_zone()), planned, "{when}");
                    stage.assert_no_stray_checks(&when).await;
                }
                roll_back(&stage, &before, &when).await;
                if !was_stopped {
                    break;
                }
            }
        }
    }
    assert!(points > 60, "only {points} points were covered");
    println!("crash points of a canary: {points}");
}
