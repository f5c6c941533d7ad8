//! The whole lab: what it says about itself is true, and its DNS leads where its world says.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

mod support;

use lab::scenario::Scenario;
use lab::{Lab, LabOptions, Resolver};
use support::Socks;

async fn start(dir: &std::path::Path) -> Lab {
    let options = LabOptions { scenario: Scenario::demo(), seed: 3, dir: dir.to_owned() };
    Lab::start(options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn facts_are_the_contract_and_the_files_are_there() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(&dir.path().join("new")).await;
    let facts = serde_json::to_value(lab.facts()).unwrap();
    let keys: Vec<&str> = facts.as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = [
        "route53",
        "cloudwatch",
        "apigateway",
        "dns",
        "socks5",
        "ca",
        "hosted_zone_id",
        "zone",
        "name",
        "config",
        "endpoints",
        "vantages",
        "clients",
    ];
    expected.sort_unstable();
    assert_eq!(keys.iter().collect::<std::collections::BTreeSet<_>>(), expected.iter().collect());
    assert_eq!(facts["endpoints"][0]["region"], "us-east-1");
    assert_eq!(facts["endpoints"][0]["alias"]["hosted_zone_id"], "Z1UJRXOUMOOFQ8");
    assert_eq!(facts["vantages"].as_array().unwrap().len(), 12);
    assert!(facts["dns"].as_str().unwrap().starts_with("127.0.0.1:"));
    let ca = std::fs::read_to_string(&lab.facts().ca).unwrap();
    assert!(ca.starts_with("-----BEGIN CERTIFICATE-----"));
    let csv = std::fs::read_to_string(&lab.facts().clients).unwrap();
    assert_eq!(csv.lines().count(), 401);
    let config: toml::Table =
        std::fs::read_to_string(&lab.facts().config).unwrap().parse().unwrap();
    assert_eq!(config["dns"]["servers"][0].as_str().unwrap(), lab.facts().dns.to_string());
    lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_is_answered_by_its_catchment_and_own_domains_resolve() {
    let dir = tempfile::tempdir().unwrap();
    let lab = start(dir.path()).await;
    let world = lab.world();
    let resolver = Resolver::new(lab.facts().dns);
    let labels = world.initial_labels();
    // The records are live when their change is INSYNC.
    let first = world.clients()[0].prefix.addr();
    for _ in 0..100 {
        if !resolver.addresses("api.nearside.test", first).await.unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    for client in world.clients() {
        let asked = client.prefix.addr();
        let found = resolver.addresses("api.nearside.test", asked).await.unwrap();
        let label = world.preferred(client.place, &labels).unwrap();
        assert_eq!(found, [world.endpoint(label).unwrap().ipv4], "{}", client.prefix);
    }
    for endpoint in world.endpoints() {
        let found = resolver.addresses(&endpoint.health_name, first).await.unwrap();
        assert_eq!(found, [endpoint.ipv4]);
    }
    let socks = Socks::connect(lab.facts().socks5, "us-east-1", "").await.unwrap();
    let port = lab.facts().endpoints[0].url.rsplit(':').next().unwrap();
    let port: u16 = port.trim_end_matches("/ping").parse().unwrap();
    let stream = socks.reach_name("api.nearside.test", port).await.unwrap();
    drop(stream);
    assert!(lab.endpoint_faults("eu-west-1").is_some() && lab.endpoint_faults("x").is_none());
    lab.shutdown().await;
}
