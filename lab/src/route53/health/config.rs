//! Settings of health checks: from the texts of a request to typed settings, and what may be
//! changed later. The texts of refusals are unverified, but those of the schema validator.

use std::net::IpAddr;

use crate::route53::error::{ApiError, Code};
use crate::route53::model_words::words;
use crate::route53::regions::CHECKER_REGIONS;
use crate::route53::validate::facet;

words! {
    /// What a health check looks at.
    CheckType {
        /// An HTTP status.
        Http = "HTTP",
        /// An HTTPS status.
        Https = "HTTPS",
        /// An HTTP status and a text in the body.
        HttpStrMatch = "HTTP_STR_MATCH",
        /// An HTTPS status and a text in the body.
        HttpsStrMatch = "HTTPS_STR_MATCH",
        /// A TCP connection.
        Tcp = "TCP",
        /// Other health checks.
        Calculated = "CALCULATED",
        /// A CloudWatch alarm's data.
        CloudwatchMetric = "CLOUDWATCH_METRIC",
        /// A routing control; the lab has none.
        RecoveryControl = "RECOVERY_CONTROL",
    }
}

words! {
    /// What a check on a metric is while the metric has too little data.
    Insufficient {
        /// Healthy.
        Healthy = "Healthy",
        /// Unhealthy.
        Unhealthy = "Unhealthy",
        /// As it was before; healthy at first.
        LastKnown = "LastKnownStatus",
    }
}

impl CheckType {
    /// Whether checkers send requests for this type.
    #[must_use]
    pub fn has_endpoint(self) -> bool {
        self == Self::Tcp || self.is_http()
    }

    /// Whether the request is HTTP, over TLS or not.
    #[must_use]
    pub fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::HttpStrMatch) || self.is_tls()
    }

    /// Whether the request is HTTPS.
    #[must_use]
    pub fn is_tls(self) -> bool {
        matches!(self, Self::Https | Self::HttpsStrMatch)
    }

    /// Whether a text is looked for in the body.
    #[must_use]
    pub fn matches_text(self) -> bool {
        matches!(self, Self::HttpStrMatch | Self::HttpsStrMatch)
    }
}

/// Settings as a request spells them; absent is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawConfig {
    /// `IPAddress`.
    pub ip_address: Option<String>,
    /// `Port`.
    pub port: Option<String>,
    /// `Type`.
    pub kind: Option<String>,
    /// `ResourcePath`.
    pub resource_path: Option<String>,
    /// `FullyQualifiedDomainName`.
    pub fqdn: Option<String>,
    /// `SearchString`.
    pub search_string: Option<String>,
    /// `RequestInterval`.
    pub request_interval: Option<String>,
    /// `FailureThreshold`.
    pub failure_threshold: Option<String>,
    /// `MeasureLatency`.
    pub measure_latency: Option<String>,
    /// `Inverted`.
    pub inverted: Option<String>,
    /// `Disabled`.
    pub disabled: Option<String>,
    /// `HealthThreshold`.
    pub health_threshold: Option<String>,
    /// `ChildHealthChecks`.
    pub children: Option<Vec<String>>,
    /// `EnableSNI`.
    pub enable_sni: Option<String>,
    /// `Regions`.
    pub regions: Option<Vec<String>>,
    /// `AlarmIdentifier`: Region, name.
    pub alarm: Option<[Option<String>; 2]>,
    /// `InsufficientDataHealthStatus`.
    pub insufficient: Option<String>,
}

