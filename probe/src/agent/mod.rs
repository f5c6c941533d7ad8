//! `probe run`: measures every series of a configuration at its due instants, until told to stop.
//!
//! It waits for nothing but time: a slow target delays no other, and a slot that cannot start is
//! counted as missed. It measures in one thread that does nothing else; windows go to a [`Sink`] in
//! another.

mod folder;
mod own_thread;
mod plan;
mod round;
mod slot;
mod writer;

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config::{Config, ConfigError, warm_interval_bound};
use crate::dns::SystemResolver;
use crate::exchange::{Due, Exchange, Trust, TrustError};
use crate::histogram::Histogram;
use crate::metrics::Metrics;
use crate::sample::{Connection, Sample, Series};
use crate::timer::Timer;
use crate::window::{BelowLight, Sink, below_light};
use folder::Folder;
use own_thread::OwnThread;
use plan::Lane;
use slot::Samples;
use writer::Writer;

pub use round::{Round, round};

/// A slot that the prober itself starts later than this is counted as late.
pub const LATE_MAX: Duration = Duration::from_millis(10);
/// After a signal, samples in flight get this long; the rest is counted as missed.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);
/// Closed windows are looked for this often at least.
const CLOSE_MAX: Duration = Duration::from_secs(1);
/// Most series that are prepared at the same time.
const PRIME_AT_ONCE: usize = 128;

/// The agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The configuration does not fit what was found.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// There are no roots of trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// A vantage was asked for that is not configured.
    #[error("vantage {id:?} is not in the configuration")]
    Vantage {
        /// Its id.
        id: String,
    },
    /// There is no series to measure.
    #[error("nothing to measure: {vantages} vantages, {targets} endpoints and targets")]
    Nothing {
        /// How many vantages.
        vantages: usize,
        /// How many endpoints and targets.
        targets: usize,
    },
    /// The kernel gives no timer.
    #[error("cannot make a timer: {cause}")]
    Timer {
        /// What the system said.
        cause: std::io::Error,
    },
    /// The thread that measures could not be had.
    #[error("cannot start the thread that measures: {cause}")]
    Thread {
        /// What the system said.
        cause: std::io::Error,
    },
    /// The thread that writes could not be had.
    #[error("cannot start the writer: {cause}")]
    Writer {
        /// What the system said.
        cause: std::io::Error,
    },
}

/// What happens during a run, for whoever watches. Events that nobody takes in time are dropped
/// and counted in the summary.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Series are ready to be measured.
    Ready {
        /// How many.
        series: usize,
    },
    /// A sample ended.
    Sampled {
        /// Whose.
        series: Series,
        /// What it is.
        sample: Box<Sample>,
    },
    /// A slot could not start.
    Missed {
        /// Whose.
        series: Series,
    },
    /// A round trip was faster than light allows: the vantage, or who answers, is not where its
    /// name says.
    BelowLight {
        /// Whose.
        series: Series,
        /// How fast, and how fast it may be.
        found: BelowLight,
    },
    /// Windows were closed and handed to the writer.
    Closed {
        /// How many.
        windows: usize,
    },
    /// Windows could not be written; they are kept and tried again.
    WriteFailed {
        /// Why.
        cause: String,
    },
}

/// How to run.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The vantages to measure from; empty: all.
    pub vantages: Vec<String>,
    /// How long to measure; `None`: until the shutdown.
    pub until: Option<Duration>,
    /// The seed of the grid's phases.
    pub seed: u64,
    /// Where events go.
    pub events: Option<mpsc::Sender<Event>>,
    /// What `/metrics` shows.
    pub metrics: Option<Arc<Metrics>>,
}

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Samples that ended.
    pub samples: u64,
    /// Those that failed.
    pub failures: u64,
    /// Slots that could not start, or were abandoned at the end.
    pub missed: u64,
    /// Slots that the prober itself started late.
    pub late: u64,
    /// Windows that were written.
    pub windows: u64,
    /// Windows that could not be written at all.
    pub windows_lost: u64,
    /// Why the last write failed, where it did.
    pub write_error: Option<String>,
    /// Events that nobody took in time.
    pub events_dropped: u64,
    /// Responses that sent the client elsewhere; they are counted and not followed.
    pub redirects: u64,
    /// Round trips faster than light allows between the Regions of vantage and target.
    pub below_light: u64,
    /// How long after its due instant each slot was started, in microseconds.
    pub lateness: Histogram,
}

