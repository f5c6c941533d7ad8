//! The listener of `/metrics` and `/healthz`: HTTP/1.1, one request a connection. Everything is
//! bounded: connections at a time, the head's size, and how long a client may take.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Metrics;

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
    let mut response = format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    if !head.starts_with(b"HEAD ") {
        response.push_str(&body);
    }
    stream.write_all(response.as_bytes()).await?;
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
fn respond(head: &[u8], metrics: &Metrics) -> (&'static str, &'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    if head.len() >= HEAD_MAX {
        return ("431 Request Header Fields Too Large", TEXT, "the head is too large\n".to_owned());
    }
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(method, b"GET" | b"HEAD") {
        return ("405 Method Not Allowed", TEXT, "only GET\n".to_owned());
    }
    match target.split(|byte| *byte == b'?').next().unwrap_or_default() {
        b"/metrics" => ("200 OK", "text/plain; version=0.0.4; charset=utf-8", metrics.render()),
        b"/healthz" if metrics.is_healthy() => ("200 OK", TEXT, "ok\n".to_owned()),
        b"/healthz" => ("503 Service Unavailable", TEXT, "windows cannot be written\n".to_owned()),
        _ => ("404 Not Found", TEXT, "here are /metrics and /healthz\n".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
