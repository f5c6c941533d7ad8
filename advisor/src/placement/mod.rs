//! Where to deploy: the k columns (Regions) of a cost matrix that serve its clients best, proven.
//!
//! Pure: a matrix and a request give an answer; the same input gives the same output. It does no IO
//! and reads no clock: whoever calls says when the time is over. Ties go by the order of names.

mod branch;
mod deployment;
mod effect;
mod endpoint_kind;
mod estimate;
mod lagrange;
mod matrix;
mod objective;
mod read;
mod rows;
mod swap;

pub use deployment::{Deployment, Measured, SeriesModel, deployment};
pub use effect::{Change, Effect, Member, effect};
pub use endpoint_kind::{
    Difference, EDGE_OPTIMIZED_MIGRATION, EDGE_OPTIMIZED_TRAP, KindComparison, KindVerdict,
    PAIRS_MIN, WindowMedians, compare_kinds, is_edge_optimized_trap, kind_verdict,
};
pub use estimate::{Fit, Hops, LeftOut, Observed, fit, interval, leave_one_out};
pub use matrix::{CostMatrix, MatrixError};
pub use objective::{Answer, Objective, Request, RequestError, solve};
pub use read::{ReadError, Table, read_table};
