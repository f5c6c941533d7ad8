//! Carries the spool's batches to CloudWatch. One request for each batch, never repeated by the SDK:
//! a repeated one would count twice.

use std::time::Duration;

use aws_sdk_cloudwatch::Client;
use aws_sdk_cloudwatch::primitives::DateTime;
use aws_sdk_cloudwatch::types::{Dimension, MetricDatum, StandardUnit};
use probe::publish::{Batch, Datum, Unit};
use probe::spool::{Courier, Delivery};
use tokio::runtime::Handle;

use super::error::delivery;
use super::query::{Question, ask};
use super::{Patience, connect};
use crate::Access;

/// One request: short enough that an agent that is told to stop ends in time.
const PATIENCE: Patience = Patience { attempts: 1, attempt: Duration::from_millis(1_900) };

/// A courier to one namespace of one Region.
#[derive(Debug)]
pub struct CloudWatchCourier {
    client: Client,
    namespace: String,
    runtime: Handle,
}

impl CloudWatchCourier {
    /// A courier whose requests run on this runtime. It must be used outside of it, in a thread.
    pub async fn open(access: &Access, region: &str, namespace: &str) -> Self {
        let client = connect(access, region, PATIENCE).await;
        Self { client, namespace: namespace.to_owned(), runtime: Handle::current() }
    }
}

fn to_sdk(datum: &Datum) -> MetricDatum {
    let dimension =
        |(name, value): &(String, String)| Dimension::builder().name(name).value(value).build();
    let values = datum.values.iter().map(|(value, _)| *value).collect();
    let counts = datum.values.iter().map(|(_, count)| *count as f64).collect();
    MetricDatum::builder()
        .metric_name(&datum.name)
        .set_dimensions(Some(datum.dimensions.iter().map(dimension).collect()))
        .timestamp(DateTime::from_millis(datum.at_ms))
        .set_values(Some(values))
        .set_counts(Some(counts))
        .unit(match datum.unit {
            Unit::Milliseconds => StandardUnit::Milliseconds,
            Unit::Count => StandardUnit::Count,
        })
        .build()
}

impl Courier for CloudWatchCourier {
    fn deliver(&mut self, batch: &Batch) -> Delivery {
        let call = self
            .client
            .put_metric_data()
            .namespace(&self.namespace)
            .set_metric_data(Some(batch.datums.iter().map(to_sdk).collect()));
        match self.runtime.block_on(call.send()) {
            Ok(_) => Delivery::Taken,
            Err(error) => delivery(&error),
        }
    }

    fn held(&mut self, datum: &Datum) -> Option<u64> {
        let minute_s = datum.at_ms.div_euclid(60_000) * 60;
        let question = Question {
            metric: datum.name.clone(),
            dimensions: datum.dimensions.clone(),
            statistic: "SampleCount".to_owned(),
            period_s: 60,
        };
        let range_s = (minute_s, minute_s + 60);
        let asked =
            ask(&self.client, &self.namespace, std::slice::from_ref(&question), range_s, None);
        match self.runtime.block_on(asked) {
            Ok(answers) => {
                let held: f64 = answers.iter().flat_map(|points| points.iter().map(|p| p.1)).sum();
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a count of samples of one minute"
                )]
                Some(held.max(0.0) as u64)
            }
            Err(error) => {
                tracing::warn!("cannot ask CloudWatch what it holds: {error}");
                None
            }
        }
    }
}
