//! The two protocols over HTTP: which operation is asked in which format, and how answers and
//! errors look in it.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use jiff::SignedDuration;

use super::error::{ApiError, Kind};
use super::limits;
use super::operation::{Fault, Operation};
use super::wire::{Format, Item, decode, encode, unzip};
use super::{CloudWatch, throttled};
use crate::clock;
use crate::route53::regions::LATENCY_REGIONS;
use crate::scope::{self, ScopeError};

/// The service's name in both protocols.
const SERVICE: &str = "GraniteServiceVersion20100801";
/// The namespace of its shapes.
const NAMESPACE: &str = "com.amazonaws.cloudwatch.v2010_08_01";

impl CloudWatch {
    /// The answer to a request; `None` ends the connection without one.
    pub(crate) fn answer(&self, request: &Request<Bytes>) -> Option<Response<Full<Bytes>>> {
        let (format, name) = asked(request);
        let operation = name.as_deref().and_then(Operation::parse);
        let fault = operation.and_then(|operation| self.0.faults.next(operation));
        let result = match fault.and_then(|fault| failure(fault, name.as_deref(), request)) {
            _ if fault == Some(Fault::DropBefore) => return None,
            Some(error) => Err(error),
            None => self.perform(format, operation, request),
        };
        if fault == Some(Fault::DropAfter) {
            return None;
        }
        let number = self.0.requests.fetch_add(1, Ordering::Relaxed);
        let mut response = match result {
            Ok(output) => done(format, output.as_ref()),
            Err(error) => refused(format, &error),
        };
        let id = format!("00000000-0000-4000-8000-{number:012x}");
        if let Ok(id) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
        Some(response)
    }

    fn perform(
        &self,
        format: Format,
        operation: Option<Operation>,
        request: &Request<Bytes>,
    ) -> Result<Option<Item>, ApiError> {
        let Some(operation) = operation else {
            let message = "the lab's CloudWatch has PutMetricData, GetMetricData, ListMetrics, \
                           PutMetricAlarm, DescribeAlarms and DeleteAlarms, by CBOR and JSON";
            return Err(ApiError::new(Kind::UnknownOperation, message));
        };
        let region = signed_for(request.headers())?;
        let body = body(request, operation)?;
        let input =
            decode(format, &body).map_err(|cause| ApiError::new(Kind::Serialization, cause))?;
        self.operate(operation, &region, &input)
    }
}

/// The error that a fault stands for, if it is one.
fn failure(fault: Fault, name: Option<&str>, request: &Request<Bytes>) -> Option<ApiError> {
    let (kind, message) = match fault {
        Fault::DropBefore | Fault::DropAfter => return None,
        Fault::Throttling => return Some(throttled()),
        Fault::InternalFailure => (
            Kind::InternalServiceError,
            "We encountered an internal error. Please try again.".to_owned(),
        ),
        Fault::ServiceUnavailable => {
            (Kind::ServiceUnavailable, "Service is unavailable".to_owned())
        }
        Fault::AccessDenied => {
            let action = format!("cloudwatch:{}", name.unwrap_or_default());
            let message = format!(
                "User: arn:aws:iam::123456789012:user/lab is not authorized to perform: {action} because no \
                 identity-based policy allows the {action} action"
            );
            (Kind::AccessDenied, message)
        }
        Fault::ExpiredToken => {
            (Kind::ExpiredToken, "The security token included in the request is expired".to_owned())
        }
        Fault::InvalidClientTokenId => (
            Kind::InvalidClientTokenId,
            "The security token included in the request is invalid.".to_owned(),
        ),
        Fault::ClockAhead(ahead_s) => {
            let now = clock::calendar();
            let now = now.checked_add(SignedDuration::from_secs(ahead_s)).unwrap_or(now);
            (Kind::SignatureDoesNotMatch, scope::skewed(request.headers(), now)?)
        }
    };
    Some(ApiError::new(kind, message))
}

