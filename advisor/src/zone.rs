//! The seam to Route 53: what the advisor asks of a hosted zone, in its own words.
//!
//! A trait and its types only. The one implementation that links an SDK lives in the `aws` crate.

use std::future::Future;

use probe::url::IpPrefix;
use serde::{Deserialize, Serialize};

use crate::denial::Denial;
use crate::name::Name;
use crate::record::{ChangeBatch, RecordSet, RecordType};

/// A hosted zone, as found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFacts {
    /// Its id, without `/hostedzone/`.
    pub id: String,
    /// Its name.
    pub name: Name,
    /// Its authoritative name servers.
    pub name_servers: Vec<String>,
    /// Where API calls go, so that people see it before they confirm.
    pub api: String,
}

/// A change that Route 53 accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ChangeId(pub String);

/// How far an accepted change has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeStatus {
    /// Not yet on all name servers.
    Pending,
    /// On all name servers.
    InSync,
}

/// A health check to find or to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheckSpec {
    /// Deterministic: the same plan asks for the same check.
    pub caller_reference: String,
    /// The endpoint it watches.
    pub endpoint: String,
    /// Whether the checkers speak TLS.
    pub https: bool,
    /// The host that is resolved and sent as SNI: the Region's own domain.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path, with its `/`.
    pub path: String,
}

/// A health check that follows the data of a `CloudWatch` alarm: a canary's brake. Too little data
/// counts as unhealthy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrakeSpec {
    /// Deterministic, as of any health check.
    pub caller_reference: String,
    /// The alarm's Region.
    pub region: String,
    /// The alarm's name.
    pub alarm: String,
}

/// A health check that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingHealthCheck {
    /// Its id.
    pub id: String,
    /// The reference it was made with.
    pub caller_reference: String,
    /// The host that it watches.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The path.
    pub path: String,
}

/// A name and type whose record sets Route 53 refuses to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// The name.
    pub name: Name,
    /// The type.
    pub record_type: RecordType,
    /// Whatever was noted when it was protected.
    pub comment: Option<String>,
}

/// What a health check's checkers see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observations {
    /// Checkers that have reported.
    pub reported: usize,
    /// Those of them that report success.
    pub healthy: usize,
}

impl Observations {
    /// Route 53's own rule: healthy while more than 18 % of the checkers say so. Without any
    /// report nothing has been observed.
    #[must_use]
    pub fn is_healthy(self) -> bool {
        self.reported > 0 && self.healthy * 100 > self.reported * 18
    }
}

/// Why a call failed, by what the caller must do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ZoneError {
    /// The zone does not exist, or is not visible.
    #[error("hosted zone '{0}' does not exist, or these credentials cannot see it")]
    Missing(String),
    /// Route 53 judged the batch and took nothing of it.
    #[error("Route 53 refused the change ({code}): {}", messages.join("; "))]
    Refused {
        /// Route 53's error code.
        code: String,
        /// One message a failed change.
        messages: Vec<String>,
    },
    /// Too many requests, or an earlier change of the zone is still being processed; nothing was
    /// taken, and the call may be repeated later.
    #[error("Route 53 asked to wait ({0})")]
    Busy(String),
    /// Credentials are missing, expired, or lack a permission.
    #[error("{0}")]
    Denied(Denial),
    /// No reply: the call may have been taken. Reading back settles it.
    #[error("no reply from Route 53 ({0}); the call may or may not have been taken")]
    Unsettled(String),
    /// Anything else.
    #[error("Route 53 call failed: {0}")]
    Failed(String),
}

impl ZoneError {
    /// What to try, if there is anything to say.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Missing(_) => {
                Some("check `zone` in nearside.toml, and the account of the credentials in use")
            }
            Self::Denied(denial) => Some(denial.hint()),
            Self::Busy(_) => Some("wait a minute: another change or another client is active"),
            Self::Unsettled(_) => Some("`advisor apply --resume` reads back what happened"),
            Self::Refused { .. } | Self::Failed(_) => None,
        }
    }
}

/// What the advisor asks of one hosted zone. Every call is bounded in time by the implementation.
pub trait Zone: Sync {
    /// The zone itself.
    fn facts(&self) -> &ZoneFacts;

    /// The record sets at `name` and below it, in Route 53's order.
    fn record_sets(
        &self,
        name: &Name,
    ) -> impl Future<Output = Result<Vec<RecordSet>, ZoneError>> + Send;

    /// The zone's protected record sets.
    fn protections(&self) -> impl Future<Output = Result<Vec<Protection>, ZoneError>> + Send;

    /// What Route 53 would answer a client in this subnet, by its own API: the values of the records.
    /// Each call spends the account's request budget.
    fn test_dns_answer(
        &self,
        name: &Name,
        record_type: &RecordType,
        subnet: IpPrefix,
    ) -> impl Future<Output = Result<Vec<String>, ZoneError>> + Send;

    /// Submits a batch: all of it or nothing.
    fn change(
        &self,
        batch: &ChangeBatch,
    ) -> impl Future<Output = Result<ChangeId, ZoneError>> + Send;

    /// How far a change has come.
    fn change_status(
        &self,
        id: &ChangeId,
    ) -> impl Future<Output = Result<ChangeStatus, ZoneError>> + Send;

    /// The account's health checks whose CallerReference starts with `prefix`.
    fn health_checks(
        &self,
        prefix: &str,
    ) -> impl Future<Output = Result<Vec<ExistingHealthCheck>, ZoneError>> + Send;

    /// Finds or creates a health check, and returns its id.
    fn ensure_health_check(
        &self,
        spec: &HealthCheckSpec,
    ) -> impl Future<Output = Result<String, ZoneError>> + Send;

    /// Finds or creates the health check of a brake, and returns its id.
    fn ensure_brake(
        &self,
        spec: &BrakeSpec,
    ) -> impl Future<Output = Result<String, ZoneError>> + Send;

    /// What the checkers of a health check see now.
    fn observations(
        &self,
        id: &str,
    ) -> impl Future<Output = Result<Observations, ZoneError>> + Send;

    /// Deletes a health check. It must not be named by any record set on any name server.
    fn delete_health_check(&self, id: &str) -> impl Future<Output = Result<(), ZoneError>> + Send;
}
