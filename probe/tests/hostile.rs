//! Servers, certificates and resolvers that do harm: each has the right kind of outcome within the
//! timeout, no sample is lost, and nothing they send reaches a terminal raw.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

#[path = "support/cut.rs"]
mod cut;
#[path = "support/dns.rs"]
mod dns;
mod support;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cut::{End, cut_after};
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::Name;
use probe::clock::{Clock, SystemClock};
use probe::exchange::{Exchange, Names, Request};
use probe::once::{Report, TextOptions, UrlSample, render, summarize};
use probe::sample::{Connection, HttpVersion, Outcome};
use support::{Ca, exchange, good, measure, plain, read_head};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const TIMEOUT: Duration = Duration::from_secs(2);
/// What the machine may add to a timeout while other tests keep it busy.
const SLACK: Duration = Duration::from_millis(700);

fn to(at: SocketAddr) -> Request {
    Request { timeout: TIMEOUT, ..Request::get(format!("http://{at}/").parse().unwrap()) }
}

fn over_tls(at: SocketAddr) -> Request {
    Request {
        connect_to: Some(at.to_string().parse().unwrap()),
        timeout: TIMEOUT,
        ..Request::get("https://api.example.test/".parse().unwrap())
    }
}

/// Measures, within the timeout.
async fn kind(exchange: &Exchange, request: &Request) -> &'static str {
    let began = SystemClock.now();
    let sample = measure(exchange, request).await;
    let took = SystemClock.now() - began;
    assert!(took < request.timeout + SLACK, "{took:?}: {sample:?}");
    sample.outcome.kind()
}

/// Reads a request and answers with these bytes.
async fn says(bytes: Vec<u8>) -> SocketAddr {
    let bytes: Arc<[u8]> = bytes.into();
    plain(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(&bytes).await;
            let mut sink = Vec::new();
            let _ = stream.read_to_end(&mut sink).await;
        }
    })
    .await
}

/// The whole of what a good server says is cut after each byte in turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_at_every_possible_point() {
    let ca = Ca::new();
    let server = good(ca.server("api.example.test", (2020, 4000))).await;
    let exchange = Arc::new(exchange(&ca));
    // A signature in DER is now and then some bytes shorter than another.
    let whole = cut::length(server, &exchange, &over_tls).await - 8;
    assert!((800..4_000).contains(&whole), "{whole} bytes");
    for (end, step) in [(End::Reset, 1), (End::Close, 7), (End::Silence, 61)] {
        let mut seen: BTreeMap<&'static str, usize> = BTreeMap::new();
        let mut tasks = tokio::task::JoinSet::new();
        for at in (0..whole).step_by(step) {
            let exchange = Arc::clone(&exchange);
            if tasks.len() >= 64 {
                *seen.entry(tasks.join_next().await.unwrap().unwrap()).or_default() += 1;
            }
            tasks.spawn(async move {
                let relay = cut_after(server, at, end).await;
                kind(&exchange, &over_tls(relay)).await
            });
        }
        while let Some(one) = tasks.join_next().await {
            *seen.entry(one.unwrap()).or_default() += 1;
        }
        let kinds: Vec<&str> = seen.keys().copied().collect();
        match end {
            End::Reset => assert_eq!(kinds, ["reset"]),
            // Head and body are in one record, of which a part says nothing.
            End::Close => assert_eq!(kinds, ["reset", "tls_handshake"]),
            End::Silence => assert_eq!(kinds, ["response_timeout", "tls_timeout"]),
        }
        assert_eq!(seen.values().sum::<usize>(), whole.div_ceil(step), "no sample is lost");
    }
}

