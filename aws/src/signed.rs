//! Reading calls for which the SDKs in use have no operation: signed by hand, repeated within a bound.
//!
//! It signs, sends and reads a reply; what the reply means is for its callers.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_sdk_route53::primitives::{DateTime, DateTimeFormat};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::header::{ACCEPT, DATE};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::error::{causes, tried};
use crate::session::{ATTEMPT_TIMEOUT, without_user};

/// How often a call is made before its failure counts.
const TRIES: u32 = 3;
/// Before the second try; doubled before the third.
const PAUSE: Duration = Duration::from_millis(250);
/// The largest reply that is read: a page of 500 custom domains has far less.
const BODY_MAX: usize = 4 * 1024 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    /// The service's name in the signature.
    pub(crate) service: &'static str,
    /// The Region of the signature.
    pub(crate) region: &'a str,
    /// Scheme, host and port, maybe with a path that everything lies under.
    pub(crate) base: &'a str,
    /// Path and query, escaped.
    pub(crate) path: &'a str,
    /// What is wanted back.
    pub(crate) accept: &'static str,
    /// Whether a reply asks to come again later.
    pub(crate) asks_to_wait: fn(&Reply) -> bool,
}

/// A reply, whatever its status.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    /// The status.
    pub(crate) status: StatusCode,
    /// `x-amzn-errortype` without what follows a colon, where it is there.
    pub(crate) error_type: Option<String>,
    /// The body.
    pub(crate) body: Bytes,
}

/// Why there is no reply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// There are no credentials to sign with.
    #[error("{0}")]
    Credentials(String),
    /// Nothing came back.
    #[error("{0}")]
    NoReply(String),
}

/// A client of signed calls.
#[derive(Clone)]
pub(crate) struct Signed {
    config: SdkConfig,
    http: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive()
    }
}

impl Signed {
    /// A client with the credentials of `config`.
    pub(crate) fn new(config: &SdkConfig) -> Result<Self, CallError> {
        let connector = HttpsConnectorBuilder::new()
            .with_native_roots()
            .map_err(|error| CallError::NoReply(causes(&error)))?
            .https_or_http()
            .enable_http1()
            .build();
        let http = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { config: config.clone(), http })
    }

    /// GETs until there is a reply that is neither a failure of the server nor a wish to wait.
    pub(crate) async fn get(&self, call: &Call<'_>) -> Result<Reply, CallError> {
        let mut pause = PAUSE;
        let mut tried = 1;
        loop {
            let done = match tokio::time::timeout(ATTEMPT_TIMEOUT, self.once(call)).await {
                Ok(done) => done,
                Err(_) => Err(CallError::NoReply(format!(
                    "{} did not answer within {} s",
                    without_user(call.base),
                    ATTEMPT_TIMEOUT.as_secs()
                ))),
            };
            let final_now = match &done {
                Ok(reply) => !reply.status.is_server_error() && !(call.asks_to_wait)(reply),
                Err(CallError::Credentials(_)) => true,
                Err(CallError::NoReply(_)) => false,
            };
            if final_now || tried == TRIES {
                return done;
            }
            tokio::time::sleep(pause).await;
            (pause, tried) = (pause * 2, tried + 1);
        }
    }

    async fn once(&self, call: &Call<'_>) -> Result<Reply, CallError> {
        let no_reply =
            |cause: String| CallError::NoReply(format!("{}: {cause}", without_user(call.base)));
        let request = self.signed(call).await?;
        let reply = self.http.request(request).await.map_err(|error| no_reply(causes(&error)))?;
        let (head, body) = reply.into_parts();
        let body = Limited::new(body, BODY_MAX).collect().await;
        let body = body.map_err(|error| no_reply(error.to_string()))?.to_bytes();
        let error_type = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let error_type = error_type.map(|kind| kind.split(':').next().unwrap_or(kind).to_owned());
        Ok(Reply { status: head.status, error_type, body })
    }

    /// What a server's clock says, in ms since 1970, by the date of its answer to an unsigned request,
    /// whatever the answer is.
    pub(crate) async fn time_ms(&self, base: &str) -> Result<i64, CallError> {
        let no_reply =
            |cause: String| CallError::NoReply(format!("{}: {cause}", without_user(base)));
        let uri: Uri = base.parse().map_err(|_| no_reply("it is no URL".into()))?;
        let request = Request::get(uri).body(Empty::new());
        let request = request.map_err(|error| no_reply(error.to_string()))?;
        let asked = tokio::time::timeout(ATTEMPT_TIMEOUT, self.http.request(request)).await;
        let reply = asked
            .map_err(|_| no_reply(format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs())))?
            .map_err(|error| no_reply(causes(&error)))?;
        let date = reply.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.ok_or_else(|| no_reply("the answer has no date".into()))?;
        let date = DateTime::from_str(date, DateTimeFormat::HttpDate);
        let date = date.ok().and_then(|date| date.to_millis().ok());
        date.ok_or_else(|| no_reply("the answer's date is not readable".into()))
    }

    async fn signed(&self, call: &Call<'_>) -> Result<Request<Empty<Bytes>>, CallError> {
        let credentials = |cause: String| CallError::Credentials(cause);
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| credentials("there are no credentials".into()))?;
        let identity = provider.provide_credentials().await;
        let identity = identity.map_err(|error| credentials(tried(&causes(&error))))?.into();
        let now = self.config.time_source().unwrap_or_default().now();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(call.region)
            .name(call.service)
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| credentials(error.to_string()))?
            .into();
        let unusable = |cause: String| {
            CallError::NoReply(format!("address {}: {cause}", without_user(call.base)))
        };
        let text = format!("{}{}", call.base.trim_end_matches('/'), call.path);
        let uri: Uri = text.parse().map_err(|_| unusable("it is no URL".into()))?;
        let accept = [("accept", call.accept)];
        let signable =
            SignableRequest::new("GET", &text, accept.into_iter(), SignableBody::Bytes(&[]))
                .map_err(|error| unusable(error.to_string()))?;
        let signed = sign(signable, &parameters).map_err(|error| credentials(error.to_string()))?;
        let mut request = Request::get(uri)
            .header(ACCEPT, call.accept)
            .body(Empty::new())
            .map_err(|error| unusable(error.to_string()))?;
        signed.into_parts().0.apply_to_request_http1x(&mut request);
        Ok(request)
    }
}

impl Reply {
    /// Whether the service says that these credentials may not ask.
    pub(crate) fn is_denied(&self) -> bool {
        matches!(self.status, StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED)
    }
}
