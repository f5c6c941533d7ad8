//! What AWS itself publishes of the lab's endpoints: the metrics of API Gateway and Lambda, made of
//! the requests that were really served. Pure.
//!
//! Names, dimensions and units are those of the two services' documents. API Gateway and Lambda
//! publish once a minute and some minutes late; here data are there at once, and more often where a
//! scenario says so.

use super::distribution::Distribution;
use super::metric::MetricKey;
use super::store::Datum;

/// Name of every REST API, and of the function behind every API.
pub(crate) const API_NAME: &str = "api";
/// Stage of a REST API, and of an HTTP API.
const STAGES: [&str; 2] = ["prod", "$default"];

/// A request that an endpoint answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Served {
    /// The Region of the endpoint.
    pub(crate) region: String,
    /// The API's id where it is an HTTP API; REST APIs are known by their name.
    pub(crate) http_api: Option<String>,
    /// When it arrived, in seconds since 1970.
    pub(crate) at_s: i64,
    /// HTTP status.
    pub(crate) status: u16,
    /// From arrival to answer, in ms.
    pub(crate) latency_ms: f64,
    /// Requests in the function at its arrival, this one too; `None` where the function was not asked.
    pub(crate) concurrent: Option<u32>,
}

impl Served {
    /// Every datum that it adds to; `fine` ones can be read by the second.
    pub(super) fn datums(&self, fine: bool) -> Vec<Datum> {
        let mut datums = Vec::new();
        let mut put = |key: MetricKey, unit, value: f64| {
            let mut data = Distribution::default();
            data.add(value, 1.0);
            datums.push(Datum { key, at_s: self.at_s, fine, unit, data });
        };
        let (names, api) = match &self.http_api {
            None => (["4XXError", "5XXError"], ("ApiName", API_NAME)),
            Some(id) => (["4xx", "5xx"], ("ApiId", id.as_str())),
        };
        let stage = ("Stage", STAGES[usize::from(self.http_api.is_some())]);
        let hit = |class: u16| if self.status / 100 == class { 1.0 } else { 0.0 };
        for dimensions in [&[api][..], &[api, stage]] {
            let mut gateway = |name, unit, value| {
                put(MetricKey::new("AWS/ApiGateway", name, dimensions), unit, value);
            };
            gateway("Count", "Count", 1.0);
            gateway(names[0], "Count", hit(4));
            gateway(names[1], "Count", hit(5));
            gateway("Latency", "Milliseconds", self.latency_ms);
            if self.concurrent.is_some() {
                gateway("IntegrationLatency", "Milliseconds", self.latency_ms);
            }
        }
        if let Some(concurrent) = self.concurrent {
            let function = ("FunctionName", API_NAME);
            for dimensions in [&[function][..], &[function, ("Resource", API_NAME)]] {
                let mut lambda = |name, unit, value| {
                    put(MetricKey::new("AWS/Lambda", name, dimensions), unit, value);
                };
                lambda("Invocations", "Count", 1.0);
                lambda("Errors", "Count", hit(5));
                lambda("Throttles", "Count", 0.0);
                lambda("Duration", "Milliseconds", self.latency_ms);
                lambda("ConcurrentExecutions", "Count", f64::from(concurrent));
            }
            // Of the whole account in the Region.
            let account = MetricKey::new("AWS/Lambda", "ConcurrentExecutions", &[]);
            put(account, "Count", f64::from(concurrent));
        }
        datums
    }
}
