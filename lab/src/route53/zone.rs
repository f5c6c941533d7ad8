//! A hosted zone: its latest record sets, those that DNS serves, and the changes in between.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::model::{RecordSet, RrType};
use super::name::Name;
use super::records::Records;

/// TTL of the NS sets that come with a zone, seconds.
const NS_TTL_S: u32 = 172_800;
/// TTL of the SOA set that comes with a zone, seconds.
const SOA_TTL_S: u32 = 900;

/// A hosted zone.
#[derive(Debug, Clone)]
pub struct Zone {
    /// The id, without `/hostedzone/`.
    pub id: String,
    /// The name.
    pub name: Name,
    /// The reference its creator gave.
    pub caller_reference: String,
    /// The comment of its configuration.
    pub comment: Option<String>,
    /// Its four name servers, with the trailing dot.
    pub name_servers: [String; 4],
    /// Protected names and types, with the comment of the protection.
    pub protections: BTreeMap<(Name, RrType), Option<String>>,
    latest: Records,
    served: Records,
    pending: VecDeque<(Duration, Records)>,
    busy_until: Duration,
}

impl Zone {
    /// A zone with its SOA and NS sets.
    #[must_use]
    pub fn new(
        id: String,
        name: Name,
        caller_reference: String,
        comment: Option<String>,
        name_servers: [String; 4],
    ) -> Self {
        let mut records = Records::default();
        let servers = name_servers.to_vec();
        let soa =
            format!("{} awsdns-hostmaster.amazon.com. 1 7200 900 1209600 86400", name_servers[0]);
        records.put(RecordSet::simple(name.clone(), RrType::Ns, NS_TTL_S, servers));
        records.put(RecordSet::simple(name.clone(), RrType::Soa, SOA_TTL_S, vec![soa]));
        Self {
            id,
            name,
            caller_reference,
            comment,
            name_servers,
            protections: BTreeMap::new(),
            latest: records.clone(),
            served: records,
            pending: VecDeque::new(),
            busy_until: Duration::ZERO,
        }
    }

    /// The record sets as the last accepted change left them.
    #[must_use]
    pub fn latest(&self) -> &Records {
        &self.latest
    }

    /// The record sets that DNS serves: those of the last change in sync. Call `advance` before.
    #[must_use]
    pub fn served(&self) -> &Records {
        &self.served
    }

    /// Whether only the SOA and NS sets of the apex are left.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        let own =
            |set: &RecordSet| set.name == self.name && matches!(set.kind, RrType::Ns | RrType::Soa);
        self.latest.iter().all(|set| own(set))
    }

    /// Whether an earlier change is still being processed.
    #[must_use]
    pub fn is_busy(&self, now: Duration) -> bool {
        now < self.busy_until
    }

    /// Takes the outcome of an accepted change: processed until `busy_until`, served from
    /// `insync_at`.
    pub fn accept(&mut self, records: Records, busy_until: Duration, insync_at: Duration) {
        self.latest = records.clone();
        self.busy_until = busy_until;
        self.pending.push_back((insync_at, records));
    }

    /// Lets DNS serve what has become in sync by `now`.
    pub fn advance(&mut self, now: Duration) {
        while self.pending.front().is_some_and(|(at, _)| *at <= now) {
            if let Some((_, records)) = self.pending.pop_front() {
                self.served = records;
            }
        }
    }

    /// How many changes are not in sync.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }
}
