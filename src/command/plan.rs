//! `advisor plan`: decide, and write the exact record changes to a plan file.

use std::io::Write as _;
use std::path::Path;

use advisor::plan::Plan;
use serde_json::json;

use crate::cli::PlanArgs;
use crate::command::regret::survey;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show;
use crate::terminal::Terminal;

/// Decides and writes the plan, if there is anything to do.
pub async fn run(setup: &Setup, terminal: Terminal, args: &PlanArgs) -> Result<(), Failure> {
    let survey = survey(setup).await?;
    let advice = survey.advise(&setup.config);
    let plan = survey.plan(&setup.config, &advice, setup.now_ms());
    let reasons = show::regret::RegretView::new(&survey, &advice, &setup.config);
    if plan.is_empty() {
        let text = format!("{}nothing to do\n", reasons.advice_text());
        return terminal.result(&text, &json!({"plan": null, "advice": reasons.advice_json()}));
    }
    write_plan(&plan, &args.out)?;
    let out = args.out.display().to_string();
    let text = format!(
        "{}{}written to {out}; `advisor apply {out}` applies it\n",
        reasons.advice_text(),
        show::plan_text(&plan)
    );
    let summary =
        json!({"id": plan.id(), "hash": plan.hash(), "changes": plan.changes.len(), "file": out});
    let document = json!({"plan": summary, "document": plan, "advice": reasons.advice_json()});
    terminal.result(&text, &document)
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
