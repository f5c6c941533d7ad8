//! Measures: exchange, schedule, windows, and the embedded store.
//!
//! It decides nothing about routing and links no AWS SDK. Trouble on the network is data here,
//! never an error: an error is broken configuration, or a store that cannot be used.

pub mod agent;
pub mod clock;
pub mod config;
pub mod dns;
pub mod exchange;
pub mod histogram;
pub mod hlog;
pub mod metrics;
pub mod once;
pub mod place;
pub mod publish;
pub mod sample;
pub mod schedule;
pub mod spool;
pub mod store;
mod timer;
pub mod told;
pub mod url;
pub mod window;
