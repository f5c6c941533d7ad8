//! The agent and `probe once`, whole, against servers on loopback.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use probe::agent::{self, AgentError, Event, Options};
use probe::clock::{Clock, SystemClock};
use probe::config::{Config, DEFAULTS, Flags, build};
use probe::once;
use probe::sample::Connection;
use probe::store::{Grid, Store};
use support::{Ca, SERVICE, good};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn config(ca: &Ca, endpoints: &[(&str, std::net::SocketAddr)], more: &str) -> Config {
    use std::fmt::Write;
    let mut text = format!(
        "name = 'api.example.test'\nzone = 'example.test'\n\
         [[vantage]]\nid = 'here'\n[evidence]\nwindow = '1s'\nblock = '1s'\n\
         [probe]\nca_file = '{}'\n{more}\n",
        ca.folder.path().join("ca.pem").display()
    );
    for (id, at) in endpoints {
        write!(
            text,
            "[[endpoint]]\nid = '{id}'\nregion = 'eu-west-1'\n\
             url = 'https://api.example.test/'\nconnect_to = '{at}'\n"
        )
        .unwrap();
    }
    build(DEFAULTS, &text, &BTreeMap::new(), &Flags::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_fills_the_store() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 4000))).await;
    let down = support::plain(|stream| async move { drop(stream) }).await;
    let more = "interval = '100ms'\ninterval_warm = '200ms'\ntimeout = '1s'\n\
                connections = ['cold', 'resumed', 'warm']";
    let config = config(&ca, &[("up", at), ("down", down)], more);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nearside.sqlite");
    let mut store = Store::open(&path).unwrap();
    store.set_grid(Grid::of(&config.evidence)).unwrap();
    let (sender, mut events) = tokio::sync::mpsc::channel(4_096);
    let options = Options {
        until: Some(Duration::from_millis(2_500)),
        seed: 7,
        events: Some(sender),
        ..Options::default()
    };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let summary = agent::run(&config, store, options, clock, std::future::pending()).await.unwrap();
    // Two targets, each with 25 cold, 25 resumed and 12 or 13 warm slots.
    assert!((120..=130).contains(&(summary.samples + summary.missed)), "{summary:?}");
    // The phases of the two warm grids may leave one of them a slot more.
    assert!((summary.failures * 2).abs_diff(summary.samples) <= 1, "{summary:?}");
    assert_eq!((summary.windows_lost, summary.write_error.as_deref()), (0, None));
    let store = Store::open_existing(&path).unwrap();
    let merged = store.merged(i64::MIN, i64::MAX).unwrap();
    assert_eq!(merged.len(), 6);
    assert_eq!(merged.iter().map(|row| row.attempts).sum::<u64>(), summary.samples);
    let service_us = u64::try_from(SERVICE.as_micros()).unwrap();
    for row in &merged {
        let median_us = row.response.quantile_us(0.5).unwrap();
        if row.series.target == "up" {
            assert_eq!(row.failures, 0);
            assert!((service_us..10 * service_us).contains(&median_us), "{row:?}");
            let warm = row.series.connection == Connection::Warm;
            assert_eq!(row.phases.connect.is_empty(), warm);
        } else {
            assert_eq!(row.failures, row.attempts);
            assert!(median_us > 1_000_000, "a failure is slower than the timeout");
        }
    }
    assert!(!store.blocks(i64::MIN, i64::MAX).unwrap().is_empty());
    let mut sampled = 0;
    while let Ok(event) = events.try_recv() {
        sampled += u64::from(matches!(event, Event::Sampled { .. }));
    }
    assert_eq!(sampled + summary.events_dropped, summary.samples);
}

