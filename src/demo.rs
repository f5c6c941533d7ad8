//! `advisor demo`: the whole loop on this machine, with only AWS and the ocean replaced by the lab.
//!
//! It drives the same code that the commands run, and tells a short story with figures. Regret is
//! judged by the lab, on clients that nothing measured from.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use advisor::apply::Outcome;
use advisor::plan::Plan;
use advisor::survey::ZoneView;
use indicatif::{ProgressBar, ProgressStyle};
use lab::scenario::Scenario;
use lab::world::World;
use lab::{Lab, LabOptions};
use probe::agent::{self, Summary};
use probe::clock::SystemClock;
use probe::dns::{Client, RecordType};
use probe::store::Store;
use probe::url::IpPrefix;
use reports::document::TruthFacts;
use reports::period::{Period, Unit, time_zone};
use serde_json::{Value, json};

use crate::cli::DemoArgs;
use crate::command::apply::Writer;
use crate::command::plan::write_plan;
use crate::command::report::{self, Decision, Wanted};
use crate::command::{lab as lab_command, regret, run as run_command};
use crate::failure::{Exit, Failure};
use crate::setup::{self, Setup};
use crate::show;
use crate::terminal::Terminal;

/// What counts as harm to a client.
const HARM_MS: f64 = 5.0;

/// Runs the demo and removes nothing: everything it made stays in the folder it names.
pub async fn run(terminal: Terminal, args: &DemoArgs) -> Result<(), Failure> {
    let folder = prepare(&args.keep)?;
    let options =
        LabOptions { scenario: Scenario::demo(), seed: args.seed, dir: folder.join("lab") };
    let lab = lab_command::start(options).await?;
    let story = Demo::new(terminal, &lab, &folder)?.play(args).await;
    lab.shutdown().await;
    let story = story?;
    terminal.result(&story.text(), &story.json())
}

/// What marks a folder as one of the demo's own.
const MARKER: &str = ".nearside-demo";

/// Makes the folder, without the store and the journal of an earlier demo. A folder that holds
/// anything else is not touched: a store and a journal there may be somebody's only ones.
fn prepare(folder: &Path) -> Result<PathBuf, Failure> {
    let failure = |cause: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot prepare {}: {cause}", folder.display()))
            .hint("name another folder with --keep")
    };
    std::fs::create_dir_all(folder).map_err(failure)?;
    let is_empty = std::fs::read_dir(folder).map_err(failure)?.next().is_none();
    if !is_empty && !folder.join(MARKER).exists() {
        let message = format!("{} is not empty, and no earlier demo made it", folder.display());
        return Err(Failure::new(Exit::Usage, message).hint("name a new folder with --keep"));
    }
    std::fs::write(folder.join(MARKER), "").map_err(failure)?;
    for name in
        ["nearside.sqlite", "nearside.sqlite-wal", "nearside.sqlite-shm", "nearside.journal"]
    {
        match std::fs::remove_file(folder.join(name)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => {
                return Err(failure(cause));
            }
            _ => {}
        }
    }
    folder.canonicalize().map_err(failure)
}

struct Demo<'a> {
    terminal: Terminal,
    lab: &'a Lab,
    setup: Setup,
    folder: &'a Path,
}

/// What the demo came to.
struct Story {
    seed: u64,
    vantages: usize,
    endpoints: usize,
    measured: Summary,
    truth: TruthFacts,
    plan: Plan,
    applied: Outcome,
    rolled_back: Outcome,
    report: PathBuf,
}

impl<'a> Demo<'a> {
    fn new(terminal: Terminal, lab: &'a Lab, folder: &'a Path) -> Result<Self, Failure> {
        let facts = lab.facts();
        let setup = Setup {
            config: setup::read_config(&facts.config, &std::collections::BTreeMap::new())?,
            store: folder.join("nearside.sqlite"),
            fleet: None,
            access: aws::Access {
                endpoint_url: Some(facts.route53.clone()),
                apigateway_url: Some(facts.apigateway.clone()),
                credentials: Some(("lab".into(), "lab".into())),
                ..aws::Access::default()
            },
            clock: Arc::new(SystemClock),
        };
        Ok(Self { terminal, lab, setup, folder })
    }

