//! The live terminal dashboard: what is measured, where people are sent, what would change that.
//!
//! It looks at pictures that others make and changes nothing: no AWS SDK, no HTTP client, no way to
//! write DNS. Every source is a [`Message`]; [`update`] folds it into the [`Model`] and says what must
//! be done; [`view`] draws.

mod decision;
mod figures;
mod frame;
mod inbox;
mod keymap;
mod log;
mod message;
mod model;
mod palette;
mod range;
mod run;
mod screen;
mod snapshot;
mod source;
mod update;
mod view;
mod words;

pub use decision::{Choice, Decision, Refused};
pub use figures::{Figures, Merger, Span};
pub use frame::{ansi, draw, press, text};
pub use inbox::{Closed, Inbox, Slot};
pub use log::{Entry, Log};
pub use message::{Effect, Message};
pub use model::{Figure, Flow, Mode, Model, Price, Sort, Subject, Undecided, View};
pub use palette::{Depth, Palette};
pub use range::Range;
pub use run::{Hands, run};
pub use screen::{Session, show};
pub use snapshot::{
    Cell, ConnectionDetail, Detail, PathDetail, Question, Snapshot, Spread, StoreState,
};
pub use source::{Order, Part, Place, Reader, ReaderOptions, Remote, Supply, Trouble, Wanted};
pub use update::update;
pub use view::view;
