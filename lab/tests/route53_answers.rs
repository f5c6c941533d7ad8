//! What DNS answers, as tables: zone, health, question, draw of chance, answer. And what the
//! state remembers of references, protections and tags.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]

mod route53;

use std::collections::BTreeMap;
use std::time::Duration;

use lab::route53::answer::{Answer, Question, Rcode, View, answer};
use lab::route53::cidr::{CidrCollection, Network};
use lab::route53::error::Code;
use lab::route53::health::Outcome;
use lab::route53::health::config::RawConfig;
use lab::route53::model::RrType;
use lab::route53::name::Name;
use lab::route53::regions::CHECKER_REGIONS;
use lab::route53::state::{RawProtection, Settings, State, Tagged};
use route53::{FakeInternet, apply, settings, state_with};

const LATER: Duration = Duration::from_secs(10);
const EU: &str = "198.18.7.1";
const US: &str = "203.0.113.1";

struct World {
    state: State,
    zone: String,
    checks: BTreeMap<&'static str, String>,
}

/// A world with the health checks `h1`, `h2`, `h3`, named so in `text`.
fn world(text: &str) -> World {
    let (mut state, zone) = state_with(settings());
    let mut checks = BTreeMap::new();
    let mut text = text.to_owned();
    for name in ["h1", "h2", "h3"] {
        let given = |text: &str| Some(text.to_owned());
        let raw = RawConfig {
            kind: given("TCP"),
            ip_address: given("127.0.0.1"),
            port: given("80"),
            failure_threshold: given("1"),
            ..RawConfig::default()
        };
        let (check, _) = state.create_check(name, &raw, Duration::ZERO).unwrap();
        text = text.replace(&format!("hc={name}"), &format!("hc={}", check.id));
        checks.insert(name, check.id);
    }
    apply(&mut state, &zone, &text).unwrap();
    state.advance(LATER);
    World { state, zone, checks }
}

impl World {
    fn set(&mut self, name: &str, success: bool) {
        let outcome = Outcome { success, status: String::new() };
        let id = &self.checks[name];
        self.state.checks_mut().observe(id, &CHECKER_REGIONS, &outcome, LATER);
    }

    fn ask(&self, name: &str, kind: RrType, client: &str, draw: u64) -> Answer {
        let view = View {
            zones: self.state.zones().collect(),
            internet: &FakeInternet,
            checks: self.state.checks(),
            cidr_collections: self.state.cidr_collections(),
        };
        let name = Name::parse(name).unwrap();
        let question = Question { name, kind: Some(kind), client: client.parse().unwrap() };
        answer(&view, &question, &mut |below| draw % below)
    }

    fn values(&self, name: &str, client: &str, draw: u64) -> Vec<String> {
        let records = self.ask(name, RrType::A, client, draw).answers;
        records.into_iter().map(|record| record.value).collect()
    }

    /// How often each value is the answer over all draws below `draws`.
    fn shares(&self, name: &str, draws: u64) -> BTreeMap<String, u64> {
        let mut shares = BTreeMap::new();
        for draw in 0..draws {
            for value in self.values(name, EU, draw) {
                *shares.entry(value).or_insert(0) += 1;
            }
        }
        shares
    }
}

fn shares(of: &[(&str, u64)]) -> BTreeMap<String, u64> {
    of.iter().map(|(value, count)| ((*value).to_owned(), *count)).collect()
}

#[test]
fn latency_among_the_labels_present() {
    let mut world = world(
        "CREATE A l.example.com id=eu region=eu-west-1 ttl=60 v=192.0.2.1 hc=h1
         CREATE A l.example.com id=ap region=ap-south-1 ttl=60 v=192.0.2.2 hc=h2
         CREATE A l.example.com id=us region=us-east-1 ttl=60 v=192.0.2.3 hc=h3
         CREATE A part.example.com id=ap region=ap-south-1 ttl=60 v=192.0.2.2
         CREATE A part.example.com id=us region=us-east-1 ttl=60 v=192.0.2.3",
    );
    assert_eq!(world.values("l.example.com", EU, 0), ["192.0.2.1"]);
    assert_eq!(world.values("l.example.com", US, 0), ["192.0.2.3"]);
    assert_eq!(world.values("part.example.com", EU, 0), ["192.0.2.2"], "no eu-west-1 here");
    world.set("h1", false);
    assert_eq!(world.values("l.example.com", EU, 0), ["192.0.2.2"]);
    world.set("h2", false);
    assert_eq!(world.values("l.example.com", EU, 0), ["192.0.2.3"]);
    world.set("h3", false);
    assert_eq!(world.values("l.example.com", EU, 0), ["192.0.2.1"], "all unhealthy: all healthy");
}

