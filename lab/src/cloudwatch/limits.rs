//! The limits of CloudWatch, in one place. Sources: its API's own documents and service quotas.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operation::Operation;
use crate::bucket::{Bucket, Rate};

/// Bytes of one PutMetricData request. Whether they are counted before or after gzip is not said:
/// the lab counts them unpacked, the stricter way.
pub(super) const PUT_BYTES_MAX: usize = 1024 * 1024;
/// Metrics of one PutMetricData request.
pub(super) const DATUMS_MAX: usize = 1_000;
/// Unique values of one datum.
pub(super) const VALUES_MAX: usize = 150;
/// Dimensions of one metric.
pub(super) const DIMENSIONS_MAX: usize = 30;
/// Characters of a namespace, a metric's name, a dimension's name, an alarm's name.
pub(super) const NAME_MAX: usize = 255;
/// Characters of a dimension's value.
pub(super) const DIMENSION_VALUE_MAX: usize = 1_024;
/// How far back a timestamp may lie, in seconds: two weeks.
pub(super) const PAST_MAX_S: f64 = 14.0 * 86_400.0;
/// How far ahead a timestamp may lie, in seconds: two hours.
pub(super) const AHEAD_MAX_S: f64 = 2.0 * 3_600.0;
/// Queries of one GetMetricData request.
pub(super) const QUERIES_MAX: usize = 500;
/// Data points of one page of GetMetricData, and the default.
pub(super) const DATAPOINTS_MAX: usize = 100_800;
/// Metrics of one page of ListMetrics.
pub(super) const METRICS_PAGE: usize = 500;
/// Alarms of one page of DescribeAlarms, at most, and the default.
pub(super) const ALARMS_PAGE_MAX: usize = 100;
pub(super) const ALARMS_PAGE: usize = 50;
/// Alarms of a Region.
pub(super) const ALARMS_MAX: usize = 5_000;
/// Alarms of one DeleteAlarms request.
pub(super) const DELETE_MAX: usize = 100;
/// The longest evaluation of an alarm, in seconds: a day where its period is under an hour, else a week.
pub(super) const EVALUATION_MAX_S: i64 = 86_400;
pub(super) const EVALUATION_LONG_MAX_S: i64 = 7 * 86_400;

/// Values that the lab keeps for a Region. AWS has no such bound.
pub(super) const STORED_MAX: usize = 20_000_000;

/// How long data points are kept, by the least period they can be asked with: age in seconds.
const RETENTION: [(i64, i64); 4] =
    [(1, 3 * 3_600), (60, 15 * 86_400), (300, 63 * 86_400), (3_600, 455 * 86_400)];

/// Whether data of `age_s` can still be asked with a period. The period is a legal one.
pub(super) fn is_kept(period_s: i64, age_s: i64) -> bool {
    RETENTION.iter().any(|(least_s, kept_s)| period_s % least_s == 0 && age_s <= *kept_s)
}

/// Requests of a second and Region, by operation: the default quotas.
fn rate(operation: Operation) -> Rate {
    let per_s = match operation {
        Operation::PutMetricData => 500.0,
        Operation::GetMetricData => 50.0,
        Operation::ListMetrics => 25.0,
        Operation::PutMetricAlarm | Operation::DeleteAlarms => 3.0,
        Operation::DescribeAlarms => 9.0,
    };
    Rate::new(per_s, per_s)
}

/// The buckets of one Region.
#[derive(Debug, Clone, Default)]
pub(super) struct Buckets(BTreeMap<Operation, Bucket>);

impl Buckets {
    /// Takes a token; `false` where there is none.
    pub(super) fn take(&mut self, operation: Operation, now: Duration) -> bool {
        let full = || Bucket::full(rate(operation), 1.0, now);
        let bucket = self.0.entry(operation).or_insert_with(full);
        bucket.fill(now);
        let there = bucket.holds(1.0);
        if there {
            bucket.take(1.0);
        }
        there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_fades_by_period_and_age() {
        let (hour, day) = (3_600, 86_400);
        let table = [
            (1, 3 * hour, true),
            (1, 3 * hour + 1, false),
            (60, 15 * day, true),
            (120, 15 * day + 1, false),
            (300, 63 * day, true),
            (600, 63 * day + 1, false),
            (3_600, 455 * day, true),
            (14_400, 455 * day + 1, false),
        ];
        for (period_s, age_s, kept) in table {
            assert_eq!(is_kept(period_s, age_s), kept, "{period_s} s, {age_s} s old");
        }
    }

    #[test]
    fn each_operation_has_a_bucket() {
        let mut buckets = Buckets::default();
        let mut taken = |operation, at_s| {
            let at = Duration::from_secs(at_s);
            (0..1_000).take_while(|_| buckets.take(operation, at)).count()
        };
        assert_eq!(taken(Operation::GetMetricData, 0), 50);
        assert_eq!(taken(Operation::PutMetricAlarm, 0), 3);
        assert_eq!(taken(Operation::GetMetricData, 1), 50);
    }
}
