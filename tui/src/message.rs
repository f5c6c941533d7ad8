//! Everything that can reach the dashboard, and everything it can want done. Data only.

use std::sync::Arc;
use std::time::Duration;

use ratatui::crossterm::event::{KeyEvent, MouseEvent};

use crate::decision::Decision;
use crate::log::Entry;
use crate::snapshot::{Question, Snapshot};

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// A key was pressed.
    Key(KeyEvent),
    /// The mouse did something.
    Mouse(MouseEvent),
    /// The terminal has another size: columns and rows.
    Resized(u16, u16),
    /// Time passed: the wall clock in ms since 1970, and how long the dashboard has run.
    Tick {
        /// Wall time.
        wall_ms: i64,
        /// Monotonic time since the start.
        running: Duration,
    },
    /// A new picture of what was measured.
    Measured(Arc<Snapshot>),
    /// A new survey, with what was decided on it.
    Decided(Arc<Decision>),
    /// The zone could not be surveyed; what was known stands.
    Undecided {
        /// What failed.
        what: String,
        /// What to try.
        hint: Option<String>,
    },
    /// Things for the log.
    Happened(Vec<Entry>),
    /// The process was told to end.
    Quit,
}

impl Message {
    /// Whether this one makes `other` pointless.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Measured(_), Self::Measured(_))
                | (
                    Self::Decided(_) | Self::Undecided { .. },
                    Self::Decided(_) | Self::Undecided { .. }
                )
                | (Self::Resized(..), Self::Resized(..))
        )
    }
}

/// Something the dashboard wants done. None of it writes anything but the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// End.
    Quit,
    /// Ask the reader this.
    Ask(Question),
    /// Survey the zone again.
    Survey,
    /// Stop as ctrl-z does, and go on when continued.
    Suspend,
    /// Take the mouse, or leave it to the terminal.
    Mouse(bool),
}
