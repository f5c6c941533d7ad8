//! CloudWatch as the fleet's store, against the lab's: what arrives, what outages do, and how many
//! calls a matrix takes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use advisor::matrix::MatrixSource as _;
use aws::{Access, CloudWatchCourier, CloudWatchSource};
use lab::cloudwatch::{Fault, Faults, Operation};
use lab::scenario::Scenario;
use lab::{Lab, LabOptions};
use probe::clock::{Clock, SystemClock};
use probe::config::{Config, DEFAULTS, Flags, build};
use probe::publish::{Datum, Shape, dimensions};
use probe::sample::{Connection, Series};
use probe::spool::{Counts, Courier as _, Delivery, Disk, Rules, Spool};
use probe::window::{Sink as _, Window};

const REGION: &str = "eu-west-1";
const SPACE: &str = "Nearside";
const BLOCK_MS: i64 = 4 * 3_600_000;

struct Stage {
    lab: Lab,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("lab");
        let options = LabOptions { scenario: Scenario::calm(), seed: 1, dir };
        Self { lab: Lab::start(options).await.unwrap(), folder }
    }

    fn access(&self) -> Access {
        Access {
            cloudwatch_url: Some(self.lab.facts().cloudwatch.clone()),
            credentials: Some(("lab".to_owned(), "lab".to_owned())),
            ..Access::default()
        }
    }

    fn faults(&self) -> Faults {
        self.lab.cloudwatch().faults()
    }

    async fn spool(&self, access: &Access) -> (Spool<CloudWatchCourier>, Arc<Mutex<Counts>>) {
        spool(&self.folder.path().join("spool"), access).await
    }
}

async fn spool(folder: &Path, access: &Access) -> (Spool<CloudWatchCourier>, Arc<Mutex<Counts>>) {
    let disk = Disk::open(folder, 1 << 26, SystemClock.wall_ms()).unwrap();
    let courier = CloudWatchCourier::open(access, REGION, SPACE).await;
    let timeouts_us = (0..35).map(|at| (format!("e{at}"), 5_000_000)).collect();
    let shape = Shape { phases: Vec::new(), timeouts_us };
    let rules = Rules { shape, metrics_max: 100_000, settle: Duration::ZERO };
    let spool = Spool::new(disk, courier, Arc::new(SystemClock), rules);
    let counts = spool.counts();
    (spool, counts)
}

/// Writes as the agent's thread does: outside of the runtime.
async fn write(
    mut spool: Spool<CloudWatchCourier>,
    windows: Vec<Window>,
) -> Spool<CloudWatchCourier> {
    let written = tokio::task::spawn_blocking(move || {
        spool.write(windows).unwrap();
        spool
    });
    written.await.unwrap()
}

/// A window of so many samples around `us`, of which `failures` failed.
fn window(
    at: (usize, usize),
    connection: Connection,
    start_ms: i64,
    us: u64,
    samples: u64,
) -> Window {
    let series = Series {
        vantage: format!("v{}", at.0),
        target: format!("e{}", at.1),
        connection,
        path: String::new(),
    };
    let mut window = Window::new(series, start_ms, 60_000);
    window.attempts = samples;
    for n in 0..samples {
        window.response.record(us + n % 7);
    }
    window
}

fn config(vantages: usize, endpoints: usize) -> Config {
    let mut text = "name = 'api.example.test'\nzone = 'example.test'\n".to_owned();
    for at in 0..vantages {
        writeln!(text, "[[vantage]]\nid = 'v{at}'").unwrap();
    }
    for at in 0..endpoints {
        let url = "https://api.example.test/";
        writeln!(text, "[[endpoint]]\nid = 'e{at}'\nregion = 'us-east-1'\nurl = '{url}'").unwrap();
    }
    build(DEFAULTS, &text, &BTreeMap::new(), &Flags::default()).unwrap()
}

fn source(stage: &Stage, config: &Config) -> CloudWatchSource {
    CloudWatchSource::new(&stage.access(), (REGION, SPACE), config, Arc::new(SystemClock)).unwrap()
}

