//! `probe run` and `advisor probe`: measure what the configuration names, until stopped.

use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};

use probe::agent::{self, Options, Summary};
use probe::clock::Clock;
use probe::config::Config;
use probe::metrics::Metrics;
use probe::spool::Counts;
use probe::store::{Grid, Store};

use crate::cli::RunArgs;
use crate::command::lab::shutdown_signal;
use crate::failure::{Exit, Failure};
use crate::fleet::Fleet;
use crate::setup::Setup;
use crate::show;
use crate::terminal::Terminal;

/// Measures into the store.
pub async fn run(setup: &Setup, terminal: Terminal, args: &RunArgs) -> Result<(), Failure> {
    let options = options(setup, terminal, args).await?;
    let stop = async {
        // Without a way to listen for signals the agent runs until its time is over.
        if shutdown_signal().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    let (summary, counts) = match &setup.fleet {
        Some(fleet) => publish(setup, fleet, options, stop).await?,
        None => (measure(setup, options, stop).await?, None),
    };
    conclude(terminal, &summary, counts)
}

/// What the command line asks the agent for; says what will be measured.
pub async fn options(
    setup: &Setup,
    terminal: Terminal,
    args: &RunArgs,
) -> Result<Options, Failure> {
    let vantages = vantages(&setup.config, &args.vantage)?;
    terminal.say(&format!(
        "measuring {} endpoints and {} targets from {} into {}",
        setup.config.endpoints.len(),
        setup.config.targets.len(),
        vantages.join(", "),
        setup.place()
    ));
    let metrics = match args.listen {
        Some(at) => Some(listen(terminal, at).await?),
        None => None,
    };
    Ok(Options { vantages, until: args.measure, metrics, ..Options::default() })
}

/// Prints what a run came to; windows that were lost are a failure.
pub fn conclude(
    terminal: Terminal,
    summary: &Summary,
    counts: Option<Counts>,
) -> Result<(), Failure> {
    let text = show::summary_text(summary) + &show::counts_text(counts);
    terminal.result(&text, &show::summary_json(summary, counts))?;
    match &summary.write_error {
        Some(cause) if summary.windows_lost > 0 => Err(Failure::new(
            Exit::Failed,
            format!("{} windows could not be written: {cause}", summary.windows_lost),
        )),
        _ => Ok(()),
    }
}

/// Serves `/metrics` and `/healthz` as long as the process lives.
async fn listen(terminal: Terminal, at: SocketAddr) -> Result<Arc<Metrics>, Failure> {
    let refused = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot listen on {at}: {error}"))
            .hint("name another address with --listen")
    };
    let listener = tokio::net::TcpListener::bind(at).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let metrics = Arc::new(Metrics::new());
    tokio::spawn(probe::metrics::serve(listener, Arc::clone(&metrics)));
    terminal.say(&format!("metrics at http://{bound}/metrics"));
    Ok(metrics)
}

/// Runs the agent over the embedded store.
pub async fn measure(
    setup: &Setup,
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<Summary, Failure> {
    let store = open_store(setup)?;
    let clock = Arc::clone(&setup.clock) as Arc<dyn Clock>;
    agent::run(&setup.config, store, options, clock, stop)
        .await
        .map_err(|error| Failure::new(Exit::Usage, error))
}

/// Runs the agent over CloudWatch; what became of the windows.
async fn publish(
    setup: &Setup,
    fleet: &Fleet,
    options: Options,
    stop: impl Future<Output = ()> + Send,
) -> Result<(Summary, Option<Counts>), Failure> {
    let clock = Arc::clone(&setup.clock) as Arc<dyn Clock>;
    let sink = fleet.sink(&setup.config, Arc::clone(&clock)).await?;
    let counts = sink.counts();
    if let Some(metrics) = &options.metrics {
        metrics.show_spool(Arc::clone(&counts));
    }
    let summary = agent::run(&setup.config, sink, options, clock, stop)
        .await
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let counts = *counts.lock().unwrap_or_else(PoisonError::into_inner);
    Ok((summary, Some(counts)))
}

/// A store that cannot be used.
#[must_use]
pub fn store_failure(error: &probe::store::StoreError) -> Failure {
    let failure = Failure::new(Exit::Failed, error);
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn open_store(setup: &Setup) -> Result<Store, Failure> {
    let mut store = Store::open(&setup.store).map_err(|error| store_failure(&error))?;
    store.set_grid(Grid::of(&setup.config.evidence)).map_err(|error| store_failure(&error))?;
    Ok(store)
}

/// The vantages asked for; without any, the only one, or all that measure through a proxy.
fn vantages(config: &Config, asked: &[String]) -> Result<Vec<String>, Failure> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let ids = |through_proxy: bool| -> Vec<String> {
        config
            .vantages
            .iter()
            .filter(|vantage| vantage.proxy.is_some() || !through_proxy)
            .map(|vantage| vantage.id.clone())
            .collect()
    };
    let (all, proxied) = (ids(false), ids(true));
    if all.len() == 1 || proxied.len() == all.len() && !all.is_empty() {
        return Ok(all);
    }
    let message =
        format!("the configuration names {} vantages, and this machine is one place", all.len());
    Err(Failure::new(Exit::Usage, message).hint("say which with --vantage"))
}
