//! What reports and deployment advice read of CloudWatch: each series over a span, with its
//! distribution as counts between edges (`probe::publish::counts`).
//!
//! Asked twice: first how many samples there are and between which values they lie, then how many
//! lie between the edges there. Nothing is kept here.

use std::collections::BTreeMap;
use std::time::Duration;

use advisor::matrix::SourceError;
use probe::histogram::Histogram;
use probe::publish::budget::has;
use probe::publish::counts::{Buckets, Counted};
use probe::publish::{FAILURES, KIND, RESPONSE, RESPONSE_INCOMPLETE, dimensions, phase_metric};
use probe::sample::{Connection, OUTCOME_KINDS, Phase, Series};

use super::CloudWatchSource;
use super::query::{Points, Question};
use super::source::whole;

/// The longest period of what tells the newest sample's time: an hour.
const HOUR_S: i64 = 3_600;
/// Periods that may divide a span, the longest first. Whatever CloudWatch aligns them to, whole ones
/// that begin where the span begins are the same.
const PERIODS_S: [i64; 6] = [86_400, HOUR_S, 1_800, 900, 300, 60];

/// What is wanted of a span.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// The series, with the timeout of each.
    pub series: &'a [(Series, Duration)],
    /// The phases that are published.
    pub phases: &'a [Phase],
    /// Whether the round trips of new connections are wanted as distributions.
    pub round_trips: bool,
    /// By target, the responses in microseconds up to which counts must be exact.
    pub exact_us: &'a BTreeMap<String, Vec<u64>>,
    /// The span, in ms since 1970; its ends are cut to whole minutes.
    pub range_ms: (i64, i64),
}

/// The statistics that say how much there is, of one metric.
const EXTENT: [&str; 3] = ["SampleCount", "Minimum", "Maximum"];

impl CloudWatchSource {
    /// Each series of the span that has samples, in the order asked for.
    pub async fn counted(&self, wanted: &Wanted<'_>) -> Result<Vec<Counted>, SourceError> {
        let minute = |at_ms: i64| at_ms.div_euclid(60_000) * 60;
        let range_s = (minute(wanted.range_ms.0), minute(wanted.range_ms.1));
        if range_s.0 >= range_s.1 {
            return Ok(Vec::new());
        }
        let (fine_s, coarse_s) = (period_s(range_s, HOUR_S), period_s(range_s, i64::MAX));
        let first = wanted.series.iter().map(|(series, _)| extents(series, wanted, fine_s));
        let answers = self.ask_each(&first.collect::<Vec<_>>(), range_s).await?;
        let found = wanted.series.iter().zip(&answers);
        let found: Vec<Extents> = found
            .map(|((series, timeout), answers)| {
                Extents::read((series, *timeout), wanted, answers, i64::from(fine_s))
            })
            .filter(|one| one.told.attempts + one.told.incomplete > 0)
            .collect();
        let second = found.iter().map(|one| one.questions(coarse_s));
        let answers = self.ask_each(&second.collect::<Vec<_>>(), range_s).await?;
        Ok(found.into_iter().zip(answers).map(|(one, answers)| one.counted(&answers)).collect())
    }

    /// Asks groups of questions together; answers in the same groups.
    async fn ask_each(
        &self,
        groups: &[Vec<Question>],
        range_s: (i64, i64),
    ) -> Result<Vec<Vec<Points>>, SourceError> {
        let all: Vec<Question> = groups.iter().flatten().cloned().collect();
        let mut answers = self.ask(&all, range_s).await?.into_iter();
        Ok(groups.iter().map(|group| answers.by_ref().take(group.len()).collect()).collect())
    }
}

/// The longest period of at most `most_s` of which the span is a whole number.
fn period_s((since_s, until_s): (i64, i64), most_s: i64) -> i32 {
    let divides = |period: &&i64| since_s % **period == 0 && until_s % **period == 0;
    let found = PERIODS_S.iter().filter(|period| **period <= most_s).find(divides);
    found.and_then(|period| i32::try_from(*period).ok()).unwrap_or(60)
}

fn question(series: &Series, metric: &str, statistic: &str, period_s: i32) -> Question {
    let connection = series.connection.as_str();
    Question {
        metric: metric.to_owned(),
        dimensions: dimensions(&series.vantage, &series.target, connection, &series.path),
        statistic: statistic.to_owned(),
        period_s,
    }
}

/// The first questions about a series: how much there is, and within which bounds.
fn extents(series: &Series, wanted: &Wanted<'_>, period_s: i32) -> Vec<Question> {
    let trips = has_trips(series, wanted).then(|| phase_metric(Phase::Connect));
    let extents = [Some(RESPONSE), trips].into_iter().flatten();
    let extents = extents.flat_map(|metric| EXTENT.map(|statistic| (metric, statistic)));
    let counts = [(RESPONSE_INCOMPLETE, "SampleCount"), (FAILURES, "Sum")];
    let phases = phases(series, wanted).map(phase_metric);
    let phases = phases.flat_map(|metric| ["SampleCount", "Sum"].map(|one| (metric, one)));
    let all = counts.into_iter().chain(extents).chain(phases);
    all.map(|(metric, statistic)| question(series, metric, statistic, period_s)).collect()
}

