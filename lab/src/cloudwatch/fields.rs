//! The members of a request, by name and type, with the path by which AWS's messages call them. Pure.

use super::error::{ApiError, Kind};
use super::wire::Item;

/// The members of one structure.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a> {
    members: &'a [(String, Item)],
}

fn unreadable(name: &str, wanted: &str) -> ApiError {
    ApiError::new(Kind::Serialization, format!("{name} is not {wanted}"))
}

impl<'a> Fields<'a> {
    /// The members of a structure; anything else cannot be read.
    pub(super) fn of(item: &'a Item) -> Result<Self, ApiError> {
        match item {
            Item::Map(members) => Ok(Self { members }),
            _ => Err(unreadable("a structure", "a map")),
        }
    }

    fn get(&self, name: &str) -> Option<&'a Item> {
        self.members.iter().find(|(known, _)| known == name).map(|(_, item)| item)
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&'a str>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Item::Text(text)) => Ok(Some(text)),
            Some(_) => Err(unreadable(name, "a string")),
        }
    }

    /// A text that must be there; `path` is what AWS calls it.
    pub(super) fn required(&self, name: &str, path: &str) -> Result<&'a str, ApiError> {
        self.text(name)?.ok_or_else(|| missing(path))
    }

    pub(super) fn bool(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Item::Bool(bool)) => Ok(Some(*bool)),
            Some(_) => Err(unreadable(name, "a boolean")),
        }
    }

    pub(super) fn number(&self, name: &str) -> Result<Option<f64>, ApiError> {
        self.get(name).map(|item| number(name, item)).transpose()
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>, ApiError> {
        match self.get(name) {
            None => Ok(None),
            Some(Item::Integer(integer)) => Ok(Some(*integer)),
            Some(_) => Err(unreadable(name, "an integer")),
        }
    }

    /// Seconds since 1970.
    pub(super) fn time(&self, name: &str) -> Result<Option<f64>, ApiError> {
        match self.get(name) {
            Some(Item::Time(seconds)) => Ok(Some(*seconds)),
            Some(item) => number(name, item).map(Some),
            None => Ok(None),
        }
    }

    pub(super) fn list(&self, name: &str) -> Result<&'a [Item], ApiError> {
        match self.get(name) {
            None => Ok(&[]),
            Some(Item::List(items)) => Ok(items),
            Some(_) => Err(unreadable(name, "a list")),
        }
    }

    pub(super) fn numbers(&self, name: &str) -> Result<Vec<f64>, ApiError> {
        self.list(name)?.iter().map(|item| number(name, item)).collect()
    }

    pub(super) fn texts(&self, name: &str) -> Result<Vec<String>, ApiError> {
        let text = |item: &Item| match item {
            Item::Text(text) => Ok(text.clone()),
            _ => Err(unreadable(name, "a list of strings")),
        };
        self.list(name)?.iter().map(text).collect()
    }

    pub(super) fn structures(&self, name: &str) -> Result<Vec<Fields<'a>>, ApiError> {
        self.list(name)?.iter().map(Fields::of).collect()
    }

    pub(super) fn structure(&self, name: &str) -> Result<Option<Fields<'a>>, ApiError> {
        self.get(name).map(Fields::of).transpose()
    }
}

/// JSON has no word for the numbers that are none: Smithy writes them as strings.
fn number(name: &str, item: &Item) -> Result<f64, ApiError> {
    match item {
        Item::Number(number) => Ok(*number),
        Item::Integer(integer) => Ok(*integer as f64),
        Item::Text(text) => match text.as_str() {
            "NaN" => Ok(f64::NAN),
            "Infinity" => Ok(f64::INFINITY),
            "-Infinity" => Ok(f64::NEG_INFINITY),
            _ => Err(unreadable(name, "a number")),
        },
        _ => Err(unreadable(name, "a number")),
    }
}

/// A required parameter that is not there.
pub(super) fn missing(path: &str) -> ApiError {
    ApiError::new(Kind::MissingParameter, format!("The parameter {path} is required."))
}