/// Every series of a configuration, from all its vantages, and how long a slot of it may take.
pub fn series(config: &Config) -> Result<Vec<(Series, Duration)>, AgentError> {
    let lanes = plan::lanes(config, &Options::default())?;
    Ok(lanes.into_iter().map(|lane| (lane.series, lane.timeout)).collect())
}

/// The targets and journeys whose samples are told apart by address, edge or step: each of their series is
/// several, by what is found while measuring.
pub fn told_apart(config: &Config) -> Result<BTreeSet<String>, AgentError> {
    let lanes = plan::lanes(config, &Options::default())?;
    let several = lanes.into_iter().filter(|lane| lane.paths != plan::Paths::One);
    Ok(several.map(|lane| lane.series.target).collect())
}

/// Measures until `options.until` has passed or `shutdown` is done, then closes the open windows
/// and writes them. After a shutdown it ends within 5 s.
pub async fn run<S: Sink + 'static>(
    config: &Config,
    sink: S,
    options: Options,
    clock: Arc<dyn Clock>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<Summary, AgentError> {
    let lanes = plan::lanes(config, &options)?;
    let trust = Trust::system(config.probe.ca_file.as_deref())?;
    let exchange = Exchange::new(&trust, SystemResolver::from_system(), Arc::clone(&clock))?
        .with_kernel_time(config.probe.kernel_time);
    let writer = Writer::start(sink).map_err(|cause| AgentError::Writer { cause })?;
    let window_ms = i64::try_from(config.evidence.window.as_millis()).unwrap_or(i64::MAX);
    let mut agent = Agent {
        exchange: Arc::new(exchange),
        clock,
        folder: Folder::new(&lanes, window_ms),
        lanes,
        tasks: JoinSet::new(),
        in_flight: Vec::new(),
        origin: None,
        writer,
        events: options.events,
        summary: Summary::default(),
        metrics: options.metrics,
        interval_warm: config.probe.interval_warm,
    };
    agent.in_flight = vec![0; agent.lanes.len()];
    let (stop, stopped) = oneshot::channel();
    let mut ended = OwnThread::start(move || agent.work(options.until, stopped))?;
    let mut shutdown = std::pin::pin!(shutdown);
    tokio::select! {
        summary = ended.result() => summary,
        () = &mut shutdown => {
            drop(stop);
            ended.result().await
        }
    }
}

/// What a task brings back.
type Finished = (usize, i64, Duration, Samples);

struct Agent {
    exchange: Arc<Exchange>,
    clock: Arc<dyn Clock>,
    lanes: Vec<Lane>,
    folder: Folder,
    tasks: JoinSet<Finished>,
    in_flight: Vec<u32>,
    origin: Option<Instant>,
    writer: Writer,
    events: Option<mpsc::Sender<Event>>,
    summary: Summary,
    metrics: Option<Arc<Metrics>>,
    interval_warm: Duration,
}

impl Agent {
    /// The whole run; it is told to stop when the other end of `stopped` is dropped.
    async fn work(
        mut self,
        until: Option<Duration>,
        mut stopped: oneshot::Receiver<()>,
    ) -> Result<Summary, AgentError> {
        let timer = Timer::new().map_err(|cause| AgentError::Timer { cause })?;
        let primed = tokio::select! {
            primed = self.prime() => Some(primed),
            _ = &mut stopped => None,
        };
        if let Some(primed) = primed {
            primed?;
            let early = self.measure(timer, until, stopped).await;
            let longest = self.lanes.iter().map(|lane| lane.longest).max().unwrap_or_default();
            let grace = if early { SHUTDOWN_GRACE } else { longest + SHUTDOWN_GRACE };
            self.drain(grace).await;
        }
        Ok(self.finish().await)
    }

