//! The time a report speaks of: its ends, and its time zone by name from a bundled table.
//!
//! Pure: what "now" is comes as an argument. The table is the library's own copy, so that a name
//! means the same on any machine.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use jiff::{Timestamp, ToSpan as _, Zoned};

/// A period that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// No such zone.
    #[error("time zone '{0}' is not in the bundled table")]
    Zone(String),
    /// The calendar has no such time.
    #[error("a {what} before {at_ms} ms since 1970 lies outside of the calendar")]
    Calendar {
        /// The unit.
        what: &'static str,
        /// From where it was looked for.
        at_ms: i64,
    },
}

impl PeriodError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Zone(_) => "write a name of the IANA table, like Europe/Berlin or UTC",
            Self::Calendar { .. } => "check the machine's clock, and --since",
        }
    }
}

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// From midnight to midnight.
    Day,
    /// From Monday to Monday.
    Week,
    /// A month of the calendar.
    Month,
    /// So long, wherever it begins.
    Length(Duration),
}

impl Unit {
    /// The word in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Length(_) => "time",
        }
    }
}

/// The zone of this name, of the bundled table.
pub fn time_zone(name: &str) -> Result<TimeZone, PeriodError> {
    TimeZoneDatabase::bundled().get(name).map_err(|_| PeriodError::Zone(name.to_owned()))
}

/// A stretch of time, the end outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Period {
    /// What it is.
    pub unit: Unit,
    /// Its start, in ms since 1970.
    pub since_ms: i64,
    /// Its end, in ms since 1970.
    pub until_ms: i64,
    /// Where its days begin, and how its times are told.
    pub zone: TimeZone,
}

impl Period {
    /// The last whole `unit` that ended at or before `at_ms`; a length ends exactly there.
    pub fn last(unit: Unit, at_ms: i64, zone: TimeZone) -> Result<Self, PeriodError> {
        if let Unit::Length(length) = unit {
            let length_ms = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
            let since_ms = at_ms.saturating_sub(length_ms);
            return Ok(Self { unit, since_ms, until_ms: at_ms, zone });
        }
        let bad = || PeriodError::Calendar { what: unit.as_str(), at_ms };
        let at = zoned(at_ms, &zone).ok_or_else(bad)?;
        let end = start_of(unit, at.datetime()).ok_or_else(bad)?;
        Self::between(unit, before(unit, end).ok_or_else(bad)?, end, zone).ok_or_else(bad)
    }

    /// The one right before, of the same unit.
    pub fn previous(&self) -> Result<Self, PeriodError> {
        Self::last(self.unit, self.since_ms, self.zone.clone())
    }

    /// The same, so much earlier.
    #[must_use]
    pub fn earlier(&self, by: Duration) -> Self {
        let by_ms = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        let (since_ms, until_ms) =
            (self.since_ms.saturating_sub(by_ms), self.until_ms.saturating_sub(by_ms));
        Self { since_ms, until_ms, unit: self.unit, zone: self.zone.clone() }
    }

    fn between(unit: Unit, since: DateTime, until: DateTime, zone: TimeZone) -> Option<Self> {
        let ms = |at: DateTime| Some(zone.to_timestamp(at).ok()?.as_millisecond());
        let (since_ms, until_ms) = (ms(since)?, ms(until)?);
        Some(Self { unit, since_ms, until_ms, zone })
    }

    /// Its length, in ms.
    #[must_use]
    pub fn length_ms(&self) -> i64 {
        self.until_ms - self.since_ms
    }

    /// A time in this zone, as RFC 3339 with the zone's offset.
    #[must_use]
    pub fn rfc3339(&self, at_ms: i64) -> String {
        self.format(at_ms, "%Y-%m-%dT%H:%M:%S%:z")
    }

