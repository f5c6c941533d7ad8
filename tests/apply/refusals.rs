//! What guards learn from Route 53 and API Gateway right before a change.

use advisor::mark::Shadow;
use advisor::preferred::{self, Preference};
use advisor::survey::ZoneView;
use advisor::zone::ZoneError;
use aws::{Access, Route53Zone};
use lab::apigateway::faults::DomainFault;
use nearside::failure::{Exit, Failure};
use probe::clock::Clock as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::stage::{MOVED, Stage};

/// Applies a plan that must be refused, and returns why; nothing of it may be written.
async fn refused(stage: &Stage) -> Failure {
    let before = stage.rest_of_zone();
    let failure = stage.writer().await.write(stage.plan().await, true).await.unwrap_err();
    assert_eq!(failure.exit, Exit::Refused, "{failure:?}");
    assert_eq!(stage.rest_of_zone(), before, "nothing was written");
    stage.assert_no_stray_checks("refused").await;
    failure
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_domain_that_is_not_available_refuses() {
    let stage = Stage::start().await;
    let faults = stage.lab.domain_faults();
    for (fault, said) in [
        (DomainFault::Status("UPDATING".into()), "is UPDATING, not AVAILABLE"),
        (DomainFault::Missing, "has no custom domain for the service name"),
    ] {
        faults.set(MOVED.1, fault);
        let failure = refused(&stage).await;
        assert!(failure.message.contains(said), "{failure:?}");
    }
    // Without the permission the endpoint's own proof has to do, and does.
    faults.set(MOVED.1, DomainFault::Denied);
    stage.writer().await.write(stage.plan().await, true).await.unwrap();
    stage.writer().await.rollback(None, true).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_region_proof_api_gateway_must_agree() {
    let mut stage = Stage::start().await;
    for endpoint in &mut stage.setup.config.endpoints {
        endpoint.region_proof = None;
    }
    stage.observer = stage.setup.observer(&stage.zone).await.unwrap();
    let plan = stage.plan().await;
    assert!(plan.unproven.contains(MOVED.1), "{:?}", plan.unproven);
    assert!(nearside::show::plan_text(&plan).contains(": unproven ("));
    stage.lab.domain_faults().set(MOVED.1, DomainFault::Denied);
    let failure = refused(&stage).await;
    assert!(failure.message.contains("has no region_proof"), "{failure:?}");
    stage.lab.domain_faults().clear();
    stage.writer().await.write(plan, true).await.unwrap();
    stage.writer().await.rollback(None, true).await.unwrap().unwrap();
}

/// Protects the name and type by the API itself, as the owner of the zone would.
async fn protect(stage: &Stage, name: &str, action: &str, root: &str, entry: &str) {
    let zone = &stage.lab.facts().hosted_zone_id;
    let path = format!("/2013-04-01/hostedzone/{zone}/rrsetprotection{action}");
    let body = format!(
        "<{root} xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\"><Protections><{entry}>\
         <RecordName>{name}</RecordName><RecordType>A</RecordType></{entry}></Protections></{root}>"
    );
    let host = stage.lab.facts().route53.trim_start_matches("http://").to_owned();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=lab/20260101/us-east-1/route53/aws4_request, SignedHeaders=host, Signature=0\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(&host).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).await.unwrap();
    assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_record_sets_are_left_alone() {
    let stage = Stage::start().await;
    let name = stage.lab.facts().name.clone();
    let create = ("CreateResourceRecordSetProtectionsRequest", "ResourceRecordSetProtectionConfig");
    protect(&stage, &name, "", create.0, create.1).await;
    let failure = refused(&stage).await;
    assert!(failure.message.contains(&format!("A of '{name}' is protected")), "{failure:?}");
    let delete = ("DeleteResourceRecordSetProtectionsRequest", "ResourceRecordSetProtectionKey");
    protect(&stage, &name, "/delete", delete.0, delete.1).await;
    stage.writer().await.write(stage.plan().await, true).await.unwrap();
    stage.writer().await.rollback(None, true).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_dns_cannot_be_reached_the_api_is_asked() {
    let mut stage = Stage::start().await;
    let live = stage.view().await.live().unwrap();
    let shadow =
        stage.view().await.ground(stage.setup.now_ms()).install_shadow(&live, live.labels.keys());
    stage.writer().await.write(shadow, true).await.unwrap();
    let view = stage.view().await;
    let config = stage.setup.config.clone();
    let (service, records) = (&view.service, &view.records);
    let ask = |observer| {
        let zone = &stage.zone;
        let config = &config;
        let live = &live;
        async move { preferred::ask((zone, observer), config, service, records, live).await }
    };
    let (by_dns, how) = ask(&stage.observer).await.unwrap().unwrap();
    assert_eq!(how, Preference::Asked);
    let mut nobody = config.clone();
    nobody.dns.servers = vec!["127.0.0.1:1".parse().unwrap()];
    let setup = nearside::setup::Setup { config: nobody, ..stage.setup.clone() };
    let deaf = setup.observer(&stage.zone).await.unwrap();
    let started = stage.setup.clock.now();
    let (by_api, how) = ask(&deaf).await.unwrap().unwrap();
    assert_eq!((how, how.as_str()), (Preference::AskedApi, "asked (TestDNSAnswer)"));
    assert_eq!(by_api, by_dns);
    let vantages = u32::try_from(config.vantages.len()).unwrap();
    let least = std::time::Duration::from_millis(500) * (vantages - 1);
    assert!(stage.setup.clock.now() - started >= least, "at most two requests a second");
    // A label that nobody installed is an error, and not a reason to ask another way.
    stage.setup.config.vantages.clear();
    let view: ZoneView = stage.view().await;
    let mut fewer = live.clone();
    fewer.labels.pop_first();
    let asked =
        preferred::ask((&stage.zone, &stage.observer), &config, service, &view.records, &fewer);
    assert_eq!(asked.await.unwrap(), None, "the shadow group is of other labels");
    assert_eq!(
        preferred::ask_for(
            (&stage.zone, &deaf),
            service,
            Shadow::Live,
            config.vantages[0].subnet4.unwrap()
        )
        .await
        .unwrap()
        .1,
        Preference::AskedApi
    );
}

#[tokio::test]
async fn missing_credentials_are_told_by_their_type() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("none");
    // A process of its own, because the environment is the process's.
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_advisor"))
        .args(["regret", "--config"])
        .arg(config_file(dir.path()))
        .env_clear()
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", &empty)
        .env("AWS_SHARED_CREDENTIALS_FILE", &empty)
        .env("AWS_ENDPOINT_URL_ROUTE_53", "http://127.0.0.1:1")
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.starts_with("error: there are no AWS credentials ("), "{stderr}");
    assert!(stderr.contains("hint: give credentials as to any AWS tool"), "{stderr}");
    // With credentials the same address is merely out of reach.
    let access = Access {
        endpoint_url: Some("http://127.0.0.1:1".into()),
        credentials: Some(("lab".into(), "lab".into())),
        ..Access::default()
    };
    let error = Route53Zone::open("example.test", &access).await.unwrap_err();
    assert!(matches!(error, ZoneError::Failed(_)), "{error:?}");
}

fn config_file(folder: &std::path::Path) -> std::path::PathBuf {
    let text = "name = \"api.example.test\"\nzone = \"example.test\"\n";
    let path = folder.join("nearside.toml");
    std::fs::write(&path, text).unwrap();
    path
}
