//! From the SDK's errors to the advisor's: by what the caller must do about them.

use advisor::denial::Denial;
use advisor::zone::ZoneError;
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_route53::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_route53::operation::change_resource_record_sets::ChangeResourceRecordSetsError;

/// Codes with which AWS asks to come again later. Nothing of the call was taken.
const BUSY: [&str; 5] = [
    "Throttling",
    "ThrottlingException",
    "RequestLimitExceeded",
    "PriorRequestNotComplete",
    "ServiceUnavailable",
];

/// Codes about who is asking.
pub(crate) const DENIED: [&str; 13] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "MissingAuthenticationTokenException",
    "OptInRequired",
    "RequestExpired",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

/// Whether losing the reply leaves it open what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// The call only reads.
    Reads,
    /// The call may have changed something.
    Writes,
}

/// An error and its causes, each once, as people can read them.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.ends_with(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

/// That there are no credentials, where an error or one of its causes is about that: nothing was sent.
pub(crate) fn no_credentials(error: &(dyn std::error::Error + 'static)) -> Option<Denial> {
    let mut next = Some(error);
    while let Some(cause) = next {
        if let Some(cause) = cause.downcast_ref::<CredentialsError>() {
            return Some(Denial::NoCredentials(tried(&causes(cause))));
        }
        next = cause.source();
    }
    None
}

/// Where credentials were looked for, on one line: the SDK has a line for each place, and says the same
/// of most.
pub(crate) fn tried(text: &str) -> String {
    const EVERYWHERE: &str = "the credential provider was not enabled";
    let short = text.replace(&format!("{EVERYWHERE}: "), "").replace(EVERYWHERE, "nothing there");
    let lines: Vec<&str> = short.lines().map(str::trim).collect();
    lines.join("; ").replace(":; ", ": ")
}

/// Translates any operation's error.
pub(crate) fn translate<E, R>(error: &SdkError<E, R>, effect: Effect, zone: &str) -> ZoneError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug + 'static,
{
    let text = || causes(error);
    if let Some(denial) = no_credentials(error) {
        return ZoneError::Denied(denial);
    }
    match error {
        SdkError::ServiceError(context) => service_error(context.err(), effect, zone, text),
        SdkError::ConstructionFailure(_) => ZoneError::Failed(text()),
        _ if effect == Effect::Writes => ZoneError::Unsettled(text()),
        _ => ZoneError::Failed(text()),
    }
}

fn service_error(
    error: &impl ProvideErrorMetadata,
    effect: Effect,
    zone: &str,
    text: impl Fn() -> String,
) -> ZoneError {
    let code = error.code().unwrap_or_default();
    service_code(code, error.message().unwrap_or_default(), effect, zone, text)
}

/// Translates Route 53's own error code and message; `text` has everything that is known.
pub(crate) fn service_code(
    code: &str,
    message: &str,
    effect: Effect,
    zone: &str,
    text: impl Fn() -> String,
) -> ZoneError {
    match code {
        "NoSuchHostedZone" => ZoneError::Missing(zone.to_owned()),
        "InvalidChangeBatch" | "InvalidInput" | "NoSuchChange" | "NoSuchHealthCheck"
        | "MalformedInput" => {
            ZoneError::Refused { code: code.to_owned(), messages: vec![message.to_owned()] }
        }
        _ if BUSY.contains(&code) => ZoneError::Busy(format!("{code}: {message}")),
        _ if DENIED.contains(&code) => ZoneError::Denied(Denial::of(code, message)),
        "" | "InternalError" | "InternalFailure" | "InternalServiceError"
            if effect == Effect::Writes =>
        {
            ZoneError::Unsettled(text())
        }
        _ => ZoneError::Failed(text()),
    }
}

/// Translates a refused batch with all its messages, one a failed change.
pub(crate) fn translate_change<R: std::fmt::Debug + 'static>(
    error: &SdkError<ChangeResourceRecordSetsError, R>,
    zone: &str,
) -> ZoneError {
    if let Some(ChangeResourceRecordSetsError::InvalidChangeBatch(refused)) =
        error.as_service_error()
    {
        let mut messages = refused.messages().to_vec();
        if messages.is_empty() {
            messages.extend(refused.message().map(str::to_owned));
        }
        return ZoneError::Refused { code: "InvalidChangeBatch".into(), messages };
    }
    translate(error, Effect::Writes, zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_without_credentials_stand_on_one_line() {
        let chain = "no credentials found in chain. Attempted:\n  Environment: the credential provider was not \
                     enabled: environment variable not set\n  Profile: the credential provider was not enabled";
        let error = SdkError::<aws_sdk_route53::Error>::construction_failure(
            CredentialsError::not_loaded(chain),
        );
        let denial = no_credentials(&error).unwrap();
        let told = "there are no AWS credentials (no credentials found in chain. Attempted: Environment: \
                    environment variable not set; Profile: nothing there)";
        assert_eq!(denial.to_string(), told);
        let other = SdkError::<aws_sdk_route53::Error>::construction_failure("a wish".to_owned());
        assert_eq!(no_credentials(&other), None);
    }
}
