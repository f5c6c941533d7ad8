//! How results look: text for people, JSON for scripts. Pure functions of what the crates return.

pub mod canary;
pub mod explain;
pub mod init;
pub mod lint;
pub mod matrix;
pub mod outage;
pub mod recommend;
pub mod regret;
pub mod table;
pub mod tiers;
pub mod traffic;
pub mod weights;

use std::fmt::Write as _;

use advisor::apply::Outcome;
use advisor::journal::{Ending, Operation};
use advisor::plan::{Intent, Plan, VantageEffect};
use advisor::topology::Shares;
use lab::Facts;
use probe::agent::Summary;
use probe::spool::Counts;
use serde_json::{Value, json};

/// Text of several lines with everything in it escaped that a terminal would obey.
#[must_use]
pub fn escape_lines(text: &str) -> String {
    text.split('\n').map(probe::once::escape).collect::<Vec<_>>().join("\n")
}

/// What an applied operation came to, for people.
#[must_use]
pub fn outcome_text(outcome: &Outcome) -> String {
    let change = outcome.change_id.as_deref().unwrap_or("unknown");
    let mut text = match &outcome.ending {
        Ending::Applied => format!("applied, INSYNC (change {change})\n"),
        Ending::Unverified(cause) => format!("in place, not verified: {cause}\n"),
        Ending::Abandoned(cause) => format!("nothing written: {cause}\n"),
    };
    if let Some(verification) = &outcome.verification {
        let _ = writeln!(
            text,
            "verified: {} record sets as planned, {} missing, {} foreign; \
             {} of {} DNS answers as planned",
            verification.matched,
            verification.missing.len(),
            verification.foreign.len(),
            verification.as_planned,
            verification.asked
        );
    }
    escape_lines(&text)
}

/// The same for scripts.
#[must_use]
pub fn outcome_json(outcome: &Outcome) -> Value {
    json!({
        "operation": outcome.operation,
        "applied": {
            "change_id": outcome.change_id,
            "status": if outcome.verification.is_some() { "INSYNC" } else { "PENDING" },
        },
        "ending": ending_word(Some(&outcome.ending)),
        "verified": verified_json(outcome),
    })
}

/// The `verified` part: how many record sets are as planned, which are missing or foreign, and how
/// many DNS answers are as planned.
#[must_use]
pub fn verified_json(outcome: &Outcome) -> Value {
    let Some(verification) = &outcome.verification else { return Value::Null };
    json!({
        "matched": verification.matched,
        "missing": verification.missing,
        "foreign": verification.foreign,
        "dns": { "asked": verification.asked, "as_planned": verification.as_planned },
    })
}

/// Where a label points, for people.
#[must_use]
pub fn endpoint_text(endpoint: Option<&str>) -> &str {
    endpoint.unwrap_or("not installed")
}

/// Where a label leads, for people.
pub(crate) fn shares_text(shares: Option<Shares>) -> String {
    endpoint_text(shares.map(|shares| shares.to_string()).as_deref()).to_owned()
}