#[tokio::test]
async fn heads_without_measure_or_sense() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let ok = "HTTP/1.1 200 OK\r\n";
    let end = "content-length: 2\r\n\r\nok";
    let million = "v".repeat(1_000_000);
    for (what, head) in [
        ("one header of 1 MB", format!("{ok}x-long: {million}\r\n{end}")),
        ("1 MB of headers", format!("{ok}{}{end}", "x-many: abcdefgh\r\n".repeat(55_000))),
        ("101 headers", format!("{ok}{}{end}", "x-many: a\r\n".repeat(101))),
        ("a status of two digits", format!("HTTP/1.1 20 OK\r\n{end}")),
        ("a status of letters", format!("HTTP/1.1 abc OK\r\n{end}")),
        ("another version", format!("HTTP/3.7 200 OK\r\n{end}")),
        ("another protocol", "220 mail.example.test ESMTP\r\n".to_owned()),
        ("no colon", format!("{ok}nonsense\r\n{end}")),
        ("a space in a name", format!("{ok}a b: c\r\n{end}")),
        ("no name", format!("{ok}: c\r\n{end}")),
        ("a NUL in a value", format!("{ok}a: b\0c\r\n{end}")),
        ("an escape in a value", format!("{ok}x-amz-cf-pop: FRA\u{1b}[31m\r\n{end}")),
        ("a bell in the reason", format!("HTTP/1.1 200 O\u{7}K\r\n{end}")),
        ("a negative length", format!("{ok}content-length: -1\r\n\r\nok")),
        ("a length beyond all", format!("{ok}content-length: 99999999999999999999\r\n\r\nok")),
        ("two lengths", format!("{ok}content-length: 3\r\n{end}")),
        ("a chunk that is none", format!("{ok}transfer-encoding: chunked\r\n\r\nzz\r\nok\r\n")),
        (
            "a chunk beyond all",
            format!("{ok}transfer-encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        ),
        ("a chunk without its end", format!("{ok}transfer-encoding: chunked\r\n\r\n2\r\nokok")),
    ] {
        let at = says(head.into_bytes()).await;
        for connection in [Connection::Cold, Connection::Warm] {
            let key = format!("{what} {connection}");
            let request = Request { connection, key, ..to(at) };
            assert_eq!(kind(&exchange, &request).await, "protocol", "{what}, {connection}");
        }
    }
}

#[tokio::test]
async fn bodies_that_do_not_end() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let ok = "HTTP/1.1 200 OK\r\n";
    let short = Request { timeout: Duration::from_millis(300), ..to(says(Vec::new()).await) };
    for (what, body, want) in [
        ("a body that stops", format!("{ok}content-length: 10\r\n\r\nab"), "response_timeout"),
        (
            "no last chunk",
            format!("{ok}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n"),
            "response_timeout",
        ),
        ("a body until the end", format!("{ok}\r\n{}", "x".repeat(200_000)), "too_large"),
        (
            "chunks without end",
            format!("{ok}transfer-encoding: chunked\r\n\r\n{}", "4\r\nabcd\r\n".repeat(50_000)),
            "too_large",
        ),
    ] {
        let url = to(says(body.into_bytes()).await).url;
        let request = Request { url, body_limit_bytes: 100_000, ..short.clone() };
        assert_eq!(kind(&exchange, &request).await, want, "{what}");
    }
}

/// Frames of HTTP/2: length, kind, flags, stream, payload (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let [_, a, b, c] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&[a, b, c, kind, flags, 0, 0, 0, stream][..], payload].concat()
}

#[tokio::test]
async fn servers_that_break_http2() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let settings = frame(4, 0, 0, &[]);
    // An indexed ":status: 200" (RFC 7541, appendix A).
    let head = frame(1, 4, 1, &[0x88]);
    let after = |parts: &[Vec<u8>]| [settings.clone(), parts.concat()].concat();
    let endless: Vec<u8> = frame(9, 0, 1, &[0; 1_000]).repeat(200);
    for (what, bytes, want) in [
        ("says nothing", Vec::new(), "response_timeout"),
        ("settings and nothing more", settings.clone(), "response_timeout"),
        ("speaks HTTP/1.1", b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), "protocol"),
        ("a frame beyond all", after(&[vec![0xff; 9]]), "protocol"),
        ("resets the stream", after(&[frame(3, 0, 1, &[0, 0, 0, 2])]), "protocol"),
        ("goes away", after(&[frame(7, 0, 0, &[0, 0, 0, 0, 0, 0, 0, 2])]), "protocol"),
        ("a head that is none", after(&[frame(1, 4, 1, &[0xff; 20])]), "protocol"),
        ("an endless head", after(&[frame(1, 0, 1, &[0x88]), endless]), "protocol"),
        ("a body that stops", after(&[head.clone(), frame(0, 0, 1, b"ab")]), "response_timeout"),
        (
            "a body too large",
            after(&[head.clone(), frame(0, 0, 1, &[0; 16_000]).repeat(3)]),
            "too_large",
        ),
        ("resets inside the body", after(&[head, frame(3, 0, 1, &[0, 0, 0, 2])]), "body"),
    ] {
        let bytes: Arc<[u8]> = bytes.into();
        let at = plain(move |mut stream| {
            let bytes = Arc::clone(&bytes);
            async move {
                let _ = stream.write_all(&bytes).await;
                let mut sink = Vec::new();
                let _ = stream.read_to_end(&mut sink).await;
            }
        })
        .await;
        let timeout = Duration::from_millis(500);
        let request =
            Request { http: HttpVersion::Http2, timeout, body_limit_bytes: 20_000, ..to(at) };
        assert_eq!(kind(&exchange, &request).await, want, "a server that {what}");
    }
}

