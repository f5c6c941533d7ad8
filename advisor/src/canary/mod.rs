//! The canary's verdict: is the new arm no worse, is it harmful, or is it too early to say?
//!
//! What decides is pure (`observation`, `region`, `game`): it is told what was measured and what time
//! it is, and asks nobody. Evidence is kept as e-processes, games of betting against a hypothesis: they
//! may be looked at every second, because by Ville's inequality the chance that one ever reaches
//! `1 / alpha` is at most `alpha` while its hypothesis holds. Around it `sampler` and `regions` measure,
//! and `brake` and `pulse` see to it that an advisor that is silent leaves no traffic on the new arm.

mod brake;
mod game;
mod observation;
mod pulse;
mod region;
mod regions;
mod sampler;

pub use brake::{
    BEAT_DIMENSION, BEAT_METRIC, BEAT_NAMESPACE, BEAT_PERIOD_MS, Brake, beat, brake_spec,
};
pub use game::{ExcessGame, RateGame, SignGame, sign_e};
pub use observation::{
    Canary, CanaryRule, Harm, Lack, PAIRS_MIN, Pair, SAMPLES_MIN, STEP_TIMES_MAX, Verdict,
};
pub use pulse::{BEAT, Pulse};
pub use region::{RegionMinute, RegionWatch};
pub use regions::{RegionFigures, RegionReader, failing_before};
pub use sampler::{Landed, Lane, Sampler};
