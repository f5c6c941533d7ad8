//! `advisor`, the one front door.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    nearside::advisor(&nearside::cli::Advisor::parse())
}
