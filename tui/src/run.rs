//! The loop: messages in, effects out, a picture each time. The same for a terminal and for tests.

use std::io;
use std::time::Duration;

use probe::clock::Clock;
use ratatui::Terminal;
use ratatui::backend::Backend;
use ratatui::layout::{Position, Rect};

use crate::inbox::Inbox;
use crate::message::{Effect, Message};
use crate::model::Model;
use crate::update::update;
use crate::view::view;

/// Ages on the screen grow by the second.
const TICK: Duration = Duration::from_secs(1);

/// Who carries out what the dashboard wants done.
pub trait Hands {
    /// Does it. After a suspension the screen is drawn anew.
    fn carry_out(&mut self, effect: Effect) -> io::Result<()>;
}

/// Runs until it is told to quit.
pub fn run<B: Backend>(
    terminal: &mut Terminal<B>,
    model: &mut Model,
    inbox: &Inbox,
    clock: &dyn Clock,
    hands: &mut impl Hands,
) -> io::Result<()> {
    let failed = |error: B::Error| io::Error::other(error.to_string());
    let started = clock.now();
    loop {
        let size = terminal.size().map_err(failed)?;
        let mut effects = Vec::new();
        if (size.width, size.height) != model.size {
            effects.extend(update(model, Message::Resized(size.width, size.height)));
        }
        let running = clock.now().saturating_duration_since(started);
        effects.extend(update(model, Message::Tick { wall_ms: clock.wall_ms(), running }));
        terminal.draw(|frame| view(model, frame)).map_err(failed)?;
        let (messages, dropped) = inbox.take(TICK);
        model.dropped += dropped;
        for message in messages {
            effects.extend(update(model, message));
        }
        for effect in effects {
            match effect {
                Effect::Quit => return Ok(()),
                Effect::Suspend => {
                    hands.carry_out(effect)?;
                    // `clear` would ask the terminal where the cursor is, and the thread that
                    // reads keys would get the answer.
                    let size = terminal.size().map_err(failed)?;
                    terminal.resize(Rect::from((Position::ORIGIN, size))).map_err(failed)?;
                }
                _ => hands.carry_out(effect)?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Subject, View};
    use crate::palette::{Depth, Palette};
    use probe::clock::ManualClock;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

    #[derive(Default)]
    struct Notes(Vec<Effect>);

    impl Hands for Notes {
        fn carry_out(&mut self, effect: Effect) -> io::Result<()> {
            self.0.push(effect);
            Ok(())
        }
    }

    #[test]
    fn the_loop_that_runs_on_terminals_runs_on_a_test_screen() {
        let subject = Subject {
            service: "api.example.com".into(),
            endpoints: Vec::new(),
            store: "nearside.sqlite".into(),
            measures: false,
            price: None,
        };
        let mut model = Model::new(subject, Palette::new(Depth::None), (1, 1), 0);
        let mut terminal = Terminal::new(TestBackend::new(80, 24)).unwrap();
        let inbox = Inbox::default();
        let key = |code, modifiers| Message::Key(KeyEvent::new(code, modifiers));
        inbox.push(key(KeyCode::Char('6'), KeyModifiers::NONE));
        inbox.push(key(KeyCode::Char('z'), KeyModifiers::CONTROL));
        inbox.push(key(KeyCode::Char('q'), KeyModifiers::NONE));
        let mut notes = Notes::default();
        run(&mut terminal, &mut model, &inbox, &ManualClock::new(0), &mut notes).unwrap();
        assert_eq!((model.view, model.size), (View::Log, (80, 24)));
        assert!(notes.0.contains(&Effect::Suspend), "{:?}", notes.0);
        assert!(matches!(notes.0.first(), Some(Effect::Ask(_))), "the reader is asked first");
    }
}
