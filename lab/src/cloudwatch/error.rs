//! Errors as CloudWatch tells them: the code of its older protocol, which clients go by, the shape's
//! name, and the HTTP status. Names and codes are those of botocore's service model.

/// Which error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    InvalidParameterValue,
    InvalidParameterCombination,
    MissingParameter,
    ValidationError,
    InvalidNextToken,
    LimitExceeded,
    ResourceNotFound,
    Throttling,
    InternalServiceError,
    ServiceUnavailable,
    /// A body that cannot be read.
    Serialization,
    /// An operation that is not there.
    UnknownOperation,
    MissingAuthenticationToken,
    SignatureDoesNotMatch,
    AccessDenied,
    ExpiredToken,
    InvalidClientTokenId,
    /// A body over the limit. The code is unverified.
    RequestEntityTooLarge,
    /// What the lab does not have, though AWS has it.
    NotImplemented,
}

impl Kind {
    /// The code of the query protocol, the shape's name, and the status.
    pub(super) fn wire(self) -> (&'static str, &'static str, u16) {
        match self {
            Self::InvalidParameterValue => {
                ("InvalidParameterValue", "InvalidParameterValueException", 400)
            }
            Self::InvalidParameterCombination => {
                ("InvalidParameterCombination", "InvalidParameterCombinationException", 400)
            }
            Self::MissingParameter => {
                ("MissingParameter", "MissingRequiredParameterException", 400)
            }
            Self::ValidationError => ("ValidationError", "ValidationError", 400),
            Self::InvalidNextToken => ("InvalidNextToken", "InvalidNextToken", 400),
            Self::LimitExceeded => ("LimitExceeded", "LimitExceededFault", 400),
            Self::ResourceNotFound => ("ResourceNotFound", "ResourceNotFound", 404),
            Self::Throttling => ("Throttling", "ThrottlingException", 400),
            Self::InternalServiceError => ("InternalServiceError", "InternalServiceFault", 500),
            Self::ServiceUnavailable => ("ServiceUnavailable", "ServiceUnavailableException", 503),
            Self::Serialization => ("MalformedInput", "SerializationException", 400),
            Self::UnknownOperation => ("InvalidAction", "UnknownOperationException", 404),
            Self::MissingAuthenticationToken => {
                ("MissingAuthenticationToken", "MissingAuthenticationTokenException", 403)
            }
            Self::SignatureDoesNotMatch => {
                ("SignatureDoesNotMatch", "InvalidSignatureException", 403)
            }
            Self::AccessDenied => ("AccessDenied", "AccessDeniedException", 403),
            Self::ExpiredToken => ("ExpiredToken", "ExpiredTokenException", 403),
            Self::InvalidClientTokenId => {
                ("InvalidClientTokenId", "UnrecognizedClientException", 403)
            }
            Self::RequestEntityTooLarge => {
                ("RequestEntityTooLarge", "RequestEntityTooLargeException", 413)
            }
            Self::NotImplemented => ("NotImplemented", "NotImplementedException", 501),
        }
    }
}

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) kind: Kind,
    pub(super) message: String,
}

impl ApiError {
    pub(super) fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }
}

/// A refusal by the rules of a parameter.
pub(super) fn value(message: impl Into<String>) -> ApiError {
    ApiError::new(Kind::InvalidParameterValue, message)
}

/// A refusal by the rules of a request as a whole.
pub(super) fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new(Kind::ValidationError, message)
}
