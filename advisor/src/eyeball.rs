//! Rule 2, eyeball evidence: measured clients may repoint, add and remove labels.
//!
//! Puts what the clients' blocks say into the exact program, and its answer back into advice. Only
//! measured clients are rows, and they must carry nearly all traffic of each catchment that is
//! changed. Pure: no IO, no clock.

use std::collections::{BTreeMap, BTreeSet};

use crate::advice::{
    Advice, AdviceRule, Basis, Considered, EyeballRow, HeldOut, LabelAdvice, Reason, Routing,
    Verdict,
};
use crate::evidence::{Tested, correct, paired_costs_ms, test_family};
use crate::matrix::Matrix;
use crate::name::Label;
use crate::program::{Candidate, Program, Row, Solution, WEIGHT_PARTS};

/// The share of a catchment's traffic that rows must carry before it is changed.
const COVERED: f64 = 0.9;

/// A client with a cost at the endpoint that serves it now.
struct Client<'a> {
    id: &'a str,
    row: &'a EyeballRow,
    label: &'a Label,
    today: usize,
    /// At each endpoint: what it costs in the same blocks as today's, and how much more that is.
    costs: Vec<Option<(f64, f64)>>,
}

/// Everything that the rule looks at.
struct Ground<'a> {
    routing: &'a Routing,
    rule: &'a AdviceRule,
    endpoints: &'a [String],
    clients: Vec<Client<'a>>,
    tested: Vec<Tested>,
}

/// The program's labels, and its answer.
struct Decided<'a> {
    labels: Vec<&'a Label>,
    today: Vec<Option<usize>>,
    points_at: Vec<Option<usize>>,
    tested: Vec<Tested>,
}

