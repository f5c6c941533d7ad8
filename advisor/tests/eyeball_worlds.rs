//! The rule for measured clients on real round trips: how much regret it removes, and whom it harms.
//!
//! Rows of the matrix of medians between Regions stand for clients; Route 53 prefers by the same
//! rows times a lognormal error. Blocks are free of noise: what is judged is the program.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests panic where they fail, and print what they measure; their figures are small"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use advisor::advice::{Advice, AdviceRule, Choice, EyeballRow, Eyeballs, Routing, advise};
use advisor::matrix::{CellBlock, CostRule, Matrix};
use advisor::name::Label;
use advisor::program::{Candidate, Program, Row, WEIGHT_PARTS};
use probe::sample::Connection;
use probe::store::WindowSet;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal};

const P50: &str = include_str!("../../lab/data/p50.csv");
const WORLDS: u64 = 200;
const ENDPOINTS: usize = 4;
/// What nobody may lose: the rule's own figure.
const HARM_MS: f64 = 5.0;
/// Nodes that the search for one answer may look at: some milliseconds.
const NODES_MAX: u32 = 4_000;
/// Sets of labels that brute force can look at.
const BRUTE_LABELS: usize = 14;

/// Round trips by client and Region.
type Trips = BTreeMap<String, BTreeMap<String, f64>>;

fn round_trips() -> Trips {
    let mut lines = P50.lines();
    let regions: Vec<&str> = lines.next().unwrap().split(',').skip(1).collect();
    let row = |line: &str| {
        let (from, cells) = line.split_once(',').unwrap();
        let cells = cells.split(',').map(|cell| cell.parse().unwrap());
        (from.to_owned(), regions.iter().map(|to| (*to).to_owned()).zip(cells).collect())
    };
    lines.map(row).collect()
}

struct World {
    cost_ms: Trips,
    routing: Routing,
}

impl World {
    fn new(trips: &Trips, slow_ms: f64, seed: u64) -> Self {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        let regions: Vec<&String> = trips.keys().collect();
        let endpoints: Vec<String> =
            regions.sample(&mut draws, ENDPOINTS).map(|region| (*region).clone()).collect();
        let mut cost_ms = Trips::new();
        let mut rows = BTreeMap::new();
        for (client, row) in trips {
            let cost = |endpoint: &String| {
                let slow_ms = if *endpoint == endpoints[0] { slow_ms } else { 0.0 };
                (endpoint.clone(), row[endpoint] + slow_ms)
            };
            cost_ms.insert(client.clone(), endpoints.iter().map(cost).collect());
            let mut normal = || -> f64 { StandardNormal.sample(&mut draws) };
            let mut order: Vec<(f64, Label)> = row
                .iter()
                .map(|(region, ms)| (ms * (0.1 * normal()).exp(), Label::new(region)))
                .collect();
            order.sort_by(|a, b| a.0.total_cmp(&b.0));
            let order = order.into_iter().map(|(_, label)| label).collect();
            let weight = draws.random_range(0.2..5.0);
            rows.insert(client.clone(), EyeballRow { weight, order });
        }
        let own_labels: BTreeSet<Label> = endpoints.iter().map(|id| Label::new(id)).collect();
        let installed =
            |row: &EyeballRow| row.order.iter().find(|l| own_labels.contains(l)).cloned();
        let routing = Routing {
            live: endpoints.iter().map(|id| (Label::new(id), id.clone())).collect(),
            preferred: rows
                .iter()
                .map(|(client, row)| (client.clone(), installed(row).unwrap()))
                .collect(),
            witnesses: BTreeMap::new(),
            cloud: BTreeSet::new(),
            cooling: BTreeMap::new(),
            eyeballs: Eyeballs {
                rows,
                unmeasured: BTreeMap::new(),
                own_labels,
                asked: true,
                choice: Choice::All,
            },
        };
        Self { cost_ms, routing }
    }

    fn matrix(&self) -> Matrix {
        let mut rows = Vec::new();
        for (client, costs) in &self.cost_ms {
            for (endpoint, value_ms) in costs {
                rows.extend((0..18).map(|block| CellBlock {
                    vantage: client.clone(),
                    endpoint: endpoint.clone(),
                    connection: Connection::Warm,
                    start_ms: block * 1_000,
                    value_ms: *value_ms,
                    attempts: 240,
                    failures: 0,
                    valid: WindowSet::from_bytes(1, &[1]),
                }));
            }
        }
        Matrix::build(&rows, CostRule { cold_share: 0.0, block_ms: 1_000 })
    }

