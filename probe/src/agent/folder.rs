//! Folds samples into the windows of their due instants. It reads no clock and writes nothing.

use std::collections::BTreeMap;

use super::plan::{Lane, Paths};
use super::slot::Samples;
use crate::sample::{Sample, Series};
use crate::window::{Window, aligned_start_ms, below_light};

/// Most paths of one series; what comes after goes to `other`.
const PATHS_MAX: usize = 32;

/// A window that is not yet closed, told apart by path.
#[derive(Debug, Default)]
struct Open {
    #[expect(
        clippy::vec_box,
        reason = "most series have one path, and a vector has room for four"
    )]
    paths: Vec<Box<Window>>,
    outstanding: u64,
    missed: u64,
    late: u64,
}

impl Open {
    /// The window of this path, made where there is none; a series has at most [`PATHS_MAX`].
    fn of(&mut self, path: &str, make: impl FnOnce() -> Window) -> &mut Window {
        let found = self.paths.iter().position(|window| window.series.path == path);
        let at = found.unwrap_or(self.paths.len());
        if found.is_none() {
            self.paths.push(Box::new(make()));
        }
        &mut self.paths[at]
    }
}

#[derive(Debug)]
struct Track {
    series: Series,
    kind: Paths,
    least_us: Option<u64>,
    timeout_us: u64,
    /// The paths that have a name of their own.
    paths: Vec<String>,
    open: BTreeMap<i64, Open>,
}

/// The open windows of all series.
#[derive(Debug)]
pub(super) struct Folder {
    tracks: Vec<Track>,
    window_ms: i64,
}

impl Folder {
    pub(super) fn new(lanes: &[Lane], window_ms: i64) -> Self {
        let track = |lane: &Lane| Track {
            series: lane.series.clone(),
            kind: lane.paths,
            least_us: lane.least_us,
            timeout_us: u64::try_from(lane.timeout.as_micros()).unwrap_or(u64::MAX),
            paths: Vec::new(),
            open: BTreeMap::new(),
        };
        Self { tracks: lanes.iter().map(track).collect(), window_ms: window_ms.max(1) }
    }

    /// The end of the window that holds `wall_ms`.
    pub(super) fn next_end_ms(&self, wall_ms: i64) -> i64 {
        aligned_start_ms(wall_ms, self.window_ms) + self.window_ms
    }

    fn open(&mut self, index: usize, start_ms: i64) -> Option<&mut Open> {
        self.tracks.get_mut(index).map(|track| track.open.entry(start_ms).or_default())
    }

    /// A slot of this series started; returns the start of its window.
    pub(super) fn begin(&mut self, index: usize, due_wall_ms: i64, late: bool) -> i64 {
        let start_ms = aligned_start_ms(due_wall_ms, self.window_ms);
        if let Some(open) = self.open(index, start_ms) {
            open.outstanding += 1;
            open.late += u64::from(late);
        }
        start_ms
    }

    /// A slot of this series could not start.
    pub(super) fn miss(&mut self, index: usize, due_wall_ms: i64) {
        let start_ms = aligned_start_ms(due_wall_ms, self.window_ms);
        if let Some(open) = self.open(index, start_ms) {
            open.missed += 1;
        }
    }

    /// A slot that started has its samples.
    pub(super) fn end(&mut self, index: usize, start_ms: i64, samples: &Samples) {
        let window_ms = self.window_ms;
        let Some(track) = self.tracks.get_mut(index) else { return };
        let open = track.open.entry(start_ms).or_default();
        open.outstanding = open.outstanding.saturating_sub(1);
        for (step, sample) in samples {
            let path = match track.kind {
                Paths::One => String::new(),
                Paths::Edge => bounded(&mut track.paths, edge_path(sample)),
                Paths::Address => bounded(&mut track.paths, address_path(sample)),
                Paths::Step => bounded(&mut track.paths, step.clone()),
            };
            let series = || Series { path: path.clone(), ..track.series.clone() };
            let window = open.of(&path, || Window::new(series(), start_ms, window_ms));
            window.add(sample, track.timeout_us);
            if let Some(found) = below_light(sample, track.least_us) {
                window.flag(found);
            }
        }
    }

    /// Slots whose samples will never come are counted as missed; says how many.
    pub(super) fn abandon(&mut self) -> u64 {
        let mut abandoned = 0;
        for open in self.tracks.iter_mut().flat_map(|track| track.open.values_mut()) {
            abandoned += open.outstanding;
            open.missed += open.outstanding;
            open.outstanding = 0;
        }
        abandoned
    }

    /// Takes out the windows that are over and wait for no sample, or all.
    pub(super) fn close(&mut self, wall_ms: i64, all: bool) -> Vec<Window> {
        let mut closed = Vec::new();
        let window_ms = self.window_ms;
        for track in &mut self.tracks {
            let over = |start_ms: i64, open: &Open| {
                all || (start_ms + window_ms <= wall_ms && open.outstanding == 0)
            };
            let due: Vec<i64> = track
                .open
                .iter()
                .filter(|(start_ms, open)| over(**start_ms, open))
                .map(|(start_ms, _)| *start_ms)
                .collect();
            for start_ms in due {
                if let Some(open) = track.open.remove(&start_ms) {
                    closed.extend(windows_of(&track.series, start_ms, window_ms, open));
                }
            }
        }
        closed
    }
}

