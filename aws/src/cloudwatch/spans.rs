//! What screens show of CloudWatch: quantiles, counts and failures of every series, span by span.
//!
//! A question is a metric and a statistic, and each is paid for, however many spans it is answered
//! with. Nothing is kept here: whoever asks decides how often.

use std::collections::{BTreeMap, BTreeSet};

use advisor::matrix::SourceError;
use probe::publish::{FAILURES, KIND, RESPONSE, phase_metric};
use probe::sample::{Connection, OUTCOME_KINDS, Phase, Series};
use probe::store::{Quantiles, SpanRow};

use super::CloudWatchSource;
use super::query::{Points, Question};
use super::source::{Cell, whole};

/// The quantiles that a span keeps.
const QUANTILES: [&str; 7] = ["p10", "p25", "p50", "p75", "p90", "p95", "p99"];
/// Questions for one series: its quantiles, its samples, its failures.
const QUESTIONS: usize = QUANTILES.len() + 2;

/// The spans of one series, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesSpans {
    /// Whose.
    pub series: Series,
    /// The number of the series is its place in the answer.
    pub rows: Vec<SpanRow>,
}

/// One connection of one cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellSpans {
    /// The response.
    pub response: SeriesSpans,
    /// The median in microseconds of each phase that is published, by the start of its span in ms.
    pub phases: Vec<(Phase, Vec<(i64, u64)>)>,
    /// Failures by outcome kind.
    pub by_kind: BTreeMap<&'static str, u64>,
}

impl CloudWatchSource {
    /// How many metrics one reading of a connection asks for.
    #[must_use]
    pub fn spans_asked(&self, connection: Connection) -> usize {
        self.cells.iter().filter(|cell| cell.connection == connection).count() * QUESTIONS
    }

    /// How many metrics the advisor's own readings ask for: the matrix, and round trips.
    #[must_use]
    pub fn matrix_asked(&self) -> (usize, usize) {
        let cold = self.cells.iter().filter(|cell| cell.connection == Connection::Cold).count();
        (self.cells.len() * 3, cold)
    }

    /// The spans of every series of one connection, `span_ms` long, that begin in `range_ms`. Series
    /// without a sample are left out.
    pub async fn spans(
        &self,
        connection: Connection,
        span_ms: i64,
        range_ms: (i64, i64),
    ) -> Result<Vec<SeriesSpans>, SourceError> {
        let cells: Vec<&Cell> =
            self.cells.iter().filter(|cell| cell.connection == connection).collect();
        let questions: Vec<Question> =
            cells.iter().flat_map(|cell| self.of_response(cell, span_ms)).collect();
        let answers = self.ask(&questions, seconds(range_ms)).await?;
        let of_cells = cells.iter().zip(answers.chunks(QUESTIONS)).enumerate();
        let all = of_cells.map(|(at, (cell, answers))| series_spans((at, cell), span_ms, answers));
        Ok(all.filter(|one| !one.rows.is_empty()).collect())
    }

    /// One cell over all its connections, with the phases that are published and failures by kind.
    pub async fn cell_spans(
        &self,
        (vantage, endpoint): (&str, &str),
        phases: &[Phase],
        span_ms: i64,
        range_ms: (i64, i64),
    ) -> Result<Vec<CellSpans>, SourceError> {
        let is_it = |cell: &&Cell| cell.vantage == vantage && cell.endpoint == endpoint;
        let cells: Vec<&Cell> = self.cells.iter().filter(is_it).collect();
        let questions = |cell: &&Cell| {
            let of_phases = phases
                .iter()
                .map(|phase| spanned(self.question(cell, phase_metric(*phase), "p50"), span_ms));
            let of_kinds = OUTCOME_KINDS[1..].iter().map(|kind| {
                let mut question = spanned(self.question(cell, FAILURES, "Sum"), span_ms);
                question.dimensions.push((KIND.to_owned(), (*kind).to_owned()));
                question.dimensions.sort();
                question
            });
            self.of_response(cell, span_ms).chain(of_phases).chain(of_kinds).collect::<Vec<_>>()
        };
        let all: Vec<Question> = cells.iter().flat_map(questions).collect();
        let answers = self.ask(&all, seconds(range_ms)).await?;
        let each = answers.chunks((all.len() / cells.len().max(1)).max(1));
        let part = |(at, (cell, answers)): (usize, (&&Cell, &[Points]))| {
            let (response, rest) = answers.split_at_checked(QUESTIONS)?;
            let (of_phases, of_kinds) = rest.split_at_checked(phases.len())?;
            Some(CellSpans {
                response: series_spans((at, cell), span_ms, response),
                phases: phases.iter().copied().zip(of_phases.iter().map(medians)).collect(),
                by_kind: by_kind(of_kinds),
            })
        };
        Ok(cells.iter().zip(each).enumerate().filter_map(part).collect())
    }

