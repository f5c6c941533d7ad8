//! Findings of several kinds of deployment, and what becomes of them: endpoints, gaps, and a file that is
//! read back.

use std::fmt::Write as _;

use super::*;
use crate::domains::{DomainTarget, Face};
use crate::name::Label;
use crate::record::{Answer, Policy, RecordType};

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

/// The hosted zone that AWS publishes for API Gateway's Regional domains.
fn zone_of(region: &str) -> &'static str {
    match region {
        "us-east-1" => "Z1UJRXOUMOOFQ8",
        _ => "ZLY8HYME6SFDD",
    }
}

fn face(kind: EndpointKind, domain: &str, region: &str) -> Face {
    let (dns_name, zone) = match kind {
        EndpointKind::EdgeOptimized => ("d111.cloudfront.net".to_owned(), "Z2FDTNDATAQYW2"),
        _ => (format!("d-{}.execute-api.{region}.amazonaws.com", domain.len()), zone_of(region)),
    };
    Face {
        kind,
        target: DomainTarget { dns_name: name(&dns_name), hosted_zone_id: zone.into() },
        status: "AVAILABLE".into(),
        status_message: None,
    }
}

fn domain(text: &str, region: &str, kinds: &[EndpointKind]) -> ListedDomain {
    let faces = kinds.iter().map(|kind| face(*kind, text, region)).collect();
    ListedDomain { name: name(text), faces }
}

const REGIONAL: &[EndpointKind] = &[EndpointKind::Regional];
const EDGE: &[EndpointKind] = &[EndpointKind::EdgeOptimized];

/// The service and a domain of its own in each of these Regions.
fn regional(regions: &[&str]) -> Listings {
    let list = |region: &&str| {
        let own = format!("{region}.api.example.com");
        let domains =
            vec![domain("api.example.com", region, REGIONAL), domain(&own, region, REGIONAL)];
        ((*region).to_owned(), Ok(domains))
    };
    regions.iter().map(list).collect()
}

fn alias(at: &str, family: RecordType, policy: Policy, target: &str) -> RecordSet {
    RecordSet {
        name: name(at),
        record_type: family,
        set_identifier: (policy != Policy::Simple).then(|| target.to_owned()),
        policy,
        answer: Answer::Alias {
            hosted_zone_id: zone_of(region_of_target(&name(target)).unwrap_or_default()).into(),
            dns_name: name(target),
            evaluate_target_health: false,
        },
        health_check: None,
    }
}

/// What another tool has deployed: a latency group of both families, and the Regions' own names.
fn deployed(regions: &[&str]) -> Vec<RecordSet> {
    let mut records = Vec::new();
    for region in regions {
        let target = format!("d-15.execute-api.{region}.amazonaws.com");
        let own = format!("{region}.api.example.com");
        let own_target = format!("d-{}.execute-api.{region}.amazonaws.com", own.len());
        for family in [RecordType::A, RecordType::Aaaa] {
            let policy = Policy::Latency(Label::new(region));
            records.push(alias("api.example.com", family.clone(), policy, &target));
            records.push(alias(&own, family, Policy::Simple, &own_target));
        }
    }
    records
}

fn findings(listings: Listings, records: Vec<RecordSet>) -> Findings {
    let zone = ZoneFacts {
        id: "Z0123EXAMPLE".into(),
        name: name("example.com"),
        name_servers: vec!["ns-1.example.net".into()],
        api: "https://route53.amazonaws.com".into(),
    };
    let service = name("api.example.com");
    Findings { service, zone, listings, records, health_checks: Ok(Vec::new()) }
}

fn wishes() -> Wishes {
    Wishes {
        port: 443,
        path: "/".into(),
        health_path: "/health".into(),
        servers: Vec::new(),
        ca_file: None,
        zone_role: None,
        api_role: None,
        fleet: None,
    }
}

fn told(gaps: &[Gap]) -> String {
    let mut text = String::new();
    for gap in gaps {
        writeln!(text, "- {}\n  fix: {}", gap.what, gap.fix).unwrap();
    }
    text
}

