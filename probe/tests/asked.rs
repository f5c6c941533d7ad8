//! What is sent and what must come back: headers, bodies, statuses, client certificates; every
//! address of a name; and a wall clock that steps while a sample is taken.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use probe::clock::{Clock, SystemClock};
use probe::dns::SystemResolver;
use probe::exchange::{Exchange, Identity, Request};
use probe::sample::{ClockKind, Connection, Outcome};
use support::{Ca, SERVICE, exchange, good, measure, now, plain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Answers with what it was sent as the body.
async fn echo(status: &'static str) -> SocketAddr {
    plain(move |mut stream| async move {
        let mut seen = vec![0_u8; 4_096];
        let mut len = 0;
        while !seen[..len].windows(4).any(|end| end == b"\r\n\r\n") {
            len += stream.read(&mut seen[len..]).await.unwrap();
        }
        // A body that is sent follows its head at once.
        let more = tokio::time::timeout(Duration::from_millis(50), stream.read(&mut seen[len..]));
        len += more.await.map_or(0, Result::unwrap);
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: {len}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&seen[..len]).await.unwrap();
    })
    .await
}

fn to(at: SocketAddr) -> Request {
    Request::get(format!("http://{at}/path?q=1").parse().unwrap())
}

#[tokio::test]
async fn headers_and_body_are_sent_and_the_answer_is_judged() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let asked = Request {
        method: "POST".parse().unwrap(),
        headers: vec![("x-own".to_owned(), "a b".to_owned()), ("accept".to_owned(), "c/d".into())],
        body: b"the body".to_vec(),
        ..to(echo("200 OK").await)
    };
    for part in ["POST /path?q=1 HTTP/1.1", "x-own: a b", "accept: c/d", "the body"] {
        let wanted = Request { expect_body: Some(part.to_owned()), ..asked.clone() };
        let sample = measure(&exchange, &wanted).await;
        assert_eq!(sample.outcome, Outcome::Ok { status: 200 }, "{part}");
    }
    for part in ["accept: */*", "nothing of the kind"] {
        let wanted = Request { expect_body: Some(part.to_owned()), ..asked.clone() };
        assert_eq!(measure(&exchange, &wanted).await.outcome.kind(), "body", "{part}");
    }
    for (status, expected, kind) in [
        ("200 OK", vec![204], "status"),
        ("404 Not Found", vec![404], "ok"),
        ("302 Found", vec![], "ok"),
        ("302 Found", vec![200], "status"),
    ] {
        let wanted = Request { expect_status: expected, ..to(echo(status).await) };
        let sample = measure(&exchange, &wanted).await;
        assert_eq!(sample.outcome.kind(), kind, "{status}");
        assert_eq!(sample.outcome.is_redirect(), kind == "ok" && status.starts_with('3'));
    }
}

#[tokio::test]
async fn a_client_certificate_opens_the_door() {
    let ca = Ca::new();
    let at = good(ca.server_for_clients("api.example.test")).await;
    let exchange = exchange(&ca);
    let (certificate, key) = ca.client();
    let stranger = Request {
        connect_to: Some(at.to_string().parse().unwrap()),
        ..Request::get("https://api.example.test/".parse().unwrap())
    };
    let identity = Some(Arc::new(Identity::load(&certificate, &key).unwrap()));
    let known = Request { identity, ..stranger.clone() };
    for connection in Connection::ALL {
        let sample = measure(&exchange, &Request { connection, ..known.clone() }).await;
        assert_eq!(sample.outcome, Outcome::Ok { status: 200 }, "{connection}");
        let key = "stranger".to_owned();
        let sample = measure(&exchange, &Request { connection, key, ..stranger.clone() }).await;
        assert!(!sample.outcome.is_ok(), "{connection}");
    }
    assert!(Identity::load(&key, &key).is_err());
    assert!(Identity::load(&certificate, &ca.folder.path().join("none")).is_err());
}

#[tokio::test]
async fn each_address_of_a_name_has_a_sample() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 4000))).await;
    let hosts = b"127.0.0.1 api.example.test\n127.0.0.2 api.example.test\n";
    let resolver = SystemResolver::from_files(hosts, b"");
    let exchange = Exchange::new(&ca.trust(), resolver, Arc::new(SystemClock)).unwrap();
    let url: probe::url::HttpUrl =
        format!("https://api.example.test:{}/", at.port()).parse().unwrap();
    for connection in Connection::ALL {
        let wanted = Request { connection, ..Request::get(url.clone()) };
        let samples = exchange.measure_each(&wanted, now()).await;
        let remotes: Vec<IpAddr> = samples.iter().map(|s| s.remote.unwrap().ip()).collect();
        let addresses = ["127.0.0.1", "127.0.0.2"].map(|text| text.parse::<IpAddr>().unwrap());
        assert_eq!(remotes, addresses);
        assert_eq!(samples[0].outcome, Outcome::Ok { status: 200 });
        // Nobody listens there, which is data of that address and of no other.
        assert_eq!(samples[1].outcome, Outcome::ConnectRefused);
        assert!(samples.iter().all(|s| s.phases.resolve_us.is_none() && s.dns.len() == 2));
    }
    let nowhere = Request::get("https://nowhere.example.test/".parse().unwrap());
    let samples = exchange.measure_each(&nowhere, now()).await;
    assert_eq!((samples.len(), samples[0].outcome.kind()), (1, "resolve"));
}

/// The machine's clocks, with a wall clock that can be stepped.
struct Stepped(AtomicI64);

impl Clock for Stepped {
    fn now(&self) -> Instant {
        SystemClock.now()
    }

    fn wall_ns(&self) -> i64 {
        SystemClock.wall_ns() + self.0.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn a_step_of_the_wall_clock_moves_no_phase() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 4000))).await;
    let resolver = SystemResolver::from_files(b"127.0.0.1 api.example.test\n", b"");
    let clock = Arc::new(Stepped(AtomicI64::new(0)));
    let seam: Arc<dyn Clock> = Arc::<Stepped>::clone(&clock);
    let exchange = Exchange::new(&ca.trust(), resolver, seam).unwrap();
    let url: probe::url::HttpUrl =
        format!("https://api.example.test:{}/", at.port()).parse().unwrap();
    for connection in Connection::ALL {
        for step_s in [10, -10, 10, -10] {
            let wanted = Request { connection, ..Request::get(url.clone()) };
            exchange.prime(&wanted).await;
            let step = async {
                tokio::time::sleep(SERVICE / 2).await;
                clock.0.fetch_add(step_s * 1_000_000_000, Ordering::SeqCst);
            };
            let (sample, ()) = tokio::join!(exchange.measure(&wanted, now()), step);
            assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
            assert_eq!(sample.clock, ClockKind::User);
            assert_eq!(sample.phases.sum_us() + sample.local_us, sample.total_us);
            let service_us = u64::try_from(SERVICE.as_micros()).unwrap();
            let processing_us = sample.phases.processing_us.unwrap();
            assert!((service_us..service_us + 500_000).contains(&processing_us), "{sample:?}");
            assert!(sample.response_us < 1_000_000, "{sample:?}");
        }
    }
}
