//! The only crate that links an AWS SDK: Route 53 behind the advisor's [`advisor::zone::Zone`], and API
//! Gateway's custom domains behind its [`advisor::domains::Domains`].
//!
//! It translates and calls; it decides nothing. Where the API is, and who asks, comes from the AWS
//! environment as for any AWS tool, so that the same binary works on AWS and on a local one.

mod apigateway;
mod convert;
mod error;
mod protections;
mod session;
mod signed;
mod zone;

pub use apigateway::ApiGateway;
pub use session::Access;
pub use zone::Route53Zone;