/// The start of a block so many blocks ago.
fn block(back: i64) -> i64 {
    let now_ms = SystemClock.wall_ms();
    now_ms - now_ms.rem_euclid(BLOCK_MS) - back * BLOCK_MS
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_published_is_read_as_blocks() {
    let stage = Stage::start().await;
    let (spool, counts) = stage.spool(&stage.access()).await;
    let start_ms = block(1);
    let mut failing = window((0, 0), Connection::Cold, start_ms, 30_000, 1_080);
    failing.attempts += 20;
    failing.failures.insert("connect_refused", 20);
    failing.response.record_n(5_002_240, 20);
    let warm = window((0, 0), Connection::Warm, start_ms, 20_000, 500);
    let mut missed = window((0, 0), Connection::Warm, start_ms + 60_000, 900_000, 900);
    missed.missed = 1;
    let spool = write(spool, vec![failing, warm, missed]).await;
    assert_eq!(*counts.lock().unwrap(), Counts { sent: 3, ..Counts::default() });
    let source = source(&stage, &config(1, 1));
    let blocks = source.cell_blocks(0.5, block(3), block(0)).await.unwrap();
    let seen: Vec<_> = blocks
        .iter()
        .map(|b| (b.connection, b.start_ms, b.attempts, b.failures, b.valid.count()))
        .collect();
    let expected = [
        (Connection::Cold, start_ms, 1_100, 20, 240),
        // 500 of the 1,440 samples of a block, and what is no evidence is not among them.
        (Connection::Warm, start_ms, 500, 0, 0),
    ];
    assert_eq!(seen, expected);
    assert!((blocks[0].value_ms - 30.0).abs() < 0.1, "{}", blocks[0].value_ms);
    assert!((blocks[1].value_ms - 20.0).abs() < 0.1, "{}", blocks[1].value_ms);
    let slow = source.cell_blocks(0.99, block(3), block(0)).await.unwrap();
    assert!(slow[0].value_ms > 5_000.0, "a failure weighs in the quantile: {}", slow[0].value_ms);
    let calls = stage.faults().calls(Operation::GetMetricData);
    source.cell_blocks(0.99, block(3), block(0)).await.unwrap();
    assert_eq!(stage.faults().calls(Operation::GetMetricData), calls, "answered from the cache");
    drop(spool);
    stage.lab.shutdown().await;
}

/// Evidence is looked at when a block ends: what is published of the block that runs is none yet, however
/// much of it is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_runs_is_no_block() {
    let stage = Stage::start().await;
    let (spool, _) = stage.spool(&stage.access()).await;
    let at = |start_ms| window((0, 0), Connection::Cold, start_ms, 30_000, 1_440);
    let now_ms = SystemClock.wall_ms() - SystemClock.wall_ms().rem_euclid(60_000);
    let spool = write(spool, vec![at(block(1)), at(now_ms)]).await;
    let source = source(&stage, &config(1, 1));
    let blocks = source.cell_blocks(0.5, block(2) + 1, now_ms + 60_000).await.unwrap();
    let starts: Vec<i64> = blocks.iter().map(|block| block.start_ms).collect();
    assert_eq!(starts, [block(1)]);
    drop(spool);
    stage.lab.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_matrix_takes_few_calls() {
    let stage = Stage::start().await;
    let (mut spool, counts) = stage.spool(&stage.access()).await;
    let both = [Connection::Cold, Connection::Warm];
    for back in 1..=2 {
        let mut windows = Vec::new();
        for at in (0..35).flat_map(|v| (0..35).map(move |e| (v, e))) {
            windows.extend(both.map(|c| window(at, c, block(back), 30_000, 1_200)));
        }
        spool = write(spool, windows).await;
    }
    // What the time of one write left over goes with the next ones.
    for _ in 0..20 {
        if counts.lock().unwrap().spooled > 0 {
            spool = write(spool, Vec::new()).await;
        }
    }
    assert_eq!(counts.lock().unwrap().sent, 2 * 2_450);
    let source = source(&stage, &config(35, 35));
    let blocks = source.cell_blocks(0.5, block(30), block(0)).await.unwrap();
    assert_eq!(blocks.len(), 2 * 2_450);
    let matrix = stage.faults().calls(Operation::GetMetricData);
    assert!(source.round_trips(block(18), block(0)).await.unwrap().is_empty());
    let all = stage.faults().calls(Operation::GetMetricData);
    println!("35 x 35: {matrix} calls for the blocks, {} for round trips", all - matrix);
    assert!(all <= 30, "{all} calls");
    drop(spool);
    stage.lab.shutdown().await;
}

async fn held(access: &Access, minute_ms: i64) -> u64 {
    let mut courier = CloudWatchCourier::open(access, REGION, SPACE).await;
    let datum = Datum {
        name: "Response".to_owned(),
        dimensions: dimensions("v0", "e0", "cold", ""),
        at_ms: minute_ms,
        unit: probe::publish::Unit::Milliseconds,
        values: Vec::new(),
    };
    tokio::task::spawn_blocking(move || courier.held(&datum)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outages_on_the_wire_lose_and_repeat_nothing() {
    let stage = Stage::start().await;
    let start_ms = SystemClock.wall_ms() - SystemClock.wall_ms().rem_euclid(60_000) - 3_600_000;
    let (mut spool, counts) = stage.spool(&stage.access()).await;
    let faults = stage.faults();
    let troubles = [
        Fault::Throttling,
        Fault::InternalFailure,
        Fault::ServiceUnavailable,
        Fault::DropBefore,
        Fault::DropAfter,
    ];
    for (at, fault) in troubles.into_iter().enumerate() {
        faults.push(Operation::PutMetricData, fault);
        let minute_ms = start_ms + 60_000 * i64::try_from(at).unwrap();
        let one = window((0, 0), Connection::Cold, minute_ms, 30_000, 6);
        spool = write(spool, vec![one]).await;
        // The first finds out what was taken, the second sends what was not.
        for _ in 0..2 {
            spool = write(spool, Vec::new()).await;
        }
        let told = *counts.lock().unwrap();
        println!(
            "{fault:?}: {told:?}, CloudWatch holds {}",
            held(&stage.access(), minute_ms).await
        );
        let sent = u64::try_from(at + 1).unwrap();
        assert_eq!(told, Counts { sent, ..Counts::default() }, "{fault:?}");
        assert_eq!(held(&stage.access(), minute_ms).await, 6, "{fault:?}");
    }
    drop(spool);
    stage.lab.shutdown().await;
}

/// Takes one request, and answers that it was taken: its head, and the length of its body.
fn take_one(listener: &std::net::TcpListener) -> (String, usize) {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    let head = head.to_ascii_lowercase();
    let (_, rest) = head.split_once("content-length: ").unwrap();
    let length: usize = rest.split("\r\n").next().unwrap().parse().unwrap();
    reader.read_exact(&mut vec![0; length]).unwrap();
    // An empty map.
    let reply =
        b"HTTP/1.1 200 OK\r\nsmithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\n\
                  content-length: 1\r\nconnection: close\r\n\r\n\xa0";
    reader.get_mut().write_all(reply).unwrap();
    (head, length)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_of_many_values_comes_packed() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let access = Access {
        cloudwatch_url: Some(format!("http://{}", listener.local_addr().unwrap())),
        credentials: Some(("lab".to_owned(), "lab".to_owned())),
        ..Access::default()
    };
    let server = std::thread::spawn(move || take_one(&listener));
    let mut courier = CloudWatchCourier::open(&access, REGION, SPACE).await;
    let mut wide = Vec::new();
    for target in 0..400 {
        let mut one = window((0, target), Connection::Cold, block(1), 30_000, 0);
        for n in 0..600_u64 {
            one.response.record(20_000 + n * 101);
        }
        wide.push(one);
    }
    let batches = probe::publish::batches(&wide, &Shape::default());
    let batch = batches.into_iter().next().unwrap();
    let values: usize = batch.datums.iter().map(|datum| datum.values.len()).sum();
    assert_eq!(values, batch.datums.len() * 150);
    assert!(batch.datums.len() > 300, "as many as fit: {}", batch.datums.len());
    let delivered = tokio::task::spawn_blocking(move || courier.deliver(&batch)).await.unwrap();
    assert_eq!(delivered, Delivery::Taken);
    let (head, length) = server.join().unwrap();
    println!("{values} values: {length} bytes, packed");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    // A value and its count take 10 bytes and more unpacked.
    assert!(length < 10 * values / 2, "{length} bytes");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_is_not_there_leaves_windows_in_the_spool() {
    let stage = Stage::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let away = Access { cloudwatch_url: Some(format!("http://{nobody}")), ..stage.access() };
    let minute_ms = SystemClock.wall_ms() - SystemClock.wall_ms().rem_euclid(60_000) - 600_000;
    let (spool, counts) = stage.spool(&away).await;
    let one = window((0, 0), Connection::Cold, minute_ms, 30_000, 6);
    let spool = write(spool, vec![one]).await;
    assert_eq!(*counts.lock().unwrap(), Counts { spooled: 1, ..Counts::default() });
    drop(spool);
    let (spool, counts) = stage.spool(&stage.access()).await;
    let spool = write(spool, Vec::new()).await;
    println!("after a restart: {:?}", counts.lock().unwrap());
    assert_eq!(*counts.lock().unwrap(), Counts { sent: 1, ..Counts::default() });
    assert_eq!(held(&stage.access(), minute_ms).await, 6);
    drop(spool);
    stage.lab.shutdown().await;
}
