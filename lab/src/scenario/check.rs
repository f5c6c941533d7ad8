//! The rules of a scenario: each refusal names the key, the value and the bound. Pure.

use std::collections::BTreeSet;

use super::{
    CLIENTS_MAX, CLIENTS_MIN, ENDPOINTS_MAX, EndpointKind, EndpointSpec, Faults, Scenario,
    ScenarioError, VANTAGES_MAX,
};
use crate::atlas::{Atlas, LABELS};

impl Scenario {
    /// Checks every value against its bound.
    pub fn validated(self) -> Result<Self, ScenarioError> {
        self.check_names()?;
        self.check_places()?;
        self.check_draws()?;
        self.check_app()?;
        self.check_times()?;
        self.check_config()?;
        Ok(self)
    }

    fn check_names(&self) -> Result<(), ScenarioError> {
        for (key, name) in [("zone", &self.zone), ("name", &self.name)] {
            if !is_host(name) {
                return Err(bad(key, name, "must be a lower-case host name without a final dot"));
            }
        }
        if self.name != self.zone && !self.name.ends_with(&format!(".{}", self.zone)) {
            return Err(bad("name", &self.name, &format!("must lie in the zone {}", self.zone)));
        }
        Ok(())
    }

    fn check_places(&self) -> Result<(), ScenarioError> {
        let atlas = Atlas::built_in()?;
        let clients = CLIENTS_MIN..=CLIENTS_MAX;
        if !clients.contains(&self.clients) {
            let bound = format!("must be {CLIENTS_MIN} to {CLIENTS_MAX}");
            return Err(bad("clients", &self.clients, &bound));
        }
        check_count("vantages", self.vantages.len(), VANTAGES_MAX)?;
        check_count("endpoint", self.endpoints.len(), ENDPOINTS_MAX)?;
        let vantages = self.vantages.iter().map(String::as_str);
        check_regions("vantages", vantages, &atlas)?;
        let regions = self.endpoints.iter().map(|e| e.region.as_str());
        check_regions("endpoint.region", regions, &atlas)?;
        for endpoint in &self.endpoints {
            let known = atlas.index_of(&endpoint.region).map(|i| &atlas.regions[i]);
            if known.is_none_or(|r| r.apigateway_zone.is_none() || !r.commercial()) {
                let bound = "must be a commercial Region whose API Gateway zone id is known";
                return Err(bad("endpoint.region", &endpoint.region, bound));
            }
            check_endpoint(endpoint)?;
        }
        let fronted = |e: &&EndpointSpec| e.kind == EndpointKind::Cloudfront;
        let fronted = self.endpoints.iter().filter(fronted).count();
        if fronted > 1 {
            let bound = "endpoints of kind cloudfront: a name can live in one distribution only";
            return Err(bad("endpoint.kind", &fronted, bound));
        }
        Ok(())
    }

    fn check_draws(&self) -> Result<(), ScenarioError> {
        check_number("service.sigma", self.service.sigma, 0.0, 2.0)?;
        check_number("wan.jitter_ms", self.wan.jitter_ms, 0.0, 100.0)?;
        check_number("wan.jitter_sigma", self.wan.jitter_sigma, 0.0, 2.0)?;
        check_number("wan.loss", self.wan.loss, 0.0, 0.5)?;
        check_number("wan.retransmit_ms", self.wan.retransmit_ms, 0.0, 10_000.0)
    }

    fn check_app(&self) -> Result<(), ScenarioError> {
        let Some(app) = &self.app else { return Ok(()) };
        let atlas = Atlas::built_in()?;
        let one =
            |key: &str, code: &String| check_regions(key, [code.as_str()].into_iter(), &atlas);
        one("app.static_region", &app.static_region)?;
        one("app.sign_in_region", &app.sign_in_region)?;
        one("app.api_data_region", &app.api_data_region)?;
        check_number("app.api_data_calls", f64::from(app.api_data_calls), 0.0, 20.0)?;
        check_count("app.data_regions", app.data_regions.len(), LABELS)?;
        let regions = app.data_regions.iter().map(String::as_str);
        check_regions("app.data_regions", regions, &atlas)?;
        check_number("app.static_ttl_s", app.static_ttl_s, 0.05, 86_400.0)?;
        check_number("app.server_timing_percent", app.server_timing_percent, 0.0, 100.0)?;
        let rest = |e: &EndpointSpec| e.kind == EndpointKind::Rest && e.region == app.api_region;
        if !self.endpoints.iter().any(rest) {
            let bound = "must be the Region of an endpoint of kind rest";
            return Err(bad("app.api_region", &app.api_region, bound));
        }
        Ok(())
    }

