//! What the signature of a request says of itself: the Region, the service and the time it is signed
//! for. The signature itself is not checked: any credentials are accepted.

use hyper::header::{AUTHORIZATION, HeaderMap};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// How far a client's clock may be off, in seconds.
const SKEW_MAX_S: i64 = 15 * 60;

/// Why a request is signed for nothing here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ScopeError {
    /// It has no signature.
    Missing,
    /// It is signed for something else: the scope.
    Other(String),
}

/// The Region of `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
pub(crate) fn region(headers: &HeaderMap, service: &str) -> Result<String, ScopeError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (_, scope) =
        header.and_then(|text| text.split_once("Credential=")).ok_or(ScopeError::Missing)?;
    let scope = scope.split([',', ' ']).next().unwrap_or_default();
    match scope.split('/').collect::<Vec<_>>().as_slice() {
        [_, _, region, named, "aws4_request"] if *named == service => Ok((*region).to_owned()),
        _ => Err(ScopeError::Other(scope.to_owned())),
    }
}

/// AWS's sentence for a request whose `x-amz-date` is over a quarter of an hour off, if it is.
pub(crate) fn skewed(headers: &HeaderMap, now: Timestamp) -> Option<String> {
    let text = headers.get("x-amz-date")?.to_str().ok()?;
    let signed = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    let signed = signed.to_zoned(TimeZone::UTC).ok()?.timestamp();
    let write = |at: Timestamp| at.strftime("%Y%m%dT%H%M%SZ").to_string();
    let bound = |seconds: i64| Timestamp::from_second(now.as_second() + seconds).map(write).ok();
    let off_s = signed.as_second() - now.as_second();
    if off_s < -SKEW_MAX_S {
        let (bound, now) = (bound(-SKEW_MAX_S)?, write(now));
        Some(format!("Signature expired: {text} is now earlier than {bound} ({now} - 15 min.)"))
    } else if off_s > SKEW_MAX_S {
        let (bound, now) = (bound(SKEW_MAX_S)?, write(now));
        Some(format!(
            "Signature not yet current: {text} is still later than {bound} ({now} + 15 min.)"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: &'static str, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        headers
    }

    #[test]
    fn the_region_is_that_of_the_scope() {
        let signed = |scope: &str| {
            let value = format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host");
            region(&headers("authorization", &value), "monitoring")
        };
        let good = "key/20260101/eu-west-1/monitoring/aws4_request";
        assert_eq!(signed(good), Ok("eu-west-1".to_owned()));
        let other = "key/20260101/eu-west-1/route53/aws4_request";
        assert_eq!(signed(other), Err(ScopeError::Other(other.to_owned())));
        assert_eq!(region(&HeaderMap::new(), "monitoring"), Err(ScopeError::Missing));
    }

    #[test]
    fn a_clock_that_is_off_is_told() {
        let now: Timestamp = "2026-01-01T12:00:00Z".parse().unwrap();
        let told = |text: &str| skewed(&headers("x-amz-date", text), now);
        assert_eq!(told("20260101T114500Z"), None);
        assert_eq!(told("20260101T121500Z"), None);
        let slow = told("20260101T114459Z").unwrap();
        let said = "Signature expired: 20260101T114459Z is now earlier than 20260101T114500Z";
        assert_eq!(slow, format!("{said} (20260101T120000Z - 15 min.)"));
        assert!(told("20260101T121501Z").unwrap().starts_with("Signature not yet current"));
    }
}
