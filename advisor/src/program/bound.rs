//! Lower bounds for the exact program while some labels are undecided, and the order of branching.
//!
//! A row whose most preferred label is decided is bound to it, together with the label's other
//! rows. Every other row is given the best of what is still possible for it alone.

use super::{Program, Row};

/// What the bounds need again and again.
pub(super) struct Bounds<'a> {
    program: &'a Program,
    /// Row x label: the least regret that the label can give the row; `None` where it may not
    /// take it.
    least: Vec<Vec<Option<u64>>>,
    /// Row x endpoint that is down x endpoint that answers: the regret.
    failover: Vec<Vec<Vec<u64>>>,
    /// Row x endpoint that is down: the regret of being answered by nobody.
    nobody: Vec<Vec<u64>>,
}

/// Where a row goes while some labels are undecided.
enum Fate {
    /// To this label, surely.
    Bound(usize),
    /// Somewhere: the least regret of what is still possible.
    Open(Option<u64>),
}

impl<'a> Bounds<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        let endpoints = 0..program.endpoints;
        let least = |row: &Row| {
            let of_label = |label: usize| {
                let taken = program.admissible(label).filter(|id| program.takes(row, label, *id));
                taken.map(|id| row.regret(Some(id), None)).min()
            };
            (0..program.labels.len()).map(of_label).collect()
        };
        let failover = |row: &Row| {
            let answered = |down| endpoints.clone().map(move |id| row.regret(Some(id), Some(down)));
            endpoints.clone().map(|down| answered(down).collect()).collect()
        };
        let nobody =
            |row: &Row| endpoints.clone().map(|down| row.regret(None, Some(down))).collect();
        Self {
            program,
            least: program.rows.iter().map(least).collect(),
            failover: program.rows.iter().map(failover).collect(),
            nobody: program.rows.iter().map(nobody).collect(),
        }
    }

    fn fate(&self, row: usize, set: &[Option<bool>]) -> Fate {
        let mut least: Option<u64> = None;
        let mut open = false;
        for label in &self.program.rows[row].order {
            match set[*label] {
                Some(false) => continue,
                Some(true) if !open => return Fate::Bound(*label),
                _ => {}
            }
            open = true;
            least = [least, self.least[row][*label]].into_iter().flatten().min();
            if set[*label] == Some(true) {
                break;
            }
        }
        Fate::Open(least)
    }

    /// A regret that no completion is below; `None` where no completion is allowed.
    pub(super) fn regret(&self, set: &[Option<bool>]) -> Option<u64> {
        let program = self.program;
        let mut sums = vec![Vec::new(); program.labels.len()];
        let mut total = 0;
        for (index, row) in program.rows.iter().enumerate() {
            match self.fate(index, set) {
                Fate::Open(least) => total += least?,
                Fate::Bound(label) => {
                    if sums[label].is_empty() {
                        sums[label] = program.admissible(label).map(|id| (id, Some(0))).collect();
                    }
                    for (endpoint, sum) in &mut sums[label] {
                        let taken = program.takes(row, label, *endpoint);
                        *sum = sum
                            .filter(|_| taken)
                            .map(|sum: u64| sum + row.regret(Some(*endpoint), None));
                    }
                }
            }
        }
        for label in sums.iter().filter(|label| !label.is_empty()) {
            total += label.iter().filter_map(|(_, sum)| *sum).min()?;
        }
        Some(total)
    }

    /// A regret with one endpoint down, summed over endpoints, that no completion is below.
    pub(super) fn failover_regret(&self, set: &[Option<bool>]) -> u64 {
        let rows = 0..self.program.rows.len();
        let downs = 0..self.program.endpoints;
        rows.map(|row| downs.clone().map(|down| self.with_down(row, down, set)).sum::<u64>()).sum()
    }

    fn with_down(&self, row: usize, down: usize, set: &[Option<bool>]) -> u64 {
        let mut least = self.nobody[row][down];
        for label in &self.program.rows[row].order {
            if set[*label] == Some(false) {
                continue;
            }
            let mut may_be_down = set[*label].is_none();
            for endpoint in self.program.admissible(*label) {
                if endpoint == down {
                    may_be_down = true;
                } else {
                    least = least.min(self.failover[row][down][endpoint]);
                }
            }
            if !may_be_down {
                break;
            }
        }
        least
    }

    /// The undecided label that the heaviest rows meet first, or any that is left.
    pub(super) fn next_label(&self, set: &[Option<bool>]) -> Option<usize> {
        let mut weights = vec![0_u64; set.len()];
        for (index, row) in self.program.rows.iter().enumerate() {
            if let Fate::Open(_) = self.fate(index, set)
                && let Some(first) = row.order.iter().find(|label| set[**label].is_none())
            {
                weights[*first] += row.weight;
            }
        }
        let undecided = (0..set.len()).filter(|label| set[*label].is_none());
        undecided.max_by_key(|label| (weights[*label], std::cmp::Reverse(*label)))
    }
}
