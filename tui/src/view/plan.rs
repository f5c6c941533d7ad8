//! The plan that follows the advice: its changes, its effect, what the guards say, and the command
//! that would apply it. It cannot be applied from here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use advisor::advice::{LabelAdvice, Reason};
use advisor::journal::{Ending, Operation};
use advisor::plan::Intent;
use advisor::record::Action;
use advisor::topology::Shares;

use super::words::{shares_column, shares_words, survey_words};
use super::{draw_page, heading};
use crate::decision::{Decision, Refused};
use crate::model::Model;
use crate::words::{NONE, day, fit, left, maybe_ms, right, shown, time_of_day, wrapped};

const NAME: usize = 16;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let body = heading(model, area, "Plan", &survey_words(model), buffer);
    let lines = lines(model, usize::from(area.width));
    draw_page(model, &lines, model.scrolled(), body, buffer);
}

/// Everything of the plan, a line each, no wider than the screen.
pub(super) fn lines(model: &Model, columns: usize) -> Vec<Line<'static>> {
    let Some(decision) = &model.decision else {
        let text = match &model.undecided {
            Some(_) => " no plan: see below",
            None => " reading the zone and the evidence",
        };
        return vec![Line::raw(text)];
    };
    let mut lines = Vec::new();
    if decision.plan.is_empty() {
        let text = nothing_words(&decision.advice.labels);
        lines.extend(wrapped(&text, columns, 1).into_iter().map(Line::raw));
    } else {
        summary(model, decision, columns, &mut lines);
        effect(model, decision, columns, &mut lines);
        changes(model, decision, columns, &mut lines);
    }
    history(model, &decision.operations, columns, &mut lines);
    lines
}

/// Why there is nothing to change: only evidence says that a label points where it should.
fn nothing_words(labels: &[LabelAdvice]) -> String {
    let thin = labels.iter().filter(|line| line.reason == Reason::InsufficientData).count();
    match thin {
        0 => " Nothing to change: no label has a move that the evidence bears.".to_owned(),
        thin => {
            format!(
                " Nothing to change yet: for {thin} of {} labels there are too few blocks.",
                labels.len()
            )
        }
    }
}

fn summary(model: &Model, decision: &Decision, columns: usize, lines: &mut Vec<Line<'static>>) {
    let plan = &decision.plan;
    let mut say = |text: &str, style: Style| {
        lines.extend(wrapped(text, columns, 3).into_iter().map(|part| Line::styled(part, style)));
    };
    for step in &plan.moves {
        let label = shown(&step.label);
        let [from, to] = [step.before(), step.after()].map(|shares| shares_words(shares.as_ref()));
        let text = format!(" label {label}: {from} ◆ {to} ({})", step.reason);
        say(&text, model.palette.accent());
    }
    let text = format!(
        " moves {:.0} % of the traffic ({}); {} record changes, {} health checks",
        plan.effect.traffic_moved * 100.0,
        plan.effect.weights,
        plan.changes.len(),
        plan.health_checks.len()
    );
    say(&text, Style::default());
    match &decision.guard {
        None => {}
        Some(Ok(())) => say(" guards: would be cleared now", Style::default()),
        Some(Err(Refused { what, hint })) => {
            say(&format!(" guards: refused: {}", shown(what)), model.palette.warning());
            say(&format!("   hint: {}", shown(hint)), Style::default());
        }
    }
    let command = "advisor plan --out plan.json && advisor apply plan.json";
    say(&format!(" to apply: {command}"), model.palette.accent());
    lines.push(Line::default());
}

fn effect(model: &Model, decision: &Decision, columns: usize, lines: &mut Vec<Line<'static>>) {
    let head = format!(
        " {}{}{}{}{}",
        left("vantage", NAME),
        left("sent to", NAME),
        left("then to", NAME),
        right("cost, ms", 9),
        right("then, ms", 10),
    );
    lines.push(Line::styled(fit(&head, columns), model.palette.quiet()));
    for row in &decision.plan.effect.vantages {
        let name = |shares: Option<&Shares>| left(&shares_column(shares, NAME - 1), NAME);
        let [now, then] = [decision.sent(&row.vantage), decision.sent_then(&row.vantage)];
        let moves = now != then;
        let text = format!(
            " {}{}{}{}{}",
            left(&fit(&shown(&row.vantage), NAME - 1), NAME),
            name(now.as_ref()),
            if moves { name(then.as_ref()) } else { left("stays", NAME) },
            right(&maybe_ms(row.cost_before_ms), 9),
            right(&maybe_ms(row.cost_after_ms), 10),
        );
        let style = if moves { model.palette.accent() } else { Style::default() };
        lines.push(Line::styled(fit(&text, columns), style));
    }
    lines.push(Line::default());
}

fn changes(model: &Model, decision: &Decision, columns: usize, lines: &mut Vec<Line<'static>>) {
    lines.push(Line::styled(" record changes, one batch", model.palette.quiet()));
    for change in &decision.plan.changes {
        let is_new = change.action == Action::Create;
        let (sign, style) =
            if is_new { ("+", model.palette.accent()) } else { ("-", model.palette.warning()) };
        let text = format!(" {sign} {}", shown(&change.resource_record_set.to_string()));
        for part in wrapped(&text, columns, 5) {
            lines.push(Line::styled(part, style));
        }
    }
    lines.push(Line::default());
}

/// What was applied so far, newest first.
fn history(
    model: &Model,
    operations: &[Operation],
    columns: usize,
    lines: &mut Vec<Line<'static>>,
) {
    if operations.is_empty() {
        return;
    }
    lines.push(Line::styled(" applied so far", model.palette.quiet()));
    for operation in operations.iter().rev() {
        let ending = match &operation.ending {
            None => "unfinished: `advisor apply --resume`".to_owned(),
            Some(Ending::Applied) => "applied".to_owned(),
            Some(Ending::Unverified(cause)) => format!("not verified: {cause}"),
            Some(Ending::Abandoned(cause)) => format!("given up: {cause}"),
        };
        let moves: Vec<String> = operation
            .plan
            .moves
            .iter()
            .map(|step| format!("{} to {}", step.label, shares_words(step.after().as_ref())))
            .collect();
        let moves = match (&operation.plan.intent, moves.is_empty()) {
            (Intent::InstallShadow, _) => "shadow records installed".to_owned(),
            (Intent::RemoveShadow, _) => "shadow records removed".to_owned(),
            (_, true) => NONE.to_owned(),
            (_, false) => moves.join(", "),
        };
        let text = format!(
            " {} {}  {}  {}  {}",
            day(operation.began_at_ms),
            time_of_day(operation.began_at_ms),
            operation.plan.id(),
            shown(&moves),
            shown(&ending),
        );
        lines.push(Line::raw(fit(&text, columns)));
    }
}
