//! `probe`, the small agent for the fleet.
fn main() {}
