//! The answer first: three sentences, made of the figures that the rest of the report shows.

use std::collections::BTreeSet;

use super::{BREACHED, MET};
use crate::document::{AdviceFacts, Document};

/// Where people are sent; what should change; what became of it.
pub(super) fn answer(document: &Document) -> Vec<String> {
    vec![placed(document), advised(document), became(document)]
}

fn placed(document: &Document) -> String {
    let routed = &document.routing.vantages;
    if routed.is_empty() {
        let requests = document.monitoring.requests;
        return format!("Where Route 53 sends whom is not known; {requests} samples were taken.");
    }
    let endpoints: BTreeSet<&str> =
        routed.iter().flat_map(|line| &line.endpoints).map(String::as_str).collect();
    let gains: Vec<f64> = routed.iter().filter_map(|line| line.proven_gain_ms).collect();
    let sent = format!(
        "Route 53 sends {} to {}",
        counted(routed.len(), "vantage"),
        counted(endpoints.len(), "endpoint")
    );
    let most_ms = gains.iter().copied().max_by(f64::total_cmp);
    match most_ms {
        None => format!("{sent}, and nowhere is another endpoint proven faster."),
        Some(most_ms) => format!(
            "{sent}; for {} of them another endpoint is proven faster, by up to {most_ms:.1} ms.",
            gains.len()
        ),
    }
}

fn advised(document: &Document) -> String {
    let moves: Vec<&AdviceFacts> =
        document.advice.iter().filter(|line| line.advised != line.current).collect();
    let share = document.routing.traffic_moved.unwrap_or_default() * 100.0;
    match moves.as_slice() {
        [] if document.advice.is_empty() => "There is no advice.".to_owned(),
        [] => {
            let thin = document.advice.iter().filter(|line| line.reason == "insufficient-data");
            match thin.count() {
                0 => "No label should move.".to_owned(),
                thin => format!(
                    "No label should move; for {thin} of {} there are too few data.",
                    document.advice.len()
                ),
            }
        }
        [one] => format!("{}, which moves {share:.0} % of the traffic.", moved(one)),
        several => format!(
            "{} labels should point elsewhere, which moves {share:.0} % of the traffic.",
            several.len()
        ),
    }
}

fn moved(line: &AdviceFacts) -> String {
    let AdviceFacts { label, current, advised, .. } = line;
    match line.reason {
        "add" => format!("Label {label} should be added and point at {advised}"),
        "remove" => format!("Label {label}, which points at {current}, should go"),
        _ => format!("Label {label} should point at {advised} and not at {current}"),
    }
}

fn became(document: &Document) -> String {
    if let Some(truth) = document.truth {
        return format!(
            "Over {} clients that nothing measured from, the mean regret went from {:.1} ms to {:.1} ms, and {:.2} % of the traffic got worse by more than 5 ms.",
            truth.clients,
            truth.regret_before_ms,
            truth.regret_after_ms,
            truth.harmed_share * 100.0
        );
    }
    let change = document.changes.as_ref().and_then(|changes| changes.routed);
    let changed = change.map_or_else(
        || "What changed since the period before cannot be told".to_owned(),
        |change| {
            let certain = change.low_ms > 0.0 || change.high_ms < 0.0;
            let (low_ms, high_ms) = (change.low_ms, change.high_ms);
            let (now_ms, before_ms) = (change.now_ms, change.before_ms);
            let was = format!("{now_ms:.1} ms, in the period before {before_ms:.1} ms");
            let doubt = if certain { "" } else { ", which may be chance" };
            let interval = format!("a change between {low_ms:+.1} and {high_ms:+.1} ms{doubt}");
            format!("The mean cost where people are sent was {was} ({interval})")
        },
    );
    format!("{changed}; {}.", promised(document))
}

fn promised(document: &Document) -> String {
    let objectives = &document.objectives;
    let with = |status: &str| objectives.iter().filter(|one| one.status == status).count();
    match (objectives.len(), with(BREACHED)) {
        (0, _) => "no objectives are configured".to_owned(),
        (all, 0) => {
            let met = with(MET);
            format!("{met} of {} {} met", counted(all, "objective"), are(met))
        }
        (all, breached) => {
            format!("{breached} of {} {} breached", counted(all, "objective"), are(breached))
        }
    }
}

fn are(n: usize) -> &'static str {
    if n == 1 { "is" } else { "are" }
}

/// A number with its noun.
pub(crate) fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
