//! CloudWatch as the fleet's store: a courier for the probe's spool, and a source of matrices.
//!
//! Its address and who asks come from the AWS environment; its Region is the user's choice.

mod courier;
mod error;
mod query;
mod source;

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::Credentials;

use crate::Access;

pub use courier::CloudWatchCourier;
pub use source::{CloudWatchSource, GridError};

/// How often a call may be made, and how long one attempt may take.
#[derive(Debug, Clone, Copy)]
struct Patience {
    attempts: u32,
    attempt: Duration,
}

/// A client of CloudWatch in one Region.
async fn connect(access: &Access, region: &str, patience: Patience) -> Client {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(patience.attempt)
        .operation_timeout(patience.attempt * patience.attempts)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(patience.attempts))
        .timeout_config(timeouts);
    if let Some(url) = &access.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some((key, secret)) = &access.credentials {
        let fixed = Credentials::new(key, secret, None, None, "nearside-access");
        loader = loader.credentials_provider(fixed);
    }
    Client::new(&loader.load().await)
}
