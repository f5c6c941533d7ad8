//! Where reports are sent: a folder, an object store, a webhook. A delivery that fails is repeated
//! within bounds; what could not be delivered is kept, with the cause.
//!
//! Addresses of webhooks are secrets: they are never in a message, a file or a log.

mod destination;
mod folder;
mod webhook;

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::Duration;

use crate::Report;
use crate::period::Period;

pub use destination::{Destination, DestinationError, S3Address, Shape, WebhookAddress};
pub use folder::{Folder, write_files};
pub use webhook::{ClientError, Webhook, http_client};

/// A report on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    /// A name of letters, digits, points and hyphens, of the service and the end of the period: the
    /// same report has the same name.
    pub name: String,
    /// Names and bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// The service name.
    pub service: String,
    /// The period, for people.
    pub period: String,
    /// The answer, a sentence each.
    pub answer: Vec<String>,
    /// Whether an objective was breached.
    pub breached: bool,
}

impl Parcel {
    /// Packs a report.
    #[must_use]
    pub fn new(report: &Report, period: &Period) -> Self {
        let service = &report.document.service;
        let end = period.format(period.until_ms, "%Y-%m-%dT%H%M%S");
        let plain = |c: char| if c.is_ascii_alphanumeric() || ".-".contains(c) { c } else { '-' };
        let name: String = format!("{service}-{end}").chars().map(plain).collect();
        Self {
            name: name.trim_start_matches('.').to_owned(),
            files: report.files().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect(),
            service: service.clone(),
            period: format!(
                "{} to {} ({})",
                period.text(period.since_ms),
                period.text(period.until_ms),
                period.zone_name()
            ),
            answer: report.document.answer.clone(),
            breached: report.breached(),
        }
    }

    /// The bytes of one file.
    #[must_use]
    pub fn file(&self, name: &str) -> &[u8] {
        let found = self.files.iter().find(|(own, _)| own == name);
        found.map_or(&[], |(_, bytes)| bytes)
    }
}

/// Whether a delivery that failed may be repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// It would fail the same way.
    Never,
    /// Later.
    Later,
    /// Not before so long.
    After(Duration),
}

/// A delivery failed. The cause names no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{cause}")]
pub struct DeliveryError {
    /// What happened.
    pub cause: String,
    /// What may be done.
    pub again: Again,
}

/// What a delivery comes to, later.
pub type Delivery<'a> = Pin<Box<dyn Future<Output = Result<(), DeliveryError>> + Send + 'a>>;

/// Something that takes reports.
pub trait Deliver: Send + Sync {
    /// Where they go, for people; without secrets.
    fn place(&self) -> String;

    /// Delivers once. The same report may come twice: it must then lie there once.
    fn deliver<'a>(&'a self, parcel: &'a Parcel) -> Delivery<'a>;
}

/// How often and how long a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Tries.
    pub tries: u32,
    /// The longest that one may take.
    pub timeout: Duration,
    /// Before the second try; doubled before each other one.
    pub backoff: Duration,
    /// The longest wait, whatever the other side asks for.
    pub backoff_max: Duration,
}

impl Default for Patience {
    /// Five tries within about three minutes.
    fn default() -> Self {
        Self {
            tries: 5,
            timeout: Duration::from_secs(20),
            backoff: Duration::from_secs(2),
            backoff_max: Duration::from_secs(30),
        }
    }
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivered {
    /// Where it went, without secrets.
    pub place: String,
    /// Tries that were made.
    pub tries: u32,
    /// Why it failed, and the folder where it is kept; `None`: it arrived.
    pub failed: Option<(String, PathBuf)>,
}

/// A report could neither be delivered nor kept.
#[derive(Debug, thiserror::Error)]
#[error("the report for {place} was not delivered ({cause}), and cannot be kept in {}: {io}", folder.display())]
pub struct LostError {
    /// Where it should have gone.
    pub place: String,
    /// Why it did not.
    pub cause: String,
    /// Where it should have been kept.
    pub folder: PathBuf,
    /// Why it was not.
    pub io: std::io::Error,
}

/// Delivers with patience. What cannot be delivered is kept under `undelivered`.
pub async fn send(
    to: &dyn Deliver,
    parcel: &Parcel,
    patience: Patience,
    undelivered: &Path,
) -> Result<Delivered, LostError> {
    let mut tries = 0;
    let mut backoff = patience.backoff;
    let cause = loop {
        tries += 1;
        let error = match tokio::time::timeout(patience.timeout, to.deliver(parcel)).await {
            Ok(Ok(())) => return Ok(Delivered { place: to.place(), tries, failed: None }),
            Ok(Err(error)) => error,
            Err(_) => DeliveryError {
                cause: format!("no answer within {:?}", patience.timeout),
                again: Again::Later,
            },
        };
        tracing::warn!(
            place = to.place(),
            tries,
            cause = error.cause,
            "a report was not delivered"
        );
        let wait = match error.again {
            Again::Never => break error.cause,
            Again::Later => backoff,
            Again::After(asked) => asked.max(backoff),
        };
        if tries >= patience.tries {
            break error.cause;
        }
        tokio::time::sleep(wait.min(patience.backoff_max)).await;
        backoff = backoff.saturating_mul(2);
    };
    keep(to.place(), parcel, (tries, cause), undelivered)
}

/// Puts the report where a person finds it, with what happened.
fn keep(
    place: String,
    parcel: &Parcel,
    (tries, cause): (u32, String),
    undelivered: &Path,
) -> Result<Delivered, LostError> {
    let folder = undelivered.join(&parcel.name);
    let why = serde_json::json!({ "destination": place, "tries": tries, "cause": cause });
    let why = format!("{why:#}\n");
    let files = parcel.files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..]));
    let with_why = files.chain([("undelivered.json", why.as_bytes())]);
    match write_files(&folder, with_why) {
        Ok(()) => Ok(Delivered { place, tries, failed: Some((cause, folder)) }),
        Err(io) => Err(LostError { place, cause, folder, io }),
    }
}

#[cfg(test)]
mod tests;
