//! Scenarios: what a world is like, as data. Read from TOML or chosen by name, and validated whole.
//!
//! A scenario chooses places, faults and the figures of the emitted configuration. It cannot touch the
//! formulas that make the world hard.

use std::collections::BTreeSet;

use rand::RngExt;
use serde::Deserialize;

use crate::atlas::Atlas;
use crate::random::{choose, stream};

/// Fewest clients of a world.
pub const CLIENTS_MIN: usize = 400;
/// Most clients of a world (cities are not used twice).
pub const CLIENTS_MAX: usize = 1900;
/// Most vantages.
pub const VANTAGES_MAX: usize = 39;
/// Most endpoints.
pub const ENDPOINTS_MAX: usize = 34;

/// What is wrong with a scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// Not TOML, or unknown or missing keys.
    #[error("scenario: {0}")]
    Toml(String),
    /// A value outside its bound.
    #[error("scenario: {key} ({value}) {bound}")]
    Value {
        /// The key, as a path.
        key: String,
        /// The value given.
        value: String,
        /// What it must be.
        bound: String,
    },
    /// No built-in scenario has this name.
    #[error("no scenario is called {0:?}: built in are demo, calm")]
    UnknownName(String),
    /// The built-in tables do not parse.
    #[error(transparent)]
    Atlas(#[from] crate::atlas::AtlasError),
}

/// How an endpoint looks from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndpointKind {
    /// A regional REST API.
    #[default]
    Rest,
    /// A regional HTTP API.
    Http,
    /// A regional REST API with CloudFront in front.
    Cloudfront,
}

/// What happens to connections of an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectionFault {
    /// Nothing.
    #[default]
    None,
    /// Nobody listens; open connections are closed.
    Refuse,
    /// Accepted, and then silence, on open connections too.
    Stall,
    /// Accepted, and then reset; open connections are reset.
    Reset,
}

/// Faults of one endpoint; the default is none.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// Share of requests answered with `fail_status`, 0 to 1. Health requests too.
    pub fail_share: f64,
    /// 500 to 599.
    pub fail_status: u16,
    /// What happens to connections.
    pub connections: ConnectionFault,
    /// Added to every answer of the API, ms.
    pub extra_ms: f64,
    /// In place of the drawn service time (`slow_ms` and `extra_ms` are still added), ms.
    pub fixed_service_ms: Option<f64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            fail_share: 0.0,
            fail_status: 503,
            connections: ConnectionFault::None,
            extra_ms: 0.0,
            fixed_service_ms: None,
        }
    }
}

/// An endpoint of the service.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointSpec {
    /// Its Region.
    pub region: String,
    /// A slow backend: added after the draw of the service time, ms.
    #[serde(default)]
    pub slow_ms: f64,
    /// How it looks.
    #[serde(default)]
    pub kind: EndpointKind,
    /// Faults from the start.
    #[serde(default)]
    pub faults: Faults,
}

/// Service time of every endpoint: median x lognormal.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServiceSpec {
    /// Spread of the logarithm. The median is 30 ms and fixed.
    pub sigma: f64,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self { sigma: 0.25 }
    }
}

/// Weather of the WAN, for each chunk one way.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct WanSpec {
    /// Median of the added delay, ms.
    pub jitter_ms: f64,
    /// Spread of its logarithm.
    pub jitter_sigma: f64,
    /// Share of chunks that are lost once.
    pub loss: f64,
    /// Least retransmission delay, ms (a round trip is added).
    pub retransmit_ms: f64,
}

impl Default for WanSpec {
    fn default() -> Self {
        Self { jitter_ms: 0.3, jitter_sigma: 0.7, loss: 0.0005, retransmit_ms: 200.0 }
    }
}