/// The settings of a health check, with AWS's defaults filled in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// What is looked at; immutable.
    pub kind: CheckType,
    /// The address; without one the domain name is resolved, to IPv4 only.
    pub ip_address: Option<IpAddr>,
    /// The port; `None` where there is no endpoint.
    pub port: Option<u16>,
    /// The path of the request.
    pub resource_path: Option<String>,
    /// The domain name: what is resolved, the Host header, and SNI.
    pub fqdn: Option<String>,
    /// The text looked for.
    pub search_string: Option<String>,
    /// 10 or 30; immutable.
    pub request_interval_s: u8,
    /// Consecutive answers that turn a checker's opinion.
    pub failure_threshold: u8,
    /// Whether latency is published; immutable.
    pub measure_latency: bool,
    /// Whether the result is turned round.
    pub inverted: bool,
    /// Whether checkers rest; it then counts as healthy.
    pub disabled: bool,
    /// Children that must be healthy.
    pub health_threshold: Option<u16>,
    /// The children of a calculated check.
    pub children: Vec<String>,
    /// Whether the TLS handshake names the domain; `None` where there is no TLS.
    pub enable_sni: Option<bool>,
    /// Checker Regions; empty means all.
    pub regions: Vec<String>,
    /// The alarm's Region and name.
    pub alarm: Option<(String, String)>,
    /// What too little data means.
    pub insufficient: Option<Insufficient>,
}

impl Config {
    /// The Regions whose checkers work on this.
    #[must_use]
    pub fn checker_regions(&self) -> Vec<&'static str> {
        let wanted = |region: &&&str| {
            self.regions.is_empty() || self.regions.iter().any(|name| name == **region)
        };
        CHECKER_REGIONS.iter().filter(wanted).copied().collect()
    }
}

fn invalid<T>(text: impl std::fmt::Display) -> Result<T, ApiError> {
    Err(ApiError::input(format!("Invalid parameter : {text}")))
}

/// Types the settings of a new health check.
pub fn create(raw: &RawConfig) -> Result<Config, ApiError> {
    let Some(kind) = &raw.kind else {
        return Err(facet::incomplete("HealthCheckConfig", "Type"));
    };
    let Some(kind) = CheckType::parse(kind) else {
        let allowed: Vec<&str> = CheckType::ALL.iter().map(|kind| kind.as_str()).collect();
        return Err(facet::not_in_enumeration(kind, &allowed));
    };
    if kind == CheckType::RecoveryControl {
        return Err(ApiError::new(Code::NotImplemented, "the lab has no routing controls"));
    }
    let interval = match &raw.request_interval {
        Some(text) => facet::integer("RequestInterval", 10, 30, text)?,
        None => 30,
    };
    if interval != 10 && interval != 30 {
        return invalid("RequestInterval must be 10 or 30");
    }
    let mut config = Config {
        kind,
        ip_address: None,
        port: match kind {
            CheckType::Http | CheckType::HttpStrMatch => Some(80),
            CheckType::Https | CheckType::HttpsStrMatch => Some(443),
            _ => None,
        },
        resource_path: None,
        fqdn: None,
        search_string: None,
        request_interval_s: if interval == 10 { 10 } else { 30 },
        failure_threshold: 3,
        measure_latency: raw.measure_latency.as_deref().map_or(Ok(false), facet::boolean)?,
        inverted: false,
        disabled: false,
        health_threshold: None,
        children: Vec::new(),
        enable_sni: kind.is_tls().then_some(true),
        regions: Vec::new(),
        alarm: None,
        insufficient: None,
    };
    update(&mut config, raw)?;
    check_whole(&config)?;
    Ok(config)
}

/// Lays the given settings over `config`. Immutable ones are not looked at.
fn update(config: &mut Config, raw: &RawConfig) -> Result<(), ApiError> {
    update_endpoint(config, raw)?;
    if let Some(text) = &raw.failure_threshold {
        let threshold = facet::integer("FailureThreshold", 1, 10, text)?;
        config.failure_threshold = u8::try_from(threshold).unwrap_or(10);
    }
    if let Some(text) = &raw.inverted {
        config.inverted = facet::boolean(text)?;
    }
    if let Some(text) = &raw.disabled {
        config.disabled = facet::boolean(text)?;
    }
    if let Some(text) = &raw.health_threshold {
        config.health_threshold =
            u16::try_from(facet::integer("HealthThreshold", 0, 256, text)?).ok();
    }
    if let Some(children) = &raw.children {
        for child in children {
            facet::length("HealthCheckId", 0, 64, child)?;
        }
        config.children.clone_from(children);
    }
    if let Some(regions) = &raw.regions {
        for region in regions {
            if !CHECKER_REGIONS.contains(&region.as_str()) {
                return Err(facet::not_in_enumeration(region, &CHECKER_REGIONS));
            }
        }
        config.regions.clone_from(regions);
    }
    if let Some([region, name]) = &raw.alarm {
        let missing = |child| facet::incomplete("AlarmIdentifier", child);
        let region = region.clone().ok_or_else(|| missing("Region"))?;
        let name = name.clone().ok_or_else(|| missing("Name"))?;
        facet::length("CloudWatchRegion", 1, 64, &region)?;
        facet::length("AlarmName", 1, 256, &name)?;
        config.alarm = Some((region, name));
    }
    if let Some(text) = &raw.insufficient {
        let allowed: Vec<&str> = Insufficient::ALL.iter().map(|word| word.as_str()).collect();
        let word = Insufficient::parse(text);
        config.insufficient = Some(word.ok_or_else(|| facet::not_in_enumeration(text, &allowed))?);
    }
    Ok(())
}

