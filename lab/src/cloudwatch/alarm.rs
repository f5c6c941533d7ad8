//! An alarm on one metric: how its state follows from the data. Pure: callers pass `now`.
//!
//! Periods are aligned to 1970 and judged once they are over; AWS lets longer ones slide by minutes.

use super::limits;
use super::metric::MetricKey;
use super::statistic::Statistic;
use super::store::{Question, Store};
use crate::route53::health::AlarmState;

/// Periods that are looked at beyond those asked for, so that a late point can still be found.
const EXTRA_PERIODS: i64 = 2;

/// How a value compares with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    GreaterOrEqual,
    Greater,
    Less,
    LessOrEqual,
}

impl Operator {
    const ALL: [(Self, &'static str); 4] = [
        (Self::GreaterOrEqual, "GreaterThanOrEqualToThreshold"),
        (Self::Greater, "GreaterThanThreshold"),
        (Self::Less, "LessThanThreshold"),
        (Self::LessOrEqual, "LessThanOrEqualToThreshold"),
    ];

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(operator, _)| operator)
    }

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }

    fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterOrEqual => value >= threshold,
            Self::Greater => value > threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }
}

/// What stands for points that are missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Nothing,
    Ignore,
    Breaching,
    NotBreaching,
}

impl Missing {
    const ALL: [(Self, &'static str); 4] = [
        (Self::Nothing, "missing"),
        (Self::Ignore, "ignore"),
        (Self::Breaching, "breaching"),
        (Self::NotBreaching, "notBreaching"),
    ];

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, name)| *name == text).map(|(missing, _)| missing)
    }

    pub(super) fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(known, _)| *known == self).map_or("", |(_, name)| name)
    }
}

/// What an alarm watches.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Watch {
    pub(super) key: MetricKey,
    pub(super) statistic: Statistic,
    pub(super) period_s: i64,
    pub(super) unit: Option<&'static str>,
    pub(super) evaluation_periods: i64,
    /// Of `evaluation_periods`, how many must breach, where that was said.
    pub(super) datapoints_to_alarm: Option<i64>,
    pub(super) threshold: f64,
    pub(super) operator: Operator,
    pub(super) missing: Option<Missing>,
}

impl Watch {
    /// The newest points, oldest first: at most as many as are evaluated.
    fn newest(&self, store: &Store, now_s: i64) -> Vec<f64> {
        let end_s = now_s - now_s.rem_euclid(self.period_s);
        let looked_at = (self.evaluation_periods + EXTRA_PERIODS) * self.period_s;
        let question = Question {
            key: &self.key,
            statistic: self.statistic,
            period_s: self.period_s,
            unit: self.unit,
            range_s: (end_s - looked_at, end_s),
        };
        let points = store.series(&question, now_s);
        let most = usize::try_from(self.evaluation_periods).unwrap_or(usize::MAX);
        let first = points.len().saturating_sub(most);
        points[first..].iter().map(|(_, value)| *value).collect()
    }

    /// Points, and those of them that breach.
    fn counts(&self, store: &Store, now_s: i64) -> (i64, i64) {
        let newest = self.newest(store, now_s);
        let breaches = |value: &&f64| self.operator.breaches(**value, self.threshold);
        let count = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        (count(newest.len()), count(newest.iter().filter(breaches).count()))
    }

    /// The state that the data give; `before` is the state until now.
    pub(super) fn state(&self, store: &Store, now_s: i64, before: AlarmState) -> AlarmState {
        let needed = self.datapoints_to_alarm.unwrap_or(self.evaluation_periods);
        let (found, breaching) = self.counts(store, now_s);
        let lacking = self.evaluation_periods - found;
        let judge = |alarm: bool| if alarm { AlarmState::Alarm } else { AlarmState::Ok };
        if breaching >= needed {
            return AlarmState::Alarm;
        }
        if lacking == 0 {
            return AlarmState::Ok;
        }
        let all_breach = breaching == found;
        match self.missing.unwrap_or(Missing::Nothing) {
            Missing::Breaching => judge(breaching + lacking >= needed),
            Missing::Nothing if found == 0 => AlarmState::InsufficientData,
            Missing::Nothing => judge(all_breach),
            Missing::Ignore if all_breach => before,
            Missing::NotBreaching | Missing::Ignore => AlarmState::Ok,
        }
    }

    /// What Route 53 sees of the data, whatever the alarm's own state: it knows neither how missing
    /// points are treated, nor high resolution, nor extended statistics, nor M out of N.
    pub(super) fn stream(&self, store: &Store, now_s: i64) -> AlarmState {
        let known = self.statistic.is_plain()
            && self.period_s >= 60
            && self.datapoints_to_alarm.is_none_or(|of| of == self.evaluation_periods);
        let (found, breaching) = self.counts(store, now_s);
        if !known || found == 0 {
            AlarmState::InsufficientData
        } else if breaching == found {
            AlarmState::Alarm
        } else {
            AlarmState::Ok
        }
    }

