//! One canary as it is observed, step by step: pairs of samples and minutes of Regions in, a verdict
//! out.
//!
//! What it knows of time is what it is told. The evidence for harm is one wealth over all steps, so
//! that a whole canary of a harmless arm is reverted with a chance of at most 1 / 200 for latency and
//! as much for failures; the evidence for promoting begins anew with each step.

use std::collections::BTreeMap;
use std::fmt;

use super::game::{ExcessGame, SignGame, sign_e};
use super::region::{RegionMinute, RegionWatch};
use crate::statistics::median;

/// Samples an arm needs before it is promoted: when none of so many failed, a chance of failing of
/// 0.88 % or more is excluded at 95 % (`1 - 0.05^(1 / 342)`).
pub const SAMPLES_MIN: u64 = 342;
/// The wealth at which harm is shown.
const HARM_E: f64 = 200.0;
/// The wealth at which it is shown that an arm is no worse.
const NO_WORSE_E: f64 = 20.0;
/// By how much a median may be higher without being worse, milliseconds.
const MARGIN_MS: f64 = 10.0;
/// The same as a share of the old arm's median; the larger counts.
const MARGIN_SHARE: f64 = 0.05;
/// By how much more often an arm may fail without being worse: one percentage point.
const FAILURE_MARGIN: f64 = 0.01;
/// Pairs that a window needs for a median.
pub const PAIRS_MIN: usize = 5;
/// Windows, all of them good, until an arm is shown to be no slower: `sign_e(7, 0)` is the first over 20.
const WINDOWS_MIN: i64 = 7;
/// A step that shows nothing in so many times its least time is reverted.
pub const STEP_TIMES_MAX: i64 = 4;

/// The times of a canary, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CanaryRule {
    /// Over how long medians are taken: one minute.
    pub window_ms: i64,
    /// How long a sample may take: a window is closed so much later.
    pub timeout_ms: i64,
    /// How long resolvers may keep an answer.
    pub ttl_ms: i64,
    /// How long a step is observed once answers of before it have expired.
    pub observe_ms: i64,
}

impl CanaryRule {
    /// How long a step lasts at least, from INSYNC on.
    #[must_use]
    pub fn least_ms(&self) -> i64 {
        2 * self.ttl_ms + self.observe_ms
    }

    /// Whether a step is long enough for a promotion: evidence of latency is had when so many windows
    /// are closed, and a step that shows nothing until its end is reverted.
    #[must_use]
    pub fn can_promote(&self) -> bool {
        let windows_ms = (WINDOWS_MIN + 1) * self.window_ms;
        2 * self.ttl_ms + windows_ms + self.timeout_ms < STEP_TIMES_MAX * self.least_ms()
    }
}

/// What one vantage measured of both arms at one due time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pair<'a> {
    /// The vantage; the arms send it to different endpoints.
    pub vantage: &'a str,
    /// When both were due.
    pub due_ms: i64,
    /// The response of the old arm in milliseconds; `None` where it failed.
    pub old_ms: Option<f64>,
    /// That of the new arm.
    pub new_ms: Option<f64>,
}

/// Why an arm is taken back.
#[derive(Debug, Clone, PartialEq)]
pub enum Harm {
    /// Its medians are higher by more than the margin.
    Slower(f64),
    /// Its requests fail more often.
    Fails(f64),
    /// A Region's own figures are missing, or it is full, for three minutes.
    Region(String),
    /// The step ended without what promoting needs.
    NotShown(Lack),
}

/// What is still missing for promoting.
#[derive(Debug, Clone, PartialEq)]
pub enum Lack {
    /// Time: milliseconds left.
    Time(i64),
    /// Samples: how many there are.
    Samples(u64),
    /// Evidence that a vantage is not slower: the wealth of its game.
    Latency(String, f64),
    /// Evidence that the arm fails no more often.
    Failures(f64),
    /// A Region's own figures.
    Region(String),
}

/// What the evidence says now.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Shown to be no worse: the next step may be taken.
    Promote,
    /// Harm is shown, or nothing is and the time is over.
    Revert(Harm),
    /// Neither yet.
    Extend(Lack),
}

/// What one vantage showed during a step.
#[derive(Debug, Clone, Default)]
struct Track {
    /// Responses of both arms by start of window; infinite where they failed.
    open: BTreeMap<i64, (Vec<f64>, Vec<f64>)>,
    /// Windows above and below the margin since the step was in sync.
    all: (u32, u32),
    /// The same since answers of before the step have expired.
    settled: (u32, u32),
}

