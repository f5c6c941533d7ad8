//! Inquiries against a Route 53 of a few lines, which answers from any table of preferences.

use std::collections::BTreeMap;

use probe::sample::Connection;
use probe::store::WindowSet;
use proptest::prelude::*;

use super::*;
use crate::advice::{Eyeballs, Routing};
use crate::group::LiveGroup;
use crate::group::tests::{adopted, endpoint, name};
use crate::matrix::{CellBlock, CostRule, Matrix};
use crate::record::RecordType;
use crate::shares::Shares;
use crate::survey::ZoneView;
use crate::weights::WeightError;
use crate::zone::ZoneFacts;

const NEAR: &str = "eu-west-1";
const FAR: &str = "us-east-1";
const THIRD: &str = "ap-south-1";
/// Labels that may be added, in order of name.
const MORE: [&str; 10] = [
    "af-south-1",
    "ap-east-1",
    "ap-northeast-1",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "il-central-1",
    "me-south-1",
    "mx-central-1",
    "sa-east-1",
];

type Labels = BTreeSet<Label>;

/// One measured client.
#[derive(Debug, Clone)]
struct Client {
    weight: f64,
    /// Of each endpoint, in their order.
    cost_ms: Vec<f64>,
    /// Labels by round trip, the nearest first.
    modelled: Vec<&'static str>,
    /// Labels as Route 53 prefers them. Those of neither list come last.
    truth: Vec<&'static str>,
}

