//! Seeded randomness: independent streams, each named by its purpose.
//!
//! Every draw of the lab comes from one seed through here. It must not use the system's entropy, and two
//! purposes must never share a stream: a draw added to one changes nothing in another.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::StandardNormal;
use sha2::{Digest, Sha256};

/// The stream of `purpose`, number `index`, under `seed`: `ChaCha8` keyed by SHA-256 of the three.
#[must_use]
pub fn stream(seed: u64, purpose: &str, index: u64) -> ChaCha8Rng {
    let mut hash = Sha256::new();
    hash.update(b"nearside lab\0");
    hash.update(seed.to_le_bytes());
    hash.update(index.to_le_bytes());
    hash.update(purpose.as_bytes());
    ChaCha8Rng::from_seed(hash.finalize().into())
}

/// One draw of exp(N(mean, sigma)).
pub(crate) fn lognormal<R: Rng + ?Sized>(rng: &mut R, mean: f64, sigma: f64) -> f64 {
    let z: f64 = rng.sample(StandardNormal);
    (mean + sigma * z).exp()
}

/// `count` characters of `a-z0-9`.
pub(crate) fn alphanumeric<R: Rng + ?Sized>(rng: &mut R, count: usize) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    (0..count).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])).collect()
}

/// `count` lower-case hexadecimal digits.
pub(crate) fn hexadecimal<R: Rng + ?Sized>(rng: &mut R, count: usize) -> String {
    (0..count).map(|_| char::from(b"0123456789abcdef"[rng.random_range(0..16)])).collect()
}

/// `count` distinct numbers below `from`, in random order (all of them when `count` is larger).
pub(crate) fn choose<R: Rng + ?Sized>(rng: &mut R, from: usize, count: usize) -> Vec<usize> {
    let mut all: Vec<usize> = (0..from).collect();
    let count = count.min(from);
    for i in 0..count {
        let j = rng.random_range(i..from);
        all.swap(i, j);
    }
    all.truncate(count);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_repeat_and_differ() {
        let draw = |seed, purpose, index| stream(seed, purpose, index).random::<u64>();
        assert_eq!(draw(1, "rtt", 0), draw(1, "rtt", 0));
        assert_ne!(draw(1, "rtt", 0), draw(2, "rtt", 0));
        assert_ne!(draw(1, "rtt", 0), draw(1, "service", 0));
        assert_ne!(draw(1, "rtt", 0), draw(1, "rtt", 1));
    }

    #[test]
    fn choose_gives_distinct_numbers_in_range() {
        let chosen = choose(&mut stream(3, "choose", 0), 50, 20);
        let mut sorted = chosen.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 20);
        assert!(sorted.iter().all(|&i| i < 50));
        assert_eq!(choose(&mut stream(3, "choose", 0), 3, 20).len(), 3);
    }

    #[test]
    fn lognormal_has_the_stated_median() {
        let mut rng = stream(5, "lognormal", 0);
        let below = (0..20_000).filter(|_| lognormal(&mut rng, 0.12, 0.2) < 0.12_f64.exp()).count();
        assert!((9_600..10_400).contains(&below), "{below}");
    }
}
