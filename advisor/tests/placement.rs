//! The solver against what is known: published optima, brute force, and its own promises.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use advisor::placement::{Answer, CostMatrix, Objective, Request, read_table, solve};
use probe::place::{self, RegionPlace};
use proptest::prelude::*;

fn mean() -> Request {
    Request::plain()
}

fn named(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c{n:03}")).collect()
}

fn solve_all(matrix: &CostMatrix, request: &Request, ks: &[usize]) -> Vec<Answer> {
    solve(matrix, request, ks.iter().copied(), &mut || false).unwrap()
}

/// The shortest ways between all nodes of an OR-Library file, and its p.
fn or_library(text: &str) -> (CostMatrix, usize) {
    let mut numbers = text.split_whitespace().map(|word| word.parse::<usize>().unwrap());
    let mut next = || numbers.next();
    let (nodes, edges, p) = (next().unwrap(), next().unwrap(), next().unwrap());
    let mut ways = vec![vec![f64::INFINITY; nodes]; nodes];
    (0..nodes).for_each(|node| ways[node][node] = 0.0);
    for _ in 0..edges {
        let (from, to, cost) = (next().unwrap() - 1, next().unwrap() - 1, next().unwrap());
        // Where an edge is given twice the last one counts.
        ways[from][to] = cost as f64;
        ways[to][from] = cost as f64;
    }
    for over in 0..nodes {
        let onward = ways[over].clone();
        for row in &mut ways {
            let first = row[over];
            row.iter_mut().zip(&onward).for_each(|(way, rest)| *way = way.min(first + rest));
        }
    }
    let rows = ways.into_iter().zip(named(nodes));
    let rows = rows.map(|(row, name)| (name, 1.0, row.into_iter().map(Some).collect()));
    (CostMatrix::from_costs(named(nodes), rows), p)
}

#[test]
fn published_optima_are_reached_and_proven() {
    let known = [
        (include_str!("data/pmed1.txt"), 5819.0),
        (include_str!("data/pmed2.txt"), 4093.0),
        (include_str!("data/pmed3.txt"), 4250.0),
        (include_str!("data/pmed4.txt"), 3034.0),
        (include_str!("data/pmed5.txt"), 1355.0),
    ];
    for (text, optimum) in known {
        let (matrix, p) = or_library(text);
        let answer = &solve_all(&matrix, &mean(), &[p])[0];
        assert_eq!((answer.total, answer.optimal, answer.gap), (Some(optimum), true, 0.0));
        assert_eq!(answer.chosen.len(), p);
    }
}

/// A small random problem.
#[derive(Debug, Clone)]
struct Small {
    matrix: CostMatrix,
    request: Request,
    k: usize,
}

fn small() -> impl Strategy<Value = Small> {
    let objective = prop_oneof![
        Just(Objective::Mean),
        (0_u32..60).prop_map(|limit| Objective::Slo(f64::from(limit))),
        Just(Objective::P95),
    ];
    (2_usize..=15, 1_usize..=40, objective, any::<bool>(), 0_u32..3).prop_flat_map(
        |(columns, clients, objective, n_minus_1, missing)| {
            // Missing costs in none, few or many cells; weights and costs that tie.
            let cost = (0_u32..60, 0_u32..6, any::<bool>()).prop_map(move |(cost, draw, half)| {
                let is_known = draw >= missing;
                is_known.then(|| f64::from(cost) + if half { 0.37 } else { 0.0 })
            });
            let row = (prop::collection::vec(cost, columns), 0_u32..5);
            let rows = prop::collection::vec(row, clients);
            let fixed = prop_oneof![
                Just(Vec::new()),
                prop::collection::vec((0_u32..80).prop_map(f64::from), columns)
            ];
            let states = prop::collection::vec(0_u32..8, columns);
            (rows, fixed, states, 1..=columns.min(5)).prop_map(move |(rows, fixed, states, k)| {
                let rows = rows.into_iter().enumerate().map(|(at, (costs, weight))| {
                    let weight = if at == 0 { weight + 1 } else { weight };
                    (format!("r{at}"), f64::from(weight), costs)
                });
                let matrix = CostMatrix::from_costs(named(columns), rows);
                let of = |wanted| -> Vec<usize> {
                    (0..columns).filter(|c| states[*c] == wanted).collect()
                };
                let mut pinned = of(0);
                pinned.truncate(k);
                let forbidden = of(1);
                let request = Request { objective, pinned, forbidden, fixed, n_minus_1 };
                Small { matrix, request, k }
            })
        },
    )
}

