//! The arguments of what is made from the programs' own types. Shapes and help only.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// `advisor schema`
#[derive(Debug, Args)]
pub struct SchemaArgs {
    /// Print docs/configuration.md instead
    #[arg(long)]
    pub markdown: bool,
}

/// `advisor completions`, `probe completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// For which shell
    pub shell: Shell,
}

/// `advisor man`, `probe man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// The folder that the pages go to; it is made if it is missing
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
}
