//! How much was measured and how well, what it costs, by which method, and what to beware of.

use advisor::settings;
use probe::config::format_duration;
use probe::publish::counts::error_bound;

use super::Material;
use crate::document::{CoverageFacts, Document, MethodFacts, MonitoringFacts};
use crate::period::Unit;
use crate::totals::Kept;

/// List price of API Gateway REST APIs for the first tier, in USD for a million requests.
const REQUESTS_USD_MILLION: f64 = 3.5;
/// List price of a health check of an AWS endpoint with HTTPS, in USD a month.
const HEALTH_CHECK_USD_MONTH: f64 = 1.5;
/// From this share of failures on the reader is warned: a median may be a failure's.
const FAILING_MIN: f64 = 0.2;
const DAYS_30_MS: f64 = 30.0 * 86_400_000.0;

/// One line a configured vantage.
pub(super) fn coverage(material: &Material<'_>) -> Vec<CoverageFacts> {
    let stale_ms = settings::millis(material.config.evidence.stale);
    let has_slots = material.has_histograms();
    let lines = material.vantages().into_iter().map(|(vantage, population)| {
        let count = material.totals.of_vantage(vantage);
        let worst = count.by_kind.iter().max_by_key(|(kind, n)| (**n, std::cmp::Reverse(**kind)));
        CoverageFacts {
            vantage: vantage.to_owned(),
            population: population.as_str(),
            attempts: count.attempts,
            failures: count.failures,
            worst_kind: worst.map(|(kind, _)| *kind),
            missed: has_slots.then_some(count.missed),
            late: has_slots.then_some(count.late),
            incomplete: (!has_slots).then_some(count.incomplete),
            last: (count.attempts > 0).then(|| material.period.rfc3339(count.last_ms)),
            last_ms: (count.attempts > 0).then_some(count.last_ms),
            stale: count.last_ms < material.period.until_ms - stale_ms,
        }
    });
    lines.collect()
}

/// What measuring costs, at built-in list prices.
pub(super) fn monitoring(material: &Material<'_>) -> MonitoringFacts {
    let counts = material.totals.counts.values();
    let requests: u64 = counts.map(|count| count.attempts + count.incomplete).sum();
    let rate = DAYS_30_MS / material.period.length_ms().max(1) as f64;
    let monthly = (requests as f64 * rate).round();
    let health_checks = material.decided.map_or(0, |decided| decided.health_checks);
    let cents = |usd: f64| (usd * 100.0).round() / 100.0;
    MonitoringFacts {
        series: material.totals.series.len(),
        requests,
        requests_30d: whole(monthly),
        requests_usd_30d: cents(monthly / 1_000_000.0 * REQUESTS_USD_MILLION),
        health_checks,
        health_checks_usd_30d: cents(health_checks as f64 * HEALTH_CHECK_USD_MONTH),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a whole number that is not negative; what is too large is the largest"
)]
fn whole(value: f64) -> u64 {
    value.max(0.0) as u64
}

/// How the figures came about.
pub(super) fn method(material: &Material<'_>) -> Vec<MethodFacts> {
    let evidence = &material.config.evidence;
    let line = |name, value| MethodFacts { name, value };
    let preferred = match material.decided {
        Ok(decided) => decided.preferred,
        Err(_) => "unknown",
    };
    vec![
        line("version", format!("nearside {}", env!("CARGO_PKG_VERSION"))),
        line("cost", cost_text(evidence.cold_share, evidence.quantile)),
        line("failures", "slower than the timeout, in every quantile".to_owned()),
        line("window", format_duration(evidence.window)),
        line("block", format_duration(evidence.block)),
        line("blocks a verdict needs", evidence.blocks.to_string()),
        line("alpha", evidence.alpha.to_string()),
        line("least gain", least_gain(evidence.min_gain_ms, evidence.min_gain_share)),
        line("witness margin", format!("{} ms", evidence.triangle_ms)),
        line("harm limit", format!("{} ms", evidence.harm_ms)),
        line("cool-down", format_duration(evidence.cooldown)),
        line("volatility judged over", format_duration(evidence.volatility_history)),
        line("stale after", format_duration(evidence.stale)),
        line("preferred labels", preferred.to_owned()),
        line("intervals", "order statistics of block costs".to_owned()),
        line("percentiles", percentiles_text(material)),
        line("time zone", material.period.zone_name().to_owned()),
    ]
}

