//! What was counted, within bounds: whatever does not fit is counted too, and shown.

use std::collections::{BTreeMap, HashMap};

use super::{Prefix, Read};

/// Prefixes that are told apart; the lines of any others are counted together.
const PREFIXES_MAX: usize = 200_000;

/// The first line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The log.
    pub name: String,
    /// Its line, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub cause: &'static str,
}

/// Counts over any number of logs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Lines, comments and empty ones among them.
    pub lines: u64,
    /// Lines that name a client.
    pub counted: u64,
    /// Lines that could not be read.
    pub malformed: u64,
    /// The first of them.
    pub first_malformed: Option<Malformed>,
    /// Lines by the three letters of the edge.
    pub places: BTreeMap<[u8; 3], u64>,
    /// Lines of prefixes that came when no more could be told apart.
    pub other: u64,
    prefixes: HashMap<Prefix, u64>,
}

impl Tally {
    pub(super) fn add(&mut self, name: &str, line: u64, read: Read) {
        self.lines += 1;
        let seen = match read {
            Ok(None) => return,
            Ok(Some(seen)) => seen,
            Err(cause) => {
                self.malformed += 1;
                self.first_malformed.get_or_insert_with(|| Malformed {
                    name: name.to_owned(),
                    line,
                    cause,
                });
                return;
            }
        };
        self.counted += 1;
        if let Some(place) = seen.place {
            *self.places.entry(place).or_default() += 1;
        }
        let has_room = self.prefixes.len() < PREFIXES_MAX;
        match self.prefixes.get_mut(&seen.prefix) {
            Some(count) => *count += 1,
            None if has_room => {
                self.prefixes.insert(seen.prefix, 1);
            }
            None => self.other += 1,
        }
    }

    /// Lines by prefix, in order.
    #[must_use]
    pub fn prefixes(&self) -> BTreeMap<Prefix, u64> {
        self.prefixes.iter().map(|(prefix, count)| (*prefix, *count)).collect()
    }

    /// Lines by the code of their edge.
    #[must_use]
    pub fn codes(&self) -> Vec<(String, u64)> {
        let code = |place: &[u8; 3]| String::from_utf8_lossy(place).into_owned();
        self.places.iter().map(|(place, count)| (code(place), *count)).collect()
    }
}
