//! The block test: is a challenger faster than the current endpoint, and by how much at least?
//!
//! Pure. Blocks are the unit of evidence; a pair is judged only at block ends, over its newest
//! valid blocks, by a sign test against a threshold. Nothing here knows of labels or records.

use std::collections::{BTreeMap, BTreeSet};

use crate::matrix::{Cell, Matrix};
use crate::statistics::{
    Z_95, holm_rejects, median, median_interval, newcombe_upper, robust_deviation, sign_test_p,
};

/// Blocks of history before a pair's volatility is judged: 14 days of 4 h blocks.
const VOLATILITY_JUDGED_FROM: usize = 84;

/// The figures of the test; the defaults are those of a configuration that says nothing of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EvidenceRule {
    /// Valid blocks that a verdict needs.
    pub blocks: u32,
    /// The same for a volatile pair.
    pub volatile_blocks: u32,
    /// Family-wise level.
    pub alpha: f64,
    /// The least gain worth a change.
    pub min_gain_ms: f64,
    /// The least gain as a share of the current cost; the larger of the two counts.
    pub min_gain_share: f64,
    /// How many block intervals back volatility looks.
    pub volatility_slots: u32,
    /// How much more often a challenger may fail: a share.
    pub max_failure_excess: f64,
}

impl Default for EvidenceRule {
    fn default() -> Self {
        Self {
            blocks: 18,
            volatile_blocks: 42,
            alpha: 0.05,
            min_gain_ms: 5.0,
            min_gain_share: 0.05,
            volatility_slots: 84,
            max_failure_excess: 0.005,
        }
    }
}

impl EvidenceRule {
    /// Block intervals within which `blocks` valid ones must lie: a third more.
    #[must_use]
    pub fn slots(blocks: u32) -> u32 {
        (blocks * 4).div_ceil(3)
    }

    /// The block intervals that a verdict can ever look at.
    #[must_use]
    pub fn longest_slots(&self) -> u32 {
        let verdicts = Self::slots(self.volatile_blocks.max(self.blocks));
        // With some blocks missing, 84 of them take longer than 84 intervals.
        verdicts.max(Self::slots(self.volatility_slots))
    }
}

/// How restless the difference of a pair is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Volatility {
    /// Fewer than 84 blocks of history.
    NotJudged,
    /// 1.4826 x MAD of the differences, at most the least gain.
    Calm(f64),
    /// The same, above the least gain: more blocks are asked for.
    Volatile(f64),
}

/// What the blocks say of one challenger against the current endpoint, at one vantage.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// Blocks that the verdict needs.
    pub needed: u32,
    /// Valid blocks found, at most `needed`.
    pub found: u32,
    /// What a block's difference must exceed to count for the challenger.
    pub threshold_ms: f64,
    /// Blocks in which it did.
    pub wins: u32,
    /// The one-sided p-value of the sign test, 1 where blocks are missing.
    pub p: f64,
    /// The median of the differences (positive: the challenger is faster).
    pub gain_ms: Option<f64>,
    /// The order-statistic interval of that median.
    pub interval_ms: Option<(f64, f64)>,
    /// Of the pair.
    pub volatility: Volatility,
    /// The end of the newest block looked at, milliseconds since the epoch.
    pub until_ms: Option<i64>,
}

impl Comparison {
    /// Whether there were as many valid blocks as the verdict needs.
    #[must_use]
    pub fn is_sufficient(&self) -> bool {
        self.found >= self.needed
    }
}

/// Compares two endpoints at one vantage. `margin_ms` is added to the least gain.
#[must_use]
pub fn compare(
    matrix: &Matrix,
    vantage: &str,
    (current, challenger): (&str, &str),
    margin_ms: f64,
    rule: &EvidenceRule,
) -> Comparison {
    let empty = Cell::new();
    let cell = |endpoint| matrix.cell(vantage, endpoint).unwrap_or(&empty);
    let (current, challenger) = (cell(current), cell(challenger));
    let end_ms = matrix.end_ms().unwrap_or_default();
    let within = |slots: u32| end_ms - i64::from(slots) * matrix.block_ms;
    let all = differences(current, challenger, within(rule.longest_slots()));
    let least_gain_ms = least_gain_ms(current, within(EvidenceRule::slots(rule.blocks)), rule);
    let volatility = volatility(&all, within(rule.volatility_slots), least_gain_ms);
    let needed = match volatility {
        Volatility::Volatile(_) => rule.volatile_blocks,
        Volatility::NotJudged | Volatility::Calm(_) => rule.blocks,
    };
    let since_ms = within(EvidenceRule::slots(needed));
    let newest: Vec<(i64, f64)> = all
        .iter()
        .rev()
        .take_while(|(start_ms, _)| *start_ms >= since_ms)
        .take(needed as usize)
        .copied()
        .collect();
    let differences: Vec<f64> = newest.iter().map(|(_, difference)| *difference).collect();
    let threshold_ms = least_gain_ms + margin_ms;
    Comparison {
        until_ms: newest.first().map(|(start_ms, _)| start_ms + matrix.block_ms),
        ..verdict(&differences, needed, threshold_ms, volatility, rule.alpha)
    }
}

fn verdict(
    newest: &[f64],
    needed: u32,
    threshold_ms: f64,
    volatility: Volatility,
    alpha: f64,
) -> Comparison {
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let found = count(newest.len());
    let wins = count(newest.iter().filter(|difference| **difference > threshold_ms).count());
    let p = if found >= needed { sign_test_p(wins, found) } else { 1.0 };
    let (gain_ms, interval_ms) = (median(newest), median_interval(newest, alpha));
    let until_ms = None;
    Comparison { needed, found, threshold_ms, wins, p, gain_ms, interval_ms, volatility, until_ms }
}

