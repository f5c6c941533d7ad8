//! `advisor cost`: what running the fleet costs a month, before anything runs.

use std::fmt::Write as _;

use advisor::bill::{Bill, Fleet, bill, times_a_month};
use probe::publish::DATUMS_MAX;
use probe::sample::Connection;
use serde_json::json;

use crate::cli::CostArgs;
use crate::failure::{Exit, Failure};
use crate::fleet::budget;
use crate::setup::Setup;
use crate::show::table::Table;
use crate::terminal::Terminal;

/// Metrics that one series of the matrix is read by: quantile, count, failures.
const ASKED: f64 = 3.0;
/// And its round trip, where it is cold.
const ASKED_COLD: f64 = 1.0;

/// Prints the bill.
pub fn run(setup: &Setup, terminal: Terminal, args: &CostArgs) -> Result<(), Failure> {
    for (flag, value) in [("--queries", args.queries), ("--lambda-s", args.lambda_s)] {
        if !value.is_finite() || value < 0.0 {
            let message = format!("{flag} {value}: must be a number that is not negative");
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    let bill = bill(&fleet(setup, args)?);
    terminal.result(&text(&bill), &document(&bill))
}

fn fleet(setup: &Setup, args: &CostArgs) -> Result<Fleet, Failure> {
    let config = &setup.config;
    let budget = budget(config)?;
    let vantages = config.vantages.len() as f64;
    let endpoints = config.endpoints.len() as f64;
    let of = |connection: &Connection| match connection {
        Connection::Cold => ASKED + ASKED_COLD,
        Connection::Resumed | Connection::Warm => ASKED,
    };
    let asked: f64 = config.probe.connections.iter().map(of).sum();
    let datums = budget.steady as f64 / vantages.max(1.0);
    // A function publishes through its log, unless it is told to send to the Region that holds all.
    let sends = setup.fleet.is_some() || args.lambda_s == 0.0;
    Ok(Fleet {
        vantages,
        endpoints,
        metrics: budget.steady as f64,
        metrics_most: budget.most as f64,
        asked: asked * vantages * endpoints,
        readings: times_a_month(args.refresh.as_secs_f64()),
        requests_a_minute: if sends { (datums / DATUMS_MAX as f64).ceil() } else { 0.0 },
        lambda_s: args.lambda_s,
        queries_millions: args.queries,
    })
}

fn text(bill: &Bill) -> String {
    let mut table = Table::new(["a month", "quantity", "USD"]);
    let marked = |verified: bool| if verified { "" } else { " *" };
    for line in &bill.lines {
        let what = format!("{}{}", line.what, marked(line.verified));
        table.row([what, format!("{:.0}", line.quantity), format!("{:.2}", line.usd)]);
    }
    table.row(["sum".to_owned(), String::new(), format!("{:.2}", bill.usd)]);
    let mut text = table.text();
    let _ = writeln!(
        text,
        "at most {:.2} USD, if every kind of failure happens everywhere all month; paths come on top",
        bill.usd_most
    );
    text.push_str(
        "* unverified price; us-east-1, without free tiers, taxes, data transfer and logs\n",
    );
    text
}

fn document(bill: &Bill) -> serde_json::Value {
    let line = |line: &advisor::bill::Line| {
        json!({
            "what": line.what,
            "quantity": line.quantity,
            "usd": line.usd,
            "source": line.source,
            "verified": line.verified,
        })
    };
    let lines: Vec<_> = bill.lines.iter().map(line).collect();
    json!({ "month": { "lines": lines, "usd": bill.usd, "usd_most": bill.usd_most } })
}
