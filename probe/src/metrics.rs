//! What `/metrics` shows: the newest sample of each series with the names of `blackbox_exporter`,
//! and classic histograms of all samples. Text only: native histograms exist in Prometheus'
//! protobuf form alone, which is not spoken here. It keeps counts; it reads no clock.

mod serve;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::sample::{Phase, Sample, Series};

pub use serve::serve;

/// Upper bounds of the buckets, in microseconds and as Prometheus writes them in seconds.
const BUCKETS: [(u64, &str); 15] = [
    (1_000, "0.001"),
    (2_500, "0.0025"),
    (5_000, "0.005"),
    (10_000, "0.01"),
    (25_000, "0.025"),
    (50_000, "0.05"),
    (100_000, "0.1"),
    (200_000, "0.2"),
    (300_000, "0.3"),
    (500_000, "0.5"),
    (1_000_000, "1"),
    (2_500_000, "2.5"),
    (5_000_000, "5"),
    (10_000_000, "10"),
    (30_000_000, "30"),
];
/// Most series that are shown; what comes after is counted in `nearside_probe_series_dropped`.
const SERIES_MAX: usize = 20_000;

#[derive(Debug, Clone, Default)]
struct Classic {
    counts: [u64; BUCKETS.len()],
    total: u64,
    sum_us: u64,
}

impl Classic {
    fn record(&mut self, us: u64) {
        self.total += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        let within = BUCKETS.iter().position(|(bound, _)| us <= *bound);
        if let Some(count) = within.and_then(|index| self.counts.get_mut(index)) {
            *count += 1;
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Row {
    /// `vantage="..",target="..",..`, escaped.
    labels: String,
    last: Option<Sample>,
    outcomes: BTreeMap<&'static str, u64>,
    missed: u64,
    redirects: u64,
    response: Classic,
    phases: BTreeMap<Phase, Classic>,
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
    failing: AtomicBool,
}

/// Escapes a label's value: backslash, quote and line feed, as the text format asks; other
/// control characters are replaced, because no consumer wants them.
#[must_use]
pub fn escape_label(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => safe.push_str("\\\\"),
            '"' => safe.push_str("\\\""),
            '\n' => safe.push_str("\\n"),
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
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
        let row = rows.rows.entry(key).or_default();
        if row.labels.is_empty() {
            row.labels = format!(
                "vantage=\"{}\",target=\"{}\",connection=\"{}\",step=\"{}\"",
                escape_label(&series.vantage),
                escape_label(&series.target),
                series.connection,
                escape_label(step)
            );
        }
        change(row);
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

    /// Notes that windows could not be written; the next sample that finds them written clears it.
    pub fn write_failed(&self) {
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Whether windows are being written, as far as is known.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.failing.load(Ordering::Relaxed)
    }

    /// Everything, in the text format 0.0.4.
    #[must_use]
    pub fn render(&self) -> String {
        let rows = self.lock();
        let mut out = String::new();
        newest(&mut out, &rows);
        counters(&mut out, &rows);
        histograms(&mut out, &rows);
        out
    }
}

// Writing to a String cannot fail, so the result of `writeln!` is dropped below.

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn newest(out: &mut String, rows: &Rows) {
    let seen = || rows.rows.values().filter_map(|row| Some((&row.labels, row.last.as_ref()?)));
    head(out, "probe_success", "gauge", "Whether the newest sample succeeded");
    for (labels, sample) in seen() {
        let _ = writeln!(out, "probe_success{{{labels}}} {}", u8::from(sample.outcome.is_ok()));
    }
    head(out, "probe_duration_seconds", "gauge", "From sent to the end of the newest sample");
    for (labels, sample) in seen() {
        let _ = writeln!(out, "probe_duration_seconds{{{labels}}} {}", seconds(sample.total_us));
    }
    let help = "The phases of the newest sample; an absent phase is absent";
    head(out, "probe_http_duration_seconds", "gauge", help);
    for (labels, sample) in seen() {
        for phase in Phase::ALL {
            if let Some(us) = sample.phases.get(phase) {
                let name = phase.as_str();
                let _ = writeln!(
                    out,
                    "probe_http_duration_seconds{{{labels},phase=\"{name}\"}} {}",
                    seconds(us)
                );
            }
        }
    }
    head(out, "probe_http_status_code", "gauge", "The status of the newest response");
    for (labels, sample) in seen() {
        let status = sample.outcome.status().unwrap_or(0);
        let _ = writeln!(out, "probe_http_status_code{{{labels}}} {status}");
    }
}

/// Name, help, and where the count stands.
type Total = (&'static str, &'static str, fn(&Row) -> u64);

fn counters(out: &mut String, rows: &Rows) {
    head(out, "nearside_probe_samples_total", "counter", "Samples, by how they ended");
    for row in rows.rows.values() {
        for (kind, count) in &row.outcomes {
            let labels = &row.labels;
            let _ = writeln!(
                out,
                "nearside_probe_samples_total{{{labels},outcome=\"{kind}\"}} {count}"
            );
        }
    }
    let totals: [Total; 2] = [
        ("nearside_probe_missed_total", "Slots that could not start", |row| row.missed),
        ("nearside_probe_redirects_total", "Redirects, which are not followed", |r| r.redirects),
    ];
    for (name, help, of) in totals {
        head(out, name, "counter", help);
        for row in rows.rows.values() {
            let _ = writeln!(out, "{name}{{{}}} {}", row.labels, of(row));
        }
    }
    let name = "nearside_probe_series_dropped_total";
    head(out, name, "counter", "Samples of series beyond the bound, which are not shown");
    let _ = writeln!(out, "{name} {}", rows.dropped);
}

fn histograms(out: &mut String, rows: &Rows) {
    let name = "nearside_probe_response_seconds";
    head(out, name, "histogram", "From due to the end, of successes");
    for row in rows.rows.values().filter(|row| row.response.total > 0) {
        classic(out, name, &row.labels, &row.response);
    }
    let name = "nearside_probe_phase_seconds";
    head(out, name, "histogram", "The phases of successes");
    for row in rows.rows.values() {
        for (phase, found) in &row.phases {
            classic(out, name, &format!("{},phase=\"{}\"", row.labels, phase.as_str()), found);
        }
    }
}

fn classic(out: &mut String, name: &str, labels: &str, found: &Classic) {
    let mut below = 0;
    for ((_, bound), count) in BUCKETS.iter().zip(found.counts) {
        below += count;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
    }
    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", found.total);
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", seconds(found.sum_us));
    let _ = writeln!(out, "{name}_count{{{labels}}} {}", found.total);
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
