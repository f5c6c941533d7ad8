//! What a journal keeps through crashes, and how long labels rest.

use super::*;
use crate::plan::{Effect, FORMAT, Move, Thresholds};
use crate::topology::Shares;

fn plan(intent: Intent, from: &str, to: &str) -> Plan {
    Plan {
        format: FORMAT,
        intent,
        made_at_ms: 5,
        zone_id: "Z1".into(),
        zone: "exämple.com".into(),
        service: "api.example.com".into(),
        generation: 1,
        labels: BTreeMap::new(),
        weights: BTreeMap::new(),
        moves: vec![Move::whole(&Label::new("eu-west-1"), &Shares::one(from), to, "repoint")],
        effect: Effect::default(),
        thresholds: Thresholds::default(),
        health_checks: Vec::new(),
        reused_health_checks: BTreeMap::new(),
        unproven: std::collections::BTreeSet::new(),
        changes: Vec::new(),
        prior: Vec::new(),
    }
}

fn ends(text: &str) -> Event {
    Event::Ends(Ending::Unverified(text.into()))
}

#[test]
fn whatever_a_crash_leaves_of_the_last_entry_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    let mut journal = Journal::open(&path).unwrap();
    journal.begin(1, &plan(Intent::Route, "a", "b")).unwrap();
    journal.note(2, Event::Accepted { change_id: None }).unwrap();
    let kept = journal.operations().to_vec();
    drop(journal);
    let whole = std::fs::read(&path).unwrap();
    let last = serde_json::to_vec(&Entry { at_ms: 3, operation: 1, event: ends("ä") }).unwrap();
    for cut in 0..last.len() {
        let torn = [&whole[..], &last[..cut]].concat();
        std::fs::write(&path, torn).unwrap();
        assert_eq!(Journal::read(&path).unwrap(), kept, "{cut} bytes, read");
        let mut journal = Journal::open(&path).unwrap();
        assert_eq!(journal.operations(), kept, "{cut} bytes");
        journal.note(4, ends("later")).unwrap();
        drop(journal);
        assert_eq!(
            Journal::read(&path).unwrap()[0].ending,
            Some(Ending::Unverified("later".into()))
        );
    }
    // A power cut may leave a hole.
    std::fs::write(&path, [&whole[..], &[0; 4_096]].concat()).unwrap();
    assert_eq!(Journal::open(&path).unwrap().operations(), kept);
}

#[test]
fn a_broken_line_is_named_and_nothing_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    Journal::open(&path).unwrap().begin(1, &plan(Intent::Route, "a", "b")).unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend(b"{\"at_ms\":2}\n{\"torn");
    std::fs::write(&path, &bytes).unwrap();
    let error = Journal::open(&path).unwrap_err().to_string();
    assert!(error.contains("line 2, is not readable"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn two_appliers_never_share_a_journal() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.journal");
    let first = Journal::open(&path).unwrap();
    assert!(matches!(Journal::open(&path), Err(JournalError::Locked(_))));
    assert_eq!(Journal::read(&path).unwrap(), []);
    drop(first);
    Journal::open(&path).unwrap();
}

#[test]
fn a_label_rests_after_a_change_and_twice_as_long_after_each_reversal() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("x.journal")).unwrap();
    let label = Label::new("eu-west-1");
    let rests_until =
        |journal: &Journal| cooling(journal.operations(), 100, 0).get(&label).copied();
    assert_eq!(rests_until(&journal), None);
    for (at_ms, plan, ending, expected) in [
        (1_000, plan(Intent::Route, "a", "b"), Ending::Applied, 1_100),
        (2_000, plan(Intent::Rollback("1".into()), "b", "a"), Ending::Applied, 2_200),
        (3_000, plan(Intent::Route, "a", "c"), Ending::Applied, 3_200),
        // Advice that returns a label where it came from reverses it as well.
        (4_000, plan(Intent::Route, "c", "a"), Ending::Unverified("x".into()), 4_400),
        (5_000, plan(Intent::Route, "a", "b"), Ending::Abandoned("x".into()), 4_400),
    ] {
        journal.begin(at_ms, &plan).unwrap();
        if !matches!(ending, Ending::Abandoned(_)) {
            journal.note(at_ms, Event::Accepted { change_id: None }).unwrap();
        }
        journal.note(at_ms, Event::Ends(ending)).unwrap();
        assert_eq!(rests_until(&journal), Some(expected));
    }
    assert!(cooling(journal.operations(), 100, 4_400).is_empty());
    assert_eq!(cooling(journal.operations(), i64::MAX, 0)[&label], i64::MAX);
}

fn step(of: &str, percent: u8) -> Plan {
    let brake = crate::zone::BrakeSpec {
        caller_reference: "nearside-brake-x".into(),
        region: "us-east-1".into(),
        alarm: "x".into(),
    };
    let terms = crate::plan::CanaryTerms {
        plan: of.into(),
        percents: vec![50, 100],
        observe_ms: 1,
        every_ms: 1,
        brake,
    };
    plan(Intent::Canary { percent, terms }, "a", "b")
}

#[test]
fn the_steps_of_a_canary_stand_and_fall_together() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(&folder.path().join("x.journal")).unwrap();
    let mut after = |plan: &Plan, ending: Ending| {
        journal.begin(1, plan).unwrap();
        if !matches!(ending, Ending::Abandoned(_)) {
            journal.note(2, Event::Accepted { change_id: None }).unwrap();
        }
        journal.note(3, Event::Ends(ending)).unwrap();
        let operations = journal.operations();
        let newest = newest_standing(operations).iter().map(|one| one.number).collect::<Vec<_>>();
        let all = standing(operations).iter().map(|one| one.number).collect::<Vec<_>>();
        (newest, all, canary_under_way(operations).map(|one| one.number))
    };
    let route = plan(Intent::Route, "a", "b");
    assert_eq!(after(&route, Ending::Applied), (vec![1], vec![1], None));
    assert_eq!(after(&step("c", 0), Ending::Applied), (vec![2], vec![1, 2], Some(2)));
    let given_up = Ending::Abandoned("x".into());
    assert_eq!(after(&step("c", 50), given_up), (vec![2], vec![1, 2], Some(2)));
    assert_eq!(after(&step("c", 50), Ending::Applied), (vec![2, 4], vec![1, 2, 4], Some(4)));
    assert_eq!(after(&step("c", 100), Ending::Applied), (vec![2, 4, 5], vec![1, 2, 4, 5], None));
    let back = plan(Intent::Rollback("c".into()), "b", "a");
    assert_eq!(after(&back, Ending::Applied), (vec![1], vec![1], None));
    // The same plan may stand again.
    assert_eq!(after(&step("c", 0), Ending::Applied), (vec![7], vec![1, 7], Some(7)));
    let back = plan(Intent::Rollback(route.id()), "b", "a");
    assert_eq!(after(&back, Ending::Applied), (vec![7], vec![7], Some(7)));
}