/// The phases that there may be of a series.
fn phases<'a>(series: &'a Series, wanted: &Wanted<'a>) -> impl Iterator<Item = Phase> + 'a {
    wanted.phases.iter().copied().filter(|phase| has(series.connection, *phase))
}

/// Only a cold series opens a connection of its own.
fn has_trips(series: &Series, wanted: &Wanted<'_>) -> bool {
    wanted.round_trips && series.connection == Connection::Cold
}

/// What the first answers tell of a series, and what is asked next.
struct Extents {
    told: Counted,
    response: Option<Buckets>,
    round_trips: Option<(Buckets, u64)>,
}

impl Extents {
    fn read(
        (series, timeout): (&Series, Duration),
        wanted: &Wanted<'_>,
        answers: &[Points],
        period_s: i64,
    ) -> Self {
        let timeout_us = u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX);
        let mut answers = answers.iter();
        let mut next = || answers.next().map_or(&[][..], Vec::as_slice);
        let (incomplete, failures) = (next(), next());
        let attempts = next();
        let newest = [attempts, incomplete].into_iter().filter_map(|points| points.last());
        let newest = newest.map(|(start_s, _)| (start_s + period_s) * 1_000).max();
        let response = bounds(next(), next());
        let exact_us = wanted.exact_us.get(&series.target).map_or(&[][..], Vec::as_slice);
        let trips = has_trips(series, wanted).then(|| (sum(next()), bounds(next(), next())));
        let phase = |phase: Phase| (phase, whole(sum(next())), sum(next()));
        let phases = phases(series, wanted).map(phase).filter(|(_, n, _)| *n > 0).collect();
        let told = Counted {
            series: series.clone(),
            attempts: whole(sum(attempts)),
            incomplete: whole(sum(incomplete)),
            failures: whole(sum(failures)),
            by_kind: BTreeMap::new(),
            response: Histogram::new(),
            round_trips: Histogram::new(),
            phases,
            last_ms: newest.unwrap_or(0),
        };
        let trips = trips.and_then(|(n, bounds)| Some((bounds?, whole(n))));
        Self {
            told,
            response: response.map(|bounds| Buckets::new(bounds, exact_us, timeout_us)),
            round_trips: trips.map(|(bounds, n)| (Buckets::new(bounds, &[], timeout_us), n)),
        }
    }

    /// What lies between the edges, and failures by kind where there are any.
    fn questions(&self, period_s: i32) -> Vec<Question> {
        let series = &self.told.series;
        let of = |metric: &'static str, buckets: Option<&Buckets>| {
            let named = buckets.map(Buckets::statistics).unwrap_or_default().into_iter();
            named.map(move |statistic| question(series, metric, &statistic, period_s))
        };
        let trips = self.round_trips.as_ref().map(|(buckets, _)| buckets);
        let counts = of(RESPONSE, self.response.as_ref());
        let counts = counts.chain(of(phase_metric(Phase::Connect), trips));
        let kinds = failure_kinds().filter(|_| self.told.failures > 0).map(|kind| {
            let mut question = question(series, FAILURES, "Sum", period_s);
            question.dimensions.push((KIND.to_owned(), kind.to_owned()));
            question.dimensions.sort();
            question
        });
        counts.chain(kinds).collect()
    }

    fn counted(self, answers: &[Points]) -> Counted {
        let Self { mut told, response, round_trips, .. } = self;
        let mut counts = answers.iter().map(|points| whole(sum(points)));
        let mut histogram = |buckets: &Buckets, total| {
            let counts: Vec<u64> = counts.by_ref().take(buckets.statistics().len()).collect();
            buckets.histogram(&counts, total)
        };
        if let Some(buckets) = &response {
            told.response = histogram(buckets, told.attempts);
        }
        if let Some((buckets, n)) = &round_trips {
            told.round_trips = histogram(buckets, *n);
        }
        told.by_kind = failure_kinds().zip(counts).filter(|(_, n)| *n > 0).collect();
        told
    }
}

/// Failures are counted by each kind but success.
fn failure_kinds() -> impl Iterator<Item = &'static str> {
    OUTCOME_KINDS.into_iter().skip(1)
}

fn sum(points: &[(i64, f64)]) -> f64 {
    points.iter().map(|(_, value)| value).sum()
}

/// The least and the greatest of all periods, in microseconds.
fn bounds(least: &[(i64, f64)], greatest: &[(i64, f64)]) -> Option<(u64, u64)> {
    let us = |ms: f64| ms * 1_000.0;
    let least = least.iter().map(|(_, ms)| *ms).min_by(f64::total_cmp)?;
    let greatest = greatest.iter().map(|(_, ms)| *ms).max_by(f64::total_cmp)?;
    Some((whole(us(least)), whole(us(greatest))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_divide_the_span() {
        let day = 86_400;
        for (range_s, most_s, expected) in [
            ((day, 8 * day), i64::MAX, 86_400),
            ((day, 8 * day), HOUR_S, 3_600),
            ((day + 3_600, 8 * day), i64::MAX, 3_600),
            ((day - 19_800, 8 * day - 19_800), i64::MAX, 1_800),
            ((day - 20_700, 8 * day - 20_700), HOUR_S, 900),
            ((60, 3_600), HOUR_S, 60),
        ] {
            assert_eq!(period_s(range_s, most_s), expected, "{range_s:?}");
        }
    }
}
