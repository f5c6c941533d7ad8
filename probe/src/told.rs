//! What the headers of answers told: how long parts of the work took, and which way the answers came.
//!
//! It folds and bounds outside text; it parses no header, reads no clock and draws no conclusion.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::histogram::Histogram;
use crate::sample::Attribution;

/// Most metrics that are told apart; what comes after goes to [`OTHER`].
pub(crate) const METRICS_MAX: usize = 16;
/// Most ways that are told apart; what comes after is counted without its Region.
pub(crate) const WAYS_MAX: usize = 16;
/// Most characters of a metric's or a Region's name.
const NAME_MAX: usize = 64;
/// Where the metrics go that have no name of their own.
pub(crate) const OTHER: &str = "other";
/// What stands in `via` for each hop through `CloudFront`.
const EDGE_HOP: &str = ".cloudfront.net (CloudFront)";

/// Which way an answer came.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Way {
    /// Hops through `CloudFront`, by `via`.
    pub edges: u8,
    /// Whether API Gateway's own headers were there.
    pub is_api: bool,
    /// The Region that the answer names by the endpoint's `region_proof`; empty where it names none.
    pub region: String,
}

impl Way {
    /// The way that these headers tell; `None` where no edge was passed.
    #[must_use]
    pub fn of(attribution: &Attribution) -> Option<Self> {
        let hops = attribution.via.as_deref().unwrap_or_default().matches(EDGE_HOP).count();
        let edges = u8::try_from(hops).unwrap_or(u8::MAX);
        (edges > 0).then(|| Self {
            edges,
            is_api: attribution.api_gateway().is_some(),
            region: clipped(attribution.region.as_deref().unwrap_or_default()),
        })
    }
}

/// What the answers of one series told, in one window.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// What each metric of `server-timing` took in one answer, in microseconds. A metric that an
    /// answer has several times counts with its sum.
    pub timings: BTreeMap<String, Histogram>,
    /// How many answers came which way through `CloudFront`.
    pub ways: BTreeMap<Way, u64>,
}

impl Told {
    /// Counts the headers of one success.
    pub fn add(&mut self, attribution: &Attribution) {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for timing in &attribution.server_timing {
            if let Some(ms) = timing.duration_ms.filter(|ms| *ms >= 0.0) {
                *sums.entry(&timing.name).or_insert(0.0) += ms;
            }
        }
        for (name, ms) in sums {
            let Ok(took) = Duration::try_from_secs_f64(ms / 1_000.0) else { continue };
            let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            self.timings.entry(self.metric(name)).or_default().record(us);
        }
        if let Some(way) = Way::of(attribution) {
            let way = if self.has_room(&way) { way } else { Way { region: String::new(), ..way } };
            *self.ways.entry(way).or_insert(0) += 1;
        }
    }

    /// The metric's name, as long as there is room for it.
    fn metric(&self, name: &str) -> String {
        let name = clipped(name);
        let has_room = self.timings.len() < METRICS_MAX || self.timings.contains_key(&name);
        if has_room { name } else { OTHER.to_owned() }
    }

    fn has_room(&self, way: &Way) -> bool {
        self.ways.len() < WAYS_MAX || self.ways.contains_key(way)
    }
}

fn clipped(name: &str) -> String {
    name.chars().take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::ServerTiming;

    fn timing(name: &str, ms: f64) -> ServerTiming {
        ServerTiming { name: name.to_owned(), duration_ms: Some(ms), description: None }
    }

    fn via(hops: usize) -> Attribution {
        let hop = "1.1 0f.cloudfront.net (CloudFront)";
        let via = (hops > 0).then(|| vec![hop; hops].join(", "));
        Attribution { via, ..Attribution::default() }
    }

    #[test]
    fn a_metric_counts_with_its_sum_and_other_takes_what_has_no_room() {
        let mut told = Told::default();
        let server_timing = vec![timing("dynamodb", 4.0), timing("dynamodb", 8.0)];
        told.add(&Attribution { server_timing, ..Attribution::default() });
        assert_eq!(told.timings["dynamodb"].quantile_us(0.5), Some(12_007));
        for n in 0..40 {
            let server_timing = vec![timing(&format!("m{n}"), 1.0), timing("bad", f64::NAN)];
            told.add(&Attribution { server_timing, ..Attribution::default() });
        }
        assert_eq!(told.timings.len(), METRICS_MAX + 1);
        assert_eq!(told.timings[OTHER].len(), 40 - (METRICS_MAX as u64 - 1));
        assert!(!told.timings.contains_key("bad"));
    }

    #[test]
    fn ways_are_told_by_via_and_bounded() {
        let mut told = Told::default();
        told.add(&via(0));
        assert!(told.ways.is_empty());
        for n in 0..40 {
            let region = Some(format!("r{}", n % 20));
            let apigw_rest_id = Some("a=".to_owned());
            told.add(&Attribution { apigw_rest_id, region, ..via(2) });
        }
        assert_eq!(told.ways.len(), WAYS_MAX + 1);
        assert_eq!(told.ways.values().sum::<u64>(), 40);
        let rest = Way { edges: 2, is_api: true, region: String::new() };
        assert_eq!(told.ways[&rest], 8);
    }
}