/// Applies rule 2, then repeats it without each client and withdraws what that does not confirm.
pub(crate) fn advise(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Advice {
    let ground = Ground::new(matrix, routing, rule);
    let decided = ground.decide(None);
    let labels = ground.lines(&decided);
    let mut advice = Advice { basis: Basis::Eyeball, labels, held_out: None };
    if advice.moves().next().is_some() {
        let held_out = ground.hold_out();
        advice.held_out = Some(held_out);
        if held_out.objects() {
            advice.withdraw();
            advice.labels.retain(|line| line.current.is_some() || !line.considered.is_empty());
        }
    }
    advice
}

impl<'a> Ground<'a> {
    fn new(matrix: &'a Matrix, routing: &'a Routing, rule: &'a AdviceRule) -> Self {
        let endpoints = &matrix.endpoints;
        let client = |(id, row): (&'a String, &'a EyeballRow)| {
            let label = routing.preferred.get(id)?;
            let current = routing.live.get(label)?;
            let cost = |other: &String| {
                let pair = (current.as_str(), other.as_str());
                let (here, there) = paired_costs_ms(matrix, id, pair, &rule.evidence)?;
                Some((there, there - here))
            };
            let costs: Vec<_> = endpoints.iter().map(cost).collect();
            let today = endpoints.iter().position(|endpoint| endpoint == current)?;
            costs[today]?;
            Some(Client { id, row, label, today, costs })
        };
        let clients: Vec<Client<'a>> = routing.eyeballs.rows.iter().filter_map(client).collect();
        let family = clients.iter().flat_map(|client| {
            let current = endpoints[client.today].as_str();
            let others = endpoints.iter().filter(move |id| *id != current);
            others.map(move |id| (client.id, current, id.as_str()))
        });
        let population: BTreeSet<String> = routing.eyeballs.rows.keys().cloned().collect();
        let tested = test_family(matrix, family, &population, 0.0, &rule.evidence);
        Self { routing, rule, endpoints, clients, tested }
    }

    /// Runs the program over all clients, or over all but one.
    fn decide(&self, without: Option<&str>) -> Decided<'a> {
        let mut tested = self.tested.clone();
        if without.is_some() {
            tested.retain(|test| Some(test.vantage.as_str()) != without);
            correct(&mut tested, self.rule.evidence.alpha);
        }
        let clients: Vec<&Client<'a>> =
            self.clients.iter().filter(|client| Some(client.id) != without).collect();
        let covered = self.covered(without);
        let backed = self.backed(&clients, &tested, &covered);
        let labels: BTreeSet<&'a Label> =
            self.routing.live.keys().chain(backed.keys().copied()).collect();
        let labels: Vec<&'a Label> = labels.into_iter().collect();
        let program = Program {
            endpoints: self.endpoints.len(),
            labels: labels.iter().map(|l| self.candidate(l, &backed, &covered)).collect(),
            rows: self.rows(&clients, &labels, &covered),
        };
        let today: Vec<_> = program.labels.iter().map(|label| label.current).collect();
        // A label at an endpoint that is not in the matrix would look as if it were not installed.
        let known = self.routing.live.values().all(|endpoint| self.endpoints.contains(endpoint));
        let found = if known && !backed.is_empty() { better(&program) } else { None };
        let points_at = found.map_or_else(|| today.clone(), |found| found.points_at);
        Decided { labels, today, points_at, tested }
    }

    /// The installed labels whose traffic the rows carry.
    fn covered(&self, without: Option<&str>) -> BTreeSet<&'a Label> {
        let mut traffic: BTreeMap<&'a Label, (f64, f64)> = BTreeMap::new();
        let eyeballs = &self.routing.eyeballs;
        for (id, row) in eyeballs.rows.iter().filter(|(id, _)| Some(id.as_str()) != without) {
            if let Some(label) = self.routing.preferred.get(id) {
                traffic.entry(label).or_default().1 += row.weight;
            }
        }
        for client in self.clients.iter().filter(|client| Some(client.id) != without) {
            traffic.entry(client.label).or_default().0 += client.row.weight;
        }
        for (label, weight) in &eyeballs.unmeasured {
            traffic.entry(label).or_default().1 += weight;
        }
        let covered = |label: &&Label| {
            let (measured, all) = traffic.get(label).copied().unwrap_or_default();
            measured >= COVERED * all
        };
        self.routing.live.keys().filter(covered).collect()
    }

    /// The endpoints that each label may be pointed at: those for which a client passes that
    /// prefers the label with all labels installed.
    fn backed(
        &self,
        clients: &[&Client<'a>],
        tested: &[Tested],
        covered: &BTreeSet<&Label>,
    ) -> BTreeMap<&'a Label, BTreeSet<usize>> {
        let mut backed: BTreeMap<&'a Label, BTreeSet<usize>> = BTreeMap::new();
        for test in tested.iter().filter(|test| test.passes()) {
            let client = clients.iter().find(|client| client.id == test.vantage);
            let endpoint = self.endpoints.iter().position(|id| *id == test.challenger);
            let Some((client, endpoint)) = client.zip(endpoint) else { continue };
            let Some(label) = client.row.order.first() else { continue };
            let may_change = !self.routing.cooling.contains_key(label)
                && (!self.routing.live.contains_key(label) || covered.contains(label));
            if may_change {
                backed.entry(label).or_default().insert(endpoint);
            }
        }
        backed
    }

    fn candidate(
        &self,
        label: &Label,
        backed: &BTreeMap<&Label, BTreeSet<usize>>,
        covered: &BTreeSet<&Label>,
    ) -> Candidate {
        let current = self.routing.live.get(label);
        let stays = self.routing.eyeballs.own_labels.contains(label)
            || self.routing.cooling.contains_key(label)
            || !covered.contains(label);
        Candidate {
            stays: current.is_some() && stays,
            current: current.and_then(|id| self.endpoints.iter().position(|other| other == id)),
            backed: backed.get(label).into_iter().flatten().copied().collect(),
        }
    }

    fn rows(
        &self,
        clients: &[&Client<'a>],
        labels: &[&Label],
        covered: &BTreeSet<&Label>,
    ) -> Vec<Row> {
        let total: f64 = clients.iter().map(|client| client.row.weight).sum();
        let row = |client: &&Client<'a>| Row {
            weight: parts(client.row.weight, total),
            order: order(client, labels, &self.routing.live),
            cost_us: client.costs.iter().map(|cost| cost.map(|(ms, _)| micros(ms))).collect(),
            today: client.today,
            may: (0..self.endpoints.len())
                .map(|id| id == client.today || self.may(client, id, covered))
                .collect(),
        };
        clients.iter().map(row).collect()
    }

    fn may(&self, client: &Client<'_>, endpoint: usize, covered: &BTreeSet<&Label>) -> bool {
        covered.contains(client.label)
            && client.costs[endpoint].is_some_and(|(_, loss_ms)| loss_ms <= self.rule.harm_ms)
    }

    /// Repeats the rule without each client, who is then sent where Route 53 would send it.
    ///
    /// Clients whose answer stays the same say nothing and are not counted, nor are those without
    /// a cost there.
    fn hold_out(&self) -> HeldOut {
        let mut costs = Vec::new();
        for client in &self.clients {
            let decided = self.decide(Some(client.id));
            let Some(answer) = decided.answer(&client.row.order, client.label) else { continue };
            let (Some((today_ms, _)), Some((_, loss_ms))) =
                (client.costs[client.today], client.costs[answer])
            else {
                continue;
            };
            if answer != client.today {
                costs.push((client.row.weight, today_ms, today_ms + loss_ms));
            }
        }
        HeldOut::of(&costs)
    }

    fn lines(&self, decided: &Decided<'a>) -> Vec<LabelAdvice> {
        let covered = self.covered(None);
        let lines = decided.labels.iter().enumerate().map(|(index, label)| {
            let considered = self.considered(decided, index, &covered);
            let current = self.routing.live.get(*label).cloned();
            let stays = decided.points_at[index] == decided.today[index];
            let advised = if stays {
                current.clone()
            } else {
                decided.points_at[index].map(|id| self.endpoints[id].clone())
            };
            let reason = self.reason(label, (&current, &advised), &considered, &covered);
            let catchment = self.routing.catchment(label).map(str::to_owned).collect();
            LabelAdvice { label: (*label).clone(), current, advised, reason, catchment, considered }
        });
        lines.filter(|line| line.current.is_some() || line.advised.is_some()).collect()
    }

    /// Every challenger of a label, by the client of its own that gains most.
    fn considered(
        &self,
        decided: &Decided<'_>,
        label: usize,
        covered: &BTreeSet<&Label>,
    ) -> Vec<Considered> {
        let own = |test: &&Tested| {
            let client = self.clients.iter().find(|client| client.id == test.vantage);
            client.is_some_and(|client| client.row.order.first() == Some(decided.labels[label]))
        };
        let mut best: BTreeMap<&str, &Tested> = BTreeMap::new();
        for test in decided.tested.iter().filter(own) {
            let gain = |of: &Tested| of.comparison.gain_ms.unwrap_or(f64::NEG_INFINITY);
            let rank = |of: &Tested| (of.passes(), of.gains);
            let held = best.entry(&test.challenger).or_insert(test);
            if rank(test).cmp(&rank(held)).then(gain(test).total_cmp(&gain(held))).is_gt() {
                *held = test;
            }
        }
        let consider = |test: &Tested| {
            let (verdict, at) = self.judge(decided, label, test, covered);
            let (challenger, comparison) = (test.challenger.clone(), test.comparison.clone());
            Considered { challenger, verdict, comparison, at, mean_cost_ms: None }
        };
        best.into_values().map(consider).collect()
    }

    fn judge(
        &self,
        decided: &Decided<'_>,
        label: usize,
        test: &Tested,
        covered: &BTreeSet<&Label>,
    ) -> (Verdict, Option<String>) {
        let at = Some(test.vantage.clone());
        if !test.comparison.is_sufficient() {
            return (Verdict::InsufficientData, at);
        }
        if !test.gains {
            return (Verdict::NoGain, at);
        }
        if let Err(bound) = test.gate {
            return (Verdict::FailsMore(bound), None);
        }
        let endpoint = self.endpoints.iter().position(|id| *id == test.challenger);
        let Some(endpoint) = endpoint.filter(|id| decided.points_at[label] != Some(*id)) else {
            return (Verdict::Admissible, at);
        };
        let theirs = |client: &&Client<'_>| {
            let first = client.row.order.iter().find(|l| decided.is_installed(l, label));
            first == Some(decided.labels[label]) && !self.may(client, endpoint, covered)
        };
        match self.clients.iter().find(theirs) {
            Some(client) => (
                client.costs[endpoint].map_or(Verdict::UnknownCost, |(_, ms)| Verdict::Harms(ms)),
                Some(client.id.to_owned()),
            ),
            None => (Verdict::Outweighed, None),
        }
    }

    fn reason(
        &self,
        label: &Label,
        (current, advised): (&Option<String>, &Option<String>),
        considered: &[Considered],
        covered: &BTreeSet<&Label>,
    ) -> Reason {
        let all =
            |verdict| !considered.is_empty() && considered.iter().all(|one| one.verdict == verdict);
        match (current, advised) {
            (None, Some(_)) => Reason::Add,
            (Some(_), None) => Reason::Remove,
            (here, there) if here != there => Reason::Repoint,
            _ if all(Verdict::InsufficientData) => Reason::InsufficientData,
            _ if self.routing.cooling.contains_key(label) => Reason::CoolingDown,
            _ if !covered.contains(label) || considered.is_empty() => Reason::Unsupported,
            _ => Reason::Keep,
        }
    }
}

