//! A store that is paid for by the question: when it is asked, what is shown of it, and what it costs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end with a panic")]

mod world;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use probe::clock::{Clock, ManualClock};
use probe::sample::{Connection, Phase, Series};
use probe::store::{Grid, Quantiles, SpanRow};
use tokio::sync::mpsc;
use tui::{
    Depth, Entry, Message, Model, Order, Part, Place, Price, Question, Range, Reader,
    ReaderOptions, Remote, Snapshot, Spread, StoreState, Supply, Trouble, Wanted, draw, press,
    text, update,
};

const MINUTE_MS: i64 = 60_000;
const EVERY: Duration = Duration::from_mins(5);

/// A reader, and the other end of its wires.
struct Stage {
    clock: Arc<ManualClock>,
    reader: Reader,
    ordered: mpsc::Receiver<Order>,
    supply: mpsc::Sender<Result<Supply, Trouble>>,
    entries: Vec<Entry>,
}

fn question(connection: Connection, cell: Option<(&str, &str)>) -> Question {
    let cell = cell.map(|(vantage, target)| (vantage.to_owned(), target.to_owned()));
    Question { range: Range::Minutes15, connection: Some(connection), cell }
}

impl Stage {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(world::NOW_MS));
        let (orders, ordered) = mpsc::channel(1);
        let (supply, supplies) = mpsc::channel(1);
        let grid = Grid { window_ms: MINUTE_MS, block_ms: 240 * MINUTE_MS };
        let read = "CloudWatch was read".to_owned();
        let options = ReaderOptions {
            store: Place::Remote(Remote { orders, supplies, every: EVERY, grid, read }),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            vantages: world::VANTAGES.map(str::to_owned).into(),
            targets: world::ENDPOINTS.map(str::to_owned).into(),
            journeys: [].into(),
            window: (Duration::from_mins(1), Duration::from_secs(10)),
            events: None,
        };
        let reader = Reader::new(options, question(Connection::Cold, None));
        Self { clock, reader, ordered, supply, entries: Vec::new() }
    }

    fn look(&mut self, question: Question) -> Snapshot {
        let (snapshot, entries) = self.reader.answer(question);
        self.entries.extend(entries);
        snapshot
    }

    /// What is asked, if anything is.
    fn asked(&mut self) -> Option<Wanted> {
        self.ordered.try_recv().ok().map(|order| order.wanted)
    }

    fn give(&self, answer: Result<Supply, Trouble>) {
        self.supply.try_send(answer).unwrap();
    }
}

fn row(back: i64, attempts: u64, failures: u64, p50_us: u64) -> SpanRow {
    let quantiles = Quantiles {
        p10_us: p50_us - 20,
        p25_us: p50_us - 10,
        p50_us,
        p75_us: p50_us + 10,
        p90_us: p50_us + 20,
        p95_us: p50_us + 30,
        p99_us: p50_us + 90,
    };
    SpanRow {
        series: 0,
        start_ms: world::NOW_MS - back * MINUTE_MS,
        len_ms: MINUTE_MS,
        attempts,
        failures,
        missed: 0,
        quantiles: Some(quantiles),
    }
}

fn series(vantage: &str, target: &str, connection: Connection) -> Series {
    Series { vantage: vantage.into(), target: target.into(), connection, path: String::new() }
}

fn spans(connection: Connection, rows: Vec<SpanRow>) -> Supply {
    Supply::Spans(vec![(series("us-east-1", "eu-west-1", connection), rows)])
}

fn p50_us(snapshot: &Snapshot, at: usize) -> Option<u64> {
    Some(snapshot.cell("us-east-1", "eu-west-1")?[at].quantiles?.p50_us)
}

