//! What must hold of weights, whatever the costs, the capacities and the limits.

use proptest::prelude::*;

use super::*;

const FREE: WeightRule = WeightRule { floor: 0.0, max_step: 1.0 };

fn member(endpoint: usize, cost_ms: f64, share: f64) -> Member {
    Member { endpoint, cost_ms, share, may_give: true, may_take: true }
}

fn two(per_s: f64) -> Group {
    Group { per_s, members: vec![member(0, 100.0, 1.0), member(1, 40.0, 0.0)] }
}

#[test]
fn the_cheapest_gets_what_limits_allow() {
    let all = |capacity, rule| weights(&[two(100.0)], &[None, capacity], rule);
    assert_eq!(all(None, FREE), Ok(vec![Some(vec![0, 1])]));
    // A quarter at a time, and never less than a tenth of what it had.
    let step = WeightRule { max_step: 0.25, ..FREE };
    assert_eq!(all(None, step), Ok(vec![Some(vec![3, 1])]));
    let floor = WeightRule { floor: 0.1, ..FREE };
    assert_eq!(all(None, floor), Ok(vec![Some(vec![1, 9])]));
    assert_eq!(all(Some(50.0), FREE), Ok(vec![Some(vec![1, 1])]));
    let both = |first| weights(&[two(100.0)], &[Some(first), Some(50.0)], FREE);
    assert_eq!(both(40.0), Err(WeightError::Infeasible));
}

#[test]
fn what_is_best_already_stays() {
    let best = Group { per_s: 1.0, members: vec![member(0, 10.0, 1.0), member(1, 40.0, 0.0)] };
    assert_eq!(weights(&[best], &[None, None], FREE), Ok(vec![None]));
}

#[test]
fn who_may_not_give_or_take_stays() {
    let mut group = two(100.0);
    group.members.push(member(2, 20.0, 0.0));
    group.members[1].may_take = false;
    assert_eq!(weights(&[group.clone()], &[None; 3], FREE), Ok(vec![Some(vec![0, 0, 1])]));
    group.members[0].may_give = false;
    group.members[1].may_give = false;
    group.members[2].may_give = false;
    assert_eq!(weights(&[group], &[None; 3], FREE), Ok(vec![None]));
}

#[test]
fn an_endpoint_over_its_capacity_is_relieved_at_a_cost() {
    let group = Group { per_s: 100.0, members: vec![member(0, 10.0, 1.0), member(1, 40.0, 0.0)] };
    assert_eq!(weights(&[group], &[Some(75.0), None], FREE), Ok(vec![Some(vec![3, 1])]));
}

#[test]
fn capacity_is_shared_between_labels_by_who_gains_most() {
    let near = Group { per_s: 60.0, members: vec![member(0, 100.0, 1.0), member(1, 10.0, 0.0)] };
    let far = Group { per_s: 60.0, members: vec![member(0, 100.0, 1.0), member(1, 90.0, 0.0)] };
    let found = weights(&[near, far], &[None, Some(60.0)], FREE);
    assert_eq!(found, Ok(vec![Some(vec![0, 1]), Some(vec![1, 0])]));
}

fn any_groups() -> impl Strategy<Value = (Vec<Group>, Vec<Option<f64>>)> {
    let one = (0_u8..=255, 1.0_f64..400.0, any::<bool>(), any::<bool>());
    let group = (1.0_f64..500.0, prop::collection::vec(one, 3)).prop_map(|(per_s, drawn)| {
        let all: f64 = drawn.iter().map(|one| f64::from(one.0)).sum();
        let of = |(endpoint, (weight, cost_ms, may_give, may_take)): (usize, (u8, f64, _, _))| {
            let first = if endpoint == 0 { 1.0 } else { 0.0 };
            let share = if all > 0.0 { f64::from(weight) / all } else { first };
            Member { endpoint, cost_ms, share, may_give, may_take }
        };
        Group { per_s, members: drawn.into_iter().enumerate().map(of).collect() }
    });
    let capacity = prop::collection::vec(prop::option::of(100.0_f64..2_000.0), 3);
    (prop::collection::vec(group, 1..6), capacity)
}

fn as_shares(groups: &[Group], found: &[Option<Vec<u8>>]) -> Vec<Vec<f64>> {
    let of = |(group, weights): (&Group, &Option<Vec<u8>>)| {
        let weights: Vec<u32> = weights.iter().flatten().map(|w| u32::from(*w)).collect();
        parts(group, &weights)
    };
    groups.iter().zip(found).map(of).collect()
}

