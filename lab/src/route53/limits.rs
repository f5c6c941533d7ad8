//! The limits of Route 53, in one place, and the buckets that hold a client to them. No clock: callers pass `now`.
//!
//! Sources: "Quotas" and "Throttling API requests" of the Route 53 developer guide.

use std::collections::BTreeMap;
use std::time::Duration;

use super::operation::Operation;
use crate::bucket::Bucket;
pub use crate::bucket::Rate;

/// `ResourceRecord` elements of one request; aliases count, UPSERT counts twice.
pub const ELEMENTS_MAX: usize = 1_000;
/// Characters of all `Value` elements of one request; UPSERT counts twice.
pub const CHARACTERS_MAX: usize = 32_000;
/// Sets of one (name, type) group.
pub const GROUP_MAX: usize = 100;
/// Geoproximity sets of one (name, type) group.
pub const GEOPROXIMITY_MAX: usize = 30;
/// Values of one set.
pub const VALUES_MAX: usize = 400;
/// Record sets of a zone.
pub const RECORDS_MAX: usize = 10_000;
/// Hosted zones of an account.
pub const ZONES_MAX: usize = 500;
/// Health checks of an account.
pub const HEALTH_CHECKS_MAX: usize = 200;
/// Entries of one protection request.
pub const PROTECTION_BATCH_MAX: usize = 100;
/// Protections of a zone. AWS's number is not known; unverified.
pub const PROTECTIONS_MAX: usize = 1_000;
/// Record sets of one page.
pub const RECORDS_PAGE: usize = 300;
/// Zones and health checks of one page.
pub const PAGE: usize = 100;
/// Tags of one resource. The request takes 10; AWS keeps up to 50.
pub const TAGS_MAX: usize = 50;
/// Bytes of a request body. Above what 1,000 elements of 4,000 characters can need.
pub const BODY_MAX: usize = 8 * 1024 * 1024;

/// The account's bucket, shared by all actions.
pub const ACCOUNT_RATE: Rate = Rate::new(50.0, 10.0);

/// The bucket of one action.
#[must_use]
pub fn action_rate(operation: Operation) -> Rate {
    match operation {
        Operation::CreateHealthCheck => Rate::new(50.0, 0.5),
        Operation::DeleteHealthCheck => Rate::new(15.0, 3.0),
        Operation::GetHealthCheckStatus | Operation::GetHealthCheckLastFailureReason => {
            Rate::new(4.0, 1.0)
        }
        Operation::CreateHostedZone => Rate::new(40.0, 2.0),
        _ => Rate::new(50.0, 10.0),
    }
}

/// How the lab throttles.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throttling {
    /// Multiplies the burst and the refill of every bucket; 1 is AWS's own.
    pub scale: f64,
    /// Changes of record sets in a second. AWS has such a limit and has not published it.
    pub changes: Option<Rate>,
}

impl Default for Throttling {
    fn default() -> Self {
        Self { scale: 1.0, changes: None }
    }
}

/// The buckets of the account and of each action.
#[derive(Debug, Clone)]
pub struct Buckets {
    throttling: Option<Throttling>,
    account: Option<Bucket>,
    changes: Option<Bucket>,
    actions: BTreeMap<Operation, Bucket>,
}

impl Buckets {
    /// Full buckets; `None` never throttles.
    #[must_use]
    pub fn new(throttling: Option<Throttling>) -> Self {
        Self { throttling, account: None, changes: None, actions: BTreeMap::new() }
    }

    /// Takes a token from the account's and from the action's bucket; `false`, and nothing taken,
    /// if either is empty.
    pub fn take(&mut self, operation: Operation, now: Duration) -> bool {
        let Some(Throttling { scale, .. }) = self.throttling else { return true };
        let account = self.account.get_or_insert_with(|| Bucket::full(ACCOUNT_RATE, scale, now));
        let action = self
            .actions
            .entry(operation)
            .or_insert_with(|| Bucket::full(action_rate(operation), scale, now));
        account.fill(now);
        action.fill(now);
        if !account.holds(1.0) || !action.holds(1.0) {
            return false;
        }
        account.take(1.0);
        action.take(1.0);
        true
    }

    /// Takes `count` tokens from the bucket of changes, if there is one.
    pub fn take_changes(&mut self, count: usize, now: Duration) -> bool {
        let Some(Throttling { scale, changes: Some(rate) }) = self.throttling else { return true };
        let bucket = self.changes.get_or_insert_with(|| Bucket::full(rate, scale, now));
        bucket.fill(now);
        let wanted = count as f64;
        // A batch larger than the bucket must be possible: it waits for a full one.
        if !bucket.holds(wanted.min(bucket.burst())) {
            return false;
        }
        bucket.take(wanted);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(buckets: &mut Buckets, operation: Operation, at_s: u64) -> usize {
        (0..1_000).take_while(|_| buckets.take(operation, Duration::from_secs(at_s))).count()
    }

    #[test]
    fn table_of_buckets() {
        let check = |operation, burst, after_10_s| {
            let mut buckets = Buckets::new(Some(Throttling::default()));
            assert_eq!(taken(&mut buckets, operation, 0), burst, "{operation}");
            assert_eq!(taken(&mut buckets, operation, 10), after_10_s, "{operation}");
        };
        check(Operation::ListResourceRecordSets, 50, 50);
        check(Operation::CreateHealthCheck, 50, 5);
        check(Operation::DeleteHealthCheck, 15, 15);
        check(Operation::GetHealthCheckStatus, 4, 4);
        check(Operation::CreateHostedZone, 40, 20);
    }

    #[test]
    fn account_bucket_is_shared() {
        let mut buckets = Buckets::new(Some(Throttling::default()));
        assert_eq!(taken(&mut buckets, Operation::GetChange, 0), 50);
        assert!(!buckets.take(Operation::GetHostedZone, Duration::ZERO));
        assert!(buckets.take(Operation::GetHostedZone, Duration::from_millis(100)));
    }

    #[test]
    fn scale_and_off() {
        let mut buckets = Buckets::new(Some(Throttling { scale: 0.1, changes: None }));
        assert_eq!(taken(&mut buckets, Operation::GetChange, 0), 5);
        assert_eq!(taken(&mut Buckets::new(None), Operation::GetChange, 0), 1_000);
    }

    #[test]
    fn changes_have_a_bucket_of_their_own() {
        let rate = Rate::new(10.0, 1.0);
        let mut buckets = Buckets::new(Some(Throttling { scale: 1.0, changes: Some(rate) }));
        assert!(buckets.take_changes(8, Duration::ZERO));
        assert!(!buckets.take_changes(8, Duration::ZERO));
        assert!(buckets.take_changes(8, Duration::from_secs(6)));
        assert!(buckets.take_changes(50, Duration::from_secs(100)));
        assert!(!buckets.take_changes(1, Duration::from_secs(130)));
    }
}
