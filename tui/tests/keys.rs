//! What keys, the mouse, pictures and time do to the dashboard.

#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

mod world;

use std::sync::Arc;
use std::time::Duration;

use probe::sample::Connection;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers, MouseButton};
use ratatui::crossterm::event::{MouseEvent, MouseEventKind};
use tui::{
    Depth, Effect, Figure, Flow, Message, Mode, Model, Question, Range, Snapshot, Sort, View, draw,
    press, text, update,
};

fn model() -> Model {
    world::model((80, 24), Depth::None)
}

fn key(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    update(model, Message::Key(KeyEvent::new(code, modifiers)))
}

fn plain(model: &mut Model, code: KeyCode) -> Vec<Effect> {
    key(model, code, KeyModifiers::NONE)
}

fn chosen(model: &Model) -> (&str, &str) {
    (model.vantage.as_deref().unwrap(), model.target.as_deref().unwrap())
}

#[test]
fn numbers_and_tabs_show_views() {
    let mut model = model();
    for (index, view) in View::ALL.into_iter().enumerate() {
        press(&mut model, &(index + 1).to_string());
        assert_eq!(model.view, view);
    }
    plain(&mut model, KeyCode::Tab);
    assert_eq!(model.view, View::Matrix);
    plain(&mut model, KeyCode::BackTab);
    assert_eq!(model.view, View::Log);
    plain(&mut model, KeyCode::Esc);
    assert_eq!(model.view, View::Matrix);
}

