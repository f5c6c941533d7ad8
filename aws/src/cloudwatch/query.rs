//! GetMetricData for many series: 500 queries a call, page after page. An answer is whole, or it is an
//! error: half a series would be taken for what was measured.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy, StatusCode,
};

use super::error;
use super::source::Pace;

/// Queries of one call, at most.
pub(super) const QUERIES_MAX: usize = 500;
/// Pages of one call, at most: 500 queries of two weeks of minutes are 100.
const PAGES_MAX: usize = 128;

/// CloudWatch was asked, and did not tell all.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// A call failed.
    #[error("{}", error::told(.0))]
    Call(#[from] Box<SdkError<GetMetricDataError, HttpResponse>>),
    /// There is more than is read.
    #[error("the answer to {queries} queries goes on after {PAGES_MAX} pages")]
    Endless {
        /// Queries of the call.
        queries: usize,
    },
    /// Some queries have no answer, or part of one.
    #[error("{unanswered} of {queries} queries were not answered in full (the first: {status})")]
    Unanswered {
        /// Queries without a whole answer.
        unanswered: usize,
        /// Queries of the call.
        queries: usize,
        /// What CloudWatch says of the first of them.
        status: String,
    },
}

impl AskError {
    /// What to try.
    pub(super) fn hint(&self) -> &'static str {
        match self {
            Self::Call(error) => error::hint(error.as_ref()),
            Self::Endless { .. } => "ask for a shorter time",
            Self::Unanswered { .. } => "try again in a minute",
        }
    }
}

/// A series of statistics.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) metric: String,
    pub(super) dimensions: Vec<(String, String)>,
    pub(super) statistic: String,
    pub(super) period_s: i32,
}

/// The points of one series: start in seconds since 1970, and value.
pub(super) type Points = Vec<(i64, f64)>;
/// The points of a query so far, and what its newest result said of them; nothing before the first.
type Answer = (Points, Option<StatusCode>);

fn to_sdk(namespace: &str, at: usize, question: &Question) -> MetricDataQuery {
    let dimension =
        |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    let metric = Metric::builder()
        .namespace(namespace)
        .metric_name(&question.metric)
        .set_dimensions(Some(question.dimensions.iter().map(dimension).collect()))
        .build();
    let statistic = MetricStat::builder()
        .metric(metric)
        .period(question.period_s)
        .stat(&question.statistic)
        .build();
    MetricDataQuery::builder().id(format!("q{at}")).metric_stat(statistic).build()
}

/// Asks for every question over one range, seconds since 1970; answers in the order of questions.
pub(super) async fn ask(
    client: &Client,
    namespace: &str,
    questions: &[Question],
    range_s: (i64, i64),
    limiter: Option<&Pace>,
) -> Result<Vec<Points>, AskError> {
    let mut answers = Vec::with_capacity(questions.len());
    for chunk in questions.chunks(QUERIES_MAX) {
        let queries =
            chunk.iter().enumerate().map(|(at, one)| to_sdk(namespace, at, one)).collect();
        answers.extend(pages(client, queries, range_s, limiter).await?);
    }
    Ok(answers)
}

/// All pages of one call.
async fn pages(
    client: &Client,
    queries: Vec<MetricDataQuery>,
    (from_s, until_s): (i64, i64),
    limiter: Option<&Pace>,
) -> Result<Vec<Points>, AskError> {
    let mut answers: Vec<Answer> = vec![(Points::new(), None); queries.len()];
    let mut token = None;
    for _ in 0..PAGES_MAX {
        if let Some(limiter) = limiter {
            limiter.wait(queries.len()).await;
        }
        let page = client
            .get_metric_data()
            .set_metric_data_queries(Some(queries.clone()))
            .start_time(DateTime::from_secs(from_s))
            .end_time(DateTime::from_secs(until_s))
            .scan_by(ScanBy::TimestampAscending)
            .set_next_token(token)
            .send()
            .await
            .map_err(Box::new)?;
        for result in page.metric_data_results() {
            collect(result, &mut answers);
        }
        token = page.next_token;
        if token.is_none() {
            return whole(answers);
        }
    }
    Err(AskError::Endless { queries: queries.len() })
}

/// Takes in the points of one result; its last page says how it ended.
fn collect(result: &MetricDataResult, into: &mut [Answer]) {
    let at = result.id().and_then(|id| id.strip_prefix('q')).and_then(|at| at.parse().ok());
    let Some((points, status)) = at.and_then(|at: usize| into.get_mut(at)) else { return };
    let times = result.timestamps().iter().map(DateTime::secs);
    points.extend(times.zip(result.values().iter().copied()));
    if let Some(told) = result.status_code() {
        *status = Some(told.clone());
    }
}

/// The points, if every query was answered to its end. One that measured nothing has a result too.
fn whole(answers: Vec<Answer>) -> Result<Vec<Points>, AskError> {
    let statuses = answers.iter().map(|(_, status)| status.as_ref());
    let mut unanswered = statuses.filter(|one| *one != Some(&StatusCode::Complete));
    if let Some(first) = unanswered.next() {
        let status = first.map_or("no result", StatusCode::as_str).to_owned();
        let unanswered = 1 + unanswered.count();
        return Err(AskError::Unanswered { unanswered, queries: answers.len(), status });
    }
    Ok(answers.into_iter().map(|(points, _)| points).collect())
}

#[cfg(test)]
mod tests;
