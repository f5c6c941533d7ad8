//! Values of resource records: from presentation form to the bytes of the wire, refusing what is
//! not well formed. One reader serves validation and DNS, so that what is accepted can be served.
//!
//! The texts for IPv4, TXT quoting and length are AWS's; the others are unverified.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::model::RrType;
use super::name::Name;

/// Longest character string of a TXT record, in bytes.
pub const CHARACTER_STRING_MAX: usize = 255;

/// Why a value is not one of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem} ({explanation}) encountered with '{value}'")]
pub struct ValueError {
    problem: &'static str,
    explanation: &'static str,
    value: String,
}

type Encoded = Result<Vec<u8>, ValueError>;

fn refuse<T>(
    problem: &'static str,
    explanation: &'static str,
    value: &str,
) -> Result<T, ValueError> {
    Err(ValueError { problem, explanation, value: value.to_owned() })
}

/// The wire form of `value` as a record of type `kind`, names uncompressed.
pub fn encode(kind: RrType, value: &str) -> Encoded {
    match kind {
        RrType::A => ipv4(value),
        RrType::Aaaa => ipv6(value),
        RrType::Txt | RrType::Spf => text(value),
        RrType::Cname | RrType::Ns | RrType::Ptr => host(value),
        RrType::Mx => mx(value),
        RrType::Srv => srv(value),
        RrType::Caa => caa(value),
        RrType::Soa => soa(value),
        RrType::Naptr => naptr(value),
        RrType::Ds => numbers_then_hex(value, &[2, 1, 1]),
        RrType::Tlsa => numbers_then_hex(value, &[1, 1, 1]),
        RrType::Sshfp => numbers_then_hex(value, &[1, 1]),
        RrType::Svcb | RrType::Https => service(value),
    }
}

fn ipv4(value: &str) -> Encoded {
    match value.parse::<Ipv4Addr>() {
        Ok(address) => Ok(address.octets().to_vec()),
        Err(_) => refuse("ARRDATAIllegalIPv4Address", "Value is not a valid IPv4 address", value),
    }
}

fn ipv6(value: &str) -> Encoded {
    match value.parse::<Ipv6Addr>() {
        Ok(address) => Ok(address.octets().to_vec()),
        Err(_) => {
            refuse("AAAARRDATAIllegalIPv6Address", "Value is not a valid IPv6 address", value)
        }
    }
}

fn host(value: &str) -> Encoded {
    match Name::parse(value) {
        Ok(name) => Ok(wire_name(&name)),
        Err(_) => refuse("RRDATAIllegalDomainName", "Value is not a valid domain name", value),
    }
}

/// A name as uncompressed labels.
fn wire_name(name: &Name) -> Vec<u8> {
    let mut wire = Vec::new();
    for label in name.raw_labels() {
        wire.push(u8::try_from(label.len()).unwrap_or(u8::MAX));
        wire.extend(label);
    }
    wire.push(0);
    wire
}

fn text(value: &str) -> Encoded {
    let mut wire = Vec::new();
    for string in character_strings(value)? {
        push_string(&mut wire, &string, value)?;
    }
    Ok(wire)
}

fn push_string(wire: &mut Vec<u8>, string: &[u8], value: &str) -> Result<(), ValueError> {
    let Ok(length) = u8::try_from(string.len()) else {
        return refuse("CharacterStringTooLong", "Value is too long", value);
    };
    wire.push(length);
    wire.extend(string);
    Ok(())
}

/// Quoted strings separated by blanks; `\"`, `\\` and `\ooo` are escapes.
fn character_strings(value: &str) -> Result<Vec<Vec<u8>>, ValueError> {
    const QUOTES: &str = "Value should be enclosed in quotation marks";
    let mut strings = Vec::new();
    let mut rest = value.trim_matches([' ', '\t']).as_bytes();
    while !rest.is_empty() {
        let [b'"', inside @ ..] = rest else {
            return refuse("InvalidCharacterString", QUOTES, value);
        };
        let Some((string, after)) = quoted(inside) else {
            return refuse("InvalidCharacterString", QUOTES, value);
        };
        strings.push(string);
        let blanks = after.iter().take_while(|byte| matches!(**byte, b' ' | b'\t')).count();
        rest = &after[blanks..];
    }
    if strings.is_empty() {
        return refuse("InvalidCharacterString", QUOTES, value);
    }
    Ok(strings)
}

/// Reads to the closing quote; what follows it is returned too.
fn quoted(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut string = Vec::new();
    let mut at = 0;
    loop {
        match *bytes.get(at)? {
            b'"' => return Some((string, &bytes[at + 1..])),
            b'\\' => {
                let octal = bytes.get(at + 1..at + 4).and_then(octal);
                string.push(match octal {
                    Some(byte) => byte,
                    None => *bytes.get(at + 1)?,
                });
                at += if octal.is_some() { 4 } else { 2 };
            }
            byte => {
                string.push(byte);
                at += 1;
            }
        }
    }
}