impl Track {
    /// Counts a window that is closed. One in which neither arm has a median says nothing.
    fn count(&mut self, (old, new): (&[f64], &[f64]), is_settled: bool) {
        if old.len() < PAIRS_MIN {
            return;
        }
        let (Some(old_ms), Some(new_ms)) = (median(old), median(new)) else { return };
        let margin_ms = MARGIN_MS.max(MARGIN_SHARE * old_ms);
        // Of two infinite medians the difference is not a number, and neither above nor below.
        let loss_ms = new_ms - old_ms;
        let (above, below) = (u32::from(loss_ms > margin_ms), u32::from(loss_ms < margin_ms));
        self.all = (self.all.0 + above, self.all.1 + below);
        if is_settled {
            self.settled = (self.settled.0 + above, self.settled.1 + below);
        }
    }
}

/// One step.
#[derive(Debug, Clone)]
struct Step {
    in_sync_ms: i64,
    tracks: BTreeMap<String, Track>,
    /// Bets that the new arm failed, on pairs of which one arm did.
    fails: SignGame,
    excess: ExcessGame,
    samples: u64,
    regions: BTreeMap<String, RegionWatch>,
}

impl Step {
    fn new(in_sync_ms: i64, vantages: &[String], regions: &BTreeMap<String, f64>) -> Self {
        let track = |vantage: &String| (vantage.clone(), Track::default());
        let watch = |(id, failing): (&String, &f64)| (id.clone(), RegionWatch::new(*failing));
        Self {
            in_sync_ms,
            tracks: vantages.iter().map(track).collect(),
            fails: SignGame::default(),
            excess: ExcessGame::new(FAILURE_MARGIN),
            samples: 0,
            regions: regions.iter().map(watch).collect(),
        }
    }

    /// The wealths against "not slower" and "fails no more often".
    fn harm_e(&self) -> (f64, f64) {
        let slower = self.tracks.values().map(|track| sign_e(track.all.0, track.all.1));
        let failing =
            std::iter::once(self.fails.e()).chain(self.regions.values().map(RegionWatch::e));
        (mean(slower), mean(failing))
    }
}

fn mean(wealths: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = wealths.fold((0.0, 0_u32), |(sum, count), e| (sum + e, count + 1));
    if count == 0 { 1.0 } else { sum / f64::from(count) }
}

/// A canary over several steps.
#[derive(Debug, Clone)]
pub struct Canary {
    rule: CanaryRule,
    steps: usize,
    vantages: Vec<String>,
    /// The Regions that receive traffic, with the share of their requests that failed before.
    regions: BTreeMap<String, f64>,
    /// The wealths of the steps that are over.
    spent: Vec<(f64, f64)>,
    step: Step,
}

impl Canary {
    /// A canary whose first of `steps` is in sync since `in_sync_ms`. `vantages` are those that the
    /// arms send to different endpoints, `regions` the receiving ones with the share of their requests
    /// that failed before.
    #[must_use]
    pub fn begin(
        rule: CanaryRule,
        steps: usize,
        vantages: Vec<String>,
        regions: BTreeMap<String, f64>,
        in_sync_ms: i64,
    ) -> Self {
        let step = Step::new(in_sync_ms, &vantages, &regions);
        Self { rule, steps: steps.max(1), vantages, regions, spent: Vec::new(), step }
    }

    /// The next step is in sync since `in_sync_ms`.
    pub fn next_step(&mut self, in_sync_ms: i64) {
        self.spent.push(self.step.harm_e());
        self.step = Step::new(in_sync_ms, &self.vantages, &self.regions);
    }

    /// Takes a pair of samples whose outcomes are known. Pairs due before the step are dropped.
    pub fn push(&mut self, pair: &Pair<'_>) {
        let settled_ms = self.settled_ms();
        let step = &mut self.step;
        let Some(track) = step.tracks.get_mut(pair.vantage) else { return };
        if pair.due_ms < step.in_sync_ms {
            return;
        }
        let (old_failed, new_failed) = (pair.old_ms.is_none(), pair.new_ms.is_none());
        if old_failed != new_failed {
            step.fails.play(new_failed);
        }
        if pair.due_ms >= settled_ms {
            step.samples += 1;
            step.excess.play(old_failed, new_failed);
        }
        let start_ms = pair.due_ms.div_euclid(self.rule.window_ms) * self.rule.window_ms;
        let window = track.open.entry(start_ms).or_default();
        window.0.push(pair.old_ms.unwrap_or(f64::INFINITY));
        window.1.push(pair.new_ms.unwrap_or(f64::INFINITY));
    }

    /// Takes the next settled minute of a receiving Region.
    pub fn push_minute(&mut self, region: &str, minute: &RegionMinute) {
        if let Some(watch) = self.step.regions.get_mut(region) {
            watch.push(minute);
        }
    }