/// Reads the written file back as the programs do.
fn read_back(text: &str) -> probe::config::Config {
    let (none, flags) = (BTreeMap::new(), probe::config::Flags::default());
    probe::config::build(probe::config::DEFAULTS, text, &none, &flags)
        .unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn a_whole_deployment_lacks_nothing_and_its_file_is_read_back() {
    let regions = ["eu-west-1", "us-east-1"];
    let mut found = findings(regional(&regions), deployed(&regions));
    found.health_checks = Ok(vec![ExistingHealthCheck {
        id: "abc".into(),
        caller_reference: "other".into(),
        host: "eu-west-1.api.example.com".into(),
        port: 443,
        path: "/health".into(),
    }]);
    let mut drafted = draft(&found);
    drafted.region_proof = Some("x-region".into());
    assert_eq!(gaps(&found, &drafted, &wishes(), &[]), Vec::new());
    let written = text(&found, &drafted, &wishes());
    insta::assert_snapshot!("whole", written);
    let config = read_back(&written);
    assert_eq!((config.name.as_str(), config.zone.as_str()), ("api.example.com", "example.com"));
    assert_eq!(config.endpoints.len(), 2);
    assert_eq!(config.vantages.len(), 2);
    assert_eq!(config.guard.adopt, ["api.example.com"]);
}

#[test]
fn wishes_are_written_and_awkward_text_stays_text() {
    let regions = ["eu-west-1", "us-east-1"];
    let found = findings(regional(&regions), deployed(&regions));
    let wishes = Wishes {
        port: 8443,
        path: "/a\"b".into(),
        health_path: "/up".into(),
        servers: vec!["127.0.0.1:53".parse().unwrap()],
        ca_file: Some("/tmp/a \\ b.pem".into()),
        zone_role: Some("arn:aws:iam::123456789012:role/zone".into()),
        api_role: None,
        fleet: None,
    };
    let config = read_back(&text(&found, &draft(&found), &wishes));
    assert_eq!(config.endpoints[0].url.path, "/a\"b");
    assert_eq!(config.endpoints[0].url.port, 8443);
    assert_eq!(config.endpoints[0].connect_to.as_ref().unwrap().port, 8443);
    assert_eq!(config.probe.ca_file.unwrap().to_str().unwrap(), "/tmp/a \\ b.pem");
    assert!(config.aws.zone_role.unwrap().ends_with("role/zone"));
    assert_eq!(config.dns.servers, ["127.0.0.1:53".parse().unwrap()]);
}

#[test]
fn a_fleet_measures_from_everywhere_once_a_minute() {
    let regions = ["eu-west-1", "me-central-1"];
    let found = findings(regional(&regions), deployed(&regions));
    let wishes =
        Wishes { ca_file: Some("/ca.pem".into()), fleet: Some("eu-west-1".into()), ..wishes() };
    let config = read_back(&text(&found, &draft(&found), &wishes));
    // Those that every account has, and where an endpoint stands.
    assert_eq!(config.vantages.len(), 18);
    for region in regions {
        assert_eq!(config.vantages.iter().filter(|vantage| vantage.id == region).count(), 1);
    }
    let minute = std::time::Duration::from_mins(1);
    assert_eq!((config.probe.interval, config.probe.interval_warm), (minute, minute));
    assert_eq!(config.probe.ca_file.unwrap().to_str().unwrap(), "/ca.pem");
    let cloudwatch = config.cloudwatch.unwrap();
    assert_eq!(
        (cloudwatch.namespace.as_str(), cloudwatch.region.as_str()),
        ("Nearside", "eu-west-1")
    );
    assert_eq!(cloudwatch.phases, [probe::sample::Phase::Connect]);
}

#[test]
fn gaps_come_in_the_order_to_fix_them() {
    let (two, denied) =
        (["eu-west-1", "us-east-1"], "is not authorized to perform: apigateway:GET");
    let mut shown = String::new();
    let mut show = |title: &str, found: &Findings, unproven: &[(String, String)]| {
        let drafted = draft(found);
        let _ = read_back(&text(found, &drafted, &wishes()));
        let endpoints: Vec<&str> =
            drafted.endpoints.iter().map(|one| one.region.as_str()).collect();
        writeln!(shown, "{title}: {endpoints:?}").unwrap();
        shown.push_str(&told(&gaps(found, &drafted, &wishes(), unproven)));
    };

    let edge = [("us-east-1".to_owned(), Ok(vec![domain("api.example.com", "us-east-1", EDGE)]))];
    let to_edge = alias("api.example.com", RecordType::A, Policy::Simple, "d111.cloudfront.net");
    show("edge-optimized alone", &findings(edge.into(), vec![to_edge]), &[]);

    show("no records", &findings(regional(&two), Vec::new()), &[]);

    let mut half = regional(&two);
    half.insert(
        "sa-east-1".into(),
        Err(DomainError::Denied(Denial::of("AccessDeniedException", denied))),
    );
    half.insert(
        "me-south-1".into(),
        Err(DomainError::Denied(Denial::of(
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ))),
    );
    if let Some(Ok(listed)) = half.get_mut("us-east-1") {
        listed.truncate(1);
        listed[0].faces[0].status = "UPDATING".into();
        listed[0].faces[0].status_message = Some("a certificate is validated".into());
    }
    let mut records = deployed(&["eu-west-1"]);
    records.retain(|set| set.name == name("api.example.com") && set.record_type == RecordType::A);
    let unproven = [("us-east-1".to_owned(), "status 503".to_owned())];
    show("half done", &findings(half, records), &unproven);

    let geo = Policy::Foreign { kind: "geolocation".into(), detail: "DE".into() };
    let law =
        alias("api.example.com", RecordType::A, geo, "d-15.execute-api.eu-west-1.amazonaws.com");
    let mut found = findings(regional(&two), vec![law]);
    found.health_checks = Err(ZoneError::Denied(Denial::of(
        "AccessDenied",
        "not authorized to perform: route53:ListHealthChecks",
    )));
    show("by law", &found, &[]);
    insta::assert_snapshot!("gaps", shown);
}

#[test]
fn without_permission_the_records_tell_of_endpoints() {
    let two = ["eu-west-1", "us-east-1"];
    let denied = || Err(DomainError::Denied(Denial::of("AccessDeniedException", "no")));
    let listings = two.map(|region| (region.to_owned(), denied()));
    let drafted = draft(&findings(listings.into(), deployed(&two)));
    let found: Vec<(&str, &str, bool)> = drafted
        .endpoints
        .iter()
        .map(|one| {
            let own = one.own.as_ref().is_some_and(|own| own.as_str().starts_with(&one.region));
            (one.region.as_str(), one.alias.hosted_zone_id.as_str(), one.status.is_none() && own)
        })
        .collect();
    assert_eq!(
        found,
        [("eu-west-1", "ZLY8HYME6SFDD", true), ("us-east-1", "Z1UJRXOUMOOFQ8", true)]
    );
}

#[test]
fn a_domain_of_its_own_is_not_guessed() {
    let one = |names: &[&str]| {
        let mut domains = vec![domain("api.example.com", "eu-west-1", REGIONAL)];
        domains.extend(names.iter().map(|name| domain(name, "eu-west-1", REGIONAL)));
        let drafted = draft(&findings([("eu-west-1".to_owned(), Ok(domains))].into(), Vec::new()));
        drafted.endpoints[0].own.as_ref().map(|own| own.without_dot().to_owned())
    };
    assert_eq!(one(&[]), None);
    assert_eq!(one(&["other.example.org"]), None, "another zone");
    assert_eq!(one(&["ireland.example.com"]).as_deref(), Some("ireland.example.com"));
    assert_eq!(one(&["a.example.com", "b.example.com"]), None, "either could be it");
    let named = one(&["a.example.com", "eu-west-1-api.example.com", "b.example.com"]);
    assert_eq!(named.as_deref(), Some("eu-west-1-api.example.com"));
}

#[test]
fn the_name_that_most_regions_serve_is_the_service() {
    assert_eq!(service(&regional(&["eu-west-1", "us-east-1"])), Ok(name("api.example.com")));
    let two = service(&regional(&["eu-west-1"])).unwrap_err();
    assert_eq!(
        two.to_string(),
        "several custom domains could be meant: api.example.com, eu-west-1.api.example.com"
    );
    let empty = [("eu-west-1".to_owned(), Ok(Vec::new()))];
    assert_eq!(service(&empty.into()), Err(NoService::None(1)));
    let off = Denial::of("ExpiredToken", "The security token included in the request is expired");
    let all = ["a", "b"].map(|region| (region.to_owned(), Err(DomainError::Denied(off.clone()))));
    let nowhere = service(&all.into()).unwrap_err();
    assert_eq!(nowhere.hint(), off.hint());
    assert!(
        nowhere.to_string().starts_with(
            "API Gateway could not be asked in any of 2 Regions: the AWS credentials have expired"
        ),
        "{nowhere}"
    );
}

#[test]
fn a_region_is_off_only_where_another_one_is_not() {
    let unknown = || Err(DomainError::Denied(Denial::of("UnrecognizedClientException", "invalid")));
    let mut listings: Listings =
        ["af-south-1", "me-south-1"].map(|one| (one.to_owned(), unknown())).into();
    assert!(not_enabled(&listings).is_empty(), "the key may be wrong");
    listings.insert("us-east-1".into(), Ok(Vec::new()));
    assert_eq!(not_enabled(&listings).len(), 2);
}