fn octal(digits: &[u8]) -> Option<u8> {
    let text = std::str::from_utf8(digits).ok()?;
    if !text.bytes().all(|byte| (b'0'..b'8').contains(&byte)) {
        return None;
    }
    u8::from_str_radix(text, 8).ok()
}

fn fields<const N: usize>(value: &str) -> Result<[&str; N], ValueError> {
    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
    match <[&str; N]>::try_from(parts) {
        Ok(parts) => Ok(parts),
        Err(_) => refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value),
    }
}

fn number<T: std::str::FromStr>(field: &str, value: &str) -> Result<T, ValueError> {
    match field.parse() {
        Ok(number) if field.bytes().all(|byte| byte.is_ascii_digit()) => Ok(number),
        _ => refuse("RRDATAIllegalNumber", "Value holds a number that is not valid", value),
    }
}

fn mx(value: &str) -> Encoded {
    let [preference, exchange] = fields(value)?;
    let mut wire = number::<u16>(preference, value)?.to_be_bytes().to_vec();
    wire.extend(host(exchange)?);
    Ok(wire)
}

fn srv(value: &str) -> Encoded {
    let [priority, weight, port, target] = fields(value)?;
    let mut wire = Vec::new();
    for field in [priority, weight, port] {
        wire.extend(number::<u16>(field, value)?.to_be_bytes());
    }
    wire.extend(host(target)?);
    Ok(wire)
}

fn caa(value: &str) -> Encoded {
    let mut parts = value.trim().splitn(3, ' ');
    let (Some(flags), Some(tag), Some(quoted)) = (parts.next(), parts.next(), parts.next()) else {
        return refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value);
    };
    let tag_is_sound = !tag.is_empty() && tag.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if !tag_is_sound {
        return refuse("CAARRDATAInvalidTag", "CAA tag is not valid", value);
    }
    let mut wire = vec![number::<u8>(flags, value)?];
    push_string(&mut wire, tag.as_bytes(), value)?;
    let mut strings = character_strings(quoted)?;
    match (strings.pop(), strings.is_empty()) {
        (Some(string), true) => wire.extend(string),
        _ => return refuse("CAARRDATAInvalidValue", "CAA value is not one string", value),
    }
    Ok(wire)
}

fn soa(value: &str) -> Encoded {
    let [server, mailbox, serial, refresh, retry, expire, minimum] = fields(value)?;
    let mut wire = host(server)?;
    wire.extend(host(mailbox)?);
    for field in [serial, refresh, retry, expire, minimum] {
        wire.extend(number::<u32>(field, value)?.to_be_bytes());
    }
    Ok(wire)
}

fn naptr(value: &str) -> Encoded {
    let mut parts = value.trim().splitn(3, ' ');
    let (Some(order), Some(preference), Some(rest)) = (parts.next(), parts.next(), parts.next())
    else {
        return refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value);
    };
    let mut wire = number::<u16>(order, value)?.to_be_bytes().to_vec();
    wire.extend(number::<u16>(preference, value)?.to_be_bytes());
    let Some((strings, replacement)) = rest.rsplit_once(' ') else {
        return refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value);
    };
    let strings = character_strings(strings)?;
    if strings.len() != 3 {
        return refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value);
    }
    for string in strings {
        push_string(&mut wire, &string, value)?;
    }
    wire.extend(host(replacement)?);
    Ok(wire)
}

/// Unsigned numbers of the given widths in bytes, then one field of hexadecimal digits.
fn numbers_then_hex(value: &str, widths: &[usize]) -> Encoded {
    let parts: Vec<&str> = value.split_ascii_whitespace().collect();
    if parts.len() != widths.len() + 1 {
        return refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value);
    }
    let mut wire = Vec::new();
    for (field, width) in parts.iter().zip(widths) {
        match width {
            1 => wire.push(number::<u8>(field, value)?),
            _ => wire.extend(number::<u16>(field, value)?.to_be_bytes()),
        }
    }
    match hex(parts[widths.len()]) {
        Some(bytes) if !bytes.is_empty() => wire.extend(bytes),
        _ => return refuse("RRDATAIllegalHex", "Value is not valid hexadecimal", value),
    }
    Ok(wire)
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) || !bytes.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    bytes
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

