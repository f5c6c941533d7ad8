//! Lines of `CloudFront`'s access logs. Fields are found by the `#Fields` line, never by position,
//! but for real-time logs, whose records carry none and are in their default order.

use std::borrow::Cow;

use serde::Deserialize;

use super::{Read, Seen, address, place};

/// Where the default order of real-time logs has the address and the edge.
const REAL_TIME: Layout = Layout { address: 1, edge: 10, count: 33 };
/// Headers of RTMP logs hold these.
const ZERO_WIDTH_SPACE: char = '\u{200b}';

/// Where a line has what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Layout {
    address: usize,
    edge: usize,
    /// Fields at least.
    count: usize,
}

/// What the newest `#Fields` line said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Fields {
    layout: Option<Layout>,
}

/// A record in JSON, as newer logs have it.
#[derive(Deserialize)]
struct Record<'a> {
    #[serde(rename = "c-ip", borrow)]
    address: Cow<'a, str>,
    #[serde(rename = "x-edge-location", borrow)]
    edge: Cow<'a, str>,
}

impl Fields {
    pub(super) fn read(&mut self, line: &[u8]) -> Read {
        match line.first() {
            None => Ok(None),
            Some(b'#') => self.comment(line),
            Some(b'{') => {
                let record: Record<'_> = serde_json::from_slice(line)
                    .map_err(|_| "is no JSON with c-ip and x-edge-location")?;
                seen(record.address.as_bytes(), record.edge.as_bytes())
            }
            Some(_) => self.record(line),
        }
    }

    fn comment(&mut self, line: &[u8]) -> Read {
        let Some(names) = line.strip_prefix(b"#Fields:") else { return Ok(None) };
        let names = String::from_utf8_lossy(names).replace(ZERO_WIDTH_SPACE, "");
        let at = |wanted: &str| names.split_whitespace().position(|name| name == wanted);
        self.layout = None;
        let address = at("c-ip").ok_or("has #Fields without c-ip")?;
        let edge = at("x-edge-location").ok_or("has #Fields without x-edge-location")?;
        let count = names.split_whitespace().count();
        self.layout = Some(Layout { address, edge, count });
        Ok(None)
    }

    fn record(&self, line: &[u8]) -> Read {
        let layout = match self.layout {
            Some(layout) => layout,
            None if is_time(line) => REAL_TIME,
            None => return Err("comes before any #Fields"),
        };
        let (mut client, mut edge, mut count) = (None, None, 0);
        for (at, field) in line.split(|byte| *byte == b'\t').enumerate() {
            if at == layout.address {
                client = Some(field);
            } else if at == layout.edge {
                edge = Some(field);
            }
            count = at + 1;
        }
        if count < layout.count {
            return Err("has fewer fields than #Fields names");
        }
        let (Some(client), Some(edge)) = (client, edge) else { return Err("has too few fields") };
        seen(client, edge)
    }
}

/// Whether a line begins with seconds since the epoch, as real-time records do.
fn is_time(line: &[u8]) -> bool {
    let first = line.split(|byte| *byte == b'\t').next().unwrap_or_default();
    let mut parts = first.split(|byte| *byte == b'.');
    let is_number = |part: Option<&[u8]>| {
        part.is_some_and(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
    };
    is_number(parts.next()) && is_number(parts.next()) && parts.next().is_none()
}

fn seen(client: &[u8], edge: &[u8]) -> Read {
    let place = place(edge).ok_or("has no edge location")?;
    Ok(Some(Seen { prefix: address(client)?, place: Some(place) }))
}
