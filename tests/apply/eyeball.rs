//! Measured clients: one of them makes a label be added, another label goes, the planned labels are asked
//! about before they are installed, and all of it is taken back.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use advisor::mark::{Marks, Shadow};
use advisor::name::Label;
use advisor::plan::{Effect, Intent, Move};
use advisor::survey::{Inquiry, ROUNDS, Step};
use advisor::topology::Shares;
use lab::world::{Client, World};
use nearside::setup::{Setup, read_config};
use probe::place;
use probe::sample::{Connection, Series};
use probe::store::{Grid, Store};
use probe::window::Window;
use serde_json::Value;

use crate::cli::advisor;
use crate::stage::Stage;

/// Blocks of made-up measurements: more than a verdict looks at.
const BLOCKS: i64 = 30;
/// Clients that measure: the heaviest ones with IPv4.
const USERS: usize = 30;
/// Backends that are slow, which DNS cannot see, and by how much.
type Slow = &'static [(&'static str, f64)];
const ONE: Slow = &[("eu-west-1", 120.0)];
const TWO: Slow = &[("eu-west-1", 80.0), ("us-east-1", 60.0)];
const COLD_SHARE: f64 = 0.2;
/// How much longer the longest detour is.
const DETOUR: f64 = 1.5;
/// A label that is installed beside that of the slow endpoint's own Region.
const BESIDE: (&str, &str) = ("eu-west-2", "eu-west-1");

fn users(world: &World) -> Vec<Client> {
    let mut users: Vec<Client> =
        world.clients().iter().filter(|one| one.prefix.addr().is_ipv4()).cloned().collect();
    users.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    users.truncate(USERS);
    users
}

fn user(index: usize) -> String {
    format!("user-{index:02}")
}

/// What a response costs a client, without the shares of cold and warm connections.
fn response_ms(
    (world, slow): (&World, Slow),
    client: &Client,
    endpoint: &str,
    connection: Connection,
) -> f64 {
    let trips = if connection == Connection::Cold { 3.0 } else { 1.0 };
    let slow_ms = slow.iter().find(|(id, _)| *id == endpoint).map_or(0.0, |(_, ms)| *ms);
    trips * world.rtt_ms(client.place, endpoint).unwrap() + 30.0 + slow_ms
}

fn cost_ms(truth: (&World, Slow), client: &Client, endpoint: &str) -> f64 {
    let of = |connection| response_ms(truth, client, endpoint, connection);
    COLD_SHARE * of(Connection::Cold) + (1.0 - COLD_SHARE) * of(Connection::Warm)
}

fn window((series, connect_ms, ms): (Series, f64, f64), start_ms: i64, window_ms: i64) -> Window {
    let us = |ms: f64| std::time::Duration::from_secs_f64(ms / 1_000.0).as_micros();
    let us = |ms: f64| u64::try_from(us(ms)).unwrap();
    let is_cold = series.connection == Connection::Cold;
    let mut window = Window::new(series, start_ms, window_ms);
    window.attempts = 20;
    for _ in 0..20 {
        window.response.record(us(ms));
        window.service.record(us(ms));
        if is_cold {
            window.phases.connect.record(us(connect_ms));
        }
    }
    window
}