/// Clients' weights and costs under a choice, or nothing where it strands a client.
fn served(small: &Small, chosen: &[usize]) -> Option<Vec<(f64, f64)>> {
    let mut all = Vec::new();
    let k = chosen.len() as f64;
    for client in 0..small.matrix.clients.len() {
        let weight = small.matrix.weights[client];
        let mut costs: Vec<f64> =
            chosen.iter().filter_map(|column| small.matrix.costs(client)[*column]).collect();
        costs.sort_by(f64::total_cmp);
        let first = *costs.first()?;
        if !small.request.n_minus_1 {
            all.push((weight, first));
            continue;
        }
        let known = small.matrix.costs(client).iter().flatten().count();
        if known >= 2 && costs.len() < 2 {
            return None;
        }
        all.push((weight * (k - 1.0) / k, first));
        all.extend(costs.get(1).map(|second| (weight / k, *second)));
    }
    Some(all)
}

/// What the objective makes of a choice.
fn value(small: &Small, chosen: &[usize]) -> Option<f64> {
    if small.request.n_minus_1 && chosen.len() == 1 {
        return None;
    }
    let mut served = served(small, chosen)?;
    let fixed: f64 = chosen.iter().filter_map(|c| small.request.fixed.get(*c)).sum();
    Some(match small.request.objective {
        Objective::Mean => served.iter().map(|(weight, cost)| weight * cost).sum::<f64>() + fixed,
        Objective::Slo(limit) => {
            let over = served.iter().filter(|(_, cost)| *cost > limit);
            over.map(|(weight, _)| weight).sum::<f64>() + fixed
        }
        Objective::P95 => {
            served.sort_by(|a, b| a.1.total_cmp(&b.1));
            let enough = served.iter().map(|(weight, _)| weight).sum::<f64>() * 0.95 - 1e-9;
            let mut within = 0.0;
            let reached = served.iter().find(|(weight, _)| {
                within += weight;
                within >= enough
            });
            reached?.1
        }
    })
}

