//! GetMetricData for many series: 500 queries a call, page after page.

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::SdkError;
use aws_sdk_cloudwatch::operation::get_metric_data::GetMetricDataError;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{
    Dimension, Metric, MetricDataQuery, MetricDataResult, MetricStat, ScanBy,
};

use super::source::Pace;

/// Queries of one call, at most.
pub(super) const QUERIES_MAX: usize = 500;
/// Pages of one call, at most: 500 queries of two weeks of minutes are 100.
const PAGES_MAX: usize = 128;

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
    (from_s, until_s): (i64, i64),
    limiter: Option<&Pace>,
) -> Result<Vec<Points>, SdkError<GetMetricDataError, HttpResponse>> {
    let mut answers = vec![Points::new(); questions.len()];
    for (chunk, into) in questions.chunks(QUERIES_MAX).zip(answers.chunks_mut(QUERIES_MAX)) {
        let queries: Vec<MetricDataQuery> =
            chunk.iter().enumerate().map(|(at, one)| to_sdk(namespace, at, one)).collect();
        let mut token = None;
        for _ in 0..PAGES_MAX {
            if let Some(limiter) = limiter {
                limiter.wait().await;
            }
            let page = client
                .get_metric_data()
                .set_metric_data_queries(Some(queries.clone()))
                .start_time(DateTime::from_secs(from_s))
                .end_time(DateTime::from_secs(until_s))
                .scan_by(ScanBy::TimestampAscending)
                .set_next_token(token)
                .send()
                .await?;
            for result in page.metric_data_results() {
                collect(result, into);
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
        }
    }
    Ok(answers)
}

fn collect(result: &MetricDataResult, into: &mut [Points]) {
    let at = result.id().and_then(|id| id.strip_prefix('q')).and_then(|at| at.parse().ok());
    let Some(points) = at.and_then(|at: usize| into.get_mut(at)) else { return };
    let times = result.timestamps().iter().map(DateTime::secs);
    points.extend(times.zip(result.values().iter().copied()));
}
