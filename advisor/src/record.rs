//! Record sets, changes and batches as Route 53 has them, in types that cannot mix up policies.
//!
//! Shapes and their spelling in JSON (the AWS CLI's own member names); no decisions.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::name::{Label, Name};

/// The type of a record set. Types the advisor never writes are kept by their name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Text.
    Txt,
    /// Any other, as Route 53 spells it.
    Other(String),
}

impl RecordType {
    /// Reads Route 53's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "A" => Self::A,
            "AAAA" => Self::Aaaa,
            "TXT" => Self::Txt,
            other => Self::Other(other.to_owned()),
        }
    }

    /// Route 53's spelling.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::A => "A",
            Self::Aaaa => "AAAA",
            Self::Txt => "TXT",
            Self::Other(text) => text,
        }
    }

    /// Whether it answers a client's question for an address.
    #[must_use]
    pub fn is_address(&self) -> bool {
        matches!(self, Self::A | Self::Aaaa)
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How Route 53 chooses among the sets of one name and type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Policy {
    /// One set, always answered.
    Simple,
    /// In proportion to weights, 0 to 255.
    Weighted(u8),
    /// By network latency to a Region.
    Latency(Label),
    /// A policy that is never written and never converted: its name and its figures, as text.
    Foreign {
        /// `geolocation`, `failover`, `multivalue`, `cidr`, `geoproximity` or `traffic policy`.
        kind: String,
        /// What distinguishes this set, for people and for comparing.
        detail: String,
    },
}

/// What a record set answers with.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Answer {
    /// Its own values.
    Values {
        /// Seconds.
        ttl_s: u32,
        /// As Route 53 spells them; TXT values with their quotes.
        values: Vec<String>,
    },
    /// Whatever another name answers.
    Alias {
        /// Of the target.
        hosted_zone_id: String,
        /// The target.
        dns_name: Name,
        /// Whether the target's health counts.
        evaluate_target_health: bool,
    },
}

/// The health check that a record set names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HealthCheck {
    /// One that exists, by id.
    Id(String),
    /// One that applying finds or creates, by its CallerReference. Never sent to Route 53.
    Reference(String),
}

/// One record set, whole.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "Wire", try_from = "Wire")]
pub struct RecordSet {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub record_type: RecordType,
    /// What tells it from the others of its group; `None` for simple sets only.
    pub set_identifier: Option<String>,
    /// How it is chosen.
    pub policy: Policy,
    /// What it answers.
    pub answer: Answer,
    /// When it is answered.
    pub health_check: Option<HealthCheck>,
}

impl RecordSet {
    /// A TXT set of one value without any policy. `text` must be printable ASCII without quotes.
    #[must_use]
    pub fn txt(name: Name, ttl_s: u32, text: &str) -> Self {
        Self {
            name,
            record_type: RecordType::Txt,
            set_identifier: None,
            policy: Policy::Simple,
            answer: Answer::Values { ttl_s, values: vec![format!("\"{text}\"")] },
            health_check: None,
        }
    }

    /// The label, of a latency set.
    #[must_use]
    pub fn label(&self) -> Option<&Label> {
        match &self.policy {
            Policy::Latency(label) => Some(label),
            _ => None,
        }
    }

    /// The target, of an alias.
    #[must_use]
    pub fn alias_target(&self) -> Option<&Name> {
        match &self.answer {
            Answer::Alias { dns_name, .. } => Some(dns_name),
            Answer::Values { .. } => None,
        }
    }

    /// The values without quotes; nothing for an alias.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let values = match &self.answer {
            Answer::Values { values, .. } => values.as_slice(),
            Answer::Alias { .. } => &[],
        };
        values.iter().map(|value| value.trim_matches('"'))
    }

    /// What identifies the set in its zone: name, type, set identifier.
    #[must_use]
    pub fn key(&self) -> (&Name, &RecordType, Option<&str>) {
        (&self.name, &self.record_type, self.set_identifier.as_deref())
    }
}

impl fmt::Display for RecordSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.record_type)?;
        match &self.policy {
            Policy::Simple => {}
            Policy::Weighted(weight) => write!(f, " weight {weight}")?,
            Policy::Latency(label) => write!(f, " latency {label}")?,
            Policy::Foreign { kind, detail } => write!(f, " {kind} {detail}")?,
        }
        match &self.answer {
            Answer::Values { ttl_s, values } => write!(f, " -> {} ({ttl_s} s)", values.join(" "))?,
            Answer::Alias { dns_name, .. } => write!(f, " -> {dns_name}")?,
        }
        match &self.health_check {
            Some(HealthCheck::Id(id)) => write!(f, " [health check {id}]"),
            Some(HealthCheck::Reference(name)) => write!(f, " [health check {name}]"),
            None => Ok(()),
        }
    }
}

/// What a change does. There is no UPSERT: it overwrites what it has not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Action {
    /// Removes exactly this set; fails if it is not as given.
    #[serde(rename = "DELETE")]
    Delete,
    /// Adds this set; fails if it is there.
    #[serde(rename = "CREATE")]
    Create,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Delete => "DELETE",
            Self::Create => "CREATE",
        })
    }
}

/// One change of one record set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Change {
    /// What to do.
    pub action: Action,
    /// With which set.
    pub resource_record_set: RecordSet,
}

impl Change {
    /// The change that takes this one back.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let action = match self.action {
            Action::Delete => Action::Create,
            Action::Create => Action::Delete,
        };
        Self { action, resource_record_set: self.resource_record_set.clone() }
    }
}

