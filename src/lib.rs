//! What the two binaries share: command lines, wiring and printing. It decides nothing.

pub mod cli;
pub mod command;
pub mod demo;
pub mod failure;
pub mod fleet;
pub mod setup;
pub mod show;
pub mod terminal;

use std::process::ExitCode;

use cli::{Advisor, AdvisorCommand, Global, Probe, ProbeCommand};
use failure::{Exit, Failure};
use setup::Setup;
use terminal::{Terminal, print_failure};

/// Runs `advisor`.
#[must_use]
pub fn advisor(arguments: &Advisor) -> ExitCode {
    run(&arguments.global, async |terminal| advise(arguments, terminal).await)
}

/// Runs `probe`.
#[must_use]
pub fn probe(arguments: &Probe) -> ExitCode {
    run(&arguments.global, async |terminal| match &arguments.command {
        ProbeCommand::Once(args) => command::once::run(terminal, args).await,
        ProbeCommand::Run(args) => {
            command::run::run(&Setup::read(&arguments.global)?, terminal, args).await
        }
        ProbeCommand::Lambda => {
            command::lambda::run(&Setup::read(&arguments.global)?, terminal).await
        }
        ProbeCommand::Completions(args) => command::shell::completions::<Probe>(args),
        ProbeCommand::Man(args) => command::shell::man::<Probe>(terminal, args),
        ProbeCommand::Export(args) => {
            command::export::run(&Setup::read(&arguments.global)?, terminal, args)
        }
    })
}

async fn advise(arguments: &Advisor, terminal: Terminal) -> Result<(), Failure> {
    let setup = || {
        let setup = Setup::read(&arguments.global)?;
        for section in setup.unused_sections() {
            terminal.say(&format!("note: {section} is in the configuration, and is not used yet"));
        }
        Ok::<Setup, Failure>(setup)
    };
    match &arguments.command {
        AdvisorCommand::Demo(args) => demo::run(terminal, args).await,
        AdvisorCommand::Lab(args) => command::lab::run(terminal, args).await,
        AdvisorCommand::Init(args) => command::init::run(&arguments.global, terminal, args).await,
        AdvisorCommand::Schema(args) => command::shell::schema(args),
        AdvisorCommand::Completions(args) => command::shell::completions::<Advisor>(args),
        AdvisorCommand::Man(args) => command::shell::man::<Advisor>(terminal, args),
        AdvisorCommand::Probe(args) if args.tui => {
            command::tui::probe(&setup()?, terminal, &args.run).await
        }
        AdvisorCommand::Probe(args) => command::run::run(&setup()?, terminal, &args.run).await,
        AdvisorCommand::Matrix => command::matrix::run(&setup()?, terminal).await,
        AdvisorCommand::Tui(args) => command::tui::run(&setup()?, terminal, args).await,
        AdvisorCommand::Regret(args) => command::regret::run(&setup()?, terminal, args).await,
        AdvisorCommand::Recommend(args) => {
            let setup = if args.matrix.is_none() { Some(setup()?) } else { None };
            command::recommend::run(setup.as_ref(), terminal, args).await
        }
        AdvisorCommand::Traffic(args) => command::traffic::run(terminal, args),
        AdvisorCommand::Explain(args) => command::explain::run(&setup()?, terminal, args).await,
        AdvisorCommand::Drain(args) => command::drain::run(&setup()?, terminal, args).await,
        AdvisorCommand::Plan(args) => command::plan::run(&setup()?, terminal, args).await,
        AdvisorCommand::Apply(args) => command::apply::apply(&setup()?, terminal, args).await,
        AdvisorCommand::Rollback(args) => command::apply::rollback(&setup()?, terminal, args).await,
        AdvisorCommand::Doctor => command::doctor::run(&arguments.global, terminal).await,
        AdvisorCommand::Cost(args) => command::cost::run(&setup()?, terminal, args),
        AdvisorCommand::History => command::apply::history(&setup()?, terminal),
        AdvisorCommand::Watch(args) => command::watch::run(&setup()?, terminal, args).await,
        AdvisorCommand::Report(args) => command::report::run(&setup()?, terminal, args).await,
    }
}

fn run(global: &Global, command: impl AsyncFnOnce(Terminal) -> Result<(), Failure>) -> ExitCode {
    let environment = setup::environment();
    let no_color = environment.get("NO_COLOR").is_some_and(|value| !value.is_empty());
    let terminal = Terminal::new(global.json, global.quiet, no_color);
    log_to_stderr(environment.get("NEARSIDE_LOG").map(String::as_str), no_color);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = match runtime {
        Ok(runtime) => runtime.block_on(command(terminal)),
        Err(error) => Err(Failure::new(Exit::Failed, format!("cannot start: {error}"))),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            print_failure(&failure);
            ExitCode::from(failure.exit as u8)
        }
    }
}

/// What is logged by default. The SDK warns of each credential source that it did not find; the error
/// that follows says it once.
const LOG_DEFAULT: &str = "warn,aws_config=error,aws_runtime=error,aws_smithy_runtime=error";

/// Logs warnings, or what `NEARSIDE_LOG` asks for, in the syntax of tracing's filters.
fn log_to_stderr(filter: Option<&str>, no_color: bool) {
    let filter = tracing_subscriber::EnvFilter::new(filter.unwrap_or(LOG_DEFAULT));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| terminal::LogWriter)
        .with_ansi(!no_color && std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .init();
}
