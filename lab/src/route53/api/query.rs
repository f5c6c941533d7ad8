//! Query strings: `name=value` pairs, percent-decoded.

use std::collections::BTreeMap;

use crate::route53::error::ApiError;

/// The parameters of a request. Of a name given twice, the last counts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::route53) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, ApiError> {
        let mut pairs = BTreeMap::new();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            pairs.insert(decode(name, true)?, decode(value, true)?);
        }
        Ok(Self(pairs))
    }

    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        // Unverified text.
        self.get(name)
            .ok_or_else(|| ApiError::input(format!("Invalid request: Missing parameter '{name}'")))
    }

    /// `maxitems` or its like: at least 1; more than `max` counts as `max`.
    pub(super) fn limit(&self, name: &str, max: usize) -> Result<usize, ApiError> {
        match self.get(name).map(str::parse::<usize>) {
            None => Ok(max),
            Some(Ok(limit)) if limit > 0 => Ok(limit.min(max)),
            // Unverified text.
            Some(_) => Err(ApiError::input(format!("Invalid value for '{name}'"))),
        }
    }
}

/// Percent-decodes; in query strings a plus sign is a space.
pub(super) fn decode(text: &str, plus_is_space: bool) -> Result<String, ApiError> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let digits =
                    bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
                let byte = digits.and_then(|pair| u8::from_str_radix(pair, 16).ok());
                decoded.push(byte.ok_or_else(|| bad(text))?);
                at += 3;
                continue;
            }
            b'+' if plus_is_space => decoded.push(b' '),
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).map_err(|_| bad(text))
}

fn bad(text: &str) -> ApiError {
    ApiError::input(format!("Invalid URL encoding in '{text}'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding() {
        let query = Query::parse("name=%5C052.a+b&type=A&x").unwrap();
        assert_eq!(query.get("name"), Some("\\052.a b"));
        assert_eq!(query.get("x"), Some(""));
        assert!(Query::parse("a=%zz").is_err());
        assert!(Query::parse("a=%4").is_err());
    }

    #[test]
    fn limits() {
        let check = |text: &str, expect: Option<usize>| {
            assert_eq!(Query::parse(text).unwrap().limit("maxitems", 300).ok(), expect, "{text}");
        };
        check("", Some(300));
        check("maxitems=7", Some(7));
        check("maxitems=9999", Some(300));
        check("maxitems=0", None);
        check("maxitems=-1", None);
        check("maxitems=many", None);
    }
}