/// The format of a request, and the operation's name.
fn asked(request: &Request<Bytes>) -> (Format, Option<String>) {
    let headers = request.headers();
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if header("smithy-protocol") == Some("rpc-v2-cbor") {
        let name = request.uri().path().strip_prefix("/service/");
        let name = name.and_then(|rest| rest.strip_prefix(SERVICE));
        let name = name.and_then(|rest| rest.strip_prefix("/operation/"));
        let name = name.filter(|_| request.method() == Method::POST);
        return (Format::Cbor, name.map(str::to_owned));
    }
    let name = header("x-amz-target").and_then(|target| target.strip_prefix(SERVICE));
    let name = name.and_then(|rest| rest.strip_prefix('.'));
    let name = name.filter(|_| request.method() == Method::POST && request.uri().path() == "/");
    (Format::Json, name.map(str::to_owned))
}

/// The Region that a request is signed for, if it is signed now and for this service.
fn signed_for(headers: &HeaderMap) -> Result<String, ApiError> {
    if let Some(message) = scope::skewed(headers, clock::calendar()) {
        return Err(ApiError::new(Kind::SignatureDoesNotMatch, message));
    }
    let region = scope::region(headers, "monitoring").map_err(|error| match error {
        ScopeError::Missing => ApiError::new(
            Kind::MissingAuthenticationToken,
            "Request is missing Authentication Token",
        ),
        ScopeError::Other(scope) => ApiError::new(
            Kind::SignatureDoesNotMatch,
            format!("Credential should be scoped to correct service: 'monitoring'. ({scope})"),
        ),
    })?;
    if LATENCY_REGIONS.contains(&region.as_str()) {
        return Ok(region);
    }
    let message = format!("Credential should be scoped to a valid region. ({region})");
    Err(ApiError::new(Kind::SignatureDoesNotMatch, message))
}

/// The body as it was before it was packed.
fn body(request: &Request<Bytes>, operation: Operation) -> Result<Cow<'_, [u8]>, ApiError> {
    let large = || {
        let most = limits::PUT_BYTES_MAX;
        ApiError::new(Kind::RequestEntityTooLarge, format!("Request size exceeds {most} bytes"))
    };
    let packed = request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes);
    let body = match packed {
        None => Cow::Borrowed(request.body().as_ref()),
        Some(b"gzip") if operation == Operation::PutMetricData => {
            Cow::Owned(unzip(request.body(), limits::PUT_BYTES_MAX).ok_or_else(large)?)
        }
        Some(other) => {
            let other = String::from_utf8_lossy(other).into_owned();
            let message = format!("content encoding {other} is not supported for this operation");
            return Err(ApiError::new(Kind::Serialization, message));
        }
    };
    if operation == Operation::PutMetricData && body.len() > limits::PUT_BYTES_MAX {
        return Err(large());
    }
    Ok(body)
}

/// An answer. One without members has no body in CBOR.
fn done(format: Format, output: Option<&Item>) -> Response<Full<Bytes>> {
    let body = match (format, output) {
        (Format::Cbor, None) => Vec::new(),
        (Format::Json, None) => b"{}".to_vec(),
        (_, Some(output)) => encode(format, output),
    };
    response(format, StatusCode::OK, body)
}

fn refused(format: Format, error: &ApiError) -> Response<Full<Bytes>> {
    let (code, shape, status) = error.kind.wire();
    let body = Item::map([
        ("__type", Some(Item::text(format!("{NAMESPACE}#{shape}")))),
        // One shape spells its member with a capital.
        match error.kind {
            Kind::InternalServiceError => ("Message", Some(Item::text(&error.message))),
            _ => ("message", Some(Item::text(&error.message))),
        },
    ]);
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let mut response = response(format, status, encode(format, &body));
    let fault = if status.is_server_error() { "Receiver" } else { "Sender" };
    // Clients of a service that once spoke the query protocol still go by its codes.
    if let Ok(value) = HeaderValue::from_str(&format!("{code};{fault}")) {
        response.headers_mut().insert(HeaderName::from_static("x-amzn-query-error"), value);
    }
    response
}

fn response(format: Format, status: StatusCode, body: Vec<u8>) -> Response<Full<Bytes>> {
    let empty = body.is_empty();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let media = match format {
        Format::Cbor => {
            let name = HeaderName::from_static("smithy-protocol");
            headers.insert(name, HeaderValue::from_static("rpc-v2-cbor"));
            "application/cbor"
        }
        Format::Json => "application/x-amz-json-1.0",
    };
    if !empty {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media));
    }
    response
}
