//! What one slot does: one sample, one of each address, or a journey. It waits for nothing else.

use std::sync::Arc;

use super::plan::Work;
use crate::clock::Clock;
use crate::exchange::{Due, Exchange, Request};
use crate::sample::{Attribution, Outcome, Phase, Phases, Sample};

/// The samples of a slot, each with the step it belongs to; none for the whole.
pub(super) type Samples = Vec<(Option<String>, Sample)>;

/// Runs one slot to its end.
pub(super) async fn run(exchange: &Exchange, clock: &dyn Clock, work: &Work, due: Due) -> Samples {
    match work {
        Work::One(request) => vec![(None, exchange.measure(request, due).await)],
        Work::Each(request) => {
            let samples = exchange.measure_each(request, due).await;
            samples.into_iter().map(|sample| (None, sample)).collect()
        }
        Work::Steps(steps) => journey(exchange, clock, steps, due).await,
    }
}

/// Step after step; the first failure ends it, as it would end a user's visit.
async fn journey(
    exchange: &Exchange,
    clock: &dyn Clock,
    steps: &[(String, Arc<Request>)],
    due: Due,
) -> Samples {
    let mut samples: Samples = Vec::new();
    for (index, (id, request)) in steps.iter().enumerate() {
        let own =
            if index == 0 { due } else { Due { at: clock.now(), wall_ms: clock.wall_ms(), ..due } };
        let sample = exchange.measure(request, own).await;
        let ended = !sample.outcome.is_ok();
        samples.push((Some(id.clone()), sample));
        if ended {
            break;
        }
    }
    if let Some(whole) = whole(&samples) {
        samples.push((None, whole));
    }
    samples
}

/// The whole of a journey: each phase is the sum of the steps', and so is `local`.
fn whole(samples: &Samples) -> Option<Sample> {
    let (_, first) = samples.first()?;
    let (_, last) = samples.last()?;
    let mut whole = Sample { outcome: last.outcome.clone(), ..first.clone() };
    let sum = |of: fn(&Sample) -> u64| samples.iter().map(|(_, sample)| of(sample)).sum();
    whole.phases = Phases::default();
    // No one answer made it.
    whole.attribution = Attribution::default();
    for phase in Phase::ALL {
        let present = samples.iter().filter_map(|(_, sample)| sample.phases.get(phase));
        if let Some(us) = present.reduce(|sum, us| sum + us) {
            whole.phases.set(phase, us);
        }
    }
    whole.local_us = sum(|sample| sample.local_us);
    whole.total_us = sum(|sample| sample.total_us);
    whole.response_us = sum(|sample| sample.response_us);
    // A failure of any step is one; success is that of the last, and its status.
    if let Some((_, failed)) = samples.iter().find(|(_, sample)| !sample.outcome.is_ok()) {
        whole.outcome = Outcome::clone(&failed.outcome);
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::tests::sample;

    #[test]
    fn the_whole_is_the_sum_of_its_steps() {
        let ok = || sample(Outcome::Ok { status: 200 }, 100, 120);
        let steps = vec![(Some("a".to_owned()), ok()), (Some("b".to_owned()), ok())];
        let whole_ok = whole(&steps).unwrap();
        assert_eq!((whole_ok.total_us, whole_ok.response_us), (200, 240));
        assert_eq!(whole_ok.phases.sum_us() + whole_ok.local_us, whole_ok.total_us);
        assert_eq!(whole_ok.phases.connect_us, None);
        let failed = sample(Outcome::Reset, 50, 50);
        let ended = whole(&vec![(Some("a".to_owned()), ok()), (Some("b".to_owned()), failed)]);
        assert_eq!(ended.unwrap().outcome, Outcome::Reset);
        assert_eq!(whole(&Vec::new()), None);
    }
}
