//! When the next report is due. Pure: the clock is an argument.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A schedule that cannot be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule '{pattern}' cannot be followed: {cause}")]
pub struct ScheduleError {
    /// As written.
    pub pattern: String,
    /// What is wrong with it.
    pub cause: String,
}

impl ScheduleError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        "write minute, hour, day of month, month and day of week, like '0 7 * * MON'"
    }
}

/// A cron pattern in a time zone.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: croner::Cron,
    pattern: String,
    zone: TimeZone,
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A report is due, since this time; of several that were missed the newest.
    Make {
        /// When it was due, in ms since 1970.
        due_ms: i64,
        /// Earlier ones that were missed and will not be made.
        skipped: u32,
    },
    /// Nothing before this time.
    WaitUntil {
        /// In ms since 1970.
        due_ms: i64,
    },
    /// The pattern never comes again.
    Never,
}

/// Missed reports that are counted.
const SKIPPED_MAX: u32 = 10_000;

impl Schedule {
    /// Reads a pattern of five fields. A time that the zone leaves out comes when the clocks have
    /// gone on; one that comes twice counts once.
    pub fn parse(pattern: &str, zone: TimeZone) -> Result<Self, ScheduleError> {
        let bad = |cause: String| ScheduleError { pattern: pattern.to_owned(), cause };
        let parser = croner::parser::CronParser::builder()
            .seconds(croner::parser::Seconds::Disallowed)
            .year(croner::parser::Year::Disallowed)
            .build();
        let cron = parser.parse(pattern).map_err(|error| bad(error.to_string()))?;
        Ok(Self { cron, pattern: pattern.to_owned(), zone })
    }

    /// As written.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The first time after this one, in ms since 1970.
    #[must_use]
    pub fn after(&self, at_ms: i64) -> Option<i64> {
        let at = Timestamp::from_millisecond(at_ms).ok()?.to_zoned(self.zone.clone());
        let next = self.cron.find_next_occurrence(&at, false).ok()?;
        Some(next.timestamp().as_millisecond())
    }

    /// What to do at `now_ms`, when everything that was due up to `done_ms` is done.
    #[must_use]
    pub fn step(&self, done_ms: i64, now_ms: i64) -> Step {
        let Some(first_ms) = self.after(done_ms) else { return Step::Never };
        if first_ms > now_ms {
            return Step::WaitUntil { due_ms: first_ms };
        }
        let (mut due_ms, mut skipped) = (first_ms, 0);
        while let Some(next_ms) = self.after(due_ms).filter(|next_ms| *next_ms <= now_ms) {
            (due_ms, skipped) = (next_ms, skipped + 1);
            if skipped == SKIPPED_MAX {
                break;
            }
        }
        Step::Make { due_ms, skipped }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::period::time_zone;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn schedule(pattern: &str, zone: &str) -> Schedule {
        Schedule::parse(pattern, time_zone(zone).unwrap()).unwrap()
    }

    #[test]
    fn next_times() {
        let cases = [
            ("0 7 * * MON", "Europe/Berlin", "2026-10-23T00:00:00Z", "2026-10-26T06:00:00Z"),
            ("0 7 * * *", "Europe/Berlin", "2026-10-24T05:00:00Z", "2026-10-25T06:00:00Z"),
            // Clocks go from 02:00 to 03:00: what is due between comes at 03:00.
            ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", "2026-03-29T01:00:00Z"),
            ("0 0 1 * *", "UTC", "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ];
        for (pattern, zone, at, expect) in cases {
            assert_eq!(schedule(pattern, zone).after(ms(at)), Some(ms(expect)), "{pattern} {zone}");
        }
    }

    #[test]
    fn one_of_several_missed_is_caught_up() {
        let daily = schedule("0 7 * * *", "UTC");
        let done = ms("2026-11-01T07:00:00Z");
        assert_eq!(
            daily.step(done, ms("2026-11-02T06:59:59Z")),
            Step::WaitUntil { due_ms: ms("2026-11-02T07:00:00Z") }
        );
        assert_eq!(
            daily.step(done, ms("2026-11-02T07:00:00Z")),
            Step::Make { due_ms: ms("2026-11-02T07:00:00Z"), skipped: 0 }
        );
        assert_eq!(
            daily.step(done, ms("2026-11-05T12:00:00Z")),
            Step::Make { due_ms: ms("2026-11-05T07:00:00Z"), skipped: 3 }
        );
    }

    #[test]
    fn what_is_no_pattern_is_refused() {
        for pattern in ["", "7", "61 * * * *", "* * * * * *", "every monday"] {
            let refused = Schedule::parse(pattern, TimeZone::UTC).unwrap_err();
            assert!(refused.to_string().contains(pattern), "{refused}");
        }
    }
}
