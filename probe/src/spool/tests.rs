//! Outages at every step: what is sent, spooled, dropped and duplicated, against a service that
//! counts what it really took.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;

use super::*;
use crate::clock::ManualClock;
use crate::sample::Outcome;
use crate::window::tests::{sample, series};

const START_MS: i64 = 1_750_000_020_000;
const SETTLE: Duration = Duration::from_mins(5);

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    ConnectRefused,
    Throttled,
    ServerError,
    /// It was taken, and the reply was lost.
    ReplyLost,
    /// It was lost on the way.
    RequestLost,
    Invalid,
}

#[derive(Debug, Default)]
struct World {
    fates: Vec<Fate>,
    /// Values by window start, one a window here, and when the newest of them came.
    taken: BTreeMap<i64, (u64, i64)>,
    clock: Option<Arc<ManualClock>>,
    requests: u64,
    deaf: bool,
}

impl World {
    fn now_ms(&self) -> i64 {
        self.clock.as_ref().map_or(START_MS, |clock| clock.wall_ms())
    }

    /// As CloudWatch shows it: what was old when it came is hidden for hours.
    fn shown(&self, at_ms: i64) -> u64 {
        let Some((values, came_ms)) = self.taken.get(&at_ms) else { return 0 };
        let hidden = match (came_ms - at_ms) / 3_600_000 {
            ..3 => 0,
            3..24 => 2,
            _ => 48,
        };
        if self.now_ms() >= came_ms + hidden * 3_600_000 { *values } else { 0 }
    }
}

/// The service, as a courier meets it.
#[derive(Clone, Default)]
struct Fake(Arc<Mutex<World>>);

impl Fake {
    fn with<T>(&self, work: impl FnOnce(&mut World) -> T) -> T {
        work(&mut self.0.lock().unwrap())
    }

    /// How many windows were taken, and how many of them more than once.
    fn taken(&self) -> (u64, u64) {
        self.with(|world| {
            let twice = world.taken.values().map(|(values, _)| values - 1).sum();
            (world.taken.len() as u64, twice)
        })
    }
}

impl Courier for Fake {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        self.with(|world| {
            world.requests += 1;
            let fate = if world.fates.is_empty() { Fate::Good } else { world.fates.remove(0) };
            if matches!(fate, Fate::Good | Fate::ReplyLost) {
                let now_ms = world.now_ms();
                for datum in &batch.datums {
                    let (values, came_ms) = world.taken.entry(datum.at_ms).or_insert((0, 0));
                    (*values, *came_ms) = (*values + 1, now_ms);
                }
            }
            let cause = format!("{fate:?}");
            match fate {
                Fate::Good => Delivery::Taken,
                Fate::ConnectRefused | Fate::Throttled => Delivery::NotTaken(cause),
                Fate::Invalid => Delivery::Refused(cause),
                _ => Delivery::Unknown(cause),
            }
        })
    }

    fn held(&mut self, datum: &Datum) -> Option<u64> {
        self.with(|world| (!world.deaf).then(|| world.shown(datum.at_ms)))
    }
}

fn window(at: i64) -> Window {
    let mut window = Window::new(series("eu"), START_MS + 60_000 * at, 60_000);
    window.add(&sample(Outcome::Ok { status: 200 }, 900, 1_000), 5_000_000);
    window
}

struct Run {
    fake: Fake,
    clock: Arc<ManualClock>,
    spool: Spool<Fake>,
}

fn start_with(folder: &Path, bytes_max: u64, fake: &Fake, clock: &Arc<ManualClock>) -> Run {
    let rules = Rules { shape: Shape::default(), metrics_max: 10, settle: SETTLE };
    fake.with(|world| world.clock = Some(Arc::clone(clock)));
    let disk = Disk::open(folder, bytes_max, clock.wall_ms()).unwrap();
    let shared: Arc<dyn Clock> = Arc::<ManualClock>::clone(clock);
    let spool = Spool::new(disk, fake.clone(), shared, rules);
    Run { fake: fake.clone(), clock: Arc::clone(clock), spool }
}

fn start(folder: &Path) -> Run {
    start_with(folder, 1 << 20, &Fake::default(), &Arc::new(ManualClock::new(START_MS)))
}

impl Run {
    fn counts(&self) -> Counts {
        *self.spool.counts.lock().unwrap()
    }

