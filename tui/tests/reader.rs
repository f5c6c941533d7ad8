//! The reader over real stores: what it shows, how soon, and what goes wrong with files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use probe::agent::Event;
use probe::clock::{Clock, ManualClock};
use probe::sample::{
    Attribution, ClockKind, Connection, HttpVersion, Outcome, Phases, Sample, Series,
};
use probe::store::{Grid, Store};
use probe::window::Window;
use tokio::sync::mpsc;
use tui::{Question, Range, Reader, ReaderOptions, Snapshot, StoreState};

const NOW_MS: i64 = 1_772_366_400_000;
const MINUTE_MS: i64 = 60_000;

fn series(vantage: &str, target: &str) -> Series {
    let connection = Connection::Cold;
    Series { vantage: vantage.into(), target: target.into(), connection, path: String::new() }
}

fn window(vantage: &str, target: &str, start_ms: i64, values_us: &[u64]) -> Window {
    let mut window = Window::new(series(vantage, target), start_ms, MINUTE_MS);
    for us in values_us {
        window.attempts += 1;
        window.response.record(*us);
        window.service.record(*us);
        window.phases.connect.record(us / 2);
    }
    window
}

fn options(folder: &Path, clock: &Arc<ManualClock>) -> ReaderOptions {
    ReaderOptions {
        store: tui::Place::File(folder.join("nearside.sqlite")),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        vantages: vec!["home".into()],
        targets: vec!["api".into()],
        journeys: ["trip".to_owned()].into(),
        window: (Duration::from_mins(1), Duration::from_secs(10)),
        events: None,
    }
}

fn store(folder: &Path) -> Store {
    let mut store = Store::open(folder.join("nearside.sqlite")).unwrap();
    store.set_grid(Grid { window_ms: MINUTE_MS, block_ms: 4 * 60 * MINUTE_MS }).unwrap();
    store
}

fn plain() -> Question {
    Question { range: Range::Minutes15, connection: None, cell: None }
}

fn p50_us(snapshot: &Snapshot, vantage: &str, target: &str) -> Option<u64> {
    snapshot.cell(vantage, target)?[0].quantiles.map(|q| q.p50_us)
}

#[test]
fn it_shows_what_the_store_holds_and_what_comes_after() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let mut store = store(folder.path());
    let old = window("home", "api", NOW_MS - 60 * MINUTE_MS, &[900]);
    let new = window("home", "api", NOW_MS - MINUTE_MS, &[100, 200, 300]);
    store.write(&[old, new, window("away", "other", NOW_MS - MINUTE_MS, &[7])]).unwrap();
    let mut reader = Reader::new(options(folder.path(), &clock), plain());
    let (seen, _) = reader.answer(plain());
    assert_eq!(seen.store, StoreState::Read);
    assert_eq!((seen.vantages.len(), seen.targets.len()), (2, 2), "what only the store knows too");
    assert_eq!(p50_us(&seen, "home", "api"), Some(200), "an hour ago is not in 15 minutes");
    assert_eq!(p50_us(&seen, "home", "other"), None);
    assert_eq!(seen.newest_ms, Some(NOW_MS));

    store.write(&[window("home", "api", NOW_MS - MINUTE_MS, &[400, 400])]).unwrap();
    let (grown, _) = reader.answer(plain());
    assert_eq!(grown.cell("home", "api").unwrap()[0].attempts, 5, "the window grew");
    let (longer, _) = reader.answer(Question { range: Range::Hour, connection: None, cell: None });
    assert_eq!(longer.cell("home", "api").unwrap()[0].attempts, 6);
}

#[test]
fn a_cell_is_read_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let mut failing = window("home", "api", NOW_MS - MINUTE_MS, &[100, 300]);
    failing.failures.insert("reset", 1);
    failing.attempts += 1;
    failing.response.record(10_000_001);
    store(folder.path()).write(&[failing]).unwrap();
    let cell = Some(("home".to_owned(), "api".to_owned()));
    let mut reader = Reader::new(options(folder.path(), &clock), plain());
    let (seen, entries) =
        reader.answer(Question { range: Range::Minutes15, connection: None, cell });
    let detail = seen.detail.unwrap();
    let one = &detail.connections[0];
    assert_eq!((one.attempts, one.failures(), one.response.quantile_us(0.5)), (3, 1, Some(300)));
    assert_eq!((one.phases_us[0], one.phases_us[1]), (None, Some(50)), "an absent phase is absent");
    assert_eq!(one.history.len(), 1);
    assert!(entries.iter().any(|entry| entry.is_failure && entry.text.contains("reset 1")));
}

#[test]
fn an_absent_an_empty_and_a_vanished_store_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let mut reader = Reader::new(options(folder.path(), &clock), plain());
    let state = |reader: &mut Reader| {
        clock.advance(Duration::from_secs(2));
        reader.answer(plain()).0.store
    };
    let absent = state(&mut reader);
    assert!(matches!(&absent, StoreState::Trouble { what, .. } if what.contains("does not exist")));
    let mut kept = store(folder.path());
    assert_eq!(state(&mut reader), StoreState::Empty);
    kept.write(&[window("home", "api", NOW_MS - MINUTE_MS, &[100])]).unwrap();
    assert_eq!(state(&mut reader), StoreState::Read);

    std::fs::remove_file(folder.path().join("nearside.sqlite")).unwrap();
    clock.advance(Duration::from_secs(2));
    let (gone, _) = reader.answer(plain());
    assert!(matches!(gone.store, StoreState::Trouble { .. }));
    assert_eq!(p50_us(&gone, "home", "api"), Some(100), "what was read stands");
    drop(kept);
    for end in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(folder.path().join(format!("nearside.sqlite{end}")));
    }
    store(folder.path()).write(&[window("home", "api", NOW_MS, &[700])]).unwrap();
    clock.advance(Duration::from_secs(2));
    let (back, _) = reader.answer(plain());
    assert_eq!((p50_us(&back, "home", "api"), back.store), (Some(700), StoreState::Read));
}

