//! What the solver works on: few, weighted, sorted rows in place of many clients.
//!
//! Pure reductions that keep every choice's cost. It searches nothing.

use std::collections::HashMap;

/// Columns that a mask can hold.
const MASK_COLUMNS: usize = u128::BITS as usize;
/// Prefix sets replace rows only where there are at least this many rows a column.
const ROWS_A_COLUMN: usize = 8;

/// A demand of `demand` columns: it costs the sum of the `demand` least costs among the chosen.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// How many chosen columns serve it, 1 or 2.
    pub(super) demand: u8,
    /// Weighted cost of the columns that can serve it, in order of cost, then column.
    pub(super) entries: Vec<(f64, u16)>,
    /// The cost of anything else. At least that of every entry.
    pub(super) rest: f64,
}

impl Row {
    /// A row from unsorted entries.
    pub(super) fn new(demand: u8, mut entries: Vec<(f64, u16)>, rest: f64) -> Self {
        entries.retain(|(cost, _)| *cost < rest);
        entries.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        Self { demand, entries, rest }
    }
}

/// The rows of one problem, laid out for scanning.
#[derive(Debug, Clone)]
pub(super) struct Rows {
    /// A cost that every choice has.
    pub(super) base: f64,
    /// The fixed cost of each column.
    pub(super) fixed: Vec<f64>,
    pub(super) demand: Vec<u8>,
    pub(super) rest: Vec<f64>,
    /// By what a row's price steps are scaled.
    pub(super) scale: Vec<f64>,
    /// Where each row's entries begin; one more than there are rows.
    start: Vec<u32>,
    cost: Vec<f64>,
    column: Vec<u16>,
    /// Every cost by column, then row.
    dense: Vec<f64>,
}

impl Rows {
    /// Lays rows out; equal ones are merged first, and rows that only differ in cost become the
    /// sets of columns that they have in common, where that makes them fewer.
    pub(super) fn new(rows: Vec<Row>, fixed: Vec<f64>) -> Self {
        let columns = fixed.len();
        let many = rows.len() >= ROWS_A_COLUMN * columns.max(1);
        if many && columns <= MASK_COLUMNS {
            let (rows, base) = prefix_sets(&rows);
            return Self::lay_out(&rows, fixed, base);
        }
        Self::lay_out(&merged(rows), fixed, 0.0)
    }

    fn lay_out(rows: &[Row], fixed: Vec<f64>, base: f64) -> Self {
        let mut dense = vec![0.0; rows.len() * fixed.len()];
        let (mut start, mut cost, mut column) = (vec![0], Vec::new(), Vec::new());
        for (index, row) in rows.iter().enumerate() {
            for by_column in dense.chunks_exact_mut(rows.len()) {
                by_column[index] = row.rest;
            }
            for (value, at) in &row.entries {
                dense[usize::from(*at) * rows.len() + index] = *value;
                cost.push(*value);
                column.push(*at);
            }
            // At most 65,536 columns and as many rows as memory holds entries for.
            start.push(u32::try_from(cost.len()).unwrap_or(u32::MAX));
        }
        let demand = rows.iter().map(|row| row.demand).collect();
        let rest = rows.iter().map(|row| row.rest).collect();
        let scale = rows.iter().map(scale).collect();
        Self { base, fixed, demand, rest, scale, start, cost, column, dense }
    }

    pub(super) fn len(&self) -> usize {
        self.demand.len()
    }

    pub(super) fn columns(&self) -> usize {
        self.fixed.len()
    }

    /// The least and the highest price of one row that can be of use.
    pub(super) fn range(&self, index: usize) -> (f64, f64) {
        let (costs, _) = self.row(index);
        (costs.first().copied().unwrap_or(self.rest[index]), self.rest[index])
    }

    /// The costs and columns of one row, in order of cost.
    pub(super) fn row(&self, index: usize) -> (&[f64], &[u16]) {
        let range = self.start[index] as usize..self.start[index + 1] as usize;
        (&self.cost[range.clone()], &self.column[range])
    }

