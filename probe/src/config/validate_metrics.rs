//! `endpoint.metrics` of `nearside.toml`: where a Region's own figures of an endpoint are.

use std::time::Duration;

use super::duration::format_duration;
use super::raw::RawMetrics;
use super::validate::{duration, invalid, invalid_text, number};
use super::{ApiDimension, ConfigError, EndpointMetrics};

type Checked<T> = Result<T, ConfigError>;

pub(super) fn validate_metrics(key: &str, raw: &RawMetrics) -> Checked<EndpointMetrics> {
    let of = |field: &str| format!("{key}.{field}");
    let concurrency = raw.concurrency.or(Some(1_000.0));
    Ok(EndpointMetrics {
        api: api(key, raw)?,
        function: dimension(&of("function"), &raw.function)?,
        concurrency: number(&of("concurrency"), concurrency, 1.0, 1e6)?,
        period: period(&of("period"), raw.period.as_deref().unwrap_or("1m"))?,
    })
}

fn api(key: &str, raw: &RawMetrics) -> Checked<ApiDimension> {
    match (&raw.api_name, &raw.api_id) {
        (Some(name), None) => Ok(ApiDimension::Name(dimension(&format!("{key}.api_name"), name)?)),
        (None, Some(id)) => Ok(ApiDimension::Id(dimension(&format!("{key}.api_id"), id)?)),
        (name, _) => {
            let given = if name.is_some() { "both" } else { "neither" };
            let bound = "must have either api_name (of a REST API) or api_id (of an HTTP API)";
            Err(invalid(key, given, bound))
        }
    }
}

/// The value of a dimension.
fn dimension(key: &str, text: &str) -> Checked<String> {
    if (1..=255).contains(&text.len()) && text.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Ok(text.to_owned());
    }
    Err(invalid_text(key, text, "must be 1 to 255 printable ASCII characters"))
}

/// A period that `CloudWatch` has.
fn period(key: &str, text: &str) -> Checked<Duration> {
    let bounds = (Duration::from_secs(1), Duration::from_mins(5));
    let period = duration(key, Some(text.to_owned()), bounds)?;
    let seconds = period.as_secs();
    let is_short = matches!(seconds, 1 | 5 | 10 | 20 | 30);
    if period.subsec_nanos() == 0 && (is_short || seconds.is_multiple_of(60)) {
        return Ok(period);
    }
    Err(invalid(key, format_duration(period), "must be 1s, 5s, 10s, 20s, 30s or whole minutes"))
}
