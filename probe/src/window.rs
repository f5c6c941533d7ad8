//! An aligned interval of one series: a histogram per phase, and counts of failures by kind.
//! It folds samples; it reads no clock and writes nothing.

use std::collections::BTreeMap;

use crate::histogram::{Histogram, next_above_us};
use crate::sample::{Phase, Sample, Series};
use crate::told::Told;

/// One histogram for each phase and for `local`, of successes only, in microseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PhaseHistograms {
    /// See [`Phase::Resolve`].
    pub resolve: Histogram,
    /// See [`Phase::Connect`].
    pub connect: Histogram,
    /// See [`Phase::Tls`].
    pub tls: Histogram,
    /// See [`Phase::Processing`].
    pub processing: Histogram,
    /// See [`Phase::Transfer`].
    pub transfer: Histogram,
    /// The prober's own time.
    pub local: Histogram,
}

impl PhaseHistograms {
    /// The histogram of one phase.
    #[must_use]
    pub fn get(&self, phase: Phase) -> &Histogram {
        match phase {
            Phase::Resolve => &self.resolve,
            Phase::Connect => &self.connect,
            Phase::Tls => &self.tls,
            Phase::Processing => &self.processing,
            Phase::Transfer => &self.transfer,
        }
    }

    pub(crate) fn all(&self) -> [&Histogram; 6] {
        [&self.resolve, &self.connect, &self.tls, &self.processing, &self.transfer, &self.local]
    }

    pub(crate) fn all_mut(&mut self) -> [&mut Histogram; 6] {
        [
            &mut self.resolve,
            &mut self.connect,
            &mut self.tls,
            &mut self.processing,
            &mut self.transfer,
            &mut self.local,
        ]
    }

    /// Adds everything that `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for (into, from) in self.all_mut().into_iter().zip(other.all()) {
            into.merge(from);
        }
    }
}

/// An aligned interval of one series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Whose samples these are.
    pub series: Series,
    /// Wall time of its start, in ms since 1970; a multiple of `len_ms`.
    pub start_ms: i64,
    /// Its length, in ms.
    pub len_ms: i64,
    /// From due to the end. A failure is one value above the timeout.
    pub response: Histogram,
    /// From sent to the end. A failure is one value above the timeout.
    pub service: Histogram,
    /// The phases of successes.
    pub phases: PhaseHistograms,
    /// Samples that were sent.
    pub attempts: u64,
    /// Failures, by outcome kind; never `ok`.
    pub failures: BTreeMap<&'static str, u64>,
    /// Slots that were due and could not start. A window that has one is not evidence.
    pub missed: u64,
    /// Samples that the prober itself started later than its bound.
    pub late: u64,
    /// Round trips faster than light allows between the Regions of vantage and target.
    pub below_light: Option<BelowLight>,
    /// What the headers of successes told.
    pub told: Told,
}

/// Round trips below the bound of light in fibre: the vantage, or who answers, is not where its
/// name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BelowLight {
    /// How many.
    pub count: u64,
    /// The fastest, in microseconds.
    pub fastest_us: u64,
    /// The bound, in microseconds.
    pub least_us: u64,
}

