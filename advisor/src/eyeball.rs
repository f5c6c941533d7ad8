//! Rule 2, eyeball evidence: measured clients may repoint, add and remove labels.
//!
//! Puts what the clients' blocks say into the exact program, and its answer back into advice. Only
//! measured clients are rows, and they must carry nearly all traffic of each catchment that is
//! changed. Pure: no IO, no clock.

mod heard;
pub(crate) mod rows;

use std::collections::{BTreeMap, BTreeSet};

use crate::advice::{
    Advice, AdviceRule, Basis, COVERED, Choice, Considered, EyeballRow, HeldOut, LabelAdvice,
    NextLabels, Reason, Routing, Verdict,
};
use crate::evidence::{Tested, correct, paired_costs_ms, test_family};
use crate::matrix::Matrix;
use crate::name::Label;
use crate::program::{Candidate, Program, Row, Solution, WEIGHT_PARTS};

pub(crate) use heard::{compared, modelled};

/// A client with a cost at the endpoint that serves it now.
struct Client<'a> {
    id: &'a str,
    row: &'a EyeballRow,
    label: &'a Label,
    /// Every label that is known, the preferred one first.
    order: Vec<&'a Label>,
    today: usize,
    /// At each endpoint: what it costs in the same blocks as today's, and how much more that is.
    costs: Vec<Option<(f64, f64)>>,
}

impl<'a> Client<'a> {
    /// The label of a set that Route 53 prefers for it.
    fn prefers(&self, set: &BTreeSet<&Label>) -> Option<&'a Label> {
        self.order.iter().copied().find(|label| set.contains(label))
    }
}

/// Everything that the rule looks at.
struct Ground<'a> {
    routing: &'a Routing,
    rule: &'a AdviceRule,
    endpoints: &'a [String],
    clients: Vec<Client<'a>>,
    tested: Vec<Tested>,
}

/// What is decided on: all clients, or all but one.
struct Trial<'g, 'a> {
    without: Option<&'g str>,
    clients: Vec<&'g Client<'a>>,
    tested: Vec<Tested>,
    /// The installed labels whose traffic the clients carry.
    covered: BTreeSet<&'a Label>,
}

/// Labels, or all there are where no set is named, put to the program.
struct Posed<'a> {
    set: Option<BTreeSet<&'a Label>>,
    labels: Vec<&'a Label>,
    program: Program,
}

/// The program's labels, and its answer.
struct Decided<'a> {
    set: Option<BTreeSet<&'a Label>>,
    labels: Vec<&'a Label>,
    today: Vec<Option<usize>>,
    points_at: Vec<Option<usize>>,
    tested: Vec<Tested>,
}

