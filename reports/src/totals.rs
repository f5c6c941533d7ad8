//! Histograms of a period, merged while the store is read, so that a month of a large fleet fits
//! in little memory; or what CloudWatch counted. Percentiles are asked of what was merged; they are never averaged. Pure.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::{Config, Population, Target, TargetKind};
use probe::histogram::{Histogram, HistogramError, Tally};
use probe::publish::counts::Counted;
use probe::sample::{Connection, Series};
use probe::store::Span;

/// Samples, and what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Count {
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Samples that the prober started late.
    pub late: u64,
    /// Samples of windows with missed slots, where they are not among the others.
    pub incomplete: u64,
    /// Failures by outcome kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// The end of the newest span, in ms since 1970.
    pub last_ms: i64,
}

impl Count {
    fn add(&mut self, span: &Span<'_>) {
        self.attempts += span.attempts;
        self.failures += span.by_kind.values().sum::<u64>();
        self.missed += span.missed;
        self.late += span.late;
        self.last_ms = self.last_ms.max(span.end_ms);
        for (kind, count) in &span.by_kind {
            *self.by_kind.entry(kind).or_insert(0) += count;
        }
    }

    fn add_counted(&mut self, one: &Counted) {
        self.attempts += one.attempts;
        self.failures += one.failures;
        self.incomplete += one.incomplete;
        self.last_ms = self.last_ms.max(one.last_ms);
        for (kind, count) in &one.by_kind {
            *self.by_kind.entry(kind).or_insert(0) += count;
        }
    }

    /// The sum of two.
    #[must_use]
    pub fn plus(mut self, other: &Self) -> Self {
        self.attempts += other.attempts;
        self.failures += other.failures;
        self.missed += other.missed;
        self.late += other.late;
        self.incomplete += other.incomplete;
        self.last_ms = self.last_ms.max(other.last_ms);
        for (kind, count) in &other.by_kind {
            *self.by_kind.entry(kind).or_insert(0) += count;
        }
        self
    }
}

/// A sum of times that keeps its exactness, whatever the order of adding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TimeSum {
    /// Twice the sum of the middles of buckets, in microseconds.
    twice_us: u128,
    /// How many.
    n: u64,
}

impl TimeSum {
    /// The sum of `n` times, in ms: to the half of a microsecond.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a sum of times is not negative, and far below 2^128"
    )]
    fn add_ms(&mut self, sum_ms: f64, n: u64) {
        self.twice_us += (sum_ms.max(0.0) * 2_000.0).round() as u128;
        self.n += n;
    }

    fn count(&mut self, (low_us, high_us): (u64, u64), n: u64) {
        self.twice_us += u128::from(low_us + high_us) * u128::from(n);
        self.n += n;
    }

    /// The sum over `samples`, which may be more than had this phase, in ms.
    #[must_use]
    pub fn mean_ms(self, samples: u64) -> Option<f64> {
        (self.n > 0).then(|| self.twice_us as f64 / 2_000.0 / samples.max(self.n) as f64)
    }
}

/// The phases and `local`, in the order of time.
pub const PARTS: [&str; 6] = ["resolve", "connect", "tls", "processing", "transfer", "local"];

/// The place of `connect` among them.
const CONNECT: usize = 1;

/// Endpoints and candidates, where there are any of the latter.
fn places(config: &Config) -> BTreeSet<String> {
    let is_candidate = |target: &&Target| target.kind == TargetKind::Candidate;
    let candidates: BTreeSet<String> =
        config.targets.iter().filter(is_candidate).map(|target| target.id.clone()).collect();
    if candidates.is_empty() {
        return candidates;
    }
    let endpoints = config.endpoints.iter().map(|endpoint| endpoint.id.clone());
    candidates.into_iter().chain(endpoints).collect()
}

/// Phases of one kind of connection at one target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseSums {
    /// Samples that succeeded.
    pub samples: u64,
    /// In the order of [`PARTS`].
    pub parts: [TimeSum; 6],
}

/// A target as one population sees it over one kind of connection.
pub type TargetKey = (Population, String, Connection);

