//! The store: blocks, merging, expiry, and the ways a file can be unusable.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use probe::histogram::Histogram;
use probe::sample::{Connection, Series};
use probe::store::{Grid, Store, StoreError};
use probe::window::{Sink, Window};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

fn series(target: &str) -> Series {
    Series {
        vantage: "eu-west-1".into(),
        target: target.into(),
        connection: Connection::Warm,
        path: String::new(),
    }
}

fn window(target: &str, start_ms: i64, len_ms: i64, values: &[u64]) -> Window {
    let mut window = Window::new(series(target), start_ms, len_ms);
    for us in values {
        window.attempts += 1;
        window.response.record(*us);
        window.service.record(*us);
        window.phases.processing.record(*us);
    }
    window
}

fn store(grid: Grid) -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(folder.path().join("nearside.sqlite")).unwrap();
    store.set_grid(grid).unwrap();
    (folder, store)
}

const DEMO: Grid = Grid { window_ms: 2_000, block_ms: 2_000 };
const FOUR: Grid = Grid { window_ms: 1_000, block_ms: 4_000 };

#[test]
fn a_block_is_written_when_it_ends() {
    let (_folder, mut store) = store(FOUR);
    let mut failing = window("a", 1_000, 1_000, &[100, 200]);
    failing.failures.insert("reset", 1);
    failing.attempts += 1;
    failing.response.record(5_000_001);
    let mut missed = window("a", 2_000, 1_000, &[300]);
    missed.missed = 1;
    store.write(&[window("a", 0, 1_000, &[100, 100]), failing, missed]).unwrap();
    assert!(store.blocks(0, i64::MAX).unwrap().is_empty(), "the block is still open");
    store.write(&[window("a", 4_000, 1_000, &[9])]).unwrap();
    let blocks = store.blocks(0, i64::MAX).unwrap();
    assert_eq!(blocks.len(), 1);
    let block = &blocks[0];
    assert_eq!((block.start_ms, block.len_ms), (0, 4_000));
    assert_eq!((block.attempts, block.failures, block.missed), (6, 1, 1));
    assert_eq!(block.quantiles.p50_us, 100);
    assert!(block.quantiles.p99_us > 5_000_000);
    assert_eq!(block.quantiles.get(0.75), Some(300));
    assert_eq!(block.quantiles.get(0.6), None);
    assert_eq!((block.valid.len(), block.valid.count()), (4, 2));
    assert!(block.valid.contains(0) && block.valid.contains(1) && !block.valid.contains(2));
    store.close_open_blocks(8_000).unwrap();
    assert_eq!(store.blocks(0, i64::MAX).unwrap().len(), 2);
    assert_eq!(store.blocks(1, i64::MAX).unwrap().len(), 1);
    assert_eq!(store.blocks(0, 7_999).unwrap().len(), 1);
}

#[test]
fn a_window_that_comes_late_remakes_its_block() {
    let (_folder, mut store) = store(FOUR);
    store.write(&[window("a", 0, 1_000, &[100]), window("b", 4_000, 1_000, &[1])]).unwrap();
    assert_eq!(store.blocks(0, 4_000).unwrap()[0].attempts, 1);
    store.write(&[window("a", 3_000, 1_000, &[100, 100])]).unwrap();
    let blocks = store.blocks(0, 4_000).unwrap();
    assert_eq!((blocks.len(), blocks[0].attempts, blocks[0].valid.count()), (1, 3, 2));
}

#[test]
fn windows_and_blocks_may_be_the_same() {
    let (_folder, mut store) = store(DEMO);
    for start_ms in [0, 2_000, 4_000] {
        store
            .write(&[window("a", start_ms, 2_000, &[7]), window("b", start_ms, 2_000, &[9])])
            .unwrap();
    }
    let blocks = store.blocks(0, 6_000).unwrap();
    assert_eq!(blocks.len(), 6);
    assert!(
        blocks
            .windows(2)
            .all(|two| (&two[0].series, two[0].start_ms) < (&two[1].series, two[1].start_ms))
    );
    assert_eq!(blocks[0].valid.shared(&blocks[3].valid), 1);
}

#[test]
fn the_same_window_twice_is_merged() {
    let (_folder, mut store) = store(DEMO);
    store.write(&[window("a", 0, 2_000, &[10])]).unwrap();
    store.write(&[window("a", 0, 2_000, &[30])]).unwrap();
    let merged = store.merged(0, 2_000).unwrap();
    assert_eq!((merged[0].attempts, merged[0].response.quantile_us(1.0)), (2, Some(30)));
}

