//! From what the libraries say to an outcome. By type and code, never by text.

use std::error::Error;
use std::io;

use crate::sample::Outcome;

/// How far an exchange had come; it decides what a timeout is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Resolve,
    Proxy,
    Connect,
    Tls,
    Response,
}

/// The outcome of an exchange that ran out of time.
pub(super) fn timed_out(stage: Stage) -> Outcome {
    match stage {
        Stage::Resolve => Outcome::Resolve { detail: "no answer within the timeout".to_owned() },
        Stage::Proxy => Outcome::Proxy { detail: "no answer within the timeout".to_owned() },
        Stage::Connect => Outcome::ConnectTimeout,
        Stage::Tls => Outcome::TlsTimeout,
        Stage::Response => Outcome::ResponseTimeout,
    }
}

/// The outcome of a TCP connection that failed.
pub(super) fn connect_failed(cause: &io::Error) -> Outcome {
    match cause.kind() {
        io::ErrorKind::ConnectionRefused => Outcome::ConnectRefused,
        io::ErrorKind::TimedOut => Outcome::ConnectTimeout,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => Outcome::Reset,
        _ => Outcome::ConnectUnreachable,
    }
}

fn is_reset(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::NotConnected
    )
}

/// The outcome of a TLS handshake that failed.
pub(super) fn handshake_failed(cause: &io::Error) -> Outcome {
    if is_reset(cause.kind()) {
        return Outcome::Reset;
    }
    if cause.kind() == io::ErrorKind::TimedOut {
        return Outcome::TlsTimeout;
    }
    let detail = cause.to_string();
    let tls = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Outcome::TlsCertificate { detail }
        }
        _ => Outcome::TlsHandshake { detail },
    }
}

fn io_source(cause: &hyper::Error) -> Option<&io::Error> {
    let mut source = cause.source();
    // A chain of causes is short; the bound keeps a looping one from looping here.
    for _ in 0..8 {
        let error = source?;
        if let Some(found) = error.downcast_ref::<io::Error>() {
            return Some(found);
        }
        source = error.source();
    }
    None
}

fn words(cause: &hyper::Error) -> String {
    match cause.source() {
        Some(source) => format!("{cause}: {source}"),
        None => cause.to_string(),
    }
}

/// The outcome of a request without a whole response head.
pub(super) fn head_failed(cause: &hyper::Error) -> Outcome {
    if cause.is_parse() {
        return Outcome::Protocol { detail: words(cause) };
    }
    match io_source(cause).map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => Outcome::ResponseTimeout,
        Some(kind) if is_reset(kind) || kind == io::ErrorKind::UnexpectedEof => Outcome::Reset,
        None if cause.is_incomplete_message() || cause.is_canceled() || cause.is_closed() => {
            Outcome::Reset
        }
        _ => Outcome::Protocol { detail: words(cause) },
    }
}

/// The outcome of a body that ended badly.
pub(super) fn body_failed(cause: &hyper::Error) -> Outcome {
    match io_source(cause).map(io::Error::kind) {
        Some(io::ErrorKind::TimedOut) => Outcome::ResponseTimeout,
        Some(kind) if is_reset(kind) => Outcome::Reset,
        Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
            Outcome::Protocol { detail: words(cause) }
        }
        _ => Outcome::Body { detail: words(cause) },
    }
}
