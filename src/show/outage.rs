//! What the loss of each endpoint does, as text and as JSON.

use std::fmt::Write as _;

use advisor::outage::{Load, Moved, Outage};
use advisor::plan::Move;
use advisor::quota::lambda_duration_ms;
use advisor::survey::Survey;
use probe::config::Config;
use serde_json::{Value, json};

use super::table::{Table, ms};
use super::weights::shares_json;
use super::{escape_lines, shares_text};

/// The loss of each endpoint, with what a drain would do instead.
#[derive(Debug, Clone)]
pub struct OutageView {
    outages: Vec<(Outage, Vec<Move>)>,
}

impl OutageView {
    /// From a survey.
    #[must_use]
    pub fn new(survey: &Survey, config: &Config) -> Self {
        let with_drain = |outage: Outage| {
            let drained = survey.drained(config, &outage.endpoint);
            (outage, drained)
        };
        Self { outages: survey.outages(config).into_iter().map(with_drain).collect() }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table =
            Table::new(["if lost", "clients near", "traffic, %", "go to", "cost, ms", "then, ms"]);
        for (outage, _) in &self.outages {
            for moved in &outage.moved {
                table.row([
                    outage.endpoint.clone(),
                    moved
                        .vantage
                        .clone()
                        .unwrap_or_else(|| format!("{} (unmeasured)", moved.label)),
                    format!("{:.1}", moved.share * 100.0),
                    goal_text(moved),
                    ms(moved.cost_before_ms),
                    ms(moved.cost_after_ms),
                ]);
            }
        }
        let lines: String =
            self.outages.iter().map(|(one, drained)| summary(one, drained)).collect();
        let unknown =
            self.outages.iter().any(|(one, _)| one.loads.iter().any(|l| l.per_s.is_none()));
        let note = if unknown {
            "which quota breaks is not known without traffic.requests_per_s\n"
        } else {
            ""
        };
        format!("{}\n{}{note}", table.text(), escape_lines(&lines))
    }

    /// For scripts.
    #[must_use]
    pub fn json(&self) -> Value {
        let one = |(outage, drained): &(Outage, Vec<Move>)| {
            let mean = outage.mean_cost_ms();
            let drain = |step: &Move| {
                let to = step.after().as_ref().map(shares_json);
                json!({"label": step.label, "to": to})
            };
            json!({
                "endpoint": outage.endpoint,
                "share": outage.share(),
                "cost_before_ms": mean.map(|mean| mean.0),
                "cost_after_ms": mean.map(|mean| mean.1),
                "moved": outage.moved.iter().map(moved_json).collect::<Vec<_>>(),
                "loads": outage.loads.iter().map(load_json).collect::<Vec<_>>(),
                "drain": drained.iter().map(drain).collect::<Vec<_>>(),
            })
        };
        self.outages.iter().map(one).collect()
    }
}

fn goal_text(moved: &Moved) -> String {
    match &moved.to {
        None => "nowhere: nothing else answers".to_owned(),
        Some((label, shares)) if shares.only() == Some(label.as_str()) => label.to_string(),
        Some((label, shares)) => format!("{shares} (label {label})"),
    }
}

fn summary(outage: &Outage, drained: &[Move]) -> String {
    let mut line = format!(
        "without {}: {:.1} % of the traffic moves",
        outage.endpoint,
        outage.share() * 100.0
    );
    if let Some((before, after)) = outage.mean_cost_ms() {
        let _ = write!(line, ", its mean cost {before:.1} -> {after:.1} ms");
    }
    for load in outage.loads.iter().filter(|load| load.breaks() == Some(true)) {
        let _ = write!(
            line,
            "; {} gets {:.0} requests a second, more than {:.0} ({})",
            load.endpoint,
            load.per_s.unwrap_or_default(),
            load.quota.per_s,
            load.quota.kind.words()
        );
    }
    let by_drain: Vec<String> = drained
        .iter()
        .map(|step| format!("{} to {}", step.label, shares_text(step.after())))
        .collect();
    if by_drain.is_empty() {
        line.push_str("; it cannot be drained");
    } else {
        let _ = write!(line, "; a drain sends {}", by_drain.join(", "));
    }
    line.push('\n');
    line
}

fn moved_json(moved: &Moved) -> Value {
    json!({
        "vantage": moved.vantage,
        "label": moved.label.as_str(),
        "share": moved.share,
        "to_label": moved.to.as_ref().map(|(label, _)| label.as_str()),
        "to": moved.to.as_ref().map(|(_, shares)| shares_json(shares)),
        "cost_before_ms": moved.cost_before_ms,
        "cost_after_ms": moved.cost_after_ms,
    })
}

fn load_json(load: &Load) -> Value {
    let busy = load.per_s.filter(|per_s| *per_s > 0.0);
    json!({
        "endpoint": load.endpoint,
        "share_before": load.share_before,
        "share_after": load.share_after,
        "requests_per_s": load.per_s,
        "quota": load.quota.kind.code(),
        "quota_per_s": load.quota.per_s,
        "breaks": load.breaks(),
        "lambda_duration_max_ms": busy.map(lambda_duration_ms),
    })
}
