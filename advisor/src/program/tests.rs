//! The program against brute force, and what its bounds promise.

use proptest::prelude::*;

use super::*;

/// A random program: labels of which some are installed, rows that are each sent somewhere today.
/// Where costs have few values, many sets are equally good.
fn program(labels: usize, endpoints: usize, rows: usize, draws: &[u32]) -> Program {
    let values = if draws.first().is_some_and(|draw| draw % 2 == 0) { 200 } else { 3 };
    let mut draws = draws.iter().cycle();
    let mut draw = |below: usize| *draws.next().unwrap_or(&0) as usize % below;
    let mut candidates: Vec<Candidate> = (0..labels)
        .map(|label| {
            let current = (label < endpoints).then_some(label);
            let backed = (0..endpoints).filter(|_| draw(2) == 0).collect();
            Candidate { stays: current.is_some() && draw(3) > 0, current, backed }
        })
        .collect();
    // One that stays, so that nobody is ever left without an answer.
    candidates[0].stays = true;
    for label in candidates.iter_mut().filter(|l| l.current.is_none() && l.backed.is_empty()) {
        label.backed.push(0);
    }
    let row = |_| {
        let mut order: Vec<usize> = (0..labels).collect();
        for at in (1..labels).rev() {
            order.swap(at, draw(at + 1));
        }
        let today = order.iter().find_map(|label| candidates[*label].current).unwrap_or(0);
        let cost = |_| (draw(12) > 0).then(|| 10_000 + draw(values) as u64 * 500);
        let mut cost_us: Vec<Option<u64>> = (0..endpoints).map(cost).collect();
        let here = *cost_us[today].get_or_insert(100_000);
        let may = cost_us.iter().map(|c| c.is_some_and(|c| c <= here + 5_000)).collect();
        Row { weight: 1 + draw(1_000) as u64, order, cost_us, today, may }
    };
    let rows = (0..rows).map(row).collect();
    Program { endpoints, labels: candidates, rows }
}

/// Every subset, each label at its best admissible endpoint.
fn brute_force(program: &Program) -> Option<Value> {
    let sets = 0_u32..1 << program.labels.len();
    let set = |bits: u32| -> Vec<bool> {
        let chosen = |(label, of): (usize, &Candidate)| of.stays || bits >> label & 1 == 1;
        program.labels.iter().enumerate().map(chosen).collect()
    };
    sets.filter_map(|bits| program.evaluate(&set(bits))).map(|found| found.value).min()
}

fn draws() -> impl Strategy<Value = Vec<u32>> {
    prop::collection::vec(any::<u32>(), 397)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_search_finds_what_brute_force_finds(
        labels in 4_usize..11, endpoints in 2_usize..5, rows in 1_usize..16, draws in draws(),
    ) {
        let program = program(labels, endpoints, rows, &draws);
        let found = program.solve().unwrap();
        prop_assert!(found.proven);
        prop_assert_eq!(Some(found.value), brute_force(&program));
    }

    #[test]
    fn nobody_goes_where_it_may_not_and_today_is_never_beaten_by_the_answer(
        labels in 4_usize..15, rows in 1_usize..30, draws in draws(),
    ) {
        let program = program(labels, 4, rows, &draws);
        let today = program.evaluate(&program.installed()).unwrap();
        let found = program.solve().unwrap();
        prop_assert!(found.value <= today.value);
        for row in &program.rows {
            let answer = row.order.iter().find_map(|label| found.points_at[*label]).unwrap();
            prop_assert!(answer == row.today || row.may[answer]);
        }
        for (label, points_at) in program.labels.iter().zip(&found.points_at) {
            prop_assert!(!label.stays || points_at.is_some());
            let admissible = points_at.is_none()
                || label.current == *points_at
                || label.backed.contains(&points_at.unwrap());
            prop_assert!(admissible);
        }
    }
}

#[test]
fn fourteen_labels_agree_with_brute_force() {
    for seed in 1_u32..=12 {
        let draws: Vec<u32> = (0..400_u32).map(|n| mix(seed * 1_000 + n)).collect();
        let program = program(14, 4, 33, &draws);
        assert_eq!(Some(program.solve().unwrap().value), brute_force(&program), "seed {seed}");
    }
}

/// A hash that spreads small numbers.
fn mix(n: u32) -> u32 {
    let n = (n ^ (n >> 16)).wrapping_mul(0x45d9_f3b5);
    let n = (n ^ (n >> 15)).wrapping_mul(0x2c1b_3c6d);
    n ^ (n >> 13)
}

#[test]
fn a_tie_is_broken_by_failover_then_by_number_then_by_name() {
    let stays = |endpoint| Candidate { stays: true, current: Some(endpoint), backed: vec![] };
    let may_be = |backed| Candidate { stays: false, current: None, backed };
    let row = Row {
        weight: 1,
        order: vec![2, 1, 3, 0],
        cost_us: vec![Some(90_000), Some(10_000), Some(20_000)],
        today: 0,
        may: vec![true; 3],
    };
    // Labels 1 to 3 can all give the row endpoint 1; label 3 may also point at endpoint 2.
    let labels = vec![stays(0), may_be(vec![1]), may_be(vec![1]), may_be(vec![2])];
    let program = Program { endpoints: 3, labels, rows: vec![row] };
    let found = program.solve().unwrap();
    // With endpoint 1 down label 3 answers from endpoint 2, and the first of the twins suffices.
    assert_eq!(found.points_at, [Some(0), Some(1), None, Some(2)]);
    assert_eq!(found.value.regret, 0);
}
