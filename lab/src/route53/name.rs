//! Domain names as Route 53 stores them: lower case, with the trailing dot, and every byte
//! outside `[a-z0-9-_]` as a three-digit octal escape. No zone knowledge here.

use std::cmp::Ordering;
use std::fmt;

/// Longest label, in bytes.
pub const LABEL_MAX: usize = 63;
/// Longest name, in bytes, dots included.
pub const NAME_MAX: usize = 255;

/// Why a text is not a domain name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Two dots in a row, or nothing at all.
    #[error("DomainLabelEmpty (Domain label is empty) encountered with '{0}'")]
    EmptyLabel(String),
    /// A label over 63 bytes.
    #[error("DomainLabelTooLong (Domain label is too long) encountered with '{0}'")]
    LabelTooLong(String),
    /// More than 255 bytes.
    #[error("DomainNameTooLong (Domain name is too long) encountered with '{0}'")]
    NameTooLong(String),
    /// A byte that Route 53 does not take unescaped.
    #[error("UnsupportedCharacter (Value contains unsupported characters) encountered with '{0}'")]
    UnsupportedCharacter(String),
}

/// A domain name in Route 53's stored form.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(String);

impl Name {
    /// Reads a name as the API takes it: any case, trailing dot optional, octal escapes allowed.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text == "." {
            return Ok(Self(".".to_owned()));
        }
        Self::from_labels(&raw_labels(text)?).map_err(|error| rename(error, text))
    }

    /// Makes a name of raw labels, as DNS carries them.
    pub fn from_labels<L: AsRef<[u8]>>(labels: &[L]) -> Result<Self, NameError> {
        let mut stored = String::new();
        let mut length = 0;
        for label in labels {
            let label = label.as_ref();
            let shown = || String::from_utf8_lossy(label).into_owned();
            if label.is_empty() {
                return Err(NameError::EmptyLabel(shown()));
            }
            if label.len() > LABEL_MAX {
                return Err(NameError::LabelTooLong(shown()));
            }
            length += label.len() + 1;
            push_label(&mut stored, label);
        }
        if length > NAME_MAX {
            return Err(NameError::NameTooLong(stored));
        }
        if stored.is_empty() {
            stored.push('.');
        }
        Ok(Self(stored))
    }

    /// The stored form, with its trailing dot.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The stored form without the trailing dot.
    #[must_use]
    pub fn bare(&self) -> &str {
        self.0.strip_suffix('.').unwrap_or(&self.0)
    }

    /// The labels in stored (escaped) form, leftmost first; none for the root.
    #[must_use]
    pub fn labels(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.bare().split('.').filter(|label| !label.is_empty())
    }

    /// The labels as DNS carries them.
    #[must_use]
    pub fn raw_labels(&self) -> Vec<Vec<u8>> {
        self.labels().map(unescape).collect()
    }

    /// What Route 53 sorts by: labels reversed, with the trailing dot (`com.example.www.`).
    #[must_use]
    pub fn sort_key(&self) -> String {
        let mut key = String::with_capacity(self.0.len());
        for label in self.labels().rev() {
            key.push_str(label);
            key.push('.');
        }
        key
    }

    /// Whether this name is `zone` or lies below it.
    #[must_use]
    pub fn is_within(&self, zone: &Name) -> bool {
        self.0 == zone.0
            || zone.0 == "."
            || self.0.strip_suffix(&zone.0).is_some_and(|rest| rest.ends_with('.'))
    }

    /// The name without its leftmost label; `None` at the root.
    #[must_use]
    pub fn parent(&self) -> Option<Name> {
        let (_, rest) = self.0.split_once('.')?;
        if self.0 == "." {
            return None;
        }
        Some(Name(if rest.is_empty() { ".".to_owned() } else { rest.to_owned() }))
    }

    /// The wildcard just below this name.
    #[must_use]
    pub fn wildcard(&self) -> Name {
        Name(format!("\\052.{}", if self.0 == "." { "" } else { &self.0 }))
    }

    /// Whether the leftmost label is `*`.
    #[must_use]
    pub fn is_wildcard(&self) -> bool {
        self.0.starts_with("\\052.")
    }
}

