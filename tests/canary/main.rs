//! Canaries by the real binary against the lab: promoted, taken back, killed, and with an API that refuses.

#![expect(clippy::unwrap_used, reason = "a test says where it failed by panicking")]

mod brake;
mod runs;
mod stage;