fn choices(columns: usize, k: usize) -> Vec<Vec<usize>> {
    let all = (0_u32..1 << columns).filter(|mask| mask.count_ones() as usize == k);
    all.map(|mask| (0..columns).filter(|c| (mask >> c) & 1 == 1).collect()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn brute_force_agrees(small in small()) {
        prop_assume!(!small.matrix.clients.is_empty() && small.matrix.weight() > 0.0);
        let columns = small.matrix.columns.len();
        let allowed = columns - small.request.forbidden.len();
        let solved = solve(&small.matrix, &small.request, [small.k], &mut || false);
        if small.k > allowed || small.k < small.request.pinned.len() {
            prop_assert!(solved.is_err());
            return Ok(());
        }
        let answer = &solved.unwrap()[0];
        let is_allowed = |chosen: &Vec<usize>| {
            small.request.pinned.iter().all(|c| chosen.contains(c))
                && !chosen.iter().any(|c| small.request.forbidden.contains(c))
        };
        let all = choices(columns, small.k).into_iter().filter(is_allowed);
        let best = all.filter_map(|chosen| value(&small, &chosen)).min_by(f64::total_cmp);
        prop_assert!(answer.optimal && answer.gap == 0.0);
        let found = if answer.chosen.is_empty() { None } else { value(&small, &answer.chosen) };
        match (best, found) {
            (None, None) => {}
            (Some(best), Some(found)) => {
                prop_assert!((best - found).abs() <= 1e-6 * best.max(1.0), "{best} {found}");
                prop_assert!(is_allowed(&answer.chosen) && answer.chosen.len() == small.k);
            }
            other => prop_assert!(false, "{other:?}"),
        }
        let again = solve(&small.matrix, &small.request, [small.k], &mut || false);
        prop_assert_eq!(&again.unwrap()[0], answer);
    }

    #[test]
    fn many_clients_are_solved_as_few_are(
        costs in prop::collection::vec(prop::collection::vec(0_u32..1_000, 6), 60),
    ) {
        let rows = costs.into_iter().enumerate().map(|(at, costs)| {
            let costs = costs.into_iter().map(|cost| Some(f64::from(cost) / 7.0)).collect();
            (format!("r{at}"), 1.0 + at as f64 / 3.0, costs)
        });
        let matrix = CostMatrix::from_costs(named(6), rows);
        let small = Small { matrix, request: mean(), k: 3 };
        let answer = &solve_all(&small.matrix, &small.request, &[3])[0];
        let all = choices(6, 3);
        let best = all.iter().filter_map(|c| value(&small, c)).min_by(f64::total_cmp).unwrap();
        prop_assert!((answer.total.unwrap() - best).abs() <= 1e-9 * best, "{answer:?} {best}");
    }
}

/// How often a frontier on the grid may ask for the time: twice what it does. It asks every 16 steps of the
/// bound, and after each kick.
const ASKS_MAX: u32 = 1_100;

/// Clients on a grid over the world, with the ways to all Regions: many rows and few columns, so that rows
/// are merged into sets of columns and most costs are met exactly by a price.
fn grid() -> CostMatrix {
    let regions: Vec<_> = place::commercial_regions().collect();
    let names = regions.iter().map(|region| region.region.to_owned()).collect();
    let points = (-10..=12).flat_map(|north| (-30..30).map(move |east| (north * 6, east * 6)));
    let rows = points.map(|(north, east)| {
        let here = (f64::from(north), f64::from(east));
        let km = |region: &RegionPlace| {
            place::great_circle_km(here, (region.latitude, region.longitude))
        };
        let costs = regions.iter().map(|region| Some(km(region) / 100.0));
        (format!("{north}/{east}"), f64::from(north).to_radians().cos(), costs.collect())
    });
    CostMatrix::from_costs(names, rows)
}

#[test]
fn many_clients_and_few_regions_take_few_steps() {
    let matrix = grid();
    let mut asks = 0_u32;
    let mut is_over = || {
        asks += 1;
        asks > ASKS_MAX
    };
    let answers = solve(&matrix, &mean(), 1..=12, &mut is_over).unwrap();
    println!("{} clients, k = 1 to 12: the time was asked for {asks} times", matrix.clients.len());
    assert!(answers.iter().all(|answer| answer.optimal), "{asks}");
}

#[test]
fn time_that_is_over_leaves_an_honest_gap() {
    // Random costs without any structure have a bound far from every choice.
    let mut state = 1_u64;
    let mut draw = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(((state >> 40) % 1_000) as f64 + 0.5)
    };
    let rows: Vec<_> =
        (0..60).map(|at| (format!("r{at}"), 1.0, (0..60).map(|_| draw()).collect())).collect();
    let matrix = CostMatrix::from_costs(named(60), rows);
    let stopped = &solve(&matrix, &mean(), [6], &mut || true).unwrap()[0];
    assert!(!stopped.optimal && stopped.gap > 0.0 && stopped.gap < 1.0, "{stopped:?}");
    let mut asked = 0;
    let mut later = || {
        asked += 1;
        asked > 100
    };
    let closer = &solve(&matrix, &mean(), [6], &mut later).unwrap()[0];
    assert!(closer.gap <= stopped.gap, "{closer:?}");
    let low = closer.total.unwrap() * (1.0 - closer.gap);
    assert!(low <= stopped.total.unwrap(), "a bound lies below every choice");
}

#[test]
fn equal_columns_are_taken_in_the_order_of_their_names() {
    let text = "client,zulu,alpha,mike\na,5,5,9\nb,7,7,9\n";
    let matrix = CostMatrix::from_table(&read_table(text).unwrap()).unwrap();
    let answer = &solve_all(&matrix, &mean(), &[1])[0];
    assert_eq!(matrix.columns[answer.chosen[0]], "alpha");
}