    /// The windows of these minutes, one a minute.
    fn minutes(&mut self, minutes: std::ops::Range<i64>) {
        for at in minutes {
            self.spool.write(vec![window(at)]).unwrap();
            self.clock.advance(Duration::from_mins(1));
        }
    }
}

#[test]
fn an_outage_at_every_step_loses_and_repeats_nothing() {
    use Fate::{ConnectRefused, ReplyLost, RequestLost, ServerError, Throttled};
    for fate in [ConnectRefused, Throttled, ServerError, ReplyLost, RequestLost] {
        let folder = tempfile::tempdir().unwrap();
        let mut run = start(folder.path());
        run.fake.with(|world| world.fates = vec![fate; 30]);
        run.minutes(0..120);
        let told = run.counts();
        println!("{fate:?}: {told:?}, taken {:?}", run.fake.taken());
        assert_eq!(run.fake.taken(), (120, 0), "{fate:?}");
        assert_eq!(told, Counts { sent: 120, ..Counts::default() }, "{fate:?}");
    }
}

#[test]
fn what_is_old_when_it_comes_is_asked_about_when_it_can_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(folder.path());
    // Four hours without CloudWatch, then it takes the oldest and says nothing.
    let refused = [Fate::ConnectRefused; 240];
    let lost = [Fate::ReplyLost, Fate::RequestLost, Fate::ReplyLost];
    run.fake.with(|world| world.fates = [&refused[..], &lost[..]].concat());
    run.minutes(0..300);
    println!("four hours away: {:?}, taken {:?}", run.counts(), run.fake.taken());
    assert_eq!((run.counts().sent, run.counts().spooled), (297, 3), "nobody can tell yet");
    run.minutes(300..400);
    assert_eq!(run.counts(), Counts { sent: 400, ..Counts::default() });
    assert_eq!(run.fake.taken(), (400, 0));

    run.fake.with(|world| world.fates = vec![Fate::ConnectRefused, Fate::ReplyLost]);
    run.minutes(400..401);
    run.clock.advance(Duration::from_hours(25));
    for _ in 0..80 {
        run.spool.write(Vec::new()).unwrap();
        run.clock.advance(Duration::from_hours(1));
    }
    println!("a day away: {:?}, taken {:?}", run.counts(), run.fake.taken());
    assert_eq!(run.counts(), Counts { sent: 401, ..Counts::default() });
    assert_eq!(run.fake.taken(), (401, 0));
}

#[test]
fn what_is_refused_is_counted_and_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(folder.path());
    run.fake.with(|world| world.fates = vec![Fate::Invalid]);
    run.minutes(0..3);
    assert_eq!(run.counts(), Counts { sent: 2, refused: 1, ..Counts::default() });
    assert_eq!(run.fake.with(|world| world.requests), 3);
}

#[test]
fn a_full_spool_drops_the_oldest_and_counts_them() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let clock = Arc::new(ManualClock::new(START_MS));
    let mut run = start_with(folder.path(), 2_000, &fake, &clock);
    fake.with(|world| world.fates = vec![Fate::ConnectRefused; 50]);
    run.minutes(0..50);
    let outage = run.counts();
    assert!(outage.dropped > 30 && outage.spooled > 3, "{outage:?}");
    assert_eq!(outage.dropped + outage.spooled, 50);
    run.minutes(50..52);
    let after = run.counts();
    println!("full spool: {outage:?}, then {after:?}");
    assert_eq!((after.sent, after.spooled), (52 - after.dropped, 0));
    let first = fake.with(|world| *world.taken.keys().next().unwrap());
    let dropped = i64::try_from(after.dropped).unwrap();
    assert_eq!(first, START_MS + 60_000 * dropped, "the oldest went first");
}

#[test]
fn the_next_start_finds_what_waits_and_asks_about_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let fake = Fake::default();
    let clock = Arc::new(ManualClock::new(START_MS));
    let mut run = start_with(folder.path(), 1 << 20, &fake, &clock);
    fake.with(|world| world.fates = vec![Fate::ReplyLost, Fate::RequestLost, Fate::Throttled]);
    run.minutes(0..3);
    assert_eq!(run.counts().spooled, 3);
    drop(run);
    fs_new(folder.path());
    let mut run = start_with(folder.path(), 1 << 20, &fake, &clock);
    assert_eq!(run.counts().spooled, 3);
    run.minutes(3..10);
    assert_eq!((fake.taken(), run.counts().spooled), ((10, 0), 0));
}