    /// Prepares what resumed and warm series need, and refuses a warm interval that is too short.
    async fn prime(&mut self) -> Result<(), AgentError> {
        let mut tasks: JoinSet<Option<Duration>> = JoinSet::new();
        let mut slowest = Duration::ZERO;
        for lane in self.lanes.iter().filter(|l| l.series.connection != Connection::Cold) {
            if tasks.len() >= PRIME_AT_ONCE
                && let Some(Ok(Some(took))) = tasks.join_next().await
            {
                slowest = slowest.max(took);
            }
            let (exchange, clock) = (Arc::clone(&self.exchange), Arc::clone(&self.clock));
            let work = lane.work.clone();
            tasks.spawn(async move { plan::prime(&exchange, &*clock, &work).await });
        }
        while let Some(took) = tasks.join_next().await {
            slowest = slowest.max(took.ok().flatten().unwrap_or_default());
        }
        warm_interval_bound(self.interval_warm, slowest)?;
        self.tell(Event::Ready { series: self.lanes.len() });
        Ok(())
    }

    /// Starts slots as they fall due; says whether it was told to stop.
    async fn measure(
        &mut self,
        mut timer: Timer,
        until: Option<Duration>,
        mut stopped: oneshot::Receiver<()>,
    ) -> bool {
        let origin = self.clock.now();
        self.origin = Some(origin);
        let end = until.map(|length| origin + length);
        let mut queue: BinaryHeap<Reverse<(Duration, usize, u64)>> = BinaryHeap::new();
        for (index, lane) in self.lanes.iter().enumerate() {
            queue.push(Reverse((lane.schedule.due(0), index, 0)));
        }
        let mut close_at = self.next_close();
        loop {
            let next = queue.peek().map_or(Duration::MAX, |Reverse((due, ..))| *due);
            let next = origin.checked_add(next);
            let wake = [next, end, Some(close_at)].into_iter().flatten().min();
            let wake = wake.unwrap_or(origin);
            let clock = Arc::clone(&self.clock);
            tokio::select! {
                biased;
                _ = &mut stopped => return true,
                Some(finished) = self.tasks.join_next() => self.fold(finished),
                () = timer.until(&*clock, wake) => {}
            }
            let now = self.clock.now();
            if end.is_some_and(|end| now >= end) {
                return false;
            }
            while let Some(Reverse((due, index, k))) = queue.peek().copied() {
                let at = origin + due;
                if at > now {
                    break;
                }
                queue.pop();
                self.start(index, at, origin);
                let after = self.lanes.get(index).map_or(Duration::MAX, |l| l.schedule.due(k + 1));
                queue.push(Reverse((after, index, k + 1)));
            }
            if now >= close_at {
                self.close(false);
                close_at = self.next_close();
            }
        }
    }

