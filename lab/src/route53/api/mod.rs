//! The HTTP server of the API: takes requests apart, meets faults, throttles, and sends replies.
//! What a reply says is decided in `operations` and below.

mod operations;
mod query;
mod route;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue, LOCATION};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::error::{ApiError, Code};
use super::faults::Fault;
use super::limits::BODY_MAX;
use super::server::{Ending, Shared};
use super::xml::response;
use crate::accept::{accept, stopped};
use crate::scope;
use route::{Call, route};

/// Connections at once; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client may take for a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A successful reply.
pub(super) struct Reply {
    status: StatusCode,
    location: Option<String>,
    body: String,
}

impl Reply {
    fn ok(body: String) -> Self {
        Self { status: StatusCode::OK, location: None, body }
    }

    fn created(location: String, body: String) -> Self {
        Self { status: StatusCode::CREATED, location: Some(location), body }
    }
}

/// Accepts connections until the service ends.
pub(super) async fn serve(listener: TcpListener, shared: Arc<Shared>, ending: Ending) {
    let serving = move |stream, _| connection(stream, Arc::clone(&shared));
    accept(listener, CONNECTIONS_MAX, stopped(ending), serving).await;
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| {
        let shared = shared.clone();
        async move { exchange(&shared, request).await }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        // A client that goes away, and a fault that drops the connection, are no failures here.
        tracing::debug!(%error, "a connection to the lab's Route 53 ended early");
    }
}

/// One request and its reply. An error ends the connection without one.
async fn exchange(
    shared: &Shared,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, io::Error> {
    let request_id = shared.with(|state, _| state.request_id());
    let (parts, body) = request.into_parts();
    let call = route(&parts.method, &parts.uri);
    let operation = call.as_ref().ok().map(Call::operation);
    let fault = operation.and_then(|operation| shared.faults.next(operation));
    if fault == Some(Fault::DropBefore) {
        return Err(io::Error::other("the connection is dropped before the request"));
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return Ok(refusal(shared, &error, &request_id)),
    };
    if let Some(Fault::Delay(time)) = fault {
        tokio::time::sleep(time).await;
    }
    let signed = parts.headers.get(AUTHORIZATION).is_some_and(is_signature);
    let failing = fault.zip(operation).and_then(|(fault, operation)| fault.error(operation));
    let skewed = scope::skewed(&parts.headers, shared.calendar());
    let reply = match failing {
        Some(error) => Err(error),
        None if !signed => {
            Err(ApiError::new(Code::MissingAuthenticationToken, "Missing Authentication Token"))
        }
        None if skewed.is_some() => {
            Err(ApiError::new(Code::SignatureDoesNotMatch, skewed.unwrap_or_default()))
        }
        None => call.and_then(|call| perform(shared, &call, &body)),
    };
    if fault == Some(Fault::DropAfter) {
        return Err(io::Error::other("the connection is dropped before the reply"));
    }
    let mut response = match reply {
        Ok(reply) => success(reply, &request_id),
        Err(error) => refusal(shared, &error, &request_id),
    };
    let date = shared.calendar().strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    if let Ok(date) = HeaderValue::from_str(&date) {
        response.headers_mut().insert(DATE, date);
    }
    Ok(response)
}

fn perform(shared: &Shared, call: &Call, body: &[u8]) -> Result<Reply, ApiError> {
    shared.with(|state, now| state.admit(call.operation(), now))?;
    operations::perform(shared, call, body)
}

/// Any credentials are accepted, but a request must be signed.
fn is_signature(value: &HeaderValue) -> bool {
    value.to_str().is_ok_and(|text| text.starts_with("AWS4-HMAC-SHA256 "))
}

async fn read(body: Incoming) -> Result<Bytes, ApiError> {
    // Unverified codes and texts.
    let collected =
        tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, BODY_MAX).collect()).await;
    match collected {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) => {
            let text = format!("the request body cannot be read: {error}");
            Err(ApiError::new(Code::MalformedInput, text))
        }
        Err(_) => Err(ApiError::new(Code::MalformedInput, "the request body took too long")),
    }
}

fn success(reply: Reply, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = document(reply.status, reply.body, request_id);
    if let Some(location) = reply.location.and_then(|text| HeaderValue::from_str(&text).ok()) {
        response.headers_mut().insert(LOCATION, location);
    }
    response
}

fn refusal(shared: &Shared, error: &ApiError, request_id: &str) -> Response<Full<Bytes>> {
    let status = StatusCode::from_u16(error.code.wire().1).unwrap_or(StatusCode::BAD_REQUEST);
    let body = response::error(error, request_id, shared.options.bare_batch_errors);
    document(status, body, request_id)
}

fn document(status: StatusCode, body: String, request_id: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/xml"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
