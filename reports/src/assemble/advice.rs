//! Routing, regret and advice, as the advisor found them.

use std::collections::BTreeSet;

use advisor::advice::{Considered, LabelAdvice, LabelSet, Reason, Verdict};
use advisor::evidence::Comparison;
use advisor::guard::MODELLED;
use advisor::preferred::Preference;
use advisor::regret::{RegretRow, regret};
use advisor::settings;
use advisor::statistics::holm_rejects;
use probe::config::Population;
use probe::place;

use super::{Material, round_ms, round_share};
use crate::document::{
    AdviceFacts, LabelSetFacts, PlaceFacts, ProvenFacts, RegretFacts, RoutedFacts, RoutingFacts,
};

/// Where Route 53 sends whom.
pub(super) fn routing(material: &Material<'_>) -> RoutingFacts {
    let endpoints = material.config.endpoints.iter().map(|endpoint| PlaceFacts {
        endpoint: endpoint.id.clone(),
        region: endpoint.region.clone(),
        place: place_of(&endpoint.region),
    });
    let mut facts = RoutingFacts {
        preferred: "unknown".to_owned(),
        cause: None,
        weights: material.traffic.source.clone(),
        traffic_moved: None,
        traffic_unknown: round_share(material.traffic.rest_of_vantages()),
        proven: Vec::new(),
        vantages: Vec::new(),
        endpoints: endpoints.collect(),
    };
    let decided = match material.decided {
        Ok(decided) => decided,
        Err(cause) => {
            facts.cause = Some(cause.to_owned());
            return facts;
        }
    };
    decided.preferred.clone_into(&mut facts.preferred);
    facts.traffic_moved = Some(decided.effect.traffic_moved);
    let lines = regret_lines(material);
    let routing = decided.routing;
    for (vantage, label) in &routing.preferred {
        let Some(endpoint) = routing.live.get(label) else { continue };
        let split = decided.split.get(label);
        let all = split.map(|shares| shares.iter().map(|(id, _)| id.to_owned()).collect());
        let gains = lines.iter().filter(|line| line.vantage == *vantage && line.proven);
        facts.vantages.push(RoutedFacts {
            vantage: vantage.clone(),
            label: label.to_string(),
            endpoint: endpoint.clone(),
            split: split.map(ToString::to_string),
            endpoints: all.unwrap_or_else(|| vec![endpoint.clone()]),
            share: round_share(material.traffic.of_vantage(vantage)),
            proven_gain_ms: gains.filter_map(|line| line.gain_ms).max_by(f64::total_cmp),
            place: place_of(vantage),
        });
    }
    facts.proven = proven(material, &facts.vantages);
    facts
}

/// What is proven to be gained elsewhere, over the traffic of each population: its vantages weigh as
/// the advisor weighs them, and those without a proven gain count as gaining nothing.
fn proven(material: &Material<'_>, routed: &[RoutedFacts]) -> Vec<ProvenFacts> {
    let populations = material.vantages();
    let of = |line: &&RoutedFacts| populations.get(line.vantage.as_str()).copied();
    let there: BTreeSet<Population> = routed.iter().filter_map(|line| of(&line)).collect();
    let line = |population: Population| {
        let own: Vec<&RoutedFacts> =
            routed.iter().filter(|line| of(line) == Some(population)).collect();
        let ids: Vec<&str> = own.iter().map(|line| line.vantage.as_str()).collect();
        let weights = material.weights(&ids);
        let gain = |line: &&RoutedFacts| {
            weights.get(line.vantage.as_str()).copied().unwrap_or(0.0)
                * line.proven_gain_ms.unwrap_or(0.0)
        };
        ProvenFacts {
            population: population.as_str(),
            traffic: round_share(own.iter().map(|line| line.share).sum()),
            mean_gain_ms: round_ms(own.iter().map(gain).sum()),
        }
    };
    there.into_iter().map(line).collect()
}

fn place_of(region: &str) -> Option<(f64, f64)> {
    place::region(region).map(|place| (place.latitude, place.longitude))
}

/// Each vantage against each other endpoint, in their order. Which gains are proven is decided over
/// all lines together.
pub(super) fn regret_lines(material: &Material<'_>) -> Vec<RegretFacts> {
    let Ok(decided) = material.decided else { return Vec::new() };
    let rule = settings::evidence_rule(&material.config.evidence);
    let rows = regret(decided.matrix, decided.routing, &rule);
    let mut lines: Vec<RegretFacts> = Vec::new();
    let mut p_values = Vec::new();
    for row in &rows {
        for challenger in &row.challengers {
            let split = decided.split.get(&row.label).map(ToString::to_string);
            lines.push(line((row, split), &challenger.endpoint, &challenger.comparison));
            p_values.push(challenger.comparison.p);
        }
    }
    for (line, proven) in lines.iter_mut().zip(holm_rejects(&p_values, rule.alpha)) {
        line.proven = proven && line.blocks >= line.blocks_needed;
    }
    lines
}

