//! Targets, candidates and journeys of `nearside.toml`.

use std::collections::BTreeMap;

use super::raw::{RawCandidates, RawJourney, RawTarget};
use super::validate::{id, invalid, invalid_text, not_above, region, word};
use super::validate_lists::{LIST_MAX, parsed, unique, url};
use super::validate_sections::{name_server, validate_path};
use super::{Addresses, Ask, ConfigError, Endpoint, Journey, NameSource, Target, TargetKind};
use crate::place;
use crate::sample::HttpVersion;

type Checked<T> = Result<T, ConfigError>;

/// Most headers, and most statuses.
const ITEMS_MAX: usize = 64;
/// Most steps of a journey: each is a path of its series, beside the whole.
const STEPS_MAX: usize = 30;
/// The largest body that is sent, and the longest text that is looked for, in bytes.
const BODY_MAX: usize = 64 * 1024;
/// The headers that the exchange itself writes.
const OWN_HEADERS: [&str; 5] =
    ["host", "content-length", "transfer-encoding", "connection", "upgrade"];

pub(super) fn validate_targets(
    raw: &[RawTarget],
    candidates: Vec<Target>,
    endpoints: &[Endpoint],
) -> Checked<Vec<Target>> {
    not_above("target", raw, LIST_MAX)?;
    let mut targets =
        raw.iter().map(validate_target).collect::<Result<Vec<Target>, ConfigError>>()?;
    targets.extend(candidates);
    let endpoint_ids = endpoints.iter().map(|endpoint| endpoint.id.as_str());
    let target_ids = targets.iter().map(|target| target.id.as_str());
    unique("target.id", endpoint_ids.chain(target_ids))?;
    Ok(targets)
}

fn validate_target(raw: &RawTarget) -> Checked<Target> {
    let key = |field: &str| format!("target {:?} {field}", raw.id);
    let kinds = TargetKind::ALL.map(|kind| (kind.as_str(), kind));
    let versions = [("1.1", HttpVersion::Http11), ("2", HttpVersion::Http2)];
    let addresses = [("first", Addresses::First), ("all", Addresses::All)];
    let group = raw.group.as_deref().map(|group| id(&key("group"), group)).transpose()?;
    let kind = word(&key("kind"), &raw.kind, &kinds)?;
    Ok(Target {
        id: id("target.id", &raw.id)?,
        kind,
        url: url(&key("url"), &raw.url)?,
        group,
        http: word(&key("http"), raw.http.as_deref().unwrap_or("1.1"), &versions)?,
        addresses: word(
            &key("addresses"),
            raw.addresses.as_deref().unwrap_or("first"),
            &addresses,
        )?,
        region: raw.region.as_deref().map(|text| region(&key("region"), text)).transpose()?,
        connect_to: parsed(&key("connect_to"), raw.connect_to.as_deref())?,
        resolver: resolver(&key("resolver"), raw.resolver.as_deref().unwrap_or("system"))?,
        ask: validate_ask(raw, kind, key)?,
    })
}

fn resolver(key: &str, text: &str) -> Checked<NameSource> {
    match text {
        "system" => Ok(NameSource::System),
        "authoritative" => Ok(NameSource::Authoritative),
        text => name_server(text).map(NameSource::Server).ok_or_else(|| {
            invalid_text(key, text, "must be \"system\", \"authoritative\", IP or IP:PORT")
        }),
    }
}

fn validate_ask(raw: &RawTarget, kind: TargetKind, key: impl Fn(&str) -> String) -> Checked<Ask> {
    let plain = Ask::default();
    let by_edge = matches!(kind, TargetKind::Edge | TargetKind::Static);
    let limit = raw.body_limit_bytes.map(|bytes| body_limit(&key("body_limit_bytes"), bytes));
    Ok(Ask {
        method: method(&key("method"), raw.method.as_deref().unwrap_or("GET"))?,
        headers: headers(&key("headers"), &raw.headers)?,
        body: short(&key("body"), raw.body.as_deref().unwrap_or_default())?,
        expect_status: statuses(&key("expect_status"), raw.expect_status.as_deref())?,
        expect_body: expected(&key("expect_body"), raw.expect_body.as_deref())?,
        body_limit_bytes: limit.transpose()?.unwrap_or(plain.body_limit_bytes),
        identity: identity(raw, &key)?,
        server_timing: raw.server_timing.unwrap_or(by_edge),
    })
}

fn method(key: &str, text: &str) -> Checked<String> {
    let letters = !text.is_empty() && text.bytes().all(|b| b.is_ascii_uppercase());
    // A tunnel is not an exchange.
    if letters && text.len() <= 16 && text != "CONNECT" {
        return Ok(text.to_owned());
    }
    Err(invalid_text(key, text, "must be 1 to 16 upper-case letters, and not CONNECT"))
}

