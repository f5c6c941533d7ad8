//! Metrics in Prometheus' text format 0.0.4, with classic histograms.

use std::fmt::Write;

use super::family::{BUCKETS, Counts, Family, Kind, Metric, Value};

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

// Writing to a String cannot fail, so the results of `write!` and `writeln!` are dropped below.

pub(super) fn render(families: &[Family<'_>]) -> String {
    let mut out = String::new();
    for Family { name, help, kind, metrics } in families {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for metric in metrics {
            write_metric(&mut out, name, metric);
        }
    }
    out
}

fn write_metric(out: &mut String, name: &str, metric: &Metric<'_>) {
    let mut labels = String::new();
    for (label, value) in &metric.labels {
        let comma = if labels.is_empty() { "" } else { "," };
        let _ = write!(labels, "{comma}{label}=\"{}\"", escape_label(value));
    }
    let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
    match metric.value {
        Value::Count(count) => {
            let _ = writeln!(out, "{name}{braced} {count}");
        }
        Value::Micros(us) => {
            let _ = writeln!(out, "{name}{braced} {}", seconds(us));
        }
        Value::Counts(counts) => classic(out, name, &labels, counts),
    }
}

fn seconds(us: u64) -> String {
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

fn classic(out: &mut String, name: &str, labels: &str, counts: &Counts) {
    let mut below = 0;
    for ((_, bound), count) in BUCKETS.iter().zip(counts.classic) {
        below += count;
        let _ = writeln!(out, "{name}_bucket{{{labels},le=\"{bound}\"}} {below}");
    }
    let _ = writeln!(out, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", counts.total);
    let _ = writeln!(out, "{name}_sum{{{labels}}} {}", seconds(counts.sum_us));
    let _ = writeln!(out, "{name}_count{{{labels}}} {}", counts.total);
}
