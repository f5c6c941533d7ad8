//! One measurement and its words: phases, outcome, connection, series. Data only: no IO, no clock.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How much of the way to the server is reused. Three separate series, never merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Connection {
    /// New TCP and a full TLS handshake, resumption disabled.
    Cold,
    /// New TCP, TLS resumed with a ticket of an earlier sample.
    Resumed,
    /// One pinned connection, kept alive.
    Warm,
}

impl Connection {
    /// All connections, in the order of their names in files.
    pub const ALL: [Self; 3] = [Self::Cold, Self::Resumed, Self::Warm];

    /// The name in files, columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cold => "cold",
            Self::Resumed => "resumed",
            Self::Warm => "warm",
        }
    }

    /// The connection of this name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|connection| connection.as_str() == name)
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A phase of an exchange, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Name to address.
    Resolve,
    /// SYN to SYN-ACK; behind a proxy, CONNECT sent to its reply.
    Connect,
    /// `ClientHello` to the last handshake byte received.
    Tls,
    /// Last request byte to the first byte of the response head.
    Processing,
    /// First byte of the response head to the last byte of the body.
    Transfer,
}

impl Phase {
    /// All phases, in the order of time.
    pub const ALL: [Self; 5] =
        [Self::Resolve, Self::Connect, Self::Tls, Self::Processing, Self::Transfer];

    /// The name in files, columns and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Processing => "processing",
            Self::Transfer => "transfer",
        }
    }
}

/// Microseconds of each phase. An absent phase is absent, never zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Phases {
    /// See [`Phase::Resolve`].
    pub resolve_us: Option<u64>,
    /// See [`Phase::Connect`].
    pub connect_us: Option<u64>,
    /// See [`Phase::Tls`].
    pub tls_us: Option<u64>,
    /// See [`Phase::Processing`].
    pub processing_us: Option<u64>,
    /// See [`Phase::Transfer`].
    pub transfer_us: Option<u64>,
}

impl Phases {
    /// Microseconds of one phase.
    #[must_use]
    pub fn get(&self, phase: Phase) -> Option<u64> {
        match phase {
            Phase::Resolve => self.resolve_us,
            Phase::Connect => self.connect_us,
            Phase::Tls => self.tls_us,
            Phase::Processing => self.processing_us,
            Phase::Transfer => self.transfer_us,
        }
    }

    /// Sets one phase, in microseconds.
    pub fn set(&mut self, phase: Phase, us: u64) {
        let slot = match phase {
            Phase::Resolve => &mut self.resolve_us,
            Phase::Connect => &mut self.connect_us,
            Phase::Tls => &mut self.tls_us,
            Phase::Processing => &mut self.processing_us,
            Phase::Transfer => &mut self.transfer_us,
        };
        *slot = Some(us);
    }

    /// Sum of the phases that are there, in microseconds.
    #[must_use]
    pub fn sum_us(&self) -> u64 {
        Phase::ALL.iter().filter_map(|phase| self.get(*phase)).sum()
    }
}

/// Which clock the phases were taken with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockKind {
    /// The kernel's own times where it has them, and its conditions held.
    Kernel,
    /// The clock of the process, after it was woken.
    User,
}

impl ClockKind {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::User => "user",
        }
    }
}

/// How a sample ended. Everything but `Ok` is a failure, which is data and never an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A whole response with a status from 200 to 399.
    Ok {
        /// The HTTP status.
        status: u16,
    },
    /// The name could not be resolved.
    Resolve {
        /// What went wrong.
        detail: String,
    },
    /// The address refused the connection.
    ConnectRefused,
    /// There is no route to the address.
    ConnectUnreachable,
    /// No connection within the timeout.
    ConnectTimeout,
    /// The proxy could not be reached, or refused.
    Proxy {
        /// What went wrong.
        detail: String,
    },
    /// The certificate is not valid for this name, now, from these roots.
    TlsCertificate {
        /// What went wrong.
        detail: String,
    },
    /// The TLS handshake failed for another reason.
    TlsHandshake {
        /// What went wrong.
        detail: String,
    },
    /// The TLS handshake did not end within the timeout.
    TlsTimeout,
    /// A whole response with a status outside 200 to 399.
    Status {
        /// The HTTP status.
        status: u16,
    },
    /// The body ended early, or is not what was expected.
    Body {
        /// What went wrong.
        detail: String,
    },
    /// No whole response within the timeout.
    ResponseTimeout,
    /// The connection was reset or closed before a whole response head.
    Reset,
    /// What came is not HTTP.
    Protocol {
        /// What went wrong.
        detail: String,
    },
    /// The body is larger than the limit.
    TooLarge {
        /// The limit, in bytes.
        limit_bytes: u64,
    },
}

