//! Example worlds of measured clients, one for each way that a label is or is not changed.

use probe::sample::Connection;
use probe::store::WindowSet;

use super::*;
use crate::advice::{Eyeballs, LabelSet};
use crate::matrix::{CellBlock, CostRule};

const NEAR: &str = "eu-west-1";
const FAR: &str = "us-east-1";
const BETWEEN: &str = "eu-north-1";

/// Two endpoints with a label each. Two clients prefer the label of eu-west-1; the one in the north
/// would rather be served from us-east-1, and would have the label eu-north-1.
struct World {
    rows: Vec<CellBlock>,
    routing: Routing,
}

fn cost_ms(client: &str, endpoint: &str) -> f64 {
    match (client, endpoint) {
        ("north", NEAR) => 150.0,
        ("west", NEAR) | ("east", FAR) => 20.0,
        _ => 90.0,
    }
}

fn order(labels: [&str; 3]) -> Vec<Label> {
    labels.iter().map(|label| Label::new(label)).collect()
}

impl World {
    fn new() -> Self {
        let mut rows = Vec::new();
        for client in ["north", "west", "east"] {
            for endpoint in [NEAR, FAR] {
                rows.extend((0..18).map(|block| CellBlock {
                    vantage: client.into(),
                    endpoint: endpoint.into(),
                    connection: Connection::Warm,
                    start_ms: block * 1_000,
                    value_ms: cost_ms(client, endpoint),
                    attempts: 1_000,
                    failures: 0,
                    valid: WindowSet::from_bytes(1, &[1]),
                }));
            }
        }
        let row = |labels| EyeballRow { weight: 1.0, order: order(labels) };
        let clients = BTreeMap::from([
            ("north".to_owned(), row([BETWEEN, NEAR, FAR])),
            ("west".to_owned(), row([NEAR, BETWEEN, FAR])),
            ("east".to_owned(), row([FAR, NEAR, BETWEEN])),
        ]);
        let own: BTreeSet<Label> = [NEAR, FAR].map(Label::new).into();
        let eyeballs =
            Eyeballs { rows: clients, own_labels: own, asked: true, ..Eyeballs::default() };
        let routing = Routing {
            live: [NEAR, FAR].map(|region| (Label::new(region), region.to_owned())).into(),
            preferred: [("north", NEAR), ("west", NEAR), ("east", FAR)]
                .map(|(client, label)| (client.to_owned(), Label::new(label)))
                .into(),
            witnesses: BTreeMap::new(),
            cloud: BTreeSet::new(),
            cooling: BTreeMap::new(),
            eyeballs,
        };
        Self { rows, routing }
    }

    fn with(change: impl FnOnce(&mut Self)) -> Self {
        let mut world = Self::new();
        change(&mut world);
        world
    }

    fn cell(&mut self, client: &str, endpoint: &str, change: impl Fn(&mut CellBlock)) {
        let cell = |row: &&mut CellBlock| row.vantage == client && row.endpoint == endpoint;
        self.rows.iter_mut().filter(cell).for_each(change);
    }

    fn advice(&self) -> Advice {
        let rule = AdviceRule::default();
        let matrix = Matrix::build(&self.rows, CostRule { cold_share: 0.0, block_ms: 1_000 });
        advise(&matrix, &self.routing, &rule)
    }

    fn moves(&self) -> Vec<(String, Reason, Option<String>)> {
        let advice = self.advice();
        let line = |line: &LabelAdvice| (line.label.to_string(), line.reason, line.advised.clone());
        advice.moves().map(line).collect()
    }

    fn line(&self, label: &str) -> LabelAdvice {
        self.advice().labels.into_iter().find(|line| line.label.as_str() == label).unwrap()
    }
}

fn added() -> Vec<(String, Reason, Option<String>)> {
    vec![(BETWEEN.into(), Reason::Add, Some(FAR.into()))]
}

#[test]
fn a_client_that_gains_gets_a_label_of_its_own_and_others_stay() {
    let world = World::new();
    assert_eq!(world.moves(), added());
    let line = world.line(BETWEEN);
    assert_eq!((line.current, line.considered[0].at.as_deref()), (None, Some("north")));
    assert_eq!(world.line(NEAR).reason, Reason::Keep);
}

#[test]
fn fewer_blocks_than_needed_are_insufficient_data() {
    let world = World::with(|world| world.rows.retain(|row| row.start_ms > 0));
    assert_eq!(world.moves(), []);
}

