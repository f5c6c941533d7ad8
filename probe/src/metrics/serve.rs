//! The listener of `/metrics` and `/healthz`: HTTP/1.1, one request a connection. Everything is
//! bounded: connections at a time, the head's size, and how long a client may take.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::{Metrics, protobuf};

/// Most connections at a time; others wait to be accepted.
const CONNECTIONS_MAX: usize = 16;
/// Largest head of a request, in bytes.
const HEAD_MAX: usize = 8 * 1024;
/// The longest one connection may take.
const TIME_MAX: Duration = Duration::from_secs(10);
/// How long to wait after an accept that failed, as with too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers until it is dropped.
pub async fn serve(listener: TcpListener, metrics: Arc<Metrics>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let metrics = Arc::clone(&metrics);
        tokio::spawn(async move {
            // A client that goes away or is slow harms only itself.
            let _ = tokio::time::timeout(TIME_MAX, answer(stream, &metrics)).await;
            drop(permit);
        });
    }
}

async fn answer(mut stream: TcpStream, metrics: &Metrics) -> io::Result<()> {
    let head = read_head(&mut stream).await?;
    let (status, kind, body) = respond(&head, metrics);
    let length = body.len();
    let response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         vary: accept\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(response.as_bytes()).await?;
    if !head.starts_with(b"HEAD ") {
        stream.write_all(&body).await?;
    }
    stream.shutdown().await
}

async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    let mut part = [0_u8; 1_024];
    while head.len() < HEAD_MAX && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let len = stream.read(&mut part).await?;
        if len == 0 {
            break;
        }
        head.extend_from_slice(part.get(..len).unwrap_or_default());
    }
    Ok(head)
}

/// Status line, content type and body. Nothing of the request is echoed.
fn respond(head: &[u8], metrics: &Metrics) -> (&'static str, &'static str, Vec<u8>) {
    const TEXT: &str = "text/plain; charset=utf-8";
    let say = |status, words: &str| (status, TEXT, words.as_bytes().to_vec());
    if head.len() >= HEAD_MAX {
        return say("431 Request Header Fields Too Large", "the head is too large\n");
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(method, b"GET" | b"HEAD") {
        return say("405 Method Not Allowed", "only GET\n");
    }
    match target.split(|byte| *byte == b'?').next().unwrap_or_default() {
        b"/metrics" if wants_protobuf(head) => {
            ("200 OK", protobuf::CONTENT_TYPE, metrics.render_protobuf())
        }
        b"/metrics" => {
            let kind = "text/plain; version=0.0.4; charset=utf-8";
            ("200 OK", kind, metrics.render().into_bytes())
        }
        b"/healthz" if metrics.is_healthy() => say("200 OK", "ok\n"),
        b"/healthz" => say("503 Service Unavailable", "windows cannot be written\n"),
        _ => say("404 Not Found", "here are /metrics and /healthz\n"),
    }
}

/// Whether the client takes delimited protobuf at least as gladly as text.
fn wants_protobuf(head: &[u8]) -> bool {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let (mut protobuf, mut text) = (0.0_f64, 0.0_f64);
    let accepts = head.lines().filter_map(|line| line.strip_prefix("accept:"));
    for range in accepts.flat_map(|accept| accept.split(',')) {
        let mut parts = range.split(';').map(str::trim);
        let kind = parts.next().unwrap_or_default();
        let parameters: Vec<&str> = parts.collect();
        let weight = parameters.iter().find_map(|part| part.strip_prefix("q="));
        let weight: f64 = weight.map_or(Some(1.0), |q| q.parse().ok()).unwrap_or(0.0);
        let delimited = ["proto=io.prometheus.client.metricfamily", "encoding=delimited"];
        match kind {
            "application/vnd.google.protobuf"
                if delimited.iter().all(|wanted| parameters.contains(wanted)) =>
            {
                protobuf = protobuf.max(weight);
            }
            "text/plain" => text = text.max(weight),
            _ => {}
        }
    }
    protobuf > 0.0 && protobuf >= text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    async fn start(metrics: &Arc<Metrics>) -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, Arc::clone(metrics)));
        at
    }

    async fn ask(at: SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(at).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut text = Vec::new();
        // A server that refuses a large head may reset what it did not read.
        let _ = stream.read_to_end(&mut text).await;
        String::from_utf8(text).unwrap()
    }

    #[tokio::test]
    async fn paths_and_methods() {
        let metrics = Arc::new(Metrics::new());
        let at = start(&metrics).await;
        for (request, want) in [
            ("GET /metrics HTTP/1.1\r\nhost: a\r\n\r\n", "HTTP/1.1 200 OK"),
            ("GET /metrics?x=y HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK"),
            ("GET /healthz HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK"),
            ("GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404"),
            ("POST /metrics HTTP/1.1\r\n\r\n", "HTTP/1.1 405"),
            ("nonsense\r\n\r\n", "HTTP/1.1 405"),
        ] {
            let got = ask(at, request.as_bytes()).await;
            assert!(got.starts_with(want), "{request}: {got}");
        }
        metrics.write_failed();
        assert!(ask(at, b"GET /healthz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 503"));
    }

    #[test]
    fn protobuf_is_for_those_who_ask_for_it() {
        const PROTOBUF: &str = "application/vnd.google.protobuf;\
             proto=io.prometheus.client.MetricFamily;encoding=delimited";
        for (accept, want) in [
            (String::new(), false),
            ("*/*".to_owned(), false),
            ("text/plain".to_owned(), false),
            (PROTOBUF.to_owned(), true),
            (format!("{PROTOBUF};q=0.6,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"), true),
            (format!("text/plain;q=0.7 , {PROTOBUF};q=0.6"), false),
            (format!("{PROTOBUF};q=0"), false),
            (format!("{PROTOBUF};q=x"), false),
            ("application/vnd.google.protobuf".to_owned(), false),
        ] {
            let head = format!("GET /metrics HTTP/1.1\r\nhost: a\r\nAccept: {accept}\r\n\r\n");
            assert_eq!(wants_protobuf(head.as_bytes()), want, "{accept}");
            let (_, kind, _) = respond(head.as_bytes(), &Metrics::new());
            assert_eq!(kind == protobuf::CONTENT_TYPE, want);
        }
    }

    proptest! {
        #[test]
        fn any_request_is_answered(bytes in prop::collection::vec(any::<u8>(), 0..200),
                                   accept in "[a-z/;=,q0-9. ]{0,60}") {
            let metrics = Metrics::new();
            let _ = respond(&bytes, &metrics);
            let head = format!("GET /metrics HTTP/1.1\r\naccept: {accept}\r\n\r\n");
            let (status, ..) = respond(head.as_bytes(), &metrics);
            prop_assert_eq!(status, "200 OK");
        }
    }

    #[tokio::test]
    async fn idle_clients_do_not_add_up() {
        let metrics = Arc::new(Metrics::new());
        let at = start(&metrics).await;
        let mut idle = Vec::new();
        for _ in 0..CONNECTIONS_MAX - 1 {
            idle.push(TcpStream::connect(at).await.unwrap());
        }
        let got = ask(at, b"GET /healthz HTTP/1.1\r\n\r\n").await;
        assert!(got.starts_with("HTTP/1.1 200"));
        idle.push(TcpStream::connect(at).await.unwrap());
        let waits = tokio::time::timeout(
            Duration::from_millis(100),
            ask(at, b"GET /healthz HTTP/1.1\r\n\r\n"),
        );
        assert!(waits.await.is_err(), "it waits for room");
        idle.clear();
        assert!(ask(at, b"GET /healthz HTTP/1.1\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    }
}
