//! From the configuration to the figures that deciding needs.
//!
//! Pure translation: units, names, defaults of the rules that the configuration does not hold.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use probe::config::{Config, EndpointKind, EvidenceSettings, Population};

use crate::advice::AdviceRule;
use crate::apply::HEALTH_CHECK_PREFIX;
use crate::digest::sha256_hex;
use crate::evidence::EvidenceRule;
use crate::group::EndpointTarget;
use crate::guard::GuardRule;
use crate::matrix::CostRule;
use crate::name::{Name, NameError};
use crate::plan::Thresholds;
use crate::weights::WeightRule;
use crate::zone::{ExistingHealthCheck, HealthCheckSpec};

/// Why the configuration does not suffice for planning.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A name that Route 53 would not take.
    #[error("{key}: {cause}")]
    Name {
        /// The key in nearside.toml.
        key: String,
        /// Why.
        cause: NameError,
    },
    /// A key that measuring can do without, and planning cannot.
    #[error("endpoint {endpoint} has no {key}")]
    Missing {
        /// The endpoint.
        endpoint: String,
        /// The key.
        key: &'static str,
    },
}

impl SettingsError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Name { .. } => "write the name as DNS has it, like api.example.com",
            Self::Missing { .. } => {
                "planning needs endpoint.alias and endpoint.health_url of every endpoint"
            }
        }
    }
}

/// The service name.
pub fn service(config: &Config) -> Result<Name, SettingsError> {
    parse("name", &config.name)
}

fn parse(key: &str, text: &str) -> Result<Name, SettingsError> {
    Name::parse(text).map_err(|cause| SettingsError::Name { key: key.to_owned(), cause })
}

/// Milliseconds of a duration.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// The figures of the block test.
#[must_use]
pub fn evidence_rule(settings: &EvidenceSettings) -> EvidenceRule {
    let history = settings.volatility_history.as_millis() / settings.block.as_millis().max(1);
    EvidenceRule {
        blocks: settings.blocks,
        volatile_blocks: settings.volatile_blocks,
        alpha: settings.alpha,
        min_gain_ms: settings.min_gain_ms,
        min_gain_share: settings.min_gain_share,
        volatility_slots: u32::try_from(history).unwrap_or(u32::MAX),
        // The one figure that no key sets.
        ..EvidenceRule::default()
    }
}

/// The figures of rule 1.
#[must_use]
pub fn advice_rule(settings: &EvidenceSettings) -> AdviceRule {
    AdviceRule {
        evidence: evidence_rule(settings),
        triangle_ms: settings.triangle_ms,
        harm_ms: settings.harm_ms,
    }
}

/// How blocks become costs.
#[must_use]
pub fn cost_rule(settings: &EvidenceSettings) -> CostRule {
    CostRule { cold_share: settings.cold_share, block_ms: millis(settings.block) }
}

/// The limits of applying.
pub fn guard_rule(config: &Config) -> Result<GuardRule, SettingsError> {
    let names = |key: &str, names: &[String]| -> Result<Vec<Name>, SettingsError> {
        names.iter().map(|name| parse(key, name)).collect()
    };
    Ok(GuardRule {
        allow: names("guard.allow", &config.guard.allow)?,
        adopt: names("guard.adopt", &config.guard.adopt)?,
        max_traffic_moved: config.guard.max_traffic_moved,
        freeze: config.guard.freeze.iter().map(|window| (window.start_ms, window.end_ms)).collect(),
        stale_ms: millis(config.evidence.stale),
    })
}

/// The limits of weights.
#[must_use]
pub fn weight_rule(config: &Config) -> WeightRule {
    WeightRule { floor: config.weights.floor, max_step: config.weights.max_step }
}

/// The limits that a plan quotes.
#[must_use]
pub fn thresholds(config: &Config) -> Thresholds {
    let evidence = &config.evidence;
    Thresholds {
        blocks: evidence.blocks,
        block_ms: millis(evidence.block),
        alpha: evidence.alpha,
        min_gain_ms: evidence.min_gain_ms,
        min_gain_share: evidence.min_gain_share,
        triangle_ms: evidence.triangle_ms,
        harm_ms: evidence.harm_ms,
        max_traffic_moved: config.guard.max_traffic_moved,
    }
}

