//! CloudWatch's statistics: their syntax, and what they are of a distribution. Pure.
//!
//! AWS does not say how it interpolates percentiles. Here they are exact: the smallest value whose
//! cumulated share is at least the one asked for. Trimmed statistics weigh a value by the part of
//! its ranks that lies within the bounds.

use super::distribution::Distribution;

/// A bound of a range: of ranks as a share, or of values. Absent is open.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Range {
    Shares(f64, f64),
    Values(Option<f64>, Option<f64>),
}

/// What is taken of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Trimmed mean.
    Mean,
    /// Winsorized mean: what lies outside counts as the bound.
    Winsorized,
    /// Trimmed count.
    Count,
    /// Trimmed sum.
    Sum,
    /// Percentile rank: the percentage of values inside.
    Rank,
}

/// A statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// A share, above 0 and at most 1.
    Percentile(f64),
    Interquartile,
    Ranged(RangedStatistic),
}

/// A statistic of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RangedStatistic {
    of: Of,
    range: Range,
}

/// Digits after the point of a percentage, at most.
const DIGITS_MAX: usize = 10;

impl Statistic {
    /// Reads a statistic's name. `None`: there is none of that name.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            "IQM" => Self::Interquartile,
            _ => return Self::parse_percentile(text).or_else(|| Self::parse_ranged(text)),
        })
    }

    /// Whether it is one of the five that have a field of their own.
    pub(super) fn is_plain(self) -> bool {
        use Statistic as S;
        matches!(self, S::SampleCount | S::Average | S::Sum | S::Minimum | S::Maximum)
    }

    fn parse_percentile(text: &str) -> Option<Self> {
        let share = percentage(text.strip_prefix('p')?)?;
        (share > 0.0).then_some(Self::Percentile(share))
    }

    fn parse_ranged(text: &str) -> Option<Self> {
        let split = text.get(..2).zip(text.get(2..));
        let (name, rest) = split?;
        let of = match name.to_ascii_lowercase().as_str() {
            "tm" => Of::Mean,
            "wm" => Of::Winsorized,
            "tc" => Of::Count,
            "ts" => Of::Sum,
            "pr" => Of::Rank,
            _ => return None,
        };
        let range = if name.chars().all(char::is_lowercase) && of != Of::Rank {
            Range::Shares(0.0, percentage(rest)?)
        } else if name.chars().all(char::is_uppercase) {
            range(rest.strip_prefix('(')?.strip_suffix(')')?, of)?
        } else {
            return None;
        };
        Some(Self::Ranged(RangedStatistic { of, range }))
    }

    /// The statistic of a distribution; `None` where it does not exist.
    pub(super) fn of(self, data: &Distribution) -> Option<f64> {
        if data.is_empty() {
            return None;
        }
        match self {
            Self::SampleCount => Some(data.count()),
            Self::Average => Some(data.sum() / data.count()),
            Self::Sum => Some(data.sum()),
            Self::Minimum => data.minimum(),
            Self::Maximum => data.maximum(),
            Self::Percentile(share) => Some(percentile(&data.ranked()?, share)),
            Self::Interquartile => {
                let range = Range::Shares(0.25, 0.75);
                ranged(&data.ranked()?, RangedStatistic { of: Of::Mean, range })
            }
            Self::Ranged(statistic) => ranged(&data.ranked()?, statistic),
        }
    }
}

/// `99.9`, as a share: 0 to 100, at most ten digits after the point.
fn percentage(text: &str) -> Option<f64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let digits = text.split_once('.').map_or(0, |(_, digits)| digits.len());
    let number: f64 = text.parse().ok().filter(|_| plain && digits <= DIGITS_MAX)?;
    (number <= 100.0).then_some(number / 100.0)
}

/// `A:B` of shares with `%`, or of values; one side may be open.
fn range(text: &str, of: Of) -> Option<Range> {
    let (low, high) = text.split_once(':')?;
    if low.is_empty() && high.is_empty() {
        return None;
    }
    if low.ends_with('%') || high.ends_with('%') {
        let share = |side: &str, open: f64| match side {
            "" => Some(open),
            side => percentage(side.strip_suffix('%')?),
        };
        let (low, high) = (share(low, 0.0)?, share(high, 1.0)?);
        return (of != Of::Rank && low < high).then_some(Range::Shares(low, high));
    }
    let value = |side: &str| match side {
        "" => Some(None),
        side => side.parse::<f64>().ok().filter(|value| value.is_finite()).map(Some),
    };
    let (low, high) = (value(low)?, value(high)?);
    low.zip(high).is_none_or(|(low, high)| low < high).then_some(Range::Values(low, high))
}

/// The smallest value whose cumulated share is at least `share`. `ranked` is not empty.
fn percentile(ranked: &[(f64, f64)], share: f64) -> f64 {
    let total: f64 = ranked.iter().map(|(_, count)| count).sum();
    // 0.95 x 20 is 19.000000000000004 in floating point.
    let rank = share * total - 1e-9 * total.max(1.0);
    let mut seen = 0.0;
    let reached = ranked.iter().find(|(_, count)| {
        seen += count;
        seen >= rank
    });
    reached.or(ranked.last()).map_or(f64::NAN, |(value, _)| *value)
}

