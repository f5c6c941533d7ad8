//! Properties of the block test on generated worlds, judged at every block end as a watch would.
//!
//! `NEARSIDE_WORLDS` says how many worlds each property takes; each prints its figures.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    clippy::cast_possible_wrap,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests panic and print; the sizes of these worlds are small"
)]

mod worlds;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use advisor::evidence::{EvidenceRule, Tested, Volatility, test_family};
use advisor::journal::{Ending, Event, Journal, cooling};
use advisor::matrix::{CellBlock, CostRule, Matrix};
use advisor::name::Label;
use advisor::plan::{Effect, FORMAT, Intent, Move, Plan, Thresholds};
use advisor::topology::Shares;
use worlds::{APART, BLOCK_MS, CURRENT, DAY_BLOCKS, Day, NEAR, Shape, Truth, WIDE, label, vantage};

/// Worlds of a property where nothing else is asked for: what a quick run can afford.
const WORLDS: u64 = 6;
/// Blocks that a volatile pair needs.
const VOLATILE_BLOCKS: u32 = 42;
const COOLDOWN_MS: i64 = 7 * 24 * 3_600_000;

#[expect(clippy::disallowed_methods, reason = "the one place where these tests are told a size")]
fn worlds() -> u64 {
    let asked = std::env::var("NEARSIDE_WORLDS").ok();
    asked.map_or(WORLDS, |n| n.parse().expect("NEARSIDE_WORLDS: a whole number"))
}

fn rule(min_gain_ms: f64) -> EvidenceRule {
    EvidenceRule { min_gain_ms, ..EvidenceRule::default() }
}

/// The matrix that a store would give at the end of block `until`.
fn matrix_at(rows: &[CellBlock], until: usize, rule: &EvidenceRule) -> Matrix {
    let since_ms = (until as i64 - i64::from(rule.longest_slots())) * BLOCK_MS;
    let first = rows.partition_point(|row| row.start_ms < since_ms);
    let end = rows.partition_point(|row| row.start_ms < until as i64 * BLOCK_MS);
    Matrix::build(&rows[first..end], CostRule { cold_share: 0.0, block_ms: BLOCK_MS })
}

/// Judges every label's challengers, by vantages of which each stands for one label.
fn judge(matrix: &Matrix, live: &[String], rule: &EvidenceRule) -> Vec<Tested> {
    let population: BTreeSet<String> = (0..live.len()).map(vantage).collect();
    let vantages: Vec<&String> = population.iter().collect();
    let family = live.iter().enumerate().flat_map(|(index, current)| {
        let others = matrix.endpoints.iter().filter(move |id| *id != current);
        let vantage = vantages[index].as_str();
        others.map(move |id| (vantage, current.as_str(), id.as_str()))
    });
    test_family(matrix, family, &population, 0.0, rule)
}

/// A change as the journal keeps it.
fn change(journal: &mut Journal, at_ms: i64, label: &str, from: &str, to: &str) {
    let plan = Plan {
        format: FORMAT,
        intent: Intent::Route,
        made_at_ms: at_ms,
        zone_id: "Z1".into(),
        zone: "example.com".into(),
        service: "api.example.com".into(),
        generation: 1,
        labels: BTreeMap::new(),
        weights: BTreeMap::new(),
        moves: vec![Move::whole(&Label::new(label), &Shares::one(from), to, "repoint")],
        effect: Effect::default(),
        thresholds: Thresholds::default(),
        health_checks: Vec::new(),
        reused_health_checks: BTreeMap::new(),
        unproven: BTreeSet::new(),
        changes: Vec::new(),
        prior: Vec::new(),
    };
    journal.begin(at_ms, &plan).unwrap();
    journal.note(at_ms, Event::Accepted { change_id: None }).unwrap();
    journal.note(at_ms, Event::Ends(Ending::Applied)).unwrap();
}

