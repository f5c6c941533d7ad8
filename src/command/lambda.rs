//! `probe lambda`: one round for each invocation of a function, published through its log or, where the
//! store is CloudWatch, by requests to the Region that holds the fleet's metrics.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use lambda_runtime::{Diagnostic, LambdaEvent, service_fn};
use probe::agent::{Round, round};
use probe::clock::{Clock, SystemClock};
use probe::config::{CloudWatchSettings, Config};
use probe::publish::{Shape, VANTAGE, datums, emf};
use probe::spool::Counts;
use probe::window::{Sink as _, Window};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

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

/// Answers invocations as long as there are any. What they are sent is of no interest.
pub async fn run(setup: &Setup, terminal: Terminal) -> Result<(), Failure> {
    let environment = environment();
    let runtime = Runtime::of(&environment)?;
    let function = Function::new(&setup.config, runtime.region)?;
    if runtime.memory_mb < FULL_VCPU_MB {
        terminal.say(&format!(
            "note: under {FULL_VCPU_MB} MB the function has a slice of a processor, which makes tls look slow"
        ));
    }
    let (function, mut is_first) = (&function, true);
    let answer = |invocation: LambdaEvent<IgnoredAny>| {
        let (deadline_ms, is_first) = (invocation.context.deadline, std::mem::take(&mut is_first));
        async move {
            let answered = function.answer(setup, terminal, deadline_ms, is_first).await;
            answered.map_err(|failure| Diagnostic {
                error_type: "Probe".to_owned(),
                error_message: failure.message,
            })
        }
    };
    lambda_runtime::run(service_fn(answer)).await.map_err(|cause| {
        let what = format!("cannot reach Lambda's runtime API at {}: {cause}", runtime.api);
        Failure::new(Exit::Failed, what)
    })
}

/// What Lambda tells a function through its environment.
struct Runtime<'a> {
    api: &'a str,
    region: &'a str,
    memory_mb: u32,
}

impl<'a> Runtime<'a> {
    /// Each variable that the runtime's library takes for granted is there.
    fn of(environment: &'a BTreeMap<String, String>) -> Result<Self, Failure> {
        let of = |name: &str| {
            environment.get(name).map(String::as_str).ok_or_else(|| outside(name, "not there"))
        };
        of("AWS_LAMBDA_FUNCTION_NAME")?;
        of("AWS_LAMBDA_FUNCTION_VERSION")?;
        let memory = "AWS_LAMBDA_FUNCTION_MEMORY_SIZE";
        let memory_mb = of(memory)?.parse().map_err(|_| outside(memory, "no number"))?;
        Ok(Self { api: of("AWS_LAMBDA_RUNTIME_API")?, region: of("AWS_REGION")?, memory_mb })
    }
}

fn outside(variable: &str, what: &str) -> Failure {
    Failure::new(Exit::Usage, format!("{variable} is {what} in the environment"))
        .hint("`probe lambda` runs as a function of AWS Lambda; elsewhere use `probe run`")
}

/// The function that this program is.
struct Function {
    vantage: String,
    settings: CloudWatchSettings,
    shape: Shape,
    clock: Arc<dyn Clock>,
}

impl Function {
    fn new(config: &Config, region: &str) -> Result<Self, Failure> {
        let settings = config.cloudwatch.clone().ok_or_else(|| {
            Failure::new(Exit::Usage, "`probe lambda` needs [cloudwatch] in the configuration")
                .hint("write [cloudwatch] with namespace and region")
        })?;
        Ok(Self {
            vantage: region.to_owned(),
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
        deadline_ms: u64,
        is_first: bool,
    ) -> Result<Value, Failure> {
        let now_ms = u64::try_from(self.clock.wall_ms()).unwrap_or_default();
        let left = Duration::from_millis(deadline_ms.saturating_sub(now_ms));
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
        Ok(told)
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