/// Thirty-seven days with a window every six hours: what expired is still there, coarser.
#[test]
fn expiry_keeps_the_sum() {
    let (_folder, mut store) = store(Grid::default());
    let mut count = 0_u64;
    let mut truth = Histogram::new();
    for step in 0..(37 * 4) {
        let us = 1_000 + u64::try_from(step).unwrap();
        truth.record(us);
        count += 1;
        store.write(&[window("a", step * 6 * HOUR_MS, 60_000, &[us])]).unwrap();
    }
    let merged = store.merged(0, 37 * DAY_MS).unwrap();
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].attempts, count);
    assert_eq!(merged[0].response, truth);
    assert_eq!(merged[0].phases.processing, truth);
    let last = merged[0].last_ms;
    assert_eq!(last, (37 * 4 - 1) * 6 * HOUR_MS + 60_000);
    let raw = rusqlite::Connection::open(store.path()).unwrap();
    let rows = |table: &str| -> i64 {
        let sql = format!("SELECT count(*) FROM {table}");
        raw.query_row(&sql, [], |row| row.get(0)).unwrap()
    };
    assert!(rows("windows") <= 6, "{} windows", rows("windows"));
    assert!(rows("hours") <= 36 * 4, "{} hours", rows("hours"));
    assert_eq!(store.blocks(0, DAY_MS).unwrap().len(), 0, "blocks are kept for 35 days");
    assert!(store.blocks(20 * DAY_MS, 21 * DAY_MS).unwrap().len() == 4);
}

#[test]
fn an_absent_store_is_not_made_by_a_reader() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("none.sqlite");
    let error = Store::open_existing(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("store {} does not exist", path.display()));
    assert!(!path.exists());
}

#[test]
fn a_newer_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("newer.sqlite");
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 9).unwrap();
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(&path).unwrap_err();
    let text =
        format!("store {} has schema 9, newer than 3, the newest known here", path.display());
    assert_eq!(error.to_string(), text);
    assert!(error.hint().is_some());
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

/// What every way of opening a store says of a path.
fn refusals(path: &std::path::Path) -> [String; 3] {
    [Store::open(path), Store::open_existing(path), Store::open_read_only(path)]
        .map(|opened| opened.unwrap_err().to_string())
}

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = "not a database, and long enough to have a header of its own\n".repeat(9);
    std::fs::write(path("text.sqlite"), text).unwrap();
    let other = rusqlite::Connection::open(path("other.sqlite")).unwrap();
    other.execute_batch("CREATE TABLE meta (a); INSERT INTO meta VALUES (1);").unwrap();
    other.close().unwrap();
    for name in ["text.sqlite", "other.sqlite"] {
        let path = path(name);
        let before = std::fs::read(&path).unwrap();
        let said = format!("{} is no store of measurements", path.display());
        assert_eq!(refusals(&path), [0; 3].map(|_| said.clone()));
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    let beside = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(beside, 2, "nothing is put beside them");
}

#[test]
fn an_empty_file_is_made_a_store_by_its_writer_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.sqlite");
    std::fs::write(&path, b"").unwrap();
    let error = Store::open_existing(&path).unwrap_err();
    assert_eq!(error.to_string(), format!("store {} is an empty file", path.display()));
    assert!(std::fs::read(&path).unwrap().is_empty());
    // As a writer leaves it that was killed while it made the file.
    Store::open(&path).unwrap();
    Store::open_existing(&path).unwrap();
}

#[test]
fn a_folder_is_called_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let said = format!("store {} is a folder", folder.path().display());
    assert_eq!(refusals(folder.path()), [0; 3].map(|_| said.clone()));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_grid_that_is_none_is_refused() {
    let (_folder, mut store) = store(DEMO);
    let error = store.set_grid(Grid { window_ms: 2_000, block_ms: 3_000 }).unwrap_err();
    assert_eq!(error.to_string(), "a block of 3000 ms is not a multiple of a window of 2000 ms");
    assert_eq!(store.grid(), DEMO);
}

/// A file that may not grow stands for a full disk: nothing of the batch is written, everything
/// written before is there, and once there is room the same batch goes in.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("full.sqlite");
    let mut store = Store::open(&path).unwrap();
    store.write(&[window("first", 0, 60_000, &[5])]).unwrap();
    store.limit_pages(Some(40)).unwrap();
    let many: Vec<Window> =
        (0..2_000).map(|n| window(&format!("t{n}"), 60_000, 60_000, &[1, 1_000, 90_000])).collect();
    let error = Sink::write(&mut store, many).unwrap_err();
    let text = format!("store {} cannot grow: the disk is full", path.display());
    assert_eq!(error.cause.to_string(), text);
    assert_eq!(error.windows.len(), 2_000);
    assert_eq!(store.merged(0, HOUR_MS).unwrap().len(), 1);
    store.limit_pages(None).unwrap();
    Sink::write(&mut store, error.windows).unwrap();
    assert_eq!(store.merged(0, HOUR_MS).unwrap().len(), 2_001);
}