/// Fills the store with what the clients would have measured, of endpoints and of candidates. What they
/// measured of a candidate is `detour` times the round trip that is true.
fn measure(stage: &Stage, slow: Slow, detour: fn(usize, &str) -> f64) {
    let world = stage.lab.world();
    let mut store = Store::open(&stage.setup.store).unwrap();
    let grid = Grid::of(&stage.setup.config.evidence);
    store.set_grid(grid).unwrap();
    let until_ms = stage.setup.now_ms().div_euclid(grid.block_ms) * grid.block_ms;
    let mut cells = Vec::new();
    for (index, client) in users(world).iter().enumerate() {
        let series = |target: &str, connection| Series {
            vantage: user(index),
            target: target.to_owned(),
            connection,
            path: String::new(),
        };
        for endpoint in world.endpoints() {
            for connection in [Connection::Cold, Connection::Warm] {
                let trip_ms = world.rtt_ms(client.place, &endpoint.region).unwrap();
                let ms = response_ms((world, slow), client, &endpoint.region, connection);
                cells.push((series(&endpoint.region, connection), trip_ms, ms));
            }
        }
        for region in place::commercial_regions().map(|one| one.region) {
            let Some(trip_ms) = world.rtt_ms(client.place, region) else { continue };
            let trip_ms = trip_ms * detour(index, region);
            let target = format!("candidate-{region}");
            cells.push((series(&target, Connection::Cold), trip_ms, 2.0 * trip_ms));
        }
    }
    for block in (1..=BLOCKS).rev() {
        let start_ms = until_ms - block * grid.block_ms;
        let of_cell = |cell: &(Series, f64, f64)| window(cell.clone(), start_ms, grid.window_ms);
        store.write(&cells.iter().map(of_cell).collect::<Vec<_>>()).unwrap();
    }
    store.close_open_blocks(until_ms).unwrap();
}

/// Candidates are as far as they are.
fn straight(_: usize, _: &str) -> f64 {
    1.0
}

/// Candidates are measured over detours, each client over its own: their order says little of Route 53's.
fn around(client: usize, region: &str) -> f64 {
    let mark = region.bytes().fold(client, |mark, byte| mark * 31 % 9_973 + usize::from(byte));
    1.0 + (DETOUR - 1.0) * (mark % 7) as f64 / 6.0
}

/// Makes vantages of the clients, and of their weights all the traffic.
fn configure(stage: &Stage) {
    let path = &stage.lab.facts().config;
    let traffic = stage.dir.path().join("weights.csv");
    let (mut vantages, mut weights) = (String::new(), "client,weight\n".to_owned());
    for (index, client) in users(stage.lab.world()).iter().enumerate() {
        let id = user(index);
        let subnet = &client.prefix;
        writeln!(
            vantages,
            "[[vantage]]\nid = \"{id}\"\npopulation = \"eyeball\"\nsubnet4 = \"{subnet}\""
        )
        .unwrap();
        writeln!(weights, "{id},{}", client.weight).unwrap();
    }
    std::fs::write(&traffic, weights).unwrap();
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with("max_traffic_moved"));
    let lines = lines.map(|line| match line {
        "[guard]" => "[guard]\nmax_traffic_moved = 1.0",
        other => other,
    });
    let text = lines.collect::<Vec<_>>().join("\n");
    let text = format!(
        "candidates = \"all\"\n{text}\n{vantages}[traffic]\nfile = \"{}\"\n",
        traffic.display()
    );
    std::fs::write(path, text).unwrap();
}

/// Installs a label as somebody did long ago: in a journal that nobody keeps.
async fn with_a_label_beside(stage: &Stage) {
    let view = stage.view().await;
    let step = Move::new(&Label::new(BESIDE.0), None, Some(&Shares::one(BESIDE.1)), "add");
    let now_ms = stage.setup.now_ms();
    let effect = Effect {
        evidence_until_ms: Some(now_ms),
        preferred_after: Some("asked".into()),
        ..Effect::default()
    };
    let plan = view.ground(now_ms).route(&view.live().unwrap(), vec![step], effect);
    let cleared = stage.cleared(&plan).await.unwrap();
    let journal = stage.dir.path().join("long-ago.journal");
    stage.applier(&stage.zone, &journal).apply(&cleared).await.unwrap();
}

struct Done {
    code: Option<i32>,
    text: String,
    stdout: Value,
    stderr: String,
}

