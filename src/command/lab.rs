//! `advisor lab`: the lab alone, until it is interrupted.

use lab::scenario::Scenario;
use lab::{Lab, LabOptions};

use crate::cli::LabArgs;
use crate::failure::{Exit, Failure};
use crate::show;
use crate::terminal::Terminal;

/// Starts the lab, prints its facts, and waits for SIGINT or SIGTERM.
pub async fn run(terminal: Terminal, args: &LabArgs) -> Result<(), Failure> {
    let scenario = scenario(&args.scenario)?;
    let options = LabOptions { scenario, seed: args.seed, dir: args.dir.clone() };
    let lab = start(options).await?;
    terminal.result(&show::lab_text(lab.facts()), lab.facts())?;
    shutdown_signal().await?;
    lab.shutdown().await;
    Ok(())
}

/// Starts a lab.
pub async fn start(options: LabOptions) -> Result<Lab, Failure> {
    Lab::start(options)
        .await
        .map_err(|error| Failure::new(Exit::Failed, format!("the lab cannot start: {error}")))
}

fn scenario(name: &str) -> Result<Scenario, Failure> {
    let usage = |cause: String| {
        Failure::new(Exit::Usage, format!("scenario '{name}': {cause}"))
            .hint("the built-in ones are demo, calm and app; a file is TOML")
    };
    let path = std::path::Path::new(name);
    // A folder of this name, as `advisor demo --keep demo` leaves one, is no scenario.
    if path.exists() && !path.is_dir() {
        let text = std::fs::read_to_string(name).map_err(|error| usage(error.to_string()))?;
        return Scenario::from_toml(&text).map_err(|error| usage(error.to_string()));
    }
    Scenario::named(name).map_err(|error| usage(error.to_string()))
}

/// Resolves when the process is asked to end.
pub async fn shutdown_signal() -> Result<(), Failure> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())
        .map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot listen for signals: {error}"))
    })?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