    async fn play(&self, args: &DemoArgs) -> Result<Story, Failure> {
        let world = self.lab.world();
        self.introduce(world);
        let before = self.answers(world).await?;
        let summary = self.measure(args).await?;
        self.terminal.say(show::summary_text(&summary).trim_end());

        self.terminal.say("asking Route 53 which label it prefers, through shadow records");
        let writer = Writer::open(&self.setup, Terminal { quiet: true, ..self.terminal }).await?;
        writer.write(self.shadow_plan().await?, true).await?;
        let decision = self.decide().await?;
        write_plan(&decision.plan, &self.folder.join("plan.json"))?;
        let view =
            show::regret::RegretView::new(&decision.survey, &decision.advice, &self.setup.config);
        self.terminal.say(view.advice_text().trim_end());
        self.apply(&writer, &decision.plan, "applying").await?;

        self.terminal.say("taking it back, to show that it can be");
        let rolled_back = writer.rollback(None, true).await?;
        let rolled_back = rolled_back
            .ok_or_else(|| Failure::new(Exit::Failed, "there was nothing to roll back"))?;
        if self.answers(world).await? != before {
            return Err(Failure::new(Exit::Failed, "clients are not sent where they were before"));
        }
        let again = self.decide().await?;
        let applied = self.apply(&writer, &again.plan, "applying again").await?;

        let after = self.answers(world).await?;
        let truth = self.truth(world, &before, &after)?;
        let report = self.report(args, &decision, truth).await?;
        let (vantages, endpoints) = (world.vantages().len(), world.endpoints().len());
        let (seed, measured, plan) = (args.seed, summary, decision.plan);
        Ok(Story { seed, vantages, endpoints, measured, truth, plan, applied, rolled_back, report })
    }

    fn introduce(&self, world: &World) {
        let evidence = &self.setup.config.evidence;
        self.terminal.say(&format!(
            "a world of {} vantages, {} endpoints and {} clients; one backend is slow, and Route 53 cannot know\n\
             shortened for the demo: window {:?}, block {:?}, cool-down {:?}, volatility history {:?}",
            world.vantages().len(),
            world.endpoints().len(),
            world.clients().len(),
            evidence.window,
            evidence.block,
            evidence.cooldown,
            evidence.volatility_history,
        ));
    }

    async fn measure(&self, args: &DemoArgs) -> Result<Summary, Failure> {
        let bar = self.progress(args.measure);
        let (events, mut received) = tokio::sync::mpsc::channel(1_024);
        let options = agent::Options {
            until: Some(args.measure),
            seed: args.seed,
            events: Some(events),
            ..agent::Options::default()
        };
        let ticking = bar.clone();
        let watch = tokio::spawn(async move {
            while let Some(event) = received.recv().await {
                if matches!(event, agent::Event::Sampled { .. }) {
                    ticking.set_position(ticking.elapsed().as_secs());
                }
            }
        });
        let summary = run_command::measure(&self.setup, options, std::future::pending()).await;
        bar.finish_and_clear();
        watch.abort();
        summary
    }

