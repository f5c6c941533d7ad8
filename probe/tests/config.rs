//! The configuration: what is valid, what is refused and in which words, and the layers.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]
#![allow(clippy::float_cmp, reason = "numbers are compared as they were written")]

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use probe::config::{
    ApiDimension, Config, ConfigError, DEFAULTS, Flags, NameSource, Population, RegionProof,
    TargetKind, build, warm_interval_bound,
};
use probe::sample::Connection;
use proptest::prelude::*;

fn plain(text: &str) -> Result<Config, ConfigError> {
    build(DEFAULTS, text, &BTreeMap::new(), &Flags::default())
}

const SMALL: &str = "name = 'api.example.test'\nzone = 'example.test'\n";

#[test]
fn each_rule_refuses_its_own_bad_file() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bad_config");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 50);
    let mut messages = String::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy();
        let error = plain(&std::fs::read_to_string(&file).unwrap()).expect_err(&name);
        writeln!(messages, "{name}: {error}").unwrap();
    }
    insta::assert_snapshot!(messages);
}

#[test]
fn the_defaults_are_those_of_the_design() {
    let config = plain(SMALL).unwrap();
    let evidence = &config.evidence;
    assert_eq!(evidence.window, Duration::from_mins(1));
    assert_eq!(evidence.block, Duration::from_hours(4));
    assert_eq!((evidence.blocks, evidence.volatile_blocks), (18, 42));
    let numbers = [
        evidence.alpha,
        evidence.min_gain_ms,
        evidence.min_gain_share,
        evidence.harm_ms,
        evidence.triangle_ms,
        evidence.cold_share,
        evidence.quantile,
        config.guard.max_traffic_moved,
        config.weights.floor,
        config.weights.max_step,
    ];
    assert_eq!(numbers, [0.05, 5.0, 0.05, 5.0, 20.0, 0.2, 0.5, 0.25, 0.0, 0.25]);
    assert_eq!(evidence.stale, Duration::from_hours(24));
    assert_eq!(evidence.cooldown, Duration::from_hours(7 * 24));
    assert_eq!(evidence.volatility_history, Duration::from_hours(14 * 24));
    assert_eq!(config.probe.connections, [Connection::Cold, Connection::Warm]);
    assert!(!config.stateless && !config.guard.allow_cloud_only);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a flat list of keys")]
fn every_key_is_read() {
    let text = r#"
name = "API.example.test."
zone = "example.test"
stateless = true
candidates = ["sa-east-1"]
candidate_url = "http://{region}.example.test/ping?r={region}"
[[vantage]]
id = "home-1"
population = "eyeball"
proxy = "socks5h://home-1@127.0.0.1:1080"
subnet4 = "198.18.5.0/24"
subnet6 = "2001:db8:5::/48"
[[endpoint]]
id = "eu"
region = "eu-west-1"
kind = "cloudfront"
url = "https://api.example.test/ping"
connect_to = "127.0.0.2:8443"
health_url = "https://eu.example.test/health"
region_proof = "/region"
capacity = 500.0
alias = { dns_name = "D-1.execute-api.eu-west-1.amazonaws.com.", hosted_zone_id = "ZLY8HYME6SFDD" }
metrics = { api_id = "a1b2c3", function = "orders", concurrency = 500, period = "5s" }
[[target]]
id = "static"
kind = "static"
url = "https://www.example.test/"
group = "pages"
http = "2"
addresses = "all"
region = "eu-west-1"
connect_to = "127.0.0.3:443"
resolver = "authoritative"
method = "POST"
headers = { X-Own = "a" }
body = "b"
expect_status = [200, 204]
expect_body = "ok"
body_limit_bytes = 1000
client_cert = "c.pem"
client_key = "k.pem"
server_timing = false
[[journey]]
id = "visit"
steps = ["static", "eu", "candidate-sa-east-1"]
[probe]
clock = "user"
interval = "500ms"
interval_warm = "1s"
timeout = "5s"
connections = ["warm", "cold", "resumed"]
ca_file = "ca.pem"
max_in_flight = 4
[evidence]
window = "2s"
block = "2s"
cooldown = "0s"
[guard]
allow = ["api.example.test"]
adopt = ["api.example.test"]
freeze = ["2030-01-01T00:00:00Z/2030-01-02T00:00:00Z"]
allow_cloud_only = true
[weights]
floor = 0.05
max_step = 0.5
[dns]
servers = ["127.0.0.1:5353", "192.0.2.1", "[::1]:53"]
[[slo]]
target = "eu"
quantile = 0.95
limit_ms = 200.0
share = 0.9
[traffic]
file = "weights.csv"
requests_per_s = 1200.0
[cloudwatch]
namespace = "Nearside"
region = "us-east-1"
"#;
    let config = plain(text).unwrap();
    assert_eq!(config.name, "api.example.test");
    assert_eq!(config.vantages[0].population, Population::Eyeball);
    let endpoint = &config.endpoints[0];
    assert_eq!(endpoint.region_proof, Some(RegionProof::Pointer("/region".into())));
    let alias = endpoint.alias.as_ref().unwrap();
    assert_eq!(alias.dns_name, "d-1.execute-api.eu-west-1.amazonaws.com");
    let metrics = endpoint.metrics.as_ref().unwrap();
    assert_eq!(metrics.api, ApiDimension::Id("a1b2c3".into()));
    assert_eq!((metrics.function.as_str(), metrics.period), ("orders", Duration::from_secs(5)));
    assert_eq!(metrics.concurrency, 500.0);
    assert_eq!(config.probe.connections, Connection::ALL);
    assert_eq!(config.dns.servers[1].port(), 53);
    assert_eq!(config.guard.freeze[0].end_ms - config.guard.freeze[0].start_ms, 86_400_000);
    assert_eq!(config.cloudwatch.unwrap().max_metrics, 1_000);
    assert_eq!((config.weights.floor, config.weights.max_step), (0.05, 0.5));
    assert_eq!(config.traffic.unwrap().requests_per_s, Some(1_200.0));
    let [target, candidate] = config.targets.as_slice() else { panic!("{:?}", config.targets) };
    assert_eq!(target.resolver, NameSource::Authoritative);
    assert_eq!((target.ask.method.as_str(), target.ask.body.as_str()), ("POST", "b"));
    assert_eq!(target.ask.headers, [("x-own".to_owned(), "a".to_owned())]);
    assert_eq!(target.ask.expect_status, [200, 204]);
    assert_eq!((target.ask.body_limit_bytes, target.ask.server_timing), (1_000, false));
    assert!(target.ask.identity.is_some() && target.region.is_some());
    assert_eq!(candidate.id, "candidate-sa-east-1");
    assert_eq!(candidate.kind, TargetKind::Candidate);
    assert_eq!(candidate.url.to_string(), "http://sa-east-1.example.test/ping?r=sa-east-1");
    assert_eq!(config.journeys[0].steps.len(), 3);
    assert!(!config.probe.kernel_time);
}

#[test]
fn all_candidates_are_the_commercial_regions() {
    let config = plain(&format!("candidates = 'all'\n{SMALL}")).unwrap();
    assert_eq!(config.targets.len(), 34);
    let of = |region: &str| config.targets.iter().find(|t| t.region.as_deref() == Some(region));
    let url = of("ap-southeast-6").unwrap().url.to_string();
    assert_eq!(url, "https://dynamodb.ap-southeast-6.amazonaws.com/ping");
    assert!(of("cn-north-1").is_none() && of("me-west-1").is_none());
    assert!(plain(SMALL).unwrap().targets.is_empty());
    let of_kind = |kind| {
        let text = format!("{SMALL}[[target]]\nid='t'\nkind='{kind}'\nurl='https://t.test/'\n");
        plain(&text).unwrap().targets[0].ask.server_timing
    };
    assert_eq!([of_kind("static"), of_kind("edge"), of_kind("auth")], [true, true, false]);
}

#[test]
fn layers_lie_over_each_other_in_their_order() {
    let text = format!("{SMALL}[probe]\ninterval = '2s'\ntimeout = '3s'\n");
    let environment = BTreeMap::from([
        ("NEARSIDE_PROBE_INTERVAL".to_owned(), "4s".to_owned()),
        ("NEARSIDE_PROBE_INTERVAL_WARM".to_owned(), "5s".to_owned()),
        ("UNRELATED".to_owned(), "x".to_owned()),
    ]);
    let flags = Flags { interval_warm: Some("6s".to_owned()), ..Flags::default() };
    let config = build(DEFAULTS, &text, &environment, &flags).unwrap();
    let seconds = [config.probe.interval, config.probe.interval_warm, config.probe.timeout]
        .map(|duration| duration.as_secs());
    assert_eq!(seconds, [4, 6, 3]);
    let bad = Flags { timeout: Some("soon".to_owned()), ..Flags::default() };
    let error = build(DEFAULTS, &text, &environment, &bad).unwrap_err();
    assert_eq!(
        error.to_string(),
        "probe.timeout = \"soon\": must be a whole number and one of ms, s, m, h, d"
    );
}

#[test]
fn a_warm_interval_leaves_room_for_the_slowest_response() {
    let interval = Duration::from_millis(500);
    assert!(warm_interval_bound(interval, Duration::from_millis(333)).is_ok());
    let error = warm_interval_bound(interval, Duration::from_millis(400)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "probe.interval_warm = 500ms: must be at least 600ms, 1.5 times the slowest warm response"
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[a-z\\[\\]=\"0-9. \n-]{0,200}") {
        let _ = plain(&text);
    }

    #[test]
    fn any_value_is_taken_or_refused(value in ".{0,40}") {
        for (section, key) in [("probe", "interval"), ("evidence", "window"), ("probe", "ca_file")] {
            let table = toml::Table::from_iter([(key.to_owned(), toml::Value::from(value.clone()))]);
            let _ = plain(&format!("{SMALL}[{section}]\n{table}"));
        }
    }
}