/// Watches a world and follows what passes, with the journal's own cool-down: the changes made,
/// each the block end, the label's number and the new endpoint.
fn watch(
    rows: &[CellBlock],
    shape: Shape,
    rule: &EvidenceRule,
    folder: &Path,
) -> Vec<(usize, usize, String)> {
    let path = folder.join("watch.journal");
    let mut journal = Journal::open(&path).unwrap();
    let mut live = vec![CURRENT.to_owned(); shape.labels];
    let mut changes = Vec::new();
    for until in 1..=shape.blocks {
        let now_ms = until as i64 * BLOCK_MS;
        let tested = judge(&matrix_at(rows, until, rule), &live, rule);
        let resting = cooling(journal.operations(), COOLDOWN_MS, now_ms);
        for (index, here) in live.iter_mut().enumerate() {
            let gain = |of: &&Tested| of.comparison.gain_ms.unwrap();
            let best = tested
                .iter()
                .filter(|of| of.vantage == vantage(index) && of.passes())
                .max_by(|a, b| gain(a).total_cmp(&gain(b)));
            let Some(best) = best else { continue };
            if resting.contains_key(&Label::new(&label(index))) {
                continue;
            }
            change(&mut journal, now_ms, &label(index), here, &best.challenger);
            here.clone_from(&best.challenger);
            changes.push((until, index, best.challenger.clone()));
        }
    }
    drop(journal);
    std::fs::remove_file(path).unwrap();
    changes
}

#[test]
fn equal_endpoints_give_hardly_any_advice() {
    let folder = tempfile::tempdir().unwrap();
    let mut advised = 0;
    for seed in 1..=worlds() {
        let rows = worlds::rows(WIDE, Truth::Same, 0.5, seed);
        advised += u64::from(!watch(&rows, WIDE, &rule(5.0), folder.path()).is_empty());
    }
    println!("A/A: {advised} of {} worlds give any advice in 30 days", worlds());
    assert!(advised * 50 <= worlds(), "{advised} of {}", worlds());
}

#[test]
fn a_gain_at_the_boundary_is_rarely_taken_for_more() {
    let truth = Truth::Gain { ms: 5.0, share: 0.05 };
    let (mut passed, mut compared) = (0, 0);
    for seed in 1..=worlds() {
        let rows = worlds::rows(WIDE, truth, 0.5, seed);
        let live = vec![CURRENT.to_owned(); WIDE.labels];
        let mut ever = BTreeSet::new();
        for until in 1..=WIDE.blocks {
            let tested = judge(&matrix_at(&rows, until, &rule(5.0)), &live, &rule(5.0));
            let passing = tested.into_iter().filter(Tested::passes);
            ever.extend(passing.map(|of| (of.vantage, of.challenger)));
        }
        passed += ever.len();
        compared += WIDE.labels * WIDE.challengers;
    }
    let share = passed as f64 / compared as f64;
    println!("boundary: {passed} of {compared} comparisons ever pass in 30 days ({share:.4})");
    assert!(share <= 0.05, "{share}");
}

/// What became of a shift of 20 ms within four days, where the least gain is 10 ms.
struct Shifted {
    compared: usize,
    /// Comparisons that passed.
    found: usize,
    /// Those that did not, and were volatile at some block end.
    volatile: usize,
    /// The share of the labels with a comparison that passed.
    labels: f64,
}

impl Shifted {
    fn share(&self) -> f64 {
        self.found as f64 / self.compared as f64
    }
}

