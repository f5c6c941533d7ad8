//! What `/metrics` shows: the newest sample of each series with the names of `blackbox_exporter`,
//! and histograms of all samples, classic and native. It keeps counts; it reads no clock.

mod family;
mod protobuf;
mod serve;
mod text;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::sample::{Phase, Sample, Series};
use crate::spool;
use family::{Counts, Family, Kind, Metric, Value};

pub use serve::serve;
pub use text::escape_label;

/// Most series that are shown; what comes after is counted in `nearside_probe_series_dropped`.
const SERIES_MAX: usize = 20_000;

#[derive(Debug, Clone, Default)]
struct Row {
    last: Option<Sample>,
    outcomes: BTreeMap<&'static str, u64>,
    missed: u64,
    redirects: u64,
    response: Counts,
    phases: BTreeMap<Phase, Counts>,
}

#[derive(Debug, Default)]
struct Rows {
    rows: BTreeMap<(Series, String), Row>,
    dropped: u64,
}

/// The counts behind `/metrics`, filled by the agent.
#[derive(Debug, Default)]
pub struct Metrics {
    rows: Mutex<Rows>,
    spool: OnceLock<Arc<Mutex<spool::Counts>>>,
    failing: AtomicBool,
}

impl Metrics {
    /// Counts nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with(&self, series: &Series, step: &str, change: impl FnOnce(&mut Row)) {
        let mut rows = self.lock();
        let key = (series.clone(), step.to_owned());
        if rows.rows.len() >= SERIES_MAX && !rows.rows.contains_key(&key) {
            rows.dropped += 1;
            return;
        }
        change(rows.rows.entry(key).or_default());
    }

    /// Counts one sample of a series; `step` names the step of a journey, and is else empty.
    pub fn record(&self, series: &Series, step: &str, sample: &Sample) {
        self.failing.store(false, Ordering::Relaxed);
        self.with(series, step, |row| {
            *row.outcomes.entry(sample.outcome.kind()).or_insert(0) += 1;
            row.redirects += u64::from(sample.outcome.is_redirect());
            if sample.outcome.is_ok() {
                row.response.record(sample.response_us);
                for phase in Phase::ALL {
                    if let Some(us) = sample.phases.get(phase) {
                        row.phases.entry(phase).or_default().record(us);
                    }
                }
            }
            row.last = Some(sample.clone());
        });
    }

    /// Counts a slot that could not start.
    pub fn miss(&self, series: &Series) {
        self.with(series, "", |row| row.missed += 1);
    }

    /// Shows what becomes of windows on their way to `CloudWatch`, from now on and once for all.
    pub fn show_spool(&self, counts: Arc<Mutex<spool::Counts>>) {
        self.spool.get_or_init(|| counts);
    }

    /// Notes that windows could not be written; the next sample that finds them written clears it.
    pub fn write_failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Whether windows are being written, as far as is known.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    /// Everything, in the text format 0.0.4; its histograms are classic.
    #[must_use]
    pub fn render(&self) -> String {
        text::render(&families(&self.lock(), self.spooled()))
    }

    /// Everything, as delimited protobuf; its histograms are classic and native.
    #[must_use]
    pub fn render_protobuf(&self) -> Vec<u8> {
        protobuf::render(&families(&self.lock(), self.spooled()))
    }

    fn spooled(&self) -> Option<spool::Counts> {
        self.spool.get().map(|counts| *counts.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A row's labels, in the order they are written.
type Labels<'a> = Vec<(&'static str, &'a str)>;

fn labels((series, step): &(Series, String)) -> Labels<'_> {
    vec![
        ("vantage", series.vantage.as_str()),
        ("target", series.target.as_str()),
        ("connection", series.connection.as_str()),
        ("step", step.as_str()),
    ]
}

fn labelled<'a>(labels: &Labels<'a>, name: &'static str, value: &'a str) -> Labels<'a> {
    let mut all = labels.clone();
    all.push((name, value));
    all
}

fn families(rows: &Rows, spooled: Option<spool::Counts>) -> Vec<Family<'_>> {
    let mut all = newest(rows);
    all.extend(counters(rows));
    all.extend(spooled.iter().flat_map(windows));
    all.extend(histograms(rows));
    all
}

