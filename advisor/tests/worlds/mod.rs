//! Seeded worlds of block statistics: what probes would have recorded over weeks, minute by minute.
//!
//! A series is a base, daily waves, AR(1) noise with heavy tails and route flaps. Blocks hold the
//! median of their minutes, as the store's do. Nothing here judges.

use std::f64::consts::TAU;

use advisor::matrix::CellBlock;
use probe::sample::Connection;
use probe::store::WindowSet;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Exp, StandardNormal};

/// Samples of a series in a block of 4 h, one a minute.
pub const BLOCK_MINUTES: usize = 240;
/// The length of a block.
pub const BLOCK_MS: i64 = 14_400_000;
/// Blocks of a day.
pub const DAY_BLOCKS: usize = 6;
/// The endpoint that every label points at in the beginning.
pub const CURRENT: &str = "current";

/// How strongly one minute's noise depends on the minute before.
const AR: f64 = 0.9;
/// Days between two flaps of the way from one vantage to one endpoint, in the mean. Of two that are
/// compared one flaps every day and a half.
const FLAP_EVERY_DAYS: f64 = 3.0;
const FLAP_HOURS: (f64, f64) = (0.5, 12.0);
const FLAP_MS: (f64, f64) = (10.0, 80.0);

/// What is true of the challengers, in milliseconds of gain over the current endpoint.
#[derive(Debug, Clone, Copy)]
pub enum Truth {
    /// All endpoints are equal.
    Same,
    /// Every challenger gains exactly this, or this share of the current cost where that is more.
    Gain { ms: f64, share: f64 },
    /// From this block on the current endpoint costs this much more.
    Shift { ms: f64, from_block: usize },
    /// The first challenger's cost swings by this share: below the current cost by day, above it
    /// by night.
    DayNight { share: f64 },
    /// Challengers gain this much and fail this share of requests.
    Failing { ms: f64, share: f64 },
}

/// The size of a world, and how its days go.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub labels: usize,
    pub challengers: usize,
    pub blocks: usize,
    pub day: Day,
}

/// What busy hours cost at most, as a share of the base: near the vantage and so at every endpoint
/// alike, and on the way to each endpoint by itself.
#[derive(Debug, Clone, Copy)]
pub struct Day {
    pub near: f64,
    pub apart: f64,
}

/// Busy hours near the vantage, and a little of their own on each way.
pub const NEAR: Day = Day { near: 0.1, apart: 0.03 };
/// Busy hours of each way by itself, so that differences swing.
pub const APART: Day = Day { near: 0.0, apart: 0.1 };

/// One for each of the labels and challengers that a service has at most.
pub const WIDE: Shape = Shape { labels: 39, challengers: 3, blocks: 30 * DAY_BLOCKS, day: APART };

pub fn label(index: usize) -> String {
    format!("label-{index:02}")
}

pub fn vantage(index: usize) -> String {
    format!("vantage-{index:02}")
}

pub fn challenger(index: usize) -> String {
    format!("challenger-{}", index + 1)
}

/// The rows of a world in order of time. `quantile` is that of the value; failures count as slower
/// than any response.
pub fn rows(shape: Shape, truth: Truth, quantile: f64, seed: u64) -> Vec<CellBlock> {
    let mut rows = Vec::with_capacity(shape.labels * (shape.challengers + 1) * shape.blocks);
    for place in 0..shape.labels {
        let mut draws = ChaCha8Rng::seed_from_u64(seed);
        draws.set_stream(place as u64);
        let base_ms = 20.0 * (250.0_f64 / 20.0).powf(draws.random());
        let noon: f64 = draws.random();
        let near_ms = base_ms * shape.day.near * draws.random::<f64>();
        for endpoint in 0..=shape.challengers {
            let wave_ms = near_ms + base_ms * shape.day.apart * draws.random::<f64>();
            let day = (wave_ms, noon);
            let series = Series::draw((base_ms, day), endpoint, truth, &mut draws);
            let id = endpoint.checked_sub(1).map_or_else(|| CURRENT.to_owned(), challenger);
            series.record(shape.blocks, quantile, &mut draws, |block, value_ms, failures| {
                rows.push(CellBlock {
                    vantage: vantage(place),
                    endpoint: id.clone(),
                    connection: Connection::Warm,
                    start_ms: block as i64 * BLOCK_MS,
                    value_ms,
                    attempts: BLOCK_MINUTES as u64,
                    failures,
                    valid: all_windows(),
                });
            });
        }
    }
    rows.sort_by_key(|row| row.start_ms);
    rows
}

fn all_windows() -> WindowSet {
    WindowSet::from_bytes(BLOCK_MINUTES as u32, &[0xff; BLOCK_MINUTES / 8])
}

