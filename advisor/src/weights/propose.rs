//! From advice to weights: who may give and take at each label, by what evidence, and what comes out.
//!
//! Only endpoints that the advice found admissible take traffic for its gain, and only the endpoint
//! that they were compared with gives it. An endpoint over its capacity gives too, to those that have
//! room. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Group, Member, WeightError, WeightRule, loads, weights};
use crate::advice::{Advice, Basis, LabelAdvice, Reason, Verdict};
use crate::name::Label;
use crate::plan::Move;
use crate::topology::{Shares, Tree};

/// The reason code of traffic that leaves an endpoint over its capacity.
pub const CAPACITY: &str = "capacity";
/// A label without any known traffic still prefers what costs less.
const LEAST_PER_S: f64 = 1e-6;

/// What is known where weights are proposed.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// The advice.
    pub advice: &'a Advice,
    /// Where each label leads now.
    pub tree: &'a Tree,
    /// The endpoints.
    pub endpoints: &'a [String],
    /// What each endpoint costs the catchment of a label, where that is known.
    pub cost_ms: &'a BTreeMap<(Label, String), f64>,
    /// The traffic of each label's catchment, in the unit of the capacities.
    pub per_s: &'a BTreeMap<Label, f64>,
    /// Labels that changed too recently.
    pub cooling: &'a BTreeMap<Label, i64>,
    /// What each endpoint takes, in the order of `endpoints`; `None` is no limit.
    pub capacity_per_s: &'a [Option<f64>],
    /// What traffic that is sent away without evidence is taken to lose at least.
    pub min_gain_ms: f64,
}

/// A label whose weights change.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightChange {
    /// The label.
    pub label: Label,
    /// Where it leads now.
    pub before: Shares,
    /// Where it should lead.
    pub after: Shares,
    /// A reason code of the advice, or [`CAPACITY`].
    pub reason: &'static str,
    /// What its catchment pays now.
    pub cost_before_ms: f64,
    /// What it would pay.
    pub cost_after_ms: f64,
}

impl WeightChange {
    /// The change as a move: from the endpoint that loses most to the one that gains most.
    #[must_use]
    pub fn to_move(&self) -> Move {
        let ids: BTreeSet<&str> =
            self.before.iter().chain(self.after.iter()).map(|(endpoint, _)| endpoint).collect();
        let change = |id: &&&str| self.after.part(id) - self.before.part(id);
        let by_change = |a: &&&str, b: &&&str| change(a).total_cmp(&change(b));
        let from = ids.iter().min_by(by_change).map(|id| (*id).to_owned());
        let to = ids.iter().max_by(by_change).map(|id| (*id).to_owned());
        let whole = Move::new(&self.label, Some(&self.before), Some(&self.after), self.reason);
        Move { from, to, ..whole }
    }
}

/// What weights come to.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Weighing {
    /// The labels whose weights change.
    pub changes: Vec<WeightChange>,
    /// Why there are none, where they were sought.
    pub refused: Option<WeightError>,
}

/// The weights that the advice and the capacities lead to.
#[must_use]
pub fn propose(facts: &Facts<'_>, rule: WeightRule) -> Weighing {
    let drafts: Vec<Draft<'_>> = facts.tree.iter().map(|line| Draft::new(facts, line)).collect();
    let endpoints = facts.endpoints.len();
    let now: Vec<Group> = drafts.iter().map(|draft| draft.group(facts, &[])).collect();
    let shares: Vec<Vec<f64>> = now.iter().map(|group| group.shares().collect()).collect();
    let over: Vec<usize> = loads(&now, &shares, endpoints)
        .iter()
        .zip(facts.capacity_per_s)
        .enumerate()
        .filter(|(_, (load, capacity))| capacity.is_some_and(|capacity| **load > capacity))
        .map(|(endpoint, _)| endpoint)
        .collect();
    let groups: Vec<Group> = drafts.iter().map(|draft| draft.group(facts, &over)).collect();
    match weights(&groups, facts.capacity_per_s, rule) {
        Err(error) => Weighing { changes: Vec::new(), refused: Some(error) },
        Ok(found) => {
            let of = |((draft, group), weights): ((&Draft<'_>, &Group), Option<Vec<u8>>)| {
                draft.change(facts, group, &weights?)
            };
            let changes = drafts.iter().zip(&groups).zip(found).filter_map(of).collect();
            Weighing { changes, refused: None }
        }
    }
}

/// One label on the way to a group.
struct Draft<'a> {
    label: &'a Label,
    shares: &'a Shares,
    /// The endpoint that challengers were compared with.
    current: &'a str,
    /// Those that may take its traffic for their gain.
    gainers: BTreeSet<&'a str>,
    /// Those that fail more often, which take nothing.
    failing: BTreeSet<&'a str>,
}

