//! Where pictures come from: a thread that reads the store and folds the agent's events.
//!
//! It draws nothing. The newest picture wins; one that nobody took is replaced.

mod detail;
mod history;
mod live;
mod reader;
mod store;

pub use reader::{Reader, ReaderOptions};
