//! Windows as metrics of CloudWatch: names, dimensions, values with counts, and batches that a
//! request can hold. It knows no SDK, reads no clock and sends nothing.
//!
//! One window gives one datum of the response, whose sample count is the number of attempts: a
//! failure is one value above the timeout. Failures are counted beside it, as a whole and by kind,
//! only where there are some. A window with missed slots goes under a name of its own.

pub mod buckets;
pub mod budget;
pub mod counts;
pub mod emf;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::sample::Phase;
use crate::window::Window;

/// Metric of the response, from due to the end, in milliseconds.
pub const RESPONSE: &str = "Response";
/// The same of windows that are no evidence, because slots were missed.
pub const RESPONSE_INCOMPLETE: &str = "ResponseIncomplete";
/// Metric of failures: without the dimension `kind` all of them.
pub const FAILURES: &str = "Failures";
/// Names of dimensions.
pub const VANTAGE: &str = "vantage";
/// What was measured.
pub const TARGET: &str = "target";
/// Over which kind of connection.
pub const CONNECTION: &str = "connection";
/// Address, POP and cache state, or step, where a series has several.
pub const PATH: &str = "path";
/// The kind of a failure.
pub const KIND: &str = "kind";

/// Most datums of one request.
pub const DATUMS_MAX: usize = 1_000;
/// Most bytes of one request before it is packed: below CloudWatch's 1 MiB, with room for its frame.
pub const BYTES_MAX: usize = 960 * 1024;

/// The unit of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Durations.
    Milliseconds,
    /// Numbers of things.
    Count,
}

/// What is published of one metric for one window.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Datum {
    /// The metric's name.
    pub name: String,
    /// Dimensions, in the order of their names.
    pub dimensions: Vec<(String, String)>,
    /// The window's start, in ms since 1970.
    pub at_ms: i64,
    /// The unit of the values.
    pub unit: Unit,
    /// Values with their counts: at most 150 values.
    pub values: Vec<(f64, u64)>,
}

/// What one request holds.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Batch {
    /// Windows whose datums begin here.
    pub windows: u64,
    /// At most [`DATUMS_MAX`], at most [`BYTES_MAX`] together.
    pub datums: Vec<Datum>,
}

/// What of a window is published.
#[derive(Debug, Clone, Default)]
pub struct Shape {
    /// The phases that have a metric of their own.
    pub phases: Vec<Phase>,
    /// The timeout of each target, in microseconds: what is above it is a failure.
    pub timeouts_us: BTreeMap<String, u64>,
}

/// The metric of a phase.
#[must_use]
pub fn phase_metric(phase: Phase) -> &'static str {
    match phase {
        Phase::Resolve => "Resolve",
        Phase::Connect => "Connect",
        Phase::Tls => "Tls",
        Phase::Processing => "Processing",
        Phase::Transfer => "Transfer",
    }
}

/// The dimensions of a series.
#[must_use]
pub fn dimensions(
    vantage: &str,
    target: &str,
    connection: &str,
    path: &str,
) -> Vec<(String, String)> {
    let pairs = [(CONNECTION, connection), (PATH, path), (TARGET, target), (VANTAGE, vantage)];
    let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
    given.map(|(name, value)| (name.to_owned(), ascii(value))).collect()
}

/// CloudWatch takes printable ASCII; what is not is written as a question mark.
fn ascii(text: &str) -> String {
    text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect()
}

/// The datums of a window: none where nothing was sent.
#[must_use]
pub fn datums(window: &Window, shape: &Shape) -> Vec<Datum> {
    let series = &window.series;
    let own = dimensions(&series.vantage, &series.target, series.connection.as_str(), &series.path);
    let datum = |name: &str, unit, values: Vec<(f64, u64)>| Datum {
        name: name.to_owned(),
        dimensions: own.clone(),
        at_ms: window.start_ms,
        unit,
        values,
    };
    let mut made = Vec::new();
    let name = if window.missed == 0 { RESPONSE } else { RESPONSE_INCOMPLETE };
    let timeout_us = shape.timeouts_us.get(&series.target).copied();
    let response = buckets::values(&window.response, timeout_us);
    made.push(datum(name, Unit::Milliseconds, response));
    // What is no evidence is shown, and counted nowhere else.
    if window.missed == 0 {
        for phase in &shape.phases {
            let values = buckets::values(window.phases.get(*phase), None);
            made.push(datum(phase_metric(*phase), Unit::Milliseconds, values));
        }
        let failures = window.failures_total();
        made.push(datum(FAILURES, Unit::Count, counted(failures)));
        for (kind, count) in &window.failures {
            let mut by_kind = datum(FAILURES, Unit::Count, counted(*count));
            by_kind.dimensions.push((KIND.to_owned(), (*kind).to_owned()));
            by_kind.dimensions.sort();
            made.push(by_kind);
        }
    }
    made.retain(|datum| !datum.values.is_empty());
    made
}

