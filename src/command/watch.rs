//! `advisor watch`: the loop of survey, advice and plan, one JSON line a cycle.
//!
//! What has begun to be written comes to its end, within the bounds of applying; only then is a signal
//! obeyed. Everything else stops at once.

use advisor::advice::{Advice, Basis};
use advisor::plan::Plan;
use advisor::survey::Survey;
use advisor::watch::{WatchRule, hold};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::cli::WatchArgs;
use crate::command::apply::Writer;
use crate::command::regret::survey;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show;
use crate::terminal::Terminal;

/// Watches until SIGINT or SIGTERM.
pub async fn run(setup: &Setup, terminal: Terminal, args: &WatchArgs) -> Result<(), Failure> {
    if args.interval.is_zero() {
        let failure = Failure::new(Exit::Usage, "--interval 0s: the loop needs a pause");
        return Err(failure.hint("write it like 15m"));
    }
    let rule = WatchRule {
        applies: args.apply,
        changes_a_day: args.changes_a_day,
        allow_cloud_only: setup.config.guard.allow_cloud_only,
    };
    let mut stop = listen()?;
    for cycle in 1_u64.. {
        let decided = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            decided = decide(setup) => decided,
        };
        let mut line = json!({"cycle": cycle, "at_ms": setup.now_ms()});
        let ended = end(setup, terminal, decided, &rule).await?;
        merge(&mut line, ended);
        Terminal::line(&line)?;
        tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            () = tokio::time::sleep(args.interval) => {}
        }
    }
    terminal.say("stopped; nothing is half done");
    Ok(())
}

/// Tells when the process was asked to end: from now on a signal is kept until somebody looks.
pub(super) fn listen() -> Result<watch::Receiver<bool>, Failure> {
    let refused = |error| Failure::new(Exit::Failed, format!("cannot listen for signals: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let (say, heard) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        // Nobody listens any more once the loop has ended.
        let _ = say.send(true);
    });
    Ok(heard)
}

async fn decide(setup: &Setup) -> Result<(Survey, Advice, Plan), Failure> {
    let survey = survey(setup).await?;
    let advice = survey.advise(&setup.config);
    let plan = survey.plan(&setup.config, &advice, setup.now_ms());
    Ok((survey, advice, plan))
}

/// The rest of a cycle's line. A failure is told there and the loop goes on, except for one that will
/// be the same next time: a broken configuration.
async fn end(
    setup: &Setup,
    terminal: Terminal,
    decided: Result<(Survey, Advice, Plan), Failure>,
    rule: &WatchRule,
) -> Result<Value, Failure> {
    let (survey, advice, plan) = match decided {
        Ok(decided) => decided,
        Err(failure) if failure.exit == Exit::Usage => return Err(failure),
        Err(failure) => return Ok(failed(&failure)),
    };
    let mut line = json!({
        "preferred": survey.preference.as_str(),
        "labels": advice.labels.iter().map(|line| json!({
            "label": line.label.to_string(),
            "endpoint": line.current,
            "advised": line.advised,
            "reason": line.reason.code(),
        })).collect::<Vec<_>>(),
        "sets": show::regret::heard::sets_json(&advice),
    });
    if plan.is_empty() {
        merge(&mut line, json!({"plan": null, "outcome": "nothing_to_do"}));
        return Ok(line);
    }
    let changes = plan.changes.len();
    merge(&mut line, json!({"plan": {"id": plan.id(), "changes": changes, "moves": plan.moves}}));
    let operations = setup.operations()?;
    let ended = match hold(advice.basis == Basis::Cloud, &operations, rule, setup.now_ms()) {
        Some(hold) => json!({"outcome": "planned", "cause": hold.to_string()}),
        None => match write(setup, terminal, plan).await {
            Ok(applied) => json!({"outcome": "applied", "operation": applied}),
            Err(failure) => failed(&failure),
        },
    };
    merge(&mut line, ended);
    Ok(line)
}

async fn write(setup: &Setup, terminal: Terminal, plan: Plan) -> Result<Value, Failure> {
    let outcome = Writer::open(setup, terminal).await?.write(plan, true).await?;
    Ok(show::outcome_json(&outcome))
}

fn failed(failure: &Failure) -> Value {
    let outcome = match failure.exit {
        Exit::Refused => "refused",
        Exit::Drift => "drift",
        Exit::Reverted => "reverted",
        Exit::Failed | Exit::Usage | Exit::Breached => "failed",
    };
    json!({"outcome": outcome, "cause": failure.message, "hint": failure.hint})
}

/// Puts the members of one object into another.
fn merge(line: &mut Value, more: Value) {
    if let (Value::Object(line), Value::Object(more)) = (line, more) {
        line.extend(more);
    }
}