    fn of_response(&self, cell: &Cell, span_ms: i64) -> impl Iterator<Item = Question> {
        let asked = QUANTILES.iter().map(|quantile| (RESPONSE, *quantile));
        let asked = asked.chain([(RESPONSE, "SampleCount"), (FAILURES, "Sum")]);
        asked.map(move |(metric, statistic)| {
            spanned(self.question(cell, metric, statistic), span_ms)
        })
    }
}

/// The same question of spans this long: whole minutes, as windows are.
fn spanned(question: Question, span_ms: i64) -> Question {
    Question { period_s: i32::try_from(span_ms / 1_000).unwrap_or(i32::MAX), ..question }
}

fn seconds((since_ms, until_ms): (i64, i64)) -> (i64, i64) {
    (since_ms.div_euclid(1_000), until_ms.div_euclid(1_000))
}

fn us(ms: f64) -> u64 {
    whole(ms * 1_000.0)
}

fn medians(points: &Points) -> Vec<(i64, u64)> {
    points.iter().map(|(start_s, ms)| (start_s * 1_000, us(*ms))).collect()
}

fn by_kind(of_kinds: &[Points]) -> BTreeMap<&'static str, u64> {
    let sum = |points: &Points| whole(points.iter().map(|(_, count)| count).sum());
    let counted =
        OUTCOME_KINDS[1..].iter().zip(of_kinds).map(|(kind, points)| (*kind, sum(points)));
    counted.filter(|(_, count)| *count > 0).collect()
}

/// Spans of the answers to [`CloudWatchSource::of_response`], in its order.
fn series_spans((at, cell): (usize, &Cell), span_ms: i64, answers: &[Points]) -> SeriesSpans {
    let by_start: Vec<BTreeMap<i64, f64>> =
        answers.iter().map(|points| points.iter().copied().collect()).collect();
    let starts: BTreeSet<i64> =
        by_start.iter().take(QUESTIONS - 1).flat_map(|one| one.keys().copied()).collect();
    let row = |start_s: i64| {
        let value = |index: usize| by_start.get(index)?.get(&start_s).copied();
        let quantile = |index| value(index).map(us);
        let quantiles = || {
            Some(Quantiles {
                p10_us: quantile(0)?,
                p25_us: quantile(1)?,
                p50_us: quantile(2)?,
                p75_us: quantile(3)?,
                p90_us: quantile(4)?,
                p95_us: quantile(5)?,
                p99_us: quantile(6)?,
            })
        };
        Some(SpanRow {
            series: i64::try_from(at).unwrap_or(i64::MAX),
            start_ms: start_s * 1_000,
            len_ms: span_ms,
            attempts: whole(value(QUANTILES.len())?),
            failures: value(QUANTILES.len() + 1).map_or(0, whole),
            missed: 0,
            quantiles: Some(quantiles()?),
        })
    };
    SeriesSpans {
        series: Series {
            vantage: cell.vantage.clone(),
            target: cell.endpoint.clone(),
            connection: cell.connection,
            path: String::new(),
        },
        rows: starts.into_iter().filter_map(row).collect(),
    }
}
