//! Lower bounds for the exact program while some labels are undecided, and the order of branching.
//!
//! A row whose most preferred label is decided is bound to it, together with the label's other
//! rows. Every other row is given the best of what is still possible for it alone. Where that is no
//! better than the best answer so far, only sets are left in which each row has exactly that, and
//! most of the undecided labels follow.

use super::tables::{Bits, Tables, bit, each, set_of};

/// Labels that are installed, and those that are undecided; all others are not installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) installed: Bits,
    pub(super) undecided: Bits,
}

/// Where a row goes while some labels are undecided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// To this label, surely.
    Bound(usize),
    /// Somewhere: the least regret of what is still possible.
    Open(u64),
}

/// Bounds of one set after another, without allocating anew for each.
pub(super) struct Bounds<'a> {
    pub(super) tables: Tables<'a>,
    /// Of each row.
    fates: Vec<Fate>,
    /// Label x endpoint: the regret of the bound rows.
    sums: Vec<u64>,
    /// Of each label: endpoints that it may still take.
    possible: Vec<Bits>,
    /// Of each label: the traffic of rows that meet it first among the undecided.
    weights: Vec<u64>,
}

impl<'a> Bounds<'a> {
    pub(super) fn new(tables: Tables<'a>) -> Self {
        let (labels, endpoints) = (tables.program.labels.len(), tables.program.endpoints);
        Self {
            fates: Vec::with_capacity(tables.program.rows.len()),
            sums: vec![0; labels * endpoints],
            possible: tables.admissible.clone(),
            weights: vec![0; labels],
            tables,
        }
    }

    /// `None` where nothing is possible for the row.
    fn fate(&self, row: usize, set: Set) -> Option<Fate> {
        let is_installed = |label: &usize| set.installed & bit(*label) != 0;
        let mut labels = self.tables.order(row, set).peekable();
        if let Some(first) = labels.peek().filter(|label| is_installed(label)) {
            return Some(Fate::Bound(*first));
        }
        let mut least: Option<u64> = None;
        for label in labels {
            least = [least, self.tables.least(row, label)].into_iter().flatten().min();
            if is_installed(&label) {
                break;
            }
        }
        least.map(Fate::Open)
    }

    /// A regret that no completion is below; `None` where no completion is allowed.
    pub(super) fn regret(&mut self, set: Set) -> Option<u64> {
        let endpoints = self.tables.program.endpoints;
        self.possible.clone_from(&self.tables.admissible);
        self.fates.clear();
        let (mut bound, mut total) = (0, 0);
        for row in 0..self.tables.program.rows.len() {
            let fate = self.fate(row, set)?;
            self.fates.push(fate);
            match fate {
                Fate::Open(least) => total += least,
                Fate::Bound(label) => {
                    let sums = &mut self.sums[label * endpoints..][..endpoints];
                    if bound & bit(label) == 0 {
                        bound |= bit(label);
                        sums.fill(0);
                    }
                    self.possible[label] &= self.tables.allowed(row, label);
                    for endpoint in each(self.possible[label]) {
                        sums[endpoint] += self.tables.regret(row, endpoint);
                    }
                }
            }
        }
        for label in each(bound) {
            let sums = &self.sums[label * endpoints..][..endpoints];
            let least = each(self.possible[label]).map(|id| sums[id]).min()?;
            let is_least = |id: &usize| sums[*id] == least;
            self.possible[label] = set_of(each(self.possible[label]).filter(is_least));
            total += least;
        }
        Some(total)
    }

    /// Endpoints at which a label gives an open row exactly its least regret.
    fn serves(&self, row: usize, label: usize, least: u64) -> Bits {
        let may = self.tables.allowed(row, label) & self.possible[label];
        let is_least = |id: &usize| self.tables.regret(row, *id) == least;
        set_of(each(may).filter(is_least))
    }

