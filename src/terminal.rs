//! Where words go: results to stdout, progress and questions to stderr.
//!
//! The only module that prints. Progress is escaped here; results are escaped where they are made,
//! since only there is it known which control characters are meant (colours).

use std::io::{self, BufRead as _, IsTerminal as _, Write};
use std::sync::{Arc, Mutex, PoisonError};

use probe::clock::{Clock as _, SystemClock};
use tui::{Entry, Inbox, Message};

use serde::Serialize;

use crate::failure::{Exit, Failure};

/// How to talk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terminal {
    /// One JSON document on stdout and nothing else there.
    pub json: bool,
    /// No progress.
    pub quiet: bool,
    /// ANSI colours on stdout.
    pub color: bool,
}

impl Terminal {
    /// From the flags and the environment's `NO_COLOR`.
    #[must_use]
    pub fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        Self { json, quiet, color: !no_color && !json && io::stdout().is_terminal() }
    }

    /// A result: the text for people, or the document with `--json`.
    pub fn result(self, text: &str, document: &impl Serialize) -> Result<(), Failure> {
        if !self.json {
            return print(text);
        }
        let document = serde_json::to_string(document)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot write JSON: {error}")))?;
        print(&format!("{document}\n"))
    }

    /// One JSON document on a line of its own, whatever `--json` says: for commands that go on.
    pub fn line(document: &impl Serialize) -> Result<(), Failure> {
        Self { json: true, quiet: true, color: false }.result("", document)
    }

    /// Progress, for people who watch.
    pub fn say(self, text: &str) {
        if !self.quiet {
            // Nobody can be told that stderr is closed.
            let _ = writeln!(io::stderr(), "{}", crate::show::escape_lines(text));
        }
    }

    /// Asks before something is written, and shows what, whatever `--quiet` says. Without a terminal
    /// nobody can answer, which is a no.
    pub fn confirm(self, what: &str, question: &str) -> Result<(), Failure> {
        let refused = || Failure::new(Exit::Refused, "not confirmed, nothing was written");
        if !io::stdin().is_terminal() {
            return Err(refused().hint("add --yes to go on without being asked"));
        }
        let _ = write!(io::stderr(), "{}\n{question} [y/N] ", crate::show::escape_lines(what));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes") {
            Ok(())
        } else {
            Err(refused())
        }
    }
}

/// Prints a failure; the only thing on stderr that `--quiet` keeps.
pub fn print_failure(failure: &Failure) {
    let _ = write!(io::stderr(), "{}", failure.render());
}

/// Who hears the log in place of stderr, while a dashboard owns the terminal.
static DIVERTED: Mutex<Option<Arc<Inbox>>> = Mutex::new(None);

/// Sends the log to a dashboard until what this returns is dropped.
#[must_use]
pub fn divert_log(inbox: Arc<Inbox>) -> Diverted {
    *DIVERTED.lock().unwrap_or_else(PoisonError::into_inner) = Some(inbox);
    Diverted(())
}

/// As long as it lives, the log goes to a dashboard.
#[derive(Debug)]
pub struct Diverted(());

impl Drop for Diverted {
    fn drop(&mut self) {
        *DIVERTED.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Where log lines go: stderr, or the dashboard that owns the terminal.
#[derive(Debug, Clone, Copy)]
pub struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let diverted = DIVERTED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(inbox) = diverted else { return io::stderr().write(line) };
        let text = probe::once::escape(without_colors(&String::from_utf8_lossy(line)).trim_end());
        inbox.push(Message::Happened(vec![Entry::failure(SystemClock.wall_ms(), text)]));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The line without the codes that colour it.
fn without_colors(line: &str) -> String {
    let mut parts = line.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Prints text on stdout as it is, for logs that another program reads.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match written {
        // A reader that has seen enough, like `head`, is no failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => {
            other.map_err(|error| Failure::new(Exit::Failed, format!("cannot write: {error}")))
        }
    }
}
