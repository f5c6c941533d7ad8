//! The alternatives that a choice refused: those that differ by one column, by what was asked.
//!
//! Arithmetic on a matrix and a choice. It looks at single exchanges and removals only, and so proves nothing.

use super::matrix::CostMatrix;
use super::objective::{Answer, Objective, Request, rounded};

/// A column that could stand in the place of a chosen one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Exchange {
    /// The chosen column that would go.
    pub leaves: usize,
    /// The column that would come.
    pub enters: usize,
    /// By how much what was minimised would be worse: ms of the mean (its share of fixed costs too),
    /// or for `Slo` and `P95` the share of weight that is no longer within T. 0 is as good.
    pub loss: f64,
}

/// A sum and the weight that it is over.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    cost: f64,
    weight: f64,
}

impl Sum {
    fn add(&mut self, other: Self, sign: f64) {
        self.cost += sign * other.cost;
        self.weight += sign * other.weight;
    }
}

/// The nearest known columns of one client among the chosen, with their costs.
type Near = [Option<(usize, f64)>; 3];

/// The best exchange of one column, or `None` where none keeps every client served.
#[must_use]
pub fn best_exchange(matrix: &CostMatrix, request: &Request, answer: &Answer) -> Option<Exchange> {
    let all = best_exchanges(matrix, request, answer).into_iter().flatten();
    all.min_by(|a, b| a.loss.total_cmp(&b.loss))
}

/// The best column in the stead of each chosen one; `None` for a pinned one, and where every other strands a
/// client.
pub(super) fn best_exchanges(
    matrix: &CostMatrix,
    request: &Request,
    answer: &Answer,
) -> Vec<Option<Exchange>> {
    let value = Value::new(request, answer, answer.chosen.len());
    let near = nearest(matrix, &answer.chosen);
    let now = value.mean(&near, matrix);
    let is_free =
        |column: &usize| !answer.chosen.contains(column) && !request.forbidden.contains(column);
    let mut best: Vec<Option<Exchange>> = vec![None; answer.chosen.len()];
    for enters in (0..matrix.columns.len()).filter(is_free) {
        for (exchange, then) in exchanges(matrix, request, answer, (&near, enters, &value)) {
            let loss = rounded(then.cost / then.weight - now) + exchange.loss;
            let at = answer.chosen.iter().position(|column| *column == exchange.leaves);
            let Some(best) = at.map(|at| &mut best[at]) else { continue };
            if best.is_none_or(|known| loss < known.loss) {
                *best = Some(Exchange { loss, ..exchange });
            }
        }
    }
    best
}

/// By how much what was minimised is worse without a chosen column, in the units of [`Exchange::loss`];
/// `None` where a client is stranded.
pub(super) fn removal_loss(
    matrix: &CostMatrix,
    request: &Request,
    answer: &Answer,
    column: usize,
) -> Option<f64> {
    let rest: Vec<usize> = answer.chosen.iter().copied().filter(|c| *c != column).collect();
    let (before, after) = (nearest(matrix, &answer.chosen), nearest(matrix, &rest));
    let strands = |(client, near): (usize, &Near)| {
        near.iter().flatten().count() < needed(matrix, request, client)
    };
    if rest.is_empty()
        || request.n_minus_1 && rest.len() == 1
        || after.iter().enumerate().any(strands)
    {
        return None;
    }
    let now = Value::new(request, answer, answer.chosen.len()).mean(&before, matrix);
    let then = Value::new(request, answer, rest.len()).mean(&after, matrix);
    Some(rounded(then - now) - fixed_loss(matrix, request, column))
}

/// How many of the chosen columns must serve a client: two where one may be down, if it has two.
fn needed(matrix: &CostMatrix, request: &Request, client: usize) -> usize {
    let known = || matrix.costs(client).iter().flatten().count();
    if request.n_minus_1 { known().min(2) } else { 1 }
}

/// What the fixed cost of a column adds to what is minimised.
fn fixed_loss(matrix: &CostMatrix, request: &Request, column: usize) -> f64 {
    match request.objective {
        Objective::P95 => 0.0,
        Objective::Mean | Objective::Slo(_) => {
            request.fixed.get(column).copied().unwrap_or(0.0) / matrix.weight()
        }
    }
}

