//! The sections of `nearside.toml`: probe, evidence, guard, weights, dns, traffic, cloudwatch.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::duration::format_duration;
use super::raw::{
    RawAws, RawCloudWatch, RawDns, RawEvidence, RawGuard, RawProbe, RawTraffic, RawWeights,
};
use super::validate::{
    count, duration, inside, invalid, invalid_text, name, not_above, number, region, required, word,
};
use super::{
    AwsSettings, CloudWatchSettings, ConfigError, DnsSettings, EvidenceSettings, Freeze,
    GuardSettings, ProbeSettings, TrafficSettings, WeightSettings,
};
use crate::sample::{Connection, Phase};

type Checked<T> = Result<T, ConfigError>;

const DAY: Duration = Duration::from_hours(24);
/// The quantiles that block rows keep.
const QUANTILES: [f64; 7] = [0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
/// Most windows of a block: one bit each in its row.
const WINDOWS_MAX: u128 = 4_096;

pub(super) fn validate_probe(raw: RawProbe) -> Checked<ProbeSettings> {
    let interval_bounds = (Duration::from_millis(10), DAY);
    // A failure counts as just above the timeout, and 60 s is the largest value told apart.
    let timeout_bounds = (Duration::from_millis(10), Duration::from_secs(59));
    let names = required("probe.connections", raw.connections, "a list")?;
    let words = Connection::ALL.map(|connection| (connection.as_str(), connection));
    let mut connections = names
        .iter()
        .map(|text| word("probe.connections", text, &words))
        .collect::<Result<Vec<Connection>, ConfigError>>()?;
    connections.sort_unstable();
    connections.dedup();
    if connections.is_empty() {
        let bound = "must name at least one of cold, resumed, warm";
        return Err(invalid("probe.connections", "[]", bound));
    }
    let in_flight = |value| count("probe.max_in_flight", Some(value), 1, 10_000);
    Ok(ProbeSettings {
        interval: duration("probe.interval", raw.interval, interval_bounds)?,
        interval_warm: duration("probe.interval_warm", raw.interval_warm, interval_bounds)?,
        timeout: duration("probe.timeout", raw.timeout, timeout_bounds)?,
        connections,
        ca_file: raw.ca_file.map(|path| validate_path("probe.ca_file", &path)).transpose()?,
        max_in_flight: raw.max_in_flight.map(in_flight).transpose()?,
        kernel_time: word(
            "probe.clock",
            &required("probe.clock", raw.clock, "kernel or user")?,
            &[("kernel", true), ("user", false)],
        )?,
    })
}

pub(super) fn validate_path(key: &str, text: &str) -> Checked<PathBuf> {
    if text.is_empty() || text.contains('\0') {
        return Err(invalid_text(key, text, "must be a path"));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn validate_evidence(raw: RawEvidence) -> Checked<EvidenceSettings> {
    let second = Duration::from_secs(1);
    let settings = EvidenceSettings {
        window: duration("evidence.window", raw.window, (second, DAY))?,
        block: duration("evidence.block", raw.block, (second, 7 * DAY))?,
        blocks: count("evidence.blocks", raw.blocks, 1, 10_000)?,
        alpha: validate_alpha(raw.alpha)?,
        min_gain_ms: number("evidence.min_gain_ms", raw.min_gain_ms, 0.0, 10_000.0)?,
        min_gain_share: number("evidence.min_gain_share", raw.min_gain_share, 0.0, 1.0)?,
        harm_ms: number("evidence.harm_ms", raw.harm_ms, 0.0, 10_000.0)?,
        triangle_ms: number("evidence.triangle_ms", raw.triangle_ms, 0.0, 10_000.0)?,
        cold_share: number("evidence.cold_share", raw.cold_share, 0.0, 1.0)?,
        stale: duration("evidence.stale", raw.stale, (second, 35 * DAY))?,
        quantile: validate_quantile(raw.quantile)?,
        cooldown: duration("evidence.cooldown", raw.cooldown, (Duration::ZERO, 365 * DAY))?,
        volatility_history: duration(
            "evidence.volatility_history",
            raw.volatility_history,
            (second, 35 * DAY),
        )?,
        volatile_blocks: count("evidence.volatile_blocks", raw.volatile_blocks, 1, 10_000)?,
    };
    validate_grid(&settings)?;
    if settings.volatile_blocks < settings.blocks {
        let bound = format!("must be at least evidence.blocks, {}", settings.blocks);
        return Err(invalid("evidence.volatile_blocks", settings.volatile_blocks, bound));
    }
    Ok(settings)
}

fn validate_grid(settings: &EvidenceSettings) -> Checked<()> {
    let (window, block) = (settings.window, settings.block);
    let (window_ms, block_ms) = (window.as_millis(), block.as_millis());
    let windows = block_ms / window_ms;
    if block_ms % window_ms != 0 || windows == 0 {
        let bound = format!("must be a multiple of evidence.window, {}", format_duration(window));
        return Err(invalid("evidence.block", format_duration(block), bound));
    }
    if windows > WINDOWS_MAX {
        let bound = format!("must hold at most {WINDOWS_MAX} windows, and holds {windows}");
        return Err(invalid("evidence.block", format_duration(block), bound));
    }
    Ok(())
}

fn validate_alpha(value: Option<f64>) -> Checked<f64> {
    let alpha = required("evidence.alpha", value, "a number")?;
    if alpha > 0.0 && alpha <= 0.5 {
        Ok(alpha)
    } else {
        Err(invalid("evidence.alpha", alpha, "must be above 0 and at most 0.5"))
    }
}

fn validate_quantile(value: Option<f64>) -> Checked<f64> {
    let quantile = required("evidence.quantile", value, "a number")?;
    if QUANTILES.contains(&quantile) {
        Ok(quantile)
    } else {
        let bound = "must be one of 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99";
        Err(invalid("evidence.quantile", quantile, bound))
    }
}

pub(super) fn validate_guard(raw: RawGuard, zone: &str) -> Checked<GuardSettings> {
    let names = |key: &str, list: Option<Vec<String>>| -> Checked<Vec<String>> {
        let list = list.unwrap_or_default();
        not_above(key, &list, 1_000)?;
        list.iter()
            .map(|text| {
                let name = name(key, text)?;
                inside(key, &name, zone)?;
                Ok(name)
            })
            .collect()
    };
    let freeze = raw.freeze.unwrap_or_default();
    not_above("guard.freeze", &freeze, 1_000)?;
    Ok(GuardSettings {
        allow: names("guard.allow", raw.allow)?,
        adopt: names("guard.adopt", raw.adopt)?,
        max_traffic_moved: number("guard.max_traffic_moved", raw.max_traffic_moved, 0.0, 1.0)?,
        freeze: freeze.iter().map(|text| validate_freeze(text)).collect::<Checked<_>>()?,
        allow_cloud_only: raw.allow_cloud_only.unwrap_or(false),
    })
}

fn validate_freeze(text: &str) -> Checked<Freeze> {
    let key = "guard.freeze";
    let bad = || invalid_text(key, text, "must be \"START/END\", both in RFC 3339");
    let (start, end) = text.split_once('/').ok_or_else(bad)?;
    let instant = |text: &str| {
        text.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_millisecond).map_err(|_| bad())
    };
    let freeze = Freeze { start_ms: instant(start)?, end_ms: instant(end)? };
    if freeze.start_ms < freeze.end_ms {
        Ok(freeze)
    } else {
        Err(invalid_text(key, text, "must end after its start"))
    }
}

pub(super) fn validate_dns(raw: RawDns) -> Checked<DnsSettings> {
    let servers = raw.servers.unwrap_or_default();
    not_above("dns.servers", &servers, 16)?;
    let server = |text: &String| {
        name_server(text).ok_or_else(|| invalid_text("dns.servers", text, "must be IP or IP:PORT"))
    };
    Ok(DnsSettings { servers: servers.iter().map(server).collect::<Checked<_>>()? })
}

/// IP or IP:PORT; without a port it is 53.
pub(super) fn name_server(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse::<SocketAddr>().ok();
    with_port.or_else(|| text.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, 53)))
}

