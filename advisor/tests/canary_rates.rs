//! How often a canary's verdict is right, and how soon: whole canaries simulated second by second with
//! the product's own code and a clock that is told.
//!
//! `NEARSIDE_CANARIES` is the number of simulated canaries of each kind; the long run is part of
//! `tests/run --full`. Every second is judged, as the real loop would.

#![expect(clippy::expect_used, reason = "a helper of a test fails as the test does")]

use std::collections::{BTreeMap, VecDeque};

use advisor::canary::{Canary, CanaryRule, Harm, Pair, RegionMinute, SAMPLES_MIN, Verdict};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, StandardNormal, StudentT};

const RULE: CanaryRule =
    CanaryRule { window_ms: 60_000, timeout_ms: 10_000, ttl_ms: 60_000, observe_ms: 900_000 };
/// Observed steps of `--canary 1,10,50,100`: at 100 % there is no other arm to compare with.
const STEPS: usize = 3;
/// Round trips below which the margin is 10 ms, and above which it is 5 %.
const NEAR_MS: (f64, f64) = (20.0, 165.0);
const FAR_MS: (f64, f64) = (165.0, 300.0);
const ANY_MS: (f64, f64) = (20.0, 300.0);
const REGION: &str = "eu-west-1";
/// Share of requests that fail on either arm.
const FAILING: f64 = 0.002;
/// The spread of an arm's minute around its mean, milliseconds; its memory is 0.9 a minute.
const DRIFT_MS: f64 = 3.0;

#[expect(clippy::disallowed_methods, reason = "the one place where this test is told its length")]
fn runs() -> u64 {
    std::env::var("NEARSIDE_CANARIES").map_or(300, |runs| runs.parse().expect("a whole number"))
}

/// What is wrong with the new arm.
#[derive(Debug, Clone, Copy)]
enum Ill {
    Nothing,
    /// At these vantages it is slower, from the first second of the first step.
    Slower {
        ms: f64,
        vantages: usize,
    },
    /// From this second of the first step it fails always, and so late that outcomes take.
    Dead {
        from_s: i64,
        outcome_ms: i64,
    },
}

#[derive(Debug, Clone, Copy)]
struct World {
    round_trips_ms: (f64, f64),
    vantages: usize,
    interval_s: i64,
    ill: Ill,
}

/// One arm from one vantage.
struct Arm {
    base_ms: f64,
    drift_ms: f64,
}

impl Arm {
    fn minute_passes(&mut self, draws: &mut ChaCha8Rng) {
        // Three degrees of freedom have a variance of 3; 1 - 0.9^2 keeps the spread as it is.
        let shock: f64 = StudentT::new(3.0).expect("three degrees").sample(draws);
        self.drift_ms = 0.9 * self.drift_ms + DRIFT_MS * (0.19_f64 / 3.0).sqrt() * shock;
    }

    fn sample_ms(&self, draws: &mut ChaCha8Rng) -> Option<f64> {
        if draws.random::<f64>() < FAILING {
            return None;
        }
        let z: f64 = StandardNormal.sample(draws);
        Some((self.base_ms + self.drift_ms).max(1.0) + 30.0 * (0.4 * z).exp())
    }
}

/// How a canary ended.
struct Ended {
    /// `None` where every step was promoted.
    harm: Option<Harm>,
    /// Seconds of the step in which it ended.
    at_s: i64,
    /// The fewest samples of an arm at a promotion, over all steps that were promoted.
    samples_min: Option<u64>,
    /// The longest step that was promoted, in seconds.
    longest_s: i64,
}

fn good_minute(draws: &mut ChaCha8Rng) -> RegionMinute {
    let failures = (0..600).filter(|_| draws.random::<f64>() < FAILING).count() as f64;
    RegionMinute {
        requests: Some(600.0),
        failures: Some(failures),
        throttles: Some(0.0),
        concurrency_share: Some(0.2),
    }
}

