//! Values as they travel, in CBOR or JSON: one tree for both, read and written. Pure.

use std::io::Read;

use ciborium::Value as Cbor;
use flate2::read::GzDecoder;
use serde_json::Value as Json;

/// The CBOR tag of seconds since 1970.
const TAG_SECONDS: u64 = 1;

/// A value of a request or an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Item {
    Bool(bool),
    Integer(i64),
    Number(f64),
    Text(String),
    List(Vec<Item>),
    Map(Vec<(String, Item)>),
    /// Seconds since 1970.
    Time(f64),
}

impl Item {
    /// A map of members, without those that are absent.
    pub(super) fn map<const N: usize>(members: [(&str, Option<Item>); N]) -> Self {
        let present = members.into_iter().filter_map(|(name, item)| Some((name.to_owned(), item?)));
        Self::Map(present.collect())
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }
}

/// How a client speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Smithy RPC v2 CBOR.
    Cbor,
    /// AWS JSON 1.0.
    Json,
}

/// Unpacks a gzip body of at most `bytes_max` bytes. `None`: it is none, or holds more.
pub(super) fn unzip(body: &[u8], bytes_max: usize) -> Option<Vec<u8>> {
    let mut unpacked = Vec::new();
    let most = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    GzDecoder::new(body).take(most).read_to_end(&mut unpacked).ok()?;
    (unpacked.len() <= bytes_max).then_some(unpacked)
}

/// Reads a body. Members that are null are absent. An empty body is an empty map.
pub(super) fn decode(format: Format, body: &[u8]) -> Result<Item, String> {
    if body.is_empty() {
        return Ok(Item::Map(Vec::new()));
    }
    match format {
        Format::Cbor => {
            let value: Cbor = ciborium::from_reader(body).map_err(|error| error.to_string())?;
            from_cbor(value)?.ok_or_else(|| "null is no request".to_owned())
        }
        Format::Json => {
            let value: Json = serde_json::from_slice(body).map_err(|error| error.to_string())?;
            from_json(value)?.ok_or_else(|| "null is no request".to_owned())
        }
    }
}

/// Writes a body.
pub(super) fn encode(format: Format, item: &Item) -> Vec<u8> {
    match format {
        Format::Cbor => {
            let mut bytes = Vec::new();
            // A vector takes every byte, and the tree holds nothing that CBOR cannot say.
            let written = ciborium::into_writer(&to_cbor(item), &mut bytes);
            debug_assert!(written.is_ok(), "{written:?}");
            bytes
        }
        Format::Json => to_json(item).to_string().into_bytes(),
    }
}

fn from_cbor(value: Cbor) -> Result<Option<Item>, String> {
    Ok(Some(match value {
        Cbor::Null => return Ok(None),
        Cbor::Bool(bool) => Item::Bool(bool),
        Cbor::Integer(integer) => {
            Item::Integer(i64::try_from(integer).map_err(|_| "an integer beyond 64 bits")?)
        }
        Cbor::Float(number) => Item::Number(number),
        Cbor::Text(text) => Item::Text(text),
        Cbor::Tag(TAG_SECONDS, inner) => match *inner {
            Cbor::Float(seconds) => Item::Time(seconds),
            Cbor::Integer(seconds) => {
                let seconds = i64::try_from(seconds).map_err(|_| "a time beyond 64 bits")?;
                Item::Time(seconds as f64)
            }
            _ => return Err("a time that is not a number".to_owned()),
        },
        Cbor::Array(items) => {
            let items = items.into_iter().map(from_cbor).collect::<Result<Vec<_>, _>>()?;
            Item::List(items.into_iter().flatten().collect())
        }
        Cbor::Map(members) => {
            let mut read = Vec::with_capacity(members.len());
            for (name, value) in members {
                let Cbor::Text(name) = name else { return Err("a member's name".to_owned()) };
                read.extend(from_cbor(value)?.map(|item| (name, item)));
            }
            Item::Map(read)
        }
        other => return Err(format!("{other:?} is nothing that this service takes")),
    }))
}

