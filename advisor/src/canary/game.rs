//! Games of betting: each starts with a wealth of 1 and plays fair, or worse, while its hypothesis
//! holds, so that its wealth is an e-process.
//!
//! Ville (1939): a wealth whose expectation never rises reaches `1 / alpha` at any time with a chance
//! of at most `alpha`. A mean of such wealths is one (Vovk and Wang 2021, "E-values: calibration,
//! combination and applications", section 3); so is a wealth of which a part is thrown away. It knows
//! nothing of arms or endpoints.

/// The wealth above which the rest is thrown away, so that what is new still weighs.
const WEALTH_MAX: f64 = 1e6;

/// The wealth of a sign game: `wins` and `losses` of a bet that is, at best, a fair coin's.
///
/// The mean over all stakes `l` between 0 and 1 of `(1 + l)^wins (1 - l)^losses`, which is
/// `sum of C(n + 1, k) for k > losses / ((n + 1) C(n, losses))` with `n = wins + losses`: the method
/// of mixtures (Robbins 1970) with a uniform mixture, in closed form.
#[must_use]
pub fn sign_e(wins: u32, losses: u32) -> f64 {
    let n = f64::from(wins) + f64::from(losses);
    let mut k = f64::from(losses) + 1.0;
    let mut term = 1.0 / k;
    let mut sum = term;
    for _ in 0..wins {
        term *= (n + 1.0 - k) / (k + 1.0);
        sum += term;
        k += 1.0;
    }
    sum
}

/// Games that a [`SignGame`] begins anew.
const GAMES_MAX: usize = 30;

/// A game against "each bet is at best a fair coin's" that forgives: a part of what is not yet at stake
/// begins a new game after each loss, so that harm that begins late is seen nearly as soon as early harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignGame {
    /// Wins and losses of each game; of the wealth the n-th plays `1 / (n (n + 1))`, and after n games
    /// `1 / (n + 1)` is kept.
    games: Vec<(u32, u32)>,
}

impl Default for SignGame {
    fn default() -> Self {
        Self { games: vec![(0, 0)] }
    }
}

impl SignGame {
    /// Plays one bet.
    pub fn play(&mut self, won: bool) {
        for (wins, losses) in &mut self.games {
            *wins += u32::from(won);
            *losses += u32::from(!won);
        }
        if !won && self.games.len() < GAMES_MAX {
            self.games.push((0, 0));
        }
    }

    /// The wealth.
    #[must_use]
    pub fn e(&self) -> f64 {
        let mut number = 0.0;
        let mut sum = 0.0;
        for (wins, losses) in &self.games {
            number += 1.0;
            sum += sign_e(*wins, *losses) / (number * (number + 1.0));
        }
        sum + 1.0 / (number + 1.0)
    }
}

/// The stakes of an [`ExcessGame`] and the share of the wealth that plays each: bold ones win soonest
/// where nothing fails, careful ones where both sides fail now and then.
const STAKES: [(f64, f64); 3] = [(0.95, 0.5), (0.5, 0.25), (0.25, 0.25)];

/// A game against "the new arm fails more often than the old one, by at least `margin`".
///
/// With `y` = old arm failed - new arm failed of one pair, each stake `l` multiplies its wealth by
/// `1 + l (y + margin)`: a bounded mean tested by betting (Waudby-Smith and Ramdas 2024, "Estimating
/// means of bounded random variables by betting", section 4).
#[derive(Debug, Clone, PartialEq)]
pub struct ExcessGame {
    margin: f64,
    wealth: [f64; STAKES.len()],
}

impl ExcessGame {
    /// A new game; `margin` is a share, above 0 and below 1.
    #[must_use]
    pub fn new(margin: f64) -> Self {
        Self { margin, wealth: [1.0; STAKES.len()] }
    }

    /// Plays one pair.
    pub fn play(&mut self, old_failed: bool, new_failed: bool) {
        let y = f64::from(u8::from(old_failed)) - f64::from(u8::from(new_failed));
        for ((stake, _), wealth) in STAKES.iter().zip(&mut self.wealth) {
            *wealth = (*wealth * (1.0 + stake * (y + self.margin))).min(WEALTH_MAX);
        }
    }

    /// The wealth.
    #[must_use]
    pub fn e(&self) -> f64 {
        STAKES.iter().zip(&self.wealth).map(|((_, share), wealth)| share * wealth).sum()
    }
}

/// How far towards 1 the alternatives of a [`RateGame`] lie.
const TOWARDS_ONE: [f64; 3] = [0.02, 0.1, 0.5];

