//! For each label: where it should point, with the evidence and the reasons.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use advisor::advice::{Considered, LabelAdvice, LabelSet};
use advisor::evidence::{Comparison, Volatility};
use advisor::guard::MODELLED;
use advisor::plan::VantageEffect;
use advisor::preferred::Preference;

use super::words::{
    endpoint_words, reason_words, shares_column, shares_words, survey_words, verdict_words,
};
use super::{draw_lines, draw_page, heading, split};
use crate::decision::{Choice, Decision};
use crate::model::Model;
use crate::words::{NONE, fit, left, maybe_ms, ms, percent, right, shown, wrapped};

const NAME: usize = 15;
/// From so many columns a verdict stands beside its figures, not below them.
const VERDICT_BESIDE_FROM: usize = 105;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let note = survey_words(model);
    let body = heading(model, area, "Advice for each label", &note, buffer);
    let Some(decision) = &model.decision else {
        let text = " reading the zone and the evidence";
        let text = if model.undecided.is_some() { " no advice: see below" } else { text };
        buffer.set_stringn(body.x, body.y, text, usize::from(body.width), Style::default());
        return;
    };
    let labels = &decision.advice.labels;
    let table = u16::try_from(labels.len() + 1).unwrap_or(u16::MAX).min(body.height / 2);
    let (top, rest) = split(body, table);
    draw_labels(model, decision, top, buffer);
    let Some(line) = labels.get(model.label.min(labels.len().saturating_sub(1))) else { return };
    draw_reasons(model, decision, line, rest, buffer);
}

fn draw_labels(model: &Model, decision: &Decision, area: Rect, buffer: &mut Buffer) {
    let labels = &decision.advice.labels;
    let head = format!(
        " {}{}{}{}{} reason",
        left("label", NAME),
        left("points at", NAME),
        left("should point at", NAME + 1),
        right("gain, ms", 8),
        right("blocks", 7),
    );
    let columns = usize::from(area.width);
    let mut lines = Vec::with_capacity(labels.len());
    for (index, line) in labels.iter().enumerate() {
        let decided = deciding(line).map(|considered| &considered.comparison);
        let text = format!(
            " {}{}{}{}{} {}",
            left(&fit(&shown(line.label.as_str()), NAME - 1), NAME),
            left(&shares_column(decision.leads_to(&line.label).as_ref(), NAME - 1), NAME),
            left(&should(line), NAME + 1),
            right(&maybe_ms(decided.and_then(|comparison| comparison.gain_ms)), 8),
            right(&decided.map_or_else(|| NONE.to_owned(), blocks), 7),
            line.reason.code(),
        );
        let style = if index == model.label {
            model.palette.cursor()
        } else if line.moves() {
            model.palette.accent()
        } else {
            Style::default()
        };
        lines.push(Line::styled(left(&text, columns), style));
    }
    let (top, rest) = split(area, 1);
    buffer.set_stringn(top.x, top.y, fit(&head, columns), columns, model.palette.quiet());
    let room = usize::from(rest.height);
    draw_lines(&lines, (model.label + 1).saturating_sub(room), rest, buffer);
}

fn should(line: &LabelAdvice) -> String {
    if line.moves() {
        fit(&format!("◆ {}", endpoint_words(line.advised.as_deref())), NAME + 1)
    } else {
        "stays".to_owned()
    }
}

/// The challenger that decided: the one advised, or the one that came nearest.
fn deciding(line: &LabelAdvice) -> Option<&Considered> {
    let advised = line
        .considered
        .iter()
        .find(|one| line.moves() && Some(&one.challenger) == line.advised.as_ref());
    let gain = |one: &&Considered| one.comparison.gain_ms.unwrap_or(f64::NEG_INFINITY);
    advised.or_else(|| line.considered.iter().max_by(|a, b| gain(a).total_cmp(&gain(b))))
}

fn blocks(comparison: &Comparison) -> String {
    format!("{}/{}", comparison.wins, comparison.needed)
}

fn p_value(comparison: &Comparison) -> String {
    if comparison.p < 0.001 {
        format!("{:.0e}", comparison.p)
    } else {
        format!("{:.3}", comparison.p)
    }
}

fn draw_reasons(
    model: &Model,
    decision: &Decision,
    line: &LabelAdvice,
    area: Rect,
    buffer: &mut Buffer,
) {
    let title = format!("Why {}: {}", shown(line.label.as_str()), line.reason.code());
    let body = heading(model, area, &title, "", buffer);
    let columns = usize::from(area.width);
    let catchment: Vec<String> = line.catchment.iter().map(|id| shown(id)).collect();
    let stands_for =
        if catchment.is_empty() { "no vantage".to_owned() } else { catchment.join(", ") };
    let mut lines = Vec::new();
    let mut say = |text: &str, indent: usize, style: Style| {
        let parts = wrapped(text, columns, indent).into_iter();
        lines.extend(parts.map(|part| Line::styled(part, style)));
    };
    say(&format!(" {}", reason_words(line)), 3, Style::default());
    say(&format!(" stands for {stands_for}"), 3, Style::default());
    if let Some(shares) = decision.leads_to(&line.label).filter(|shares| shares.only().is_none()) {
        let shares = shares_words(Some(&shares));
        let text = format!(" split: {shares}; judged by the one that costs most");
        say(&text, 3, Style::default());
    }
    say(&challenger_head(columns), 3, model.palette.quiet());
    for considered in &line.considered {
        let is_advised = line.moves() && Some(&considered.challenger) == line.advised.as_ref();
        let style = if is_advised { model.palette.accent() } else { Style::default() };
        let (figures, verdict) = challenger_text(considered);
        if columns >= VERDICT_BESIDE_FROM {
            say(&format!("{figures}  {verdict}"), 3, style);
        } else {
            say(&figures, 3, style);
            say(&format!("   {verdict}"), 3, style);
        }
    }
    for text in confidence(decision).into_iter().chain(compared(decision)) {
        say(&text, 3, Style::default());
    }
    say(" of the endpoints that are there, the best so many:", 3, model.palette.quiet());
    for choice in &decision.frontier {
        say(&choice_text(choice), 7, Style::default());
    }
    let most = lines.len().saturating_sub(usize::from(body.height));
    draw_page(model, &lines, model.scrolled().min(most), body, buffer);
}