/// What the totals are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Kept {
    /// Histograms of the embedded store.
    #[default]
    Histograms,
    /// Counts between edges, as CloudWatch tells them. Missed slots and late samples are not known.
    Counts {
        /// Targets whose series CloudWatch keeps under paths that are not known here.
        left_out: BTreeSet<String>,
    },
}

/// Everything of a period.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// What they are made of.
    pub kept: Kept,
    populations: BTreeMap<String, Population>,
    promised: BTreeSet<String>,
    /// Targets whose round trips tell what a candidate would cost; empty without candidates.
    places: BTreeSet<String>,
    routed: BTreeMap<String, String>,
    /// By vantage, then target.
    pub counts: BTreeMap<(String, String), Count>,
    /// Response of each target.
    pub responses: BTreeMap<TargetKey, Tally>,
    /// Phases of each target.
    pub phases: BTreeMap<TargetKey, PhaseSums>,
    /// Response where Route 53 sends each vantage.
    pub routed_responses: BTreeMap<(Population, Connection), Tally>,
    /// Response of each vantage at what an objective is about.
    pub promised_responses: BTreeMap<(String, String, Connection), Tally>,
    /// Round trips of new connections by vantage and target, where there are candidates to estimate.
    pub round_trips: BTreeMap<(String, String), Tally>,
    /// How many series there were.
    pub series: BTreeSet<Series>,
    /// Vantages in the store that the configuration does not name; they are left out.
    pub unknown: BTreeSet<String>,
}

impl Totals {
    /// Empty. `routed` says where Route 53 sends each vantage now.
    #[must_use]
    pub fn new(config: &Config, routed: BTreeMap<String, String>) -> Self {
        let populations =
            config.vantages.iter().map(|vantage| (vantage.id.clone(), vantage.population));
        Self {
            populations: populations.collect(),
            places: places(config),
            promised: config.slos.iter().map(|slo| slo.target.clone()).collect(),
            routed,
            ..Self::default()
        }
    }

    /// Adds one span.
    pub fn add(&mut self, series: &Series, span: &Span<'_>) -> Result<(), HistogramError> {
        let Some(population) = self.population(series) else { return Ok(()) };
        let cell = (series.vantage.clone(), series.target.clone());
        let trips = self.is_trip(series).then(|| self.round_trips.entry(cell.clone()).or_default());
        self.counts.entry(cell).or_default().add(span);
        let key = (population, series.target.clone(), series.connection);
        self.phases.entry(key.clone()).or_default().add(span, trips)?;
        let mut tallies = self.tallies(key, &series.vantage);
        span.response.each(|low, _, n| tallies.iter_mut().for_each(|tally| tally.count(low, n)))
    }

    /// Adds what CloudWatch knows of one series.
    pub fn add_counted(&mut self, one: &Counted) {
        let series = &one.series;
        let Some(population) = self.population(series) else { return };
        let cell = (series.vantage.clone(), series.target.clone());
        if self.is_trip(series) && !one.round_trips.is_empty() {
            let trips = self.round_trips.entry(cell.clone()).or_default();
            one.round_trips.buckets().for_each(|(low, _, n)| trips.count(low, n));
        }
        self.counts.entry(cell).or_default().add_counted(one);
        let key = (population, series.target.clone(), series.connection);
        self.phases.entry(key.clone()).or_default().add_counted(one);
        let mut tallies = self.tallies(key, &series.vantage);
        for (low, _, n) in one.response.buckets() {
            for tally in &mut tallies {
                tally.count(low, n);
            }
        }
    }

    /// The population of a series that belongs to a configured vantage; others are remembered.
    fn population(&mut self, series: &Series) -> Option<Population> {
        let population = self.populations.get(&series.vantage).copied();
        if population.is_none() && !self.unknown.contains(&series.vantage) {
            self.unknown.insert(series.vantage.clone());
        }
        if population.is_some() && !self.series.contains(series) {
            self.series.insert(series.clone());
        }
        population
    }

    fn is_trip(&self, series: &Series) -> bool {
        series.connection == Connection::Cold && self.places.contains(&series.target)
    }

