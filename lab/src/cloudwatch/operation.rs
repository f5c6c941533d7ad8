//! The operations that the lab's CloudWatch has.

/// An operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Takes data.
    PutMetricData,
    /// Gives statistics.
    GetMetricData,
    /// Lists metrics.
    ListMetrics,
    /// Makes or replaces an alarm.
    PutMetricAlarm,
    /// Lists alarms with their states.
    DescribeAlarms,
    /// Deletes alarms.
    DeleteAlarms,
}

impl Operation {
    /// The operation of a name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "PutMetricData" => Self::PutMetricData,
            "GetMetricData" => Self::GetMetricData,
            "ListMetrics" => Self::ListMetrics,
            "PutMetricAlarm" => Self::PutMetricAlarm,
            "DescribeAlarms" => Self::DescribeAlarms,
            "DeleteAlarms" => Self::DeleteAlarms,
            _ => return None,
        })
    }
}

/// What a call may meet on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `Throttling`, HTTP 400.
    Throttling,
    /// HTTP 500.
    InternalFailure,
    /// HTTP 503.
    ServiceUnavailable,
    /// The caller lacks the permission, HTTP 403.
    AccessDenied,
    /// The caller's temporary credentials are over, HTTP 403.
    ExpiredToken,
    /// Nobody has such a key, or the Region is not enabled, HTTP 403.
    InvalidClientTokenId,
    /// CloudWatch's clock is so many seconds ahead of the machine's.
    ClockAhead(i64),
    /// The connection ends and nothing is done.
    DropBefore,
    /// The request is done and the connection ends without a reply.
    DropAfter,
}

/// A handle to the faults of the lab's CloudWatch. Clones share them.
pub type Faults = crate::faults::FaultQueue<Operation, Fault>;
