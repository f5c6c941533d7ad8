//! What one edge keeps, and until when. Pure: time is given.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Objects kept at most; the oldest one goes.
const OBJECTS_MAX: usize = 1024;

/// What an edge finds for an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Kept and fresh, since so long.
    Fresh(Duration),
    /// Kept, but too long.
    Stale,
    /// Not kept.
    Absent,
}

/// The objects of one edge by distribution and path, with the time they were last seen at the origin.
#[derive(Debug)]
pub(super) struct Cache {
    ttl: Duration,
    seen: BTreeMap<String, Instant>,
}

impl Cache {
    /// Keeps objects for `ttl`.
    pub(super) fn new(ttl: Duration) -> Self {
        Self { ttl, seen: BTreeMap::new() }
    }

    /// How long objects are fresh.
    pub(super) fn ttl(&self) -> Duration {
        self.ttl
    }

    /// What is there at `now`.
    pub(super) fn look(&self, key: &str, now: Instant) -> Look {
        match self.seen.get(key).map(|&at| now.saturating_duration_since(at)) {
            None => Look::Absent,
            Some(age) if age < self.ttl => Look::Fresh(age),
            Some(_) => Look::Stale,
        }
    }

    /// Keeps an object that the origin has just given or confirmed.
    pub(super) fn keep(&mut self, key: &str, now: Instant) {
        if self.seen.len() >= OBJECTS_MAX
            && !self.seen.contains_key(key)
            && let Some(oldest) =
                self.seen.iter().min_by_key(|(_, at)| **at).map(|(k, _)| k.clone())
        {
            self.seen.remove(&oldest);
        }
        self.seen.insert(key.to_owned(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_fresh_then_stale_and_the_oldest_goes() {
        let start = crate::clock::now();
        let at = |s: u64| start + Duration::from_secs(s);
        let mut cache = Cache::new(Duration::from_secs(10));
        assert_eq!(cache.look("a", at(0)), Look::Absent);
        cache.keep("a", at(0));
        assert_eq!(cache.look("a", at(9)), Look::Fresh(Duration::from_secs(9)));
        assert_eq!(cache.look("a", at(10)), Look::Stale);
        cache.keep("a", at(11));
        assert_eq!(cache.look("a", at(12)), Look::Fresh(Duration::from_secs(1)));
        for number in 0..OBJECTS_MAX {
            cache.keep(&format!("b{number}"), at(20));
        }
        assert_eq!(cache.look("a", at(20)), Look::Absent);
        assert_eq!(cache.look("b0", at(21)), Look::Fresh(Duration::from_secs(1)));
        assert_eq!(cache.seen.len(), OBJECTS_MAX);
    }
}