    /// When the next window may close; at most a second from now, for those that waited for their
    /// samples.
    fn next_close(&self) -> Instant {
        let wall_ms = self.clock.wall_ms();
        let left_ms = self.folder.next_end_ms(wall_ms).saturating_sub(wall_ms).max(1);
        // One millisecond late, so that a rounded wall time does not lie before the border.
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or(1) + 1);
        self.clock.now() + left.min(CLOSE_MAX)
    }

    fn start(&mut self, index: usize, at: Instant, origin: Instant) {
        let now = self.clock.now();
        let lateness = now.saturating_duration_since(at);
        let lateness_ms = i64::try_from(lateness.as_millis()).unwrap_or(i64::MAX);
        let wall_ms = self.clock.wall_ms().saturating_sub(lateness_ms);
        let Some(lane) = self.lanes.get(index) else { return };
        let Some(in_flight) = self.in_flight.get_mut(index) else { return };
        if *in_flight >= lane.in_flight_max {
            self.folder.miss(index, wall_ms);
            self.summary.missed += 1;
            if let Some(metrics) = &self.metrics {
                metrics.miss(&lane.series);
            }
            let series = lane.series.clone();
            self.tell(Event::Missed { series });
            return;
        }
        *in_flight += 1;
        let overdue = lateness > LATE_MAX;
        self.summary.late += u64::from(overdue);
        let start_ms = self.folder.begin(index, wall_ms, overdue);
        let (exchange, work) = (Arc::clone(&self.exchange), lane.work.clone());
        let clock = Arc::clone(&self.clock);
        let due = Due { origin, at, wall_ms };
        self.tasks.spawn(async move {
            let lateness = clock.now().saturating_duration_since(at);
            (index, start_ms, lateness, slot::run(&exchange, &*clock, &work, due).await)
        });
    }

    fn fold(&mut self, finished: Result<Finished, tokio::task::JoinError>) {
        // A task that was torn down leaves its slot open; it is counted as missed at the end.
        let Ok((index, start_ms, lateness, samples)) = finished else { return };
        self.summary.lateness.record(u64::try_from(lateness.as_micros()).unwrap_or(u64::MAX));
        if let Some(in_flight) = self.in_flight.get_mut(index) {
            *in_flight = in_flight.saturating_sub(1);
        }
        self.folder.end(index, start_ms, &samples);
        for (step, sample) in samples {
            self.count(index, step, sample);
        }
    }

    /// Counts one sample, and tells of it.
    fn count(&mut self, index: usize, step: Option<String>, sample: Sample) {
        let Some(lane) = self.lanes.get(index) else { return };
        self.summary.samples += 1;
        self.summary.failures += u64::from(!sample.outcome.is_ok());
        self.summary.redirects += u64::from(sample.outcome.is_redirect());
        let flag = below_light(&sample, lane.least_us);
        self.summary.below_light += u64::from(flag.is_some());
        if let Some(metrics) = &self.metrics {
            metrics.record(&lane.series, step.as_deref().unwrap_or_default(), &sample);
        }
        if self.events.is_none() {
            return;
        }
        let series = Series { path: step.unwrap_or_default(), ..lane.series.clone() };
        if let Some(found) = flag {
            self.tell(Event::BelowLight { series: series.clone(), found });
        }
        self.tell(Event::Sampled { series, sample: Box::new(sample) });
    }

    /// Closes the windows that are over, or all.
    fn close(&mut self, all: bool) {
        let closed = self.folder.close(self.clock.wall_ms(), all);
        if !closed.is_empty() {
            self.tell(Event::Closed { windows: closed.len() });
        }
        self.writer.give(closed);
        if let Some(cause) = self.writer.take_failure() {
            if let Some(metrics) = &self.metrics {
                metrics.write_failed();
            }
            self.tell(Event::WriteFailed { cause });
        }
    }

    /// Waits for samples in flight, at most `grace`; what is left is counted as missed.
    async fn drain(&mut self, grace: Duration) {
        let deadline = self.clock.now() + grace;
        while !self.tasks.is_empty() {
            let next = tokio::time::timeout_at(deadline.into(), self.tasks.join_next()).await;
            match next {
                Ok(Some(finished)) => self.fold(finished),
                Ok(None) | Err(_) => break,
            }
        }
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }

    async fn finish(mut self) -> Summary {
        self.summary.missed += self.folder.abandon();
        self.close(true);
        let written = self.writer.finish().await;
        self.summary.windows = written.windows;
        self.summary.windows_lost = written.lost;
        self.summary.write_error = written.failure;
        self.summary
    }

    fn tell(&mut self, event: Event) {
        if let Some(events) = &self.events
            && events.try_send(event).is_err()
        {
            self.summary.events_dropped += 1;
        }
    }
}