/// Figures of the emitted nearside.toml.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConfigSpec {
    /// Between two cold samples of a series, ms.
    pub interval_ms: u64,
    /// Between two warm samples of a series, ms.
    pub interval_warm_ms: u64,
    /// Of one sample, ms.
    pub timeout_ms: u64,
    /// A window, ms.
    pub window_ms: u64,
    /// A block, ms: a multiple of the window.
    pub block_ms: u64,
    /// Blocks of evidence.
    pub blocks: u32,
    /// Share of cold connections in the cost.
    pub cold_share: f64,
    /// Cool-down of a label, s.
    pub cooldown_s: u64,
    /// History for volatility, s.
    pub volatility_history_s: u64,
    /// Share of the traffic one plan may move.
    pub max_traffic_moved: f64,
}

impl Default for ConfigSpec {
    fn default() -> Self {
        Self {
            interval_ms: 500,
            interval_warm_ms: 1000,
            timeout_ms: 3000,
            window_ms: 2000,
            block_ms: 2000,
            blocks: 18,
            cold_share: 0.2,
            cooldown_s: 0,
            volatility_history_s: 120,
            max_traffic_moved: 0.25,
        }
    }
}

/// A world to be.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The service's name.
    #[serde(default = "default_name")]
    pub name: String,
    /// The hosted zone it lies in.
    #[serde(default = "default_zone")]
    pub zone: String,
    /// Regions that measure; an id is the Region's code.
    #[serde(default = "default_vantages")]
    pub vantages: Vec<String>,
    /// How many client prefixes.
    #[serde(default = "default_clients")]
    pub clients: usize,
    /// The endpoints.
    #[serde(rename = "endpoint")]
    pub endpoints: Vec<EndpointSpec>,
    /// Service times.
    #[serde(default)]
    pub service: ServiceSpec,
    /// Weather of the WAN.
    #[serde(default)]
    pub wan: WanSpec,
    /// Figures of the emitted configuration.
    #[serde(default)]
    pub config: ConfigSpec,
}

fn default_name() -> String {
    "api.nearside.test".to_owned()
}

fn default_zone() -> String {
    "nearside.test".to_owned()
}

fn default_clients() -> usize {
    CLIENTS_MIN
}

fn default_vantages() -> Vec<String> {
    [
        "us-east-1",
        "us-west-2",
        "mx-central-1",
        "sa-east-1",
        "eu-west-1",
        "eu-central-1",
        "af-south-1",
        "me-central-1",
        "ap-south-1",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-northeast-1",
    ]
    .map(str::to_owned)
    .to_vec()
}

impl EndpointSpec {
    /// A regional REST endpoint without faults.
    #[must_use]
    pub fn new(region: &str, slow_ms: f64) -> Self {
        Self {
            region: region.to_owned(),
            slow_ms,
            kind: EndpointKind::Rest,
            faults: Faults::default(),
        }
    }
}

impl Scenario {
    /// Endpoints in four Regions, none of them slow.
    #[must_use]
    pub fn calm() -> Self {
        Self {
            name: default_name(),
            zone: default_zone(),
            vantages: default_vantages(),
            clients: default_clients(),
            endpoints: ["us-east-1", "eu-west-1", "ap-south-1", "ap-southeast-1"]
                .map(|region| EndpointSpec::new(region, 0.0))
                .to_vec(),
            service: ServiceSpec::default(),
            wan: WanSpec::default(),
            config: ConfigSpec::default(),
        }
    }

    /// As `calm`, with a backend in ap-southeast-1 that is 150 ms slower, which no network distance shows.
    ///
    /// The catchment of that label holds more than the product's default of a quarter of the traffic, so the
    /// emitted configuration states the larger limit.
    #[must_use]
    pub fn demo() -> Self {
        let mut scenario = Self::calm();
        for endpoint in &mut scenario.endpoints {
            if endpoint.region == "ap-southeast-1" {
                endpoint.slow_ms = 150.0;
            }
        }
        scenario.config.max_traffic_moved = 0.6;
        scenario
    }

