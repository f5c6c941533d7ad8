//! The measured path: an exchange of our own, because no client exposes the phases.
//!
//! Trouble on the network is an [`Outcome`](crate::sample::Outcome), never an error. It decides
//! nothing and stores nothing.

mod attribution;
mod certificate;
mod channel;
mod classify;
mod connect;
mod kernel;
mod known_chains;
mod names;
mod request;
mod socks;
mod timeline;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::clock::Clock;
use crate::dns::SystemResolver;
use crate::sample::{Attribution, Connection, Outcome, Sample};
use channel::{Channel, Response};
use classify::timed_out;
use connect::{Attempt, Connector};
use names::NameBook;
use timeline::Timeline;
use tls::{Configs, Tickets};

pub use attribution::parse_server_timing;
pub use request::{Due, Names, Request};
pub use tls::{Identity, Trust, TrustError};

/// A warm connection older than this is opened anew between two samples.
pub const WARM_AGE_MAX: Duration = Duration::from_mins(5);

/// Largest movement of the wall clock against the monotonic one within which receive timestamps
/// are believed, in ns.
const WALL_DRIFT_MAX_NS: i128 = 100_000;

/// What a target showed of itself over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// When the leaf certificate ends, in seconds since 1970; absent over plain HTTP.
    pub certificate_not_after_s: Option<i64>,
    /// The HTTP status.
    pub status: u16,
    /// The headers, names in lower case, in the order they came.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, at most 64 KiB.
    pub body: Vec<u8>,
}

/// Most warm connections; above that those that nobody uses just now are closed.
const WARM_MAX: usize = 16_384;
/// Most addresses of one name that are measured.
const ADDRESSES_MAX: usize = 31;

/// Most bytes of a body that a proof keeps.
const PROOF_BODY_MAX: usize = 64 * 1024;

type WarmSlot = Arc<tokio::sync::Mutex<Option<Channel>>>;

/// The tickets of a resumed series, and the configuration that uses them.
#[derive(Debug, Clone)]
struct Resuming {
    tickets: Arc<Tickets>,
    config: Arc<ClientConfig>,
}

/// Measures. It owns the TLS configurations, the tickets and the warm connections; one for each
/// series that it is asked for, so that the caller's number of series bounds them.
pub struct Exchange {
    clock: Arc<dyn Clock>,
    names: NameBook,
    kernel_time: bool,
    configs: Configs,
    origin: Instant,
    resuming: Mutex<BTreeMap<String, Resuming>>,
    warm: Mutex<BTreeMap<String, WarmSlot>>,
}

impl std::fmt::Debug for Exchange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

/// Runs all to their end, in one task, in their order.
async fn join_all<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pending: Vec<Pin<Box<F>>> = futures.into_iter().map(Box::pin).collect();
    let mut ready: Vec<Option<F::Output>> = pending.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, slot) in pending.iter_mut().zip(&mut ready) {
            if slot.is_none()
                && let Poll::Ready(output) = future.as_mut().poll(context)
            {
                *slot = Some(output);
            }
        }
        if ready.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    ready.into_iter().flatten().collect()
}

/// One attempt's end.
struct Done {
    attempt: Attempt,
    result: Result<Response, Outcome>,
    finished: Instant,
    wall_steady: bool,
}

