//! The parts of a scenario: plain data and defaults. Checks nothing.

use serde::Deserialize;

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

/// What stands around the endpoints: `CloudFront` in front, and the tiers of one journey.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AppSpec {
    /// Region of the bucket behind the static page.
    pub static_region: String,
    /// How long an edge keeps the static page, s.
    pub static_ttl_s: f64,
    /// Region of the one API behind the edge-optimized domain and behind the API's own distribution: that of a
    /// `rest` endpoint.
    pub api_region: String,
    /// Region of the table that the functions of all endpoints read.
    pub api_data_region: String,
    /// Reads of that table for each request, one after the other, which the function tells in `server-timing`.
    pub api_data_calls: u32,
    /// Region of the user pool.
    pub sign_in_region: String,
    /// Regions whose `DynamoDB` endpoint answers.
    pub data_regions: Vec<String>,
    /// Share of answers of the two distributions with `server-timing` though nobody asked for it, percent.
    pub server_timing_percent: f64,
}

impl Default for AppSpec {
    fn default() -> Self {
        let region = |code: &str| code.to_owned();
        Self {
            static_region: region("us-east-1"),
            static_ttl_s: 60.0,
            api_region: region("us-east-1"),
            api_data_region: region("us-east-1"),
            api_data_calls: 0,
            sign_in_region: region("eu-west-1"),
            data_regions: ["us-east-1", "eu-west-1", "ap-south-1", "ap-southeast-1"]
                .map(region)
                .to_vec(),
            server_timing_percent: 0.0,
        }
    }
}
