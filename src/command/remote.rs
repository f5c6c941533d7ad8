//! CloudWatch behind the dashboard: what it costs to look, and who asks it. The dashboard itself
//! knows no SDK.

use std::sync::Arc;
use std::time::Duration;

use advisor::bill::{asked, times_a_month};
use advisor::matrix::SourceError;
use aws::{CellSpans, CloudWatchSource, SeriesSpans};
use probe::sample::{Connection, Phase};
use probe::store::Grid;
use tokio::sync::mpsc;
use tui::{Order, Part, Price, Remote, Supply, Trouble, Wanted};

use crate::failure::{Exit, Failure};
use crate::setup::Setup;
use crate::show;

/// How often CloudWatch is read where nothing else is asked for.
const REFRESH_DEFAULT: Duration = Duration::from_mins(5);
/// The shortest pace: windows are published once a minute. And the longest.
const REFRESH_LEAST: Duration = Duration::from_mins(1);
const REFRESH_MOST: Duration = Duration::from_hours(24);
/// The longest that one question may take, all its calls together.
const ANSWER_MOST: Duration = Duration::from_mins(2);
const HOUR_S: f64 = 3_600.0;

/// The pace of a store that is paid for by the question; `None` for a file, which has none.
pub fn refresh(setup: &Setup, asked: Option<Duration>) -> Result<Option<Duration>, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    if setup.fleet.is_none() {
        return match asked {
            None => Ok(None),
            Some(_) => Err(usage("--refresh is for CloudWatch".to_owned())
                .hint("a store in a file is followed as it grows; leave --refresh away")),
        };
    }
    let every = asked.unwrap_or(REFRESH_DEFAULT);
    if (REFRESH_LEAST..=REFRESH_MOST).contains(&every) {
        return Ok(Some(every));
    }
    let bound = "must be 1m to 24h";
    Err(usage(format!("--refresh {} s: {bound}", every.as_secs()))
        .hint("windows are published once a minute, and each reading is paid for"))
}

/// What looking costs at this pace: the readings of one connection, and what the advice reads.
#[must_use]
pub fn price(setup: &Setup, every: Duration) -> Option<Price> {
    let source = &setup.fleet.as_ref()?.source;
    let of = |connection: &Connection| source.spans_asked(*connection);
    let most = setup.config.probe.connections.iter().map(of).max().unwrap_or(0);
    let (matrix, round_trips) = source.matrix_asked();
    let reading = asked(most as f64);
    let month = [
        most as f64 * times_a_month(every.as_secs_f64()),
        matrix as f64 * times_a_month(setup.config.evidence.block.as_secs_f64()),
        round_trips as f64 * times_a_month(HOUR_S),
    ];
    Some(Price {
        name: "CloudWatch",
        every,
        reading_usd: reading.usd,
        month_usd: asked(month.iter().sum()).usd,
        is_verified: reading.verified,
    })
}

/// The dashboard's side of CloudWatch; a task of this runtime asks, until the dashboard ends.
#[must_use]
pub fn open(setup: &Setup, price: &Price) -> Option<Remote> {
    let source = Arc::clone(&setup.fleet.as_ref()?.source);
    let settings = setup.config.cloudwatch.as_ref()?;
    let (order, ordered) = mpsc::channel(1);
    let (supply, supplies) = mpsc::channel(1);
    tokio::spawn(answer(source, settings.phases.clone(), ordered, supply));
    Some(Remote {
        orders: order,
        supplies,
        every: price.every,
        grid: Grid::of(&setup.config.evidence),
        read: format!("{} was read, for {:.4} USD", setup.place(), price.reading_usd),
    })
}

async fn answer(
    source: Arc<CloudWatchSource>,
    phases: Vec<Phase>,
    mut orders: mpsc::Receiver<Order>,
    supplies: mpsc::Sender<Result<Supply, Trouble>>,
) {
    while let Some(order) = orders.recv().await {
        let asked = tokio::time::timeout(ANSWER_MOST, ask(&source, &phases, order)).await;
        let supply = match asked {
            Ok(answered) => answered.map_err(|error| trouble(&error)),
            Err(_elapsed) => Err(Trouble {
                what: format!("CloudWatch did not answer within {} s", ANSWER_MOST.as_secs()),
                hint: "check that CloudWatch's address is reachable".to_owned(),
            }),
        };
        if supplies.send(supply).await.is_err() {
            return;
        }
    }
}

async fn ask(
    source: &CloudWatchSource,
    phases: &[Phase],
    order: Order,
) -> Result<Supply, SourceError> {
    let range_ms = (order.since_ms, order.until_ms);
    match order.wanted {
        Wanted::Spans(connection) => {
            let all = source.spans(connection, order.span_ms, range_ms).await?;
            let named = |SeriesSpans { series, rows }| (series, rows);
            Ok(Supply::Spans(all.into_iter().map(named).collect()))
        }
        Wanted::Cell(vantage, target) => {
            let cell = (vantage.as_str(), target.as_str());
            let parts = source.cell_spans(cell, phases, order.span_ms, range_ms).await?;
            Ok(Supply::Cell(parts.into_iter().map(part).collect()))
        }
    }
}

fn part(spans: CellSpans) -> Part {
    Part {
        connection: spans.response.series.connection,
        rows: spans.response.rows,
        phases: spans.phases,
        by_kind: spans.by_kind,
    }
}

fn trouble(error: &SourceError) -> Trouble {
    Trouble {
        what: show::escape_lines(&error.to_string()).replace('\n', " "),
        hint: error.hint.to_owned(),
    }
}