#[test]
fn a_catchment_of_which_a_tenth_is_not_measured_is_left_alone() {
    // The label's two clients carry 2.0.
    for (unmeasured, expected) in [(0.2, added()), (0.3, Vec::new())] {
        let world = World::with(|world| {
            world.routing.eyeballs.unmeasured.insert(Label::new(NEAR), unmeasured);
        });
        assert_eq!(world.moves(), expected, "{unmeasured}");
    }
    let world = World::with(|world| {
        world.routing.eyeballs.unmeasured.insert(Label::new(NEAR), 1.0);
    });
    assert_eq!(world.line(NEAR).reason, Reason::Unsupported);
    // A client that is known and not measured counts as traffic that nothing stands for.
    let world = World::with(|world| world.rows.retain(|row| row.vantage != "west"));
    assert_eq!(world.moves(), []);
}

#[test]
fn nobody_may_lose_by_a_label_that_another_client_wants() {
    // Now the western client, too, prefers the new label, and would lose 70 ms by it.
    let world = World::with(|world| {
        let west = world.routing.eyeballs.rows.get_mut("west").unwrap();
        west.order = order([BETWEEN, NEAR, FAR]);
    });
    assert_eq!(world.moves(), []);
}

#[test]
fn without_evidence_nothing_is_tidied() {
    let world = World::with(|world| {
        world.routing.live.insert(Label::new(BETWEEN), NEAR.into());
        world.routing.preferred.insert("north".into(), Label::new(BETWEEN));
        world.cell("north", FAR, |row| row.value_ms = 149.0);
    });
    assert_eq!(world.moves(), []);
}

#[test]
fn a_label_of_no_endpoint_may_move_and_one_that_rests_may_not() {
    let installed = |rests: bool| {
        World::with(|world| {
            world.routing.live.insert(Label::new(BETWEEN), NEAR.into());
            world.routing.preferred.insert("north".into(), Label::new(BETWEEN));
            if rests {
                world.routing.cooling.insert(Label::new(BETWEEN), i64::MAX);
            }
        })
    };
    let expected = vec![(BETWEEN.into(), Reason::Repoint, Some(FAR.into()))];
    assert_eq!(installed(false).moves(), expected);
    assert_eq!(installed(true).moves(), []);
    assert_eq!(installed(true).line(BETWEEN).reason, Reason::CoolingDown);
}

#[test]
fn an_endpoint_that_fails_more_gets_no_label() {
    let world = World::with(|world| {
        for client in ["north", "west", "east"] {
            world.cell(client, FAR, |row| row.failures = 400);
        }
    });
    assert_eq!(world.moves(), []);
}

#[test]
fn advice_that_does_not_help_those_left_out_is_withdrawn() {
    // A second northern client loses 4 ms where the first gains; without it the label stands, and
    // it is worse off. The first is no help: without it there is no evidence, and nothing moves.
    let world = World::with(|world| {
        let mut more: Vec<CellBlock> =
            world.rows.iter().filter(|row| row.vantage == "north").cloned().collect();
        for row in &mut more {
            row.vantage = "polar".into();
            row.value_ms = if row.endpoint == NEAR { 100.0 } else { 104.0 };
        }
        world.rows.extend(more);
        let row = EyeballRow { weight: 1.0, order: order([BETWEEN, NEAR, FAR]) };
        world.routing.eyeballs.rows.insert("polar".into(), row);
        world.routing.preferred.insert("polar".into(), Label::new(NEAR));
    });
    let advice = world.advice();
    assert_eq!(advice.moves().count(), 0);
    let held_out = advice.held_out.unwrap();
    assert_eq!((held_out.tested, held_out.today_ms, held_out.advised_ms), (1, 100.0, 104.0));
}

/// What was said of labels that are added, and what nobody measured of them then.
fn asked(more: &[&str], unmeasured: &[(&str, f64)]) -> Choice {
    let labels = [NEAR, FAR].iter().chain(more).map(|label| Label::new(label)).collect();
    let unmeasured = unmeasured.iter().map(|(label, of)| (Label::new(label), *of)).collect();
    Choice::Asked(Some(NextLabels { labels, unmeasured }))
}

fn chosen_from(choice: Choice) -> World {
    World::with(|world| world.routing.eyeballs.choice = choice)
}

