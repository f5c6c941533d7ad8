//! From two states to one ordered batch: the difference, and the order Route 53 accepts.
//!
//! Pure. DELETE carries the exact old set and CREATE the new one, so that the batch is a
//! compare-and-swap; nothing is ever overwritten blindly.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::Name;
use crate::record::{Action, Change, ChangeBatch, HealthCheck, RecordSet};

/// ResourceRecord elements in one request, aliases among them (Route 53's limit).
pub const MAX_ELEMENTS: usize = 1_000;
/// Characters over all values in one request (Route 53's limit).
pub const MAX_VALUE_CHARACTERS: usize = 32_000;
/// Characters of a batch's comment (Route 53's limit).
pub const MAX_COMMENT_CHARACTERS: usize = 256;

/// Why changes do not make a batch.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More than one request holds.
    #[error("{what} of the batch is {actual}, more than Route 53 takes at once ({limit})")]
    TooLarge {
        /// What was counted.
        what: &'static str,
        /// How many there are.
        actual: usize,
        /// How many may be.
        limit: usize,
    },
    /// A health check was not created before its record.
    #[error("health check '{0}' has no id yet")]
    NoHealthCheck(String),
}

/// The changes that turn `current` into `desired`, in an order that Route 53 accepts.
///
/// It validates a batch sequentially, so: aliases are deleted before their targets, deletes come
/// before creates, and targets are created before aliases to them. Sets that stay are not touched.
#[must_use]
pub fn difference(current: &[RecordSet], desired: &[RecordSet]) -> Vec<Change> {
    let only_in = |these: &[RecordSet], those: &[RecordSet]| -> Vec<RecordSet> {
        let those: BTreeSet<&RecordSet> = those.iter().collect();
        these.iter().filter(|set| !those.contains(set)).cloned().collect()
    };
    let mut deletes = only_in(current, desired);
    let mut creates = only_in(desired, current);
    let (before, after) = (alias_depths(current), alias_depths(desired));
    let depth = |depths: &BTreeMap<Name, usize>, set: &RecordSet| depths.get(&set.name).copied();
    deletes.sort_by_key(|set| (std::cmp::Reverse(depth(&before, set)), set.clone()));
    creates.sort_by_key(|set| (depth(&after, set), set.clone()));
    let change = |action| move |resource_record_set| Change { action, resource_record_set };
    deletes
        .into_iter()
        .map(change(Action::Delete))
        .chain(creates.into_iter().map(change(Action::Create)))
        .collect()
}

/// How many aliases within `sets` lie between each name and its end; cycles are cut.
pub(crate) fn alias_depths(sets: &[RecordSet]) -> BTreeMap<Name, usize> {
    fn depth(name: &Name, sets: &[RecordSet], left: usize) -> usize {
        let targets =
            sets.iter().filter(|set| set.name == *name).filter_map(RecordSet::alias_target);
        let inside = targets.filter(|target| sets.iter().any(|set| set.name == **target));
        inside
            .map(|target| if left == 0 { 0 } else { 1 + depth(target, sets, left - 1) })
            .max()
            .unwrap_or(0)
    }
    const DEEPEST: usize = 8;
    sets.iter().map(|set| (set.name.clone(), depth(&set.name, sets, DEEPEST))).collect()
}

/// The states a batch leaves behind: `current` with `changes` made. For checking, not for DNS.
#[must_use]
pub fn applied(current: &[RecordSet], changes: &[Change]) -> Vec<RecordSet> {
    let mut sets = current.to_vec();
    for change in changes {
        match change.action {
            Action::Delete => sets.retain(|set| *set != change.resource_record_set),
            Action::Create => sets.push(change.resource_record_set.clone()),
        }
    }
    sets.sort();
    sets
}

/// Puts health check ids in and checks the limits of one request.
pub fn batch(
    changes: &[Change],
    comment: &str,
    ids: &BTreeMap<String, String>,
) -> Result<ChangeBatch, BatchError> {
    let changes: Vec<Change> =
        changes.iter().map(|change| with_ids(change, ids)).collect::<Result<_, _>>()?;
    let values = |change: &Change| -> usize { change.resource_record_set.texts().count().max(1) };
    within("the number of records", changes.iter().map(values).sum(), MAX_ELEMENTS)?;
    let characters = |change: &Change| -> usize {
        change.resource_record_set.texts().map(|text| text.chars().count() + 2).sum()
    };
    let characters = changes.iter().map(characters).sum();
    within("the length of all values", characters, MAX_VALUE_CHARACTERS)?;
    within("the length of the comment", comment.chars().count(), MAX_COMMENT_CHARACTERS)?;
    Ok(ChangeBatch { comment: comment.to_owned(), changes })
}

