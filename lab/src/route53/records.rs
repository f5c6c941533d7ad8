//! The record sets of a zone in the API's sort order. Holds and finds; checks nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{RecordSet, RrType};
use super::name::Name;

/// Where a set stands in the order: name with labels reversed, type, set identifier.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    name: String,
    kind: &'static str,
    set_identifier: Option<String>,
}

impl Key {
    /// The key of a set.
    #[must_use]
    pub fn of(set: &RecordSet) -> Self {
        Self::new(&set.name, set.kind, set.set_identifier())
    }

    /// The key of the set with this name, type and identifier.
    #[must_use]
    pub fn new(name: &Name, kind: RrType, set_identifier: Option<&str>) -> Self {
        let set_identifier = set_identifier.map(str::to_owned);
        Self { name: name.sort_key(), kind: kind.as_str(), set_identifier }
    }
}

/// Where a listing starts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Start {
    /// The first name, or the next greater one.
    pub name: Option<Name>,
    /// The first type at that name.
    pub kind: Option<RrType>,
    /// The first identifier at that name and type.
    pub set_identifier: Option<String>,
}

/// The sets of a zone. Cloning shares the sets.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Records(BTreeMap<Key, Arc<RecordSet>>);

impl Records {
    /// How many sets there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The set of a key.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<RecordSet>> {
        self.0.get(key)
    }

    /// Puts a set, replacing the one of the same key.
    pub fn put(&mut self, set: RecordSet) {
        self.0.insert(Key::of(&set), Arc::new(set));
    }

    /// Removes the set of a key.
    pub fn remove(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// All sets in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<RecordSet>> {
        self.0.values()
    }

    /// The sets of a name and type, by set identifier.
    pub fn group<'a>(
        &'a self,
        name: &Name,
        kind: RrType,
    ) -> impl Iterator<Item = &'a Arc<RecordSet>> + use<'a> {
        let from = Key::new(name, kind, None);
        let kind = from.kind;
        let wanted = from.name.clone();
        self.0
            .range(from..)
            .take_while(move |(key, _)| key.name == wanted && key.kind == kind)
            .map(|(_, set)| set)
    }

    /// The sets of a name, of all types.
    pub fn at<'a>(&'a self, name: &Name) -> impl Iterator<Item = &'a Arc<RecordSet>> + use<'a> {
        let from = Key { name: name.sort_key(), kind: "", set_identifier: None };
        let wanted = from.name.clone();
        self.0.range(from..).take_while(move |(key, _)| key.name == wanted).map(|(_, set)| set)
    }

    /// Whether a set exists below the name (the name itself not counted).
    #[must_use]
    pub fn has_below(&self, name: &Name) -> bool {
        let prefix = name.sort_key();
        let from = Key { name: prefix.clone(), kind: "", set_identifier: None };
        self.0
            .range(from..)
            .take_while(|(key, _)| key.name.starts_with(&prefix))
            .any(|(key, _)| key.name.len() > prefix.len())
    }

    /// At most `limit` sets from `start` on, and the first one after them.
    #[must_use]
    pub fn page(
        &self,
        start: &Start,
        limit: usize,
    ) -> (Vec<Arc<RecordSet>>, Option<Arc<RecordSet>>) {
        let from = Key {
            name: start.name.as_ref().map(Name::sort_key).unwrap_or_default(),
            kind: start.kind.map_or("", RrType::as_str),
            set_identifier: start.set_identifier.clone(),
        };
        let mut sets = self.0.range(from..).map(|(_, set)| set.clone());
        let page = sets.by_ref().take(limit).collect();
        (page, sets.next())
    }
}
