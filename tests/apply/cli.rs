//! The binary itself: killed in the middle, and two of it at once.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use advisor::journal::Journal;
use advisor::plan::Plan;

use crate::stage::Stage;

pub(crate) fn advisor(stage: &Stage, store: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
    let store = stage.dir.path().join(store);
    command
        .arg("--config")
        .arg(&stage.lab.facts().config)
        .arg("--store")
        .arg(format!("sqlite:{}", store.display()))
        .env_clear()
        .env("AWS_ENDPOINT_URL_ROUTE_53", &stage.lab.facts().route53)
        .env("AWS_ENDPOINT_URL_API_GATEWAY", &stage.lab.facts().apigateway)
        .env("AWS_ENDPOINT_URL_APIGATEWAYV2", &stage.lab.facts().apigateway)
        .env("AWS_ACCESS_KEY_ID", "AKIDLAB")
        .env("AWS_SECRET_ACCESS_KEY", "very-secret")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn write_plan(stage: &Stage, plan: &Plan) -> PathBuf {
    let path = stage.dir.path().join(format!("plan-{}.json", plan.id()));
    std::fs::write(&path, plan.to_json().unwrap()).unwrap();
    path
}

pub(crate) async fn finish(child: std::process::Child) -> (Option<i32>, String) {
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(!stderr.contains("very-secret"), "{stderr}");
    (output.status.code(), stderr)
}

fn apply(stage: &Stage, store: &str, plan: &Path) -> std::process::Child {
    advisor(stage, store).arg("apply").arg(plan).arg("--yes").spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_resumes_or_rolls_back() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let mut interrupted = 0;
    for (round, delay_ms) in
        [20, 40, 60, 90, 120, 160, 200, 260, 330, 450, 700, 1_100].iter().enumerate()
    {
        let when = format!("killed after {delay_ms} ms");
        let plan = write_plan(&stage, &stage.plan().await);
        let mut child = apply(&stage, "nearside.sqlite", &plan);
        tokio::time::sleep(Duration::from_millis(*delay_ms)).await;
        child.kill().unwrap();
        finish(child).await;
        let path = stage.journal_path();
        let unfinished = Journal::open(&path).unwrap().unfinished().is_some();
        interrupted += u32::from(unfinished);
        if round % 2 == 0 && unfinished {
            let resume =
                advisor(&stage, "nearside.sqlite").args(["apply", "--resume", "--yes"]).spawn();
            let (code, stderr) = finish(resume.unwrap()).await;
            assert_eq!(code, Some(0), "{when}: {stderr}");
            assert_ne!(stage.rest_of_zone(), before, "{when}");
            stage.assert_no_stray_checks(&when).await;
        }
        let rollback = advisor(&stage, "nearside.sqlite").args(["rollback", "--yes"]).spawn();
        let (code, stderr) = finish(rollback.unwrap()).await;
        assert_eq!(code, Some(0), "{when}: {stderr}");
        assert_eq!(stage.rest_of_zone(), before, "{when}");
        stage.assert_no_stray_checks(&when).await;
        assert!(Journal::open(&path).unwrap().unfinished().is_none(), "{when}");
    }
    println!("killed: 12 times, {interrupted} of them in the middle of an operation");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_binaries_one_ends_with_drift() {
    let stage = Stage::start().await;
    let plans = [stage.plan().await, stage.plan_to("eu-west-1", "us-east-1").await];
    let files = [write_plan(&stage, &plans[0]), write_plan(&stage, &plans[1])];
    let first = apply(&stage, "one.sqlite", &files[0]);
    let second = apply(&stage, "two.sqlite", &files[1]);
    let (first, second) = tokio::join!(finish(first), finish(second));
    let mut codes = [first.0, second.0];
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(4)], "{} {}", first.1, second.1);
    let winner = if first.0 == Some(0) { &plans[0] } else { &plans[1] };
    let live = stage.view().await.live().unwrap().labels;
    for (label, endpoint) in live {
        assert_eq!(winner.labels[label.as_str()], endpoint);
    }
    stage.assert_no_stray_checks("after the race").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_plan_is_unusable() {
    let stage = Stage::start().await;
    let path = write_plan(&stage, &stage.plan().await);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("ap-south-1", "eu-west-1", 1)).unwrap();
    let (code, stderr) = finish(apply(&stage, "nearside.sqlite", &path)).await;
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("was edited") && stderr.contains("hint: "), "{stderr}");
}
