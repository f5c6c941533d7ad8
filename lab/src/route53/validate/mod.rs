//! A change batch against a zone: applied one change after the other to a working copy, all or
//! nothing, one message for each change that fails. Pure: zone in, zone or refusal out.
//!
//! Texts without a note are AWS's own; own wordings are marked unverified where they stand.

mod alias;
pub mod facet;
mod group;
pub mod shape;

use std::collections::{BTreeMap, BTreeSet};

use super::Internet;
use super::cidr::CidrCollection;
use super::error::ApiError;
use super::limits;
use super::model::{Action, Change, ChangeBatch, Data, RecordSet, RrType};
use super::name::Name;
use super::records::{Key, Records};
use super::value;

/// What a batch is judged by, besides the record sets.
pub struct Context<'a> {
    /// The id of the zone.
    pub zone_id: &'a str,
    /// The name of the zone.
    pub zone: &'a Name,
    /// Protected names and types, with the comment of the protection.
    pub protections: &'a BTreeMap<(Name, RrType), Option<String>>,
    /// The health checks that exist.
    pub health_checks: &'a BTreeSet<String>,
    /// The CIDR collections that exist.
    pub cidr_collections: &'a [CidrCollection],
    /// The AWS resources that exist.
    pub internet: &'a dyn Internet,
}

/// Applies `batch` to `records`: the new record sets, or why nothing was changed.
pub fn apply(
    context: &Context<'_>,
    records: &Records,
    batch: &ChangeBatch,
) -> Result<Records, ApiError> {
    check_size(batch)?;
    check_health_checks(context, batch)?;
    let mut working = Working::new(context, records.clone(), batch);
    let mut messages = Vec::new();
    for (at, change) in batch.changes.iter().enumerate() {
        if let Err(failures) = working.make(at, change) {
            messages.extend(failures);
        }
    }
    if messages.is_empty() && working.records.len() > limits::RECORDS_MAX {
        // Unverified text.
        messages.push(format!(
            "Exceeded limit on number of RRSets in zone {}: {} of at most {}",
            context.zone,
            working.records.len(),
            limits::RECORDS_MAX
        ));
    }
    if messages.is_empty() { Ok(working.records) } else { Err(ApiError::batch(messages)) }
}

/// At most 1,000 elements and 32,000 characters; UPSERT counts twice.
fn check_size(batch: &ChangeBatch) -> Result<(), ApiError> {
    let (mut elements, mut characters) = (0, 0);
    for change in &batch.changes {
        let times = if change.action == Action::Upsert { 2 } else { 1 };
        match &change.set.data {
            Data::Alias(_) => elements += times,
            Data::Records { values, .. } => {
                elements += times * values.len();
                let length: usize = values.iter().map(|value| value.chars().count()).sum();
                characters += times * length;
            }
        }
    }
    if elements > limits::ELEMENTS_MAX {
        let max = limits::ELEMENTS_MAX;
        return Err(ApiError::batch(vec![format!("Number of records limit of {max} exceeded.")]));
    }
    if characters > limits::CHARACTERS_MAX {
        // Unverified text.
        let max = limits::CHARACTERS_MAX;
        return Err(ApiError::batch(vec![format!(
            "Number of characters limit of {max} exceeded."
        )]));
    }
    Ok(())
}

/// Every health check that a set would get must exist. A DELETE may name one that is gone.
fn check_health_checks(context: &Context<'_>, batch: &ChangeBatch) -> Result<(), ApiError> {
    batch
        .changes
        .iter()
        .filter(|change| change.action != Action::Delete)
        .filter_map(|change| change.set.health_check_id.as_deref())
        .find(|id| !context.health_checks.contains(*id))
        .map_or(Ok(()), |id| Err(ApiError::no_check(id)))
}

/// The state while a batch is applied.
struct Working<'a> {
    context: &'a Context<'a>,
    records: Records,
    batch: &'a ChangeBatch,
    /// What was done so far to each set.
    done: BTreeMap<Key, Vec<Action>>,
}

/// Why one change fails; nearly always one message.
type Failures = Vec<String>;

fn fail<T>(message: String) -> Result<T, Failures> {
    Err(vec![message])
}

impl<'a> Working<'a> {
    fn new(context: &'a Context<'a>, records: Records, batch: &'a ChangeBatch) -> Self {
        Self { context, records, batch, done: BTreeMap::new() }
    }

