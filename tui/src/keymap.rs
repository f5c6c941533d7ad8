//! Which key does what: one table, from which the help is made.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::View;

/// What a key can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Show a view.
    Show(View),
    /// The next view.
    NextView,
    /// The view before.
    PreviousView,
    /// One step in a direction.
    Up,
    /// One step down.
    Down,
    /// One step to the left.
    Left,
    /// One step to the right.
    Right,
    /// A page up.
    PageUp,
    /// A page down.
    PageDown,
    /// To the first.
    First,
    /// To the last.
    Last,
    /// Look closer.
    Open,
    /// Back out.
    Back,
    /// Type a filter.
    Filter,
    /// The next order.
    Sort,
    /// The next figure.
    Figure,
    /// The next connection.
    Connection,
    /// The next range of time.
    Range,
    /// Hold the picture, or let it go on.
    Freeze,
    /// Survey the zone now.
    Survey,
    /// Take the mouse or leave it.
    Mouse,
    /// What the keys do.
    Help,
    /// Stop as a job.
    Suspend,
    /// End.
    Quit,
}

/// A key with or without control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key {
    code: KeyCode,
    control: bool,
}

const fn key(code: KeyCode) -> Key {
    Key { code, control: false }
}

const fn letter(c: char) -> Key {
    key(KeyCode::Char(c))
}

const fn control(c: char) -> Key {
    Key { code: KeyCode::Char(c), control: true }
}

/// Keys that do the same.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Any of these.
    pub(crate) keys: &'static [Key],
    /// What they ask for.
    pub(crate) action: Action,
    /// What that is, for the help.
    pub(crate) help: &'static str,
    /// The word at the foot of the screen, for those that stand there.
    pub(crate) hint: Option<&'static str>,
}

const fn bind(keys: &'static [Key], action: Action, help: &'static str) -> Binding {
    Binding { keys, action, help, hint: None }
}

const fn hinted(
    keys: &'static [Key],
    action: Action,
    help: &'static str,
    hint: &'static str,
) -> Binding {
    Binding { keys, action, help, hint: Some(hint) }
}

/// All keys.
pub(crate) const BINDINGS: &[Binding] = &[
    bind(&[letter('1')], Action::Show(View::Matrix), "Matrix: vantage x endpoint"),
    bind(&[letter('2')], Action::Show(View::Cell), "Cell: phases, spread and history of one pair"),
    bind(&[letter('3')], Action::Show(View::Map), "Map: who is sent where"),
    bind(&[letter('4')], Action::Show(View::Advice), "Advice: what should point where, and why"),
    bind(&[letter('5')], Action::Show(View::Plan), "Plan: the record changes, and the guards"),
    bind(&[letter('6')], Action::Show(View::Log), "Log: failures first"),
    bind(&[key(KeyCode::Tab)], Action::NextView, "the next view"),
    bind(&[key(KeyCode::BackTab)], Action::PreviousView, "the view before"),
    bind(&[key(KeyCode::Up), letter('k')], Action::Up, "up"),
    bind(&[key(KeyCode::Down), letter('j')], Action::Down, "down"),
    bind(&[key(KeyCode::Left), letter('h')], Action::Left, "left"),
    bind(&[key(KeyCode::Right), letter('l')], Action::Right, "right"),
    bind(&[key(KeyCode::PageUp), control('b'), control('u')], Action::PageUp, "a page up"),
    bind(&[key(KeyCode::PageDown), control('f'), control('d')], Action::PageDown, "a page down"),
    bind(&[key(KeyCode::Home), letter('g')], Action::First, "to the first"),
    bind(&[key(KeyCode::End), letter('G')], Action::Last, "to the last"),
    bind(&[key(KeyCode::Enter)], Action::Open, "open the chosen cell"),
    bind(&[key(KeyCode::Esc)], Action::Back, "back; clears the filter first"),
    hinted(&[letter('?')], Action::Help, "these keys", "help"),
    hinted(
        &[letter('/')],
        Action::Filter,
        "filter: words of a vantage > words of an endpoint",
        "filter",
    ),
    hinted(&[letter('s')], Action::Sort, "the next order of rows", "sort"),
    hinted(&[letter('v')], Action::Figure, "the next figure: p50, p95, loss, regret", "figure"),
    hinted(
        &[letter('c')],
        Action::Connection,
        "the next connection: cold, resumed, warm",
        "connection",
    ),
    hinted(&[letter('t')], Action::Range, "the next range of time", "time"),
    hinted(&[letter('f')], Action::Freeze, "freeze the picture, or let it go on", "freeze"),
    bind(&[letter('r')], Action::Survey, "read zone and evidence again now"),
    bind(&[letter('m')], Action::Mouse, "take the mouse, or leave it to the terminal"),
    bind(&[control('z')], Action::Suspend, "suspend; `fg` comes back"),
    hinted(&[letter('q'), control('c')], Action::Quit, "quit", "quit"),
];

/// What this key asks for.
pub(crate) fn action(event: KeyEvent) -> Option<Action> {
    let pressed =
        Key { code: event.code, control: event.modifiers.contains(KeyModifiers::CONTROL) };
    let bound = BINDINGS.iter().find(|binding| binding.keys.contains(&pressed))?;
    Some(bound.action)
}

/// The keys of a binding in words.
pub(crate) fn names(binding: &Binding) -> String {
    let name = |key: &Key| {
        let name = match key.code {
            KeyCode::Char(c) => c.to_string(),
            KeyCode::Tab => "Tab".to_owned(),
            KeyCode::BackTab => "Shift-Tab".to_owned(),
            KeyCode::Up => "↑".to_owned(),
            KeyCode::Down => "↓".to_owned(),
            KeyCode::Left => "←".to_owned(),
            KeyCode::Right => "→".to_owned(),
            KeyCode::PageUp => "PgUp".to_owned(),
            KeyCode::PageDown => "PgDn".to_owned(),
            KeyCode::Home => "Home".to_owned(),
            KeyCode::End => "End".to_owned(),
            KeyCode::Enter => "Enter".to_owned(),
            KeyCode::Esc => "Esc".to_owned(),
            other => format!("{other:?}"),
        };
        if key.control { format!("ctrl-{name}") } else { name }
    };
    binding.keys.iter().map(name).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_is_bound_twice_and_each_has_a_name() {
        let mut seen: Vec<Key> = Vec::new();
        for binding in BINDINGS {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty());
            for key in binding.keys {
                assert!(!seen.contains(key), "{key:?} is bound twice");
                seen.push(*key);
            }
            assert!(!names(binding).contains('('), "{binding:?} has a key without a name");
        }
        for view in View::ALL {
            assert!(BINDINGS.iter().any(|binding| binding.action == Action::Show(view)));
        }
    }
}