/// Applies rule 2, then repeats it without each client and withdraws what that does not confirm.
pub(crate) fn advise(matrix: &Matrix, routing: &Routing, rule: &AdviceRule) -> Advice {
    let ground = Ground::new(matrix, routing, rule);
    let trial = ground.trial(None);
    let decided = ground.decide(&trial);
    let labels = ground.lines(&decided, &trial.covered);
    let heard = ground.heard(&trial, &decided);
    let mut advice = Advice { basis: Basis::Eyeball, labels, held_out: None, heard };
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
            let order = order(&row.order, label, &routing.live);
            Some(Client { id, row, label, order, today, costs })
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

    fn trial<'g>(&'g self, without: Option<&'g str>) -> Trial<'g, 'a> {
        let mut tested = self.tested.clone();
        if without.is_some() {
            tested.retain(|test| Some(test.vantage.as_str()) != without);
            correct(&mut tested, self.rule.evidence.alpha);
        }
        let clients = self.clients.iter().filter(|client| Some(client.id) != without).collect();
        Trial { without, clients, tested, covered: self.covered(without) }
    }

    /// Chooses between the sets of labels that Route 53 was asked about, or searches all of them.
    fn decide(&self, trial: &Trial<'_, 'a>) -> Decided<'a> {
        let (posed, found) = if self.routing.eyeballs.choice == Choice::All {
            let posed = self.pose(trial, None);
            let found = self.search(&posed);
            (posed, found)
        } else {
            let mut options = self.options(trial);
            let best = (0..options.len()).min_by_key(|one| {
                let value = options[*one].1.as_ref().map(|found| &found.value);
                (value.is_none(), value.cloned())
            });
            let (posed, found) = options.swap_remove(best.unwrap_or_default());
            let found = found.filter(|found| self.is_better(&posed, found));
            // What stays is told by who prefers the installed labels.
            if found.is_some() { (posed, found) } else { (self.pose_installed(trial), None) }
        };
        let today: Vec<_> = posed.program.labels.iter().map(|label| label.current).collect();
        let points_at = found.map_or_else(|| today.clone(), |found| found.points_at);
        let tested = trial.tested.clone();
        Decided { set: posed.set, labels: posed.labels, today, points_at, tested }
    }

    /// The sets that Route 53 was asked about, the installed one first; of each what it is worth, where
    /// nobody is moved by it who may not be.
    fn options(&self, trial: &Trial<'_, 'a>) -> Vec<(Posed<'a>, Option<Solution>)> {
        let next = self.routing.eyeballs.next().map(|next| next.labels.iter().collect());
        let posed = next.map(|next| self.pose(trial, Some(next)));
        let worth = |posed: Posed<'a>| {
            let set = posed.set.as_ref()?;
            let in_set: Vec<bool> = posed.labels.iter().map(|label| set.contains(label)).collect();
            let stay = posed.program.labels.iter().zip(&in_set).all(|(one, is)| *is || !one.stays);
            let found = if stay { posed.program.evaluate(&in_set) } else { None };
            Some((posed, found))
        };
        std::iter::once(self.pose_installed(trial)).chain(posed).filter_map(worth).collect()
    }

    /// The program's answer over all labels, where regret falls by it.
    fn search(&self, posed: &Posed<'a>) -> Option<Solution> {
        let backed = posed.program.labels.iter().any(|label| !label.backed.is_empty());
        let found = if backed { posed.program.solve() } else { None };
        found.filter(|found| self.is_better(posed, found))
    }

    /// Whether there is evidence at all, and regret falls.
    fn is_better(&self, posed: &Posed<'a>, found: &Solution) -> bool {
        // A label at an endpoint that is not in the matrix would look as if it were not installed.
        let known = self.routing.live.values().all(|endpoint| self.endpoints.contains(endpoint));
        let backed = posed.program.labels.iter().any(|label| !label.backed.is_empty());
        let now = posed.as_it_stands();
        known && backed && now.is_some_and(|now| found.value.regret < now.value.regret)
    }

    fn pose_installed(&self, trial: &Trial<'_, 'a>) -> Posed<'a> {
        self.pose(trial, Some(self.routing.live.keys().collect()))
    }

    fn pose(&self, trial: &Trial<'_, 'a>, set: Option<BTreeSet<&'a Label>>) -> Posed<'a> {
        let backed = self.backed(trial, set.as_ref());
        let next = self.routing.eyeballs.next().map(|next| &next.labels).into_iter().flatten();
        let others: Vec<&'a Label> =
            if set.is_some() { next.collect() } else { backed.keys().copied().collect() };
        let labels: BTreeSet<&'a Label> = self.routing.live.keys().chain(others).collect();
        let labels: Vec<&'a Label> = labels.into_iter().collect();
        let program = Program {
            endpoints: self.endpoints.len(),
            labels: labels.iter().map(|l| self.candidate(l, &backed, &trial.covered)).collect(),
            rows: self.rows(trial, &labels),
        };
        Posed { set, labels, program }
    }

    /// The installed labels whose traffic the rows carry.
    fn covered(&self, without: Option<&str>) -> BTreeSet<&'a Label> {
        carried(&self.traffic(without)).collect()
    }

    /// The traffic of each label's catchment: that of the rows, and all of it.
    fn traffic(&self, without: Option<&str>) -> Traffic<'a> {
        let eyeballs = &self.routing.eyeballs;
        let prefers = |id: &String, _: &EyeballRow| self.routing.preferred.get(id);
        let mut traffic = self.traffic_by(without, prefers, &eyeballs.unmeasured);
        for label in self.routing.live.keys() {
            traffic.entry(label).or_default();
        }
        traffic
    }

    /// The same once the labels that were asked about are installed.
    fn traffic_then(&self, without: Option<&str>, next: &'a NextLabels) -> Traffic<'a> {
        let prefers =
            |_: &String, row: &'a EyeballRow| row.order.iter().find(|l| next.labels.contains(l));
        self.traffic_by(without, prefers, &next.unmeasured)
    }

    fn traffic_by(
        &self,
        without: Option<&str>,
        prefers: impl Fn(&'a String, &'a EyeballRow) -> Option<&'a Label>,
        unmeasured: &'a BTreeMap<Label, f64>,
    ) -> Traffic<'a> {
        let mut traffic = Traffic::new();
        let rows = self.routing.eyeballs.rows.iter();
        for (id, row) in rows.filter(|(id, _)| Some(id.as_str()) != without) {
            let Some(label) = prefers(id, row) else { continue };
            let is_client = self.clients.iter().any(|client| client.id == id);
            let entry = traffic.entry(label).or_default();
            entry.0 += if is_client { row.weight } else { 0.0 };
            entry.1 += row.weight;
        }
        for (label, weight) in unmeasured {
            traffic.entry(label).or_default().1 += weight;
        }
        traffic
    }

    /// The endpoints that each label may be pointed at: those for which a client passes that
    /// prefers the label with all labels of the set installed.
    fn backed(
        &self,
        trial: &Trial<'_, 'a>,
        set: Option<&BTreeSet<&'a Label>>,
    ) -> BTreeMap<&'a Label, BTreeSet<usize>> {
        let is_next =
            |next: &&NextLabels| set.is_some_and(|set| set.iter().copied().eq(&next.labels));
        let next = self.routing.eyeballs.next().filter(is_next);
        let then: Option<BTreeSet<&Label>> =
            next.map(|next| carried(&self.traffic_then(trial.without, next)).collect());
        let mut backed: BTreeMap<&'a Label, BTreeSet<usize>> = BTreeMap::new();
        for test in trial.tested.iter().filter(|test| test.passes()) {
            let client = trial.clients.iter().find(|client| client.id == test.vantage);
            let endpoint = self.endpoints.iter().position(|id| *id == test.challenger);
            let Some((client, endpoint)) = client.zip(endpoint) else { continue };
            let label = match set {
                Some(set) => client.prefers(set),
                None => client.order.first().copied(),
            };
            let Some(label) = label else { continue };
            let may_change = !self.routing.cooling.contains_key(label)
                && (!self.routing.live.contains_key(label) || trial.covered.contains(label))
                && then.as_ref().is_none_or(|then| then.contains(label));
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

    fn rows(&self, trial: &Trial<'_, 'a>, labels: &[&Label]) -> Vec<Row> {
        let total: f64 = trial.clients.iter().map(|client| client.row.weight).sum();
        let number = |label: &&Label| labels.iter().position(|other| other == label);
        let row = |client: &&Client<'a>| Row {
            weight: parts(client.row.weight, total),
            order: client.order.iter().filter_map(number).collect(),
            cost_us: client.costs.iter().map(|cost| cost.map(|(ms, _)| micros(ms))).collect(),
            today: client.today,
            may: (0..self.endpoints.len())
                .map(|id| id == client.today || self.may(client, id, &trial.covered))
                .collect(),
        };
        trial.clients.iter().map(row).collect()
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
            let decided = self.decide(&self.trial(Some(client.id)));
            let Some(answer) = decided.answer(client) else { continue };
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

    fn lines(&self, decided: &Decided<'a>, covered: &BTreeSet<&Label>) -> Vec<LabelAdvice> {
        let lines = decided.labels.iter().enumerate().map(|(index, label)| {
            let considered = self.considered(decided, index, covered);
            let current = self.routing.live.get(*label).cloned();
            let stays = decided.points_at[index] == decided.today[index];
            let advised = if stays {
                current.clone()
            } else {
                decided.points_at[index].map(|id| self.endpoints[id].clone())
            };
            let reason = self.reason(label, (&current, &advised), &considered, covered);
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
            client.is_some_and(|client| decided.is_of(client, decided.labels[label]))
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
            let first = client.order.iter().find(|l| decided.is_installed(l, label));
            first == Some(&decided.labels[label]) && !self.may(client, endpoint, covered)
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
    /// The endpoint that answers a client.
    fn answer(&self, client: &Client<'_>) -> Option<usize> {
        client.order.iter().find_map(|label| {
            let index = self.labels.iter().position(|other| other == label)?;
            self.points_at[index]
        })
    }

    /// Whether a label is a client's own: the one that it prefers of those that were chosen from, or that
    /// serves it and goes.
    fn is_of(&self, client: &Client<'_>, label: &Label) -> bool {
        match &self.set {
            None => client.order.first() == Some(&label),
            Some(set) if set.contains(label) => client.prefers(set) == Some(label),
            Some(_) => client.label == label,
        }
    }

    /// Whether a label is installed in the answer, or is the one asked about.
    fn is_installed(&self, label: &Label, asked: usize) -> bool {
        let index = self.labels.iter().position(|other| *other == label);
        index.is_some_and(|index| index == asked || self.points_at[index].is_some())
    }
}

impl Posed<'_> {
    /// What stands is worth: the installed labels, each where it points.
    fn as_it_stands(&self) -> Option<Solution> {
        let pinned = |label: &Candidate| Candidate { backed: Vec::new(), ..label.clone() };
        let labels = self.program.labels.iter().map(pinned).collect();
        let pinned = Program { labels, ..self.program.clone() };
        pinned.evaluate(&self.program.installed())
    }
}

/// The traffic of labels' catchments: that of measured clients, and all of it.
type Traffic<'a> = BTreeMap<&'a Label, (f64, f64)>;

/// The labels whose traffic measured clients carry.
fn carried<'a>(traffic: &Traffic<'a>) -> impl Iterator<Item = &'a Label> {
    let carried = traffic.iter().filter(|(_, (measured, all))| *measured >= COVERED * all);
    carried.map(|(label, _)| *label)
}

/// A client's preferences. Its label of today comes before every other installed one: that much is
/// known of labels its order does not name.
fn order<'a>(
    known: &'a [Label],
    today: &'a Label,
    live: &'a BTreeMap<Label, String>,
) -> Vec<&'a Label> {
    let mut order: Vec<&Label> = known.iter().collect();
    order.extend(live.keys().filter(|label| !known.contains(label)));
    let first_live = order.iter().position(|label| live.contains_key(*label));
    order.retain(|label| *label != today);
    let at = first_live.unwrap_or(0).min(order.len());
    order.insert(at, today);
    order
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
