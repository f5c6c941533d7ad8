//! Why a plan may not be applied, in words, and what to try.
//!
//! Types and messages only; the rules are beside.

use crate::name::Name;
use crate::record::{RecordSet, RecordType};

/// Why a plan may not be applied.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// For another zone.
    #[error("the plan is for hosted zone {planned}, and the configuration leads to {found}")]
    OtherZone {
        /// Of the plan.
        planned: String,
        /// Of the configuration.
        found: String,
    },
    /// Not in `guard.allow`.
    #[error("'{0}' is not in guard.allow")]
    NotAllowed(String),
    /// Another tool's records.
    #[error("'{0}' has records that Nearside did not make, and it is not in guard.adopt")]
    NotAdopted(String),
    /// An external-dns owner.
    #[error("'{0}' is kept by external-dns ({1}), which would write its own records again")]
    ExternalDns(String, String),
    /// A change elsewhere.
    #[error(
        "the plan changes '{changed}', which is neither '{service}' nor one of our names below it"
    )]
    Elsewhere {
        /// The name.
        changed: Name,
        /// The service.
        service: Name,
    },
    /// Without the lock two appliers could both win.
    #[error("the plan does not raise the lock from generation {found}")]
    NoLock {
        /// Of the lock in the zone, 0 without one.
        found: u64,
    },
    /// Too much at once.
    #[error("the plan moves {:.1} % of the traffic, and guard.max_traffic_moved is {:.1} %", moved * 100.0, limit * 100.0)]
    TooMuchTraffic {
        /// The plan's share.
        moved: f64,
        /// The limit.
        limit: f64,
    },
    /// Old evidence.
    #[error("the newest evidence is {age_s} s old, and evidence.stale is {limit_s} s")]
    Stale {
        /// Its age in seconds.
        age_s: i64,
        /// The limit in seconds.
        limit_s: i64,
    },
    /// Evidence that is not from the past.
    #[error("the newest evidence ends {ahead_s} s from now")]
    FutureEvidence {
        /// Whole seconds.
        ahead_s: i64,
    },
    /// Where Route 53 sends people was computed, and not asked.
    #[error("the plan rests on modelled preferred labels, and Route 53 was not asked")]
    NotAsked,
    /// Nobody asked who would prefer which of the labels that are installed then.
    #[error("the plan changes which labels are installed, and Route 53 was not asked about those")]
    SetNotAsked,
    /// No evidence at all under a plan that moves labels.
    #[error("the plan moves labels and names no evidence")]
    NoEvidence,
    /// A freeze window.
    #[error("changes are frozen for another {left_s} s (guard.freeze)")]
    Frozen {
        /// Seconds until the window ends.
        left_s: i64,
    },
    /// Nothing would answer.
    #[error("after the plan '{name}' would have no {record_type} answer left")]
    LastAnswer {
        /// The name.
        name: Name,
        /// The type.
        record_type: RecordType,
    },
    /// A target that was not proven, or too long ago.
    #[error("endpoint {0} was not asked within the last minute whether it serves the name")]
    NoProof(String),
    /// A target that did not answer.
    #[error("endpoint {endpoint} does not answer for the service name: {cause}")]
    TargetDown {
        /// The endpoint.
        endpoint: String,
        /// Why.
        cause: String,
    },
    /// A certificate near its end.
    #[error(
        "the certificate of endpoint {endpoint} is valid for {days_left} more days, and 14 are needed"
    )]
    CertificateEnds {
        /// The endpoint.
        endpoint: String,
        /// Whole days left.
        days_left: i64,
    },
    /// Another Region's answer.
    #[error("endpoint {endpoint} does not prove its Region: {found}")]
    WrongRegion {
        /// The endpoint.
        endpoint: String,
        /// What it said.
        found: String,
    },
    /// A record set that somebody protected.
    #[error("{record_type} of '{name}' is protected in Route 53{}", noted(comment.as_ref()))]
    Protected {
        /// The name.
        name: Name,
        /// The type.
        record_type: RecordType,
        /// What was noted with the protection.
        comment: Option<String>,
    },
    /// API Gateway has no such domain.
    #[error(
        "API Gateway in {region} has no custom domain for the service name (endpoint {endpoint})"
    )]
    NoDomain {
        /// The endpoint.
        endpoint: String,
        /// Where it was asked.
        region: String,
    },
    /// Its domain is there, and not ready.
    #[error("the custom domain of endpoint {endpoint} in {region} is {status}, not AVAILABLE{}", noted(message.as_ref()))]
    DomainNotAvailable {
        /// The endpoint.
        endpoint: String,
        /// Where it was asked.
        region: String,
        /// The status.
        status: String,
        /// What API Gateway adds.
        message: Option<String>,
    },
    /// The alias and API Gateway name different targets.
    #[error(
        "endpoint {endpoint} aliases to {alias} in zone {zone}, and API Gateway in {region} says {found}"
    )]
    DomainDiffers {
        /// The endpoint.
        endpoint: String,
        /// Where it was asked.
        region: String,
        /// Of the configuration.
        alias: Name,
        /// Of the configuration.
        zone: String,
        /// What API Gateway lists.
        found: String,
    },
    /// Nothing shows the Region.
    #[error(
        "endpoint {endpoint} has no region_proof, and API Gateway in {region} did not say whether it is there: {cause}"
    )]
    NothingProves {
        /// The endpoint.
        endpoint: String,
        /// Where it was asked.
        region: String,
        /// Why there was no answer.
        cause: String,
    },
    /// The zone is not as the plan found it.
    #[error("the zone is not as the plan found it: {} appeared, {} went: {}", appeared.len(), went.len(), first_of(appeared, went))]
    Drift {
        /// Sets that were not there.
        appeared: Vec<RecordSet>,
        /// Sets that are gone.
        went: Vec<RecordSet>,
    },
}

