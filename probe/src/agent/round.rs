//! One round: every series of one vantage once, for a place that lives only while it is asked, as a
//! function does. Nothing outlives it: the warm sample is the second request of its own round.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::folder::Folder;
use super::plan::{self, Lane};
use super::{AgentError, Finished, Options, slot};
use crate::clock::Clock;
use crate::config::Config;
use crate::dns::SystemResolver;
use crate::exchange::{Due, Exchange, Trust};
use crate::sample::Connection;
use crate::window::Window;

/// Series at the same time. More would wait for each other's cryptography on one processor.
const AT_ONCE: usize = 4;

/// What a round came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Round {
    /// Its windows.
    pub windows: Vec<Window>,
    /// Samples that ended.
    pub samples: u64,
    /// Those that failed.
    pub failures: u64,
    /// Series for which there was no time.
    pub skipped: u64,
}

/// Measures every series of `vantage` once; starts none that might not end before `until`.
pub async fn round(
    config: &Config,
    vantage: &str,
    clock: Arc<dyn Clock>,
    until: Instant,
) -> Result<Round, AgentError> {
    let options = Options { vantages: vec![vantage.to_owned()], ..Options::default() };
    let lanes = plan::lanes(config, &options)?;
    let trust = Trust::system(config.probe.ca_file.as_deref())?;
    let exchange = Exchange::new(&trust, SystemResolver::from_system(), Arc::clone(&clock))?
        .with_kernel_time(config.probe.kernel_time);
    let exchange = Arc::new(exchange);
    let window_ms = i64::try_from(config.evidence.window.as_millis()).unwrap_or(i64::MAX);
    let mut folder = Folder::new(&lanes, window_ms);
    let mut round = Round::default();
    let mut tasks: JoinSet<Finished> = JoinSet::new();
    for (index, lane) in lanes.iter().enumerate() {
        if tasks.len() >= AT_ONCE
            && let Some(finished) = tasks.join_next().await
        {
            fold(&mut folder, &mut round, finished);
        }
        if clock.now() + longest(lane) > until {
            folder.miss(index, clock.wall_ms());
            round.skipped += 1;
            continue;
        }
        let start_ms = folder.begin(index, clock.wall_ms(), false);
        let (exchange, clock) = (Arc::clone(&exchange), Arc::clone(&clock));
        let (work, connection) = (lane.work.clone(), lane.series.connection);
        tasks.spawn(async move {
            if connection != Connection::Cold {
                for request in work.requests() {
                    exchange.prime(&request).await;
                }
            }
            let at = clock.now();
            let due = Due { origin: at, at, wall_ms: clock.wall_ms() };
            let samples = slot::run(&exchange, &*clock, &work, due).await;
            (index, start_ms, Duration::ZERO, samples)
        });
    }
    while let Some(finished) = tasks.join_next().await {
        fold(&mut folder, &mut round, finished);
    }
    folder.abandon();
    round.windows = folder.close(clock.wall_ms(), true);
    Ok(round)
}

/// The longest that a series may take: what must be prepared first takes as long again.
fn longest(lane: &Lane) -> Duration {
    match lane.series.connection {
        Connection::Cold => lane.timeout,
        Connection::Resumed | Connection::Warm => 2 * lane.timeout,
    }
}

fn fold(
    folder: &mut Folder,
    round: &mut Round,
    finished: Result<Finished, tokio::task::JoinError>,
) {
    // A task that was torn down leaves its slot open; it is counted as missed at the end.
    let Ok((index, start_ms, _, samples)) = finished else { return };
    round.samples += u64::try_from(samples.len()).unwrap_or(u64::MAX);
    let failed = samples.iter().filter(|(_, sample)| !sample.outcome.is_ok()).count();
    round.failures += u64::try_from(failed).unwrap_or(u64::MAX);
    folder.end(index, start_ms, &samples);
}
