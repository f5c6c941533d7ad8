//! The exact program of rule 2: which labels to install, and where each should point.
//!
//! Route 53 sends a row to the installed label it prefers most, so that a set of labels settles who
//! goes where, and each label of it takes its best admissible endpoint. What is searched is the
//! set, by branch and bound. Whole microseconds and whole parts of weight make ties exact. Pure:
//! indices in, indices out; it knows nothing of evidence.

mod bound;
mod tables;

use bound::{Bounds, Set};
use tables::{Bits, Tables, bit, each, set_of};

/// Weights are whole parts of this many.
pub const WEIGHT_PARTS: u64 = 1_000_000_000;
/// What it costs to be answered by nobody: as much as the slowest response that is recorded.
pub const NOBODY_US: u64 = 60_000_000;
/// Labels, and endpoints, that a program may have: more than there are Regions.
pub const MOST: usize = Bits::BITS as usize;
/// Nodes that are looked at before the search gives up on a proof.
const NODES_MAX: u32 = 2_000_000;

/// A label that is installed, or may be. The program's labels are in order of name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// It is installed and stays so.
    pub stays: bool,
    /// Where it points now; `None` where it is not installed.
    pub current: Option<usize>,
    /// Endpoints for which there is evidence, in order of name.
    pub backed: Vec<usize>,
}

/// One measured client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its share of the traffic, in parts.
    pub weight: u64,
    /// Labels, the most preferred one first.
    pub order: Vec<usize>,
    /// The cost of each endpoint; `None` where it is unknown.
    pub cost_us: Vec<Option<u64>>,
    /// The endpoint that serves it now.
    pub today: usize,
    /// Endpoints that it may be sent to: those at which it would not lose too much.
    pub may: Vec<bool>,
}

/// What is searched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Program {
    /// How many endpoints there are.
    pub endpoints: usize,
    /// The labels.
    pub labels: Vec<Candidate>,
    /// The clients.
    pub rows: Vec<Row>,
}

/// What is minimised, in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// Regret, summed over rows: microseconds x parts of weight.
    pub regret: u64,
    /// The same with one endpoint down, summed over endpoints.
    pub failover_regret: u64,
    /// How many labels are installed.
    pub installed: usize,
    /// Which, in order of name.
    pub names: Vec<usize>,
}

impl Value {
    /// The rows' mean regret in milliseconds.
    #[must_use]
    pub fn regret_ms(&self) -> f64 {
        self.regret as f64 / WEIGHT_PARTS as f64 / 1_000.0
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Solution {
    /// Where each label points; `None` where it is not installed.
    pub points_at: Vec<Option<usize>>,
    /// What that is worth.
    pub value: Value,
    /// Whether nothing better exists. The search gives up after a stated number of sets.
    pub proven: bool,
    /// How many parts of the search were looked at.
    pub nodes: u32,
}

impl Row {
    /// The regret of an endpoint while `down` does not answer, in parts x microseconds.
    fn regret(&self, endpoint: Option<usize>, down: Option<usize>) -> u64 {
        let known = |id: usize| self.cost_us[id].unwrap_or(NOBODY_US).min(NOBODY_US);
        let up = (0..self.cost_us.len()).filter(|id| Some(*id) != down);
        let least = up.map(known).min().unwrap_or(NOBODY_US);
        self.weight * endpoint.map_or(NOBODY_US, known).saturating_sub(least)
    }
}

impl Program {
    /// Endpoints that a label may point at: where it does now, and those with evidence.
    fn admissible(&self, label: usize) -> impl Iterator<Item = usize> + '_ {
        let Candidate { current, backed, .. } = &self.labels[label];
        let more = backed.iter().copied().filter(move |endpoint| Some(*endpoint) != *current);
        current.iter().copied().chain(more)
    }

    /// Whether a row may be sent to an endpoint by a label. Without evidence for what the label
    /// points at, nobody is moved by it.
    fn takes(&self, row: &Row, label: usize, endpoint: usize) -> bool {
        endpoint == row.today
            || (row.may[endpoint] && self.labels[label].backed.contains(&endpoint))
    }

    /// The labels that are installed now.
    #[must_use]
    pub fn installed(&self) -> Vec<bool> {
        self.labels.iter().map(|label| label.current.is_some()).collect()
    }

    /// What a set of labels is worth when each takes its best admissible endpoint; of equals the
    /// one it has, then the first by name. `None` where a row would be moved that may not be.
    #[must_use]
    pub fn evaluate(&self, set: &[bool]) -> Option<Solution> {
        let mut sums = vec![vec![Some(0_u64); self.endpoints]; self.labels.len()];
        for row in &self.rows {
            let label = *row.order.iter().find(|label| set[**label])?;
            for (endpoint, sum) in sums[label].iter_mut().enumerate() {
                let taken = self.takes(row, label, endpoint);
                *sum = sum.filter(|_| taken).map(|sum| sum + row.regret(Some(endpoint), None));
            }
        }
        let mut points_at = vec![None; self.labels.len()];
        let mut regret = 0;
        for label in (0..self.labels.len()).filter(|label| set[*label]) {
            let sums = &sums[label];
            let possible = self.admissible(label).filter_map(|id| sums[id].map(|sum| (sum, id)));
            // The first of equals, and the current one is the first.
            let (sum, endpoint) = possible.min_by_key(|(sum, _)| *sum)?;
            points_at[label] = Some(endpoint);
            regret += sum;
        }
        let names: Vec<usize> = (0..set.len()).filter(|label| set[*label]).collect();
        let value = Value {
            regret,
            failover_regret: self.failover_regret(&points_at),
            installed: names.len(),
            names,
        };
        Some(Solution { points_at, value, proven: false, nodes: 0 })
    }

    /// The regret with each endpoint down, summed: its labels are skipped, as Route 53 does with
    /// labels that are not healthy.
    fn failover_regret(&self, points_at: &[Option<usize>]) -> u64 {
        let down = |row: &Row, down: usize| {
            let mut answers = row.order.iter().filter_map(|label| points_at[*label]);
            row.regret(answers.find(|endpoint| *endpoint != down), Some(down))
        };
        let endpoints = 0..self.endpoints;
        self.rows.iter().map(|row| endpoints.clone().map(|id| down(row, id)).sum::<u64>()).sum()
    }

    /// The best set, unless the search gives up; never worse than what is installed. `None` where
    /// even what is installed would move a row: then the program was put together wrongly; or where
    /// there are more labels or endpoints than `MOST`.
    #[must_use]
    pub fn solve(&self) -> Option<Solution> {
        if self.labels.len() > MOST || self.endpoints > MOST {
            return None;
        }
        let best = self.evaluate(&self.installed())?;
        let mut search = Search { bounds: Bounds::new(Tables::new(self)), best, nodes: 0 };
        let stay = |stays: bool| {
            set_of((0..self.labels.len()).filter(|label| self.labels[*label].stays == stays))
        };
        let start = Set { installed: stay(true), undecided: stay(false) };
        search.improve(start.undecided);
        search.branch(start);
        search.best.proven = search.nodes <= NODES_MAX;
        search.best.nodes = search.nodes;
        Some(search.best)
    }
}

struct Search<'a> {
    bounds: Bounds<'a>,
    best: Solution,
    nodes: u32,
}

