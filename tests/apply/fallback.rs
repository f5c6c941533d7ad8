//! Where no name server can be reached, Route 53's API is asked: for vantages, and for clients that are none.

use std::fmt::Write as _;
use std::time::Duration;

use advisor::mark::{Marks, Shadow};
use advisor::name::Label;
use advisor::preferred::Preference;
use advisor::source::Unmeasured;
use advisor::survey::Survey;
use nearside::setup::Setup;
use probe::clock::Clock as _;

use crate::stage::Stage;

/// Clients that are no vantages.
const CLIENTS: usize = 4;
/// A label that is asked about and not installed.
const MORE: &str = "eu-north-1";

/// The clients of the lab that weigh most, as all of the traffic.
fn configure(stage: &mut Stage) {
    let mut clients = stage.lab.world().clients().to_vec();
    clients.sort_by(|a, b| b.weight.total_cmp(&a.weight));
    let mut rows = "client,weight\n".to_owned();
    for client in &clients[..CLIENTS] {
        writeln!(rows, "{},1", client.prefix).unwrap();
    }
    let file = stage.dir.path().join("weights.csv");
    std::fs::write(&file, rows).unwrap();
    let path = &stage.lab.facts().config;
    let text = std::fs::read_to_string(path).unwrap();
    std::fs::write(path, format!("{text}\n[traffic]\nfile = \"{}\"\n", file.display())).unwrap();
    let config = nearside::setup::read_config(path, &std::collections::BTreeMap::new()).unwrap();
    stage.setup.config = config;
}

async fn survey(stage: &Stage, setup: &Setup) -> Survey {
    let observer = setup.observer(&stage.zone).await.unwrap();
    let seams = (&stage.zone, &Unmeasured, &observer);
    Survey::make(seams, &setup.config, &[], setup.now_ms()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_are_asked_for_by_the_api_where_dns_is_out_of_reach() {
    let mut stage = Stage::start().await;
    configure(&mut stage);
    let view = stage.view().await;
    let live = view.live().unwrap();
    let more = Label::new(MORE);
    let next = live.labels.keys().chain([&more]);
    let shadows = view.ground(stage.setup.now_ms()).install_shadow(&live, next);
    stage.writer().await.write(shadows, true).await.unwrap();

    let by_dns = survey(&stage, &stage.setup).await;
    assert_eq!((by_dns.preference, by_dns.unasked), (Preference::Asked, (0, 0.0)));
    let mut deaf = stage.setup.clone();
    deaf.config.dns.servers = vec!["127.0.0.1:1".parse().unwrap()];
    let started = stage.setup.clock.now();
    let by_api = survey(&stage, &deaf).await;
    let took = stage.setup.clock.now() - started;

    assert_eq!((by_api.preference, by_api.unasked), (Preference::AskedApi, (0, 0.0)));
    assert_eq!(by_api.routing.preferred, by_dns.routing.preferred);
    assert_eq!(by_api.clients, by_dns.clients);
    assert!((by_api.clients.values().sum::<f64>() - 1.0).abs() < 1e-9, "{:?}", by_api.clients);
    let then = |survey: &Survey| survey.next.as_ref().map(|next| next.clients.clone());
    assert_eq!(then(&by_api), then(&by_dns));
    let marks = Marks::of(&view.service);
    let stands = marks.shadow_labels(Shadow::Next, &by_api.view.records);
    assert!(stands.contains(&more), "{stands:?}");
    // Both shadows are asked for each vantage and each client, at most two questions a second.
    let questions = 2 * (stage.setup.config.vantages.len() + CLIENTS);
    let least = Duration::from_millis(500) * u32::try_from(questions).unwrap();
    assert!(took >= least, "{took:?} for {questions} questions");
}