impl Exchange {
    /// An exchange that trusts `trust` and resolves with `resolver`.
    pub fn new(
        trust: &Trust,
        resolver: SystemResolver,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, TrustError> {
        Ok(Self {
            origin: clock.now(),
            clock,
            names: NameBook::new(resolver),
            kernel_time: true,
            configs: Configs::new(trust)?,
            resuming: Mutex::new(BTreeMap::new()),
            warm: Mutex::new(BTreeMap::new()),
        })
    }

    /// Whether the kernel's times are taken where it has them; they are, unless told otherwise.
    #[must_use]
    pub fn with_kernel_time(self, kernel_time: bool) -> Self {
        Self { kernel_time, ..self }
    }

    /// Takes one sample. It never takes longer than twice the timeout, of which a warm slot may
    /// spend one in its queue, plus one for opening what a resumed or warm series needs.
    ///
    /// What the series needs before it can measure (a ticket, an open connection) is prepared
    /// before `sent` and counts neither as service nor as response.
    pub async fn measure(&self, request: &Request, due: Due) -> Sample {
        match request.connection {
            // Futures are moved when they are awaited: the large and the rare ones on the heap.
            Connection::Cold => Box::pin(self.cold(request, due)).await,
            Connection::Resumed => Box::pin(self.resumed(request, due)).await,
            Connection::Warm => self.warm(request, due).await,
        }
    }

    /// Takes one sample of each address of the target's name, at the same time; `resolve` is in
    /// none of them, because the name was asked for all. Where the name does not resolve, or the
    /// proxy resolves it, it is one sample.
    pub async fn measure_each(&self, request: &Request, due: Due) -> Vec<Sample> {
        let host = request.connect_to.as_ref().map_or(&request.url.host, |to| &to.host);
        let remote = request.proxy.as_ref().is_some_and(|proxy| proxy.remote_dns);
        if remote || host.parse::<std::net::IpAddr>().is_ok() {
            return vec![Box::pin(self.measure(request, due)).await];
        }
        let asked = Box::pin(self.names.ask(request, host, &*self.clock));
        let Ok((from, to, Ok(answers))) = tokio::time::timeout(request.timeout, asked).await else {
            return vec![Box::pin(self.measure(request, due)).await];
        };
        let looked_us = u64::try_from((to - from).as_micros()).unwrap_or(u64::MAX);
        let one = async |address| {
            let key = format!("{} {address}", request.key);
            let request = Request { key, address: Some(address), ..request.clone() };
            let mut sample = self.measure(&request, due).await;
            let without_us = sample.response_us.saturating_sub(looked_us);
            sample.response_us = without_us.max(sample.total_us);
            sample.dns.clone_from(&answers);
            sample
        };
        let addresses = answers.iter().take(ADDRESSES_MAX).map(|answer| answer.address);
        join_all(addresses.map(one).collect()).await
    }

    /// Prepares a series without measuring: fetches a ticket, opens the warm connection. What
    /// fails here will fail in the samples too, and is told there.
    pub async fn prime(&self, request: &Request) {
        match request.connection {
            Connection::Cold => {}
            Connection::Resumed => {
                let resuming = self.resuming_of(request);
                if request.url.https && !resuming.tickets.any() {
                    let _ = Box::pin(self.fresh(request, resuming.config, 0)).await;
                }
            }
            Connection::Warm => {
                let slot = self.slot(&request.key);
                let mut guard = slot.lock().await;
                if guard.is_none() {
                    *guard = Box::pin(self.open_warm(request)).await.1.ok();
                }
            }
        }
    }

    /// Asks once, cold, and returns what the target shows of itself; the error is the outcome.
    pub async fn prove(&self, request: &Request) -> Result<Proof, Outcome> {
        let config = self.configs.cold(request);
        let done = self.fresh(request, config, PROOF_BODY_MAX).await;
        let response = done.result?;
        let leaf = done.attempt.certificate.as_deref();
        let headers = response.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        Ok(Proof {
            certificate_not_after_s: leaf.and_then(certificate::not_after_s),
            status: response.status,
            headers: headers.collect(),
            body: response.body,
        })
    }

    async fn cold(&self, request: &Request, due: Due) -> Sample {
        let config = self.configs.cold(request);
        let done = self.fresh(request, config, request.keep()).await;
        Self::sample(request, due, done, Duration::ZERO)
    }

    async fn resumed(&self, request: &Request, due: Due) -> Sample {
        let before = self.clock.now();
        self.prime(request).await;
        let prepared = self.clock.now().saturating_duration_since(before);
        let resuming = self.resuming_of(request);
        let mut done = self.fresh(request, Arc::clone(&resuming.config), request.keep()).await;
        if request.url.https && done.result.is_ok() && !done.attempt.facts.resumed {
            // A full handshake is a sample of another series, so it is none of this one.
            let detail = "the server did not resume the session".to_owned();
            done.result = Err(Outcome::TlsHandshake { detail });
        }
        if done.result.is_err() {
            resuming.tickets.clear();
        }
        Self::sample(request, due, done, prepared)
    }

    async fn warm(&self, request: &Request, due: Due) -> Sample {
        let slot = self.slot(&request.key);
        let waited = self.clock.now().saturating_duration_since(due.at);
        let left = request.timeout.saturating_sub(waited);
        let Ok(mut guard) = tokio::time::timeout(left, slot.lock()).await else {
            let done = self.failed_now(Outcome::ResponseTimeout);
            return Self::sample(request, due, done, Duration::ZERO);
        };
        let before = self.clock.now();
        if !guard.as_mut().is_some_and(Channel::is_usable) {
            *guard = None;
            match Box::pin(self.open_warm(request)).await {
                (_, Ok(channel)) => *guard = Some(channel),
                (mut done, Err(outcome)) => {
                    done.result = Err(outcome);
                    return Self::sample(request, due, done, Duration::ZERO);
                }
            }
        }
        let prepared = self.clock.now().saturating_duration_since(before);
        let Some(channel) = guard.as_mut() else {
            let done = self.failed_now(Outcome::Reset);
            return Self::sample(request, due, done, prepared);
        };
        let done = self.over(channel, request).await;
        let aged = self.clock.now().saturating_duration_since(channel.opened) >= WARM_AGE_MAX;
        let failed = done.result.is_err();
        if failed || aged || !channel.is_usable() {
            *guard = None;
            if !failed {
                // Between two samples, so that no sample waits for it.
                *guard = Box::pin(self.open_warm(request)).await.1.ok();
            }
        }
        Self::sample(request, due, done, prepared)
    }

    /// Sends one request over a warm connection.
    async fn over(&self, channel: &mut Channel, request: &Request) -> Done {
        let offset = self.wall_offset_ns();
        let mut attempt = Attempt::new(Timeline::new(self.clock.now()));
        attempt.stage = classify::Stage::Response;
        attempt.timeline.proxied = request.proxy.is_some();
        attempt.facts = channel.facts.clone();
        let work = channel.send(request, request.keep(), &mut attempt.timeline);
        let result = match tokio::time::timeout(request.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(Outcome::ResponseTimeout),
        };
        self.done(attempt, result, offset)
    }

    /// Opens, sends, reads and closes, within the timeout.
    async fn fresh(&self, request: &Request, tls: Arc<ClientConfig>, keep: usize) -> Done {
        let offset = self.wall_offset_ns();
        let mut attempt = Attempt::new(Timeline::new(self.clock.now()));
        let connector = self.connector(tls);
        let work = async {
            let mut channel = connector.open(request, &mut attempt).await?;
            channel.send(request, keep, &mut attempt.timeline).await
        };
        let result = match tokio::time::timeout(request.timeout, work).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(attempt.stage)),
        };
        self.done(attempt, result, offset)
    }

    async fn open_warm(&self, request: &Request) -> (Done, Result<Channel, Outcome>) {
        let tls = self.configs.cold(request);
        let offset = self.wall_offset_ns();
        let mut attempt = Attempt::new(Timeline::new(self.clock.now()));
        let connector = self.connector(tls);
        let work = connector.open(request, &mut attempt);
        let opened = match tokio::time::timeout(request.timeout, work).await {
            Ok(opened) => opened,
            Err(_) => Err(timed_out(attempt.stage)),
        };
        (self.done(attempt, Err(Outcome::Reset), offset), opened)
    }

    fn connector(&self, tls: Arc<ClientConfig>) -> Connector<'_> {
        Connector { clock: &self.clock, names: &self.names, tls, kernel_time: self.kernel_time }
    }

    fn done(&self, attempt: Attempt, result: Result<Response, Outcome>, offset: i128) -> Done {
        let moved = (self.wall_offset_ns() - offset).abs();
        let wall_steady = moved <= WALL_DRIFT_MAX_NS;
        Done { attempt, result, finished: self.clock.now(), wall_steady }
    }

    fn failed_now(&self, outcome: Outcome) -> Done {
        let attempt = Attempt::new(Timeline::new(self.clock.now()));
        Done { attempt, result: Err(outcome), finished: self.clock.now(), wall_steady: false }
    }

    /// Wall time minus monotonic time: it stands still unless somebody moves the wall clock.
    fn wall_offset_ns(&self) -> i128 {
        let elapsed = self.clock.now().saturating_duration_since(self.origin).as_nanos();
        i128::from(self.clock.wall_ns()) - i128::try_from(elapsed).unwrap_or(i128::MAX)
    }

    fn slot(&self, key: &str) -> WarmSlot {
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if warm.len() >= WARM_MAX && !warm.contains_key(key) {
            // Addresses that a name no longer has: whoever needs one again opens it again.
            warm.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(warm.entry(key.to_owned()).or_default())
    }

    fn resuming_of(&self, request: &Request) -> Resuming {
        let mut all = self.resuming.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let tickets = Arc::new(Tickets::default());
            let config = self.configs.resuming(request, &tickets);
            Resuming { tickets, config }
        };
        all.entry(request.key.clone()).or_insert_with(make).clone()
    }

    fn sample(request: &Request, due: Due, done: Done, prepared: Duration) -> Sample {
        let Done { attempt, result, finished, wall_steady } = done;
        let Attempt { timeline, facts, .. } = attempt;
        let measured = timeline.measure(finished, wall_steady);
        let (outcome, attribution) = match result {
            Ok(response) => {
                let outcome = request.judge(response.status, &response.body);
                let region_header = request.region_header.as_deref();
                (outcome, attribution::attribution(&response.headers, region_header))
            }
            Err(outcome) => (outcome, Attribution::default()),
        };
        let waited = timeline.sent.saturating_duration_since(due.at).saturating_sub(prepared);
        let waited_us = u64::try_from(waited.as_micros()).unwrap_or(u64::MAX);
        Sample {
            due: due.at.saturating_duration_since(due.origin),
            sent: timeline.sent.saturating_duration_since(due.origin),
            due_wall_ms: due.wall_ms,
            phases: measured.phases,
            local_us: measured.local_us,
            total_us: measured.total_us,
            response_us: measured.total_us.saturating_add(waited_us),
            clock: measured.clock,
            outcome,
            connection: request.connection,
            http: facts.http,
            remote: facts.remote,
            tls_version: facts.tls_version,
            resumed: facts.resumed,
            attribution,
            dns: facts.dns,
        }
    }
}
