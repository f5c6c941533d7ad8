//! Health checks as Route 53 sees them: observations by checkers, opinions after thresholds, and
//! whether a check counts as healthy. Pure; the requests are made by `checker`.

pub mod checker;
pub mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use config::{CheckType, Config, Insufficient};

/// A check is healthy when more than this share of its checkers say so.
pub const HEALTHY_SHARE: f64 = 0.18;
/// Calculated checks deeper than this count as healthy. AWS's own bound is unknown.
const DEPTH_MAX: usize = 8;

/// What one request of a checker found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether the endpoint did what it should.
    pub success: bool,
    /// AWS's sentence for it, `Success: …` or `Failure: …`.
    pub status: String,
}

/// The last report of a checker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The sentence.
    pub status: String,
    /// When, since the lab started.
    pub at: Duration,
}

/// One checker's view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checker {
    /// Its opinion: turned by as many consecutive reports as the threshold says.
    pub healthy: bool,
    /// Consecutive reports against the opinion.
    against: u8,
    /// The last report.
    pub last: Option<Report>,
    /// The last failure.
    pub last_failure: Option<Report>,
}

impl Checker {
    fn new() -> Self {
        Self { healthy: true, against: 0, last: None, last_failure: None }
    }

    fn observe(&mut self, outcome: &Outcome, threshold: u8, now: Duration) {
        let report = Report { status: outcome.status.clone(), at: now };
        if !outcome.success {
            self.last_failure = Some(report.clone());
        }
        self.last = Some(report);
        if outcome.success == self.healthy {
            self.against = 0;
            return;
        }
        self.against = self.against.saturating_add(1);
        if self.against >= threshold {
            self.healthy = outcome.success;
            self.against = 0;
        }
    }
}

/// The state of the data behind a CloudWatch alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AlarmState {
    /// Within the threshold.
    Ok,
    /// Over the threshold.
    Alarm,
    /// Not enough data to say.
    InsufficientData,
}

#[derive(Debug, Clone, Copy)]
struct Alarm {
    state: AlarmState,
    last_known_healthy: bool,
    at: Duration,
}

/// A health check.
#[derive(Debug, Clone)]
pub struct HealthCheck {
    /// A UUID.
    pub id: String,
    /// The reference its creator gave.
    pub caller_reference: String,
    /// Its settings.
    pub config: Config,
    /// 1 at first, one more with each update.
    pub version: u64,
    /// When the next request is due.
    due: Duration,
    checkers: BTreeMap<&'static str, Checker>,
}

impl HealthCheck {
    /// A check without observations, whose first request is due at `due`.
    #[must_use]
    pub fn new(id: String, caller_reference: String, config: Config, due: Duration) -> Self {
        let mut check =
            Self { id, caller_reference, config, version: 1, due, checkers: BTreeMap::new() };
        check.settle_checkers();
        check
    }

    /// Replaces the settings. Opinions of checkers that stay are kept.
    pub fn set_config(&mut self, config: Config) {
        self.config = config;
        self.version += 1;
        self.settle_checkers();
    }

    fn settle_checkers(&mut self) {
        let regions = self.config.checker_regions();
        self.checkers.retain(|region, _| regions.contains(region));
        if self.config.kind.has_endpoint() {
            for region in regions {
                self.checkers.entry(region).or_insert_with(Checker::new);
            }
        }
    }

    /// The checkers by Region.
    pub fn checkers(&self) -> impl Iterator<Item = (&'static str, &Checker)> {
        self.checkers.iter().map(|(region, checker)| (*region, checker))
    }

    fn observed_healthy(&self) -> bool {
        let reports: Vec<bool> = self
            .checkers
            .values()
            .filter(|checker| checker.last.is_some())
            .map(|checker| checker.healthy)
            .collect();
        let healthy = reports.iter().filter(|healthy| **healthy).count();
        healthy as f64 > HEALTHY_SHARE * reports.len() as f64
    }

    fn is_observed(&self) -> bool {
        self.checkers.values().any(|checker| checker.last.is_some())
    }
}

/// All health checks, and the alarms they follow.
#[derive(Debug, Clone, Default)]
pub struct Checks {
    by_id: BTreeMap<String, HealthCheck>,
    ids: BTreeSet<String>,
    alarms: BTreeMap<(String, String), Alarm>,
}