#[test]
fn weights() {
    let mut world = world(
        "CREATE A w.example.com id=a weight=3 ttl=60 v=192.0.2.1 hc=h1
         CREATE A w.example.com id=b weight=1 ttl=60 v=192.0.2.2 hc=h2
         CREATE A w.example.com id=c weight=0 ttl=60 v=192.0.2.3 hc=h3
         CREATE A zero.example.com id=a weight=0 ttl=60 v=192.0.2.1
         CREATE A zero.example.com id=b weight=0 ttl=60 v=192.0.2.2",
    );
    assert_eq!(world.shares("w.example.com", 4), shares(&[("192.0.2.1", 3), ("192.0.2.2", 1)]));
    assert_eq!(world.shares("zero.example.com", 4), shares(&[("192.0.2.1", 2), ("192.0.2.2", 2)]));
    world.set("h1", false);
    assert_eq!(world.shares("w.example.com", 4), shares(&[("192.0.2.2", 4)]));
    world.set("h2", false);
    assert_eq!(world.shares("w.example.com", 4), shares(&[("192.0.2.3", 4)]), "weight 0 is left");
    world.set("h3", false);
    assert_eq!(world.shares("w.example.com", 4), shares(&[("192.0.2.1", 3), ("192.0.2.2", 1)]));
}

#[test]
fn alias_chains_back_out_of_an_unhealthy_region() {
    let mut world = world(
        "CREATE A eu.example.com id=a weight=1 ttl=60 v=192.0.2.1 hc=h1
         CREATE A eu.example.com id=b weight=1 ttl=60 v=192.0.2.2 hc=h2
         CREATE A us.example.com id=a weight=1 ttl=60 v=192.0.2.3 hc=h3
         CREATE A api.example.com id=eu region=eu-west-1 alias=ZONE:eu.example.com:true
         CREATE A api.example.com id=us region=us-east-1 alias=ZONE:us.example.com:true
         CREATE A blind.example.com id=eu region=eu-west-1 alias=ZONE:eu.example.com:false
         CREATE A blind.example.com id=us region=us-east-1 alias=ZONE:us.example.com:false
         CREATE A top.example.com alias=ZONE:api.example.com:true",
    );
    assert_eq!(world.shares("top.example.com", 2), shares(&[("192.0.2.1", 1), ("192.0.2.2", 1)]));
    world.set("h1", false);
    assert_eq!(world.shares("top.example.com", 2), shares(&[("192.0.2.2", 2)]));
    world.set("h2", false);
    assert_eq!(world.values("top.example.com", EU, 0), ["192.0.2.3"]);
    assert_eq!(world.values("blind.example.com", EU, 0), ["192.0.2.1"], "health is not evaluated");
    world.set("h3", false);
    assert_eq!(world.values("top.example.com", EU, 0), ["192.0.2.1"]);
    let found = world.ask("top.example.com", RrType::A, EU, 0);
    assert_eq!(found.answers[0].name.as_str(), "top.example.com.");
    assert!(found.by_network);
}

#[test]
fn a_check_on_an_alias_counts_too() {
    let mut world = world(
        "CREATE A a.example.com id=g alias=ZLY8HYME6SFDD:d-eu.execute-api.eu-west-1.amazonaws.com:true region=eu-west-1 hc=h1
         CREATE A a.example.com id=u region=us-east-1 ttl=60 v=192.0.2.3",
    );
    assert_eq!(world.values("a.example.com", EU, 0), ["127.0.10.1"]);
    assert_eq!(world.ask("a.example.com", RrType::A, EU, 0).answers[0].ttl_s, 60);
    world.set("h1", false);
    assert_eq!(world.values("a.example.com", EU, 0), ["192.0.2.3"]);
}

