//! What must hold of plans over any group.

use proptest::prelude::*;

use super::*;
use crate::batch::applied;
use crate::group::live_group;
use crate::group::tests::{adopted, endpoint, name};
use crate::record::{Policy, RecordType};
use crate::topology::standing;

const REGIONS: [&str; 4] = ["ap-south-1", "eu-west-1", "sa-east-1", "us-east-1"];

/// A world: which labels are installed and where they point, whether AAAA is answered, what stands
/// around, and what is to move.
#[derive(Debug, Clone)]
struct World {
    records: Vec<RecordSet>,
    /// A label's number, and that of the endpoint that it gets; nothing where the label goes.
    moves: Vec<(usize, Option<usize>)>,
}

/// A set at the service name of one of the policies that a plan starts from.
fn member(prior: &str, label: &str, target: &str, family: RecordType) -> RecordSet {
    let latency = adopted(label, target, family);
    match prior {
        "simple" => RecordSet { set_identifier: None, policy: Policy::Simple, ..latency },
        "weighted" => RecordSet { policy: Policy::Weighted(7), ..latency },
        _ => latency,
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let labels = prop::collection::btree_map(0_usize..4, 0_usize..4, 1..5);
    let moves = prop::collection::btree_map(0_usize..4, prop::option::of(0_usize..4), 0..4);
    let foreign = prop::collection::btree_set(0_usize..6, 0..6);
    let prior = prop::sample::select(vec!["latency", "latency", "simple", "weighted"]);
    (labels, any::<bool>(), moves, foreign, 0_u64..5, (any::<bool>(), prior)).prop_map(
        |(labels, six, moves, foreign, generation, (shadow, prior))| {
            let families =
                if six { vec![RecordType::A, RecordType::Aaaa] } else { vec![RecordType::A] };
            let some = if prior == "simple" { 1 } else { labels.len() };
            let mut records = Vec::new();
            for (label, target) in labels.iter().take(some) {
                let (label, target) = (REGIONS[*label], REGIONS[*target]);
                for family in &families {
                    records.push(member(prior, label, target, family.clone()));
                }
            }
            let names = [
                "api.example.com",
                "deep.api.example.com",
                "beside.example.com",
                "xapi.example.com",
                "_nearside-lock.deep.api.example.com",
                "example.com",
            ];
            records.extend(foreign.iter().map(|at| RecordSet::txt(name(names[*at]), 60, "others")));
            let marks = Marks::of(&name("api.example.com"));
            if generation > 0 {
                records.push(marks.lock_set(generation, Some("abc")));
                records.push(marks.owner_set(generation));
            }
            if shadow {
                let labels: Vec<Label> = labels.keys().map(|l| Label::new(REGIONS[*l])).collect();
                records.extend(marks.shadow_sets(Shadow::Live, labels.iter()));
            }
            let mut moves: Vec<(usize, Option<usize>)> = moves.into_iter().collect();
            moves.retain(|(label, to)| labels.get(label) != to.as_ref());
            let goes = |label: &usize| moves.contains(&(*label, None));
            let one_stays = !labels.keys().all(goes) || moves.iter().any(|(_, to)| to.is_some());
            if prior != "latency" || !one_stays {
                moves.clear();
            }
            World { records, moves }
        },
    )
}

impl World {
    fn with<T>(&self, work: impl FnOnce(&Ground<'_>) -> T) -> T {
        Self::over(&self.records, work)
    }

    fn over<T>(records: &[RecordSet], work: impl FnOnce(&Ground<'_>) -> T) -> T {
        let zone = ZoneFacts {
            id: "Z1".into(),
            name: name("example.com"),
            name_servers: Vec::new(),
            api: String::new(),
        };
        let (service, endpoints) = (name("api.example.com"), REGIONS.map(endpoint));
        let (service, endpoints) = (&service, &endpoints);
        work(&Ground { zone: &zone, service, records, endpoints, now_ms: 1_000 })
    }

    fn live(&self) -> LiveGroup {
        let endpoints = REGIONS.map(endpoint);
        live_group(&name("api.example.com"), &self.records, &endpoints).unwrap()
    }

    fn moves(&self) -> Vec<Move> {
        let live = self.live();
        let tree = live.tree();
        let step = |(label, to): &(usize, Option<usize>)| {
            let label = Label::new(REGIONS[*label]);
            let to = to.map(|to| Shares::one(REGIONS[to]));
            Move::new(&label, tree.get(&label), to.as_ref(), "repoint")
        };
        self.moves.iter().map(step).collect()
    }

    fn plan(&self) -> Plan {
        self.with(|ground| ground.route(&self.live(), self.moves(), Effect::default()))
    }

    /// The same moves, each label that is not removed to the endpoint and its neighbour, with weights.
    fn split(&self) -> Plan {
        let weighted = |(step, at): (Move, Option<usize>)| {
            let next = at.map(|at| REGIONS[(at + 1) % REGIONS.len()].to_owned());
            let both = step.to.clone().zip(next);
            let weights_after = both.and_then(|(to, next)| Shares::weighted([(to, 3), (next, 1)]));
            Move { weights_after, ..step }
        };
        let moves = self.moves().into_iter().zip(self.moves.iter().map(|step| step.1));
        let moves = moves.map(weighted).collect();
        self.with(|ground| ground.route(&self.live(), moves, Effect::default()))
    }
}

/// Sets without lock and marker, sorted.
fn without_marks(sets: &[RecordSet]) -> Vec<RecordSet> {
    let marks = Marks::of(&name("api.example.com"));
    let mut sets: Vec<RecordSet> = sets.to_vec();
    sets.retain(|set| set.name != marks.lock() && set.name != marks.owner());
    sets.sort();
    sets
}

/// The record sets that no plan for the service may see.
fn others(records: &[RecordSet]) -> Vec<RecordSet> {
    let marks = Marks::of(&name("api.example.com"));
    let is_other =
        |set: &&RecordSet| set.name != name("api.example.com") && !marks.is_ours(&set.name);
    records.iter().filter(is_other).cloned().collect()
}

proptest! {
    #[test]
    fn a_plan_leads_where_it_says_and_touches_nothing_else(world in worlds()) {
        let plan = world.plan();
        for change in &plan.changes {
            prop_assert!(others(std::slice::from_ref(&change.resource_record_set)).is_empty());
            prop_assert!(change.resource_record_set.record_type != RecordType::Txt
                || change.resource_record_set.name != name("api.example.com"));
        }
        let after = applied(&world.records, &plan.changes);
        prop_assert_eq!(scope(&name("api.example.com"), &after), plan.desired());
        prop_assert_eq!(others(&after), { let mut all = others(&world.records); all.sort(); all });
        let live = live_group(&name("api.example.com"), &after, &REGIONS.map(endpoint)).unwrap();
        let live: BTreeMap<String, String> =
            live.labels.iter().map(|(label, id)| (label.to_string(), id.clone())).collect();
        prop_assert_eq!(live, plan.labels.clone());
        let is_right = world.moves.is_empty() && world.live().prior == Prior::Latency;
        prop_assert_eq!(plan.is_empty(), is_right);
        let of_latency = |set: &RecordSet| matches!(set.policy, Policy::Latency(_));
        let addresses = after.iter().filter(|set| {
            set.name == name("api.example.com") && set.record_type.is_address()
        });
        prop_assert!(addresses.into_iter().all(of_latency));
    }

    #[test]
    fn taking_back_restores_all_but_lock_and_marker(world in worlds()) {
        let plan = world.plan();
        let after = applied(&world.records, &plan.changes);
        let back = World::over(&after, |ground| ground.rollback(&plan));
        let restored = applied(&after, &back.changes);
        let marks = Marks::of(&name("api.example.com"));
        prop_assert_eq!(without_marks(&restored), without_marks(&world.records));
        let live = live_group(&name("api.example.com"), &restored, &REGIONS.map(endpoint)).unwrap();
        let live: BTreeMap<String, String> =
            live.labels.into_iter().map(|(label, id)| (label.to_string(), id)).collect();
        prop_assert_eq!(&live, &back.labels);
        prop_assert!(marks.generation(&restored) > marks.generation(&after) || plan.is_empty());
    }

    #[test]
    fn weights_stand_as_planned_and_go_without_a_trace(world in worlds()) {
        let service = name("api.example.com");
        let plan = world.split();
        let after = applied(&world.records, &plan.changes);
        prop_assert_eq!(scope(&service, &after), plan.desired());
        prop_assert_eq!(others(&after), { let mut all = others(&world.records); all.sort(); all });
        let live = standing(&service, &service, &after, &REGIONS.map(endpoint)).unwrap();
        let stands: BTreeMap<String, Shares> =
            live.weights.iter().map(|(label, shares)| (label.to_string(), shares.clone())).collect();
        prop_assert_eq!(&stands, &plan.weights);
        let stays = |step: &&(usize, Option<usize>)| step.1.is_some();
        let split: BTreeSet<usize> = world.moves.iter().filter(stays).map(|step| step.0).collect();
        prop_assert_eq!(stands.len(), split.len(), "each moved label that stays is split");
        prop_assert!(plan.weights.values().all(|s| s.iter().all(|(id, _)| plan.targets().contains(id))));
        // Taken back, nothing of it stays; and so where each label is moved as a whole afterwards.
        let back = World::over(&after, |ground| ground.rollback(&plan));
        prop_assert_eq!(
            without_marks(&applied(&after, &back.changes)), without_marks(&world.records)
        );
        let tree = live.tree();
        let whole = |(label, shares)| Move::whole(label, shares, REGIONS[0], "repoint");
        let moves = tree.iter().map(whole).collect();
        let whole = World::over(&after, |ground| ground.route(&live, moves, Effect::default()));
        let alone = applied(&after, &whole.changes);
        let marks = Marks::of(&service);
        let is_weighted = |set: &RecordSet| {
            live.labels.keys().any(|label| set.name == marks.weighted(label))
        };
        prop_assert!(after.iter().any(is_weighted) || split.is_empty());
        prop_assert!(!alone.iter().any(is_weighted) || world.records.iter().any(is_weighted));
    }

    #[test]
    fn the_same_world_gives_the_same_bytes_in_any_order(world in worlds(), turn in 0_usize..20) {
        let mut turned = world.clone();
        let len = turned.records.len();
        turned.records.rotate_left(turn % len);
        turned.records.reverse();
        prop_assert_eq!(world.plan().to_json().unwrap(), turned.plan().to_json().unwrap());
    }

    #[test]
    fn a_plan_file_keeps_its_hash(world in worlds()) {
        let plan = world.plan();
        let read = Plan::from_json(&plan.to_json().unwrap()).unwrap();
        prop_assert_eq!(read.hash(), plan.hash());
        prop_assert_eq!(read, plan);
    }

    #[test]
    fn no_byte_of_a_plan_file_can_be_edited_unnoticed(
        world in worlds(), at in any::<prop::sample::Index>(), byte in 0x20_u8..0x7f,
    ) {
        let plan = world.plan();
        let text = plan.to_json().unwrap();
        let mut bytes = text.clone().into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let edited = String::from_utf8(bytes).unwrap();
        // What says the same in other words (a blank more, an escape) is the same plan.
        if let Ok(read) = Plan::from_json(&edited) {
            prop_assert_eq!(read, plan);
        }
    }
}

#[test]
fn figures_survive_a_plan_file_to_the_last_bit() {
    let world = World {
        records: vec![
            adopted("eu-west-1", "eu-west-1", RecordType::A),
            adopted("us-east-1", "us-east-1", RecordType::A),
        ],
        moves: vec![(1, Some(3))],
    };
    let mut plan = world.plan();
    for figure in [0.1 + 0.2, f64::MIN_POSITIVE, 1.0 / 3.0, 5e-324, 1e300, -0.0] {
        plan.effect.traffic_moved = figure;
        let read = Plan::from_json(&plan.to_json().unwrap()).unwrap();
        assert_eq!(read.effect.traffic_moved.to_bits(), figure.to_bits());
    }
}

#[test]
fn unusable_plan_files_say_why() {
    let world =
        World { records: vec![adopted("eu-west-1", "eu-west-1", RecordType::A)], moves: vec![] };
    let good = world.plan().to_json().unwrap();
    let message = |text: &str| {
        let error = Plan::from_json(text).unwrap_err().to_string();
        error.lines().next().unwrap_or_default().chars().take(80).collect::<String>()
    };
    let shown = [
        "",
        "{}",
        "[1, 2",
        &good.replace("\"format\": 1", "\"format\": 2"),
        &good.replace("\"format\": 1", "\"format\": 99999999999999"),
        &good.replace("\"moves\": []", "\"moves\": [], \"force\": true"),
        &good.replace("\"zone_id\": \"Z1\"", "\"zone_id\": \"Z2\""),
    ]
    .map(message);
    insta::assert_snapshot!(shown.join("\n"));
}

/// What the steps of a canary of a plan have in common.
fn terms(plan: String) -> CanaryTerms {
    CanaryTerms {
        plan,
        percents: vec![10, 100],
        observe_ms: 1,
        every_ms: 1,
        brake: BrakeSpec {
            caller_reference: "nearside-brake-x-g1".into(),
            region: "us-east-1".into(),
            alarm: "nearside-brake-x".into(),
        },
    }
}

/// A canary over a plain group: what each step's plan says, and what it leaves.
#[test]
fn the_steps_of_a_canary_lead_to_the_labels_of_its_plan() {
    let service = name("api.example.com");
    let endpoints = REGIONS.map(endpoint);
    let zone = ZoneFacts {
        id: "ZONE".into(),
        name: name("example.com"),
        name_servers: Vec::new(),
        api: String::new(),
    };
    let mut records: Vec<RecordSet> = ["eu-west-1", "us-east-1"]
        .iter()
        .map(|region| adopted(region, region, RecordType::A))
        .collect();
    let ground = |records: &'_ [RecordSet], then: &dyn Fn(&Ground<'_>) -> Option<Plan>| {
        let endpoints = &endpoints[..];
        then(&Ground { zone: &zone, service: &service, records, endpoints, now_ms: 1 })
    };
    let move_to =
        |from: &str, to: &str| Move::whole(&Label::new(from), &Shares::one(from), to, "repoint");
    let target = ground(&records, &|ground| {
        let live = live_group(&service, ground.records, &endpoints).unwrap();
        let moves = vec![move_to("eu-west-1", "sa-east-1")];
        Some(ground.route(&live, moves, Effect::default()))
    });
    let target = target.unwrap();
    let terms = terms(target.id());
    let start = records.clone();
    let mut said = Vec::new();
    let mut steps = Vec::new();
    while let Some(step) = ground(&records, &|ground| ground.canary(&target, &terms).unwrap()) {
        let eu = step.endpoints_of("eu-west-1").join(" and ");
        let us = step.endpoints_of("us-east-1").join(" and ");
        said.push(format!("eu-west-1: {eu}; us-east-1: {us}"));
        assert_eq!(step.undone_by(), target.id());
        records = applied(&records, &step.changes);
        steps.push(step);
    }
    let expected = [
        "eu-west-1: eu-west-1; us-east-1: us-east-1",
        "eu-west-1: sa-east-1 and eu-west-1; us-east-1: us-east-1",
        "eu-west-1: sa-east-1; us-east-1: us-east-1",
    ];
    assert_eq!(said, expected);
    let later: Vec<&Plan> = steps[1..].iter().collect();
    let back = ground(&records, &|ground| Some(ground.rollback_all(&steps[0], &later))).unwrap();
    assert_eq!(back.intent, Intent::Rollback(target.id()));
    let marks = Marks::of(&service);
    let mut restored = applied(&records, &back.changes);
    restored.retain(|set| set.name != marks.lock() && set.name != marks.owner());
    let mut start = start;
    start.sort();
    assert_eq!(restored, start);
}

/// Both arms of a canary have the same labels, so that one which adds or removes some is refused.
#[test]
fn a_canary_of_other_labels_is_refused() {
    let records: Vec<RecordSet> = ["eu-west-1", "us-east-1"]
        .iter()
        .map(|region| adopted(region, region, RecordType::A))
        .collect();
    let terms = terms(String::new());
    let one = Shares::one("us-east-1");
    let sao_paulo = Label::new("sa-east-1");
    let ireland = Label::new("eu-west-1");
    let added = Move::new(&sao_paulo, None, Some(&one), "add");
    let removed = Move::new(&ireland, Some(&Shares::one("eu-west-1")), None, "remove");
    let refused = |step: Move| {
        World::over(&records, |ground| {
            let live = live_group(ground.service, ground.records, ground.endpoints).unwrap();
            let target = ground.route(&live, vec![step], Effect::default());
            let error = ground.canary(&target, &terms).unwrap_err();
            assert_eq!(error, CanaryPlanError::OtherLabels);
            format!("error: {error}\nhint: {}", error.hint())
        })
    };
    assert_eq!(refused(added.clone()), refused(removed));
    insta::assert_snapshot!(refused(added));
}
