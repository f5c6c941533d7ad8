//! Example worlds, one for each verdict and each reason.

use probe::sample::Connection;
use probe::store::WindowSet;
use proptest::prelude::*;

use super::*;
use crate::evidence::{Volatility, compare};
use crate::matrix::{CellBlock, CostRule};
use crate::statistics::holm_rejects;

const BLOCK_MS: i64 = 1_000;
const SLOW: &str = "us-east-1";
const FAST: &str = "eu-west-1";
const THIRD: &str = "ap-south-1";
const FAR: &str = "sa-east-1";

/// Two vantages beside their endpoints and one far away. The endpoint of us-east-1 is slow: its
/// witness gains 120 ms, and so does the far vantage, which Route 53 sends there.
struct World {
    rows: Vec<CellBlock>,
    routing: Routing,
    rule: AdviceRule,
}

fn cost_ms(vantage: &str, endpoint: &str) -> f64 {
    match (vantage, endpoint) {
        (SLOW, SLOW) => 210.0,
        (SLOW, FAST) => 90.0,
        (FAST, SLOW) => 290.0,
        (FAST, FAST) => 10.0,
        (FAR, SLOW) => 320.0,
        (_, _) => 200.0,
    }
}

fn all_windows() -> WindowSet {
    WindowSet::from_bytes(4, &[0b1111])
}

fn rows(blocks: i64) -> Vec<CellBlock> {
    let mut rows = Vec::new();
    for vantage in [SLOW, FAST, FAR] {
        for endpoint in [SLOW, FAST] {
            for block in 0..blocks {
                for connection in [Connection::Cold, Connection::Warm] {
                    rows.push(CellBlock {
                        vantage: vantage.into(),
                        endpoint: endpoint.into(),
                        connection,
                        start_ms: block * BLOCK_MS,
                        value_ms: cost_ms(vantage, endpoint),
                        attempts: 60,
                        failures: 0,
                        valid: all_windows(),
                    });
                }
            }
        }
    }
    rows
}

impl World {
    fn of(blocks: i64) -> Self {
        let label = |region: &str| Label::new(region);
        let own = |region: &str| (region.to_owned(), region.to_owned());
        Self {
            rows: rows(blocks),
            routing: Routing {
                live: [SLOW, FAST].map(|region| (label(region), region.to_owned())).into(),
                preferred: BTreeMap::from([
                    (SLOW.to_owned(), label(SLOW)),
                    (FAST.to_owned(), label(FAST)),
                    (FAR.to_owned(), label(SLOW)),
                ]),
                witnesses: [own(SLOW), own(FAST)].into(),
                cloud: [SLOW, FAST, FAR].map(str::to_owned).into(),
                cooling: BTreeMap::new(),
                eyeballs: Eyeballs::default(),
            },
            rule: AdviceRule::default(),
        }
    }

    fn with(blocks: i64, change: impl FnOnce(&mut Self)) -> Self {
        let mut world = Self::of(blocks);
        change(&mut world);
        world
    }

    fn cell(&mut self, vantage: &str, endpoint: &str, mut change: impl FnMut(&mut CellBlock)) {
        for row in &mut self.rows {
            if row.vantage == vantage && row.endpoint == endpoint {
                change(row);
            }
        }
    }

    fn matrix(&self) -> Matrix {
        Matrix::build(&self.rows, CostRule { cold_share: 0.2, block_ms: BLOCK_MS })
    }

    fn advise(&self) -> Advice {
        advise(&self.matrix(), &self.routing, &self.rule)
    }

    /// The advice for the slow endpoint's label, and its first challenger.
    fn verdict(&self) -> (Reason, String, Option<Verdict>) {
        let advice = self.advise();
        let line = advice.labels.iter().find(|line| line.label.as_str() == SLOW).unwrap();
        let considered = line.considered.iter().find(|c| c.challenger == FAST);
        (line.reason, line.advised.clone().unwrap(), considered.map(|c| c.verdict))
    }

    /// A third endpoint, for which nobody stands as witness.
    fn add_third(&mut self, at_slow_ms: f64, at_far_ms: f64) {
        let more: Vec<CellBlock> = self
            .rows
            .iter()
            .filter(|row| row.endpoint == FAST)
            .map(|row| CellBlock {
                endpoint: THIRD.into(),
                value_ms: match row.vantage.as_str() {
                    SLOW => at_slow_ms,
                    FAR => at_far_ms,
                    _ => 200.0,
                },
                ..row.clone()
            })
            .collect();
        self.rows.extend(more);
    }
}

