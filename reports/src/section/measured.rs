//! Sections about what was measured: cost, objectives, phases, coverage, price and method.

use std::collections::BTreeMap;

use super::{Cell, Section, Table, Tile, Tone, ms, percent, whole};
use crate::assemble::{BREACHED, CLOUDWATCH, MET, counted};
use crate::document::{CellFacts, CoverageFacts, DeploymentFacts, Document, ObjectiveFacts};
use crate::period::Period;

/// Endpoints that a table has columns for; JSON has all.
const COLUMNS_MAX: usize = 12;
/// What a figure is called that the store cannot tell.
const UNKNOWN: &str = "not known";

pub(super) fn tiles(document: &Document) -> Vec<Tile> {
    let mut tiles = Vec::new();
    let objectives = &document.objectives;
    if !objectives.is_empty() {
        let with = |status| objectives.iter().filter(|one| one.status == status).count();
        let (met, breached) = (with(MET), with(BREACHED));
        tiles.push(Tile {
            name: "objectives met",
            value: format!("{met} of {}", objectives.len()),
            note: format!("{breached} breached"),
            tone: if breached > 0 { Tone::Bad } else { Tone::Good },
        });
    }
    let failures: u64 = document.coverage.iter().map(|line| line.failures).sum();
    let requests = document.monitoring.requests;
    tiles.push(Tile {
        name: "samples",
        value: whole(requests),
        note: format!("{} failed", percent(share(failures, requests), 2)),
        tone: Tone::Plain,
    });
    tiles
}

fn share(part: u64, of: u64) -> f64 {
    part as f64 / of.max(1) as f64
}

pub(super) fn deployment(document: &Document) -> Section<'_> {
    let section = Section::new("deployment", "How many endpoints");
    if document.deployment.is_empty() {
        return section.say("With costs at fewer than two endpoints there is nothing to choose.");
    }
    let mut section = section.say(format!(
        "Of the endpoints there are, those that would serve the measured vantages best if there were only \
         so many; {}.",
        document.routing.weights
    ));
    let (with, without): (Vec<&DeploymentFacts>, Vec<&DeploymentFacts>) =
        document.deployment.iter().partition(|line| !line.estimated.is_empty());
    for line in &with {
        section = section.say(estimates(line));
    }
    section
        .tabulate(choices("The best k endpoints", &without))
        .tabulate(choices("The best k with candidate Regions, whose costs are estimates", &with))
}

fn choices(caption: &str, lines: &[&DeploymentFacts]) -> Table {
    let texts = ["population", "k", "endpoints", "proven"];
    let mut table = Table::new(caption, &texts, &["mean cost, ms"]);
    for line in lines {
        for choice in &line.choices {
            let named = choice.chosen.iter().map(|name| {
                let mark = if line.estimated.contains(name) { " (estimate)" } else { "" };
                format!("{name}{mark}")
            });
            let gap = format!("within {}", percent(choice.gap, 2));
            table.row([
                Cell::new(line.population),
                Cell::new(choice.k.to_string()),
                Cell::new(named.collect::<Vec<_>>().join(", ")),
                Cell::new(if choice.optimal { "yes".to_owned() } else { gap }),
                ms(choice.cost_ms),
            ]);
        }
    }
    table
}

/// Where nothing is deployed, and how far off such estimates are.
fn estimates(line: &DeploymentFacts) -> String {
    let error = |share: Option<f64>| share.map_or("unknown".to_owned(), |e| percent(e, 1));
    let models = line.models.iter().map(|model| {
        format!(
            "{} takes {:.2} round trips and {:.1} ms, and endpoints left out in turn are missed by {} \
             (median) and {} (p90)",
            model.connection,
            model.multiplier,
            model.service_ms,
            error(model.error_p50),
            error(model.error_p90)
        )
    });
    format!(
        "Nothing is deployed in {} ({} vantages): what it would cost is estimated from round trips. {}.",
        line.estimated.join(", "),
        line.population,
        models.collect::<Vec<_>>().join("; ")
    )
}