/// A plan, for people.
#[must_use]
pub fn plan_text(plan: &Plan) -> String {
    let mut text = format!("plan {} for {} in zone {}\n", plan.id(), plan.service, plan.zone_id);
    for step in &plan.moves {
        let _ = writeln!(
            text,
            "  label {}: {} -> {} ({})",
            step.label,
            shares_text(step.before()),
            shares_text(step.after()),
            step.reason
        );
    }
    for change in &plan.changes {
        let sign = if change.action == advisor::record::Action::Create { '+' } else { '-' };
        let _ = writeln!(text, "  {sign} {}", change.resource_record_set);
    }
    if !plan.health_checks.is_empty() {
        let _ = writeln!(
            text,
            "  {} health checks are found or created first",
            plan.health_checks.len()
        );
    }
    for (endpoint, id) in &plan.reused_health_checks {
        let _ = writeln!(text, "  health check {id} of {endpoint} is used again");
    }
    for endpoint in &plan.unproven {
        let _ = writeln!(
            text,
            "  {endpoint}: unproven (no region_proof; API Gateway and the alias must agree)"
        );
    }
    if plan.intent.routes() {
        let _ = writeln!(
            text,
            "  moves {:.0} % of the traffic ({}); preferred labels {}",
            plan.effect.traffic_moved * 100.0,
            plan.effect.weights,
            plan.effect.preferred
        );
        if let Some(how) = &plan.effect.preferred_after {
            let _ = writeln!(text, "  preferred of the labels that are installed then: {how}");
        }
        for row in plan.effect.vantages.iter().filter(|row| row.label_after.is_some()) {
            text.push_str(&vantage_text(row));
        }
        if plan.effect.traffic_unknown > 0.0 {
            let _ = writeln!(
                text,
                "  nothing represents {:.1} % of the traffic",
                plan.effect.traffic_unknown * 100.0
            );
        }
    }
    escape_lines(&text)
}

/// A vantage that other labels send elsewhere.
fn vantage_text(row: &VantageEffect) -> String {
    if row.from == row.to {
        return String::new();
    }
    format!(
        "  {} goes from {} to {}: {} ms, then {} ms\n",
        row.vantage,
        row.from,
        row.to,
        table::ms(row.cost_before_ms),
        table::ms(row.cost_after_ms)
    )
}

fn intent_words(intent: &Intent) -> String {
    match intent {
        Intent::Route => "route".into(),
        Intent::InstallShadow => "install shadow".into(),
        Intent::RemoveShadow => "remove shadow".into(),
        Intent::Rollback(id) => format!("roll back {id}"),
        Intent::Drain(region) => format!("drain {region}"),
        Intent::Restore(region) => format!("restore {region}"),
        Intent::Canary { percent, terms } => format!("canary of {} at {percent} %", terms.plan),
    }
}

fn ending_word(ending: Option<&Ending>) -> &'static str {
    match ending {
        None => "unfinished",
        Some(Ending::Applied) => "applied",
        Some(Ending::Unverified(_)) => "unverified",
        Some(Ending::Abandoned(_)) => "abandoned",
    }
}

fn ending_cause(ending: Option<&Ending>) -> Option<&str> {
    match ending {
        Some(Ending::Unverified(cause) | Ending::Abandoned(cause)) => Some(cause),
        _ => None,
    }
}

/// A time in UTC, to the second.
#[must_use]
pub fn utc(at_ms: i64) -> String {
    jiff::Timestamp::from_second(at_ms.div_euclid(1_000))
        .map_or_else(|_| format!("{at_ms} ms"), |time| time.to_string())
}

/// The journal, for people, newest last.
#[must_use]
pub fn history_text(operations: &[Operation]) -> String {
    if operations.is_empty() {
        return "nothing was applied yet\n".into();
    }
    let mut table = table::Table::new(["began (UTC)", "plan", "what", "changes", "ending"]);
    for operation in operations {
        let ending = operation.ending.as_ref();
        let cause = ending_cause(ending).map(|cause| format!(" ({cause})")).unwrap_or_default();
        table.row([
            utc(operation.began_at_ms),
            operation.plan.id(),
            intent_words(&operation.plan.intent),
            operation.plan.changes.len().to_string(),
            format!("{}{cause}", ending_word(ending)),
        ]);
    }
    table.text()
}

/// The journal, for scripts.
#[must_use]
pub fn history_json(operations: &[Operation]) -> Value {
    let line = |operation: &Operation| {
        json!({
            "operation": operation.number,
            "began_at_ms": operation.began_at_ms,
            "plan": operation.plan.id(),
            "intent": operation.plan.intent,
            "changes": operation.plan.changes,
            "prior": operation.plan.prior,
            "change_id": operation.accepted.clone().flatten(),
            "ending": ending_word(operation.ending.as_ref()),
            "cause": ending_cause(operation.ending.as_ref()),
        })
    };
    json!({ "operations": operations.iter().map(line).collect::<Vec<_>>() })
}