    /// The weighted regret, and the largest loss of a client, when labels point at `labels`.
    fn judge(&self, labels: &BTreeMap<Label, String>) -> (f64, f64) {
        let (mut regret, mut worst_ms) = (0.0, f64::NEG_INFINITY);
        for (client, row) in &self.routing.eyeballs.rows {
            let costs = &self.cost_ms[client];
            let answer = row.order.iter().find_map(|label| labels.get(label)).unwrap();
            let today = &self.routing.live[&self.routing.preferred[client]];
            let least = costs.values().copied().fold(f64::INFINITY, f64::min);
            regret += row.weight * (costs[answer] - least);
            worst_ms = f64::max(worst_ms, costs[answer] - costs[today]);
        }
        (regret, worst_ms)
    }

    /// The program of this world, put together by the rule's words.
    fn program(&self) -> Program {
        let gains = self.gains();
        let live = &self.routing.live;
        let endpoints: Vec<&String> = live.values().collect();
        let labels: BTreeSet<&Label> = live.keys().chain(gains.keys()).collect();
        let number = |id: &String| endpoints.iter().position(|other| *other == id).unwrap();
        let candidate = |label: &&Label| Candidate {
            stays: live.contains_key(*label),
            current: live.get(*label).map(number),
            backed: gains.get(*label).into_iter().flatten().map(number).collect(),
        };
        let total: f64 = self.routing.eyeballs.rows.values().map(|row| row.weight).sum();
        let row = |(client, row): (&String, &EyeballRow)| {
            let costs: Vec<f64> = endpoints.iter().map(|id| self.cost_ms[client][*id]).collect();
            let today = number(&live[&self.routing.preferred[client]]);
            let place = |label: &Label| labels.iter().position(|other| *other == label);
            Row {
                weight: (row.weight / total * WEIGHT_PARTS as f64) as u64,
                order: row.order.iter().filter_map(place).collect(),
                cost_us: costs.iter().map(|ms| Some((ms * 1_000.0) as u64)).collect(),
                today,
                may: costs.iter().map(|ms| ms - costs[today] <= HARM_MS).collect(),
            }
        };
        let rows = self.routing.eyeballs.rows.iter().map(row).collect();
        let labels = labels.iter().map(candidate).collect();
        Program { endpoints: ENDPOINTS, labels, rows }
    }

    /// The endpoints that each label may have: those at which a client that prefers it to all
    /// others gains enough.
    fn gains(&self) -> BTreeMap<Label, BTreeSet<String>> {
        let mut gains: BTreeMap<Label, BTreeSet<String>> = BTreeMap::new();
        for (client, row) in &self.routing.eyeballs.rows {
            let costs = &self.cost_ms[client];
            let here_ms = costs[&self.routing.live[&self.routing.preferred[client]]];
            for (endpoint, there_ms) in costs {
                if here_ms - there_ms > f64::max(5.0, 0.05 * here_ms) {
                    gains.entry(row.order[0].clone()).or_default().insert(endpoint.clone());
                }
            }
        }
        gains
    }

    /// The least regret over all sets of labels, or nothing where there are too many.
    fn brute_force(&self) -> Option<f64> {
        let gains = self.gains();
        let free: Vec<&Label> =
            gains.keys().filter(|label| !self.routing.live.contains_key(*label)).collect();
        if free.len() > BRUTE_LABELS {
            return None;
        }
        let set = |bits: u32| {
            let chosen = free.iter().enumerate().filter(move |(index, _)| bits >> index & 1 == 1);
            let mut set: BTreeSet<&Label> = chosen.map(|(_, label)| *label).collect();
            set.extend(self.routing.live.keys());
            set
        };
        let values = (0_u32..1 << free.len()).filter_map(|bits| self.best_of(&set(bits), &gains));
        Some(values.fold(f64::INFINITY, f64::min))
    }

