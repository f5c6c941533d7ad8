//! The rules of change batches, as tables: what the zone holds, the batch, and the refusal.
//! A refused batch leaves the zone as it was. Texts are AWS's where they are known.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]
#![allow(
    clippy::too_many_lines,
    clippy::format_collect,
    clippy::format_push_string,
    reason = "the tests are flat tables, and some batches are made of numbered lines"
)]

mod route53;

use lab::route53::error::Code;
use lab::route53::records::Start;
use proptest::prelude::*;
use route53::{apply, batch, settings, state_with};

/// What every table starts from.
const ZONE: &str = "
    CREATE A www.example.com ttl=60 v=192.0.2.1
    CREATE CNAME alias.example.com ttl=60 v=www.example.com
    CREATE A w.example.com id=a weight=10 ttl=60 v=192.0.2.1
    CREATE A w.example.com id=b weight=20 ttl=60 v=192.0.2.2
    CREATE A l.example.com id=eu region=eu-west-1 ttl=60 v=192.0.2.1
    CREATE A l.example.com id=us region=us-east-1 ttl=60 v=192.0.2.2
    CREATE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1
    CREATE A top.example.com alias=ZONE:www.example.com:false
";

/// Applies `text` to the zone; `expect` is `None` for success, else the code and parts that the
/// messages must hold, one part for each message.
fn check(text: &str, expect: Option<(Code, &[&str])>) {
    let (mut state, id) = state_with(settings());
    apply(&mut state, &id, ZONE).unwrap();
    let before = state.zone(&id).unwrap().latest().clone();
    let result = apply(&mut state, &id, text);
    let after = state.zone(&id).unwrap().latest();
    match (result, expect) {
        (Ok(()), None) => {}
        (Err(error), Some((code, parts))) => {
            assert_eq!(error.code, code, "{text}: {error}");
            assert_eq!(error.messages.len(), parts.len(), "{text}: {error}");
            for (message, part) in error.messages.iter().zip(parts) {
                let part = part.replace("ZONE", &id);
                assert!(message.contains(&part), "{text}:\n{message}\nlacks\n{part}");
            }
            assert_eq!(*after, before, "{text}: a refused batch changed the zone");
        }
        (result, expect) => panic!("{text}: {result:?} instead of {expect:?}"),
    }
}

fn accepted(text: &str) {
    check(text, None);
}

fn batch_refused(text: &str, parts: &[&str]) {
    check(text, Some((Code::InvalidChangeBatch, parts)));
}

fn input_refused(text: &str, part: &str) {
    check(text, Some((Code::InvalidInput, &[part])));
}

#[test]
fn creation() {
    batch_refused(
        "CREATE A www.example.com ttl=60 v=192.0.2.1",
        &[
            "Tried to create resource record set [name='www.example.com.', type='A'] but it already exists",
        ],
    );
    batch_refused(
        "CREATE A w.example.com id=a weight=99 ttl=60 v=192.0.2.9",
        &["[name='w.example.com.', type='A', set identifier='a'] but it already exists"],
    );
    batch_refused(
        "CREATE A a.other.org ttl=60 v=192.0.2.1",
        &["RRSet with DNS name a.other.org. is not permitted in zone example.com."],
    );
    accepted("CREATE A new.example.com ttl=60 v=192.0.2.1 v=192.0.2.2");
    accepted("UPSERT A www.example.com ttl=30 v=192.0.2.7");
    accepted("UPSERT A new.example.com ttl=30 v=192.0.2.7");
}

