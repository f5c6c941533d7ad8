//! Lines of API Gateway's access logs: JSON as the console proposes it, or the common log format.
//! They are the only logs that see clients of a Regional endpoint; they name no place.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Read, Seen, address};

/// The client's address under the names that AWS's own examples use.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(borrow)]
    ip: Option<Cow<'a, str>>,
    #[serde(rename = "sourceIp", borrow)]
    source_ip: Option<Cow<'a, str>>,
    #[serde(borrow)]
    identity: Option<Identity<'a>>,
}

#[derive(Deserialize)]
struct Identity<'a> {
    #[serde(rename = "sourceIp", borrow)]
    source_ip: Option<Cow<'a, str>>,
}

pub(super) fn read(line: &[u8]) -> Read {
    match line.first() {
        None => Ok(None),
        Some(b'{') => {
            let record: Record<'_> = serde_json::from_slice(line).map_err(|_| "is no JSON")?;
            let nested = record.identity.and_then(|identity| identity.source_ip);
            let client = record.ip.or(record.source_ip).or(nested);
            let client = client.ok_or("has neither ip nor sourceIp")?;
            seen(client.as_bytes())
        }
        Some(_) => {
            let mut words = line.split(|byte| *byte == b' ');
            let client = words.next().unwrap_or_default();
            // The format goes on with caller, user and a time in brackets.
            if !words.any(|word| word.first() == Some(&b'[')) {
                return Err("is neither JSON nor the common log format");
            }
            seen(client)
        }
    }
}

fn seen(client: &[u8]) -> Read {
    Ok(Some(Seen { prefix: address(client)?, place: None }))
}