impl Checks {
    /// Adds a check.
    pub fn add(&mut self, check: HealthCheck) {
        self.ids.insert(check.id.clone());
        self.by_id.insert(check.id.clone(), check);
    }

    /// Removes a check; `false` if there is none.
    pub fn remove(&mut self, id: &str) -> bool {
        self.ids.remove(id);
        self.by_id.remove(id).is_some()
    }

    /// The check of an id.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&HealthCheck> {
        self.by_id.get(id)
    }

    /// The check of an id, to be changed.
    pub fn get_mut(&mut self, id: &str) -> Option<&mut HealthCheck> {
        self.by_id.get_mut(id)
    }

    /// All ids.
    #[must_use]
    pub fn ids(&self) -> &BTreeSet<String> {
        &self.ids
    }

    /// All checks by id.
    pub fn iter(&self) -> impl Iterator<Item = &HealthCheck> {
        self.by_id.values()
    }

    /// Takes the checks whose request is due; their next one is due after `interval`.
    pub fn take_due(
        &mut self,
        now: Duration,
        interval: impl Fn(&Config) -> Duration,
    ) -> Vec<(String, Config)> {
        let mut due = Vec::new();
        for check in self.by_id.values_mut() {
            let works = check.config.kind.has_endpoint() && !check.config.disabled;
            if works && check.due <= now {
                check.due = now + interval(&check.config);
                due.push((check.id.clone(), check.config.clone()));
            }
        }
        due
    }

    /// Records what the checkers of `regions` found. A check that is gone is left alone.
    pub fn observe(&mut self, id: &str, regions: &[&str], outcome: &Outcome, now: Duration) {
        let Some(check) = self.by_id.get_mut(id) else { return };
        let threshold = check.config.failure_threshold;
        for (region, checker) in &mut check.checkers {
            if regions.contains(region) {
                checker.observe(outcome, threshold, now);
            }
        }
    }

    /// Sets the state of an alarm's data.
    pub fn set_alarm(&mut self, region: &str, name: &str, state: AlarmState, now: Duration) {
        let key = (region.to_owned(), name.to_owned());
        let before = self.alarms.get(&key).is_none_or(|alarm| alarm.last_known_healthy);
        let last_known_healthy = match state {
            AlarmState::Ok => true,
            AlarmState::Alarm => false,
            AlarmState::InsufficientData => before,
        };
        self.alarms.insert(key, Alarm { state, last_known_healthy, at: now });
    }

    /// The report of a check on a metric: the state of its alarm, if it was ever set.
    #[must_use]
    pub fn alarm_report(&self, config: &Config) -> Option<(AlarmState, Duration)> {
        let alarm = self.alarms.get(config.alarm.as_ref()?)?;
        Some((alarm.state, alarm.at))
    }

    /// Whether the check counts as healthy. One that does not exist does: what AWS does with a
    /// deleted check that records still name cannot be predicted.
    #[must_use]
    pub fn healthy(&self, id: &str) -> bool {
        self.healthy_at_depth(id, 0)
    }

    fn healthy_at_depth(&self, id: &str, depth: usize) -> bool {
        let Some(check) = self.by_id.get(id) else { return true };
        let config = &check.config;
        if depth >= DEPTH_MAX {
            return true;
        }
        if config.disabled {
            return !config.inverted;
        }
        let found = match config.kind {
            CheckType::Calculated => self.enough_children(config, depth),
            CheckType::CloudwatchMetric => self.metric_healthy(config),
            _ if !check.is_observed() => return true,
            _ => check.observed_healthy(),
        };
        found != config.inverted
    }

    fn enough_children(&self, config: &Config, depth: usize) -> bool {
        let healthy = |id: &&String| self.healthy_at_depth(id, depth + 1);
        let count = config.children.iter().filter(healthy).count();
        count >= usize::from(config.health_threshold.unwrap_or(0))
    }

    fn metric_healthy(&self, config: &Config) -> bool {
        let alarm = config.alarm.as_ref().and_then(|key| self.alarms.get(key));
        match alarm.map_or(AlarmState::InsufficientData, |alarm| alarm.state) {
            AlarmState::Ok => true,
            AlarmState::Alarm => false,
            AlarmState::InsufficientData => match config.insufficient {
                Some(Insufficient::Healthy) => true,
                Some(Insufficient::Unhealthy) => false,
                Some(Insufficient::LastKnown) | None => {
                    alarm.is_none_or(|alarm| alarm.last_known_healthy)
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::config::{RawConfig, create};
    use super::*;

    fn raw(kind: &str) -> RawConfig {
        RawConfig { kind: Some(kind.to_owned()), ..RawConfig::default() }
    }

    fn tcp() -> RawConfig {
        let text = |text: &str| Some(text.to_owned());
        RawConfig { ip_address: text("127.0.0.1"), port: text("80"), ..raw("TCP") }
    }

    fn checks(raws: &[(&str, RawConfig)]) -> Checks {
        let mut checks = Checks::default();
        for (id, raw) in raws {
            let config = create(raw).unwrap();
            checks.add(HealthCheck::new(
                (*id).to_owned(),
                (*id).to_owned(),
                config,
                Duration::ZERO,
            ));
        }
        checks
    }

    fn report(checks: &mut Checks, success: bool, regions: &[&str], times: usize) {
        let outcome = Outcome { success, status: String::new() };
        for _ in 0..times {
            checks.observe("a", regions, &outcome, Duration::ZERO);
        }
    }

    #[test]
    fn healthy_until_observed_then_by_threshold() {
        let all = crate::route53::regions::CHECKER_REGIONS;
        let mut checks = checks(&[("a", tcp())]);
        assert!(checks.healthy("a"));
        report(&mut checks, false, &all, 2);
        assert!(checks.healthy("a"), "two of three failures");
        report(&mut checks, false, &all, 1);
        assert!(!checks.healthy("a"));
        report(&mut checks, true, &all, 2);
        assert!(!checks.healthy("a"), "two of three successes");
        report(&mut checks, true, &all, 1);
        assert!(checks.healthy("a"));
    }

    #[test]
    fn more_than_18_percent_must_say_so() {
        let all = crate::route53::regions::CHECKER_REGIONS;
        let mut checks = checks(&[("a", tcp())]);
        report(&mut checks, false, &all, 3);
        report(&mut checks, true, &all[..1], 3);
        assert!(!checks.healthy("a"), "one of eight is 12.5 %");
        report(&mut checks, true, &all[..2], 3);
        assert!(checks.healthy("a"), "two of eight are 25 %");
    }

    #[test]
    fn disabled_and_inverted() {
        let all = crate::route53::regions::CHECKER_REGIONS;
        let yes = || Some("true".to_owned());
        let mut one = checks(&[("a", RawConfig { inverted: yes(), ..tcp() })]);
        assert!(one.healthy("a"), "not observed");
        report(&mut one, true, &all, 1);
        assert!(!one.healthy("a"));
        let one = checks(&[("a", RawConfig { disabled: yes(), ..tcp() })]);
        assert!(one.healthy("a"));
    }

    #[test]
    fn calculated() {
        let all = crate::route53::regions::CHECKER_REGIONS;
        let parent = |threshold: &str| RawConfig {
            health_threshold: Some(threshold.to_owned()),
            children: Some(vec!["a".to_owned(), "b".to_owned()]),
            ..raw("CALCULATED")
        };
        let mut checks =
            checks(&[("a", tcp()), ("b", tcp()), ("two", parent("2")), ("one", parent("1"))]);
        assert!(checks.healthy("two"));
        report(&mut checks, false, &all, 3);
        assert!(!checks.healthy("two") && checks.healthy("one"));
    }

    #[test]
    fn metric_follows_its_alarm() {
        let with = |insufficient: &str| RawConfig {
            alarm: Some([Some("us-east-1".to_owned()), Some("canary".to_owned())]),
            insufficient: Some(insufficient.to_owned()),
            ..raw("CLOUDWATCH_METRIC")
        };
        let mut checks = checks(&[
            ("h", with("Healthy")),
            ("u", with("Unhealthy")),
            ("l", with("LastKnownStatus")),
        ]);
        let mut check = |state, expect: [bool; 3]| {
            if let Some(state) = state {
                checks.set_alarm("us-east-1", "canary", state, Duration::ZERO);
            }
            assert_eq!(["h", "u", "l"].map(|id| checks.healthy(id)), expect, "{state:?}");
        };
        check(None, [true, false, true]);
        check(Some(AlarmState::Alarm), [false; 3]);
        check(Some(AlarmState::InsufficientData), [true, false, false]);
        check(Some(AlarmState::Ok), [true; 3]);
        check(Some(AlarmState::InsufficientData), [true, false, true]);
    }
}