#[test]
fn deletion_matches_everything() {
    let mismatch = "but the values provided do not match the current values";
    accepted("DELETE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1");
    for text in [
        "DELETE A f.example.com id=p failover=PRIMARY ttl=61 v=192.0.2.1",
        "DELETE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.9",
        "DELETE A f.example.com id=p failover=SECONDARY ttl=60 v=192.0.2.1",
        "DELETE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1 hc=gone",
        "DELETE A w.example.com id=a weight=11 ttl=60 v=192.0.2.1",
        "DELETE A l.example.com id=eu region=eu-west-2 ttl=60 v=192.0.2.1",
        "DELETE A l.example.com id=eu weight=1 ttl=60 v=192.0.2.1",
        "DELETE A top.example.com alias=ZONE:www.example.com:true",
        "DELETE A top.example.com alias=ZONE:w.example.com:false",
        "DELETE A top.example.com ttl=60 v=192.0.2.1",
    ] {
        batch_refused(text, &[mismatch]);
    }
    batch_refused(
        "DELETE A www.example.com ttl=61 v=192.0.2.1",
        &[
            "Tried to delete resource record set [name='www.example.com.', type='A'] but the values provided do not match the current values",
        ],
    );
    batch_refused(
        "DELETE A none.example.com ttl=60 v=192.0.2.1",
        &[
            "Tried to delete resource record set [name='none.example.com.', type='A'] but it was not found",
        ],
    );
    batch_refused(
        "DELETE A w.example.com id=c weight=10 ttl=60 v=192.0.2.1",
        &["but it was not found"],
    );
}

#[test]
fn swaps_and_sequences() {
    accepted(
        "DELETE A www.example.com ttl=60 v=192.0.2.1
         CREATE A www.example.com ttl=60 v=192.0.2.2",
    );
    batch_refused(
        "DELETE A www.example.com ttl=60 v=192.0.2.9
         CREATE A www.example.com ttl=60 v=192.0.2.2",
        &["do not match", "but it already exists"],
    );
    let invalid = "The request contains an invalid set of changes for a resource record set";
    batch_refused(
        "CREATE A new.example.com ttl=60 v=192.0.2.1
         DELETE A new.example.com ttl=60 v=192.0.2.1",
        &[invalid],
    );
    batch_refused(
        "DELETE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1
         DELETE A f.example.com id=p failover=PRIMARY ttl=60 v=192.0.2.1",
        &[invalid],
    );
    batch_refused(
        "UPSERT A new.example.com ttl=60 v=192.0.2.1
         UPSERT A new.example.com ttl=60 v=192.0.2.1",
        &[invalid],
    );
    batch_refused(
        "CREATE A ok.example.com ttl=60 v=192.0.2.1
         CREATE A a.other.org ttl=60 v=192.0.2.1
         CREATE A www.example.com ttl=60 v=192.0.2.1",
        &["not permitted in zone", "already exists"],
    );
}

#[test]
fn one_policy_in_a_group() {
    batch_refused(
        "CREATE A www.example.com id=x weight=1 ttl=60 v=192.0.2.1",
        &[
            "RRSet with DNS name www.example.com., type A, SetIdentifier x cannot be created as a non-weighted set exists with the same name and type.",
        ],
    );
    batch_refused(
        "CREATE A l.example.com id=x weight=1 ttl=60 v=192.0.2.1",
        &["cannot be created as a non-weighted set exists with the same name and type."],
    );
    batch_refused(
        "CREATE A w.example.com id=x region=eu-west-1 ttl=60 v=192.0.2.1",
        &["cannot be created as a non-latency set exists"],
    );
    batch_refused(
        "CREATE A w.example.com ttl=60 v=192.0.2.1",
        &[
            "RRSet with DNS name w.example.com., type A cannot be created as other RRSets exist with the same name and type.",
        ],
    );
    batch_refused(
        "UPSERT A l.example.com id=eu weight=1 ttl=60 v=192.0.2.1",
        &["cannot be created as a non-weighted set exists"],
    );
    accepted(
        "DELETE A www.example.com ttl=60 v=192.0.2.1
         CREATE A www.example.com id=x weight=1 ttl=60 v=192.0.2.1",
    );
    batch_refused(
        "CREATE A www.example.com id=x weight=1 ttl=60 v=192.0.2.1
         DELETE A www.example.com ttl=60 v=192.0.2.1",
        &["non-weighted set exists", "targets it"],
    );
    accepted("CREATE AAAA w.example.com id=x region=eu-west-1 ttl=60 v=2001:db8::1");
}

