//! Good choices, fast: greedy additions, best swaps until none helps, and kicks out of where that ends.
//!
//! Deterministic: its random numbers have a fixed seed. What it finds is not proven to be best.

use super::rows::Rows;

/// No column.
const NONE: u16 = u16::MAX;
/// Rows keep their nearest chosen columns, one more than the largest demand.
const NEAR: usize = 3;
/// Swaps in one descent: far more than any needs, a bound all the same.
const SWAPS_MAX: usize = 10_000;

/// What may be done with a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Chosen or not.
    Free,
    /// Always chosen.
    In,
    /// Never chosen.
    Out,
}

/// A choice and its cost.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Choice {
    pub(super) cost: f64,
    /// Columns, sorted.
    pub(super) columns: Vec<u16>,
}

/// A choice that is being improved.
#[derive(Debug)]
pub(super) struct Search<'a> {
    rows: &'a Rows,
    states: &'a [State],
    chosen: Vec<bool>,
    near: Vec<[(f64, u16); NEAR]>,
    random: u64,
}

impl<'a> Search<'a> {
    /// Starts from some chosen columns, and those that are always chosen.
    pub(super) fn new(rows: &'a Rows, states: &'a [State], columns: &[u16]) -> Self {
        let mut chosen: Vec<bool> = states.iter().map(|state| *state == State::In).collect();
        for column in columns {
            chosen[usize::from(*column)] = true;
        }
        let mut search =
            Self { rows, states, chosen, near: Vec::new(), random: 0x2545_F491_4F6C_DD1D };
        search.look();
        search
    }

    /// Exactly the open columns, to be costed and not to be moved.
    pub(super) fn open(rows: &'a Rows, open: &[bool]) -> Self {
        let mut search =
            Self { rows, states: &[], chosen: open.to_vec(), near: Vec::new(), random: 1 };
        search.look();
        search
    }

    fn columns(&self) -> Vec<u16> {
        (0..=u16::MAX).zip(&self.chosen).filter(|(_, chosen)| **chosen).map(|(c, _)| c).collect()
    }

    /// Finds the nearest chosen columns of every row anew.
    fn look(&mut self) {
        let rest = &self.rows.rest;
        self.near = rest.iter().map(|rest| [(*rest, NONE); NEAR]).collect();
        for column in self.columns() {
            let costs = self.rows.column(usize::from(column));
            for (near, cost) in self.near.iter_mut().zip(costs) {
                if *cost < near[NEAR - 1].0 {
                    near[NEAR - 1] = (*cost, column);
                    let mut at = NEAR - 1;
                    while at > 0 && near[at].0 < near[at - 1].0 {
                        near.swap(at, at - 1);
                        at -= 1;
                    }
                }
            }
        }
    }

    /// The choice as it stands.
    pub(super) fn choice(&self) -> Choice {
        let columns = self.columns();
        let fixed: f64 = columns.iter().map(|c| self.rows.fixed[usize::from(*c)]).sum();
        let of = |(near, demand): (&[(f64, u16); NEAR], &u8)| -> f64 {
            near.iter().take(usize::from(*demand)).map(|(cost, _)| cost).sum()
        };
        let served: f64 = self.near.iter().zip(&self.rows.demand).map(of).sum();
        Choice { cost: self.rows.base + fixed + served, columns }
    }

    /// Adds the columns that help most, one by one, until `k` are chosen.
    pub(super) fn grow(&mut self, k: usize) {
        while self.chosen.iter().filter(|chosen| **chosen).count() < k {
            let candidates = (0..self.chosen.len()).filter(|c| self.may_enter(*c));
            let gains = candidates.map(|column| (self.added(column), column));
            let Some((_, best)) = gains.min_by(|a, b| a.0.total_cmp(&b.0)) else { return };
            self.chosen[best] = true;
            self.look();
        }
    }

    fn may_enter(&self, column: usize) -> bool {
        !self.chosen[column] && self.states[column] != State::Out
    }

