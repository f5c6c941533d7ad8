//! A request as those who answer see it, and the trait they implement. Knows no world.

use std::pin::Pin;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};

use crate::scenario::Faults;

/// Bytes of a request's body that are read and thrown away; a longer one ends the connection afterwards.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// An answer on its way.
pub(super) type Answered<'a> = Pin<Box<dyn Future<Output = Response<Full<Bytes>>> + Send + 'a>>;

/// What stands behind one server.
pub(super) trait Answers: Send + Sync + 'static {
    /// The answer to one request, after as long as it takes there.
    fn answer<'a>(&'a self, asked: &'a Asked, faults: &'a Faults) -> Answered<'a>;
}

/// One request.
pub(super) struct Asked {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    host: Option<String>,
    sni: Option<String>,
}

impl Asked {
    /// Reads a request whole; its body is of no interest to anyone here.
    pub(super) async fn read(
        request: Request<Incoming>,
        sni: Option<String>,
    ) -> hyper::Result<Self> {
        let host = host_of(&request);
        let (head, body) = request.into_parts();
        if let Err(error) = Limited::new(body, BODY_BYTES_MAX).collect().await
            && let Ok(broken) = error.downcast::<hyper::Error>()
        {
            return Err(*broken);
        }
        let path = head.uri.path().to_owned();
        Ok(Self { method: head.method, path, headers: head.headers, host, sni })
    }

    /// The host it is for, where the TLS name is not another one: nobody answers to two names at once.
    pub(super) fn host(&self) -> Option<&str> {
        let host = self.host.as_deref();
        let torn = self.sni.as_deref().is_some_and(|sni| Some(sni) != host);
        if torn { None } else { host }
    }

    /// Whether it is for one of these hosts.
    pub(super) fn for_one_of(&self, hosts: &[String]) -> bool {
        self.host().is_some_and(|host| hosts.iter().any(|known| known == host))
    }

    /// Whether it only reads.
    pub(super) fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Whether a header is there and holds this text, letters of either case.
    pub(super) fn says(&self, header: &str, text: &str) -> bool {
        let values = self.headers.get_all(header).iter().filter_map(|v| v.to_str().ok());
        values.flat_map(|v| v.split(',')).any(|v| v.trim().eq_ignore_ascii_case(text))
    }
}

/// The host a request is for, lower case, without its port.
fn host_of<B>(request: &Request<B>) -> Option<String> {
    let authority = request.uri().host().map(str::to_owned).or_else(|| {
        let host = request.headers().get(HOST)?.to_str().ok()?;
        Some(host.rsplit_once(':').map_or(host, |(name, _)| name).to_owned())
    })?;
    Some(authority.to_ascii_lowercase())
}

/// A JSON answer with these headers.
pub(super) fn json_response(
    status: StatusCode,
    body: &serde_json::Value,
    headers: HeaderMap,
) -> Response<Full<Bytes>> {
    response(status, "application/json", body.to_string(), headers)
}

/// An answer of a media type with these headers.
pub(super) fn response(
    status: StatusCode,
    media: &'static str,
    body: impl Into<Bytes>,
    headers: HeaderMap,
) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    response
}

/// Puts a header whose value was made here; one that HTTP cannot carry is left out.
pub(super) fn put(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}
