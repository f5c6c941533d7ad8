//! What the next calls of an operation of Route 53 may meet on request.

use std::time::Duration;

use super::error::{ApiError, Code};
use super::operation::Operation;
use super::state::prior_request;
use crate::faults::FaultQueue;

/// What a call meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `Throttling`, HTTP 400.
    Throttling,
    /// `PriorRequestNotComplete`, HTTP 400.
    PriorRequestNotComplete,
    /// HTTP 500.
    InternalFailure,
    /// HTTP 503.
    ServiceUnavailable,
    /// The caller lacks the permission, HTTP 403.
    AccessDenied,
    /// The caller's temporary credentials are over, HTTP 403.
    ExpiredToken,
    /// Nobody has such a key, HTTP 403.
    InvalidClientTokenId,
    /// The connection ends and nothing is done.
    DropBefore,
    /// The request is done and the connection ends without a reply.
    DropAfter,
    /// The request is done after this time.
    Delay(Duration),
}

impl Fault {
    /// The error that stands for the fault, if it is one.
    #[must_use]
    pub fn error(self, operation: Operation) -> Option<ApiError> {
        match self {
            Self::Throttling => Some(ApiError::new(Code::Throttling, "Rate exceeded")),
            Self::PriorRequestNotComplete => Some(prior_request()),
            Self::InternalFailure => {
                Some(ApiError::new(Code::InternalFailure, "We encountered an internal error."))
            }
            Self::ServiceUnavailable => {
                Some(ApiError::new(Code::ServiceUnavailable, "The service is unavailable."))
            }
            Self::AccessDenied => Some(ApiError::new(Code::AccessDenied, denied(operation))),
            Self::ExpiredToken => Some(ApiError::new(
                Code::ExpiredToken,
                "The security token included in the request is expired",
            )),
            Self::InvalidClientTokenId => Some(ApiError::new(
                Code::InvalidClientTokenId,
                "The security token included in the request is invalid.",
            )),
            Self::DropBefore | Self::DropAfter | Self::Delay(_) => None,
        }
    }
}

/// IAM's sentence.
fn denied(operation: Operation) -> String {
    format!(
        "User: arn:aws:iam::123456789012:user/lab is not authorized to perform: route53:{operation} because \
         no identity-based policy allows the route53:{operation} action"
    )
}

/// A handle to the faults of a server. Clones share them.
pub type Faults = FaultQueue<Operation, Fault>;
