//! A writer is killed at a moment it cannot know; what it said was written is there.
//! Not a test of the harness, because the writer is this very program, started again.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test may end with a panic"
)]

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use probe::clock::{Clock, SystemClock};
use probe::publish::{Batch, Datum, Shape, batches};
use probe::sample::{Connection, Series};
use probe::spool::{Counts, Courier, Delivery, Disk, Rules, Spool};
use probe::store::{Grid, Store};
use probe::window::{Sink as _, Window};

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

/// A service that keeps what it took in a file, so that it outlives whoever is killed. Some requests are
/// refused for a while, some are lost, and of some the reply.
struct Service {
    taken: PathBuf,
    requests: u64,
}

impl Service {
    /// How often each window was taken, by its start.
    fn taken(&self) -> BTreeMap<i64, u64> {
        let mut counts = BTreeMap::new();
        for line in std::fs::read_to_string(&self.taken).unwrap_or_default().lines() {
            *counts.entry(line.parse().unwrap()).or_insert(0) += 1;
        }
        counts
    }
}

impl Courier for Service {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        self.requests += 1;
        if self.requests.is_multiple_of(7) {
            return Delivery::NotTaken("come again".into());
        }
        if self.requests.is_multiple_of(11) {
            return Delivery::Unknown("the request was lost".into());
        }
        let starts: Vec<String> =
            batch.datums.iter().map(|datum| datum.at_ms.to_string()).collect();
        let lines = starts.join("\n") + "\n";
        let mut file = OpenOptions::new().append(true).create(true).open(&self.taken).unwrap();
        file.write_all(lines.as_bytes()).unwrap();
        match self.requests % 3 {
            0 => Delivery::Unknown("the reply was lost".into()),
            _ => Delivery::Taken,
        }
    }

    fn held(&mut self, datum: &Datum) -> Option<u64> {
        Some(self.taken().get(&datum.at_ms).copied().unwrap_or_default())
    }
}

fn sending(folder: &Path, settle: Duration) -> Spool<Service> {
    let disk = Disk::open(&folder.join("spool"), 1 << 30, SystemClock.wall_ms()).unwrap();
    let rules = Rules { shape: Shape::default(), metrics_max: 10, settle };
    let service = Service { taken: folder.join("taken"), requests: 0 };
    Spool::new(disk, service, Arc::new(SystemClock), rules)
}

/// Spools and sends a window after the other from this one on, and says after each that it is kept.
fn send_on(folder: &Path, from: i64) {
    // So long that a kill finds requests of which nobody knows the end.
    let mut spool = sending(folder, Duration::from_millis(200));
    let mut out = std::io::stdout();
    let start_ms = SystemClock.wall_ms() - 3_600_000;
    for index in from..from + 100_000 {
        let minute = window(start_ms - start_ms % 60_000 + index);
        spool.write(vec![minute]).unwrap();
        writeln!(out, "{index}").unwrap();
        out.flush().unwrap();
    }
}

/// Killed while it spools, sends and asks; the last one goes on until nothing waits.
fn kill_senders() {
    let folder = tempfile::tempdir().unwrap();
    for (at, lines) in [1, 2, 9, 30, 61, 80].into_iter().enumerate() {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .arg("send")
            .arg(folder.path())
            .arg((at * 1_000).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let kept = BufReader::new(child.stdout.take().unwrap()).lines().take(lines).count();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(kept, lines);
    }
    let mut spool = sending(folder.path(), Duration::ZERO);
    let counts = spool.counts();
    let now = || *counts.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = now().spooled;
    assert!(waited > 0, "nothing was in doubt at the last kill");
    for _ in 0..200 {
        if now().spooled > 0 {
            spool.write(Vec::new()).unwrap();
        }
    }
    let Counts { sent, spooled, dropped, refused, duplicated, .. } = now();
    drop(spool);
    let service = Service { taken: folder.path().join("taken"), requests: 0 };
    let taken = service.taken();
    println!(
        "senders killed 6 times: {waited} windows waited; sent {sent}, spooled {spooled}, dropped {dropped}, \
         refused {refused}, duplicated {duplicated}; the service has {} windows, {} of them twice",
        taken.len(),
        taken.values().filter(|times| **times > 1).count()
    );
    assert_eq!((sent, spooled, dropped, refused, duplicated), (waited, 0, 0, 0, 0));
    assert!(taken.len() >= 1 + 2 + 9 + 30 + 61 + 80, "what was said to be kept was taken");
    assert!(taken.values().all(|times| *times == 1), "and once: {taken:?}");
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
    if let [_, word, path, from] = arguments.as_slice() {
        assert_eq!(word, "send");
        send_on(Path::new(path), from.parse().unwrap());
        return ExitCode::SUCCESS;
    }
    for lines in [1, 3, 17, 80] {
        kill_spool_after(lines);
    }
    kill_senders();
    for lines in [1, 2, 7, 50, 121] {
        kill_after(lines);
        println!("killed after {lines} windows: nothing lost");
    }
    ExitCode::SUCCESS
}
