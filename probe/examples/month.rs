//! Makes a store with a month of 35 x 35 series and its configuration, for benchmarks of what reads it.
//!
//!     month make DIR        writes DIR/nearside.sqlite and DIR/nearside.toml
//!     month follow DIR N S  adds one sample to each of N series every second, for S seconds
//!
//! A day of 35 series is written as a probe writes it; the other series and days are copies of those rows,
//! so that every row holds what its histograms say. It measures nothing.

#![allow(clippy::print_stdout, reason = "an example talks to its caller")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use probe::clock::{Clock as _, SystemClock};
use probe::place::{RegionPlace, distance_km, regions};
use probe::sample::{Connection, Series};
use probe::store::{Grid, Store};
use probe::window::{Window, aligned_start_ms};
use rusqlite::{Connection as Database, params};

const PLACES: usize = 35;
const DAYS: i64 = 30;
const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 1_440 * MINUTE_MS;
/// Samples of a window: one each 10 s.
const SAMPLES: u64 = 6;
/// The columns that are copied.
const SPAN: &str = "len_ms, attempts, failures, missed, late, by_kind, p10_us, p25_us, p50_us, \
                    p75_us, p90_us, p95_us, p99_us, response, service, phases";
const BLOCK: &str = "len_ms, attempts, failures, missed, p10_us, p25_us, p50_us, p75_us, p90_us, \
                     p95_us, p99_us, windows, valid";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["make", dir] => make(Path::new(dir)),
        ["follow", dir, series, seconds] => {
            follow(Path::new(dir), series.parse()?, seconds.parse()?)
        }
        _ => Err("usage: month make DIR | month follow DIR SERIES SECONDS".into()),
    }
}

fn places() -> Vec<RegionPlace> {
    regions().take(PLACES).collect()
}

/// All series, in the order of vantage, then target.
fn all_series() -> Vec<(Series, RegionPlace, RegionPlace)> {
    let places = places();
    let mut all = Vec::with_capacity(PLACES * PLACES);
    for from in &places {
        for to in &places {
            let series = Series {
                vantage: from.region.to_owned(),
                target: to.region.to_owned(),
                connection: Connection::Cold,
                path: String::new(),
            };
            all.push((series, *from, *to));
        }
    }
    all
}