/// The names of all outcome kinds, success first.
pub const OUTCOME_KINDS: [&str; 15] = [
    "ok",
    "resolve",
    "connect_refused",
    "connect_unreachable",
    "connect_timeout",
    "proxy",
    "tls_certificate",
    "tls_handshake",
    "tls_timeout",
    "status",
    "body",
    "response_timeout",
    "reset",
    "protocol",
    "too_large",
];

impl Outcome {
    /// The kind's name in files, columns and JSON: one of [`OUTCOME_KINDS`].
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Ok { .. } => "ok",
            Self::Resolve { .. } => "resolve",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectUnreachable => "connect_unreachable",
            Self::ConnectTimeout => "connect_timeout",
            Self::Proxy { .. } => "proxy",
            Self::TlsCertificate { .. } => "tls_certificate",
            Self::TlsHandshake { .. } => "tls_handshake",
            Self::TlsTimeout => "tls_timeout",
            Self::Status { .. } => "status",
            Self::Body { .. } => "body",
            Self::ResponseTimeout => "response_timeout",
            Self::Reset => "reset",
            Self::Protocol { .. } => "protocol",
            Self::TooLarge { .. } => "too_large",
        }
    }

    /// Whether this is a success.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        matches!(self, Self::Ok { .. })
    }

    /// Whether it is a success that sends the client elsewhere. It is never followed.
    #[must_use]
    pub fn is_redirect(&self) -> bool {
        matches!(self, Self::Ok { status: 301 | 302 | 303 | 307 | 308 })
    }

    /// The HTTP status, where a response head came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Ok { status } | Self::Status { status } => Some(*status),
            _ => None,
        }
    }

    /// What went wrong in words, where the kind alone does not say it. Outside text: escape it.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Resolve { detail }
            | Self::Proxy { detail }
            | Self::TlsCertificate { detail }
            | Self::TlsHandshake { detail }
            | Self::Body { detail }
            | Self::Protocol { detail } => Some(detail),
            _ => None,
        }
    }
}

/// The static name equal to `name`, if it is an outcome kind.
#[must_use]
pub fn outcome_kind(name: &str) -> Option<&'static str> {
    OUTCOME_KINDS.into_iter().find(|kind| *kind == name)
}

/// The HTTP version spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HttpVersion {
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl HttpVersion {
    /// The name in files and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }

    /// The version of this name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Http11, Self::Http2].into_iter().find(|version| version.as_str() == name)
    }
}

/// The TLS version spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsVersion {
    /// TLS 1.2
    Tls12,
    /// TLS 1.3
    Tls13,
}

impl TlsVersion {
    /// The name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// One metric of a `Server-Timing` header.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerTiming {
    /// The metric's name, a token.
    pub name: String,
    /// Its duration, where it is given and a finite number.
    pub duration_ms: Option<f64>,
    /// Its description. Outside text: escape it before it goes to a terminal.
    pub description: Option<String>,
}

/// What the response's headers say about who answered. Outside text throughout.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attribution {
    /// `CloudFront`'s point of presence (`x-amz-cf-pop`).
    pub pop: Option<String>,
    /// The cache's word (`x-cache`).
    pub cache: Option<String>,
    /// `age`, in seconds.
    pub age_s: Option<u64>,
    /// `server-timing`, at most 32 metrics.
    pub server_timing: Vec<ServerTiming>,
    /// `x-amz-apigw-id`: a REST API answered.
    pub apigw_rest_id: Option<String>,
    /// `apigw-requestid`: an HTTP API answered.
    pub apigw_http_id: Option<String>,
    /// `x-amzn-requestid`
    pub request_id: Option<String>,
    /// `via`, its lines joined: one hop after the other, the farthest from here first.
    pub via: Option<String>,
    /// The Region that the answer names in the header that proves it.
    pub region: Option<String>,
}

