//! Coordinated omission: an endpoint that stalls for 15 s of 60 s, asked twice a second on a grid
//! that does not wait for it. The percentiles must be those of who was due in the stall.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod support;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use probe::agent::{self, Options, Summary};
use probe::clock::{Clock, SystemClock};
use probe::config::{DEFAULTS, Flags, build};
use probe::store::{Grid, Store};
use tokio::io::AsyncWriteExt;

const LENGTH: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_millis(500);
/// From the first due instant to the stall: it begins 100 ms after slot 40 was due.
const STALL_AFTER: Duration = Duration::from_millis(20_100);
const STALL: Duration = Duration::from_secs(15);

/// Answers at once, but holds what comes in the stall until its end.
async fn stalling() -> SocketAddr {
    let first: Arc<OnceLock<Instant>> = Arc::default();
    support::plain(move |mut stream| {
        let first = Arc::clone(&first);
        async move {
            support::read_head(&mut stream).await;
            let now = SystemClock.now();
            let begin = *first.get_or_init(|| now) + STALL_AFTER;
            if now >= begin && now < begin + STALL {
                tokio::time::sleep_until((begin + STALL).into()).await;
            }
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await
}

async fn run(more: &str) -> (Summary, Store, tempfile::TempDir) {
    let at = stalling().await;
    let text = format!(
        "name = 'api.example.test'\nzone = 'example.test'\n[[vantage]]\nid = 'here'\n\
         [evidence]\nwindow = '5s'\nblock = '5s'\n[probe]\ninterval = '500ms'\n\
         timeout = '30s'\nconnections = ['cold']\n{more}\n\
         [[target]]\nid = 'stalls'\nkind = 'api'\nurl = 'http://{at}/'\n"
    );
    let config = build(DEFAULTS, &text, &BTreeMap::new(), &Flags::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nearside.sqlite");
    let mut store = Store::open(&path).unwrap();
    store.set_grid(Grid::of(&config.evidence)).unwrap();
    let options = Options { until: Some(LENGTH), seed: 7, ..Options::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let summary = agent::run(&config, store, options, clock, std::future::pending()).await.unwrap();
    (summary, Store::open_existing(&path).unwrap(), folder)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_weighs_by_who_was_due_in_it() {
    let (summary, store, _folder) = run("").await;
    assert_eq!((summary.samples, summary.failures, summary.missed), (120, 0, 0));
    let merged = store.merged(i64::MIN, i64::MAX).unwrap();
    // Slots 41 to 70 are due in the stall, and wait 14.6 s, 14.1 s and so on. Of 120 values the
    // 114th is the seventh from above (the inverted distribution function).
    let interval_us = u64::try_from(INTERVAL.as_micros()).unwrap();
    let want_us = 14_600_000 - 6 * interval_us;
    let p95_us = merged[0].response.quantile_us(0.95).unwrap();
    assert!(p95_us.abs_diff(want_us) <= want_us / 100, "p95 is {p95_us} us, not {want_us} us");
    // A quarter was due in the stall; who asks one after the other sees one slow answer only.
    assert!(merged[0].response.quantile_us(0.76).unwrap() > 500_000);
    assert!(merged[0].response.quantile_us(0.74).unwrap() < 200_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bound_on_what_is_in_flight_makes_the_window_no_evidence() {
    let (summary, store, _folder) = run("max_in_flight = 4").await;
    assert_eq!((summary.samples, summary.missed), (120 - 26, 26));
    let blocks = store.blocks(i64::MIN, i64::MAX).unwrap();
    let merged = store.merged(i64::MIN, i64::MAX).unwrap();
    assert_eq!(merged[0].missed, 26);
    let (invalid, valid): (Vec<_>, Vec<_>) = blocks.iter().partition(|block| block.missed > 0);
    // Windows of 5 s: 13 s of missed slots touch three or four, of which those without any sample
    // have no row.
    assert!((1..=4).contains(&invalid.len()), "{invalid:?}");
    assert!(invalid.iter().all(|block| block.valid.is_empty()), "{invalid:?}");
    assert!(valid.len() >= 7 && valid.iter().all(|block| block.valid.count() == 1), "{valid:?}");
}
