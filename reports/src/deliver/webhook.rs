//! A webhook: one POST, in the shape that the other side expects.
//!
//! Redirects are not followed: they would carry the report where nobody sent it. An error never
//! tells the address, which is a secret.

use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

use super::destination::{Shape, WebhookAddress};
use super::{Again, Deliver, Delivery, DeliveryError, Parcel};
use crate::escape;

/// The longest that a `Retry-After` is believed.
const RETRY_AFTER_MAX_S: u64 = 3_600;

/// No client of HTTP can be made.
#[derive(Debug, thiserror::Error)]
#[error("cannot prepare deliveries over HTTP: {0}")]
pub struct ClientError(String);

/// A client that trusts what the system trusts, over ring; it follows no redirect and no proxy of
/// the environment.
pub fn http_client() -> Result<Client, ClientError> {
    let mut roots = rustls::RootCertStore::empty();
    // Roots that cannot be read make deliveries fail, with a cause of their own.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ClientError(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(10))
        .user_agent(concat!("nearside/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ClientError(error.without_url().to_string()))
}

/// A webhook that takes reports.
#[derive(Debug, Clone)]
pub struct Webhook {
    address: WebhookAddress,
    client: Client,
}

impl Webhook {
    /// Posts to this address.
    #[must_use]
    pub fn new(address: WebhookAddress, client: Client) -> Self {
        Self { address, client }
    }

    async fn post(&self, parcel: &Parcel) -> Result<(), DeliveryError> {
        let body = match self.address.shape {
            Shape::Json => parcel.file("report.json").to_vec(),
            Shape::Slack => slack(parcel).to_string().into_bytes(),
            Shape::Teams => teams(parcel).to_string().into_bytes(),
        };
        let request = self
            .client
            .post(self.address.url())
            .header("content-type", "application/json")
            .body(body);
        match request.send().await {
            Ok(response) => judge(&response),
            Err(error) => Err(unsent(&error)),
        }
    }
}

impl Deliver for Webhook {
    fn place(&self) -> String {
        self.address.redacted()
    }

    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivery<'a> {
        Box::pin(self.post(parcel))
    }
}

fn judge(response: &Response) -> Result<(), DeliveryError> {
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let asked = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let asked_s = asked.and_then(|text| text.trim().parse::<u64>().ok());
    let later = status.is_server_error()
        || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    let again = match (later, asked_s) {
        (false, _) => Again::Never,
        (true, None) => Again::Later,
        (true, Some(s)) => Again::After(Duration::from_secs(s.min(RETRY_AFTER_MAX_S))),
    };
    Err(DeliveryError { cause: format!("it answered with status {}", status.as_u16()), again })
}

/// The library's messages name the address, so that only the kind is told.
fn unsent(error: &reqwest::Error) -> DeliveryError {
    let (cause, again) = if error.is_builder() {
        ("the address is not one that can be asked", Again::Never)
    } else if error.is_timeout() {
        ("no answer in time", Again::Later)
    } else if error.is_connect() {
        ("it cannot be reached", Again::Later)
    } else {
        ("the connection broke", Again::Later)
    };
    DeliveryError { cause: cause.to_owned(), again }
}

fn headline(parcel: &Parcel) -> String {
    let breach = if parcel.breached { " (objective breached)" } else { "" };
    escape::visible(&format!("{}: latency and routing{breach}", parcel.service))
}

/// Plain text only: nothing of it is markup, and nobody is called by name.
fn slack(parcel: &Parcel) -> Value {
    // What stands in notifications is markup always; these three are its own escapes.
    let markup = |text: &str| text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let plain = |text: String| json!({"type": "plain_text", "text": cut(text), "emoji": false});
    let answer = escape::visible(&parcel.answer.join(" "));
    json!({
        "text": markup(&headline(parcel)),
        "blocks": [
            {"type": "section", "text": plain(headline(parcel))},
            {"type": "section", "text": plain(answer)},
            {"type": "context", "elements": [plain(escape::visible(&parcel.period))]},
        ],
    })
}

/// A section of Slack takes 3,000 characters.
fn cut(text: String) -> String {
    const MOST: usize = 2_900;
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain(['\u{2026}']).collect()
}

/// Runs of text, which are no Markdown, unlike blocks of text.
fn teams(parcel: &Parcel) -> Value {
    let run = |text: &str, weight: &str| {
        let inline = json!({"type": "TextRun", "text": escape::visible(text), "weight": weight});
        json!({"type": "RichTextBlock", "inlines": [inline]})
    };
    let mut body = vec![run(&headline(parcel), "Bolder")];
    body.extend(parcel.answer.iter().map(|sentence| run(sentence, "Default")));
    body.push(run(&parcel.period, "Lighter"));
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
            },
        }],
    })
}