fn keeps(world: &World, reason: Reason, verdict: Option<Verdict>) {
    assert_eq!(world.verdict(), (reason, SLOW.to_owned(), verdict));
}

fn repoints(world: &World) {
    assert_eq!(world.verdict(), (Reason::Repoint, FAST.to_owned(), Some(Verdict::Admissible)));
}

#[test]
fn a_slow_endpoint_loses_its_label_and_the_other_label_stays() {
    let world = World::of(24);
    repoints(&world);
    let advice = world.advise();
    let moves: Vec<&str> = advice.moves().map(|line| line.label.as_str()).collect();
    assert_eq!(moves, [SLOW]);
    let held_out = advice.held_out.unwrap();
    assert_eq!((held_out.tested, held_out.today_ms, held_out.advised_ms), (1, 320.0, 200.0));
}

#[test]
fn fewer_blocks_than_needed_are_insufficient_data() {
    repoints(&World::of(18));
    keeps(&World::of(17), Reason::InsufficientData, Some(Verdict::InsufficientData));
    keeps(&World::of(0), Reason::Unsupported, None);
    // 18 valid blocks count within 24 intervals, and not within 25.
    let without = |blocks: i64, gap: std::ops::Range<i64>| {
        World::with(blocks, |world| {
            let gap = gap.start * BLOCK_MS..gap.end * BLOCK_MS;
            world.rows.retain(|row| !gap.contains(&row.start_ms));
        })
    };
    repoints(&without(24, 3..9));
    keeps(&without(25, 3..10), Reason::InsufficientData, Some(Verdict::InsufficientData));
}

#[test]
fn clocks_that_disagree_cost_evidence_and_never_mix_blocks() {
    // A clock that is late by so many blocks: what it recorded last looks as old.
    for (late, moves) in [(0, true), (6, true), (7, false), (100, false)] {
        let world = World::with(24, |world| {
            for row in world.rows.iter_mut().filter(|row| row.vantage == SLOW) {
                row.start_ms -= late * BLOCK_MS;
            }
        });
        if moves {
            repoints(&world);
        } else {
            keeps(&world, Reason::InsufficientData, Some(Verdict::InsufficientData));
        }
    }
    // One that is early makes the others look old.
    let early = World::with(24, |world| {
        for row in world.rows.iter_mut().filter(|row| row.vantage == FAST) {
            row.start_ms += 7 * BLOCK_MS;
        }
    });
    keeps(&early, Reason::InsufficientData, Some(Verdict::InsufficientData));
}

#[test]
fn blocks_that_share_less_than_half_their_windows_are_not_compared() {
    for (windows, sufficient) in [(0b0011, true), (0b0111, true), (0b0001, false), (0b1100, false)]
    {
        let world = World::with(24, |world| {
            world.cell(SLOW, SLOW, |row| row.valid = WindowSet::from_bytes(4, &[0b0011]));
            world.cell(SLOW, FAST, |row| row.valid = WindowSet::from_bytes(4, &[windows]));
        });
        if sufficient {
            repoints(&world);
        } else {
            keeps(&world, Reason::InsufficientData, Some(Verdict::InsufficientData));
        }
    }
}

#[test]
fn without_a_witness_cloud_evidence_is_unsupported() {
    let world = World::with(24, |world| {
        world.routing.witnesses.remove(SLOW);
    });
    keeps(&world, Reason::Unsupported, None);
}

#[test]
fn the_witness_must_gain_more_than_least_gain_and_triangle() {
    // 5 % of 210 is 10.5 ms; with the triangle's 20 ms the gain must exceed 30.5 ms.
    for (cost_ms, moves) in [(179.4, true), (179.5, false), (200.0, false), (230.0, false)] {
        let world = World::with(24, |world| world.cell(SLOW, FAST, |row| row.value_ms = cost_ms));
        if moves {
            repoints(&world);
        } else {
            keeps(&world, Reason::Unsupported, Some(Verdict::NoGain));
        }
    }
}

#[test]
fn the_witness_must_gain_in_nearly_every_block() {
    for (losses, moves) in [(4, true), (5, false)] {
        // P(Bin(18, 1/2) >= 14) = 0.0154 and of 13 it is 0.0481; Holm allows 0.025 first of two.
        let world = World::with(18, |world| {
            world.cell(SLOW, FAST, |row| {
                if row.start_ms < losses * BLOCK_MS {
                    row.value_ms = 400.0;
                }
            });
        });
        if moves {
            repoints(&world);
        } else {
            keeps(&world, Reason::Unsupported, Some(Verdict::NoGain));
        }
    }
}

