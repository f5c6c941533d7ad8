//! How many metrics a configuration makes: each costs money by the month. Pure.

use crate::sample::{Connection, OUTCOME_KINDS, Phase};

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
    /// The metrics of these series, by their connections, with these phases.
    #[must_use]
    pub fn of(series: &[Connection], phases: &[Phase]) -> Self {
        let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
        let published = |connection: &Connection| {
            1 + count(phases.iter().filter(|phase| has(*connection, **phase)).count())
        };
        let steady = series.iter().map(published).sum();
        // All kinds but success.
        let kinds = count(OUTCOME_KINDS.len() - 1);
        let series = count(series.len());
        Self { series, steady, most: series.saturating_mul(2 + kinds).saturating_add(steady) }
    }
}

/// Whether samples of such a connection have this phase: one that is kept was opened before.
#[must_use]
pub fn has(connection: Connection, phase: Phase) -> bool {
    connection != Connection::Warm || matches!(phase, Phase::Processing | Phase::Transfer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Connection::{Cold, Resumed, Warm};
    use Phase::{Connect, Processing, Resolve, Tls, Transfer};

    #[test]
    fn table_of_budgets() {
        let all = [Resolve, Connect, Tls, Processing, Transfer];
        for (series, phases, steady) in [
            (&[][..], &all[..], 0),
            (&[Cold, Warm], &[], 2),
            (&[Cold, Resumed, Warm], &[Connect], 5),
            (&[Cold, Warm], &all, 9),
        ] {
            let budget = Budget::of(series, phases);
            assert_eq!(budget.steady, steady);
            let count = series.len() as u64;
            assert_eq!((budget.series, budget.most), (count, steady + count * (2 + 14)));
        }
    }
}
