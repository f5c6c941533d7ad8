//! Weights, from the configuration's word to the answers of DNS and back: the binary against the lab.

use std::collections::BTreeMap;

use advisor::answers::Answers as _;
use advisor::mark::Marks;
use advisor::name::Label;
use advisor::record::{Policy, RecordSet, RecordType};
use serde_json::{Value, json};

use crate::cli::{advisor, finish};
use crate::stage::{MOVED, Stage};
use crate::watch::stage;

/// Questions that are asked while a label is split.
const QUESTIONS: usize = 150;

/// Puts lines before the sections of the lab's configuration.
fn configure(stage: &Stage, lines: &str) {
    let path = &stage.lab.facts().config;
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, format!("{lines}\n{text}")).unwrap();
}

/// Runs the binary; its answer as JSON.
async fn json_of(stage: &Stage, words: &[&str]) -> Value {
    let mut command = advisor(stage, "nearside.sqlite");
    command.args(words).arg("--json").current_dir(stage.dir.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words:?}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The weights below the label that the tests move.
async fn weights(stage: &Stage) -> BTreeMap<String, u8> {
    let view = stage.view().await;
    let at = Marks::of(&view.service).weighted(&Label::new(MOVED.0));
    let weight = |set: &RecordSet| match set.policy {
        Policy::Weighted(weight) if set.name == at && set.record_type == RecordType::A => {
            Some((set.set_identifier.clone().unwrap(), weight))
        }
        _ => None,
    };
    view.records.iter().filter_map(weight).collect()
}

/// How often clients near the moved label's vantage are answered with the endpoint that takes traffic.
async fn part_answered(stage: &Stage) -> f64 {
    let target = stage.observer.target_addresses(MOVED.1, &RecordType::A).await.unwrap();
    let mut hits = 0;
    for _ in 0..QUESTIONS {
        let answers = stage.observer.answers(&[RecordType::A]).await;
        let near = answers.iter().find(|one| one.question.vantage == MOVED.0).unwrap();
        hits += usize::from(near.addresses.as_ref().unwrap().is_subset(&target));
    }
    hits as f64 / QUESTIONS as f64
}

/// The report, too, names all endpoints of a split label.
async fn report_shows(stage: &Stage, shares: &str) {
    json_of(stage, &["report", "--out", "report"]).await;
    let text = std::fs::read_to_string(stage.dir.path().join("report/report.md")).unwrap();
    let rows = text.lines().filter(|line| line.starts_with('|') && line.contains(shares));
    assert!(rows.count() >= 2, "where the vantage is sent, and the advice: {text}");
    assert!(text.contains("Of a label that is split, costs and gains are"), "{text}");
}

/// A canary of a plan with weights is refused, with the label and what to do instead.
async fn refuses_a_canary(stage: &Stage) {
    let mut command = advisor(stage, "nearside.sqlite");
    // The windows of this lab are short.
    command.args(["apply", "plan.json", "--canary", "--every", "100ms", "--yes"]);
    command.current_dir(stage.dir.path());
    let ended = finish(command.spawn().unwrap()).await;
    assert_eq!(ended.0, Some(3), "{}", ended.1);
    let expected = format!(
        "error: label {} is split among endpoints by weights, and in a canary each label has one\n\
         hint: apply it without --canary: weights go by steps of their own, at most max_step each\n",
        MOVED.0
    );
    assert!(ended.1.ends_with(&expected), "{}", ended.1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_moves_by_steps_and_back() {
    let stage = stage(true).await;
    configure(&stage, "stateless = true");
    let before = stage.rest_of_zone();
    let steps = [
        json!({MOVED.0: 1}),
        json!({MOVED.0: 3, MOVED.1: 1}),
        json!({MOVED.0: 1, MOVED.1: 1}),
        json!({MOVED.0: 1, MOVED.1: 3}),
        json!({MOVED.1: 1}),
    ];
    let mut states = vec![before.clone()];
    for (number, pair) in steps.windows(2).enumerate() {
        let regret = json_of(&stage, &["regret"]).await;
        let [change] = regret["weights"]["changes"].as_array().unwrap().as_slice() else {
            panic!("step {number}: {}", regret["weights"]);
        };
        assert_eq!((&change["before"], &change["after"]), (&pair[0], &pair[1]), "{number}");
        let costs = [&change["cost_before_ms"], &change["cost_after_ms"]];
        assert!(costs[0].as_f64() > costs[1].as_f64(), "step {number}: {costs:?}");
        let planned = json_of(&stage, &["plan"]).await;
        assert_eq!(planned["weights"], regret["weights"], "step {number}");
        if number < 3 {
            refuses_a_canary(&stage).await;
        }
        let applied = json_of(&stage, &["apply", "plan.json", "--yes"]).await;
        assert_eq!(applied["verified"]["missing"], json!([]), "step {number}: {applied}");
        let dns = &applied["verified"]["dns"];
        assert_eq!(dns["asked"], dns["as_planned"], "step {number}: {applied}");
        states.push(stage.rest_of_zone());
        let view = stage.view().await;
        assert_eq!(
            view.ground(0).topology().unwrap().names(&view.service).len(),
            if number == 3 { 1 } else { 2 },
            "step {number}: a group for one label, while it is split"
        );
        // The check of an endpoint that is left waits for the way back.
        if number < 3 {
            stage.assert_no_stray_checks(&format!("step {number}")).await;
        }
        if number == 0 {
            let part = part_answered(&stage).await;
            println!("weights 3 and 1: {part:.3} of {QUESTIONS} answers are the new endpoint's");
            // Four standard deviations of a quarter.
            assert!((part - 0.25).abs() < 4.0 * (0.1875 / QUESTIONS as f64).sqrt(), "{part}");
        }
    }
    assert!(weights(&stage).await.is_empty(), "the whole label needs no weights");
    let regret = json_of(&stage, &["regret"]).await;
    assert_eq!(regret["weights"], json!({"changes": [], "refused": null}));
    while let Some(state) = states.pop().filter(|_| !states.is_empty()) {
        assert_eq!(stage.rest_of_zone(), state);
        let back = json_of(&stage, &["rollback", "--yes"]).await;
        let dns = &back["verified"]["dns"];
        assert_eq!(dns["asked"], dns["as_planned"], "{back}");
    }
    assert_eq!(stage.rest_of_zone(), before, "byte for byte");
    stage.assert_no_stray_checks("rolled back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_split_label_is_drained_to_what_is_left_and_returns() {
    let stage = stage(true).await;
    configure(&stage, "stateless = true");
    json_of(&stage, &["plan"]).await;
    json_of(&stage, &["apply", "plan.json", "--yes"]).await;
    let split = stage.rest_of_zone();
    let marked = |id: &str| format!("nearside-{id}");
    let three_to_one = BTreeMap::from([(marked(MOVED.0), 3), (marked(MOVED.1), 1)]);
    assert_eq!(weights(&stage).await, three_to_one);
    let drained = json_of(&stage, &["drain", MOVED.0, "--out", "drain.json"]).await;
    let [step] = drained["document"]["moves"].as_array().unwrap().as_slice() else {
        panic!("{drained}");
    };
    assert_eq!((&step["from"], &step["to"]), (&json!(MOVED.0), &json!(MOVED.1)), "{step}");
    // What the loss of the endpoint does agrees with what a drain would do.
    let regret = json_of(&stage, &["regret"]).await;
    let of_label = |of: &str| {
        let rows = regret.pointer(of).unwrap().as_array().unwrap();
        rows.iter().find(|row| row["label"] == MOVED.0).unwrap()["weights"].clone()
    };
    for of in ["/vantages", "/advice/labels"] {
        assert_eq!(of_label(of), json!({MOVED.0: 3, MOVED.1: 1}), "{of}");
    }
    let shares = format!("{} 25.0 % + {} 75.0 %", MOVED.1, MOVED.0);
    let said = told(&stage, &["regret"]).await;
    let until_losses = said.split("if lost").next().unwrap();
    let rows = until_losses.lines().filter(|line| line.starts_with(MOVED.0));
    assert!(rows.clone().count() > 1, "a row each challenger, and the advice: {said}");
    assert!(rows.clone().all(|row| row.contains(&shares)), "{said}");
    assert!(said.contains("of a split label the endpoint that costs most is compared"), "{said}");
    report_shows(&stage, &shares).await;
    let outages = regret["outages"].as_array().unwrap();
    let lost = outages.iter().find(|one| one["endpoint"] == MOVED.0).unwrap();
    assert_eq!(lost["drain"], json!([{"label": MOVED.0, "to": {MOVED.1: 1}}]));
    let [moved] = lost["moved"].as_array().unwrap().as_slice() else { panic!("{lost}") };
    assert_eq!(moved["to"], json!({MOVED.1: 1}), "the rest of the group takes over");
    json_of(&stage, &["apply", "drain.json", "--yes"]).await;
    assert!(weights(&stage).await.is_empty());
    json_of(&stage, &["drain", MOVED.0, "--back", "--out", "drain.json"]).await;
    json_of(&stage, &["apply", "drain.json", "--yes"]).await;
    assert_eq!(stage.rest_of_zone(), split);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_an_endpoint_names_the_quota_that_breaks() {
    let stage = stage(true).await;
    let weights = stage.dir.path().join("weights.csv");
    std::fs::write(&weights, "vantage,weight\nap-southeast-1,3\nus-east-1,1\n").unwrap();
    let path = &stage.lab.facts().config;
    let text = std::fs::read_to_string(path).unwrap();
    let traffic = format!("[traffic]\nfile = {:?}\nrequests_per_s = 4000\n", weights.display());
    std::fs::write(
        path,
        format!("{text}\n{traffic}")
            .replace("id = \"us-east-1\"\nregion", "id = \"us-east-1\"\ncapacity = 2500\nregion"),
    )
    .unwrap();
    let regret = json_of(&stage, &["regret"]).await;
    let outages = regret["outages"].as_array().unwrap();
    assert_eq!(outages.len(), stage.setup.config.endpoints.len());
    let of = |id: &str| outages.iter().find(|one| one["endpoint"] == id).unwrap();
    assert_eq!(of("ap-southeast-1")["share"], json!(0.75));
    assert_eq!(of("us-east-1")["share"], json!(0.25));
    assert_eq!(of("eu-west-1")["share"], json!(0.0), "no vantage is sent there");
    for outage in outages {
        let lost = &outage["endpoint"];
        let loads = outage["loads"].as_array().unwrap();
        let after: f64 = loads.iter().map(|load| load["requests_per_s"].as_f64().unwrap()).sum();
        assert!((after - 4_000.0).abs() < 1e-6, "{lost}: {after}");
        for load in loads {
            let over = load["requests_per_s"].as_f64() > load["quota_per_s"].as_f64();
            assert_eq!(load["breaks"], json!(over), "{lost}: {load}");
            let own = if load["endpoint"] == "us-east-1" { 2_500.0 } else { 10_000.0 };
            assert_eq!(load["quota_per_s"], json!(own), "{load}");
        }
        // A drain would move exactly the labels that the loss takes the endpoint from.
        let drained = outage["drain"].as_array().unwrap();
        assert!(drained.iter().all(|step| step["label"] == *lost && step["to"] != json!({})));
        assert!(!drained.is_empty(), "{lost} is not the last one");
    }
}

/// What the binary says, whatever its exit code.
async fn told(stage: &Stage, words: &[&str]) -> String {
    let mut command = advisor(stage, "nearside.sqlite");
    command.args(words).current_dir(stage.dir.path());
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_capacity_that_counts_for_nothing_is_said() {
    let stage = stage(true).await;
    let path = &stage.lab.facts().config;
    let text = std::fs::read_to_string(path).unwrap();
    let text =
        text.replace("id = \"us-east-1\"\nregion", "id = \"us-east-1\"\ncapacity = 2500\nregion");
    std::fs::write(path, &text).unwrap();
    let note = "endpoint.capacity of us-east-1: no plan keeps it and no loss is held against it, \
                because traffic.requests_per_s does not say how much all clients ask\n";
    for command in ["plan", "regret", "doctor"] {
        let said = told(&stage, &[command]).await;
        assert_eq!(said.matches(note).count(), 1, "{command}: {said}");
    }
    let notes = json_of(&stage, &["plan"]).await["notes"].clone();
    let codes: Vec<_> = notes.as_array().unwrap().iter().map(|note| &note["code"]).collect();
    assert!(codes.contains(&&json!("capacity-unused")), "{notes}");
    let weights = stage.dir.path().join("weights.csv");
    std::fs::write(&weights, "vantage,weight\nap-southeast-1,3\nus-east-1,1\n").unwrap();
    let traffic = format!("[traffic]\nfile = {:?}\nrequests_per_s = 4000\n", weights.display());
    std::fs::write(path, format!("{text}\n{traffic}")).unwrap();
    for command in ["plan", "regret", "doctor"] {
        let said = told(&stage, &[command]).await;
        assert!(!said.contains("endpoint.capacity"), "{command}: {said}");
    }
}