#[test]
fn no_vantage_of_the_catchment_may_lose() {
    // A second far vantage keeps leaving-one-out in favour.
    for (cost_ms, verdict) in [(325.0, Verdict::Admissible), (328.0, Verdict::Harms(8.0))] {
        let world = World::with(24, |world| {
            let mut more: Vec<CellBlock> =
                world.rows.iter().filter(|row| row.vantage == FAR).cloned().collect();
            for row in &mut more {
                row.vantage = "us-west-2".into();
            }
            world.rows.extend(more);
            world.routing.cloud.insert("us-west-2".into());
            world.routing.preferred.insert("us-west-2".into(), Label::new(SLOW));
            world.cell(FAR, FAST, |row| row.value_ms = cost_ms);
        });
        let (reason, _, found) = world.verdict();
        match (found, verdict) {
            (Some(Verdict::Harms(found)), Verdict::Harms(harm)) => {
                assert!((found - harm).abs() < 1e-9);
            }
            _ => assert_eq!(found, Some(verdict)),
        }
        let moves = verdict == Verdict::Admissible;
        assert_eq!(reason, if moves { Reason::Repoint } else { Reason::Keep });
        let advice = world.advise();
        let line = advice.labels.iter().find(|line| line.label.as_str() == SLOW).unwrap();
        assert_eq!(line.considered[0].at.as_deref(), (!moves).then_some(FAR));
    }
}

#[test]
fn a_vantage_that_nothing_is_known_of_stands_in_the_way() {
    let world = World::with(24, |world| {
        world.rows.retain(|row| row.vantage != FAR || row.endpoint != FAST);
    });
    keeps(&world, Reason::Keep, Some(Verdict::UnknownCost));
}

#[test]
fn an_endpoint_that_fails_is_never_advised_at_any_quantile() {
    // 40 % of failures: a median does not see them, p60 and above are the timeout.
    for value_ms in [None, Some(3_000.0)] {
        let world = World::with(24, |world| {
            for vantage in [SLOW, FAST, FAR] {
                world.cell(vantage, FAST, |row| {
                    row.failures = 24;
                    row.value_ms = value_ms.unwrap_or(row.value_ms);
                });
            }
        });
        let (reason, advised, verdict) = world.verdict();
        let expected = if value_ms.is_none() { Reason::Keep } else { Reason::Unsupported };
        assert_eq!((reason, advised.as_str()), (expected, SLOW));
        match value_ms {
            None => assert!(matches!(verdict, Some(Verdict::FailsMore(bound)) if bound > 0.4)),
            Some(_) => assert_eq!(verdict, Some(Verdict::NoGain)),
        }
    }
    // One that is no worse than the failing one it replaces is.
    let both = World::with(24, |world| {
        for endpoint in [SLOW, FAST] {
            for vantage in [SLOW, FAST, FAR] {
                world
                    .cell(vantage, endpoint, |row| row.failures = 24 * u64::from(endpoint == SLOW));
            }
        }
    });
    repoints(&both);
}

#[test]
fn a_label_that_changed_too_recently_rests() {
    let world = World::with(24, |world| {
        world.routing.cooling.insert(Label::new(SLOW), i64::MAX);
    });
    keeps(&world, Reason::CoolingDown, Some(Verdict::Admissible));
}

#[test]
fn of_several_challengers_the_lowest_mean_cost_is_taken_and_then_the_name() {
    for (third_ms, expected) in [(60.0, THIRD), (90.0, THIRD), (91.0, FAST)] {
        let world = World::with(24, |world| world.add_third(third_ms, 200.0));
        assert_eq!(world.verdict().1, expected, "{third_ms}");
    }
    let harmful = World::with(24, |world| world.add_third(10.0, 330.0));
    let advice = harmful.advise();
    let line = advice.labels.iter().find(|line| line.label.as_str() == SLOW).unwrap();
    let of_third = line.considered.iter().find(|c| c.challenger == THIRD).unwrap();
    assert!(matches!(of_third.verdict, Verdict::Harms(_)), "{of_third:?}");
    // Without the far vantage the third endpoint would be advised, and harm it.
    assert_eq!(line.reason, Reason::NotConfirmed);
}

