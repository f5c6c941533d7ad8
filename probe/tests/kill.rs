//! A writer is killed at a moment it cannot know; what it said was written is there.
//! Not a test of the harness, because the writer is this very program, started again.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test may end with a panic"
)]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use probe::publish::{Shape, batches};
use probe::sample::{Connection, Series};
use probe::spool::Disk;
use probe::store::{Grid, Store};
use probe::window::Window;

const GRID: Grid = Grid { window_ms: 1_000, block_ms: 4_000 };

fn window(start_ms: i64) -> Window {
    let series = Series {
        vantage: "v".into(),
        target: "t".into(),
        connection: Connection::Cold,
        path: String::new(),
    };
    let mut window = Window::new(series, start_ms, 1_000);
    window.attempts = 1;
    window.response.record(1_000);
    window.service.record(1_000);
    window
}

/// Writes windows, and says after each that it is written, until it is killed.
fn write_on(path: &Path) {
    let mut store = Store::open(path).unwrap();
    store.set_grid(GRID).unwrap();
    let mut out = std::io::stdout();
    for index in 0..1_000_000 {
        store.write(&[window(index * 1_000)]).unwrap();
        writeln!(out, "{index}").unwrap();
        out.flush().unwrap();
    }
}

fn kill_after(lines: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("killed.sqlite");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("write")
        .arg(&path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let last: i64 = said.by_ref().take(lines).last().unwrap().unwrap().parse().unwrap();
    // On Unix this is SIGKILL: the writer can do nothing any more.
    child.kill().unwrap();
    child.wait().unwrap();
    let mut store = Store::open_existing(&path).unwrap();
    assert_eq!(store.grid(), GRID);
    let kept = store.merged(0, i64::MAX).unwrap()[0].attempts;
    assert!(kept > last.unsigned_abs(), "{last} was said to be written, {kept} are there");
    store.close_open_blocks(i64::MAX / 2).unwrap();
    let blocks = store.blocks(0, i64::MAX).unwrap();
    let in_blocks: u64 = blocks.iter().map(|block| block.attempts).sum();
    assert_eq!(in_blocks, kept, "block rows are completed from window rows");
    assert_eq!(blocks.len() as u64, kept.div_ceil(4));
    assert!(blocks[..blocks.len() - 1].iter().all(|block| block.valid.count() == 4));
}

/// Spools batches of two windows, and says after each that it is kept, until it is killed.
fn spool_on(folder: &Path) {
    let mut disk = Disk::open(folder, 1 << 30, 0).unwrap();
    let mut out = std::io::stdout();
    for index in 0..1_000_000 {
        let pair = [window(index * 2_000), window(index * 2_000 + 1_000)];
        for batch in batches(&pair, &Shape::default()) {
            assert_eq!(disk.push(batch), 0);
        }
        writeln!(out, "{index}").unwrap();
        out.flush().unwrap();
    }
}

fn kill_spool_after(lines: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .arg("spool")
        .arg(folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let last: u64 = said.by_ref().take(lines).last().unwrap().unwrap().parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let disk = Disk::open(folder.path(), 1 << 30, 0).unwrap();
    let numbers = disk.waiting();
    let kept: u64 = numbers.iter().map(|number| disk.read(*number).unwrap().windows).sum();
    assert!(kept >= 2 * (last + 1), "{last} was said to be kept, {kept} windows are there");
    assert_eq!(kept, disk.windows());
    println!("spool killed after {lines} batches: said {}, kept {kept} windows", 2 * (last + 1));
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, word, path] = arguments.as_slice() {
        match word.as_str() {
            "write" => write_on(Path::new(path)),
            "spool" => spool_on(Path::new(path)),
            _ => return ExitCode::FAILURE,
        }
        return ExitCode::SUCCESS;
    }
    for lines in [1, 3, 17, 80] {
        kill_spool_after(lines);
    }
    for lines in [1, 2, 7, 50, 121] {
        kill_after(lines);
        println!("killed after {lines} windows: nothing lost");
    }
    ExitCode::SUCCESS
}
