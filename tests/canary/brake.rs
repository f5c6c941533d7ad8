//! What happens without the advisor, and without an API: the data plane alone brings traffic back.

use std::time::Duration;

use lab::route53::faults::Fault;
use lab::route53::operation::Operation;
use lab::scenario::Faults;
use probe::clock::{Clock as _, SystemClock};

use crate::stage::{MOVED, Stage, finish};

/// Every answer is the old arm's: how long it took.
async fn back_on_old(stage: &Stage, limit: Duration) -> Duration {
    let began = SystemClock.now();
    loop {
        let share = stage.share_of_new().await;
        let took = SystemClock.now() - began;
        if share.abs() < 1e-9 {
            return took;
        }
        assert!(took < limit, "{share} of the answers are the new arm's after {took:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Starts a canary, waits until half of the traffic is on the new arm, and kills it.
async fn killed_at_half(stage: &Stage, pace: &[&str]) {
    let (_, file) = stage.plan().await;
    let mut child = stage.canary(&file, pace);
    stage.until_percent(50).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let share = stage.share_of_new().await;
    child.kill().unwrap();
    let ended = finish(child).await;
    assert!((0.2..=0.8).contains(&share), "{share} of the answers: {}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_half_dns_alone_goes_back_and_rollback_restores() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    killed_at_half(&stage, &["50,100", "--observe", "10m"]).await;
    let took = back_on_old(&stage, Duration::from_secs(130)).await;
    println!("killed at 50 %: every answer was the old arm's after {took:?}");
    assert_eq!(stage.percent(), Some(50), "nobody changed a record");
    let back = stage.run(&["rollback", "--yes"]).await;
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert_eq!(stage.rest_of_zone(), before);
    stage.assert_no_stray_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_half_it_resumes_to_what_was_planned() {
    let stage = Stage::start().await;
    killed_at_half(&stage, &["50,100", "--observe", "20s", "--every", "400ms"]).await;
    stage.lab.cloudwatch().let_pass(Duration::from_mins(2));
    back_on_old(&stage, Duration::from_secs(5)).await;
    // Another plan has to wait.
    let refused = stage.run(&["plan"]).await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("has two arms"), "{}", refused.stderr);
    let resumed = stage.run(&["apply", "--resume", "--yes", "--json"]).await;
    assert_eq!(resumed.code, Some(0), "{}", resumed.stderr);
    assert_eq!(resumed.json()["canary"]["ending"], "promoted");
    assert!((stage.share_of_new().await - 1.0).abs() < 1e-9);
    stage.assert_no_stray_checks().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_that_refuses_for_an_hour_leaves_no_traffic_on_the_new_arm() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let (_, file) = stage.plan().await;
    let child = stage.canary(&file, &["50,100", "--observe", "10m"]);
    stage.until_percent(50).await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let route53 = stage.lab.route53().faults();
    route53.stand(Operation::ChangeResourceRecordSets, Fault::ServiceUnavailable);
    let dead = Faults { extra_ms: 60_000.0, ..Faults::default() };
    stage.lab.endpoint_faults(MOVED.1).unwrap().set(dead).unwrap();
    // Seconds for the verdict, then at most two minutes for the brake.
    let took = back_on_old(&stage, Duration::from_secs(160)).await;
    println!("the API refuses: every answer was the old arm's {took:?} after the new one died");
    for minute in 1..=60 {
        stage.lab.cloudwatch().let_pass(Duration::from_mins(1));
        tokio::time::sleep(Duration::from_millis(300)).await;
        let share = stage.share_of_new().await;
        assert!(share.abs() < 1e-9, "minute {minute}: {share}");
    }
    let ended = finish(child).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    assert!(ended.stderr.contains("Its brake is pulled"), "{}", ended.stderr);
    assert_eq!(stage.percent(), Some(50), "the API took nothing");
    route53.clear();
    let back = stage.run(&["rollback", "--yes"]).await;
    assert_eq!(back.code, Some(0), "{}", back.stderr);
    assert_eq!(stage.rest_of_zone(), before);
    stage.assert_no_stray_checks().await;
}
