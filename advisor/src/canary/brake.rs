//! The brake: what brings traffic back on the old arm when the advisor is silent.
//!
//! A dead man's metric. Each beat says 1 for the minute that runs, and 0 for the one after: whoever
//! lives overwrites the 0 with a 1 in time, since the alarm looks at the largest value of a minute. When
//! beats stop, for whatever reason, the minute after the last beat has a 0 and nothing else, the alarm's
//! data breach as soon as it is over, and Route 53 takes the new arm out of answers by its health check.
//! No call has to succeed for that. Names, figures and the seam; it calls nobody.

use std::future::Future;

use crate::apply::BRAKE_PREFIX;
use crate::digest::sha256_hex;
use crate::name::Name;
use crate::zone::BrakeSpec;

/// The period of the alarm: the shortest that Route 53 follows.
pub const BEAT_PERIOD_MS: i64 = 60_000;
/// The metric's namespace.
pub const BEAT_NAMESPACE: &str = "Nearside/Canary";
/// The metric's name.
pub const BEAT_METRIC: &str = "canary_heartbeat";
/// The metric's one dimension: the service name.
pub const BEAT_DIMENSION: &str = "service";

/// The brake of a service: the alarm of all its canaries, and the health check of one that is planned
/// when the lock has this generation.
#[must_use]
pub fn brake_spec(zone_id: &str, service: &Name, region: &str, generation: u64) -> BrakeSpec {
    let identity = format!("{zone_id} {service}");
    let alarm = format!("{BRAKE_PREFIX}{}", &sha256_hex(identity.as_bytes())[..12]);
    BrakeSpec {
        caller_reference: format!("{alarm}-g{generation}"),
        region: region.to_owned(),
        alarm,
    }
}

/// What one beat publishes: times in milliseconds since the epoch, and values. The first also speaks
/// for the minute before, so that the alarm has a whole minute of data at once.
#[must_use]
pub fn beat(now_ms: i64, is_first: bool) -> Vec<(i64, f64)> {
    let minute_ms = now_ms.div_euclid(BEAT_PERIOD_MS) * BEAT_PERIOD_MS;
    let before = is_first.then_some((minute_ms - BEAT_PERIOD_MS, 1.0));
    before.into_iter().chain([(minute_ms, 1.0), (minute_ms + BEAT_PERIOD_MS, 0.0)]).collect()
}

/// The alarm and its metric. Every call is bounded in time by the implementation.
pub trait Brake: Send + Sync {
    /// Makes the alarm, or makes it again.
    fn arm(&self) -> impl Future<Output = Result<(), String>> + Send;

    /// Publishes one beat.
    fn publish(&self, values: &[(i64, f64)]) -> impl Future<Output = Result<(), String>> + Send;

    /// Deletes the alarm, which no health check may follow any more.
    fn disarm(&self) -> impl Future<Output = Result<(), String>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest value of each minute, as the alarm sees it.
    fn minutes(beats: &[Vec<(i64, f64)>], minute: i64) -> Option<f64> {
        let of_minute = |(at_ms, _): &&(i64, f64)| at_ms.div_euclid(BEAT_PERIOD_MS) == minute;
        beats.iter().flatten().filter(of_minute).map(|(_, value)| *value).reduce(f64::max)
    }

    #[test]
    fn whoever_lives_says_so_in_time_and_the_minute_after_the_last_beat_breaches() {
        for last_ms in [600_000, 612_345, 659_999] {
            let times = (0_i64..).map(|beat| 300_500 + beat * 10_000);
            let times = times.take_while(|at_ms| *at_ms < last_ms).chain([last_ms]);
            let beats: Vec<_> = times.enumerate().map(|(at, ms)| beat(ms, at == 0)).collect();
            for minute in 4..=10 {
                assert_eq!(minutes(&beats, minute), Some(1.0), "{last_ms}, minute {minute}");
            }
            assert_eq!(minutes(&beats, 11), Some(0.0), "{last_ms}: it breaches when 11 is over");
            assert_eq!(minutes(&beats, 12), None);
        }
    }

    #[test]
    fn names_are_within_their_bounds() {
        let service = Name::parse("api.example.com").unwrap();
        let spec = brake_spec("Z1", &service, "us-east-1", u64::MAX);
        // An operation adds nine characters; Route 53 takes 64.
        assert!(spec.caller_reference.len() + 9 <= 64, "{spec:?}");
        assert!(spec.caller_reference.starts_with(&spec.alarm));
        assert_ne!(brake_spec("Z2", &service, "us-east-1", 1).alarm, spec.alarm);
    }
}
