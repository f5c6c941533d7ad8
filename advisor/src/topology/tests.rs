//! What must hold of topologies, their records and the way between them.

use super::*;
use crate::batch::{alias_depths, applied, difference};
use crate::group::latency_sets;
use crate::group::tests::{endpoint, name};
use crate::record::{Action, Change};
use proptest::prelude::*;

const REGIONS: [&str; 4] = ["ap-south-1", "eu-west-1", "sa-east-1", "us-east-1"];

fn site<'a>(service: &'a Name, endpoints: &'a [EndpointTarget]) -> Site<'a> {
    Site { service, zone_id: "ZONE", endpoints }
}

fn any_shares() -> impl Strategy<Value = Shares> {
    let weights = prop::collection::btree_map(0_usize..4, 1_u8..=255, 1..4);
    weights.prop_map(|weights| {
        let named = weights.into_iter().map(|(at, weight)| (REGIONS[at].to_owned(), weight));
        Shares::weighted(named).unwrap()
    })
}

fn any_tree() -> impl Strategy<Value = Tree> {
    prop::collection::btree_map(
        (0_usize..4).prop_map(|at| Label::new(REGIONS[at])),
        any_shares(),
        1..5,
    )
}

/// A tree of which no label has weights.
fn single_tree() -> impl Strategy<Value = Tree> {
    let label = (0_usize..4).prop_map(|at| Label::new(REGIONS[at]));
    let target = (0_usize..4).prop_map(|at| Shares::one(REGIONS[at]));
    prop::collection::btree_map(label, target, 1..5)
}

fn any_families() -> impl Strategy<Value = BTreeSet<RecordType>> {
    any::<bool>().prop_map(|six| {
        let families = [Some(RecordType::A), six.then_some(RecordType::Aaaa)];
        families.into_iter().flatten().collect()
    })
}

/// Every start of a canary: a plain tree, or one arm.
fn any_start() -> impl Strategy<Value = Topology> {
    (any_tree(), any_families(), 0_u8..3).prop_map(|(tree, families, kind)| {
        let whole = ArmState { weight: WHOLE, tree: tree.clone(), brake: None };
        let shape = match kind {
            0 => Shape::Plain(tree),
            1 => Shape::Wrapped(BTreeMap::from([(Arm::Blue, whole)])),
            _ => Shape::Wrapped(BTreeMap::from([(Arm::Green, whole)])),
        };
        Topology { families, shape }
    })
}

fn any_percents() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::btree_set(1_u8..100, 0..4)
        .prop_map(|percents| percents.into_iter().chain([WHOLE]).collect())
}