/// SVCB and HTTPS: priority, target, then parameters in ascending order of key.
fn service(value: &str) -> Encoded {
    let mut parts = value.split_ascii_whitespace();
    let (Some(priority), Some(target)) = (parts.next(), parts.next()) else {
        return refuse("RRDATANumberOfFields", "Value has the wrong number of fields", value);
    };
    let mut wire = number::<u16>(priority, value)?.to_be_bytes().to_vec();
    wire.extend(host(target)?);
    let mut last = None;
    for part in parts {
        let (key, data) = service_parameter(part, value)?;
        if last.is_some_and(|last| key <= last) {
            return refuse("SVCBRRDATAKeyOrder", "Parameters are not in ascending order", value);
        }
        last = Some(key);
        wire.extend(key.to_be_bytes());
        wire.extend(u16::try_from(data.len()).unwrap_or(u16::MAX).to_be_bytes());
        wire.extend(data);
    }
    Ok(wire)
}

fn service_parameter(part: &str, value: &str) -> Result<(u16, Vec<u8>), ValueError> {
    let (key, data) = part.split_once('=').unwrap_or((part, ""));
    let data = data.trim_matches('"');
    let mut wire = Vec::new();
    let key = match key {
        "alpn" => {
            for protocol in data.split(',') {
                push_string(&mut wire, protocol.as_bytes(), value)?;
            }
            1
        }
        "no-default-alpn" => 2,
        "port" => {
            wire.extend(number::<u16>(data, value)?.to_be_bytes());
            3
        }
        "ipv4hint" => {
            for address in data.split(',') {
                wire.extend(ipv4(address)?);
            }
            4
        }
        "ipv6hint" => {
            for address in data.split(',') {
                wire.extend(ipv6(address)?);
            }
            6
        }
        _ => return refuse("SVCBRRDATAUnknownKey", "Parameter is not supported", value),
    };
    Ok((key, wire))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepted() {
        let check = |kind, value: &str, expect: &[u8]| {
            assert_eq!(encode(kind, value).unwrap(), expect, "{kind} {value}");
        };
        check(RrType::A, "192.0.2.1", &[192, 0, 2, 1]);
        check(RrType::Txt, r#""ab" "c\"d""#, b"\x02ab\x03c\"d");
        check(RrType::Txt, r#""\101b""#, b"\x02Ab");
        check(RrType::Cname, "a.b.", b"\x01a\x01b\x00");
        check(RrType::Mx, "10 m.x", b"\x00\x0a\x01m\x01x\x00");
        check(RrType::Srv, "1 2 443 s.", b"\x00\x01\x00\x02\x01\xbb\x01s\x00");
        check(RrType::Caa, r#"0 issue "ca.test""#, b"\x00\x05issueca.test");
        check(RrType::Naptr, r#"1 2 "u" "E2U" "!a!b!" ."#, b"\0\x01\0\x02\x01u\x03E2U\x05!a!b!\0");
        check(RrType::Ds, "1 8 2 ab01", &[0, 1, 8, 2, 0xab, 1]);
        check(RrType::Sshfp, "4 2 ff", &[4, 2, 0xff]);
        check(
            RrType::Https,
            "1 . alpn=h3 port=443",
            b"\0\x01\0\0\x01\0\x03\x02h3\0\x03\0\x02\x01\xbb",
        );
        assert_eq!(encode(RrType::Aaaa, "2001:db8::1").unwrap().len(), 16);
        assert_eq!(encode(RrType::Txt, &format!("\"{}\"", "x".repeat(255))).unwrap().len(), 256);
    }

    #[test]
    fn refused() {
        let check = |kind, value: &str, expect: &str| {
            let error = encode(kind, value).unwrap_err().to_string();
            assert!(error.starts_with(expect), "{kind} {value}: {error}");
        };
        check(
            RrType::A,
            "x",
            "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) encountered with 'x'",
        );
        check(RrType::A, "192.0.2.256", "ARRDATAIllegalIPv4Address");
        check(RrType::A, "192.0.2.01", "ARRDATAIllegalIPv4Address");
        check(RrType::Aaaa, "2001:db8:::1", "AAAARRDATAIllegalIPv6Address");
        check(
            RrType::Txt,
            "bare",
            "InvalidCharacterString (Value should be enclosed in quotation marks)",
        );
        check(RrType::Txt, "\"open", "InvalidCharacterString");
        check(RrType::Txt, &format!("\"{}\"", "x".repeat(256)), "CharacterStringTooLong");
        check(RrType::Cname, "a..b", "RRDATAIllegalDomainName");
        check(RrType::Mx, "m.x", "RRDATANumberOfFields");
        check(RrType::Mx, "65536 m.x", "RRDATAIllegalNumber");
        check(RrType::Srv, "1 2 m.x", "RRDATANumberOfFields");
        check(RrType::Caa, "0 issue bare", "InvalidCharacterString");
        check(RrType::Ptr, "", "RRDATAIllegalDomainName");
        check(RrType::Tlsa, "3 1 1 abc", "RRDATAIllegalHex");
        check(RrType::Naptr, "1 2 \"u\" .", "RRDATANumberOfFields");
    }
}