    fn check_times(&self) -> Result<(), ScenarioError> {
        if !(1..=86_400).contains(&self.answer_ttl_s) {
            return Err(bad("answer_ttl_s", &self.answer_ttl_s, "must be 1 to 86400"));
        }
        if !matches!(self.metrics_period_s, 1 | 5 | 10 | 20 | 30 | 60) {
            let bound = "must be 1, 5, 10, 20, 30 or 60";
            return Err(bad("metrics_period_s", &self.metrics_period_s, bound));
        }
        Ok(())
    }

    fn check_config(&self) -> Result<(), ScenarioError> {
        let config = &self.config;
        for (key, value, least) in [
            ("config.interval_ms", config.interval_ms, 10),
            ("config.interval_warm_ms", config.interval_warm_ms, 10),
            ("config.timeout_ms", config.timeout_ms, 10),
            ("config.window_ms", config.window_ms, 1000),
            ("config.block_ms", config.block_ms, config.window_ms),
        ] {
            let bound = format!("must be {least} to 86400000");
            if !(least..=86_400_000).contains(&value) {
                return Err(bad(key, &value, &bound));
            }
        }
        if !config.block_ms.is_multiple_of(config.window_ms) {
            let bound = format!("must be a multiple of config.window_ms ({})", config.window_ms);
            return Err(bad("config.block_ms", &config.block_ms, &bound));
        }
        if !(1..=10_000).contains(&config.blocks) {
            return Err(bad("config.blocks", &config.blocks, "must be 1 to 10000"));
        }
        check_number("config.cold_share", config.cold_share, 0.0, 1.0)?;
        check_number("config.max_traffic_moved", config.max_traffic_moved, 0.0, 1.0)
    }
}

/// Checks faults of one endpoint, also when they are set while it runs.
pub(crate) fn check_faults(faults: &Faults) -> Result<(), ScenarioError> {
    check_number("endpoint.faults.fail_share", faults.fail_share, 0.0, 1.0)?;
    check_number("endpoint.faults.extra_ms", faults.extra_ms, 0.0, 60_000.0)?;
    if let Some(fixed) = faults.fixed_service_ms {
        check_number("endpoint.faults.fixed_service_ms", fixed, 0.0, 60_000.0)?;
    }
    if (500..=599).contains(&faults.fail_status) {
        return Ok(());
    }
    Err(bad("endpoint.faults.fail_status", &faults.fail_status, "must be 500 to 599"))
}

fn check_endpoint(endpoint: &EndpointSpec) -> Result<(), ScenarioError> {
    check_number("endpoint.slow_ms", endpoint.slow_ms, 0.0, 60_000.0)?;
    check_faults(&endpoint.faults)
}

fn check_count(key: &str, count: usize, most: usize) -> Result<(), ScenarioError> {
    if (1..=most).contains(&count) {
        return Ok(());
    }
    Err(bad(key, &format!("{count} of them"), &format!("must be 1 to {most}")))
}

fn check_regions<'a>(
    key: &str,
    codes: impl Iterator<Item = &'a str>,
    atlas: &Atlas,
) -> Result<(), ScenarioError> {
    let mut seen = BTreeSet::new();
    for code in codes {
        if atlas.index_of(code).is_none() {
            return Err(bad(key, &code, "must be a Region that Route 53 knows as a latency label"));
        }
        if !seen.insert(code) {
            return Err(bad(key, &code, "must be named once"));
        }
    }
    Ok(())
}

fn check_number(key: &str, value: f64, least: f64, most: f64) -> Result<(), ScenarioError> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(bad(key, &value, &format!("must be {least} to {most}")))
}

fn bad(key: &str, value: &dyn std::fmt::Display, bound: &str) -> ScenarioError {
    ScenarioError::Value { key: key.into(), value: value.to_string(), bound: bound.into() }
}

fn is_host(name: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    name.len() <= 200 && name.contains('.') && name.split('.').all(label)
}