#[test]
fn a_store_of_the_first_schema_is_brought_up_and_flags_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("old.sqlite");
    drop(Store::open(&path).unwrap());
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(
        "DROP TABLE flags; DROP TABLE timings; DROP TABLE ways; PRAGMA user_version = 1;",
    )
    .unwrap();
    drop(old);
    let mut store = Store::open(&path).unwrap();
    let found = probe::window::BelowLight { count: 2, fastest_us: 900, least_us: 54_000 };
    let mut flagged = window("a", 120_000, 60_000, &[900, 950]);
    flagged.flag(found);
    Sink::write(&mut store, vec![window("b", 120_000, 60_000, &[7]), flagged]).unwrap();
    let flags = store.flags(0, i64::MAX).unwrap();
    assert_eq!(flags.len(), 1);
    assert_eq!((flags[0].series.target.as_str(), flags[0].start_ms), ("a", 120_000));
    assert_eq!(flags[0].found, found);
    assert!(store.flags(180_000, i64::MAX).unwrap().is_empty());
    let rows = store.windows(0, i64::MAX).unwrap();
    assert_eq!(rows.iter().map(|row| row.series.target.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(rows[0].response.len(), 2);
}

#[test]
fn what_headers_told_is_kept_by_block_and_bounded() {
    use probe::sample::{Attribution, ServerTiming};
    use probe::told::Way;
    let (_folder, mut store) = store(FOUR);
    let timing = |name: String, ms| ServerTiming { name, duration_ms: Some(ms), description: None };
    for at in 0..8_i64 {
        let mut told = window("a", at * 1_000, 1_000, &[300]);
        for n in 0..6 {
            let server_timing =
                vec![timing(format!("m{}", at * 6 + n), 2.0), timing("s3".into(), 9.0)];
            let via = Some("1.1 a.cloudfront.net (CloudFront)".to_owned());
            let region = Some("eu-west-1".to_owned());
            told.told.add(&Attribution { server_timing, via, region, ..Attribution::default() });
        }
        store.write(&[told]).unwrap();
    }
    // Two blocks of four windows, each with 24 names of its own and one in common.
    let timings = store.timings(0, i64::MAX).unwrap();
    for start_ms in [0, 4_000] {
        let block = timings.iter().filter(|row| row.start_ms == start_ms);
        let of = |wanted: &str| {
            let named = block.clone().filter(|row| row.name == wanted);
            named.map(|row| row.took.len()).sum::<u64>()
        };
        assert_eq!((block.clone().count(), of("s3"), of("other")), (17, 24, 9));
    }
    let way = Way { edges: 1, is_api: false, region: "eu-west-1".into() };
    let ways = store.ways(4_000, i64::MAX).unwrap();
    assert_eq!(ways.iter().map(|row| (&row.way, row.count)).collect::<Vec<_>>(), [(&way, 24)]);
}

#[test]
fn a_screen_reads_columns_and_changes_nothing() {
    use probe::store::SpanTable;
    let (folder, mut store) = store(FOUR);
    let mut failing = window("b", 4_000, 1_000, &[300]);
    failing.attempts += 1;
    failing.failures.insert("reset", 1);
    failing.response.record(5_000_001);
    store.write(&[window("a", 0, 1_000, &[100, 200]), window("a", 4_000, 1_000, &[9])]).unwrap();

    let path = folder.path().join("nearside.sqlite");
    let screen = Store::open_read_only(&path).unwrap();
    assert_eq!(screen.grid(), FOUR);
    let before = screen.data_version().unwrap();
    store.write(&[failing]).unwrap();
    assert_ne!(screen.data_version().unwrap(), before, "another connection wrote");

    let names = screen.series().unwrap();
    let mut spans = Vec::new();
    screen.spans(SpanTable::Windows, (0, 9_000), |span| spans.push(span)).unwrap();
    let seen: Vec<(&str, i64, u64, u64, u64)> = spans
        .iter()
        .map(|span| {
            let p50_us = span.quantiles.unwrap().p50_us;
            let target = names[&span.series].target.as_str();
            (target, span.start_ms, span.attempts, span.failures, p50_us)
        })
        .collect();
    assert_eq!(seen, [("a", 0, 2, 0, 100), ("a", 4_000, 1, 0, 9), ("b", 4_000, 2, 1, 300)]);

    let merged = screen.merged_of(&names, SpanTable::Windows, (0, 9_000)).unwrap();
    assert_eq!(merged, screen.merged(0, 9_000).unwrap(), "the same rows, merged the same way");
    let failed = screen.failed_windows(0, 10).unwrap();
    assert_eq!((failed.len(), failed[0].by_kind.as_str()), (1, "reset=1"));
    assert_eq!(failed[0].series.target, "b");

    let mut screen = screen;
    assert!(screen.write(&[window("a", 8_000, 1_000, &[1])]).is_err(), "it was opened to read");
    let absent = Store::open_read_only(folder.path().join("other.sqlite"));
    assert!(matches!(absent, Err(StoreError::Absent { .. })));
    let blank = folder.path().join("blank.sqlite");
    std::fs::write(&blank, b"").unwrap();
    let refused = Store::open_read_only(&blank);
    assert!(matches!(refused, Err(StoreError::Blank { .. })), "{refused:?}");
}
