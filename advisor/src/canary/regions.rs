//! The receiving Regions' own figures, period by period, as soon as they are settled.
//!
//! It fetches and hands over in order; what the figures mean is judged elsewhere. A period that cannot
//! be read for long is handed over as missing.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use probe::clock::Clock;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::RegionMinute;

/// Periods after whose end one is read: metrics are published late.
const SETTLED_PERIODS: i64 = 2;
/// Periods after whose end one that cannot be read is missing.
const MISSING_PERIODS: i64 = 4;
/// How far back it is looked for how often requests failed before.
const BEFORE_MS: i64 = 3_600_000;
/// Periods that wait to be judged, at most.
const WAITING_MAX: usize = 1_024;

/// The figures of endpoints in their Regions. Every call is bounded in time by the implementation.
pub trait RegionFigures: Send + Sync {
    /// The figures of the periods that begin within the range, milliseconds since the epoch, its end
    /// excluded; by their start. What was not published is absent.
    fn figures(
        &self,
        endpoint: &str,
        range_ms: (i64, i64),
    ) -> impl Future<Output = Result<BTreeMap<i64, RegionMinute>, String>> + Send;
}

/// The share of an endpoint's requests that failed in the hour before, by its own figures; 0 where there
/// were none.
pub async fn failing_before<F: RegionFigures>(
    figures: &F,
    endpoint: &str,
    now_ms: i64,
) -> Result<f64, String> {
    let found = figures.figures(endpoint, (now_ms - BEFORE_MS, now_ms)).await?;
    let sum = |of: fn(&RegionMinute) -> Option<f64>| found.values().filter_map(of).sum::<f64>();
    let requests = sum(|minute| minute.requests);
    let failed = sum(|minute| minute.failures).max(sum(|minute| minute.throttles));
    Ok(if requests > 0.0 { (failed / requests).min(1.0) } else { 0.0 })
}

/// A running reader. Dropping it stops it.
#[derive(Debug)]
pub struct RegionReader {
    minutes: mpsc::Receiver<(String, RegionMinute)>,
    task: JoinHandle<()>,
}

impl RegionReader {
    /// Reads each period that begins at `from_ms` or later, of every endpoint with its period's length
    /// in milliseconds.
    #[must_use]
    pub fn start<F: RegionFigures + 'static>(
        figures: Arc<F>,
        clock: Arc<dyn Clock>,
        endpoints: BTreeMap<String, i64>,
        from_ms: i64,
    ) -> Self {
        let (hand, minutes) = mpsc::channel(WAITING_MAX);
        let queues =
            endpoints.into_iter().map(|(id, period_ms)| Queue::new(id, period_ms, from_ms));
        let task = tokio::spawn(run(figures, clock, queues.collect(), hand));
        Self { minutes, task }
    }

    /// The next settled period of an endpoint. `None` where there is no endpoint.
    pub async fn next(&mut self) -> Option<(String, RegionMinute)> {
        self.minutes.recv().await
    }
}

impl Drop for RegionReader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The periods of one endpoint that were not handed over yet.
struct Queue {
    endpoint: String,
    period_ms: i64,
    next_ms: i64,
}

impl Queue {
    fn new(endpoint: String, period_ms: i64, from_ms: i64) -> Self {
        let period_ms = period_ms.max(1);
        let next_ms = from_ms.saturating_add(period_ms - 1).div_euclid(period_ms) * period_ms;
        Self { endpoint, period_ms, next_ms }
    }

    /// The end of the periods that are over for so many periods.
    fn over_for(&self, periods: i64, now_ms: i64) -> i64 {
        let newest_ms = now_ms - (periods + 1) * self.period_ms;
        newest_ms.div_euclid(self.period_ms) * self.period_ms + self.period_ms
    }

