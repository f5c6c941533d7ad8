//! What to measure, and when it is due.

use std::time::{Duration, Instant};

use hyper::Method;

use crate::sample::{Connection, HttpVersion};
use crate::url::{HostPort, HttpUrl, Proxy};

/// One request of a series.
#[derive(Debug, Clone)]
pub struct Request {
    /// Identity of the series: tickets and the warm connection belong to it.
    pub key: String,
    /// The URL; its host is the SNI and the `Host` header.
    pub url: HttpUrl,
    /// The host to connect to, where it is not the URL's.
    pub connect_to: Option<HostPort>,
    /// The proxy to go through.
    pub proxy: Option<Proxy>,
    /// How much of the way is reused.
    pub connection: Connection,
    /// The HTTP version.
    pub http: HttpVersion,
    /// Whether any certificate is taken.
    pub insecure: bool,
    /// The longest the whole exchange may take; a warm slot may wait as long again in its queue.
    pub timeout: Duration,
    /// The method.
    pub method: Method,
    /// More headers; they replace those of the same name.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// The largest body that is read, in bytes.
    pub body_limit_bytes: u64,
}

impl Request {
    /// A cold GET over HTTP/1.1 with a timeout of 10 s and at most 10 MB of body.
    #[must_use]
    pub fn get(url: HttpUrl) -> Self {
        Self {
            key: url.to_string(),
            url,
            connect_to: None,
            proxy: None,
            connection: Connection::Cold,
            http: HttpVersion::Http11,
            insecure: false,
            timeout: Duration::from_secs(10),
            method: Method::GET,
            headers: Vec::new(),
            body: Vec::new(),
            body_limit_bytes: 10_000_000,
        }
    }
}

/// When a sample is due.
#[derive(Debug, Clone, Copy)]
pub struct Due {
    /// The start of the run.
    pub origin: Instant,
    /// The due instant.
    pub at: Instant,
    /// Its wall time, in ms since 1970.
    pub wall_ms: i64,
}