/// What became of windows on their way to `CloudWatch`.
fn windows<'a>(counts: &spool::Counts) -> [Family<'a>; 3] {
    let ends = [
        ("sent", counts.sent),
        ("dropped", counts.dropped),
        ("refused", counts.refused),
        ("duplicated", counts.duplicated),
    ];
    let ended = |(end, count)| Metric { labels: vec![("end", end)], value: Value::Count(count) };
    let alone = |count| vec![Metric { labels: Vec::new(), value: Value::Count(count) }];
    [
        Family {
            name: "nearside_probe_windows_total",
            help: "Windows on their way to CloudWatch, by how they ended",
            kind: Kind::Counter,
            metrics: ends.into_iter().map(ended).collect(),
        },
        Family {
            name: "nearside_probe_windows_spooled",
            help: "Windows that wait in the spool",
            kind: Kind::Gauge,
            metrics: alone(counts.spooled),
        },
        Family {
            name: "nearside_probe_over_budget_total",
            help: "Datums left out, because their metric would have been one too many",
            kind: Kind::Counter,
            metrics: alone(counts.over_budget),
        },
    ]
}

/// Of the newest samples, by the names of `blackbox_exporter`.
fn newest(rows: &Rows) -> Vec<Family<'_>> {
    let gauge = |name, help, of: fn(&Sample) -> Value<'static>| {
        let seen = rows.rows.iter().filter_map(|(key, row)| Some((key, row.last.as_ref()?)));
        let metrics = seen.map(|(key, sample)| Metric { labels: labels(key), value: of(sample) });
        Family { name, help, kind: Kind::Gauge, metrics: metrics.collect() }
    };
    let mut phases = Vec::new();
    for (key, row) in &rows.rows {
        let found = row.last.iter().flat_map(|sample| {
            Phase::ALL.into_iter().filter_map(|phase| Some((phase, sample.phases.get(phase)?)))
        });
        phases.extend(found.map(|(phase, us)| Metric {
            labels: labelled(&labels(key), "phase", phase.as_str()),
            value: Value::Micros(us),
        }));
    }
    vec![
        gauge("probe_success", "Whether the newest sample succeeded", |sample| {
            Value::Count(u64::from(sample.outcome.is_ok()))
        }),
        gauge("probe_duration_seconds", "From sent to the end of the newest sample", |sample| {
            Value::Micros(sample.total_us)
        }),
        Family {
            name: "probe_http_duration_seconds",
            help: "The phases of the newest sample; an absent phase is absent",
            kind: Kind::Gauge,
            metrics: phases,
        },
        gauge("probe_http_status_code", "The status of the newest response", |sample| {
            Value::Count(u64::from(sample.outcome.status().unwrap_or(0)))
        }),
    ]
}

fn counters(rows: &Rows) -> Vec<Family<'_>> {
    let outcomes = rows.rows.iter().flat_map(|(key, row)| {
        row.outcomes.iter().map(move |(kind, count)| Metric {
            labels: labelled(&labels(key), "outcome", kind),
            value: Value::Count(*count),
        })
    });
    let total = |name, help, of: fn(&Row) -> u64| {
        let each = rows.rows.iter();
        let metrics =
            each.map(|(key, row)| Metric { labels: labels(key), value: Value::Count(of(row)) });
        Family { name, help, kind: Kind::Counter, metrics: metrics.collect() }
    };
    vec![
        Family {
            name: "nearside_probe_samples_total",
            help: "Samples, by how they ended",
            kind: Kind::Counter,
            metrics: outcomes.collect(),
        },
        total("nearside_probe_missed_total", "Slots that could not start", |row| row.missed),
        total("nearside_probe_redirects_total", "Redirects, which are not followed", |row| {
            row.redirects
        }),
        Family {
            name: "nearside_probe_series_dropped_total",
            help: "Samples of series beyond the bound, which are not shown",
            kind: Kind::Counter,
            metrics: vec![Metric { labels: Vec::new(), value: Value::Count(rows.dropped) }],
        },
    ]
}

