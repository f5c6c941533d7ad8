//! The engine of `probe once`: a few URLs, measured a few times. It prints nothing: it returns
//! samples and summaries, with wire types for JSON and a text of them for people.

pub mod json;
mod text;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::dns::SystemResolver;
use crate::exchange::{Due, Exchange, Request, Trust, TrustError};
use crate::sample::{Connection, HttpVersion, Phase, Sample};
use crate::timer::Timer;
use crate::url::{HostPort, HttpUrl, Proxy};

pub use text::{TextOptions, escape, render};

/// Most samples in flight at a time, over all URLs.
const IN_FLIGHT_MAX: usize = 1_024;

/// What to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// The URLs, measured in turn.
    pub urls: Vec<HttpUrl>,
    /// Samples of each URL.
    pub count: u32,
    /// Between two samples of one URL; zero: each is sent as the last one ends.
    pub interval: Duration,
    /// How much of the way is reused.
    pub connection: Connection,
    /// The HTTP version.
    pub http: HttpVersion,
    /// The host to connect to, where it is not the URL's.
    pub connect_to: Option<HostPort>,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
    /// More roots of trust, in PEM.
    pub ca_file: Option<PathBuf>,
    /// Whether any certificate is taken.
    pub insecure: bool,
    /// The longest a whole exchange may take.
    pub timeout: Duration,
    /// Whether `CloudFront` is asked for its own times.
    pub server_timing: bool,
    /// Whether the kernel's times are taken where it has them.
    pub kernel_time: bool,
}

impl Options {
    /// One cold sample of each URL over HTTP/1.1, with a timeout of 10 s.
    #[must_use]
    pub fn new(urls: Vec<HttpUrl>) -> Self {
        Self {
            urls,
            count: 1,
            interval: Duration::from_secs(1),
            connection: Connection::Cold,
            http: HttpVersion::Http11,
            connect_to: None,
            proxy: None,
            ca_file: None,
            insecure: false,
            timeout: Duration::from_secs(10),
            server_timing: false,
            kernel_time: true,
        }
    }

    fn request(&self, url: &HttpUrl) -> Request {
        let pragma = ("pragma".to_owned(), "server-timing".to_owned());
        Request {
            headers: if self.server_timing { vec![pragma] } else { Vec::new() },
            connect_to: self.connect_to.clone(),
            proxy: self.proxy.clone(),
            connection: self.connection,
            http: self.http,
            insecure: self.insecure,
            timeout: self.timeout,
            ..Request::get(url.clone())
        }
    }
}

/// A sample and its URL.
#[derive(Debug, Clone, PartialEq)]
pub struct UrlSample {
    /// The URL.
    pub url: String,
    /// The sample.
    pub sample: Sample,
}

/// Three percentiles, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Percentiles {
    /// The median.
    pub p50_us: u64,
    /// The 90th percentile.
    pub p90_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
}

/// What one URL's samples come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UrlSummary {
    /// The URL.
    pub url: String,
    /// How many samples.
    pub n: u64,
    /// How many failed.
    pub failures: u64,
    /// From due to the end; a failure counts as slower than the timeout.
    pub response: Percentiles,
    /// Each phase that was there, of successes.
    pub phases: Vec<(Phase, Percentiles)>,
}

/// All samples, in the order they were due, and a summary for each URL.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The samples.
    pub samples: Vec<UrlSample>,
    /// The summaries, in the order of the URLs.
    pub summary: Vec<UrlSummary>,
}

impl Report {
    /// Whether any sample succeeded.
    #[must_use]
    pub fn any_ok(&self) -> bool {
        self.samples.iter().any(|one| one.sample.outcome.is_ok())
    }
}

/// Measures. The system's clock is the caller's to pass.
pub async fn run(options: &Options, clock: Arc<dyn Clock>) -> Result<Report, TrustError> {
    let trust = Trust::system(options.ca_file.as_deref())?;
    let resolver = SystemResolver::from_system();
    let exchange = Exchange::new(&trust, resolver, Arc::clone(&clock))?;
    let exchange = Arc::new(exchange.with_kernel_time(options.kernel_time));
    let requests: Vec<Arc<Request>> =
        options.urls.iter().map(|url| Arc::new(options.request(url))).collect();
    for request in &requests {
        exchange.prime(request).await;
    }
    let origin = clock.now();
    let mut samples = if options.interval.is_zero() {
        in_turn(&exchange, &requests, options.count, origin, &*clock).await
    } else {
        on_the_grid(&exchange, &requests, options, origin, &clock).await
    };
    samples.sort_by_key(|one| one.sample.due);
    let summary = summarize(&options.urls, &samples, options.timeout);
    Ok(Report { samples, summary })
}

