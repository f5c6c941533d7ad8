//! What each message does to the model. Pure: what must be done outside comes back as effects.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton};
use ratatui::crossterm::event::{MouseEvent, MouseEventKind};
use std::sync::Arc;
use std::time::Duration;

use advisor::advice::LabelAdvice;

use crate::decision::Decision;
use crate::keymap::{Action, action};
use crate::log::Entry;
use crate::message::{Effect, Message};
use crate::model::{Figure, Flow, Mode, Model, Sort, Undecided, View};
use crate::snapshot::Snapshot;
use crate::view;
use crate::words::length;

/// Most characters of a filter.
const FILTER_MAX: usize = 60;
/// A page, where the view does not know its own.
const PAGE: isize = 10;
/// As far as the reasons of the advice are scrolled.
const ADVICE_LINES_MAX: usize = 200;
/// By how much wall and monotonic time may part between two ticks.
const JUMP_MS: i64 = 2_000;

/// Folds one message in, and says what must be done.
pub fn update(model: &mut Model, message: Message) -> Vec<Effect> {
    let mut effects = match message {
        Message::Key(key) => on_key(model, key),
        Message::Mouse(mouse) => on_mouse(model, mouse),
        Message::Quit => vec![Effect::Quit],
        other => {
            take_in(model, other);
            Vec::new()
        }
    };
    let question = model.question();
    if model.asked.as_ref() != Some(&question) {
        model.asked = Some(question.clone());
        effects.push(Effect::Ask(question));
    }
    effects
}

/// What comes in without asking for anything.
fn take_in(model: &mut Model, message: Message) {
    match message {
        Message::Resized(columns, rows) => model.size = (columns, rows),
        Message::Tick { wall_ms, running } => tick(model, wall_ms, running),
        Message::Measured(snapshot) => measured(model, snapshot),
        Message::Decided(decision) => match &mut model.flow {
            Flow::Frozen { decided: newest, .. } => *newest = Some(decision),
            Flow::Live => decided(model, decision),
        },
        Message::Undecided { what, hint } => {
            let entry = Entry::failure(model.now_ms, what.clone()).keyed("survey".to_owned());
            model.log.push(entry);
            model.undecided = Some(Undecided { what, hint });
        }
        Message::Happened(entries) => entries.into_iter().for_each(|entry| model.log.push(entry)),
        Message::Key(_) | Message::Mouse(_) | Message::Quit => {}
    }
}

fn tick(model: &mut Model, wall_ms: i64, running: Duration) {
    let passed = running.saturating_sub(model.running);
    let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
    let jumped_ms = wall_ms.saturating_sub(model.now_ms).saturating_sub(passed_ms);
    if !model.running.is_zero() && jumped_ms.saturating_abs() > JUMP_MS {
        let way = if jumped_ms < 0 { "back" } else { "forward" };
        let text = format!("the clock was set {way} by {}", length(jumped_ms.saturating_abs()));
        model.log.push(Entry::failure(wall_ms, text));
    }
    (model.now_ms, model.running) = (wall_ms, running);
}

fn measured(model: &mut Model, snapshot: Arc<Snapshot>) {
    let is_wanted = model.chosen_detail().is_none();
    if let Flow::Frozen { newer, .. } = &mut model.flow {
        // A cell that was chosen meanwhile is looked up all the same.
        if is_wanted && snapshot.detail.is_some() {
            model.detail.clone_from(&snapshot.detail);
        }
        *newer = Some(snapshot);
        return;
    }
    if snapshot.detail.is_some() {
        model.detail.clone_from(&snapshot.detail);
    }
    model.snapshot = snapshot;
    choose_shown(model);
}

/// Chooses a cell that is shown, where the chosen one is not.
fn choose_shown(model: &mut Model) {
    let rows = model.rows();
    if !model.vantage.as_deref().is_some_and(|id| rows.contains(&id)) {
        model.vantage = rows.first().map(|id| (*id).to_owned());
    }
    let columns = model.columns();
    if !model.target.as_deref().is_some_and(|id| columns.contains(&id)) {
        model.target = columns.first().map(|id| (*id).to_owned());
    }
}

fn on_key(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    if key.kind == KeyEventKind::Release {
        return Vec::new();
    }
    let asked = action(key);
    match model.mode {
        Mode::Filter if !key.modifiers.contains(KeyModifiers::CONTROL) => {
            type_filter(model, key.code);
            Vec::new()
        }
        Mode::ConfirmQuit => {
            model.mode = Mode::Normal;
            let is_yes = matches!(key.code, KeyCode::Char('y' | 'Y'));
            if is_yes { vec![Effect::Quit] } else { Vec::new() }
        }
        Mode::Help if !matches!(asked, Some(Action::Quit | Action::Suspend)) => {
            scroll_help(model, asked);
            Vec::new()
        }
        _ => asked.map_or_else(Vec::new, |asked| act(model, asked)),
    }
}

fn type_filter(model: &mut Model, code: KeyCode) {
    match code {
        KeyCode::Char(c) if model.filter.chars().count() < FILTER_MAX => model.filter.push(c),
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Enter => model.mode = Mode::Normal,
        KeyCode::Esc => {
            model.filter.clear();
            model.mode = Mode::Normal;
        }
        _ => {}
    }
    choose_shown(model);
}

