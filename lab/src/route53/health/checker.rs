//! The requests of health checkers: when one is due, a real TCP, HTTP or HTTPS request is made and
//! its outcome told to the state, in the name of every checker Region of the check: the lab's
//! checkers all stand on this machine, so one request a round says what eight would.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use super::Outcome;
use super::config::Config;
use crate::accept::stopped;
use crate::route53::answer::Question;
use crate::route53::model::RrType;
use crate::route53::name::Name;
use crate::route53::server::{Ending, Shared};

/// How often due checks are looked for.
const TICK: Duration = Duration::from_millis(20);
/// Requests at once; a check that finds no slot waits for the next tick after one is free.
const REQUESTS_MAX: usize = 32;
/// Bytes of the body in which a text is looked for.
const SEARCH_MAX: usize = 5_120;
/// Bytes of a response head.
const HEAD_MAX: usize = 16 * 1024;
/// CNAME steps from a domain name to its address.
const CNAME_MAX: usize = 8;

/// The TLS settings of checkers, with and without SNI. Certificates are not validated: AWS's
/// checkers do not either.
pub(crate) struct Tls {
    named: Arc<ClientConfig>,
    nameless: Arc<ClientConfig>,
}

/// Makes the TLS settings.
pub(crate) fn tls() -> Result<Tls, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    let mut nameless = config.clone();
    nameless.enable_sni = false;
    Ok(Tls { named: Arc::new(config), nameless: Arc::new(nameless) })
}

/// Accepts every certificate whose key signs the handshake.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Makes the requests that are due until the service ends.
pub(crate) async fn run(shared: Arc<Shared>, tls: Tls, ending: Ending) {
    let tls = Arc::new(tls);
    let slots = Arc::new(Semaphore::new(REQUESTS_MAX));
    let mut requests = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(ending.clone()) => break,
            _ = ticks.tick() => {}
        }
        while requests.try_join_next().is_some() {}
        let interval = shared.options.health_interval;
        let interval = |config: &Config| {
            if config.request_interval_s == 10 { interval / 3 } else { interval }
        };
        for (id, config) in shared.with(|state, now| state.checks_mut().take_due(now, interval)) {
            let Ok(slot) = slots.clone().acquire_owned().await else { break };
            let (shared, tls) = (shared.clone(), tls.clone());
            requests.spawn(async move {
                let outcome = look(&shared, &tls, &config).await;
                let regions = config.checker_regions();
                shared.with(|state, now| {
                    state.checks_mut().observe(&id, &regions, &outcome, now);
                });
                drop(slot);
            });
        }
    }
    requests.shutdown().await;
}

fn success(text: impl std::fmt::Display) -> Outcome {
    Outcome { success: true, status: format!("Success: {text}") }
}

fn failure(text: impl std::fmt::Display) -> Outcome {
    Outcome { success: false, status: format!("Failure: {text}") }
}

