//! Sentences that several views say: what a cell measured, where a vantage is sent, why.

use advisor::advice::{Considered, LabelAdvice, Reason, Verdict};
use advisor::topology::Shares;

use crate::model::Model;
use crate::words::{NONE, age, count, fit, maybe_ms, ms, ms_of_us, percent, shown};

/// One cell in a line.
pub(super) fn cell_words(model: &Model, vantage: &str, target: &str) -> String {
    let name = format!("{} > {}", shown(vantage), shown(target));
    let Some(figures) = model.figures(vantage, target) else {
        let range = model.range.as_str();
        return format!("{name}  no {} sample in the last {range}", model.connection);
    };
    let of = |pick: fn(&probe::store::Quantiles) -> u64| {
        figures.quantiles.as_ref().map_or_else(|| NONE.to_owned(), |q| ms_of_us(pick(q)))
    };
    format!(
        "{name}  p50 {}  p95 {} ms  loss {}  n {}",
        of(|q| q.p50_us),
        of(|q| q.p95_us),
        figures.loss().map_or_else(|| NONE.to_owned(), percent),
        count(figures.attempts),
    )
}

/// Where Route 53 sends a vantage, and how that is known.
pub(super) fn sent_words(model: &Model, vantage: &str) -> String {
    let Some(decision) = &model.decision else {
        return match &model.undecided {
            Some(_) => "Route 53: not known".to_owned(),
            None => "Route 53: asking".to_owned(),
        };
    };
    let known = decision.survey.preference.as_str();
    let sent = decision.sent(vantage);
    match decision.line_of(vantage) {
        Some(line) if sent.as_ref().and_then(Shares::only) == Some(line.label.as_str()) => {
            format!("Route 53: {} ({known})", shown(line.label.as_str()))
        }
        Some(line) => {
            let label = shown(line.label.as_str());
            format!("Route 53: {} (label {label}, {known})", shares_words(sent.as_ref()))
        }
        None => "Route 53: no preferred label known".to_owned(),
    }
}

/// Where a label points.
pub(super) fn endpoint_words(endpoint: Option<&str>) -> String {
    endpoint.map_or_else(|| "not installed".to_owned(), shown)
}

/// Where a label leads.
pub(super) fn shares_words(shares: Option<&Shares>) -> String {
    endpoint_words(shares.map(Shares::to_string).as_deref())
}

/// Where a label leads, in a column: of several endpoints the one that gets most, and how many more.
pub(super) fn shares_column(shares: Option<&Shares>, columns: usize) -> String {
    let more = shares.map_or(0, |shares| shares.iter().count().saturating_sub(1));
    let first = endpoint_words(shares.map(Shares::first));
    if more == 0 {
        return fit(&first, columns);
    }
    let more = format!(" +{more}");
    fit(&first, columns.saturating_sub(more.len())) + &more
}

/// What the advice changes for a vantage.
pub(super) fn advised_words(model: &Model, vantage: &str) -> String {
    let Some(decision) = &model.decision else { return String::new() };
    match (decision.advised(vantage), decision.line_of(vantage)) {
        (Some(shares), _) => format!(
            "advised: {} ({} ms less)",
            shares_words(Some(&shares)),
            maybe_ms(decision.advised_gain_ms(vantage))
        ),
        (None, Some(line)) => format!("stays: {}", line.reason.code()),
        (None, None) => String::new(),
    }
}

/// Why a label gets what it gets, in a few words.
pub(super) fn reason_words(line: &LabelAdvice) -> &'static str {
    match line.reason {
        Reason::Repoint => "its witness or its clients gain, and nobody of its catchment loses",
        Reason::Add => "measured clients gain by a label of their own",
        Reason::Remove => "no client loses when the label goes",
        Reason::Keep => "another endpoint gains at the witness, and something stands against it",
        Reason::Unsupported => "no witness gains so surely that all its clients must",
        Reason::InsufficientData => "too few blocks for a verdict",
        Reason::CoolingDown => "it changed too recently",
        Reason::NotConfirmed => "repeating the rule without each vantage does not confirm it",
    }
}

/// What stands for or against one challenger.
pub(super) fn verdict_words(considered: &Considered) -> String {
    let comparison = &considered.comparison;
    let at = considered.at.as_deref().map_or_else(|| "a vantage".to_owned(), shown);
    match considered.verdict {
        Verdict::Admissible => "nothing stands against it".to_owned(),
        Verdict::InsufficientData => {
            format!("{} of {} blocks so far", comparison.found, comparison.needed)
        }
        Verdict::NoGain => "the gain is not large and sure enough".to_owned(),
        Verdict::FailsMore(bound) => {
            format!("may fail up to {} more often", percent(bound))
        }
        Verdict::Harms(loss_ms) => format!("{at} would lose {} ms", ms(loss_ms)),
        Verdict::UnknownCost => format!("its cost at {at} is not known"),
        Verdict::Outweighed => "other endpoints cost the measured clients less".to_owned(),
    }
}

/// When the zone was asked, and when it will be again.
pub(super) fn survey_words(model: &Model) -> String {
    let Some(decision) = &model.decision else { return "the zone was not read yet".to_owned() };
    let every_s = decision.every.as_secs();
    let known = decision.survey.preference.as_str();
    let ago = age(model.now_ms.saturating_sub(decision.made_ms));
    format!("labels {known}, read {ago}, every {every_s} s")
}
