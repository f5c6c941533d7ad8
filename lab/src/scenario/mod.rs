//! Scenarios: what a world is like, as data. Read from TOML or chosen by name, and validated whole.
//!
//! A scenario chooses places, faults and the figures of the emitted configuration. It cannot touch the
//! formulas that make the world hard.

mod check;
mod spec;

use rand::RngExt;
use serde::Deserialize;

use crate::atlas::Atlas;
use crate::random::{choose, stream};

pub(crate) use check::check_faults;
pub use spec::{
    AppSpec, ConfigSpec, ConnectionFault, EndpointKind, EndpointSpec, Faults, ServiceSpec, WanSpec,
};

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
    #[error("no scenario is called {0:?}: built in are demo, calm, app")]
    UnknownName(String),
    /// The built-in tables do not parse.
    #[error(transparent)]
    Atlas(#[from] crate::atlas::AtlasError),
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
    /// Edges and tiers around the endpoints; without it there are none.
    #[serde(default)]
    pub app: Option<AppSpec>,
    /// TTL of answers that lead to an AWS resource, s. AWS: 60.
    #[serde(default = "minute_s")]
    pub answer_ttl_s: u32,
    /// How often API Gateway and Lambda publish their own metrics, s. AWS: 60.
    #[serde(default = "minute_s")]
    pub metrics_period_s: u32,
}

fn minute_s() -> u32 {
    60
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
            app: None,
            answer_ttl_s: minute_s(),
            metrics_period_s: minute_s(),
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

    /// As `calm`, with `CloudFront` edges, an edge-optimized domain, and the static, sign-in and data tiers.
    #[must_use]
    pub fn app() -> Self {
        Self { app: Some(AppSpec::default()), ..Self::calm() }
    }

    /// A built-in scenario.
    pub fn named(name: &str) -> Result<Self, ScenarioError> {
        match name {
            "demo" => Ok(Self::demo()),
            "calm" => Ok(Self::calm()),
            "app" => Ok(Self::app()),
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        Scenario::from_toml(text).unwrap_err().to_string()
    }

    #[test]
    fn built_in_scenarios_are_valid() {
        for name in ["demo", "calm", "app"] {
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
        assert_eq!(unknown, "no scenario is called \"storm\": built in are demo, calm, app");
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
            (format!("answer_ttl_s = 0\n{one}"), "answer_ttl_s (0) must be 1 to 86400"),
            (
                format!("metrics_period_s = 7\n{one}"),
                "metrics_period_s (7) must be 1, 5, 10, 20, 30 or 60",
            ),
            (
                format!("{one}[app]\nstatic_region = \"mars-1\""),
                "app.static_region (mars-1) must be a Region that Route 53 knows as a latency label",
            ),
            (
                format!("{one}[app]\napi_region = \"sa-east-1\""),
                "app.api_region (sa-east-1) must be the Region of an endpoint of kind rest",
            ),
            (
                format!("{one}[app]\ndata_regions = []"),
                "app.data_regions (0 of them) must be 1 to 39",
            ),
            (format!("{one}[app]\nstatic_ttl_s = 0"), "app.static_ttl_s (0) must be 0.05 to 86400"),
            (
                format!("{one}[app]\nserver_timing_percent = 101"),
                "app.server_timing_percent (101) must be 0 to 100",
            ),
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