impl<'a> Draft<'a> {
    fn new(facts: &Facts<'a>, (label, shares): (&'a Label, &'a Shares)) -> Self {
        let line = facts.advice.labels.iter().find(|line| line.label == *label);
        let current = line.and_then(|line| line.current.as_deref()).unwrap_or(shares.first());
        let fails = |line: &'a LabelAdvice| {
            let failing = |verdict| matches!(verdict, Verdict::FailsMore(_));
            line.considered.iter().filter(move |one| failing(one.verdict))
        };
        let failing = line.into_iter().flat_map(fails).map(|one| one.challenger.as_str());
        let gainers = line.map(|line| gainers(line, facts.advice.basis)).unwrap_or_default();
        Self { label, shares, current, gainers, failing: failing.collect() }
    }

    /// The group, with the endpoints in `over` above their capacity.
    fn group(&self, facts: &Facts<'_>, over: &[usize]) -> Group {
        let per_s = facts.per_s.get(self.label).copied().unwrap_or(0.0).max(LEAST_PER_S);
        let is_over = |endpoint: usize| over.contains(&endpoint);
        let rests = facts.cooling.contains_key(self.label);
        let sheds = !rests
            && facts
                .endpoints
                .iter()
                .enumerate()
                .any(|(number, id)| is_over(number) && self.shares.part(id) > 0.0);
        let here_ms = self.cost_ms(facts, self.current);
        let member = |(endpoint, id): (usize, &String)| {
            let share = self.shares.part(id);
            let gains = self.gainers.contains(id.as_str());
            let relieves = sheds && !is_over(endpoint) && !self.failing.contains(id.as_str());
            if share == 0.0 && !gains && !relieves {
                return None;
            }
            let known_ms = self.cost_ms(facts, id);
            let (Some(cost_ms), Some(here_ms)) = (known_ms, here_ms) else {
                // Where a cost is unknown nothing moves.
                let stays =
                    Member { endpoint, cost_ms: 0.0, share, may_give: false, may_take: false };
                return (share > 0.0).then_some(stays);
            };
            let shown = gains || share > 0.0;
            let unshown_ms = cost_ms.max(here_ms) + facts.min_gain_ms;
            Some(Member {
                endpoint,
                cost_ms: if shown { cost_ms } else { unshown_ms },
                share,
                may_give: share > 0.0
                    && (sheds && is_over(endpoint)
                        || *id == self.current && !self.gainers.is_empty()),
                may_take: gains || relieves,
            })
        };
        let members = facts.endpoints.iter().enumerate().filter_map(member).collect();
        Group { per_s, members }
    }

    fn cost_ms(&self, facts: &Facts<'_>, endpoint: &str) -> Option<f64> {
        facts.cost_ms.get(&(self.label.clone(), endpoint.to_owned())).copied()
    }

    fn change(&self, facts: &Facts<'_>, group: &Group, weights: &[u8]) -> Option<WeightChange> {
        let id = |member: &Member| facts.endpoints[member.endpoint].clone();
        let named = group.members.iter().zip(weights).map(|(one, weight)| (id(one), *weight));
        let after = Shares::weighted(named)?;
        let paid_ms = |shares: &Shares| -> f64 {
            let parts = shares.iter().map(|(id, _)| (id, shares.part(id)));
            parts.filter_map(|(id, part)| Some(part * self.cost_ms(facts, id)?)).sum()
        };
        (self.shares.moved(&after) > 0.0).then(|| WeightChange {
            label: self.label.clone(),
            before: self.shares.clone(),
            reason: if self.gainers.is_empty() { CAPACITY } else { Reason::Repoint.code() },
            cost_before_ms: paid_ms(self.shares),
            cost_after_ms: paid_ms(&after),
            after,
        })
    }
}

