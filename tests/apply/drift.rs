//! What others do to the zone meanwhile, and taking back.

use std::time::Duration;

use advisor::apply::ApplyError;
use advisor::guard::Refusal;
use advisor::journal::{Ending, Journal};
use lab::route53::model::{self, Action, AliasTarget, Change, ChangeBatch, Data};
use nearside::failure::Exit;

use crate::stage::{MOVED, Stage, quick};

pub(crate) fn change(stage: &Stage, action: Action, set: model::RecordSet) {
    let batch = ChangeBatch { comment: None, changes: vec![Change { action, set }] };
    stage.lab.route53().change(&stage.lab.facts().hosted_zone_id, &batch).unwrap();
}

fn replace(stage: &Stage, old: Option<&model::RecordSet>, new: Option<&model::RecordSet>) {
    if let Some(old) = old {
        change(stage, Action::Delete, old.clone());
    }
    if let Some(new) = new {
        change(stage, Action::Create, new.clone());
    }
}

/// The set of a label at the service name, by the label.
fn of_label(stage: &Stage, label: &str) -> model::RecordSet {
    let service = stage.lab.facts().name.clone();
    let all = stage.rest_of_zone();
    let found = all.into_iter().find(|set| {
        let is_label = |routing: &model::Routing| {
            matches!(&routing.policy, model::Policy::Latency(found) if found == label)
        };
        set.name.to_string().trim_end_matches('.') == service
            && set.routing.as_ref().is_some_and(is_label)
    });
    found.unwrap()
}

/// A label that nobody planned, pointing where another does.
pub(crate) fn foreign_label(stage: &Stage) -> model::RecordSet {
    let mut set = of_label(stage, "us-east-1");
    set.routing = Some(model::Routing {
        set_identifier: "somebody-else".into(),
        policy: model::Policy::Latency("eu-central-1".into()),
    });
    set.health_check_id = None;
    set
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_between_plan_and_apply_is_drift() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let label = of_label(&stage, MOVED.0);
    let mut elsewhere = label.clone();
    if let Data::Alias(AliasTarget { evaluate_target_health, .. }) = &mut elsewhere.data {
        *evaluate_target_health = true;
    }
    let added = foreign_label(&stage);
    for (what, old, new) in [
        ("added", None, Some(added)),
        ("removed", Some(label.clone()), None),
        ("edited", Some(label.clone()), Some(elsewhere)),
    ] {
        let plan = stage.plan().await;
        let cleared = stage.cleared(&plan).await.unwrap();
        replace(&stage, old.as_ref(), new.as_ref());
        let changed = stage.rest_of_zone();
        let refused = stage.cleared(&plan).await.unwrap_err();
        assert!(matches!(refused, Refusal::Drift { .. }), "{what}: {refused}");
        // One that was cleared a moment too early finds out before it writes.
        let error = {
            let mut applier = stage.applier(&stage.zone, &stage.journal_path());
            applier.apply(&cleared).await.unwrap_err()
        };
        assert!(matches!(error, ApplyError::Drift(_)), "{what}: {error}");
        let failure = stage.writer().await.write(plan, true).await.unwrap_err();
        assert_eq!(failure.exit, Exit::Drift, "{what}");
        assert_eq!(stage.rest_of_zone(), changed, "{what}: nothing was written");
        stage.assert_no_stray_checks(what).await;
        replace(&stage, new.as_ref(), old.as_ref());
        assert_eq!(stage.rest_of_zone(), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_label_added_between_submission_and_reading_back_is_reported() {
    let mut options = quick();
    options.insync_delay = Duration::from_millis(600);
    let stage = Stage::start_with(options).await;
    let plan = stage.plan().await;
    let added = foreign_label(&stage);
    let writer = stage.writer().await;
    let (written, ()) = tokio::join!(writer.write(plan.clone(), true), async {
        while of_label(&stage, MOVED.0).health_check_id.is_none() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        change(&stage, Action::Create, added.clone());
    });
    let failure = written.unwrap_err();
    assert_eq!(failure.exit, Exit::Drift, "{failure:?}");
    drop(writer);
    let journal = Journal::open(&stage.journal_path()).unwrap();
    let ending = journal.operations().last().unwrap().ending.clone();
    let Some(Ending::Unverified(cause)) = ending else { panic!("{ending:?}") };
    assert!(cause.contains("eu-central-1") && cause.contains("foreign"), "{cause}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rolling_back_twice_finds_nothing_the_second_time() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let writer = stage.writer().await;
    for round in 0..3 {
        writer.write(stage.plan().await, true).await.unwrap();
        assert_ne!(stage.rest_of_zone(), before);
        let back = writer.rollback(None, true).await.unwrap().expect("a plan stands");
        assert_eq!(back.ending, Ending::Applied);
        assert_eq!(stage.rest_of_zone(), before, "round {round}");
        assert!(stage.checks().await.0.is_empty(), "health checks are deleted, round {round}");
        assert_eq!(writer.rollback(None, true).await.unwrap(), None);
        assert_eq!(stage.rest_of_zone(), before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plans_upon_plans_are_taken_back_one_by_one() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let writer = stage.writer().await;
    let live = stage.view().await.live().unwrap();
    let view = stage.view().await;
    let shadow = view.ground(stage.setup.now_ms()).install_shadow(&live, live.labels.keys());
    writer.write(shadow, true).await.unwrap();
    let shadowed = stage.rest_of_zone();
    writer.write(stage.plan().await, true).await.unwrap();
    let first = stage.rest_of_zone();
    writer.write(stage.plan_to("eu-west-1", "us-east-1").await, true).await.unwrap();
    for state in [first, shadowed, before] {
        writer.rollback(None, true).await.unwrap().expect("a plan stands");
        assert_eq!(stage.rest_of_zone(), state);
        stage.assert_no_stray_checks("after a rollback").await;
    }
    assert_eq!(writer.rollback(None, true).await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_taken_back_from_under_somebody_else() {
    let stage = Stage::start().await;
    let writer = stage.writer().await;
    let plan = stage.plan().await;
    writer.write(plan.clone(), true).await.unwrap();
    change(&stage, Action::Create, foreign_label(&stage));
    let changed = stage.lab.route53().record_sets(&stage.lab.facts().hosted_zone_id).unwrap();
    let failure = writer.rollback(None, true).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Drift, "{failure:?}");
    let after = stage.lab.route53().record_sets(&stage.lab.facts().hosted_zone_id).unwrap();
    assert_eq!(after, changed, "not even the lock");
    change(&stage, Action::Delete, foreign_label(&stage));
    writer.rollback(Some(&plan.id()), true).await.unwrap().expect("it still stands");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_below_and_beside_the_service_are_not_touched() {
    let stage = Stage::start().await;
    let service = stage.lab.facts().name.clone();
    let template = foreign_label(&stage);
    for name in
        [format!("deep.{service}"), format!("a{service}"), format!("_nearside-lock.x.{service}")]
    {
        let mut set = template.clone();
        set.name = lab::route53::name::Name::parse(&name).unwrap();
        set.routing = None;
        change(&stage, Action::Create, set);
    }
    let before = stage.rest_of_zone();
    let plan = stage.plan().await;
    for change in &plan.changes {
        let name = change.resource_record_set.name.without_dot();
        let ours = name.strip_suffix(&service).unwrap();
        assert!(
            ours.is_empty() || ours.starts_with("_nearside-") && ours.matches('.').count() == 1
        );
    }
    let writer = stage.writer().await;
    writer.write(plan, true).await.unwrap();
    writer.rollback(None, true).await.unwrap().unwrap();
    assert_eq!(stage.rest_of_zone(), before);
}