    /// Decides labels on which no choice is left where no completion may be above the regret that
    /// was just computed, so that each row has its least. Says whether it decided any: then the bound
    /// is to be computed anew.
    pub(super) fn settle(&mut self, set: &mut Set) -> bool {
        let before = *set;
        self.drop_useless(set);
        if *set == before {
            self.install_needed(set);
        }
        *set != before
    }

    /// A label that an open row meets first takes it as soon as it is installed: then it must point
    /// where all such rows have their least, and where there is no such endpoint it is not installed.
    fn drop_useless(&mut self, set: &mut Set) {
        let before = *set;
        for (row, least) in self.open_rows() {
            let Some(first) = self.tables.order(row, before).next() else { continue };
            self.possible[first] &= self.serves(row, first, least);
            if self.possible[first] == 0 {
                set.undecided &= !bit(first);
            }
        }
    }

    /// A label that alone can give a row its least is installed.
    fn install_needed(&mut self, set: &mut Set) {
        let before = *set;
        let mut reached = 0;
        for (row, least) in self.open_rows() {
            let serving = self.serving(row, least, before);
            reached |= serving;
            // One label, and no more.
            if serving.is_power_of_two() {
                set.installed |= serving;
                set.undecided &= !serving;
            }
        }
        // To all other labels no row can come any more.
        for label in each(!reached & (before.installed | before.undecided)) {
            self.possible[label] = self.tables.pick(label, self.possible[label]);
        }
    }

    fn open_rows(&self) -> Vec<(usize, u64)> {
        let open = |(row, fate): (usize, &Fate)| match fate {
            Fate::Open(least) => Some((row, *least)),
            Fate::Bound(_) => None,
        };
        self.fates.iter().enumerate().filter_map(open).collect()
    }

    /// The labels that can give an open row its least.
    fn serving(&self, row: usize, least: u64, set: Set) -> Bits {
        let mut serving = 0;
        for label in self.tables.order(row, set) {
            if self.serves(row, label, least) != 0 {
                serving |= bit(label);
            }
            if set.installed & bit(label) != 0 {
                break;
            }
        }
        serving
    }

    /// A regret with one endpoint down, summed over endpoints, that no completion is below whose
    /// regret is the bound that was just computed for this set. It stops where it is above `most`.
    pub(super) fn failover_regret(&self, set: Set, most: u64) -> u64 {
        let mut total = 0;
        for row in 0..self.fates.len() {
            total += self.row_failover(row, set);
            if total > most {
                break;
            }
        }
        total
    }

    /// Of one row, which stays where it is unless its own endpoint is down.
    fn row_failover(&self, row: usize, set: Set) -> u64 {
        let own = match self.fates[row] {
            Fate::Bound(label) => self.possible[label],
            Fate::Open(least) => each(self.serving(row, least, set))
                .fold(0, |own, label| own | self.serves(row, label, least)),
        };
        let of = |own| self.tables.steady(row, own) + self.with_down(row, own, set);
        each(own).map(of).min().unwrap_or_default()
    }

    fn with_down(&self, row: usize, down: usize, set: Set) -> u64 {
        let regret = self.tables.failover(row, down);
        let mut least = regret[regret.len() - 1];
        for label in self.tables.order(row, set) {
            let possible = self.possible[label];
            for endpoint in each(possible & !bit(down)) {
                least = least.min(regret[endpoint]);
            }
            if set.undecided & bit(label) == 0 && possible & bit(down) == 0 {
                break;
            }
        }
        least
    }

    /// The undecided label that the heaviest open rows meet first, or any that is left.
    pub(super) fn next_label(&mut self, set: Set) -> Option<usize> {
        self.weights.fill(0);
        for (row, fate) in self.fates.iter().enumerate() {
            let first = self.tables.order(row, set).next();
            if let (Fate::Open(_), Some(first)) = (fate, first) {
                self.weights[first] += self.tables.program.rows[row].weight;
            }
        }
        each(set.undecided).max_by_key(|label| (self.weights[*label], std::cmp::Reverse(*label)))
    }
}
