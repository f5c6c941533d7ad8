//! `advisor plan`: decide, and write the exact record changes to a plan file.

use std::io::Write as _;
use std::path::Path;

use advisor::emit::{Dialect, emit};
use advisor::plan::Plan;
use serde_json::{Value, json};

use crate::cli::{EmitArg, PlanArgs};
use crate::command::regret::survey;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show;
use crate::show::weights::{weights_json, weights_text};
use crate::terminal::Terminal;

/// What is said beside octoDNS' configuration.
const NO_LATENCY: &str = "note: octoDNS has no latency records: what is emitted makes it leave these names alone, and \
     `advisor apply` writes them";

/// Decides and writes the plan, if there is anything to do.
pub async fn run(setup: &Setup, terminal: Terminal, args: &PlanArgs) -> Result<(), Failure> {
    let survey = survey(setup).await?;
    let advice = survey.advise(&setup.config);
    let plan = survey.plan(&setup.config, &advice, setup.now_ms());
    let reasons = show::regret::RegretView::new(&survey, &advice, &setup.config);
    let lints = show::lint::lints(&survey, &setup.config);
    let weighing = setup.config.stateless.then(|| survey.weigh(&setup.config, &advice));
    let weights = weighing.as_ref().map(weights_text).unwrap_or_default();
    let notes = format!("{weights}{}", show::lint::lint_text(&lints));
    let mut document =
        json!({"advice": reasons.advice_json(), "notes": show::lint::lint_json(&lints)});
    document["weights"] = json!(weighing.as_ref().map(weights_json));
    let text = if plan.is_empty() {
        document["plan"] = Value::Null;
        format!("{}{notes}nothing to do\n", reasons.advice_text())
    } else {
        write_plan(&plan, &args.out)?;
        let out = args.out.display().to_string();
        document["plan"] = json!({
            "id": plan.id(), "hash": plan.hash(), "changes": plan.changes.len(), "file": out,
        });
        document["document"] = json!(plan);
        format!(
            "{}{notes}{}written to {out}; `advisor apply {out}` applies it\n",
            reasons.advice_text(),
            show::plan_text(&plan)
        )
    };
    let Some(tool) = args.emit else { return terminal.result(&text, &document) };
    // The records alone go to stdout, so that they can be piped; an empty plan's are those that stand.
    terminal.say(text.trim_end());
    if tool == EmitArg::Octodns {
        terminal.say(NO_LATENCY);
    }
    let records = emit(&plan, dialect(tool));
    document["emitted"] = json!(records);
    terminal.result(&records, &document)
}

fn dialect(tool: EmitArg) -> Dialect {
    match tool {
        EmitArg::Terraform => Dialect::Terraform,
        EmitArg::Cloudformation => Dialect::CloudFormation,
        EmitArg::Octodns => Dialect::OctoDns,
    }
}

/// Writes a plan file whole or not at all.
pub fn write_plan(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let failure = |cause: String| {
        Failure::new(Exit::Failed, format!("cannot write plan {}: {cause}", path.display()))
    };
    let text = plan.to_json().map_err(|error| failure(error.to_string()))?;
    let beside = path.with_extension("json.new");
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|error| failure(error.to_string()))
}