fn headers(key: &str, raw: &BTreeMap<String, String>) -> Checked<Vec<(String, String)>> {
    if raw.len() > ITEMS_MAX {
        let bound = format!("at most {ITEMS_MAX}");
        return Err(invalid(key, format_args!("{} headers", raw.len()), bound));
    }
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    let visible = |b: u8| b == b'\t' || (b' '..=b'~').contains(&b);
    let mut all = Vec::new();
    for (name, value) in raw {
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || name.len() > 256 || !name.bytes().all(token) {
            return Err(invalid_text(key, name, "must be a header name"));
        }
        if OWN_HEADERS.contains(&lower.as_str()) {
            return Err(invalid_text(key, name, "is written by the probe itself"));
        }
        if value.len() > 4_096 || !value.bytes().all(visible) {
            let bound = "must be at most 4096 printable ASCII characters";
            return Err(invalid_text(&format!("{key} {lower}"), value, bound));
        }
        all.push((lower, value.clone()));
    }
    Ok(all)
}

fn short(key: &str, text: &str) -> Checked<String> {
    if text.len() <= BODY_MAX {
        return Ok(text.to_owned());
    }
    let bound = format!("must be at most {BODY_MAX} bytes");
    Err(invalid(key, format_args!("{} bytes", text.len()), bound))
}

fn statuses(key: &str, raw: Option<&[i64]>) -> Checked<Vec<u16>> {
    let Some(raw) = raw else { return Ok(Vec::new()) };
    if raw.is_empty() || raw.len() > ITEMS_MAX {
        let bound = format!("must hold 1 to {ITEMS_MAX} statuses");
        return Err(invalid(key, format_args!("{} statuses", raw.len()), bound));
    }
    let one = |status: &i64| {
        let known = u16::try_from(*status).ok().filter(|status| (200..=599).contains(status));
        known.ok_or_else(|| invalid(key, status, "must be from 200 to 599"))
    };
    raw.iter().map(one).collect()
}

fn expected(key: &str, raw: Option<&str>) -> Checked<Option<String>> {
    match raw {
        Some("") => Err(invalid_text(key, "", "must not be empty")),
        Some(text) => short(key, text).map(Some),
        None => Ok(None),
    }
}

fn body_limit(key: &str, bytes: i64) -> Checked<u64> {
    let known = u64::try_from(bytes).ok().filter(|bytes| *bytes <= 1_000_000_000);
    known.ok_or_else(|| invalid(key, bytes, "must be from 0 to 1000000000"))
}

fn identity(
    raw: &RawTarget,
    key: impl Fn(&str) -> String,
) -> Checked<Option<(std::path::PathBuf, std::path::PathBuf)>> {
    match (&raw.client_cert, &raw.client_key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(secret)) => Ok(Some((
            validate_path(&key("client_cert"), certificate)?,
            validate_path(&key("client_key"), secret)?,
        ))),
        (Some(_), None) => {
            let bound = "must be named beside client_cert".to_owned();
            Err(ConfigError::Missing { key: key("client_key"), bound })
        }
        (None, Some(_)) => {
            let bound = "must be named beside client_key".to_owned();
            Err(ConfigError::Missing { key: key("client_cert"), bound })
        }
    }
}

pub(super) fn validate_candidates(
    raw: Option<RawCandidates>,
    template: &str,
) -> Checked<Vec<Target>> {
    if !template.contains("{region}") {
        return Err(invalid_text("candidate_url", template, "must contain {region}"));
    }
    let regions = match raw {
        None => Vec::new(),
        Some(RawCandidates::Word(word)) if word == "all" => {
            place::commercial_regions().map(|place| place.region.to_owned()).collect()
        }
        Some(RawCandidates::Word(word)) => {
            let bound = "must be \"all\" or a list of Regions";
            return Err(invalid_text("candidates", &word, bound));
        }
        Some(RawCandidates::List(list)) => list,
    };
    not_above("candidates", &regions, LIST_MAX)?;
    unique("candidates", regions.iter().map(String::as_str))?;
    regions.iter().map(|name| candidate(name, template)).collect()
}

fn candidate(name: &str, template: &str) -> Checked<Target> {
    let region = region("candidates", name)?;
    Ok(Target {
        id: format!("candidate-{region}"),
        kind: TargetKind::Candidate,
        url: url("candidate_url", &template.replace("{region}", &region))?,
        group: None,
        http: HttpVersion::Http11,
        addresses: Addresses::First,
        region: Some(region),
        connect_to: None,
        resolver: NameSource::System,
        ask: Ask::default(),
    })
}

pub(super) fn validate_journeys(
    raw: &[RawJourney],
    endpoints: &[Endpoint],
    targets: &[Target],
) -> Checked<Vec<Journey>> {
    not_above("journey", raw, LIST_MAX)?;
    let known = || {
        let endpoints = endpoints.iter().map(|endpoint| endpoint.id.as_str());
        endpoints.chain(targets.iter().map(|target| target.id.as_str()))
    };
    unique("journey.id", known().chain(raw.iter().map(|journey| journey.id.as_str())))?;
    let journey = |raw: &RawJourney| {
        let key = format!("journey {:?} steps", raw.id);
        if raw.steps.is_empty() || raw.steps.len() > STEPS_MAX {
            let bound = format!("must hold 1 to {STEPS_MAX} ids");
            return Err(invalid(&key, format_args!("{} ids", raw.steps.len()), bound));
        }
        if let Some(step) = raw.steps.iter().find(|step| !known().any(|id| id == step.as_str())) {
            return Err(invalid_text(&key, step, "must be the id of an endpoint or target"));
        }
        Ok(Journey { id: id("journey.id", &raw.id)?, steps: raw.steps.clone() })
    };
    raw.iter().map(journey).collect()
}
