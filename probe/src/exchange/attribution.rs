//! Who answered, as the response's headers say. Parsing of outside text: bounded, never a panic.

use hyper::HeaderMap;
use hyper::header::{AGE, HeaderName, HeaderValue, VIA};

use crate::sample::{Attribution, ServerTiming};

/// Most metrics of `server-timing` that are kept.
const METRICS_MAX: usize = 32;
/// Most characters of one header value that are kept.
const VALUE_MAX: usize = 256;

// Parsed once, not with each response.
static POP: HeaderName = HeaderName::from_static("x-amz-cf-pop");
static CACHE: HeaderName = HeaderName::from_static("x-cache");
static SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
static REST_API: HeaderName = HeaderName::from_static("x-amz-apigw-id");
static HTTP_API: HeaderName = HeaderName::from_static("apigw-requestid");
static REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// Reads the attribution headers. `region_header` is the one that names the Region, in lower case.
pub(super) fn attribution(headers: &HeaderMap, region_header: Option<&str>) -> Attribution {
    let text = |name: &HeaderName| headers.get(name).map(|value| clip(value.as_bytes()));
    let timings = headers.get_all(&SERVER_TIMING).iter();
    Attribution {
        // Of two edges the one that the answer passed last is the nearer one.
        pop: headers.get_all(&POP).iter().next_back().map(|value| clip(value.as_bytes())),
        cache: text(&CACHE),
        age_s: text(&AGE).and_then(|age| age.trim().parse().ok()),
        server_timing: timings
            .flat_map(|value| parse_server_timing(&String::from_utf8_lossy(value.as_bytes())))
            .take(METRICS_MAX)
            .collect(),
        apigw_rest_id: text(&REST_API),
        apigw_http_id: text(&HTTP_API),
        request_id: text(&REQUEST_ID),
        via: joined(headers, &VIA),
        region: region_header
            .and_then(|name| headers.get(name))
            .map(|value| clip(value.as_bytes())),
    }
}

/// All lines of one header as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let lines: Vec<&[u8]> = headers.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    (!lines.is_empty()).then(|| clip(&lines.join(&b", "[..])))
}

fn clip(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).chars().take(VALUE_MAX).collect()
}

/// Reads one `Server-Timing` value as the W3C draft says: metrics parted by commas, each a token
/// and parameters parted by semicolons, values tokens or quoted strings. A metric without a
/// token is left out; of a parameter that is given twice the first counts.
#[must_use]
pub fn parse_server_timing(value: &str) -> Vec<ServerTiming> {
    split_outside_quotes(value, ',').into_iter().filter_map(metric).take(METRICS_MAX).collect()
}

fn metric(text: &str) -> Option<ServerTiming> {
    let mut parts = split_outside_quotes(text, ';').into_iter();
    let name = parts.next()?.trim();
    let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    if name.is_empty() || !name.chars().all(token) {
        return None;
    }
    let mut timing = ServerTiming {
        name: name.chars().take(VALUE_MAX).collect(),
        duration_ms: None,
        description: None,
    };
    let (mut has_duration, mut has_description) = (false, false);
    for part in parts {
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        let value = unquote(value.trim());
        match key.trim().to_ascii_lowercase().as_str() {
            "dur" if !has_duration => {
                has_duration = true;
                timing.duration_ms = value.parse().ok().filter(|ms: &f64| ms.is_finite());
            }
            "desc" if !has_description => {
                has_description = true;
                timing.description = Some(value.chars().take(VALUE_MAX).collect());
            }
            _ => {}
        }
    }
    Some(timing)
}

fn split_outside_quotes(text: &str, at: char) -> Vec<&str> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (index, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == at && !quoted => {
                parts.push(text.get(start..index).unwrap_or_default());
                start = index + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..).unwrap_or_default());
    parts
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"') else { return value.to_owned() };
    let (mut text, mut escaped) = (String::new(), false);
    for c in inner.chars() {
        match c {
            _ if escaped => {
                text.push(c);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' => break,
            _ => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn timing(name: &str, duration_ms: Option<f64>, description: Option<&str>) -> ServerTiming {
        let description = description.map(str::to_owned);
        ServerTiming { name: name.to_owned(), duration_ms, description }
    }

    #[test]
    fn server_timing() {
        for (text, want) in [
            ("", vec![]),
            ("db", vec![timing("db", None, None)]),
            ("db;dur=53.2", vec![timing("db", Some(53.2), None)]),
            (
                "cdn-cache-hit,cdn-pop;desc=\"FRA2-C2\",cdn-rid;desc=\"a,b;c\"",
                vec![
                    timing("cdn-cache-hit", None, None),
                    timing("cdn-pop", None, Some("FRA2-C2")),
                    timing("cdn-rid", None, Some("a,b;c")),
                ],
            ),
            ("a; DUR = 1 ;dur=2", vec![timing("a", Some(1.0), None)]),
            (r#"a;desc="q\"x""#, vec![timing("a", None, Some("q\"x"))]),
            ("a;dur=inf,b;dur=x", vec![timing("a", None, None), timing("b", None, None)]),
            ("a b;dur=1,,;dur=2", vec![]),
        ] {
            assert_eq!(parse_server_timing(text), want, "{text}");
        }
    }

    #[test]
    fn headers_are_kept_within_bounds() {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-cf-pop", "FRA2-C2".parse().unwrap());
        headers.insert("age", "17".parse().unwrap());
        headers.insert("via", "v".repeat(5_000).parse().unwrap());
        headers.insert("server-timing", "a,".repeat(500).parse().unwrap());
        let found = attribution(&headers, None);
        assert_eq!(found.pop.as_deref(), Some("FRA2-C2"));
        assert_eq!(found.age_s, Some(17));
        assert_eq!(found.via.unwrap().len(), VALUE_MAX);
        assert_eq!(found.server_timing.len(), METRICS_MAX);
    }

    #[test]
    fn of_two_edges_the_nearer_one_is_the_pop_and_both_are_in_via() {
        let mut headers = HeaderMap::new();
        for (pop, host) in [("FRA2-C1", "aa"), ("AMS54-C1", "bb")] {
            headers.append("x-amz-cf-pop", pop.parse().unwrap());
            let via = format!("1.1 {host}.cloudfront.net (CloudFront)");
            headers.append("via", via.parse().unwrap());
        }
        headers.insert("x-region", "eu-west-1".parse().unwrap());
        let found = attribution(&headers, Some("x-region"));
        assert_eq!(found.pop.as_deref(), Some("AMS54-C1"));
        assert_eq!(found.via.unwrap().matches("cloudfront.net").count(), 2);
        assert_eq!(found.region.as_deref(), Some("eu-west-1"));
        assert_eq!(attribution(&headers, None).region, None);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in ".{0,200}") {
            prop_assert!(parse_server_timing(&text).len() <= METRICS_MAX);
        }

        #[test]
        fn what_is_written_is_read(name in "[a-z][a-z0-9-]{0,8}", ms in 0_u32..100_000,
                                   text in "[ -~]{0,20}") {
            let quoted = text.replace('\\', "\\\\").replace('"', "\\\"");
            let value = format!("{name};dur={ms};desc=\"{quoted}\"");
            prop_assert_eq!(parse_server_timing(&value),
                            vec![timing(&name, Some(f64::from(ms)), Some(&text))]);
        }
    }
}
