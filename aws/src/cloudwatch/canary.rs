//! What a canary needs of CloudWatch: the brake's alarm and beats, and the figures that API Gateway and
//! Lambda publish of the endpoints in their own Regions. It calls and translates; it judges nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use advisor::canary::{
    BEAT_DIMENSION, BEAT_METRIC, BEAT_NAMESPACE, BEAT_PERIOD_MS, Brake, RegionFigures, RegionMinute,
};
use advisor::zone::BrakeSpec;
use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::config::http::HttpResponse;
use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::operation::delete_alarms::DeleteAlarmsError;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, MetricDatum, Statistic};
use probe::config::{ApiDimension, Endpoint, EndpointMetrics};

use super::error::told;
use super::query::{Points, Question, ask};
use super::{Patience, connect_as};
use crate::Access;

/// Short: a beat that comes late is none, and figures that come late hold a verdict up.
const PATIENCE: Patience = Patience { attempts: 2, attempt: Duration::from_secs(3) };
/// The namespaces of the two services.
const GATEWAY: &str = "AWS/ApiGateway";
const LAMBDA: &str = "AWS/Lambda";

/// The alarm and the metric of a service's brake.
#[derive(Debug, Clone)]
pub struct CloudWatchBrake {
    client: Client,
    alarm: String,
    service: String,
}

impl CloudWatchBrake {
    /// The brake of `service`, in the zone's account: Route 53 follows alarms of its own account alone.
    pub async fn open(access: &Access, spec: &BrakeSpec, service: &str) -> Self {
        let role = access.zone_role.as_deref();
        Self {
            client: connect_as(access, role, &spec.region, PATIENCE).await,
            alarm: spec.alarm.clone(),
            service: service.to_owned(),
        }
    }

    fn dimension(&self) -> Dimension {
        Dimension::builder().name(BEAT_DIMENSION).value(&self.service).build()
    }
}

/// An error in words.
fn failed<E>(what: &str, error: &SdkError<E, HttpResponse>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    format!("{what}: {}", told(error))
}

fn is_gone(error: &SdkError<DeleteAlarmsError, HttpResponse>) -> bool {
    error.as_service_error().is_some_and(DeleteAlarmsError::is_resource_not_found)
}

impl Brake for CloudWatchBrake {
    async fn arm(&self) -> Result<(), String> {
        let period_s = i32::try_from(BEAT_PERIOD_MS / 1_000).unwrap_or(i32::MAX);
        self.client
            .put_metric_alarm()
            .alarm_name(&self.alarm)
            .alarm_description("Nearside: takes the new arm of a canary out of answers")
            .namespace(BEAT_NAMESPACE)
            .metric_name(BEAT_METRIC)
            .dimensions(self.dimension())
            .statistic(Statistic::Maximum)
            .period(period_s)
            .evaluation_periods(1)
            .threshold(1.0)
            .comparison_operator(ComparisonOperator::LessThanThreshold)
            .treat_missing_data("breaching")
            .send()
            .await
            .map_err(|error| failed("PutMetricAlarm", &error))?;
        Ok(())
    }

    async fn publish(&self, values: &[(i64, f64)]) -> Result<(), String> {
        let datum = |(at_ms, value): &(i64, f64)| {
            MetricDatum::builder()
                .metric_name(BEAT_METRIC)
                .dimensions(self.dimension())
                .timestamp(DateTime::from_millis(*at_ms))
                .value(*value)
                .build()
        };
        self.client
            .put_metric_data()
            .namespace(BEAT_NAMESPACE)
            .set_metric_data(Some(values.iter().map(datum).collect()))
            .send()
            .await
            .map_err(|error| failed("PutMetricData", &error))?;
        Ok(())
    }

    async fn disarm(&self) -> Result<(), String> {
        let deleted = self.client.delete_alarms().alarm_names(&self.alarm).send().await;
        match deleted {
            Ok(_) => Ok(()),
            // One that is gone is what was wanted.
            Err(error) if is_gone(&error) => Ok(()),
            Err(error) => Err(failed("DeleteAlarms", &error)),
        }
    }
}

/// The figures of endpoints, each from its own Region.
#[derive(Debug, Clone)]
pub struct CloudWatchFigures {
    endpoints: BTreeMap<String, (Client, EndpointMetrics)>,
}

