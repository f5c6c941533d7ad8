//! `nearside.toml` as it is written: strings and numbers, nothing checked but names and types.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub name: Option<String>,
    pub zone: Option<String>,
    pub stateless: Option<bool>,
    pub candidates: Option<RawCandidates>,
    pub candidate_url: Option<String>,
    #[serde(default)]
    pub vantage: Vec<RawVantage>,
    #[serde(default)]
    pub endpoint: Vec<RawEndpoint>,
    #[serde(default)]
    pub target: Vec<RawTarget>,
    #[serde(default)]
    pub journey: Vec<RawJourney>,
    #[serde(default)]
    pub probe: RawProbe,
    #[serde(default)]
    pub evidence: RawEvidence,
    #[serde(default)]
    pub guard: RawGuard,
    #[serde(default)]
    pub dns: RawDns,
    #[serde(default)]
    pub slo: Vec<RawSlo>,
    pub traffic: Option<RawTraffic>,
    pub cloudwatch: Option<RawCloudWatch>,
    #[serde(default)]
    pub aws: RawAws,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawVantage {
    pub id: String,
    pub population: Option<String>,
    pub proxy: Option<String>,
    pub subnet4: Option<String>,
    pub subnet6: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEndpoint {
    pub id: String,
    pub region: String,
    pub kind: Option<String>,
    pub url: String,
    pub connect_to: Option<String>,
    pub health_url: Option<String>,
    pub region_proof: Option<String>,
    pub capacity: Option<f64>,
    pub alias: Option<RawAlias>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlias {
    pub dns_name: String,
    pub hosted_zone_id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTarget {
    pub id: String,
    pub kind: String,
    pub url: String,
    pub group: Option<String>,
    pub http: Option<String>,
    pub addresses: Option<String>,
    pub region: Option<String>,
    pub connect_to: Option<String>,
    pub resolver: Option<String>,
    pub method: Option<String>,
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    pub body: Option<String>,
    pub expect_status: Option<Vec<i64>>,
    pub expect_body: Option<String>,
    pub body_limit_bytes: Option<i64>,
    pub client_cert: Option<String>,
    pub client_key: Option<String>,
    pub server_timing: Option<bool>,
}

/// `candidates`: the word `all`, or a list of Regions.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum RawCandidates {
    Word(String),
    List(Vec<String>),
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawJourney {
    pub id: String,
    pub steps: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProbe {
    pub interval: Option<String>,
    pub interval_warm: Option<String>,
    pub timeout: Option<String>,
    pub connections: Option<Vec<String>>,
    pub ca_file: Option<String>,
    pub max_in_flight: Option<i64>,
    pub clock: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEvidence {
    pub window: Option<String>,
    pub block: Option<String>,
    pub blocks: Option<i64>,
    pub alpha: Option<f64>,
    pub min_gain_ms: Option<f64>,
    pub min_gain_share: Option<f64>,
    pub harm_ms: Option<f64>,
    pub triangle_ms: Option<f64>,
    pub cold_share: Option<f64>,
    pub stale: Option<String>,
    pub quantile: Option<f64>,
    pub cooldown: Option<String>,
    pub volatility_history: Option<String>,
    pub volatile_blocks: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawGuard {
    pub allow: Option<Vec<String>>,
    pub adopt: Option<Vec<String>>,
    pub max_traffic_moved: Option<f64>,
    pub freeze: Option<Vec<String>>,
    pub allow_cloud_only: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDns {
    pub servers: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSlo {
    pub target: String,
    pub quantile: f64,
    pub limit_ms: f64,
    pub share: f64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTraffic {
    pub file: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCloudWatch {
    pub namespace: String,
    pub region: String,
    pub max_metrics: Option<i64>,
    pub phases: Option<Vec<String>>,
    pub spool: Option<String>,
    pub spool_mib: Option<i64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAws {
    pub zone_role: Option<String>,
    pub api_role: Option<String>,
}
