//! The only crate that links an AWS SDK: Route 53 behind the advisor's [`advisor::zone::Zone`].
//!
//! It translates and calls; it decides nothing. Where the API is, and who asks, comes from the AWS
//! environment as for any AWS tool, so that the same binary works on AWS and on a local one.

mod convert;
mod error;
mod zone;

pub use zone::{Access, Route53Zone};