fn from_json(value: Json) -> Result<Option<Item>, String> {
    Ok(Some(match value {
        Json::Null => return Ok(None),
        Json::Bool(bool) => Item::Bool(bool),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Item::Integer(integer),
            None => Item::Number(number.as_f64().ok_or("a number beyond 64 bits")?),
        },
        Json::String(text) => Item::Text(text),
        Json::Array(items) => {
            let items = items.into_iter().map(from_json).collect::<Result<Vec<_>, _>>()?;
            Item::List(items.into_iter().flatten().collect())
        }
        Json::Object(members) => {
            let mut read = Vec::with_capacity(members.len());
            for (name, value) in members {
                read.extend(from_json(value)?.map(|item| (name, item)));
            }
            Item::Map(read)
        }
    }))
}

fn to_cbor(item: &Item) -> Cbor {
    match item {
        Item::Bool(bool) => Cbor::Bool(*bool),
        Item::Integer(integer) => Cbor::Integer((*integer).into()),
        Item::Number(number) => Cbor::Float(*number),
        Item::Text(text) => Cbor::Text(text.clone()),
        Item::Time(seconds) => Cbor::Tag(TAG_SECONDS, Box::new(Cbor::Float(*seconds))),
        Item::List(items) => Cbor::Array(items.iter().map(to_cbor).collect()),
        Item::Map(members) => {
            let member = |(name, item): &(String, Item)| (Cbor::Text(name.clone()), to_cbor(item));
            Cbor::Map(members.iter().map(member).collect())
        }
    }
}

fn to_json(item: &Item) -> Json {
    match item {
        Item::Bool(bool) => Json::from(*bool),
        Item::Integer(integer) => Json::from(*integer),
        Item::Number(number) | Item::Time(number) => Json::from(*number),
        Item::Text(text) => Json::from(text.as_str()),
        Item::List(items) => items.iter().map(to_json).collect(),
        Item::Map(members) => {
            Json::Object(members.iter().map(|(n, item)| (n.clone(), to_json(item))).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Item {
        Item::map([
            ("A", Some(Item::text("x"))),
            ("B", Some(Item::List(vec![Item::Integer(-3), Item::Number(0.5), Item::Bool(true)]))),
            ("C", None),
            ("D", Some(Item::Time(1_750_000_000.25))),
        ])
    }

    #[test]
    fn what_is_written_is_read_again() {
        let cbor = encode(Format::Cbor, &sample());
        assert_eq!(decode(Format::Cbor, &cbor).unwrap(), sample());
        let json = encode(Format::Json, &sample());
        let text = r#"{"A":"x","B":[-3,0.5,true],"D":1750000000.25}"#;
        assert_eq!(String::from_utf8(json).unwrap(), text);
    }

    #[test]
    fn null_is_absent_and_broken_bodies_are_refused() {
        let empty = Item::Map(Vec::new());
        assert_eq!(decode(Format::Json, br#"{"A":null}"#).unwrap(), empty);
        assert_eq!(decode(Format::Cbor, b"").unwrap(), empty);
        for body in [&b"{"[..], b"null", b"{\"A\":NaN}"] {
            assert!(decode(Format::Json, body).is_err(), "{body:?}");
        }
        for body in [&b"\xff"[..], b"\xf6", b"\xa1\x01\x02"] {
            assert!(decode(Format::Cbor, body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_body_that_grows_too_large_is_not_unpacked() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut gzip, &[b'x'; 1_000]).unwrap();
        let packed = gzip.finish().unwrap();
        assert_eq!(unzip(&packed, 1_000).unwrap().len(), 1_000);
        assert_eq!(unzip(&packed, 999), None);
        assert_eq!(unzip(b"plain", 999), None);
    }
}
