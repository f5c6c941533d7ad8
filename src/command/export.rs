//! `probe export`: what was measured, in the format of another tool, on stdout.

use std::io::Write as _;

use probe::clock::Clock as _;
use probe::hlog;
use probe::store::Store;

use crate::cli::ExportArgs;
use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::terminal::Terminal;

/// Writes the windows since then as a histogram log.
pub fn run(setup: &Setup, terminal: Terminal, args: &ExportArgs) -> Result<(), Failure> {
    setup.require_histograms()?;
    let failure = |error: probe::store::StoreError| {
        let failure = Failure::new(Exit::Failed, &error);
        match error.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    };
    let store = Store::open_existing(&setup.store).map_err(failure)?;
    let back_ms = args.since.map(|since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let since_ms = back_ms.map_or(i64::MIN, |ms| setup.clock.wall_ms().saturating_sub(ms));
    let windows = store.windows(since_ms, i64::MAX).map_err(failure)?;
    let text = hlog::write(&windows).map_err(|error| Failure::new(Exit::Failed, error))?;
    std::io::stdout()
        .write_all(text.as_bytes())
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot write to stdout: {error}")))?;
    terminal.say(&format!("{} windows written", windows.len()));
    Ok(())
}