#[test]
fn it_is_asked_at_the_stated_pace_and_once_for_each_thing_shown() {
    let mut stage = Stage::new();
    let cold = || question(Connection::Cold, None);
    assert_eq!(stage.look(cold()).store, StoreState::Reading);
    let order = stage.ordered.try_recv().unwrap();
    assert_eq!(order.wanted, Wanted::Spans(Connection::Cold));
    let span = (order.since_ms, order.until_ms, order.span_ms);
    assert_eq!(span, (world::NOW_MS - 15 * MINUTE_MS, world::NOW_MS, MINUTE_MS));
    assert!(stage.reader.is_waiting());
    let _ = stage.look(cold());
    assert_eq!(stage.asked(), None, "nothing is asked twice while it is waited for");

    stage.give(Ok(spans(Connection::Cold, vec![row(2, 6, 0, 90_000), row(1, 6, 0, 91_000)])));
    let seen = stage.look(cold());
    assert_eq!((p50_us(&seen, 0), &seen.store), (Some(90_090), &StoreState::Read));
    assert_eq!(seen.cell("us-east-1", "eu-west-1").unwrap()[0].attempts, 12);
    assert_eq!(seen.newest_ms, Some(world::NOW_MS));
    stage.clock.advance(Duration::from_secs(299));
    let _ = stage.look(cold());
    assert_eq!(stage.asked(), None, "not before its time");

    // Another connection is read, and the first one is not forgotten for it.
    let _ = stage.look(question(Connection::Warm, None));
    assert_eq!(stage.asked(), Some(Wanted::Spans(Connection::Warm)));
    stage.give(Ok(spans(Connection::Warm, vec![row(1, 6, 0, 40_000)])));
    assert_eq!(p50_us(&stage.look(question(Connection::Warm, None)), 2), Some(40_000));
    assert_eq!(p50_us(&stage.look(cold()), 0), Some(90_090));
    assert_eq!(stage.asked(), None);

    stage.clock.advance(Duration::from_secs(2));
    let _ = stage.look(cold());
    assert_eq!(stage.asked(), Some(Wanted::Spans(Connection::Cold)), "its time has come");
}

#[test]
fn what_fails_is_said_and_tried_again_later_while_what_was_read_stands() {
    let mut stage = Stage::new();
    let cold = || question(Connection::Cold, None);
    let _ = stage.look(cold());
    stage.give(Ok(spans(Connection::Cold, vec![row(1, 6, 2, 90_000)])));
    let _ = (stage.asked(), stage.look(cold()));
    let failure = |stage: &Stage, text: &str| {
        stage.entries.iter().any(|entry| entry.is_failure && entry.text.contains(text))
    };
    assert!(failure(&stage, "us-east-1 > eu-west-1 cold: 2 of 6 samples failed"));

    stage.clock.advance(EVERY);
    let _ = stage.look(cold());
    assert!(stage.asked().is_some());
    let what = "CloudWatch namespace X in eu-west-1: Throttling: Rate exceeded";
    stage.give(Err(Trouble { what: what.into(), hint: "try again in a minute".into() }));
    let seen = stage.look(cold());
    assert!(matches!(&seen.store, StoreState::Trouble { what: told, .. } if told == what));
    assert_eq!(p50_us(&seen, 0), Some(90_000), "what was read stands");
    assert!(failure(&stage, "Rate exceeded"), "{:?}", stage.entries);
    assert_eq!(stage.asked(), None, "it is left alone for a while");
    stage.clock.advance(Duration::from_secs(31));
    let _ = stage.look(cold());
    assert!(stage.asked().is_some());
    stage.give(Ok(spans(Connection::Cold, vec![row(6, 6, 0, 80_000)])));
    assert_eq!(stage.look(cold()).store, StoreState::Read);

    stage.clock.advance(EVERY);
    stage.supply = mpsc::channel(1).0;
    let orphaned = stage.look(cold());
    assert!(matches!(orphaned.store, StoreState::Trouble { .. }), "{:?}", orphaned.store);
}

#[test]
fn a_namespace_without_data_is_empty_and_a_connection_without_is_not() {
    let mut stage = Stage::new();
    let _ = stage.look(question(Connection::Cold, None));
    stage.give(Ok(Supply::Spans(Vec::new())));
    assert_eq!(stage.look(question(Connection::Cold, None)).store, StoreState::Empty);
    let _ = stage.asked();
    let _ = stage.look(question(Connection::Warm, None));
    stage.give(Ok(spans(Connection::Warm, vec![row(1, 6, 0, 40_000)])));
    assert_eq!(stage.look(question(Connection::Warm, None)).store, StoreState::Read);
    assert_eq!(stage.look(question(Connection::Cold, None)).store, StoreState::Read);
}

