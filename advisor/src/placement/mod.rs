//! Where to deploy: the k columns (Regions) of a cost matrix that serve its clients best, proven.
//!
//! Pure: a matrix and a request give an answer; the same input gives the same output. It does no IO
//! and reads no clock: whoever calls says when the time is over. Ties go by the order of names.

mod branch;
mod data_tier;
mod deployment;
mod edge_compute;
mod edge_path;
mod effect;
mod endpoint_kind;
mod estimate;
mod exchange;
mod journey;
mod lagrange;
mod matrix;
mod objective;
mod read;
mod round_trips;
mod rows;
mod swap;

pub use data_tier::{
    Caller, DataTier, Effective, FarStorage, Replica, Storage, StorageTold, Surroundings,
    TierVerdict, data_tiers,
};
pub use deployment::{Candidate, Deployment, Evidence, Measured, SeriesModel, deployment};
pub use edge_compute::{
    Answerable, EDGE_TECHNIQUES, EdgeSaving, EdgeTechnique, answerable, edge_savings,
};
pub use edge_path::{
    ANSWERS_MIN, DOUBLE_HOP, DOUBLE_HOP_MIGRATION, EdgePath, ORIGIN_BY_NAME, edge_paths,
};
pub use effect::{Change, Effect, Member, effect};
pub use endpoint_kind::{
    Difference, EDGE_OPTIMIZED_MIGRATION, EDGE_OPTIMIZED_TRAP, KindComparison, KindVerdict,
    PAIRS_MIN, WindowMedians, compare_kinds, is_edge_optimized_trap, kind_verdict,
};
pub use estimate::{Fit, Hops, LeftOut, Observed, fit, interval, leave_one_out};
pub use exchange::{Exchange, best_exchange};
pub use journey::{BlockCosts, JourneyStep, TierMove, journey_steps, tier_moves};
pub use matrix::{CostMatrix, MatrixError};
pub use objective::{Answer, Objective, Request, RequestError, plain_frontier, solve};
pub use read::{ReadError, Table, read_table};
pub use round_trips::round_trips;