impl Search<'_> {
    /// The labels that are installed in the best answer so far.
    fn installed(&self) -> Bits {
        let points_at = &self.best.points_at;
        set_of((0..points_at.len()).filter(|label| points_at[*label].is_some()))
    }

    /// Adds, drops or swaps single labels while that helps. Each step lowers the value, so it ends.
    fn improve(&mut self, free: Bits) {
        let improves = |search: &mut Self| {
            let here = search.installed();
            let others = |a| each(free).filter(move |b| a <= *b);
            let mut pairs = each(free).flat_map(|a| others(a).map(move |b| bit(a) | bit(b)));
            pairs.any(|pair| search.try_set(here ^ pair))
        };
        while improves(self) {}
    }

    /// Takes a set where it is better than the best so far.
    fn try_set(&mut self, installed: Bits) -> bool {
        let regret = self.bounds.regret(Set { installed, undecided: 0 });
        if regret.is_none_or(|regret| regret > self.best.value.regret) {
            return false;
        }
        let program = self.bounds.tables.program;
        let set: Vec<bool> =
            (0..program.labels.len()).map(|label| installed & bit(label) != 0).collect();
        let found = program.evaluate(&set).filter(|found| found.value < self.best.value);
        let Some(found) = found else { return false };
        self.best = found;
        true
    }

    fn branch(&mut self, mut set: Set) {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > NODES_MAX || self.is_hopeless(&mut set) {
            return;
        }
        let Some(label) = self.bounds.next_label(set) else {
            self.try_set(set.installed);
            return;
        };
        let undecided = set.undecided & !bit(label);
        let with = Set { installed: set.installed | bit(label), undecided };
        let without = Set { undecided, ..set };
        let first = self.best.points_at[label].is_some();
        for set in if first { [with, without] } else { [without, with] } {
            self.branch(set);
        }
    }

    /// Whether no completion can be better than the best that is known. Where one can only be as
    /// good in regret, labels on which no choice is left are decided.
    fn is_hopeless(&mut self, set: &mut Set) -> bool {
        let best = &self.best.value;
        loop {
            let Some(regret) = self.bounds.regret(*set) else { return true };
            if regret != best.regret {
                return regret > best.regret;
            }
            if !self.bounds.settle(set) {
                break;
            }
        }
        let failover_regret = self.bounds.failover_regret(*set, best.failover_regret);
        let installed = set.installed.count_ones() as usize;
        (failover_regret, installed) > (best.failover_regret, best.installed)
    }
}

#[cfg(test)]
mod tests;