/// One choice of the deployment frontier.
fn choice_text(choice: &Choice) -> String {
    let endpoints: Vec<String> = choice.endpoints.iter().map(|id| shown(id)).collect();
    let proof = if choice.is_proven {
        String::new()
    } else {
        format!(", not proven: at most {} better", percent(choice.gap))
    };
    let names = if endpoints.is_empty() {
        "every choice strands a vantage".to_owned()
    } else {
        endpoints.join(", ")
    };
    format!("  {:>3}  {} ms{proof}  {names}", choice.endpoints.len(), maybe_ms(choice.cost_ms))
}

fn challenger_head(columns: usize) -> String {
    let figures = format!(
        " {}{}{}{}{}{}",
        left("against", NAME),
        right("gain, ms", 9),
        right("interval, ms", 17),
        right("over, ms", 9),
        right("blocks", 8),
        right("p", 8),
    );
    if columns >= VERDICT_BESIDE_FROM { figures + "  verdict" } else { figures }
}

/// The figures of one challenger, and what stands for or against it.
fn challenger_text(considered: &Considered) -> (String, String) {
    let comparison = &considered.comparison;
    let interval = comparison
        .interval_ms
        .map_or_else(|| NONE.to_owned(), |(low, high)| format!("{} to {}", ms(low), ms(high)));
    let volatile = match comparison.volatility {
        Volatility::Volatile(deviation_ms) => format!("; volatile, {} ms", ms(deviation_ms)),
        Volatility::NotJudged | Volatility::Calm(_) => String::new(),
    };
    let figures = format!(
        " {}{}{}{}{}{}",
        left(&fit(&shown(&considered.challenger), NAME - 1), NAME),
        right(&maybe_ms(comparison.gain_ms), 9),
        right(&interval, 17),
        right(&ms(comparison.threshold_ms), 9),
        right(&blocks(comparison), 8),
        right(&p_value(comparison), 8),
    );
    (figures, format!("{}{volatile}", verdict_words(considered)))
}

/// What all of it rests on.
fn confidence(decision: &Decision) -> Vec<String> {
    let held_out = decision.advice.held_out.map_or_else(
        || " no label moves, so there is nothing to repeat without each vantage".to_owned(),
        |held| {
            format!(
                " vantages with another answer when left out: {}; mean cost {} ms today, {} ms then",
                held.tested,
                ms(held.today_ms),
                ms(held.advised_ms)
            )
        },
    );
    let thresholds = &decision.plan.thresholds;
    let rule = format!(
        " rule: {} blocks of {}, level {}, least gain {} ms or {:.0} %, margin {} ms, harm {} ms",
        thresholds.blocks,
        crate::words::length(thresholds.block_ms),
        thresholds.alpha,
        thresholds.min_gain_ms,
        thresholds.min_gain_share * 100.0,
        thresholds.triangle_ms,
        thresholds.harm_ms,
    );
    vec![costs(decision), held_out, rule]
}

/// The sets of labels that were compared for measured clients, a line each.
fn compared(decision: &Decision) -> Vec<String> {
    let heard = &decision.advice.heard;
    if heard.sets.is_empty() {
        return Vec::new();
    }
    let installed = decision.advice.installed();
    let set = |(set, is_chosen): (&LabelSet, bool)| {
        let known = if set.asked { Preference::Asked.as_str() } else { MODELLED };
        let worth = set.value.as_ref().map_or_else(
            || "not allowed: a client would be moved that may not be".to_owned(),
            |value| format!("regret {} ms at best", ms(value.regret_ms())),
        );
        let note = match (set.asked, is_chosen) {
            (_, true) => ": chosen",
            (true, false) => "",
            (false, false) => ": `advisor regret --install-shadow` lets Route 53 be asked",
        };
        let labels = (set.labels.len(), shown(&set.beside(&installed)));
        format!("   {known}: {} labels ({}), {worth}{note}", labels.0, labels.1)
    };
    let clients = heard.rows.len();
    let title = format!(
        " labels that were compared for {clients} measured clients, whose regret is {} ms now:",
        maybe_ms(heard.regret_ms)
    );
    std::iter::once(title).chain(decision.advice.compared().map(set)).collect()
}

/// The mean cost of all vantages today and with the advice, by their shares of the traffic.
fn costs(decision: &Decision) -> String {
    let effect = &decision.plan.effect;
    let mean = |cost: fn(&VantageEffect) -> Option<f64>| {
        let parts: Option<Vec<f64>> =
            effect.vantages.iter().map(|row| cost(row).map(|ms| ms * row.share)).collect();
        parts.filter(|parts| !parts.is_empty()).map(|parts| parts.iter().sum())
    };
    format!(
        " mean cost {} ms today, {} ms with the advice ({})",
        maybe_ms(mean(|row| row.cost_before_ms)),
        maybe_ms(mean(|row| row.cost_after_ms)),
        effect.weights
    )
}