fn within(what: &'static str, actual: usize, limit: usize) -> Result<(), BatchError> {
    if actual > limit { Err(BatchError::TooLarge { what, actual, limit }) } else { Ok(()) }
}

fn with_ids(change: &Change, ids: &BTreeMap<String, String>) -> Result<Change, BatchError> {
    let mut change = change.clone();
    if let Some(HealthCheck::Reference(reference)) = &change.resource_record_set.health_check {
        let id = ids.get(reference).ok_or_else(|| BatchError::NoHealthCheck(reference.clone()))?;
        change.resource_record_set.health_check = Some(HealthCheck::Id(id.clone()));
    }
    Ok(change)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::{adopted, name};
    use crate::name::Label;
    use crate::record::{Answer, Policy, RecordType};
    use proptest::prelude::*;

    fn alias(from: &str, to: &str) -> RecordSet {
        let mut set = adopted("eu-west-1", "eu-west-1", RecordType::A);
        set.name = name(from);
        set.answer = Answer::Alias {
            hosted_zone_id: "ZONE".into(),
            dns_name: name(to),
            evaluate_target_health: true,
        };
        set
    }

    #[test]
    fn targets_come_before_aliases_and_go_after_them() {
        let tree = [
            alias("api.example.com", "_nearside-blue.api.example.com"),
            alias("_nearside-blue.api.example.com", "_nearside-eu.api.example.com"),
            adopted("x", "eu-west-1", RecordType::A),
        ];
        let tree = [
            tree[0].clone(),
            tree[1].clone(),
            RecordSet { name: name("_nearside-eu.api.example.com"), ..tree[2].clone() },
        ];
        let names = |changes: Vec<Change>| -> Vec<String> {
            changes.iter().map(|c| c.resource_record_set.name.first_label().to_owned()).collect()
        };
        assert_eq!(names(difference(&[], &tree)), ["_nearside-eu", "_nearside-blue", "api"]);
        assert_eq!(names(difference(&tree, &[])), ["api", "_nearside-blue", "_nearside-eu"]);
    }

    #[test]
    fn health_checks_without_an_id_and_batches_over_a_limit_are_refused() {
        let mut set = adopted("eu-west-1", "eu-west-1", RecordType::A);
        set.health_check = Some(HealthCheck::Reference("nearside-x".into()));
        let change = Change { action: Action::Create, resource_record_set: set };
        let no_ids = BTreeMap::new();
        let error = batch(std::slice::from_ref(&change), "", &no_ids).unwrap_err();
        assert_eq!(error, BatchError::NoHealthCheck("nearside-x".into()));
        let ids = BTreeMap::from([("nearside-x".to_owned(), "id-1".to_owned())]);
        assert!(batch(&vec![change.clone(); 1_000], "", &ids).is_ok());
        assert!(batch(&vec![change.clone(); 1_001], "", &ids).is_err());
        assert!(batch(&[change], &"c".repeat(257), &ids).is_err());
    }

    fn any_sets() -> impl Strategy<Value = Vec<RecordSet>> {
        let set = (0_u8..4, 0_u8..3, any::<bool>()).prop_map(|(label, target, six)| {
            let family = if six { RecordType::Aaaa } else { RecordType::A };
            let mut set = adopted(
                "eu-west-1",
                ["eu-west-1", "us-east-1", "ap-south-1"][target as usize],
                family,
            );
            set.policy = Policy::Latency(Label::new(["a-1", "b-1", "c-1", "d-1"][label as usize]));
            set.set_identifier = Some(format!("s{label}"));
            set
        });
        prop::collection::vec(set, 0..8).prop_map(|mut sets| {
            sets.sort_by(|a, b| a.key().cmp(&b.key()));
            sets.dedup_by(|a, b| a.key() == b.key());
            sets.sort();
            sets
        })
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_desired_state(current in any_sets(), desired in any_sets()) {
            let changes = difference(&current, &desired);
            prop_assert_eq!(applied(&current, &changes), desired.clone());
            let back: Vec<Change> = changes.iter().rev().map(Change::inverse).collect();
            prop_assert_eq!(applied(&desired, &back), current);
        }

        #[test]
        fn nothing_differs_from_itself(sets in any_sets()) {
            prop_assert!(difference(&sets, &sets).is_empty());
        }

        #[test]
        fn deletes_come_first(current in any_sets(), desired in any_sets()) {
            let changes = difference(&current, &desired);
            let first_create = changes.iter().position(|c| c.action == Action::Create).unwrap_or(changes.len());
            prop_assert!(changes[first_create..].iter().all(|c| c.action == Action::Create));
        }
    }
}
