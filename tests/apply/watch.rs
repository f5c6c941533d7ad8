//! `advisor watch`, the binary: what it says each cycle, what it may write, and that a signal never leaves
//! anything half done.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout};
use std::time::Duration;

use advisor::journal::Journal;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use probe::sample::{Connection, Series};
use probe::store::{Grid, Store};
use probe::window::Window;
use serde_json::Value;

use crate::cli::{advisor, finish};
use crate::stage::{MOVED, Stage};

/// Blocks of made-up measurements: more than a verdict looks at.
const BLOCKS: i64 = 30;

/// Fills the store: each vantage is near the endpoint of its own Region, except that the one that the
/// tests move is slow, and another is not.
fn measured(stage: &Stage) {
    let config = &stage.setup.config;
    let mut store = Store::open(&stage.setup.store).unwrap();
    let grid = Grid::of(&config.evidence);
    store.set_grid(grid).unwrap();
    let until_ms = stage.setup.now_ms().div_euclid(grid.block_ms) * grid.block_ms;
    let mut windows = Vec::new();
    for vantage in &config.vantages {
        for endpoint in &config.endpoints {
            let ms = match (endpoint.id == vantage.id, vantage.id == MOVED.0) {
                (true, false) => 20,
                (true, true) => 250,
                (false, true) if endpoint.id == MOVED.1 => 60,
                _ => 220,
            };
            for connection in [Connection::Cold, Connection::Warm] {
                let (vantage, target) = (vantage.id.clone(), endpoint.id.clone());
                let series = Series { vantage, target, connection, path: String::new() };
                for block in 1..=BLOCKS {
                    let start_ms = until_ms - block * grid.block_ms;
                    let mut window = Window::new(series.clone(), start_ms, grid.window_ms);
                    for _ in 0..20 {
                        window.attempts += 1;
                        window.response.record(ms * 1_000);
                        window.service.record(ms * 1_000);
                        window.phases.connect.record(ms * 500);
                    }
                    windows.push(window);
                }
            }
        }
    }
    store.write(&windows).unwrap();
    store.close_open_blocks(until_ms).unwrap();
}

/// A stage whose preferred labels are asked, whose store is full, and a configuration that permits.
pub(crate) async fn stage(allow_cloud_only: bool) -> Stage {
    let stage = Stage::start().await;
    let view = stage.view().await;
    let live = view.live().unwrap();
    let shadow = view.ground(stage.setup.now_ms()).install_shadow(&live, live.labels.keys());
    stage.writer().await.write(shadow, true).await.unwrap();
    measured(&stage);
    let text = std::fs::read_to_string(&stage.lab.facts().config).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("max_traffic_moved"));
    let guard = format!("[guard]\nmax_traffic_moved = 1.0\nallow_cloud_only = {allow_cloud_only}");
    let lines = lines.map(|line| if line == "[guard]" { guard.as_str() } else { line });
    let text = lines.collect::<Vec<_>>().join("\n");
    std::fs::write(&stage.lab.facts().config, text).unwrap();
    stage
}

struct Watching {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Watching {
    fn start(stage: &Stage, more: &[&str]) -> Self {
        let mut command = advisor(stage, "nearside.sqlite");
        command.args(["watch", "--interval", "100ms"]).args(more);
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    fn line(&mut self) -> Value {
        let line = self.lines.next().unwrap().unwrap();
        serde_json::from_str(&line).unwrap()
    }

    /// Asks it to end, and says how it did.
    async fn end(self) -> (Option<i32>, String) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(20), finish(self.child)).await;
        ended.unwrap()
    }
}