fn update_endpoint(config: &mut Config, raw: &RawConfig) -> Result<(), ApiError> {
    if let Some(text) = &raw.ip_address {
        facet::length("IPAddress", 0, 45, text)?;
        config.ip_address = Some(public_address(text)?);
    }
    if let Some(text) = &raw.port {
        config.port = u16::try_from(facet::integer("Port", 1, 65_535, text)?).ok();
    }
    if let Some(text) = &raw.resource_path {
        facet::length("ResourcePath", 0, 255, text)?;
        config.resource_path = Some(text.clone());
    }
    if let Some(text) = &raw.fqdn {
        facet::length("FullyQualifiedDomainName", 0, 255, text)?;
        if crate::route53::name::Name::parse(text).is_err() {
            return invalid(format!("FullyQualifiedDomainName '{text}' is not a domain name"));
        }
        config.fqdn = Some(text.clone());
    }
    if let Some(text) = &raw.search_string {
        facet::length("SearchString", 0, 255, text)?;
        config.search_string = Some(text.clone());
    }
    if let Some(text) = &raw.enable_sni {
        config.enable_sni = Some(facet::boolean(text)?);
    }
    Ok(())
}

/// AWS refuses addresses that its checkers cannot reach. Loopback is the lab's ocean floor, so it
/// is allowed here.
fn public_address(text: &str) -> Result<IpAddr, ApiError> {
    let Ok(address) = text.parse::<IpAddr>() else {
        return invalid(format!("IPAddress '{text}' is not an IP address"));
    };
    let reachable = match address {
        IpAddr::V4(v4) => {
            !(v4.is_private() || v4.is_link_local() || v4.is_multicast() || v4.is_unspecified())
        }
        IpAddr::V6(v6) => {
            !(v6.is_unique_local()
                || v6.is_unicast_link_local()
                || v6.is_multicast()
                || v6.is_unspecified())
        }
    };
    if reachable {
        Ok(address)
    } else {
        invalid(format!("IPAddress '{text}' is in a non-routable range"))
    }
}

/// Which settings go with which type.
fn check_whole(config: &Config) -> Result<(), ApiError> {
    let kind = config.kind;
    if kind.has_endpoint() {
        if config.ip_address.is_none() && config.fqdn.is_none() {
            return invalid("either IPAddress or FullyQualifiedDomainName must be given");
        }
        if config.port.is_none() {
            return invalid("Port must be given for a health check of type TCP");
        }
    } else if config.ip_address.is_some() || config.fqdn.is_some() || config.port.is_some() {
        return invalid(format!("a health check of type {kind} has no endpoint"));
    }
    if kind.matches_text() != config.search_string.as_ref().is_some_and(|text| !text.is_empty()) {
        return invalid("SearchString goes with string matching, and with nothing else");
    }
    if config.resource_path.is_some() && !kind.is_http() {
        return invalid(format!("a health check of type {kind} has no ResourcePath"));
    }
    if config.enable_sni.is_some() && !kind.is_tls() {
        return invalid(format!("a health check of type {kind} has no EnableSNI"));
    }
    if config.measure_latency && !kind.has_endpoint() {
        return invalid(format!("a health check of type {kind} has no latency"));
    }
    if !config.regions.is_empty() && config.regions.len() < 3 {
        return invalid("at least three Regions must be given");
    }
    let calculated = kind == CheckType::Calculated;
    if calculated != config.health_threshold.is_some()
        || (!calculated && !config.children.is_empty())
    {
        return invalid("HealthThreshold and ChildHealthChecks go with type CALCULATED");
    }
    if config.children.len() > 256 {
        return invalid("at most 256 ChildHealthChecks may be given");
    }
    let metric = kind == CheckType::CloudwatchMetric;
    if metric != config.alarm.is_some() || (!metric && config.insufficient.is_some()) {
        return invalid("AlarmIdentifier goes with type CLOUDWATCH_METRIC");
    }
    Ok(())
}

