//! The topologies against the lab's Route 53: each batch of every step, from every start, is taken, and
//! leaves exactly what was desired.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use advisor::batch::batch;
use advisor::group::latency_sets;
use advisor::mark::Marks;
use advisor::name::Label;
use advisor::plan::{Intent, Plan, scope};
use advisor::record::{HealthCheck, RecordSet, RecordType};
use advisor::survey::ZoneView;
use advisor::topology::{Arm, ArmState, Shape, Shares, Topology, Tree, WHOLE, steps};
use advisor::zone::{Zone as _, ZoneError};
use lab::random::stream;
use rand::{Rng, RngExt as _};

use crate::stage::Stage;

/// Random canaries, each from another start.
const CANARIES: u64 = 24;

fn some_shares(ids: &[String], draws: &mut impl Rng, weighted: bool) -> Shares {
    let one = ids[draws.random_range(0..ids.len())].clone();
    if !weighted {
        return Shares::one(&one);
    }
    let weights = ids.iter().map(|id| (id.clone(), draws.random_range(0..=255)));
    Shares::weighted(weights.collect::<Vec<_>>()).unwrap_or_else(|| Shares::one(&one))
}

fn some_tree(ids: &[String], draws: &mut impl Rng, weighted: bool) -> Tree {
    let mut tree = Tree::new();
    for id in ids {
        if tree.is_empty() || draws.random::<f64>() < 0.7 {
            let with_weights = weighted && draws.random::<bool>();
            tree.insert(Label::new(id), some_shares(ids, draws, with_weights));
        }
    }
    tree
}

fn some_start(ids: &[String], draws: &mut impl Rng) -> Topology {
    let tree = some_tree(ids, draws, true);
    let whole = ArmState { weight: WHOLE, tree: tree.clone(), brake: None };
    let shape = match draws.random_range(0..3) {
        0 => Shape::Plain(tree),
        1 => Shape::Wrapped(BTreeMap::from([(Arm::Blue, whole)])),
        _ => Shape::Wrapped(BTreeMap::from([(Arm::Green, whole)])),
    };
    let families = if draws.random() {
        BTreeSet::from([RecordType::A])
    } else {
        BTreeSet::from([RecordType::A, RecordType::Aaaa])
    };
    Topology { families, shape }
}

/// Submits a plan's batch as the writer would, and compares what stands with what was desired.
async fn submit(stage: &Stage, view: &ZoneView, plan: &Plan, when: &str) {
    assert!(plan.health_checks.is_empty(), "{when}: the checks exist already");
    let batch = batch(&plan.changes, "topology", &BTreeMap::new()).unwrap();
    loop {
        match stage.zone.change(&batch).await {
            Ok(_) => break,
            Err(ZoneError::Busy(_)) => tokio::time::sleep(Duration::from_millis(5)).await,
            Err(refused) => panic!("{when}: {refused}"),
        }
    }
    let found = stage.zone.record_sets(&view.service).await.unwrap();
    assert_eq!(scope(&view.service, &found), plan.desired(), "{when}");
    let others = |sets: &[RecordSet]| -> Vec<RecordSet> {
        let ours = scope(&view.service, sets);
        sets.iter().filter(|set| !ours.contains(set)).cloned().collect()
    };
    assert_eq!(others(&found), others(&view.records), "{when}: nothing else is touched");
    let marks = Marks::of(&view.service);
    assert_eq!(marks.generation(&found), plan.generation, "{when}: the lock is replaced");
}

