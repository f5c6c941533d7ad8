//! The errors of the Route 53 API: code, HTTP status and message. Texts live where rules live.

/// The code of an API error, as AWS spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A change batch that breaks a rule.
    InvalidChangeBatch,
    /// A request whose shape or field is wrong.
    InvalidInput,
    /// A body that is not XML.
    MalformedInput,
    /// A zone name that is not a domain name.
    InvalidDomainName,
    /// A page token that this server did not give.
    InvalidPaginationToken,
    /// No zone of this id.
    NoSuchHostedZone,
    /// No change of this id.
    NoSuchChange,
    /// No health check of this id.
    NoSuchHealthCheck,
    /// A caller reference already used for another zone.
    HostedZoneAlreadyExists,
    /// A zone that still holds record sets.
    HostedZoneNotEmpty,
    /// A caller reference already used for another health check.
    HealthCheckAlreadyExists,
    /// An update that names a version other than the current one.
    HealthCheckVersionMismatch,
    /// Over the quota of zones.
    TooManyHostedZones,
    /// Over the quota of health checks.
    TooManyHealthChecks,
    /// The zone still works on an earlier request.
    PriorRequestNotComplete,
    /// Every name and type asked for is protected already.
    ProtectionAlreadyExists,
    /// Some entries of a protection batch cannot be taken.
    InvalidResourceRecordSetProtectionBatch,
    /// Over a quota.
    LimitsExceeded,
    /// Over the request rate.
    Throttling,
    /// No signature.
    MissingAuthenticationToken,
    /// A permission lacks.
    AccessDenied,
    /// Credentials that are over.
    ExpiredToken,
    /// A key that nobody has.
    InvalidClientTokenId,
    /// A signature that is wrong, or of another time.
    SignatureDoesNotMatch,
    /// AWS has it, the lab does not.
    NotImplemented,
    /// No such path.
    UnknownOperation,
    /// The service failed.
    InternalFailure,
    /// The service is not there.
    ServiceUnavailable,
}

impl Code {
    /// The code as it stands on the wire, and the HTTP status that goes with it.
    #[must_use]
    pub fn wire(self) -> (&'static str, u16) {
        match self {
            Self::InvalidChangeBatch => ("InvalidChangeBatch", 400),
            Self::InvalidInput => ("InvalidInput", 400),
            Self::MalformedInput => ("MalformedInput", 400),
            Self::InvalidDomainName => ("InvalidDomainName", 400),
            Self::InvalidPaginationToken => ("InvalidPaginationToken", 400),
            Self::NoSuchHostedZone => ("NoSuchHostedZone", 404),
            Self::NoSuchChange => ("NoSuchChange", 404),
            Self::NoSuchHealthCheck => ("NoSuchHealthCheck", 404),
            Self::HostedZoneAlreadyExists => ("HostedZoneAlreadyExists", 409),
            Self::HostedZoneNotEmpty => ("HostedZoneNotEmpty", 400),
            Self::HealthCheckAlreadyExists => ("HealthCheckAlreadyExists", 409),
            Self::HealthCheckVersionMismatch => ("HealthCheckVersionMismatch", 409),
            Self::TooManyHostedZones => ("TooManyHostedZones", 400),
            Self::TooManyHealthChecks => ("TooManyHealthChecks", 400),
            Self::PriorRequestNotComplete => ("PriorRequestNotComplete", 400),
            Self::ProtectionAlreadyExists => ("ProtectionAlreadyExists", 409),
            Self::InvalidResourceRecordSetProtectionBatch => {
                ("InvalidResourceRecordSetProtectionBatch", 400)
            }
            Self::LimitsExceeded => ("LimitsExceeded", 400),
            Self::Throttling => ("Throttling", 400),
            Self::MissingAuthenticationToken => ("MissingAuthenticationToken", 403),
            Self::AccessDenied => ("AccessDenied", 403),
            Self::ExpiredToken => ("ExpiredToken", 403),
            Self::InvalidClientTokenId => ("InvalidClientTokenId", 403),
            Self::SignatureDoesNotMatch => ("SignatureDoesNotMatch", 403),
            Self::NotImplemented => ("NotImplemented", 501),
            Self::UnknownOperation => ("UnknownOperationException", 404),
            Self::InternalFailure => ("InternalFailure", 500),
            Self::ServiceUnavailable => ("ServiceUnavailable", 503),
        }
    }
}

/// One refused entry of a protection batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProtectionError {
    /// The name of the entry, as given.
    pub name: String,
    /// The type of the entry, as given.
    pub kind: String,
    /// `InvalidInput`, `ProtectionAlreadyExists` or `ProtectionNotFound`.
    pub code: &'static str,
    /// Why.
    pub message: String,
}

/// An API error. It is an answer, not a failure of the lab.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", code.wire().0, messages.join(", "))]
pub struct ApiError {
    /// The code.
    pub code: Code,
    /// One message; several for a change batch, one for each failed change.
    pub messages: Vec<String>,
    /// The refused entries of a protection batch.
    pub protections: Vec<ProtectionError>,
}

impl ApiError {
    /// An error with one message.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, messages: vec![message.into()], protections: Vec::new() }
    }

    /// `InvalidInput`.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(Code::InvalidInput, message)
    }

    /// `InvalidChangeBatch` with one message for each failure.
    #[must_use]
    pub fn batch(messages: Vec<String>) -> Self {
        Self { code: Code::InvalidChangeBatch, messages, protections: Vec::new() }
    }

    /// The zone is unknown.
    #[must_use]
    pub fn no_zone(id: &str) -> Self {
        Self::new(Code::NoSuchHostedZone, format!("No hosted zone found with ID: {id}"))
    }

    /// The health check is unknown.
    #[must_use]
    pub fn no_check(id: &str) -> Self {
        Self::new(Code::NoSuchHealthCheck, format!("A health check with id {id} does not exist."))
    }

    /// The message of the wire: a change batch lists its messages in brackets.
    #[must_use]
    pub fn message(&self) -> String {
        match self.code {
            Code::InvalidChangeBatch => format!("[{}]", self.messages.join(", ")),
            _ => self.messages.join(", "),
        }
    }
}
