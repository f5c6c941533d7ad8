//! The exchange against servers on loopback: phases, connections, and every kind of failure.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use probe::clock::{Clock, SystemClock};
use probe::dns::SystemResolver;
use probe::exchange::{Due, Exchange, Request};
use probe::sample::{Connection, HttpVersion, Outcome, Sample, TlsVersion};
use support::{
    Ca, SERVICE, exchange, good, measure, now, plain, plain_at, read_head, reset, socks,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const VALID: (i32, i32) = (2020, 4000);

fn request(at: SocketAddr) -> Request {
    Request {
        connect_to: Some(at.to_string().parse().unwrap()),
        timeout: Duration::from_secs(5),
        ..Request::get("https://api.example.test/".parse().unwrap())
    }
}

fn over_http(at: SocketAddr) -> Request {
    let url = format!("http://{at}/").parse().unwrap();
    Request { timeout: Duration::from_millis(400), ..Request::get(url) }
}

fn assert_service(sample: &Sample) {
    let service_us = u64::try_from(SERVICE.as_micros()).unwrap();
    let processing_us = sample.phases.processing_us.unwrap();
    assert!(processing_us >= service_us, "{sample:?}");
    assert!(sample.phases.transfer_us.is_some());
}

#[tokio::test]
async fn cold_has_every_phase_and_never_resumes() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let exchange = exchange(&ca);
    for http in [HttpVersion::Http11, HttpVersion::Http2] {
        for _ in 0..3 {
            let sample = measure(&exchange, &Request { http, ..request(at) }).await;
            assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
            assert_eq!((sample.http, sample.resumed), (Some(http), false));
            assert_eq!(sample.tls_version, Some(TlsVersion::Tls13));
            assert_eq!(sample.remote, Some(at));
            assert!(sample.phases.connect_us.is_some() && sample.phases.tls_us.is_some());
            assert!(sample.phases.resolve_us.is_none(), "an address is not resolved");
            assert_service(&sample);
            assert_eq!(sample.attribution.pop.as_deref(), Some("FRA2-C2"));
            assert_eq!(sample.attribution.age_s, Some(12));
            assert_eq!(sample.attribution.server_timing[0].duration_ms, Some(30.0));
        }
    }
}

/// On Linux, direct and without a retransmit, the kernel's times are taken; the process's own
/// clock is later than they are, never earlier.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn kernel_time_is_used_where_there_is_one() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let exchange = exchange(&ca);
    let mut kernel = 0;
    for _ in 0..20 {
        let sample = measure(&exchange, &request(at)).await;
        kernel += u32::from(sample.clock.as_str() == "kernel");
        assert_service(&sample);
    }
    assert!(kernel >= 15, "{kernel} of 20 samples by the kernel's clock");
}

#[tokio::test]
async fn a_name_is_resolved() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let url = format!("https://api.example.test:{}/", at.port()).parse().unwrap();
    let sample = measure(&exchange(&ca), &Request::get(url)).await;
    assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
    assert!(sample.phases.resolve_us.is_some());
    assert_eq!(sample.dns[0].address, at.ip());
}

#[tokio::test]
async fn resumed_resumes_and_warm_keeps_its_connection() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let exchange = exchange(&ca);
    for http in [HttpVersion::Http11, HttpVersion::Http2] {
        let key = http.as_str();
        for _ in 0..4 {
            let connection = Connection::Resumed;
            let wanted = Request { connection, http, key: format!("r{key}"), ..request(at) };
            let resumed = measure(&exchange, &wanted).await;
            assert_eq!(resumed.outcome, Outcome::Ok { status: 200 });
            assert!(resumed.resumed && resumed.phases.tls_us.is_some(), "{resumed:?}");
            assert_service(&resumed);
            let connection = Connection::Warm;
            let wanted = Request { connection, http, key: format!("w{key}"), ..request(at) };
            let warm = measure(&exchange, &wanted).await;
            assert_eq!(warm.outcome, Outcome::Ok { status: 200 });
            assert_eq!((warm.phases.connect_us, warm.phases.tls_us), (None, None));
            assert_service(&warm);
        }
    }
}

#[tokio::test]
async fn tls_1_2_has_the_same_phases_and_connections() {
    let ca = Ca::new();
    let config = ca.server_speaking(&[&rustls::version::TLS12], "api.example.test", VALID);
    let at = good(config).await;
    let exchange = exchange(&ca);
    for connection in Connection::ALL {
        for _ in 0..3 {
            let wanted = Request { connection, key: connection.to_string(), ..request(at) };
            let sample = measure(&exchange, &wanted).await;
            assert_eq!(sample.outcome, Outcome::Ok { status: 200 }, "{connection}");
            assert_eq!(sample.tls_version, Some(TlsVersion::Tls12));
            assert_eq!(sample.resumed, connection == Connection::Resumed);
            assert_eq!(sample.phases.tls_us.is_some(), connection != Connection::Warm);
            assert_service(&sample);
        }
    }
}