/// What a kill in the middle of a write leaves.
fn fs_new(folder: &Path) {
    std::fs::write(folder.join("0000000000000099.new"), b"{\"windows\":1,\"da").unwrap();
}

#[test]
fn one_that_cannot_be_asked_about_is_sent_again_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(folder.path());
    run.fake.with(|world| (world.deaf, world.fates) = (true, vec![Fate::ReplyLost]));
    run.minutes(0..63);
    assert_eq!(run.counts().duplicated, 0, "CloudWatch is asked for an hour");
    run.minutes(63..70);
    let told = run.counts();
    println!("deaf: {told:?}, taken {:?}", run.fake.taken());
    assert_eq!((told.sent, told.duplicated, run.fake.taken()), (70, 1, (70, 1)));
}

#[test]
fn a_disk_that_takes_nothing_does_not_stop_the_sending() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(folder.path());
    // As a full disk does: no file can be made. Root may write everywhere, so the folder goes.
    std::fs::remove_dir_all(folder.path()).unwrap();
    run.fake.with(|world| world.fates = vec![Fate::Throttled; 5]);
    run.minutes(0..20);
    assert_eq!((run.fake.taken(), run.counts().sent), ((20, 0), 20));
    run.fake.with(|world| world.fates = vec![Fate::Throttled; 200]);
    run.minutes(20..120);
    let told = run.counts();
    assert_eq!((told.sent, told.spooled, told.dropped), (20, 64, 36), "memory is bounded");
    // There is room again: what waits in memory survives the process.
    std::fs::create_dir_all(folder.path()).unwrap();
    run.minutes(120..121);
    let files = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!((files, run.counts().spooled), (65, 65));
}

#[test]
fn what_only_memory_holds_is_counted_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(folder.path());
    run.fake.with(|world| world.fates = vec![Fate::Throttled; 9]);
    std::fs::remove_dir_all(folder.path()).unwrap();
    run.minutes(0..3);
    assert_eq!(run.counts(), Counts { spooled: 3, ..Counts::default() });
    let counts = run.spool.counts();
    drop(run);
    let told = *counts.lock().unwrap();
    println!("no disk to the end: {told:?}");
    assert_eq!(told, Counts { dropped: 3, ..Counts::default() });
}

#[test]
fn too_old_data_and_metrics_over_the_budget_are_counted() {
    let folder = tempfile::tempdir().unwrap();
    let mut run = start(folder.path());
    run.clock.advance(Duration::from_hours(15 * 24));
    run.minutes(0..2);
    assert_eq!(run.counts(), Counts { dropped: 2, ..Counts::default() });
    let many = (0..12).map(|at| Window { series: series(&format!("t{at}")), ..window(30_000) });
    run.spool.write(many.collect()).unwrap();
    assert_eq!(run.counts().over_budget, 3, "one metric is known already");
}

#[test]
fn two_probes_do_not_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let _run = start(folder.path());
    let second = Disk::open(folder.path(), 1 << 20, START_MS).unwrap_err();
    assert!(matches!(second, SpoolError::InUse { .. }), "{second}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(10))]

    #[test]
    fn any_mixture_of_troubles_and_restarts_keeps_each_window_once(
        fates in prop::collection::vec(prop::sample::select(vec![
            Fate::Good, Fate::ConnectRefused, Fate::Throttled, Fate::ServerError, Fate::ReplyLost,
            Fate::RequestLost,
        ]), 0..40),
        restarts in prop::collection::vec(0_i64..40, 0..4),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let fake = Fake::default();
        let clock = Arc::new(ManualClock::new(START_MS));
        fake.with(|world| world.fates = fates);
        let mut run = start_with(folder.path(), 1 << 20, &fake, &clock);
        for at in 0..40 {
            run.minutes(at..at + 1);
            if restarts.contains(&at) {
                drop(run);
                run = start_with(folder.path(), 1 << 20, &fake, &clock);
            }
        }
        run.minutes(40..90);
        prop_assert_eq!(fake.taken(), (90, 0));
        prop_assert_eq!(run.counts().spooled, 0);
    }
}
