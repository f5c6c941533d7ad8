//! Two appliers of two plans made from the same state.

use std::time::Duration;

use advisor::apply::ApplyError;
use advisor::journal::Ending;

use crate::stage::Stage;

/// How many are run, where `NEARSIDE_INTERLEAVINGS` does not say otherwise.
const INTERLEAVINGS: u64 = 100;

/// How many are run.
fn interleavings() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the test command asks for more of them")]
    let asked = std::env::var("NEARSIDE_INTERLEAVINGS");
    asked.map_or(INTERLEAVINGS, |text| text.parse().unwrap())
}

/// Microseconds of a draw, below a bound: `SplitMix64` (Steele et al., 2014).
fn draw(state: &mut u64, below_us: u64) -> Duration {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    Duration::from_micros((z ^ (z >> 31)) % below_us)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_appliers_exactly_one_wins() {
    let stage = Stage::start().await;
    let before = stage.rest_of_zone();
    let mut wins = [0_u32; 2];
    let interleavings = interleavings();
    for seed in 0..interleavings {
        let mut draws = seed;
        let plans = [stage.plan().await, stage.plan_to("eu-west-1", "us-east-1").await];
        let cleared =
            [stage.cleared(&plans[0]).await.unwrap(), stage.cleared(&plans[1]).await.unwrap()];
        let journals = [0, 1].map(|who| stage.dir.path().join(format!("{seed}-{who}.journal")));
        let mut appliers = [0, 1].map(|who| stage.applier(&stage.zone, &journals[who]));
        let delays = [0, 1].map(|_| draw(&mut draws, 6_000));
        for applier in &mut appliers {
            applier.patience.poll = draw(&mut draws, 8_000);
        }
        let [first, second] = &mut appliers;
        let (a, b) = tokio::join!(
            async {
                tokio::time::sleep(delays[0]).await;
                first.apply(&cleared[0]).await
            },
            async {
                tokio::time::sleep(delays[1]).await;
                second.apply(&cleared[1]).await
            },
        );
        let (winner, won, lost) = if a.is_ok() { (0, a, b) } else { (1, b, a) };
        wins[winner] += 1;
        assert_eq!(won.unwrap().ending, Ending::Applied, "seed {seed}");
        assert!(matches!(&lost, Err(ApplyError::Drift(_))), "seed {seed}: {lost:?}");
        let other = &appliers[1 - winner].journal;
        assert!(matches!(other.operations()[0].ending, Some(Ending::Abandoned(_))), "seed {seed}");
        let view = stage.view().await;
        let planned = plans[winner].labels.clone();
        let live = view.live().unwrap().labels;
        let live = live.into_iter().map(|(label, id)| (label.to_string(), id)).collect();
        assert_eq!(planned, live, "seed {seed}: the zone is as the winner planned");
        stage.assert_no_stray_checks(&format!("seed {seed}")).await;
        // The winner takes its plan back, for the next round.
        let back = view.ground(stage.setup.now_ms()).rollback(&plans[winner]);
        let cleared = stage.cleared(&back).await.unwrap();
        assert_eq!(appliers[winner].apply(&cleared).await.unwrap().ending, Ending::Applied);
        assert_eq!(stage.rest_of_zone(), before, "seed {seed}");
    }
    println!("interleavings: {interleavings}, won by the first: {}", wins[0]);
}