#[test]
fn a_store_that_is_locked_or_no_store_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    store(folder.path()).write(&[window("home", "api", NOW_MS, &[1])]).unwrap();
    let path = folder.path().join("nearside.sqlite");
    let holder = rusqlite::Connection::open(&path).unwrap();
    let mode = holder.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get::<_, String>(0));
    assert_eq!(mode.unwrap(), "delete");
    holder.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let mut reader = Reader::new(options(folder.path(), &clock), plain());
    let (locked, _) = reader.answer(plain());
    assert!(matches!(&locked.store, StoreState::Trouble { what, .. } if what.contains("locked")));
    holder.execute_batch("COMMIT").unwrap();
    clock.advance(Duration::from_secs(2));
    assert_eq!(reader.answer(plain()).0.store, StoreState::Read);

    std::fs::write(&path, "this is no database, although it is long enough to be looked at")
        .unwrap();
    let mut reader = Reader::new(options(folder.path(), &clock), plain());
    assert!(matches!(reader.answer(plain()).0.store, StoreState::Trouble { .. }));
}

#[test]
fn windows_of_a_future_that_a_clock_once_claimed_do_not_hide_those_of_today() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS));
    let windows = [
        window("home", "api", NOW_MS - MINUTE_MS, &[100]),
        window("home", "api", NOW_MS + 120 * MINUTE_MS, &[900]),
    ];
    store(folder.path()).write(&windows).unwrap();
    let mut reader = Reader::new(options(folder.path(), &clock), plain());
    let (seen, _) = reader.answer(plain());
    assert_eq!(p50_us(&seen, "home", "api"), Some(100));
    assert_eq!(seen.newest_ms, Some(NOW_MS + 121 * MINUTE_MS), "that it lies ahead is said");
}

fn sample(outcome: Outcome, total_us: u64) -> Box<Sample> {
    Box::new(Sample {
        due: Duration::ZERO,
        sent: Duration::ZERO,
        due_wall_ms: NOW_MS + 1_000,
        phases: Phases { connect_us: Some(total_us - 1), ..Phases::default() },
        local_us: 1,
        total_us,
        response_us: total_us,
        clock: ClockKind::Kernel,
        outcome,
        connection: Connection::Cold,
        http: Some(HttpVersion::Http2),
        remote: None,
        tls_version: None,
        resumed: false,
        attribution: Attribution { pop: Some("FRA2\u{1b}[2J".into()), ..Attribution::default() },
        dns: Vec::new(),
    })
}

#[test]
fn the_open_window_of_an_agent_is_shown_until_the_store_has_it() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW_MS + 2_000));
    let mut store = store(folder.path());
    let (tell, told) = mpsc::channel(16);
    let options = ReaderOptions { events: Some(told), ..options(folder.path(), &clock) };
    let questions = Arc::new(tui::Slot::default());
    let inbox = Arc::new(tui::Inbox::default());
    let cell = Some(("home".to_owned(), "api".to_owned()));
    let reader = Reader::new(options, Question { range: Range::Minutes15, connection: None, cell });
    let reading = {
        let (questions, inbox) = (Arc::clone(&questions), Arc::clone(&inbox));
        std::thread::spawn(move || reader.run(&questions, &inbox))
    };
    let event =
        |outcome, us| Event::Sampled { series: series("home", "api"), sample: sample(outcome, us) };
    tell.try_send(event(Outcome::Ok { status: 200 }, 4_000)).unwrap();
    tell.try_send(event(Outcome::ConnectRefused, 10)).unwrap();
    let mut model = tui::Model::new(
        tui::Subject {
            service: "api.example.com".into(),
            endpoints: vec![("api".into(), "eu-west-1".into())],
            store: "nearside.sqlite".into(),
            measures: true,
            price: None,
        },
        tui::Palette::new(tui::Depth::None),
        (80, 24),
        NOW_MS,
    );
    let attempts =
        |model: &tui::Model| model.snapshot.cell("home", "api").map_or(0, |cell| cell[0].attempts);
    drain(&inbox, &mut model, |model| attempts(model) == 2);
    let detail = model.snapshot.detail.clone().unwrap();
    assert_eq!(detail.connections[0].failures(), 1);
    let last = detail.last.unwrap();
    assert!(last.contains("POP FRA2\\u{1b}[2J (Frankfurt am Main)"), "{last}");
    assert_eq!(model.log.failures().0, 1);

    store.write(&[window("home", "api", NOW_MS, &[4_000, 4_000, 4_000])]).unwrap();
    drain(&inbox, &mut model, |model| attempts(model) == 3);
    questions.close();
    reading.join().unwrap();
}

/// Takes messages in until the model is as wanted, for at most 5 s.
fn drain(inbox: &tui::Inbox, model: &mut tui::Model, wanted: impl Fn(&tui::Model) -> bool) {
    for _ in 0..50 {
        for message in inbox.take(Duration::from_millis(100)).0 {
            let _ = tui::update(model, message);
        }
        if wanted(model) {
            return;
        }
    }
    panic!("not within 5 s: {:?}", model.snapshot);
}
