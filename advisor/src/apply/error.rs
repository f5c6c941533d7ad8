//! Why applying stopped, and what to try.
//!
//! Types and their words only.

use crate::batch::BatchError;
use crate::journal::JournalError;
use crate::zone::ZoneError;

/// Why applying stopped. The journal tells how far it came.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Route 53.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The changes do not make a batch.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Another operation has begun and not ended.
    #[error("operation {0} (plan {1}) has begun and not ended")]
    Unfinished(u64, String),
    /// The journal's operation belongs to another zone than the one at hand.
    #[error(
        "operation {number} is of hosted zone {planned}, and the configuration leads to {found}"
    )]
    OtherZone {
        /// Of the operation.
        number: u64,
        /// Of its plan.
        planned: String,
        /// Of the configuration and the credentials.
        found: String,
    },
    /// An interrupted operation of which nothing was written must be cleared again.
    #[error("operation {0} was not cleared again: proofs and evidence may be old by now")]
    NotCleared(u64),
    /// There is nothing to resume or to roll back.
    #[error("{0}")]
    Nothing(String),
    /// The zone changed between planning and writing; nothing of the plan was written.
    #[error("the zone changed meanwhile, nothing was written: {0}")]
    Drift(String),
    /// A health check that does not see its endpoint; nothing was written.
    #[error(
        "the health check of {endpoint} is not healthy after {waited_s} s ({healthy} of {reported} checkers); nothing was written"
    )]
    Unhealthy {
        /// The endpoint.
        endpoint: String,
        /// How long was waited.
        waited_s: u64,
        /// Checkers that see it.
        healthy: usize,
        /// Checkers that reported.
        reported: usize,
    },
    /// The change was taken and is not everywhere yet.
    #[error("the change is not on all name servers after {0} s")]
    NotInSync(u64),
    /// The names of the plan are broken.
    #[error("the plan's service name is unusable: {0}")]
    Name(#[from] crate::name::NameError),
}

impl ApplyError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Journal(error) => Some(error.hint()),
            Self::Zone(error) => error.hint(),
            Self::Unfinished(..) => {
                Some("`advisor apply --resume` goes on with it, `advisor rollback` takes it back")
            }
            Self::OtherZone { .. } => {
                Some("use the configuration and the credentials with which it was begun")
            }
            Self::NotCleared(_) => Some("`advisor apply --resume` asks the targets again"),
            Self::Drift(_) => Some("look at who changed the zone, then plan again"),
            Self::Unhealthy { .. } => {
                Some("check endpoint.health_url and that the checkers may reach it")
            }
            Self::NotInSync(_) => Some("`advisor apply --resume` waits on"),
            Self::Nothing(_) => Some("`advisor history` tells how each operation ended"),
            Self::Batch(_) | Self::Name(_) => None,
        }
    }
}
