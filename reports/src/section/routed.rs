//! Sections about routing: what changed, regret, advice, and what was applied.

use super::{Cell, Section, Table, Tone, how_known, interval, ms, percent};
use advisor::guard::MODELLED;

use crate::assemble::counted;
use crate::document::{Document, MoveFacts, RegretFacts};
use crate::period::Period;

/// Lines of regret that are shown; JSON has them all.
const REGRET_MAX: usize = 40;
/// Lines of before and after that are shown for one operation.
const MOVES_MAX: usize = 40;

pub(super) fn changes<'a>(document: &'a Document, period: &Period) -> Section<'a> {
    let section = Section::new("changes", "What changed");
    let (Some(changes), Some(before)) = (&document.changes, &document.compared) else {
        return section.say("Nothing was compared: no period to compare with was asked for.");
    };
    let (since, until) = (period.text(before.since_ms), period.text(before.until_ms));
    let span = format!("Compared with {since} to {until}.");
    let mut section = section.say(span);
    if changes.compared == 0 {
        section = section.say(format!(
            "No cell has enough blocks in both periods for an interval ({} were looked at).",
            changes.too_thin
        ));
        return section;
    }
    if let Some(routed) = changes.routed {
        section = section.say(format!(
            "The mean cost where people are sent went from {:.1} ms to {:.1} ms: {:+.1} ms, and with {} % \
             confidence between {:+.1} and {:+.1} ms.",
            routed.before_ms,
            routed.now_ms,
            routed.change_ms,
            100.0 - changes.alpha * 100.0,
            routed.low_ms,
            routed.high_ms
        ));
    }
    let mut table = Table::new(
        "Cells whose change is certain, the largest first",
        &["vantage", "endpoint"],
        &["before, ms", "now, ms", "change, ms", "interval, ms"],
    );
    for cell in &changes.cells {
        let difference = cell.difference;
        let tone = if difference.change_ms > 0.0 { Tone::Bad } else { Tone::Good };
        table.row([
            Cell::new(&cell.vantage),
            Cell::new(&cell.endpoint),
            ms(Some(difference.before_ms)),
            ms(Some(difference.now_ms)),
            Cell::toned(format!("{:+.1}", difference.change_ms), tone),
            Cell::new(format!("{:+.1} to {:+.1}", difference.low_ms, difference.high_ms)),
        ]);
    }
    section
        .say(format!(
            "{} of {} changed for certain; {} more had too few blocks. The intervals hold together at \
             {} %.",
            changes.certain,
            counted(changes.compared, "cell"),
            changes.too_thin,
            100.0 - changes.alpha * 100.0
        ))
        .tabulate(table)
}

pub(super) fn regret(document: &Document) -> Section<'_> {
    let section = Section::new("regret", "Routing and regret");
    if document.routing.vantages.is_empty() {
        return section.say("Where Route 53 sends whom is not known, so that there is no regret.");
    }
    let mut table = Table::new(
        "Where each vantage is sent",
        &["vantage", "label", "endpoint"],
        &["share of traffic", "cost, ms", "largest proven gain, ms"],
    );
    for line in &document.routing.vantages {
        let cost = document
            .cells
            .iter()
            .find(|cell| cell.vantage == line.vantage && cell.endpoint == line.endpoint);
        let tone = if line.proven_gain_ms.is_some() { Tone::Bad } else { Tone::Plain };
        table.row([
            Cell::new(&line.vantage),
            Cell::new(&line.label),
            Cell::new(line.split.as_ref().unwrap_or(&line.endpoint)),
            Cell::new(percent(line.share, 1)),
            ms(cost.and_then(|cell| cell.cost_ms)),
            Cell::toned(ms(line.proven_gain_ms).text, tone),
        ]);
    }
    table.folded = table.rows.len() > 12;
    let mut section = section.say(format!(
        "Regret is the cost where Route 53 sends a vantage less that of one named other endpoint, over \
         the newest blocks; {}; {}.",
        how_known(&document.routing.preferred),
        document.routing.weights
    ));
    if document.routing.vantages.iter().any(|line| line.split.is_some()) {
        section = section.say(
            "Of a label that is split, costs and gains are those of its endpoint that costs most.",
        );
    }
    for line in &document.routing.proven {
        section = section.say(format!(
            "Weighted by traffic, the proven gains come to {:.1} ms a request over the {} vantages, which \
             stand for {} of the traffic.",
            line.mean_gain_ms,
            line.population,
            percent(line.traffic, 1)
        ));
    }
    if document.routing.traffic_unknown > 0.0 {
        let unknown = percent(document.routing.traffic_unknown, 1);
        section = section.say(format!("No vantage stands for {unknown} of the traffic."));
    }
    section.tabulate(proven(document)).tabulate(table)
}

