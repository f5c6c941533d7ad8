//! The words of the Route 53 API: record sets, changes, aliases. Shapes only, no rules.

use super::model_words::words;
use super::name::Name;

words! {
    /// The type of a record set.
    RrType {
        /// Start of authority.
        Soa = "SOA",
        /// IPv4 address.
        A = "A",
        /// Text.
        Txt = "TXT",
        /// Name server.
        Ns = "NS",
        /// Canonical name.
        Cname = "CNAME",
        /// Mail exchange.
        Mx = "MX",
        /// Naming authority pointer.
        Naptr = "NAPTR",
        /// Pointer.
        Ptr = "PTR",
        /// Service.
        Srv = "SRV",
        /// Sender policy, the old type.
        Spf = "SPF",
        /// IPv6 address.
        Aaaa = "AAAA",
        /// Certification authority authorization.
        Caa = "CAA",
        /// Delegation signer.
        Ds = "DS",
        /// Certificate association.
        Tlsa = "TLSA",
        /// SSH key fingerprint.
        Sshfp = "SSHFP",
        /// Service binding.
        Svcb = "SVCB",
        /// Service binding for HTTPS.
        Https = "HTTPS",
    }
}

words! {
    /// What a change does.
    Action {
        /// Make a set that does not exist.
        Create = "CREATE",
        /// Remove a set that matches exactly.
        Delete = "DELETE",
        /// Make a set, or replace it.
        Upsert = "UPSERT",
    }
}

words! {
    /// Role of a failover set.
    Failover {
        /// Answers while healthy.
        Primary = "PRIMARY",
        /// Answers while the primary is not.
        Secondary = "SECONDARY",
    }
}

/// Where a geolocation set applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GeoLocation {
    /// A continent code.
    Continent(String),
    /// A country code; `*` is the default location.
    Country(String),
    /// A country and a subdivision of it.
    Subdivision(String, String),
}

/// The place of a geoproximity set.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GeoPlace {
    /// An AWS Region.
    Region(String),
    /// A local zone group.
    LocalZoneGroup(String),
    /// Latitude and longitude, as given.
    Coordinates(String, String),
}

/// The routing policy of a set that is not simple.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Policy {
    /// By weight, 0 to 255.
    Weighted(u8),
    /// By the latency label.
    Latency(String),
    /// By role and health.
    Failover(Failover),
    /// By the client's place.
    Geolocation(GeoLocation),
    /// Up to eight healthy sets at once.
    Multivalue,
    /// By the client's network.
    Cidr {
        /// The collection's id.
        collection: String,
        /// The location in it; `*` is the default.
        location: String,
    },
    /// By distance.
    Geoproximity {
        /// Where.
        place: GeoPlace,
        /// −99 to 99; `None` where none was given.
        bias: Option<i8>,
    },
}

impl Policy {
    /// The word of AWS's messages for the policy.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Weighted(_) => "weighted",
            Self::Latency(_) => "latency",
            Self::Failover(_) => "failover",
            Self::Geolocation(_) => "geolocation",
            Self::Multivalue => "multivalue answer",
            Self::Cidr { .. } => "cidr",
            Self::Geoproximity { .. } => "geoproximity",
        }
    }
}

/// A policy with the identifier that it requires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routing {
    /// Unique in a (name, type) group.
    pub set_identifier: String,
    /// The policy.
    pub policy: Policy,
}

/// The target of an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AliasTarget {
    /// The hosted zone of the target.
    pub hosted_zone_id: String,
    /// The target.
    pub dns_name: Name,
    /// Whether the target's health decides.
    pub evaluate_target_health: bool,
}

/// What a set answers with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Values and their TTL.
    Records {
        /// Seconds.
        ttl_s: u32,
        /// Values in presentation form.
        values: Vec<String>,
    },
    /// An alias.
    Alias(AliasTarget),
}

/// A resource record set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordSet {
    /// The name.
    pub name: Name,
    /// The type.
    pub kind: RrType,
    /// `None` for a simple set.
    pub routing: Option<Routing>,
    /// Values or an alias.
    pub data: Data,
    /// The health check that decides, if any.
    pub health_check_id: Option<String>,
}

impl RecordSet {
    /// A simple set of values.
    #[must_use]
    pub fn simple(name: Name, kind: RrType, ttl_s: u32, values: Vec<String>) -> Self {
        let data = Data::Records { ttl_s, values };
        Self { name, kind, routing: None, data, health_check_id: None }
    }

    /// The set identifier; `None` for a simple set.
    #[must_use]
    pub fn set_identifier(&self) -> Option<&str> {
        self.routing.as_ref().map(|routing| routing.set_identifier.as_str())
    }

    /// The policy; `None` for a simple set.
    #[must_use]
    pub fn policy(&self) -> Option<&Policy> {
        self.routing.as_ref().map(|routing| &routing.policy)
    }

    /// The alias target, if the set is an alias.
    #[must_use]
    pub fn alias(&self) -> Option<&AliasTarget> {
        match &self.data {
            Data::Alias(target) => Some(target),
            Data::Records { .. } => None,
        }
    }

    /// Whether two sets say the same. The order of values does not count.
    #[must_use]
    pub fn matches(&self, other: &RecordSet) -> bool {
        let same_data = match (&self.data, &other.data) {
            (
                Data::Records { ttl_s: a_ttl, values: a },
                Data::Records { ttl_s: b_ttl, values: b },
            ) => {
                let (mut a, mut b) = (a.clone(), b.clone());
                a.sort();
                b.sort();
                a_ttl == b_ttl && a == b
            }
            (a, b) => a == b,
        };
        same_data
            && self.name == other.name
            && self.kind == other.kind
            && self.routing == other.routing
            && self.health_check_id == other.health_check_id
    }
}

/// One change of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What is done.
    pub action: Action,
    /// To what; for DELETE all values must be those of the zone.
    pub set: RecordSet,
}

/// A batch of changes: all are made, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBatch {
    /// A comment that comes back in the change's info.
    pub comment: Option<String>,
    /// In the order in which they are made.
    pub changes: Vec<Change>,
}