fn scroll_help(model: &mut Model, asked: Option<Action>) {
    match asked {
        Some(Action::Down | Action::PageDown) => model.scroll[model.view as usize] += 1,
        Some(Action::Up | Action::PageUp) => {
            let scroll = &mut model.scroll[model.view as usize];
            *scroll = scroll.saturating_sub(1);
        }
        _ => {
            model.mode = Mode::Normal;
            model.scroll[model.view as usize] = 0;
        }
    }
}

fn act(model: &mut Model, asked: Action) -> Vec<Effect> {
    match asked {
        Action::Quit if model.subject.measures => model.mode = Mode::ConfirmQuit,
        Action::Quit => return vec![Effect::Quit],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Survey => return vec![Effect::Survey],
        Action::Mouse => {
            model.has_mouse = !model.has_mouse;
            return vec![Effect::Mouse(model.has_mouse)];
        }
        Action::Show(view) => model.view = view,
        Action::NextView => model.view = after(&View::ALL, model.view, 1),
        Action::PreviousView => model.view = after(&View::ALL, model.view, View::ALL.len() - 1),
        Action::Help => {
            model.scroll[model.view as usize] = 0;
            model.mode = Mode::Help;
        }
        Action::Filter => model.mode = Mode::Filter,
        Action::Sort => model.sort = after(&Sort::ALL, model.sort, 1),
        Action::Figure => {
            model.figure = after(&Figure::ALL, model.figure, 1);
            choose_shown(model);
        }
        Action::Connection => {
            model.connection = after(&probe::sample::Connection::ALL, model.connection, 1);
        }
        Action::Range => model.range = model.range.next(),
        Action::Freeze => freeze(model),
        Action::Open if model.view != View::Plan => model.view = View::Cell,
        Action::Open => {}
        Action::Back => back(model),
        moving => go(model, moving),
    }
    Vec::new()
}

fn after<T: Copy + PartialEq>(all: &[T], now: T, steps: usize) -> T {
    let at = all.iter().position(|one| *one == now).unwrap_or(0);
    all.get((at + steps) % all.len()).copied().unwrap_or(now)
}

fn back(model: &mut Model) {
    if model.filter.is_empty() {
        model.view = View::Matrix;
    } else {
        model.filter.clear();
    }
}

fn freeze(model: &mut Model) {
    let frozen = Flow::Frozen { at_ms: model.now_ms, newer: None, decided: None };
    let was = match model.flow {
        Flow::Live => std::mem::replace(&mut model.flow, frozen),
        Flow::Frozen { .. } => std::mem::replace(&mut model.flow, Flow::Live),
    };
    let Flow::Frozen { newer, decided: newest, .. } = was else { return };
    if let Some(snapshot) = newer {
        measured(model, snapshot);
    }
    if let Some(decision) = newest {
        decided(model, decision);
    }
}

/// Takes a decision in; of the first one, a label that moves is chosen.
fn decided(model: &mut Model, decision: Arc<Decision>) {
    if model.decision.is_none() {
        let labels = &decision.advice.labels;
        model.label = labels.iter().position(LabelAdvice::moves).unwrap_or(0);
    }
    (model.decision, model.undecided) = (Some(decision), None);
}

/// Moves the cursor, or scrolls where there is none.
fn go(model: &mut Model, moving: Action) {
    let step = match moving {
        Action::Up | Action::Left => -1,
        Action::PageUp => -PAGE,
        Action::PageDown => PAGE,
        Action::First => isize::MIN,
        Action::Last => isize::MAX,
        _ => 1,
    };
    let is_sideways = matches!(moving, Action::Left | Action::Right);
    match model.view {
        View::Matrix | View::Cell if is_sideways => {
            model.target = moved(&model.columns(), model.target.as_deref(), step);
        }
        View::Matrix | View::Cell | View::Map => {
            model.vantage = moved(&model.rows(), model.vantage.as_deref(), step);
        }
        View::Advice if step.unsigned_abs() == PAGE.unsigned_abs() => {
            let scroll = &mut model.scroll[model.view as usize];
            *scroll = scroll.saturating_add_signed(step).min(ADVICE_LINES_MAX);
        }
        View::Advice => {
            let labels = model.decision.as_ref().map_or(0, |found| found.advice.labels.len());
            model.label = model.label.saturating_add_signed(step).min(labels.saturating_sub(1));
        }
        View::Plan | View::Log => {
            let most = view::lines_of(model).saturating_sub(1);
            let scroll = &mut model.scroll[model.view as usize];
            *scroll = scroll.saturating_add_signed(step).min(most);
        }
    }
}

fn moved(ids: &[&str], chosen: Option<&str>, step: isize) -> Option<String> {
    let at = ids.iter().position(|id| Some(*id) == chosen).unwrap_or(0);
    let to = at.saturating_add_signed(step).min(ids.len().saturating_sub(1));
    ids.get(to).map(|id| (*id).to_owned())
}

fn on_mouse(model: &mut Model, mouse: MouseEvent) -> Vec<Effect> {
    match mouse.kind {
        MouseEventKind::ScrollUp => go(model, Action::Up),
        MouseEventKind::ScrollDown => go(model, Action::Down),
        MouseEventKind::Down(MouseButton::Left) if model.mode == Mode::Normal => {
            if let Some(view) = view::tab_at(model, (mouse.column, mouse.row)) {
                model.view = view;
            } else if let Some((vantage, target)) = view::cell_at(model, (mouse.column, mouse.row))
            {
                (model.vantage, model.target) = (Some(vantage), Some(target));
            }
        }
        _ => {}
    }
    Vec::new()
}