/// One request. The sentences are close to AWS's and unverified, but the one for an HTTP success.
async fn look(shared: &Shared, tls: &Tls, config: &Config) -> Outcome {
    match try_look(shared, tls, config).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

async fn try_look(shared: &Shared, tls: &Tls, config: &Config) -> Result<Outcome, Outcome> {
    let address = match config.ip_address {
        Some(address) => address,
        None => resolve(shared, config.fqdn.as_deref().unwrap_or_default())
            .ok_or_else(|| failure("DNS resolution failed: No answer found for the name."))?,
    };
    let target = SocketAddr::new(address, config.port.unwrap_or(80));
    let connect = TcpStream::connect(target);
    let stream = tokio::time::timeout(shared.options.connect_timeout, connect)
        .await
        .map_err(|_| failure("Connection timed out. The endpoint or the internet connection is down, or requests are being blocked by your firewall."))?
        .map_err(|error| failure(format!("The connection could not be made: {error}.")))?;
    if !config.kind.is_http() {
        return Ok(success("The connection was established."));
    }
    let exchange = async {
        if config.kind.is_tls() {
            ask(secure(tls, config, address, stream).await?, config).await
        } else {
            ask(stream, config).await
        }
    };
    tokio::time::timeout(shared.options.response_timeout, exchange)
        .await
        .map_err(|_| failure("The health checker could not receive a response in time."))?
}

async fn secure(
    tls: &Tls,
    config: &Config,
    address: IpAddr,
    stream: TcpStream,
) -> Result<tokio_rustls::client::TlsStream<TcpStream>, Outcome> {
    let fqdn = config.fqdn.clone().and_then(|name| ServerName::try_from(name).ok());
    let (name, settings) = match (fqdn, config.enable_sni) {
        (Some(name), Some(true)) => (name, &tls.named),
        (name, _) => (name.unwrap_or(ServerName::from(address)), &tls.nameless),
    };
    TlsConnector::from(settings.clone())
        .connect(name, stream)
        .await
        .map_err(|error| failure(format!("The SSL handshake failed: {error}.")))
}

/// Sends the request and judges status and, where asked, body.
async fn ask(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    config: &Config,
) -> Result<Outcome, Outcome> {
    let broken = |error: std::io::Error| failure(format!("The connection broke: {error}."));
    let request = request(config);
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut received = Vec::new();
    let text = config.search_string.as_deref().filter(|_| config.kind.matches_text());
    while received.len() < HEAD_MAX + SEARCH_MAX {
        let finished = match head_length(&received) {
            None => false,
            Some(_) if text.is_none() => true,
            Some(head) => found(&received[head..], text) || received.len() >= head + SEARCH_MAX,
        };
        if finished {
            break;
        }
        let mut piece = [0; 4096];
        match stream.read(&mut piece).await {
            Ok(0) => break,
            // Peers that end TLS without saying so are common.
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
            Ok(length) => received.extend(&piece[..length]),
            Err(error) => return Err(broken(error)),
        }
    }
    judge(&received, text)
}

/// The Host header names the port unless it is the usual one, as AWS's checkers do.
fn request(config: &Config) -> String {
    let host = match (&config.fqdn, config.ip_address) {
        (Some(name), _) => name.clone(),
        (None, Some(IpAddr::V6(address))) => format!("[{address}]"),
        (None, Some(address)) => address.to_string(),
        (None, None) => String::new(),
    };
    let usual = if config.kind.is_tls() { 443 } else { 80 };
    let host = match config.port {
        Some(port) if port != usual => format!("{host}:{port}"),
        _ => host,
    };
    let path = config.resource_path.as_deref().unwrap_or("/");
    let slash = if path.starts_with('/') { "" } else { "/" };
    format!(
        "GET {slash}{path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: Amazon-Route53-Health-Check-Service \
         (ref lab; report http://amzn.to/1vsZADi)\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    )
}

fn head_length(received: &[u8]) -> Option<usize> {
    received.windows(4).position(|bytes| bytes == b"\r\n\r\n").map(|at| at + 4)
}

/// Whether the text stands in the first 5,120 bytes of the body.
fn found(body: &[u8], text: Option<&str>) -> bool {
    let body = &body[..body.len().min(SEARCH_MAX)];
    text.is_some_and(|text| {
        !text.is_empty() && body.windows(text.len()).any(|bytes| bytes == text.as_bytes())
    })
}

fn judge(received: &[u8], text: Option<&str>) -> Result<Outcome, Outcome> {
    let Some(head) = head_length(received) else {
        return Err(failure("The response was not a complete HTTP response."));
    };
    let first = received[..head].split(|byte| *byte == b'\r').next().unwrap_or_default();
    let first = String::from_utf8_lossy(first);
    let mut parts = first.splitn(3, ' ');
    let (version, code, reason) = (parts.next(), parts.next(), parts.next().unwrap_or_default());
    let code = code.and_then(|code| code.parse::<u16>().ok());
    let (true, Some(code)) = (version.is_some_and(|text| text.starts_with("HTTP/1.")), code) else {
        return Err(failure("The response was not an HTTP response."));
    };
    if !(200..400).contains(&code) {
        return Err(failure(format!("HTTP Status Code {code}, {reason}.")));
    }
    if text.is_some() && !found(&received[head..], text) {
        return Err(failure(
            "The response body did not contain the search string in its first 5120 bytes.",
        ));
    }
    Ok(success(format!("HTTP Status Code {code}, {reason}")))
}

/// The IPv4 address of a name, by the lab's own DNS, asked from us-east-1.
fn resolve(shared: &Shared, name: &str) -> Option<IpAddr> {
    let mut name = Name::parse(name).ok()?;
    for _ in 0..CNAME_MAX {
        let client = IpAddr::from([127, 0, 0, 1]);
        let question = Question { name: name.clone(), kind: Some(RrType::A), client };
        let answer = shared.answer(&question, None).ok()?;
        if let Some(record) = answer.answers.iter().find(|record| record.kind == RrType::A) {
            return record.value.parse().ok();
        }
        let next = answer.answers.iter().rev().find(|record| record.kind == RrType::Cname)?;
        name = Name::parse(&next.value).ok()?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judgement() {
        let check = |received: &str, text: Option<&str>, expect: &str| {
            let (Ok(outcome) | Err(outcome)) = judge(received.as_bytes(), text);
            assert_eq!(outcome.status, expect);
            assert_eq!(outcome.success, expect.starts_with("Success"));
        };
        let ok = "HTTP/1.1 200 OK\r\n\r\nhealthy";
        check(ok, None, "Success: HTTP Status Code 200, OK");
        check(ok, Some("healthy"), "Success: HTTP Status Code 200, OK");
        check("HTTP/1.1 302 Found\r\n\r\n", None, "Success: HTTP Status Code 302, Found");
        check("HTTP/1.1 503 No\r\n\r\n", None, "Failure: HTTP Status Code 503, No.");
        let missing = "Failure: The response body did not contain the search string in its first \
                       5120 bytes.";
        check(ok, Some("sick"), missing);
        let late = format!("HTTP/1.1 200 OK\r\n\r\n{}healthy", "x".repeat(SEARCH_MAX));
        check(&late, Some("healthy"), missing);
        check("220 smtp\r\n\r\n", None, "Failure: The response was not an HTTP response.");
        check("HTTP/1.1 200", None, "Failure: The response was not a complete HTTP response.");
    }
}