#[tokio::test]
async fn certificates_of_every_wrong_kind() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    for (what, config) in [
        ("expired", ca.server("api.example.test", (2001, 2002))),
        ("not yet valid", ca.server("api.example.test", (3000, 3001))),
        ("for another name", ca.server("other.example.test", (2020, 4000))),
        ("of another authority", Ca::new().server("api.example.test", (2020, 4000))),
        ("self-signed", support::self_signed("api.example.test")),
    ] {
        let at = good(config).await;
        for connection in Connection::ALL {
            let key = format!("{what} {connection}");
            let request = Request { connection, key, ..over_tls(at) };
            assert_eq!(kind(&exchange, &request).await, "tls_certificate", "{what}, {connection}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn resolvers_that_lie_are_silent_or_cut_short() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 4000))).await;
    let exchange = exchange(&ca);
    let right = |q: &Message| vec![dns::bytes(&dns::address(q, Ipv4Addr::LOCALHOST))];
    let none = |_: &Message| Vec::new();
    let truncated = |q: &Message| {
        let mut cut = dns::reply(q);
        cut.metadata.truncation = true;
        vec![dns::bytes(&cut)]
    };
    let wrong_id = |q: &Message| {
        let mut wrong = dns::address(q, Ipv4Addr::LOCALHOST);
        wrong.metadata.id ^= 1;
        vec![dns::bytes(&wrong)]
    };
    let wrong_name = |q: &Message| {
        let mut wrong = dns::address(q, Ipv4Addr::LOCALHOST);
        wrong.queries[0].name = Name::from_ascii("evil.test.").unwrap();
        vec![dns::bytes(&wrong)]
    };
    let no_such_name = |q: &Message| {
        let mut none = dns::reply(q);
        none.metadata.response_code = ResponseCode::NXDomain;
        vec![dns::bytes(&none)]
    };
    let elsewhere = |q: &Message| vec![dns::bytes(&dns::address(q, Ipv4Addr::new(127, 99, 9, 9)))];
    let servers: [(&str, dns::Replies, dns::Replies, &str); 9] = [
        ("tells the truth", right, none, "ok"),
        ("is silent", none, none, "resolve"),
        ("sends what is no message", |_| vec![b"nonsense".to_vec()], none, "resolve"),
        ("answers another question", wrong_id, none, "resolve"),
        ("answers for another name", wrong_name, none, "resolve"),
        ("says there is no such name", no_such_name, none, "resolve"),
        ("cuts short, and is whole over TCP", truncated, right, "ok"),
        ("cuts short, and hangs up over TCP", truncated, none, "resolve"),
        // A lie that fits the question is believed; what it leads to is told.
        ("names an address where nobody is", elsewhere, none, "connect_refused"),
    ];
    for (what, udp, tcp, want) in servers {
        let names = Names::Server(dns::server(udp, tcp).await);
        let url = format!("https://api.example.test:{}/", at.port()).parse().unwrap();
        let request = Request { names, timeout: Duration::from_millis(600), ..Request::get(url) };
        assert_eq!(kind(&exchange, &request).await, want, "a resolver that {what}");
    }
}

/// hyper refuses control characters of ASCII; those of Latin-1 and Unicode pass it, and must be
/// shown as what they are.
#[tokio::test]
async fn what_a_server_sends_never_reaches_a_terminal_raw() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let hostile = "FRA\u{9b}31m\u{202e}evil\u{85}";
    let head = format!(
        "HTTP/1.1 200 OK\r\nx-amz-cf-pop: {hostile}\r\nx-cache: {hostile}\r\nvia: {hostile}\r\n\
         server-timing: a;desc=\"{hostile}\"\r\ncontent-length: 2\r\n\r\nok"
    );
    let request = to(says(head.into_bytes()).await);
    let sample = measure(&exchange, &request).await;
    assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
    assert_eq!(sample.attribution.pop.as_deref(), Some(hostile), "data is kept as it came");
    let samples = vec![UrlSample { url: request.url.to_string(), sample }];
    let summary = summarize(&[request.url], &samples, TIMEOUT);
    let text = render(&Report { samples, summary }, TextOptions::default());
    assert!(text.contains("FRA\\u{9b}31m\\u{202e}evil\\u{85}"), "{text}");
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{text:?}");
}
