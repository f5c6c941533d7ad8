//! Rule 1, the witness rule: cloud evidence only repoints installed labels and never adds one.
//!
//! A vantage is not its catchment, so the witness of an endpoint (the vantage in its own Region)
//! must gain so much that, by the triangle inequality, every client of that endpoint gains; and no
//! vantage of the label's catchment may lose. Pure: no IO, no clock.

use std::collections::BTreeSet;

use crate::advice::{
    Advice, AdviceRule, Basis, Considered, Heard, HeldOut, LabelAdvice, Reason, Routing, Verdict,
};
use crate::evidence::{EvidenceRule, Tested, correct, paired_costs_ms, test_family};
use crate::matrix::Matrix;
use crate::name::Label;

/// Applies rule 1, then repeats it without each vantage and withdraws what that does not confirm.
pub(crate) fn advise(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Advice {
    let recent = matrix.newest(EvidenceRule::slots(rule.evidence.blocks));
    let tests = witness_tests(matrix, routing, rule);
    let labels = decide(&recent, routing, &tests, rule);
    let (basis, heard) = (Basis::Cloud, Heard::default());
    let mut advice = Advice { basis, labels, held_out: None, heard };
    if advice.moves().next().is_some() {
        let held_out = hold_out(&recent, routing, &tests, rule);
        advice.held_out = Some(held_out);
        if held_out.objects() {
            advice.withdraw();
        }
    }
    advice
}

fn decide(
    recent: &Matrix,
    routing: &Routing,
    tests: &[Tested],
    rule: &AdviceRule,
) -> Vec<LabelAdvice> {
    let line = |(label, current): (&Label, &String)| {
        let tests = tests.iter().filter(|test| test.current == *current);
        let considered = tests.map(|test| consider(recent, routing, label, test, rule)).collect();
        conclude(routing, label, current, considered)
    };
    routing.live.iter().map(line).collect()
}

/// Tests every (endpoint, challenger) pair at the endpoint's witness.
fn witness_tests(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Vec<Tested> {
    let family = routing.witnesses.iter().flat_map(|(current, witness)| {
        let challengers = matrix.endpoints.iter().filter(move |endpoint| *endpoint != current);
        challengers.map(move |id| (witness.as_str(), current.as_str(), id.as_str()))
    });
    test_family(matrix, family, &routing.cloud, rule.triangle_ms, &rule.evidence)
}

fn consider(
    recent: &Matrix,
    routing: &Routing,
    label: &Label,
    test: &Tested,
    rule: &AdviceRule,
) -> Considered {
    let (verdict, at) = judge(recent, routing, label, test, rule);
    let in_cloud = |vantage: &&str| routing.cloud.contains(*vantage);
    let mut vantages: BTreeSet<&str> = routing.catchment(label).filter(in_cloud).collect();
    vantages.insert(&test.vantage);
    let pair = (test.current.as_str(), test.challenger.as_str());
    let cost_ms = |vantage: &&str| paired_costs_ms(recent, vantage, pair, &rule.evidence);
    let costs: Option<Vec<f64>> =
        vantages.iter().map(|vantage| cost_ms(vantage).map(|(_, there)| there)).collect();
    let mean_cost_ms = costs.map(|costs| costs.iter().sum::<f64>() / costs.len() as f64);
    let (challenger, comparison) = (test.challenger.clone(), test.comparison.clone());
    Considered { challenger, verdict, comparison, at, mean_cost_ms }
}

fn judge(
    recent: &Matrix,
    routing: &Routing,
    label: &Label,
    test: &Tested,
    rule: &AdviceRule,
) -> (Verdict, Option<String>) {
    if !test.comparison.is_sufficient() {
        return (Verdict::InsufficientData, None);
    }
    if !test.gains {
        return (Verdict::NoGain, None);
    }
    if let Err(bound) = test.gate {
        return (Verdict::FailsMore(bound), None);
    }
    for vantage in routing.catchment(label) {
        let pair = (test.current.as_str(), test.challenger.as_str());
        let Some((here, there)) = paired_costs_ms(recent, vantage, pair, &rule.evidence) else {
            return (Verdict::UnknownCost, Some(vantage.to_owned()));
        };
        if there - here > rule.harm_ms {
            return (Verdict::Harms(there - here), Some(vantage.to_owned()));
        }
    }
    (Verdict::Admissible, None)
}

fn conclude(
    routing: &Routing,
    label: &Label,
    current: &str,
    considered: Vec<Considered>,
) -> LabelAdvice {
    let best = considered
        .iter()
        .filter(|challenger| challenger.verdict == Verdict::Admissible)
        .filter_map(|challenger| challenger.mean_cost_ms.map(|cost| (cost, &challenger.challenger)))
        .min_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.cmp(b.1)))
        .map(|(_, challenger)| challenger.clone());
    let all_insufficient = !considered.is_empty()
        && considered.iter().all(|challenger| challenger.verdict == Verdict::InsufficientData);
    let none_gains = considered.iter().all(|challenger| {
        matches!(challenger.verdict, Verdict::NoGain | Verdict::InsufficientData)
    });
    let reason = match &best {
        _ if !routing.witnesses.contains_key(current) => Reason::Unsupported,
        _ if all_insufficient => Reason::InsufficientData,
        Some(_) if routing.cooling.contains_key(label) => Reason::CoolingDown,
        Some(_) => Reason::Repoint,
        None if none_gains => Reason::Unsupported,
        None => Reason::Keep,
    };
    let advised = match (reason, best) {
        (Reason::Repoint, Some(best)) => best,
        _ => current.to_owned(),
    };
    LabelAdvice {
        label: label.clone(),
        current: Some(current.to_owned()),
        advised: Some(advised),
        reason,
        catchment: routing.catchment(label).map(str::to_owned).collect(),
        considered,
    }
}

/// Repeats the rule without each vantage in turn and looks at what the left-out one would get.
///
/// Vantages whose answer stays the same either way say nothing and are not counted; nor are those
/// without a cost.
fn hold_out(recent: &Matrix, routing: &Routing, tests: &[Tested], rule: &AdviceRule) -> HeldOut {
    let mut costs = Vec::new();
    let cloud = routing.preferred.iter().filter(|(vantage, _)| routing.cloud.contains(*vantage));
    for (vantage, label) in cloud {
        let mut tests: Vec<Tested> =
            tests.iter().filter(|test| test.vantage != *vantage).cloned().collect();
        correct(&mut tests, rule.evidence.alpha);
        let decided = decide(recent, &routing.without(vantage), &tests, rule);
        let Some(line) = decided.iter().find(|line| line.label == *label && line.moves()) else {
            continue;
        };
        let cost_ms =
            |endpoint: &Option<String>| recent.median_cost_ms(vantage, endpoint.as_deref()?);
        if let (Some(today), Some(advised)) = (cost_ms(&line.current), cost_ms(&line.advised)) {
            costs.push((1.0, today, advised));
        }
    }
    HeldOut::of(&costs)
}