/// The processing phase of an answer by an edge, in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeSplit {
    /// From the user to the edge and back, in microseconds.
    pub to_edge_us: u64,
    /// What the edge itself needed to its first byte, the way to the origin included.
    pub beyond_us: u64,
}

impl Attribution {
    /// Parts the processing phase, where the edge tells its time to the first byte
    /// (`cdn-downstream-fbl` of `server-timing`) and that is not longer than the whole.
    #[must_use]
    pub fn edge_split(&self, processing_us: Option<u64>) -> Option<EdgeSplit> {
        let metric = |timing: &&ServerTiming| timing.name == "cdn-downstream-fbl";
        let ms = self.server_timing.iter().find(metric)?.duration_ms?;
        let beyond = Duration::try_from_secs_f64(ms / 1_000.0).ok()?;
        let beyond_us = u64::try_from(beyond.as_micros()).ok()?;
        let to_edge_us = processing_us?.checked_sub(beyond_us)?;
        Some(EdgeSplit { to_edge_us, beyond_us })
    }

    /// What answered, as far as API Gateway's own headers tell it.
    #[must_use]
    pub fn api_gateway(&self) -> Option<&'static str> {
        match (&self.apigw_rest_id, &self.apigw_http_id) {
            (Some(_), _) => Some("rest"),
            (None, Some(_)) => Some("http"),
            (None, None) => None,
        }
    }
}

/// One address that DNS answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DnsAnswer {
    /// The address.
    pub address: IpAddr,
    /// How long the answer may be kept, in seconds; absent for names that are not from DNS.
    pub ttl_s: Option<u32>,
}

/// One measurement: when it was due, when it was sent, its phases, its outcome.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// When it was due, from the start of the run (monotonic).
    pub due: Duration,
    /// When it was sent, from the start of the run (monotonic).
    pub sent: Duration,
    /// The wall time it was due, in ms since 1970. It names the window and measures nothing.
    pub due_wall_ms: i64,
    /// The phases. With `local_us` they sum to `total_us`, exactly.
    pub phases: Phases,
    /// The prober's own time between an arrival and its next send.
    pub local_us: u64,
    /// From sent to the end: the service time.
    pub total_us: u64,
    /// From due to the end: what a user would have waited.
    pub response_us: u64,
    /// Which clock the phases were taken with.
    pub clock: ClockKind,
    /// How it ended.
    pub outcome: Outcome,
    /// How much of the way was reused.
    pub connection: Connection,
    /// The HTTP version that was spoken, once it was known.
    pub http: Option<HttpVersion>,
    /// The address connected to; behind a proxy, the proxy's.
    pub remote: Option<SocketAddr>,
    /// The TLS version that was spoken.
    pub tls_version: Option<TlsVersion>,
    /// Whether TLS says that it resumed an earlier session.
    pub resumed: bool,
    /// Who answered, as the headers say.
    pub attribution: Attribution,
    /// What the name resolved to.
    pub dns: Vec<DnsAnswer>,
}

/// vantage x target x connection x path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The vantage's id.
    pub vantage: String,
    /// The target's or endpoint's id.
    pub target: String,
    /// How much of the way is reused.
    pub connection: Connection,
    /// Address, or POP and cache state; empty for a one-address API target.
    pub path: String,
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.vantage, self.target, self.connection)?;
        if self.path.is_empty() { Ok(()) } else { write!(f, " {}", self.path) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edge_parts_the_processing_phase() {
        let timing = |name: &str, duration_ms| ServerTiming {
            name: name.to_owned(),
            duration_ms,
            description: None,
        };
        let of = |timings: Vec<ServerTiming>, us| {
            Attribution { server_timing: timings, ..Attribution::default() }.edge_split(us)
        };
        let told = || vec![timing("db", Some(1.0)), timing("cdn-downstream-fbl", Some(12.5))];
        let want = EdgeSplit { to_edge_us: 7_500, beyond_us: 12_500 };
        assert_eq!(of(told(), Some(20_000)), Some(want));
        assert_eq!(of(told(), Some(12_000)), None, "longer than the whole");
        assert_eq!(of(told(), None), None);
        assert_eq!(of(vec![timing("cdn-downstream-fbl", Some(-1.0))], Some(9)), None);
        assert_eq!(of(Vec::new(), Some(9)), None);
    }
}