fn simulate(world: World, seed: u64) -> Ended {
    let mut draws = ChaCha8Rng::seed_from_u64(seed);
    let names: Vec<String> = (0..world.vantages).map(|number| format!("v{number}")).collect();
    let mut arms: Vec<(Arm, Arm)> = (0..world.vantages)
        .map(|number| {
            let base_ms = draws.random_range(world.round_trips_ms.0..world.round_trips_ms.1);
            let slower = match world.ill {
                Ill::Slower { ms, vantages } if number < vantages => ms,
                _ => 0.0,
            };
            let arm = |base_ms| Arm { base_ms, drift_ms: 0.0 };
            (arm(base_ms), arm(base_ms + slower))
        })
        .collect();
    let regions = BTreeMap::from([(REGION.to_owned(), FAILING)]);
    let mut canary = Canary::begin(RULE, STEPS, names.clone(), regions, 0);
    let mut ended = Ended { harm: None, at_s: 0, samples_min: None, longest_s: 0 };
    for step in 0..STEPS {
        if step > 0 {
            canary.next_step(0);
        }
        let (verdict, at_s, samples) = play(&mut canary, world, &mut arms, &names, &mut draws);
        ended.at_s = at_s;
        match verdict {
            Verdict::Promote => {
                ended.samples_min = Some(ended.samples_min.map_or(samples, |n| n.min(samples)));
                ended.longest_s = ended.longest_s.max(at_s);
            }
            Verdict::Revert(harm) => {
                ended.harm = Some(harm);
                return ended;
            }
            Verdict::Extend(lack) => panic!("a step that never ends: {lack}"),
        }
    }
    ended
}

/// A pair of samples on its way.
struct Flight {
    lands_ms: i64,
    number: usize,
    due_ms: i64,
    old_ms: Option<f64>,
    new_ms: Option<f64>,
}

/// One step: its verdict, after how many seconds, and on how many samples an arm.
fn play(
    canary: &mut Canary,
    world: World,
    arms: &mut [(Arm, Arm)],
    names: &[String],
    draws: &mut ChaCha8Rng,
) -> (Verdict, i64, u64) {
    let mut flying: VecDeque<Flight> = VecDeque::new();
    let mut samples = 0;
    let most_s = 5 * (2 * RULE.ttl_ms + RULE.observe_ms) / 1_000;
    for second in 0..most_s {
        let clock_ms = second * 1_000;
        if second % 60 == 0 {
            for (old, new) in arms.iter_mut() {
                old.minute_passes(draws);
                new.minute_passes(draws);
            }
        }
        if second % world.interval_s == 0 {
            for (number, (old, new)) in arms.iter().enumerate() {
                let dead = matches!(world.ill, Ill::Dead { from_s, .. } if second >= from_s);
                let old_ms = old.sample_ms(draws);
                let new_ms = if dead { None } else { new.sample_ms(draws) };
                let outcome_ms = match world.ill {
                    Ill::Dead { outcome_ms, .. } if dead => outcome_ms,
                    _ => 500,
                };
                let (due_ms, lands_ms) = (clock_ms, clock_ms + outcome_ms);
                flying.push_back(Flight { lands_ms, number, due_ms, old_ms, new_ms });
            }
        }
        while let Some(pair) = flying.pop_front_if(|pair| pair.lands_ms <= clock_ms) {
            let Flight { number, due_ms, old_ms, new_ms, .. } = pair;
            canary.push(&Pair { vantage: &names[number], due_ms, old_ms, new_ms });
            samples += u64::from(due_ms >= 2 * RULE.ttl_ms);
        }
        // Metrics of a minute are settled two minutes later.
        if second % 60 == 0 && second >= 180 {
            canary.push_minute(REGION, &good_minute(draws));
        }
        match canary.verdict(clock_ms) {
            Verdict::Extend(_) => {}
            decided => return (decided, second, samples),
        }
    }
    (canary.verdict(most_s * 1_000), most_s, samples)
}

fn all(world: World, runs: u64, seed: u64) -> Vec<Ended> {
    (0..runs).map(|run| simulate(world, seed * 1_000_000 + run)).collect()
}

fn share(ended: &[Ended], is: impl Fn(&Ended) -> bool) -> f64 {
    ended.iter().filter(|one| is(one)).count() as f64 / ended.len() as f64
}

fn percentile(mut values: Vec<i64>, percent: usize) -> i64 {
    values.sort_unstable();
    values[(values.len() - 1) * percent / 100]
}

