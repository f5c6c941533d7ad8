//! An operation stopped at every call, and then resumed or taken back.

use std::io::Write as _;

use advisor::journal::{Ending, Journal};
use lab::route53::model::Action;
use nearside::failure::Exit;

use crate::drift::{change, foreign_label};
use crate::stage::{Stage, Stopping, without_check_ids};

/// More calls than any operation of these tests makes.
const CALLS_MAX: usize = 200;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Resume,
    Rollback,
}

/// A crash in the middle of writing an entry leaves a part of a line.
fn tear_journal(stage: &Stage) {
    let journal = std::fs::OpenOptions::new().append(true).open(stage.journal_path());
    journal.unwrap().write_all(b"{\"at_ms\":17,\"operation\":1,\"ev\xc3").unwrap();
}

/// After a crash, `then`; the zone must be exactly as before or as planned. Returns which.
async fn recover(stage: &Stage, then: Then, when: &str) {
    let writer = stage.writer().await;
    match then {
        Then::Resume => match writer.resume().await {
            Ok(outcome) => assert_eq!(outcome.ending, Ending::Applied, "{when}"),
            Err(failure) => {
                assert!(failure.message.contains("no operation"), "{when}: {failure:?}");
            }
        },
        Then::Rollback => {
            writer.rollback(None, true).await.unwrap_or_else(|error| panic!("{when}: {error:?}"));
        }
    }
    drop(writer);
    let journal = Journal::open(&stage.journal_path()).unwrap();
    assert!(journal.unfinished().is_none(), "{when}: the journal is settled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_apply_stopped_at_any_call_ends_as_planned_or_as_before() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    assert!(!stage.stopped(&stage.plan().await, 0, false).await);
    let planned = without_check_ids(stage.rest_of_zone());
    stage.writer().await.rollback(None, true).await.unwrap().expect("it stands");
    let mut points = 0;
    for then in [Then::Resume, Then::Rollback] {
        for after in [false, true] {
            for stop_at in 1..CALLS_MAX {
                let when = format!(
                    "stopped {} call {stop_at}, {then:?}",
                    if after { "after" } else { "before" }
                );
                let stopped = stage.stopped(&stage.plan().await, stop_at, after).await;
                if stopped {
                    points += 1;
                    if stop_at % 2 == 0 {
                        tear_journal(&stage);
                    }
                    recover(&stage, then, &when).await;
                }
                stage.assert_no_stray_checks(&when).await;
                if then == Then::Rollback && stopped {
                    assert_eq!(stage.rest_of_zone(), before, "{when}");
                } else {
                    assert_eq!(without_check_ids(stage.rest_of_zone()), planned, "{when}");
                    let writer = stage.writer().await;
                    writer.rollback(None, true).await.unwrap().expect("it stands");
                    assert_eq!(stage.rest_of_zone(), before, "{when}, and back");
                }
                if !stopped {
                    break;
                }
            }
        }
    }
    assert!(points > 40, "only {points} points were covered");
    println!("crash points of apply: {points}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollback_stopped_at_any_call_ends_as_before() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let mut points = 0;
    for then in [Then::Resume, Then::Rollback] {
        for after in [false, true] {
            for stop_at in 1..CALLS_MAX {
                let when = format!(
                    "rollback stopped {} call {stop_at}, {then:?}",
                    if after { "after" } else { "before" }
                );
                let plan = stage.plan().await;
                stage.writer().await.write(plan.clone(), true).await.unwrap();
                let view = stage.view().await;
                let back = view.ground(stage.setup.now_ms()).rollback(&plan);
                let cleared = stage.cleared(&back).await.unwrap();
                let zone = Stopping::new(&stage.zone, stop_at, after);
                let mut applier = stage.applier(&zone, &stage.journal_path());
                let stopped = zone.run(applier.apply(&cleared)).await.is_none();
                drop(applier);
                if stopped {
                    points += 1;
                    recover(&stage, then, &when).await;
                }
                assert_eq!(stage.rest_of_zone(), before, "{when}");
                stage.assert_no_stray_checks(&when).await;
                if !stopped {
                    break;
                }
            }
        }
    }
    assert!(points > 20, "only {points} points were covered");
    println!("crash points of rollback: {points}");
}

/// An operation that drift ends is stopped while it cleans up after itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn giving_up_can_be_stopped_at_any_call_too() {
    let stage = Stage::start().await;
    let mut points = 0;
    for then in [Then::Resume, Then::Rollback] {
        for after in [false, true] {
            for stop_at in 1..CALLS_MAX {
                let when =
                    format!("giving up, stopped at call {stop_at} (after: {after}), {then:?}");
                let cleared = stage.cleared(&stage.plan().await).await.unwrap();
                let added = foreign_label(&stage);
                change(&stage, Action::Create, added.clone());
                let drifted = stage.rest_of_zone();
                let zone = Stopping::new(&stage.zone, stop_at, after);
                let mut applier = stage.applier(&zone, &stage.journal_path());
                let done = zone.run(applier.apply(&cleared)).await;
                drop(applier);
                let writer = stage.writer().await;
                match (&done, then) {
                    (Some(ended), _) => assert!(ended.is_err(), "{when}"),
                    (None, Then::Resume) => {
                        let failure = writer.resume().await.unwrap_err();
                        assert_eq!(failure.exit, Exit::Drift, "{when}: {failure:?}");
                    }
                    (None, Then::Rollback) => {
                        assert_eq!(writer.rollback(None, true).await.unwrap(), None, "{when}");
                    }
                }
                assert_eq!(stage.rest_of_zone(), drifted, "{when}");
                stage.assert_no_stray_checks(&when).await;
                change(&stage, Action::Delete, added);
                if done.is_some() {
                    break;
                }
                points += 1;
            }
        }
    }
    assert!(points > 40, "only {points} points were covered");
    println!("crash points of giving up: {points}");
}
