//! Lower bounds: each row pays a price for being served, and columns are chosen by what they earn.
//!
//! For prices p the bound is `base + sum demand_r p_r + sum over the k cheapest columns j of
//! (fixed_j + sum_r min(0, c_rj - p_r))`; every price vector gives one, for every k. Prices rise by
//! deflected subgradient steps (Polyak's length; Camerini, Fratta and Maffioli's direction). The
//! same prices, read as coefficients of the columns, are the Benders cut of that point.

use super::rows::Rows;
use super::swap::State;

/// How long prices are improved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Effort {
    /// Steps at most.
    pub(super) steps: u32,
    /// Steps without progress before the step is halved.
    pub(super) patience: u32,
}

/// Step lengths below this share of Polyak's no longer move the bound.
const STEP_LEAST: f64 = 0.02;

/// Steps between two questions whether the time is over.
const ASK_EVERY: u32 = 16;

/// What came of improving prices at one node.
#[derive(Debug)]
pub(super) struct Bound {
    /// No choice of the node costs less.
    pub(super) value: f64,
    /// The prices that give it.
    pub(super) prices: Vec<f64>,
    /// How often each column was among the cheapest, 0 to 1, lately most.
    pub(super) activity: Vec<f64>,
    /// The node's states with what follows from the bound.
    pub(super) states: Vec<State>,
}

/// The place where bounds of one problem are worked out.
#[derive(Debug)]
pub(super) struct Lagrange<'a> {
    rows: &'a Rows,
    k: usize,
    effort: Effort,
    earns: Vec<f64>,
    open: Vec<bool>,
    order: Vec<usize>,
    /// The least and the highest price of each row that can be of use.
    ranges: Vec<(f64, f64)>,
    /// How many of each row's sorted costs are not above its price.
    reached: Vec<usize>,
    gradient: Vec<f64>,
}

/// The best prices so far and how the steps go.
struct Ascent {
    prices: Vec<f64>,
    direction: Vec<f64>,
    length: f64,
    stalled: u32,
}

impl<'a> Lagrange<'a> {
    pub(super) fn new(rows: &'a Rows, k: usize, effort: Effort) -> Self {
        let columns = rows.columns();
        Self {
            rows,
            k,
            effort,
            earns: vec![0.0; columns],
            open: vec![false; columns],
            order: Vec::with_capacity(columns),
            ranges: (0..rows.len()).map(|index| rows.range(index)).collect(),
            reached: vec![0; rows.len()],
            gradient: vec![0.0; rows.len()],
        }
    }

    /// Prices to begin with, from a choice: between the cost that a row has and its next.
    pub(super) fn prices_of(rows: &Rows, chosen: &[u16]) -> Vec<f64> {
        let mut open = vec![false; rows.columns()];
        for column in chosen {
            open[usize::from(*column)] = true;
        }
        let price = |index: usize| {
            let (costs, columns) = rows.row(index);
            let demand = usize::from(rows.demand[index]);
            let served = costs.iter().zip(columns).filter(|(_, c)| open[usize::from(**c)]);
            let mut served = served.map(|(cost, _)| *cost).skip(demand - 1);
            let rest = rows.rest[index];
            let here = served.next().unwrap_or(rest);
            // What nobody serves has a price without limit; twice its cost is high enough to begin.
            let next = served.next().unwrap_or(rest).min(2.0 * here);
            f64::midpoint(here, next).min(rest)
        };
        (0..rows.len()).map(price).collect()
    }

    /// Improves prices until nothing better than `cutoff` can be in the node, or the effort is spent.
    /// `found` is shown what the cheapest columns are, whenever the bound has risen.
    pub(super) fn improve(
        &mut self,
        states: &[State],
        prices: &[f64],
        cutoff: &mut f64,
        found: &mut dyn FnMut(&[bool]) -> f64,
        is_over: &mut dyn FnMut() -> bool,
    ) -> Bound {
        let mut ascent = Ascent {
            prices: self.within(prices),
            direction: vec![0.0; prices.len()],
            length: 1.2,
            stalled: 0,
        };
        let mut best = Bound {
            value: f64::NEG_INFINITY,
            prices: ascent.prices.clone(),
            activity: vec![0.5; self.rows.columns()],
            states: states.to_vec(),
        };
        for step in 1..=self.effort.steps {
            let value = self.evaluate(&ascent.prices, &best.states);
            if value > best.value {
                let rose = value - best.value > 1e-4 * (*cutoff - best.value).abs();
                best.value = value;
                best.prices.copy_from_slice(&ascent.prices);
                if rose {
                    ascent.stalled = 0;
                    *cutoff = cutoff.min(found(&self.open));
                }
            }
            if best.value >= *cutoff || !self.fix(value, *cutoff, &mut best.states) {
                best.value = best.value.max(*cutoff);
                break;
            }
            for (activity, open) in best.activity.iter_mut().zip(&self.open) {
                *activity = 0.9 * *activity + 0.1 * f64::from(u8::from(*open));
            }
            if step % ASK_EVERY == 0 && is_over() {
                break;
            }
            ascent.stalled += 1;
            if ascent.stalled > self.effort.patience {
                ascent.length *= 0.6;
                ascent.stalled = 0;
                ascent.prices.copy_from_slice(&best.prices);
                ascent.direction.fill(0.0);
                if ascent.length < STEP_LEAST {
                    break;
                }
                continue;
            }
            if !self.step(&mut ascent, *cutoff - value) {
                break;
            }
        }
        best
    }