    /// A built-in scenario.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        match name {
            "demo" => Ok(Self::demo()),
            "calm" => Ok(Self::calm()),
            _ => Err(ScenarioError::UnknownName(name.to_owned())),
        }
    }

    /// A random scenario for tests of planners: 12 vantages among the 33 measured Regions, 4 endpoints in
    /// Regions of vantages, one of them slow by a constant drawn evenly from 0 to 250 ms.
    pub fn random(seed: u64) -> Result<Self, ScenarioError> {
        let slow_ms = stream(seed, "scenario slow", 0).random_range(0.0..250.0);
        Self::random_with(seed, slow_ms)
    }

    /// As [`Scenario::random`], with a given constant in ms.
    pub fn random_with(seed: u64, slow_ms: f64) -> Result<Self, ScenarioError> {
        let atlas = Atlas::built_in()?;
        let measured: Vec<&str> =
            atlas.regions.iter().filter(|r| r.measured).map(|r| r.code.as_str()).collect();
        let picked = choose(&mut stream(seed, "scenario vantages", 0), measured.len(), 12);
        let vantages: Vec<String> = picked.iter().map(|&i| measured[i].to_owned()).collect();
        // The order of `picked` is random, so its head is a random choice of endpoints.
        let endpoints = vantages
            .iter()
            .take(4)
            .enumerate()
            .map(|(i, region)| EndpointSpec::new(region, if i == 0 { slow_ms } else { 0.0 }))
            .collect();
        let mut scenario = Self { vantages, endpoints, ..Self::calm() };
        scenario.config.max_traffic_moved = 1.0;
        scenario.validated()
    }

    /// Reads a scenario from TOML and validates it.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self =
            toml::from_str(text).map_err(|e| ScenarioError::Toml(e.to_string().trim().into()))?;
        scenario.validated()
    }

    /// Checks every value against its bound.
    pub fn validated(self) -> Result<Self, ScenarioError> {
        self.check_names()?;
        self.check_places()?;
        self.check_draws()?;
        self.check_config()?;
        Ok(self)
    }

    fn check_names(&self) -> Result<(), ScenarioError> {
        for (key, name) in [("zone", &self.zone), ("name", &self.name)] {
            if !is_host(name) {
                return Err(bad(key, name, "must be a lower-case host name without a final dot"));
            }
        }
        if self.name != self.zone && !self.name.ends_with(&format!(".{}", self.zone)) {
            return Err(bad("name", &self.name, &format!("must lie in the zone {}", self.zone)));
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), ScenarioError> {
        let atlas = Atlas::built_in()?;
        let clients = CLIENTS_MIN..=CLIENTS_MAX;
        if !clients.contains(&self.clients) {
            let bound = format!("must be {CLIENTS_MIN} to {CLIENTS_MAX}");
            return Err(bad("clients", &self.clients, &bound));
        }
        check_count("vantages", self.vantages.len(), VANTAGES_MAX)?;
        check_count("endpoint", self.endpoints.len(), ENDPOINTS_MAX)?;
        let vantages = self.vantages.iter().map(String::as_str);
        check_regions("vantages", vantages, &atlas)?;
        let regions = self.endpoints.iter().map(|e| e.region.as_str());
        check_regions("endpoint.region", regions, &atlas)?;
        for endpoint in &self.endpoints {
            let known = atlas.index_of(&endpoint.region).map(|i| &atlas.regions[i]);
            if known.is_none_or(|r| r.apigateway_zone.is_none() || !r.commercial()) {
                let bound = "must be a commercial Region whose API Gateway zone id is known";
                return Err(bad("endpoint.region", &endpoint.region, bound));
            }
            check_endpoint(endpoint)?;
        }
        let fronted = |e: &&EndpointSpec| e.kind == EndpointKind::Cloudfront;
        let fronted = self.endpoints.iter().filter(fronted).count();
        if fronted > 1 {
            let bound = "endpoints of kind cloudfront: a name can live in one distribution only";
            return Err(bad("endpoint.kind", &fronted, bound));
        }
        Ok(())
    }

    fn check_draws(&self) -> Result<(), ScenarioError> {
        check_number("service.sigma", self.service.sigma, 0.0, 2.0)?;
        check_number("wan.jitter_ms", self.wan.jitter_ms, 0.0, 100.0)?;
        check_number("wan.jitter_sigma", self.wan.jitter_sigma, 0.0, 2.0)?;
        check_number("wan.loss", self.wan.loss, 0.0, 0.5)?;
        check_number("wan.retransmit_ms", self.wan.retransmit_ms, 0.0, 10_000.0)
    }

    fn check_config(&self) -> Result<(), ScenarioError> {
        let config = &self.config;
        for (key, value, least) in [
            ("config.interval_ms", config.interval_ms, 10),
            ("config.interval_warm_ms", config.interval_warm_ms, 10),
            ("config.timeout_ms", config.timeout_ms, 10),
            ("config.window_ms", config.window_ms, 1000),
            ("config.block_ms", config.block_ms, config.window_ms),
        ] {
            let bound = format!("must be {least} to 86400000");
            if !(least..=86_400_000).contains(&value) {
                return Err(bad(key, &value, &bound));
            }
        }
        if !config.block_ms.is_multiple_of(config.window_ms) {
            let bound = format!("must be a multiple of config.window_ms ({})", config.window_ms);
            return Err(bad("config.block_ms", &config.block_ms, &bound));
        }
        if !(1..=10_000).contains(&config.blocks) {
            return Err(bad("config.blocks", &config.blocks, "must be 1 to 10000"));
        }
        check_number("config.cold_share", config.cold_share, 0.0, 1.0)?;
        check_number("config.max_traffic_moved", config.max_traffic_moved, 0.0, 1.0)
    }
}

