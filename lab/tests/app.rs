//! Edges and tiers on real sockets: who is sent where, what the headers say, how long the origin hop takes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use lab::scenario::{AppSpec, Faults, Scenario};
use lab::world::{Behavior, Distribution, World};
use lab::{Lab, LabOptions, Resolver};
use support::{Answer, Https, Socks, millis_since, now, roots};

/// How much later than its figure something may come on a busy machine.
const SLACK_MS: f64 = 12.0;

/// An app in still air whose page is fresh for so many seconds.
fn scenario(static_ttl_s: f64, server_timing_percent: f64) -> Scenario {
    let mut scenario = Scenario::app();
    scenario.wan.jitter_ms = 0.0;
    scenario.wan.loss = 0.0;
    scenario.app = Some(AppSpec { static_ttl_s, server_timing_percent, ..AppSpec::default() });
    scenario
}

async fn start(scenario: Scenario, dir: &std::path::Path) -> Lab {
    Lab::start(LabOptions { scenario, seed: 5, dir: dir.to_owned() }).await.unwrap()
}

fn distribution(world: &World, behavior: Behavior) -> &Distribution {
    let all = &world.app().unwrap().distributions;
    all.iter().find(|d| d.behavior == behavior).unwrap()
}

fn port(lab: &Lab) -> u16 {
    let url = lab.facts().endpoints[0].url.trim_end_matches("/ping");
    url.rsplit(':').next().unwrap().parse().unwrap()
}

/// A connection from a place to a name of the zone, through the WAN.
async fn open(lab: &Lab, user: &str, name: &str) -> Https {
    let socks = Socks::connect(lab.facts().socks5, user, "").await.unwrap();
    let stream = socks.reach_name(name, port(lab)).await.unwrap();
    let pem = std::fs::read_to_string(&lab.facts().ca).unwrap();
    Https::open(&roots(&pem), stream, name).await
}

async fn timed(https: &mut Https, host: &str, path: &str, pragma: bool) -> (Answer, f64) {
    let headers: &[(&str, &str)] = if pragma { &[("pragma", "server-timing")] } else { &[] };
    let start = now();
    let answer = https.ask("GET", host, path, headers).await;
    (answer, millis_since(start))
}

/// `name;dur=1.5` and `name;desc="x"`; a bare name has no value.
fn metrics(answer: &Answer) -> BTreeMap<String, String> {
    let header = answer.header("server-timing").unwrap();
    let one = |metric: &str| {
        let (name, rest) = metric.split_once(';').unwrap_or((metric, ""));
        let value = rest.split_once('=').map_or("", |(_, value)| value.trim_matches('"'));
        (name.to_owned(), value.to_owned())
    };
    header.split(',').map(one).collect()
}

