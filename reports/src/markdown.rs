//! The report as Markdown: the answer first, then what it rests on.

use std::fmt::Write as _;

use advisor::advice::{Advice, LabelAdvice};
use advisor::apply::Outcome;
use advisor::evidence::EvidenceRule;
use advisor::journal::Ending;
use advisor::plan::Plan;
use advisor::survey::Survey;
use probe::config::Config;

/// What a run of the probes came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// Samples that ended.
    pub samples: u64,
    /// Those that failed.
    pub failures: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Windows written.
    pub windows: u64,
}

/// What only a lab knows: the true regret of clients that nothing measured from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Truth {
    /// How many clients.
    pub clients: usize,
    /// Traffic-weighted mean before, in milliseconds.
    pub regret_before_ms: f64,
    /// And after.
    pub regret_after_ms: f64,
    /// The share of the traffic that got worse by more than 5 ms.
    pub harmed_share: f64,
}

/// One operation on the zone.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// What it was, in a few words.
    pub what: &'a str,
    /// What it came to.
    pub outcome: &'a Outcome,
}

/// Everything a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What was known.
    pub survey: &'a Survey,
    /// What was advised.
    pub advice: &'a Advice,
    /// What was planned.
    pub plan: &'a Plan,
    /// How much was measured.
    pub measured: Measured,
    /// What was done, in order.
    pub applied: &'a [Applied<'a>],
    /// The truth, where there is one.
    pub truth: Option<Truth>,
}

/// The report.
#[must_use]
pub fn markdown(input: &Input<'_>) -> String {
    let mut text = format!("# {}\n\n", escape(&input.config.name));
    answer(&mut text, input);
    costs(&mut text, input);
    advice(&mut text, input);
    changes(&mut text, input);
    applies(&mut text, input);
    method(&mut text, input);
    text
}

/// What Markdown would take as markup, and what a terminal or a page would obey, is shown.
fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in probe::once::escape(text).chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '<' | '>' | '|' | '[' | ']' | '#') {
            safe.push('\\');
        }
        safe.push(c);
    }
    safe
}

fn answer(text: &mut String, input: &Input<'_>) {
    let moves: Vec<&LabelAdvice> = input.advice.moves().collect();
    let which = match moves.as_slice() {
        [] => "No label should move.".to_owned(),
        [one] => format!(
            "Label {} should point at {} and not at {}.",
            escape(one.label.as_str()),
            escape(&one.advised),
            escape(&one.current)
        ),
        several => format!("{} labels should point elsewhere.", several.len()),
    };
    let share = input.plan.effect.traffic_moved * 100.0;
    let _ = writeln!(
        text,
        "{which} That moves {share:.0} % of the traffic ({}).",
        input.plan.effect.weights
    );
    if let Some(truth) = input.truth {
        let _ = writeln!(
            text,
            "Over {} clients that nothing measured from, the mean regret fell from {:.1} ms to {:.1} ms, \
             and {:.2} % of the traffic got worse by more than 5 ms.",
            truth.clients,
            truth.regret_before_ms,
            truth.regret_after_ms,
            truth.harmed_share * 100.0
        );
    }
    text.push('\n');
}

fn costs(text: &mut String, input: &Input<'_>) {
    let evidence = &input.config.evidence;
    let recent = input.survey.matrix.newest(EvidenceRule::slots(evidence.blocks));
    let _ = writeln!(text, "## Cost, ms\n");
    let _ = writeln!(text, "| vantage | label | {} |", recent.endpoints.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "---:|".repeat(recent.endpoints.len()));
    for vantage in &recent.vantages {
        let label = input.survey.routing.preferred.get(vantage);
        let here = label.and_then(|label| input.survey.live.labels.get(label));
        let cells = recent.endpoints.iter().map(|endpoint| {
            let cost = recent.median_cost_ms(vantage, endpoint);
            let cost = cost.map_or_else(|| "-".to_owned(), |cost| format!("{cost:.1}"));
            if here == Some(endpoint) { format!("**{cost}**") } else { cost }
        });
        let label = label.map_or_else(|| "-".to_owned(), |label| escape(label.as_str()));
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(text, "| {} | {label} | {} |", escape(vantage), cells.join(" | "));
    }
    let _ = writeln!(
        text,
        "\nBold is where Route 53 sends the vantage before the change (preferred labels {}). Cost is \
         {} x cold + {} x warm; a failure counts as slower than the timeout.\n",
        input.survey.preference.as_str(),
        evidence.cold_share,
        1.0 - evidence.cold_share
    );
}

