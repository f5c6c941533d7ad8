//! The writing path against the lab: crashes, lost replies, two appliers, drift, rollback, revert.

#![expect(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod canary;
mod cli;
mod crash;
mod drift;
mod eyeball;
mod fallback;
mod faults;
mod prior;
mod race;
mod refusals;
mod revert;
mod service;
mod stage;
mod topology;
mod watch;
mod weights;
mod zones;
