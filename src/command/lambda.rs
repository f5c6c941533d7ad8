//! `probe lambda`: one round for each invocation of a function, published through its log or, where the
//! store is CloudWatch, by requests to the Region that holds the fleet's metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use probe::agent::{Round, round};
use probe::clock::{Clock, SystemClock};
use probe::config::{CloudWatchSettings, Config};
use probe::lambda::{Invocation, LambdaError, Runtime};
use probe::publish::{Shape, VANTAGE, datums, emf};
use probe::spool::Counts;
use probe::window::{Sink as _, Window};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::fleet::{Fleet, shape};
use crate::setup::{Setup, environment};
use crate::show;
use crate::terminal::{Terminal, print};

/// What is left of an invocation's time after the round, for its log and its answer.
const MARGIN: Duration = Duration::from_millis(500);
/// The same where windows are sent: the spool is emptied for half a second and one request more.
const MARGIN_SENDING: Duration = Duration::from_secs(4);
/// Memory with which Lambda gives one whole processor, MB.
const FULL_VCPU_MB: u32 = 1_769;
/// Metric of functions that started anew.
const COLD_STARTS: &str = "ColdStarts";

/// Answers invocations as long as there are any.
pub async fn run(setup: &Setup, terminal: Terminal) -> Result<(), Failure> {
    let environment = environment();
    let function = Function::new(&setup.config, &environment)?;
    let memory_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE");
    let memory_mb = memory_mb.and_then(|text| text.parse::<u32>().ok());
    if memory_mb.is_some_and(|mb| mb < FULL_VCPU_MB) {
        terminal.say(&format!(
            "note: under {FULL_VCPU_MB} MB the function has a slice of a processor, which makes tls look slow"
        ));
    }
    let mut is_first = true;
    loop {
        let invocation = function.runtime.next().await.map_err(lost)?;
        let answered = function.answer(setup, terminal, &invocation, is_first).await;
        is_first = false;
        match answered {
            Ok(told) => function.runtime.respond(&invocation.id, told).await.map_err(lost)?,
            Err(failure) => {
                let body = json!({ "errorType": "Probe", "errorMessage": failure.message });
                function.runtime.fail(&invocation.id, body.to_string()).await.map_err(lost)?;
            }
        }
    }
}

fn lost(error: LambdaError) -> Failure {
    Failure::new(Exit::Failed, error)
}

/// The function that this program is.
struct Function {
    runtime: Runtime,
    vantage: String,
    settings: CloudWatchSettings,
    shape: Shape,
    clock: Arc<dyn Clock>,
}

impl Function {
    fn new(config: &Config, environment: &BTreeMap<String, String>) -> Result<Self, Failure> {
        let of = |name: &str| {
            environment.get(name).ok_or_else(|| {
                Failure::new(Exit::Usage, format!("{name} is not in the environment")).hint(
                    "`probe lambda` runs as a function of AWS Lambda; elsewhere use `probe run`",
                )
            })
        };
        let settings = config.cloudwatch.clone().ok_or_else(|| {
            Failure::new(Exit::Usage, "`probe lambda` needs [cloudwatch] in the configuration")
                .hint("write [cloudwatch] with namespace and region")
        })?;
        Ok(Self {
            runtime: Runtime::new(of("AWS_LAMBDA_RUNTIME_API")?),
            vantage: of("AWS_REGION")?.clone(),
            shape: shape(config, &settings)?,
            settings,
            clock: Arc::new(SystemClock),
        })
    }

    /// One round, published, and what it came to. The first one after a start is measured to warm the
    /// program up, and thrown away: starting takes the processor away from it.
    async fn answer(
        &self,
        setup: &Setup,
        terminal: Terminal,
        invocation: &Invocation,
        is_first: bool,
    ) -> Result<String, Failure> {
        let left_ms = invocation.deadline_ms.saturating_sub(self.clock.wall_ms());
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
        let margin = if setup.fleet.is_some() { MARGIN_SENDING } else { MARGIN };
        let until = self.clock.now() + left.saturating_sub(margin);
        let round = round(&setup.config, &self.vantage, Arc::clone(&self.clock), until)
            .await
            .map_err(|error| Failure::new(Exit::Usage, error))?;
        let mut told = json!({
            "vantage": self.vantage,
            "cold_start": is_first,
            "samples": round.samples,
            "failures": round.failures,
            "skipped": round.skipped,
        });
        match &setup.fleet {
            _ if is_first => log(&self.cold_start())?,
            None => log(&self.lines(&round))?,
            Some(fleet) => {
                let counts = self.send(&setup.config, fleet, round.windows).await?;
                if counts.spooled + counts.dropped + counts.refused + counts.over_budget > 0 {
                    terminal.say(show::counts_text(Some(counts)).trim_end());
                }
                told["cloudwatch"] = show::counts_json(counts);
            }
        }
        Ok(told.to_string())
    }

    /// Sends windows, with what earlier invocations left in the spool. A connection does not outlive an
    /// invocation: the function is frozen until the next one, and nobody can tell what became of it.
    async fn send(
        &self,
        config: &Config,
        fleet: &Fleet,
        windows: Vec<Window>,
    ) -> Result<Counts, Failure> {
        let mut sink = fleet.sink(config, Arc::clone(&self.clock)).await?;
        let counts = sink.counts();
        tokio::task::block_in_place(|| sink.write(windows))
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        // What no disk has taken is counted at the sink's end.
        drop(sink);
        let counts = *counts.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(counts)
    }

    fn lines(&self, round: &Round) -> Vec<String> {
        let datums: Vec<_> =
            round.windows.iter().flat_map(|window| datums(window, &self.shape)).collect();
        emf::lines(&self.settings.namespace, &datums)
    }

    fn cold_start(&self) -> Vec<String> {
        let datum = probe::publish::Datum {
            name: COLD_STARTS.to_owned(),
            dimensions: vec![(VANTAGE.to_owned(), self.vantage.clone())],
            at_ms: self.clock.wall_ms(),
            unit: probe::publish::Unit::Count,
            values: vec![(1.0, 1)],
        };
        emf::lines(&self.settings.namespace, &[datum])
    }
}

fn log(lines: &[String]) -> Result<(), Failure> {
    print(&(lines.join("\n") + "\n"))
}
