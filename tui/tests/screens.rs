//! Whole screens of every view at three sizes, and of what goes wrong.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod world;

use std::sync::Arc;

use advisor::advice::{LabelSet, Reason};
use advisor::name::Label;
use advisor::program::{Value, WEIGHT_PARTS};
use advisor::topology::Shares;
use tui::{
    Decision, Depth, Entry, Message, Snapshot, StoreState, View, ansi, draw, press, text, update,
};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 40), (200, 60)];

fn screen(keys: &str, size: (u16, u16)) -> String {
    let mut model = world::model(size, Depth::None);
    press(&mut model, keys);
    text(&draw(&model))
}

#[test]
fn every_view_at_three_sizes() {
    for (index, view) in View::ALL.into_iter().enumerate() {
        for (columns, rows) in SIZES {
            let name = format!("{}_{columns}x{rows}", view.as_str().to_lowercase());
            insta::assert_snapshot!(name, screen(&(index + 1).to_string(), (columns, rows)));
        }
    }
}

#[test]
fn every_figure_of_the_matrix() {
    for (name, keys) in [("p95", "v"), ("loss", "vv"), ("regret", "vvv"), ("sorted", "ss")] {
        insta::assert_snapshot!(format!("matrix_{name}"), screen(keys, (80, 24)));
    }
}

#[test]
fn help_filter_and_freeze() {
    insta::assert_snapshot!("help", screen("?", (80, 24)));
    insta::assert_snapshot!("filter", screen("/eu > ap-so", (80, 24)));
    insta::assert_snapshot!("frozen", screen("f", (80, 24)));
}

#[test]
fn small_terminals_say_what_they_can() {
    for (columns, rows) in [(20, 5), (40, 10), (1, 1), (70, 16), (71, 17)] {
        let name = format!("small_{columns}x{rows}");
        insta::assert_snapshot!(name, screen("", (columns, rows)));
    }
}

#[test]
fn a_small_terminal_shows_what_is_asked_and_what_is_wrong_first() {
    let mut model = world::model((20, 5), Depth::None);
    model.subject.measures = true;
    press(&mut model, "q");
    let asked = text(&draw(&model));
    assert!(asked.starts_with("quit and stop\n measuring? y/n\n"), "{asked}");
    press(&mut model, "n/eu");
    assert!(text(&draw(&model)).starts_with("filter: eu\n"), "{}", text(&draw(&model)));
    let store = StoreState::Trouble { what: "store x is gone".into(), hint: "measure".into() };
    let mut model = world::blank((20, 5), Depth::None);
    let snapshot = Snapshot::empty(model.range, store);
    let _ = update(&mut model, Message::Measured(Arc::new(snapshot)));
    let wrong = text(&draw(&model));
    assert!(wrong.starts_with("! store x is gone:\n measure\n"), "{wrong}");
}

#[test]
fn a_plan_of_nothing_says_whether_the_evidence_is_there() {
    let mut model = world::model((80, 24), Depth::None);
    let mut decision = (**model.decision.as_ref().unwrap()).clone();
    (decision.plan.moves, decision.plan.changes) = (Vec::new(), Vec::new());
    decision.plan.health_checks.clear();
    for line in &mut decision.advice.labels {
        line.reason = Reason::Unsupported;
    }
    press(&mut model, "5");
    let mut told = |decision: &Decision| {
        let _ = update(&mut model, Message::Decided(Arc::new(decision.clone())));
        text(&draw(&model))
    };
    let sure = told(&decision);
    assert!(sure.contains("no label has a move that the evidence bears"), "{sure}");
    decision.advice.labels[0].reason = Reason::InsufficientData;
    let thin = told(&decision);
    assert!(thin.contains("for 1 of 4 labels there are too few blocks"), "{thin}");
}

/// A label that leads to two endpoints, and labels that were compared for measured clients.
fn split_and_compared() -> Decision {
    let label = |id: &str| Label::new(id);
    let weights = [("ap-southeast-1".to_owned(), 3), ("ap-south-1".to_owned(), 1)];
    let split = [(label("ap-southeast-1"), Shares::weighted(weights).unwrap())];
    let mut decision = world::decision_with(split.into());
    let installed = decision.advice.installed();
    let set = |more: &[&str], asked, regret_ms: Option<u64>| LabelSet {
        labels: installed.iter().cloned().chain(more.iter().map(|id| label(id))).collect(),
        asked,
        value: regret_ms.map(|ms| Value {
            regret: ms * 1_000 * WEIGHT_PARTS,
            failover_regret: 0,
            installed: 0,
            names: vec![],
        }),
    };
    let heard = &mut decision.advice.heard;
    (heard.rows, heard.regret_ms) = (vec!["home-lisbon".into(), "home-pune".into()], Some(14.2));
    heard.sets = vec![
        set(&[], true, Some(12)),
        set(&["eu-north-1", "il-central-1"], true, None),
        set(&["eu-central-1"], false, Some(1)),
    ];
    decision
}

#[test]
fn split_labels_and_compared_labels_are_shown_whole() {
    for (keys, name, size) in [
        ("4", "split_advice_80x24", (80, 24)),
        ("4jj", "split_advice_120x40", (120, 40)),
        ("3", "split_map_120x40", (120, 40)),
        ("5", "split_plan_120x40", (120, 40)),
    ] {
        let mut model = world::model(size, Depth::None);
        let _ = update(&mut model, Message::Decided(Arc::new(split_and_compared())));
        press(&mut model, keys);
        insta::assert_snapshot!(name, text(&draw(&model)));
    }
}

