//! From a request to an open connection: resolve, TCP, SOCKS5, TLS; each border noted.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::channel::{Channel, Facts};
use super::classify::{Stage, connect_failed, handshake_failed};
use super::kernel;
use super::names::NameBook;
use super::request::Request;
use super::socks::{self, Destination};
use super::timeline::Timeline;
use super::wire::{Bytes, Frames, Log, Records, Speech, Watch, Wire};
use crate::clock::Clock;
use crate::sample::{HttpVersion, Outcome, TlsVersion};

/// Length of the HTTP/2 client preface, which is not a frame (RFC 9113, 3.4).
const PREFACE: usize = 24;

/// How far an attempt came, and what it learned; kept outside the future that may be dropped.
#[derive(Debug)]
pub(super) struct Attempt {
    pub timeline: Timeline,
    pub stage: Stage,
    pub facts: Facts,
    /// The leaf certificate, in DER.
    pub certificate: Option<Vec<u8>>,
}

impl Attempt {
    pub(super) fn new(timeline: Timeline) -> Self {
        Self { timeline, stage: Stage::Resolve, facts: Facts::default(), certificate: None }
    }
}

/// What a connection is made with.
pub(super) struct Connector<'a> {
    pub clock: &'a Arc<dyn Clock>,
    pub names: &'a NameBook,
    pub tls: Arc<ClientConfig>,
    /// Whether the kernel's times are taken.
    pub kernel_time: bool,
}

