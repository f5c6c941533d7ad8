//! Zones of other shapes: what stands in them is read as it is, refused by name or left alone, byte for
//! byte, while the service beside it is changed and changed back.

use std::collections::BTreeMap;
use std::path::Path;

use advisor::group::live_group;
use advisor::journal::Ending;
use advisor::record;
use advisor::zone::Zone as _;
use lab::route53::model::{
    Action, AliasTarget, Change, ChangeBatch, Data, Failover, GeoLocation, Policy, RecordSet,
    Routing, RrType,
};
use lab::route53::name::Name;

use crate::stage::Stage;

/// The `key="value"` pairs of cli53's comment.
fn pairs(comment: &str) -> BTreeMap<&str, &str> {
    let words = comment.trim().trim_start_matches("AWS").split_whitespace();
    words.filter_map(|word| word.split_once('=')).map(|(k, v)| (k, v.trim_matches('"'))).collect()
}

fn policy(pairs: &BTreeMap<&str, &str>) -> Option<Policy> {
    let text = |key: &str| (*pairs.get(key).unwrap_or(&"")).to_owned();
    match *pairs.get("routing")? {
        "FAILOVER" if text("failover") == "PRIMARY" => Some(Policy::Failover(Failover::Primary)),
        "FAILOVER" => Some(Policy::Failover(Failover::Secondary)),
        "LATENCY" => Some(Policy::Latency(text("region"))),
        "WEIGHTED" => Some(Policy::Weighted(text("weight").parse().unwrap())),
        "GEOLOCATION" => Some(Policy::Geolocation(match pairs.get("continentCode") {
            Some(continent) => GeoLocation::Continent((*continent).to_owned()),
            None => GeoLocation::Country(text("countryCode")),
        })),
        other => panic!("{other}"),
    }
}

/// One line of a zone file. The health checks that it names exist in another account, so they are left
/// out; an alias to `$self` points into this zone.
fn record_set(line: &str, under: &str, zone_id: &str) -> RecordSet {
    let (data, comment) = line.split_once(';').unwrap_or((line, ""));
    let words: Vec<&str> = data.split_whitespace().collect();
    let pairs = pairs(comment);
    let routing = policy(&pairs)
        .map(|policy| Routing { set_identifier: pairs["identifier"].to_owned(), policy });
    let name = |first: &str| Name::parse(&format!("{first}.{under}")).unwrap();
    let (kind, data) = match words[2..] {
        ["AWS", "ALIAS", kind, target, "$self", evaluate] => {
            let target = AliasTarget {
                hosted_zone_id: zone_id.to_owned(),
                dns_name: name(target),
                evaluate_target_health: evaluate == "true",
            };
            (kind, Data::Alias(target))
        }
        ["IN", kind, value] => {
            let ttl_s = words[1].parse().unwrap();
            (kind, Data::Records { ttl_s, values: vec![value.to_owned()] })
        }
        ref other => panic!("{other:?}"),
    };
    let kind = RrType::parse(kind).unwrap();
    RecordSet { name: name(words[0]), kind, routing, data, health_check_id: None }
}

/// Puts all files' records below the zone, each file under a name of its own.
fn fill(stage: &Stage) -> Vec<(String, Name)> {
    let facts = stage.lab.facts();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/apply/zones");
    let mut services = Vec::new();
    let mut changes = Vec::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|e| e == "txt")) {
        let stem = file.file_stem().unwrap().to_str().unwrap().replace('_', "-");
        let under = format!("{stem}.{}", facts.zone);
        let text = std::fs::read_to_string(file).unwrap();
        let sets = text.lines().filter(|line| !line.trim().is_empty());
        let sets: Vec<RecordSet> =
            sets.map(|line| record_set(line, &under, &facts.hosted_zone_id)).collect();
        services.push((stem, sets.last().unwrap().name.clone()));
        changes.extend(sets.into_iter().map(|set| Change { action: Action::Create, set }));
    }
    let batch = ChangeBatch { comment: None, changes };
    stage.lab.route53().change(&facts.hosted_zone_id, &batch).unwrap();
    services
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_of_every_policy_are_read_and_told_by_name() {
    let stage = Stage::start().await;
    let endpoints = stage.view().await.endpoints;
    let mut told = Vec::new();
    for (file, name) in fill(&stage) {
        let service = advisor::name::Name::parse(&name.to_string()).unwrap();
        let records = stage.zone.record_sets(&service).await.unwrap();
        let error = live_group(&service, &records, &endpoints).unwrap_err();
        told.push(format!("{file}: {error}"));
    }
    insta::assert_snapshot!(told.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_stands_beside_the_service_is_left_alone() {
    let stage = Stage::start().await;
    fill(&stage);
    let facts = stage.lab.facts();
    let (zone, service) = (facts.zone.clone(), facts.name.clone());
    let value = |kind: &str, text: &str| (RrType::parse(kind).unwrap(), text.to_owned());
    // Octal names, wildcards, deep ones, and those that look like ours and are not.
    let odd = [
        (format!("*.{service}"), value("A", "192.0.2.1")),
        (format!("a\\040b.{service}"), value("TXT", "\"space\"")),
        (format!("\\134x\\057y.{zone}"), value("TXT", "\"slash\"")),
        (format!("_nearside-lock.deep.{service}"), value("TXT", "\"v=1 generation=99\"")),
        (format!("x{service}"), value("A", "192.0.2.2")),
        (zone.clone(), value("TXT", "\"apex\"")),
    ];
    let changes = odd.into_iter().map(|(name, (kind, text))| {
        let set = RecordSet::simple(Name::parse(&name).unwrap(), kind, 300, vec![text]);
        Change { action: Action::Create, set }
    });
    let batch = ChangeBatch { comment: None, changes: changes.collect() };
    stage.lab.route53().change(&facts.hosted_zone_id, &batch).unwrap();
    let before = stage.rest_of_zone();
    let ours = |set: &RecordSet| {
        let name = set.name.to_string();
        name.trim_end_matches('.') == service
            || name.starts_with("_nearside-")
                && name.matches('.').count() == service.matches('.').count() + 2
    };
    let foreign = |all: &[RecordSet]| -> Vec<RecordSet> {
        all.iter().filter(|set| !ours(set)).cloned().collect()
    };
    let writer = stage.writer().await;
    let plan = stage.plan().await;
    assert!(plan.generation < 99, "a lock of another service is not ours");
    assert_eq!(writer.write(plan, true).await.unwrap().ending, Ending::Applied);
    assert_eq!(foreign(&stage.rest_of_zone()), foreign(&before));
    writer.rollback(None, true).await.unwrap().unwrap();
    assert_eq!(stage.rest_of_zone(), before);
    let odd: Vec<record::RecordSet> = stage.zone.record_sets(&stage.service()).await.unwrap();
    assert!(odd.iter().any(|set| set.name.as_str().starts_with("\\052.")), "{odd:?}");
    assert!(odd.iter().any(|set| set.name.as_str().starts_with("a\\040b.")), "{odd:?}");
}