/// A window of a pair this far apart: three round trips and a service time, by a fixed sequence.
fn window(series: Series, km: f64, start_ms: i64, len_ms: i64, samples: u64) -> Window {
    let mut window = Window::new(series, start_ms, len_ms);
    let base_us = 2_000 + whole(km * 15.7);
    for index in 0..samples {
        let at = start_ms.unsigned_abs() / 1_000 + index * 10;
        let jitter = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let connect_us = base_us + jitter % (base_us / 8);
        let processing_us = base_us + 20_000 + jitter % 17_000;
        let total_us = 2 * connect_us + processing_us + 400;
        window.attempts += 1;
        if jitter.is_multiple_of(997) {
            *window.failures.entry("connect_timeout").or_insert(0) += 1;
            window.response.record(10_000_001);
            window.service.record(10_000_001);
            continue;
        }
        window.response.record(total_us);
        window.service.record(total_us);
        window.phases.connect.record(connect_us);
        window.phases.tls.record(connect_us);
        window.phases.processing.record(processing_us);
        window.phases.transfer.record(300);
        window.phases.local.record(100);
    }
    window
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a distance on Earth is small and not negative"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

fn make(dir: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(dir)?;
    std::fs::write(dir.join("nearside.toml"), configuration()?)?;
    let path = dir.join("nearside.sqlite");
    let now_ms = SystemClock.wall_ms();
    let until_ms = aligned_start_ms(now_ms, MINUTE_MS);
    let mut store = Store::open(&path)?;
    store.set_grid(Grid::default())?;
    let all = all_series();
    let templates: Vec<_> = all.iter().step_by(PLACES + 1).take(PLACES).collect();
    for start_ms in (until_ms - DAY_MS..until_ms).step_by(usize::try_from(MINUTE_MS)?) {
        let row = |index: usize| {
            let (series, from, to) = &all[index * PLACES + (index * 7 + 3) % PLACES];
            let km = distance_km(*from, *to);
            window(series.clone(), km, start_ms, MINUTE_MS, SAMPLES)
        };
        store.write(&(0..templates.len()).map(row).collect::<Vec<Window>>())?;
    }
    drop(store);
    copy(&path, &all)?;
    println!(
        "{} series, {DAYS} days, {} MB",
        all.len(),
        std::fs::metadata(&path)?.len() / 1_000_000
    );
    Ok(())
}

/// Copies the rows of the series that were written to all others, and the day to the days before.
fn copy(path: &Path, all: &[(Series, RegionPlace, RegionPlace)]) -> Result<(), Box<dyn Error>> {
    let database = Database::open(path)?;
    database.execute_batch(
        "BEGIN; CREATE TEMP TABLE copies (template INTEGER, series INTEGER, PRIMARY KEY (template, series));
         CREATE TEMP TABLE days_back (n INTEGER);",
    )?;
    let written: i64 = database.query_row("SELECT count(*) FROM series", [], |row| row.get(0))?;
    for (index, (series, ..)) in all.iter().enumerate() {
        let id = database.query_row(
            "INSERT INTO series (vantage, target, connection, path) VALUES (?1, ?2, 'cold', '')
             ON CONFLICT DO UPDATE SET path = path RETURNING id",
            [&series.vantage, &series.target],
            |row| row.get::<_, i64>(0),
        )?;
        let template = i64::try_from(index)? % written + 1;
        if id > written {
            database.execute("INSERT INTO copies VALUES (?1, ?2)", params![template, id])?;
        }
    }
    for back in 1..DAYS {
        database.execute("INSERT INTO days_back VALUES (?1)", [back])?;
    }
    for (table, columns) in [("hours", SPAN), ("days", SPAN), ("blocks", BLOCK)] {
        database.execute_batch(&format!(
            "INSERT OR IGNORE INTO {table} (series, start_ms, {columns})
             SELECT series, start_ms - n * {DAY_MS}, {columns} FROM {table}, days_back
             ORDER BY start_ms - n * {DAY_MS}, series"
        ))?;
    }
    for (table, columns) in [("windows", SPAN), ("hours", SPAN), ("days", SPAN), ("blocks", BLOCK)]
    {
        database.execute_batch(&format!(
            "INSERT OR IGNORE INTO {table} (series, start_ms, {columns})
             SELECT copies.series, start_ms, {columns} FROM {table}
             JOIN copies ON copies.template = {table}.series ORDER BY start_ms, copies.series"
        ))?;
    }
    database.execute_batch("COMMIT; PRAGMA wal_checkpoint(TRUNCATE);")?;
    Ok(())
}

/// One sample more for each of `count` series, every second.
fn follow(dir: &Path, count: usize, seconds: u64) -> Result<(), Box<dyn Error>> {
    let mut store = Store::open_existing(dir.join("nearside.sqlite"))?;
    let all = all_series();
    let began = SystemClock.now();
    for second in 0..seconds {
        let start_ms = aligned_start_ms(SystemClock.wall_ms(), MINUTE_MS);
        let one = |(series, from, to): &(Series, RegionPlace, RegionPlace)| {
            window(series.clone(), distance_km(*from, *to), start_ms, MINUTE_MS, 1)
        };
        store.write(&all.iter().take(count).map(one).collect::<Vec<Window>>())?;
        let due = Duration::from_secs(second + 1);
        let passed = SystemClock.now().saturating_duration_since(began);
        std::thread::sleep(due.saturating_sub(passed));
    }
    Ok(())
}

fn configuration() -> Result<String, std::fmt::Error> {
    let mut text = "name = \"api.example.com\"\nzone = \"example.com\"\n".to_owned();
    for RegionPlace { region, .. } in places() {
        writeln!(text, "[[vantage]]\nid = \"{region}\"\npopulation = \"cloud\"")?;
        writeln!(
            text,
            "[[endpoint]]\nid = \"{region}\"\nregion = \"{region}\"\nkind = \"regional\"\n\
             url = \"https://{region}.api.example.com/ping\""
        )?;
    }
    Ok(text)
}