    /// The cost of a choice.
    pub(super) fn cost_of(&self, open: &[bool]) -> f64 {
        let fixed = self.fixed.iter().zip(open).filter(|(_, open)| **open).map(|(fixed, _)| fixed);
        let served = (0..self.len()).map(|index| {
            let (costs, columns) = self.row(index);
            let mut left = self.demand[index];
            let mut sum = 0.0;
            for (cost, column) in costs.iter().zip(columns) {
                if open[usize::from(*column)] {
                    sum += cost;
                    left -= 1;
                    if left == 0 {
                        return sum;
                    }
                }
            }
            sum + f64::from(left) * self.rest[index]
        });
        self.base + fixed.sum::<f64>() + served.sum::<f64>()
    }

    /// The cost of one column in every row.
    pub(super) fn column(&self, column: usize) -> &[f64] {
        &self.dense[column * self.len()..(column + 1) * self.len()]
    }

    /// The same problem with `alive` columns only, and which column each of them was. It holds for
    /// choices that have at least one of them.
    pub(super) fn with_columns(&self, alive: &[bool]) -> (Self, Vec<u16>) {
        let kept: Vec<u16> =
            (0..=u16::MAX).zip(alive).filter(|(_, alive)| **alive).map(|(c, _)| c).collect();
        let mut renamed = vec![0_u16; alive.len()];
        for (new, old) in (0..=u16::MAX).zip(&kept) {
            renamed[usize::from(*old)] = new;
        }
        let rows: Vec<Row> = (0..self.len())
            .map(|index| {
                let (costs, columns) = self.row(index);
                let entries = costs.iter().zip(columns).filter(|(_, c)| alive[usize::from(**c)]);
                Row {
                    demand: self.demand[index],
                    entries: entries.map(|(cost, c)| (*cost, renamed[usize::from(*c)])).collect(),
                    rest: self.rest[index],
                }
            })
            .collect();
        let fixed = kept.iter().map(|c| self.fixed[usize::from(*c)]).collect();
        (Self::lay_out(&rows, fixed, self.base), kept)
    }

    /// The largest of 1, 1/10, 1/100 and 1/1000 that every cost is a multiple of, or 0.
    pub(super) fn granularity(&self) -> f64 {
        let costs = || {
            let base = std::iter::once(&self.base);
            base.chain(&self.fixed).chain(&self.rest).chain(&self.cost)
        };
        if self.demand.len() as f64 * costs().fold(0.0, |a: f64, b| a.max(b.abs())) > 1e12 {
            return 0.0;
        }
        let whole = |value: f64| (value - value.round()).abs() <= 1e-9 * value.abs().max(1.0);
        let fits = |parts: &f64| costs().all(|cost| whole(cost * parts));
        [1.0, 10.0, 100.0, 1000.0].into_iter().find(fits).map_or(0.0, |parts| 1.0 / parts)
    }
}

/// The square root of the range that a row's price moves in: between no scaling, in which small rows
/// are as quick as large ones, and full scaling, it converged best by far.
fn scale(row: &Row) -> f64 {
    let first = row.entries.first().map_or(0.0, |(cost, _)| *cost);
    let last = row.entries.last().map_or(0.0, |(cost, _)| *cost);
    let range = if last > first { last - first } else { row.rest - first };
    range.max(f64::MIN_POSITIVE).sqrt()
}

/// Rows of the same demand whose costs are the same up to a factor are one row of their sum.
fn merged(rows: Vec<Row>) -> Vec<Row> {
    // Demand, entries and rest, floats by their bits.
    type Key = (u8, Vec<(u64, u16)>, u64);
    let mut seen: HashMap<Key, usize> = HashMap::new();
    let mut kept: Vec<(Row, u32)> = Vec::new();
    for row in rows {
        let bits = row.entries.iter().map(|(cost, column)| (cost.to_bits(), *column)).collect();
        let next = kept.len();
        let index = *seen.entry((row.demand, bits, row.rest.to_bits())).or_insert(next);
        if index == next {
            kept.push((row, 1));
        } else {
            kept[index].1 += 1;
        }
    }
    let times = |(mut row, times): (Row, u32)| {
        row.entries.iter_mut().for_each(|(cost, _)| *cost *= f64::from(times));
        row.rest *= f64::from(times);
        row
    };
    kept.into_iter().map(times).collect()
}

