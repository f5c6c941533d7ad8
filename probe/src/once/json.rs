//! The wire types of `probe once --json`. Their names are a contract; the domain types are not.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Percentiles, Report, UrlSample, UrlSummary};
use crate::place::city_of_pop;
use crate::sample::{DnsAnswer, Outcome, Phase};

/// The whole document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Document {
    /// The samples, in the order they were due.
    pub samples: Vec<JsonSample>,
    /// One summary for each URL.
    pub summary: Vec<JsonSummary>,
}

/// One sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JsonSample {
    /// The URL.
    pub url: String,
    /// When it was due, from the start of the run.
    pub due_us: u64,
    /// When it was sent, from the start of the run.
    pub sent_us: u64,
    /// The phases that are there.
    pub phases_us: BTreeMap<&'static str, u64>,
    /// The prober's own time.
    pub local_us: u64,
    /// From sent to the end.
    pub total_us: u64,
    /// `kernel` or `user`.
    pub clock: &'static str,
    /// How it ended.
    pub outcome: JsonOutcome,
    /// `cold`, `resumed` or `warm`.
    pub connection: &'static str,
    /// `1.1` or `2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http: Option<&'static str>,
    /// IP:PORT.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// `1.2` or `1.3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls_version: Option<&'static str>,
    /// Whether TLS resumed a session.
    pub resumed: bool,
    /// `CloudFront`'s point of presence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop: Option<String>,
    /// The city of the point of presence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pop_city: Option<&'static str>,
    /// The cache's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cache: Option<String>,
    /// Of `processing`: to the edge and back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_edge_us: Option<u64>,
    /// Of `processing`: the edge itself, and what lies beyond it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beyond_edge_us: Option<u64>,
    /// What the name resolved to.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dns: Vec<JsonDns>,
}

/// One address that DNS answered with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JsonDns {
    /// The address.
    pub address: String,
    /// How long it may be kept, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u32>,
}

/// How a sample ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JsonOutcome {
    /// One of the outcome kinds.
    pub kind: &'static str,
    /// The HTTP status, where a head came.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// What went wrong, where the kind alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What one URL's samples come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct JsonSummary {
    /// The URL.
    pub url: String,
    /// How many samples.
    pub n: u64,
    /// How many failed.
    pub failures: u64,
    /// Percentiles of the response; a failure counts as slower than the timeout.
    #[serde(flatten)]
    pub response: JsonPercentiles,
    /// Percentiles of each phase that is there.
    pub phases_us: BTreeMap<&'static str, JsonPercentiles>,
}

/// Three percentiles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JsonPercentiles {
    /// The median.
    pub p50_us: u64,
    /// The 90th percentile.
    pub p90_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
}

impl From<&Report> for Document {
    fn from(report: &Report) -> Self {
        Self {
            samples: report.samples.iter().map(JsonSample::from).collect(),
            summary: report.summary.iter().map(JsonSummary::from).collect(),
        }
    }
}

impl From<&UrlSample> for JsonSample {
    fn from(one: &UrlSample) -> Self {
        let sample = &one.sample;
        let us = |d: std::time::Duration| u64::try_from(d.as_micros()).unwrap_or(u64::MAX);
        let phases = Phase::ALL.into_iter();
        let split = sample.attribution.edge_split(sample.phases.processing_us);
        Self {
            url: one.url.clone(),
            due_us: us(sample.due),
            sent_us: us(sample.sent),
            phases_us: phases
                .filter_map(|phase| sample.phases.get(phase).map(|us| (phase.as_str(), us)))
                .collect(),
            local_us: sample.local_us,
            total_us: sample.total_us,
            clock: sample.clock.as_str(),
            outcome: JsonOutcome::from(&sample.outcome),
            connection: sample.connection.as_str(),
            http: sample.http.map(crate::sample::HttpVersion::as_str),
            remote: sample.remote.map(|remote| remote.to_string()),
            tls_version: sample.tls_version.map(crate::sample::TlsVersion::as_str),
            resumed: sample.resumed,
            pop_city: sample.attribution.pop.as_deref().and_then(city_of_pop),
            pop: sample.attribution.pop.clone(),
            cache: sample.attribution.cache.clone(),
            to_edge_us: split.map(|split| split.to_edge_us),
            beyond_edge_us: split.map(|split| split.beyond_us),
            dns: sample.dns.iter().map(JsonDns::from).collect(),
        }
    }
}

impl From<&DnsAnswer> for JsonDns {
    fn from(answer: &DnsAnswer) -> Self {
        Self { address: answer.address.to_string(), ttl_s: answer.ttl_s }
    }
}

impl From<&Outcome> for JsonOutcome {
    fn from(outcome: &Outcome) -> Self {
        Self {
            kind: outcome.kind(),
            status: outcome.status(),
            detail: outcome.detail().map(str::to_owned),
        }
    }
}

impl From<&UrlSummary> for JsonSummary {
    fn from(summary: &UrlSummary) -> Self {
        let phases = summary.phases.iter();
        Self {
            url: summary.url.clone(),
            n: summary.n,
            failures: summary.failures,
            response: JsonPercentiles::from(summary.response),
            phases_us: phases
                .map(|(phase, found)| (phase.as_str(), JsonPercentiles::from(*found)))
                .collect(),
        }
    }
}

impl From<Percentiles> for JsonPercentiles {
    fn from(found: Percentiles) -> Self {
        Self { p50_us: found.p50_us, p90_us: found.p90_us, p99_us: found.p99_us }
    }
}
