//! The planner alone, on random worlds and without sockets: how much regret it removes, and whom it
//! harms.
//!
//! Vantages are sampled as probes would sample them (four cold and two warm responses a block of
//! two seconds); clients, which nothing measured from, judge by the lab's true costs.

#![expect(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use advisor::advice::{AdviceRule, Eyeballs, Routing, advise};
use advisor::matrix::{CellBlock, CostRule, Matrix};
use advisor::name::Label;
use lab::random::stream;
use lab::scenario::Scenario;
use lab::world::{Connection as LabConnection, World};
use probe::sample::Connection;
use probe::store::WindowSet;

const COLD_SHARE: f64 = 0.2;
const BLOCK_MS: i64 = 2_000;
const BLOCKS: i64 = 18;
const HARM_MS: f64 = 5.0;
const WORLDS: u64 = 200;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    // Inverted distribution function, as histograms answer it.
    values[(values.len() - 1) / 2]
}

fn measure(world: &World, seed: u64) -> Matrix {
    let mut draws = stream(seed, "planner test", 0);
    let mut rows = Vec::new();
    for vantage in world.vantages() {
        for endpoint in world.endpoints() {
            for block in 0..BLOCKS {
                let series = [
                    (Connection::Cold, LabConnection::Cold, 4_u64),
                    (Connection::Warm, LabConnection::Warm, 2),
                ];
                for (connection, of_lab, attempts) in series {
                    let values = (0..attempts)
                        .filter_map(|_| {
                            world.sample_ms(vantage.place, &endpoint.region, of_lab, &mut draws)
                        })
                        .collect();
                    rows.push(CellBlock {
                        vantage: vantage.id.clone(),
                        endpoint: endpoint.region.clone(),
                        connection,
                        start_ms: block * BLOCK_MS,
                        value_ms: median(values),
                        attempts,
                        failures: 0,
                        valid: WindowSet::from_bytes(1, &[1]),
                    });
                }
            }
        }
    }
    Matrix::build(&rows, CostRule { cold_share: COLD_SHARE, block_ms: BLOCK_MS })
}

fn routing(world: &World) -> Routing {
    let labels = world.initial_labels();
    let vantages: BTreeSet<String> = world.vantages().iter().map(|v| v.id.clone()).collect();
    let preferred = world
        .vantages()
        .iter()
        .filter_map(|v| Some((v.id.clone(), Label::new(world.preferred(v.place, &labels)?))))
        .collect();
    let witness = |region: &&&str| vantages.contains(**region);
    Routing {
        live: labels.iter().map(|label| (Label::new(label), (*label).to_owned())).collect(),
        preferred,
        witnesses: labels.iter().filter(witness).map(|l| ((*l).into(), (*l).into())).collect(),
        cloud: vantages.clone(),
        cooling: BTreeMap::new(),
        eyeballs: Eyeballs::default(),
    }
}

struct Result {
    before_ms: f64,
    after_ms: f64,
    harmed_share: f64,
    /// What the slow endpoint's witness truly gains at its best other endpoint.
    witness_gain_ms: f64,
}

fn plan(seed: u64) -> Result {
    let world = World::generate(&Scenario::random(seed).unwrap(), seed).unwrap();
    let advice = advise(&measure(&world, seed), &routing(&world), &AdviceRule::default());
    let own: BTreeMap<&str, &str> = world.initial_labels().into_iter().map(|l| (l, l)).collect();
    let after: BTreeMap<&str, &str> = advice
        .labels
        .iter()
        .filter_map(|l| Some((l.label.as_str(), l.advised.as_deref()?)))
        .collect();
    let (before, after) = (world.routed(&own).unwrap(), world.routed(&after).unwrap());
    let gain = |endpoint: &lab::world::Endpoint| -> Option<f64> {
        let witness = world.vantages().iter().find(|v| v.id == endpoint.region)?;
        let own_ms = world.true_cost_ms(witness.place, &endpoint.region, COLD_SHARE)?;
        Some(own_ms - world.best_endpoint(witness.place, COLD_SHARE)?.1)
    };
    Result {
        before_ms: world.regret_ms(&before, COLD_SHARE).unwrap(),
        after_ms: world.regret_ms(&after, COLD_SHARE).unwrap(),
        harmed_share: world.harmed_share(&before, &after, COLD_SHARE, HARM_MS).unwrap(),
        witness_gain_ms: world.endpoints().iter().filter_map(gain).fold(0.0, f64::max),
    }
}

#[test]
fn two_hundred_worlds_gain_and_hardly_anyone_is_harmed() {
    let results: Vec<Result> = (1..=WORLDS).map(plan).collect();
    let mean_harmed = results.iter().map(|r| r.harmed_share).sum::<f64>() / WORLDS as f64;
    let above = results.iter().filter(|r| r.harmed_share > 0.01).count();
    let clear: Vec<&Result> = results.iter().filter(|r| r.witness_gain_ms >= 35.0).collect();
    let pooled = |pick: fn(&Result) -> f64| clear.iter().map(|r| pick(r)).sum::<f64>();
    let ratio = pooled(|r| r.after_ms) / pooled(|r| r.before_ms);
    println!(
        "{WORLDS} worlds: mean harmed share {mean_harmed:.5}, {above} worlds above 0.01; \
         {} worlds with a witness gain of 35 ms: pooled regret after/before {ratio:.3}",
        clear.len()
    );
    assert!(clear.len() > 50, "too few worlds with a clear gain: {}", clear.len());
    assert!(mean_harmed <= 0.001, "mean harmed share {mean_harmed}");
    assert!(above <= 4, "{above} worlds harm more than 1 % of the traffic");
    assert!(ratio <= 0.2, "pooled regret after/before is {ratio}");
}