#[test]
fn a_long_entry_of_the_log_is_shown_whole() {
    let mut model = world::blank((80, 24), Depth::None);
    let long = format!("{}the end", "something failed again ".repeat(9));
    let entries = (0..30).map(|at| Entry::failure(world::NOW_MS - at, long.clone())).collect();
    let _ = update(&mut model, Message::Happened(entries));
    press(&mut model, "6");
    let drawn = text(&draw(&model));
    assert!(drawn.contains("the end") && !drawn.contains('…'), "{drawn}");
    assert!(drawn.contains("30 entries from here ↓ PgDn"), "{drawn}");
    press(&mut model, "G");
    let last = text(&draw(&model));
    assert!(!last.contains("from here") && last.contains("the end"), "{last}");
}

/// No view may panic or draw beyond its area, whatever the size.
#[test]
fn every_size_is_drawn() {
    let mut model = world::model((80, 24), Depth::None);
    for keys in ["1", "2", "3", "4", "5", "6", "?"] {
        press(&mut model, keys);
        for (columns, rows) in (1..=130).step_by(7).flat_map(|c| (1..=45).map(move |r| (c, r))) {
            model.size = (columns, rows);
            let drawn = text(&draw(&model));
            assert_eq!(drawn.lines().count(), usize::from(rows), "{columns}x{rows} {keys}");
        }
    }
}

#[test]
fn a_store_that_is_absent_locked_or_empty_says_what_to_do() {
    let trouble =
        |what: &str, hint: &str| StoreState::Trouble { what: what.into(), hint: hint.into() };
    let cases = [
        (
            "absent",
            trouble("store ./nearside.sqlite does not exist", "measure first, or name another"),
        ),
        ("locked", trouble("store x is locked by another process", "end the other writer")),
        ("empty", StoreState::Empty),
        ("reading", StoreState::Reading),
    ];
    for (name, store) in cases {
        let mut model = world::blank((80, 24), Depth::None);
        let snapshot = Snapshot::empty(model.range, store);
        let _ = update(&mut model, Message::Measured(Arc::new(snapshot)));
        insta::assert_snapshot!(format!("store_{name}"), text(&draw(&model)));
    }
    let mut model = world::model((80, 24), Depth::None);
    let gone = trouble("store ./nearside.sqlite does not exist", "measure first, or name another");
    let snapshot = Snapshot { store: gone, ..(*model.snapshot).clone() };
    let _ = update(&mut model, Message::Measured(Arc::new(snapshot)));
    insta::assert_snapshot!("store_disappeared", text(&draw(&model)));
}

#[test]
fn a_zone_that_cannot_be_read_says_why() {
    let mut model = world::blank((80, 24), Depth::None);
    let _ = update(&mut model, Message::Measured(Arc::new(world::snapshot())));
    let undecided = Message::Undecided {
        what: "cannot reach Route 53: no credentials".into(),
        hint: Some("sign in, or set AWS_PROFILE".into()),
    };
    let _ = update(&mut model, undecided);
    press(&mut model, "4");
    insta::assert_snapshot!("zone_unread", text(&draw(&model)));
    press(&mut model, "5");
    insta::assert_snapshot!("zone_unread_plan", text(&draw(&model)));
}

#[test]
fn control_characters_are_shown_and_never_obeyed() {
    let mut model = world::blank((120, 40), Depth::None);
    let mut snapshot = world::snapshot();
    let bad = "a\u{1b}[2J\u{7}\u{202e}b";
    snapshot.vantages[0] = bad.into();
    snapshot.targets[0] = bad.into();
    let mut detail = world::detail("us-east-1", "us-east-1");
    (detail.vantage, detail.target) = (bad.into(), bad.into());
    detail.paths[0].path = bad.into();
    snapshot.detail = Some(detail);
    let _ = update(&mut model, Message::Measured(Arc::new(snapshot)));
    for keys in ["1", "2", "3", "4", "5", "6"] {
        press(&mut model, keys);
        let drawn = text(&draw(&model));
        let obeyed = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!drawn.contains(obeyed), "{drawn}");
        if keys == "2" {
            assert!(drawn.contains("a\\u{1b}[2J"), "{drawn}");
        }
    }
}

#[test]
fn colours_follow_the_depth_and_no_color_has_none() {
    for (depth, wanted, unwanted) in [
        (Depth::None, "\u{1b}[0;1m", ";38"),
        (Depth::Sixteen, ";46m", ";48"),
        (Depth::Indexed, ";48;5;", ";48;2;"),
        (Depth::True, ";48;2;", ";48;5;"),
    ] {
        let drawn = ansi(&draw(&world::model((80, 24), depth)));
        assert!(drawn.contains(wanted), "{depth:?}");
        assert!(!drawn.contains(unwanted), "{depth:?}");
    }
    let plain = text(&draw(&world::model((80, 24), Depth::True)));
    assert_eq!(plain, text(&draw(&world::model((80, 24), Depth::None))), "figures need no colour");
}
