//! A small AWS on loopback: Route 53, DNS, Regional endpoints and the ocean between them.

pub mod atlas;
pub mod prefix;
pub mod random;
pub mod scenario;
pub mod world;
