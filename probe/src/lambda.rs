//! The API by which AWS Lambda hands invocations to a program: plain HTTP on the loopback of the
//! function's own machine. It measures nothing and prints nothing.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{HOST, HeaderMap};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The version of the API.
const VERSION: &str = "2018-06-01";
/// Bytes of an event that are read: what a function may be sent.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// The runtime API cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LambdaError {
    /// It cannot be reached, or broke off.
    #[error("cannot reach Lambda's runtime API at {authority}: {cause}")]
    Unreachable {
        /// Where.
        authority: String,
        /// Why.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It answered something else than it should.
    #[error("Lambda's runtime API answered {what} with status {status}")]
    Answer {
        /// What was asked.
        what: &'static str,
        /// The HTTP status.
        status: u16,
    },
    /// An invocation lacks what it must have.
    #[error("Lambda's runtime API gave an invocation without {header}")]
    Header {
        /// The header.
        header: &'static str,
    },
}

/// One invocation. What it was sent is of no interest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invocation {
    /// Its id.
    pub id: String,
    /// When the function is stopped, in ms since 1970.
    pub deadline_ms: i64,
}

/// The runtime API of one function.
#[derive(Debug, Clone)]
pub struct Runtime {
    authority: String,
}

impl Runtime {
    /// The API at `HOST:PORT`, which Lambda tells in `AWS_LAMBDA_RUNTIME_API`.
    #[must_use]
    pub fn new(authority: &str) -> Self {
        Self { authority: authority.to_owned() }
    }

    /// Waits for the next invocation, however long: the function sleeps meanwhile.
    pub async fn next(&self) -> Result<Invocation, LambdaError> {
        let response = self.call(Method::GET, "invocation/next", Bytes::new()).await?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(LambdaError::Answer { what: "invocation/next", status });
        }
        let headers = response.headers().clone();
        Limited::new(response.into_body(), EVENT_BYTES_MAX)
            .collect()
            .await
            .map_err(|cause| self.unreachable(cause))?;
        let id = header(&headers, "lambda-runtime-aws-request-id")?.to_owned();
        let deadline = "lambda-runtime-deadline-ms";
        let deadline_ms = header(&headers, deadline)?
            .parse()
            .map_err(|_| LambdaError::Header { header: deadline })?;
        Ok(Invocation { id, deadline_ms })
    }

    /// Answers an invocation.
    pub async fn respond(&self, id: &str, body: String) -> Result<(), LambdaError> {
        self.post("invocation/response", &format!("invocation/{id}/response"), body).await
    }

    /// Tells that an invocation failed. `body` is a JSON object of `errorMessage` and `errorType`.
    pub async fn fail(&self, id: &str, body: String) -> Result<(), LambdaError> {
        self.post("invocation/error", &format!("invocation/{id}/error"), body).await
    }

    async fn post(&self, what: &'static str, path: &str, body: String) -> Result<(), LambdaError> {
        let response = self.call(Method::POST, path, Bytes::from(body)).await?;
        match response.status() {
            status if status.is_success() => Ok(()),
            status => Err(LambdaError::Answer { what, status: status.as_u16() }),
        }
    }

    fn unreachable(
        &self,
        cause: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> LambdaError {
        LambdaError::Unreachable { authority: self.authority.clone(), cause: cause.into() }
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Response<Incoming>, LambdaError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("/{VERSION}/runtime/{path}"))
            .header(HOST, &self.authority)
            .body(Full::new(body))
            .map_err(|cause| self.unreachable(cause))?;
        let stream =
            TcpStream::connect(&self.authority).await.map_err(|cause| self.unreachable(cause))?;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|cause| self.unreachable(cause))?;
        tokio::spawn(async move {
            // Its end is seen by whoever waits for the response.
            let _ = connection.await;
        });
        sender.send_request(request).await.map_err(|cause| self.unreachable(cause))
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, LambdaError> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.ok_or(LambdaError::Header { header: name })
}