fn close(took_ms: f64, expected_ms: f64) -> bool {
    took_ms >= expected_ms - 0.1 && took_ms <= expected_ms + SLACK_MS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_is_sent_to_the_nearest_pop_by_dns() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(scenario(60.0, 0.0), dir.path()).await;
    let resolver = Resolver::new(lab.facts().dns);
    let world = lab.world();
    for distribution in &world.app().unwrap().distributions {
        for client in world.clients().iter().step_by(7) {
            let (pop, _) = world.nearest_pop(client.place).unwrap();
            let asked = client.prefix.addr();
            for name in [&distribution.name, &distribution.dns_name] {
                let found = resolver.addresses(name, asked).await.unwrap();
                assert_eq!(found, [pop.ipv4], "{name} for {}", client.city);
            }
        }
    }
    let (user, name) = ("af-south-1", &distribution(world, Behavior::Static).name);
    let (pop, rtt_ms) = world.nearest_pop(world.place(user).unwrap()).unwrap();
    let start = now();
    let socks = Socks::connect(lab.facts().socks5, user, "").await.unwrap();
    socks.reach_name(name, port(&lab)).await.unwrap();
    assert!(millis_since(start) >= rtt_ms - 0.1, "{} {rtt_ms}", pop.id);
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_missed_hit_and_refreshed() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(scenario(2.0, 0.0), dir.path()).await;
    let world = lab.world();
    let page = distribution(world, Behavior::Static);
    let user = "ap-southeast-2";
    let (pop, rtt_ms) = world.nearest_pop(world.place(user).unwrap()).unwrap();
    let hop_ms = world.hop_ms(pop, &page.origin).unwrap();
    assert!(hop_ms > 150.0, "Sydney and Virginia are far apart: {hop_ms}");
    lab.endpoint_faults(&pop.id)
        .unwrap()
        .set(Faults { fixed_service_ms: Some(20.0), ..Faults::default() })
        .unwrap();
    let mut https = open(&lab, user, &page.name).await;

    let (miss, took_ms) = timed(&mut https, &page.name, "/index.html", true).await;
    assert_eq!((miss.status, miss.header("x-cache")), (200, Some("Miss from cloudfront")));
    assert_eq!((miss.header("x-amz-cf-pop"), miss.header("age")), (Some(pop.id.as_str()), None));
    assert!(close(took_ms, rtt_ms + 1.0 + 3.0 * hop_ms + 20.0), "cold origin: {took_ms}");
    let told = metrics(&miss);
    let ms = |name: &str| told[name].parse::<f64>().unwrap();
    assert!(told.contains_key("cdn-cache-miss") && told["cdn-pop"] == pop.id);
    assert_eq!(told["cdn-rid"], miss.header("x-amz-cf-id").unwrap());
    assert!((ms("cdn-upstream-connect") - 2.0 * hop_ms).abs() <= 1.0);
    assert!(close(ms("cdn-upstream-fbl") + 0.5, hop_ms + 20.0));
    assert!(ms("cdn-downstream-fbl") <= took_ms - rtt_ms + 1.0, "what is left is the way here");
    assert!(miss.header("via").unwrap().ends_with(".cloudfront.net (CloudFront)"));

    let (hit, took_ms) = timed(&mut https, &page.name, "/index.html", true).await;
    assert_eq!(hit.header("x-cache"), Some("Hit from cloudfront"));
    assert!(hit.header("age").unwrap().parse::<u64>().unwrap() <= 2);
    assert!(close(took_ms, rtt_ms), "{took_ms}");
    let told = metrics(&hit);
    assert!(told.contains_key("cdn-cache-hit") && told["cdn-hit-layer"] == "EDGE");
    assert!(!told.contains_key("cdn-upstream-fbl"));
    assert_eq!(hit.body, miss.body);

    tokio::time::sleep(Duration::from_millis(2100)).await;
    let (again, took_ms) = timed(&mut https, &page.name, "/index.html", false).await;
    assert_eq!(again.header("x-cache"), Some("RefreshHit from cloudfront"));
    assert_eq!(again.header("server-timing"), None, "nobody asked");
    assert!(close(took_ms, rtt_ms + hop_ms + 20.0), "the origin's connection was kept: {took_ms}");

    let (wrong, _) = timed(&mut https, &page.name, "/nothing", false).await;
    assert_eq!((wrong.status, wrong.header("x-cache")), (403, Some("Error from cloudfront")));
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_has_three_front_doors() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(scenario(60.0, 0.0), dir.path()).await;
    let world = lab.world();
    let user = "eu-central-1";
    let place = world.place(user).unwrap();
    let (pop, rtt_ms) = world.nearest_pop(place).unwrap();
    let fixed = Faults { fixed_service_ms: Some(20.0), ..Faults::default() };
    lab.endpoint_faults("us-east-1").unwrap().set(fixed).unwrap();
    for behavior in [Behavior::Forward, Behavior::EdgeOptimized] {
        let door = distribution(world, behavior);
        let hop_ms = world.hop_ms(pop, &door.origin).unwrap();
        let mut https = open(&lab, user, &door.name).await;
        timed(&mut https, &door.name, "/ping", true).await;
        let (answer, took_ms) = timed(&mut https, &door.name, "/ping", true).await;
        assert!(close(took_ms, rtt_ms + hop_ms + 20.0), "{behavior:?} {took_ms}");
        assert_eq!(answer.header("x-cache"), Some("Miss from cloudfront"));
        assert_eq!(answer.header("x-amz-cf-pop"), Some(pop.id.as_str()));
        assert_eq!(answer.header("x-nearside-region"), Some("us-east-1"));
        assert!(answer.header("x-amz-apigw-id").is_some() && answer.header("age").is_none());
        let spoken = answer.header("server-timing").is_some();
        assert_eq!(spoken, behavior == Behavior::Forward, "an edge-optimized domain has no policy");
        if spoken {
            assert_eq!(metrics(&answer)["cdn-upstream-connect"], "0");
        }
        let (wrong, _) = timed(&mut https, &door.name, "/nothing", false).await;
        assert_eq!((wrong.status, wrong.header("x-cache")), (403, Some("Error from cloudfront")));
    }
    let regional = &world.endpoint("us-east-1").unwrap().health_name;
    let mut https = open(&lab, user, regional).await;
    let (answer, took_ms) = timed(&mut https, regional, "/ping", true).await;
    assert!(close(took_ms, world.rtt_ms(place, "us-east-1").unwrap() + 20.0), "{took_ms}");
    assert!(answer.header("x-cache").is_none() && answer.header("x-amz-cf-pop").is_none());
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_edges_show_and_an_origin_by_name_is_the_one_nearest_to_the_edge() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(scenario(60.0, 0.0), dir.path()).await;
    let world = lab.world();
    for (user, region) in [("eu-central-1", "eu-west-1"), ("ap-northeast-1", "ap-southeast-1")] {
        let twice = distribution(world, Behavior::Twice);
        let mut https = open(&lab, user, &twice.name).await;
        let answer = https.get(&twice.name, "/ping").await;
        assert_eq!(answer.header("via").unwrap().matches("cloudfront.net").count(), 2);
        assert_eq!(answer.header("x-nearside-region"), Some("us-east-1"));
        let by_name = distribution(world, Behavior::ByName);
        let mut https = open(&lab, user, &by_name.name).await;
        let answer = https.get(&by_name.name, "/ping").await;
        assert_eq!(answer.header("via").unwrap().matches("cloudfront.net").count(), 1);
        assert_eq!(answer.header("x-nearside-region"), Some(region), "{user}");
    }
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_far_table_takes_its_round_trips_and_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut scenario = scenario(60.0, 0.0);
    scenario.app.as_mut().unwrap().api_data_calls = 2;
    scenario.service.sigma = 0.0;
    let lab = start(scenario, dir.path()).await;
    let world = lab.world();
    let told_ms = |answer: &Answer| metrics(answer)["dynamodb"].parse::<f64>().unwrap();
    let mut told = Vec::new();
    for region in ["us-east-1", "eu-west-1"] {
        let name = &world.endpoint(region).unwrap().health_name;
        let mut https = open(&lab, region, name).await;
        let (answer, took_ms) = timed(&mut https, name, "/ping", false).await;
        let here_ms = world.rtt_ms(world.place(region).unwrap(), region).unwrap();
        assert!(close(took_ms, here_ms + 30.0 + told_ms(&answer)), "{region} {took_ms}");
        told.push(told_ms(&answer));
    }
    assert!(told[0] < 25.0 && told[1] > 2.0 * 60.0, "two reads across the Atlantic: {told:?}");
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tiers_answer_in_their_own_regions() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(scenario(60.0, 100.0), dir.path()).await;
    let world = lab.world();
    let user = "ap-northeast-1";
    let place = world.place(user).unwrap();
    for tier in &world.app().unwrap().tiers {
        let fixed = Faults { fixed_service_ms: Some(10.0), ..Faults::default() };
        lab.endpoint_faults(&tier.id).unwrap().set(fixed).unwrap();
        let mut https = open(&lab, user, &tier.name).await;
        let (answer, took_ms) = timed(&mut https, &tier.name, &tier.path, false).await;
        let rtt_ms = world.rtt_ms(place, &tier.region).unwrap();
        assert!(close(took_ms, rtt_ms + 10.0), "{} {took_ms} {rtt_ms}", tier.id);
        assert_eq!(answer.status, 200);
        assert!(answer.header("x-amzn-requestid").is_some());
        if tier.id == "auth" {
            assert!(answer.body.contains("\"keys\""));
            let target = "AWSCognitoIdentityProviderService.InitiateAuth";
            let signed = https.ask("POST", &tier.name, "/", &[("x-amz-target", target)]).await;
            assert!(signed.body.contains("AuthenticationResult"), "{}", signed.body);
            assert_eq!(https.ask("POST", &tier.name, "/", &[]).await.status, 400);
        } else {
            assert_eq!(answer.body, format!("healthy: {} ", tier.name));
        }
        assert_eq!(https.get("other.test", &tier.path).await.status, 403);
    }
    // At 100 percent the distributions tell their timing unasked.
    let page = distribution(world, Behavior::Static);
    let mut https = open(&lab, user, &page.name).await;
    let (answer, _) = timed(&mut https, &page.name, "/", false).await;
    assert!(answer.header("server-timing").is_some());
    let (pop, _) = world.nearest_pop(place).unwrap();
    let broken = Faults { fail_share: 1.0, fail_status: 502, ..Faults::default() };
    lab.endpoint_faults(&pop.id).unwrap().set(broken).unwrap();
    let (answer, _) = timed(&mut https, &page.name, "/", false).await;
    assert_eq!((answer.status, answer.header("x-cache")), (502, Some("Error from cloudfront")));
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_are_told_and_other_worlds_have_none() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(scenario(60.0, 0.0), dir.path()).await;
    let config: toml::Table =
        std::fs::read_to_string(&lab.facts().config).unwrap().parse().unwrap();
    let targets = config["target"].as_array().unwrap();
    let ids: Vec<&str> = targets.iter().map(|t| t["id"].as_str().unwrap()).collect();
    let expected = [
        "page",
        "api-cloudfront",
        "api-edge-optimized",
        "api-twice",
        "api-by-name",
        "api-regional",
        "auth",
        "data-us-east-1",
        "data-eu-west-1",
        "data-ap-south-1",
        "data-ap-southeast-1",
    ];
    assert_eq!(ids, expected);
    for (target, fact) in targets.iter().zip(&lab.facts().targets) {
        let url = target["url"].as_str().unwrap();
        assert_eq!((url, target["kind"].as_str().unwrap()), (fact.url.as_str(), fact.kind));
        let (name, path) = url.trim_start_matches("https://").split_once('/').unwrap();
        let name = name.rsplit_once(':').unwrap().0;
        let mut https = open(&lab, "eu-west-1", name).await;
        assert_eq!(https.get(name, &format!("/{path}")).await.status, 200, "{url}");
    }
    lab.shutdown().await;
    let lab = start(Scenario::demo(), dir.path()).await;
    let text = std::fs::read_to_string(&lab.facts().config).unwrap();
    assert!(!text.contains("[[target]]") && lab.facts().targets.is_empty());
    lab.shutdown().await;
}
