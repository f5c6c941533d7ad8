//! The seam to what clients would see: DNS answers and endpoints over TLS.
//!
//! A trait and its types; the implementation over sockets is in `observe`.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;

use probe::url::IpPrefix;

use crate::guard::TargetProof;
use crate::mark::Shadow;
use crate::name::Label;
use crate::record::RecordType;

/// A question as a client near one vantage would ask it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question {
    /// The vantage.
    pub vantage: String,
    /// `A` or `AAAA`.
    pub family: RecordType,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The question.
    pub question: Question,
    /// The addresses, or why there are none.
    pub addresses: Result<BTreeSet<IpAddr>, String>,
    /// The endpoint whose Region the answered address proved over TLS; asked for IPv4 only, and
    /// only where the configuration says how a Region is proven.
    pub proven: Option<Result<String, String>>,
}

/// Why a question to the name servers has no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// No name server could be reached by DNS.
    #[error("{0}")]
    Unreachable(String),
    /// A name server answered, and not with what was asked for.
    #[error("{0}")]
    Unusable(String),
}

/// What clients see.
pub trait Answers: Sync {
    /// The label that Route 53 prefers for each vantage that has a subnet, by a shadow group.
    fn preferred(
        &self,
        shadow: Shadow,
    ) -> impl Future<Output = Result<BTreeMap<String, Label>, AskError>> + Send;

    /// The label that Route 53 prefers for clients in this subnet, by a shadow group.
    fn preferred_for(
        &self,
        shadow: Shadow,
        subnet: IpPrefix,
    ) -> impl Future<Output = Result<Label, AskError>> + Send;

    /// Asks each endpoint, as clients would, whether it serves the name.
    fn prove(&self, endpoints: &[String]) -> impl Future<Output = Vec<TargetProof>> + Send;

    /// The addresses that an endpoint's alias target has, of one family.
    fn target_addresses(
        &self,
        endpoint: &str,
        family: &RecordType,
    ) -> impl Future<Output = Result<BTreeSet<IpAddr>, String>> + Send;

    /// Asks for the service name as clients near each vantage would.
    fn answers(&self, families: &[RecordType]) -> impl Future<Output = Vec<Answered>> + Send;

    /// Whether every name server shows this text at the lock's name.
    fn lock_is_everywhere(&self, run: &str) -> impl Future<Output = bool> + Send;
}
