//! `probe`, the small agent for the fleet.

use clap::Parser as _;

fn main() -> std::process::ExitCode {
    nearside::probe(&nearside::cli::Probe::parse())
}
