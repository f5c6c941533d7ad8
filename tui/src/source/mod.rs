//! Where pictures come from: a thread that reads the store and folds the agent's events.
//!
//! It draws nothing. The newest picture wins; one that nobody took is replaced.

mod detail;
mod history;
mod live;
mod reader;
mod remote;
mod store;

pub use reader::{Place, Reader, ReaderOptions};
pub use remote::{Order, Part, Remote, Supply, Trouble, Wanted};