/// The median costs of both endpoints over the same blocks: the newest valid ones that a verdict
/// looks at. `None` where there are fewer than it needs.
#[must_use]
pub fn paired_costs_ms(
    matrix: &Matrix,
    vantage: &str,
    (current, challenger): (&str, &str),
    rule: &EvidenceRule,
) -> Option<(f64, f64)> {
    let (current, challenger) = (matrix.cell(vantage, current)?, matrix.cell(vantage, challenger)?);
    let slots_ms = i64::from(EvidenceRule::slots(rule.blocks)) * matrix.block_ms;
    let pairs = differences(current, challenger, matrix.end_ms()? - slots_ms);
    let newest = pairs.get(pairs.len().checked_sub(rule.blocks as usize)?..)?;
    let here: Vec<f64> = newest.iter().map(|(start, _)| current[start].cost_ms).collect();
    let there: Vec<f64> = newest.iter().map(|(start, _)| challenger[start].cost_ms).collect();
    Some((median(&here)?, median(&there)?))
}

/// The differences `cost(current) - cost(challenger)` of the blocks that are valid for both, since
/// a time, oldest first. Two blocks can be compared when their evidence shares half the windows.
fn differences(current: &Cell, challenger: &Cell, since_ms: i64) -> Vec<(i64, f64)> {
    current
        .range(since_ms..)
        .filter_map(|(start_ms, here)| {
            let there = challenger.get(start_ms)?;
            let shared = here.valid.shared(&there.valid);
            (shared > 0 && shared * 2 >= here.valid.len())
                .then_some((*start_ms, here.cost_ms - there.cost_ms))
        })
        .collect()
}

fn least_gain_ms(current: &Cell, since_ms: i64, rule: &EvidenceRule) -> f64 {
    let costs: Vec<f64> = current.range(since_ms..).map(|(_, block)| block.cost_ms).collect();
    rule.min_gain_ms.max(median(&costs).unwrap_or_default() * rule.min_gain_share)
}

/// Judged over the history's length once enough blocks exist, some of which may be older than that:
/// one missing block must not switch the judgement off.
fn volatility(all: &[(i64, f64)], since_ms: i64, least_gain_ms: f64) -> Volatility {
    let recent: Vec<f64> =
        all.iter().filter(|(start_ms, _)| *start_ms >= since_ms).map(|(_, d)| *d).collect();
    match robust_deviation(&recent) {
        Some(deviation_ms) if all.len() >= VOLATILITY_JUDGED_FROM => {
            if deviation_ms > least_gain_ms {
                Volatility::Volatile(deviation_ms)
            } else {
                Volatility::Calm(deviation_ms)
            }
        }
        _ => Volatility::NotJudged,
    }
}

/// One challenger of the endpoint that serves a vantage now, tested together with others.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// Where it was measured.
    pub vantage: String,
    /// The endpoint it would replace.
    pub current: String,
    /// The challenger.
    pub challenger: String,
    /// What the blocks say.
    pub comparison: Comparison,
    /// Whether the gain is shown, with the family's correction.
    pub gains: bool,
    /// The success gate: the bound of its excess of failures, an error where it is too high.
    pub gate: Result<f64, f64>,
}

impl Tested {
    /// Whether the challenger is shown to be faster, and to fail no more often.
    #[must_use]
    pub fn passes(&self) -> bool {
        self.gains && self.gate.is_ok()
    }
}

/// Tests a family of comparisons, each a vantage, its endpoint and a challenger, with Holm's
/// correction over all of them.
///
/// Failures are pooled over `population`, the vantages that the family speaks for, and over the
/// blocks that a verdict looks at.
#[must_use]
pub fn test_family<'a>(
    matrix: &Matrix,
    family: impl IntoIterator<Item = (&'a str, &'a str, &'a str)>,
    population: &BTreeSet<String>,
    margin_ms: f64,
    rule: &EvidenceRule,
) -> Vec<Tested> {
    let recent = matrix.newest(EvidenceRule::slots(rule.blocks));
    let failures: BTreeMap<&str, (u64, u64)> = matrix
        .endpoints
        .iter()
        .map(|id| (id.as_str(), recent.failures(id, |vantage| population.contains(vantage))))
        .collect();
    let failures = |endpoint: &str| failures.get(endpoint).copied().unwrap_or_default();
    let mut tested: Vec<Tested> = family
        .into_iter()
        .map(|(vantage, current, challenger)| Tested {
            vantage: vantage.to_owned(),
            current: current.to_owned(),
            challenger: challenger.to_owned(),
            comparison: compare(matrix, vantage, (current, challenger), margin_ms, rule),
            gains: false,
            gate: success_gate(failures(challenger), failures(current), rule),
        })
        .collect();
    correct(&mut tested, rule.alpha);
    tested
}

/// Says which of a family are shown to gain, with Holm's correction over exactly these.
pub fn correct(family: &mut [Tested], alpha: f64) {
    let p_values: Vec<f64> = family.iter().map(|tested| tested.comparison.p).collect();
    for (tested, gains) in family.iter_mut().zip(holm_rejects(&p_values, alpha)) {
        tested.gains = gains;
    }
}

/// The success gate: by how much more the challenger may fail, at one-sided 95 %.
///
/// Each argument is `(failures, attempts)`. `Err` holds the bound that was too high, a share.
pub fn success_gate(
    challenger: (u64, u64),
    current: (u64, u64),
    rule: &EvidenceRule,
) -> Result<f64, f64> {
    let bound = newcombe_upper(challenger, current, Z_95);
    if bound < rule.max_failure_excess { Ok(bound) } else { Err(bound) }
}
