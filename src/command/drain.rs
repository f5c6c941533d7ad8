//! `advisor drain`: a plan that takes one Region out of answers, or puts it back.

use advisor::drain::{Knowledge, drain, restore};
use advisor::evidence::EvidenceRule;
use advisor::plan::{Intent, Plan};
use advisor::survey::Survey;
use serde_json::json;

use crate::cli::DrainArgs;
use crate::command::plan::write_plan;
use crate::command::regret::survey_or_zone;
use crate::failure::Failure;
use crate::setup::Setup;
use crate::show;
use crate::terminal::Terminal;

/// Writes the plan, if any label of the Region has to move.
pub async fn run(setup: &Setup, terminal: Terminal, args: &DrainArgs) -> Result<(), Failure> {
    let survey = survey(setup, terminal).await?;
    let plan = plan(setup, &survey, args)?;
    if plan.moves.is_empty() {
        let text = if args.back {
            format!(
                "nothing to do: no label still points where the drain of {} sent it\n",
                args.region
            )
        } else {
            format!("nothing to do: no label points at an endpoint in {}\n", args.region)
        };
        return terminal.result(&text, &json!({ "plan": null }));
    }
    write_plan(&plan, &args.out)?;
    let out = args.out.display().to_string();
    let next = if args.back {
        String::new()
    } else {
        format!("; `advisor drain {} --back` plans the way back", args.region)
    };
    let text = format!(
        "{}written to {out}; `advisor apply {out}` applies it{next}\n",
        show::plan_text(&plan)
    );
    let summary =
        json!({"id": plan.id(), "hash": plan.hash(), "changes": plan.changes.len(), "file": out});
    terminal.result(&text, &json!({ "plan": summary, "document": plan }))
}

/// Surveys with what was measured, or, because a Region is drained in need, without.
async fn survey(setup: &Setup, terminal: Terminal) -> Result<Survey, Failure> {
    let (survey, unread) = survey_or_zone(setup).await?;
    if let Some(error) = unread {
        terminal.say(&format!(
            "note: nothing measured is known here ({error}); labels go to the nearest endpoint"
        ));
    }
    Ok(survey)
}

fn plan(setup: &Setup, survey: &Survey, args: &DrainArgs) -> Result<Plan, Failure> {
    let (config, region) = (&setup.config, args.region.as_str());
    let (moves, intent) = if args.back {
        let moves = restore(region, &setup.operations()?, &survey.live)?;
        (moves, Intent::Restore(region.to_owned()))
    } else {
        let recent = survey.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let known = Knowledge { recent: &recent, preferred: &survey.routing.preferred };
        (drain(region, config, &survey.live, known)?, Intent::Drain(region.to_owned()))
    };
    Ok(survey.plan_of(config, moves, intent, setup.now_ms()))
}