impl CloudWatchFigures {
    /// The figures of those of the endpoints that say where theirs are.
    pub async fn open(access: &Access, endpoints: &[&Endpoint]) -> Self {
        let mut known = BTreeMap::new();
        for endpoint in endpoints {
            let Some(metrics) = endpoint.metrics.clone() else { continue };
            let role = access.api_role.as_deref();
            let client = connect_as(access, role, &endpoint.region, PATIENCE).await;
            known.insert(endpoint.id.clone(), (client, metrics));
        }
        Self { endpoints: known }
    }
}

fn question(
    metric: &str,
    dimension: Option<(&str, &str)>,
    statistic: &str,
    period_s: i32,
) -> Question {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    Question {
        metric: metric.to_owned(),
        dimensions: dimension.map(owned).into_iter().collect(),
        statistic: statistic.to_owned(),
        period_s,
    }
}

/// REST and HTTP APIs have other names for the same.
fn gateway_questions(api: &ApiDimension, period_s: i32) -> [Question; 2] {
    let (dimension, failures) = match api {
        ApiDimension::Name(name) => (("ApiName", name.as_str()), "5XXError"),
        ApiDimension::Id(id) => (("ApiId", id.as_str()), "5xx"),
    };
    ["Count", failures].map(|metric| question(metric, Some(dimension), "Sum", period_s))
}

/// Throttles are the function's; what runs at once is the account's in that Region.
fn lambda_questions(function: &str, period_s: i32) -> [Question; 2] {
    [
        question("Throttles", Some(("FunctionName", function)), "Sum", period_s),
        question("ConcurrentExecutions", None, "Maximum", period_s),
    ]
}

fn minutes(gateway: &[Points], lambda: &[Points], concurrency: f64) -> BTreeMap<i64, RegionMinute> {
    let mut minutes: BTreeMap<i64, RegionMinute> = BTreeMap::new();
    let columns = gateway.iter().chain(lambda).zip(0..);
    for (points, column) in columns {
        for (start_s, value) in points {
            let minute = minutes.entry(start_s * 1_000).or_default();
            match column {
                0 => minute.requests = Some(*value),
                1 => minute.failures = Some(*value),
                2 => minute.throttles = Some(*value),
                _ => minute.concurrency_share = Some(*value / concurrency),
            }
        }
    }
    minutes
}

impl RegionFigures for CloudWatchFigures {
    async fn figures(
        &self,
        endpoint: &str,
        (from_ms, until_ms): (i64, i64),
    ) -> Result<BTreeMap<i64, RegionMinute>, String> {
        let (client, metrics) = self
            .endpoints
            .get(endpoint)
            .ok_or_else(|| format!("endpoint {endpoint} does not say where its figures are"))?;
        let period_s = i32::try_from(metrics.period.as_secs()).unwrap_or(i32::MAX);
        let range_s = (from_ms.div_euclid(1_000), until_ms.div_euclid(1_000));
        let get = async |namespace: &str, questions: [Question; 2]| {
            ask(client, namespace, &questions, range_s, None)
                .await
                .map_err(|error| format!("GetMetricData: {error}"))
        };
        let gateway = get(GATEWAY, gateway_questions(&metrics.api, period_s)).await?;
        let lambda = get(LAMBDA, lambda_questions(&metrics.function, period_s)).await?;
        Ok(minutes(&gateway, &lambda, metrics.concurrency))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_what_was_published_of_it() {
        let gateway = [vec![(60, 600.0), (120, 300.0)], vec![(60, 3.0)]];
        let lambda = [vec![(60, 0.0)], vec![(60, 50.0), (120, 900.0)]];
        let found = minutes(&gateway, &lambda, 1_000.0);
        let whole = RegionMinute {
            requests: Some(600.0),
            failures: Some(3.0),
            throttles: Some(0.0),
            concurrency_share: Some(0.05),
        };
        let part = RegionMinute {
            requests: Some(300.0),
            concurrency_share: Some(0.9),
            ..RegionMinute::default()
        };
        assert_eq!(found, BTreeMap::from([(60_000, whole), (120_000, part)]));
    }
}