/// A game against "each request fails with a chance of at most `bound`": the mean of the likelihood
/// ratios of three higher chances.
#[derive(Debug, Clone, PartialEq)]
pub struct RateGame {
    bound: f64,
    wealth: [f64; TOWARDS_ONE.len()],
}

impl RateGame {
    /// A new game; `bound` is a share, above 0 and below 1.
    #[must_use]
    pub fn new(bound: f64) -> Self {
        Self { bound, wealth: [1.0; TOWARDS_ONE.len()] }
    }

    /// Plays `requests` of which `failures` failed.
    pub fn play(&mut self, failures: f64, requests: f64) {
        let passed = (requests - failures).max(0.0);
        for (towards, wealth) in TOWARDS_ONE.iter().zip(&mut self.wealth) {
            let chance = self.bound + (1.0 - self.bound) * towards;
            let log_ratio = failures * (chance / self.bound).ln()
                + passed * ((1.0 - chance) / (1.0 - self.bound)).ln();
            *wealth = (*wealth * log_ratio.exp()).min(WEALTH_MAX);
        }
    }

    /// The wealth.
    #[must_use]
    pub fn e(&self) -> f64 {
        self.wealth.iter().sum::<f64>() / self.wealth.len() as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wins_alone_double_the_boldest_stake() {
        // (2^(n + 1) - 1) / (n + 1).
        for (wins, expected) in [(0, 1.0), (1, 1.5), (7, 255.0 / 8.0), (11, 4_095.0 / 12.0)] {
            assert!((sign_e(wins, 0) - expected).abs() < 1e-9, "{wins}");
        }
        assert!((sign_e(0, 9) - 0.1).abs() < 1e-12);
        assert!(sign_e(5_000, 0) >= 200.0 && sign_e(0, 5_000) > 0.0);
    }

    proptest! {
        /// Fair at a fair coin, whatever has happened: the definition of a martingale.
        #[test]
        fn a_sign_game_is_fair(wins in 0_u32..60, losses in 0_u32..60) {
            let next = f64::midpoint(sign_e(wins + 1, losses), sign_e(wins, losses + 1));
            let now = sign_e(wins, losses);
            prop_assert!((next - now).abs() <= 1e-9 * now, "{now} becomes {next}");
        }

        #[test]
        fn a_forgiving_sign_game_is_fair(history in prop::collection::vec(any::<bool>(), 0..60)) {
            let mut game = SignGame::default();
            for won in &history {
                game.play(*won);
            }
            let after = |won| { let mut next = game.clone(); next.play(won); next.e() };
            let next = f64::midpoint(after(true), after(false));
            prop_assert!((next - game.e()).abs() <= 1e-9 * next, "{} becomes {next}", game.e());
        }

        /// At the edge of its hypothesis a game gains nothing on average, and within it it loses.
        #[test]
        fn an_excess_game_gains_nothing_from_an_arm_that_fails_more(
            both in 0.0_f64..0.5, excess in 0.01_f64..0.4, history in prop::collection::vec(any::<(bool, bool)>(), 0..20),
        ) {
            let mut game = ExcessGame::new(0.01);
            for (old, new) in &history {
                game.play(*old, *new);
            }
            let after = |old, new| { let mut next = game.clone(); next.play(old, new); next.e() };
            // Independent arms: the old one fails with `both`, the new one with `both + excess`.
            let (p, q) = (both, both + excess);
            let expected = p * q * after(true, true) + p * (1.0 - q) * after(true, false)
                + (1.0 - p) * q * after(false, true) + (1.0 - p) * (1.0 - q) * after(false, false);
            prop_assert!(expected <= game.e() * (1.0 + 1e-9), "{} becomes {expected}", game.e());
        }

        #[test]
        fn a_rate_game_gains_nothing_below_its_bound(
            bound in 0.001_f64..0.3, part in 0.0_f64..=1.0, history in prop::collection::vec(any::<bool>(), 0..20),
        ) {
            let mut game = RateGame::new(bound);
            for failed in &history {
                game.play(f64::from(u8::from(*failed)), 1.0);
            }
            let after = |failed: f64| { let mut next = game.clone(); next.play(failed, 1.0); next.e() };
            let chance = bound * part;
            let expected = chance * after(1.0) + (1.0 - chance) * after(0.0);
            prop_assert!(expected <= game.e() * (1.0 + 1e-9), "{} becomes {expected}", game.e());
        }
    }

    #[test]
    fn a_clean_excess_game_needs_more_than_the_least_samples() {
        let clean = |pairs| {
            let mut game = ExcessGame::new(0.01);
            for _ in 0..pairs {
                game.play(false, false);
            }
            game.e()
        };
        assert!(clean(342) < 20.0 && clean(400) >= 20.0, "{} {}", clean(342), clean(400));
    }
}