pub(super) fn validate_traffic(raw: &RawTraffic) -> Checked<TrafficSettings> {
    let rate = |rate| number("traffic.requests_per_s", Some(rate), 1e-3, 1e9);
    Ok(TrafficSettings {
        file: validate_path("traffic.file", &raw.file)?,
        requests_per_s: raw.requests_per_s.map(rate).transpose()?,
    })
}

pub(super) fn validate_weights(raw: &RawWeights) -> Checked<WeightSettings> {
    Ok(WeightSettings {
        floor: number("weights.floor", raw.floor, 0.0, 0.5)?,
        max_step: number("weights.max_step", raw.max_step, 0.01, 1.0)?,
    })
}

pub(super) fn validate_aws(raw: RawAws) -> Checked<AwsSettings> {
    let role = |key: &str, role: Option<String>| -> Checked<Option<String>> {
        match role {
            Some(text) if !is_role(&text) => Err(invalid_text(
                key,
                &text,
                "must be a role like arn:aws:iam::123456789012:role/NAME",
            )),
            role => Ok(role),
        }
    };
    Ok(AwsSettings {
        zone_role: role("aws.zone_role", raw.zone_role)?,
        api_role: role("aws.api_role", raw.api_role)?,
    })
}

/// `arn:PARTITION:iam::ACCOUNT:role/PATH/NAME`
fn is_role(text: &str) -> bool {
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["arn", partition, "iam", "", account, name] = parts.as_slice() else { return false };
    let is_account = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
    let path = name.strip_prefix("role/").unwrap_or_default();
    let is_path = path.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_+=,.@-".contains(&b));
    partition.starts_with("aws") && is_account && !path.is_empty() && is_path
}