#[test]
fn rules_inside_policies() {
    batch_refused(
        "CREATE A l.example.com id=eu2 region=eu-west-1 ttl=60 v=192.0.2.1",
        &[
            "RRSet with DNS name l.example.com., type A, SetIdentifier eu2, and Region Name=eu-west-1 cannot be created because a latency RRSet with the same name, type and region already exists.",
        ],
    );
    batch_refused(
        "CREATE A w.example.com id=c weight=1 ttl=61 v=192.0.2.1",
        &[
            "RRSet with DNS name w.example.com., type A, SetIdentifier c cannot be created as weighted sets must contain the same TTL.",
        ],
    );
    batch_refused(
        "CREATE A w.example.com id=c weight=1 ttl=60 v=192.0.2.1 v=192.0.2.2",
        &["exactly one resource record"],
    );
    batch_refused(
        "CREATE A n.example.com id=c region=eu-west-1 ttl=60 v=192.0.2.1 v=192.0.2.2",
        &["exactly one resource record"],
    );
    batch_refused(
        "CREATE A f.example.com id=q failover=PRIMARY ttl=60 v=192.0.2.1",
        &["location or role already exists"],
    );
    accepted("CREATE A f.example.com id=q failover=SECONDARY ttl=60 v=192.0.2.1");
    batch_refused(
        "CREATE A m.example.com id=q multivalue=true alias=ZONE:www.example.com:false",
        &["cannot be aliases"],
    );
    batch_refused(
        "CREATE A c.example.com id=q cidr=11111111-2222-3333-4444-555555555555/x ttl=1 v=192.0.2.1",
        &["does not exist"],
    );
    accepted(
        "CREATE A g.example.com id=q geo=/US/WA ttl=60 v=192.0.2.1
              CREATE A g.example.com id=r geo=EU// ttl=60 v=192.0.2.1
              CREATE A g.example.com id=s geo=/*/ ttl=60 v=192.0.2.1",
    );
    accepted(
        "CREATE A p.example.com id=q near=eu-west-1 bias=-99 ttl=60 v=192.0.2.1
              CREATE A p.example.com id=r latlon=49.22/-74.01 ttl=60 v=192.0.2.1",
    );
    let many = |count: usize| -> String {
        (0..count)
            .map(|at| format!("CREATE A h.example.com id={at} weight=1 ttl=60 v=192.0.2.1\n"))
            .collect()
    };
    accepted(&many(100));
    batch_refused(
        &many(101),
        &["Exceeded limit on number of weighted RRSets for h.example.com., type A in this zone."],
    );
}

#[test]
fn shapes_and_facets() {
    input_refused(
        "CREATE A n.example.com weight=1 ttl=60 v=192.0.2.1",
        "Invalid request: Missing field 'SetIdentifier' in Change with [Action=CREATE, Name=n.example.com, Type=A, SetIdentifier=null]",
    );
    input_refused(
        "CREATE A n.example.com id=x ttl=60 v=192.0.2.1",
        "Invalid request: Expected exactly one of [Weight, Region, Failover, GeoLocation, or MultiValueAnswer], but found none in Change with [Action=CREATE, Name=n.example.com, Type=A, SetIdentifier=x]",
    );
    input_refused(
        "CREATE A n.example.com id=x weight=1 region=eu-west-1 ttl=60 v=192.0.2.1",
        "GeoLocation, or MultiValueAnswer], but found more than one",
    );
    input_refused(
        "CREATE A n.example.com ttl=60 alias=ZONE:www.example.com:false",
        "Invalid request: Expected exactly one of [AliasTarget, all of [TTL, and ResourceRecords], or TrafficPolicyInstanceId], but found more than one in Change with [",
    );
    input_refused(
        "CREATE A n.example.com ttl=60 v=192.0.2.1 alias=ZONE:www.example.com:false",
        "found more than one",
    );
    input_refused("CREATE A n.example.com v=192.0.2.1", "found none");
    input_refused("CREATE A n.example.com", "found none");
    input_refused("CREATE A n.example.com instance=x", "TrafficPolicyInstanceId");
    input_refused(
        "CREATE A n.example.com id=x weight=256 ttl=60 v=192.0.2.1",
        "Value '256' is not facet-valid with respect to maxInclusive '255' for type 'ResourceRecordSetWeight'.",
    );
    input_refused("CREATE A n.example.com id=x weight=-1 ttl=60 v=192.0.2.1", "minInclusive '0'");
    input_refused(
        "CREATE A n.example.com id=x region=me-west-1 ttl=60 v=192.0.2.1",
        "cvc-enumeration-valid: Value 'me-west-1'",
    );
    input_refused(
        "CREATE A n.example.com id=x failover=TERTIARY ttl=60 v=192.0.2.1",
        "enumeration '[PRIMARY, SECONDARY]'",
    );
    input_refused(
        "CREATE A n.example.com ttl=2147483648 v=192.0.2.1",
        "maxInclusive '2147483647' for type 'TTL'",
    );
    input_refused(
        "CREATE BOGUS n.example.com ttl=60 v=192.0.2.1",
        "cvc-enumeration-valid: Value 'BOGUS'",
    );
    input_refused(
        "REPLACE A n.example.com ttl=60 v=192.0.2.1",
        "enumeration '[CREATE, DELETE, UPSERT]'",
    );
    input_refused(
        "CREATE A n.example.com alias=:www.example.com:false",
        "The content of element 'AliasTarget' is not complete.",
    );
    input_refused(
        "CREATE A n.example.com alias=ZONE:www.example.com:maybe",
        "'maybe' is not a valid value for 'boolean'",
    );
    let long = "Z".repeat(63);
    input_refused(
        &format!("CREATE A n.example.com alias={long}:www.example.com:false"),
        &format!(
            "Invalid XML ; cvc-maxLength-valid: Value '{long}' with length = '63' is not facet-valid with respect to maxLength '32' for type 'ResourceId'."
        ),
    );
    input_refused("CREATE A n.example.com id=q geo=/FR/WA ttl=60 v=192.0.2.1", "subdivision");
    input_refused("CREATE A n.example.com id=q geo=EU/FR/ ttl=60 v=192.0.2.1", "GeoLocation");
    input_refused(
        "CREATE A n.example.com id=q near=eu-west-1 bias=100 ttl=60 v=192.0.2.1",
        "maxInclusive '99' for type 'Bias'",
    );
    input_refused(
        "CREATE A n.example.com id=q latlon=91/0 ttl=60 v=192.0.2.1",
        "for type 'Latitude'",
    );
    input_refused("CREATE A n.example.com id=q cidr=bogus/x ttl=60 v=192.0.2.1", "for type 'UUID'");
    check(
        "CREATE A n.example.com ttl=60 v=192.0.2.1 hc=bogus",
        Some((Code::NoSuchHealthCheck, &["bogus"])),
    );
}

#[test]
fn cname_rules() {
    batch_refused(
        "CREATE CNAME example.com ttl=60 v=a.test",
        &[
            "RRSet of type CNAME with DNS name example.com. is not permitted at apex in zone example.com.",
        ],
    );
    batch_refused(
        "CREATE CNAME www.example.com ttl=60 v=a.test",
        &[
            "RRSet of type CNAME with DNS name www.example.com. is not permitted as it conflicts with other records with the same DNS name in zone example.com.",
        ],
    );
    batch_refused(
        "CREATE A alias.example.com ttl=60 v=192.0.2.1",
        &[
            "RRSet of type A with DNS name alias.example.com. is not permitted because a conflicting RRSet of type CNAME with the same DNS name already exists in zone example.com.",
        ],
    );
    accepted("UPSERT CNAME alias.example.com ttl=60 v=b.test");
    accepted(
        "DELETE CNAME alias.example.com ttl=60 v=www.example.com
              CREATE A alias.example.com ttl=60 v=192.0.2.1",
    );
}

#[test]
fn values_and_names() {
    batch_refused(
        "CREATE A n.example.com ttl=60 v=x",
        &[
            "Invalid Resource Record: 'FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with 'x''",
        ],
    );
    batch_refused(
        "CREATE A n.example.com ttl=60 v=192.0.2.1 v=192.0.2.1",
        &["Duplicate Resource Record: '192.0.2.1'"],
    );
    batch_refused(
        "CREATE TXT n.example.com ttl=60 v=bare",
        &["Value should be enclosed in quotation marks"],
    );
    batch_refused("CREATE CNAME n.example.com ttl=60 v=a.test v=b.test", &["exactly one value"]);
    batch_refused(
        &format!("CREATE A {}.example.com ttl=60 v=192.0.2.1", "x".repeat(64)),
        &["FATAL problem: DomainLabelTooLong (Domain label is too long)"],
    );
    batch_refused("CREATE A a..example.com ttl=60 v=192.0.2.1", &["DomainLabelEmpty"]);
    batch_refused("CREATE NS *.example.com ttl=60 v=ns.test", &["cannot be a wildcard"]);
    batch_refused("CREATE NS n.example.com id=x weight=1 ttl=60 v=ns.test", &["routing policy"]);
    batch_refused("CREATE SOA n.example.com ttl=60 v=a._b._1_1_1_1_1", &["not permitted"]);
    accepted("CREATE A *.example.com ttl=60 v=192.0.2.1");
    batch_refused(
        "CREATE A WWW.Example.COM ttl=60 v=192.0.2.1",
        &["[name='www.example.com.', type='A'] but it already exists"],
    );
}

#[test]
fn aliases() {
    let missing = "Tried to create an alias that targets none.example.com., type A in zone ZONE, but that target was not found";
    batch_refused("CREATE A n.example.com alias=ZONE:none.example.com:false", &[missing]);
    batch_refused(
        "CREATE AAAA n.example.com alias=ZONE:www.example.com:false",
        &["targets www.example.com., type AAAA in zone ZONE, but that target was not found"],
    );
    batch_refused(
        "CREATE A n.example.com alias=ZWRONG:www.example.com:false",
        &[
            "Tried to create an alias that targets www.example.com., type A in zone ZWRONG, but the alias target name does not lie within the target zone",
            "Tried to create an alias that targets www.example.com., type A in zone ZWRONG, but that target was not found",
        ],
    );
    batch_refused(
        "CREATE A n.example.com alias=ZONE:none.example.com:false
                   CREATE A none.example.com ttl=60 v=192.0.2.1",
        &[missing],
    );
    accepted(
        "CREATE A none.example.com ttl=60 v=192.0.2.1
              CREATE A n.example.com alias=ZONE:none.example.com:false",
    );
    batch_refused(
        "CREATE A n.example.com alias=ZONE:www.example.com:false
                   UPSERT A www.example.com ttl=60 v=192.0.2.9",
        &["but that target was not found"],
    );
    accepted(
        "UPSERT A www.example.com ttl=60 v=192.0.2.9
              CREATE A n.example.com alias=ZONE:www.example.com:false",
    );
    batch_refused("CREATE A n.example.com alias=ZONE:n.example.com:false", &["not found"]);
    batch_refused(
        "DELETE A www.example.com ttl=60 v=192.0.2.1",
        &["but the alias top.example.com. targets it"],
    );
    accepted(
        "DELETE A top.example.com alias=ZONE:www.example.com:false
              DELETE A www.example.com ttl=60 v=192.0.2.1",
    );
    batch_refused(
        "DELETE A www.example.com ttl=60 v=192.0.2.1
                   DELETE A top.example.com alias=ZONE:www.example.com:false",
        &["targets it"],
    );
    accepted(
        "CREATE A n.example.com alias=ZLY8HYME6SFDD:d-eu.execute-api.eu-west-1.amazonaws.com:true",
    );
    accepted(
        "CREATE AAAA n.example.com alias=ZLY8HYME6SFDD:d-eu.execute-api.eu-west-1.amazonaws.com.:true",
    );
    let both = &["does not lie within the target zone", "was not found"];
    batch_refused(
        "CREATE A n.example.com alias=Z1UJRXOUMOOFQ8:d-eu.execute-api.eu-west-1.amazonaws.com:true",
        both,
    );
    batch_refused(
        "CREATE A n.example.com alias=ZLY8HYME6SFDD:d-no.execute-api.eu-west-1.amazonaws.com:true",
        &["was not found"],
    );
    batch_refused(
        "CREATE AAAA n.example.com alias=Z1UJRXOUMOOFQ8:d-us.execute-api.us-east-1.amazonaws.com:true",
        &["was not found"],
    );
    accepted("CREATE A n.example.com alias=Z2FDTNDATAQYW2:d111.cloudfront.net:false");
    batch_refused(
        "CREATE A n.example.com alias=Z2FDTNDATAQYW2:d111.cloudfront.net:true",
        &["EvaluateTargetHealth must be false"],
    );
    batch_refused(
        "CREATE CNAME example.com alias=ZONE:alias.example.com:false",
        &["not permitted at apex"],
    );
}

#[test]
fn apex_sets_are_kept() {
    let (mut state, id) = state_with(settings());
    let sets: Vec<_> = state.zone(&id).unwrap().latest().iter().cloned().collect();
    for (set, expect) in sets.iter().zip([
        "A HostedZone must contain at least one NS record for the zone itself.",
        "A HostedZone must contain exactly one SOA record.",
    ]) {
        let change = lab::route53::model::Change {
            action: lab::route53::model::Action::Delete,
            set: (**set).clone(),
        };
        let batch = lab::route53::model::ChangeBatch { comment: None, changes: vec![change] };
        let error = state
            .change(&id, &batch, &route53::FakeInternet, std::time::Duration::ZERO)
            .unwrap_err();
        assert_eq!(error.messages, [expect]);
    }
}

#[test]
fn sizes() {
    let creates = |count: usize| -> String {
        (0..count).map(|at| format!("CREATE A n{at}.example.com ttl=60 v=192.0.2.1\n")).collect()
    };
    accepted(&creates(1000));
    batch_refused(&creates(1001), &["Number of records limit of 1000 exceeded."]);
    let upserts = creates(501).replace("CREATE", "UPSERT");
    batch_refused(&upserts, &["Number of records limit of 1000 exceeded."]);
    let aliases: String = (0..1001)
        .map(|at| format!("CREATE A n{at}.example.com alias=ZONE:www.example.com:false\n"))
        .collect();
    batch_refused(&aliases, &["Number of records limit of 1000 exceeded."]);
    let text = format!("\"{}\"", "x".repeat(250));
    let long = |count: usize, action: &str| -> String {
        (0..count).map(|at| format!("{action} TXT n{at}.example.com ttl=60 v={text}\n")).collect()
    };
    accepted(&long(126, "CREATE"));
    batch_refused(&long(127, "CREATE"), &["Number of characters limit of 32000 exceeded."]);
    batch_refused(&long(64, "UPSERT"), &["Number of characters limit of 32000 exceeded."]);
    let comment = Some("x".repeat(257));
    let change = batch("CREATE A n.example.com ttl=60 v=192.0.2.1", "Z").unwrap();
    assert_eq!(change.changes.len(), 1);
    let refused = lab::route53::validate::shape::batch(comment, Vec::new()).unwrap_err();
    assert!(refused.message().contains("maxLength '256'"), "{refused}");
}

#[test]
fn a_zone_holds_ten_thousand_sets() {
    let (mut state, id) = state_with(settings());
    for block in 0..10 {
        let count = if block == 9 { 998 } else { 1000 };
        let text: String = (0..count)
            .map(|at| format!("CREATE A n{block}-{at}.example.com ttl=60 v=192.0.2.1\n"))
            .collect();
        apply(&mut state, &id, &text).unwrap();
    }
    let error = apply(&mut state, &id, "CREATE A over.example.com ttl=60 v=192.0.2.1").unwrap_err();
    assert_eq!(error.code, Code::InvalidChangeBatch);
    assert!(error.message().contains("at most 10000"), "{error}");
}

/// A line of a batch drawn from few names, so that rules collide.
fn line() -> impl Strategy<Value = String> {
    let action = prop::sample::select(vec!["CREATE", "DELETE", "UPSERT"]);
    let names = ["www", "w", "l", "top", "alias", "n", "a-b", "a.b", "*"];
    let name = prop::sample::select(names.to_vec());
    let rest = prop_oneof![
        Just("ttl=60 v=192.0.2.1".to_owned()),
        (0u8..4, 0u8..3)
            .prop_map(|(id, weight)| format!("id={id} weight={weight} ttl=60 v=192.0.2.1")),
        Just("id=eu region=eu-west-1 ttl=60 v=192.0.2.1".to_owned()),
        Just("alias=ZONE:www.example.com:false".to_owned()),
        Just("ttl=60 v=bogus".to_owned()),
    ];
    (action, name, rest)
        .prop_map(|(action, name, rest)| format!("{action} A {name}.example.com {rest}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_batch_is_all_or_nothing(lines in prop::collection::vec(line(), 1..8)) {
        let (mut state, id) = state_with(settings());
        apply(&mut state, &id, ZONE).unwrap();
        let before = state.zone(&id).unwrap().latest().clone();
        let text = lines.join("\n");
        let result = apply(&mut state, &id, &text);
        let after = state.zone(&id).unwrap().latest();
        if result.is_err() {
            prop_assert_eq!(after, &before);
            let (all, _) = after.page(&Start::default(), usize::MAX);
            let (old, _) = before.page(&Start::default(), usize::MAX);
            prop_assert_eq!(format!("{all:?}"), format!("{old:?}"));
        }
    }

    #[test]
    fn paging_gives_each_set_once_in_order(
        names in prop::collection::btree_set("[a-c!*_-]{1,3}(\\.[ab]{1,2})?", 1..40),
        size in 1usize..7,
    ) {
        let (mut state, id) = state_with(settings());
        let mut text = String::new();
        for (at, name) in names.iter().enumerate() {
            if at % 3 == 0 {
                text += &format!("CREATE A {name}.example.com id=a weight=1 ttl=60 v=192.0.2.1\n");
                text += &format!("CREATE A {name}.example.com id=b weight=1 ttl=60 v=192.0.2.1\n");
            } else {
                text += &format!("CREATE TXT {name}.example.com ttl=60 v=\"x\"\n");
            }
        }
        apply(&mut state, &id, &text).unwrap();
        let records = state.zone(&id).unwrap().latest();
        let (mut start, mut seen) = (Start::default(), Vec::new());
        loop {
            let (page, next) = records.page(&start, size);
            seen.extend(page);
            let Some(next) = next else { break };
            start = Start {
                name: Some(next.name.clone()),
                kind: Some(next.kind),
                set_identifier: next.set_identifier().map(str::to_owned),
            };
        }
        prop_assert_eq!(seen.len(), records.len());
        let key = |set: &lab::route53::model::RecordSet| {
            (set.name.sort_key(), set.kind.as_str(), set.set_identifier().map(str::to_owned))
        };
        prop_assert!(seen.windows(2).all(|pair| key(&pair[0]) < key(&pair[1])));
    }
}
