//! What the lab tells about itself: the JSON object of `advisor lab --json`, and the nearside.toml for it.
//!
//! Wire types only; pure.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Serialize;

use crate::cloudwatch::API_NAME;
use crate::scenario::{ConfigSpec, EndpointKind, Scenario};
use crate::world::{Behavior, Endpoint, TierKind, World};

/// The facts of a running lab.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Facts {
    /// URL of the Route 53 API.
    pub route53: String,
    /// URL of the CloudWatch API.
    pub cloudwatch: String,
    /// URL of the API Gateway API.
    pub apigateway: String,
    /// Address of the DNS server, UDP and TCP.
    pub dns: SocketAddr,
    /// Address of the WAN.
    pub socks5: SocketAddr,
    /// PEM file of the certificate authority.
    pub ca: PathBuf,
    /// Id of the zone.
    pub hosted_zone_id: String,
    /// Name of the zone.
    pub zone: String,
    /// Name of the service.
    pub name: String,
    /// The nearside.toml for this lab.
    pub config: PathBuf,
    /// The endpoints.
    pub endpoints: Vec<EndpointFacts>,
    /// The vantages.
    pub vantages: Vec<VantageFacts>,
    /// The clients, `prefix,weight,catchment,city`.
    pub clients: PathBuf,
    /// Edges, tiers and candidates, where the scenario has them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetFacts>,
}

/// One target that DNS does not answer with, as nearside.toml names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetFacts {
    /// Its id.
    pub id: String,
    /// `api`, `edge`, `static`, `auth` or `data`.
    pub kind: &'static str,
    /// What to measure.
    pub url: String,
    /// Targets of one group are measured against each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'static str>,
    /// The Region it stands in; edges stand in many places.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EndpointFacts {
    /// Its Region.
    pub region: String,
    /// What to measure.
    pub url: String,
    /// What DNS can answer with.
    pub alias: AliasFacts,
}

/// An alias target.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AliasFacts {
    /// Its DNS name.
    pub dns_name: String,
    /// Its hosted zone.
    pub hosted_zone_id: String,
}

/// One vantage.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VantageFacts {
    /// Its id.
    pub id: String,
    /// The prefix it asks from.
    pub subnet4: String,
    /// The same for IPv6.
    pub subnet6: String,
}

/// Ports and files of a running lab, from which its configuration is written.
pub(crate) struct Wiring<'a> {
    pub(crate) port: u16,
    pub(crate) dns: SocketAddr,
    pub(crate) socks5: SocketAddr,
    pub(crate) ca: &'a str,
}

pub(crate) fn endpoint_facts(world: &World, port: u16) -> Vec<EndpointFacts> {
    let one = |e: &Endpoint| EndpointFacts {
        region: e.region.clone(),
        url: format!("https://{}:{port}/ping", world.scenario().name),
        alias: AliasFacts {
            dns_name: e.dns_name.clone(),
            hosted_zone_id: e.hosted_zone_id.clone(),
        },
    };
    world.endpoints().iter().map(one).collect()
}

pub(crate) fn vantage_facts(world: &World) -> Vec<VantageFacts> {
    let vantages = world.vantages().iter();
    vantages
        .map(|v| VantageFacts {
            id: v.id.clone(),
            subnet4: v.subnet4.to_string(),
            subnet6: v.subnet6.to_string(),
        })
        .collect()
}

/// The page, the API by each of its front doors, sign-in, and data by Region.
pub(crate) fn target_facts(world: &World, port: u16) -> Vec<TargetFacts> {
    let Some(app) = world.app() else { return Vec::new() };
    let mut targets = Vec::new();
    for distribution in &app.distributions {
        let (id, kind, path, group) = match distribution.behavior {
            Behavior::Static => ("page", "static", "index.html", None),
            Behavior::Forward => ("api-cloudfront", "edge", "ping", Some("front-door")),
            Behavior::EdgeOptimized => ("api-edge-optimized", "edge", "ping", Some("front-door")),
            Behavior::Twice => ("api-twice", "edge", "ping", None),
            Behavior::ByName => ("api-by-name", "edge", "ping", None),
        };
        let url = format!("https://{}:{port}/{path}", distribution.name);
        targets.push(TargetFacts { id: id.to_owned(), kind, url, group, region: None });
    }
    if let Some(api) = world.endpoint(&app.api_region) {
        let url = format!("https://{}:{port}/ping", api.health_name);
        let group = Some("front-door");
        let (id, region) = ("api-regional".to_owned(), Some(api.region.clone()));
        targets.push(TargetFacts { id, kind: "api", url, group, region });
    }
    targets.extend(app.tiers.iter().map(|tier| {
        let kind = match tier.kind {
            TierKind::SignIn => "auth",
            TierKind::Data => "data",
        };
        let url = format!("https://{}:{port}{}", tier.name, tier.path);
        let region = Some(tier.region.clone());
        TargetFacts { id: tier.id.clone(), kind, url, group: None, region }
    }));
    targets
}

