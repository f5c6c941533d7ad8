//! Every log format, and what is no log line.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;

fn counted(kind: LogKind, log: &[u8]) -> Tally {
    let mut tally = Tally::default();
    count_log(kind, "log", &mut &*log, &mut tally).unwrap();
    tally
}

fn prefixes(tally: &Tally) -> BTreeMap<String, u64> {
    tally.prefixes().into_iter().map(|(prefix, count)| (prefix.to_string(), count)).collect()
}

fn codes(tally: &Tally) -> Vec<(String, u64)> {
    tally.codes()
}

fn code(code: &str, count: u64) -> (String, u64) {
    (code.to_owned(), count)
}

#[test]
fn cloudfront_logs_of_every_format() {
    let check = |log: &[u8], places: &[(String, u64)]| {
        let tally = counted(LogKind::CloudFront, log);
        assert_eq!(codes(&tally), places, "{:?}", tally.first_malformed);
        assert_eq!(tally.malformed, 0);
    };
    let web = include_bytes!("../../tests/data/cloudfront/web-1-0.txt");
    check(web, &[code("FRA", 1), code("LAX", 1)]);
    let longer = include_bytes!("../../tests/data/cloudfront/web-1-0-2019-12.txt");
    check(longer, &[code("LAX", 3)]);
    check(include_bytes!("../../tests/data/cloudfront/rtmp-1-0.txt"), &[code("SEA", 6)]);
    check(include_bytes!("../../tests/data/cloudfront/kinesis-1-0.txt"), &[code("EWR", 1)]);
}

#[test]
fn real_time_records_without_a_header() {
    let log = include_str!("../../tests/data/cloudfront/kinesis-1-0.txt");
    let records: String =
        log.lines().filter(|line| !line.starts_with('#')).fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "{line}");
            text
        });
    let tally = counted(LogKind::CloudFront, records.as_bytes());
    assert_eq!((tally.counted, tally.malformed), (1, 0), "{:?}", tally.first_malformed);
    assert_eq!(codes(&tally), [code("EWR", 1)]);
}

#[test]
fn fields_are_found_by_name_and_json_is_read() {
    let log = "#Version: 1.0\n#Fields: c-ip x-edge-location\n2001:db8:1:2::3\tNRT57-P4\n\
               #Fields: x-edge-location time c-ip\nfra2\t0\t192.0.2.7\n\
               {\"c-ip\":\"192.0.2.9\",\"x-edge-location\":\"FRA60-P1\",\"sc-status\":\"200\"}\n\r\n";
    let tally = counted(LogKind::CloudFront, log.as_bytes());
    assert_eq!((tally.lines, tally.counted, tally.malformed), (7, 3, 0));
    assert_eq!(codes(&tally), [code("FRA", 2), code("NRT", 1)]);
    let expected = [("192.0.2.0/24".to_owned(), 2), ("2001:db8:1::/48".to_owned(), 1)];
    assert_eq!(prefixes(&tally), expected.into());
}

#[test]
fn malformed_lines_are_counted_and_the_first_is_told() {
    let log = b"192.0.2.1\tFRA2\n#Fields: c-ip x-edge-location sc-status\n192.0.2.1\tFRA2\n\
        nowhere\tFRA2\t200\n192.0.2.1\t-\t200\n\xff\tFRA2\t200\n{\"c-ip\":1}\n192.0.2.1\tFRA2\t200\n";
    let tally = counted(LogKind::CloudFront, log);
    assert_eq!((tally.lines, tally.counted, tally.malformed), (8, 1, 6));
    let first = tally.first_malformed.unwrap();
    assert_eq!((first.line, first.cause), (1, "comes before any #Fields"));
    let mut stretched = b"#Fields: c-ip x-edge-location\n".to_vec();
    stretched.resize(LINE_MAX + 100, b'x');
    stretched.extend_from_slice(b"\n192.0.2.1\tFRA2");
    let tally = counted(LogKind::CloudFront, &stretched);
    assert_eq!((tally.counted, tally.malformed), (1, 1));
    assert_eq!(tally.first_malformed.unwrap().cause, "is too long");
}

#[test]
fn api_gateway_logs() {
    let log = r#"{"requestId":"a","ip":"198.51.100.9","requestTime":"26/Nov/2026:10:00:00 +0000"}
{"sourceIp":"198.51.100.77"}
{"identity":{"sourceIp":"2001:db8::1"}}
{"ip":"::ffff:198.51.100.1"}
203.0.113.5 - - [26/Nov/2026:10:00:00 +0000] "GET /ping HTTP/1.1" 200 12 c6af9ac6
203.0.113.5 GET /ping
{"requestId":"b"}
{"ip":
"#;
    let tally = counted(LogKind::ApiGateway, log.as_bytes());
    assert_eq!((tally.counted, tally.malformed), (5, 3));
    let expected = [("198.51.100.0/24", 3), ("2001:db8::/48", 1), ("203.0.113.0/24", 1)];
    let expected = expected.map(|(prefix, count)| (prefix.to_owned(), count));
    assert_eq!(prefixes(&tally), expected.into());
    assert!(tally.places.is_empty());
}

#[test]
fn query_logs_prefer_the_client_subnet() {
    let log = "1.0 2026-11-26T10:00:00.123Z Z1 api.example.com A NOERROR UDP FRA6 192.0.2.1 -\n\
               1.0 2026-11-26T10:00:01Z Z1 api.example.com AAAA NOERROR TCP IAD12 192.0.2.1 203.0.113.0/24\n\
               1.0 2026-11-26T10:00:01Z Z1 api.example.com A NOERROR UDP\n";
    let tally = counted(LogKind::QueryLog, log.as_bytes());
    assert_eq!((tally.counted, tally.malformed), (2, 1));
    assert_eq!(codes(&tally), [code("FRA", 1), code("IAD", 1)]);
    let expected = [("192.0.2.0/24".to_owned(), 1), ("203.0.113.0/24".to_owned(), 1)];
    assert_eq!(prefixes(&tally), expected.into());
}

#[test]
fn cities_are_whole_and_near_something() {
    assert_eq!(cities().count(), include_str!("../../data/cities.csv").lines().count() - 1);
    let sum: f64 = cities().map(|city| city.millionths).sum();
    assert!((900_000.0..=1_000_000.0).contains(&sum), "{sum}");
    let vantages = [("dublin", (53.35, -6.26)), ("tokyo", (35.69, 139.69))];
    let vantages = vantages.map(|(id, at)| Vantage { id: id.to_owned(), at });
    let london = [("London".to_owned(), 1.0, (51.51, -0.13))];
    let near = &assign(london, &vantages)[0].near;
    assert_eq!((near[0].vantage.as_str(), near.len()), ("dublin", 2));
    assert!((460.0..470.0).contains(&near[0].km), "{}", near[0].km);
}

proptest! {
    #[test]
    fn no_bytes_are_fatal(log in prop::collection::vec(any::<u8>(), 0..400), header in any::<bool>()) {
        let mut whole = if header { b"#Fields: c-ip x-edge-location\n".to_vec() } else { Vec::new() };
        whole.extend_from_slice(&log);
        for kind in [LogKind::CloudFront, LogKind::ApiGateway, LogKind::QueryLog] {
            let tally = counted(kind, &whole);
            prop_assert!(tally.counted + tally.malformed <= tally.lines);
        }
    }
}