pub(super) fn validate_cloudwatch(raw: RawCloudWatch) -> Checked<CloudWatchSettings> {
    let namespace = raw.namespace;
    // The characters, the beginning and the length that CloudWatch allows; names of AWS itself are reserved.
    let shape = namespace.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/#:".contains(&b));
    let reserved = namespace.starts_with("AWS/") || namespace.starts_with(':');
    if namespace.is_empty() || namespace.len() > 255 || !shape || reserved {
        let bound =
            "must be 1 to 255 of letters, digits and . - _ / # :, not beginning with AWS/ or :";
        return Err(invalid_text("cloudwatch.namespace", &namespace, bound));
    }
    let most = raw.max_metrics.or(Some(1_000));
    let spool = raw.spool.unwrap_or_else(|| "nearside-spool".to_owned());
    Ok(CloudWatchSettings {
        region: region("cloudwatch.region", &raw.region)?,
        max_metrics: count("cloudwatch.max_metrics", most, 1, 1_000_000)?,
        phases: validate_phases(&raw.phases.unwrap_or_default())?,
        spool: validate_path("cloudwatch.spool", &spool)?,
        spool_mib: count("cloudwatch.spool_mib", raw.spool_mib.or(Some(256)), 1, 1_000_000)?,
        namespace,
    })
}

fn validate_phases(names: &[String]) -> Checked<Vec<Phase>> {
    let key = "cloudwatch.phases";
    let phase = |name: &String| {
        let found = Phase::ALL.into_iter().find(|phase| phase.as_str() == name);
        let bound = "must be one of resolve, connect, tls, processing, transfer";
        found.ok_or_else(|| invalid_text(key, name, bound))
    };
    let phases: Vec<Phase> = names.iter().map(phase).collect::<Checked<_>>()?;
    match phases.iter().enumerate().find(|(at, phase)| phases[..*at].contains(phase)) {
        Some((_, twice)) => Err(invalid_text(key, twice.as_str(), "must be named once")),
        None => Ok(phases),
    }
}
