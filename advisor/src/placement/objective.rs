//! What "best" means, as rows for the solver, and the solver's answers in the matrix's own terms.
//!
//! Pure. Costs of answers are worked out from the matrix, not from the rows.

use super::branch::{Solved, Task, solve as solve_task};
use super::matrix::CostMatrix;
use super::rows::{Row, Rows};
use super::swap::State;

/// The share of weight that `p95` covers.
const COVERED: f64 = 0.95;
/// Significant digits of sums: what the order of adding could change is not printed.
const DIGITS: usize = 12;

/// What is minimised.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Objective {
    /// The weighted mean cost.
    Mean,
    /// The weight that costs more than so many ms.
    Slo(f64),
    /// The least cost within which 95 % of the weight lies.
    P95,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What is minimised.
    pub objective: Objective,
    /// Columns that are always chosen.
    pub pinned: Vec<usize>,
    /// Columns that are never chosen.
    pub forbidden: Vec<usize>,
    /// The fixed cost of each column, in units of the weighted sum; empty for none. With `Slo` it is
    /// in units of weight; with `P95` it has no part.
    pub fixed: Vec<f64>,
    /// Whether costs are the mean over one chosen column being down, each in turn.
    pub n_minus_1: bool,
}

impl Request {
    /// The least mean cost, with nothing pinned, forbidden, fixed or down.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            objective: Objective::Mean,
            pinned: Vec::new(),
            forbidden: Vec::new(),
            fixed: Vec::new(),
            n_minus_1: false,
        }
    }
}

/// Why a request cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// More or fewer columns than there can be.
    #[error("{k} columns cannot be chosen: {pinned} are pinned, and {allowed} are not forbidden")]
    Count {
        /// How many were asked for.
        k: usize,
        /// Columns that are always chosen.
        pinned: usize,
        /// Columns that may be chosen.
        allowed: usize,
    },
    /// Pinned and forbidden at once.
    #[error("column {0:?} is pinned and forbidden")]
    Both(String),
}

/// The best choice of k columns.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// How many columns.
    pub k: usize,
    /// The columns, sorted; empty where every choice strands a client.
    pub chosen: Vec<usize>,
    /// The weighted mean cost in ms; for `Slo` and `P95` the T.
    pub cost_ms: Option<f64>,
    /// The weighted sum of costs, without fixed costs.
    pub total: Option<f64>,
    /// The fixed costs of the chosen.
    pub fixed_cost: f64,
    /// The share of the weight within T, for `Slo` and `P95`.
    pub covered_share: Option<f64>,
    /// Whether it is proven that nothing is better.
    pub optimal: bool,
    /// How much better a choice could at most be, as a share of what was minimised.
    pub gap: f64,
}

/// Solves for each of `ks` in turn. `is_over` is asked often; what is not proven then has a gap.
pub fn solve(
    matrix: &CostMatrix,
    request: &Request,
    ks: impl IntoIterator<Item = usize>,
    is_over: &mut dyn FnMut() -> bool,
) -> Result<Vec<Answer>, RequestError> {
    let mut solver = Solver::new(matrix, request)?;
    ks.into_iter().map(|k| solver.answer(k, is_over)).collect()
}

/// The plain frontier of 1 to `most` columns. The solver may ask `asks_max` times whether its time is
/// over: a bound that is the same on every machine.
#[must_use]
pub fn plain_frontier(matrix: &CostMatrix, most: usize, asks_max: u32) -> Vec<Answer> {
    let mut asks = 0;
    let mut is_over = || {
        asks += 1;
        asks > asks_max
    };
    // A plain request is refused for its number of columns alone.
    let most = most.min(matrix.columns.len());
    solve(matrix, &Request::plain(), 1..=most, &mut is_over).unwrap_or_default()
}

struct Solver<'a> {
    matrix: &'a CostMatrix,
    request: &'a Request,
    states: Vec<State>,
    /// The rows of the last k, which are those of the next too unless one may be down.
    rows: Option<Rows>,
    prices: Option<Vec<f64>>,
    start: Vec<u16>,
}

impl<'a> Solver<'a> {
    fn new(matrix: &'a CostMatrix, request: &'a Request) -> Result<Self, RequestError> {
        let mut states = vec![State::Free; matrix.columns.len()];
        request.forbidden.iter().for_each(|column| states[*column] = State::Out);
        for column in &request.pinned {
            if states[*column] == State::Out {
                return Err(RequestError::Both(matrix.columns[*column].clone()));
            }
            states[*column] = State::In;
        }
        Ok(Self { matrix, request, states, rows: None, prices: None, start: Vec::new() })
    }

