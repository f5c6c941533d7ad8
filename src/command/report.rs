//! `advisor report`: gathers what a report is made from, writes and delivers it, once or on a
//! schedule. What the report says is decided in the `reports` crate.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use advisor::advice::Advice;
use advisor::plan::Plan;
use advisor::survey::{Survey, SurveyError, read_traffic};
use probe::agent;
use probe::clock::Clock;
use probe::config::{Target, TargetKind};
use probe::store::Store;
use reports::deliver::{
    Deliver, Delivered, Destination, Folder, Parcel, Patience, Webhook, http_client, send,
    write_files,
};
use reports::document::{Document, TruthFacts};
use reports::period::{Period, Unit, time_zone};
use reports::schedule::Schedule;
use reports::service::{Looked, Service};
use reports::{Asked, CollectError, Decided, Report, Samples, collect};
use serde_json::{Value, json};

use crate::cli::{Compare, PeriodArg, ReportArgs};
use crate::command::lab::shutdown_signal;
use crate::command::regret::survey_at;
use crate::command::run::store_failure;
use crate::failure::{Exit, Failure};
use crate::fleet::Fleet;
use crate::setup::{self, Setup};
use crate::terminal::Terminal;

/// How far back a report looks when nothing is asked for: a week.
const SINCE_DEFAULT: Duration = Duration::from_hours(7 * 24);
const DAY: Duration = Duration::from_hours(24);
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// The folder of what could not be delivered, in that of the reports.
const UNDELIVERED: &str = "undelivered";

/// Writes a report, or stays and writes one whenever it is due.
pub async fn run(setup: &Setup, terminal: Terminal, args: &ReportArgs) -> Result<(), Failure> {
    let job = Job::new(setup, terminal, args).await?;
    match &args.schedule {
        Some(pattern) => job.serve(pattern).await,
        None => job.once().await,
    }
}

/// What was known and advised when the zone was read.
pub struct Decision {
    /// What was known.
    pub survey: Survey,
    /// What was advised.
    pub advice: Advice,
    /// The plan that follows.
    pub plan: Plan,
    /// When the zone was read, in ms since 1970.
    pub at_ms: i64,
}

/// What a report is asked to be.
pub struct Wanted {
    /// What it speaks of.
    pub period: Period,
    /// What that is compared with.
    pub compared: Option<Period>,
    /// Whether the charts are wanted as files.
    pub png: bool,
    /// What a lab knows.
    pub truth: Option<TruthFacts>,
}

/// Makes a report of the store, the journal and what was decided, or why nothing was.
pub async fn make(
    setup: &Setup,
    wanted: &Wanted,
    decided: Result<&Decision, &str>,
) -> Result<Report, Failure> {
    let operations = setup.operations()?;
    let traffic = read_traffic(&setup.config)?;
    let asked = Asked {
        config: &setup.config,
        period: &wanted.period,
        compared: wanted.compared.as_ref(),
        decided: decided.map(Decision::facts),
        traffic: &traffic,
        operations: &operations,
        truth: wanted.truth,
    };
    let document = document(setup, &asked).await?;
    Report::render(document, &wanted.period, wanted.png)
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot make the report: {error}")))
}

/// Reads what the store has of the samples, and has the document made.
async fn document(setup: &Setup, asked: &Asked<'_>) -> Result<Document, Failure> {
    let source = setup.source();
    let made = if let Some(fleet) = &setup.fleet {
        let range_ms = (asked.period.since_ms, asked.period.until_ms);
        let is_candidate = |target: &Target| target.kind == TargetKind::Candidate;
        let has_candidates = setup.config.targets.iter().any(is_candidate);
        let counted = fleet.counted(&setup.config, range_ms, has_candidates).await?;
        let left_out =
            agent::told_apart(&setup.config).map_err(|error| Failure::new(Exit::Usage, error))?;
        collect(Samples::CloudWatch { counted: &counted, left_out }, &source, asked).await
    } else {
        let store = Store::open_existing(&setup.store).map_err(|error| store_failure(&error))?;
        collect(Samples::Store(&store), &source, asked).await
    };
    made.map_err(|error| match error {
        CollectError::Store(error) => store_failure(&error),
        CollectError::Source(error) => SurveyError::Source(error).into(),
    })
}

impl Decision {
    fn facts(&self) -> Decided<'_> {
        let sets = self.survey.view.records.iter();
        let health_checks: BTreeSet<_> = sets.filter_map(|set| set.health_check.as_ref()).collect();
        Decided {
            routing: &self.survey.routing,
            split: &self.survey.live.weights,
            preferred: self.survey.preference.as_str(),
            matrix: &self.survey.matrix,
            advice: &self.advice,
            effect: &self.plan.effect,
            health_checks: health_checks.len(),
            at_ms: self.at_ms,
        }
    }
}