/// All exchanges that bring one column in, each with what it would come to. What they have as loss is
/// that of fixed costs alone.
fn exchanges(
    matrix: &CostMatrix,
    request: &Request,
    answer: &Answer,
    (near, enters, value): (&[Near], usize, &Value),
) -> Vec<(Exchange, Sum)> {
    let mut all = Sum::default();
    let mut own = vec![Sum::default(); matrix.columns.len()];
    let mut strands = vec![false; matrix.columns.len()];
    for (client, (near, weight)) in near.iter().zip(&matrix.weights).enumerate() {
        let new = matrix.costs(client)[enters].map(|cost| (enters, cost));
        let [first, second, third] = *near;
        let kept = value.best_two([first, second], new, *weight);
        all.add(kept, 1.0);
        for (leaves, rest) in [(first, [second, third]), (second, [first, third])] {
            let Some((leaves, _)) = leaves else { continue };
            let served = rest.iter().chain([&new]).flatten().count();
            strands[leaves] |= served < needed(matrix, request, client);
            own[leaves].add(value.best_two(rest, new, *weight), 1.0);
            own[leaves].add(kept, -1.0);
        }
    }
    let may_leave = |column: &&usize| !request.pinned.contains(column) && !strands[**column];
    let exchange = |leaves: &usize| {
        let mut then = all;
        then.add(own[*leaves], 1.0);
        let of = |column| fixed_loss(matrix, request, column);
        (Exchange { leaves: *leaves, enters, loss: of(enters) - of(*leaves) }, then)
    };
    answer.chosen.iter().filter(may_leave).map(exchange).collect()
}

fn nearest(matrix: &CostMatrix, chosen: &[usize]) -> Vec<Near> {
    (0..matrix.clients.len()).map(|client| near(matrix, client, chosen)).collect()
}

fn near(matrix: &CostMatrix, client: usize, chosen: &[usize]) -> Near {
    let costs = matrix.costs(client);
    let mut near: Near = [None; 3];
    for column in chosen {
        let Some(cost) = costs[*column] else { continue };
        let is_nearer = |there: &Option<(usize, f64)>| there.is_none_or(|(_, c)| cost < c);
        if let Some(at) = near.iter().position(is_nearer) {
            near[at..].rotate_right(1);
            near[at] = Some((*column, cost));
        }
    }
    near
}

/// What a client counts with.
struct Value {
    /// The shares of the nearest and of the next: 1 and 0, unless one may be down.
    shares: (f64, f64),
    limit_ms: Option<f64>,
}

impl Value {
    /// With `count` columns chosen, and within the answer's T.
    fn new(request: &Request, answer: &Answer, count: usize) -> Self {
        let k = count.max(1) as f64;
        let limit_ms = match request.objective {
            Objective::Mean => None,
            Objective::Slo(limit_ms) => Some(limit_ms),
            Objective::P95 => answer.cost_ms,
        };
        let shares = if request.n_minus_1 { ((k - 1.0) / k, 1.0 / k) } else { (1.0, 0.0) };
        Self { shares, limit_ms }
    }

    /// What is minimised, a client.
    fn mean(&self, near: &[Near], matrix: &CostMatrix) -> f64 {
        let mut sum = Sum::default();
        for (near, weight) in near.iter().zip(&matrix.weights) {
            sum.add(self.of(near[0], near[1], *weight), 1.0);
        }
        sum.cost / sum.weight
    }

    /// The nearest and the next of two and perhaps a third.
    fn best_two(
        &self,
        [first, second]: [Option<(usize, f64)>; 2],
        new: Option<(usize, f64)>,
        weight: f64,
    ) -> Sum {
        let Some(new) = new else { return self.of(first, second, weight) };
        let is_nearer = |other: Option<(usize, f64)>| other.is_none_or(|(_, cost)| new.1 < cost);
        if is_nearer(first) {
            self.of(Some(new), first, weight)
        } else if is_nearer(second) {
            self.of(first, Some(new), weight)
        } else {
            self.of(first, second, weight)
        }
    }