#[derive(Serialize)]
struct Config<'a> {
    name: &'a str,
    zone: &'a str,
    vantage: Vec<VantageConfig>,
    endpoint: Vec<EndpointConfig<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    target: Vec<TargetFacts>,
    probe: ProbeConfig<'a>,
    evidence: EvidenceConfig,
    guard: GuardConfig<'a>,
    dns: DnsConfig,
}

#[derive(Serialize)]
struct VantageConfig {
    id: String,
    population: &'static str,
    proxy: String,
    subnet4: String,
    subnet6: String,
}

#[derive(Serialize)]
struct EndpointConfig<'a> {
    id: &'a str,
    region: &'a str,
    kind: &'static str,
    url: String,
    connect_to: String,
    health_url: String,
    region_proof: &'static str,
    alias: AliasFacts,
    metrics: MetricsConfig<'a>,
}

/// Where CloudWatch has what the endpoint's Region publishes of it.
#[derive(Serialize)]
struct MetricsConfig<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    api_id: Option<&'a str>,
    function: &'static str,
    period: String,
}

#[derive(Serialize)]
struct ProbeConfig<'a> {
    interval: String,
    interval_warm: String,
    timeout: String,
    connections: [&'static str; 2],
    ca_file: &'a str,
}

#[derive(Serialize)]
struct EvidenceConfig {
    window: String,
    block: String,
    blocks: u32,
    cold_share: f64,
    cooldown: String,
    volatility_history: String,
}

#[derive(Serialize)]
struct GuardConfig<'a> {
    allow: [&'a str; 1],
    adopt: [&'a str; 1],
    max_traffic_moved: f64,
}

#[derive(Serialize)]
struct DnsConfig {
    servers: [String; 1],
}

/// A complete nearside.toml for a lab: the shortened figures are all in it.
pub(crate) fn nearside_toml(
    world: &World,
    wiring: &Wiring<'_>,
) -> Result<String, toml::ser::Error> {
    let scenario = world.scenario();
    let name = scenario.name.as_str();
    let vantages = vantage_facts(world).into_iter();
    let config = Config {
        name,
        zone: &scenario.zone,
        vantage: vantages.map(|v| vantage_config(v, wiring.socks5)).collect(),
        endpoint: world.endpoints().iter().map(|e| endpoint_config(e, scenario, wiring)).collect(),
        target: target_facts(world, wiring.port),
        probe: probe_config(&scenario.config, wiring.ca),
        evidence: evidence_config(&scenario.config),
        guard: GuardConfig {
            allow: [name],
            adopt: [name],
            max_traffic_moved: scenario.config.max_traffic_moved,
        },
        dns: DnsConfig { servers: [wiring.dns.to_string()] },
    };
    let toml = toml::to_string(&config)?;
    Ok(format!(
        "# Written by the lab, seed {}: its ports change with each start.\n{toml}",
        world.seed()
    ))
}

fn vantage_config(vantage: VantageFacts, socks5: SocketAddr) -> VantageConfig {
    VantageConfig {
        proxy: format!("socks5h://{}:@{socks5}", vantage.id),
        id: vantage.id,
        population: "cloud",
        subnet4: vantage.subnet4,
        subnet6: vantage.subnet6,
    }
}

fn endpoint_config<'a>(
    endpoint: &'a Endpoint,
    scenario: &Scenario,
    wiring: &Wiring<'_>,
) -> EndpointConfig<'a> {
    let (name, port) = (&scenario.name, wiring.port);
    let is_http = endpoint.kind == EndpointKind::Http;
    EndpointConfig {
        id: &endpoint.region,
        region: &endpoint.region,
        kind: match endpoint.kind {
            EndpointKind::Rest | EndpointKind::Http => "regional",
            EndpointKind::Cloudfront => "cloudfront",
        },
        url: format!("https://{name}:{port}/ping"),
        connect_to: format!("{}:{port}", endpoint.dns_name),
        health_url: format!("https://{}:{port}/health", endpoint.health_name),
        region_proof: "x-nearside-region",
        alias: AliasFacts {
            dns_name: endpoint.dns_name.clone(),
            hosted_zone_id: endpoint.hosted_zone_id.clone(),
        },
        metrics: MetricsConfig {
            api_name: (!is_http).then_some(API_NAME),
            api_id: is_http.then_some(endpoint.api_id.as_str()),
            function: API_NAME,
            period: span(u64::from(scenario.metrics_period_s) * 1_000),
        },
    }
}