/// The settings after an update. `reset` names elements that go back to their default.
pub fn updated(config: &Config, raw: &RawConfig, reset: &[String]) -> Result<Config, ApiError> {
    let mut config = config.clone();
    for element in reset {
        match element.as_str() {
            "FullyQualifiedDomainName" => config.fqdn = None,
            "Regions" => config.regions.clear(),
            "ResourcePath" => config.resource_path = None,
            "ChildHealthChecks" => config.children.clear(),
            _ => {
                let allowed =
                    ["FullyQualifiedDomainName", "Regions", "ResourcePath", "ChildHealthChecks"];
                return Err(facet::not_in_enumeration(element, &allowed));
            }
        }
    }
    update(&mut config, raw)?;
    check_whole(&config)?;
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn https() -> RawConfig {
        RawConfig {
            kind: Some("HTTPS".to_owned()),
            fqdn: Some("eu.api.example.com".to_owned()),
            ..RawConfig::default()
        }
    }

    #[test]
    fn defaults() {
        let config = create(&https()).unwrap();
        assert_eq!(config.port, Some(443));
        assert_eq!((config.request_interval_s, config.failure_threshold), (30, 3));
        assert_eq!(config.enable_sni, Some(true));
        assert_eq!(config.checker_regions().len(), 8);
    }

    #[test]
    fn refusals() {
        let check = |change: fn(&mut RawConfig), expect: &str| {
            let mut raw = https();
            change(&mut raw);
            let error = create(&raw).unwrap_err();
            assert_eq!(error.code, Code::InvalidInput);
            assert!(error.message().contains(expect), "{error}");
        };
        let some = |text: &str| Some(text.to_owned());
        check(|raw| raw.kind = Some("BOGUS".to_owned()), "cvc-enumeration-valid: Value 'BOGUS'");
        check(|raw| raw.request_interval = Some("15".to_owned()), "RequestInterval must be 10");
        check(|raw| raw.failure_threshold = Some("99".to_owned()), "maxInclusive '10'");
        check(|raw| raw.fqdn = None, "either IPAddress or");
        check(|raw| raw.ip_address = Some("10.0.0.1".to_owned()), "non-routable");
        check(|raw| raw.port = Some("0".to_owned()), "minInclusive '1'");
        check(|raw| raw.search_string = Some("x".to_owned()), "SearchString");
        check(|raw| raw.kind = Some("HTTPS_STR_MATCH".to_owned()), "SearchString");
        check(|raw| raw.regions = Some(vec!["us-east-1".to_owned()]), "at least three Regions");
        check(|raw| raw.regions = Some(vec!["moon-1".to_owned()]), "cvc-enumeration-valid");
        check(|raw| raw.children = Some(vec!["a".to_owned()]), "CALCULATED");
        check(|raw| raw.kind = Some("CALCULATED".to_owned()), "no endpoint");
        check(|raw| raw.resource_path = Some("x".repeat(256)), "maxLength '255'");
        check(|raw| raw.insufficient = Some("Healthy".to_owned()), "CLOUDWATCH_METRIC");
        let metric = RawConfig { kind: some("CLOUDWATCH_METRIC"), ..RawConfig::default() };
        assert!(create(&metric).is_err());
        let tcp = RawConfig { kind: some("TCP"), ip_address: some("127.0.0.1"), ..metric };
        assert!(create(&tcp).is_err());
        assert!(create(&RawConfig { port: some("80"), ..tcp }).is_ok());
    }
}
