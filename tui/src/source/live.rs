//! The open windows of an agent in the same process, folded from its events. No IO, no clock.

use std::collections::BTreeMap;

use probe::agent::Event;
use probe::sample::{Sample, Series};
use probe::store::Quantiles;
use probe::window::{Window, aligned_start_ms};

use crate::figures::Span;
use crate::log::Entry;
use crate::words::shown;

/// Most open windows of one series: older ones are in the store, or were never written.
const OPEN_MAX: usize = 8;

/// What has not reached the store yet.
#[derive(Debug)]
pub(super) struct Live {
    open: BTreeMap<Series, BTreeMap<i64, Window>>,
    last: BTreeMap<(String, String), String>,
    window_ms: i64,
    timeout_us: u64,
}

impl Live {
    pub(super) fn new(window_ms: i64, timeout_us: u64) -> Self {
        Self { open: BTreeMap::new(), last: BTreeMap::new(), window_ms, timeout_us }
    }

    /// Folds one event; says what the log should hold of it.
    pub(super) fn take(&mut self, event: &Event, now_ms: i64) -> Entry {
        match event {
            Event::Sampled { series, sample } => {
                self.add(series, sample);
                entry_of(series, sample)
            }
            Event::Missed { series } => {
                Entry::failure(now_ms, format!("{}: a slot could not start", name(series)))
            }
            Event::BelowLight { series, found } => Entry::failure(
                now_ms,
                format!(
                    "{}: {} us is faster than light allows ({} us)",
                    name(series),
                    found.fastest_us,
                    found.least_us
                ),
            ),
            Event::WriteFailed { cause } => Entry::failure(
                now_ms,
                format!("windows could not be written, and are kept: {}", shown(cause)),
            ),
            Event::Ready { series } => Entry::success(now_ms, format!("measuring {series} series")),
            Event::Closed { windows } => {
                Entry::success(now_ms, format!("{windows} windows closed"))
            }
        }
    }

    fn add(&mut self, series: &Series, sample: &Sample) {
        let start_ms = aligned_start_ms(sample.due_wall_ms, self.window_ms);
        let windows = self.open.entry(series.clone()).or_default();
        let window = windows
            .entry(start_ms)
            .or_insert_with(|| Window::new(series.clone(), start_ms, self.window_ms));
        window.add(sample, self.timeout_us);
        while windows.len() > OPEN_MAX {
            windows.pop_first();
        }
        self.last.insert((series.vantage.clone(), series.target.clone()), last_of(sample));
    }

    /// Lets go of the windows that the store has by now.
    pub(super) fn forget_until(&mut self, stored: impl Fn(&Series) -> Option<i64>) {
        self.open.retain(|series, windows| {
            if let Some(newest_ms) = stored(series) {
                windows.retain(|start_ms, _| *start_ms > newest_ms);
            }
            !windows.is_empty()
        });
    }

    /// All open windows.
    pub(super) fn windows(&self) -> impl Iterator<Item = &Window> {
        self.open.values().flat_map(BTreeMap::values)
    }

    /// What the newest sample of this cell said.
    pub(super) fn last(&self, cell: &(String, String)) -> Option<&String> {
        self.last.get(cell)
    }
}

/// An open window as a span.
pub(super) fn span_of(window: &Window) -> Span {
    let quantiles = Quantiles::of(&window.response);
    Span::new(window.start_ms, window.attempts, window.failures_total(), quantiles)
}

fn name(series: &Series) -> String {
    let path = if series.path.is_empty() { String::new() } else { format!(" {}", series.path) };
    shown(&format!("{} > {} {}{path}", series.vantage, series.target, series.connection))
}

fn entry_of(series: &Series, sample: &Sample) -> Entry {
    let name = name(series);
    let ms = sample.total_us as f64 / 1_000.0;
    if sample.outcome.is_ok() {
        return Entry::success(sample.due_wall_ms, format!("{name}: {ms:.1} ms"));
    }
    let status = sample.outcome.status().map_or_else(String::new, |status| format!(" {status}"));
    let detail = sample.outcome.detail().map_or_else(String::new, |text| format!(": {text}"));
    let kind = sample.outcome.kind();
    let text = format!("{name}: {kind}{status} after {ms:.1} ms{}", shown(&detail));
    Entry::failure(sample.due_wall_ms, text)
}

/// What is known of a sample beside its times, in one line.
fn last_of(sample: &Sample) -> String {
    let mut parts = vec![format!("{} time", sample.clock.as_str())];
    parts.extend(sample.http.map(|version| format!("HTTP/{}", version.as_str())));
    parts.extend(sample.tls_version.map(|version| {
        let resumed = if sample.resumed { " resumed" } else { "" };
        format!("TLS {}{resumed}", version.as_str())
    }));
    parts.extend(sample.remote.map(|remote| remote.to_string()));
    let attribution = &sample.attribution;
    parts.extend(attribution.api_gateway().map(|kind| format!("API Gateway {kind}")));
    parts.extend(attribution.pop.as_ref().map(|pop| {
        let city = probe::place::city_of_pop(pop);
        city.map_or_else(|| format!("POP {pop}"), |city| format!("POP {pop} ({city})"))
    }));
    parts.extend(attribution.cache.as_ref().map(|cache| format!("cache {cache}")));
    parts.extend(attribution.via.as_ref().map(|via| format!("via {via}")));
    shown(&parts.join(", "))
}
