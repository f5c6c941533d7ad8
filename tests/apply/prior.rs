//! What stands at the name before the first plan: converted where it is about sending people to one or
//! several endpoints, refused where it may be about anything else.

use std::collections::BTreeMap;

use advisor::group::Prior;
use advisor::journal::Ending;
use advisor::plan::{Effect, Plan};
use advisor::record::Policy as Read;
use lab::route53::model::{
    Action, Change, ChangeBatch, Data, Failover, GeoLocation, GeoPlace, Policy, RecordSet, Routing,
};

use crate::stage::Stage;

fn change(stage: &Stage, changes: Vec<Change>) {
    let batch = ChangeBatch { comment: None, changes };
    stage.lab.route53().change(&stage.lab.facts().hosted_zone_id, &batch).unwrap();
}

/// The sets at the service name, by family and Region of their target.
fn at_service(stage: &Stage) -> Vec<RecordSet> {
    let service = format!("{}.", stage.lab.facts().name);
    stage.rest_of_zone().into_iter().filter(|set| set.name.to_string() == service).collect()
}

/// Puts a group of this policy where the latency group stands: one set a family and Region.
fn replace(stage: &Stage, regions: &[&str], policy: impl Fn(usize) -> Option<Policy>) {
    let old = at_service(stage);
    let deletes = old.iter().cloned().map(|set| Change { action: Action::Delete, set });
    let target = |set: &RecordSet, region: &str| matches!(&set.data, Data::Alias(to) if to.dns_name.to_string().contains(region));
    let mut creates = Vec::new();
    for (index, region) in regions.iter().enumerate() {
        for set in old.iter().filter(|set| target(set, region)) {
            let routing = policy(index)
                .map(|policy| Routing { set_identifier: format!("was-{region}"), policy });
            let set = RecordSet { routing, health_check_id: None, ..set.clone() };
            creates.push(Change { action: Action::Create, set });
        }
    }
    change(stage, deletes.chain(creates).collect());
}

/// The policy of the set of each Region, by its number.
type PolicyOf = fn(usize) -> Option<Policy>;

async fn conversion(stage: &Stage) -> Plan {
    let view = stage.view().await;
    let live = view.live().unwrap();
    assert_ne!(live.prior, Prior::Latency);
    view.ground(stage.setup.now_ms()).route(&live, Vec::new(), Effect::default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simple_and_weighted_groups_are_converted_and_come_back() {
    let stage = Stage::start().await;
    let one = ["us-east-1"].as_slice();
    let two = ["us-east-1", "eu-west-1"].as_slice();
    let simple: PolicyOf = |_| None;
    let weighted: PolicyOf = |index| Some(Policy::Weighted([3, 1][index]));
    let cases: [(&[&str], PolicyOf); 2] = [(one, simple), (two, weighted)];
    for (regions, policy) in cases {
        replace(&stage, regions, policy);
        let before = stage.rest_of_zone();
        let plan = conversion(&stage).await;
        let writer = stage.writer().await;
        let outcome = writer.write(plan.clone(), true).await.unwrap();
        assert_eq!(outcome.ending, Ending::Applied, "{regions:?}");
        let change = stage.lab.route53().get_change(&outcome.change_id.unwrap()).unwrap();
        assert_eq!(change.comment, Some(format!("nearside plan {}", plan.id())));
        let live = stage.view().await.live().unwrap();
        assert_eq!(live.prior, Prior::Latency);
        let labels: BTreeMap<String, String> =
            live.labels.into_iter().map(|(label, id)| (label.to_string(), id)).collect();
        let expected: BTreeMap<String, String> =
            regions.iter().map(|region| ((*region).to_owned(), (*region).to_owned())).collect();
        assert_eq!(labels, expected);
        assert_eq!(live.families.len(), 2, "A and AAAA, as before");
        stage.assert_no_stray_checks("converted").await;
        writer.rollback(None, true).await.unwrap().expect("it stands");
        assert_eq!(stage.rest_of_zone(), before, "{regions:?}, and back");
        // The shadow groups stand no more, so the next case begins from the same place.
        stage.assert_no_stray_checks("and back").await;
        restore_latency(&stage, regions).await;
    }
}

/// All four Regions under latency again, for the next case.
async fn restore_latency(stage: &Stage, _regions: &[&str]) {
    let facts = stage.lab.facts();
    let old = at_service(stage);
    let template = old[0].clone();
    let deletes = old.into_iter().map(|set| Change { action: Action::Delete, set });
    let view = stage.view().await;
    let mut creates = Vec::new();
    for endpoint in &view.endpoints {
        for kind in ["A", "AAAA"] {
            let kind = lab::route53::model::RrType::parse(kind).unwrap();
            let Data::Alias(target) = &template.data else { panic!("an alias") };
            let target = lab::route53::model::AliasTarget {
                hosted_zone_id: endpoint.hosted_zone_id.clone(),
                dns_name: lab::route53::name::Name::parse(endpoint.dns_name.as_str()).unwrap(),
                ..target.clone()
            };
            let routing = Routing {
                set_identifier: format!("tf-{}", endpoint.region),
                policy: Policy::Latency(endpoint.region.clone()),
            };
            let set = RecordSet {
                kind,
                routing: Some(routing),
                data: Data::Alias(target),
                ..template.clone()
            };
            creates.push(Change { action: Action::Create, set });
        }
    }
    assert!(!facts.endpoints.is_empty());
    change(stage, deletes.chain(creates).collect());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn groups_that_may_be_law_or_failover_are_refused_each_by_name() {
    let stage = Stage::start().await;
    let kinds: [(&str, Policy); 4] = [
        ("geolocation", Policy::Geolocation(GeoLocation::Country("*".into()))),
        ("failover", Policy::Failover(Failover::Primary)),
        (
            "geoproximity",
            Policy::Geoproximity { place: GeoPlace::Region("us-east-1".into()), bias: Some(10) },
        ),
        ("latency", Policy::Latency("us-east-1".into())),
    ];
    for (kind, policy) in kinds {
        replace(&stage, &["us-east-1"], |_| Some(policy.clone()));
        let view = stage.view().await;
        let read = view.live();
        if kind == "latency" {
            assert!(read.is_ok());
            continue;
        }
        let error = read.unwrap_err();
        assert!(error.to_string().contains(&format!("uses {kind} routing")), "{error}");
        let failure = nearside::failure::Failure::from(advisor::survey::SurveyError::from(error));
        assert_eq!(failure.exit, nearside::failure::Exit::Refused);
        let foreign =
            |set: &&advisor::record::RecordSet| matches!(set.policy, Read::Foreign { .. });
        assert_eq!(
            view.records.iter().filter(foreign).count(),
            2,
            "A and AAAA are read as they are"
        );
    }
}
