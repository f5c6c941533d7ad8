//! CloudWatch's place in the lab: answers 501 to everything, and says so, until it is built.

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Request, Response, StatusCode};

/// The answer to every request.
pub(crate) fn answer(_request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let body = r#"{"__type":"NotImplemented","message":"the lab has no CloudWatch yet: use a SQLite store"}"#;
    let mut response = Response::new(Full::new(Bytes::from_static(body.as_bytes())));
    *response.status_mut() = StatusCode::NOT_IMPLEMENTED;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
