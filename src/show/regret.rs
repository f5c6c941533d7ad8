//! Regret and advice as text and as JSON.

pub mod heard;

use std::collections::BTreeMap;

use advisor::advice::{Advice, Considered, LabelAdvice, Reason, Verdict};
use advisor::evidence::{Comparison, Volatility};
use advisor::guard::MODELLED;
use advisor::name::Label;
use advisor::regret::{RegretRow, regret};
use advisor::settings;
use advisor::survey::Survey;
use advisor::topology::Shares;
use probe::config::Config;
use serde_json::{Value, json};

use super::endpoint_text;
use super::table::{Table, ms};
use super::weights::shares_json;

/// Regret of each vantage, and the advice for each label.
#[derive(Debug, Clone)]
pub struct RegretView {
    preferred: &'static str,
    /// The clients of whom Route 53 was not asked, and their share of the traffic.
    unasked: (usize, f64),
    rows: Vec<RegretRow>,
    advice: Advice,
    /// The labels that lead to several endpoints.
    split: BTreeMap<Label, Shares>,
}

impl RegretView {
    /// From a survey and its advice.
    #[must_use]
    pub fn new(survey: &Survey, advice: &Advice, config: &Config) -> Self {
        let rule = settings::evidence_rule(&config.evidence);
        Self {
            preferred: survey.preference.as_str(),
            unasked: survey.unasked,
            rows: regret(&survey.matrix, &survey.routing, &rule),
            advice: advice.clone(),
            split: survey.live.weights.clone(),
        }
    }

    /// Each vantage's costs, in order of vantage.
    #[must_use]
    pub fn rows(&self) -> &[RegretRow] {
        &self.rows
    }

    /// Where a label leads now: its endpoint, or all of them with their shares.
    fn leads_to(&self, label: &Label, endpoint: Option<&str>) -> String {
        let split = self.split.get(label).map(Shares::to_string);
        split.unwrap_or_else(|| endpoint_text(endpoint).to_owned())
    }

    fn weights_json(&self, label: &Label) -> Value {
        self.split.get(label).map_or(Value::Null, shares_json)
    }

    /// Both tables.
    #[must_use]
    pub fn text(&self) -> String {
        let mut table = Table::new([
            "vantage",
            "label",
            "endpoint",
            "cost, ms",
            "against",
            "gain, ms",
            "interval, ms",
        ]);
        for row in &self.rows {
            for challenger in &row.challengers {
                let comparison = &challenger.comparison;
                table.row([
                    row.vantage.clone(),
                    row.label.to_string(),
                    self.leads_to(&row.label, Some(&row.endpoint)),
                    ms(row.cost_ms),
                    challenger.endpoint.clone(),
                    ms(comparison.gain_ms),
                    interval(comparison),
                ]);
            }
        }
        let split = if self.rows.iter().any(|row| self.split.contains_key(&row.label)) {
            "of a split label the endpoint that costs most is compared\n"
        } else {
            ""
        };
        let advice = self.advice_text();
        let preferred = self.preferred_text();
        format!("{}\n{preferred}{split}\n{advice}", table.text())
    }

    /// How preferred labels are known, and of whom they are not.
    fn preferred_text(&self) -> String {
        let unasked = match self.unasked {
            (0, _) => String::new(),
            (clients, share) => format!(
                "Route 53 was not asked about {clients} clients with {:.1} % of the traffic: where they are \
                 sent is not known\n",
                share * 100.0
            ),
        };
        format!("preferred labels: {}\n{unasked}", self.preferred)
    }

    /// The advice, a line each label, and what measured clients had to say.
    #[must_use]
    pub fn advice_text(&self) -> String {
        let lines = self.advice.labels.iter().map(|line| self.line_text(line));
        lines.chain(heard::lines(&self.advice)).collect()
    }

    /// The advice for one label, as a line and for scripts.
    #[must_use]
    pub fn label(&self, label: &Label) -> Option<(String, Value)> {
        let line = self.advice.labels.iter().find(|line| line.label == *label)?;
        Some((self.line_text(line), self.line_json(line)))
    }