/// One call of the command.
struct Job<'a> {
    setup: &'a Setup,
    terminal: Terminal,
    args: &'a ReportArgs,
    zone: jiff::tz::TimeZone,
    deliver: Vec<Box<dyn Deliver>>,
}

impl<'a> Job<'a> {
    async fn new(
        setup: &'a Setup,
        terminal: Terminal,
        args: &'a ReportArgs,
    ) -> Result<Self, Failure> {
        let zone = time_zone(&args.time_zone)
            .map_err(|error| Failure::new(Exit::Usage, &error).hint(error.hint()))?;
        let deliver = destinations(setup, &args.deliver).await?;
        Ok(Self { setup, terminal, args, zone, deliver })
    }

    /// The newest data are "now", so that a report made again is the same. CloudWatch is not asked when
    /// that is: its minutes end by the clock.
    async fn once(&self) -> Result<(), Failure> {
        let now_ms = self.setup.now_ms();
        let at_ms = if self.setup.fleet.is_some() {
            now_ms - now_ms.rem_euclid(MINUTE_MS)
        } else {
            let store =
                Store::open_existing(&self.setup.store).map_err(|error| store_failure(&error))?;
            store.newest_ms().map_err(|error| store_failure(&error))?.unwrap_or(now_ms)
        };
        let (report, period) = self.make(at_ms).await?;
        write(&report, &self.args.out)?;
        let delivered = self.deliver(&report, &period).await?;
        let document = self.document(&report, &delivered);
        let mut told = text(&report, &self.args.out, &delivered);
        if let Some(fleet) = &self.setup.fleet {
            told.push_str(&fleet.spent_text());
        }
        self.terminal.result(&told, &document)?;
        let failed = delivered.iter().filter(|one| one.failed.is_some()).count();
        if failed > 0 {
            let message = format!("{failed} of {} deliveries failed", delivered.len());
            return Err(Failure::new(Exit::Failed, message).hint("the report is kept; see above"));
        }
        if self.args.fail_on_breach && report.breached() {
            let breached = report.document.objectives.iter();
            let breached = breached.filter(|one| one.status == reports::assemble::BREACHED).count();
            return Err(Failure::new(
                Exit::Breached,
                format!("{breached} objectives are breached"),
            )
            .hint("the report's section on objectives names the vantages"));
        }
        Ok(())
    }

    async fn make(&self, at_ms: i64) -> Result<(Report, Period), Failure> {
        let wanted = self.wanted(at_ms)?;
        let decision = self.decide(wanted.period.until_ms).await;
        let cause = "the zone could not be read when this report was made";
        let report = make(self.setup, &wanted, decision.as_ref().ok_or(cause)).await?;
        Ok((report, wanted.period))
    }

    fn wanted(&self, at_ms: i64) -> Result<Wanted, Failure> {
        let unit = match (self.args.period, self.args.since) {
            (Some(PeriodArg::Day), _) => Unit::Day,
            (Some(PeriodArg::Week), _) => Unit::Week,
            (Some(PeriodArg::Month), _) => Unit::Month,
            (None, since) => Unit::Length(since.unwrap_or(SINCE_DEFAULT)),
        };
        let bad = |error: reports::period::PeriodError| {
            Failure::new(Exit::Usage, &error).hint(error.hint())
        };
        let at_ms = match unit {
            // Whole hours are read from what was merged already, and are what people write down.
            Unit::Length(length) if length >= DAY => at_ms - at_ms.rem_euclid(HOUR_MS),
            _ => at_ms,
        };
        let period = Period::last(unit, at_ms, self.zone.clone()).map_err(bad)?;
        let compared = match self.args.compare {
            Compare::None => None,
            Compare::Previous => Some(period.previous().map_err(bad)?),
            Compare::Earlier(by) => Some(period.earlier(by)),
        };
        Ok(Wanted { period, compared, png: self.args.png, truth: None })
    }

    /// A report without advice is better than none: what stands against it is told here, and not in
    /// the report, since messages of AWS hold account ids.
    async fn decide(&self, until_ms: i64) -> Option<Decision> {
        match survey_at(self.setup, until_ms).await {
            Ok(survey) => {
                let advice = survey.advise(&self.setup.config);
                let plan = survey.plan(&self.setup.config, &advice, until_ms);
                Some(Decision { survey, advice, plan, at_ms: self.setup.now_ms() })
            }
            Err(failure) => {
                self.terminal.say(&format!(
                    "note: the report will have no routing and no advice: {}",
                    failure.message
                ));
                None
            }
        }
    }

    async fn deliver(&self, report: &Report, period: &Period) -> Result<Vec<Delivered>, Failure> {
        let parcel = Parcel::new(report, period);
        let undelivered = self.args.out.join(UNDELIVERED);
        let mut delivered = Vec::new();
        for to in &self.deliver {
            let sent = send(to.as_ref(), &parcel, Patience::default(), &undelivered)
                .await
                .map_err(|error| Failure::new(Exit::Failed, error))?;
            delivered.push(sent);
        }
        Ok(delivered)
    }

