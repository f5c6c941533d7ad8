//! `advisor tui` and `advisor probe --tui`: the dashboard, wired to store, agent and zone.
//!
//! It surveys as `advisor regret` does and asks the guards as `advisor apply` does; it applies nothing.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use probe::agent::Event;
use probe::clock::Clock;
use probe::sample::Connection;
use tokio::sync::{Notify, mpsc};
use tui::{
    Decision, Depth, Inbox, Message, Model, Palette, Place, Price, Reader, ReaderOptions, Refused,
    Session, Subject, update,
};

use crate::cli::{ColorArg, RunArgs, TuiArgs};
use crate::command::apply::Writer;
use crate::command::lab::shutdown_signal;
use crate::command::{regret, remote, run as run_command};
use crate::failure::{Exit, Failure};
use crate::setup::{self, Setup};
use crate::show;
use crate::terminal::{Terminal, divert_log};

/// How many events of the agent may wait for the dashboard; what is more is dropped and counted.
const EVENTS_MAX: usize = 8_192;
/// The shortest and the longest time between two surveys. A survey costs a few requests of the
/// account's Route 53 budget, and evidence changes at the ends of blocks only.
const SURVEY_LEAST: Duration = Duration::from_secs(10);
const SURVEY_MOST: Duration = Duration::from_mins(5);
/// Surveys in a block.
const SURVEYS_A_BLOCK: u32 = 48;
/// How long a frame that is printed waits for the zone, and for each answer of a store elsewhere.
const FRAME_PATIENCE: Duration = Duration::from_secs(10);
/// How often it looks whether one came.
const FRAME_LOOK: Duration = Duration::from_millis(20);

/// `advisor tui`
pub async fn run(setup: &Setup, terminal: Terminal, args: &TuiArgs) -> Result<(), Failure> {
    let price = remote::refresh(setup, args.refresh)?.and_then(|every| remote::price(setup, every));
    if let Some(size) = args.frame {
        return frame(setup, terminal, args, (size, price)).await;
    }
    require_terminal()?;
    dashboard(setup, (None, price), &Notify::new()).await
}

/// `advisor probe --tui`: the agent and its dashboard in one process. Quitting stops both.
pub async fn probe(setup: &Setup, terminal: Terminal, args: &RunArgs) -> Result<(), Failure> {
    setup.require_histograms()?;
    require_terminal()?;
    let (tell, told) = mpsc::channel(EVENTS_MAX);
    let options = run_command::options(setup, terminal, args).await?;
    let options = probe::agent::Options { events: Some(tell), ..options };
    let (quit, failed) = (Notify::new(), Notify::new());
    let measuring = async {
        let measured = run_command::measure(setup, options, quit.notified()).await;
        if measured.is_err() {
            failed.notify_one();
        }
        measured
    };
    let watching = async {
        let watched = dashboard(setup, (Some(told), None), &failed).await;
        quit.notify_one();
        watched
    };
    let (summary, watched) = tokio::join!(measuring, watching);
    watched?;
    run_command::conclude(terminal, &summary?, None)
}

fn require_terminal() -> Result<(), Failure> {
    if std::io::stdin().is_terminal() && std::io::stdout().is_terminal() {
        return Ok(());
    }
    Err(Failure::new(Exit::Usage, "the dashboard needs a terminal, and this is none")
        .hint("`advisor tui --frame 120x40` prints one frame"))
}

/// Shows the dashboard until it is quit, or told to stop.
async fn dashboard(
    setup: &Setup,
    (events, price): (Option<mpsc::Receiver<Event>>, Option<Price>),
    stop: &Notify,
) -> Result<(), Failure> {
    let inbox = Arc::new(Inbox::default());
    let undivert = divert_log(Arc::clone(&inbox));
    let again = Arc::new(Notify::new());
    let measures = events.is_some();
    let session = Session {
        reader: reader_options(setup, price.as_ref(), events),
        model: model(setup, (measures, price), None, (80, 24)),
        inbox: Arc::clone(&inbox),
        clock: Arc::clone(&setup.clock) as Arc<dyn Clock>,
        survey: {
            let again = Arc::clone(&again);
            Box::new(move || again.notify_one())
        },
    };
    // The drawing thread is none of the runtime's: it waits for keys.
    let mut drawing = tokio::task::spawn_blocking(move || tui::show(session));
    let shown = tokio::select! {
        shown = &mut drawing => shown,
        () = survey_again_and_again(setup, &inbox, &again) => drawing.await,
        () = stop.notified() => {
            inbox.push(Message::Quit);
            drawing.await
        }
        _ = shutdown_signal() => {
            inbox.push(Message::Quit);
            drawing.await
        }
    };
    drop(undivert);
    let failed =
        |cause: String| Failure::new(Exit::Failed, format!("the dashboard failed: {cause}"));
    shown.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.to_string()))
}

