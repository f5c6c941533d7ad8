//! The data of one Region: points by metric and time, and series of statistics made of them. Pure:
//! callers pass `now`.

use std::collections::BTreeMap;

use super::distribution::Distribution;
use super::limits;
use super::metric::MetricKey;
use super::statistic::Statistic;

/// The data of a point, by unit.
type Units = BTreeMap<&'static str, Distribution>;

/// The points of one metric, by their start in seconds since 1970. Points of high resolution lie on
/// seconds, the others on minutes.
#[derive(Debug, Clone, Default)]
struct Metric {
    fine: BTreeMap<i64, Units>,
    minutes: BTreeMap<i64, Units>,
}

/// What is published at once: one metric at one time.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Datum {
    pub(super) key: MetricKey,
    /// Seconds since 1970.
    pub(super) at_s: i64,
    /// Whether the storage resolution is 1.
    pub(super) fine: bool,
    pub(super) unit: &'static str,
    pub(super) data: Distribution,
}

/// A series that is asked for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Question<'a> {
    pub(super) key: &'a MetricKey,
    pub(super) statistic: Statistic,
    pub(super) period_s: i64,
    /// Only data of this unit.
    pub(super) unit: Option<&'static str>,
    /// From, inclusive, and until, exclusive: seconds since 1970.
    pub(super) range_s: (i64, i64),
}

/// All metrics of a Region.
#[derive(Debug, Clone, Default)]
pub(super) struct Store {
    metrics: BTreeMap<MetricKey, Metric>,
    stored: usize,
}

impl Store {
    /// Whether so many more values can be kept.
    pub(super) fn has_room(&self, values: usize) -> bool {
        self.stored + values <= limits::STORED_MAX
    }

    /// Adds what was published. Data of the same time add up: a duplicate cannot be told.
    pub(super) fn put(&mut self, datum: Datum) {
        let Datum { key, at_s, fine, unit, data } = datum;
        let metric = self.metrics.entry(key).or_default();
        let point = if fine {
            metric.fine.entry(at_s)
        } else {
            metric.minutes.entry(at_s - at_s.rem_euclid(60))
        };
        let kept = point.or_default().entry(unit).or_default();
        let before = kept.len();
        kept.merge(&data);
        self.stored += kept.len() - before;
    }

    /// Adds all of these.
    pub(super) fn put_all(&mut self, datums: Vec<Datum>) {
        for datum in datums {
            self.put(datum);
        }
    }

    /// The statistic of each period that has data, oldest first: start in seconds, and value.
    pub(super) fn series(&self, question: &Question<'_>, now_s: i64) -> Vec<(i64, f64)> {
        let Some(metric) = self.metrics.get(question.key) else { return Vec::new() };
        let (from, until) = question.range_s;
        let mut periods: BTreeMap<i64, Distribution> = BTreeMap::new();
        for points in [&metric.fine, &metric.minutes] {
            for (at_s, units) in points.range(from..until.max(from)) {
                let start_s = at_s - at_s.rem_euclid(question.period_s);
                if !limits::is_kept(question.period_s, now_s - at_s) {
                    continue;
                }
                let wanted = units.iter().filter(|(u, _)| question.unit.is_none_or(|q| q == **u));
                for (_, data) in wanted {
                    periods.entry(start_s).or_default().merge(data);
                }
            }
        }
        let statistic =
            |(start_s, data): (i64, Distribution)| Some((start_s, question.statistic.of(&data)?));
        periods.into_iter().filter_map(statistic).collect()
    }

    /// Metrics that had data since a time, in order.
    pub(super) fn metrics_since(&self, since_s: i64) -> impl Iterator<Item = &MetricKey> {
        let newest = |metric: &Metric| {
            let last = |points: &BTreeMap<i64, Units>| points.keys().next_back().copied();
            last(&metric.fine).max(last(&metric.minutes))
        };
        let recent = move |(_, metric): &(&MetricKey, &Metric)| newest(metric) >= Some(since_s);
        self.metrics.iter().filter(recent).map(|(key, _)| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_S: i64 = 1_750_000_000;

    fn datum(at_s: i64, fine: bool, unit: &'static str, value: f64) -> Datum {
        let mut data = Distribution::default();
        data.add(value, 1.0);
        Datum { key: MetricKey::new("N", "m", &[("b", "2"), ("a", "1")]), at_s, fine, unit, data }
    }

    fn ask(store: &Store, statistic: &str, period_s: i64, unit: Option<&'static str>) -> Vec<f64> {
        let key = MetricKey::new("N", "m", &[("a", "1"), ("b", "2")]);
        let statistic = Statistic::parse(statistic).unwrap();
        let range_s = (NOW_S - 400 * 86_400, NOW_S + 3_600);
        let question = Question { key: &key, statistic, period_s, unit, range_s };
        store.series(&question, NOW_S).into_iter().map(|(_, value)| value).collect()
    }

    #[test]
    fn data_of_one_time_add_up_and_dimensions_have_no_order() {
        let mut store = Store::default();
        for value in [1.0, 3.0, 3.0] {
            store.put(datum(NOW_S - 30, false, "Count", value));
        }
        assert_eq!(ask(&store, "SampleCount", 60, None), [3.0]);
        assert_eq!(ask(&store, "Sum", 300, Some("Count")), [7.0]);
        assert!(ask(&store, "Sum", 300, Some("None")).is_empty());
        assert!(store.has_room(limits::STORED_MAX - 2) && !store.has_room(limits::STORED_MAX - 1));
    }

    #[test]
    fn old_data_are_there_for_long_periods_alone() {
        let mut store = Store::default();
        for age_s in [60, 4 * 3_600, 16 * 86_400, 64 * 86_400] {
            store.put(datum(NOW_S - age_s, true, "None", 1.0));
        }
        for (period_s, points) in [(1, 1), (10, 1), (60, 2), (300, 3), (3_600, 4), (86_400, 4)] {
            let found: f64 = ask(&store, "Sum", period_s, None).iter().sum();
            assert!((found - f64::from(points)).abs() < 1e-9, "{period_s} s: {found}");
        }
    }

    #[test]
    fn a_metric_is_listed_while_it_has_recent_data() {
        let mut store = Store::default();
        store.put(datum(NOW_S - 7_200, false, "None", 1.0));
        assert_eq!(store.metrics_since(NOW_S - 3 * 3_600).count(), 1);
        assert_eq!(store.metrics_since(NOW_S - 3_600).count(), 0);
    }
}