/// The endpoints that may take a label's traffic for their gain: by cloud evidence all that are
/// admissible, by measured clients the one that the program chose.
fn gainers(line: &LabelAdvice, basis: Basis) -> BTreeSet<&str> {
    if line.reason != Reason::Repoint {
        return BTreeSet::new();
    }
    let admissible = line.considered.iter().filter(|one| one.verdict == Verdict::Admissible);
    match basis {
        Basis::Cloud => admissible.map(|one| one.challenger.as_str()).collect(),
        Basis::Eyeball => line.advised.as_deref().into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::{Considered, Heard};
    use crate::evidence::{Comparison, Volatility};

    const REGIONS: [&str; 3] = ["ap-south-1", "eu-west-1", "us-east-1"];
    const QUARTER: WeightRule = WeightRule { floor: 0.0, max_step: 0.25 };

    fn considered(challenger: &str, verdict: Verdict) -> Considered {
        let comparison = Comparison {
            needed: 18,
            found: 18,
            threshold_ms: 25.0,
            wins: 18,
            p: 0.0,
            gain_ms: Some(60.0),
            interval_ms: None,
            volatility: Volatility::NotJudged,
            until_ms: None,
        };
        let challenger = challenger.to_owned();
        Considered { challenger, verdict, comparison, at: None, mean_cost_ms: None }
    }

    /// Each Region's label at its own endpoint, with equal traffic; eu-west-1 is slow, and us-east-1 was
    /// shown to be better for it.
    struct World {
        advice: Advice,
        tree: Tree,
        cost_ms: BTreeMap<(Label, String), f64>,
        per_s: f64,
        cooling: BTreeMap<Label, i64>,
        capacity_per_s: [Option<f64>; 3],
    }

    impl World {
        fn new() -> Self {
            let line = |region: &str| {
                let slow = region == "eu-west-1";
                LabelAdvice {
                    label: Label::new(region),
                    current: Some(region.to_owned()),
                    advised: Some(if slow { "us-east-1" } else { region }.to_owned()),
                    reason: if slow { Reason::Repoint } else { Reason::Unsupported },
                    catchment: Vec::new(),
                    considered: if slow {
                        vec![
                            considered("us-east-1", Verdict::Admissible),
                            considered("ap-south-1", Verdict::NoGain),
                        ]
                    } else {
                        Vec::new()
                    },
                }
            };
            let labels = REGIONS.map(line).into();
            let cost = |label: &str, id: &str| match (label, id) {
                ("eu-west-1", "eu-west-1") => 200.0,
                ("eu-west-1", _) => 90.0,
                _ if label == id => 20.0,
                _ => 150.0,
            };
            let cost_ms = REGIONS.iter().flat_map(|label| {
                let cell =
                    move |id: &&str| ((Label::new(label), (*id).to_owned()), cost(label, id));
                REGIONS.iter().map(cell)
            });
            Self {
                advice: Advice {
                    basis: Basis::Cloud,
                    labels,
                    held_out: None,
                    heard: Heard::default(),
                },
                tree: REGIONS.map(|id| (Label::new(id), Shares::one(id))).into(),
                cost_ms: cost_ms.collect(),
                per_s: 100.0,
                cooling: BTreeMap::new(),
                capacity_per_s: [None; 3],
            }
        }

        fn weigh(&self, rule: WeightRule) -> Weighing {
            let endpoints = REGIONS.map(str::to_owned);
            let per_s = self.tree.keys().map(|label| (label.clone(), self.per_s)).collect();
            let facts = Facts {
                advice: &self.advice,
                tree: &self.tree,
                endpoints: &endpoints,
                cost_ms: &self.cost_ms,
                per_s: &per_s,
                cooling: &self.cooling,
                capacity_per_s: &self.capacity_per_s,
                min_gain_ms: 5.0,
            };
            propose(&facts, rule)
        }

        fn shown(&self, rule: WeightRule) -> Vec<String> {
            let weighing = self.weigh(rule);
            assert_eq!(weighing.refused, None);
            let line = |change: &WeightChange| {
                let (label, after) = (&change.label, &change.after);
                format!("{label}: {} -> {after} ({})", change.before, change.reason)
            };
            weighing.changes.iter().map(line).collect()
        }
    }

    #[test]
    fn only_what_was_shown_to_gain_takes_traffic_step_by_step() {
        let mut world = World::new();
        let mut shown = Vec::new();
        // ap-south-1 costs as little as us-east-1, and nothing showed that it does.
        while let [change] = world.weigh(QUARTER).changes.as_slice() {
            shown.push(format!("{} -> {}", change.before, change.after));
            world.tree.insert(change.label.clone(), change.after.clone());
            // Once nothing is left at the slow endpoint there is nothing to leave.
            if change.after.part("eu-west-1") == 0.0 {
                world.advice.labels[1].current = Some("us-east-1".into());
                world.advice.labels[1].reason = Reason::Unsupported;
            }
        }
        assert_eq!(
            shown,
            [
                "eu-west-1 -> eu-west-1 75.0 % + us-east-1 25.0 %",
                "eu-west-1 75.0 % + us-east-1 25.0 % -> eu-west-1 50.0 % + us-east-1 50.0 %",
                "eu-west-1 50.0 % + us-east-1 50.0 % -> eu-west-1 25.0 % + us-east-1 75.0 %",
                "eu-west-1 25.0 % + us-east-1 75.0 % -> us-east-1",
            ]
        );
    }

    #[test]
    fn a_floor_is_kept_and_a_label_that_rests_is_left() {
        let mut world = World::new();
        let rule = WeightRule { floor: 0.2, max_step: 1.0 };
        assert_eq!(
            world.shown(rule),
            ["eu-west-1: eu-west-1 -> eu-west-1 20.0 % + us-east-1 80.0 % (repoint)"]
        );
        world.advice.labels[1].reason = Reason::CoolingDown;
        assert_eq!(world.shown(rule), Vec::<String>::new());
    }

    #[test]
    fn what_takes_traffic_keeps_within_its_capacity() {
        let mut world = World::new();
        world.capacity_per_s[2] = Some(140.0);
        assert_eq!(
            world.shown(WeightRule { floor: 0.0, max_step: 1.0 }),
            ["eu-west-1: eu-west-1 -> eu-west-1 60.0 % + us-east-1 40.0 % (repoint)"]
        );
    }

    #[test]
    fn what_is_over_its_capacity_gives_unless_the_label_rests() {
        let mut world = World::new();
        world.advice.labels[1].reason = Reason::Unsupported;
        world.capacity_per_s[0] = Some(80.0);
        let relieved =
            ["ap-south-1: ap-south-1 -> ap-south-1 80.0 % + eu-west-1 20.0 % (capacity)"];
        assert_eq!(world.shown(QUARTER), relieved);
        // One that fails more often takes nothing.
        world.advice.labels[0].considered = vec![considered("eu-west-1", Verdict::FailsMore(0.02))];
        let other = ["ap-south-1: ap-south-1 -> ap-south-1 80.0 % + us-east-1 20.0 % (capacity)"];
        assert_eq!(world.shown(QUARTER), other);
        world.cooling.insert(Label::new("ap-south-1"), 1);
        assert_eq!(world.weigh(QUARTER).refused, Some(WeightError::Infeasible));
        world.cooling.clear();
        world.capacity_per_s[0] = Some(70.0);
        assert_eq!(world.weigh(QUARTER).refused, Some(WeightError::Infeasible), "two steps' worth");
    }

    #[test]
    fn a_change_is_a_move_with_its_weights() {
        let world = World::new();
        let step = world.weigh(QUARTER).changes[0].to_move();
        let ends = (step.from.as_deref(), step.to.as_deref());
        assert_eq!(ends, (Some("eu-west-1"), Some("us-east-1")));
        assert_eq!(step.before(), Some(Shares::one("eu-west-1")));
        assert_eq!(step.after().unwrap().to_string(), "eu-west-1 75.0 % + us-east-1 25.0 %");
        assert_eq!(step.back("x").after(), step.before());
        assert_eq!(step.back("x").before(), step.after());
        let json = serde_json::to_string(&step).unwrap();
        assert_eq!(serde_json::from_str::<Move>(&json).unwrap(), step);
        assert!(json.contains(r#""weights_after":{"eu-west-1":3,"us-east-1":1}"#), "{json}");
        let none = json.replace(r#"{"eu-west-1":3,"us-east-1":1}"#, r#"{"eu-west-1":0}"#);
        assert!(serde_json::from_str::<Move>(&none).is_err(), "weights of nothing are no weights");
    }
}