impl Client {
    /// One of whose preferences the model knows all.
    fn of(weight: f64, cost_ms: &[f64], truth: &[&'static str]) -> Self {
        let (cost_ms, truth) = (cost_ms.to_vec(), truth.to_vec());
        Self { weight, cost_ms, modelled: truth.clone(), truth }
    }

    fn by_truth(&self, labels: &Labels) -> Label {
        let rank = |label: &&Label| self.truth.iter().position(|one| *one == label.as_str());
        let first = labels.iter().min_by_key(|label| (rank(label).is_none(), rank(label)));
        first.unwrap().clone()
    }
}

/// Endpoints with a label each, clients, and what Route 53 would say to them.
struct World {
    config: Config,
    endpoints: Vec<&'static str>,
    clients: Vec<Client>,
    /// With the installed labels alone asked about.
    survey: Survey,
}

fn client_id(index: usize) -> String {
    format!("client-{index:02}")
}

fn labels(of: &[&str]) -> Labels {
    of.iter().map(|label| Label::new(label)).collect()
}

fn config(endpoints: &[&str], clients: usize) -> Config {
    let vantage =
        |index| format!("[[vantage]]\nid = \"{}\"\npopulation = \"eyeball\"\n", client_id(index));
    let endpoint = |id: &&str| {
        format!(
            "[[endpoint]]\nid = \"{id}\"\nregion = \"{id}\"\nkind = \"regional\"\n\
             url = \"https://{id}.api.example.com/\"\n"
        )
    };
    let names = "name = \"api.example.com\"\nzone = \"example.com\"\n".to_owned();
    let lines = (0..clients).map(vantage).chain(endpoints.iter().map(endpoint));
    let text: String = std::iter::once(names).chain(lines).collect();
    let flags = probe::config::Flags::default();
    probe::config::build(probe::config::DEFAULTS, &text, &BTreeMap::new(), &flags).unwrap()
}

fn matrix(endpoints: &[&str], clients: &[Client]) -> Matrix {
    let mut rows = Vec::new();
    for (index, client) in clients.iter().enumerate() {
        for (endpoint, value_ms) in endpoints.iter().zip(&client.cost_ms) {
            rows.extend((0..18).map(|block| CellBlock {
                vantage: client_id(index),
                endpoint: (*endpoint).to_owned(),
                connection: Connection::Warm,
                start_ms: block * 1_000,
                value_ms: *value_ms,
                attempts: 1_000,
                failures: 0,
                valid: WindowSet::from_bytes(1, &[1]),
            }));
        }
    }
    Matrix::build(&rows, CostRule { cold_share: 0.0, block_ms: 1_000 })
}

impl World {
    /// Each endpoint's own label is installed, and `beside` more.
    fn new(
        endpoints: &[&'static str],
        beside: &[(&'static str, &'static str)],
        clients: &[Client],
    ) -> Self {
        let config = config(endpoints, clients.len());
        let own = endpoints.iter().map(|id| (*id, *id));
        let installed: Vec<(&str, &str)> = own.chain(beside.iter().copied()).collect();
        let live: BTreeMap<Label, String> =
            installed.iter().map(|(label, id)| (Label::new(label), (*id).to_owned())).collect();
        let set: Labels = live.keys().cloned().collect();
        let of = |(index, client): (usize, &Client)| (client_id(index), client.by_truth(&set));
        let all: f64 = clients.iter().map(|client| client.weight).sum();
        let share = |(index, client): (usize, &Client)| (client_id(index), client.weight / all);
        let trips = |(index, client): (usize, &Client)| {
            let trip = move |(rank, label): (usize, &&str)| {
                ((client_id(index), format!("candidate-{label}")), 10.0 * rank as f64)
            };
            client.modelled.iter().enumerate().map(trip).collect::<Vec<_>>()
        };
        let survey = Survey {
            view: ZoneView {
                zone: ZoneFacts {
                    id: "Z1".into(),
                    name: name("example.com"),
                    name_servers: Vec::new(),
                    api: String::new(),
                },
                service: name("api.example.com"),
                records: installed.iter().map(|(l, id)| adopted(l, id, RecordType::A)).collect(),
                endpoints: endpoints.iter().map(|id| endpoint(id)).collect(),
            },
            live: LiveGroup {
                labels: live.clone(),
                families: [RecordType::A].into(),
                ..LiveGroup::default()
            },
            matrix: matrix(endpoints, clients),
            routing: Routing {
                live,
                preferred: clients.iter().enumerate().map(of).collect(),
                witnesses: BTreeMap::new(),
                cloud: BTreeSet::new(),
                cooling: BTreeMap::new(),
                eyeballs: Eyeballs::default(),
            },
            preference: Preference::Asked,
            traffic: Shares {
                vantages: clients.iter().enumerate().map(share).collect(),
                clients: Vec::new(),
                rest: 0.0,
                source: "a test".into(),
            },
            clients: BTreeMap::new(),
            unasked: (0, 0.0),
            round_trips: clients.iter().enumerate().flat_map(trips).collect(),
            orders: BTreeMap::new(),
            next: None,
        };
        Self { config, endpoints: endpoints.to_vec(), clients: clients.to_vec(), survey }
    }

    fn installed(&self) -> Labels {
        self.survey.live.labels.keys().cloned().collect()
    }

    /// What Route 53 answers while the `next` shadow stands with these labels.
    fn with_next(&self, labels: Option<&Labels>) -> Survey {
        let mut survey = self.survey.clone();
        let others = labels.filter(|labels| **labels != self.installed());
        let of = |labels: &Labels| {
            let clients = self.clients.iter().enumerate();
            clients.map(|(index, client)| (client_id(index), client.by_truth(labels))).collect()
        };
        survey.next = others.map(|labels| Next {
            labels: labels.clone(),
            preferred: of(labels),
            how: Preference::Asked,
            clients: BTreeMap::new(),
        });
        survey.learn(&self.config, &[]);
        survey
    }

    /// A whole inquiry: which labels were asked about, and what it came to.
    fn inquire(&self, standing: Option<&Labels>) -> (Vec<Labels>, Findings) {
        let mut survey = self.with_next(standing);
        let mut inquiry = Inquiry::new(survey.next.clone());
        let mut asked = Vec::new();
        loop {
            match inquiry.step(&survey, &self.config) {
                Step::Ask(question) => {
                    survey = self.with_next(Some(&question.labels));
                    inquiry.hear(survey.next.clone().unwrap());
                    asked.push(question.labels);
                    assert_eq!(inquiry.rounds(), asked.len());
                }
                Step::End(findings) => return (asked, findings),
            }
        }
    }

    /// The mean regret when these labels are installed, each at its best admissible endpoint, by the
    /// clients' true preferences; `None` where that would move somebody who may not be moved. Worked out
    /// from the rule's words alone.
    fn worth_ms(&self, set: &Labels) -> Option<f64> {
        let live = &self.survey.live.labels;
        let own = self.endpoints.iter().map(|id| Label::new(id));
        if !own.clone().all(|label| set.contains(&label)) {
            return None;
        }
        let number = |id: &String| self.endpoints.iter().position(|one| one == id).unwrap();
        let today = |client: &Client| number(&live[&client.by_truth(&self.installed())]);
        let all: f64 = self.clients.iter().map(|client| client.weight).sum();
        let mut regret_ms = 0.0;
        for label in set {
            let of: Vec<&Client> =
                self.clients.iter().filter(|client| client.by_truth(set) == *label).collect();
            let gains = |client: &Client, to: usize| {
                let now_ms = client.cost_ms[today(client)];
                now_ms - client.cost_ms[to] > f64::max(5.0, 0.05 * now_ms)
            };
            let backed = |to: usize| of.iter().any(|client| gains(client, to));
            let takes = |client: &Client, to: usize| {
                let harmless = client.cost_ms[to] <= client.cost_ms[today(client)] + 5.0;
                to == today(client) || (harmless && backed(to))
            };
            let possible = (0..self.endpoints.len())
                .filter(|to| backed(*to) || live.get(label).map(number) == Some(*to))
                .filter(|to| of.iter().all(|client| takes(client, *to)));
            let paid = possible.map(|to| {
                let regret = |client: &&Client| {
                    let least = client.cost_ms.iter().copied().fold(f64::INFINITY, f64::min);
                    client.weight / all * (client.cost_ms[to] - least)
                };
                of.iter().map(regret).sum::<f64>()
            });
            regret_ms += paid.min_by(f64::total_cmp)?;
        }
        Some(regret_ms)
    }
}

/// What a set is worth, as a figure that is the least where the set is best.
fn or_worst(worth_ms: Option<f64>) -> f64 {
    worth_ms.unwrap_or(f64::INFINITY)
}

/// `gaining` clients that are sent to NEAR and are better served by FAR, each with a label that it prefers to
/// all others. Two in the west must stay at NEAR; Route 53, and no round trip, says that `bad` of those labels
/// catch them, too.
fn west(gaining: usize, bad: usize) -> World {
    let own = |label: &'static str| Client::of(1.0, &[150.0, 90.0], &[label, NEAR, FAR]);
    let mut clients: Vec<Client> = MORE[..gaining].iter().map(|label| own(label)).collect();
    let mut truth = MORE[..bad].to_vec();
    truth.push(NEAR);
    let modelled = [&[NEAR], &MORE[..], &[FAR]].concat();
    let stays = Client { weight: 1.0, cost_ms: vec![20.0, 90.0], modelled, truth };
    clients.extend([stays.clone(), stays]);
    World::new(&[NEAR, FAR], &[], &clients)
}

fn with_own(world: &World, more: &[&str]) -> Labels {
    world.installed().into_iter().chain(labels(more)).collect()
}

#[test]
fn answers_that_disappoint_are_followed_by_other_questions() {
    let world = west(3, 2);
    let (asked, findings) = world.inquire(None);
    let expected = [&MORE[..3], &MORE[1..3], &MORE[2..3]].map(|more| with_own(&world, more));
    assert_eq!(asked, expected);
    assert_eq!(findings.best.as_ref(), Some(&expected[2]));
    assert_eq!(findings.open, None);
    let said: Vec<Option<f64>> =
        findings.values.iter().map(|set| Some(set.value.as_ref()?.regret_ms().round())).collect();
    assert_eq!(said, [Some(36.0), None, None, Some(24.0)], "the installed ones first");
    // The plan takes up what was left standing.
    let survey = world.with_next(findings.best.as_ref());
    let advice = survey.advise(&world.config);
    let moves: Vec<&str> = advice.moves().map(|line| line.label.as_str()).collect();
    assert_eq!(moves, [MORE[2]]);
    // The same again: what disappointed is not remembered, what stands saves its round and is left.
    let (again, after) = world.inquire(findings.best.as_ref());
    assert_eq!((again.as_slice(), after.best), (&expected[..2], findings.best));
}

#[test]
fn after_the_last_round_what_is_promised_still_is_told() {
    let world = west(10, 10);
    let (asked, findings) = world.inquire(None);
    assert_eq!(asked.len(), ROUNDS);
    let open = findings.open.unwrap();
    assert!(!asked.contains(&open.labels));
    assert_eq!(open.labels, with_own(&world, &MORE[ROUNDS..]));
    // None of them may be installed: the first stays, and the plan keeps what is installed.
    assert!(findings.values.iter().skip(1).all(|set| set.value.is_none()));
    let best = findings.best.unwrap();
    assert_eq!(best, asked[0]);
    let advice = world.with_next(Some(&best)).advise(&world.config);
    assert_eq!(advice.moves().count(), 0);
    // One answer stands already, and so the same inquiry comes one question further.
    let (again, _) = world.inquire(Some(&best));
    assert_eq!(again.len(), ROUNDS);
    assert_eq!(again[..ROUNDS - 1], asked[1..]);
    assert_eq!(again[ROUNDS - 1], open.labels);
}

/// The heaviest client is caught by a label that it was not expected at. Without that label it is expected at
/// the other one, and is not there either.
fn caught() -> World {
    let (first, second) = (MORE[0], MORE[1]);
    let heavy = Client {
        modelled: vec![second, NEAR, first, THIRD, FAR],
        ..Client::of(3.0, &[100.0, 100.0, 50.0], &[first, NEAR, second, THIRD, FAR])
    };
    let clients = [
        Client::of(1.0, &[150.0, 90.0, 160.0], &[first, NEAR, FAR, THIRD, second]),
        Client::of(1.0, &[150.0, 150.0, 90.0], &[second, NEAR, THIRD, FAR, first]),
        heavy,
        Client::of(1.0, &[20.0, 90.0, 90.0], &[NEAR, first, second, FAR, THIRD]),
    ];
    World::new(&[NEAR, FAR, THIRD], &[], &clients)
}

#[test]
fn of_those_that_were_asked_about_the_best_is_left_and_not_the_last() {
    let world = caught();
    let (asked, findings) = world.inquire(None);
    let (both, second) = (with_own(&world, &MORE[..2]), with_own(&world, &MORE[1..2]));
    assert_eq!(asked, [both.clone(), second.clone()]);
    assert_eq!(findings.best, Some(both.clone()));
    let worth = [&world.installed(), &both, &second].map(|set| world.worth_ms(set));
    assert_eq!(worth, [Some(45.0), Some(25.0), Some(35.0)]);
    let (again, after) = world.inquire(Some(&both));
    assert_eq!((again, after.best), (vec![second], Some(both)));
}

/// Without a shadow of the installed labels nobody says that Route 53 was asked about them.
#[test]
fn what_is_modelled_is_not_said_to_be_asked() {
    for (preference, asked) in
        [(Preference::Asked, true), (Preference::AskedApi, true), (Preference::Modelled, false)]
    {
        let mut world = west(2, 0);
        world.survey.preference = preference;
        let advice = world.with_next(None).advise(&world.config);
        let said: Vec<(bool, bool)> =
            advice.compared().map(|(set, is_chosen)| (set.asked, is_chosen)).collect();
        assert_eq!(said, [(asked, true), (false, false)], "{preference:?}");
    }
}

#[test]
fn where_nothing_is_measured_nothing_is_asked_and_what_stands_stays() {
    let mut world = west(2, 0);
    world.survey.matrix = matrix(&world.endpoints, &[]);
    let (asked, findings) = world.inquire(None);
    assert_eq!((asked.len(), findings.best), (0, None));
    let standing = with_own(&world, &MORE[..1]);
    let (asked, findings) = world.inquire(Some(&standing));
    assert_eq!((asked.len(), findings.values, findings.best), (0, vec![], None));
}

/// A plan of labels moves them whole, and what each carries is known before it gets weights.
#[test]
fn where_weights_are_wanted_other_labels_go_first_and_whole() {
    let mut world = west(2, 0);
    world.config.stateless = true;
    let (_, findings) = world.inquire(None);
    let survey = world.with_next(findings.best.as_ref());
    let advice = survey.advise(&world.config);
    assert!(advice.changes_the_set());
    let weighing = survey.weigh(&world.config, &advice);
    assert_eq!((weighing.changes, weighing.refused), (vec![], Some(WeightError::LabelsFirst)));
    let plan = survey.plan(&world.config, &advice, 1_000_000);
    let moves: Vec<_> =
        plan.moves.iter().map(|step| (step.label.as_str(), step.after().unwrap())).collect();
    let whole = crate::topology::Shares::one(FAR);
    assert_eq!(moves, [(MORE[0], whole.clone()), (MORE[1], whole)]);
    assert!(plan.weights.is_empty());
    assert_eq!(plan.effect.preferred_after.as_deref(), Some("asked"));
    assert!((plan.effect.traffic_moved - 0.5).abs() < 1e-9, "{:?}", plan.effect);
    // With the same labels weights are looked at.
    let installed = world.with_next(None);
    let weighing = installed.weigh(&world.config, &installed.advise(&world.config));
    assert_eq!(weighing.refused, None);
}

/// Clients that nothing measures, of whom Route 53 was asked or not.
#[test]
fn of_whom_nobody_asked_what_it_will_prefer_all_is_taken_to_move() {
    let mut world = west(2, 0);
    let (_, findings) = world.inquire(None);
    // A half of the traffic belongs to others: most of them stay at NEAR, and a tenth gets a label of its own.
    for share in world.survey.traffic.vantages.values_mut() {
        *share /= 2.0;
    }
    world.survey.clients = [(Label::new(NEAR), 0.5)].into();
    let moved = |stays: f64, goes: f64| {
        let mut survey = world.with_next(findings.best.as_ref());
        let to = |label: &str, share: f64| ((Label::new(NEAR), Label::new(label)), share);
        let next = survey.next.as_mut().unwrap();
        next.clients = [to(NEAR, stays), to(MORE[0], goes)].into();
        let after = survey.next.iter().flat_map(|next| &next.labels).map(|label| {
            let to = survey.live.labels.get(label).map_or(FAR, String::as_str);
            (label.clone(), crate::topology::Shares::one(to))
        });
        let effect = survey.effect(&world.config, &after.collect());
        (effect.traffic_moved * 1_000.0).round() / 1_000.0
    };
    for ((stays, goes), expected) in [((0.45, 0.05), 0.3), ((0.25, 0.05), 0.5), ((0.0, 0.0), 0.75)]
    {
        let found = moved(stays, goes);
        assert!((found - expected).abs() < 1e-9, "{stays} stay, {goes} go: {found}");
    }
}

const LABELS: [&str; 7] = [NEAR, FAR, THIRD, MORE[0], MORE[1], MORE[2], MORE[3]];

fn orders() -> impl Strategy<Value = Vec<&'static str>> {
    Just(LABELS.to_vec()).prop_shuffle()
}

prop_compose! {
    fn any_client()(
        weight in 1_u8..6,
        costs in prop::collection::vec(0_u8..20, 3),
        modelled in orders(),
        truth in orders(),
    ) -> Client {
        // No gain is exactly the least one.
        let cost_ms = costs.into_iter().map(|cost| 23.0 + 10.0 * f64::from(cost)).collect();
        Client { weight: f64::from(weight), cost_ms, modelled, truth }
    }
}

prop_compose! {
    fn any_world()(
        endpoints in 2_usize..4,
        beside in prop::option::of((3..LABELS.len(), 0_usize..2)),
        mut clients in prop::collection::vec(any_client(), 3..9),
    ) -> World {
        for client in &mut clients {
            client.cost_ms.truncate(endpoints);
        }
        let endpoints = &LABELS[..endpoints];
        let beside: Vec<_> =
            beside.into_iter().map(|(label, to)| (LABELS[label], endpoints[to])).collect();
        World::new(endpoints, &beside, &clients)
    }
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {:?} {:?}", self.endpoints, self.survey.live.labels, self.clients)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    /// Whatever Route 53 prefers and whatever was measured.
    #[test]
    fn an_inquiry_ends_and_leaves_the_best_of_what_it_asked_about(world in any_world()) {
        let (asked, findings) = world.inquire(None);
        prop_assert!(asked.len() <= ROUNDS);
        let different: BTreeSet<&Labels> = asked.iter().collect();
        prop_assert_eq!(different.len(), asked.len(), "nothing is asked twice");
        prop_assert!(!asked.contains(&world.installed()));

        // What each set is worth is what the rule's words make of it, and the best is left.
        let told: Vec<&Labels> = findings.values.iter().map(|set| &set.labels).collect();
        let installed = world.installed();
        prop_assert_eq!(told, std::iter::once(&installed).chain(&asked).collect::<Vec<_>>());
        for set in &findings.values {
            let (said, expected) = (set.value.as_ref(), world.worth_ms(&set.labels));
            prop_assert_eq!(said.is_some(), expected.is_some(), "{:?}", set);
            let off = said.map_or(0.0, |value| value.regret_ms() - expected.unwrap());
            prop_assert!(off.abs() < 1e-3, "{set:?} {expected:?}");
        }
        let worth = |set: &Labels| or_worst(world.worth_ms(set));
        let best_ms = asked.iter().map(worth).fold(f64::INFINITY, f64::min);
        prop_assert_eq!(findings.best.is_some(), !asked.is_empty());
        let left_ms = findings.best.as_ref().map_or(f64::INFINITY, worth);
        prop_assert!(left_ms <= best_ms, "{left_ms} {best_ms}");

        // Nobody's plan is worse than what stands, and each follows what was asked about.
        let survey = world.with_next(findings.best.as_ref());
        let advice = survey.advise(&world.config);
        let after = advice.endpoints();
        let set: Labels = after.keys().cloned().collect();
        prop_assert!(set == installed || Some(&set) == findings.best.as_ref());
        let regret_ms = |labels: &BTreeMap<Label, String>| -> f64 {
            let set: Labels = labels.keys().cloned().collect();
            let cost = |client: &Client| {
                let id = &labels[&client.by_truth(&set)];
                let to = world.endpoints.iter().position(|one| one == id).unwrap();
                client.weight * client.cost_ms[to]
            };
            world.clients.iter().map(cost).sum()
        };
        prop_assert!(regret_ms(&after) <= regret_ms(&world.survey.live.labels) + 1e-9);

        // Asking again changes nothing, unless there was more to ask about.
        let (again, then) = world.inquire(findings.best.as_ref());
        if findings.open.is_none() {
            prop_assert!(again.iter().all(|set| asked.contains(set)));
            prop_assert_eq!(&then.best, &findings.best);
        }
        prop_assert!(then.best.as_ref().map_or(f64::INFINITY, worth) <= left_ms);
    }

    /// The same where anything stood before.
    #[test]
    fn what_stood_before_is_given_up_only_for_something_better(
        world in any_world(), more in prop::collection::btree_set(3..LABELS.len(), 1..4),
    ) {
        let standing: Labels =
            world.installed().into_iter().chain(more.into_iter().map(|one| Label::new(LABELS[one]))).collect();
        let (asked, findings) = world.inquire(Some(&standing));
        prop_assert!(asked.len() <= ROUNDS && !asked.contains(&standing));
        let worth = |set: &Labels| or_worst(world.worth_ms(set));
        let left = findings.best.clone().unwrap_or_else(|| world.installed());
        let is_new = standing != world.installed();
        if is_new {
            prop_assert!(worth(&left) <= worth(&standing));
        }
        prop_assert!(!is_new || left == standing || asked.contains(&left));
        if findings.open.is_none() && findings.best.is_some() {
            let (_, then) = world.inquire(Some(&left));
            prop_assert_eq!(then.best, Some(left));
        }
    }
}