/// Checks faults of one endpoint, also when they are set while it runs.
pub(crate) fn check_faults(faults: &Faults) -> Result<(), ScenarioError> {
    check_number("endpoint.faults.fail_share", faults.fail_share, 0.0, 1.0)?;
    check_number("endpoint.faults.extra_ms", faults.extra_ms, 0.0, 60_000.0)?;
    if let Some(fixed) = faults.fixed_service_ms {
        check_number("endpoint.faults.fixed_service_ms", fixed, 0.0, 60_000.0)?;
    }
    if (500..=599).contains(&faults.fail_status) {
        return Ok(());
    }
    Err(bad("endpoint.faults.fail_status", &faults.fail_status, "must be 500 to 599"))
}

fn check_endpoint(endpoint: &EndpointSpec) -> Result<(), ScenarioError> {
    check_number("endpoint.slow_ms", endpoint.slow_ms, 0.0, 60_000.0)?;
    check_faults(&endpoint.faults)
}

fn check_count(key: &str, count: usize, most: usize) -> Result<(), ScenarioError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(bad(key, &format!("{count} of them"), &format!("must be 1 to {most}")))
}

fn check_regions<'a>(
    key: &str,
    codes: impl Iterator<Item = &'a str>,
    atlas: &Atlas,
) -> Result<(), ScenarioError> {
    let mut seen = BTreeSet::new();
    for code in codes {
        if atlas.index_of(code).is_none() {
            return Err(bad(key, &code, "must be a Region that Route 53 knows as a latency label"));
        }
        if !seen.insert(code) {
            return Err(bad(key, &code, "must be named once"));
        }
    }
    Ok(())
}

fn check_number(key: &str, value: f64, least: f64, most: f64) -> Result<(), ScenarioError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(bad(key, &value, &format!("must be {least} to {most}")))
}

fn bad(key: &str, value: &dyn std::fmt::Display, bound: &str) -> ScenarioError {
    ScenarioError::Value { key: key.into(), value: value.to_string(), bound: bound.into() }
}