/// The model before anything was read.
fn model(
    setup: &Setup,
    (measures, price): (bool, Option<Price>),
    color: Option<bool>,
    size: (u16, u16),
) -> Model {
    let environment = setup::environment();
    let of = |key: &str| environment.get(key).map(String::as_str);
    let no_color = of("NO_COLOR").is_some_and(|value| !value.is_empty());
    let depth = match color {
        Some(false) => Depth::None,
        Some(true) => Depth::True,
        None => Depth::of(no_color, of("COLORTERM"), of("TERM")),
    };
    let config = &setup.config;
    let subject = Subject {
        service: config.name.clone(),
        endpoints: config
            .endpoints
            .iter()
            .map(|endpoint| (endpoint.id.clone(), endpoint.region.clone()))
            .collect(),
        store: setup.place(),
        measures,
        price,
    };
    let mut model = Model::new(subject, Palette::new(depth), size, setup.now_ms());
    let first = |all: &[Connection]| all.first().copied();
    model.connection = first(&config.probe.connections).unwrap_or(Connection::Cold);
    model
}

fn reader_options(
    setup: &Setup,
    price: Option<&Price>,
    events: Option<mpsc::Receiver<Event>>,
) -> ReaderOptions {
    let config = &setup.config;
    let endpoints = config.endpoints.iter().map(|endpoint| &endpoint.id);
    let targets = config.targets.iter().map(|target| &target.id);
    let journeys = config.journeys.iter().map(|journey| &journey.id);
    let remote = price.and_then(|price| remote::open(setup, price));
    ReaderOptions {
        store: remote.map_or_else(|| Place::File(setup.store.clone()), Place::Remote),
        clock: Arc::clone(&setup.clock) as Arc<dyn Clock>,
        vantages: config.vantages.iter().map(|vantage| vantage.id.clone()).collect(),
        targets: endpoints.chain(targets).chain(journeys).cloned().collect(),
        journeys: config.journeys.iter().map(|journey| journey.id.clone()).collect(),
        window: (config.evidence.window, config.probe.timeout),
        events,
    }
}

/// Surveys at the stated pace, and whenever it is asked to.
async fn survey_again_and_again(setup: &Setup, inbox: &Inbox, again: &Notify) {
    loop {
        inbox.push(survey(setup).await);
        // Whether time is over or somebody asks is all the same.
        let _ = tokio::time::timeout(pace(setup), again.notified()).await;
    }
}

/// The time between two surveys.
fn pace(setup: &Setup) -> Duration {
    (setup.config.evidence.block / SURVEYS_A_BLOCK).clamp(SURVEY_LEAST, SURVEY_MOST)
}

/// One survey, as what the dashboard hears of it.
async fn survey(setup: &Setup) -> Message {
    match decide(setup).await {
        Ok(decision) => Message::Decided(Arc::new(decision)),
        Err(failure) => Message::Undecided {
            what: show::escape_lines(&failure.message).replace('\n', " "),
            hint: failure.hint.map(|hint| show::escape_lines(&hint)),
        },
    }
}

async fn decide(setup: &Setup) -> Result<Decision, Failure> {
    let survey = regret::survey(setup).await?;
    let mut decision = Decision::new(survey, &setup.config, setup.now_ms(), pace(setup));
    decision.operations = setup.operations()?;
    if !decision.plan.is_empty() {
        let quiet = Terminal { json: false, quiet: true, color: false };
        let judged = Writer::open(setup, quiet).await?.judge(decision.plan.clone()).await;
        decision.guard = Some(judged.map_err(|failure| Refused {
            what: failure.message,
            hint: failure.hint.unwrap_or_default(),
        }));
    }
    Ok(decision)
}

/// Prints one frame and ends.
async fn frame(
    setup: &Setup,
    terminal: Terminal,
    args: &TuiArgs,
    (size, price): ((u16, u16), Option<Price>),
) -> Result<(), Failure> {
    let color = match args.color {
        ColorArg::Auto if terminal.color => None,
        ColorArg::Auto | ColorArg::Never => Some(false),
        ColorArg::Always => Some(true),
    };
    let options = reader_options(setup, price.as_ref(), None);
    let mut model = model(setup, (false, price), color, size);
    let mut reader = Reader::new(options, model.question());
    look(&mut model, &mut reader).await;
    let decided = tokio::time::timeout(FRAME_PATIENCE, survey(setup)).await;
    let decided = decided.unwrap_or_else(|_| Message::Undecided {
        what: format!("the zone was not read within {} s", FRAME_PATIENCE.as_secs()),
        hint: None,
    });
    let _ = update(&mut model, decided);
    for key in args.keys.chars() {
        tui::press(&mut model, key.encode_utf8(&mut [0; 4]));
        look(&mut model, &mut reader).await;
    }
    let drawn = tui::draw(&model);
    let text = if color == Some(false) { tui::text(&drawn) } else { tui::ansi(&drawn) };
    let rows: Vec<&str> = text.lines().collect();
    terminal.result(&text, &serde_json::json!({ "columns": size.0, "rows": size.1, "text": rows }))
}

/// One look at the store, and at what it answers later where it is elsewhere.
async fn look(model: &mut Model, reader: &mut Reader) {
    let answered = async {
        loop {
            let (snapshot, entries) = reader.answer(model.question());
            let _ = update(model, Message::Happened(entries));
            let _ = update(model, Message::Measured(Arc::new(snapshot)));
            if !reader.is_waiting() {
                return;
            }
            tokio::time::sleep(FRAME_LOOK).await;
        }
    };
    // What came until then is drawn.
    let _ = tokio::time::timeout(FRAME_PATIENCE, answered).await;
}
