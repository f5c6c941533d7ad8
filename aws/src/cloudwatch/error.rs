//! What a failed call to CloudWatch means: whether its data may have been taken, and what to try.

use std::io::ErrorKind;

use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use probe::spool::Delivery;

use crate::error::{DENIED, causes};

/// Codes with which CloudWatch asks to come again later. Nothing of the call was taken.
const BUSY: [&str; 4] =
    ["Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled"];

/// Errors before a byte of the request was sent.
const UNSENT: [ErrorKind; 5] = [
    ErrorKind::ConnectionRefused,
    ErrorKind::HostUnreachable,
    ErrorKind::NetworkUnreachable,
    ErrorKind::NetworkDown,
    ErrorKind::AddrNotAvailable,
];

/// How a PutMetricData ended that ended badly.
pub(super) fn delivery<E>(error: &SdkError<E, HttpResponse>) -> Delivery
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = told(error);
    match error {
        SdkError::ServiceError(context) => {
            let code = context.err().code().unwrap_or_default();
            if BUSY.contains(&code) || DENIED.contains(&code) {
                Delivery::NotTaken(text)
            } else if context.raw().status().is_client_error() {
                Delivery::Refused(text)
            } else {
                Delivery::Unknown(text)
            }
        }
        SdkError::ConstructionFailure(_) => Delivery::NotTaken(text),
        SdkError::DispatchFailure(_) if never_sent(error) => Delivery::NotTaken(text),
        _ => Delivery::Unknown(text),
    }
}

/// Whether the chain of causes says that no connection was made.
fn never_sent(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if kind.is_some_and(|kind| UNSENT.contains(&kind)) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// An error in words.
pub(super) fn told<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            let code = error.code().unwrap_or("no code");
            let message = error.message().unwrap_or_default().lines().next().unwrap_or_default();
            match clock_is_off(message) {
                Some(said) => said,
                None => format!("{code}: {message}"),
            }
        }
        _ => causes(error),
    }
}

/// A signature whose time is off is a matter of clocks, whatever its code says.
fn clock_is_off(message: &str) -> Option<String> {
    let off =
        message.contains("Signature expired") || message.contains("Signature not yet current");
    off.then(|| format!("this machine's clock is over 15 minutes off ({message})"))
}

/// What to try.
pub(super) fn hint<E>(error: &SdkError<E, HttpResponse>) -> &'static str
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let SdkError::ServiceError(context) = error else {
        return "check that CloudWatch's address is reachable, and the AWS credentials";
    };
    let error = context.err();
    if clock_is_off(error.message().unwrap_or_default()).is_some() {
        return "set this machine's clock, by NTP if possible";
    }
    match error.code().unwrap_or_default() {
        "AccessDenied" | "AccessDeniedException" => "allow cloudwatch:GetMetricData",
        "OptInRequired" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "check the credentials, and that the Region of [cloudwatch] is enabled in the account"
        }
        code if BUSY.contains(&code) => "try again in a minute",
        _ => "check the AWS credentials, and [cloudwatch] region and namespace",
    }
}