/// What one call of ChangeResourceRecordSets takes: all or nothing, in this order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ChangeBatch {
    /// At most 256 characters.
    pub comment: String,
    /// In the order in which Route 53 validates them.
    pub changes: Vec<Change>,
}

/// The spelling in JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Wire {
    name: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    set_identifier: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    foreign_policy: Option<(String, String)>,
    #[serde(rename = "TTL", skip_serializing_if = "Option::is_none")]
    ttl: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_records: Option<Vec<WireValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    alias_target: Option<WireAlias>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check_reference: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct WireValue {
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireAlias {
    #[serde(rename = "HostedZoneId")]
    hosted_zone_id: String,
    #[serde(rename = "DNSName")]
    dns_name: String,
    #[serde(rename = "EvaluateTargetHealth")]
    evaluate_target_health: bool,
}

impl From<RecordSet> for Wire {
    fn from(set: RecordSet) -> Self {
        let (weight, region, foreign_policy) = match set.policy {
            Policy::Simple => (None, None, None),
            Policy::Weighted(weight) => (Some(weight), None, None),
            Policy::Latency(label) => (None, Some(label.as_str().to_owned()), None),
            Policy::Foreign { kind, detail } => (None, None, Some((kind, detail))),
        };
        let (ttl, resource_records, alias_target) = match set.answer {
            Answer::Values { ttl_s, values } => {
                let values = values.into_iter().map(|value| WireValue { value }).collect();
                (Some(ttl_s), Some(values), None)
            }
            Answer::Alias { hosted_zone_id, dns_name, evaluate_target_health } => {
                let dns_name = dns_name.as_str().to_owned();
                (None, None, Some(WireAlias { hosted_zone_id, dns_name, evaluate_target_health }))
            }
        };
        let (health_check_id, health_check_reference) = match set.health_check {
            None => (None, None),
            Some(HealthCheck::Id(id)) => (Some(id), None),
            Some(HealthCheck::Reference(reference)) => (None, Some(reference)),
        };
        Self {
            name: set.name.as_str().to_owned(),
            r#type: set.record_type.as_str().to_owned(),
            set_identifier: set.set_identifier,
            weight,
            region,
            foreign_policy,
            ttl,
            resource_records,
            alias_target,
            health_check_id,
            health_check_reference,
        }
    }
}

impl TryFrom<Wire> for RecordSet {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let name = Name::parse(&wire.name).map_err(|error| error.to_string())?;
        let policy = match (wire.weight, wire.region, wire.foreign_policy) {
            (None, None, None) => Policy::Simple,
            (Some(weight), None, None) => Policy::Weighted(weight),
            (None, Some(region), None) => Policy::Latency(Label::new(&region)),
            (None, None, Some((kind, detail))) => Policy::Foreign { kind, detail },
            _ => return Err(format!("record set '{name}' has more than one routing policy")),
        };
        let answer = match (wire.ttl, wire.resource_records, wire.alias_target) {
            (Some(ttl_s), Some(values), None) => {
                Answer::Values { ttl_s, values: values.into_iter().map(|v| v.value).collect() }
            }
            (None, None, Some(alias)) => Answer::Alias {
                hosted_zone_id: alias.hosted_zone_id,
                dns_name: Name::parse(&alias.dns_name).map_err(|error| error.to_string())?,
                evaluate_target_health: alias.evaluate_target_health,
            },
            _ => {
                return Err(format!(
                    "record set '{name}' is neither an alias nor a list of values"
                ));
            }
        };
        let health_check = match (wire.health_check_id, wire.health_check_reference) {
            (None, None) => None,
            (Some(id), None) => Some(HealthCheck::Id(id)),
            (None, Some(reference)) => Some(HealthCheck::Reference(reference)),
            _ => return Err(format!("record set '{name}' names two health checks")),
        };
        let record_type = RecordType::parse(&wire.r#type);
        let set_identifier = wire.set_identifier;
        Ok(Self { name, record_type, set_identifier, policy, answer, health_check })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_has_the_members_of_the_aws_cli_and_comes_back_whole() {
        let set = RecordSet {
            name: Name::parse("api.example.com").unwrap(),
            record_type: RecordType::Aaaa,
            set_identifier: Some("eu".into()),
            policy: Policy::Latency(Label::new("eu-west-1")),
            answer: Answer::Alias {
                hosted_zone_id: "ZLY8HYME6SFDD".into(),
                dns_name: Name::parse("d-1.execute-api.eu-west-1.amazonaws.com").unwrap(),
                evaluate_target_health: false,
            },
            health_check: Some(HealthCheck::Reference("nearside-1".into())),
        };
        let change = Change { action: Action::Create, resource_record_set: set };
        let json = serde_json::to_string(&change).unwrap();
        insta::assert_snapshot!(json, @r#"{"Action":"CREATE","ResourceRecordSet":{"Name":"api.example.com.","Type":"AAAA","SetIdentifier":"eu","Region":"eu-west-1","AliasTarget":{"HostedZoneId":"ZLY8HYME6SFDD","DNSName":"d-1.execute-api.eu-west-1.amazonaws.com.","EvaluateTargetHealth":false},"HealthCheckReference":"nearside-1"}}"#);
        assert_eq!(serde_json::from_str::<Change>(&json).unwrap(), change);
        assert_eq!(change.inverse().inverse(), change);
    }

    #[test]
    fn a_set_with_two_policies_is_refused() {
        let json = r#"{"Name":"a.b.","Type":"A","Weight":1,"Region":"eu-west-1","TTL":60,"ResourceRecords":[]}"#;
        let error = serde_json::from_str::<RecordSet>(json).unwrap_err().to_string();
        assert!(error.contains("more than one routing policy"), "{error}");
    }
}
