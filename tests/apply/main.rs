//! The writing path against the lab: crashes, lost replies, two appliers, drift, rollback, revert.

mod cli;
mod crash;
mod drift;
mod faults;
mod race;
mod revert;
mod service;
mod stage;