fn line(
    (row, split): (&RegretRow, Option<String>),
    challenger: &str,
    comparison: &Comparison,
) -> RegretFacts {
    RegretFacts {
        vantage: row.vantage.clone(),
        label: row.label.to_string(),
        endpoint: row.endpoint.clone(),
        split,
        cost_ms: row.cost_ms.map(round_ms),
        challenger: challenger.to_owned(),
        gain_ms: comparison.gain_ms.map(round_ms),
        low_ms: comparison.interval_ms.map(|interval| round_ms(interval.0)),
        high_ms: comparison.interval_ms.map(|interval| round_ms(interval.1)),
        blocks: comparison.found,
        blocks_needed: comparison.needed,
        proven: false,
    }
}

/// Where a label points.
pub(super) fn endpoint(of: Option<&String>) -> String {
    of.cloned().unwrap_or_else(|| "not installed".to_owned())
}

/// One line a label.
pub(super) fn advice(material: &Material<'_>) -> Vec<AdviceFacts> {
    let Ok(decided) = material.decided else { return Vec::new() };
    let line = |line: &LabelAdvice| {
        let split = decided.split.get(&line.label).map(ToString::to_string);
        let current = split.unwrap_or_else(|| endpoint(line.current.as_ref()));
        // A label that stays keeps all of its endpoints.
        let advised = if line.moves() { endpoint(line.advised.as_ref()) } else { current.clone() };
        AdviceFacts {
            label: line.label.to_string(),
            current,
            advised,
            reason: line.reason.code(),
            why: why(line),
            catchment: line.catchment.clone(),
        }
    };
    decided.advice.labels.iter().map(line).collect()
}

/// The sets of labels that were compared for measured clients.
pub(super) fn label_sets(material: &Material<'_>) -> Vec<LabelSetFacts> {
    let Ok(decided) = material.decided else { return Vec::new() };
    let installed = decided.advice.installed();
    let facts = |(set, chosen): (&LabelSet, bool)| LabelSetFacts {
        labels: set.labels.iter().map(ToString::to_string).collect(),
        beside: set.beside(&installed),
        preferred: if set.asked { Preference::Asked.as_str() } else { MODELLED },
        regret_ms: set.value.as_ref().map(|value| round_ms(value.regret_ms())),
        chosen,
    };
    decided.advice.compared().map(facts).collect()
}

/// The evidence of the move, or what stands against the challenger that gains the most.
fn why(line: &LabelAdvice) -> String {
    let gain = |one: &&Considered| one.comparison.gain_ms.unwrap_or(f64::NEG_INFINITY);
    let spoken_of = if line.moves() {
        line.considered.iter().find(|one| Some(&one.challenger) == line.advised.as_ref())
    } else {
        line.considered.iter().max_by(|a, b| gain(a).total_cmp(&gain(b)))
    };
    let Some(one) = spoken_of else {
        let goes = line.reason == Reason::Remove;
        return if goes { "the other labels serve its clients" } else { "no other endpoint" }
            .into();
    };
    let comparison = &one.comparison;
    let objects = matches!(one.verdict, Verdict::Harms(_) | Verdict::UnknownCost);
    let evidence = format!(
        "{}: {} {}, {} of {} blocks above {:.1} ms",
        one.challenger,
        // The client that measured it; where `at` is somebody who objects, or nobody, the witness.
        one.at.as_deref().filter(|_| !objects).unwrap_or("the witness"),
        gain_text(comparison),
        comparison.wins,
        comparison.found,
        comparison.threshold_ms
    );
    let at = one.at.as_deref().unwrap_or("a vantage");
    match one.verdict {
        Verdict::Admissible | Verdict::NoGain => evidence,
        Verdict::InsufficientData => {
            format!("{}: {} of {} blocks", one.challenger, comparison.found, comparison.needed)
        }
        Verdict::FailsMore(bound) => {
            format!("{evidence}; it may fail {:.2} points more often", bound * 100.0)
        }
        Verdict::Harms(loss_ms) => format!("{evidence}; {at} would lose {loss_ms:.1} ms"),
        Verdict::UnknownCost => format!("{evidence}; its cost at {at} is unknown"),
        Verdict::Outweighed => {
            format!("{evidence}; other endpoints cost the measured clients less")
        }
    }
}

fn gain_text(comparison: &Comparison) -> String {
    let Some(gain_ms) = comparison.gain_ms else { return "gains an unknown time".to_owned() };
    let loses = gain_ms < 0.0;
    let interval = comparison.interval_ms.map_or_else(String::new, |(low_ms, high_ms)| {
        // A loss is told by its size, from the least to the most.
        let (low_ms, high_ms) = if loses { (-high_ms, -low_ms) } else { (low_ms, high_ms) };
        format!(" ({low_ms:.1} to {high_ms:.1})")
    });
    format!("{} {:.1} ms{interval}", if loses { "loses" } else { "gains" }, gain_ms.abs())
}
