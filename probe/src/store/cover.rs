//! Which rows stand for a time: whole days where they are finished, then hours, then windows. Pure.

use super::span::Table;
use crate::window::aligned_start_ms;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What a store holds, in ms since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_field_names, reason = "units stand last in names")]
pub(super) struct Kept {
    /// Windows that begin from here on are kept.
    pub windows_from_ms: i64,
    /// Hours that begin from here on are kept.
    pub hours_from_ms: i64,
    /// Hours that begin before this are finished for every series.
    pub hours_until_ms: i64,
    /// Days that begin before this are finished for every series.
    pub days_until_ms: i64,
}

/// Tables with the times in which their rows must begin: each window of `since_ms..until_ms` that
/// was ever written is in exactly one of the rows, but for those of an hour or a day that only
/// partly lies inside and whose parts have expired.
pub(super) fn cover(since_ms: i64, until_ms: i64, kept: Kept) -> Vec<(Table, i64, i64)> {
    let expired_ms = until_ms.min(kept.hours_from_ms);
    let mut spans = vec![(Table::Days, since_ms, expired_ms)];
    let since_ms = since_ms.max(kept.hours_from_ms);
    let ends = |len_ms: i64, finished_ms: i64| {
        aligned_start_ms(until_ms.min(finished_ms), len_ms).max(since_ms)
    };
    let hours = (up(since_ms, HOUR_MS), ends(HOUR_MS, kept.hours_until_ms));
    if hours.0 >= hours.1 {
        spans.extend(fine(kept.windows_from_ms, since_ms, until_ms));
        spans.retain(|(_, from_ms, to_ms)| from_ms < to_ms);
        return spans;
    }
    spans.extend(fine(kept.windows_from_ms, since_ms, hours.0));
    let days = (up(hours.0, DAY_MS), ends(DAY_MS, kept.days_until_ms));
    if days.0 < days.1 {
        spans.push((Table::Hours, hours.0, days.0));
        spans.push((Table::Days, days.0, days.1));
        spans.push((Table::Hours, days.1, hours.1));
    } else {
        spans.push((Table::Hours, hours.0, hours.1));
    }
    spans.extend(fine(kept.windows_from_ms, hours.1, until_ms));
    spans.retain(|(_, from_ms, to_ms)| from_ms < to_ms);
    spans
}

/// Less than an hour, or what is not finished: windows, and the hours that stand for expired ones.
fn fine(windows_from_ms: i64, since_ms: i64, until_ms: i64) -> [(Table, i64, i64); 2] {
    let cut_ms = windows_from_ms.clamp(since_ms, until_ms.max(since_ms));
    [(Table::Hours, since_ms, cut_ms), (Table::Windows, cut_ms, until_ms)]
}

fn up(at_ms: i64, len_ms: i64) -> i64 {
    let start_ms = aligned_start_ms(at_ms, len_ms);
    if start_ms == at_ms { at_ms } else { start_ms.saturating_add(len_ms) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn days_in_the_middle_hours_at_the_ends() {
        let kept = Kept {
            windows_from_ms: 9 * DAY_MS,
            hours_from_ms: 0,
            hours_until_ms: 10 * DAY_MS + 5 * HOUR_MS,
            days_until_ms: 10 * DAY_MS,
        };
        let found = cover(DAY_MS + 22 * HOUR_MS, 10 * DAY_MS + 5 * HOUR_MS + 7, kept);
        let day = |n: i64| n * DAY_MS;
        assert_eq!(
            found,
            [
                (Table::Hours, day(1) + 22 * HOUR_MS, day(2)),
                (Table::Days, day(2), day(10)),
                (Table::Hours, day(10), day(10) + 5 * HOUR_MS),
                (Table::Windows, day(10) + 5 * HOUR_MS, day(10) + 5 * HOUR_MS + 7),
            ]
        );
    }

    proptest! {
        /// No time is covered twice, none within what is kept in full is left out.
        #[test]
        fn every_time_once(since in 0_i64..400, len in 0_i64..400, windows in 0_i64..300,
                           older in 0_i64..300, hours in 0_i64..100, days in 0_i64..100) {
            // In units of 20 minutes.
            const UNIT_MS: i64 = HOUR_MS / 3;
            let kept = Kept {
                windows_from_ms: aligned_start_ms(windows * UNIT_MS, HOUR_MS),
                hours_from_ms: aligned_start_ms((windows - older).max(0) * UNIT_MS, DAY_MS),
                hours_until_ms: aligned_start_ms((windows + hours) * UNIT_MS, HOUR_MS),
                days_until_ms: aligned_start_ms((windows + hours - days) * UNIT_MS, DAY_MS),
            };
            let (since_ms, until_ms) = (since * UNIT_MS, (since + len) * UNIT_MS);
            let spans = cover(since_ms, until_ms, kept);
            let mut at_ms = since_ms;
            for (table, from_ms, to_ms) in spans {
                prop_assert_eq!(from_ms, at_ms);
                at_ms = to_ms;
                if table == Table::Windows {
                    prop_assert!(from_ms >= kept.windows_from_ms);
                }
            }
            prop_assert_eq!(at_ms, until_ms.max(since_ms));
        }
    }
}