impl Connector<'_> {
    /// Opens a connection; the timeline gets its borders.
    pub(super) async fn open(
        &self,
        request: &Request,
        attempt: &mut Attempt,
    ) -> Result<Channel, Outcome> {
        let (host, port) = match &request.connect_to {
            Some(to) => (to.host.as_str(), to.port),
            None => (request.url.host.as_str(), request.url.port),
        };
        let stream = if request.proxy.is_some() {
            Box::pin(self.through_proxy(request, (host, port), attempt)).await?
        } else {
            let address = self.address(request, host, attempt).await?;
            self.direct(SocketAddr::new(address, port), attempt).await?
        };
        attempt.timeline.proxied = request.proxy.is_some();
        let log = Log::default();
        let timed = self.kernel_time && request.proxy.is_none();
        let receiver = kernel::Receiver::new(&stream, timed);
        let stream = Arc::new(stream);
        let watched = timed.then(|| Arc::clone(&stream));
        let records = request.url.https.then(Records::default);
        let clock = Arc::clone(self.clock);
        let wire = Wire { stream, log: log.clone(), clock, receiver, records };
        let inner: Box<dyn Bytes> = if request.url.https {
            Box::pin(self.handshake(request, wire, attempt)).await?
        } else {
            Box::new(wire)
        };
        attempt.stage = Stage::Response;
        attempt.facts.http = Some(request.http);
        let speech = match request.http {
            HttpVersion::Http11 => Speech::Http11,
            HttpVersion::Http2 => {
                Speech::Http2 { out: Frames::after(PREFACE), back: Frames::default() }
            }
        };
        let watch = Watch { inner, log, speech };
        let mut channel =
            Channel::open(watch, request.http, attempt.facts.clone(), self.clock.now()).await?;
        channel.stream = watched;
        Ok(channel)
    }

    /// The address of a host: itself, or the first that its name resolves to.
    async fn address(
        &self,
        request: &Request,
        host: &str,
        attempt: &mut Attempt,
    ) -> Result<IpAddr, Outcome> {
        if let Some(address) = request.address.or_else(|| host.parse().ok()) {
            return Ok(address);
        }
        let question = self.names.ask(request, host, &**self.clock);
        let (asked, answered, answer) = Box::pin(question).await;
        attempt.timeline.resolve = Some((asked, answered));
        let dns = answer.map_err(|cause| Outcome::Resolve { detail: cause.to_string() })?;
        let first = dns.first().map(|answer| answer.address);
        attempt.facts.dns = dns;
        first.ok_or_else(|| Outcome::Resolve { detail: format!("{host} has no address") })
    }

    async fn direct(&self, to: SocketAddr, attempt: &mut Attempt) -> Result<TcpStream, Outcome> {
        attempt.stage = Stage::Connect;
        attempt.facts.remote = Some(to);
        let asked = self.clock.now();
        let stream = TcpStream::connect(to).await.map_err(|cause| connect_failed(&cause))?;
        attempt.timeline.connect = Some((asked, self.clock.now()));
        if self.kernel_time {
            attempt.timeline.connect_kernel = kernel::first_round_trip(&stream);
        }
        stream.set_nodelay(true).map_err(|cause| connect_failed(&cause))?;
        Ok(stream)
    }

    async fn through_proxy(
        &self,
        request: &Request,
        (host, port): (&str, u16),
        attempt: &mut Attempt,
    ) -> Result<TcpStream, Outcome> {
        let Some(proxy) = &request.proxy else {
            return Err(Outcome::Proxy { detail: "no proxy is named".to_owned() });
        };
        let destination = match request.address.map_or_else(|| host.parse(), Ok) {
            Ok(address) => Destination::Address(address),
            Err(_) if proxy.remote_dns => Destination::Name(host.to_owned()),
            Err(_) => Destination::Address(self.address(request, host, attempt).await?),
        };
        attempt.stage = Stage::Proxy;
        let fault = |detail: String| Outcome::Proxy { detail };
        let address = if let Ok(address) = proxy.at.host.parse() {
            address
        } else {
            let answer = Box::pin(self.names.resolver.lookup(&proxy.at.host)).await;
            let answer = answer.map_err(|cause| fault(cause.to_string()))?;
            let first = answer.first().map(|answer| answer.address);
            first.ok_or_else(|| fault(format!("{} has no address", proxy.at.host)))?
        };
        let at = SocketAddr::new(address, proxy.at.port);
        attempt.facts.remote = Some(at);
        let reached = TcpStream::connect(at).await;
        let mut stream = reached.map_err(|cause| fault(format!("cannot reach {at}: {cause}")))?;
        stream.set_nodelay(true).map_err(|cause| fault(cause.to_string()))?;
        let to = (&destination, port);
        let times =
            socks::connect(&mut stream, proxy, to, &**self.clock, &mut attempt.stage).await?;
        attempt.timeline.connect = Some(times);
        Ok(stream)
    }

    async fn handshake(
        &self,
        request: &Request,
        wire: Wire,
        attempt: &mut Attempt,
    ) -> Result<Box<dyn Bytes>, Outcome> {
        attempt.stage = Stage::Tls;
        let name = ServerName::try_from(request.url.host.clone()).map_err(|_| {
            Outcome::TlsHandshake { detail: format!("{} is not a TLS name", request.url.host) }
        })?;
        let log = wire.log.clone();
        let connector = TlsConnector::from(Arc::clone(&self.tls));
        let stream =
            connector.connect(name, wire).await.map_err(|cause| handshake_failed(&cause))?;
        let seen = *log.lock();
        attempt.timeline.tls = seen.first_write.zip(seen.last_read);
        let session = stream.get_ref().1;
        attempt.facts.resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
        attempt.facts.tls_version = match session.protocol_version() {
            Some(rustls::ProtocolVersion::TLSv1_2) => Some(TlsVersion::Tls12),
            Some(rustls::ProtocolVersion::TLSv1_3) => Some(TlsVersion::Tls13),
            _ => None,
        };
        let leaf = session.peer_certificates().and_then(|chain| chain.first());
        attempt.certificate = leaf.map(|certificate| certificate.to_vec());
        let spoken = session.alpn_protocol();
        if request.http == HttpVersion::Http2 && spoken != Some(b"h2".as_slice()) {
            let detail = "the server does not offer HTTP/2".to_owned();
            return Err(Outcome::Protocol { detail });
        }
        Ok(Box::new(stream))
    }
}
