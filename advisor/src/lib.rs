//! Decides and applies: matrix -> advice -> plan -> cleared plan -> change batch -> verdict.
//!
//! The owner of the words of routing. Everything up to the batch is pure: no IO, no clock, the same
//! input gives the same bytes. Only [`survey`], [`source`], [`observe`], [`preferred`], [`domains`],
//! [`verify`], [`journal`], [`apply`] and the measuring half of [`canary`] touch the world, through the traits
//! [`zone::Zone`], [`domains::Domains`], [`matrix::MatrixSource`], [`answers::Answers`], [`canary::Brake`] and
//! [`canary::RegionFigures`].

pub mod advice;
pub mod answers;
pub mod apply;
pub mod batch;
pub mod bill;
pub mod canary;
pub mod denial;
mod digest;
pub mod discover;
pub mod domains;
pub mod drain;
pub mod emit;
pub mod evidence;
mod eyeball;
pub mod group;
pub mod guard;
pub mod journal;
pub mod light;
pub mod lint;
pub mod mark;
pub mod matrix;
pub mod name;
pub mod observe;
pub mod outage;
pub mod placement;
pub mod plan;
pub mod preferred;
pub mod program;
pub mod quota;
pub mod record;
pub mod regret;
pub mod settings;
pub mod shares;
pub mod source;
pub mod statistics;
pub mod survey;
pub mod topology;
pub mod traffic;
pub mod verify;
pub mod watch;
pub mod weights;
mod witness;
pub mod zone;