/// The sets that were compared: how many labels, whether Route 53 was asked, and the regret.
fn compared(world: &World) -> Vec<(usize, bool, Option<f64>)> {
    let set = |set: &LabelSet| {
        let regret_ms = set.value.as_ref().map(|value| value.regret_ms().round());
        (set.labels.len(), set.asked, regret_ms)
    };
    world.advice().heard.sets.iter().map(set).collect()
}

#[test]
fn labels_are_planned_only_once_they_were_asked_about() {
    // The north could gain 60 ms, and is a third of the traffic.
    let world = chosen_from(Choice::Asked(None));
    assert_eq!(world.moves(), []);
    assert_eq!(compared(&world), [(2, true, Some(20.0)), (3, false, Some(0.0))]);
    let world = chosen_from(asked(&[BETWEEN], &[]));
    assert_eq!(world.moves(), added());
    assert_eq!(compared(&world), [(2, true, Some(20.0)), (3, true, Some(0.0))]);
}

#[test]
fn of_two_sets_the_one_with_less_regret_is_chosen_whole() {
    // The other set catches the west, too: with it nobody may move, and the installed labels stay.
    let world = World::with(|world| {
        world.routing.eyeballs.choice = asked(&[BETWEEN], &[]);
        let west = world.routing.eyeballs.rows.get_mut("west").unwrap();
        west.order = order([BETWEEN, NEAR, FAR]);
    });
    assert_eq!(world.moves(), []);
    assert_eq!(compared(&world), [(2, true, Some(20.0)), (3, true, None)]);
    // A label beside those of the endpoints may be repointed among the installed ones, or go.
    let beside = |next: Choice| {
        World::with(|world| {
            world.routing.live.insert(Label::new(BETWEEN), NEAR.into());
            world.routing.preferred.insert("north".into(), Label::new(BETWEEN));
            world.routing.eyeballs.choice = next;
        })
    };
    let repointed = vec![(BETWEEN.into(), Reason::Repoint, Some(FAR.into()))];
    assert_eq!(beside(asked(&[], &[])).moves(), repointed, "without it the north stays at NEAR");
    assert_eq!(compared(&beside(asked(&[], &[]))), [(3, true, Some(0.0)), (2, true, Some(20.0))]);
    // Where both are worth the same, fewer labels are.
    let world = World::with(|world| {
        world.routing.live.insert(Label::new(BETWEEN), FAR.into());
        world.routing.eyeballs.choice = asked(&[], &[]);
        world.cell("west", FAR, |row| row.value_ms = 20.0);
        world.cell("west", NEAR, |row| row.value_ms = 40.0);
    });
    let removed = vec![
        (BETWEEN.into(), Reason::Remove, None),
        (NEAR.into(), Reason::Repoint, Some(FAR.into())),
    ];
    assert_eq!(world.moves(), removed);
}

#[test]
fn a_label_whose_traffic_would_not_be_measured_is_not_installed() {
    // The north carries 1.0 of the new label's traffic.
    for (unmeasured, expected) in [(0.1, added()), (0.2, Vec::new())] {
        let world = chosen_from(asked(&[BETWEEN], &[(BETWEEN, unmeasured)]));
        assert_eq!(world.moves(), expected, "{unmeasured}");
    }
    // What nobody measures of the others is no matter: they stay where they are.
    let world = chosen_from(asked(&[BETWEEN], &[(NEAR, 5.0), (FAR, 5.0)]));
    assert_eq!(world.moves(), added());
}

/// Somewhere else the north has a nearer label, and that is not installed: among the installed ones it
/// prefers NEAR, which Route 53 said, and is heard there.
#[test]
fn whoever_prefers_a_label_in_the_set_that_was_asked_about_backs_it() {
    let change = |world: &mut World| {
        world.cell("west", NEAR, |row| row.value_ms = 92.0);
        world.routing.eyeballs.choice = Choice::Asked(None);
    };
    let world = World::with(change);
    let repointed = vec![(NEAR.into(), Reason::Repoint, Some(FAR.into()))];
    assert_eq!(world.moves(), repointed);
    assert_eq!(world.line(NEAR).considered[0].at.as_deref(), Some("north"));
    // In the search over all labels it backs the label that it would prefer to all others, and no other.
    let world = World::with(|world| {
        change(world);
        world.routing.eyeballs.choice = Choice::All;
    });
    assert_eq!(world.moves(), added());
    // Nobody backs a label of which Route 53 says that others answer for it.
    let world = World::with(|world| {
        change(world);
        world.routing.preferred.insert("north".into(), Label::new(FAR));
    });
    assert_eq!(world.moves(), []);
}
