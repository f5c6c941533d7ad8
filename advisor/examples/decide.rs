//! How long advice takes, and how much memory: 39 labels x 12 endpoints x 30 days of block rows.
//!
//! Run by `tests/bench/advice.sh`. It prints figures and judges nothing.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a benchmark prints the time it takes"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use advisor::advice::{AdviceRule, Choice, EyeballRow, Eyeballs, Routing, advise};
use advisor::matrix::{CellBlock, CostRule, Matrix};
use advisor::name::Label;
use advisor::regret::regret;
use probe::sample::Connection;
use probe::store::WindowSet;

const LABELS: u64 = 39;
const ENDPOINTS: u64 = 12;
const BLOCKS: i64 = 180;
const BLOCK_MS: i64 = 14_400_000;
const MINUTES: u32 = 240;

fn vantage(index: u64) -> String {
    format!("vantage-{index:02}")
}

fn endpoint(index: u64) -> String {
    format!("endpoint-{index:02}")
}

fn label(index: u64) -> Label {
    Label::new(&format!("label-{index:02}"))
}

/// A number in 0..1 that is the same each time.
fn hash(a: u64, b: u64, c: u64) -> f64 {
    let mut x = a.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ b.wrapping_mul(0xc2b2_ae3d_27d4_eb4f);
    x ^= c.wrapping_mul(0x1656_67b1_9e37_79f9);
    for _ in 0..2 {
        x = (x ^ (x >> 31)).wrapping_mul(0x7fb5_d329_728e_a185);
    }
    (x >> 11) as f64 / (1_u64 << 53) as f64
}

/// The cost of a cell: near its own endpoints, far from the others; the first endpoint is slow.
fn cost_ms(vantage: u64, endpoint: u64, block: i64) -> f64 {
    let base_ms = 20.0 + 200.0 * hash(vantage, endpoint, 0);
    let slow_ms = if endpoint == 0 { 150.0 } else { 0.0 };
    base_ms + slow_ms + 6.0 * hash(vantage, endpoint, block.unsigned_abs() + 1)
}

fn rows() -> Vec<CellBlock> {
    let mut rows = Vec::new();
    let all = WindowSet::from_bytes(MINUTES, &[0xff; 30]);
    for block in 0..BLOCKS {
        for place in 0..LABELS {
            for to in 0..ENDPOINTS {
                for connection in [Connection::Cold, Connection::Warm] {
                    rows.push(CellBlock {
                        vantage: vantage(place),
                        endpoint: endpoint(to),
                        connection,
                        start_ms: block * BLOCK_MS,
                        value_ms: cost_ms(place, to, block),
                        attempts: u64::from(MINUTES),
                        failures: 0,
                        valid: all.clone(),
                    });
                }
            }
        }
    }
    rows
}

/// All labels installed and each vantage at the one of its number; clients prefer the others in
/// order of a hash.
fn routing(of_clients: bool) -> Routing {
    let order = |place: u64| {
        let mut order: Vec<u64> = (0..LABELS).filter(|other| *other != place).collect();
        order.sort_by(|a, b| hash(place, *a, 7).total_cmp(&hash(place, *b, 7)));
        std::iter::once(place).chain(order).map(label).collect()
    };
    let row = |place| (vantage(place), EyeballRow { weight: 1.0, order: order(place) });
    let eyeballs = Eyeballs {
        rows: (0..LABELS).map(row).collect(),
        unmeasured: BTreeMap::new(),
        own_labels: (0..ENDPOINTS).map(label).collect(),
        asked: true,
        choice: Choice::All,
    };
    Routing {
        live: (0..LABELS).map(|index| (label(index), endpoint(index % ENDPOINTS))).collect(),
        preferred: (0..LABELS).map(|index| (vantage(index), label(index))).collect(),
        witnesses: (0..ENDPOINTS).map(|index| (endpoint(index), vantage(index))).collect(),
        cloud: if of_clients { BTreeSet::new() } else { (0..LABELS).map(vantage).collect() },
        cooling: BTreeMap::new(),
        eyeballs: if of_clients { eyeballs } else { Eyeballs::default() },
    }
}

/// The most memory that this process ever held, in MB, as Linux says.
fn peak_mb() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok().map(|kb| kb / 1_024)
}

fn main() {
    let rows = rows();
    println!("{} block rows", rows.len());
    for (name, of_clients) in [("cloud", false), ("eyeball", true)] {
        let routing = routing(of_clients);
        let begin = Instant::now();
        let matrix = Matrix::build(&rows, CostRule { cold_share: 0.2, block_ms: BLOCK_MS });
        let (built, begin_advice) = (begin.elapsed(), Instant::now());
        let rule = AdviceRule::default();
        let advice = advise(&matrix, &routing, &rule);
        let (advised, begin_regret) = (begin_advice.elapsed(), Instant::now());
        let lines = regret(&matrix, &routing, &rule.evidence).len();
        println!(
            "{name}: matrix {built:.0?}, advice {:.0?} ({} of {} labels move), regret {:.0?} ({lines} \
             rows), all {:.0?}",
            advised,
            advice.moves().count(),
            advice.labels.len(),
            begin_regret.elapsed(),
            begin.elapsed()
        );
    }
    match peak_mb() {
        Some(mb) => println!("most memory, the rows among it: {mb} MB"),
        None => println!("this system does not say how much memory was used"),
    }
}
