//! Route 53's health checkers against the lab's own endpoints over TLS, and a lab that is dropped.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on stops where it stands"
)]

mod support;

use std::net::SocketAddr;
use std::time::Duration;

use lab::route53::Route53;
use lab::scenario::{ConnectionFault, Faults, Scenario};
use lab::{Lab, LabOptions};
use support::plain_call;
use tokio::net::TcpStream;

const XMLNS: &str = "xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"";

async fn start(dir: &std::path::Path) -> Lab {
    let options = LabOptions { scenario: Scenario::calm(), seed: 3, dir: dir.to_owned() };
    Lab::start(options).await.unwrap()
}

fn port_of(lab: &Lab) -> u16 {
    let url = lab.facts().endpoints[0].url.trim_end_matches("/ping");
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// A health check over TLS of the endpoint in eu-west-1; its id.
async fn check(lab: &Lab, reference: &str, kind: &str, more: &str) -> String {
    let endpoint = lab.world().endpoint("eu-west-1").unwrap();
    let (ip, port) = (endpoint.ipv4, port_of(lab));
    let body = format!(
        "<CreateHealthCheckRequest {XMLNS}><CallerReference>{reference}</CallerReference><HealthCheckConfig>\
         <IPAddress>{ip}</IPAddress><Port>{port}</Port><Type>{kind}</Type>\
         <ResourcePath>/health</ResourcePath>{more}<RequestInterval>10</RequestInterval>\
         <FailureThreshold>1</FailureThreshold></HealthCheckConfig></CreateHealthCheckRequest>"
    );
    let url = lab.facts().route53.as_str();
    let answer = plain_call(url, "POST", "/2013-04-01/healthcheck", &body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    element(&answer.body, "Id").to_owned()
}

fn element<'a>(body: &'a str, name: &str) -> &'a str {
    let (_, rest) = body.split_once(&format!("<{name}>")).expect(name);
    rest.split_once("</").expect("an end").0
}

/// Waits until the check's status says so, and tells whether it then counts as healthy.
async fn until(lab: &Lab, id: &str, status: &str) -> bool {
    let path = format!("/2013-04-01/healthcheck/{id}/status");
    let mut last = String::new();
    for _ in 0..200 {
        let answer = plain_call(&lab.facts().route53, "GET", &path, "").await;
        if answer.body.contains("<HealthCheckObservation>") {
            last = element(&answer.body, "Status").to_owned();
        }
        if last.starts_with(status) {
            return healthy(lab.route53(), id);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("the check says {last:?}, not {status:?}");
}

fn healthy(route53: &Route53, id: &str) -> bool {
    route53.is_healthy(id)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checks_over_tls_see_health_and_every_fault() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(dir.path()).await;
    let name = &lab.world().endpoint("eu-west-1").unwrap().health_name;
    let own = format!("<FullyQualifiedDomainName>{name}</FullyQualifiedDomainName>");
    let sni = "<EnableSNI>true</EnableSNI>";
    let text = "<SearchString>\"status\":\"ok\"</SearchString>";
    let plain = check(&lab, "plain", "HTTPS", &format!("{own}{sni}")).await;
    let no_sni =
        check(&lab, "no sni", "HTTPS", &format!("{own}<EnableSNI>false</EnableSNI>")).await;
    let found = check(&lab, "text", "HTTPS_STR_MATCH", &format!("{own}{text}{sni}")).await;
    let other = "<FullyQualifiedDomainName>other.nearside.test</FullyQualifiedDomainName>";
    let other = check(&lab, "other", "HTTPS", &format!("{other}{sni}")).await;
    for id in [&plain, &no_sni, &found] {
        assert!(until(&lab, id, "Success: HTTP Status Code 200, OK").await);
    }
    assert!(!until(&lab, &other, "Failure: HTTP Status Code 403").await, "nothing behind the name");
    let faults = lab.endpoint_faults("eu-west-1").unwrap();
    faults.set(Faults { fail_share: 1.0, ..Faults::default() }).unwrap();
    assert!(!until(&lab, &plain, "Failure: HTTP Status Code 503").await);
    for (fault, status) in [
        (ConnectionFault::Refuse, "Failure: The connection could not be made"),
        (ConnectionFault::Reset, "Failure: The SSL handshake failed"),
        (ConnectionFault::Stall, "Failure: The health checker could not receive a response"),
    ] {
        faults.set(Faults { connections: fault, ..Faults::default() }).unwrap();
        assert!(!until(&lab, &plain, status).await, "{fault:?}");
    }
    faults.clear();
    assert!(until(&lab, &plain, "Success: HTTP Status Code 200").await, "it recovers");
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_lab_stops_listening() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(dir.path()).await;
    let api = |url: &str| -> SocketAddr { url.trim_start_matches("http://").parse().unwrap() };
    let facts = lab.facts();
    let endpoint =
        SocketAddr::from((lab.world().endpoint("us-east-1").unwrap().ipv4, port_of(&lab)));
    let all = [
        facts.socks5,
        facts.dns,
        endpoint,
        api(&facts.route53),
        api(&facts.apigateway),
        api(&facts.cloudwatch),
    ];
    for addr in all {
        assert!(TcpStream::connect(addr).await.is_ok(), "{addr} before");
    }
    drop(lab);
    for addr in all {
        let mut refused = false;
        for _ in 0..100 {
            refused = TcpStream::connect(addr).await.is_err();
            if refused {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(refused, "{addr} still listens");
    }
}