    /// Whoever counts a response: the bytes of a histogram are read once.
    fn tallies(
        &mut self,
        (population, target, connection): TargetKey,
        vantage: &str,
    ) -> Vec<&mut Tally> {
        let is_routed = self.routed.get(vantage) == Some(&target);
        let routed =
            is_routed.then(|| self.routed_responses.entry((population, connection)).or_default());
        let promised = self.promised.contains(&target).then(|| {
            let key = (vantage.to_owned(), target.clone(), connection);
            self.promised_responses.entry(key).or_default()
        });
        let all = self.responses.entry((population, target, connection)).or_default();
        [Some(all), routed, promised].into_iter().flatten().collect()
    }

    /// What one vantage counted, over all targets.
    #[must_use]
    pub fn of_vantage(&self, vantage: &str) -> Count {
        let own = self.counts.iter().filter(|((id, _), _)| id == vantage);
        own.fold(Count::default(), |sum, (_, count)| sum.plus(count))
    }
}

impl PhaseSums {
    fn add_counted(&mut self, one: &Counted) {
        self.samples += one.attempts.saturating_sub(one.failures);
        for (phase, n, sum_ms) in &one.phases {
            let at = PARTS.iter().position(|part| *part == phase.as_str());
            if let Some(sum) = at.and_then(|at| self.parts.get_mut(at)) {
                sum.add_ms(*sum_ms, *n);
            }
        }
    }

    /// `trips` counts the round trips of new connections, where somebody asks for them.
    fn add(
        &mut self,
        span: &Span<'_>,
        mut trips: Option<&mut Tally>,
    ) -> Result<(), HistogramError> {
        self.samples += span.attempts.saturating_sub(span.by_kind.values().sum());
        for (part, (sum, encoded)) in self.parts.iter_mut().zip(span.phases).enumerate() {
            let mut trips = trips.as_deref_mut().filter(|_| part == CONNECT);
            encoded.each(|low, high, n| {
                sum.count((low, high), n);
                if let Some(trips) = &mut trips {
                    trips.count(low, n);
                }
            })?;
        }
        Ok(())
    }
}

/// The quantile of a mixture of histograms, each with a weight of its own whatever its count: the
/// smallest value at which the weighted share of what is no larger reaches `quantile`, in us.
/// `None` when no histogram with a positive weight counted anything.
#[must_use]
pub fn weighted_quantile_us(parts: &[(&Histogram, f64)], quantile: f64) -> Option<u64> {
    let parts: Vec<_> = parts.iter().filter(|(h, w)| !h.is_empty() && *w > 0.0).collect();
    let whole: f64 = parts.iter().map(|(_, weight)| weight).sum();
    let mut buckets: Vec<(u64, f64)> = Vec::new();
    for (histogram, weight) in &parts {
        let each = weight / whole / histogram.len() as f64;
        buckets.extend(histogram.buckets().map(|(_, high, n)| (high, each * n as f64)));
    }
    buckets.sort_by_key(|bucket| bucket.0);
    let mut share = 0.0;
    // Sums of shares miss their value by a hair.
    let reached = buckets.iter().find(|(_, part)| {
        share += part;
        share >= quantile - 1e-9
    });
    reached.or(buckets.last()).map(|(us, _)| *us)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn histogram(values: &[u64]) -> Histogram {
        let mut histogram = Histogram::new();
        for value in values {
            histogram.record(*value);
        }
        histogram
    }

    #[test]
    fn weights_not_counts_decide() {
        let (many, one) = (histogram(&[10; 99]), histogram(&[1_000]));
        let mixed = [(&many, 0.2), (&one, 0.8)];
        assert_eq!(weighted_quantile_us(&mixed, 0.2), Some(10));
        assert_eq!(weighted_quantile_us(&mixed, 0.21), Some(1_000));
        assert_eq!(weighted_quantile_us(&[(&many, 0.0)], 0.5), None);
        assert_eq!(weighted_quantile_us(&[], 0.5), None);
    }

    proptest! {
        #[test]
        fn alone_it_is_the_histogram_s_own(values in prop::collection::vec(1_u64..100_000, 1..60),
                                           percent in 1_u64..=100) {
            let alone = histogram(&values);
            let quantile = percent as f64 / 100.0;
            prop_assert_eq!(weighted_quantile_us(&[(&alone, 0.7)], quantile),
                            alone.quantile_us(quantile));
        }
    }
}
