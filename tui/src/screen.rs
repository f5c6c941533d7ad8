//! The real terminal: taken, given back whatever happens, and listened to.

use std::io::{self, Stdout, stdout};
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{Signal, raise};
use probe::clock::Clock;
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, DisableMouseCapture, EnableMouseCapture, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use crate::inbox::{Inbox, Slot};
use crate::message::{Effect, Message};
use crate::model::Model;
use crate::run::{Hands, run};
use crate::snapshot::Question;
use crate::source::{Reader, ReaderOptions};

/// What a dashboard on a terminal is made of.
pub struct Session {
    /// What is shown first.
    pub model: Model,
    /// What the reader works with.
    pub reader: ReaderOptions,
    /// Where everybody leaves messages.
    pub inbox: Arc<Inbox>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// Called when the zone should be surveyed now.
    pub survey: Box<dyn FnMut() + Send>,
}

/// Shows the dashboard on this terminal until it is quit, and gives the terminal back.
pub fn show(session: Session) -> io::Result<()> {
    let Session { mut model, reader, inbox, clock, survey } = session;
    let questions = Arc::new(Slot::default());
    let reader = Reader::new(reader, model.question());
    let reading = {
        let (questions, inbox) = (Arc::clone(&questions), Arc::clone(&inbox));
        thread::Builder::new()
            .name("reader".into())
            .spawn(move || reader.run(&questions, &inbox))?
    };
    give_back_on_panic(Arc::clone(&inbox));
    let taken = Taken::take()?;
    listen(Arc::clone(&inbox))?;
    let mut terminal = Terminal::new(CrosstermBackend::new(stdout()))?;
    let mut hands = TerminalHands { questions: Arc::clone(&questions), survey, has_mouse: false };
    let ended = run(&mut terminal, &mut model, &inbox, clock.as_ref(), &mut hands);
    drop(taken);
    questions.close();
    // A reader that panicked has said so; the store was only read.
    let _ = reading.join();
    ended
}

/// The terminal, as long as it is ours.
struct Taken;

impl Taken {
    fn take() -> io::Result<Self> {
        take(&mut stdout())?;
        Ok(Self)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        give_back();
    }
}

fn take(out: &mut Stdout) -> io::Result<()> {
    enable_raw_mode()?;
    execute!(out, EnterAlternateScreen, Hide)
}

/// There is nobody left to tell when even this fails.
fn give_back() {
    let _ = execute!(stdout(), DisableMouseCapture, LeaveAlternateScreen, Show);
    let _ = disable_raw_mode();
}

/// A panic of any thread gives the terminal back before it speaks, and ends the dashboard.
fn give_back_on_panic(inbox: Arc<Inbox>) {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        give_back();
        before(info);
        inbox.push(Message::Quit);
    }));
}

/// Listens to keys, mouse and size in a thread that ends with the process. It reads the next key when
/// the last one was carried out, so that what is typed after the one that quits is the shell's.
fn listen(inbox: Arc<Inbox>) -> io::Result<()> {
    let listen = move || {
        while let Ok(event) = event::read() {
            match event {
                Event::Key(key) => inbox.hand_over(Message::Key(key)),
                Event::Mouse(mouse) => inbox.push(Message::Mouse(mouse)),
                Event::Resize(columns, rows) => inbox.push(Message::Resized(columns, rows)),
                Event::FocusGained | Event::FocusLost | Event::Paste(_) => {}
            }
        }
        // A terminal that is gone cannot be drawn on.
        inbox.push(Message::Quit);
    };
    thread::Builder::new().name("keys".into()).spawn(listen).map(|_| ())
}

struct TerminalHands {
    questions: Arc<Slot<Question>>,
    survey: Box<dyn FnMut() + Send>,
    has_mouse: bool,
}

impl TerminalHands {
    fn mouse(&self) -> io::Result<()> {
        if self.has_mouse {
            execute!(stdout(), EnableMouseCapture)
        } else {
            execute!(stdout(), DisableMouseCapture)
        }
    }
}

impl Hands for TerminalHands {
    fn carry_out(&mut self, effect: Effect) -> io::Result<()> {
        match effect {
            Effect::Ask(question) => self.questions.put(question),
            Effect::Survey => (self.survey)(),
            Effect::Mouse(wanted) => {
                self.has_mouse = wanted;
                self.mouse()?;
            }
            Effect::Suspend => {
                give_back();
                raise(Signal::SIGTSTP)?;
                take(&mut stdout())?;
                self.mouse()?;
            }
            Effect::Quit => {}
        }
        Ok(())
    }
}
