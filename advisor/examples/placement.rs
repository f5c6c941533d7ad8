//! Times the placement solver on a matrix of costs, for `tests/bench/placement.sh`.
//!
//!     placement MATRIX K [FIRST [WEIGHTS]]    solves FIRST..K, or K alone
//!
//! Prints a line of JSON for each number of columns, then one with the microseconds of all and the
//! peak of the process's memory. Reading the files is not in the time; laying out the rows is.

use std::io::Write as _;
use std::time::Duration;

use advisor::placement::{CostMatrix, Request, read_table, solve};
use probe::clock::{Clock, SystemClock};

/// When proving is given up.
const LIMIT: Duration = Duration::from_mins(2);

/// The most memory that this process has held, in kB, where Linux tells it; else 0.
fn peak_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments.next().ok_or("name a matrix")?;
    let k: usize = arguments.next().ok_or("how many columns?")?.parse()?;
    let first: usize = arguments.next().map_or(Ok(k), |first| first.parse())?;
    let mut matrix = CostMatrix::from_table(&read_table(&std::fs::read_to_string(&path)?)?)?;
    if let Some(weights) = arguments.next() {
        matrix.set_weights(&read_table(&std::fs::read_to_string(weights)?)?)?;
    }
    let clock = SystemClock;
    let started = clock.now();
    let mut is_over = || clock.now().duration_since(started) >= LIMIT;
    let answers = solve(&matrix, &Request::plain(), first..=k, &mut is_over)?;
    let us = clock.now().duration_since(started).as_micros();
    let mut out = std::io::stdout().lock();
    for answer in &answers {
        let total = answer.total.unwrap_or(f64::NAN);
        writeln!(out, "{{\"k\":{},\"total\":{total},\"gap\":{}}}", answer.k, answer.gap)?;
    }
    writeln!(out, "{{\"us\":{us},\"peak_kb\":{}}}", peak_kb())?;
    Ok(())
}