    /// Whether it looks no further back than CloudWatch evaluates.
    pub(super) fn is_short_enough(&self) -> bool {
        let most = if self.period_s >= 3_600 {
            limits::EVALUATION_LONG_MAX_S
        } else {
            limits::EVALUATION_MAX_S
        };
        self.evaluation_periods.saturating_mul(self.period_s) <= most
    }
}

#[cfg(test)]
mod tests {
    use super::super::distribution::Distribution;
    use super::super::store::Datum;
    use super::*;

    /// A multiple of a minute, with half a minute gone.
    const NOW_S: i64 = 1_750_000_020 + 30;

    fn watch(needed: i64, missing: &str) -> Watch {
        Watch {
            key: MetricKey::new("N", "m", &[]),
            statistic: Statistic::Average,
            period_s: 60,
            unit: None,
            evaluation_periods: 3,
            datapoints_to_alarm: Some(needed),
            threshold: 5.0,
            operator: Operator::Greater,
            missing: Missing::parse(missing),
        }
    }

    /// One point a minute, the last one just over: `X` breaches, `0` does not, `-` is missing.
    fn store(points: &str) -> Store {
        let mut store = Store::default();
        let end_s = NOW_S - NOW_S.rem_euclid(60);
        for (back, point) in points.chars().rev().enumerate() {
            let mut data = Distribution::default();
            data.add(if point == 'X' { 9.0 } else { 1.0 }, 1.0);
            let at_s = end_s - 60 * (i64::try_from(back).unwrap() + 1);
            if point != '-' {
                let key = MetricKey::new("N", "m", &[]);
                store.put(Datum { key, at_s, fine: false, unit: "None", data });
            }
        }
        store
    }

    /// The letters of the states for missing, ignore, breaching and notBreaching; R is retained.
    fn states(points: &str, needed: i64) -> String {
        let letter = |missing: &str| {
            let of = |before| watch(needed, missing).state(&store(points), NOW_S, before);
            match (of(AlarmState::Ok), of(AlarmState::Alarm)) {
                (AlarmState::Ok, AlarmState::Alarm) => 'R',
                (AlarmState::Ok, _) => 'O',
                (AlarmState::Alarm, _) => 'A',
                (AlarmState::InsufficientData, _) => 'I',
            }
        };
        ["missing", "ignore", "breaching", "notBreaching"].map(letter).iter().collect()
    }

    #[test]
    fn the_tables_of_the_user_guide() {
        for (points, all_three, two_of_three) in [
            ("0-X-X", "OOOO", "AAAA"),
            ("00X0X", "OOOO", "AAAA"),
            ("0----", "OOOO", "OOAO"),
            ("-----", "IRAO", "IRAO"),
            ("0XX-X", "AAAA", "AAAA"),
            ("--X--", "ARAO", "ARAO"),
            ("0-X--", "OOOO", "OOAO"),
            ("----0", "OOOO", "OOAO"),
            ("---X-", "ARAO", "ARAO"),
        ] {
            assert_eq!(states(points, 3), all_three, "{points}, 3 of 3");
            assert_eq!(states(points, 2), two_of_three, "{points}, 2 of 3");
        }
    }

    #[test]
    fn route_53_follows_the_data_and_not_the_alarm() {
        let stream = |watch: Watch, points: &str| watch.stream(&store(points), NOW_S);
        assert_eq!(stream(watch(3, "breaching"), "-----"), AlarmState::InsufficientData);
        assert_eq!(stream(watch(3, "notBreaching"), "XXX"), AlarmState::Alarm);
        assert_eq!(stream(watch(3, "missing"), "XX0"), AlarmState::Ok);
        assert_eq!(stream(watch(2, "missing"), "XXX"), AlarmState::InsufficientData);
        let fine = Watch { period_s: 10, ..watch(3, "missing") };
        assert_eq!(stream(fine, "XXX"), AlarmState::InsufficientData);
        let extended = Watch { statistic: Statistic::Percentile(0.9), ..watch(3, "missing") };
        assert_eq!(stream(extended, "XXX"), AlarmState::InsufficientData);
    }

    #[test]
    fn what_is_not_over_is_not_judged() {
        let mut data = Distribution::default();
        data.add(9.0, 1.0);
        let mut store = store("000");
        let key = MetricKey::new("N", "m", &[]);
        store.put(Datum { key, at_s: NOW_S - 1, fine: false, unit: "None", data });
        let one = Watch { evaluation_periods: 1, datapoints_to_alarm: None, ..watch(1, "missing") };
        assert_eq!(one.state(&store, NOW_S, AlarmState::Ok), AlarmState::Ok);
        assert_eq!(one.state(&store, NOW_S + 60, AlarmState::Ok), AlarmState::Alarm);
    }
}
