//! The event log: failures first, and kept longer than successes. Bounded.

use std::collections::VecDeque;

/// Most failures and most successes that are kept.
const FAILURES_MAX: usize = 1_000;
const SUCCESSES_MAX: usize = 200;

/// One line of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Wall time, in ms since 1970.
    pub at_ms: i64,
    /// Whether something failed.
    pub is_failure: bool,
    /// What happened; escaped.
    pub text: String,
    /// Entries of one key are the same thing, told anew.
    pub key: Option<String>,
}

impl Entry {
    /// Something failed. The text must be escaped.
    #[must_use]
    pub fn failure(at_ms: i64, text: String) -> Self {
        Self { at_ms, is_failure: true, text, key: None }
    }

    /// Something went well. The text must be escaped.
    #[must_use]
    pub fn success(at_ms: i64, text: String) -> Self {
        Self { at_ms, is_failure: false, text, key: None }
    }

    /// The same with a key.
    #[must_use]
    pub fn keyed(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// The log, each part by time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Log {
    failures: VecDeque<Entry>,
    successes: VecDeque<Entry>,
    /// Failures that there was no room for.
    forgotten: u64,
}

impl Log {
    /// Adds an entry, over one of the same key.
    pub fn push(&mut self, entry: Entry) {
        let (queue, most) = if entry.is_failure {
            (&mut self.failures, FAILURES_MAX)
        } else {
            (&mut self.successes, SUCCESSES_MAX)
        };
        let same = |other: &&mut Entry| entry.key.is_some() && other.key == entry.key;
        if let Some(there) = queue.iter_mut().rev().find(same) {
            *there = entry;
            return;
        }
        let is_failure = entry.is_failure;
        let at = queue.partition_point(|other| other.at_ms <= entry.at_ms);
        queue.insert(at, entry);
        if queue.len() > most {
            queue.pop_front();
            self.forgotten += u64::from(is_failure);
        }
    }

    /// How many failures are kept, and how many there was no room for.
    #[must_use]
    pub fn failures(&self) -> (usize, u64) {
        (self.failures.len(), self.forgotten)
    }

    /// Failures, newest first, then successes, newest first.
    pub fn failures_first(&self) -> impl Iterator<Item = &Entry> {
        self.failures.iter().rev().chain(self.successes.iter().rev())
    }

    /// Everything, newest first.
    #[must_use]
    pub fn newest_first(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.failures_first().collect();
        all.sort_by_key(|entry| std::cmp::Reverse(entry.at_ms));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_come_first_and_stay_longer() {
        let mut log = Log::default();
        log.push(Entry::failure(1, "broke".into()));
        for at_ms in 2..1_000 {
            log.push(Entry::success(at_ms, "fine".into()));
        }
        let texts: Vec<&str> = log.failures_first().map(|entry| entry.text.as_str()).collect();
        assert_eq!((texts.len(), texts[0]), (1 + SUCCESSES_MAX, "broke"));
        assert_eq!(log.newest_first().last().unwrap().text, "broke");
        for at_ms in 0..2_000 {
            log.push(Entry::failure(at_ms, "more".into()));
        }
        assert_eq!(log.failures(), (FAILURES_MAX, 1_001));
    }

    #[test]
    fn what_is_told_anew_replaces() {
        let mut log = Log::default();
        for text in ["1 of 6", "2 of 6"] {
            log.push(Entry::failure(5, text.into()).keyed("window".into()));
        }
        let texts: Vec<&str> = log.failures_first().map(|entry| entry.text.as_str()).collect();
        assert_eq!(texts, ["2 of 6"]);
    }
}
