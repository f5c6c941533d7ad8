//! The canary's verdict: is the new arm no worse, is it harmful, or is it too early to say?
//!
//! Pure: it is told what was measured and what time it is, and asks nobody. Evidence is kept as
//! e-processes, games of betting against a hypothesis: they may be looked at every second, because
//! by Ville's inequality the chance that one ever reaches `1 / alpha` is at most `alpha` while its
//! hypothesis holds.

mod game;
mod observation;
mod region;

pub use game::{ExcessGame, RateGame, SignGame, sign_e};
pub use observation::{Canary, CanaryRule, Harm, Lack, Pair, SAMPLES_MIN, Verdict};
pub use region::{RegionMinute, RegionWatch};