/// A row's cost is its least one, and each further step of its sorted costs for as long as none of
/// the columns before it is chosen. Steps with the same set of columns before them are added, so
/// that tens of thousands of places around the globe become a few thousand sets.
fn prefix_sets(rows: &[Row]) -> (Vec<Row>, f64) {
    let mut steps: HashMap<(u8, u128), f64, std::hash::BuildHasherDefault<Mixer>> =
        HashMap::default();
    let mut base = 0.0;
    for row in rows {
        let Some((least, _)) = row.entries.first() else {
            base += f64::from(row.demand) * row.rest;
            continue;
        };
        base += f64::from(row.demand) * least;
        let mut before = 0_u128;
        for (at, (cost, column)) in row.entries.iter().enumerate() {
            before |= 1 << column;
            let next = row.entries.get(at + 1).map_or(row.rest, |(cost, _)| *cost);
            if next > *cost {
                *steps.entry((row.demand, before)).or_insert(0.0) += next - cost;
            }
        }
    }
    let mut steps: Vec<((u8, u128), f64)> = steps.into_iter().collect();
    steps.sort_unstable_by_key(|(key, _)| *key);
    let row = |((demand, before), rest): ((u8, u128), f64)| {
        let columns = (0..=u16::MAX).take(MASK_COLUMNS).filter(|c| (before >> c) & 1 == 1);
        Row { demand, entries: columns.map(|column| (0.0, column)).collect(), rest }
    };
    (steps.into_iter().map(row).collect(), base)
}

/// A hash for masks: a million are hashed, and nobody chooses them to collide.
#[derive(Debug, Default)]
struct Mixer(u64);

impl std::hash::Hasher for Mixer {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 29)
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let word = chunk.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
            self.0 = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cost_of(rows: &[Row], chosen: &[bool]) -> f64 {
        let of = |row: &Row| {
            let served = row.entries.iter().filter(|(_, c)| chosen[usize::from(*c)]);
            let costs: Vec<f64> = served.map(|(cost, _)| *cost).collect();
            let rest = std::iter::repeat(row.rest);
            costs.into_iter().chain(rest).take(usize::from(row.demand)).sum::<f64>()
        };
        rows.iter().map(of).sum()
    }

    proptest! {
        #[test]
        fn prefix_sets_cost_what_the_rows_do(
            costs in prop::collection::vec((1_u8..=2, prop::collection::vec(0_u32..50, 5)), 1..20),
            chosen in prop::collection::vec(any::<bool>(), 5),
        ) {
            let rows: Vec<Row> = costs.into_iter().map(|(demand, costs)| {
                let entries = costs.into_iter().map(f64::from).zip(0..);
                Row::new(demand, entries.collect(), 45.0)
            }).collect();
            let (sets, base) = prefix_sets(&rows);
            let merged = merged(rows.clone());
            // Whole numbers: no sum is rounded.
            let cost = cost_of(&rows, &chosen);
            prop_assert!((cost - base - cost_of(&sets, &chosen)).abs() < 1e-9);
            prop_assert!((cost - cost_of(&merged, &chosen)).abs() < 1e-9);
        }
    }

    #[test]
    fn granularity_is_that_of_every_cost() {
        let of = |cost: f64| {
            Rows::new(vec![Row::new(1, vec![(cost, 0)], 1_000.0)], vec![0.0]).granularity()
        };
        let found = [3.0, 0.5, 1.25, 1.125, 0.1234].map(|cost| of(cost).to_string());
        assert_eq!(found, ["1", "0.1", "0.01", "0.001", "0"]);
    }
}
