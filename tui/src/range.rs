//! How far back the screen looks, and which rows of the store stand for that.

use probe::store::{Grid, SpanTable};

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// Most spans of one series that a screen holds: what bounds its memory.
pub(crate) const SPANS_MAX: i64 = 600;

/// How far back the screen looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Range {
    /// 15 minutes, by windows.
    Minutes15,
    /// An hour, by windows.
    Hour,
    /// 6 hours, by hours.
    Hours6,
    /// A day, by hours.
    Day,
    /// A week, by blocks, or by hours where blocks are shorter.
    Week,
    /// 30 days, by days.
    Month,
}

impl Range {
    /// All, from the shortest.
    pub const ALL: [Self; 6] =
        [Self::Minutes15, Self::Hour, Self::Hours6, Self::Day, Self::Week, Self::Month];

    /// The name on the screen.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minutes15 => "15m",
            Self::Hour => "1h",
            Self::Hours6 => "6h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
        }
    }

    /// The next longer one; after the longest comes the shortest.
    #[must_use]
    pub(crate) fn next(self) -> Self {
        let at = Self::ALL.iter().position(|range| *range == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// The rows that stand for it, and their length in ms.
    pub(crate) fn table(self, grid: Grid) -> (SpanTable, i64) {
        match self {
            Self::Minutes15 | Self::Hour => (SpanTable::Windows, grid.window_ms),
            Self::Week if grid.block_ms >= HOUR_MS => (SpanTable::Blocks, grid.block_ms),
            Self::Hours6 | Self::Day | Self::Week => (SpanTable::Hours, HOUR_MS),
            Self::Month => (SpanTable::Days, DAY_MS),
        }
    }

    /// Its length in ms, at most [`SPANS_MAX`] of its rows.
    pub(crate) fn len_ms(self, grid: Grid) -> i64 {
        let len_ms = match self {
            Self::Minutes15 => HOUR_MS / 4,
            Self::Hour => HOUR_MS,
            Self::Hours6 => 6 * HOUR_MS,
            Self::Day => DAY_MS,
            Self::Week => 7 * DAY_MS,
            Self::Month => 30 * DAY_MS,
        };
        len_ms.min(self.table(grid).1.saturating_mul(SPANS_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_reads_a_bounded_number_of_rows() {
        let grids = [Grid::default(), Grid { window_ms: 2_000, block_ms: 2_000 }];
        for (grid, range) in grids.iter().flat_map(|grid| Range::ALL.map(|range| (*grid, range))) {
            let (_, span_ms) = range.table(grid);
            assert!(range.len_ms(grid) / span_ms <= SPANS_MAX, "{grid:?} {range:?}");
        }
        assert_eq!(Range::Week.table(grids[0]), (SpanTable::Blocks, 14_400_000));
        assert_eq!(Range::Week.table(grids[1]), (SpanTable::Hours, HOUR_MS));
        assert_eq!(Range::Month.next(), Range::Minutes15);
    }
}
