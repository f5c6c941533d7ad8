//! Metrics in Prometheus' protobuf format, with classic and native histograms in one. The format
//! is `io.prometheus.client.MetricFamily` (`prometheus/client_model`, metrics.proto), each after its
//! length. Written by hand, because it takes seven messages of it and no code generator.

use super::family::{BUCKETS, Counts, Family, Kind, Metric, SCHEMA, Value};

/// What a server says that it sends.
pub(super) const CONTENT_TYPE: &str = "application/vnd.google.protobuf; \
     proto=io.prometheus.client.MetricFamily; encoding=delimited";

/// Up to here native histograms count a value as zero: only zero itself is below 1 us.
const ZERO_THRESHOLD_S: f64 = 1e-9;

pub(super) fn render(families: &[Family<'_>]) -> Vec<u8> {
    let mut out = Message::default();
    for family in families {
        let mut message = Message::default();
        message.text(1, family.name);
        message.text(2, family.help);
        let kind = match family.kind {
            Kind::Counter => 0,
            Kind::Gauge => 1,
            Kind::Histogram => 4,
        };
        message.unsigned(3, kind);
        for metric in &family.metrics {
            message.message(4, &of_metric(metric, family.kind));
        }
        out.varint(u64::try_from(message.0.len()).unwrap_or(u64::MAX));
        out.0.extend(message.0);
    }
    out.0
}

fn of_metric(metric: &Metric<'_>, kind: Kind) -> Message {
    let mut message = Message::default();
    for (name, value) in &metric.labels {
        let mut pair = Message::default();
        pair.text(1, name);
        pair.text(2, value);
        message.message(1, &pair);
    }
    let number = |value: f64| {
        let mut number = Message::default();
        number.double(1, value);
        number
    };
    // A gauge is field 2, a counter field 3, a histogram field 7.
    let plain = if kind == Kind::Counter { 3 } else { 2 };
    match metric.value {
        Value::Count(count) => message.message(plain, &number(count as f64)),
        Value::Micros(us) => message.message(plain, &number(us as f64 / 1e6)),
        Value::Counts(counts) => message.message(7, &of_counts(counts)),
    }
    message
}

fn of_counts(counts: &Counts) -> Message {
    let mut message = Message::default();
    message.unsigned(1, counts.total);
    message.double(2, counts.sum_us as f64 / 1e6);
    let mut below = 0;
    let bounds = BUCKETS.iter().map(|(bound_us, _)| *bound_us as f64 / 1e6);
    for (bound_s, count) in bounds.zip(counts.classic) {
        below += count;
        message.message(3, &bucket(below, bound_s));
    }
    message.message(3, &bucket(counts.total, f64::INFINITY));
    message.signed(5, i64::from(SCHEMA));
    message.double(6, ZERO_THRESHOLD_S);
    message.unsigned(7, counts.zeros);
    let spans = counts.spans();
    for (skipped, run) in &spans {
        let mut span = Message::default();
        span.signed(1, i64::from(*skipped));
        span.unsigned(2, u64::try_from(run.len()).unwrap_or(u64::MAX));
        message.message(12, &span);
    }
    // Each count as its difference from the one before it.
    let mut before = 0;
    for count in spans.iter().flat_map(|(_, run)| run) {
        let count = i64::try_from(*count).unwrap_or(i64::MAX);
        message.signed(13, count - before);
        before = count;
    }
    message
}

fn bucket(below: u64, bound_s: f64) -> Message {
    let mut message = Message::default();
    message.unsigned(1, below);
    message.double(2, bound_s);
    message
}

/// The bytes of a message (protobuf's wire format).
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.0.push(value.to_le_bytes()[0]);
    }

    fn tag(&mut self, field: u64, wire: u64) {
        self.varint(field << 3 | wire);
    }

    fn unsigned(&mut self, field: u64, value: u64) {
        self.tag(field, 0);
        self.varint(value);
    }

    /// `sint32` or `sint64`: small numbers of either sign are short.
    fn signed(&mut self, field: u64, value: i64) {
        self.unsigned(field, ((value << 1) ^ (value >> 63)).cast_unsigned());
    }

    fn double(&mut self, field: u64, value: f64) {
        self.tag(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.tag(field, 2);
        self.varint(u64::try_from(value.len()).unwrap_or(u64::MAX));
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, field: u64, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    fn message(&mut self, field: u64, value: &Self) {
        self.bytes(field, &value.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_format() {
        // The examples of protobuf's own encoding guide: 150 is 96 01, -1 is 1 zigzagged.
        let mut message = Message::default();
        message.unsigned(1, 150);
        message.text(2, "testing");
        message.signed(3, -1);
        message.signed(3, 2_147_483_647);
        let want = b"\x08\x96\x01\x12\x07testing\x18\x01\x18\xfe\xff\xff\xff\x0f";
        assert_eq!(message.0, want);
    }

    #[test]
    fn a_family_with_a_native_histogram() {
        let mut counts = Counts::default();
        for us in [0, 1_000_000, 1_050_000, 1_050_001] {
            counts.record(us);
        }
        let metric = Metric { labels: vec![("a", "b\n")], value: Value::Counts(&counts) };
        let family = Family { name: "n", help: "h", kind: Kind::Histogram, metrics: vec![metric] };
        let bytes = render(&[family]);
        let whole = usize::from(bytes[0] & 0x7f) | usize::from(bytes[1]) << 7;
        assert_eq!(bytes.len(), whole + 2);
        assert_eq!(bytes[2..10], *b"\x0a\x01n\x12\x01h\x18\x04");
        // Schema 3, zero bucket, one span of two buckets from bucket 0, counts 1 and 2.
        let mut tail = b"\x28\x06\x31".to_vec();
        tail.extend(ZERO_THRESHOLD_S.to_le_bytes());
        tail.extend(b"\x38\x01\x62\x04\x08\x00\x10\x02\x68\x02\x68\x02");
        assert!(bytes.ends_with(&tail), "{bytes:x?}");
    }
}
