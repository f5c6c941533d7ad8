//! An open connection that speaks HTTP: sends one request at a time and reads the whole response.
//!
//! The connection is driven by whoever waits for the response, in the same task, so that no
//! second task must be woken inside the measured path.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::header::{ACCEPT, HOST, HeaderName, HeaderValue, USER_AGENT};
use hyper::{HeaderMap, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;

use super::classify::{body_failed, head_failed};
use super::kernel;
use super::request::Request;
use super::timeline::{Arrival, Timeline};
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
}

type Body = Full<Bytes>;
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What requests go over.
enum Line {
    /// HTTP/1.1 between two requests. hyper's own state is made anew for each, because its buffers
    /// would hold 16 kB of every connection that waits for its next slot.
    Http11(Watch),
    /// HTTP/2, and the future that moves its bytes.
    Http2(http2::SendRequest<Body>, Driver),
    /// Nothing more can be sent: it was closed, or a request was begun and not ended.
    Ended,
}

/// An open connection.
pub(super) struct Channel {
    line: Line,
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
    /// The newest arrival when the body was whole.
    end: Option<Arrival>,
}

/// How much of a body is read at most, and how much of it is kept, in bytes.
#[derive(Clone, Copy)]
struct Limits {
    read: u64,
    keep: usize,
}

impl Channel {
    pub(super) async fn open(
        watch: Watch,
        http: HttpVersion,
        facts: Facts,
        opened: Instant,
    ) -> Result<Self, Outcome> {
        let log = watch.log.clone();
        let line = match http {
            HttpVersion::Http11 => Line::Http11(watch),
            HttpVersion::Http2 => {
                let mut builder = http2::Builder::new(TokioExecutor::new());
                builder.max_header_list_size(u32::try_from(HEAD_MAX).unwrap_or(u32::MAX));
                let made = builder.handshake(TokioIo::new(watch)).await;
                let (sender, driver) = made.map_err(|cause| head_failed(&cause))?;
                // What goes wrong on the way is told to the request that waits for it.
                Line::Http2(sender, Box::pin(async move { driver.await.unwrap_or_default() }))
            }
        };
        Ok(Self { line, log, facts, opened, stream: None, resent: 0 })
    }

    /// Whether a request can be sent: what came since the last one is looked at first. Nobody is
    /// woken by what comes later: a socket that remembered the task which asked last would keep
    /// all of its memory until the next slot.
    pub(super) fn is_usable(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        match &mut self.line {
            // Nothing may come that was not asked for, neither bytes nor the end.
            Line::Http11(watch) => {
                let mut byte = [0];
                let mut buffer = ReadBuf::new(&mut byte);
                Pin::new(watch).poll_read(&mut context, &mut buffer).is_pending()
            }
            Line::Http2(sender, driver) => {
                driver.as_mut().poll(&mut context).is_pending() && !sender.is_closed()
            }
            Line::Ended => false,
        }
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
        let limits = Limits { read: request.body_limit_bytes, keep };
        let log = &self.log;
        log.clear();
        let sent = match std::mem::replace(&mut self.line, Line::Ended) {
            // On the heap: they would be moved with each future that they are a part of.
            Line::Http11(watch) => Box::pin(over_http11(watch, message, limits, log)).await,
            Line::Http2(sender, driver) => {
                Box::pin(over_http2((sender, driver), message, limits, log)).await
            }
            Line::Ended => Err(Outcome::Reset),
        };
        let seen = *log.lock();
        timeline.request_end = seen.request_end;
        timeline.head = seen.head;
        timeline.end = sent.as_ref().ok().and_then(|(response, _)| response.end);
        if let Some(stream) = &self.stream {
            let resent = kernel::segments_resent(stream);
            timeline.resent = resent != Some(self.resent);
            self.resent = resent.unwrap_or(self.resent);
        }
        let (response, line) = sent?;
        self.line = line;
        Ok(response)
    }
}

async fn over_http11(
    watch: Watch,
    message: hyper::Request<Body>,
    limits: Limits,
    log: &Log,
) -> Result<(Response, Line), Outcome> {
    let mut builder = http1::Builder::new();
    builder.max_buf_size(HEAD_MAX);
    let made = builder.handshake(TokioIo::new(watch)).await;
    let (mut sender, mut connection) = made.map_err(|cause| head_failed(&cause))?;
    let mut ended = false;
    let work = async { read(sender.send_request(message).await, limits, log).await };
    let response = drive(&mut connection, &mut ended, work).await?;
    // It knows whether it can carry another request once it has seen the end of this one.
    poll_fn(|context| {
        ended = ended || Pin::new(&mut connection).poll(context).is_ready();
        Poll::Ready(())
    })
    .await;
    if ended || !sender.is_ready() {
        return Ok((response, Line::Ended));
    }
    let parts = connection.into_parts();
    // Bytes that nobody asked for: what follows could not be told from them.
    let sound = parts.read_buf.is_empty();
    let line = if sound { Line::Http11(parts.io.into_inner()) } else { Line::Ended };
    Ok((response, line))
}

async fn over_http2(
    (mut sender, mut driver): (http2::SendRequest<Body>, Driver),
    message: hyper::Request<Body>,
    limits: Limits,
    log: &Log,
) -> Result<(Response, Line), Outcome> {
    let mut ended = false;
    let work = async {
        sender.ready().await.map_err(|cause| head_failed(&cause))?;
        read(sender.send_request(message).await, limits, log).await
    };
    let response = drive(&mut driver, &mut ended, work).await?;
    let line = if ended { Line::Ended } else { Line::Http2(sender, driver) };
    Ok((response, line))
}

async fn read(
    sent: Result<hyper::Response<Incoming>, hyper::Error>,
    limits: Limits,
    log: &Log,
) -> Result<Response, Outcome> {
    let (head, body) = sent.map_err(|cause| head_failed(&cause))?.into_parts();
    let body = read_body(body, limits).await?;
    let end = log.lock().last_read;
    Ok(Response { status: head.status.as_u16(), headers: head.headers, body, end })
}

/// Polls the work, and the connection's own future beside it.
async fn drive<T>(
    connection: &mut (impl Future + Unpin),
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
        *ended = Pin::new(&mut *connection).poll(context).is_ready();
        work.as_mut().poll(context)
    })
    .await
}

async fn read_body(mut body: Incoming, limits: Limits) -> Result<Vec<u8>, Outcome> {
    let (mut kept, mut len) = (Vec::new(), 0_u64);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|cause| body_failed(&cause))?;
        let Some(data) = frame.data_ref() else { continue };
        len = len.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        if len > limits.read {
            return Err(Outcome::TooLarge { limit_bytes: limits.read });
        }
        let room = limits.keep.saturating_sub(kept.len()).min(data.len());
        kept.extend_from_slice(data.get(..room).unwrap_or_default());
    }
    Ok(kept)
}

fn message(request: &Request, http: Option<HttpVersion>) -> Result<hyper::Request<Body>, Outcome> {
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
