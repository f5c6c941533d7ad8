//! Branch and bound over the columns: the best choice of k, proven, or what is left unproven.
//!
//! It knows rows and columns only. Time is somebody else's: it asks whether its time is over.

use super::lagrange::{Effort, Lagrange};
use super::rows::Rows;
use super::swap::{Choice, Search, State};

/// At the root, where the bound decides how many columns are left.
const ROOT: Effort = Effort { steps: 1_500, patience: 20 };
/// At a node, whose parent's prices are nearly right.
const NODE: Effort = Effort { steps: 500, patience: 30 };
/// Kicks before the bound, and again where it leaves a gap.
const KICKS: usize = 2;
const KICKS_MORE: usize = 10;

/// The best choice and what is proven of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Solved {
    /// The best choice that was found. With fewer columns than asked there is none.
    pub(super) best: Choice,
    /// No choice costs less than this.
    pub(super) bound: f64,
    /// Prices for another number of columns to begin with.
    pub(super) prices: Vec<f64>,
}

/// What one search is given.
pub(super) struct Task<'a> {
    pub(super) rows: &'a Rows,
    pub(super) states: &'a [State],
    pub(super) k: usize,
    /// Columns to begin with.
    pub(super) start: &'a [u16],
    /// Prices to begin with, of the same rows.
    pub(super) prices: Option<&'a [f64]>,
    /// A cost that is good enough: whether there is such a choice is all that is asked.
    pub(super) enough: Option<f64>,
}

/// A part of the choices that is still open.
struct Node {
    states: Vec<State>,
    prices: Vec<f64>,
    bound: f64,
}

/// Solves a task. `is_over` is asked often.
pub(super) fn solve(task: &Task<'_>, is_over: &mut dyn FnMut() -> bool) -> Solved {
    let mut search = Search::new(task.rows, task.states, task.start);
    search.grow(task.k);
    search.descend();
    let best = search.kick(KICKS, is_over);
    let prices = match task.prices {
        Some(prices) => prices.to_vec(),
        None => Lagrange::prices_of(task.rows, &best.columns),
    };
    let mut tree = Tree::new(task, best);
    let mut root = Node { states: task.states.to_vec(), prices, bound: f64::NEG_INFINITY };
    tree.improve(task.rows, &mut root, ROOT, is_over);
    if !tree.is_done(root.bound) {
        let mut search = Search::new(task.rows, task.states, &tree.best.columns);
        let found = search.kick(KICKS_MORE, is_over);
        tree.take(found);
    }
    let prices = root.prices.clone();
    let bound = if tree.is_done(root.bound) {
        tree.best.cost
    } else {
        tree.search(task.rows, root, is_over)
    };
    Solved { bound: bound.min(tree.best.cost), best: tree.best, prices }
}

/// The best choice so far, and what would be better.
struct Tree {
    k: usize,
    step: f64,
    enough: Option<f64>,
    best: Choice,
}

impl Tree {
    fn new(task: &Task<'_>, best: Choice) -> Self {
        Self { k: task.k, step: task.rows.granularity(), enough: task.enough, best }
    }

    fn take(&mut self, choice: Choice) {
        if choice.cost < self.best.cost {
            self.best = choice;
        }
    }

    /// What a bound has to reach so that nothing better than the best choice is left.
    fn cutoff(&self, cost: f64) -> f64 {
        let tolerance = 1e-9 * cost.abs();
        let better = if self.step > 0.0 {
            cost - self.step + (100.0 * tolerance).clamp(1e-9, self.step / 2.0)
        } else {
            cost - tolerance
        };
        match self.enough {
            Some(enough) if cost <= enough => f64::NEG_INFINITY,
            Some(enough) => better.min(enough + tolerance),
            // No cost is negative, so that nothing is better than nothing.
            None if cost <= 0.0 => f64::NEG_INFINITY,
            None => better,
        }
    }

    fn is_done(&self, bound: f64) -> bool {
        bound >= self.cutoff(self.best.cost)
    }

    /// Lifts the bound of a node, and returns how often each column was chosen.
    fn improve(
        &mut self,
        rows: &Rows,
        node: &mut Node,
        effort: Effort,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Vec<f64> {
        let mut cutoff = self.cutoff(self.best.cost);
        let (k, best) = (self.k, self.best.cost);
        let mut better: Option<Choice> = None;
        let mut lagrange = Lagrange::new(rows, k, effort);
        let mut found = |open: &[bool]| {
            let least = better.as_ref().map_or(best, |choice| choice.cost);
            if rows.cost_of(open) < least {
                better = Some(Search::open(rows, open).choice());
            }
            self.cutoff(better.as_ref().map_or(best, |choice| choice.cost))
        };
        let bound = lagrange.improve(&node.states, &node.prices, &mut cutoff, &mut found, is_over);
        if let Some(choice) = better {
            self.take(choice);
        }
        node.states = bound.states;
        node.prices = bound.prices;
        node.bound = node.bound.max(bound.value);
        bound.activity
    }

    /// Depth first, the column in before the column out. Returns what is proven at the end.
    fn search(&mut self, all: &Rows, root: Node, is_over: &mut dyn FnMut() -> bool) -> f64 {
        let alive: Vec<bool> = root.states.iter().map(|state| *state != State::Out).collect();
        let (rows, names) = all.with_columns(&alive);
        let back = |choice: &mut Choice| {
            choice.columns.iter_mut().for_each(|c| *c = names[usize::from(*c)]);
        };
        let states = names.iter().map(|name| root.states[usize::from(*name)]).collect();
        let outside = self.best.clone();
        let mut stack = vec![Node { states, ..root }];
        let mut proven = f64::INFINITY;
        while let Some(mut node) = stack.pop() {
            if self.is_done(node.bound) {
                continue;
            }
            if is_over() {
                proven = stack.iter().fold(node.bound, |least, node| least.min(node.bound));
                break;
            }
            let activity = self.improve(&rows, &mut node, NODE, is_over);
            if self.is_done(node.bound) {
                continue;
            }
            let Some(column) = branching(&node.states, &activity, self.k) else {
                let open: Vec<bool> = settled(&node.states, self.k);
                let choice = Search::open(&rows, &open).choice();
                self.take(choice);
                continue;
            };
            for state in [State::Out, State::In] {
                let mut states = node.states.clone();
                states[column] = state;
                stack.push(Node { states, prices: node.prices.clone(), bound: node.bound });
            }
        }
        if self.best != outside {
            back(&mut self.best);
        }
        proven.min(self.best.cost)
    }
}

/// The column to decide next: the one that was chosen nearest to half of the time. `None` where
/// nothing is left to decide.
fn branching(states: &[State], activity: &[f64], k: usize) -> Option<usize> {
    let count = |wanted| states.iter().filter(|state| **state == wanted).count();
    let (inside, free) = (count(State::In), count(State::Free));
    if inside >= k || inside + free <= k {
        return None;
    }
    let free = (0..states.len()).filter(|column| states[*column] == State::Free);
    let distance = |column: &usize| (activity[*column] - 0.5).abs();
    free.min_by(|a, b| distance(a).total_cmp(&distance(b)))
}

/// The one choice that is left where there is nothing to decide.
fn settled(states: &[State], k: usize) -> Vec<bool> {
    let inside = states.iter().filter(|state| **state == State::In).count();
    let all = inside < k;
    states.iter().map(|s| *s == State::In || (all && *s == State::Free)).collect()
}
