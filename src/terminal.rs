//! Where words go: results to stdout, progress and questions to stderr.
//!
//! The only module that prints. Progress is escaped here; results are escaped where they are made,
//! since only there is it known which control characters are meant (colours).

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

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

fn print(text: &str) -> Result<(), Failure> {
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
