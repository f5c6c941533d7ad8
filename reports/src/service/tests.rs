//! A month on a clock that is moved by hand, with downtime, and with two processes at once.

use std::cell::RefCell;
use std::convert::Infallible;

use jiff::Timestamp;
use probe::clock::ManualClock;
use probe::store::Store;

use super::*;
use crate::period::time_zone;

fn ms(text: &str) -> i64 {
    text.parse::<Timestamp>().unwrap().as_millisecond()
}

struct Bench {
    folder: tempfile::TempDir,
    clock: ManualClock,
    schedule: Schedule,
    made: RefCell<Vec<i64>>,
}

impl Bench {
    fn new(start: &str) -> Self {
        let zone = time_zone("Europe/Berlin").unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            clock: ManualClock::new(ms(start)),
            schedule: Schedule::parse("0 7 * * MON-FRI", zone).unwrap(),
            made: RefCell::new(Vec::new()),
        }
    }

    fn store(&self) -> Store {
        Store::open(self.folder.path().join("a.sqlite")).unwrap()
    }

    fn service(&self, holder: i64) -> Service<'_> {
        Service { schedule: &self.schedule, clock: &self.clock, holder }
    }

    async fn look(&self, store: &mut Store, holder: i64) -> Looked {
        let note = async |due_ms| {
            self.made.borrow_mut().push(due_ms);
            Ok::<(), Infallible>(())
        };
        self.service(holder).look(store, note).await.unwrap()
    }

    /// Runs one process, or two that take turns, until this time.
    async fn run(&self, until: &str, holders: &[i64]) {
        let mut stores: Vec<Store> = holders.iter().map(|_| self.store()).collect();
        while self.clock.wall_ms() < ms(until) {
            let mut pauses = Vec::new();
            for (holder, store) in holders.iter().zip(&mut stores) {
                let looked = self.look(store, *holder).await;
                pauses.extend(self.service(*holder).pause(looked));
            }
            let pause = pauses.into_iter().max().unwrap();
            self.clock.advance(pause.max(Duration::from_millis(1)));
        }
    }

    fn made(&self) -> Vec<String> {
        let text = |due_ms: &i64| Timestamp::from_millisecond(*due_ms).unwrap().to_string();
        self.made.borrow().iter().map(text).collect()
    }
}

#[tokio::test]
async fn a_month_with_downtime() {
    let bench = Bench::new("2026-10-01T00:00:00Z");
    bench.run("2026-10-07T12:00:00Z", &[1]).await;
    assert_eq!(bench.made().len(), 5, "Thursday, Friday, Monday, Tuesday, Wednesday");
    // Down from Wednesday noon to Tuesday noon: three working days and today's were missed.
    bench.clock.advance(Duration::from_hours(6 * 24));
    let looked = bench.look(&mut bench.store(), 2).await;
    assert_eq!(looked, Looked::Made { due_ms: ms("2026-10-13T05:00:00Z"), skipped: 3 });
    let looked = bench.look(&mut bench.store(), 2).await;
    assert_eq!(looked, Looked::Idle { due_ms: ms("2026-10-14T05:00:00Z") }, "one, not four");
    bench.run("2026-10-31T23:00:00Z", &[2]).await;
    let made = bench.made();
    assert_eq!(made.len(), 5 + 1 + 13);
    // Winter time begins on the 25th.
    assert!(made.contains(&"2026-10-23T05:00:00Z".to_owned()), "{made:?}");
    assert!(made.contains(&"2026-10-26T06:00:00Z".to_owned()), "{made:?}");
}

#[tokio::test]
async fn two_processes_make_each_report_once() {
    let bench = Bench::new("2026-10-01T00:00:00Z");
    bench.run("2026-10-31T23:00:00Z", &[1, 2]).await;
    let made = bench.made();
    let mut once = made.clone();
    once.dedup();
    assert_eq!((made.len(), once.len()), (22, 22), "{made:?}");
}

#[tokio::test]
async fn while_one_is_at_it_the_other_waits() {
    let bench = Bench::new("2026-10-01T00:00:00Z");
    let (mut one, mut other) = (bench.store(), bench.store());
    bench.look(&mut one, 1).await;
    bench.clock.advance(Duration::from_hours(8));
    let service = bench.service(1);
    let mut seen = None;
    let make = async |_| {
        seen = Some(bench.look(&mut other, 2).await);
        Ok::<(), Infallible>(())
    };
    service.look(&mut one, make).await.unwrap();
    assert_eq!(seen, Some(Looked::Busy));
    assert_eq!(bench.made(), Vec::<String>::new());
}

#[tokio::test]
async fn a_process_that_died_holds_nobody_up_for_long() {
    let bench = Bench::new("2026-10-01T00:00:00Z");
    let mut store = bench.store();
    bench.look(&mut store, 1).await;
    bench.clock.advance(Duration::from_hours(8));
    let now_ms = bench.clock.wall_ms();
    assert!(store.take_lease(LEASE, 1, (now_ms, now_ms + LEASE_MS)).unwrap());
    assert_eq!(bench.look(&mut store, 2).await, Looked::Busy);
    bench.clock.advance(Duration::from_mins(16));
    let looked = bench.look(&mut store, 2).await;
    assert_eq!(looked, Looked::Made { due_ms: ms("2026-10-01T05:00:00Z"), skipped: 0 });
}

#[tokio::test]
async fn a_report_that_fails_is_told_and_the_next_one_comes() {
    let bench = Bench::new("2026-10-01T00:00:00Z");
    let mut store = bench.store();
    bench.look(&mut store, 1).await;
    bench.clock.advance(Duration::from_hours(8));
    let service = bench.service(1);
    let failed = service.look(&mut store, async |_| Err("no room")).await.unwrap_err();
    assert_eq!(failed.to_string(), "no room");
    let looked = bench.look(&mut store, 1).await;
    assert_eq!(looked, Looked::Idle { due_ms: ms("2026-10-02T05:00:00Z") });
}
