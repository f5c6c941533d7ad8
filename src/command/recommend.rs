//! `advisor recommend`: which columns of a cost matrix serve its clients best.
//!
//! It reads files or the store and keeps the time; `advisor::placement` decides.

use std::path::Path;
use std::time::Duration;

use advisor::placement::{
    CostMatrix, Deployment, Exchange, MatrixError, Objective, Request, RequestError, best_exchange,
    effect, read_table, solve,
};
use probe::clock::{Clock, SystemClock};

use crate::cli::{ObjectiveArg, RecommendArgs};
use crate::command::stored::stored;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show::recommend::RecommendView;
use crate::show::tiers::Around;
use crate::terminal::Terminal;

/// Up to this many columns the frontier is worked out without being asked for.
const FRONTIER_MAX: usize = 20;

/// Reads, solves and prints.
pub async fn run(
    setup: Option<&Setup>,
    terminal: Terminal,
    args: &RecommendArgs,
) -> Result<(), Failure> {
    let (deployment, around) = costs(setup, args).await?;
    let Deployment { matrix, estimated, candidates, unestimated, models } = deployment;
    let request = request(&matrix, args)?;
    let first = if args.frontier || args.regions <= FRONTIER_MAX {
        request.pinned.len().max(1)
    } else {
        args.regions
    };
    let clock = SystemClock;
    let started = clock.now();
    let limit = Duration::from_secs_f64(args.time_limit);
    let mut is_over = || clock.now().duration_since(started) >= limit;
    let ks = first.min(args.regions)..=args.regions;
    let answers = solve(&matrix, &request, ks, &mut is_over).map_err(|error| refused(&error))?;
    let Some(answer) = answers.last() else {
        return Err(Failure::new(Exit::Failed, "no number of columns was solved"));
    };
    // Compared with what stands (the pinned columns), or else with the best of one column fewer.
    let fewer = answers.iter().rev().nth(1).map_or(&[][..], |answer| &answer.chosen);
    let stands = !request.pinned.is_empty() && request.pinned.len() < args.regions;
    let before = if stands { &request.pinned[..] } else { fewer };
    let effect = effect(&matrix, &request, answer, before);
    let exchanges: Vec<Option<Exchange>> =
        answers.iter().map(|answer| best_exchange(&matrix, &request, answer)).collect();
    let view = RecommendView {
        matrix: &matrix,
        request: &request,
        answers: &answers,
        exchanges: &exchanges,
        effect: &effect,
        before,
        time_limit_s: args.time_limit,
        estimated: &estimated,
        candidates: &candidates,
        unestimated: &unestimated,
        models: &models,
        around: around.as_ref(),
    };
    if let Some(fleet) = setup.and_then(|setup| setup.fleet.as_ref()) {
        terminal.say(fleet.spent_text().trim_end());
    }
    terminal.result(&view.text(), &view.json())
}

/// The costs of the file, or those of the store with estimates for the candidates and what stands
/// around the endpoints; weighted.
async fn costs(
    setup: Option<&Setup>,
    args: &RecommendArgs,
) -> Result<(Deployment, Option<Around>), Failure> {
    let weights = match &args.weights {
        Some(path) => Some((path, table(path)?)),
        None => None,
    };
    let weigh = |made: &mut Deployment| match &weights {
        Some((path, table)) => made.matrix.set_weights(table).map_err(|e| unusable(path, &e)),
        None => Ok(()),
    };
    if let Some(path) = &args.matrix {
        let matrix = CostMatrix::from_table(&table(path)?).map_err(|e| unusable(path, &e))?;
        let mut made = Deployment::of_matrix(matrix);
        weigh(&mut made)?;
        return Ok((made, None));
    }
    let setup = setup.ok_or_else(|| {
        Failure::new(Exit::Usage, "there is neither a matrix nor a configuration")
            .hint("name a matrix with --matrix")
    })?;
    let stored = stored(setup, weigh).await?;
    Ok((stored.deployment, Some(stored.around)))
}

fn request(matrix: &CostMatrix, args: &RecommendArgs) -> Result<Request, Failure> {
    let columns = |flag: &str, names: &[String]| -> Result<Vec<usize>, Failure> {
        let mut columns: Vec<usize> = names
            .iter()
            .map(|name| matrix.column(name).ok_or_else(|| unknown(matrix, flag, name)))
            .collect::<Result<_, _>>()?;
        columns.sort_unstable();
        columns.dedup();
        Ok(columns)
    };
    let fixed = match &args.fixed_cost {
        Some(path) => matrix.fixed_costs(&table(path)?).map_err(|error| unusable(path, &error))?,
        None => Vec::new(),
    };
    Ok(Request {
        objective: match args.objective {
            ObjectiveArg::Mean => Objective::Mean,
            ObjectiveArg::Slo(limit_ms) => Objective::Slo(limit_ms),
            ObjectiveArg::P95 => Objective::P95,
        },
        pinned: columns("--pin", &args.pin)?,
        forbidden: columns("--forbid", &args.forbid)?,
        fixed,
        n_minus_1: args.n_minus_1,
    })
}

fn table(path: &Path) -> Result<advisor::placement::Table, Failure> {
    let bytes = std::fs::read(path).map_err(|cause| {
        Failure::new(Exit::Usage, format!("cannot read {}: {cause}", path.display()))
            .hint("name a CSV file that is there")
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..at].split(|byte| *byte == b'\n').count();
        Failure::new(Exit::Usage, format!("{}: line {line} is not UTF-8", path.display()))
            .hint("save the file as UTF-8 text")
    })?;
    read_table(&text).map_err(|error| {
        Failure::new(Exit::Usage, format!("{}: {error}", path.display()))
            .hint("every line needs as many fields as the header; quote fields that hold commas")
    })
}

fn unusable(path: &Path, error: &MatrixError) -> Failure {
    Failure::new(Exit::Usage, format!("{}: {error}", path.display())).hint(error.hint())
}

fn unknown(matrix: &CostMatrix, flag: &str, name: &str) -> Failure {
    let known: Vec<&str> = matrix.columns.iter().take(8).map(String::as_str).collect();
    let more = if matrix.columns.len() > known.len() { ", ..." } else { "" };
    Failure::new(Exit::Usage, format!("{flag} {name}: the matrix has no such column"))
        .hint(format!("its columns are {}{more}", known.join(", ")))
}

fn refused(error: &RequestError) -> Failure {
    let hint = match error {
        RequestError::Count { .. } => "change --regions, or pin and forbid fewer columns",
        RequestError::Both(_) => "pin it or forbid it",
    };
    Failure::new(Exit::Usage, error).hint(hint)
}
