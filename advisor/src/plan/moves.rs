//! Moves of labels: from where each leads to where it will lead.
//!
//! Pure. Which labels move, and why, is decided elsewhere.

use serde::{Deserialize, Serialize};

use crate::name::Label;
use crate::topology::{Shares, Tree};

/// A label that moves, or is added or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The label.
    pub label: String,
    /// The endpoint it points at now; nothing where it is not installed.
    pub from: Option<String>,
    /// The endpoint it will point at; nothing where it goes.
    pub to: Option<String>,
    /// A reason code of the advice.
    pub reason: String,
    /// The weights that the label has now, where more than `from` is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_before: Option<Shares>,
    /// The weights that it will have, where more than `to` is answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights_after: Option<Shares>,
}

impl Move {
    /// What takes a label from where it leads to where it will lead; it is nowhere where it is not
    /// installed.
    #[must_use]
    pub fn new(
        label: &Label,
        before: Option<&Shares>,
        after: Option<&Shares>,
        reason: &str,
    ) -> Self {
        let first = |of: Option<&Shares>| of.map(|shares| shares.first().to_owned());
        let split = |of: Option<&Shares>| of.filter(|shares| shares.only().is_none()).cloned();
        Self {
            label: label.to_string(),
            from: first(before),
            to: first(after),
            reason: reason.to_owned(),
            weights_before: split(before),
            weights_after: split(after),
        }
    }

    /// A move of a whole label from where it leads now to one endpoint.
    #[must_use]
    pub fn whole(label: &Label, before: &Shares, to: &str, reason: &str) -> Self {
        Self::new(label, Some(before), Some(&Shares::one(to)), reason)
    }

    /// Where the label leads before; nothing where it is not installed.
    #[must_use]
    pub fn before(&self) -> Option<Shares> {
        self.weights_before.clone().or_else(|| self.from.as_deref().map(Shares::one))
    }

    /// Where the label leads afterwards; nothing where it goes.
    #[must_use]
    pub fn after(&self) -> Option<Shares> {
        self.weights_after.clone().or_else(|| self.to.as_deref().map(Shares::one))
    }

    /// The way back.
    #[must_use]
    pub fn back(&self, reason: &str) -> Self {
        Self {
            label: self.label.clone(),
            from: self.to.clone(),
            to: self.from.clone(),
            reason: reason.to_owned(),
            weights_before: self.weights_after.clone(),
            weights_after: self.weights_before.clone(),
        }
    }

    /// Whether the label is added or removed.
    #[must_use]
    pub fn changes_the_set(&self) -> bool {
        self.from.is_some() != self.to.is_some()
    }
}

/// Where labels lead once these moves are made.
#[must_use]
pub fn moved(tree: &Tree, moves: &[Move]) -> Tree {
    let mut tree = tree.clone();
    for step in moves {
        let label = Label::new(&step.label);
        match step.after() {
            Some(shares) => tree.insert(label, shares),
            None => tree.remove(&label),
        };
    }
    tree
}
