//! Weights: which share of a label's traffic each endpoint should get, where the service is
//! stateless.
//!
//! A linear program finds the shares; Route 53 takes whole weights up to 255, so the shares are
//! rounded and every limit is checked again on what comes out. Pure: it reads and writes no records,
//! and it does not judge evidence.

mod propose;

use good_lp::{
    Expression, ProblemVariables, Solution as _, SolverModel as _, Variable, constraint, microlp,
    variable,
};

pub use propose::{CAPACITY, Facts, Weighing, WeightChange, propose};

/// The largest weight of a record.
const WEIGHT_MAX: u32 = 255;
/// How far the share of a member that stays may be off by rounding: one step of the largest weight.
const STAY: f64 = 1.0 / WEIGHT_MAX as f64;
/// Shares below this are none: what a solver leaves of a zero.
const NOTHING: f64 = 1e-7;
/// How far a share may be beyond a limit by the arithmetic alone.
const TOLERANCE: f64 = 1e-9;
/// Room that is tried for rounding, as shares: a weight of 255 has steps of 0.004.
const ROOM: [f64; 5] = [0.0, 0.002, 0.004, 0.01, 0.02];

/// The limits of one change of weights, as shares of a label's traffic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct WeightRule {
    /// What a member keeps at least of what it has.
    pub floor: f64,
    /// How far one member's share may move.
    pub max_step: f64,
}

/// An endpoint that a label may answer with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Member {
    /// Its number.
    pub endpoint: usize,
    /// What it costs the label's catchment.
    pub cost_ms: f64,
    /// Its share now.
    pub share: f64,
    /// Whether it may get less.
    pub may_give: bool,
    /// Whether it may get more.
    pub may_take: bool,
}

impl Member {
    /// The least and the largest share that it may get.
    fn limits(&self, rule: WeightRule) -> (f64, f64) {
        let low = (self.share - rule.max_step).max(rule.floor).min(self.share);
        let high = (self.share + rule.max_step).min(1.0);
        (
            if self.may_give { low } else { self.share },
            if self.may_take { high } else { self.share },
        )
    }

    /// Whether a rounded share is within them. One that stays may be off by a step.
    fn takes(&self, share: f64, rule: WeightRule) -> bool {
        let (low, high) = self.limits(rule);
        let low = if self.may_give { low } else { (low - STAY).max(rule.floor.min(low)) };
        let high = if self.may_take { high } else { high + STAY };
        (low - TOLERANCE..=high + TOLERANCE).contains(&share)
    }
}

/// A label, and the traffic of its catchment.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Requests a second, or any unit that capacities share.
    pub per_s: f64,
    /// The endpoints. Their shares sum to 1.
    pub members: Vec<Member>,
}

impl Group {
    fn stays(&self) -> bool {
        !self.members.iter().any(|member| member.may_give)
    }

    fn shares(&self) -> impl Iterator<Item = f64> {
        self.members.iter().map(|member| member.share)
    }
}

/// Why there are no weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeightError {
    /// The limits contradict each other.
    #[error("no shares keep capacity, weights.floor and weights.max_step at the same time")]
    Infeasible,
    /// What each label carries is known once it is installed.
    #[error("labels are added or removed first, and weights follow in the next plan")]
    LabelsFirst,
    /// Shares exist, and no whole weights that keep the limits.
    #[error("no whole weights up to {WEIGHT_MAX} keep capacity, floor and step")]
    Unrounded,
}

/// The weights of each group's members that cost the least by traffic, `None` for groups that stay.
///
/// `capacity_per_s` has what each endpoint takes; `None` is no limit. Everything stays where what
/// stands keeps the capacities and nothing costs less.
pub fn weights(
    groups: &[Group],
    capacity_per_s: &[Option<f64>],
    rule: WeightRule,
) -> Result<Vec<Option<Vec<u8>>>, WeightError> {
    let now: Vec<Vec<f64>> = groups.iter().map(|group| group.shares().collect()).collect();
    let is_within = fits(groups, &now, capacity_per_s);
    let mut error = WeightError::Infeasible;
    for room in ROOM {
        let Some(shares) = shares(groups, capacity_per_s, rule, room) else { continue };
        error = WeightError::Unrounded;
        let rounded: Option<Vec<Vec<u32>>> =
            groups.iter().zip(&shares).map(|(group, shares)| round(group, shares, rule)).collect();
        let Some(rounded) = rounded else { continue };
        let found: Vec<Vec<f64>> =
            groups.iter().zip(&rounded).map(|(group, weights)| parts(group, weights)).collect();
        if fits(groups, &found, capacity_per_s) {
            let gains = cost(groups, &found) < cost(groups, &now) - TOLERANCE;
            let chosen = if gains || !is_within { rounded } else { vec![Vec::new(); groups.len()] };
            return Ok(chosen.into_iter().map(|weights| narrow(&weights)).collect());
        }
    }
    // What stands is what costs the least that whole weights can say.
    if is_within { Ok(vec![None; groups.len()]) } else { Err(error) }
}