    /// Makes the change of index `at`, or leaves everything as it was.
    fn make(&mut self, at: usize, change: &Change) -> Result<(), Failures> {
        let (set, key) = (&change.set, Key::of(&change.set));
        self.check_place(set)?;
        self.check_sequence(change, &key)?;
        self.done.entry(key.clone()).or_default().push(change.action);
        match change.action {
            Action::Delete => {
                self.check_delete(at, set, &key)?;
                self.records.remove(&key);
            }
            Action::Create if self.records.get(&key).is_some() => {
                return fail(format!(
                    "Tried to create resource record set {} but it already exists",
                    described(set)
                ));
            }
            Action::Create | Action::Upsert => {
                check_content(set)?;
                group::check(self.context, &self.records, set)?;
                self.check_alias(at, set)?;
                self.records.put(set.clone());
            }
        }
        Ok(())
    }

    /// In the zone, not protected, and of a type that may stand there.
    fn check_place(&self, set: &RecordSet) -> Result<(), Failures> {
        let (name, zone, kind) = (&set.name, self.context.zone, set.kind);
        if !name.is_within(zone) {
            return fail(format!("RRSet with DNS name {name} is not permitted in zone {zone}"));
        }
        if let Some(comment) = self.context.protections.get(&(name.clone(), kind)) {
            // Unverified text; AWS says that the message includes the comment.
            let comment = comment.as_ref().map_or(String::new(), |text| format!(": {text}"));
            return fail(format!(
                "RRSet with DNS name {name}, type {kind} cannot be changed because it is \
                 protected{comment}"
            ));
        }
        // The four texts below are unverified.
        match kind {
            RrType::Soa if name != zone => {
                fail(format!("RRSet of type SOA with DNS name {name} is not permitted"))
            }
            RrType::Ds if name == zone => fail(format!(
                "RRSet of type DS with DNS name {name} is not permitted at apex in zone {zone}"
            )),
            RrType::Ns if name.is_wildcard() => {
                fail(format!("RRSet of type NS with DNS name {name} cannot be a wildcard"))
            }
            RrType::Ns | RrType::Soa | RrType::Ds if set.routing.is_some() => fail(format!(
                "RRSet with DNS name {name}, type {kind} cannot have a routing policy"
            )),
            _ => Ok(()),
        }
    }

    /// One set is changed once in a batch, or deleted and then created.
    fn check_sequence(&self, change: &Change, key: &Key) -> Result<(), Failures> {
        match self.done.get(key).map(Vec::as_slice) {
            None => Ok(()),
            Some([Action::Delete]) if change.action == Action::Create => Ok(()),
            Some(_) => fail(format!(
                "The request contains an invalid set of changes for a resource record set \
                 '{} {}'",
                change.set.kind, change.set.name
            )),
        }
    }

    fn check_delete(&self, at: usize, set: &RecordSet, key: &Key) -> Result<(), Failures> {
        if set.name == *self.context.zone {
            match set.kind {
                RrType::Soa => {
                    return fail("A HostedZone must contain exactly one SOA record.".to_owned());
                }
                RrType::Ns => {
                    return fail(
                        "A HostedZone must contain at least one NS record for the zone itself."
                            .to_owned(),
                    );
                }
                _ => {}
            }
        }
        let Some(current) = self.records.get(key) else {
            return fail(format!(
                "Tried to delete resource record set {} but it was not found",
                described(set)
            ));
        };
        if !current.matches(set) {
            return fail(format!(
                "Tried to delete resource record set {} but the values provided do not match the \
                 current values",
                described(set)
            ));
        }
        self.check_not_targeted(at, set)
    }
}

/// Values of the right syntax, no duplicates, not too many.
fn check_content(set: &RecordSet) -> Result<(), Failures> {
    let Data::Records { values, .. } = &set.data else { return Ok(()) };
    if values.len() > limits::VALUES_MAX {
        // Unverified text.
        return fail(format!(
            "Exceeded limit on number of values for {}, type {}: {} of at most {}",
            set.name,
            set.kind,
            values.len(),
            limits::VALUES_MAX
        ));
    }
    let problems: Vec<String> = values
        .iter()
        .filter_map(|text| value::encode(set.kind, text).err())
        .map(|error| format!("FATAL problem: {error}"))
        .collect();
    if !problems.is_empty() {
        return fail(format!("Invalid Resource Record: '{}'", problems.join(", ")));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = values.iter().find(|value| !seen.insert(*value)) {
        // Unverified text.
        return fail(format!("Duplicate Resource Record: '{twice}'"));
    }
    match set.kind {
        RrType::Cname | RrType::Soa if values.len() > 1 => {
            // Unverified text.
            fail(format!(
                "RRSet of type {} with DNS name {} must have exactly one value",
                set.kind, set.name
            ))
        }
        _ => Ok(()),
    }
}

/// A set as AWS's messages describe it.
fn described(set: &RecordSet) -> String {
    match set.set_identifier() {
        Some(id) => {
            format!("[name='{}', type='{}', set identifier='{id}']", set.name, set.kind)
        }
        None => format!("[name='{}', type='{}']", set.name, set.kind),
    }
}
