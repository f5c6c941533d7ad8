//! What must hold of verdicts, whatever is measured, and how they read.

use super::*;
use proptest::prelude::*;

const MINUTE_MS: i64 = 60_000;

fn rule() -> CanaryRule {
    CanaryRule {
        window_ms: MINUTE_MS,
        timeout_ms: 10_000,
        ttl_ms: MINUTE_MS,
        observe_ms: 15 * MINUTE_MS,
    }
}

fn good() -> RegionMinute {
    let (requests, zero) = (Some(1_000.0), Some(0.0));
    RegionMinute { requests, failures: zero, throttles: zero, concurrency_share: Some(0.1) }
}

/// Plays one step at one pair a second for at most `minutes`, and says when it was decided.
fn play(
    canary: &mut Canary,
    minutes: i64,
    (old_ms, new_ms): (Option<f64>, Option<f64>),
    region: RegionMinute,
) -> (Verdict, i64) {
    for second in 0..minutes * 60 {
        let due_ms = second * 1_000;
        for vantage in canary.vantages.clone() {
            canary.push(&Pair { vantage: &vantage, due_ms, old_ms, new_ms });
        }
        if second % 60 == 59 {
            canary.push_minute("eu-west-1", &region);
        }
        match canary.verdict(due_ms + 1_000) {
            Verdict::Extend(_) => {}
            decided => return (decided, second + 1),
        }
    }
    (canary.verdict(minutes * MINUTE_MS), minutes * 60)
}

fn canary(steps: usize) -> Canary {
    let vantages = vec!["us-east-1".to_owned(), "eu-west-1".to_owned()];
    Canary::begin(rule(), steps, vantages, BTreeMap::from([("eu-west-1".into(), 0.0)]), 0)
}

#[test]
fn an_arm_that_is_no_worse_is_promoted_once_it_was_observed() {
    for new_ms in [80.0, 100.0, 109.0] {
        let (verdict, at_s) = play(&mut canary(3), 120, (Some(100.0), Some(new_ms)), good());
        assert_eq!((verdict, at_s), (Verdict::Promote, 17 * 60), "{new_ms}");
    }
}

#[test]
fn the_margin_grows_with_the_old_median() {
    let (verdict, _) = play(&mut canary(3), 120, (Some(400.0), Some(419.0)), good());
    assert_eq!(verdict, Verdict::Promote);
    let (verdict, _) = play(&mut canary(3), 120, (Some(400.0), Some(421.0)), good());
    assert!(matches!(verdict, Verdict::Revert(Harm::Slower(_))), "{verdict:?}");
}

#[test]
fn harm_is_reverted_in_time_and_said() {
    let cases = [
        ((Some(100.0), Some(120.0)), good(), 15 * 60),
        ((Some(100.0), None), good(), 30),
        ((Some(100.0), Some(90.0)), RegionMinute::default(), 3 * 60),
        ((Some(100.0), Some(90.0)), RegionMinute { failures: Some(100.0), ..good() }, 4 * 60),
    ];
    let mut said = Vec::new();
    for (arms, region, most_s) in cases {
        let (verdict, at_s) = play(&mut canary(3), 120, arms, region);
        let Verdict::Revert(harm) = verdict else { panic!("{arms:?} {verdict:?}") };
        assert!(at_s <= most_s, "{arms:?} {at_s}");
        said.push(format!("after {at_s} s: {harm}"));
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn what_shows_nothing_is_reverted_at_the_end() {
    let at_the_margin = (Some(100.0), Some(110.0));
    let (verdict, at_s) = play(&mut canary(3), 120, at_the_margin, good());
    let Verdict::Revert(harm) = verdict else { panic!("{verdict:?}") };
    assert_eq!(at_s, 4 * 17 * 60);
    let mut said = vec![harm.to_string()];
    // Both arms fail alike: no pair says anything, and no median is known.
    let (verdict, _) = play(&mut canary(3), 120, (None, None), good());
    let Verdict::Revert(harm) = verdict else { panic!("{verdict:?}") };
    said.push(harm.to_string());
    let mut silent = canary(3);
    for minute in [1, 17, 68] {
        said.push(match silent.verdict(minute * MINUTE_MS) {
            Verdict::Revert(harm) => harm.to_string(),
            Verdict::Extend(lack) => lack.to_string(),
            Verdict::Promote => "promoted".into(),
        });
    }
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_step_that_is_harmful_late_is_reverted_although_the_first_were_not() {
    let mut canary = canary(3);
    let (first, at_s) = play(&mut canary, 120, (Some(100.0), Some(100.0)), good());
    assert_eq!(first, Verdict::Promote);
    canary.next_step(0);
    let (second, late_s) = play(&mut canary, 120, (Some(100.0), Some(125.0)), good());
    assert!(matches!(second, Verdict::Revert(Harm::Slower(_))), "{second:?}");
    assert!(late_s <= 16 * 60 && at_s == 17 * 60, "{late_s}");
}

proptest! {
    /// Whatever comes in, nothing is promoted on fewer samples or sooner than is allowed.
    #[test]
    fn nothing_is_promoted_early(
        pairs in prop::collection::vec((0_i64..1_200_000, prop::option::of(1.0_f64..500.0), prop::option::of(1.0_f64..500.0)), 0..341),
        now_ms in 0_i64..5_000_000,
    ) {
        let mut canary = canary(3);
        for (due_ms, old_ms, new_ms) in &pairs {
            canary.push(&Pair { vantage: "us-east-1", due_ms: *due_ms, old_ms: *old_ms, new_ms: *new_ms });
        }
        for _ in 0..20 {
            canary.push_minute("eu-west-1", &good());
        }
        prop_assert_ne!(canary.verdict(now_ms), Verdict::Promote);
    }
}
