//! How hard the world is: an ideal observer of the vantages, who knows true costs, repoints labels by the
//! witness rule, and the clients, whom nothing measured, are judged.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::collections::BTreeMap;

use lab::scenario::Scenario;
use lab::world::{PlaceId, World};

const COLD_SHARE: f64 = 0.2;
const TRIANGLE_MS: f64 = 20.0;
const HARM_MS: f64 = 5.0;

fn cost(world: &World, place: PlaceId, endpoint: &str) -> f64 {
    world.true_cost_ms(place, endpoint, COLD_SHARE).unwrap()
}

/// Where the witness rule points label `from`, and the greatest true gain of its witness, ms.
fn repoint<'a>(world: &'a World, labels: &[&'a str], from: &'a str) -> (&'a str, f64) {
    let witness = world.place(from).unwrap();
    let own = cost(world, witness, from);
    let catchment: Vec<PlaceId> = (world.vantages().iter().map(|v| v.place))
        .filter(|&place| world.preferred(place, labels) == Some(from))
        .collect();
    let gain = |to: &&str| own - cost(world, witness, to);
    let allowed = |to: &&&str| {
        gain(to) > 5.0_f64.max(0.05 * own) + TRIANGLE_MS
            && catchment.iter().all(|&v| cost(world, v, to) <= cost(world, v, from) + HARM_MS)
    };
    let mean = |to: &str| {
        let sum: f64 = catchment.iter().chain([&witness]).map(|&v| cost(world, v, to)).sum();
        sum / (catchment.len() + 1) as f64
    };
    let others = || labels.iter().filter(|&&l| l != from);
    let best = others().filter(allowed).min_by(|a, b| mean(a).total_cmp(&mean(b)));
    (best.copied().unwrap_or(from), others().map(gain).fold(0.0, f64::max))
}

#[test]
fn the_witness_rule_helps_in_random_worlds_and_harms_few() {
    let (mut before_ms, mut after_ms, mut acted) = (0.0, 0.0, 0);
    let mut harmed = Vec::new();
    for seed in 0..200 {
        let world = World::generate(&Scenario::random(seed).unwrap(), seed).unwrap();
        let labels = world.initial_labels();
        let own: BTreeMap<&str, &str> = labels.iter().map(|&l| (l, l)).collect();
        let plan: Vec<(&str, &str, f64)> = (labels.iter())
            .map(|&l| {
                let (to, gain) = repoint(&world, &labels, l);
                (l, to, gain)
            })
            .collect();
        let targets = plan.iter().map(|&(l, to, _)| (l, to)).collect();
        let before = world.routed(&own).unwrap();
        let after = world.routed(&targets).unwrap();
        harmed.push(world.harmed_share(&before, &after, COLD_SHARE, HARM_MS).unwrap());
        if plan.iter().any(|&(_, _, gain)| gain >= 35.0) {
            acted += 1;
            before_ms += world.regret_ms(&before, COLD_SHARE).unwrap();
            after_ms += world.regret_ms(&after, COLD_SHARE).unwrap();
        }
    }
    let mean_harmed = harmed.iter().sum::<f64>() / harmed.len() as f64;
    let over = harmed.iter().filter(|&&h| h > 0.01).count();
    println!(
        "{acted} worlds acted on, after/before {:.4}, harmed {mean_harmed:.6}",
        after_ms / before_ms
    );
    assert!(acted >= 60, "{acted}");
    assert!(after_ms < 0.2 * before_ms, "{after_ms} of {before_ms}");
    // The rule is good, not free: a world in which it never harmed anybody would be too easy.
    assert!(mean_harmed > 0.0 && mean_harmed <= 0.001, "{mean_harmed}");
    assert!(over <= 4, "{over} worlds with more than 1 % harmed");
}