fn probe_config<'a>(config: &ConfigSpec, ca: &'a str) -> ProbeConfig<'a> {
    ProbeConfig {
        interval: span(config.interval_ms),
        interval_warm: span(config.interval_warm_ms),
        timeout: span(config.timeout_ms),
        connections: ["cold", "warm"],
        ca_file: ca,
    }
}

fn evidence_config(config: &ConfigSpec) -> EvidenceConfig {
    EvidenceConfig {
        window: span(config.window_ms),
        block: span(config.block_ms),
        blocks: config.blocks,
        cold_share: config.cold_share,
        cooldown: span(config.cooldown_s.saturating_mul(1000)),
        volatility_history: span(config.volatility_history_s.saturating_mul(1000)),
    }
}

/// A duration in its largest whole unit: `500ms`, `2s`, `2m`, `4h`.
fn span(ms: u64) -> String {
    match ms {
        0 => "0s".to_owned(),
        _ if ms.is_multiple_of(3_600_000) => format!("{}h", ms / 3_600_000),
        _ if ms.is_multiple_of(60_000) => format!("{}m", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{}s", ms / 1000),
        _ => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_use_the_largest_whole_unit() {
        let table = [(0, "0s"), (500, "500ms"), (2000, "2s"), (120_000, "2m"), (14_400_000, "4h")];
        for (ms, text) in table {
            assert_eq!(span(ms), text);
        }
    }

    #[test]
    fn the_configuration_is_complete_toml() {
        let world = World::generate(&Scenario::demo(), 1).unwrap();
        let socks5 = "127.0.0.1:1080".parse().unwrap();
        let dns = "127.0.0.1:5300".parse().unwrap();
        let wiring = Wiring { port: 8443, dns, socks5, ca: "/tmp/ca.pem" };
        let text = nearside_toml(&world, &wiring).unwrap();
        let parsed: toml::Table = text.parse().unwrap();
        assert_eq!(parsed["vantage"].as_array().unwrap().len(), 12);
        let vantage = &parsed["vantage"][0];
        assert_eq!(vantage["proxy"].as_str(), Some("socks5h://us-east-1:@127.0.0.1:1080"));
        let endpoint = &parsed["endpoint"][3];
        assert_eq!(endpoint["url"].as_str(), Some("https://api.nearside.test:8443/ping"));
        assert_eq!(
            endpoint["health_url"].as_str(),
            Some("https://ap-southeast-1.api.nearside.test:8443/health")
        );
        assert_eq!(endpoint["alias"]["hosted_zone_id"].as_str(), Some("ZL327KTPIQFUL"));
        assert_eq!(endpoint["metrics"]["api_name"].as_str(), Some("api"));
        assert_eq!(endpoint["metrics"]["period"].as_str(), Some("1m"));
        assert_eq!(parsed["probe"]["interval"].as_str(), Some("500ms"));
        assert_eq!(parsed["evidence"]["blocks"].as_integer(), Some(18));
        assert_eq!(parsed["evidence"]["volatility_history"].as_str(), Some("2m"));
        assert_eq!(parsed["guard"]["adopt"][0].as_str(), Some("api.nearside.test"));
        assert_eq!(parsed["dns"]["servers"][0].as_str(), Some("127.0.0.1:5300"));
    }
}