#[test]
fn failover_multivalue_and_geolocation() {
    let mut world = world(
        "CREATE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1 hc=h1
         CREATE A f.example.com id=s failover=SECONDARY ttl=60 v=192.0.2.2 hc=h2
         CREATE A m.example.com id=a multivalue=true ttl=60 v=192.0.2.1 hc=h1
         CREATE A m.example.com id=b multivalue=true ttl=60 v=192.0.2.2 hc=h2
         CREATE A g.example.com id=wa geo=/US/WA ttl=60 v=192.0.2.1
         CREATE A g.example.com id=eu geo=EU// ttl=60 v=192.0.2.2
         CREATE A g.example.com id=d geo=/*/ ttl=60 v=192.0.2.3
         CREATE A strict.example.com id=fr geo=/FR/ ttl=60 v=192.0.2.4",
    );
    assert_eq!(world.values("f.example.com", EU, 0), ["192.0.2.1"]);
    assert_eq!(world.values("m.example.com", EU, 0).len(), 2);
    for (client, expect) in [("198.19.0.1", "192.0.2.1"), (EU, "192.0.2.2"), (US, "192.0.2.3")] {
        assert_eq!(world.values("g.example.com", client, 0), [expect], "{client}");
    }
    let none = world.ask("strict.example.com", RrType::A, EU, 0);
    assert_eq!((none.rcode, none.answers.len()), (Rcode::NoError, 0));
    world.set("h1", false);
    assert_eq!(world.values("f.example.com", EU, 0), ["192.0.2.2"]);
    assert_eq!(world.values("m.example.com", EU, 0), ["192.0.2.2"]);
    world.set("h2", false);
    assert_eq!(world.values("f.example.com", EU, 0), ["192.0.2.1"], "all unhealthy: the primary");
}

#[test]
fn names_that_are_and_are_not() {
    let world = world(
        "CREATE A *.wild.example.com ttl=60 v=192.0.2.1
         CREATE A here.wild.example.com ttl=60 v=192.0.2.2
         CREATE A a.deep.example.com ttl=60 v=192.0.2.3
         CREATE CNAME c.example.com ttl=60 v=here.wild.example.com
         CREATE CNAME out.example.com ttl=60 v=www.other.test
         CREATE CNAME loop.example.com ttl=60 v=loop.example.com
         CREATE NS child.example.com ttl=60 v=ns.child.test",
    );
    let check = |name: &str, kind, rcode, answers: usize, authority: usize| {
        let found = world.ask(name, kind, US, 0);
        let counts = (found.rcode, found.answers.len(), found.authority.len());
        assert_eq!(counts, (rcode, answers, authority), "{name} {kind}: {found:?}");
    };
    check("x.wild.example.com", RrType::A, Rcode::NoError, 1, 0);
    check("x.y.wild.example.com", RrType::A, Rcode::NoError, 1, 0);
    check("x.wild.example.com", RrType::Aaaa, Rcode::NoError, 0, 1);
    check("x.here.wild.example.com", RrType::A, Rcode::NxDomain, 0, 1);
    check("deep.example.com", RrType::A, Rcode::NoError, 0, 1);
    check("none.example.com", RrType::A, Rcode::NxDomain, 0, 1);
    check("c.example.com", RrType::A, Rcode::NoError, 2, 0);
    check("c.example.com", RrType::Cname, Rcode::NoError, 1, 0);
    check("out.example.com", RrType::A, Rcode::NoError, 1, 0);
    check("loop.example.com", RrType::A, Rcode::NoError, 1, 0);
    check("www.child.example.com", RrType::A, Rcode::NoError, 0, 1);
    check("www.other.org", RrType::A, Rcode::Refused, 0, 0);
    check("d-no.execute-api.eu-west-1.amazonaws.com", RrType::A, Rcode::NxDomain, 0, 0);
    assert!(!world.ask("www.child.example.com", RrType::A, US, 0).authoritative);
}

#[test]
fn cidr_sets_answer_by_the_longest_block_and_then_by_default() {
    const COLLECTION: &str = "11111111-2222-3333-4444-555555555555";
    let network = |text: &str, prefix| Network { address: text.parse().unwrap(), prefix };
    let collection = CidrCollection {
        id: COLLECTION.to_owned(),
        locations: BTreeMap::from([
            ("wide".to_owned(), vec![network("198.18.0.0", 15), network("2001:db8::", 32)]),
            ("narrow".to_owned(), vec![network("198.18.7.0", 24)]),
            ("unused".to_owned(), vec![network("198.19.9.0", 24)]),
        ]),
    };
    let settings = Settings { cidr_collections: vec![collection], ..settings() };
    let (mut state, zone) = state_with(settings);
    let set = |id: &str, location: &str, last: u8| {
        format!(
            "CREATE A c.example.com id={id} cidr={COLLECTION}/{location} ttl=60 v=192.0.2.{last}"
        )
    };
    let sets = [set("w", "wide", 1), set("n", "narrow", 2), set("d", "*", 3)];
    apply(&mut state, &zone, &sets.join("\n")).unwrap();
    let alone =
        format!("CREATE A only.example.com id=n cidr={COLLECTION}/narrow ttl=60 v=192.0.2.9");
    apply(&mut state, &zone, &alone).unwrap();
    state.advance(LATER);
    let world = World { state, zone, checks: BTreeMap::new() };
    let check = |name: &str, client: &str, expect: &[&str]| {
        let answer = world.ask(name, RrType::A, client, 0);
        let values: Vec<&str> = answer.answers.iter().map(|r| r.value.as_str()).collect();
        assert_eq!((values.as_slice(), answer.by_network), (expect, true), "{name} {client}");
        assert_eq!(answer.rcode, Rcode::NoError);
    };
    check("c.example.com", "198.18.7.9", &["192.0.2.2"]);
    check("c.example.com", "198.18.8.9", &["192.0.2.1"]);
    check("c.example.com", "2001:db8:7::1", &["192.0.2.1"]);
    // A block of a location without a set decides: the default answers, not the wider block.
    check("c.example.com", "198.19.9.9", &["192.0.2.3"]);
    check("c.example.com", "203.0.113.9", &["192.0.2.3"]);
    check("only.example.com", "198.18.7.9", &["192.0.2.9"]);
    check("only.example.com", "198.18.8.9", &[]);
}

#[test]
fn dns_serves_the_last_change_in_sync() {
    let (mut state, zone) = state_with(settings());
    apply(&mut state, &zone, "CREATE A a.example.com ttl=60 v=192.0.2.1").unwrap();
    let served = |state: &State| state.zone(&zone).unwrap().served().len();
    state.advance(Duration::from_millis(999));
    assert_eq!((served(&state), state.zone(&zone).unwrap().latest().len()), (2, 3));
    state.advance(Duration::from_secs(1));
    assert_eq!(served(&state), 3);
}

#[test]
fn protections_guard_names_and_types() {
    let World { mut state, zone, .. } = world("CREATE A a.example.com ttl=60 v=192.0.2.1");
    let entry = |name: &str, kind: &str| RawProtection {
        name: name.to_owned(),
        kind: kind.to_owned(),
        comment: Some("law".to_owned()),
    };
    let (a, b) = (entry("A.example.com", "A"), entry("b.example.com", "A"));
    state.protect(&zone, std::slice::from_ref(&a)).unwrap();
    let error = apply(&mut state, &zone, "UPSERT A a.example.com ttl=60 v=192.0.2.9").unwrap_err();
    assert!(error.code == Code::InvalidChangeBatch && error.message().contains("law"), "{error}");
    apply(&mut state, &zone, "CREATE AAAA a.example.com ttl=60 v=2001:db8::1").unwrap();
    let code = |result: Result<(), lab::route53::error::ApiError>| result.unwrap_err().code;
    let all = Code::ProtectionAlreadyExists;
    let some = Code::InvalidResourceRecordSetProtectionBatch;
    assert_eq!(code(state.protect(&zone, std::slice::from_ref(&a))), all);
    assert_eq!(code(state.protect(&zone, &[a.clone(), b.clone()])), some);
    assert_eq!(code(state.protect(&zone, &[b.clone(), b.clone()])), some);
    assert_eq!(code(state.protect(&zone, &[entry("x.other.org", "A")])), some);
    assert_eq!(code(state.unprotect(&zone, &[a.clone(), b])), some);
    assert_eq!(code(state.delete_zone(&zone, LATER).map(|_| ())), Code::HostedZoneNotEmpty);
    state.unprotect(&zone, &[a]).unwrap();
    apply(&mut state, &zone, "UPSERT A a.example.com ttl=60 v=192.0.2.9").unwrap();
}

#[test]
fn zones_tags_and_updates() {
    let World { mut state, zone, checks } = world("CREATE A a.example.com ttl=60 v=192.0.2.1");
    let again = state.create_zone("other.example", "ref", None, LATER).map(|_| ());
    assert_eq!(again.unwrap_err().code, Code::HostedZoneAlreadyExists);
    let bad = state.create_zone("*.example", "r2", None, LATER).map(|_| ());
    assert_eq!(bad.unwrap_err().code, Code::InvalidDomainName);
    let add = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
    state.change_tags(Tagged::HostedZone, &zone, add.clone(), &[]).unwrap();
    assert_eq!(state.tags(Tagged::HostedZone, &zone).unwrap(), add);
    state.change_tags(Tagged::HostedZone, &zone, BTreeMap::new(), &["k".to_owned()]).unwrap();
    assert!(state.tags(Tagged::HostedZone, &zone).unwrap().is_empty());
    let raw = RawConfig { port: Some("81".to_owned()), ..RawConfig::default() };
    let id = &checks["h1"];
    assert_eq!(state.update_check(id, Some(1), &raw, &[]).unwrap().version, 2);
    let stale = state.update_check(id, Some(1), &raw, &[]).map(|_| ());
    assert_eq!(stale.unwrap_err().code, Code::HealthCheckVersionMismatch);
}
