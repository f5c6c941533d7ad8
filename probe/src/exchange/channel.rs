//! An open connection that speaks HTTP: sends one request at a time and reads the whole response.
//!
//! The connection is driven by whoever waits for the response, in the same task, so that no
//! second task must be woken inside the measured path.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::classify::{body_failed, head_failed};
use super::kernel;
use super::request::Request;
use super::timeline::Timeline;
use super::wire::{Log, Watch};
use crate::sample::{DnsAnswer, HttpVersion, Outcome, TlsVersion};

/// Largest head of a response, in bytes. Most headers in it: hyper's own bound, 100, for which it
/// needs no memory of its own.
const HEAD_MAX: usize = 64 * 1024;

/// What is known of a connection.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub remote: Option<SocketAddr>,
    pub http: Option<HttpVersion>,
    pub tls_version: Option<TlsVersion>,
    pub resumed: bool,
    pub dns: Vec<DnsAnswer>,
    pub certificate: Option<Vec<u8>>,
}

enum Sender {
    Http11(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A connection, and the future that moves its bytes.
pub(super) struct Channel {
    sender: Sender,
    driver: Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: bool,
    /// A request was begun and not ended: nothing more can be sent.
    busy: bool,
    pub log: Log,
    pub facts: Facts,
    pub opened: Instant,
    /// The socket, where the kernel is asked what was sent twice.
    pub stream: Option<Arc<TcpStream>>,
    /// Segments sent twice up to the end of the last sample.
    resent: u32,
}

/// A whole response.
#[derive(Debug)]
pub(super) struct Response {
    pub status: u16,
    pub headers: HeaderMap,
    /// The beginning of the body, where it was asked for.
    pub body: Vec<u8>,
}

impl Channel {
    pub(super) async fn open(
        watch: Watch,
        http: HttpVersion,
        facts: Facts,
        opened: Instant,
    ) -> Result<Self, Outcome> {
        let log = watch.log.clone();
        let io = TokioIo::new(watch);
        let (sender, driver): (Sender, Pin<Box<dyn Future<Output = ()> + Send>>) = match http {
            HttpVersion::Http11 => {
                let mut builder = http1::Builder::new();
                builder.max_buf_size(HEAD_MAX);
                let made = builder.handshake(io).await.map_err(|cause| head_failed(&cause))?;
                // What goes wrong on the way is told to the request that waits for it.
                (Sender::Http11(made.0), Box::pin(async move { made.1.await.unwrap_or_default() }))
            }
            HttpVersion::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX));
                let made = builder.handshake(io).await.map_err(|cause| head_failed(&cause))?;
                (Sender::Http2(made.0), Box::pin(async move { made.1.await.unwrap_or_default() }))
            }
        };
        let (ended, busy, stream) = (false, false, None);
        Ok(Self { sender, driver, ended, busy, log, facts, opened, stream, resent: 0 })
    }

    /// Whether a request can be sent: what came since the last one is looked at first.
    pub(super) async fn is_usable(&mut self) -> bool {
        if self.busy || self.ended {
            return false;
        }
        poll_fn(|context| {
            self.ended = self.driver.as_mut().poll(context).is_ready();
            Poll::Ready(())
        })
        .await;
        let closed = match &self.sender {
            Sender::Http11(sender) => sender.is_closed(),
            Sender::Http2(sender) => sender.is_closed(),
        };
        !self.ended && !closed
    }

    /// Sends a request and reads the whole response, with its instants; `keep` bytes of the body
    /// are kept.
    pub(super) async fn send(
        &mut self,
        request: &Request,
        keep: usize,
        timeline: &mut Timeline,
    ) -> Result<Response, Outcome> {
        let message = message(request, self.facts.http)?;
        self.log.clear();
        self.busy = true;
        let Self { sender, driver, ended, .. } = self;
        let work = async {
            let sent = match sender {
                Sender::Http11(sender) => {
                    sender.ready().await.map_err(|cause| head_failed(&cause))?;
                    sender.send_request(message).await
                }
                Sender::Http2(sender) => {
                    sender.ready().await.map_err(|cause| head_failed(&cause))?;
                    sender.send_request(message).await
                }
            };
            let (head, body) = sent.map_err(|cause| head_failed(&cause))?.into_parts();
            let limit = request.body_limit_bytes;
            let body = read_body(body, limit, keep).await?;
            Ok(Response { status: head.status.as_u16(), headers: head.headers, body })
        };
        let result = drive(driver, ended, work).await;
        let seen = *self.log.lock();
        timeline.request_end = seen.request_end;
        timeline.head = seen.head;
        if result.is_ok() {
            timeline.end = seen.last_read;
            self.busy = false;
        }
        if let Some(stream) = &self.stream {
            let resent = kernel::segments_resent(stream);
            timeline.resent = resent != Some(self.resent);
            self.resent = resent.unwrap_or(self.resent);
        }
        result
    }
}

/// Polls the work, and the connection's own future beside it.
async fn drive<T>(
    driver: &mut Pin<Box<dyn Future<Output = ()> + Send>>,
    ended: &mut bool,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    poll_fn(|context| {
        if let Poll::Ready(done) = work.as_mut().poll(context) {
            return Poll::Ready(done);
        }
        if *ended {
            return Poll::Pending;
        }
        *ended = driver.as_mut().poll(context).is_ready();
        work.as_mut().poll(context)
    })
    .await
}

async fn read_body(mut body: Incoming, limit: u64, keep: usize) -> Result<Vec<u8>, Outcome> {
    let (mut kept, mut len) = (Vec::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| body_failed(&cause))?;
        let Some(data) = frame.data_ref() else { continue };
        len = len.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if len > limit {
            return Err(Outcome::TooLarge { limit_bytes: limit });
        }
        let room = keep.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room).unwrap_or_default());
    }
    Ok(kept)
}

fn message(
    request: &Request,
    http: Option<HttpVersion>,
) -> Result<hyper::Request<Full<Bytes>>, Outcome> {
    let bad = |what: &str| Outcome::Protocol { detail: format!("{what} cannot be sent") };
    // HTTP/2 carries scheme and authority in the request itself, HTTP/1.1 only the path.
    let target = match http {
        Some(HttpVersion::Http2) => request.url.to_string(),
        _ => request.url.path.clone(),
    };
    let uri: Uri = target.parse().map_err(|_| bad("the URL"))?;
    let body = Full::new(Bytes::from(request.body.clone()));
    let mut message = hyper::Request::new(body);
    *message.method_mut() = request.method.clone();
    *message.uri_mut() = uri;
    let headers = message.headers_mut();
    if http != Some(HttpVersion::Http2) {
        let host = HeaderValue::from_str(&request.url.authority()).map_err(|_| bad("the host"))?;
        headers.insert(HOST, host);
    }
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let agent = concat!("nearside-probe/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in &request.headers {
        let name: HeaderName = name.parse().map_err(|_| bad("a header"))?;
        headers.insert(name, value.parse().map_err(|_| bad("a header"))?);
    }
    Ok(message)
}
