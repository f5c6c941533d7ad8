//! The client of Route 53 against a Route 53 that misbehaves: errors by what must be done about
//! them, paging, and what is never repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use advisor::record::{Action, Change, ChangeBatch, RecordSet};
use advisor::zone::{ChangeId, HealthCheckSpec, Zone as _, ZoneError};
use aws::{Access, Route53Zone};
use lab::route53::faults::Fault;
use lab::route53::operation::Operation;

use crate::stage::Stage;

fn batch(stage: &Stage, labels: impl Iterator<Item = usize>) -> ChangeBatch {
    let set =
        |number| RecordSet::txt(stage.service().child(&format!("n{number}")), 60, "v=1 number");
    let create = |set| Change { action: Action::Create, resource_record_set: set };
    ChangeBatch { comment: String::new(), changes: labels.map(set).map(create).collect() }
}

/// What an error asks of the caller, in a word.
fn kind<T: std::fmt::Debug>(done: Result<T, ZoneError>) -> &'static str {
    match done.unwrap_err() {
        ZoneError::Missing(_) => "missing",
        ZoneError::Refused { .. } => "refused",
        ZoneError::Busy(_) => "busy",
        ZoneError::Denied(_) => "denied",
        ZoneError::Unsettled(_) => "unsettled",
        ZoneError::Failed(_) => "failed",
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_sent_once_and_its_failure_says_what_to_do() {
    let stage = Stage::start().await;
    let faults = stage.lab.route53().faults();
    let operation = Operation::ChangeResourceRecordSets;
    for (number, (fault, expected, taken)) in [
        (Fault::Throttling, "busy", false),
        (Fault::PriorRequestNotComplete, "busy", false),
        (Fault::ServiceUnavailable, "busy", false),
        (Fault::InternalFailure, "unsettled", false),
        (Fault::DropBefore, "unsettled", false),
        (Fault::DropAfter, "unsettled", true),
    ]
    .into_iter()
    .enumerate()
    {
        let calls = faults.calls(operation);
        faults.push(operation, fault);
        assert_eq!(
            kind(stage.zone.change(&batch(&stage, number..=number)).await),
            expected,
            "{fault:?}"
        );
        assert_eq!(faults.calls(operation), calls + 1, "{fault:?}: never repeated");
        let sets = stage.zone.record_sets(&stage.service().child(&format!("n{number}"))).await;
        assert_eq!(!sets.unwrap().is_empty(), taken, "{fault:?}");
    }
    let twice = batch(&stage, [5, 5].into_iter());
    assert_eq!(kind(stage.zone.change(&twice).await), "refused");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reply_that_does_not_come_is_not_waited_for_without_end() {
    let stage = Stage::start().await;
    let faults = stage.lab.route53().faults();
    faults.push(Operation::ChangeResourceRecordSets, Fault::Delay(Duration::from_secs(40)));
    let batch = batch(&stage, 0..1);
    let call = tokio::time::timeout(Duration::from_secs(15), stage.zone.change(&batch)).await;
    assert_eq!(kind(call.expect("it ends by itself")), "unsettled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_repeated_and_end() {
    let stage = Stage::start().await;
    let faults = stage.lab.route53().faults();
    let operation = Operation::ListResourceRecordSets;
    for fault in [Fault::Throttling, Fault::InternalFailure, Fault::DropBefore, Fault::DropAfter] {
        faults.push(operation, fault);
        assert_eq!(stage.zone.record_sets(&stage.service()).await.unwrap().len(), 16, "{fault:?}");
    }
    for _ in 0..10 {
        faults.push(operation, Fault::Throttling);
    }
    assert_eq!(kind(stage.zone.record_sets(&stage.service()).await), "busy");
    faults.clear();
    let unknown = ChangeId("C0000000000000".into());
    assert_eq!(kind(stage.zone.change_status(&unknown).await), "refused");
    let no_check = "00000000-0000-4000-8000-000000000000";
    assert_eq!(kind(stage.zone.observations(no_check).await), "refused");
    stage.zone.delete_health_check(no_check).await.expect("gone is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_lists_are_read_to_their_end() {
    let stage = Stage::start().await;
    stage.zone.change(&batch(&stage, 0..700)).await.unwrap();
    let service = stage.service();
    let sets = stage.zone.record_sets(&service).await.unwrap();
    let keys: BTreeSet<String> = sets.iter().map(|set| format!("{:?}", set.key())).collect();
    assert_eq!((sets.len(), keys.len()), (716, 716));
    let mut made = BTreeMap::new();
    for number in 0..120 {
        let spec = HealthCheckSpec {
            caller_reference: format!("nearside-paging-{number}"),
            endpoint: "eu-west-1".into(),
            https: true,
            host: "eu.example.com".into(),
            port: 443,
            path: "/health".into(),
        };
        let id = stage.zone.ensure_health_check(&spec).await.unwrap();
        assert_eq!(stage.zone.ensure_health_check(&spec).await.unwrap(), id, "found, not made");
        made.insert(id, spec.caller_reference);
    }
    let listed = stage.zone.health_checks("nearside-paging-").await.unwrap();
    let listed = listed.into_iter().map(|check| (check.id, check.caller_reference)).collect();
    assert_eq!(made, listed);
    assert!(stage.zone.health_checks("nearside-paging-1-").await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_is_not_there_is_missing_and_a_dead_service_fails_in_time() {
    let stage = Stage::start().await;
    let access = stage.setup.access.clone();
    for zone in ["other.test", "Z00000000000000000000", "test"] {
        assert_eq!(kind(Route53Zone::open(zone, &access).await), "missing", "{zone}");
    }
    assert!(Route53Zone::open(&stage.lab.facts().hosted_zone_id, &access).await.is_ok());
    let nobody = Access { endpoint_url: Some("http://127.0.0.1:1".into()), ..access };
    let open = tokio::time::timeout(Duration::from_secs(35), Route53Zone::open("a.test", &nobody));
    assert_eq!(kind(open.await.expect("it ends by itself")), "failed");
}
