//! The plan that follows the advice: its changes, its effect, what the guards say, and the command
//! that would apply it. It cannot be applied from here.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::Line;

use advisor::journal::{Ending, Operation};
use advisor::record::Action;

use super::words::survey_words;
use super::{draw_lines, heading, split};
use crate::decision::{Decision, Refused};
use crate::model::Model;
use crate::words::{NONE, day, fit, left, maybe_ms, right, shown, time_of_day, width, wrapped};

const NAME: usize = 16;

pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let body = heading(model, area, "Plan", &survey_words(model), buffer);
    let lines = lines(model, usize::from(area.width));
    let hidden = lines.len().saturating_sub(model.scrolled() + usize::from(body.height));
    let (body, more) = split(body, body.height.saturating_sub(u16::from(hidden > 0)));
    draw_lines(&lines, model.scrolled(), body, buffer);
    if hidden > 0 && more.height > 0 {
        let text = format!("{} more lines ↓ ", hidden + 1);
        let x = more.right().saturating_sub(u16::try_from(width(&text)).unwrap_or(0));
        buffer.set_string(x, more.y, text, model.palette.accent());
    }
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
        lines.push(Line::raw(" Nothing to change: every label points where it should."));
    } else {
        summary(model, decision, columns, &mut lines);
        effect(model, decision, columns, &mut lines);
        changes(model, decision, columns, &mut lines);
    }
    history(model, &decision.operations, columns, &mut lines);
    lines
}

fn summary(model: &Model, decision: &Decision, columns: usize, lines: &mut Vec<Line<'static>>) {
    let plan = &decision.plan;
    let mut say = |text: &str, style: Style| {
        lines.extend(wrapped(text, columns, 3).into_iter().map(|part| Line::styled(part, style)));
    };
    for step in &plan.moves {
        let (from, to) = (step.before().to_string(), step.after().to_string());
        let (label, from, to) = (shown(&step.label), shown(&from), shown(&to));
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
        let name = |id: &str| left(&fit(&shown(id), NAME - 1), NAME);
        let moves = row.from != row.to;
        let text = format!(
            " {}{}{}{}{}",
            name(&row.vantage),
            name(&row.from),
            if moves { name(&row.to) } else { left("stays", NAME) },
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
            .map(|step| format!("{} to {}", step.label, step.after()))
            .collect();
        let moves = if moves.is_empty() { NONE.to_owned() } else { moves.join(", ") };
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