fn proven(document: &Document) -> Table {
    let mut table = Table::new(
        "Other endpoints that are proven faster (Holm's procedure over all pairs)",
        &["vantage", "sent to", "faster"],
        &["cost, ms", "gain, ms", "interval, ms", "blocks"],
    );
    let mut lines: Vec<&RegretFacts> = document.regret.iter().filter(|line| line.proven).collect();
    lines.sort_by(|a, b| b.gain_ms.unwrap_or(0.0).total_cmp(&a.gain_ms.unwrap_or(0.0)));
    for line in lines.into_iter().take(REGRET_MAX) {
        table.row([
            Cell::new(&line.vantage),
            Cell::new(line.split.as_ref().unwrap_or(&line.endpoint)),
            Cell::new(&line.challenger),
            ms(line.cost_ms),
            Cell::toned(ms(line.gain_ms).text, Tone::Strong),
            interval(line.low_ms, line.high_ms),
            Cell::new(line.blocks.to_string()),
        ]);
    }
    table
}

pub(super) fn advice(document: &Document) -> Section<'_> {
    let section = Section::new("advice", "Advice");
    if document.advice.is_empty() {
        return section.say("There is no advice without a zone that can be read.");
    }
    let mut table = Table::new(
        "Advice for each label",
        &["label", "now", "advised", "reason", "evidence", "catchment"],
        &[],
    );
    for line in &document.advice {
        let moves = line.advised != line.current;
        table.row([
            Cell::toned(&line.label, Tone::Strong),
            Cell::new(&line.current),
            Cell::toned(&line.advised, if moves { Tone::Good } else { Tone::Plain }),
            Cell::new(line.reason),
            Cell::new(&line.why),
            Cell::new(line.catchment.join(", ")),
        ]);
    }
    let section = section.tabulate(table).tabulate(label_sets(document));
    if document.label_sets.iter().any(|set| set.preferred == MODELLED && !set.chosen) {
        return section.say(
            "What is modelled is a promise, and is not planned: advisor regret --install-shadow lets Route 53 be \
             asked about those labels.",
        );
    }
    section
}

/// What was compared for measured clients.
fn label_sets(document: &Document) -> Table {
    let mut table = Table::new(
        "Labels that were compared for measured clients, each at its best endpoint",
        &["labels", "beside the installed ones", "who prefers which", "outcome"],
        &["regret, ms"],
    );
    for set in &document.label_sets {
        let (outcome, tone) = match (set.chosen, set.regret_ms) {
            (true, _) => ("chosen", Tone::Good),
            (false, None) => ("not allowed: a client would be moved that may not be", Tone::Bad),
            (false, Some(_)) => ("-", Tone::Plain),
        };
        table.row([
            Cell::new(set.labels.len().to_string()),
            Cell::new(&set.beside),
            Cell::new(set.preferred),
            Cell::toned(outcome, tone),
            ms(set.regret_ms),
        ]);
    }
    table
}

pub(super) fn applies<'a>(document: &'a Document, period: &Period) -> Section<'a> {
    let section = Section::new("applies", "What was applied, and what it did");
    if document.applies.is_empty() {
        return section.say("Nothing was written to the zone in this period.");
    }
    let mut table = Table::new(
        "Operations on the zone",
        &["number", "when", "what", "plan", "ending"],
        &["changes"],
    );
    let mut effects = Table::new(
        "Before and after, as measured: as many blocks as a verdict needs, where there are so many",
        &["number", "label", "from", "to", "vantage"],
        &["before, ms", "after, ms", "change, ms", "blocks"],
    );
    for apply in &document.applies {
        table.row([
            Cell::new(apply.operation.to_string()),
            Cell::new(period.text(apply.at_ms)),
            Cell::new(apply.what),
            Cell::new(&apply.plan),
            Cell::new(&apply.ending),
            Cell::new(apply.changes.to_string()),
        ]);
        for step in apply.moves.iter().take(MOVES_MAX) {
            effects.rows.push(effect(apply.operation, step));
        }
    }
    let steps = || document.applies.iter().flat_map(|apply| &apply.moves);
    let is_unseen = steps().next().is_some() && steps().all(|step| step.blocks_after == 0);
    let section = section.tabulate(table).tabulate(effects);
    if is_unseen {
        return section.say(
            "No block closed after these changes, so that what they did is not measured yet.",
        );
    }
    section
}

fn effect(operation: u64, step: &MoveFacts) -> Vec<Cell> {
    let change_ms = step.before_ms.zip(step.after_ms).map(|(before, after)| after - before);
    let tone = match change_ms {
        Some(ms) if ms < 0.0 => Tone::Good,
        Some(ms) if ms > 0.0 => Tone::Bad,
        _ => Tone::Plain,
    };
    let change = change_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:+.1}"));
    vec![
        Cell::new(operation.to_string()),
        Cell::new(&step.label),
        Cell::new(&step.from),
        Cell::new(&step.to),
        Cell::new(step.vantage.as_deref().unwrap_or("-")),
        ms(step.before_ms),
        ms(step.after_ms),
        Cell::toned(change, tone),
        Cell::new(format!("{} and {}", step.blocks_before, step.blocks_after)),
    ]
}