/// Vantages that measure from a data centre.
#[must_use]
pub fn cloud_vantages(config: &Config) -> BTreeSet<String> {
    config
        .vantages
        .iter()
        .filter(|vantage| vantage.population == Population::Cloud)
        .map(|vantage| vantage.id.clone())
        .collect()
}

/// The witness of each endpoint: the cloud vantage whose id is the endpoint's Region.
#[must_use]
pub fn witnesses(config: &Config) -> BTreeMap<String, String> {
    let cloud = cloud_vantages(config);
    config
        .endpoints
        .iter()
        .filter(|endpoint| cloud.contains(&endpoint.region))
        .map(|endpoint| (endpoint.id.clone(), endpoint.region.clone()))
        .collect()
}

/// The Region of each endpoint that is answered from there alone. Edges answer from anywhere.
#[must_use]
pub fn places(config: &Config) -> BTreeMap<String, String> {
    let regional = config.endpoints.iter().filter(|one| one.kind == EndpointKind::Regional);
    regional.map(|one| (one.id.clone(), one.region.clone())).collect()
}

/// The endpoints as DNS answers with them.
///
/// A health check that watches the same URL of the same endpoint is used again. A new one gets a CallerReference
/// of the plan's generation, because Route 53 never takes the reference of a deleted check again.
pub fn endpoint_targets(
    config: &Config,
    existing: &[ExistingHealthCheck],
    generation: u64,
) -> Result<Vec<EndpointTarget>, SettingsError> {
    let missing =
        |endpoint: &str, key| SettingsError::Missing { endpoint: endpoint.to_owned(), key };
    let mut targets = Vec::with_capacity(config.endpoints.len());
    for endpoint in &config.endpoints {
        let id = &endpoint.id;
        let alias = endpoint.alias.as_ref().ok_or_else(|| missing(id, "alias"))?;
        let health = endpoint.health_url.as_ref().ok_or_else(|| missing(id, "health_url"))?;
        let identity = format!("{} {} {id}", config.zone, config.name);
        let prefix = format!("{HEALTH_CHECK_PREFIX}{}-", short_hash(&identity));
        let found = existing.iter().find(|check| {
            check.caller_reference.starts_with(&prefix)
                && (&check.host, check.port, &check.path)
                    == (&health.host, health.port, &health.path)
        });
        let caller_reference = found.map_or_else(
            || format!("{prefix}g{generation}"),
            |check| check.caller_reference.clone(),
        );
        targets.push(EndpointTarget {
            id: id.clone(),
            region: endpoint.region.clone(),
            dns_name: parse(&format!("endpoint {id}: alias.dns_name"), &alias.dns_name)?,
            hosted_zone_id: alias.hosted_zone_id.clone(),
            health_check: HealthCheckSpec {
                caller_reference,
                endpoint: id.clone(),
                https: health.https,
                host: health.host.clone(),
                port: health.port,
                path: health.path.clone(),
            },
            health_check_id: found.map(|check| check.id.clone()),
            proves_region: endpoint.region_proof.is_some()
                || endpoint.kind == EndpointKind::CloudFront,
        });
    }
    Ok(targets)
}

fn short_hash(text: &str) -> String {
    sha256_hex(text.as_bytes())[..12].to_owned()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use probe::config::{DEFAULTS, Flags, build};

    /// A configuration of one endpoint, `ireland` in eu-west-1, with these vantages.
    pub(crate) fn config(vantages: &str) -> Config {
        let text = format!(
            r#"
            name = "api.example.com"
            zone = "example.com"
            {vantages}
            [[endpoint]]
            id = "ireland"
            region = "eu-west-1"
            kind = "regional"
            url = "https://api.example.com/"
            "#
        );
        build(DEFAULTS, &text, &BTreeMap::new(), &Flags::default()).unwrap()
    }

    #[test]
    fn a_configuration_that_says_nothing_of_them_has_the_rules_own_figures() {
        let config = config("[[vantage]]\nid = \"eu-west-1\"\npopulation = \"cloud\"");
        assert_eq!(advice_rule(&config.evidence), AdviceRule::default());
    }
}
