//! Record set protections, which the SDK in use cannot list: one signed call a page.
//!
//! It lists; refusing is for the guards.

use std::fmt::Write as _;

use advisor::denial::Denial;
use advisor::name::Name;
use advisor::record::RecordType;
use advisor::zone::{Protection, ZoneError};
use serde::Deserialize;

use crate::error::Effect;
use crate::error::service_code;
use crate::signed::{Call, CallError, Reply, Signed};

/// Pages of one listing, at 300 protections each.
const MAX_PAGES: usize = 40;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    resource_record_set_protections: Listed,
    next_token: Option<String>,
}

#[derive(Deserialize, Default)]
struct Listed {
    #[serde(rename = "ResourceRecordSetProtection", default)]
    protections: Vec<One>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct One {
    record_name: String,
    record_type: String,
    comment: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Refused {
    error: Cause,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cause {
    code: String,
    #[serde(default)]
    message: String,
}

/// All protections of a zone.
pub(crate) async fn list(
    signed: &Signed,
    (base, region): (&str, &str),
    zone_id: &str,
) -> Result<Vec<Protection>, ZoneError> {
    let mut found = Vec::new();
    let mut token: Option<String> = None;
    for _ in 0..MAX_PAGES {
        let next = token.map(|token| format!("?nexttoken={}", escape(&token))).unwrap_or_default();
        let path = format!("/2013-04-01/hostedzone/{zone_id}/rrsetprotection{next}");
        let (service, accept) = ("route53", "text/xml");
        let call = Call { service, region, base, path: &path, accept, asks_to_wait };
        let reply = signed.get(&call).await.map_err(unanswered)?;
        let page = read(&reply, zone_id)?;
        for one in page.resource_record_set_protections.protections {
            found.push(protection(one)?);
        }
        token = page.next_token;
        if token.is_none() {
            return Ok(found);
        }
    }
    Err(ZoneError::Failed(format!("the zone lists more than {MAX_PAGES} pages of protections")))
}

fn asks_to_wait(reply: &Reply) -> bool {
    !reply.status.is_success() && matches!(read(reply, ""), Err(ZoneError::Busy(_)))
}

fn unanswered(error: CallError) -> ZoneError {
    match error {
        CallError::Credentials(cause) => ZoneError::Denied(Denial::NoCredentials(cause)),
        CallError::NoReply(cause) => ZoneError::Failed(cause),
    }
}

fn read(reply: &Reply, zone_id: &str) -> Result<Page, ZoneError> {
    let text = String::from_utf8_lossy(&reply.body);
    if reply.status.is_success() {
        let unreadable =
            |error| ZoneError::Failed(format!("the list of protections is not readable: {error}"));
        return quick_xml::de::from_str(&text).map_err(unreadable);
    }
    Err(match quick_xml::de::from_str::<Refused>(&text) {
        Ok(Refused { error }) => {
            service_code(&error.code, &error.message, Effect::Reads, zone_id, || {
                format!("{}: {}", error.code, error.message)
            })
        }
        Err(_) => ZoneError::Failed(format!("status {}", reply.status)),
    })
}

fn protection(one: One) -> Result<Protection, ZoneError> {
    let name = Name::parse(&one.record_name)
        .map_err(|error| ZoneError::Failed(format!("a protection's name: {error}")))?;
    let record_type = RecordType::parse(&one.record_type);
    Ok(Protection { name, record_type, comment: one.comment.filter(|text| !text.is_empty()) })
}

/// A query value with everything but letters, digits and `-._~` escaped.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use hyper::StatusCode;

    fn reply(status: StatusCode, body: &'static str) -> Reply {
        Reply { status, error_type: None, body: Bytes::from_static(body.as_bytes()) }
    }

    #[test]
    fn a_page_is_read_with_and_without_entries() {
        let full = r#"<?xml version="1.0"?>
            <ListResourceRecordSetProtectionsResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">
            <ResourceRecordSetProtections>
            <ResourceRecordSetProtection><RecordName>API.example.com.</RecordName><RecordType>A</RecordType><Comment>ask first</Comment></ResourceRecordSetProtection>
            <ResourceRecordSetProtection><RecordName>api.example.com.</RecordName><RecordType>AAAA</RecordType></ResourceRecordSetProtection>
            </ResourceRecordSetProtections><NextToken>a b</NextToken>
            </ListResourceRecordSetProtectionsResponse>"#;
        let page = read(&reply(StatusCode::OK, full), "Z1").unwrap();
        assert_eq!(page.next_token.as_deref(), Some("a b"));
        let listed: Vec<Protection> = page
            .resource_record_set_protections
            .protections
            .into_iter()
            .map(|one| protection(one).unwrap())
            .collect();
        let name = Name::parse("api.example.com").unwrap();
        let comment = Some("ask first".to_owned());
        assert_eq!(
            listed,
            [
                Protection { name: name.clone(), record_type: RecordType::A, comment },
                Protection { name, record_type: RecordType::Aaaa, comment: None },
            ]
        );
        let empty = "<R><ResourceRecordSetProtections/></R>";
        let page = read(&reply(StatusCode::OK, empty), "Z1").unwrap();
        assert!(page.resource_record_set_protections.protections.is_empty());
    }

    #[test]
    fn refusals_are_told_by_their_code() {
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>";
        let denied = read(&reply(StatusCode::FORBIDDEN, body), "Z1").err();
        assert_eq!(denied, Some(ZoneError::Denied(Denial::of("AccessDenied", "no"))));
        let odd = read(&reply(StatusCode::BAD_GATEWAY, "<html>"), "Z1").err();
        assert_eq!(odd, Some(ZoneError::Failed("status 502 Bad Gateway".into())));
    }

    #[test]
    fn query_values_are_escaped() {
        assert_eq!(escape("a b/\u{e9}~"), "a%20b%2F%C3%A9~");
    }
}
