//! The advisor's own names and texts in a zone: lock, owner marker, shadow groups.
//!
//! For a service name N everything of ours lies at `_nearside-*.N`; nothing but routing records
//! ever stands at N itself. Spelling and reading only.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::{Label, Name};
use crate::record::{Policy, RecordSet, RecordType};
use crate::topology::Arm;

/// How long a lock or a marker may be cached. Nobody resolves them but the advisor.
const MARK_TTL_S: u32 = 60;

/// The two shadow groups: TXT latency sets whose answer names the label that Route 53 prefers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shadow {
    /// With exactly the labels that are installed.
    Live,
    /// With exactly the labels of the plan.
    Next,
}

/// The names below one service name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Marks {
    service: Name,
}

impl Marks {
    /// The names for `service`.
    #[must_use]
    pub fn of(service: &Name) -> Self {
        Self { service: service.clone() }
    }

    /// Where the lock stands: one TXT whose replacement serialises all appliers.
    #[must_use]
    pub fn lock(&self) -> Name {
        self.service.child("_nearside-lock")
    }

    /// Where a record is tried that stands for a moment only.
    #[must_use]
    pub fn trial(&self) -> Name {
        self.service.child("_nearside-trial")
    }

    /// Where the owner marker stands.
    #[must_use]
    pub fn owner(&self) -> Name {
        self.service.child("_nearside-owner")
    }

    /// Where a shadow group stands.
    #[must_use]
    pub fn shadow(&self, shadow: Shadow) -> Name {
        self.service.child(match shadow {
            Shadow::Live => "_nearside-live",
            Shadow::Next => "_nearside-next",
        })
    }

    /// Where the weighted group of a label stands.
    #[must_use]
    pub fn weighted(&self, label: &Label) -> Name {
        self.service.child(&format!("_nearside-{label}"))
    }

    /// Where an arm's latency tree stands.
    #[must_use]
    pub fn arm(&self, arm: Arm) -> Name {
        self.service.child(&format!("_nearside-{arm}"))
    }

    /// Whether a name is one of ours: directly below the service, not below a service within it.
    #[must_use]
    pub fn is_ours(&self, name: &Name) -> bool {
        let first = name.first_label();
        first.starts_with("_nearside-") && *name == self.service.child(first)
    }

    /// The lock as a record set. `run` is the applier's token; a plan has none yet.
    #[must_use]
    pub fn lock_set(&self, generation: u64, run: Option<&str>) -> RecordSet {
        let run = run.map(|run| format!(" run={run}")).unwrap_or_default();
        RecordSet::txt(self.lock(), MARK_TTL_S, &format!("v=1 generation={generation}{run}"))
    }

    /// The owner marker as a record set.
    #[must_use]
    pub fn owner_set(&self, generation: u64) -> RecordSet {
        let text = format!("v=1 owner=nearside generation={generation}");
        RecordSet::txt(self.owner(), MARK_TTL_S, &text)
    }

    /// A shadow group: one TXT latency set a label, without health checks.
    #[must_use]
    pub fn shadow_sets<'a>(
        &self,
        shadow: Shadow,
        labels: impl Iterator<Item = &'a Label>,
    ) -> Vec<RecordSet> {
        labels
            .map(|label| RecordSet {
                set_identifier: Some(format!("nearside-{label}")),
                policy: Policy::Latency(label.clone()),
                ..RecordSet::txt(self.shadow(shadow), MARK_TTL_S, &format!("v=1 label={label}"))
            })
            .collect()
    }

    /// The labels of an installed shadow group.
    #[must_use]
    pub fn shadow_labels(&self, shadow: Shadow, records: &[RecordSet]) -> BTreeSet<Label> {
        let name = self.shadow(shadow);
        records
            .iter()
            .filter(|set| set.name == name && set.record_type == RecordType::Txt)
            .filter_map(|set| set.label().cloned())
            .collect()
    }

    /// The generation of the lock, 0 where there is none yet.
    #[must_use]
    pub fn generation(&self, records: &[RecordSet]) -> u64 {
        let lock = self.lock();
        records
            .iter()
            .filter(|set| set.name == lock)
            .flat_map(RecordSet::texts)
            .filter_map(|text| fields(text).get("generation")?.parse().ok())
            .max()
            .unwrap_or_default()
    }

    /// Whether the service name carries our owner marker.
    #[must_use]
    pub fn is_owned(&self, records: &[RecordSet]) -> bool {
        let owner = self.owner();
        records
            .iter()
            .filter(|set| set.name == owner)
            .flat_map(RecordSet::texts)
            .any(|text| fields(text).get("owner") == Some(&"nearside"))
    }
}

/// The `key=value` fields of one of our texts; nothing of a text with another version.
#[must_use]
pub fn fields(text: &str) -> BTreeMap<&str, &str> {
    let fields: BTreeMap<&str, &str> =
        text.split_ascii_whitespace().filter_map(|field| field.split_once('=')).collect();
    if fields.get("v") == Some(&"1") { fields } else { BTreeMap::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_says_its_generation() {
        let marks = Marks::of(&Name::parse("api.example.com").unwrap());
        let lock = marks.lock_set(7, Some("a1b2"));
        assert_eq!(
            lock.to_string(),
            "_nearside-lock.api.example.com TXT -> \"v=1 generation=7 run=a1b2\" (60 s)"
        );
        assert_eq!(marks.generation(&[lock]), 7);
        assert_eq!(marks.generation(&[]), 0);
    }

    #[test]
    fn texts_of_another_version_say_nothing() {
        assert!(fields("v=2 owner=nearside").is_empty());
        assert!(fields("heritage=external-dns").is_empty());
    }

    #[test]
    fn only_our_names_are_ours() {
        let marks = Marks::of(&Name::parse("api.example.com").unwrap());
        for (name, ours) in [
            ("_nearside-lock.api.example.com", true),
            ("api.example.com", false),
            ("_nearside-lock.example.com", false),
            ("eu-west-1.api.example.com", false),
            ("_nearside-lock.eu.api.example.com", false),
        ] {
            assert_eq!(marks.is_ours(&Name::parse(name).unwrap()), ours, "{name}");
        }
    }
}
