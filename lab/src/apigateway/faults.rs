//! What can be wrong with the service's custom domain in one Region, on request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DomainFault {
    /// The domain has this status, and not `AVAILABLE`.
    Status(String),
    /// There is no such domain.
    Missing,
    /// The caller has no permission for API Gateway.
    Denied,
    /// The caller's temporary credentials are over.
    Expired,
    /// The account has not enabled the Region.
    NotEnabled,
    /// API Gateway's clock is so many seconds ahead of the machine's.
    ClockAhead(i64),
}

impl DomainFault {
    /// Changes what a Region lists.
    pub(super) fn change(&self, service: &str, listed: &mut Vec<Value>) {
        match self {
            Self::Missing => listed.retain(|domain| domain["domainName"] != service),
            Self::Status(status) => {
                for domain in listed.iter_mut().filter(|one| one["domainName"] == service) {
                    match domain.get_mut("domainNameConfigurations") {
                        Some(v2) => v2[0]["domainNameStatus"] = json!(status),
                        None => domain["domainNameStatus"] = json!(status),
                    }
                }
            }
            Self::Denied | Self::Expired | Self::NotEnabled | Self::ClockAhead(_) => {}
        }
    }
}

/// The faults of all Regions, shared with whoever sets them.
#[derive(Clone, Debug, Default)]
pub struct DomainFaults(Arc<Mutex<BTreeMap<String, DomainFault>>>);

impl DomainFaults {
    /// From now on this is wrong in a Region.
    pub fn set(&self, region: &str, fault: DomainFault) {
        let mut faults = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        faults.insert(region.to_owned(), fault);
    }

    /// Nothing is wrong any more.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(super) fn of(&self, region: &str) -> Option<DomainFault> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(region).cloned()
    }
}
