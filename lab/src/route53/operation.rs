//! The operations of the API that the lab has, by AWS's names.

use std::fmt;

macro_rules! operations {
    ($($name:ident),+ $(,)?) => {
        /// An operation of the Route 53 API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $(#[doc = concat!("`", stringify!($name), "`.")] $name),+
        }

        impl Operation {
            /// Every operation.
            pub const ALL: &'static [Operation] = &[$(Operation::$name),+];

            /// AWS's name.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Operation::$name => stringify!($name)),+ }
            }
        }
    };
}

operations! {
    CreateHostedZone,
    GetHostedZone,
    ListHostedZones,
    ListHostedZonesByName,
    DeleteHostedZone,
    GetHostedZoneCount,
    ChangeResourceRecordSets,
    ListResourceRecordSets,
    GetChange,
    TestDNSAnswer,
    CreateHealthCheck,
    GetHealthCheck,
    ListHealthChecks,
    UpdateHealthCheck,
    DeleteHealthCheck,
    GetHealthCheckStatus,
    GetHealthCheckLastFailureReason,
    GetHealthCheckCount,
    ChangeTagsForResource,
    ListTagsForResource,
    ListTagsForResources,
    GetCheckerIpRanges,
    CreateResourceRecordSetProtections,
    DeleteResourceRecordSetProtections,
    ListResourceRecordSetProtections,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