#[tokio::test]
async fn over_ipv6() {
    let ca = Ca::new();
    let at = plain_at("[::1]:0", |mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let resolver = SystemResolver::from_files(b"::1 api.example.test\n", b"");
    let exchange = Exchange::new(&ca.trust(), resolver, Arc::new(SystemClock)).unwrap();
    for host in ["[::1]", "api.example.test"] {
        let url = format!("http://{host}:{}/", at.port()).parse().unwrap();
        let sample = measure(&exchange, &Request::get(url)).await;
        assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
        assert_eq!(sample.remote, Some(at));
    }
}

#[tokio::test]
async fn a_busy_warm_connection_makes_the_next_slot_wait() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let exchange = exchange(&ca);
    let wanted = Request { connection: Connection::Warm, ..request(at) };
    exchange.prime(&wanted).await;
    let due = now();
    let (first, second) =
        tokio::join!(exchange.measure(&wanted, due), exchange.measure(&wanted, due));
    assert!(first.outcome.is_ok() && second.outcome.is_ok());
    let service_us = u64::try_from(SERVICE.as_micros()).unwrap();
    assert!(second.response_us >= 2 * service_us, "{second:?}");
    assert!(second.total_us < second.response_us - service_us / 2, "{second:?}");
}

#[tokio::test]
async fn a_failed_status_is_a_failure_with_its_phases() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let mut wanted = request(at);
    wanted.url.path = "/missing".to_owned();
    let sample = measure(&exchange(&ca), &wanted).await;
    assert_eq!(sample.outcome, Outcome::Status { status: 404 });
    assert_service(&sample);
}

#[tokio::test]
async fn a_proof_shows_certificate_headers_and_body() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 2031))).await;
    let proof = exchange(&ca).prove(&request(at)).await.unwrap();
    assert_eq!(proof.certificate_not_after_s, Some(1_924_992_000));
    assert_eq!(proof.status, 200);
    assert!(proof.headers.contains(&("x-region".to_owned(), "eu-west-1".to_owned())));
    assert_eq!(proof.body, b"{\"region\":\"x\"}");
}

#[tokio::test]
async fn certificates_that_are_wrong() {
    let ca = Ca::new();
    let other_ca = Ca::new();
    let exchange = exchange(&ca);
    for config in [
        ca.server("other.example.test", VALID),
        ca.server("api.example.test", (2001, 2002)),
        ca.server("api.example.test", (3000, 3001)),
        other_ca.server("api.example.test", VALID),
    ] {
        let at = good(config).await;
        let sample = measure(&exchange, &request(at)).await;
        assert_eq!(sample.outcome.kind(), "tls_certificate", "{:?}", sample.outcome);
        let trusting = Request { insecure: true, ..request(at) };
        assert!(measure(&exchange, &trusting).await.outcome.is_ok());
        assert_eq!(exchange.prove(&request(at)).await.unwrap_err().kind(), "tls_certificate");
    }
}

#[tokio::test]
async fn through_a_proxy_with_an_empty_password() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let proxy = socks("eu-west-1", at, Duration::from_millis(40)).await;
    let exchange = exchange(&ca);
    for scheme in ["socks5h", "socks5"] {
        let through = format!("{scheme}://eu-west-1@{proxy}").parse().unwrap();
        let wanted = Request { proxy: Some(through), connect_to: None, ..request(at) };
        let sample = measure(&exchange, &wanted).await;
        assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
        assert!(sample.phases.connect_us.unwrap() >= 40_000);
        assert_eq!(sample.phases.resolve_us.is_some(), scheme == "socks5");
        assert_eq!(sample.clock.as_str(), "user");
        assert_eq!(sample.remote, Some(proxy));
    }
    let stranger = format!("socks5h://us-east-1@{proxy}").parse().unwrap();
    let wanted = Request { proxy: Some(stranger), ..request(at) };
    assert_eq!(measure(&exchange, &wanted).await.outcome.kind(), "proxy");
    let nobody = Request {
        proxy: Some(format!("socks5h://a@{}", free_port().await).parse().unwrap()),
        ..request(at)
    };
    assert_eq!(measure(&exchange, &nobody).await.outcome.kind(), "proxy");
}

/// An address where nobody listens.
async fn free_port() -> SocketAddr {
    tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap()
}

