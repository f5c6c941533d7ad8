//! Lines of Route 53's query logs. They count questions of resolvers that had no answer cached: a
//! busy resolver asks hardly more often than a quiet one, so that they are no measure of traffic.

use super::{Read, Seen, address, place};

/// Fields of a line: version, time, zone, name, type, code, protocol, edge, resolver, client subnet.
const FIELDS: usize = 10;

pub(super) fn read(line: &[u8]) -> Read {
    if line.is_empty() {
        return Ok(None);
    }
    let mut fields: [&[u8]; FIELDS] = [&[]; FIELDS];
    let mut count = 0;
    for word in line.split(|byte| *byte == b' ') {
        if let Some(field) = fields.get_mut(count) {
            *field = word;
        }
        count += 1;
    }
    if count != FIELDS {
        return Err("has not ten fields");
    }
    let [.., edge, resolver, subnet] = fields;
    let client = match subnet {
        b"-" => resolver,
        subnet => subnet.split(|byte| *byte == b'/').next().unwrap_or_default(),
    };
    let place = place(edge).ok_or("has no edge location")?;
    Ok(Some(Seen { prefix: address(client)?, place: Some(place) }))
}