async fn in_turn(
    exchange: &Exchange,
    requests: &[Arc<Request>],
    count: u32,
    origin: Instant,
    clock: &dyn Clock,
) -> Vec<UrlSample> {
    let mut samples = Vec::new();
    for _ in 0..count {
        for request in requests {
            let due = Due { origin, at: clock.now(), wall_ms: clock.wall_ms() };
            let sample = exchange.measure(request, due).await;
            samples.push(UrlSample { url: request.url.to_string(), sample });
        }
    }
    samples
}

/// Starts each sample at its due instant, whatever became of the one before it.
async fn on_the_grid(
    exchange: &Arc<Exchange>,
    requests: &[Arc<Request>],
    options: &Options,
    origin: Instant,
    clock: &Arc<dyn Clock>,
) -> Vec<UrlSample> {
    let room = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
    let mut tasks = JoinSet::new();
    let urls = u32::try_from(requests.len()).unwrap_or(u32::MAX).max(1);
    let mut timer = Timer::new().ok();
    for k in 0..options.count {
        for (offset, request) in (0_u32..).zip(requests) {
            // The URLs share an interval evenly, so that none waits for another.
            let at = origin + options.interval * k + options.interval * offset / urls;
            match &mut timer {
                Some(timer) => timer.until(&**clock, at).await,
                None => tokio::time::sleep_until(at.into()).await,
            }
            let now = clock.now();
            let late = i64::try_from(now.saturating_duration_since(at).as_millis()).unwrap_or(0);
            let due = Due { origin, at, wall_ms: clock.wall_ms() - late };
            let Ok(permit) = Arc::clone(&room).acquire_owned().await else { break };
            let (exchange, request) = (Arc::clone(exchange), Arc::clone(request));
            tasks.spawn(async move {
                let sample = exchange.measure(&request, due).await;
                drop(permit);
                UrlSample { url: request.url.to_string(), sample }
            });
        }
    }
    let mut samples = Vec::new();
    while let Some(finished) = tasks.join_next().await {
        samples.extend(finished);
    }
    samples
}

/// Summaries by URL. Pure.
#[must_use]
pub fn summarize(urls: &[HttpUrl], samples: &[UrlSample], timeout: Duration) -> Vec<UrlSummary> {
    let above_us = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
    let mut names: Vec<String> = Vec::new();
    for url in urls {
        let name = url.to_string();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.into_iter().filter_map(|url| summarize_one(url, samples, above_us)).collect()
}

fn summarize_one(url: String, samples: &[UrlSample], above_us: u64) -> Option<UrlSummary> {
    let own: Vec<&Sample> =
        samples.iter().filter(|one| one.url == url).map(|one| &one.sample).collect();
    let response = own.iter().map(|sample| {
        let least_us = if sample.outcome.is_ok() { 0 } else { above_us };
        sample.response_us.max(least_us)
    });
    let response = percentiles(response.collect())?;
    let ok = || own.iter().filter(|sample| sample.outcome.is_ok());
    let of = |phase: Phase| {
        let values = ok().filter_map(|sample| sample.phases.get(phase)).collect();
        percentiles(values).map(|found| (phase, found))
    };
    let n = u64::try_from(own.len()).unwrap_or(u64::MAX);
    let failures = n - u64::try_from(ok().count()).unwrap_or(n);
    let phases = Phase::ALL.into_iter().filter_map(of).collect();
    Some(UrlSummary { url, n, failures, response, phases })
}

/// Order statistics by the inverted distribution function.
fn percentiles(mut values: Vec<u64>) -> Option<Percentiles> {
    values.sort_unstable();
    let at = |percent: usize| {
        values.get((percent * values.len()).div_ceil(100).saturating_sub(1)).copied()
    };
    Some(Percentiles { p50_us: at(50)?, p90_us: at(90)?, p99_us: at(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Outcome;
    use crate::window::tests::sample;

    #[test]
    fn a_failure_is_slower_than_the_timeout() {
        let url: HttpUrl = "https://a.test/".parse().unwrap();
        let one = |outcome, us| UrlSample { url: url.to_string(), sample: sample(outcome, us, us) };
        let samples = [
            one(Outcome::Ok { status: 200 }, 100),
            one(Outcome::Ok { status: 200 }, 300),
            one(Outcome::ConnectRefused, 5),
        ];
        let summary = summarize(&[url.clone(), url], &samples, Duration::from_secs(1));
        assert_eq!(summary.len(), 1);
        assert_eq!((summary[0].n, summary[0].failures), (3, 1));
        assert_eq!(summary[0].response.p50_us, 300);
        assert_eq!(summary[0].response.p99_us, 1_000_001);
        assert_eq!(summary[0].phases.len(), 1);
        assert_eq!(summary[0].phases[0].1.p50_us, 99);
    }

    #[test]
    fn nothing_has_no_percentile() {
        assert_eq!(percentiles(Vec::new()), None);
        let one = Percentiles { p50_us: 7, p90_us: 7, p99_us: 7 };
        assert_eq!(percentiles(vec![7]), Some(one));
    }
}
