//! The lists of `nearside.toml`: vantages, endpoints, targets, SLOs.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use super::duration::format_duration;
use super::raw::{RawAlias, RawEndpoint, RawSlo, RawVantage};
use super::validate::{id, invalid, invalid_text, name, not_above, number, region, word};
use super::validate_metrics::validate_metrics;
use super::{
    Alias, ConfigError, Endpoint, EndpointKind, Population, RegionProof, Slo, Target, Vantage,
};
use crate::url::{HttpUrl, IpPrefix};

type Checked<T> = Result<T, ConfigError>;

/// Most entries of each list.
pub(super) const LIST_MAX: usize = 1_000;

pub(super) fn parsed<T>(key: &str, text: Option<&str>) -> Checked<Option<T>>
where
    T: FromStr,
    T::Err: Display,
{
    text.map(|text| text.parse().map_err(|bound| invalid_text(key, text, bound))).transpose()
}

pub(super) fn url(key: &str, text: &str) -> Checked<HttpUrl> {
    text.parse().map_err(|bound| invalid_text(key, text, bound))
}

pub(super) fn unique<'a>(key: &str, ids: impl Iterator<Item = &'a str>) -> Checked<()> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if !seen.insert(id) {
            return Err(invalid_text(key, id, "must be unique"));
        }
    }
    Ok(())
}

pub(super) fn validate_vantages(raw: &[RawVantage]) -> Checked<Vec<Vantage>> {
    not_above("vantage", raw, LIST_MAX)?;
    let vantages =
        raw.iter().map(validate_vantage).collect::<Result<Vec<Vantage>, ConfigError>>()?;
    unique("vantage.id", vantages.iter().map(|vantage| vantage.id.as_str()))?;
    Ok(vantages)
}

fn validate_vantage(raw: &RawVantage) -> Checked<Vantage> {
    let key = |field: &str| format!("vantage {:?} {field}", raw.id);
    let words = [("cloud", Population::Cloud), ("eyeball", Population::Eyeball)];
    let population = raw.population.as_deref().unwrap_or("cloud");
    Ok(Vantage {
        id: id("vantage.id", &raw.id)?,
        population: word(&key("population"), population, &words)?,
        proxy: parsed(&key("proxy"), raw.proxy.as_deref())?,
        subnet4: validate_subnet(&key("subnet4"), raw.subnet4.as_deref(), true)?,
        subnet6: validate_subnet(&key("subnet6"), raw.subnet6.as_deref(), false)?,
    })
}

fn validate_subnet(key: &str, text: Option<&str>, v4: bool) -> Checked<Option<IpPrefix>> {
    let prefix: Option<IpPrefix> = parsed(key, text)?;
    match (prefix, text) {
        (Some(prefix), Some(text)) if prefix.address.is_ipv4() != v4 => {
            let family = if v4 { "IPv4" } else { "IPv6" };
            Err(invalid_text(key, text, format_args!("must be an {family} prefix")))
        }
        (prefix, _) => Ok(prefix),
    }
}

pub(super) fn validate_endpoints(raw: &[RawEndpoint]) -> Checked<Vec<Endpoint>> {
    not_above("endpoint", raw, LIST_MAX)?;
    let endpoints =
        raw.iter().map(validate_endpoint).collect::<Result<Vec<Endpoint>, ConfigError>>()?;
    unique("endpoint.id", endpoints.iter().map(|endpoint| endpoint.id.as_str()))?;
    Ok(endpoints)
}

fn validate_endpoint(raw: &RawEndpoint) -> Checked<Endpoint> {
    let key = |field: &str| format!("endpoint {:?} {field}", raw.id);
    let words = [
        ("regional", EndpointKind::Regional),
        ("edge_optimized", EndpointKind::EdgeOptimized),
        ("cloudfront", EndpointKind::CloudFront),
    ];
    let health_url = raw.health_url.as_deref().map(|text| url(&key("health_url"), text));
    let capacity = raw.capacity.map(|rate| number(&key("capacity"), Some(rate), 1e-3, 1e9));
    let proof = raw.region_proof.as_deref().map(|text| region_proof(&key("region_proof"), text));
    Ok(Endpoint {
        id: id("endpoint.id", &raw.id)?,
        region: region(&key("region"), &raw.region)?,
        kind: word(&key("kind"), raw.kind.as_deref().unwrap_or("regional"), &words)?,
        url: url(&key("url"), &raw.url)?,
        connect_to: parsed(&key("connect_to"), raw.connect_to.as_deref())?,
        health_url: health_url.transpose()?,
        region_proof: proof.transpose()?,
        capacity: capacity.transpose()?,
        alias: raw.alias.as_ref().map(|alias| validate_alias(&key("alias"), alias)).transpose()?,
        metrics: raw
            .metrics
            .as_ref()
            .map(|one| validate_metrics(&key("metrics"), one))
            .transpose()?,
    })
}

fn region_proof(key: &str, text: &str) -> Checked<RegionProof> {
    if text.starts_with('/') && text.len() <= 256 {
        return Ok(RegionProof::Pointer(text.to_owned()));
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if !text.is_empty() && text.len() <= 256 && text.bytes().all(token) {
        return Ok(RegionProof::Header(text.to_ascii_lowercase()));
    }
    Err(invalid_text(key, text, "must be a header name, or a JSON pointer that begins with '/'"))
}

fn validate_alias(key: &str, raw: &RawAlias) -> Checked<Alias> {
    let zone_id = &raw.hosted_zone_id;
    let shape = zone_id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if !zone_id.starts_with('Z') || zone_id.len() > 32 || zone_id.len() < 2 || !shape {
        let bound = "must be Z and up to 31 upper-case letters and digits";
        return Err(invalid_text(&format!("{key}.hosted_zone_id"), zone_id, bound));
    }
    let dns_name = name(&format!("{key}.dns_name"), &raw.dns_name)?;
    Ok(Alias { dns_name, hosted_zone_id: zone_id.clone() })
}

pub(super) fn validate_slos(
    raw: Vec<RawSlo>,
    endpoints: &[Endpoint],
    targets: &[Target],
) -> Checked<Vec<Slo>> {
    not_above("slo", &raw, LIST_MAX)?;
    let known = |id: &str| {
        endpoints.iter().any(|endpoint| endpoint.id == id)
            || targets.iter().any(|target| target.id == id)
    };
    raw.into_iter()
        .map(|slo| {
            if !known(&slo.target) {
                let bound = "must be the id of an endpoint or target";
                return Err(invalid_text("slo.target", &slo.target, bound));
            }
            let quantile = number("slo.quantile", Some(slo.quantile), 0.01, 0.999)?;
            let limit_ms = number("slo.limit_ms", Some(slo.limit_ms), 0.001, 60_000.0)?;
            let share = number("slo.share", Some(slo.share), 0.0, 1.0)?;
            Ok(Slo { target: slo.target, quantile, limit_ms, share })
        })
        .collect()
}

/// Checks a warm interval against the slowest warm response that was seen: below 1.5 times of it
/// a warm series would measure its own queue. Known only at run time.
pub fn warm_interval_bound(interval: Duration, slowest: Duration) -> Result<(), ConfigError> {
    let least = slowest + slowest / 2;
    if interval >= least {
        return Ok(());
    }
    let bound = format!(
        "must be at least {}, 1.5 times the slowest warm response",
        format_duration(Duration::from_millis(
            u64::try_from(least.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
        )),
    );
    Err(invalid("probe.interval_warm", format_duration(interval), bound))
}
