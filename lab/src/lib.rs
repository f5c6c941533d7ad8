//! A small AWS on loopback: Route 53, DNS, Regional endpoints and the ocean between them.

pub mod route53;