async fn run(stage: &Stage, line: &str) -> Done {
    let mut command = advisor(stage, "nearside.sqlite");
    command.args(line.split(' ')).current_dir(stage.dir.path());
    let child = command.spawn().unwrap();
    let output = tokio::task::spawn_blocking(move || child.wait_with_output()).await;
    let output = output.unwrap().unwrap();
    Done {
        code: output.status.code(),
        stdout: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        text: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

async fn well(stage: &Stage, line: &str) -> Value {
    let done = run(stage, line).await;
    assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
    done.stdout
}

/// The mean regret of the clients that measure, and the most that one of them loses, when Route 53
/// answers with these labels.
fn judge(
    (world, slow): (&World, Slow),
    labels: &BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
) -> (f64, f64) {
    let sent = |labels: &BTreeMap<String, String>, client: &Client| {
        let names: Vec<&str> = labels.keys().map(String::as_str).collect();
        let label = world.preferred(client.place, &names).unwrap();
        cost_ms((world, slow), client, &labels[label])
    };
    let (mut regret, mut weight, mut worst_ms) = (0.0, 0.0, f64::NEG_INFINITY);
    for client in users(world) {
        let costs =
            world.endpoints().iter().map(|one| cost_ms((world, slow), &client, &one.region));
        let least_ms = costs.fold(f64::INFINITY, f64::min);
        let now_ms = sent(labels, &client);
        regret += client.weight * (now_ms - least_ms);
        weight += client.weight;
        worst_ms = f64::max(worst_ms, now_ms - sent(before, &client));
    }
    (regret / weight, worst_ms)
}

async fn live(stage: &Stage) -> BTreeMap<String, String> {
    let live = stage.view().await.live().unwrap();
    live.labels.into_iter().map(|(label, id)| (label.to_string(), id)).collect()
}

/// The lines that tell of rounds, on stderr.
fn rounds(done: &Done) -> Vec<&str> {
    done.stderr.lines().filter(|line| line.starts_with("round ")).collect()
}

/// The sets of labels that were compared: how that is known, and what each is worth.
fn sets(document: &Value) -> Vec<(&str, Option<f64>)> {
    let sets = document["advice"]["clients"]["sets"].as_array().unwrap();
    sets.iter().map(|set| (set["preferred"].as_str().unwrap(), set["regret_ms"].as_f64())).collect()
}

/// A plan that adds a label nobody asked Route 53 about is refused.
async fn what_was_not_asked_is_refused(stage: &Stage) {
    let config = read_config(&stage.lab.facts().config, &BTreeMap::new()).unwrap();
    let setup = Setup {
        config,
        store: stage.setup.store.clone(),
        access: stage.setup.access.clone(),
        clock: Arc::clone(&stage.setup.clock),
        fleet: None,
    };
    let survey = nearside::command::regret::survey(&setup).await.unwrap();
    let Step::Ask(promised) = Inquiry::new(None).step(&survey, &setup.config) else {
        panic!("nothing is promised");
    };
    let live = &survey.live.labels;
    let label = promised.labels.iter().find(|label| !live.contains_key(*label)).unwrap();
    let to = Shares::one(BESIDE.1);
    let moves = vec![Move::new(label, None, Some(&to), "add")];
    let mut plan = survey.plan_of(&setup.config, moves, Intent::Route, setup.now_ms());
    plan.effect.evidence_until_ms = Some(setup.now_ms());
    assert_eq!(plan.effect.preferred_after.as_deref(), Some("modelled"));
    std::fs::write(stage.dir.path().join("unasked.json"), plan.to_json().unwrap()).unwrap();
    let zone_before = stage.rest_of_zone();
    let refused = run(stage, "apply unasked.json --yes").await;
    assert_eq!(refused.code, Some(3), "{}", refused.stderr);
    assert!(refused.stderr.contains("Route 53 was not asked about those"), "{}", refused.stderr);
    assert_eq!(stage.rest_of_zone(), zone_before);
}

/// The labels that a plan adds, and those that it removes.
fn set_changes(planned: &Value) -> (Vec<&str>, Vec<&str>) {
    let moves = planned["document"]["moves"].as_array().unwrap();
    let of = |side: &str| -> Vec<&str> {
        let missing = |step: &&Value| step[side].is_null();
        moves.iter().filter(missing).map(|step| step["label"].as_str().unwrap()).collect()
    };
    (of("from"), of("to"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn labels_are_added_and_removed_for_measured_clients_and_come_back() {
    let stage = Stage::start().await;
    with_a_label_beside(&stage).await;
    configure(&stage);
    // Nothing is measured yet: the second shadow stands with the installed labels.
    well(&stage, "--json regret --install-shadow --yes").await;
    measure(&stage, ONE, straight);
    let before = live(&stage).await;

    let regret = well(&stage, "--json regret").await;
    assert_eq!(regret["advice"]["basis"], "eyeball");
    let clients = &regret["advice"]["clients"];
    assert_eq!(clients["rows"].as_array().unwrap().len(), USERS, "{clients}");
    assert_eq!(clients["uncovered"], serde_json::json!([]));

    // Only the installed labels were asked about: others are told as a promise, and not planned.
    assert_eq!(regret["order"], "modelled");
    assert_eq!(regret["preferred"], "asked");
    let promised = sets(&regret);
    assert_eq!(promised.iter().map(|set| set.0).collect::<Vec<_>>(), ["asked", "modelled"]);
    let told = run(&stage, "plan --out plan.json").await.text;
    assert!(told.contains("`advisor regret --install-shadow` lets Route 53 be asked"), "{told}");
    what_was_not_asked_is_refused(&stage).await;

    let asked = run(&stage, "--json regret --install-shadow --yes").await;
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let rounds = rounds(&asked);
    println!("{}", rounds.join("\n"));
    assert!((1..=ROUNDS).contains(&rounds.len()), "{}", asked.stderr);
    let zone_asked = stage.rest_of_zone();
    let planned = well(&stage, "--json plan --out plan.json").await;
    let values = sets(&planned);
    assert_eq!(values.iter().map(|set| set.0).collect::<Vec<_>>(), ["asked", "asked"]);
    assert_eq!(planned["document"]["effect"]["preferred_after"], "asked");
    // Planning knows nothing but the zone and the measurements, and comes to the same again.
    let again = well(&stage, "--json plan --out plan.json").await;
    assert_eq!(again["document"]["moves"], planned["document"]["moves"]);
    let (added, removed) = set_changes(&planned);
    assert!(!added.is_empty(), "{planned}");
    assert_eq!(removed, [BESIDE.0]);
    let applied = well(&stage, "--json apply plan.json --yes").await;
    assert_eq!(applied["applied"]["status"], "INSYNC", "{applied}");
    let dns = &applied["verified"]["dns"];
    assert_eq!(dns["asked"], dns["as_planned"]);
    let after = live(&stage).await;
    for label in &added {
        assert!(after.contains_key(*label), "{after:?}");
    }
    assert!(!after.contains_key(BESIDE.0), "{after:?}");

    let world = stage.lab.world();
    let ((regret_before, _), (regret_after, worst_ms)) =
        (judge((world, ONE), &before, &before), judge((world, ONE), &after, &before));
    println!(
        "{USERS} measured clients: regret {regret_before:.1} ms, then {regret_after:.1} ms; at most \
         {worst_ms:.1} ms lost; added {added:?}, removed {removed:?}; asked in {} rounds",
        rounds.len()
    );
    assert!(regret_after < regret_before / 2.0, "{regret_before} {regret_after}");
    assert!(worst_ms <= 5.0, "{worst_ms}");

    let back = well(&stage, "--json rollback --yes").await;
    assert_eq!(back["verified"]["missing"], serde_json::json!([]), "{back}");
    assert_eq!(stage.rest_of_zone(), zone_asked);
    assert_eq!(live(&stage).await, before);
    stage.assert_no_stray_checks("after the way back").await;
}

/// Where clients that nobody measures prefer a label, its catchment is left alone, and that is said.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catchment_that_is_hardly_measured_is_left_alone() {
    let stage = Stage::start().await;
    configure(&stage);
    let path = stage.dir.path().join("weights.csv");
    let mut weights = std::fs::read_to_string(&path).unwrap();
    let world = stage.lab.world();
    let measured: Vec<_> = users(world).iter().map(|one| one.prefix).collect();
    for client in world.clients().iter().filter(|one| !measured.contains(&one.prefix)) {
        writeln!(weights, "{},{}", client.prefix, client.weight).unwrap();
    }
    std::fs::write(&path, weights).unwrap();
    well(&stage, "--json regret --install-shadow --yes").await;
    measure(&stage, ONE, straight);
    let planned = well(&stage, "--json plan --out plan.json").await;
    assert_eq!(planned["plan"], Value::Null, "{planned}");
    let uncovered = planned["advice"]["clients"]["uncovered"].as_array().unwrap();
    assert_eq!(uncovered.len(), 4, "{planned}");
    for line in uncovered {
        assert_eq!(line["reason"], "unsupported");
        assert!(line["share"].as_f64().unwrap() < 0.9, "{line}");
    }
    let told = advisor(&stage, "nearside.sqlite").arg("regret").output().unwrap();
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("measured clients: 30 of 30 count\n"), "{told}");
    assert!(told.contains(" % of its traffic, and 90 % are needed (unsupported)\n"), "{told}");
    let slow = ONE[0].0;
    assert!(told.contains(&format!("{slow}: stays at {slow}")), "{told}");
}

/// The labels that the `next` shadow stands with.
async fn shadow(stage: &Stage) -> BTreeSet<String> {
    let view = stage.view().await;
    let labels = Marks::of(&view.service).shadow_labels(Shadow::Next, &view.records);
    labels.iter().map(Label::to_string).collect()
}

fn labels_of(set: &Value) -> BTreeSet<String> {
    let labels = set["labels"].as_array().unwrap();
    labels.iter().map(|label| label.as_str().unwrap().to_owned()).collect()
}

/// Where round trips say little of Route 53's preferences, answers disappoint: it is asked again, the best
/// of what it was asked about is left standing, and that is what is planned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_disappoint_lead_to_more_rounds_and_the_best_is_planned() {
    let stage = Stage::start().await;
    configure(&stage);
    measure(&stage, TWO, around);
    let before = live(&stage).await;
    let asked = run(&stage, "--json regret --install-shadow --yes").await;
    assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    let told = rounds(&asked);
    println!("{}\n{}", told.join("\n"), asked.stdout["asked"]);
    assert!((2..=ROUNDS).contains(&told.len()), "{}", asked.stderr);

    let sets = asked.stdout["asked"].as_array().unwrap();
    assert_eq!(labels_of(&sets[0]), before.keys().cloned().collect());
    assert_eq!(sets.len(), told.len() + 1, "the installed ones, and one a round");
    let regret_ms = |set: &&Value| set["regret_ms"].as_f64().unwrap_or(f64::INFINITY);
    let best = sets[1..].iter().min_by(|a, b| regret_ms(a).total_cmp(&regret_ms(b))).unwrap();
    assert_eq!(shadow(&stage).await, labels_of(best));

    // The same is planned, and the lab knows it to be worth what was said.
    let planned = well(&stage, "--json plan --out plan.json").await;
    let compared = &planned["advice"]["clients"]["sets"];
    for (at, (set, is_chosen)) in [(&sets[0], false), (best, true)].into_iter().enumerate() {
        let mut expected = set.clone();
        expected["chosen"] = is_chosen.into();
        assert_eq!(compared[at], expected);
    }
    let after: BTreeMap<String, String> =
        serde_json::from_value(planned["document"]["labels"].clone()).unwrap();
    assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), labels_of(best));
    let world = stage.lab.world();
    let (regret_before, _) = judge((world, TWO), &before, &before);
    let (regret_after, worst_ms) = judge((world, TWO), &after, &before);
    println!(
        "{USERS} measured clients, candidates over detours: regret {regret_before:.1} ms, then \
         {regret_after:.1} ms; at most {worst_ms:.1} ms lost; asked in {} rounds",
        told.len()
    );
    assert!((regret_after - regret_ms(&best)).abs() < 0.2, "{regret_after} {best}");
    assert!(regret_after < regret_before, "{regret_before} {regret_after}");
    assert!(worst_ms <= 5.0, "{worst_ms}");

    // Asked again, the zone is as it was.
    let zone = stage.rest_of_zone();
    let again = run(&stage, "--json regret --install-shadow --yes").await;
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(rounds(&again).len() < told.len(), "{}", again.stderr);
    assert_eq!(stage.rest_of_zone(), zone);
}