fn routes(stage: &Stage) -> usize {
    let operations = Journal::read(&stage.journal_path()).unwrap();
    let is_route = |plan: &advisor::plan::Plan| plan.intent == advisor::plan::Intent::Route;
    operations.iter().filter(|operation| is_route(&operation.plan)).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_only_plans_unless_it_may_apply() {
    let stage = stage(false).await;
    let before = stage.rest_of_zone();
    for (more, cause) in [
        (&[][..], "plan only: --apply was not given"),
        (
            &["--apply"][..],
            "the advice rests on cloud evidence alone, and guard.allow_cloud_only is false",
        ),
    ] {
        let mut watching = Watching::start(&stage, more);
        for cycle in 1..=3 {
            let line = watching.line();
            assert_eq!(line["cycle"], cycle, "{line}");
            assert_eq!((&line["outcome"], &line["cause"]), (&"planned".into(), &cause.into()));
            assert_eq!(line["plan"]["moves"][0]["to"], MOVED.1, "{line}");
            assert_eq!(line["preferred"], "asked", "{line}");
        }
        let (code, stderr) = watching.end().await;
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(stage.rest_of_zone(), before);
        assert_eq!(routes(&stage), 0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_applies_within_the_days_ceiling() {
    let stage = stage(true).await;
    let before = stage.rest_of_zone();
    let mut watching = Watching::start(&stage, &["--apply"]);
    let line = watching.line();
    assert_eq!(line["outcome"], "applied", "{line}");
    assert_eq!(watching.line()["outcome"], "nothing_to_do");
    assert_ne!(stage.rest_of_zone(), before);
    // Somebody takes it back: the same evidence gives the same plan, and the day has had its change.
    stage.writer().await.rollback(None, true).await.unwrap().expect("it stands");
    let ceiling = "1 changes within 24 hours, and 1 are allowed";
    let held = (0..100).any(|_| watching.line()["cause"] == ceiling);
    assert!(held, "the ceiling is never told");
    let (code, stderr) = watching.end().await;
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stage.rest_of_zone(), before);
    assert_eq!(routes(&stage), 1);
    stage.assert_no_stray_checks("watched").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signal_leaves_nothing_half_done() {
    let stage = stage(true).await;
    let before = stage.rest_of_zone();
    let (mut told, mut applied) = (0, 0);
    for delay_ms in [4, 8, 12, 16, 24, 40, 200, 900] {
        let watching = Watching::start(&stage, &["--apply", "--changes-a-day", "1000"]);
        tokio::time::sleep(Duration::from_millis(delay_ms)).await;
        let (code, stderr) = watching.end().await;
        // Asked before it listens it ends by the signal; then it has not begun anything.
        assert!(code == Some(0) || code.is_none(), "{delay_ms}: {code:?} {stderr}");
        told += u32::from(stderr.contains("nothing is half done"));
        let operations = Journal::read(&stage.journal_path()).unwrap();
        assert!(operations.iter().all(|operation| operation.ending.is_some()), "{delay_ms}");
        stage.assert_no_stray_checks(&format!("stopped after {delay_ms} ms")).await;
        if stage.rest_of_zone() != before {
            applied += 1;
            stage.writer().await.rollback(None, true).await.unwrap().expect("it stands");
            assert_eq!(stage.rest_of_zone(), before, "{delay_ms}");
        }
    }
    println!("stopped 8 times, {told} of them by itself, {applied} with a change made");
    assert!(told > 0 && applied > 0, "{told} {applied}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cycle_that_fails_is_told_and_the_loop_goes_on() {
    let stage = stage(true).await;
    let faults = stage.lab.route53().faults();
    let operation = lab::route53::operation::Operation::ListResourceRecordSets;
    for _ in 0..40 {
        faults.push(operation, lab::route53::faults::Fault::Throttling);
    }
    let mut watching = Watching::start(&stage, &[]);
    let line = watching.line();
    assert_eq!(line["outcome"], "failed", "{line}");
    assert!(line["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{line}");
    faults.clear();
    let line = watching.line();
    assert_eq!(line["cycle"], 2, "{line}");
    assert_eq!(watching.line()["outcome"], "planned");
    let (code, stderr) = watching.end().await;
    assert_eq!(code, Some(0), "{stderr}");
}