/// The fastest thing that a sample shows of its way there and back, where it is below the bound.
#[must_use]
pub fn below_light(sample: &Sample, least_us: Option<u64>) -> Option<BelowLight> {
    let least_us = least_us?;
    let trips = [sample.phases.connect_us, sample.phases.processing_us];
    let fastest_us = trips.into_iter().flatten().min().filter(|us| *us < least_us)?;
    Some(BelowLight { count: 1, fastest_us, least_us })
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new(series: Series, start_ms: i64, len_ms: i64) -> Self {
        Self {
            series,
            start_ms,
            len_ms,
            response: Histogram::new(),
            service: Histogram::new(),
            phases: PhaseHistograms::default(),
            attempts: 0,
            failures: BTreeMap::new(),
            missed: 0,
            late: 0,
            below_light: None,
            told: Told::default(),
        }
    }

    /// Counts one sample. A failure counts as slower than the timeout: in the response and
    /// service histograms it is one value just above `timeout_us`, or its own time where that is
    /// larger; its phases are not counted.
    pub fn add(&mut self, sample: &Sample, timeout_us: u64) {
        self.attempts += 1;
        if sample.outcome.is_ok() {
            self.response.record(sample.response_us);
            self.service.record(sample.total_us);
            self.add_phases(sample);
            self.told.add(&sample.attribution);
        } else {
            *self.failures.entry(sample.outcome.kind()).or_insert(0) += 1;
            let floor_us = next_above_us(timeout_us);
            self.response.record(sample.response_us.max(floor_us));
            self.service.record(sample.total_us.max(floor_us));
        }
    }

    /// Notes a round trip below the bound.
    pub fn flag(&mut self, found: BelowLight) {
        let flag = self.below_light.get_or_insert(BelowLight { count: 0, ..found });
        flag.count += found.count;
        flag.fastest_us = flag.fastest_us.min(found.fastest_us);
    }

    fn add_phases(&mut self, sample: &Sample) {
        let values = Phase::ALL.map(|phase| sample.phases.get(phase));
        for (histogram, value) in self.phases.all_mut().into_iter().zip(values) {
            if let Some(us) = value {
                histogram.record(us);
            }
        }
        self.phases.local.record(sample.local_us);
    }

    /// Failures of every kind.
    #[must_use]
    pub fn failures_total(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Whether it may be evidence: it has samples, and no slot was missed.
    #[must_use]
    pub fn is_evidence(&self) -> bool {
        self.attempts > 0 && self.missed == 0
    }
}

/// The start of the interval of `len_ms` that holds `at_ms`, aligned to UTC.
#[must_use]
pub fn aligned_start_ms(at_ms: i64, len_ms: i64) -> i64 {
    at_ms - at_ms.rem_euclid(len_ms.max(1))
}

/// Windows could not be written. They come back, so that the caller can try again.
#[derive(Debug, thiserror::Error)]
#[error("could not write {} windows: {cause}", windows.len())]
pub struct SinkError {
    /// All windows of the call: none of them was written.
    pub windows: Vec<Window>,
    /// Why.
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// Where closed windows go.
pub trait Sink: Send {
    /// Writes these windows, all or none.
    fn write(&mut self, windows: Vec<Window>) -> Result<(), SinkError>;
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::sample::{Attribution, ClockKind, Connection, Outcome, Phases};
    use std::time::Duration;

    pub(crate) fn sample(outcome: Outcome, total_us: u64, response_us: u64) -> Sample {
        Sample {
            due: Duration::ZERO,
            sent: Duration::ZERO,
            due_wall_ms: 0,
            phases: Phases { processing_us: Some(total_us - 1), ..Phases::default() },
            local_us: 1,
            total_us,
            response_us,
            clock: ClockKind::User,
            outcome,
            connection: Connection::Cold,
            http: None,
            remote: None,
            tls_version: None,
            resumed: false,
            attribution: Attribution::default(),
            dns: Vec::new(),
        }
    }

    pub(crate) fn series(target: &str) -> Series {
        Series {
            vantage: "us-east-1".into(),
            target: target.into(),
            connection: Connection::Cold,
            path: String::new(),
        }
    }

    #[test]
    fn a_failure_weighs_in_every_quantile_but_in_no_phase() {
        let mut window = Window::new(series("a"), 0, 2_000);
        window.add(&sample(Outcome::Ok { status: 200 }, 900, 1_000), 5_000_000);
        window.add(&sample(Outcome::ConnectRefused, 100, 200), 5_000_000);
        assert_eq!(window.attempts, 2);
        assert_eq!(window.failures_total(), 1);
        assert_eq!(window.response.quantile_us(0.5), Some(1_000));
        assert!(window.response.quantile_us(0.51).unwrap() > 5_000_000);
        assert!(window.service.quantile_us(1.0).unwrap() > 5_000_000);
        assert_eq!(window.phases.processing.len(), 1);
        assert_eq!(window.phases.connect.len(), 0);
        assert!(window.is_evidence());
        window.missed = 1;
        assert!(!window.is_evidence());
    }

    #[test]
    fn what_is_faster_than_light_is_noted() {
        let fast = sample(Outcome::Ok { status: 200 }, 900, 900);
        assert_eq!(below_light(&fast, None), None);
        assert_eq!(below_light(&fast, Some(899)), None);
        let mut window = Window::new(series("a"), 0, 2_000);
        for _ in 0..2 {
            window.flag(below_light(&fast, Some(54_000)).unwrap());
        }
        let want = BelowLight { count: 2, fastest_us: 899, least_us: 54_000 };
        assert_eq!(window.below_light, Some(want));
    }

    #[test]
    fn intervals_align_to_utc_before_1970_too() {
        assert_eq!(aligned_start_ms(4_999, 2_000), 4_000);
        assert_eq!(aligned_start_ms(-1, 2_000), -2_000);
        assert_eq!(aligned_start_ms(4_000, 2_000), 4_000);
    }
}