    /// Everything, with the evidence of each challenger.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let challengers = row.challengers.iter().map(|challenger| {
                let mut value = comparison_json(&challenger.comparison);
                value["endpoint"] = json!(challenger.endpoint);
                value["cost_ms"] = json!(challenger.cost_ms);
                value
            });
            json!({
                "vantage": row.vantage,
                "label": row.label.as_str(),
                "endpoint": row.endpoint,
                "weights": self.weights_json(&row.label),
                "cost_ms": row.cost_ms,
                "challengers": challengers.collect::<Vec<_>>(),
            })
        });
        json!({
            "preferred": self.preferred,
            "unasked": {"clients": self.unasked.0, "share": self.unasked.1},
            "order": MODELLED,
            "vantages": rows.collect::<Vec<_>>(),
            "advice": self.advice_json(),
        })
    }

    /// The advice alone.
    #[must_use]
    pub fn advice_json(&self) -> Value {
        let labels = self.advice.labels.iter().map(|line| self.line_json(line));
        let held_out = self.advice.held_out.map(|held_out| {
            json!({
                "tested": held_out.tested,
                "today_ms": held_out.today_ms,
                "advised_ms": held_out.advised_ms,
            })
        });
        json!({
            "basis": self.advice.basis.as_str(),
            "labels": labels.collect::<Vec<_>>(),
            "held_out": held_out,
            "clients": heard::json(&self.advice),
        })
    }

    fn line_text(&self, line: &LabelAdvice) -> String {
        let why = considered_text(line);
        let current = self.leads_to(&line.label, line.current.as_deref());
        match line.reason {
            Reason::Repoint | Reason::Add | Reason::Remove => format!(
                "{}: {current} -> {} ({why})\n",
                line.label,
                endpoint_text(line.advised.as_deref()),
            ),
            reason => format!("{}: stays at {current} ({}{why})\n", line.label, reason.code()),
        }
    }

    fn line_json(&self, line: &LabelAdvice) -> Value {
        json!({
            "label": line.label.as_str(),
            "current": line.current,
            "weights": self.weights_json(&line.label),
            "advised": line.advised,
            "reason": line.reason.code(),
            "catchment": line.catchment,
            "considered": line.considered.iter().map(considered_json).collect::<Vec<_>>(),
        })
    }
}

fn interval(comparison: &Comparison) -> String {
    comparison
        .interval_ms
        .map_or_else(|| "-".to_owned(), |(low, high)| format!("{low:.1} to {high:.1}"))
}

/// What decided: the winner's evidence, or the nearest challenger's obstacle.
fn considered_text(line: &LabelAdvice) -> String {
    if line.reason == Reason::Remove {
        return "the other labels serve its clients".into();
    }
    if let Some(chosen) = chosen(line) {
        let comparison = &chosen.comparison;
        return format!(
            "{} gains {} ms, {} of {} blocks over {:.1} ms",
            chosen.at.as_deref().unwrap_or("its witness"),
            ms(comparison.gain_ms),
            comparison.wins,
            comparison.found,
            comparison.threshold_ms
        );
    }
    let gain =
        |considered: &&Considered| considered.comparison.gain_ms.unwrap_or(f64::NEG_INFINITY);
    let nearest = line.considered.iter().max_by(|a, b| gain(a).total_cmp(&gain(b)));
    nearest.map_or_else(String::new, |considered| {
        format!("; {}: {}", considered.challenger, verdict_text(considered))
    })
}

/// The challenger that a label moves to.
fn chosen(line: &LabelAdvice) -> Option<&Considered> {
    let advised = line.advised.as_ref().filter(|_| line.moves())?;
    line.considered.iter().find(|considered| considered.challenger == *advised)
}

fn verdict_text(considered: &Considered) -> String {
    let at = considered.at.as_deref().unwrap_or("a vantage");
    let comparison = &considered.comparison;
    match considered.verdict {
        Verdict::Admissible => "admissible".into(),
        Verdict::InsufficientData => {
            format!("{} of {} blocks", comparison.found, comparison.needed)
        }
        Verdict::NoGain => format!(
            "gain {} ms, {} of {} blocks over {:.1} ms",
            ms(comparison.gain_ms),
            comparison.wins,
            comparison.found,
            comparison.threshold_ms
        ),
        Verdict::FailsMore(bound) => {
            format!("may fail up to {:.2} points more often", bound * 100.0)
        }
        Verdict::Harms(loss_ms) => format!("{at} would lose {loss_ms:.1} ms"),
        Verdict::UnknownCost => format!("its cost at {at} is unknown"),
        Verdict::Outweighed => "other endpoints cost the measured clients less".into(),
    }
}

fn verdict_code(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Admissible => "admissible",
        Verdict::InsufficientData => "insufficient-data",
        Verdict::NoGain => "no-gain",
        Verdict::FailsMore(_) => "fails-more",
        Verdict::Harms(_) => "harms",
        Verdict::UnknownCost => "unknown-cost",
        Verdict::Outweighed => "outweighed",
    }
}

fn considered_json(considered: &Considered) -> Value {
    let mut value = comparison_json(&considered.comparison);
    value["endpoint"] = json!(considered.challenger);
    value["verdict"] = json!(verdict_code(considered.verdict));
    value["why"] = json!(verdict_text(considered));
    value["mean_cost_ms"] = json!(considered.mean_cost_ms);
    value
}

fn comparison_json(comparison: &Comparison) -> Value {
    let volatility = match comparison.volatility {
        Volatility::NotJudged => json!({"judged": false}),
        Volatility::Calm(ms) => json!({"judged": true, "volatile": false, "deviation_ms": ms}),
        Volatility::Volatile(ms) => json!({"judged": true, "volatile": true, "deviation_ms": ms}),
    };
    json!({
        "gain_ms": comparison.gain_ms,
        "gain_low_ms": comparison.interval_ms.map(|interval| interval.0),
        "gain_high_ms": comparison.interval_ms.map(|interval| interval.1),
        "threshold_ms": comparison.threshold_ms,
        "blocks": comparison.found,
        "blocks_needed": comparison.needed,
        "wins": comparison.wins,
        "p": comparison.p,
        "volatility": volatility,
    })
}