/// What a run of the agent came to, for people.
#[must_use]
pub fn summary_text(summary: &Summary) -> String {
    let mut text = format!(
        "{} samples, {} failed, {} slots missed, {} late; {} windows written, {} lost\n",
        summary.samples,
        summary.failures,
        summary.missed,
        summary.late,
        summary.windows,
        summary.windows_lost
    );
    let late = [0.5, 0.99].map(|quantile| summary.lateness.quantile_us(quantile));
    if let [Some(p50_us), Some(p99_us)] = late {
        let _ = writeln!(text, "slots began {p50_us} us (p50) and {p99_us} us (p99) after due");
    }
    if summary.redirects > 0 {
        let _ = writeln!(text, "{} redirects, which are not followed", summary.redirects);
    }
    if summary.below_light > 0 {
        let _ = writeln!(
            text,
            "{} round trips were faster than light in fibre: a vantage or a target is not where its \
             name says",
            summary.below_light
        );
    }
    text
}

/// The same for scripts.
#[must_use]
pub fn summary_json(summary: &Summary, counts: Option<Counts>) -> Value {
    let mut document = json!({
        "samples": summary.samples,
        "failures": summary.failures,
        "missed": summary.missed,
        "late": summary.late,
        "windows": summary.windows,
        "windows_lost": summary.windows_lost,
        "redirects": summary.redirects,
        "below_light": summary.below_light,
        "lateness_p50_us": summary.lateness.quantile_us(0.5),
        "lateness_p99_us": summary.lateness.quantile_us(0.99),
    });
    if let Some(counts) = counts {
        document["cloudwatch"] = counts_json(counts);
    }
    document
}

/// What became of the windows on their way to CloudWatch, for scripts.
#[must_use]
pub fn counts_json(counts: Counts) -> Value {
    json!({
        "sent": counts.sent,
        "spooled": counts.spooled,
        "dropped": counts.dropped,
        "refused": counts.refused,
        "duplicated": counts.duplicated,
        "over_budget": counts.over_budget,
    })
}

/// What became of the windows on their way to CloudWatch, if that is where they went.
#[must_use]
pub fn counts_text(counts: Option<Counts>) -> String {
    let Some(counts) = counts else { return String::new() };
    let Counts { sent, spooled, dropped, refused, duplicated, over_budget } = counts;
    let mut text = format!(
        "CloudWatch: {sent} windows sent, {spooled} spooled, {dropped} dropped, {refused} refused, \
         {duplicated} perhaps duplicated\n"
    );
    if over_budget > 0 {
        let _ = writeln!(text, "{over_budget} datums left out: over cloudwatch.max_metrics");
    }
    text
}

/// A running lab, for people.
#[must_use]
pub fn lab_text(facts: &Facts) -> String {
    format!(
        "the lab is running; stop it with ctrl-c\n\
         \n  Route 53     {}\n  API Gateway  {}\n  CloudWatch   {}\n  DNS          {} (UDP and TCP)\n  WAN          {} (SOCKS5)\n\
         \n  zone         {} ({})\n  service      {}\n  CA           {}\n  config       {}\n\
         \ntry, in another terminal:\n\
         \n  export AWS_ENDPOINT_URL_ROUTE_53={} AWS_ACCESS_KEY_ID=lab AWS_SECRET_ACCESS_KEY=lab\n\
         \x20 export AWS_ENDPOINT_URL_API_GATEWAY={} AWS_ENDPOINT_URL_APIGATEWAYV2={}\n\
         \x20 advisor probe --config {} --for 45s\n",
        facts.route53,
        facts.apigateway,
        facts.cloudwatch,
        facts.dns,
        facts.socks5,
        facts.zone,
        facts.hosted_zone_id,
        facts.name,
        facts.ca.display(),
        facts.config.display(),
        facts.route53,
        facts.apigateway,
        facts.apigateway,
        facts.config.display()
    )
}
