//! When a certificate ends: the one field of X.509 that is needed, read straight from its DER.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// `notAfter` of a certificate, in seconds since 1970 (RFC 5280, 4.1). `None` when the bytes are
/// not a certificate.
pub(super) fn not_after_s(der: &[u8]) -> Option<i64> {
    let (certificate, _) = element(der, 0x30)?;
    let (mut fields, _) = element(certificate, 0x30)?;
    if let Some((_version, rest)) = element(fields, 0xa0) {
        fields = rest;
    }
    let (_serial, fields) = element(fields, 0x02)?;
    let (_algorithm, fields) = element(fields, 0x30)?;
    let (_issuer, fields) = element(fields, 0x30)?;
    let (validity, _) = element(fields, 0x30)?;
    let (_, _, rest) = any_element(validity)?;
    let (tag, text, _) = any_element(rest)?;
    time_s(tag, std::str::from_utf8(text).ok()?)
}

fn time_s(tag: u8, text: &str) -> Option<i64> {
    let full = match tag {
        // UTCTime: two digits of the year, 50 to 99 in the last century (RFC 5280, 4.1.2.5.1).
        0x17 => {
            let year: u32 = text.get(..2)?.parse().ok()?;
            format!("{}{text}", if year >= 50 { "19" } else { "20" })
        }
        0x18 => text.to_owned(),
        _ => return None,
    };
    let civil = DateTime::strptime("%Y%m%d%H%M%SZ", &full).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp().as_second())
}

/// The content of an element of this tag, and what follows it.
fn element(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    any_element(bytes).filter(|(found, ..)| *found == tag).map(|(_, content, rest)| (content, rest))
}

/// Tag, content, and what follows.
fn any_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = if *first < 0x80 {
        (usize::from(*first), rest)
    } else {
        let count = usize::from(*first & 0x7f);
        let (digits, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
        (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_forms_of_time() {
        assert_eq!(time_s(0x17, "491231235959Z"), Some(2_524_607_999));
        assert_eq!(time_s(0x17, "700101000000Z"), Some(0));
        assert_eq!(time_s(0x18, "20500101000000Z"), Some(2_524_608_000));
        assert_eq!(time_s(0x18, "nonsense"), None);
        assert_eq!(time_s(0x04, "700101000000Z"), None);
    }

    #[test]
    fn a_made_certificate_is_read() {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(2031, 2, 3);
        let der = params.self_signed(&key).unwrap();
        assert_eq!(not_after_s(der.der()), Some(1_927_843_200));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = not_after_s(&bytes);
        }
    }
}
