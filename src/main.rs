//! `advisor`, the one front door.
fn main() {}
