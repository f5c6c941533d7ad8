//! The lab's CloudWatch: data, statistics and alarms, by Smithy RPC v2 CBOR and AWS JSON 1.0.
//!
//! One address serves every Region; the Region is read from the credential scope. Rules are pure and
//! live in the modules beside this one, which holds the state and reads the clock. Unlike AWS, data
//! can be read as soon as they are taken, whatever their age. It shares no code with what it judges.

mod alarm;
mod alarms;
mod distribution;
mod error;
mod fields;
mod get;
mod limits;
mod list;
mod metric;
mod operation;
mod protocol;
mod put;
mod served;
mod statistic;
mod store;
mod wire;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use alarms::Alarms;
use error::{ApiError, Kind};
use fields::Fields;
use limits::Buckets;
use store::Store;
use wire::Item;

use crate::clock;
use crate::route53::health::AlarmState;

pub use operation::{Fault, Faults, Operation};
pub(crate) use served::{API_NAME, Served};

/// Requests of endpoints that wait to be counted, at most; what is over is dropped and counted.
const SERVED_MAX: usize = 200_000;

/// One Region.
#[derive(Debug, Default)]
struct Region {
    store: Store,
    alarms: Alarms,
    buckets: Buckets,
}

#[derive(Debug)]
struct Shared {
    regions: Mutex<BTreeMap<String, Region>>,
    served: Mutex<Vec<Served>>,
    uncounted: AtomicU64,
    requests: AtomicU64,
    faults: Faults,
    started: Instant,
    /// Whether AWS's own metrics can be read by the second.
    fine: bool,
    /// How far its time is ahead of the calendar, s.
    ahead_s: AtomicI64,
}

/// A handle to the lab's CloudWatch. Clones share it.
#[derive(Debug, Clone)]
pub struct CloudWatch(Arc<Shared>);

impl CloudWatch {
    /// Of which `fine` says whether AWS's own metrics can be read by the second.
    pub(crate) fn new(fine: bool) -> Self {
        Self(Arc::new(Shared {
            regions: Mutex::default(),
            served: Mutex::default(),
            uncounted: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            faults: Faults::default(),
            started: clock::now(),
            fine,
            ahead_s: AtomicI64::new(0),
        }))
    }

    /// Faults on request, and call counters.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.0.faults.clone()
    }

    /// Requests of endpoints that were never counted, because too many waited.
    #[must_use]
    pub fn uncounted(&self) -> u64 {
        self.0.uncounted.load(Ordering::Relaxed)
    }

    /// Lets its own time pass: everything that it holds is so much older, for alarms and for readers.
    pub fn let_pass(&self, time: Duration) {
        let time_s = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        self.0.ahead_s.fetch_add(time_s, Ordering::SeqCst);
    }

    fn ahead_s(&self) -> i64 {
        self.0.ahead_s.load(Ordering::SeqCst)
    }

    /// Notes a request that an endpoint answered; never waits for a query.
    pub(crate) fn note(&self, served: Served) {
        let mut waiting = self.0.served.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < SERVED_MAX {
            waiting.push(served);
        } else {
            self.0.uncounted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Works on all Regions, with everything counted that was served until now.
    fn with<T>(&self, work: impl FnOnce(&mut BTreeMap<String, Region>) -> T) -> T {
        let mut regions = self.0.regions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut waiting = self.0.served.lock().unwrap_or_else(PoisonError::into_inner);
        let served = std::mem::take(&mut *waiting);
        drop(waiting);
        for request in served {
            let datums = request.datums(self.0.fine);
            let region = regions.entry(request.region).or_default();
            if region.store.has_room(datums.len()) {
                region.store.put_all(datums);
            } else {
                self.0.uncounted.fetch_add(1, Ordering::Relaxed);
            }
        }
        work(&mut regions)
    }

    /// What Route 53 sees of the data behind every alarm: Region, name, state.
    pub(crate) fn streams(&self) -> Vec<(String, String, AlarmState)> {
        let now_s = clock::calendar().as_second() + self.ahead_s();
        self.with(|regions| {
            let of = |(region, held): (&String, &mut Region)| {
                let streams = held.alarms.streams(&held.store, now_s);
                let region = region.clone();
                streams.into_iter().map(move |(name, state)| (region.clone(), name, state))
            };
            regions.iter_mut().flat_map(of).collect()
        })
    }

    /// The answer of an operation; `None` where it has no members.
    fn operate(
        &self,
        operation: Operation,
        region: &str,
        input: &Item,
    ) -> Result<Option<Item>, ApiError> {
        let now = clock::calendar();
        let ahead_s = self.ahead_s();
        let exact_s = now.as_millisecond() as f64 / 1_000.0 + ahead_s as f64;
        let now_s = now.as_second() + ahead_s;
        let passed = self.0.started.elapsed();
        let request = Fields::of(input)?;
        self.with(|regions| {
            let Region { store, alarms, buckets } = regions.entry(region.to_owned()).or_default();
            if !buckets.take(operation, passed) {
                return Err(throttled());
            }
            match operation {
                Operation::PutMetricData => {
                    let datums = put::read(&request, exact_s)?;
                    if !store.has_room(datums.iter().map(|datum| datum.data.len()).sum()) {
                        let message = "the lab's CloudWatch is full";
                        return Err(ApiError::new(Kind::InternalServiceError, message));
                    }
                    store.put_all(datums);
                    Ok(None)
                }
                Operation::GetMetricData => {
                    Ok(Some(get::answer(&get::read(&request)?, store, now_s)))
                }
                Operation::ListMetrics => list::answer(&request, store, now_s).map(Some),
                Operation::PutMetricAlarm => alarms.put(&request, exact_s).map(|()| None),
                Operation::DeleteAlarms => alarms.delete(&request).map(|()| None),
                Operation::DescribeAlarms => {
                    alarms.advance(store, now_s);
                    alarms.describe(&request, region).map(Some)
                }
            }
        })
    }
}

fn throttled() -> ApiError {
    ApiError::new(Kind::Throttling, "Rate exceeded")
}

#[cfg(test)]
mod tests;
