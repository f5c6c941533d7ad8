//! The WAN, the endpoints and the gateway on real sockets: timing, order, faults, headers.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod support;

use std::net::IpAddr;
use std::time::Duration;

use lab::scenario::{ConnectionFault, EndpointKind, Faults, Scenario};
use support::{Socks, Stage, millis_since, now};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// How much later than its figure something may come on a busy machine.
const SLACK_MS: f64 = 8.0;

fn still_air() -> Scenario {
    let mut scenario = Scenario::calm();
    scenario.wan.jitter_ms = 0.0;
    scenario.wan.loss = 0.0;
    scenario
}

fn close(took_ms: f64, expected_ms: f64) -> bool {
    took_ms >= expected_ms - 0.1 && took_ms <= expected_ms + SLACK_MS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connect_takes_one_round_trip_and_an_answer_one_more() {
    let stage = Stage::start(still_air()).await;
    let world = &stage.world;
    for (user, region) in [("us-east-1", "eu-west-1"), ("ap-southeast-2", "us-east-1")] {
        let rtt = world.rtt_ms(world.place(user).unwrap(), region).unwrap();
        let endpoint = world.endpoint(region).unwrap();
        stage.faults(region, Faults { fixed_service_ms: Some(20.0), ..Faults::default() });
        let mut best = (f64::MAX, f64::MAX);
        for _ in 0..3 {
            let start = now();
            let socks = Socks::connect(stage.ground.socks5(), user, "").await.unwrap();
            let stream = socks.reach_name(&endpoint.dns_name, stage.ground.port()).await.unwrap();
            let connected = millis_since(start);
            let mut client = stage.https(stream, "api.nearside.test", false).await;
            let start = now();
            let answer = client.get("api.nearside.test", "/ping").await;
            assert_eq!(answer.status, 200);
            let answered = millis_since(start);
            assert!(connected >= rtt - 0.1 && answered >= rtt + 20.0 - 0.1);
            best = (best.0.min(connected), best.1.min(answered));
        }
        println!("{user} {region}: rtt {rtt:.3}, connect {:.3}, answer {:.3}", best.0, best.1);
        assert!(close(best.0, rtt), "connect {} rtt {rtt}", best.0);
        assert!(close(best.1, rtt + 20.0), "answer {} rtt {rtt}", best.1);
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_reach_the_same_server_by_prefix_name_and_both_families() {
    let stage = Stage::start(still_air()).await;
    let world = &stage.world;
    let client = world.clients().iter().find(|c| c.prefix.addr().is_ipv6()).unwrap();
    let endpoint = world.endpoint("ap-south-1").unwrap();
    let user = client.prefix.to_string();
    let rtt = world.rtt_ms(client.place, "ap-south-1").unwrap();
    for target in [IpAddr::from(endpoint.ipv4), IpAddr::from(endpoint.ipv6)] {
        let start = now();
        let socks = Socks::connect(stage.ground.socks5(), &user, "any password").await.unwrap();
        let stream = socks.reach_addr(target, stage.ground.port()).await.unwrap();
        assert!(millis_since(start) >= rtt - 0.1);
        let mut https = stage.https(stream, &endpoint.health_name, true).await;
        let answer = https.get(&endpoint.health_name, "/health").await;
        assert_eq!(answer.body, r#"{"region":"ap-south-1","status":"ok"}"#);
        assert_eq!(answer.header("x-nearside-region"), Some("ap-south-1"));
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_the_zone_are_asked_for_the_callers_own_address() {
    let stage = Stage::start(still_air()).await;
    let client = &stage.world.clients()[0];
    let socks =
        Socks::connect(stage.ground.socks5(), &client.prefix.to_string(), "").await.unwrap();
    let stream = socks.reach_name("api.nearside.test", stage.ground.port()).await.unwrap();
    let mut https = stage.https(stream, "api.nearside.test", false).await;
    let labels = stage.world.initial_labels();
    let preferred = stage.world.preferred(client.place, &labels);
    let answer = https.get("api.nearside.test", "/health").await;
    assert_eq!(answer.header("x-nearside-region"), preferred);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_and_dead_ends_are_refused_with_the_right_code() {
    let stage = Stage::start(still_air()).await;
    let socks5 = stage.ground.socks5();
    let refused = Socks::connect(socks5, "nobody", "").await.unwrap_err();
    assert_eq!(refused, "login 1");
    let open = || async { Socks::connect(socks5, "eu-west-1", "").await.unwrap() };
    let port = stage.ground.port();
    assert_eq!(
        open().await.reach_name("unknown.nearside.test", port).await.unwrap_err(),
        "reply 4"
    );
    assert_eq!(
        open().await.reach_addr("127.0.0.1".parse().unwrap(), port).await.unwrap_err(),
        "reply 4"
    );
    let endpoint = stage.world.endpoint("us-east-1").unwrap();
    let rtt = stage.world.rtt_ms(stage.world.place("eu-west-1").unwrap(), "us-east-1").unwrap();
    stage.faults("us-east-1", Faults { connections: ConnectionFault::Refuse, ..Faults::default() });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let socks = open().await;
    let start = now();
    assert_eq!(socks.reach_addr(endpoint.ipv4.into(), port).await.unwrap_err(), "reply 5");
    assert!(millis_since(start) >= rtt - 0.1);
    stage.ground.endpoint_faults("us-east-1").unwrap().clear();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(open().await.reach_addr(endpoint.ipv4.into(), port).await.is_ok());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_keep_their_order_many_under_way_and_half_close_holds() {
    let mut scenario = Scenario::calm();
    scenario.wan.jitter_ms = 5.0;
    scenario.wan.loss = 0.0;
    let stage = Stage::start_with_echo(scenario).await;
    let echo = stage.echo.as_ref().unwrap();
    let socks = Socks::connect(stage.ground.socks5(), "ap-southeast-2", "").await.unwrap();
    let stream = socks.reach_addr(echo.addr.ip(), echo.addr.port()).await.unwrap();
    let rtt =
        stage.world.rtt_ms(stage.world.place("ap-southeast-2").unwrap(), "us-east-1").unwrap();
    let (mut read, mut write) = stream.into_split();
    let start = now();
    let writer = tokio::spawn(async move {
        for number in 0..60_u32 {
            write.write_all(&number.to_be_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        write.shutdown().await.unwrap();
    });
    let mut bytes = Vec::new();
    read.read_to_end(&mut bytes).await.unwrap();
    let took = millis_since(start);
    writer.await.unwrap();
    let numbers: Vec<u32> =
        bytes.chunks(4).map(|b| u32::from_be_bytes(b.try_into().unwrap())).collect();
    assert_eq!(numbers, (0..60).collect::<Vec<_>>());
    // One after the other they would take 60 round trips.
    assert!(took >= rtt + 100.0 && took < rtt * 3.0, "{took} ms, rtt {rtt}");
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_megabyte_each_way_arrives_whole() {
    let stage = Stage::start_with_echo(still_air()).await;
    let echo = stage.echo.as_ref().unwrap();
    let socks = Socks::connect(stage.ground.socks5(), "us-east-1", "").await.unwrap();
    let stream = socks.reach_addr(echo.addr.ip(), echo.addr.port()).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let sent: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
    let copy = sent.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&copy).await.unwrap();
        write.shutdown().await.unwrap();
    });
    let mut got = Vec::new();
    read.read_to_end(&mut got).await.unwrap();
    writer.await.unwrap();
    assert!(got == sent);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_route_by_sni_and_host_and_wear_the_headers_of_their_kind() {
    let mut scenario = still_air();
    scenario.endpoints[1].kind = EndpointKind::Http;
    scenario.endpoints[2].kind = EndpointKind::Cloudfront;
    let stage = Stage::start(scenario).await;
    let name = "api.nearside.test";
    let rest = stage.direct("us-east-1", name, false).await.get(name, "/").await;
    assert_eq!((rest.status, rest.version.as_str()), (200, "HTTP/1.1"));
    assert_eq!(rest.header("x-amzn-requestid").unwrap().len(), 36);
    assert!(rest.header("x-amz-apigw-id").is_some() && rest.header("x-cache").is_none());
    let http = stage.direct("eu-west-1", name, true).await.get(name, "/ping").await;
    assert_eq!((http.status, http.version.as_str()), (200, "HTTP/2.0"));
    assert!(http.header("apigw-requestid").is_some() && http.header("x-amzn-requestid").is_none());
    let front = stage.direct("ap-south-1", name, false).await.get(name, "/ping").await;
    assert_eq!(front.header("x-cache"), Some("Miss from cloudfront"));
    assert!(front.header("via").unwrap().ends_with("cloudfront.net (CloudFront)"));
    assert!(front.header("x-amz-cf-pop").is_some() && front.header("x-amz-cf-id").is_some());

    let own = stage.world.endpoint("us-east-1").unwrap().dns_name.clone();
    let unknown = stage.direct("us-east-1", &own, false).await.get(&own, "/ping").await;
    assert_eq!((unknown.status, unknown.body.as_str()), (403, r#"{"message":"Forbidden"}"#));
    assert_eq!(unknown.header("x-amzn-errortype"), Some("ForbiddenException"));
    assert_eq!(unknown.header("x-nearside-region"), None);
    let mismatch = stage.direct("us-east-1", &own, false).await.get(name, "/ping").await;
    assert_eq!(mismatch.status, 403);
    let lost = stage.direct("us-east-1", name, false).await.get(name, "/lost").await;
    assert_eq!(lost.header("x-amzn-errortype"), Some("MissingAuthenticationTokenException"));
    assert_eq!(stage.direct("eu-west-1", name, false).await.get(name, "/lost").await.status, 404);
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_2_and_1_3_are_spoken_and_resumed() {
    let stage = Stage::start(still_air()).await;
    for tls12 in [true, false] {
        let client = stage.tls_config(false, tls12);
        for resumed in [false, true] {
            let mut https = stage.direct_with(&client, "us-east-1", "api.nearside.test").await;
            assert_eq!(https.tls12, tls12);
            assert_eq!(https.resumed, resumed, "tls12 {tls12}");
            assert_eq!(https.get("api.nearside.test", "/health").await.status, 200);
        }
    }
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_do_what_they_say() {
    let stage = Stage::start(still_air()).await;
    let name = "api.nearside.test";
    stage.faults("us-east-1", Faults { fail_share: 1.0, fail_status: 500, ..Faults::default() });
    let failed = stage.direct("us-east-1", name, false).await.get(name, "/health").await;
    assert_eq!((failed.status, failed.header("x-nearside-region")), (500, None));

    let slow = Faults { extra_ms: 60.0, fixed_service_ms: Some(15.0), ..Faults::default() };
    stage.faults("us-east-1", slow);
    let mut client = stage.direct("us-east-1", name, false).await;
    let start = now();
    assert_eq!(client.get(name, "/ping").await.status, 200);
    let took = millis_since(start);
    assert!((75.0..125.0).contains(&took), "{took}");

    stage.faults("us-east-1", Faults { connections: ConnectionFault::Stall, ..Faults::default() });
    let stalled = tokio::time::timeout(Duration::from_millis(300), client.get(name, "/health"));
    assert!(stalled.await.is_err());

    let mut client = stage.direct("eu-west-1", name, false).await;
    assert_eq!(client.get(name, "/health").await.status, 200);
    stage.faults("eu-west-1", Faults { connections: ConnectionFault::Reset, ..Faults::default() });
    assert!(client.try_get(name, "/health").await.is_err());
    let addr = (stage.world.endpoint("eu-west-1").unwrap().ipv4, stage.ground.port());
    let mut raw = tokio::net::TcpStream::connect(addr).await.unwrap();
    raw.write_all(b"hello").await.unwrap();
    let error = raw.read(&mut [0; 8]).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);

    let bad = Faults { fail_share: 2.0, ..Faults::default() };
    assert!(stage.ground.endpoint_faults("us-east-1").unwrap().set(bad).is_err());
    stage.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_apis_answer_nobody_who_asks_amiss() {
    let stage = Stage::start(still_air()).await;
    let answer = support::plain_get(&stage.ground.cloudwatch_url(), "/").await;
    assert_eq!(answer.status, 404, "no operation is named");
    let gateway = support::plain_get(&stage.ground.apigateway_url(), "/domainnames").await;
    assert_eq!(gateway.status, 403, "it is not signed");
    stage.stop().await;
}
