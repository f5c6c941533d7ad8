//! What the search asks again and again, computed once: which label may send a row where, and what
//! that costs. Sets of labels and of endpoints are bits here.

use super::Program;
use super::bound::Set;

/// A set of labels, or of endpoints, by number.
pub(super) type Bits = u64;

/// The numbers in a set, the least first.
pub(super) fn each(mut bits: Bits) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let index = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
        bits &= bits - 1;
        Some(index)
    })
}

/// The set of one number.
pub(super) fn bit(index: usize) -> Bits {
    1 << index
}

/// The set of these numbers.
pub(super) fn set_of(numbers: impl Iterator<Item = usize>) -> Bits {
    numbers.fold(0, |set, number| set | bit(number))
}

/// The tables of one program.
pub(super) struct Tables<'a> {
    pub(super) program: &'a Program,
    /// Endpoints that each label may point at.
    pub(super) admissible: Vec<Bits>,
    /// Row x label: endpoints at which the label may send the row there.
    allowed: Vec<Bits>,
    /// Row x label: the least regret of those; `None` where there are none.
    least: Vec<Option<u64>>,
    /// Row x endpoint: the regret.
    regret: Vec<u64>,
    /// Row x endpoint that is down x endpoint that answers, or nobody: the regret.
    failover: Vec<u64>,
    /// Row x endpoint: the regret of it with each other endpoint down, summed.
    steady: Vec<u64>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(program: &'a Program) -> Self {
        let (labels, endpoints) = (program.labels.len(), program.endpoints);
        let mut tables = Self {
            program,
            admissible: (0..labels).map(|label| set_of(program.admissible(label))).collect(),
            allowed: Vec::with_capacity(program.rows.len() * labels),
            least: Vec::with_capacity(program.rows.len() * labels),
            regret: Vec::with_capacity(program.rows.len() * endpoints),
            failover: Vec::with_capacity(program.rows.len() * endpoints * (endpoints + 1)),
            steady: Vec::with_capacity(program.rows.len() * endpoints),
        };
        for row in &program.rows {
            tables.regret.extend((0..endpoints).map(|id| row.regret(Some(id), None)));
            for down in 0..endpoints {
                let answers = (0..endpoints).map(Some).chain([None]);
                tables.failover.extend(answers.map(|id| row.regret(id, Some(down))));
            }
            for own in 0..endpoints {
                let others = (0..endpoints).filter(|down| *down != own);
                tables.steady.push(others.map(|down| row.regret(Some(own), Some(down))).sum());
            }
            for label in 0..labels {
                let takes = |id: &usize| program.takes(row, label, *id);
                let allowed = set_of(program.admissible(label).filter(takes));
                tables.allowed.push(allowed);
                tables.least.push(each(allowed).map(|id| row.regret(Some(id), None)).min());
            }
        }
        tables
    }

    pub(super) fn allowed(&self, row: usize, label: usize) -> Bits {
        self.allowed[row * self.program.labels.len() + label]
    }

    pub(super) fn least(&self, row: usize, label: usize) -> Option<u64> {
        self.least[row * self.program.labels.len() + label]
    }

    pub(super) fn regret(&self, row: usize, endpoint: usize) -> u64 {
        self.regret[row * self.program.endpoints + endpoint]
    }

    /// The regret of each endpoint that answers while one is down; the last one is that of nobody.
    pub(super) fn failover(&self, row: usize, down: usize) -> &[u64] {
        let endpoints = self.program.endpoints;
        &self.failover[(row * endpoints + down) * (endpoints + 1)..][..=endpoints]
    }

    /// The regret of an endpoint with each other one down, summed.
    pub(super) fn steady(&self, row: usize, own: usize) -> u64 {
        self.steady[row * self.program.endpoints + own]
    }

    /// The labels that a row may meet, the most preferred one first.
    pub(super) fn order(&self, row: usize, set: Set) -> impl Iterator<Item = usize> {
        let some = set.installed | set.undecided;
        self.program.rows[row].order.iter().copied().filter(move |label| some & bit(*label) != 0)
    }

    /// The endpoint that a label takes of those that are equally good: the one that it has, then the
    /// first by name.
    pub(super) fn pick(&self, label: usize, equals: Bits) -> Bits {
        let current = self.program.labels[label].current.map_or(0, bit) & equals;
        if current == 0 { equals & equals.wrapping_neg() } else { current }
    }
}
