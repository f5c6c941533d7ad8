//! Calls that Route 53 refuses, delays, or answers into the void.

use advisor::journal::Ending;
use lab::route53::faults::Fault;
use lab::route53::operation::Operation;
use nearside::failure::Exit;

use crate::stage::Stage;

const USED: [Operation; 8] = [
    Operation::ListResourceRecordSetProtections,
    Operation::ListResourceRecordSets,
    Operation::ListHealthChecks,
    Operation::CreateHealthCheck,
    Operation::GetHealthCheckStatus,
    Operation::ChangeResourceRecordSets,
    Operation::GetChange,
    Operation::ChangeTagsForResource,
];

/// One fault on one operation. The plan is applied once, whatever is lost on the way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_fault_on_any_operation_is_survived() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let faults = stage.lab.route53().faults();
    let writer = stage.writer().await;
    let mut survived = 0;
    for operation in USED.into_iter().chain([Operation::DeleteHealthCheck]) {
        for fault in [
            Fault::Throttling,
            Fault::PriorRequestNotComplete,
            Fault::InternalFailure,
            Fault::ServiceUnavailable,
            Fault::DropBefore,
            Fault::DropAfter,
        ] {
            let when = format!("{fault:?} on {operation}");
            let plan = stage.plan().await;
            faults.push(operation, fault);
            let outcome =
                writer.write(plan.clone(), true).await.unwrap_or_else(|e| panic!("{when}: {e:?}"));
            assert_eq!(outcome.ending, Ending::Applied, "{when}");
            let lock = format!("_nearside-lock.{}", plan.service);
            let all = stage.lab.route53().record_sets(&stage.lab.facts().hosted_zone_id).unwrap();
            let locks = all.iter().filter(|set| set.name.to_string().starts_with(&lock)).count();
            assert_eq!(locks, 1, "{when}");
            assert!(
                format!("{all:?}").contains(&format!("generation={} ", plan.generation)),
                "{when}: applied once"
            );
            if operation == Operation::DeleteHealthCheck {
                writer.rollback(None, true).await.unwrap().unwrap();
            } else {
                faults.clear();
                stage.assert_no_stray_checks(&when).await;
                writer.rollback(None, true).await.unwrap().unwrap();
            }
            assert_eq!(stage.rest_of_zone(), before, "{when}");
            stage.assert_no_stray_checks(&when).await;
            survived += 1;
        }
    }
    println!("single faults survived: {survived}");
}

/// A service that never comes back ends the attempt within its patience, and nothing is lost.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_faults_end_in_time_and_resume_goes_on() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let faults = stage.lab.route53().faults();
    for fault in [
        Fault::Throttling,
        Fault::PriorRequestNotComplete,
        Fault::InternalFailure,
        Fault::DropBefore,
    ] {
        let writer = stage.writer().await;
        let plan = stage.plan().await;
        for _ in 0..900 {
            faults.push(Operation::ChangeResourceRecordSets, fault);
        }
        let attempt = writer.write(plan, true);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), attempt).await;
        let failure = ended.unwrap_or_else(|_| panic!("{fault:?}: no end")).unwrap_err();
        assert_eq!(failure.exit, Exit::Failed, "{fault:?}: {failure:?}");
        assert!(failure.hint.is_some(), "{failure:?}");
        assert_eq!(stage.rest_of_zone(), before, "{fault:?}");
        faults.clear();
        let second = writer.write(stage.plan().await, true).await.unwrap_err();
        assert_eq!(
            second.exit,
            Exit::Refused,
            "an unfinished operation stands in the way: {second:?}"
        );
        let outcome = writer.resume().await.unwrap();
        assert_eq!(outcome.ending, Ending::Applied);
        writer.rollback(None, true).await.unwrap().unwrap();
        assert_eq!(stage.rest_of_zone(), before, "{fault:?}");
        stage.assert_no_stray_checks(&format!("{fault:?}")).await;
    }
}

/// An endpoint whose health check never succeeds: nothing is written, and planning again works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unhealthy_endpoint_leaves_nothing_behind() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let mut applier = stage.applier(&stage.zone, &stage.journal_path());
    applier.patience.observed = std::time::Duration::from_millis(700);
    for _ in 0..2 {
        let cleared = stage.cleared(&stage.plan().await).await.unwrap();
        let faults = stage.lab.endpoint_faults("eu-west-1").unwrap();
        let mut failing = faults.get();
        failing.fail_share = 1.0;
        faults.set(failing).unwrap();
        let error = applier.apply(&cleared).await.unwrap_err();
        assert!(error.to_string().contains("eu-west-1 is not healthy"), "{error}");
        assert_eq!(stage.rest_of_zone(), before);
        stage.assert_no_stray_checks("unhealthy").await;
        faults.clear();
    }
    drop(applier);
    // The references of the deleted checks are burnt, and the generation has not risen.
    let outcome = stage.writer().await.write(stage.plan().await, true).await.unwrap();
    assert_eq!(outcome.ending, Ending::Applied);
}

/// A check that an earlier plan made sees its endpoint fail: the next plan to name it waits in vain.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_check_that_is_used_again_is_waited_for() {
    let stage = Stage::start().await;
    stage.writer().await.write(stage.plan().await, true).await.unwrap();
    let before = stage.rest_of_zone();
    let second = stage.plan_to("eu-west-1", "ap-south-1").await;
    let id = second.reused_health_checks["ap-south-1"].clone();
    assert!(second.health_checks.is_empty(), "every check is there");
    let cleared = stage.cleared(&second).await.unwrap();
    let faults = stage.lab.endpoint_faults("ap-south-1").unwrap();
    let mut failing = faults.get();
    failing.fail_share = 1.0;
    faults.set(failing).unwrap();
    let unhealthy = async {
        while stage.lab.route53().is_healthy(&id) {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), unhealthy).await.unwrap();
    let mut applier = stage.applier(&stage.zone, &stage.journal_path());
    applier.patience.observed = std::time::Duration::from_millis(700);
    let error = applier.apply(&cleared).await.unwrap_err();
    assert!(error.to_string().contains("ap-south-1 is not healthy"), "{error}");
    assert_eq!(stage.rest_of_zone(), before);
    stage.assert_no_stray_checks("unhealthy and used again").await;
}