#[test]
fn an_eyeball_vantage_may_object_and_adds_nothing_to_the_mean() {
    let eyeball = |value_ms: f64| {
        World::with(24, |world| {
            world.routing.cloud.remove(FAR);
            world.cell(FAR, FAST, |row| row.value_ms = value_ms);
        })
    };
    assert!(matches!(eyeball(5_000.0).verdict().2, Some(Verdict::Harms(_))));
    let cheap = eyeball(1.0);
    assert_eq!(cheap.verdict().2, Some(Verdict::Admissible));
    let mean_ms = |world: &World| {
        let advice = world.advise();
        let line = advice.labels.iter().find(|line| line.label.as_str() == SLOW).unwrap();
        line.considered[0].mean_cost_ms
    };
    assert_eq!(mean_ms(&cheap), mean_ms(&eyeball(2.0)));
}

#[test]
fn advice_that_does_not_help_those_left_out_is_withdrawn() {
    // The far vantage may lose 4 ms; but as the only one that the rest decides for, it is worse off.
    let world = World::with(24, |world| world.cell(FAR, FAST, |row| row.value_ms = 324.0));
    keeps(&world, Reason::NotConfirmed, Some(Verdict::Admissible));
    let held_out = world.advise().held_out.unwrap();
    assert_eq!((held_out.tested, held_out.advised_ms), (1, 324.0));
}

/// The difference at the witness swings by up to 60 ms either way and stays above every threshold.
fn restless(world: &mut World) {
    world.cell(SLOW, SLOW, |row| {
        let swing =
            [-60.0, 20.0, 60.0, -20.0][usize::try_from(row.start_ms / BLOCK_MS % 4).unwrap()];
        row.value_ms = 210.0 + swing;
    });
}

#[test]
fn a_volatile_pair_needs_more_blocks_and_is_judged_from_84() {
    let comparison =
        |world: &World| compare(&world.matrix(), SLOW, (SLOW, FAST), 20.0, &world.rule.evidence);
    let young = comparison(&World::with(83, restless));
    assert_eq!((young.volatility, young.needed), (Volatility::NotJudged, 18));
    let judged = comparison(&World::with(84, restless));
    assert!(matches!(judged.volatility, Volatility::Volatile(ms) if ms > 40.0));
    assert_eq!((judged.needed, judged.found), (42, 42));
    let calm = comparison(&World::of(84));
    assert_eq!((calm.volatility, calm.needed), (Volatility::Calm(0.0), 18));
    // 42 within 56 intervals: 30 of the newest 56 are not enough.
    let gap = World::with(100, |world| {
        restless(world);
        world
            .rows
            .retain(|row| !(44..70).contains(&(row.start_ms / BLOCK_MS)) || row.start_ms % 7 == 1);
    });
    assert_eq!((comparison(&gap).needed, comparison(&gap).found), (18, 18));
}

#[test]
fn one_missing_block_does_not_switch_volatility_off() {
    let world = World::with(100, |world| {
        restless(world);
        world.rows.retain(|row| row.start_ms != 50 * BLOCK_MS);
    });
    let found = compare(&world.matrix(), SLOW, (SLOW, FAST), 20.0, &world.rule.evidence);
    assert!(matches!(found.volatility, Volatility::Volatile(_)), "{found:?}");
    assert_eq!(found.needed, 42);
}

proptest! {
    #[test]
    fn the_order_of_rows_changes_nothing(
        noise in prop::collection::vec(-60.0_f64..60.0, 288), turn in 0_usize..288,
    ) {
        let mut world = World::of(24);
        for (row, noise) in world.rows.iter_mut().zip(&noise) {
            row.value_ms = (row.value_ms + noise).max(1.0);
        }
        let advice = world.advise();
        world.rows.rotate_left(turn);
        world.rows.reverse();
        prop_assert_eq!(world.advise(), advice);
    }

    #[test]
    fn holm_knows_no_order(p in prop::collection::vec(0.0_f64..0.06, 1..12), turn in 0_usize..12) {
        let rejected = holm_rejects(&p, 0.05);
        let turn = turn % p.len();
        let mut turned = p.clone();
        turned.rotate_left(turn);
        let mut expected = rejected.clone();
        expected.rotate_left(turn);
        prop_assert_eq!(holm_rejects(&turned, 0.05), expected);
        // Whatever is rejected, everything with a smaller p is too.
        for (a, yes) in p.iter().zip(&rejected) {
            for (b, other) in p.iter().zip(&rejected) {
                prop_assert!(!(*yes && b < a) || *other);
            }
        }
    }
}