/// The API's order: by labels reversed.
impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        self.sort_key().cmp(&other.sort_key())
    }
}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Errors name the text the client gave, where they would name a part of it.
fn rename(error: NameError, text: &str) -> NameError {
    match error {
        NameError::NameTooLong(_) => NameError::NameTooLong(text.to_owned()),
        NameError::EmptyLabel(_) => NameError::EmptyLabel(text.to_owned()),
        other => other,
    }
}

fn raw_labels(text: &str) -> Result<Vec<Vec<u8>>, NameError> {
    let mut labels = vec![Vec::new()];
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        if let Some(byte) = octal(&bytes[at..]) {
            last(&mut labels).push(byte);
            at += 4;
            continue;
        }
        match bytes[at] {
            b'.' => labels.push(Vec::new()),
            byte if byte.is_ascii_graphic() => last(&mut labels).push(byte),
            _ => return Err(NameError::UnsupportedCharacter(text.to_owned())),
        }
        at += 1;
    }
    if labels.len() > 1 && last(&mut labels).is_empty() {
        labels.pop();
    }
    Ok(labels)
}

fn last(labels: &mut Vec<Vec<u8>>) -> &mut Vec<u8> {
    if labels.is_empty() {
        labels.push(Vec::new());
    }
    let at = labels.len() - 1;
    &mut labels[at]
}

/// The byte of a leading `\ooo`, if there is one.
fn octal(bytes: &[u8]) -> Option<u8> {
    let [b'\\', a, b, c, ..] = bytes else { return None };
    let digit = |d: &u8| d.is_ascii_digit().then(|| u16::from(d - b'0')).filter(|d| *d < 8);
    u8::try_from(digit(a)? * 64 + digit(b)? * 8 + digit(c)?).ok()
}

fn push_label(stored: &mut String, label: &[u8]) {
    use fmt::Write as _;
    for byte in label.iter().map(u8::to_ascii_lowercase) {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            stored.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(stored, "\\{byte:03o}");
        }
    }
    stored.push('.');
}

fn unescape(label: &str) -> Vec<u8> {
    let bytes = label.as_bytes();
    let mut raw = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if let Some(byte) = octal(&bytes[at..]) {
            raw.push(byte);
            at += 4;
        } else {
            raw.push(bytes[at]);
            at += 1;
        }
    }
    raw
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_forms() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Name::parse(text).unwrap().as_str(), expect, "{text}");
        };
        check("WWW.Example.COM", "www.example.com.");
        check("www.example.com.", "www.example.com.");
        check("*.example.com", "\\052.example.com.");
        check("\\052.example.com", "\\052.example.com.");
        check("_nearside-lock.example.com", "_nearside-lock.example.com.");
        check("a!b.example.com", "a\\041b.example.com.");
        check("ex\\344mple.com", "ex\\344mple.com.");
        check(".", ".");
    }

    #[test]
    fn refusals() {
        let check = |text: &str, expect: fn(String) -> NameError| {
            let error = Name::parse(text).unwrap_err();
            assert_eq!(
                std::mem::discriminant(&error),
                std::mem::discriminant(&expect(String::new()))
            );
        };
        check("a..example.com", NameError::EmptyLabel);
        check("", NameError::EmptyLabel);
        check(&format!("{}.example.com", "x".repeat(64)), NameError::LabelTooLong);
        check(&format!("{}example.com", "abcdefg.".repeat(31)), NameError::NameTooLong);
        check("a b.example.com", NameError::UnsupportedCharacter);
        check("ä.example.com", NameError::UnsupportedCharacter);
    }

    #[test]
    fn order_and_kinship() {
        let name = |text: &str| Name::parse(text).unwrap();
        assert_eq!(name("www.example.com").sort_key(), "com.example.www.");
        assert!(name("a-b.example.com").sort_key() < name("a.example.com").sort_key());
        assert!(name("a.example.com").is_within(&name("example.com")));
        assert!(name("example.com").is_within(&name("example.com")));
        assert!(!name("badexample.com").is_within(&name("example.com")));
        assert_eq!(name("a.b.c").parent(), Some(name("b.c")));
        assert_eq!(name("b.c").wildcard(), name("*.b.c"));
        assert!(name("*.b.c").is_wildcard() && !name("a.*.c").is_wildcard());
    }
}