pub(super) fn cells(document: &Document) -> Section<'_> {
    let section = Section::new("cost", "Cost by vantage and endpoint");
    let mut columns: Vec<&str> = document.cells.iter().map(|cell| cell.endpoint.as_str()).collect();
    columns.sort_unstable();
    columns.dedup();
    if document.cells.iter().all(|cell| cell.cost_ms.is_none()) {
        return section.say("No block closed in this period, so that no cell has a cost.");
    }
    let mut rows: BTreeMap<(&str, &str), BTreeMap<&str, &CellFacts>> = BTreeMap::new();
    for cell in &document.cells {
        let row = rows.entry((cell.population, cell.vantage.as_str())).or_default();
        row.insert(&cell.endpoint, cell);
    }
    let hidden = columns.len().saturating_sub(COLUMNS_MAX);
    columns.truncate(COLUMNS_MAX);
    let mut table = Table::new(
        "Median cost in ms; where Route 53 sends the vantage stands out",
        &["vantage", "population"],
        &columns,
    );
    for ((population, vantage), cells) in rows {
        let mut row = vec![Cell::new(vantage), Cell::new(population)];
        row.extend(columns.iter().map(|column| cost(cells.get(column).copied())));
        table.rows.push(row);
    }
    table.folded = true;
    let more = if hidden > 0 {
        format!(" The table leaves out {hidden} endpoints; the JSON beside this report has all.")
    } else {
        String::new()
    };
    section
        .say(format!(
            "Cost is a weighted sum of the quantiles of cold and warm connections, block by block; a failure \
             counts as slower than the timeout.{more}"
        ))
        .tabulate(table)
}

fn cost(cell: Option<&CellFacts>) -> Cell {
    let Some(cell) = cell else { return Cell::new("-") };
    Cell::toned(ms(cell.cost_ms).text, if cell.routed { Tone::Strong } else { Tone::Plain })
}

pub(super) fn latency(document: &Document) -> Section<'_> {
    let section = Section::new("latency", "Over time");
    let Some(first) = document.latency.first() else {
        return section.say("No block closed in this period.");
    };
    if first.blocks_a_point > 1 {
        let text = format!("Each point stands for {} blocks.", first.blocks_a_point);
        return section.say(text);
    }
    section.say("Each point is a block.")
}

pub(super) fn objectives(document: &Document) -> Section<'_> {
    let section = Section::new("objectives", "Objectives");
    if document.objectives.is_empty() {
        return section.say("No objectives are configured ([[slo]]).");
    }
    let mut table = Table::new(
        "Attainment",
        &["target", "population", "status", "slowest"],
        &["quantile", "limit, ms", "within", "promised"],
    );
    for line in &document.objectives {
        let tone = match line.status {
            MET => Tone::Good,
            BREACHED => Tone::Bad,
            _ => Tone::Plain,
        };
        table.row([
            Cell::new(&line.target),
            Cell::new(line.population),
            Cell::toned(line.status, tone),
            Cell::new(slowest(line)),
            Cell::new(line.quantile.to_string()),
            Cell::new(line.limit_ms.to_string()),
            Cell::new(line.share_within.map_or_else(|| "-".to_owned(), |s| percent(s, 1))),
            Cell::new(percent(line.share_needed, 1)),
        ]);
    }
    section.tabulate(table)
}

fn slowest(line: &ObjectiveFacts) -> String {
    let worst = line.vantages.iter().max_by(|a, b| a.value_ms.total_cmp(&b.value_ms));
    worst.map_or_else(
        || "nothing measured".to_owned(),
        |worst| format!("{}: {:.1} ms", worst.vantage, worst.value_ms),
    )
}

pub(super) fn distributions(document: &Document) -> Section<'_> {
    let section = Section::new("connections", "Cold against warm");
    if document.distributions.is_empty() {
        return section.say("Without routing there is nothing to show here.");
    }
    let mut table = Table::new(
        "Response where people are sent",
        &["population", "connection"],
        &["values", "10 %, ms", "50 %, ms", "90 %, ms", "99 %, ms"],
    );
    for line in &document.distributions {
        let at = |wanted: f64| {
            let index = crate::SHARES.iter().position(|share| *share >= wanted);
            ms(index.and_then(|index| line.values_ms.get(index)).copied())
        };
        table.row([
            Cell::new(line.population),
            Cell::new(line.connection),
            Cell::new(whole(line.n)),
            at(0.1),
            at(0.5),
            at(0.9),
            at(0.99),
        ]);
    }
    section.tabulate(table)
}

