//! How many metrics a configuration makes: each costs money by the month. Pure.

use crate::sample::OUTCOME_KINDS;

/// Metrics of one fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Series: vantage x target x connection.
    pub series: u64,
    /// Metrics that are always there: the response, and the phases asked for.
    pub steady: u64,
    /// Metrics at most: with incomplete windows, and failures of every kind everywhere. Paths of a
    /// series come on top.
    pub most: u64,
}

impl Budget {
    /// The metrics of so many series with so many phases.
    #[must_use]
    pub fn of(series: u64, phases: u64) -> Self {
        // All but success.
        let kinds = u64::try_from(OUTCOME_KINDS.len() - 1).unwrap_or(u64::MAX);
        let steady = series.saturating_mul(1 + phases);
        let most = steady.saturating_add(series.saturating_mul(2 + kinds));
        Self { series, steady, most }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_of_budgets() {
        for (series, phases, steady) in [(0, 5, 0), (100, 0, 100), (100, 2, 300)] {
            let budget = Budget::of(series, phases);
            assert_eq!(budget.steady, steady);
            assert!(budget.most >= budget.steady);
        }
        assert_eq!(Budget::of(10, 0).most, 10 * (1 + 2 + 14));
    }
}
