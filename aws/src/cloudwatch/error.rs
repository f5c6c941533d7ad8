//! What a failed call to CloudWatch means: whether its data may have been taken, and what to try.

use advisor::denial::Denial;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use probe::spool::Delivery;

use crate::error::{DENIED, causes, no_credentials};

/// Codes with which CloudWatch asks to come again later. Nothing of the call was taken.
const BUSY: [&str; 4] =
    ["Throttling", "ThrottlingException", "RequestLimitExceeded", "RequestThrottled"];

/// How a PutMetricData ended that ended badly.
pub(super) fn delivery<E>(error: &SdkError<E, HttpResponse>) -> Delivery
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let text = told(error);
    match error {
        _ if denial(error).is_some() => Delivery::NotTaken(format!("{text}; {}", hint(error))),
        SdkError::ServiceError(context) => {
            if BUSY.contains(&context.err().code().unwrap_or_default()) {
                Delivery::NotTaken(text)
            } else if context.raw().status().is_client_error() {
                Delivery::Refused(text)
            } else {
                Delivery::Unknown(text)
            }
        }
        SdkError::ConstructionFailure(_) => Delivery::NotTaken(text),
        SdkError::DispatchFailure(_) if never_connected(error) => Delivery::NotTaken(text),
        _ => Delivery::Unknown(text),
    }
}

/// Whether the chain of causes says that no connection was made: no address, nobody there, no TLS.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let cause_of_client = cause.downcast_ref::<hyper_util::client::legacy::Error>();
        if cause_of_client.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// What is wrong with whoever asks, where that is why.
fn denial<E>(error: &SdkError<E, HttpResponse>) -> Option<Denial>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let SdkError::ServiceError(context) = error else { return no_credentials(error) };
    let code = context.err().code().unwrap_or_default();
    let is_denied = DENIED.contains(&code) || matches!(context.raw().status().as_u16(), 401 | 403);
    is_denied.then(|| Denial::of(code, first_line(context.err())))
}

fn first_line(error: &impl ProvideErrorMetadata) -> &str {
    error.message().unwrap_or_default().lines().next().unwrap_or_default()
}

/// An error in words.
pub(super) fn told<E>(error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let Some(denial) = denial(error) {
        return denial.to_string();
    }
    match error {
        SdkError::ServiceError(context) => {
            let error = context.err();
            format!("{}: {}", error.code().unwrap_or("no code"), first_line(error))
        }
        _ => causes(error),
    }
}

/// What to try.
pub(super) fn hint<E>(error: &SdkError<E, HttpResponse>) -> &'static str
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match denial(error) {
        // CloudWatch says the same of a wrong key and of a Region that is not enabled.
        Some(Denial::Unknown(_) | Denial::NotEnabled(_)) => {
            return "check the credentials, and that the Region of [cloudwatch] is enabled in the account";
        }
        Some(denial) => return denial.hint(),
        None => {}
    }
    match error {
        SdkError::ServiceError(context)
            if BUSY.contains(&context.err().code().unwrap_or_default()) =>
        {
            "try again in a minute"
        }
        SdkError::ServiceError(_) => "check [cloudwatch] region and namespace",
        _ => "check that CloudWatch's address is reachable",
    }
}