    /// By how much the cost changes when a column is added.
    fn added(&self, column: usize) -> f64 {
        let costs = self.rows.column(column).iter().zip(&self.near).zip(&self.rows.demand);
        let saved: f64 = costs
            .map(|((cost, near), demand)| (cost - near[usize::from(*demand) - 1].0).min(0.0))
            .sum();
        saved + self.rows.fixed[column]
    }

    /// The best swaps, until none helps.
    pub(super) fn descend(&mut self) {
        for _ in 0..SWAPS_MAX {
            let Some((change, enter, leave)) = self.best_swap() else { return };
            let tolerance = 1e-10 * self.near.iter().map(|near| near[0].0.abs()).sum::<f64>();
            if change >= -tolerance {
                return;
            }
            self.chosen[enter] = true;
            self.chosen[leave] = false;
            self.look();
        }
    }

    /// The change of cost, who enters and who leaves (Whitaker's fast interchange, 1983, carried to
    /// rows that need two columns).
    fn best_swap(&self) -> Option<(f64, usize, usize)> {
        let losses = self.losses();
        let leavers: Vec<usize> = (0..self.chosen.len())
            .filter(|c| self.chosen[*c] && self.states[*c] == State::Free)
            .collect();
        let mut correction = vec![0.0; self.chosen.len()];
        let mut best: Option<(f64, usize, usize)> = None;
        for enter in (0..self.chosen.len()).filter(|c| self.may_enter(*c)) {
            correction.fill(0.0);
            let mut gain = self.rows.fixed[enter];
            let costs = self.rows.column(enter).iter().zip(&self.near).zip(&self.rows.demand);
            for ((cost, near), demand) in costs {
                let demand = usize::from(*demand);
                let spare = near[demand].0;
                if *cost < spare {
                    let alone = (cost - near[demand - 1].0).min(0.0);
                    gain += alone;
                    for (_, column) in near.iter().take(demand).filter(|(_, c)| *c != NONE) {
                        correction[usize::from(*column)] += cost - spare - alone;
                    }
                }
            }
            for leave in &leavers {
                let change = gain + losses[*leave] + correction[*leave];
                if best.is_none_or(|(least, ..)| change < least) {
                    best = Some((change, enter, *leave));
                }
            }
        }
        best
    }

    /// By how much the cost rises when each chosen column is taken away.
    fn losses(&self) -> Vec<f64> {
        let mut losses: Vec<f64> = self.rows.fixed.iter().map(|fixed| -fixed).collect();
        for (near, demand) in self.near.iter().zip(&self.rows.demand) {
            let demand = usize::from(*demand);
            for (cost, column) in near.iter().take(demand).filter(|(_, c)| *c != NONE) {
                losses[usize::from(*column)] += near[demand].0 - cost;
            }
        }
        losses
    }

    /// Kicks, each followed by swaps; the best choice of all.
    pub(super) fn kick(&mut self, kicks: usize, is_over: &mut dyn FnMut() -> bool) -> Choice {
        let mut best = self.choice();
        for _ in 0..kicks {
            if is_over() {
                break;
            }
            let size = 1 + best.columns.len() / 12;
            for _ in 0..size {
                self.swap_at_random();
            }
            self.look();
            self.descend();
            let found = self.choice();
            if found.cost < best.cost {
                best = found;
            } else {
                self.chosen.fill(false);
                for column in &best.columns {
                    self.chosen[usize::from(*column)] = true;
                }
                self.look();
            }
        }
        best
    }

    fn swap_at_random(&mut self) {
        let all = 0..self.chosen.len();
        let leavers: Vec<usize> =
            all.clone().filter(|c| self.chosen[*c] && self.states[*c] == State::Free).collect();
        let enterers: Vec<usize> = all.filter(|c| self.may_enter(*c)).collect();
        if leavers.is_empty() || enterers.is_empty() {
            return;
        }
        let (leave, enter) =
            (leavers[self.draw(leavers.len())], enterers[self.draw(enterers.len())]);
        self.chosen[leave] = false;
        self.chosen[enter] = true;
    }

    /// A number below `bound` (Marsaglia's xorshift).
    fn draw(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        // Below `bound`, so that it fits.
        usize::try_from(self.random % bound as u64).unwrap_or(0)
    }
}
