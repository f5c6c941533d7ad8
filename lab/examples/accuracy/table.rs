//! Errors of a prober against the capture: medians, tails, and how many are outside the bound.

use lab::packet::Exchange;

use crate::probers::{Measured, PHASES};

/// Greatest error that is asked for, us.
pub(crate) const BOUND_US: f64 = 200.0;

/// Errors of one phase.
#[derive(Debug, PartialEq)]
pub(crate) struct Errors {
    pub(crate) phase: &'static str,
    pub(crate) count: usize,
    /// Median of measured minus true, us.
    pub(crate) bias_us: f64,
    /// Quantiles of its magnitude, us.
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
    pub(crate) max_us: f64,
    /// How many are above [`BOUND_US`].
    pub(crate) outside: usize,
}

/// The truth of an exchange in the order of [`PHASES`], us.
fn truth(exchange: &Exchange) -> Measured {
    let us = |ns: i64| ns as f64 / 1000.0;
    [
        exchange.connect_ns.map(us),
        exchange.tls_ns.map(us),
        Some(us(exchange.processing_ns)),
        Some(us(exchange.transfer_ns)),
    ]
}

/// Errors by phase, of the exchanges that were sent once. The two lists are in the same order.
pub(crate) fn errors(measured: &[Measured], exchanges: &[Exchange]) -> Vec<Errors> {
    let pairs = || measured.iter().zip(exchanges).filter(|(_, e)| !e.retransmitted);
    let of_phase = |(number, phase): (usize, &&'static str)| {
        let mut signed: Vec<f64> = pairs()
            .filter_map(|(measured, e)| Some(measured[number]? - truth(e)[number]?))
            .collect();
        signed.sort_by(f64::total_cmp);
        let mut sizes: Vec<f64> = signed.iter().map(|error| error.abs()).collect();
        sizes.sort_by(f64::total_cmp);
        (!sizes.is_empty()).then(|| Errors {
            phase,
            count: sizes.len(),
            bias_us: quantile(&signed, 50),
            p50_us: quantile(&sizes, 50),
            p99_us: quantile(&sizes, 99),
            max_us: quantile(&sizes, 100),
            outside: sizes.iter().filter(|size| **size > BOUND_US).count(),
        })
    };
    PHASES.iter().enumerate().filter_map(of_phase).collect()
}

/// The inverted CDF of sorted values, which are not none.
fn quantile(sorted: &[f64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted[rank - 1]
}

/// The heading of the table, as Markdown.
pub(crate) fn heading() -> String {
    "| prober | round trip | phase | n | bias us | p50 us | p99 us | max us | over 200 us |\n\
     |---|---:|---|---:|---:|---:|---:|---:|---:|"
        .to_owned()
}

/// One line of it.
pub(crate) fn line(prober: &str, rtt_ms: u64, errors: &Errors) -> String {
    let Errors { phase, count, bias_us, p50_us, p99_us, max_us, outside } = errors;
    format!(
        "| {prober} | {rtt_ms} ms | {phase} | {count} | {bias_us:+.0} | {p50_us:.0} | {p99_us:.0} | \
         {max_us:.0} | {outside} |"
    )
}