fn ranged(ranked: &[(f64, f64)], statistic: RangedStatistic) -> Option<f64> {
    let total: f64 = ranked.iter().map(|(_, count)| count).sum();
    let inside = inside(ranked, statistic.range, total);
    let (count, sum) = inside
        .iter()
        .fold((0.0, 0.0), |(count, sum), (value, weight)| (count + weight, sum + value * weight));
    match statistic.of {
        Of::Count => Some(count),
        Of::Sum => Some(sum),
        Of::Rank => Some(100.0 * count / total),
        Of::Mean => (count > 0.0).then(|| sum / count),
        Of::Winsorized => winsorized(ranked, statistic.range, total),
    }
}

/// The values of a range, each with the count of it that lies inside.
fn inside(ranked: &[(f64, f64)], range: Range, total: f64) -> Vec<(f64, f64)> {
    let mut below = 0.0;
    let part = |(value, count): &(f64, f64)| {
        let first = below;
        below += count;
        let weight = match range {
            Range::Shares(low, high) => (below.min(high * total) - first.max(low * total)).max(0.0),
            Range::Values(low, high) => {
                let above = low.is_none_or(|low| *value > low);
                let within = above && high.is_none_or(|high| *value <= high);
                if within { *count } else { 0.0 }
            }
        };
        (*value, weight)
    };
    ranked.iter().map(part).filter(|(_, weight)| *weight > 0.0).collect()
}

/// The mean of all, with what lies outside counted as the bound.
fn winsorized(ranked: &[(f64, f64)], range: Range, total: f64) -> Option<f64> {
    let (low, high) = match range {
        Range::Values(low, high) => (low, high),
        Range::Shares(low, high) => (
            (low > 0.0).then(|| percentile(ranked, low)),
            (high < 1.0).then(|| percentile(ranked, high)),
        ),
    };
    let bounded =
        |value: f64| value.max(low.unwrap_or(f64::NEG_INFINITY)).min(high.unwrap_or(f64::INFINITY));
    let sum: f64 = ranked.iter().map(|(value, count)| bounded(*value) * count).sum();
    (total > 0.0).then(|| sum / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, values: &[(f64, f64)]) -> Option<f64> {
        let mut data = Distribution::default();
        for (value, count) in values {
            data.add(*value, *count);
        }
        Statistic::parse(text).unwrap().of(&data)
    }

    #[test]
    fn table_of_statistics() {
        let tens: Vec<(f64, f64)> = (1..=10).map(|n| (f64::from(n) * 10.0, 1.0)).collect();
        let table = [
            ("SampleCount", 10.0),
            ("Average", 55.0),
            ("Sum", 550.0),
            ("Minimum", 10.0),
            ("Maximum", 100.0),
            ("p50", 50.0),
            ("p50.1", 60.0),
            ("p95", 100.0),
            ("p100", 100.0),
            ("tm80", 45.0),
            ("TM(10%:90%)", 55.0),
            ("TM(20:50)", 40.0),
            ("TM(:15%)", (10.0 + 0.5 * 20.0) / 1.5),
            ("IQM", (30.0 * 0.5 + 40.0 + 50.0 + 60.0 + 70.0 + 80.0 * 0.5) / 5.0),
            ("wm80", (10.0 + 20.0 + 30.0 + 40.0 + 50.0 + 60.0 + 70.0 + 80.0 * 3.0) / 10.0),
            (
                "WM(20:90)",
                (20.0 * 2.0 + 30.0 + 40.0 + 50.0 + 60.0 + 70.0 + 80.0 + 90.0 * 2.0) / 10.0,
            ),
            ("PR(:30)", 30.0),
            ("PR(30:)", 70.0),
            ("PR(20:50)", 30.0),
            ("tc90", 9.0),
            ("TC(0.005:30)", 3.0),
            ("ts50", 150.0),
            ("TS(80%:)", 190.0),
        ];
        for (text, expected) in table {
            let found = of(text, &tens).unwrap();
            assert!((found - expected).abs() < 1e-9, "{text}: {found}, not {expected}");
        }
    }

    #[test]
    fn counts_weigh() {
        let data = [(10.0, 50.0), (20.0, 30.0), (30.0, 19.0), (1000.0, 1.0)];
        assert_eq!(of("p50", &data), Some(10.0));
        assert_eq!(of("p99", &data), Some(30.0));
        assert_eq!(of("p99.1", &data), Some(1000.0));
        assert_eq!(of("PR(:20)", &data), Some(80.0));
        assert_eq!(of("p50", &[(-1.0, 1.0)]), None);
        assert_eq!(of("Average", &[(-1.0, 1.0)]), Some(-1.0));
    }

    #[test]
    fn what_is_no_statistic() {
        for text in [
            "",
            "p",
            "p0",
            "p101",
            "P50",
            "p50%",
            "p1e1",
            "p50.12345678901",
            "tm",
            "Tm90",
            "TM90",
            "tm(1:2)",
            "TM()",
            "TM(:)",
            "TM(5:3)",
            "TM(10%:5%)",
            "TM(10%:50)",
            "pr90",
            "PR(1%:2%)",
            "average",
            "IQM90",
            "PR(a:)",
            "é9",
        ] {
            assert_eq!(Statistic::parse(text), None, "{text}");
        }
    }
}