fn parts() -> Vec<Part> {
    let start = |back: i64| world::NOW_MS - back * MINUTE_MS;
    let part = |connection, p50_us, failures| Part {
        connection,
        rows: vec![row(3, 6, 0, p50_us), row(2, 6, failures, p50_us + 400)],
        phases: vec![
            (Phase::Connect, vec![(start(3), 30_000), (start(2), 31_000)]),
            (Phase::Tls, Vec::new()),
        ],
        by_kind: if failures > 0 { BTreeMap::from([("reset", failures)]) } else { BTreeMap::new() },
    };
    vec![part(Connection::Cold, 90_000, 1), part(Connection::Warm, 40_000, 0)]
}

#[test]
fn a_cell_is_read_when_it_is_looked_at() {
    let mut stage = Stage::new();
    let cell = || question(Connection::Cold, Some(("us-east-1", "eu-west-1")));
    let _ = stage.look(cell());
    stage.give(Ok(spans(Connection::Cold, vec![row(2, 6, 0, 90_000)])));
    let _ = stage.asked();
    assert_eq!(stage.look(cell()).detail, None);
    assert_eq!(stage.asked(), Some(Wanted::Cell("us-east-1".into(), "eu-west-1".into())));
    stage.give(Ok(Supply::Cell(parts())));
    let detail = stage.look(cell()).detail.unwrap();
    let [cold, warm] = &detail.connections[..] else { panic!("{detail:?}") };
    assert_eq!((cold.attempts, cold.failures(), cold.history.len()), (12, 1, 2));
    assert_eq!(cold.response.quantile_us(0.5), Some(90_090));
    assert!(matches!(cold.response, Spread::Quantiles(Some(_))));
    let connect = Phase::ALL.iter().position(|phase| *phase == Phase::Connect).unwrap();
    assert_eq!(cold.phases_us[connect], Some(30_000), "the middle, by samples");
    assert_eq!(cold.phases_us.iter().flatten().count(), 1, "what is not published is absent");
    assert_eq!((warm.connection, warm.failures()), (Connection::Warm, 0));
    let _ = stage.look(cell());
    assert_eq!(stage.asked(), None, "it is not asked again before its time");
    let other = question(Connection::Cold, Some(("sa-east-1", "eu-west-1")));
    assert_eq!(stage.look(other).detail, None, "another cell is not this one");
}

fn model(size: (u16, u16)) -> Model {
    let mut stage = Stage::new();
    let mut model = world::blank(size, Depth::None);
    model.subject.store = "CloudWatch namespace Nearside in eu-west-1".into();
    model.subject.price = Some(Price {
        name: "CloudWatch",
        every: EVERY,
        reading_usd: 0.004_32,
        month_usd: 37.94,
        is_verified: false,
    });
    (model.vantage, model.target) = (Some("us-east-1".into()), Some("eu-west-1".into()));
    let question = || question(Connection::Cold, Some(("us-east-1", "eu-west-1")));
    let _ = stage.look(question());
    stage.give(Ok(spans(Connection::Cold, vec![row(3, 6, 0, 90_000), row(2, 6, 1, 90_400)])));
    let _ = (stage.asked(), stage.look(question()));
    stage.give(Ok(Supply::Cell(parts())));
    let snapshot = stage.look(question());
    let _ = update(&mut model, Message::Happened(stage.entries));
    let _ = update(&mut model, Message::Measured(Arc::new(snapshot)));
    model
}

#[test]
fn every_screen_says_what_looking_costs() {
    for (name, keys, size) in [
        ("matrix_80x24", "1", (80, 24)),
        ("matrix_120x40", "1", (120, 40)),
        ("cell_120x40", "2", (120, 40)),
        ("log_80x24", "6", (80, 24)),
    ] {
        let mut model = model(size);
        press(&mut model, keys);
        let drawn = text(&draw(&model));
        assert!(drawn.contains("CloudWatch every 5 min: at most 37.94 USD a month"), "{drawn}");
        insta::assert_snapshot!(format!("remote_{name}"), drawn);
    }
}

#[test]
fn moving_the_cursor_asks_for_no_cell_unless_it_is_opened() {
    let mut model = model((120, 60));
    press(&mut model, "j");
    assert_eq!(model.question().cell, None, "a tall matrix has no panel that would be paid for");
    assert_eq!(model.question().connection, Some(Connection::Cold));
    press(&mut model, "2");
    assert!(model.question().cell.is_some());
}