#[tokio::test]
async fn nobody_listens_or_nothing_resolves() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let refused = measure(&exchange, &over_http(free_port().await)).await;
    assert_eq!(refused.outcome, Outcome::ConnectRefused);
    let url = "https://nowhere.example.test/".parse().unwrap();
    assert_eq!(measure(&exchange, &Request::get(url)).await.outcome.kind(), "resolve");
}

/// Each bad server, over plain HTTP, and what its samples are called.
#[tokio::test]
#[expect(clippy::too_many_lines, reason = "a flat table of servers and kinds")]
async fn bad_servers_have_the_right_kind_within_the_timeout() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let write = |bytes: &'static [u8]| {
        plain(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(bytes).await;
        })
    };
    let silent = plain(|mut stream| async move {
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    });
    let endless = |head: &'static [u8], part: &'static [u8]| {
        plain(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(head).await;
            while stream.write_all(part).await.is_ok() {
                tokio::task::yield_now().await;
            }
        })
    };
    let reset_at = |bytes: &'static [u8]| {
        plain(move |mut stream| async move {
            read_head(&mut stream).await;
            let _ = stream.write_all(bytes).await;
            tokio::time::sleep(Duration::from_millis(30)).await;
            reset(stream);
        })
    };
    let drip = plain(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\n").await;
        while stream.write_all(b"a: b\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let head: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let long: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 100000000000\r\n\r\n";
    let part: &[u8] = &[b'x'; 4_096];
    let chunked: &[u8] = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnonsense\r\n";
    let cases = [
        ("says nothing", silent.await, "response_timeout"),
        ("closes at once", plain(|stream| async move { drop(stream) }).await, "reset"),
        ("resets at once", plain(|stream| async move { reset(stream) }).await, "reset"),
        ("closes after the request", write(b"").await, "reset"),
        ("closes inside the head", write(b"HTTP/1.1 200 OK\r\nconte").await, "reset"),
        ("resets inside the head", reset_at(b"HTTP/1.1 200 OK\r\nconte").await, "reset"),
        (
            "closes inside the body",
            write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await,
            "body",
        ),
        (
            "resets inside the body",
            reset_at(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await,
            "reset",
        ),
        ("is not HTTP", write(b"220 mail.example.test ESMTP\r\n").await, "protocol"),
        ("has a bad chunk", write(chunked).await, "protocol"),
        (
            "has an endless head",
            endless(head, b"a: bbbbbbbbbbbbbbbbbbbbbbbb\r\n").await,
            "protocol",
        ),
        ("has one endless header", endless(head, part).await, "protocol"),
        ("drips its head", drip.await, "response_timeout"),
        ("has an endless body", endless(long, part).await, "too_large"),
        ("fails", write(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n").await, "status"),
    ];
    for (what, at, kind) in cases {
        let wanted = Request { body_limit_bytes: 1_000_000, ..over_http(at) };
        let began = SystemClock.now();
        let sample = measure(&exchange, &wanted).await;
        assert_eq!(sample.outcome.kind(), kind, "a server that {what}: {:?}", sample.outcome);
        let took = SystemClock.now() - began;
        assert!(took < wanted.timeout + Duration::from_millis(300), "{what}: {took:?}");
    }
}

#[tokio::test]
async fn bad_servers_over_tls() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let silent = plain(|mut stream| async move {
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    });
    let nonsense = plain(|mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    });
    let resets = plain(|mut stream| async move {
        let _ = stream.read_u8().await;
        reset(stream);
    });
    for (at, kind) in
        [(silent.await, "tls_timeout"), (nonsense.await, "tls_handshake"), (resets.await, "reset")]
    {
        let wanted = Request { timeout: Duration::from_millis(300), ..request(at) };
        assert_eq!(measure(&exchange, &wanted).await.outcome.kind(), kind);
        let proof = exchange.prove(&wanted).await;
        assert_eq!(proof.unwrap_err().kind(), kind);
    }
}

#[tokio::test]
async fn a_warm_connection_that_the_server_closed_is_opened_anew() {
    let ca = Ca::new();
    let exchange = exchange(&ca);
    let once = plain(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
    })
    .await;
    let wanted = Request { connection: Connection::Warm, ..over_http(once) };
    for _ in 0..3 {
        let sample = measure(&exchange, &wanted).await;
        assert_eq!(sample.outcome, Outcome::Ok { status: 200 });
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_due_instant_in_the_past_counts_in_the_response_only() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", VALID)).await;
    let late = now().at.checked_sub(Duration::from_millis(70)).unwrap();
    let due = Due { origin: late, at: late, wall_ms: 0 };
    let sample = exchange(&ca).measure(&request(at), due).await;
    assert_eq!(sample.due, Duration::ZERO);
    assert!(sample.response_us >= sample.total_us + 70_000);
    assert!(sample.sent >= Duration::from_millis(70));
}