/// The windows of all paths. A missed slot has no path, so that it counts against each.
fn windows_of(series: &Series, start_ms: i64, window_ms: i64, open: Open) -> Vec<Window> {
    let mut windows: Vec<Window> = open.paths.into_iter().map(|window| *window).collect();
    windows.sort_by(|a, b| a.series.path.cmp(&b.series.path));
    if windows.is_empty() && open.missed > 0 {
        windows.push(Window::new(series.clone(), start_ms, window_ms));
    }
    for window in &mut windows {
        window.missed = open.missed;
        window.late = open.late;
    }
    windows
}

/// POP and cache state, as far as the sample shows them.
fn edge_path(sample: &Sample) -> Option<String> {
    let pop = sample.attribution.pop.as_ref()?;
    let cache = sample.attribution.cache.as_deref().unwrap_or_default().to_ascii_lowercase();
    let state = if cache.contains("hit") {
        "hit"
    } else if cache.contains("miss") {
        "miss"
    } else {
        "none"
    };
    Some(format!("{pop} {state}"))
}

/// The address that was connected to.
fn address_path(sample: &Sample) -> Option<String> {
    sample.remote.map(|remote| remote.ip().to_string())
}

/// The path, as long as there is room for it among those of the series.
fn bounded(paths: &mut Vec<String>, path: Option<String>) -> String {
    let Some(path) = path else { return String::new() };
    if paths.contains(&path) {
        return path;
    }
    if paths.len() + 1 >= PATHS_MAX {
        return "other".to_owned();
    }
    paths.push(path.clone());
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::Outcome;
    use crate::window::tests::{sample, series};

    fn folder(kind: Paths) -> Folder {
        let track = Track {
            series: series("a"),
            kind,
            least_us: Some(5),
            timeout_us: 5_000_000,
            paths: Vec::new(),
            open: BTreeMap::new(),
        };
        Folder { tracks: vec![track], window_ms: 2_000 }
    }

    #[test]
    fn a_window_waits_for_its_samples_and_no_longer() {
        let mut folder = folder(Paths::One);
        let start_ms = folder.begin(0, 3_999, false);
        assert_eq!(start_ms, 2_000);
        assert!(folder.close(9_000, false).is_empty());
        folder.end(0, start_ms, &vec![(None, sample(Outcome::Ok { status: 200 }, 10, 10))]);
        assert!(folder.close(3_999, false).is_empty());
        let closed = folder.close(4_000, false);
        assert_eq!(closed.len(), 1);
        assert_eq!((closed[0].start_ms, closed[0].attempts), (2_000, 1));
        assert!(folder.close(i64::MAX - 9_000, false).is_empty());
    }

    #[test]
    fn what_never_came_back_is_missed() {
        let mut folder = folder(Paths::One);
        folder.begin(0, 0, true);
        folder.miss(0, 100);
        assert_eq!(folder.abandon(), 1);
        let closed = folder.close(0, true);
        assert_eq!((closed[0].missed, closed[0].late, closed[0].attempts), (2, 1, 0));
        assert!(!closed[0].is_evidence());
    }

    #[test]
    fn paths_are_bounded_and_a_missed_slot_counts_against_each() {
        let mut folder = folder(Paths::Edge);
        for index in 0..40 {
            let mut seen = sample(Outcome::Ok { status: 200 }, 10, 10);
            seen.attribution.pop = Some(format!("FRA{index}"));
            seen.attribution.cache = Some("Hit from cloudfront".to_owned());
            let start_ms = folder.begin(0, 0, false);
            folder.end(0, start_ms, &vec![(None, seen)]);
        }
        folder.miss(0, 1);
        let closed = folder.close(2_000, false);
        assert_eq!(closed.len(), PATHS_MAX);
        assert!(closed.iter().all(|window| window.missed == 1));
        let other = closed.iter().find(|window| window.series.path == "other").unwrap();
        assert_eq!(other.attempts, 40 - 31);
        assert!(closed.iter().any(|window| window.series.path == "FRA0 hit"));
    }

    #[test]
    fn addresses_and_steps_are_paths_and_count_as_one_slot() {
        let mut folder = folder(Paths::Address);
        let mut slot = |addresses: &[&str], us: u64| {
            let start_ms = folder.begin(0, 0, false);
            let of = |address: &&str| {
                let mut seen = sample(Outcome::Ok { status: 200 }, us, us);
                seen.remote = Some(format!("{address}:443").parse().unwrap());
                (None, seen)
            };
            folder.end(0, start_ms, &addresses.iter().map(of).collect());
        };
        slot(&["192.0.2.1", "[2001:db8::1]"], 4);
        slot(&["192.0.2.1"], 100);
        let closed = folder.close(2_000, false);
        let seen: Vec<(&str, u64, Option<u64>)> = closed
            .iter()
            .map(|w| (w.series.path.as_str(), w.attempts, w.below_light.map(|flag| flag.count)))
            .collect();
        assert_eq!(seen, [("192.0.2.1", 2, Some(1)), ("2001:db8::1", 1, Some(1))]);
    }
}