pub(super) fn phases(document: &Document) -> Section<'_> {
    let section = Section::new("phases", "Where the time goes");
    if document.targets.is_empty() {
        return section.say("Nothing was measured in this period.");
    }
    let mut heads = vec!["values", "p50, ms", "p95, ms", "p99, ms"];
    heads.extend(crate::totals::PARTS);
    let caption = if document.store == CLOUDWATCH {
        "Percentiles of what CloudWatch counts, and mean ms of each phase that is published"
    } else {
        "Percentiles of merged histograms, and mean ms of each phase"
    };
    let mut table = Table::new(caption, &["target", "connection", "population"], &heads);
    for line in &document.targets {
        let mut row = vec![
            Cell::new(&line.target),
            Cell::new(line.connection),
            Cell::new(line.population),
            Cell::new(whole(line.n)),
            ms(Some(line.p50_ms)),
            ms(Some(line.p95_ms)),
            ms(Some(line.p99_ms)),
        ];
        row.extend(crate::totals::PARTS.iter().map(|part| {
            let found = line.phases.iter().find(|phase| phase.phase == *part);
            ms(found.map(|phase| phase.mean_ms))
        }));
        table.rows.push(row);
    }
    table.folded = true;
    section.tabulate(table)
}

pub(super) fn coverage<'a>(document: &'a Document, period: &Period) -> Section<'a> {
    let mut table = Table::new(
        "Samples of each vantage",
        &["vantage", "population", "newest data", "most frequent failure"],
        &["samples", "failed", "missed", "late"],
    );
    for line in &document.coverage {
        let last = line.last_ms.map_or_else(|| "none".to_owned(), |at_ms| period.text(at_ms));
        let stale = if line.stale { Tone::Bad } else { Tone::Plain };
        let failed = format!(
            "{} ({})",
            whole(line.failures),
            percent(share(line.failures, line.attempts), 2)
        );
        table.row([
            Cell::new(&line.vantage),
            Cell::new(line.population),
            Cell::toned(last, stale),
            Cell::new(line.worst_kind.unwrap_or("-")),
            Cell::new(whole(line.attempts)),
            Cell::new(failed),
            Cell::new(line.missed.map_or_else(|| UNKNOWN.to_owned(), whole)),
            Cell::new(line.late.map_or_else(|| UNKNOWN.to_owned(), whole)),
        ]);
    }
    let mut section = Section::new("coverage", "Coverage and quality of the data");
    for population in ["cloud", "eyeball"] {
        let own: Vec<_> =
            document.coverage.iter().filter(|line| line.population == population).collect();
        if own.is_empty() {
            continue;
        }
        section = section.say(covered(population, &own));
    }
    section.tabulate(table)
}

/// One line a population. How many slots were missed is known of all its vantages or of none.
fn covered(population: &str, own: &[&CoverageFacts]) -> String {
    let sum = |pick: fn(&CoverageFacts) -> Option<u64>| -> Option<u64> {
        own.iter().map(|line| pick(line)).sum()
    };
    let attempts = sum(|line| Some(line.attempts)).unwrap_or_default();
    let failures = sum(|line| Some(line.failures)).unwrap_or_default();
    let slots = match (sum(|line| line.missed), sum(|line| line.late)) {
        (Some(missed), Some(late)) => {
            format!("{} slots missed, {} started late", whole(missed), whole(late))
        }
        _ => "slots missed and late starts are not known from CloudWatch".to_owned(),
    };
    format!(
        "{population}: {}, {} samples, {} failed, {slots}.",
        counted(own.len(), "vantage"),
        whole(attempts),
        percent(share(failures, attempts), 2),
    )
}

pub(super) fn monitoring(document: &Document) -> Section<'_> {
    let facts = &document.monitoring;
    let store = if document.store == CLOUDWATCH {
        "CloudWatch takes money for what it keeps and for each question; advisor cost tells how much"
    } else {
        "the embedded store costs nothing more"
    };
    let section = Section::new("price", "What this monitoring costs").say(format!(
        "{} requests in {} series: {} in 30 days at this rate, about {:.2} USD of API Gateway requests. {} \
         health checks: about {:.2} USD in 30 days. Built-in list prices, nothing was asked of AWS; \
         {store}.",
        whole(facts.requests),
        whole(facts.series as u64),
        whole(facts.requests_30d),
        facts.requests_usd_30d,
        facts.health_checks,
        facts.health_checks_usd_30d
    ));
    if document.truth.is_some() {
        return section.say("This lab measured far more often than the defaults do.");
    }
    section
}

pub(super) fn method(document: &Document) -> Section<'_> {
    let mut table = Table::new("Settings", &["what", "value"], &[]);
    for line in &document.method {
        table.row([Cell::new(line.name), Cell::new(&line.value)]);
    }
    table.folded = true;
    let merged = if document.store == CLOUDWATCH { "counts" } else { "histograms" };
    Section::new("method", "Method and versions")
        .say(format!(
            "A sign test over blocks decides what is proven, with Holm's procedure over all pairs; \
             intervals are order statistics; percentiles come from merged {merged} and are never \
             averaged; vantages in data centres and in users' networks are never merged."
        ))
        .tabulate(table)
}