fn advice(text: &mut String, input: &Input<'_>) {
    let _ = writeln!(
        text,
        "## Advice\n\n| label | now | advised | reason | catchment |\n|---|---|---|---|---|"
    );
    for line in &input.advice.labels {
        let catchment: Vec<String> = line.catchment.iter().map(|vantage| escape(vantage)).collect();
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} |",
            escape(line.label.as_str()),
            escape(&line.current),
            escape(&line.advised),
            line.reason.code(),
            catchment.join(", ")
        );
    }
    text.push('\n');
    for line in input.advice.moves() {
        let chosen =
            line.considered.iter().find(|considered| considered.challenger == line.advised);
        let Some(comparison) = chosen.map(|considered| &considered.comparison) else { continue };
        let interval = comparison
            .interval_ms
            .map_or_else(String::new, |(low, high)| format!(" ({low:.1} to {high:.1})"));
        let _ = writeln!(
            text,
            "- {}: its witness gains {:.1} ms{interval} at {}; {} of {} blocks exceed {:.1} ms, p = {:.1e}.",
            escape(line.label.as_str()),
            comparison.gain_ms.unwrap_or_default(),
            escape(&line.advised),
            comparison.wins,
            comparison.found,
            comparison.threshold_ms,
            comparison.p
        );
    }
    text.push('\n');
}

fn changes(text: &mut String, input: &Input<'_>) {
    let _ = writeln!(text, "## Plan {}\n\n```diff", input.plan.id());
    for change in &input.plan.changes {
        let sign = if change.action == advisor::record::Action::Create { '+' } else { '-' };
        let _ = writeln!(
            text,
            "{sign} {}",
            probe::once::escape(&change.resource_record_set.to_string())
        );
    }
    text.push_str("```\n\n");
}

fn applies(text: &mut String, input: &Input<'_>) {
    let _ = writeln!(
        text,
        "## What was done\n\n| what | change | ending | records | DNS answers |\n|---|---|---|---|---|"
    );
    for applied in input.applied {
        let outcome = applied.outcome;
        let ending = match &outcome.ending {
            Ending::Applied => "as planned".to_owned(),
            Ending::Unverified(cause) | Ending::Abandoned(cause) => escape(cause),
        };
        let (records, answers) = outcome.verification.as_ref().map_or_else(
            || ("-".to_owned(), "-".to_owned()),
            |seen| {
                let records = format!(
                    "{} as planned, {} missing, {} foreign",
                    seen.matched,
                    seen.missing.len(),
                    seen.foreign.len()
                );
                (records, format!("{} of {} as planned", seen.as_planned, seen.asked))
            },
        );
        let change = outcome.change_id.as_deref().map_or_else(|| "-".to_owned(), escape);
        let _ =
            writeln!(text, "| {} | {change} | {ending} | {records} | {answers} |", applied.what);
    }
    text.push('\n');
}

fn method(text: &mut String, input: &Input<'_>) {
    let (measured, evidence) = (input.measured, &input.config.evidence);
    let _ = writeln!(
        text,
        "## Method\n\n{} samples in {} windows, {} failed, {} slots missed. Windows of {:?}, blocks of \
         {:?}, {} valid blocks a verdict, alpha {}, least gain {} ms or {} %, witness margin {} ms, harm \
         limit {} ms, cool-down {:?}, volatility over {:?}.",
        measured.samples,
        measured.windows,
        measured.failures,
        measured.missed,
        evidence.window,
        evidence.block,
        evidence.blocks,
        evidence.alpha,
        evidence.min_gain_ms,
        evidence.min_gain_share * 100.0,
        evidence.triangle_ms,
        evidence.harm_ms,
        evidence.cooldown,
        evidence.volatility_history
    );
}
