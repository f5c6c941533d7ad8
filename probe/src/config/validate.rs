//! The way from what is written to what is valid: the top level, and the checks that all
//! sections share. Each check names the key, the value and the bound.

use std::fmt::Display;
use std::time::Duration;

use super::duration::{format_duration, parse_duration};
use super::raw::RawConfig;
use super::validate_lists as lists;
use super::validate_sections as sections;
use super::validate_target as targets;
use super::{Config, ConfigError};
use crate::url::is_host;

type Checked<T> = Result<T, ConfigError>;

pub(super) fn validate(raw: RawConfig) -> Checked<Config> {
    let zone = name("zone", &required("zone", raw.zone, "the hosted zone's name")?)?;
    let service = name("name", &required("name", raw.name, "the name that users ask for")?)?;
    inside("name", &service, &zone)?;
    let vantages = lists::validate_vantages(&raw.vantage)?;
    let endpoints = lists::validate_endpoints(&raw.endpoint)?;
    let template = required("candidate_url", raw.candidate_url, "a URL with {region} in it")?;
    let candidates = targets::validate_candidates(raw.candidates, &template)?;
    let targets = targets::validate_targets(&raw.target, candidates, &endpoints)?;
    let journeys = targets::validate_journeys(&raw.journey, &endpoints, &targets)?;
    let slos = lists::validate_slos(raw.slo, &endpoints, &targets)?;
    Ok(Config {
        stateless: raw.stateless.unwrap_or(false),
        probe: sections::validate_probe(raw.probe)?,
        evidence: sections::validate_evidence(raw.evidence)?,
        guard: sections::validate_guard(raw.guard, &zone)?,
        weights: sections::validate_weights(&raw.weights)?,
        dns: sections::validate_dns(raw.dns)?,
        traffic: raw.traffic.as_ref().map(sections::validate_traffic).transpose()?,
        cloudwatch: raw.cloudwatch.map(sections::validate_cloudwatch).transpose()?,
        aws: sections::validate_aws(raw.aws)?,
        name: service,
        zone,
        vantages,
        endpoints,
        targets,
        journeys,
        slos,
    })
}

pub(super) fn invalid(key: &str, value: impl Display, bound: impl Display) -> ConfigError {
    ConfigError::Invalid { key: key.to_owned(), value: value.to_string(), bound: bound.to_string() }
}

/// As [`invalid`], with the value in quotes, escaped.
pub(super) fn invalid_text(key: &str, value: &str, bound: impl Display) -> ConfigError {
    invalid(key, format_args!("{value:?}"), bound)
}

pub(super) fn required<T>(key: &str, value: Option<T>, bound: &str) -> Checked<T> {
    value.ok_or_else(|| ConfigError::Missing { key: key.to_owned(), bound: bound.to_owned() })
}

/// A DNS name in lower case without a dot at its end.
pub(super) fn name(key: &str, value: &str) -> Checked<String> {
    let bare = value.strip_suffix('.').unwrap_or(value).to_ascii_lowercase();
    if is_host(&bare) && bare.contains('.') {
        Ok(bare)
    } else {
        Err(invalid_text(key, value, "must be a DNS name with a dot, at most 253 characters"))
    }
}

pub(super) fn inside(key: &str, name: &str, zone: &str) -> Checked<()> {
    let within = name == zone || name.strip_suffix(zone).is_some_and(|head| head.ends_with('.'));
    if within {
        Ok(())
    } else {
        Err(invalid_text(key, name, format_args!("must lie inside the zone {zone:?}")))
    }
}

/// Lower-case letters, digits and `-`, at most 64, not `-` at either end.
pub(super) fn id(key: &str, value: &str) -> Checked<String> {
    let shape = value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    let ends = !value.starts_with('-') && !value.ends_with('-');
    if !value.is_empty() && value.len() <= 64 && shape && ends {
        Ok(value.to_owned())
    } else {
        let bound = "must be 1 to 64 lower-case letters, digits and '-', no '-' at either end";
        Err(invalid_text(key, value, bound))
    }
}

/// Syntactically an AWS Region, such as `us-east-1` or `us-gov-west-1`.
pub(super) fn region(key: &str, value: &str) -> Checked<String> {
    let parts: Vec<&str> = value.split('-').collect();
    let letters = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let shape = match parts.as_slice() {
        [words @ .., number] => {
            (2..=3).contains(&words.len())
                && words.iter().all(letters)
                && !number.is_empty()
                && number.len() <= 2
                && number.bytes().all(|b| b.is_ascii_digit())
        }
        [] => false,
    };
    if shape && value.len() <= 32 {
        Ok(value.to_owned())
    } else {
        Err(invalid_text(key, value, "must look like an AWS Region, such as \"eu-west-1\""))
    }
}

pub(super) fn duration(
    key: &str,
    value: Option<String>,
    bounds: (Duration, Duration),
) -> Checked<Duration> {
    let text = required(key, value, "a duration such as \"60s\"")?;
    let units = "must be a whole number and one of ms, s, m, h, d";
    let parsed = parse_duration(&text).ok_or_else(|| invalid_text(key, &text, units))?;
    let (least, most) = bounds;
    if (least..=most).contains(&parsed) {
        return Ok(parsed);
    }
    let bound = format!("must be from {} to {}", format_duration(least), format_duration(most));
    Err(invalid_text(key, &text, bound))
}

pub(super) fn number(key: &str, value: Option<f64>, least: f64, most: f64) -> Checked<f64> {
    let value = required(key, value, "a number")?;
    if value.is_finite() && (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(invalid(key, value, format_args!("must be from {least} to {most}")))
    }
}

pub(super) fn count(key: &str, value: Option<i64>, least: u32, most: u32) -> Checked<u32> {
    let value = required(key, value, "a whole number")?;
    u32::try_from(value)
        .ok()
        .filter(|count| (least..=most).contains(count))
        .ok_or_else(|| invalid(key, value, format_args!("must be from {least} to {most}")))
}

/// One of a few words.
pub(super) fn word<T: Copy>(key: &str, value: &str, words: &[(&str, T)]) -> Checked<T> {
    words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        invalid_text(key, value, format_args!("must be one of {}", known.join(", ")))
    })
}

pub(super) fn not_above<T>(key: &str, list: &[T], most: usize) -> Checked<()> {
    if list.len() <= most {
        Ok(())
    } else {
        Err(invalid(key, format_args!("{} entries", list.len()), format_args!("at most {most}")))
    }
}