    /// Prices that can be of use, whatever rows they come from.
    fn within(&self, prices: &[f64]) -> Vec<f64> {
        let clamp = |(index, price): (usize, &f64)| {
            let (least, most) = self.rows.range(index);
            price.clamp(least, most)
        };
        prices.iter().enumerate().map(clamp).collect()
    }

    /// The bound at these prices; the cheapest columns are opened.
    fn evaluate(&mut self, prices: &[f64], states: &[State]) -> f64 {
        self.earns.copy_from_slice(&self.rows.fixed);
        let mut value = self.rows.base;
        for (index, (price, demand)) in prices.iter().zip(&self.rows.demand).enumerate() {
            value += f64::from(*demand) * price;
            let (costs, columns) = self.rows.row(index);
            let mut reached = 0;
            for (cost, column) in costs.iter().zip(columns) {
                // One that costs as much as the price earns nothing, and yet counts in the slope: it is the
                // next that is reached.
                if cost > price {
                    break;
                }
                self.earns[usize::from(*column)] += cost - price;
                reached += 1;
            }
            self.reached[index] = reached;
        }
        self.choose(states);
        let opened = self.earns.iter().zip(&self.open).filter(|(_, open)| **open);
        value + opened.map(|(earns, _)| earns).sum::<f64>()
    }

    /// Opens what must be open and the cheapest of the rest, ties by order.
    fn choose(&mut self, states: &[State]) {
        self.order.clear();
        let mut left = self.k;
        for (column, state) in states.iter().enumerate() {
            self.open[column] = *state == State::In;
            match state {
                State::In => left = left.saturating_sub(1),
                State::Free => self.order.push(column),
                State::Out => {}
            }
        }
        let earns = &self.earns;
        let by_cost = |a: &usize, b: &usize| earns[*a].total_cmp(&earns[*b]).then(a.cmp(b));
        if left > 0 && left < self.order.len() {
            self.order.select_nth_unstable_by(left - 1, by_cost);
        }
        for column in self.order.iter().take(left) {
            self.open[*column] = true;
        }
    }

    /// Fixes columns whose change would lift the bound to `cutoff`. False if nothing can be left.
    fn fix(&self, value: f64, cutoff: f64, states: &mut [State]) -> bool {
        let of = |open: bool| {
            let free = states.iter().zip(&self.open).zip(&self.earns);
            free.filter(move |((state, is), _)| **state == State::Free && **is == open)
                .map(|(_, earns)| *earns)
        };
        let (dearest, cheapest) =
            (of(true).fold(f64::NEG_INFINITY, f64::max), of(false).fold(f64::INFINITY, f64::min));
        let mut inside = 0;
        let mut possible = 0;
        for ((state, open), earns) in states.iter_mut().zip(&self.open).zip(&self.earns) {
            if *state == State::Free {
                if *open && value + cheapest - earns >= cutoff {
                    *state = State::In;
                } else if !*open && value + earns - dearest >= cutoff {
                    *state = State::Out;
                }
            }
            inside += usize::from(*state == State::In);
            possible += usize::from(*state != State::Out);
        }
        inside <= self.k && possible >= self.k
    }

    /// One step of the prices; false where the direction is null, which proves the bound.
    fn step(&mut self, ascent: &mut Ascent, distance: f64) -> bool {
        let mut along = 0.0;
        let mut before = 0.0;
        for (index, price) in ascent.prices.iter().enumerate() {
            let (_, columns) = self.rows.row(index);
            let served = columns[..self.reached[index]].iter();
            let served: i32 = served.map(|column| i32::from(self.open[usize::from(*column)])).sum();
            let mut slope = f64::from(i32::from(self.rows.demand[index]) - served);
            let (least, most) = self.ranges[index];
            if (slope > 0.0 && *price >= most) || (slope < 0.0 && *price <= least) {
                slope = 0.0;
            }
            // In units of the row's own scale, in which steps are isotropic.
            slope *= self.rows.scale[index];
            let direction = ascent.direction[index];
            along += slope * direction;
            before += direction * direction;
            self.gradient[index] = slope;
        }
        let deflection = if along < 0.0 { -1.5 * along / before } else { 0.0 };
        let mut square = 0.0;
        for (direction, slope) in ascent.direction.iter_mut().zip(&self.gradient) {
            *direction = slope + deflection * *direction;
            square += *direction * *direction;
        }
        if square == 0.0 {
            return false;
        }
        let length = ascent.length * distance / square;
        let rows = ascent.prices.iter_mut().zip(&ascent.direction).zip(&self.rows.scale);
        for (((price, direction), scale), (least, most)) in rows.zip(&self.ranges) {
            *price = (*price + length * direction * scale).clamp(*least, *most);
        }
        true
    }
}