    fn document(&self, report: &Report, delivered: &[Delivered]) -> Value {
        let path = |name: &str| absolute(&self.args.out).join(name);
        let delivered = delivered.iter().map(|one| {
            let failed = one.failed.as_ref();
            json!({
                "to": one.place,
                "tries": one.tries,
                "delivered": failed.is_none(),
                "cause": failed.map(|(cause, _)| cause),
                "kept": failed.map(|(_, folder)| absolute(folder)),
            })
        });
        json!({
            "report": path("report.html"),
            "markdown": path("report.md"),
            "json": path("report.json"),
            "period": report.document.period,
            "answer": report.document.answer,
            "breached": report.breached(),
            "delivered": delivered.collect::<Vec<_>>(),
            "cloudwatch": self.setup.fleet.as_ref().map(Fleet::spent_json),
        })
    }

    /// Stays until asked to end.
    async fn serve(&self, pattern: &str) -> Result<(), Failure> {
        let schedule = Schedule::parse(pattern, self.zone.clone())
            .map_err(|error| Failure::new(Exit::Usage, &error).hint(error.hint()))?;
        let mut store = Store::open(&self.setup.store).map_err(|error| store_failure(&error))?;
        let clock = self.setup.clock.as_ref();
        // Two processes never share both their id and the moment they began.
        let holder = clock.wall_ns() ^ (i64::from(std::process::id()) << 32);
        let service = Service { schedule: &schedule, clock, holder };
        self.terminal.say(&format!("reports at '{pattern}' ({})", self.args.time_zone));
        let stop = shutdown_signal();
        tokio::pin!(stop);
        loop {
            let looked = match service.look(&mut store, |due_ms| self.due(due_ms)).await {
                Ok(looked) => looked,
                // The next one may succeed: a service does not end for one report.
                Err(error) => {
                    self.terminal.say(&format!("a report failed: {error}"));
                    Looked::Busy
                }
            };
            if let Looked::Made { skipped: 1.., .. } = looked {
                self.terminal.say("earlier reports were missed, and are not made");
            }
            let Some(pause) = service.pause(looked) else {
                return Err(Failure::new(Exit::Usage, format!("'{pattern}' never comes again")));
            };
            tokio::select! {
                ended = &mut stop => return ended,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn due(&self, due_ms: i64) -> Result<(), String> {
        let told = |failure: Failure| failure.message;
        let (report, period) = self.make(due_ms).await.map_err(told)?;
        let folder = self.args.out.join(Parcel::new(&report, &period).name);
        write(&report, &folder).map_err(told)?;
        let delivered = self.deliver(&report, &period).await.map_err(told)?;
        self.terminal.say(text(&report, &folder, &delivered).trim_end());
        Ok(())
    }
}

/// Writes all files of a report.
pub fn write(report: &Report, folder: &Path) -> Result<(), Failure> {
    write_files(folder, report.files()).map_err(|cause| {
        Failure::new(Exit::Failed, format!("cannot write into {}: {cause}", folder.display()))
            .hint("name another folder with --out")
    })
}

fn absolute(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn text(report: &Report, folder: &Path, delivered: &[Delivered]) -> String {
    let mut text = String::new();
    for sentence in report.document.answer.iter().chain(&report.document.notices) {
        text.push_str(&probe::once::escape(sentence));
        text.push('\n');
    }
    for one in delivered {
        let line = match &one.failed {
            None => format!("delivered to {}\n", one.place),
            Some((cause, kept)) => format!(
                "not delivered to {} ({cause}, {} tries); kept in {}\n",
                one.place,
                one.tries,
                kept.display()
            ),
        };
        text.push_str(&line);
    }
    text + &format!("report: {}\n", folder.join("report.html").display())
}

async fn destinations(setup: &Setup, texts: &[String]) -> Result<Vec<Box<dyn Deliver>>, Failure> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let environment = setup::environment();
    let client = http_client().map_err(|error| Failure::new(Exit::Failed, error))?;
    let mut deliver: Vec<Box<dyn Deliver>> = Vec::new();
    for text in texts {
        let destination = Destination::parse(text, |name| environment.get(name).cloned())
            .map_err(|error| Failure::new(Exit::Usage, &error).hint(error.hint()))?;
        deliver.push(match destination {
            Destination::Folder(path) => Box::new(Folder::new(path)),
            Destination::Webhook(address) => Box::new(Webhook::new(address, client.clone())),
            Destination::S3(address) => Box::new(
                aws::S3::open(
                    address,
                    &setup.access,
                    client.clone(),
                    Arc::clone(&setup.clock) as Arc<dyn Clock>,
                )
                .await
                .map_err(|error| Failure::new(Exit::Failed, &error).hint(error.hint()))?,
            ),
        });
    }
    Ok(deliver)
}