/// A volatile pair needs `volatile_blocks`.
fn shifted(day: Day, volatile_blocks: u32) -> Shifted {
    let from_block = 15 * DAY_BLOCKS;
    let shape = Shape { blocks: from_block + 4 * DAY_BLOCKS, day, ..WIDE };
    // A share of the cost would raise the least gain of far vantages above 10 ms.
    let rule = EvidenceRule { min_gain_share: 0.0, volatile_blocks, ..rule(10.0) };
    let live = vec![CURRENT.to_owned(); shape.labels];
    let (mut found, mut volatile) = (BTreeSet::new(), BTreeSet::new());
    for seed in 1..=worlds() {
        let rows = worlds::rows(shape, Truth::Shift { ms: 20.0, from_block }, 0.5, seed);
        for until in from_block + 1..=shape.blocks {
            for of in judge(&matrix_at(&rows, until, &rule), &live, &rule) {
                let passes = of.passes();
                let swings = matches!(of.comparison.volatility, Volatility::Volatile(_));
                let pair = (seed, of.vantage, of.challenger);
                if passes {
                    found.insert(pair);
                } else if swings {
                    volatile.insert(pair);
                }
            }
        }
    }
    let labels: BTreeSet<(u64, &String)> = found.iter().map(|(seed, at, _)| (*seed, at)).collect();
    let all = worlds() as usize * shape.labels;
    Shifted {
        compared: all * shape.challengers,
        found: found.len(),
        volatile: volatile.difference(&found).count(),
        labels: labels.len() as f64 / all as f64,
    }
}

#[test]
fn a_shift_is_found_within_four_days() {
    let near = shifted(NEAR, VOLATILE_BLOCKS);
    println!(
        "shift: {} of {} comparisons pass within 4 days ({:.4}), {} of the others are volatile; \
         {:.4} of the labels get advice",
        near.found,
        near.compared,
        near.share(),
        near.volatile,
        near.labels
    );
    assert!(near.share() >= 0.95, "{}", near.share());
}

/// Where each way has busy hours of its own, some differences swing by more than the least gain
/// every day. The rule asks for 42 blocks of those, which fill seven days; and as many lie below the
/// least gain for some hours of each day, so that no other number of blocks finds all of them.
#[test]
fn a_shift_is_often_missed_where_the_difference_swings_every_day() {
    let apart = shifted(APART, VOLATILE_BLOCKS);
    let alike = shifted(APART, rule(10.0).blocks);
    println!(
        "shift, busy hours apart: {} of {} comparisons pass within 4 days ({:.4}), {} of the others \
         are volatile; {:.4} of the labels get advice; {:.4} of the comparisons would pass if \
         volatile ones needed no more blocks",
        apart.found,
        apart.compared,
        apart.share(),
        apart.volatile,
        apart.labels,
        alike.share()
    );
    assert!(apart.share() >= 0.8, "{}", apart.share());
    assert!(apart.labels >= 0.95, "{}", apart.labels);
}

#[test]
fn day_and_night_do_not_flap() {
    let folder = tempfile::tempdir().unwrap();
    let mut most = 0;
    for seed in 1..=worlds() {
        let rows = worlds::rows(WIDE, Truth::DayNight { share: 0.15 }, 0.5, seed);
        let changes = watch(&rows, WIDE, &rule(5.0), folder.path());
        let of_label = |index| changes.iter().filter(|change| change.1 == index).count();
        most = most.max((0..WIDE.labels).map(of_label).max().unwrap());
    }
    println!("day and night: at most {most} changes of a label in 30 days");
    assert!(most <= 1, "{most} changes");
}

#[test]
fn an_endpoint_that_fails_is_never_advised_at_any_quantile() {
    let shape = Shape { labels: 8, blocks: 10 * DAY_BLOCKS, ..WIDE };
    let folder = tempfile::tempdir().unwrap();
    for quantile in [0.1, 0.25, 0.5, 0.59, 0.6, 0.75, 0.9, 0.99] {
        for seed in 1..=worlds() {
            let rows = worlds::rows(shape, Truth::Failing { ms: 50.0, share: 0.4 }, quantile, seed);
            let changes = watch(&rows, shape, &rule(5.0), folder.path());
            assert_eq!(changes, [], "quantile {quantile}, world {seed}");
        }
    }
    println!("40 % failures: never advised at 8 quantiles in {} worlds each", worlds());
    // The same gain without failures is taken, so the gate is what stands against it.
    let rows = worlds::rows(shape, Truth::Failing { ms: 50.0, share: 0.0 }, 0.5, 1);
    assert!(!watch(&rows, shape, &rule(5.0), folder.path()).is_empty());
}