/// One series: what it costs at each minute, apart from noise.
struct Series {
    base_ms: f64,
    wave_ms: f64,
    noon: f64,
    swing_ms: f64,
    shift: (usize, f64),
    innovation_ms: f64,
    failure_share: f64,
}

impl Series {
    fn draw(
        (base_ms, (wave_ms, noon)): (f64, (f64, f64)),
        endpoint: usize,
        truth: Truth,
        draws: &mut ChaCha8Rng,
    ) -> Self {
        let is_current = endpoint == 0;
        let gain_ms = match truth {
            Truth::Gain { ms, share } => ms.max(share * base_ms),
            Truth::Failing { ms, .. } => ms,
            _ => 0.0,
        };
        Self {
            // Nothing answers in less than 5 ms.
            base_ms: (if is_current { base_ms } else { base_ms - gain_ms }).max(5.0),
            wave_ms,
            noon,
            swing_ms: match truth {
                Truth::DayNight { share } if endpoint == 1 => base_ms * share,
                _ => 0.0,
            },
            shift: match truth {
                Truth::Shift { ms, from_block } if is_current => (from_block, ms),
                _ => (usize::MAX, 0.0),
            },
            innovation_ms: draws.random_range(0.5..2.5),
            failure_share: match truth {
                Truth::Failing { share, .. } if !is_current => share,
                _ => 0.0,
            },
        }
    }

    /// Hands over each block: its number, its value, and how many of its samples failed.
    fn record(
        &self,
        blocks: usize,
        quantile: f64,
        draws: &mut ChaCha8Rng,
        mut block: impl FnMut(usize, f64, u64),
    ) {
        let mut flaps = Flaps::new(draws);
        let mut noise_ms = 0.0;
        let mut samples = [0.0; BLOCK_MINUTES];
        for number in 0..blocks {
            let mut failures = 0;
            for (minute, sample) in samples.iter_mut().enumerate() {
                let at = (number * BLOCK_MINUTES + minute) as f64;
                noise_ms = AR * noise_ms + self.innovation_ms * student_t3(draws);
                let fails = self.failure_share > 0.0 && draws.random_bool(self.failure_share);
                failures += u64::from(fails);
                let cost_ms = self.cost_ms(number, at) + noise_ms + flaps.at(at, draws);
                *sample = if fails { f64::from(60_000) } else { cost_ms.max(1.0) };
            }
            block(number, quantile_of(&mut samples, quantile), failures);
        }
    }

    fn cost_ms(&self, block: usize, minute: f64) -> f64 {
        let day = (minute / 1_440.0 + self.noon).fract();
        let swing = if day < 0.5 { -self.swing_ms } else { self.swing_ms };
        let shift = if block >= self.shift.0 { self.shift.1 } else { 0.0 };
        self.base_ms + self.wave_ms * (TAU * day).sin() + swing + shift
    }
}

/// Route flaps: now and then a series takes a longer way for some hours.
struct Flaps {
    begins: f64,
    ends: f64,
    extra_ms: f64,
}

impl Flaps {
    fn new(draws: &mut ChaCha8Rng) -> Self {
        let mut flaps = Self { begins: 0.0, ends: 0.0, extra_ms: 0.0 };
        flaps.next(0.0, draws);
        flaps
    }

    fn next(&mut self, after: f64, draws: &mut ChaCha8Rng) {
        let wait = Exp::new(1.0 / (FLAP_EVERY_DAYS * 1_440.0)).unwrap().sample(draws);
        let (short, long) = FLAP_HOURS;
        self.begins = after + wait;
        self.ends = self.begins + 60.0 * short * (long / short).powf(draws.random());
        self.extra_ms = draws.random_range(FLAP_MS.0..FLAP_MS.1);
    }

    fn at(&mut self, minute: f64, draws: &mut ChaCha8Rng) -> f64 {
        if minute >= self.ends {
            self.next(self.ends, draws);
        }
        if minute >= self.begins { self.extra_ms } else { 0.0 }
    }
}

/// Student's t with three degrees of freedom: a normal over the root of a mean of three squares.
fn student_t3(draws: &mut ChaCha8Rng) -> f64 {
    let mut normal = || -> f64 { StandardNormal.sample(draws) };
    let squares = normal().powi(2) + normal().powi(2) + normal().powi(2);
    normal() / (squares / 3.0).sqrt()
}

/// By the inverted distribution function, as histograms answer.
fn quantile_of(samples: &mut [f64; BLOCK_MINUTES], quantile: f64) -> f64 {
    let rank = (quantile * BLOCK_MINUTES as f64).ceil() as usize;
    let index = rank.clamp(1, BLOCK_MINUTES) - 1;
    *samples.select_nth_unstable_by(index, f64::total_cmp).1
}