/// Weights as records have them; `None` where there are none, because the group stays.
fn narrow(weights: &[u32]) -> Option<Vec<u8>> {
    let narrow = weights.iter().map(|weight| u8::try_from(*weight).unwrap_or(u8::MAX));
    (!weights.is_empty()).then(|| narrow.collect())
}

/// What everybody pays together.
fn cost(groups: &[Group], shares: &[Vec<f64>]) -> f64 {
    let of_group = |(group, shares): (&Group, &Vec<f64>)| {
        let paid = group.members.iter().zip(shares).map(|(member, share)| member.cost_ms * share);
        group.per_s * paid.sum::<f64>()
    };
    groups.iter().zip(shares).map(of_group).sum()
}

/// The shares of the linear program, with some room left at every limit.
fn shares(
    groups: &[Group],
    capacity_per_s: &[Option<f64>],
    rule: WeightRule,
    room: f64,
) -> Option<Vec<Vec<f64>>> {
    let mut variables = ProblemVariables::new();
    let mut cost = Expression::with_capacity(groups.len());
    let mut loads: Vec<Expression> = capacity_per_s.iter().map(|_| Expression::default()).collect();
    let mut of_groups: Vec<Vec<Variable>> = Vec::with_capacity(groups.len());
    for group in groups {
        let mut of_group = Vec::with_capacity(group.members.len());
        for member in &group.members {
            let (low, high) = member.limits(rule);
            // What stands is always within.
            let (low, high) = ((low + room).min(member.share), (high - room).max(member.share));
            let share = variables.add(variable().min(low).max(high));
            cost += group.per_s * member.cost_ms * share;
            *loads.get_mut(member.endpoint)? += group.per_s * share;
            of_group.push(share);
        }
        of_groups.push(of_group);
    }
    let mut model = variables.minimise(cost).using(microlp);
    for (of_group, group) in of_groups.iter().zip(groups) {
        let whole: f64 = group.shares().sum();
        model.add_constraint(constraint::eq(of_group.iter().sum::<Expression>(), whole));
    }
    for (load, capacity) in loads.into_iter().zip(capacity_per_s) {
        if let Some(capacity) = capacity {
            model.add_constraint(constraint::leq(load, capacity * (1.0 - room)));
        }
    }
    let solved = model.solve().ok()?;
    let value = |share: &Variable| {
        let value = solved.value(*share);
        if value < NOTHING { 0.0 } else { value }
    };
    Some(of_groups.iter().map(|group| group.iter().map(value).collect()).collect())
}

/// The weights that come nearest to the shares and keep floor and step, over all denominators; none
/// for a group that stays.
fn round(group: &Group, shares: &[f64], rule: WeightRule) -> Option<Vec<u32>> {
    if group.stays() {
        return Some(Vec::new());
    }
    let members = u32::try_from(shares.len()).ok()?;
    let mut best: Option<(f64, Vec<u32>)> = None;
    for denominator in 1..=WEIGHT_MAX * members {
        let weights: Vec<u32> =
            shares.iter().map(|share| whole(share * f64::from(denominator), *share)).collect();
        let sum: u32 = weights.iter().sum();
        if sum == 0 || weights.iter().any(|weight| *weight > WEIGHT_MAX) {
            continue;
        }
        let got = parts(group, &weights);
        let kept = got.iter().zip(&group.members).all(|(share, one)| one.takes(*share, rule));
        let error = got.iter().zip(shares).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        if kept && best.as_ref().is_none_or(|(least, _)| error < *least - TOLERANCE) {
            best = Some((error, weights));
        }
    }
    best.map(|(_, weights)| weights)
}

/// The nearest whole number, and never 0 for a share that is something.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share times a denominator of some thousands"
)]
fn whole(weight: f64, share: f64) -> u32 {
    let nearest = weight.round().max(0.0) as u32;
    if share > 0.0 { nearest.max(1) } else { nearest }
}

/// The shares that weights come to; those of now where there are none.
fn parts(group: &Group, weights: &[u32]) -> Vec<f64> {
    if weights.is_empty() {
        return group.shares().collect();
    }
    let sum: u32 = weights.iter().sum();
    weights.iter().map(|weight| f64::from(*weight) / f64::from(sum.max(1))).collect()
}

/// Whether no endpoint gets more than its capacity.
fn fits(groups: &[Group], shares: &[Vec<f64>], capacity_per_s: &[Option<f64>]) -> bool {
    let loads = loads(groups, shares, capacity_per_s.len());
    loads.iter().zip(capacity_per_s).all(|(load, capacity)| {
        capacity.is_none_or(|capacity| *load <= capacity * (1.0 + TOLERANCE))
    })
}

/// What each endpoint gets.
fn loads(groups: &[Group], shares: &[Vec<f64>], endpoints: usize) -> Vec<f64> {
    let mut loads = vec![0.0; endpoints];
    for (group, shares) in groups.iter().zip(shares) {
        for (member, share) in group.members.iter().zip(shares) {
            loads[member.endpoint] += group.per_s * share;
        }
    }
    loads
}

#[cfg(test)]
mod tests;
