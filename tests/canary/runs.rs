//! One canary that is promoted, and one whose new arm dies.

use std::time::Duration;

use advisor::canary::SAMPLES_MIN;
use advisor::name::Label;
use advisor::topology::{Shape, Shares};
use lab::cloudwatch::Operation;
use lab::scenario::Faults;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{MOVED, Stage, finish, within};

/// What a canary says that was ended by a signal.
const SIGNAL: &str = "a signal ended it";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_worse_is_promoted_and_can_be_rolled_back() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let (plan, file) = stage.plan().await;
    let pace = ["10,50,100", "--observe", "20s", "--every", "400ms"];
    let ended = finish(stage.canary(&file, &pace)).await;
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("canary by 10 %, 50 %, 100 %"), "{}", ended.stderr);
    assert!(ended.stderr.contains("at least 342 samples an arm"), "{}", ended.stderr);
    let document = ended.json();
    let canary = &document["canary"];
    assert_eq!(
        (canary["ending"].as_str(), canary["plan"].as_str()),
        (Some("promoted"), Some(&*plan.id()))
    );
    let observed =
        canary["steps"].as_array().unwrap().iter().filter(|step| step["verdict"].is_string());
    let observed: Vec<_> = observed.collect();
    assert_eq!(observed.len(), 2, "{canary}");
    for step in &observed {
        assert_eq!(step["verdict"], "promote");
        assert!(step["samples"].as_u64().unwrap() >= SAMPLES_MIN, "{step}");
    }
    println!("promoted: {}", canary["steps"]);
    let topology = stage.view().await.ground(0).topology().unwrap();
    let Shape::Wrapped(arms) = topology.shape else { panic!("the wrapper is kept") };
    let arm = arms.values().next().unwrap();
    assert_eq!((arms.len(), arm.weight, &arm.brake), (1, 100, &None));
    for (label, endpoint) in &plan.labels {
        assert_eq!(arm.tree[&Label::new(label)], Shares::one(endpoint));
    }
    assert!((stage.share_of_new().await - 1.0).abs() < 1e-9);
    stage.assert_no_stray_checks().await;
    assert_eq!(stage.lab.cloudwatch().faults().calls(Operation::DeleteAlarms), 1);
    let history = stage.run(&["history"]).await;
    assert_eq!(history.stdout.matches(&format!("canary of {}", plan.id())).count(), 4);
    let back = stage.run(&["rollback", &plan.id(), "--yes"]).await;
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert_eq!(stage.rest_of_zone(), before);
    stage.assert_no_stray_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_arm_that_dies_is_taken_back_within_half_a_minute() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let (_, file) = stage.plan().await;
    let child = stage.canary(&file, &["50,100", "--observe", "10m", "--every", "1s"]);
    stage.until_percent(50).await;
    // In sync, the old answers expired, and figures of its Region read.
    tokio::time::sleep(Duration::from_secs(25)).await;
    let share = stage.share_of_new().await;
    assert!((0.2..=0.8).contains(&share), "{share} of the answers are the new arm's");
    // The API answers no more; its health checks pass, so that DNS alone would not leave it.
    let dead = Faults { extra_ms: 60_000.0, ..Faults::default() };
    stage.lab.endpoint_faults(MOVED.1).unwrap().set(dead).unwrap();
    let restored = within(Duration::from_mins(1), || stage.rest_of_zone() == before).await;
    let ended = finish(child).await;
    let took = restored.unwrap_or_else(|| panic!("not taken back: {}", ended.stderr));
    println!("all requests of the new arm fail: the old records stood again after {took:?}");
    assert!(took <= Duration::from_secs(30), "{took:?}");
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert_eq!(ended.json()["canary"]["ending"], "reverted");
    assert!(ended.stderr.contains("taking it back"), "{}", ended.stderr);
    assert!(stage.share_of_new().await.abs() < 1e-9);
    stage.assert_no_stray_checks().await;
    assert_eq!(stage.run(&["rollback", "--yes"]).await.stdout, "nothing to roll back\n");
}

/// Ends a canary by SIGTERM this long after half of the traffic is on the new arm, and says how long
/// it took until the old records stood again.
async fn ended_at_half(after: Duration) -> Duration {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let (_, file) = stage.plan().await;
    let child = stage.canary(&file, &["50,100", "--observe", "10m"]);
    stage.until_percent(50).await;
    tokio::time::sleep(after).await;
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
    let restored = within(Duration::from_mins(1), || stage.rest_of_zone() == before).await;
    let ended = finish(child).await;
    let took = restored.unwrap_or_else(|| panic!("not taken back: {}", ended.stderr));
    assert_eq!(ended.code, Some(5), "{}", ended.stderr);
    assert!(ended.stderr.contains("a signal ended it; taking it back"), "{}", ended.stderr);
    let canary = &ended.json()["canary"];
    assert_eq!((&canary["ending"], &canary["cause"]), (&"reverted".into(), &SIGNAL.into()));
    assert!(stage.share_of_new().await.abs() < 1e-9);
    stage.assert_no_stray_checks().await;
    assert_eq!(stage.lab.cloudwatch().faults().calls(Operation::DeleteAlarms), 1);
    assert_eq!(stage.run(&["rollback", "--yes"]).await.stdout, "nothing to roll back\n");
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_it_is_observed_takes_it_back() {
    let took = ended_at_half(Duration::from_secs(20)).await;
    println!("SIGTERM at 50 %: the old records stood again after {took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_while_it_is_written_lets_that_end_and_takes_it_back() {
    let took = ended_at_half(Duration::ZERO).await;
    println!("SIGTERM at 50 %: the old records stood again after {took:?}");
}
