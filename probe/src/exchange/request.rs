//! What to measure, and when it is due.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::Method;

use super::tls::Identity;
use crate::sample::{Connection, HttpVersion, Outcome};
use crate::url::{HostPort, HttpUrl, IpPrefix, Proxy};

/// Expected text is looked for in so many bytes of the body.
const EXPECT_WITHIN: usize = 64 * 1024;

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
    /// The address to connect to, where the name is not to be resolved.
    pub address: Option<IpAddr>,
    /// Who is asked for the name.
    pub names: Names,
    /// The client subnet that a named or authoritative server is told.
    pub subnet: Option<IpPrefix>,
    /// Statuses that are a success; empty: 200 to 399.
    pub expect_status: Vec<u16>,
    /// What the first 64 KiB of the body must contain.
    pub expect_body: Option<String>,
    /// The client certificate.
    pub identity: Option<Arc<Identity>>,
    /// The header in which an answer names its Region, in lower case.
    pub region_header: Option<String>,
}

/// Who is asked for a name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Names {
    /// The system's resolver.
    #[default]
    System,
    /// One resolver, which recurses.
    Server(SocketAddr),
    /// Authoritative servers: these, or where none is named those of the name's own zone.
    Authoritative(Vec<SocketAddr>),
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
            address: None,
            names: Names::System,
            subnet: None,
            expect_status: Vec::new(),
            expect_body: None,
            identity: None,
            region_header: None,
        }
    }
}

impl Request {
    /// What a whole response is worth: by status, then by body.
    pub(super) fn judge(&self, status: u16, body: &[u8]) -> Outcome {
        let expected = if self.expect_status.is_empty() {
            (200..400).contains(&status)
        } else {
            self.expect_status.contains(&status)
        };
        if !expected {
            return Outcome::Status { status };
        }
        match &self.expect_body {
            Some(text) if !contains(body, text.as_bytes()) => {
                let detail = "the body does not contain what is expected".to_owned();
                Outcome::Body { detail }
            }
            _ => Outcome::Ok { status },
        }
    }

    /// How many bytes of the body are needed to judge it.
    pub(super) fn keep(&self) -> usize {
        if self.expect_body.is_some() { EXPECT_WITHIN } else { 0 }
    }
}

fn contains(body: &[u8], text: &[u8]) -> bool {
    text.is_empty() || body.windows(text.len()).any(|part| part == text)
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