    /// Seconds of measuring; drawn on a terminal only.
    fn progress(&self, measure: Duration) -> ProgressBar {
        if self.terminal.quiet {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new(measure.as_secs());
        if let Ok(style) = ProgressStyle::with_template("measuring {bar:40} {pos}/{len} s") {
            bar.set_style(style);
        }
        bar
    }

    async fn shadow_plan(&self) -> Result<Plan, Failure> {
        let view = ZoneView::read(&self.setup.zone().await?, &self.setup.config).await?;
        let live = view.live().map_err(advisor::survey::SurveyError::from)?;
        Ok(view.ground(self.setup.now_ms()).install_shadow(&live, live.labels.keys()))
    }

    async fn decide(&self) -> Result<Decision, Failure> {
        let survey = regret::survey(&self.setup).await?;
        let advice = survey.advise(&self.setup.config);
        let at_ms = self.setup.now_ms();
        let plan = survey.plan(&self.setup.config, &advice, at_ms);
        if plan.is_empty() {
            let view = show::regret::RegretView::new(&survey, &advice, &self.setup.config);
            let message = format!("the evidence moves no label:\n{}", view.advice_text());
            return Err(Failure::new(Exit::Failed, message)
                .hint("measure longer with --for; 18 blocks of 2 s are needed"));
        }
        Ok(Decision { survey, advice, plan, at_ms })
    }

    async fn apply(
        &self,
        writer: &Writer<'_>,
        plan: &Plan,
        what: &str,
    ) -> Result<Outcome, Failure> {
        self.terminal.say(&format!("{what} plan {} ({} changes)", plan.id(), plan.changes.len()));
        let outcome = writer.write(plan.clone(), true).await?;
        self.terminal.say(show::outcome_text(&outcome).trim_end());
        Ok(outcome)
    }

    /// The endpoint that the lab's DNS really answers each client with.
    async fn answers(&self, world: &World) -> Result<Vec<String>, Failure> {
        let dns: SocketAddr = self.lab.facts().dns;
        let mut answers = Vec::with_capacity(world.clients().len());
        for client in world.clients() {
            let address = world.address_of(client.place);
            let len = if address.is_ipv4() { 24 } else { 48 };
            let family = if address.is_ipv4() { RecordType::A } else { RecordType::AAAA };
            let name = &self.setup.config.name;
            let answer = Client::new(dns)
                .query(name, family, IpPrefix::new(address, len))
                .await
                .map_err(|error| Failure::new(Exit::Failed, error))?;
            let endpoint = answer.addresses().find_map(|(address, _)| world.endpoint_at(address));
            let endpoint = endpoint.ok_or_else(|| {
                Failure::new(Exit::Failed, format!("{name} has no answer for {address}"))
            })?;
            answers.push(endpoint.region.clone());
        }
        Ok(answers)
    }

    fn truth(
        &self,
        world: &World,
        before: &[String],
        after: &[String],
    ) -> Result<TruthFacts, Failure> {
        let cold_share = self.setup.config.evidence.cold_share;
        let before: Vec<&str> = before.iter().map(String::as_str).collect();
        let after: Vec<&str> = after.iter().map(String::as_str).collect();
        let judged = || {
            Some(TruthFacts {
                clients: world.clients().len(),
                regret_before_ms: world.regret_ms(&before, cold_share)?,
                regret_after_ms: world.regret_ms(&after, cold_share)?,
                harmed_share: world.harmed_share(&before, &after, cold_share, HARM_MS)?,
            })
        };
        judged().ok_or_else(|| Failure::new(Exit::Failed, "the lab cannot judge its clients"))
    }

    /// The report of the whole run, as `advisor report` would make it.
    async fn report(
        &self,
        args: &DemoArgs,
        decision: &Decision,
        truth: TruthFacts,
    ) -> Result<PathBuf, Failure> {
        let store = Store::open_existing(&self.setup.store)
            .map_err(|error| run_command::store_failure(&error))?;
        let newest_ms = store.newest_ms().map_err(|error| run_command::store_failure(&error))?;
        let until_ms = newest_ms.unwrap_or_else(|| self.setup.now_ms());
        // The first window may have begun before the first sample.
        let length = args.measure + self.setup.config.evidence.block;
        let period = time_zone("UTC")
            .and_then(|zone| Period::last(Unit::Length(length), until_ms, zone))
            .map_err(|error| Failure::new(Exit::Failed, error))?;
        let wanted = Wanted { period, compared: None, png: false, truth: Some(truth) };
        let made = report::make(&self.setup, &wanted, Ok(decision)).await?;
        report::write(&made, self.folder)?;
        Ok(self.folder.join("report.html"))
    }
}

impl Story {
    fn text(&self) -> String {
        let truth = &self.truth;
        format!(
            "\nRoute 53 sent {} clients {:.1} ms past their best endpoint on average; now it is {:.1} ms.\n\
             {:.2} % of the traffic got worse by more than 5 ms.\n\
             report: {}\n",
            truth.clients,
            truth.regret_before_ms,
            truth.regret_after_ms,
            truth.harmed_share * 100.0,
            self.report.display()
        )
    }

    fn json(&self) -> Value {
        let matched = self.rolled_back.verification.as_ref().map_or(0, |seen| seen.matched);
        json!({
            "world": { "seed": self.seed, "vantages": self.vantages, "endpoints": self.endpoints },
            "measured": {
                "samples": self.measured.samples,
                "failures": self.measured.failures,
                "missed": self.measured.missed,
                "windows": self.measured.windows,
            },
            "regret_before_ms": self.truth.regret_before_ms,
            "regret_after_ms": self.truth.regret_after_ms,
            "harmed_share": self.truth.harmed_share,
            "plan": { "id": self.plan.id(), "changes": self.plan.changes.len() },
            "applied": { "change_id": self.applied.change_id, "status": "INSYNC" },
            "verified": show::verified_json(&self.applied),
            "rolled_back": { "matched": matched },
            "report": self.report,
        })
    }
}
