//! From measurements, advice and journal to the report's document. Pure: the same input gives the
//! same document, whatever the machine and the hour.

mod advice;
mod answer;
mod applies;
mod cells;
mod changes;
mod coverage;
mod deployment;
mod latency;
mod objectives;
mod targets;

use std::collections::BTreeMap;

use advisor::advice::{Advice, Routing};
use advisor::journal::Operation;
use advisor::matrix::Matrix;
use advisor::name::Label;
use advisor::plan::Effect;
use advisor::shares::Shares;
use probe::config::{Config, Population};

use crate::document::{Document, FORMAT, PeriodFacts, TruthFacts};
use crate::period::Period;
use crate::totals::{Kept, Totals};

pub(crate) use answer::counted;
pub use deployment::{SeriesMedians, series_medians};
pub use objectives::{BREACHED, MET};
pub use targets::SHARES;

/// The embedded store, as [`Document::store`] calls it.
pub const SQLITE: &str = "sqlite";
/// The fleet's store.
pub const CLOUDWATCH: &str = "cloudwatch";

/// What is known of the zone, and what follows from it.
#[derive(Debug, Clone, Copy)]
pub struct Decided<'a> {
    /// Who is sent where.
    pub routing: &'a Routing,
    /// The labels that lead to several endpoints with weights.
    pub split: &'a BTreeMap<Label, advisor::topology::Shares>,
    /// How that is known: `asked` or `modelled`.
    pub preferred: &'a str,
    /// What the advice rests on.
    pub matrix: &'a Matrix,
    /// What is advised.
    pub advice: &'a Advice,
    /// What following it would do.
    pub effect: &'a Effect,
    /// Health checks that our records name.
    pub health_checks: usize,
    /// When the zone was read, in ms since 1970.
    pub at_ms: i64,
}

/// Everything a report is made from.
#[derive(Debug, Clone, Copy)]
pub struct Material<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// What the report speaks of.
    pub period: &'a Period,
    /// What that is compared with.
    pub compared: Option<&'a Period>,
    /// The blocks of both.
    pub matrix: &'a Matrix,
    /// The median of each series over the blocks of the period.
    pub series: &'a SeriesMedians,
    /// The merged histograms of the period.
    pub totals: &'a Totals,
    /// The zone and the advice, or why there is none.
    pub decided: Result<Decided<'a>, &'a str>,
    /// Who the users are.
    pub traffic: &'a Shares,
    /// The journal.
    pub operations: &'a [Operation],
    /// What a lab knows.
    pub truth: Option<TruthFacts>,
}

impl Material<'_> {
    /// The configured vantages and their populations, by id.
    fn vantages(&self) -> BTreeMap<&str, Population> {
        let all = self.config.vantages.iter();
        all.map(|vantage| (vantage.id.as_str(), vantage.population)).collect()
    }

    /// What each of these vantages weighs: its share of the traffic, or all the same where none of
    /// them has any. It sums to 1.
    fn weights<'b>(&self, ids: &[&'b str]) -> BTreeMap<&'b str, f64> {
        let total: f64 = ids.iter().map(|id| self.traffic.of_vantage(id)).sum();
        let equal = 1.0 / ids.len().max(1) as f64;
        let weight =
            |id: &str| if total > 0.0 { self.traffic.of_vantage(id) / total } else { equal };
        ids.iter().map(|id| (*id, weight(id))).collect()
    }

    /// Where Route 53 sends each vantage now.
    fn routed(&self) -> BTreeMap<&str, &str> {
        let Ok(decided) = self.decided else { return BTreeMap::new() };
        let routing = decided.routing;
        let preferred = routing.preferred.iter();
        let to = preferred
            .map(|(vantage, label)| Some((vantage.as_str(), routing.live.get(label)?.as_str())));
        to.flatten().collect()
    }

    /// The costs of one cell within a time, by the start of their block.
    fn costs(
        &self,
        vantage: &str,
        endpoint: &str,
        (since_ms, until_ms): (i64, i64),
    ) -> Vec<(i64, f64)> {
        if since_ms >= until_ms {
            return Vec::new();
        }
        let cell = self.matrix.cell(vantage, endpoint);
        let blocks = cell.into_iter().flat_map(|cell| cell.range(since_ms..until_ms));
        blocks.map(|(start_ms, block)| (*start_ms, block.cost_ms)).collect()
    }

    /// Whether the totals are made of histograms, and not of what CloudWatch counts.
    fn has_histograms(&self) -> bool {
        self.totals.kept == Kept::Histograms
    }

    fn span(&self) -> (i64, i64) {
        (self.period.since_ms, self.period.until_ms)
    }
}

/// The report.
#[must_use]
pub fn assemble(material: &Material<'_>) -> Document {
    let cells = cells::cells(material);
    let mut document = Document {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION"),
        service: material.config.name.clone(),
        store: if material.has_histograms() { SQLITE } else { CLOUDWATCH },
        period: period_facts(material.period),
        compared: material.compared.map(period_facts),
        answer: Vec::new(),
        notices: Vec::new(),
        routing: advice::routing(material),
        deployment: deployment::deployment(material, &cells),
        cells,
        changes: changes::changes(material),
        objectives: objectives::objectives(material),
        regret: advice::regret_lines(material),
        advice: advice::advice(material),
        label_sets: advice::label_sets(material),
        applies: applies::applies(material),
        latency: latency::latency(material),
        targets: targets::targets(material),
        distributions: targets::distributions(material),
        coverage: coverage::coverage(material),
        monitoring: coverage::monitoring(material),
        truth: material.truth,
        method: coverage::method(material),
    };
    document.notices = coverage::notices(material, &document);
    document.answer = answer::answer(&document);
    document
}

fn period_facts(period: &Period) -> PeriodFacts {
    PeriodFacts {
        unit: period.unit.as_str(),
        since: period.rfc3339(period.since_ms),
        until: period.rfc3339(period.until_ms),
        since_ms: period.since_ms,
        until_ms: period.until_ms,
        time_zone: period.zone_name().to_owned(),
    }
}

/// Milliseconds to a microsecond: sums of floating point numbers differ in the last digits by the
/// order in which they were made.
fn round_ms(ms: f64) -> f64 {
    // Adding zero makes the negative zero a positive one.
    (ms * 1_000.0).round() / 1_000.0 + 0.0
}

/// A share to a millionth, for the same reason.
fn round_share(share: f64) -> f64 {
    (share * 1_000_000.0).round() / 1_000_000.0 + 0.0
}

fn us_to_ms(us: u64) -> f64 {
    us as f64 / 1_000.0
}