fn noted(text: Option<&String>) -> String {
    text.map(|text| format!(" ({text})")).unwrap_or_default()
}

fn first_of(appeared: &[RecordSet], went: &[RecordSet]) -> String {
    appeared.iter().chain(went).next().map(ToString::to_string).unwrap_or_default()
}

impl Refusal {
    /// Whether this is drift, which has an exit code of its own.
    #[must_use]
    pub fn is_drift(&self) -> bool {
        matches!(self, Self::Drift { .. })
    }

    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::OtherZone { .. } => "plan again with this configuration",
            Self::NotAllowed(_) => "add the name to guard.allow, if Nearside may write it",
            Self::NotAdopted(_) => {
                "add the name to guard.adopt, and stop the tool that made the records"
            }
            Self::ExternalDns(..) => "remove the name from external-dns first",
            Self::Elsewhere { .. } | Self::NoLock { .. } => {
                "plan again: this document was not made by `advisor plan`"
            }
            Self::FutureEvidence { .. } => {
                "set the clocks of this machine and of the one that planned"
            }
            Self::NotAsked | Self::SetNotAsked => {
                "`advisor regret --install-shadow` lets Route 53 say, then plan again"
            }
            Self::TooMuchTraffic { .. } => {
                "raise guard.max_traffic_moved, if so much may move at once"
            }
            Self::Stale { .. } | Self::NoEvidence => "let the probes run, then plan again",
            Self::Frozen { .. } => "apply after the window",
            Self::LastAnswer { .. } => "keep at least one endpoint for each address type",
            Self::NoProof(_) => "apply again: targets are asked right before",
            Self::TargetDown { .. } => {
                "check the endpoint's custom domain, its certificate and its status"
            }
            Self::CertificateEnds { .. } => "renew the certificate of that Region first",
            Self::WrongRegion { .. } => {
                "check endpoint.alias and endpoint.region_proof in nearside.toml"
            }
            Self::Protected { .. } => {
                "ask whoever protected it; `aws route53 delete-resource-record-set-protections` lifts it"
            }
            Self::NoDomain { .. } => {
                "create the custom domain there, or use credentials of the account that has it"
            }
            Self::DomainNotAvailable { .. } => {
                "wait until API Gateway says AVAILABLE, then apply again"
            }
            Self::DomainDiffers { .. } => "check endpoint.alias in nearside.toml",
            Self::NothingProves { .. } => {
                "set endpoint.region_proof, or add apigateway:GET to the policy"
            }
            Self::Drift { .. } => {
                "somebody changed the zone: look at the difference, then plan again"
            }
        }
    }
}
