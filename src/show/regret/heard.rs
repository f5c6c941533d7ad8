//! What measured clients had to say, as text and as JSON.

use std::collections::BTreeSet;

use advisor::advice::{Advice, COVERED, LabelSet, Reason};
use advisor::guard::MODELLED;
use advisor::name::Label;
use advisor::preferred::Preference;
use serde_json::{Value, json};

/// A line for everybody who could not be heard, for each set of labels that was compared, and for
/// everybody who loses.
pub(super) fn lines(advice: &Advice) -> Vec<String> {
    let heard = &advice.heard;
    let count = heard.rows.len() + heard.left_out.len();
    if count == 0 {
        return Vec::new();
    }
    let mut lines = vec![format!("measured clients: {} of {count} count\n", heard.rows.len())];
    for (vantage, reason) in &heard.left_out {
        lines.push(format!("  {vantage} is left out ({})\n", reason.code()));
    }
    for (label, share) in &heard.uncovered {
        lines.push(format!(
            "  {label}: they carry {:.0} % of its traffic, and {:.0} % are needed ({})\n",
            share * 100.0,
            COVERED * 100.0,
            Reason::Unsupported.code()
        ));
    }
    lines.extend(set_lines(advice));
    for loss in &heard.losses {
        lines.push(format!(
            "  {} goes from {} to {} and loses {:.1} ms\n",
            loss.vantage, loss.from, loss.to, loss.loss_ms
        ));
    }
    lines
}

fn set_lines(advice: &Advice) -> Vec<String> {
    let heard = &advice.heard;
    let Some(regret_ms) = heard.regret_ms else { return Vec::new() };
    let mut lines = vec![format!(
        "  their regret is {regret_ms:.1} ms as labels stand; which label comes behind the preferred one is \
         {MODELLED}\n"
    )];
    let installed = advice.installed();
    for (set, is_chosen) in advice.compared() {
        let note = match (set.asked, is_chosen) {
            (_, true) => ": chosen",
            (true, false) => "",
            (false, false) => "; `advisor regret --install-shadow` lets Route 53 be asked",
        };
        lines.push(format!("  {}: {}{note}\n", how(set), set_text(set, &installed)));
    }
    lines
}

/// How it is known who prefers which label of a set.
fn how(set: &LabelSet) -> &'static str {
    if set.asked { Preference::Asked.as_str() } else { MODELLED }
}

/// A set of labels beside the installed ones, and its worth, for people.
#[must_use]
pub fn set_text(set: &LabelSet, installed: &BTreeSet<Label>) -> String {
    let worth = match &set.value {
        Some(value) => format!("regret {:.1} ms at best", value.regret_ms()),
        None => "not allowed: a client would be moved that may not be".to_owned(),
    };
    format!("{} labels ({}), {worth}", set.labels.len(), set.beside(installed))
}

/// The same for scripts.
#[must_use]
pub fn set_json(set: &LabelSet, installed: &BTreeSet<Label>) -> Value {
    let (added, removed) = set.changes(installed);
    let names =
        |labels: &[&Label]| labels.iter().map(|label| json!(label.as_str())).collect::<Value>();
    json!({
        "labels": names(&set.labels.iter().collect::<Vec<_>>()),
        "added": names(&added),
        "removed": names(&removed),
        "preferred": how(set),
        "regret_ms": set.value.as_ref().map(advisor::program::Value::regret_ms),
    })
}

/// What clients had to say, for scripts; nothing where there are no measured clients.
pub(super) fn json(advice: &Advice) -> Value {
    let heard = &advice.heard;
    if heard.rows.is_empty() && heard.left_out.is_empty() {
        return Value::Null;
    }
    let left_out = heard
        .left_out
        .iter()
        .map(|(vantage, reason)| json!({"vantage": vantage, "reason": reason.code()}));
    let uncovered = heard.uncovered.iter().map(|(label, share)| {
        json!({"label": label.as_str(), "share": share, "reason": Reason::Unsupported.code()})
    });
    let losses = heard.losses.iter().map(|loss| {
        json!({
            "vantage": loss.vantage, "from": loss.from, "to": loss.to, "loss_ms": loss.loss_ms,
        })
    });
    json!({
        "rows": heard.rows,
        "left_out": left_out.collect::<Vec<_>>(),
        "uncovered": uncovered.collect::<Vec<_>>(),
        "losses": losses.collect::<Vec<_>>(),
        "regret_ms": heard.regret_ms,
        "sets": sets_json(advice),
    })
}

/// The sets of labels that were compared, for scripts.
#[must_use]
pub fn sets_json(advice: &Advice) -> Value {
    let installed = advice.installed();
    let set = |(set, is_chosen): (&LabelSet, bool)| {
        let mut value = set_json(set, &installed);
        value["chosen"] = json!(is_chosen);
        value
    };
    advice.compared().map(set).collect()
}