#[test]
fn arrows_and_vim_keys_move_the_cursor_and_stop_at_the_edges() {
    let mut model = model();
    press(&mut model, "gh");
    press(&mut model, "hhhh");
    assert_eq!(chosen(&model), ("us-east-1", "us-east-1"));
    press(&mut model, "jl");
    assert_eq!(chosen(&model), ("us-west-2", "eu-west-1"));
    plain(&mut model, KeyCode::Down);
    plain(&mut model, KeyCode::Right);
    assert_eq!(chosen(&model), ("eu-west-1", "ap-south-1"));
    plain(&mut model, KeyCode::Up);
    plain(&mut model, KeyCode::Left);
    assert_eq!(chosen(&model), ("us-west-2", "eu-west-1"));
    press(&mut model, "G");
    assert_eq!(chosen(&model).0, "sa-east-1");
    key(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    assert_eq!(chosen(&model).0, "us-east-1");
    plain(&mut model, KeyCode::Enter);
    assert_eq!(model.view, View::Cell);
}

#[test]
fn settings_turn_round() {
    let mut model = model();
    press(&mut model, "vcts");
    assert_eq!(
        (model.figure, model.connection, model.range, model.sort),
        (Figure::P95, Connection::Resumed, Range::Hour, Sort::Worst)
    );
    press(&mut model, "vvvccttttttsst");
    assert_eq!(
        (model.figure, model.connection, model.range, model.sort),
        (Figure::P50, Connection::Cold, Range::Hours6, Sort::Given)
    );
}

#[test]
fn the_reader_is_asked_for_what_is_shown() {
    let mut model = model();
    let asked = |range, cell: Option<(&str, &str)>| {
        let cell = cell.map(|(v, t)| (v.to_owned(), t.to_owned()));
        vec![Effect::Ask(Question { range, connection: None, cell })]
    };
    assert_eq!(plain(&mut model, KeyCode::Char('t')), asked(Range::Hour, None));
    let moved = plain(&mut model, KeyCode::Char('j'));
    assert!(moved.is_empty(), "the matrix shows no histograms here: {moved:?}");
    let cell = ("ap-northeast-1", "ap-southeast-1");
    assert_eq!(plain(&mut model, KeyCode::Enter), asked(Range::Hour, Some(cell)));
    assert!(plain(&mut model, KeyCode::Char('v')).is_empty());
    let resized = update(&mut model, Message::Resized(200, 60));
    assert!(resized.is_empty(), "the same question is not asked twice: {resized:?}");
    let _ = plain(&mut model, KeyCode::Char('1'));
    assert_eq!(model.question().cell.unwrap().0, "ap-northeast-1", "a tall matrix shows the cell");
}

#[test]
fn a_filter_narrows_rows_and_columns_and_the_cursor_follows() {
    let mut model = model();
    press(&mut model, "/EU > west");
    assert_eq!(model.mode, Mode::Filter);
    let drawn = text(&draw(&model));
    assert!(drawn.contains("eu-central-1") && !drawn.contains("sa-east-1"), "{drawn}");
    assert_eq!(chosen(&model), ("eu-west-1", "eu-west-1"));
    plain(&mut model, KeyCode::Backspace);
    plain(&mut model, KeyCode::Enter);
    assert_eq!((model.mode, model.filter.as_str()), (Mode::Normal, "EU > wes"));
    plain(&mut model, KeyCode::Esc);
    assert_eq!((model.filter.as_str(), model.view), ("", View::Matrix));
    press(&mut model, "/q");
    assert_eq!(model.filter, "q", "letters are letters while a filter is typed");
    let quit = key(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(quit, [Effect::Quit]);
}

#[test]
fn rows_are_sorted_by_their_worst_figure() {
    let mut model = model();
    press(&mut model, "s");
    let drawn = text(&draw(&model));
    let at = |name: &str| drawn.find(&format!("\n {name}")).unwrap();
    assert!(at("sa-east-1") < at("eu-west-1"), "{drawn}");
}

#[test]
fn a_frozen_picture_stays_until_it_is_let_go() {
    let mut model = model();
    press(&mut model, "f");
    let newer = Snapshot { newest_ms: Some(7), ..world::snapshot() };
    let _ = update(&mut model, Message::Measured(Arc::new(newer)));
    let _ = update(&mut model, Message::Decided(Arc::new(world::decision())));
    assert_ne!(model.snapshot.newest_ms, Some(7));
    press(&mut model, "f");
    assert_eq!((model.snapshot.newest_ms, &model.flow), (Some(7), &Flow::Live));
}

#[test]
fn quitting_the_agent_is_asked_first() {
    let mut model = model();
    model.subject.measures = true;
    assert!(plain(&mut model, KeyCode::Char('q')).is_empty());
    assert_eq!(model.mode, Mode::ConfirmQuit);
    assert!(plain(&mut model, KeyCode::Char('n')).is_empty());
    assert_eq!(model.mode, Mode::Normal);
    press(&mut model, "q");
    assert_eq!(plain(&mut model, KeyCode::Char('y')), [Effect::Quit]);
    assert_eq!(update(&mut model, Message::Quit), [Effect::Quit], "a signal is not asked");
}

#[test]
fn a_clock_that_jumps_is_told() {
    let mut model = model();
    let tick = |wall_ms, seconds| Message::Tick { wall_ms, running: Duration::from_secs(seconds) };
    let _ = update(&mut model, tick(world::NOW_MS, 1));
    let _ = update(&mut model, tick(world::NOW_MS + 1_000, 2));
    let before = model.log.failures().0;
    let _ = update(&mut model, tick(world::NOW_MS - 7_200_000, 3));
    assert_eq!(model.log.failures().0, before + 1);
    press(&mut model, "6");
    let drawn = text(&draw(&model));
    assert!(drawn.contains("the clock was set back by 2 h"), "{drawn}");
    press(&mut model, "1");
    let drawn = text(&draw(&model));
    assert!(drawn.contains("newest 1 h ahead") || drawn.contains("newest 2 h ahead"), "{drawn}");
    let _ = update(&mut model, tick(world::NOW_MS, 4));
    assert_eq!(model.log.failures().0, before + 2);
}

#[test]
fn the_mouse_chooses_tabs_and_cells() {
    let mut model = model();
    assert_eq!(plain(&mut model, KeyCode::Char('m')), [Effect::Mouse(true)]);
    let drawn = text(&draw(&model));
    let click = |model: &mut Model, word: &str| {
        let row = drawn.lines().position(|line| line.contains(word)).unwrap();
        let column = drawn.lines().nth(row).unwrap().split(word).next().unwrap().chars().count();
        let kind = MouseEventKind::Down(MouseButton::Left);
        let (column, row) = (u16::try_from(column + 25).unwrap(), u16::try_from(row).unwrap());
        let modifiers = KeyModifiers::NONE;
        update(model, Message::Mouse(MouseEvent { kind, column, row, modifiers }))
    };
    let _ = click(&mut model, "eu-central-1");
    assert_eq!(chosen(&model).0, "eu-central-1");
    let kind = MouseEventKind::ScrollDown;
    let wheel = MouseEvent { kind, column: 0, row: 5, modifiers: KeyModifiers::NONE };
    let _ = update(&mut model, Message::Mouse(wheel));
    assert_eq!(chosen(&model).0, "ap-south-1");
    let column = u16::try_from(drawn.find("4 Advice").unwrap()).unwrap();
    let kind = MouseEventKind::Down(MouseButton::Left);
    let tab = MouseEvent { kind, column, row: 0, modifiers: KeyModifiers::NONE };
    let _ = update(&mut model, Message::Mouse(tab));
    assert_eq!(model.view, View::Advice);
}

#[test]
fn the_advice_shows_reasons_and_the_frontier_a_page_further() {
    let mut model = model();
    press(&mut model, "4");
    let first = text(&draw(&model));
    assert!(first.contains("Why ap-southeast-1: repoint"), "what moves is chosen: {first}");
    plain(&mut model, KeyCode::PageDown);
    let further = text(&draw(&model));
    assert!(further.contains("  1  ") && further.contains("  4  "), "{further}");
    plain(&mut model, KeyCode::PageUp);
    assert_eq!(text(&draw(&model)), first);
    press(&mut model, "j");
    assert!(text(&draw(&model)).contains("Why eu-west-1: "));
}

#[test]
fn help_holds_every_key_and_closes_by_any() {
    let mut model = world::model((80, 60), Depth::None);
    press(&mut model, "?");
    let drawn = text(&draw(&model));
    for words in ["freeze the picture", "ctrl-z", "Shift-Tab", "PgDn ctrl-f ctrl-d"] {
        assert!(drawn.contains(words), "{words}: {drawn}");
    }
    press(&mut model, "x");
    assert_eq!(model.mode, Mode::Normal);
}
