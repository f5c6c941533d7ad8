//! What an endpoint takes in requests a second: its configured capacity, or the quota that AWS gives
//! every account until it is raised.
//!
//! One table, with its sources; `endpoint.capacity` says otherwise. Pure.

use probe::config::{Endpoint, EndpointKind};

/// API Gateway's throttle for one account in one Region, requests a second.
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>
const GATEWAY_PER_S: f64 = 10_000.0;
/// The same in the Regions that begin lower.
const GATEWAY_LOWER_PER_S: f64 = 2_500.0;
/// The Regions that begin lower, as the same page lists them.
const GATEWAY_LOWER: [&str; 13] = [
    "af-south-1",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "mx-central-1",
];
/// `CloudFront`'s requests a second for one distribution.
/// <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/cloudfront-limits.html>
const CLOUDFRONT_PER_S: f64 = 250_000.0;
/// Lambda's concurrent executions for one account in one Region.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const LAMBDA_CONCURRENT: f64 = 1_000.0;

/// Who says what an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaKind {
    /// `endpoint.capacity` in nearside.toml.
    Capacity,
    /// API Gateway's throttle of an account in a Region, as it is by default.
    GatewayThrottle,
    /// `CloudFront`'s requests for a distribution, as they are by default.
    CloudFrontRequests,
}

impl QuotaKind {
    /// The code in JSON.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Capacity => "capacity",
            Self::GatewayThrottle => "api-gateway-throttle",
            Self::CloudFrontRequests => "cloudfront-requests",
        }
    }

    /// The words for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Capacity => "endpoint.capacity",
            Self::GatewayThrottle => "API Gateway's default throttle",
            Self::CloudFrontRequests => "CloudFront's default for a distribution",
        }
    }
}

/// What an endpoint takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quota {
    /// Requests a second.
    pub per_s: f64,
    /// Who says so.
    pub kind: QuotaKind,
}

/// What an endpoint takes.
#[must_use]
pub fn quota(endpoint: &Endpoint) -> Quota {
    if let Some(per_s) = endpoint.capacity {
        return Quota { per_s, kind: QuotaKind::Capacity };
    }
    match endpoint.kind {
        EndpointKind::CloudFront => {
            Quota { per_s: CLOUDFRONT_PER_S, kind: QuotaKind::CloudFrontRequests }
        }
        EndpointKind::Regional | EndpointKind::EdgeOptimized => {
            let is_lower = GATEWAY_LOWER.contains(&endpoint.region.as_str());
            let per_s = if is_lower { GATEWAY_LOWER_PER_S } else { GATEWAY_PER_S };
            Quota { per_s, kind: QuotaKind::GatewayThrottle }
        }
    }
}

/// The longest mean duration of a request, in ms, at which Lambda's default concurrency suffices.
#[must_use]
pub fn lambda_duration_ms(per_s: f64) -> f64 {
    LAMBDA_CONCURRENT / per_s * 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lower_regions_are_regions() {
        assert!(GATEWAY_LOWER.iter().all(|region| probe::place::region(region).is_some()));
        assert!(GATEWAY_LOWER.is_sorted());
    }
}
