//! One module a command: wire, call, print. Deciding lives in the crates.

pub mod apply;
pub mod canary;
pub mod cost;
pub mod doctor;
pub mod drain;
pub mod explain;
pub mod export;
pub mod init;
pub mod lab;
pub mod lambda;
pub mod matrix;
pub mod once;
pub mod plan;
pub mod recommend;
pub mod regret;
pub mod remote;
pub mod report;
pub mod run;
pub mod shadow;
pub mod shell;
pub mod stored;
pub mod tiers;
pub mod traffic;
pub mod tui;
pub mod watch;