fn histograms(rows: &Rows) -> Vec<Family<'_>> {
    let counted = rows.rows.iter().filter(|(_, row)| row.response.total > 0);
    let responses = counted
        .map(|(key, row)| Metric { labels: labels(key), value: Value::Counts(&row.response) });
    let phases = rows.rows.iter().flat_map(|(key, row)| {
        row.phases.iter().map(move |(phase, counts)| Metric {
            labels: labelled(&labels(key), "phase", phase.as_str()),
            value: Value::Counts(counts),
        })
    });
    let histogram = |name, help, metrics| Family { name, help, kind: Kind::Histogram, metrics };
    vec![
        histogram(
            "nearside_probe_response_seconds",
            "From due to the end, of successes",
            responses.collect(),
        ),
        histogram("nearside_probe_phase_seconds", "The phases of successes", phases.collect()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Outcome;
    use crate::window::tests::{sample, series};
    use proptest::prelude::*;

    #[test]
    fn the_text_form() {
        let metrics = Metrics::new();
        let mut one = sample(Outcome::Ok { status: 301 }, 80_000, 80_100);
        one.phases.connect_us = Some(20_000);
        metrics.record(&series("a"), "", &one);
        metrics.record(&series("a"), "", &sample(Outcome::ResponseTimeout, 80_000, 80_000));
        metrics.record(&series("a"), "", &one);
        metrics.miss(&series("a"));
        let text = metrics.render();
        let labels = "vantage=\"us-east-1\",target=\"a\",connection=\"cold\",step=\"\"";
        for want in [
            format!("probe_success{{{labels}}} 1\n"),
            format!("probe_duration_seconds{{{labels}}} 0.080000\n"),
            format!("probe_http_duration_seconds{{{labels},phase=\"connect\"}} 0.020000\n"),
            format!("probe_http_status_code{{{labels}}} 301\n"),
            format!("nearside_probe_samples_total{{{labels},outcome=\"ok\"}} 2\n"),
            format!("nearside_probe_samples_total{{{labels},outcome=\"response_timeout\"}} 1\n"),
            format!("nearside_probe_missed_total{{{labels}}} 1\n"),
            format!("nearside_probe_redirects_total{{{labels}}} 2\n"),
            format!("nearside_probe_response_seconds_bucket{{{labels},le=\"0.1\"}} 2\n"),
            format!("nearside_probe_response_seconds_bucket{{{labels},le=\"0.05\"}} 0\n"),
            format!("nearside_probe_response_seconds_count{{{labels}}} 2\n"),
            format!("nearside_probe_phase_seconds_sum{{{labels},phase=\"connect\"}} 0.040000\n"),
        ] {
            assert!(text.contains(&want), "{want} is not in\n{text}");
        }
        assert!(!text.contains("phase=\"tls\""), "an absent phase is absent");
    }

    #[test]
    fn what_becomes_of_windows_is_shown_where_they_are_sent() {
        let metrics = Metrics::new();
        assert!(!metrics.render().contains("windows"), "the embedded store has no spool");
        let counts = spool::Counts { sent: 7, spooled: 3, dropped: 2, ..spool::Counts::default() };
        let counts = Arc::new(Mutex::new(counts));
        metrics.show_spool(Arc::clone(&counts));
        counts.lock().unwrap().over_budget = 1;
        let text = metrics.render();
        for want in [
            "nearside_probe_windows_total{end=\"sent\"} 7\n",
            "nearside_probe_windows_total{end=\"dropped\"} 2\n",
            "nearside_probe_windows_spooled 3\n",
            "nearside_probe_over_budget_total 1\n",
        ] {
            assert!(text.contains(want), "{want} is not in\n{text}");
        }
    }

    proptest! {
        #[test]
        fn a_hostile_label_stays_in_its_line(target in "\\PC{0,10}[\\\\\"\n\r\u{1b}]{0,6}.{0,10}") {
            let metrics = Metrics::new();
            metrics.record(&series(&target), "", &sample(Outcome::Ok { status: 200 }, 10, 10));
            let plain = Metrics::new();
            plain.record(&series("t"), "", &sample(Outcome::Ok { status: 200 }, 10, 10));
            let text = metrics.render();
            prop_assert_eq!(text.lines().count(), plain.render().lines().count());
            prop_assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
        }
    }
}
