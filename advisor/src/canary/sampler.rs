//! Both arms, probed by their own names as clients near each vantage would reach them, with SNI and
//! Host of the service: pairs of samples, due at the same time.
//!
//! It measures and hands over; it judges nothing. The names are resolved anew for each sample, so that
//! a Region that Route 53 takes out of an arm is left at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use probe::clock::Clock;
use probe::exchange::{Due, Exchange, Request};
use probe::schedule::in_flight_max;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::Pair;

/// Pairs that wait to be judged, at most; what is over is dropped, and counted as missed.
const WAITING_MAX: usize = 4_096;

/// One vantage that the arms send to different endpoints.
#[derive(Debug, Clone)]
pub struct Lane {
    /// The vantage.
    pub vantage: String,
    /// What is asked of the old arm: each request with its share of the cost.
    pub old: Vec<(f64, Arc<Request>)>,
    /// What is asked of the new one.
    pub new: Vec<(f64, Arc<Request>)>,
}

/// What one vantage measured of both arms at one due time: the cost of each.
#[derive(Debug, Clone, PartialEq)]
pub struct Landed {
    vantage: String,
    due_ms: i64,
    old_ms: Option<f64>,
    new_ms: Option<f64>,
}

impl Landed {
    /// The same as the verdict takes it.
    #[must_use]
    pub fn pair(&self) -> Pair<'_> {
        let Self { vantage, due_ms, old_ms, new_ms } = self;
        Pair { vantage, due_ms: *due_ms, old_ms: *old_ms, new_ms: *new_ms }
    }
}

/// A running sampler. Dropping it stops it, and forgets what is on its way.
#[derive(Debug)]
pub struct Sampler {
    pairs: mpsc::Receiver<Landed>,
    missed: Arc<AtomicU64>,
    _lanes: JoinSet<()>,
}

/// What all lanes have in common.
#[derive(Clone)]
struct Common {
    exchange: Arc<Exchange>,
    clock: Arc<dyn Clock>,
    every: Duration,
    land: mpsc::Sender<Landed>,
    missed: Arc<AtomicU64>,
}

impl Sampler {
    /// Samples each lane once each `every`, the lanes one after the other within that time.
    #[must_use]
    pub fn start(
        exchange: Arc<Exchange>,
        clock: Arc<dyn Clock>,
        lanes: Vec<Lane>,
        every: Duration,
    ) -> Self {
        let (land, pairs) = mpsc::channel(WAITING_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        let common = Common { exchange, clock, every, land, missed: Arc::clone(&missed) };
        let count = u32::try_from(lanes.len()).unwrap_or(u32::MAX).max(1);
        let mut running = JoinSet::new();
        for (lane, place) in lanes.into_iter().zip(0_u32..) {
            running.spawn(run(common.clone(), lane, every / count * place));
        }
        Self { pairs, missed, _lanes: running }
    }

    /// The next pair that landed. `None` where there is no lane.
    pub async fn next(&mut self) -> Option<Landed> {
        self.pairs.recv().await
    }

    /// Slots that could not start, and pairs that nobody had room for.
    #[must_use]
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

async fn run(common: Common, lane: Lane, first_after: Duration) {
    let requests = lane.old.iter().chain(&lane.new);
    let longest = requests.map(|(_, request)| request.timeout).max().unwrap_or_default();
    let most = in_flight_max(longest, common.every);
    let room = Arc::new(Semaphore::new(usize::try_from(most).unwrap_or(usize::MAX)));
    tokio::time::sleep(first_after).await;
    let mut ticks = tokio::time::interval(common.every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    // Its end is the end of what is on its way.
    let mut flying = JoinSet::new();
    loop {
        ticks.tick().await;
        while flying.try_join_next().is_some() {}
        match Arc::clone(&room).try_acquire_owned() {
            Ok(held) => {
                let (common, lane) = (common.clone(), lane.clone());
                flying.spawn(async move {
                    fly(&common, lane).await;
                    drop(held);
                });
            }
            Err(_) => {
                common.missed.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// The sum of all parts; none where one failed.
async fn cost_ms(asked: JoinSet<Option<f64>>) -> Option<f64> {
    let parts = asked.join_all().await;
    parts.into_iter().try_fold(0.0, |sum, part| Some(sum + part?))
}

async fn fly(common: &Common, lane: Lane) {
    let (at, wall_ms) = (common.clock.now(), common.clock.wall_ms());
    let due = Due { origin: at, at, wall_ms };
    let ask = |requests: &[(f64, Arc<Request>)]| {
        let mut asked = JoinSet::new();
        for (share, request) in requests.iter().cloned() {
            let exchange = Arc::clone(&common.exchange);
            asked.spawn(async move {
                let sample = exchange.measure(&request, due).await;
                sample.outcome.is_ok().then(|| share * sample.response_us as f64 / 1_000.0)
            });
        }
        asked
    };
    // Both arms are asked at once.
    let (old, new) = (ask(&lane.old), ask(&lane.new));
    let (old_ms, new_ms) = (cost_ms(old).await, cost_ms(new).await);
    let landed = Landed { vantage: lane.vantage, due_ms: wall_ms, old_ms, new_ms };
    if common.land.try_send(landed).is_err() {
        common.missed.fetch_add(1, Ordering::Relaxed);
    }
}
