//! Weights that are proposed, as text and as JSON.

use advisor::topology::Shares;
use advisor::weights::{Weighing, WeightChange};
use serde_json::{Value, json};

use super::escape_lines;

/// A line each label whose weights change, or why none do.
#[must_use]
pub fn weights_text(weighing: &Weighing) -> String {
    let line = |change: &WeightChange| {
        format!(
            "weights {}: {} -> {} ({}, cost {:.1} -> {:.1} ms)\n",
            change.label,
            change.before,
            change.after,
            change.reason,
            change.cost_before_ms,
            change.cost_after_ms
        )
    };
    let text = match &weighing.refused {
        Some(cause) => format!("weights: {cause}\n"),
        None if weighing.changes.is_empty() => "weights: none changes\n".to_owned(),
        None => weighing.changes.iter().map(line).collect(),
    };
    escape_lines(&text)
}

/// The same for scripts.
#[must_use]
pub fn weights_json(weighing: &Weighing) -> Value {
    let change = |change: &WeightChange| {
        json!({
            "label": change.label.as_str(),
            "before": shares_json(&change.before),
            "after": shares_json(&change.after),
            "reason": change.reason,
            "cost_before_ms": change.cost_before_ms,
            "cost_after_ms": change.cost_after_ms,
        })
    };
    json!({
        "changes": weighing.changes.iter().map(change).collect::<Vec<_>>(),
        "refused": weighing.refused.map(|cause| cause.to_string()),
    })
}

/// Endpoints with their weights.
#[must_use]
pub fn shares_json(shares: &Shares) -> Value {
    shares.iter().map(|(endpoint, weight)| (endpoint.to_owned(), json!(weight))).collect()
}
