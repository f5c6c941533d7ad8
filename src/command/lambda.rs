//! `probe lambda`: one round for each invocation of a function, published through its log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use probe::agent::{Round, round};
use probe::clock::{Clock, SystemClock};
use probe::config::{CloudWatchSettings, Config};
use probe::lambda::{Invocation, LambdaError, Runtime};
use probe::publish::{Shape, VANTAGE, datums, emf};
use serde_json::json;

use crate::failure::{Exit, Failure};
use crate::fleet::shape;
use crate::setup::{Setup, environment};
use crate::terminal::{Terminal, print};

/// What is left of an invocation's time after the round, for its log and its answer.
const MARGIN: Duration = Duration::from_millis(500);
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
        let answered = function.answer(&setup.config, &invocation, is_first).await;
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

    /// One round, its log lines, and what it came to. The first one after a start is measured to warm
    /// the program up, and thrown away: starting takes the processor away from it.
    async fn answer(
        &self,
        config: &Config,
        invocation: &Invocation,
        is_first: bool,
    ) -> Result<String, Failure> {
        let left_ms = invocation.deadline_ms.saturating_sub(self.clock.wall_ms());
        let left = Duration::from_millis(u64::try_from(left_ms).unwrap_or_default());
        let until = self.clock.now() + left.saturating_sub(MARGIN);
        let round = round(config, &self.vantage, Arc::clone(&self.clock), until)
            .await
            .map_err(|error| Failure::new(Exit::Usage, error))?;
        let lines = if is_first { self.cold_start() } else { self.lines(&round) };
        let mut text = lines.join("\n");
        text.push('\n');
        print(&text)?;
        let told = json!({
            "vantage": self.vantage,
            "cold_start": is_first,
            "samples": round.samples,
            "failures": round.failures,
            "skipped": round.skipped,
        });
        Ok(told.to_string())
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