    /// A time in this zone, for people.
    #[must_use]
    pub fn text(&self, at_ms: i64) -> String {
        let seconds = at_ms.rem_euclid(60_000) != 0;
        self.format(at_ms, if seconds { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M" })
    }

    /// The zone's name.
    #[must_use]
    pub fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or("UTC")
    }

    /// A time in this zone, by a pattern of strftime; as a number where the calendar ends.
    #[must_use]
    pub fn format(&self, at_ms: i64, pattern: &str) -> String {
        zoned(at_ms, &self.zone)
            .map_or_else(|| at_ms.to_string(), |at| at.strftime(pattern).to_string())
    }

    /// Starts of days, hours, minutes or seconds in this period, for an axis: at most `most`, and
    /// the pattern that tells them.
    #[must_use]
    pub fn ticks(&self, most: usize) -> (Vec<i64>, &'static str) {
        const STEPS_S: [i64; 17] = [
            1, 5, 10, 30, 60, 300, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 43_200, 86_400,
            172_800, 432_000, 864_000,
        ];
        let length_s = self.length_ms().max(1) / 1_000;
        let most = i64::try_from(most.max(1)).unwrap_or(1);
        let found = STEPS_S.iter().copied().find(|step| length_s / step <= most);
        let step_ms = found.unwrap_or(length_s / most).max(1) * 1_000;
        // Days begin at local midnight, so ticks are counted in local time.
        let offset_ms = zoned(self.since_ms, &self.zone)
            .map_or(0, |at| i64::from(at.offset().seconds()) * 1_000);
        let first_ms = (self.since_ms + offset_ms + step_ms - 1).div_euclid(step_ms) * step_ms;
        let ticks = (0..=most + 1)
            .map(|n| first_ms + n * step_ms - offset_ms)
            .take_while(|at_ms| *at_ms <= self.until_ms)
            .collect();
        let pattern = match step_ms {
            86_400_000.. => "%b %-d",
            60_000.. if self.length_ms() > 86_400_000 => "%b %-d %H:%M",
            60_000.. => "%H:%M",
            _ => "%H:%M:%S",
        };
        (ticks, pattern)
    }
}

fn zoned(at_ms: i64, zone: &TimeZone) -> Option<Zoned> {
    Some(Timestamp::from_millisecond(at_ms).ok()?.to_zoned(zone.clone()))
}

/// The start of the unit that holds this time.
fn start_of(unit: Unit, at: DateTime) -> Option<DateTime> {
    let midnight = at.date().to_datetime(jiff::civil::Time::midnight());
    match unit {
        Unit::Day | Unit::Length(_) => Some(midnight),
        Unit::Week => {
            let days = i64::from(at.weekday().to_monday_zero_offset());
            midnight.checked_sub(days.days()).ok()
        }
        Unit::Month => Some(at.first_of_month().date().to_datetime(jiff::civil::Time::midnight())),
    }
}

fn before(unit: Unit, end: DateTime) -> Option<DateTime> {
    let span = match unit {
        Unit::Day | Unit::Length(_) => 1.day(),
        Unit::Week => 1.week(),
        Unit::Month => 1.month(),
    };
    end.checked_sub(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn check(unit: Unit, zone: &str, at: &str, expect: (&str, &str)) {
        let period = Period::last(unit, ms(at), time_zone(zone).unwrap()).unwrap();
        let found = (period.rfc3339(period.since_ms), period.rfc3339(period.until_ms));
        assert_eq!(found, (expect.0.to_owned(), expect.1.to_owned()), "{unit:?} {zone} {at}");
    }

    #[test]
    fn whole_units_of_the_calendar() {
        let (day, week, month) = (Unit::Day, Unit::Week, Unit::Month);
        check(
            day,
            "UTC",
            "2026-11-26T00:00:00Z",
            ("2026-11-25T00:00:00+00:00", "2026-11-26T00:00:00+00:00"),
        );
        // The day on which clocks go back has 25 hours.
        check(
            day,
            "Europe/Berlin",
            "2026-10-26T05:00:00Z",
            ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00"),
        );
        check(
            week,
            "Asia/Tokyo",
            "2026-11-26T12:00:00Z",
            ("2026-11-16T00:00:00+09:00", "2026-11-23T00:00:00+09:00"),
        );
        check(
            month,
            "America/New_York",
            "2026-03-31T23:59:59Z",
            ("2026-02-01T00:00:00-05:00", "2026-03-01T00:00:00-05:00"),
        );
        check(
            month,
            "UTC",
            "2026-01-31T23:59:59Z",
            ("2025-12-01T00:00:00+00:00", "2026-01-01T00:00:00+00:00"),
        );
        let hour = Unit::Length(Duration::from_hours(1));
        check(
            hour,
            "UTC",
            "2026-01-01T00:30:00Z",
            ("2025-12-31T23:30:00+00:00", "2026-01-01T00:30:00+00:00"),
        );
    }

    #[test]
    fn the_one_before() {
        let zone = time_zone("Europe/Berlin").unwrap();
        let april = Period::last(Unit::Month, ms("2026-05-10T00:00:00Z"), zone).unwrap();
        let march = april.previous().unwrap();
        assert_eq!(march.rfc3339(march.since_ms), "2026-03-01T00:00:00+01:00");
        assert_eq!(march.until_ms, april.since_ms);
        assert_eq!(april.earlier(Duration::from_mins(1)).until_ms, april.until_ms - 60_000);
    }

    #[test]
    fn zones_come_from_the_bundled_table() {
        assert_eq!(
            time_zone("Europe/Atlantis").unwrap_err().to_string(),
            "time zone 'Europe/Atlantis' is not in the bundled table"
        );
        assert_eq!(time_zone("europe/berlin").unwrap().iana_name(), Some("Europe/Berlin"));
    }

    #[test]
    fn ticks_stand_at_local_midnight() {
        let zone = time_zone("Asia/Kolkata").unwrap();
        let week = Period::last(Unit::Week, ms("2026-11-26T12:00:00Z"), zone).unwrap();
        let (ticks, pattern) = week.ticks(8);
        assert_eq!(ticks.len(), 8);
        assert_eq!(week.rfc3339(ticks[0]), "2026-11-16T00:00:00+05:30");
        assert_eq!(week.format(ticks[1], pattern), "Nov 17");
        let short = Period { until_ms: week.since_ms + 42_000, ..week };
        assert_eq!(short.ticks(6).0.len(), 5);
    }
}