/// Deletes come first, aliases before their targets; creates follow, targets before aliases.
fn assert_order(before: &[RecordSet], changes: &[Change]) {
    let mut sets = before.to_vec();
    let mut created = false;
    for change in changes {
        let set = &change.resource_record_set;
        match change.action {
            Action::Delete => {
                assert!(!created, "a DELETE after a CREATE");
                sets.retain(|one| one != set);
            }
            Action::Create => {
                created = true;
                let inside = set.alias_target().filter(|to| to.is_within(&name("api.example.com")));
                let stands = |to: &Name| {
                    sets.iter().any(|one| one.name == *to && one.record_type == set.record_type)
                };
                assert!(inside.is_none_or(stands), "{set} has no target yet");
                sets.push(set.clone());
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(start in any_start()) {
        let (service, endpoints) = (name("api.example.com"), REGIONS.map(endpoint));
        let sets = start.sets(&site(&service, &endpoints)).unwrap();
        prop_assert_eq!(read(&service, &sets, &endpoints).unwrap(), start);
    }

    #[test]
    fn without_weights_it_is_the_plain_latency_group(tree in single_tree(), families in any_families()) {
        let (service, endpoints) = (name("api.example.com"), REGIONS.map(endpoint));
        let labels = tree.iter().map(|(l, s)| (l.clone(), s.only().unwrap().to_owned())).collect();
        let mut expected = latency_sets(&service, &labels, &families, &endpoints);
        expected.sort();
        let plain = Topology { families, shape: Shape::Plain(tree) };
        prop_assert_eq!(plain.sets(&site(&service, &endpoints)).unwrap(), expected);
    }

    #[test]
    fn each_step_and_its_way_back_lead_where_they_say(
        start in any_start(), tree in single_tree(), percents in any_percents(),
    ) {
        let (service, endpoints) = (name("api.example.com"), REGIONS.map(endpoint));
        let site = site(&service, &endpoints);
        let brake = HealthCheck::Id("brake".into());
        let way = steps(&start, &tree, &percents, Some(&brake)).unwrap();
        let mut sets = start.sets(&site).unwrap();
        let mut home = sets.clone();
        for step in &way {
            let desired = step.topology.sets(&site).unwrap();
            let changes = difference(&sets, &desired);
            assert_order(&sets, &changes);
            sets = applied(&sets, &changes);
            prop_assert_eq!(&sets, &desired);
            prop_assert!(alias_depths(&sets).values().all(|inner| *inner < 3), "three aliases at most");
            prop_assert_eq!(&read(&service, &sets, &endpoints).unwrap(), &step.topology);
            if step.percent == 0 {
                home.clone_from(&sets);
            }
            let back = difference(&sets, &home);
            assert_order(&sets, &back);
            prop_assert_eq!(applied(&sets, &back), home.clone());
        }
        // Whatever stands, the rest of the way is the same.
        for (at, step) in way.iter().enumerate().filter(|(_, step)| step.percent > 0) {
            let left = steps_left(&step.topology, &tree, &percents, &brake);
            prop_assert_eq!(left.unwrap(), way[at + 1..].to_vec());
        }
        let moved = |step: &Step| step.topology.sets(&site).unwrap();
        for pair in way.windows(2).filter(|pair| pair[0].percent > 0 && pair[1].percent < WHOLE) {
            // Between its first step and its end a canary moves weights and nothing else.
            let changes = difference(&moved(&pair[0]), &moved(&pair[1]));
            prop_assert!(changes.iter().all(|change| change.resource_record_set.name == service));
        }
        let last = way.last().map(|step| step.topology.shape.clone());
        let alone = |arms: &BTreeMap<Arm, ArmState>| arms.len() == 1 && arms.values().all(|arm| {
            arm.weight == WHOLE && arm.tree == tree && arm.brake.is_none()
        });
        prop_assert!(matches!(last, Some(Shape::Wrapped(arms)) if alone(&arms)));
    }
}

#[test]
fn a_canary_in_records() {
    let (service, endpoints) = (name("api.example.com"), REGIONS.map(endpoint));
    let site = site(&service, &endpoints);
    let weights = [("eu-west-1".to_owned(), 9), ("us-east-1".to_owned(), 1)];
    let standing = BTreeMap::from([
        (Label::new("eu-west-1"), Shares::weighted(weights).unwrap()),
        (Label::new("us-east-1"), Shares::one("us-east-1")),
    ]);
    let next = BTreeMap::from([
        (Label::new("eu-west-1"), Shares::one("eu-west-1")),
        (Label::new("us-east-1"), Shares::one("eu-west-1")),
    ]);
    let families = BTreeSet::from([RecordType::A]);
    let start = Topology { families, shape: Shape::Plain(standing) };
    let brake = HealthCheck::Id("brake".into());
    let mut sets = start.sets(&site).unwrap();
    let mut shown = Vec::new();
    for step in steps(&start, &next, &[10, 100], Some(&brake)).unwrap() {
        shown.push(format!("{} %", step.percent));
        let desired = step.topology.sets(&site).unwrap();
        for change in difference(&sets, &desired) {
            shown.push(format!("  {} {}", change.action, change.resource_record_set));
        }
        sets = desired;
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn what_cannot_be_is_refused() {
    let (service, endpoints) = (name("api.example.com"), REGIONS.map(endpoint));
    let site = site(&service, &endpoints);
    let families = BTreeSet::from([RecordType::A]);
    let tree = |weight| -> Tree {
        let weights = [("eu-west-1".to_owned(), weight), ("us-east-1".to_owned(), 1)];
        BTreeMap::from([(Label::new("eu-west-1"), Shares::weighted(weights).unwrap())])
    };
    let start = Topology { families: families.clone(), shape: Shape::Plain(tree(9)) };
    let way = steps(&start, &tree(5), &[50, 100], None).unwrap();
    let mut said = vec![way[1].topology.sets(&site).unwrap_err().to_string()];
    let lost = BTreeMap::from([(Label::new("eu-west-1"), Shares::one("mars"))]);
    let lost = Topology { families, shape: Shape::Plain(lost) };
    said.push(lost.sets(&site).unwrap_err().to_string());
    for percents in [&[][..], &[10, 50], &[50, 10, 100], &[0, 100], &[10, 10, 100]] {
        said.push(steps(&start, &tree(5), percents, None).unwrap_err().to_string());
    }
    said.push(steps(&way[1].topology, &tree(5), &[100], None).unwrap_err().to_string());
    let mut sets = way[0].topology.sets(&site).unwrap();
    let broken = sets.iter().position(|set| matches!(set.policy, Policy::Weighted(9))).unwrap();
    sets[broken].policy = Policy::Simple;
    said.push(read(&service, &sets, &endpoints).unwrap_err().to_string());
    sets.retain(|set| set.name != Marks::of(&service).weighted(&Label::new("eu-west-1")));
    said.push(read(&service, &sets, &endpoints).unwrap_err().to_string());
    sets.retain(|set| set.name == service);
    said.push(read(&service, &sets, &endpoints).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"));
}