    /// The regret of a set when each label takes its best endpoint of those it may have.
    fn best_of(
        &self,
        set: &BTreeSet<&Label>,
        gains: &BTreeMap<Label, BTreeSet<String>>,
    ) -> Option<f64> {
        let mut total = 0.0;
        for label in set {
            let current = self.routing.live.get(*label);
            let mut may: BTreeSet<&String> = gains.get(*label).into_iter().flatten().collect();
            may.extend(current);
            let clients = self.routing.eyeballs.rows.iter().filter(|(_, row)| {
                row.order.iter().find(|other| set.contains(other)) == Some(*label)
            });
            let clients: Vec<_> = clients.collect();
            let of_endpoint = |endpoint: &&String| -> Option<f64> {
                let mut sum = 0.0;
                for (client, row) in &clients {
                    let costs = &self.cost_ms[*client];
                    let today = &self.routing.live[&self.routing.preferred[*client]];
                    if costs[*endpoint] - costs[today] > HARM_MS {
                        return None;
                    }
                    let least = costs.values().copied().fold(f64::INFINITY, f64::min);
                    sum += row.weight * (costs[*endpoint] - least);
                }
                Some(sum)
            };
            total += may.iter().filter_map(of_endpoint).min_by(f64::total_cmp)?;
        }
        Some(total)
    }
}

#[expect(clippy::disallowed_methods, reason = "what is measured here is the time it takes")]
fn timed(world: &World) -> (Advice, Duration) {
    let matrix = world.matrix();
    let begin = std::time::Instant::now();
    let advice = advise(&matrix, &world.routing, &AdviceRule::default());
    (advice, begin.elapsed())
}

/// Runs all worlds with one endpoint this slow, and says what is left of the regret.
fn residual(slow_ms: f64) -> f64 {
    let trips = round_trips();
    let (mut before, mut after, mut worst_ms) = (0.0, 0.0, f64::NEG_INFINITY);
    let (mut brute, mut withdrawn, mut longest) = (0, 0, Duration::ZERO);
    for seed in 1..=WORLDS {
        let world = World::new(&trips, slow_ms, seed);
        let (advice, time) = timed(&world);
        longest = longest.max(time);
        let (plain, _) = world.judge(&world.routing.live);
        let (left, loss_ms) = world.judge(&advice.endpoints());
        before += plain;
        after += left;
        worst_ms = f64::max(worst_ms, loss_ms);
        let confirmed = advice.moves().next().is_some() || advice.held_out.is_none();
        withdrawn += u32::from(!confirmed);
        if let Some(least) = world.brute_force().filter(|_| confirmed) {
            brute += 1;
            assert!((left - least).abs() < 1e-3, "world {seed}: {left} and by brute force {least}");
        }
    }
    println!(
        "{WORLDS} worlds, one endpoint {slow_ms} ms slow: residual regret {:.4} of plain, worst loss \
         {worst_ms:.2} ms, {brute} agree with brute force, {withdrawn} withdrawn by leaving one out, \
         longest {longest:?}",
        after / before
    );
    assert!(worst_ms <= HARM_MS, "a client loses {worst_ms} ms");
    assert!(brute > 0, "no world is small enough for brute force");
    after / before
}

#[test]
fn a_very_slow_endpoint_leaves_at_most_a_twentieth_of_the_regret() {
    let left = residual(150.0);
    assert!(left <= 0.05, "{left}");
}

#[test]
fn a_slow_endpoint_leaves_at_most_a_fifth_of_the_regret() {
    let left = residual(60.0);
    assert!(left <= 0.2, "{left}");
}

#[test]
fn the_search_for_one_answer_is_short() {
    let trips = round_trips();
    let (mut nodes, mut labels) = (Vec::new(), 0);
    for slow_ms in [60.0, 150.0] {
        for seed in 1..=WORLDS {
            let program = World::new(&trips, slow_ms, seed).program();
            let found = program.solve().unwrap();
            assert!(found.proven, "world {seed}, {slow_ms} ms");
            nodes.push(found.nodes);
            labels = labels.max(program.labels.len());
        }
    }
    nodes.sort_unstable();
    let (half, most) = (nodes[nodes.len() / 2], nodes[nodes.len() - 1]);
    println!("up to {labels} labels: {half} nodes in the median, at most {most}");
    assert!(most <= NODES_MAX, "{most}");
}