    /// Samples an arm of this step, once old answers had expired.
    #[must_use]
    pub fn samples(&self) -> u64 {
        self.step.samples
    }

    /// What the evidence says at `now_ms`.
    pub fn verdict(&mut self, now_ms: i64) -> Verdict {
        self.close_windows(now_ms);
        if let Some(harm) = self.harm() {
            return Verdict::Revert(harm);
        }
        match self.lack(now_ms) {
            None => Verdict::Promote,
            Some(lack) if now_ms >= self.end_ms() => Verdict::Revert(Harm::NotShown(lack)),
            Some(lack) => Verdict::Extend(lack),
        }
    }

    fn settled_ms(&self) -> i64 {
        self.step.in_sync_ms + 2 * self.rule.ttl_ms
    }

    fn end_ms(&self) -> i64 {
        self.step.in_sync_ms + STEP_TIMES_MAX * self.rule.least_ms()
    }

    /// Counts every window in which no sample can be outstanding any more.
    fn close_windows(&mut self, now_ms: i64) {
        let settled_ms = self.settled_ms();
        let closed_ms = now_ms - self.rule.timeout_ms - self.rule.window_ms;
        for track in self.step.tracks.values_mut() {
            while let Some(window) = track.open.first_entry() {
                let start_ms = *window.key();
                if start_ms > closed_ms {
                    break;
                }
                let (old, new) = window.remove();
                track.count((&old, &new), start_ms >= settled_ms);
            }
        }
    }

    /// The wealths of the whole canary: steps that have not begun still hold their 1.
    fn harm_e(&self) -> (f64, f64) {
        let current = self.step.harm_e();
        let begun = self.spent.len() + 1;
        let to_come = self.steps.saturating_sub(begun) as f64;
        let all = |pick: fn(&(f64, f64)) -> f64| {
            let sum = self.spent.iter().map(pick).sum::<f64>() + pick(&current) + to_come;
            sum / self.steps.max(begun) as f64
        };
        (all(|e| e.0), all(|e| e.1))
    }

    fn harm(&self) -> Option<Harm> {
        let (slower, fails) = self.harm_e();
        if fails >= HARM_E {
            return Some(Harm::Fails(fails));
        }
        if slower >= HARM_E {
            return Some(Harm::Slower(slower));
        }
        let lost = self.step.regions.iter().find(|(_, watch)| watch.is_lost());
        lost.map(|(region, _)| Harm::Region(region.clone()))
    }

    /// No worse means no worse at every vantage, so that the least of their wealths decides.
    fn lack(&self, now_ms: i64) -> Option<Lack> {
        let left_ms = self.settled_ms() + self.rule.observe_ms - now_ms;
        if left_ms > 0 {
            return Some(Lack::Time(left_ms));
        }
        if self.step.samples < SAMPLES_MIN {
            return Some(Lack::Samples(self.step.samples));
        }
        let no_worse = |track: &Track| sign_e(track.settled.1, track.settled.0);
        let tracks = self.step.tracks.iter().map(|(vantage, track)| (vantage, no_worse(track)));
        if let Some((vantage, e)) = tracks.min_by(|a, b| a.1.total_cmp(&b.1))
            && e < NO_WORSE_E
        {
            return Some(Lack::Latency(vantage.clone(), e));
        }
        let failures = self.step.excess.e();
        if failures < NO_WORSE_E {
            return Some(Lack::Failures(failures));
        }
        let unwell = self.step.regions.iter().find(|(_, watch)| !watch.is_well());
        unwell.map(|(region, _)| Lack::Region(region.clone()))
    }
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slower(e) => write!(f, "the new arm is slower (e = {e:.0}, harm at {HARM_E})"),
            Self::Fails(e) => {
                write!(f, "the new arm fails more often (e = {e:.0}, harm at {HARM_E})")
            }
            Self::Region(region) => {
                write!(f, "{region} has published no metrics, or was full, for three minutes")
            }
            Self::NotShown(lack) => write!(f, "not shown to be no worse in time: {lack}"),
        }
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(left_ms) => write!(f, "{} s to observe", (left_ms + 999) / 1_000),
            Self::Samples(have) => write!(f, "{have} of {SAMPLES_MIN} samples an arm"),
            Self::Latency(vantage, e) => {
                write!(f, "latency from {vantage} (e = {e:.1}, no worse at {NO_WORSE_E})")
            }
            Self::Failures(e) => write!(f, "failures (e = {e:.1}, no worse at {NO_WORSE_E})"),
            Self::Region(region) => write!(f, "{region} has no good newest minute of its own"),
        }
    }
}

#[cfg(test)]
mod tests;