proptest! {
    #[test]
    fn whole_weights_keep_every_limit_and_never_cost_more(
        (groups, capacity) in any_groups(), floor in 0.0_f64..0.3, max_step in 0.01_f64..1.0,
    ) {
        let rule = WeightRule { floor, max_step };
        let now: Vec<Vec<f64>> = groups.iter().map(|group| group.shares().collect()).collect();
        let is_within = fits(&groups, &now, &capacity);
        let Ok(found) = weights(&groups, &capacity, rule) else {
            prop_assert!(!is_within, "what stands keeps every limit, so that there is an answer");
            return Ok(());
        };
        let shares = as_shares(&groups, &found);
        for ((group, shares), weights) in groups.iter().zip(&shares).zip(&found) {
            prop_assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            for (number, (one, share)) in group.members.iter().zip(shares).enumerate() {
                let least = floor.min(one.share);
                prop_assert!(*share >= least - 1e-6, "{share} is below the floor {floor}");
                prop_assert!((share - one.share).abs() <= max_step + 1e-6);
                prop_assert!(one.may_give || *share >= one.share - STAY - 1e-6);
                prop_assert!(one.may_take || *share <= one.share + STAY + 1e-6);
                let weight = weights.as_ref().map(|weights| weights[number]);
                prop_assert!(one.may_give || one.share == 0.0 || weight != Some(0));
            }
        }
        prop_assert!(fits(&groups, &shares, &capacity));
        if is_within {
            prop_assert!(cost(&groups, &shares) <= cost(&groups, &now) + 1e-6);
        }
    }

    /// Two labels, two endpoints: no pair of shares in steps of a twentieth does better than the
    /// program, but for what rounding costs.
    #[test]
    fn nothing_on_a_grid_is_better(
        costs in prop::array::uniform4(1.0_f64..400.0), loads in prop::array::uniform2(1.0_f64..300.0),
        now in prop::array::uniform2(0_u8..=20), capacity in 50.0_f64..600.0,
        limits in (0.0_f64..0.2, 0.05_f64..1.0),
    ) {
        let rule = WeightRule { floor: limits.0, max_step: limits.1 };
        let group = |number: usize| {
            let share = f64::from(now[number]) / 20.0;
            let members = vec![
                member(0, costs[2 * number], share), member(1, costs[2 * number + 1], 1.0 - share),
            ];
            Group { per_s: loads[number], members }
        };
        let groups = [group(0), group(1)];
        let capacities = [None, Some(capacity)];
        let keeps = |share: f64, one: &Member| one.takes(share, rule);
        let well_within = [None, Some(capacity * 0.95)];
        let (mut least, mut has_room) = (f64::INFINITY, false);
        for (a, b) in (0..=20).flat_map(|a| (0..=20).map(move |b| (a, b))) {
            let shares = [a, b].map(|part| vec![f64::from(part) / 20.0, 1.0 - f64::from(part) / 20.0]);
            let kept = groups.iter().zip(&shares).all(|(group, shares)| {
                group.members.iter().zip(shares).all(|(one, share)| keeps(*share, one))
            });
            if kept && fits(&groups, &shares, &capacities) {
                least = least.min(cost(&groups, &shares));
                has_room |= fits(&groups, &shares, &well_within);
            }
        }
        // One weight of 255 off at each label, and what room for rounding takes.
        let slack: f64 = loads.iter().sum::<f64>() * 400.0 * 0.025;
        match weights(&groups, &capacities, rule) {
            Ok(found) => {
                let found = cost(&groups, &as_shares(&groups, &found));
                prop_assert!(found <= least + slack, "{found}, and {least} on the grid");
            }
            Err(_) => prop_assert!(!has_room, "the grid has {least}"),
        }
    }

    #[test]
    fn what_is_something_stays_something(shares in prop::collection::vec(1e-5_f64..1.0, 2..5)) {
        let sum: f64 = shares.iter().sum();
        let shares: Vec<f64> = shares.iter().map(|share| share / sum).collect();
        let members = shares.iter().enumerate().map(|(id, share)| member(id, 1.0, *share));
        let group = Group { per_s: 1.0, members: members.collect() };
        let weights = round(&group, &shares, FREE).unwrap();
        prop_assert!(weights.iter().all(|weight| (1..=255).contains(weight)));
    }
}