/// Plans a topology over the zone as it is, submits it, and reads it again.
async fn stand(stage: &Stage, topology: &Topology, when: &str) {
    let view = stage.view().await;
    let plan = view.ground(stage.setup.now_ms()).stand(Intent::Route, topology).unwrap();
    submit(stage, &view, &plan, when).await;
    let view = stage.view().await;
    assert_eq!(&view.ground(0).topology().unwrap(), topology, "{when}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_batch_of_every_step_is_taken_from_every_start() {
    let stage = Stage::start().await;
    let view = stage.view().await;
    for endpoint in &view.endpoints {
        stage.zone.ensure_health_check(&endpoint.health_check).await.unwrap();
    }
    let brake = stage.view().await.endpoints[0].health_check_id.clone().map(HealthCheck::Id);
    let ids: Vec<String> = view.endpoints.iter().map(|endpoint| endpoint.id.clone()).collect();
    let (mut batches, mut backs) = (0, 0);
    for seed in 0..CANARIES {
        let mut draws = stream(seed, "topologies", 0);
        let start = some_start(&ids, &mut draws);
        stand(&stage, &start, &format!("seed {seed}, start")).await;
        let tree = some_tree(&ids, &mut draws, false);
        let percents: Vec<u8> = [1, 10, 50].into_iter().filter(|_| draws.random()).collect();
        let percents: Vec<u8> = percents.into_iter().chain([WHOLE]).collect();
        let way = steps(&start, &tree, &percents, brake.as_ref()).unwrap();
        // The way back is taken from each step of some canary.
        let turns_at = draws.random_range(0..way.len() * 2);
        for (number, step) in way.iter().enumerate() {
            stand(&stage, &step.topology, &format!("seed {seed}, {} %", step.percent)).await;
            batches += 1;
            if number == turns_at {
                stand(&stage, &start, &format!("seed {seed}, back from {} %", step.percent)).await;
                backs += 1;
                break;
            }
        }
    }
    println!("{batches} batches of steps and {backs} ways back were taken");
    assert!(batches >= 40 && backs >= 5, "{batches} {backs}");
}

/// Below the wrapper the only arm is what is read, advised upon and changed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_plan_changes_the_arm_and_leaves_the_wrapper() {
    let stage = Stage::start().await;
    let view = stage.view().await;
    let before = view.live().unwrap();
    let tree = before.labels.iter().map(|(label, id)| (label.clone(), Shares::one(id))).collect();
    let start = view.ground(0).topology().unwrap();
    let wrapper = steps(&start, &tree, &[WHOLE], None).unwrap();
    for endpoint in &view.endpoints {
        stage.zone.ensure_health_check(&endpoint.health_check).await.unwrap();
    }
    stand(&stage, &wrapper[1].topology, "wrapped").await;
    assert_eq!(stage.view().await.live().unwrap(), before);
    let cleared = stage.cleared(&stage.plan().await).await.unwrap();
    let green = Marks::of(&view.service).arm(Arm::Green);
    let latency = |sets: &[RecordSet]| -> BTreeSet<String> {
        let at = |set: &&RecordSet| set.record_type.is_address() && set.label().is_some();
        sets.iter().filter(at).map(|set| set.name.to_string()).collect()
    };
    let changed: Vec<RecordSet> =
        cleared.get().changes.iter().map(|change| change.resource_record_set.clone()).collect();
    assert_eq!(latency(&changed), BTreeSet::from([green.to_string()]));
    let outcome = stage.applier(&stage.zone, &stage.journal_path()).apply(&cleared).await.unwrap();
    let verification = outcome.verification.unwrap();
    assert_eq!(verification.failure(), None);
    assert!(verification.asked > 0, "clients are asked for, through the wrapper");
    let live = stage.view().await.live().unwrap();
    assert_eq!(live.labels[&Label::new(crate::stage::MOVED.0)], crate::stage::MOVED.1);
    let moved = latency_sets(&green, &live.labels, &live.families, &stage.view().await.endpoints);
    let found = stage.zone.record_sets(&view.service).await.unwrap();
    assert!(moved.iter().all(|set| found.contains(set)));
    stage.writer().await.rollback(None, true).await.unwrap().expect("it stands");
    assert_eq!(stage.view().await.live().unwrap(), before);
}