fn is_host(name: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 200 && name.contains('.') && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Scenario::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn built_in_scenarios_are_valid() {
        for name in ["demo", "calm"] {
            let scenario = Scenario::named(name).unwrap().validated().unwrap();
            assert_eq!(scenario.vantages.len(), 12);
            assert_eq!(scenario.endpoints.len(), 4);
            for endpoint in &scenario.endpoints {
                assert!(scenario.vantages.contains(&endpoint.region));
            }
        }
        let slow = |s: &Scenario| s.endpoints.iter().map(|e| e.slow_ms).sum::<f64>();
        assert!((slow(&Scenario::demo()) - 150.0).abs() < 1e-9);
        assert!(slow(&Scenario::calm()) < 1e-9);
        let unknown = Scenario::named("storm").unwrap_err().to_string();
        assert_eq!(unknown, "no scenario is called \"storm\": built in are demo, calm");
    }

    #[test]
    fn each_rule_names_key_value_and_bound() {
        let one = "[[endpoint]]\nregion = \"eu-west-1\"\n";
        let table: &[(String, &str)] = &[
            (format!("clients = 399\n{one}"), "clients (399) must be 400 to 1900"),
            ("endpoint = []".into(), "endpoint (0 of them) must be 1 to 34"),
            (format!("vantages = []\n{one}"), "vantages (0 of them) must be 1 to 39"),
            (
                "[[endpoint]]\nregion = \"me-west-1\"".into(),
                "endpoint.region (me-west-1) must be a Region that Route 53 knows as a latency label",
            ),
            (
                "[[endpoint]]\nregion = \"ap-southeast-6\"".into(),
                "endpoint.region (ap-southeast-6) must be a commercial Region whose API Gateway zone \
                 id is known",
            ),
            (format!("{one}{one}"), "endpoint.region (eu-west-1) must be named once"),
            (
                format!("zone = \"Nearside.test\"\n{one}"),
                "zone (Nearside.test) must be a lower-case host name without a final dot",
            ),
            (
                format!("name = \"api.example.test\"\n{one}"),
                "name (api.example.test) must lie in the zone nearside.test",
            ),
            (format!("{one}slow_ms = -1"), "endpoint.slow_ms (-1) must be 0 to 60000"),
            (
                format!("{one}faults = {{ fail_share = 1.5 }}"),
                "endpoint.faults.fail_share (1.5) must be 0 to 1",
            ),
            (
                format!("{one}faults = {{ fail_status = 404 }}"),
                "endpoint.faults.fail_status (404) must be 500 to 599",
            ),
            (format!("{one}[wan]\nloss = 0.9"), "wan.loss (0.9) must be 0 to 0.5"),
            (format!("{one}[service]\nsigma = nan"), "service.sigma (NaN) must be 0 to 2"),
            (
                format!("{one}[config]\nblock_ms = 3000"),
                "config.block_ms (3000) must be a multiple of config.window_ms (2000)",
            ),
            (format!("{one}[config]\nblocks = 0"), "config.blocks (0) must be 1 to 10000"),
        ];
        for (text, expected) in table {
            assert_eq!(message(text), format!("scenario: {expected}"), "{text}");
        }
    }

    #[test]
    fn unknown_keys_and_the_fixed_median_are_refused() {
        let one = "[[endpoint]]\nregion = \"eu-west-1\"\n";
        assert!(message(&format!("colour = 1\n{one}")).contains("unknown field `colour`"));
        let median = message(&format!("{one}[service]\nmedian_ms = 1"));
        assert!(median.contains("unknown field `median_ms`"), "{median}");
        assert!(message("name = ").starts_with("scenario: TOML parse error"));
        let two =
            "kind = \"cloudfront\"\n[[endpoint]]\nregion = \"us-east-1\"\nkind = \"cloudfront\"";
        assert!(message(&format!("{one}{two}")).contains("one distribution only"));
    }

    #[test]
    fn random_scenarios_keep_their_shape() {
        for seed in 0..50 {
            let scenario = Scenario::random(seed).unwrap();
            assert_eq!(scenario, Scenario::random(seed).unwrap());
            assert_eq!((scenario.vantages.len(), scenario.endpoints.len()), (12, 4));
            assert!(scenario.endpoints.iter().all(|e| scenario.vantages.contains(&e.region)));
            assert_eq!(scenario.endpoints.iter().filter(|e| e.slow_ms > 0.0).count(), 1);
        }
        assert_ne!(Scenario::random(1).unwrap().vantages, Scenario::random(2).unwrap().vantages);
    }
}