    /// Takes what was read, or why it was not, and gives what can be handed over.
    fn take(
        &mut self,
        read: Result<BTreeMap<i64, RegionMinute>, String>,
        now_ms: i64,
    ) -> Vec<RegionMinute> {
        let until_ms = match &read {
            Ok(_) => self.over_for(SETTLED_PERIODS, now_ms),
            Err(_) => self.over_for(MISSING_PERIODS, now_ms),
        };
        let found = read.unwrap_or_default();
        let mut minutes = Vec::new();
        while self.next_ms < until_ms {
            minutes.push(found.get(&self.next_ms).copied().unwrap_or_default());
            self.next_ms += self.period_ms;
        }
        minutes
    }
}

async fn run<F: RegionFigures>(
    figures: Arc<F>,
    clock: Arc<dyn Clock>,
    mut queues: Vec<Queue>,
    hand: mpsc::Sender<(String, RegionMinute)>,
) {
    let shortest_ms = queues.iter().map(|queue| queue.period_ms).min().unwrap_or_default();
    let pause = Duration::from_millis(shortest_ms.unsigned_abs() / 4).max(Duration::from_secs(1));
    while !queues.is_empty() {
        for queue in &mut queues {
            let now_ms = clock.wall_ms();
            let until_ms = queue.over_for(SETTLED_PERIODS, now_ms);
            if queue.next_ms >= until_ms {
                continue;
            }
            let read = figures.figures(&queue.endpoint, (queue.next_ms, until_ms)).await;
            if let Err(cause) = &read {
                tracing::warn!(endpoint = queue.endpoint, cause, "a Region's figures are not read");
            }
            for minute in queue.take(read, now_ms) {
                if hand.send((queue.endpoint.clone(), minute)).await.is_err() {
                    return;
                }
            }
        }
        tokio::time::sleep(pause).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(requests: f64) -> RegionMinute {
        RegionMinute { requests: Some(requests), failures: Some(1.0), ..RegionMinute::default() }
    }

    #[test]
    fn periods_are_handed_over_in_order_once_they_are_settled() {
        let mut queue = Queue::new("eu".into(), 60_000, 61_000);
        assert_eq!(queue.next_ms, 120_000, "the first whole minute");
        let read = || Ok(BTreeMap::from([(120_000, minute(7.0)), (240_000, minute(9.0))]));
        assert_eq!(queue.take(read(), 299_999), []);
        assert_eq!(queue.take(read(), 300_000), [minute(7.0)]);
        // What was not published is missing, in its place.
        assert_eq!(queue.take(read(), 420_000), [RegionMinute::default(), minute(9.0)]);
    }

    #[test]
    fn what_cannot_be_read_for_long_is_missing() {
        let mut queue = Queue::new("eu".into(), 60_000, 0);
        let refused = || Err("refused".to_owned());
        assert_eq!(queue.take(refused(), 299_999), []);
        assert_eq!(queue.take(refused(), 300_000), [RegionMinute::default()]);
        assert_eq!(queue.next_ms, 60_000);
    }

    struct Hour(BTreeMap<i64, RegionMinute>);

    impl RegionFigures for Hour {
        async fn figures(
            &self,
            _: &str,
            (from_ms, until_ms): (i64, i64),
        ) -> Result<BTreeMap<i64, RegionMinute>, String> {
            Ok(self.0.range(from_ms..until_ms).map(|(at, minute)| (*at, *minute)).collect())
        }
    }

    #[tokio::test]
    async fn how_often_it_failed_before_is_of_the_last_hour() {
        let now_ms = 10 * BEFORE_MS;
        let failing = |minutes: Vec<(i64, RegionMinute)>| async move {
            failing_before(&Hour(minutes.into_iter().collect()), "eu", now_ms).await.unwrap()
        };
        assert!(failing(Vec::new()).await.abs() < 1e-12);
        let old = (now_ms - BEFORE_MS - 1, RegionMinute { failures: Some(5.0), ..minute(5.0) });
        let share = failing(vec![old, (now_ms - 60_000, minute(4.0)), (now_ms - 1, minute(6.0))]);
        assert!((share.await - 0.2).abs() < 1e-12);
    }
}
