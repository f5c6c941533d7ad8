//! Who the clients are and what they weigh: counted from logs, or guessed from where people live.
//!
//! Logs stream through in constant memory; a line that cannot be read is counted and never fatal.
//! Nothing here opens a file, and no address is kept longer than its prefix.

mod cloudfront;
mod gateway;
mod nearest;
mod population;
mod prefix;
mod query;
mod tally;

pub use nearest::{Near, Nearest, Vantage, assign};
pub use population::{City, cities};
pub use prefix::Prefix;
pub use tally::{Malformed, Tally};

use std::io::{self, BufRead};

/// A line longer than this many bytes is malformed, and what is over is not kept.
const LINE_MAX: usize = 256 * 1024;

/// What a log was written by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogKind {
    /// `CloudFront` access logs: standard, real-time or RTMP, as text or JSON.
    CloudFront,
    /// API Gateway access logs: JSON or the common log format.
    ApiGateway,
    /// Route 53 query logs, which count what resolvers had not cached, not traffic.
    QueryLog,
}

/// What one line says of its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    prefix: Prefix,
    /// The first three letters of the edge that answered.
    place: Option<[u8; 3]>,
}

/// What a line is.
type Read = Result<Option<Seen>, &'static str>;

/// Counts every line of a log; `name` is said of malformed lines.
pub fn count_log(
    kind: LogKind,
    name: &str,
    log: &mut impl BufRead,
    tally: &mut Tally,
) -> io::Result<()> {
    let mut fields = cloudfront::Fields::default();
    let mut line = Vec::with_capacity(4096);
    let mut number = 0;
    while let Some(is_whole) = next_line(log, &mut line)? {
        number += 1;
        let seen = match kind {
            _ if !is_whole => Err("is too long"),
            LogKind::CloudFront => fields.read(&line),
            LogKind::ApiGateway => gateway::read(&line),
            LogKind::QueryLog => query::read(&line),
        };
        tally.add(name, number, seen);
    }
    Ok(())
}

/// The next line without its end; whether it is whole, or nothing at the end of the log.
fn next_line(log: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<bool>> {
    line.clear();
    let mut is_whole = true;
    let mut read_any = false;
    loop {
        let buffer = log.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        read_any = true;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        if line.len() + part.len() <= LINE_MAX {
            line.extend_from_slice(part);
        } else {
            is_whole = false;
        }
        let used = end.map_or(buffer.len(), |end| end + 1);
        log.consume(used);
        if end.is_some() {
            break;
        }
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    Ok(read_any.then_some(is_whole))
}

/// The address in a field.
fn address(field: &[u8]) -> Result<Prefix, &'static str> {
    let text = std::str::from_utf8(field).map_err(|_| "has a client address that is not text")?;
    text.parse().map(Prefix::of).map_err(|_| "has no client address")
}

/// The place of an edge: three letters before its number.
fn place(field: &[u8]) -> Option<[u8; 3]> {
    let code: [u8; 3] = field.get(..3)?.try_into().ok()?;
    code.iter().all(u8::is_ascii_alphabetic).then(|| code.map(|letter| letter.to_ascii_uppercase()))
}

#[cfg(test)]
mod tests;