    fn answer(
        &mut self,
        k: usize,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Result<Answer, RequestError> {
        let count = |wanted| self.states.iter().filter(|state| **state == wanted).count();
        let (pinned, free) = (count(State::In), count(State::Free));
        if k == 0 || k < pinned || k > pinned + free {
            return Err(RequestError::Count { k, pinned, allowed: pinned + free });
        }
        if self.request.n_minus_1 && k == 1 {
            return Ok(infeasible(k, true));
        }
        match self.request.objective {
            Objective::P95 => Ok(self.smallest_t(k, is_over)),
            Objective::Mean | Objective::Slo(_) => Ok(self.least_sum(k, is_over)),
        }
    }

    fn least_sum(&mut self, k: usize, is_over: &mut dyn FnMut() -> bool) -> Answer {
        let limit = match self.request.objective {
            Objective::Slo(limit_ms) => Some(limit_ms),
            _ => None,
        };
        let kept = if self.request.n_minus_1 { None } else { self.rows.take() };
        let rows = kept.unwrap_or_else(|| self.rows_of(k, limit));
        let solved = self.run(&rows, k, None, is_over);
        self.start.clone_from(&solved.best.columns);
        self.prices = (!self.request.n_minus_1).then_some(solved.prices);
        self.rows = Some(rows);
        let (best, bound) = (solved.best.cost, solved.bound);
        let hard = self.hard(limit.is_some());
        if best >= hard / 2.0 {
            return infeasible(k, bound >= hard / 2.0 || bound >= best);
        }
        let optimal = bound >= best - 1e-9 * best.abs();
        let gap = if optimal || best <= 0.0 { 0.0 } else { (best - bound.max(0.0)) / best };
        self.told(k, &solved.best.columns, limit, (optimal, gap))
    }

    fn run(
        &self,
        rows: &Rows,
        k: usize,
        enough: Option<f64>,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Solved {
        let start = if self.start.len() <= k { &self.start[..] } else { &[] };
        let prices = self.prices.as_deref().filter(|prices| prices.len() == rows.len());
        let task = Task { rows, states: &self.states, k, start, prices, enough };
        solve_task(&task, is_over)
    }

    /// The least T by bisection over the costs that there are.
    fn smallest_t(&mut self, k: usize, is_over: &mut dyn FnMut() -> bool) -> Answer {
        let mut values: Vec<f64> = (0..self.matrix.clients.len())
            .flat_map(|client| self.matrix.costs(client).iter().flatten().copied())
            .collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        // Below `open` nothing suffices, proven; from `found` on something does.
        let (mut open, mut low, mut found) = (0, 0, values.len());
        let mut best: Option<Vec<u16>> = None;
        let enough = (1.0 - COVERED + 1e-12) * self.weight_of_rows(k);
        while low < found {
            let middle = if found == values.len() { found - 1 } else { low.midpoint(found) };
            let rows = self.rows_of(k, Some(values[middle]));
            let solved = self.run(&rows, k, Some(enough), is_over);
            self.start.clone_from(&solved.best.columns);
            if solved.best.cost <= enough {
                found = middle;
                best = Some(solved.best.columns);
                continue;
            }
            if solved.bound > enough && open == low {
                open = middle + 1;
            }
            low = middle + 1;
        }
        let optimal = open == low;
        let Some(best) = best else { return infeasible(k, optimal) };
        let t = values[found];
        let gap = if optimal || t <= 0.0 { 0.0 } else { (t - values[open.min(found)]) / t };
        self.told(k, &best, Some(t), (optimal, gap))
    }

    /// The weight of everybody, but for the parts in which somebody's only column is down.
    fn weight_of_rows(&self, k: usize) -> f64 {
        let only_one = |client: usize| self.matrix.costs(client).iter().flatten().count() == 1;
        let weight = |client: usize| {
            let part =
                if self.request.n_minus_1 && only_one(client) { 1.0 / k as f64 } else { 0.0 };
            self.matrix.weights[client] * (1.0 - part)
        };
        sum((0..self.matrix.clients.len()).map(weight))
    }

    /// More than any choice costs that strands nobody.
    fn hard(&self, is_share: bool) -> f64 {
        let fixed: f64 = self.request.fixed.iter().sum();
        let dearest = |client: usize| {
            let costs = self.matrix.costs(client).iter().flatten();
            let most = costs.fold(0.0, |a: f64, b| a.max(*b));
            self.matrix.weights[client] * if is_share { 1.0 } else { most }
        };
        let sum: f64 = (0..self.matrix.clients.len()).map(dearest).sum();
        4.0 * (sum + fixed) + 1.0
    }

    /// The rows for k columns; within a limit what counts is whether a client lies within it.
    fn rows_of(&self, k: usize, limit: Option<f64>) -> Rows {
        let hard = self.hard(limit.is_some());
        // With one of k down, each in turn, a client pays (k - 1) / k of its nearest and 1 / k of
        // its next: (k - 2) / k of the nearest alone and 1 / k of the two together.
        let shares = match (self.request.n_minus_1, k) {
            (false, _) => (1.0, 0.0),
            (true, k) => (1.0 - 2.0 / k as f64, 1.0 / k as f64),
        };
        let mut rows = Vec::with_capacity(self.matrix.clients.len());
        for client in 0..self.matrix.clients.len() {
            self.rows_of_client(client, shares, limit, hard, &mut rows);
        }
        let none = vec![0.0; self.matrix.columns.len()];
        let has_fixed = !self.request.fixed.is_empty() && self.request.objective != Objective::P95;
        Rows::new(rows, if has_fixed { self.request.fixed.clone() } else { none })
    }

    fn rows_of_client(
        &self,
        client: usize,
        (nearest, both): (f64, f64),
        limit: Option<f64>,
        hard: f64,
        rows: &mut Vec<Row>,
    ) {
        let weight = self.matrix.weights[client];
        let known = (0..=u16::MAX).zip(self.matrix.costs(client));
        let known: Vec<(u16, f64)> = known.filter_map(|(c, cost)| Some((c, (*cost)?))).collect();
        // Whoever has one column only loses it when that is down; nobody can help that.
        let (nearest, both) =
            if known.len() == 1 { (nearest + both, 0.0) } else { (nearest, both) };
        let is_partial = known.len() < self.matrix.columns.len();
        for (share, demand) in [(nearest, 1), (both, 2)] {
            if share <= 0.0 {
                continue;
            }
            let weight = share * weight;
            let Some(limit) = limit else {
                let entries = known.iter().map(|(column, cost)| (weight * cost, *column));
                rows.push(Row::new(demand, entries.collect(), hard));
                continue;
            };
            let within = known.iter().filter(|(_, cost)| *cost <= limit);
            let within: Vec<(f64, u16)> = within.map(|(column, _)| (0.0, *column)).collect();
            if weight > 0.0 {
                rows.push(Row::new(demand, within, weight));
            }
            if is_partial {
                let served = known.iter().map(|(column, _)| (0.0, *column));
                rows.push(Row::new(demand, served.collect(), hard));
            }
        }
    }

    fn told(
        &self,
        k: usize,
        columns: &[u16],
        limit: Option<f64>,
        (optimal, gap): (bool, f64),
    ) -> Answer {
        let chosen: Vec<usize> = columns.iter().map(|column| usize::from(*column)).collect();
        let costs = costs_of(self.matrix, &chosen, self.request.n_minus_1);
        let weight = sum(costs.iter().map(|(weight, _)| *weight));
        let total = rounded(sum(costs.iter().map(|(weight, cost)| weight * cost)));
        let covered = |limit: f64| {
            let within = costs.iter().filter(|(_, cost)| *cost <= limit);
            rounded(sum(within.map(|(weight, _)| *weight)) / weight)
        };
        Answer {
            k,
            cost_ms: Some(limit.unwrap_or_else(|| rounded(total / weight))),
            total: Some(total),
            fixed_cost: chosen.iter().filter_map(|column| self.request.fixed.get(*column)).sum(),
            covered_share: limit.map(covered),
            optimal,
            gap,
            chosen,
        }
    }
}

fn infeasible(k: usize, optimal: bool) -> Answer {
    Answer {
        k,
        chosen: Vec::new(),
        cost_ms: None,
        total: None,
        fixed_cost: 0.0,
        covered_share: None,
        optimal,
        gap: if optimal { 0.0 } else { 1.0 },
    }
}

/// Weights and costs of the served clients; with one of the chosen down, each in turn, a client
/// counts for as many parts.
fn costs_of(matrix: &CostMatrix, chosen: &[usize], n_minus_1: bool) -> Vec<(f64, f64)> {
    let mut costs = Vec::new();
    let k = chosen.len() as f64;
    for client in 0..matrix.clients.len() {
        let Some((nearest, cost)) = matrix.served(client, chosen) else { continue };
        let weight = matrix.weights[client];
        if !n_minus_1 {
            costs.push((weight, cost));
            continue;
        }
        costs.push((weight * (k - 1.0) / k, cost));
        let others: Vec<usize> = chosen.iter().copied().filter(|c| *c != nearest).collect();
        costs.extend(matrix.served(client, &others).map(|(_, cost)| (weight / k, cost)));
    }
    costs
}

/// A sum that loses nothing to its order (Neumaier 1974).
pub(super) fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    for value in values {
        let next = sum + value;
        lost += if sum.abs() >= value.abs() { sum - next + value } else { value - next + sum };
        sum = next;
    }
    sum + lost
}

/// To 12 significant digits.
pub(super) fn rounded(value: f64) -> f64 {
    if value == 0.0 || !value.is_finite() {
        return value;
    }
    // The decimal text of so many digits is the nearest such number.
    let digits = DIGITS - 1;
    format!("{value:.digits$e}").parse().unwrap_or(value)
}
