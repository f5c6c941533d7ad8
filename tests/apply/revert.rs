//! A change that turns out wrong once it is made takes itself back.

use std::time::Duration;

use advisor::journal::{Ending, Journal};
use lab::scenario::{ConnectionFault, Faults};
use nearside::failure::{Exit, Failure};

use crate::stage::{MOVED, Stage, quick};

/// Applies a plan and breaks an endpoint as soon as the plan's records stand.
async fn broken_after_writing(stage: &Stage, region: &str, broken: Faults) -> Failure {
    let plan = stage.plan().await;
    let before = stage.rest_of_zone();
    let writer = stage.writer().await;
    let (written, ()) = tokio::join!(writer.write(plan, true), async {
        while stage.rest_of_zone() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stage.lab.endpoint_faults(region).unwrap().set(broken).unwrap();
    });
    written.unwrap_err()
}

fn slow_to_sync() -> lab::route53::Options {
    let mut options = quick();
    options.insync_delay = Duration::from_millis(400);
    options
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_breaks_after_the_change_takes_it_back() {
    for broken in [
        Faults { connections: ConnectionFault::Refuse, ..Faults::default() },
        Faults { connections: ConnectionFault::Reset, ..Faults::default() },
        Faults { fail_share: 1.0, ..Faults::default() },
    ] {
        let stage = Stage::start_with(slow_to_sync()).await;
        let before = stage.rest_of_zone();
        let failure = broken_after_writing(&stage, MOVED.1, broken.clone()).await;
        assert_eq!(failure.exit, Exit::Reverted, "{broken:?}: {failure:?}");
        assert!(failure.message.starts_with("applied, and taken back: "), "{failure:?}");
        assert_eq!(stage.rest_of_zone(), before, "{broken:?}");
        stage.assert_no_stray_checks("reverted").await;
        let journal = Journal::open(&stage.journal_path()).unwrap();
        let endings: Vec<_> = journal.operations().iter().map(|o| o.ending.clone()).collect();
        assert!(
            matches!(endings[..], [Some(Ending::Unverified(_)), Some(Ending::Applied)]),
            "{endings:?}"
        );
        drop(journal);
        assert_eq!(stage.writer().await.rollback(None, true).await.unwrap(), None);
    }
}

/// It answers as wrongly before as after: the zone is restored all the same, and the code says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_is_broken_either_way_does_not_hide_the_revert() {
    let stage = Stage::start_with(slow_to_sync()).await;
    let before = stage.rest_of_zone();
    let broken = Faults { connections: ConnectionFault::Refuse, ..Faults::default() };
    let failure = broken_after_writing(&stage, "us-east-1", broken).await;
    assert_eq!(failure.exit, Exit::Reverted, "{failure:?}");
    assert_eq!(stage.rest_of_zone(), before);
    stage.assert_no_stray_checks("reverted").await;
}

/// The window begins between writing and verifying: taking back is never frozen.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_freeze_does_not_keep_a_wrong_change_in_place() {
    let mut stage = Stage::start_with(slow_to_sync()).await;
    let before = stage.rest_of_zone();
    stage.writer().await.write(stage.plan().await, true).await.unwrap();
    let now_ms = stage.setup.now_ms();
    let freeze = probe::config::Freeze { start_ms: now_ms - 1_000, end_ms: now_ms + 60_000 };
    stage.setup.config.guard.freeze = vec![freeze];
    let frozen =
        stage.writer().await.write(stage.plan_to("eu-west-1", "us-east-1").await, true).await;
    assert_eq!(frozen.unwrap_err().exit, Exit::Refused);
    stage.writer().await.rollback(None, true).await.unwrap().expect("it stands");
    assert_eq!(stage.rest_of_zone(), before);
}