fn percentiles_text(material: &Material<'_>) -> String {
    if material.has_histograms() {
        return "of merged histograms of three digits".to_owned();
    }
    format!(
        "of the samples that CloudWatch counts between fixed edges, at most {:.1} % off, and what is \
         published may be off by as much; limits of objectives are edges",
        error_bound() * 100.0
    )
}

fn cost_text(cold_share: f64, quantile: f64) -> String {
    let warm_share = (1.0 - cold_share) * 1_000.0;
    format!(
        "{cold_share} x cold + {} x warm, each the {quantile} quantile of a block",
        warm_share.round() / 1_000.0
    )
}

fn least_gain(ms: f64, share: f64) -> String {
    format!("{ms} ms or {} %", (share * 10_000.0).round() / 100.0)
}

/// Whether so much failed that the failures are the news, and how most of it did.
fn failing(document: &Document) -> Option<String> {
    let lines = &document.coverage;
    let (failed, all): (u64, u64) =
        lines.iter().fold((0, 0), |sum, line| (sum.0 + line.failures, sum.1 + line.attempts));
    let share = failed as f64 / all.max(1) as f64;
    if share < FAILING_MIN {
        return None;
    }
    let worst = lines.iter().max_by_key(|line| line.failures)?;
    let kind = worst.worst_kind.unwrap_or("unknown");
    Some(format!(
        "{:.1} % of all samples failed, at {} most often by '{kind}': costs stand for failures, not for \
         answers.",
        share * 100.0,
        worst.vantage
    ))
}

/// Whether the zone was changed after it was read, so that routing and advice are those before.
fn changed_since(material: &Material<'_>, document: &Document) -> Option<String> {
    let read_ms = material.decided.ok()?.at_ms;
    let later =
        document.applies.iter().find(|one| one.at_ms >= read_ms && !one.moves.is_empty())?;
    Some(format!(
        "The zone was changed after it was read: routing and advice are those before operation {}.",
        later.operation
    ))
}

/// What CloudWatch keeps elsewhere than where it was looked for.
fn of_cloudwatch(material: &Material<'_>, document: &Document) -> Vec<String> {
    let mut notices = Vec::new();
    let incomplete: u64 = document.coverage.iter().filter_map(|line| line.incomplete).sum();
    if incomplete > 0 {
        notices.push(format!(
            "{incomplete} samples were taken in windows with missed slots: CloudWatch keeps them apart, and no \
             figure but that of requests holds them."
        ));
    }
    if let Kept::Counts { left_out } = &material.totals.kept
        && !left_out.is_empty()
    {
        let left_out: Vec<&str> = left_out.iter().map(String::as_str).collect();
        notices.push(format!(
            "Not in this report: {}. CloudWatch keeps their series by address, edge or step.",
            left_out.join(", ")
        ));
    }
    notices
}

/// What the reader must know before believing the figures.
pub(super) fn notices(material: &Material<'_>, document: &Document) -> Vec<String> {
    let mut notices = Vec::new();
    let requests = document.monitoring.requests;
    if requests == 0 {
        notices.push("Nothing was measured in this period.".to_owned());
    }
    notices.extend(failing(document));
    let blocks = document.cells.iter().map(|cell| cell.blocks).max().unwrap_or(0);
    let needed = material.config.evidence.blocks as usize;
    if requests > 0 && blocks < needed {
        notices.push(format!(
            "The data are thin: no cell has more than {blocks} blocks in this period, and a verdict needs {needed}."
        ));
    }
    if let Some(cause) = &document.routing.cause {
        notices.push(format!("Routing and advice are missing: {cause}."));
    }
    let silent: Vec<&str> = document
        .coverage
        .iter()
        .filter(|line| line.attempts == 0)
        .map(|line| line.vantage.as_str())
        .collect();
    if requests > 0 && !silent.is_empty() {
        notices.push(format!("No data from {}.", silent.join(", ")));
    }
    let stale: Vec<&str> = document
        .coverage
        .iter()
        .filter(|line| line.stale && line.attempts > 0)
        .map(|line| line.vantage.as_str())
        .collect();
    if !stale.is_empty() {
        notices.push(format!("The data of {} had gone stale by the end.", stale.join(", ")));
    }
    notices.extend(changed_since(material, document));
    notices.extend(of_cloudwatch(material, document));
    let unknown = material.totals.unknown.len();
    if unknown > 0 {
        notices.push(format!(
            "{unknown} vantages of the store are not in the configuration, and are left out."
        ));
    }
    if matches!(material.period.unit, Unit::Length(_)) && document.truth.is_some() {
        notices
            .push("This is a lab: windows and blocks are shortened, latencies are not.".to_owned());
    }
    notices
}
