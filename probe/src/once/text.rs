//! A report as text: a waterfall for each sample, percentiles where there are several. Pure.
//! Outside text is escaped, so that nothing a server sends reaches a terminal raw.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Percentiles, Report, UrlSample, UrlSummary};
use crate::place::city_of_pop;
use crate::sample::{Outcome, Phase, Sample};

/// Cells of a full waterfall bar.
const BAR_CELLS: u64 = 40;
/// Waterfalls that are drawn; above that only failures and percentiles are told.
const WATERFALLS_MAX: usize = 5;
/// Edges that are named below percentiles.
const EDGES_MAX: usize = 8;

/// How to draw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TextOptions {
    /// Whether ANSI colours are used.
    pub color: bool,
}

/// Replaces what a terminal would obey: control characters, and marks that turn text around.
#[must_use]
pub fn escape(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || turns(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// The report as text, with a line break at its end.
#[must_use]
pub fn render(report: &Report, options: TextOptions) -> String {
    let mut out = String::new();
    let pen = Pen { color: options.color };
    let drawn = report.samples.len() <= WATERFALLS_MAX;
    for one in &report.samples {
        if drawn {
            waterfall(&mut out, one, pen);
        } else if !one.sample.outcome.is_ok() {
            headline(&mut out, one, pen);
        }
    }
    for summary in report.summary.iter().filter(|summary| summary.n > 1) {
        table(&mut out, summary, pen);
        edges(&mut out, report, &summary.url);
        out.push('\n');
    }
    out
}

#[derive(Clone, Copy)]
struct Pen {
    color: bool,
}

impl Pen {
    fn paint(self, code: &str, text: &str) -> String {
        if self.color { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

fn code_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "36",
        Phase::Connect => "33",
        Phase::Tls => "35",
        Phase::Processing => "32",
        Phase::Transfer => "34",
    }
}

fn ms(us: u64) -> String {
    format!("{}.{:03} ms", us / 1_000, us % 1_000)
}

// Writing to a String cannot fail, so the result of `writeln!` is dropped below.

fn headline(out: &mut String, one: &UrlSample, pen: Pen) {
    let sample = &one.sample;
    let ended = match &sample.outcome {
        Outcome::Ok { status } => pen.paint("32", &status.to_string()),
        Outcome::Status { status } => pen.paint("31", &format!("status {status}")),
        other => {
            let detail = other.detail().map(|text| format!(": {}", escape(text)));
            pen.paint("31", &format!("{}{}", other.kind(), detail.unwrap_or_default()))
        }
    };
    let _ = writeln!(out, "{}  {ended}", pen.paint("1", &escape(&one.url)));
    let _ = writeln!(out, "  {}", facts(sample));
}

fn facts(sample: &Sample) -> String {
    let mut facts = vec![sample.connection.as_str().to_owned()];
    facts.extend(sample.http.map(|http| format!("HTTP/{}", http.as_str())));
    let resumed = if sample.resumed { ", resumed" } else { "" };
    facts.extend(sample.tls_version.map(|tls| format!("TLS {}{resumed}", tls.as_str())));
    facts.extend(sample.remote.map(|remote| remote.to_string()));
    facts.push(format!("{} clock", sample.clock.as_str()));
    facts.extend(edge(sample));
    if let Some(split) = sample.attribution.edge_split(sample.phases.processing_us) {
        let (edge, origin) = (ms(split.to_edge_us), ms(split.beyond_us));
        facts.push(format!("to the edge {edge}, beyond it {origin}"));
    }
    if sample.outcome.is_redirect() {
        facts.push("redirect, not followed".to_owned());
    }
    facts.join("  ")
}

/// The edge that answered, and what its cache says.
fn edge(sample: &Sample) -> Vec<String> {
    let attribution = &sample.attribution;
    let pop = attribution.pop.as_ref().map(|pop| match city_of_pop(pop) {
        Some(city) => format!("pop {} ({city})", escape(pop)),
        None => format!("pop {}", escape(pop)),
    });
    pop.into_iter().chain(attribution.cache.as_ref().map(|cache| escape(cache))).collect()
}

fn waterfall(out: &mut String, one: &UrlSample, pen: Pen) {
    headline(out, one, pen);
    let sample = &one.sample;
    let scale_us = sample.phases.sum_us().max(1);
    let cells = |us: u64| {
        let cells = (us.saturating_mul(BAR_CELLS) + scale_us / 2) / scale_us;
        usize::try_from(cells.min(BAR_CELLS)).unwrap_or(0)
    };
    let mut before_us = 0;
    for phase in Phase::ALL {
        let Some(us) = sample.phases.get(phase) else { continue };
        let (from, to) = (cells(before_us), cells(before_us + us));
        // Every phase that was there is seen, however short.
        let bar = pen.paint(code_of(phase), &"█".repeat((to - from).max(1)));
        let name = pen.paint(code_of(phase), &format!("{:<10}", phase.as_str()));
        let _ = writeln!(out, "  {name} {:>14}  {}{bar}", ms(us), " ".repeat(from));
        before_us += us;
    }
    let _ = writeln!(out, "  {:<10} {:>14}", "local", ms(sample.local_us));
    let total = pen.paint("1", &format!("{:<10} {:>14}", "total", ms(sample.total_us)));
    let _ = writeln!(out, "  {total}");
    out.push('\n');
}

fn table(out: &mut String, summary: &UrlSummary, pen: Pen) {
    let (n, failures) = (summary.n, summary.failures);
    let url = pen.paint("1", &escape(&summary.url));
    let _ = writeln!(out, "{url}  {n} samples, {failures} failed");
    let _ = writeln!(out, "  {:<10} {:>14} {:>14} {:>14}", "", "p50", "p90", "p99");
    let mut row = |name: &str, code: &str, found: &Percentiles| {
        let cells = [found.p50_us, found.p90_us, found.p99_us].map(ms);
        let ([p50, p90, p99], name) = (cells, pen.paint(code, &format!("{name:<10}")));
        let _ = writeln!(out, "  {name} {p50:>14} {p90:>14} {p99:>14}");
    };
    for (phase, found) in &summary.phases {
        row(phase.as_str(), code_of(*phase), found);
    }
    row("response", "1", &summary.response);
}

/// Which edges answered, and from their cache or not, the most frequent first.
fn edges(out: &mut String, report: &Report, url: &str) {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for one in report.samples.iter().filter(|one| one.url == url) {
        let words = edge(&one.sample).join("  ");
        if !words.is_empty() {
            *seen.entry(words).or_insert(0) += 1;
        }
    }
    let mut seen: Vec<(String, usize)> = seen.into_iter().collect();
    seen.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (words, count) in seen.iter().take(EDGES_MAX) {
        let _ = writeln!(out, "  {count} x {words}");
    }
    if let Some(more) = seen.len().checked_sub(EDGES_MAX).filter(|more| *more > 0) {
        let _ = writeln!(out, "  and {more} more edges");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::once::summarize;
    use crate::sample::{HttpVersion, Phases, TlsVersion};
    use crate::window::tests::sample;
    use std::time::Duration;

    fn report(count: usize) -> Report {
        let mut one = sample(Outcome::Ok { status: 200 }, 80_100, 80_100);
        one.phases = Phases {
            resolve_us: None,
            connect_us: Some(20_000),
            tls_us: Some(20_000),
            processing_us: Some(39_950),
            transfer_us: Some(50),
        };
        one.local_us = 100;
        one.http = Some(HttpVersion::Http11);
        one.tls_version = Some(TlsVersion::Tls13);
        one.remote = Some("192.0.2.1:443".parse().unwrap());
        one.attribution.pop = Some("FRA2\u{1b}[31m".to_owned());
        let url: crate::url::HttpUrl = "https://api.example.test/".parse().unwrap();
        let samples = vec![UrlSample { url: url.to_string(), sample: one }; count];
        let summary = summarize(&[url], &samples, Duration::from_secs(1));
        Report { samples, summary }
    }

    #[test]
    fn one_sample_is_a_waterfall() {
        insta::assert_snapshot!(render(&report(1), TextOptions::default()));
    }

    #[test]
    fn many_samples_are_percentiles() {
        insta::assert_snapshot!(render(&report(6), TextOptions::default()));
    }

    #[test]
    fn nothing_raw_reaches_a_terminal() {
        assert!(!render(&report(1), TextOptions::default()).contains('\u{1b}'));
        assert_eq!(escape("a\u{1b}[2Jb\r\n\u{202e}"), "a\\u{1b}[2Jb\\r\\n\\u{202e}");
        assert!(render(&report(1), TextOptions { color: true }).contains("\u{1b}[1m"));
    }

    #[test]
    fn the_document_is_the_contract() {
        let document = crate::once::json::Document::from(&report(1));
        insta::assert_json_snapshot!(document);
    }
}