/// A number of things as one value; none is no value, because each metric costs money.
fn counted(count: u64) -> Vec<(f64, u64)> {
    if count == 0 { Vec::new() } else { vec![(count as f64, 1)] }
}

/// An upper bound of a datum's bytes in CBOR: names, and nine bytes each for a value and its count.
fn bytes(datum: &Datum) -> usize {
    const FRAME: usize = 96;
    const DIMENSION: usize = 24;
    const PAIR: usize = 18;
    let names: usize =
        datum.dimensions.iter().map(|(name, value)| DIMENSION + name.len() + value.len()).sum();
    FRAME + datum.name.len() + names + PAIR * datum.values.len()
}

/// Packs windows into as few batches as fit. The datums of one window stay together where they can.
#[must_use]
pub fn batches(windows: &[Window], shape: &Shape) -> Vec<Batch> {
    let mut packed: Vec<Batch> = Vec::new();
    let mut size = 0;
    for window in windows {
        let datums = datums(window, shape);
        let more: usize = datums.iter().map(bytes).sum();
        let fits = packed.last().is_some_and(|batch| {
            batch.datums.len() + datums.len() <= DATUMS_MAX && size + more <= BYTES_MAX
        });
        if !fits {
            packed.push(Batch::default());
            size = 0;
        }
        size += more;
        if let Some(batch) = packed.last_mut() {
            batch.windows += 1;
            batch.datums.extend(datums);
        }
    }
    packed.retain(|batch| !batch.datums.is_empty());
    packed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Outcome;
    use crate::window::tests::{sample, series};

    const TIMEOUT_US: u64 = 5_000_000;

    fn window(good: u64, refused: u64) -> Window {
        let mut window = Window::new(series("eu"), 60_000, 60_000);
        for at in 0..good {
            window.add(&sample(Outcome::Ok { status: 200 }, 900, 1_000 + at), TIMEOUT_US);
        }
        for _ in 0..refused {
            window.add(&sample(Outcome::ConnectRefused, 100, 200), TIMEOUT_US);
        }
        window
    }

    fn shape(phases: &[Phase]) -> Shape {
        let timeouts_us = BTreeMap::from([("eu".to_owned(), TIMEOUT_US)]);
        Shape { phases: phases.to_vec(), timeouts_us }
    }

    fn told(window: &Window, phases: &[Phase]) -> Vec<String> {
        let count = |datum: &Datum| datum.values.iter().map(|(_, n)| n).sum::<u64>();
        let one = |datum: &Datum| {
            let kind = datum.dimensions.iter().find(|(name, _)| name == KIND);
            let kind = kind.map(|(_, kind)| format!(" {kind}")).unwrap_or_default();
            format!("{}{kind} x{}", datum.name, count(datum))
        };
        datums(window, &shape(phases)).iter().map(one).collect()
    }

    #[test]
    fn failures_are_values_and_counts_beside() {
        assert_eq!(told(&window(3, 0), &[]), ["Response x3"]);
        let expected = ["Response x5", "Failures x1", "Failures connect_refused x1"];
        assert_eq!(told(&window(3, 2), &[]), expected);
        let made = datums(&window(3, 2), &shape(&[]));
        let response = &made[0];
        let last = response.values.last().unwrap();
        assert!(last.0 > 5_000.0 && last.1 == 2, "{last:?}");
        assert_eq!(made[1].values, [(2.0, 1)]);
    }

    #[test]
    fn what_is_no_evidence_has_a_name_of_its_own() {
        let mut window = window(3, 1);
        window.missed = 1;
        assert_eq!(told(&window, &[Phase::Processing]), ["ResponseIncomplete x4"]);
        assert!(told(&Window::new(series("eu"), 0, 60_000), &[]).is_empty());
    }

    #[test]
    fn phases_come_when_asked_for() {
        let phases = [Phase::Connect, Phase::Processing];
        assert_eq!(told(&window(3, 0), &phases), ["Response x3", "Processing x3"]);
    }

    #[test]
    fn dimensions_are_ascii_and_sorted() {
        let made = dimensions("fra", "api", "cold", "FRA56 hit\u{e9}");
        let names: Vec<&str> = made.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["connection", "path", "target", "vantage"]);
        assert_eq!(made[1].1, "FRA56 hit?");
        assert_eq!(dimensions("fra", "api", "cold", "").len(), 3);
    }

    #[test]
    fn batches_hold_what_a_request_may() {
        let windows: Vec<Window> = (0..2_500).map(|_| window(10, 0)).collect();
        let packed = batches(&windows, &shape(&[]));
        assert_eq!(packed.iter().map(|b| b.windows).sum::<u64>(), 2_500);
        assert_eq!(packed.len(), 3);
        let wide: Vec<Window> = (0..1_000).map(|_| window(200, 0)).collect();
        for batch in batches(&wide, &shape(&[])) {
            let size: usize = batch.datums.iter().map(bytes).sum();
            assert!(batch.datums.len() <= DATUMS_MAX && size <= BYTES_MAX, "{size}");
        }
    }
}