impl Decided<'_> {
    /// The endpoint that answers a client, or nothing where its order names no installed label.
    fn answer(&self, order: &[Label], today: &Label) -> Option<usize> {
        let points_at = |label: &Label| {
            let index = self.labels.iter().position(|other| *other == label)?;
            self.points_at[index]
        };
        order.iter().find_map(points_at).or_else(|| points_at(today))
    }

    /// Whether a label is installed in the answer, or is the one asked about.
    fn is_installed(&self, label: &Label, asked: usize) -> bool {
        let index = self.labels.iter().position(|other| *other == label);
        index.is_some_and(|index| index == asked || self.points_at[index].is_some())
    }
}

/// The program's answer, where regret falls by it.
fn better(program: &Program) -> Option<Solution> {
    let pinned = Program {
        labels: program
            .labels
            .iter()
            .map(|label| Candidate { backed: Vec::new(), ..label.clone() })
            .collect(),
        ..program.clone()
    };
    let now = pinned.evaluate(&program.installed())?;
    program.solve().filter(|found| found.value.regret < now.value.regret)
}

/// A client's preferences among the program's labels, by number. Its label of today comes before
/// every other installed one: that much is known of labels its order does not name.
fn order(client: &Client<'_>, labels: &[&Label], live: &BTreeMap<Label, String>) -> Vec<usize> {
    let number = |label: &Label| labels.iter().position(|other| **other == *label);
    let mut order: Vec<&Label> = client.row.order.iter().collect();
    order.extend(live.keys().filter(|label| !client.row.order.contains(label)));
    let first_live = order.iter().position(|label| live.contains_key(*label));
    order.retain(|label| *label != client.label);
    let at = first_live.unwrap_or(0).min(order.len());
    order.insert(at, client.label);
    order.into_iter().filter_map(number).collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of the parts is between 0 and their number"
)]
fn parts(weight: f64, total: f64) -> u64 {
    let share = if total > 0.0 { (weight / total).clamp(0.0, 1.0) } else { 0.0 };
    (share * WEIGHT_PARTS as f64).round() as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "costs are positive and at most a minute or two"
)]
fn micros(cost_ms: f64) -> u64 {
    (cost_ms * 1_000.0).round().clamp(0.0, 1e12) as u64
}

#[cfg(test)]
mod tests;
