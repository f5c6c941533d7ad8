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
mod request;
mod socks;
mod timeline;
mod tls;
mod wire;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::ClientConfig;

use crate::clock::Clock;
use crate::dns::SystemResolver;
use crate::sample::{Attribution, Connection, Outcome, Sample};
use channel::{Channel, Response};
use classify::timed_out;
use connect::{Attempt, Connector};
use timeline::Timeline;
use tls::{Configs, Tickets};

pub use attribution::parse_server_timing;
pub use request::{Due, Request};
pub use tls::{Trust, TrustError};

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
    resolver: SystemResolver,
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
            resolver,
            configs: Configs::new(trust)?,
            resuming: Mutex::new(BTreeMap::new()),
            warm: Mutex::new(BTreeMap::new()),
        })
    }

    /// Takes one sample. It never takes longer than twice the timeout, of which a warm slot may
    /// spend one in its queue, plus one for opening what a resumed or warm series needs.
    ///
    /// What the series needs before it can measure (a ticket, an open connection) is prepared
    /// before `sent` and counts neither as service nor as response.
    pub async fn measure(&self, request: &Request, due: Due) -> Sample {
        match request.connection {
            Connection::Cold => self.cold(request, due).await,
            Connection::Resumed => self.resumed(request, due).await,
            Connection::Warm => self.warm(request, due).await,
        }
    }

    /// Prepares a series without measuring: fetches a ticket, opens the warm connection. What
    /// fails here will fail in the samples too, and is told there.
    pub async fn prime(&self, request: &Request) {
        match request.connection {
            Connection::Cold => {}
            Connection::Resumed => {
                let resuming = self.resuming_of(request);
                if request.url.https && !resuming.tickets.any() {
                    let _ = self.fresh(request, resuming.config, 0).await;
                }
            }
            Connection::Warm => {
                let slot = self.slot(&request.key);
                let mut guard = slot.lock().await;
                if guard.is_none() {
                    *guard = self.open_warm(request).await.1.ok();
                }
            }
        }
    }

    /// Asks once, cold, and returns what the target shows of itself; the error is the outcome.
    pub async fn prove(&self, request: &Request) -> Result<Proof, Outcome> {
        let config = self.configs.cold(request.insecure, request.http);
        let done = self.fresh(request, config, PROOF_BODY_MAX).await;
        let response = done.result?;
        let leaf = done.attempt.facts.certificate.as_deref();
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
        let config = self.configs.cold(request.insecure, request.http);
        let done = self.fresh(request, config, 0).await;
        Self::sample(request, due, done, Duration::ZERO)
    }

    async fn resumed(&self, request: &Request, due: Due) -> Sample {
        let before = self.clock.now();
        self.prime(request).await;
        let prepared = self.clock.now().saturating_duration_since(before);
        let resuming = self.resuming_of(request);
        let mut done = self.fresh(request, Arc::clone(&resuming.config), 0).await;
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
        let usable = match guard.as_mut() {
            Some(channel) => channel.is_usable().await,
            None => false,
        };
        if !usable {
            *guard = None;
            match self.open_warm(request).await {
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
        if failed || aged || !channel.is_usable().await {
            *guard = None;
            if !failed {
                // Between two samples, so that no sample waits for it.
                *guard = self.open_warm(request).await.1.ok();
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
        let work = channel.send(request, 0, &mut attempt.timeline);
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
        let connector = Connector { clock: &self.clock, resolver: &self.resolver, tls };
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
        let tls = self.configs.cold(request.insecure, request.http);
        let offset = self.wall_offset_ns();
        let mut attempt = Attempt::new(Timeline::new(self.clock.now()));
        let connector = Connector { clock: &self.clock, resolver: &self.resolver, tls };
        let work = connector.open(request, &mut attempt);
        let opened = match tokio::time::timeout(request.timeout, work).await {
            Ok(opened) => opened,
            Err(_) => Err(timed_out(attempt.stage)),
        };
        (self.done(attempt, Err(Outcome::Reset), offset), opened)
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
        Arc::clone(warm.entry(key.to_owned()).or_default())
    }

    fn resuming_of(&self, request: &Request) -> Resuming {
        let mut all = self.resuming.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let tickets = Arc::new(Tickets::default());
            let config = self.configs.resuming(request.insecure, request.http, &tickets);
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
                let status = response.status;
                let outcome = if (200..400).contains(&status) {
                    Outcome::Ok { status }
                } else {
                    Outcome::Status { status }
                };
                (outcome, attribution::attribution(&response.headers))
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
