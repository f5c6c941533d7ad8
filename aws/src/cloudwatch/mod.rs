//! CloudWatch as the fleet's store: a courier for the probe's spool, and a source of matrices, of what
//! screens show and of what reports tell; and what a canary needs of it.
//!
//! Its address and who asks come from the AWS environment; its Region is the user's choice.

mod canary;
mod counted;
mod courier;
mod error;
mod query;
mod source;
mod spans;

use std::time::Duration;

use aws_config::Region;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_cloudwatch::Client;

use crate::session::{Access, session};

pub use canary::{CloudWatchBrake, CloudWatchFigures};
pub use counted::Wanted;
pub use courier::CloudWatchCourier;
pub use source::{CloudWatchSource, GridError, Spent};
pub use spans::{CellSpans, SeriesSpans};

/// How often a call may be made, and how long one attempt may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    attempts: u32,
    attempt: Duration,
}

/// A client of CloudWatch in one Region.
async fn connect(access: &Access, region: &str, patience: Patience) -> Client {
    connect_as(access, None, region, patience).await
}

/// The same with the credentials of a role.
async fn connect_as(
    access: &Access,
    role: Option<&str>,
    region: &str,
    patience: Patience,
) -> Client {
    let config = session(access, role).await;
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.attempt * patience.attempts)
        .build();
    let mut config = config
        .into_builder()
        .region(Region::new(region.to_owned()))
        .retry_config(RetryConfig::standard().with_max_attempts(patience.attempts))
        .timeout_config(timeouts);
    if let Some(url) = &access.cloudwatch_url {
        config = config.endpoint_url(url);
    }
    Client::new(&config.build())
}