#[test]
fn a_harmless_arm_is_hardly_ever_reverted() {
    for (seed, vantages) in [(1, 1), (2, 4), (3, 12)] {
        let world = World { round_trips_ms: ANY_MS, vantages, interval_s: 1, ill: Ill::Nothing };
        let ended = all(world, runs(), seed);
        let reverted = share(&ended, |one| one.harm.is_some());
        let longest: Vec<i64> = ended.iter().map(|one| one.longest_s).collect();
        let fewest = ended.iter().filter_map(|one| one.samples_min).min();
        println!(
            "harmless, {vantages} vantages: {:.2} % of {} canaries reverted; longest step p50 {} s, \
             p99 {} s; promoted on {} samples an arm or more",
            reverted * 100.0,
            ended.len(),
            percentile(longest.clone(), 50),
            percentile(longest, 99),
            fewest.unwrap_or_default(),
        );
        assert!(reverted <= 0.01, "{vantages} vantages: {reverted}");
        assert!(fewest.is_some_and(|samples| samples >= SAMPLES_MIN));
    }
}

#[test]
fn an_arm_that_is_slower_is_reverted_within_twenty_minutes() {
    let near = [(4, 1, 1), (5, 4, 4), (6, 12, 12), (7, 4, 1)].map(|case| (NEAR_MS, case));
    for (round_trips_ms, (seed, vantages, slower)) in near.into_iter().chain([(FAR_MS, (12, 4, 4))])
    {
        let ill = Ill::Slower { ms: 20.0, vantages: slower };
        let ended = all(World { round_trips_ms, vantages, interval_s: 1, ill }, runs(), seed);
        let times: Vec<i64> = ended.iter().map(|one| one.at_s).collect();
        let in_time = share(&ended, |one| one.harm.is_some() && one.at_s <= 1_200);
        println!(
            "20 ms slower at {slower} of {vantages} vantages, round trips {round_trips_ms:?} ms: \
             {:.1} % of {} reverted within 20 min; p50 {} s, p95 {} s",
            in_time * 100.0,
            ended.len(),
            percentile(times.clone(), 50),
            percentile(times, 95),
        );
        // One of several shares the wealth, and 20 ms are little above 5 % of a long way: a bit later.
        let is_common = slower == vantages && round_trips_ms == NEAR_MS;
        let least = if is_common { 0.95 } else { 0.9 };
        assert!(in_time >= least, "{slower} of {vantages}: {in_time}");
    }
}

#[test]
fn an_arm_that_fails_wholly_is_reverted_within_half_a_minute() {
    for (seed, vantages, outcome_ms) in [(8, 1, 50), (9, 1, 10_000), (10, 4, 10_000)] {
        let mut longest = Vec::new();
        for run in 0..runs() {
            let from_s = 60 + i64::try_from(run % 900).expect("small");
            let ill = Ill::Dead { from_s, outcome_ms };
            let world = World { round_trips_ms: ANY_MS, vantages, interval_s: 1, ill };
            let ended = simulate(world, seed * 1_000_000 + run);
            assert!(ended.harm.is_some() && ended.samples_min.is_none(), "{from_s}");
            longest.push(ended.at_s - from_s);
        }
        let most = percentile(longest.clone(), 100);
        println!(
            "all requests of the new arm fail after {outcome_ms} ms, {vantages} vantages: reverted \
             after p50 {} s, at most {most} s",
            percentile(longest, 50),
        );
        assert!(most <= 30, "{vantages} vantages, {outcome_ms} ms: {most} s");
    }
}

#[test]
fn few_samples_are_waited_for() {
    let world = World { round_trips_ms: ANY_MS, vantages: 1, interval_s: 7, ill: Ill::Nothing };
    let ended = all(world, runs().min(300), 11);
    let fewest = ended.iter().filter_map(|one| one.samples_min).min();
    let promoted = ended.iter().filter(|one| one.samples_min.is_some());
    let shortest = promoted.map(|one| one.longest_s).min();
    println!(
        "one sample each 7 s: promoted on {} samples an arm or more, after {} s or more",
        fewest.unwrap_or_default(),
        shortest.unwrap_or_default()
    );
    assert!(fewest.is_some_and(|samples| samples >= SAMPLES_MIN), "{fewest:?}");
}
