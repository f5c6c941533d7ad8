//! The only crate that links an AWS SDK: Route 53 behind the advisor's [`advisor::zone::Zone`], API
//! Gateway's custom domains behind its [`advisor::domains::Domains`], S3 behind the reports'
//! [`reports::deliver::Deliver`], and CloudWatch as the fleet's store and behind the canary's traits.
//!
//! It translates and calls; it decides nothing. Where the API is, and who asks, comes from the AWS
//! environment as for any AWS tool, so that the same binary works on AWS and on a local one.

mod apigateway;
mod cloudwatch;
mod convert;
mod error;
mod protections;
mod s3;
mod session;
mod signed;
mod zone;

pub use apigateway::ApiGateway;
pub use cloudwatch::{
    CellSpans, CloudWatchBrake, CloudWatchCourier, CloudWatchFigures, CloudWatchSource, GridError,
    SeriesSpans, Spent, Wanted,
};
pub use s3::{S3, S3Error};
pub use session::Access;
pub use zone::{Route53Zone, caller_account, server_time_ms};
