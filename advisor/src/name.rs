//! Domain names and labels, in the one form in which Route 53 compares them.
//!
//! Parsing and spelling only; no look-ups.

use std::fmt::{self, Write as _};

/// A domain name as Route 53 stores it: lower case, trailing dot, odd bytes as `\ooo`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing, or two dots in a row.
    #[error("domain name '{0}' has an empty label")]
    EmptyLabel(String),
    /// A label over 63 bytes, or a name over 255.
    #[error("domain name '{0}' is too long (63 bytes a label, 255 in all)")]
    TooLong(String),
    /// A backslash that is not followed by three octal digits.
    #[error("domain name '{0}' has a broken escape (\\ooo, three octal digits)")]
    BadEscape(String),
}

impl Name {
    /// Reads a name with or without its trailing dot, in any case, escaped or not.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let bytes = unescape(text).ok_or_else(|| NameError::BadEscape(text.to_owned()))?;
        let bytes = bytes.strip_suffix(b".").unwrap_or(&bytes);
        let labels: Vec<&[u8]> = bytes.split(|byte| *byte == b'.').collect();
        if labels.iter().any(|label| label.is_empty()) {
            return Err(NameError::EmptyLabel(text.to_owned()));
        }
        if bytes.len() > 254 || labels.iter().any(|label| label.len() > 63) {
            return Err(NameError::TooLong(text.to_owned()));
        }
        let mut spelled = String::with_capacity(bytes.len() + 1);
        for byte in bytes.iter().map(u8::to_ascii_lowercase) {
            match byte {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => spelled.push(char::from(byte)),
                other => {
                    // Writing to a String cannot fail.
                    let _ = write!(spelled, "\\{other:03o}");
                }
            }
        }
        spelled.push('.');
        Ok(Self(spelled))
    }

    /// The name with its trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name without its trailing dot, as people write it.
    #[must_use]
    pub fn without_dot(&self) -> &str {
        self.0.trim_end_matches('.')
    }

    /// Whether this name is `zone` or lies below it.
    #[must_use]
    pub fn is_within(&self, zone: &Self) -> bool {
        self == zone
            || self
                .0
                .strip_suffix(&zone.0)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }

    /// The name one label below this one. `label` must be plain: letters, digits, `-`, `_`.
    #[must_use]
    pub fn child(&self, label: &str) -> Self {
        debug_assert!(label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
        Self(format!("{}.{}", label.to_ascii_lowercase(), self.0))
    }

    /// The leftmost label.
    #[must_use]
    pub fn first_label(&self) -> &str {
        self.0.split('.').next().unwrap_or_default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.without_dot())
    }
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (digits, tail) = rest.split_at_checked(3)?;
        let digits = std::str::from_utf8(digits).ok()?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
        rest = tail;
    }
    Some(bytes)
}

/// The Region tag of a latency record. Only a label: it may point at an endpoint elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Label(String);

impl Label {
    /// A label from a Region's code. Route 53 judges whether it is one of its Regions.
    #[must_use]
    pub fn new(region: &str) -> Self {
        Self(region.to_ascii_lowercase())
    }

    /// The Region's code.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_route_53_spells_them() {
        for (text, expected) in [
            ("API.Example.com", "api.example.com."),
            ("*.example.com.", "\\052.example.com."),
            ("\\052.example.com", "\\052.example.com."),
            ("_nearside-lock.api.example.com", "_nearside-lock.api.example.com."),
            ("a b.example.com", "a\\040b.example.com."),
        ] {
            assert_eq!(Name::parse(text).unwrap().as_str(), expected);
        }
    }

    #[test]
    fn broken_names_are_refused() {
        for text in ["", ".", "a..b", "\\9.example.com", "\\05", &"a".repeat(64)] {
            assert!(Name::parse(text).is_err(), "{text}");
        }
        assert!(Name::parse(&["a".repeat(63).as_str(); 4].join(".")).is_err());
    }

    #[test]
    fn within_looks_at_whole_labels() {
        let zone = Name::parse("example.com").unwrap();
        assert!(Name::parse("api.example.com").unwrap().is_within(&zone));
        assert!(zone.is_within(&zone));
        assert!(!Name::parse("notexample.com").unwrap().is_within(&zone));
    }
}
