//! A token bucket. No clock: callers pass `now`.

use std::time::Duration;

/// A token bucket's measures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Tokens when full.
    pub burst: f64,
    /// Tokens gained in a second.
    pub refill_per_s: f64,
}

impl Rate {
    pub(crate) const fn new(burst: f64, refill_per_s: f64) -> Self {
        Self { burst, refill_per_s }
    }
}

/// A bucket with what it holds.
#[derive(Debug, Clone)]
pub(crate) struct Bucket {
    tokens: f64,
    at: Duration,
    rate: Rate,
}

impl Bucket {
    /// A full one, its measures multiplied by `scale`.
    pub(crate) fn full(rate: Rate, scale: f64, now: Duration) -> Self {
        let rate = Rate::new(rate.burst * scale, rate.refill_per_s * scale);
        Self { tokens: rate.burst, at: now, rate }
    }

    /// Adds what was gained since the last time.
    pub(crate) fn fill(&mut self, now: Duration) {
        let passed = now.saturating_sub(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.rate.refill_per_s).min(self.rate.burst);
        self.at = now;
    }

    /// Tokens when full.
    pub(crate) fn burst(&self) -> f64 {
        self.rate.burst
    }

    /// Whether so many tokens are there.
    pub(crate) fn holds(&self, tokens: f64) -> bool {
        self.tokens >= tokens
    }

    /// Takes tokens, below zero too.
    pub(crate) fn take(&mut self, tokens: f64) {
        self.tokens -= tokens;
    }
}