/// Of each slot there is a sample, whatever the servers do; all of them fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_servers_lose_no_sample() {
    let ca = Ca::new();
    let silent = support::plain(|mut stream| async move {
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    });
    let resets = support::plain(|stream| async move { support::reset(stream) });
    let nonsense = support::plain(|mut stream| async move {
        let _ = stream.write_all(b"nonsense").await;
    });
    let another = good(ca.server("other.example.test", (2020, 4000)));
    let (silent, resets) = (silent.await, resets.await);
    let ends = [
        ("silent", silent),
        ("resets", resets),
        ("nonsense", nonsense.await),
        ("a", another.await),
    ];
    let more = "interval = '100ms'\ninterval_warm = '100ms'\ntimeout = '300ms'\n\
                connections = ['cold', 'resumed', 'warm']";
    let config = config(&ca, &ends, more);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nearside.sqlite");
    let store = Store::open(&path).unwrap();
    let options = Options { until: Some(Duration::from_secs(1)), ..Options::default() };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let summary = agent::run(&config, store, options, clock, std::future::pending()).await.unwrap();
    // Twelve series with ten slots each.
    assert_eq!((summary.samples, summary.failures, summary.missed), (120, 120, 0), "{summary:?}");
    let merged = Store::open_existing(&path).unwrap().merged(i64::MIN, i64::MAX).unwrap();
    assert_eq!(merged.iter().map(|row| row.attempts).sum::<u64>(), 120);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stall_misses_slots_and_a_shutdown_ends_in_time() {
    let ca = Ca::new();
    let stalled = support::plain(|mut stream| async move {
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    })
    .await;
    let more = "interval = '50ms'\ntimeout = '20s'\nmax_in_flight = 4\nconnections = ['cold']";
    let config = config(&ca, &[("stalled", stalled)], more);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nearside.sqlite");
    let store = Store::open(&path).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let began = clock.now();
    let stop = tokio::time::sleep(Duration::from_secs(1));
    let summary =
        agent::run(&config, store, Options::default(), Arc::clone(&clock), stop).await.unwrap();
    let took = clock.now() - began;
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_eq!(summary.samples, 0);
    assert!((15..=22).contains(&summary.missed), "{summary:?}");
    let merged = Store::open_existing(&path).unwrap().merged(i64::MIN, i64::MAX).unwrap();
    assert_eq!(merged[0].missed, summary.missed);
}

#[tokio::test]
async fn what_cannot_run_is_refused() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 4000))).await;
    let folder = tempfile::tempdir().unwrap();
    let mut attempt = 0;
    let mut run = async |config: &Config, options: Options| {
        attempt += 1;
        let store = Store::open(folder.path().join(format!("{attempt}.sqlite"))).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        agent::run(config, store, options, clock, std::future::pending()).await.unwrap_err()
    };
    let nobody = Options { vantages: vec!["there".to_owned()], ..Options::default() };
    let error = run(&config(&ca, &[("up", at)], ""), nobody).await;
    assert_eq!(error.to_string(), "vantage \"there\" is not in the configuration");
    let error = run(&config(&ca, &[], ""), Options::default()).await;
    assert_eq!(error.to_string(), "nothing to measure: 1 vantages, 0 endpoints and targets");
    let more = "interval_warm = '40ms'\nconnections = ['warm']";
    let error = run(&config(&ca, &[("up", at)], more), Options::default()).await;
    assert!(matches!(error, AgentError::Config(_)));
    assert!(error.to_string().starts_with("probe.interval_warm = 40ms: must be at least"));
    let mut missing = config(&ca, &[("up", at)], "");
    missing.probe.ca_file = Some(folder.path().join("none.pem"));
    assert!(matches!(run(&missing, Options::default()).await, AgentError::Trust(_)));
}

#[tokio::test]
async fn once_measures_in_turn_and_on_a_grid() {
    let ca = Ca::new();
    let at = good(ca.server("api.example.test", (2020, 4000))).await;
    let urls = ["https://api.example.test/a", "https://api.example.test/missing"]
        .map(|url| url.parse().unwrap());
    let mut options = once::Options {
        count: 5,
        interval: Duration::ZERO,
        connect_to: Some(at.to_string().parse().unwrap()),
        ca_file: Some(ca.folder.path().join("ca.pem")),
        ..once::Options::new(urls.to_vec())
    };
    for (interval, connection) in [
        (Duration::ZERO, Connection::Cold),
        (Duration::from_millis(20), Connection::Resumed),
        (Duration::ZERO, Connection::Warm),
    ] {
        (options.interval, options.connection) = (interval, connection);
        let report = once::run(&options, Arc::new(SystemClock)).await.unwrap();
        assert!(report.any_ok());
        assert_eq!(report.samples.len(), 10);
        assert_eq!((report.summary[0].n, report.summary[0].failures), (5, 0));
        assert_eq!((report.summary[1].n, report.summary[1].failures), (5, 5));
        for (index, one) in report.samples.iter().enumerate() {
            let sample = &one.sample;
            assert_eq!(sample.phases.sum_us() + sample.local_us, sample.total_us);
            if !interval.is_zero() {
                let due = interval * u32::try_from(index).unwrap() / 2;
                assert_eq!(sample.due, due);
            }
        }
        let document = once::json::Document::from(&report);
        assert_eq!(document.samples[0].outcome.status, Some(200));
        assert_eq!(document.summary[1].failures, 5);
    }
}
