//! What AWS does not document, tried: whether Route 53 takes, and answers, an alias to an API Gateway domain
//! at a name that is no custom domain. Weighted groups and canaries stand on that.
//!
//! One record of ours is created, read by DNS and deleted again, whatever came of it; nothing else of the
//! zone is touched, and each wait has an end. Whoever calls has been told yes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use crate::answers::Answers as _;
use crate::domains::DomainTarget;
use crate::mark::Marks;
use crate::name::Name;
use crate::observe::Observer;
use crate::record::{Action, Answer, Change, ChangeBatch, Policy, RecordSet, RecordType};
use crate::zone::{ChangeId, ChangeStatus, Zone, ZoneError};

/// How long Route 53 may take to reach all name servers: it names 60 s as usual.
const IN_SYNC: Duration = Duration::from_mins(2);
/// How long the name servers are asked after that.
const ANSWERED: Duration = Duration::from_secs(20);
/// Between two looks.
const POLL: Duration = Duration::from_secs(1);
/// How often the record is tried to be deleted.
const DELETE_TRIES: u32 = 10;

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The record that was written.
    pub record: RecordSet,
    /// Whether Route 53 took it, or why not, in its words.
    pub taken: Result<(), String>,
    /// The addresses that the zone's name servers answered, or why there are none.
    pub answered: Result<BTreeSet<IpAddr>, String>,
    /// The addresses of the target itself.
    pub expected: BTreeSet<IpAddr>,
}

impl Trial {
    /// Whether an alias at an intermediate name works.
    #[must_use]
    pub fn holds(&self) -> bool {
        let same = |answered: &BTreeSet<IpAddr>| !answered.is_disjoint(&self.expected);
        self.taken.is_ok() && self.answered.as_ref().is_ok_and(same)
    }
}

/// Why nothing was tried, or something was left behind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrialError {
    /// Something else stands at the name.
    #[error("'{0}' is not free: {1} record sets stand there that this trial did not make")]
    Taken(Name, usize),
    /// The target's own addresses are not known, so that nothing could be compared.
    #[error("the addresses of {0} cannot be had: {1}")]
    Target(Name, String),
    /// Route 53.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The record stands still.
    #[error("the trial record '{record}' could not be deleted: {cause}")]
    Left {
        /// The record.
        record: Box<RecordSet>,
        /// Why.
        cause: ZoneError,
    },
}

impl TrialError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Taken(..) => Some("look at what stands there, and delete it if it is not needed"),
            Self::Target(..) => Some("check [dns] servers and the endpoint's alias"),
            Self::Zone(error) => error.hint(),
            Self::Left { .. } => {
                Some("delete it by hand, or run the trial again: it begins by that")
            }
        }
    }
}

/// The record of a trial: below the service's own prefix, to one endpoint.
#[must_use]
pub fn record(service: &Name, target: &DomainTarget) -> RecordSet {
    RecordSet {
        name: Marks::of(service).trial(),
        record_type: RecordType::A,
        set_identifier: None,
        policy: Policy::Simple,
        answer: Answer::Alias {
            hosted_zone_id: target.hosted_zone_id.clone(),
            dns_name: target.dns_name.clone(),
            evaluate_target_health: false,
        },
        health_check: None,
    }
}

/// Tries it, and cleans up.
pub async fn run<Z: Zone>(
    zone: &Z,
    observer: &Observer,
    endpoint: &str,
    record: RecordSet,
) -> Result<Trial, TrialError> {
    free(zone, &record).await?;
    let target = record.alias_target().cloned().unwrap_or_else(|| record.name.clone());
    let expected = observer.target_addresses(endpoint, &RecordType::A).await;
    let expected = expected.map_err(|cause| TrialError::Target(target.clone(), cause))?;
    let refused = |code, messages: Vec<String>| Trial {
        taken: Err(format!("{code}: {}", messages.join("; "))),
        answered: Err("it was not taken".into()),
        record: record.clone(),
        expected: expected.clone(),
    };
    let change = match zone.change(&batch(Action::Create, &record)).await {
        Ok(change) => Some(change),
        Err(ZoneError::Refused { code, messages }) => return Ok(refused(code, messages)),
        // It may have been taken: it is read like any other, and deleted where it stands.
        Err(ZoneError::Unsettled(_)) => None,
        Err(error) => return Err(error.into()),
    };
    if let Some(change) = &change {
        in_sync(zone, change).await;
    }
    let answered = answers(observer, &record.name, &expected).await;
    remove(zone, &record).await?;
    Ok(Trial { record, taken: Ok(()), answered, expected })
}

/// Nothing may stand at the name but what an earlier trial left, which is taken away.
async fn free<Z: Zone>(zone: &Z, record: &RecordSet) -> Result<(), TrialError> {
    let standing = zone.record_sets(&record.name).await?;
    match standing.as_slice() {
        [] => Ok(()),
        [left] if is_trial(left, record) => remove(zone, &left.clone()).await,
        others => Err(TrialError::Taken(record.name.clone(), others.len())),
    }
}

/// A simple alias at the trial's name: nobody but a trial makes one there.
fn is_trial(left: &RecordSet, record: &RecordSet) -> bool {
    left.key() == record.key() && left.alias_target().is_some() && left.policy == Policy::Simple
}

fn batch(action: Action, record: &RecordSet) -> ChangeBatch {
    let change = Change { action, resource_record_set: record.clone() };
    ChangeBatch { comment: "nearside: trial of an alias".into(), changes: vec![change] }
}

async fn in_sync<Z: Zone>(zone: &Z, change: &ChangeId) {
    let looked = async {
        while zone.change_status(change).await != Ok(ChangeStatus::InSync) {
            tokio::time::sleep(POLL).await;
        }
    };
    // Without INSYNC the name servers are asked all the same; what they say counts.
    let _ = tokio::time::timeout(IN_SYNC, looked).await;
}

/// Asks until the answer has an address that is expected, or the time is over.
async fn answers(
    observer: &Observer,
    name: &Name,
    expected: &BTreeSet<IpAddr>,
) -> Result<BTreeSet<IpAddr>, String> {
    let mut tries = ANSWERED.as_secs() / POLL.as_secs();
    loop {
        let answered = observer.addresses(name).await.map_err(|error| error.to_string());
        let found = answered.as_ref().is_ok_and(|found| !found.is_disjoint(expected));
        tries -= 1;
        if found || tries == 0 {
            return answered;
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Deletes exactly this record, patiently; that it is not there is as good.
async fn remove<Z: Zone>(zone: &Z, record: &RecordSet) -> Result<(), TrialError> {
    let mut tries = 1;
    loop {
        let Err(cause) = zone.change(&batch(Action::Delete, record)).await else {
            return Ok(());
        };
        let gone = zone.record_sets(&record.name).await.is_ok_and(|sets| !sets.contains(record));
        if gone {
            return Ok(());
        }
        if tries == DELETE_TRIES {
            return Err(TrialError::Left { record: Box::new(record.clone()), cause });
        }
        tries += 1;
        tokio::time::sleep(POLL).await;
    }
}