    fn of(&self, near: Option<(usize, f64)>, next: Option<(usize, f64)>, weight: f64) -> Sum {
        let part = |served: Option<(usize, f64)>, share: f64| {
            let Some((_, cost)) = served.filter(|_| share > 0.0) else { return Sum::default() };
            let weight = share * weight;
            let value = self.limit_ms.map_or(cost, |limit| f64::from(u8::from(cost > limit)));
            Sum { cost: weight * value, weight }
        };
        let mut sum = part(near, self.shares.0);
        sum.add(part(next, self.shares.1), 1.0);
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::super::objective::solve;
    use super::*;
    use proptest::prelude::*;

    fn matrix(costs: &[Vec<Option<f64>>]) -> CostMatrix {
        let columns = (0..costs[0].len()).map(|n| format!("c{n}")).collect();
        let rows = costs.iter().enumerate();
        CostMatrix::from_costs(columns, rows.map(|(at, row)| (format!("r{at}"), 1.0, row.clone())))
    }

    /// The mean that was minimised, worked out from the matrix.
    fn mean(matrix: &CostMatrix, chosen: &[usize], n_minus_1: bool) -> Option<f64> {
        let (mut cost, mut weight) = (0.0, 0.0);
        let downs: Vec<Option<usize>> =
            if n_minus_1 { chosen.iter().copied().map(Some).collect() } else { vec![None] };
        for client in 0..matrix.clients.len() {
            matrix.served(client, chosen)?;
            let count = |columns: &[usize]| {
                columns.iter().filter(|c| matrix.costs(client)[**c].is_some()).count()
            };
            if n_minus_1 && count(chosen) < 2 && count(&[0, 1, 2, 3, 4, 5]) >= 2 {
                return None;
            }
            for down in &downs {
                let up: Vec<usize> = chosen.iter().copied().filter(|c| Some(*c) != *down).collect();
                if let Some((_, ms)) = matrix.served(client, &up) {
                    cost += ms;
                    weight += 1.0;
                }
            }
        }
        Some(cost / weight)
    }

    proptest! {
        #[test]
        fn it_is_the_best_of_all_single_exchanges(
            costs in prop::collection::vec(
                prop::collection::vec(prop::option::weighted(0.9, (0_u32..90).prop_map(f64::from)), 6),
                1..12,
            ),
            k in 1_usize..4,
            n_minus_1 in any::<bool>(),
        ) {
            let matrix = matrix(&costs);
            prop_assume!(!matrix.clients.is_empty());
            let request = Request { n_minus_1, ..Request::plain() };
            let answer = solve(&matrix, &request, [k], &mut || false).unwrap().remove(0);
            prop_assume!(!answer.chosen.is_empty());
            let now = mean(&matrix, &answer.chosen, n_minus_1).unwrap();
            let mut best = f64::INFINITY;
            for at in 0..answer.chosen.len() {
                for enters in (0..6).filter(|c| !answer.chosen.contains(c)) {
                    let mut other = answer.chosen.clone();
                    other[at] = enters;
                    best = best.min(mean(&matrix, &other, n_minus_1).unwrap_or(f64::INFINITY) - now);
                }
            }
            let found = best_exchange(&matrix, &request, &answer).map_or(f64::INFINITY, |one| one.loss);
            let is_none = found.is_infinite() && best.is_infinite();
            prop_assert!(is_none || (found - best).abs() < 1e-6, "{found} {best}");
            // A proven choice has no better neighbour.
            prop_assert!(found > -1e-6, "{found}");
            for column in &answer.chosen {
                let rest: Vec<usize> =
                    answer.chosen.iter().copied().filter(|c| c != column).collect();
                let known = (rest.len() > usize::from(n_minus_1))
                    .then(|| mean(&matrix, &rest, n_minus_1))
                    .flatten()
                    .map(|then| then - now);
                let found = removal_loss(&matrix, &request, &answer, *column);
                let agrees = match (found, known) {
                    (Some(found), Some(known)) => (found - known).abs() < 1e-6,
                    (found, known) => found.is_none() && known.is_none(),
                };
                prop_assert!(agrees, "{column}: {found:?} {known:?}");
            }
        }
    }

    #[test]
    fn an_objective_is_lost_in_shares_and_pinned_columns_stay() {
        let costs = [[10.0, 50.0, 11.0], [50.0, 10.0, 60.0], [10.0, 60.0, 70.0]];
        let matrix = matrix(&costs.map(|row| row.map(Some).to_vec()));
        let request = Request { objective: Objective::Slo(20.0), ..Request::plain() };
        let of = |request: &Request| {
            let answer = solve(&matrix, request, [2], &mut || false).unwrap().remove(0);
            assert_eq!(answer.chosen, [0, 1]);
            best_exchange(&matrix, request, &answer)
        };
        let exchange = of(&request).unwrap();
        assert_eq!((exchange.leaves, exchange.enters), (0, 2));
        assert!((exchange.loss - 1.0 / 3.0).abs() < 1e-9);
        let answer = solve(&matrix, &request, [2], &mut || false).unwrap().remove(0);
        let loss = |column| removal_loss(&matrix, &request, &answer, column).unwrap();
        assert!((loss(0) - 2.0 / 3.0).abs() < 1e-9 && (loss(1) - 1.0 / 3.0).abs() < 1e-9);
        // What is saved counts as what is lost.
        let dear = Request { fixed: vec![3.0, 0.0, 0.0], ..request.clone() };
        let saved = removal_loss(&matrix, &dear, &answer, 0).unwrap();
        assert!((saved - (2.0 / 3.0 - 1.0)).abs() < 1e-9, "{saved}");
        assert_eq!(of(&Request { pinned: vec![0, 1], ..request.clone() }), None);
        assert_eq!(of(&Request { forbidden: vec![2], ..request }), None);
    }
}
