//! HCL: one resource for each health check and each record set.

use std::fmt::Write as _;

use super::{new_check, word};
use crate::plan::Plan;
use crate::record::{Answer, HealthCheck, Policy, RecordSet};
use crate::zone::HealthCheckSpec;

pub(super) fn text(plan: &Plan, routing: &[RecordSet]) -> String {
    let mut out = format!(
        "# Routing records of {}, as Nearside plan {} leaves them. Import what exists before applying.\n",
        plan.service,
        plan.id()
    );
    for spec in &plan.health_checks {
        check(&mut out, spec);
    }
    for set in routing {
        record(&mut out, plan, set);
    }
    out
}

/// A string of HCL: quotes, backslashes and the openings of templates are escaped.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            other => out.push(other),
        }
    }
    out.push('"');
    out.replace("${", "$${").replace("%{", "%%{")
}

fn check_name(spec: &HealthCheckSpec) -> String {
    format!("nearside_{}", word(&spec.endpoint, "_"))
}

fn check(out: &mut String, spec: &HealthCheckSpec) {
    let kind = if spec.https { "HTTPS" } else { "HTTP" };
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "\nresource \"aws_route53_health_check\" \"{}\" {{\n  type              = \"{kind}\"\n  fqdn              = {}\n  port              = {}\n  resource_path     = {}\n  request_interval  = 30\n  failure_threshold = 3\n",
        check_name(spec),
        quoted(&spec.host),
        spec.port,
        quoted(&spec.path)
    );
    if spec.https {
        out.push_str("  enable_sni        = true\n");
    }
    out.push_str("}\n");
}

fn record(out: &mut String, plan: &Plan, set: &RecordSet) {
    let identifier = set.set_identifier.as_deref().unwrap_or("simple");
    let _ = write!(
        out,
        "\nresource \"aws_route53_record\" \"{}_{}_{}\" {{\n  zone_id = {}\n  name    = {}\n  type    = \"{}\"\n",
        word(set.name.without_dot(), "_"),
        set.record_type.as_str().to_ascii_lowercase(),
        word(identifier, "_"),
        quoted(&plan.zone_id),
        quoted(set.name.without_dot()),
        set.record_type
    );
    if let Some(identifier) = &set.set_identifier {
        let _ = writeln!(out, "  set_identifier = {}", quoted(identifier));
    }
    match (&set.health_check, new_check(plan, set)) {
        (_, Some(spec)) => {
            let _ = writeln!(
                out,
                "  health_check_id = aws_route53_health_check.{}.id",
                check_name(spec)
            );
        }
        (Some(HealthCheck::Id(id)), None) => {
            let _ = writeln!(out, "  health_check_id = {}", quoted(id));
        }
        (Some(HealthCheck::Reference(_)) | None, None) => {}
    }
    match &set.policy {
        Policy::Latency(label) => {
            let _ = writeln!(
                out,
                "\n  latency_routing_policy {{\n    region = {}\n  }}",
                quoted(label.as_str())
            );
        }
        Policy::Weighted(weight) => {
            let _ = writeln!(out, "\n  weighted_routing_policy {{\n    weight = {weight}\n  }}");
        }
        Policy::Simple | Policy::Foreign { .. } => {}
    }
    answer(out, &set.answer);
    out.push_str("}\n");
}

fn answer(out: &mut String, answer: &Answer) {
    match answer {
        Answer::Alias { hosted_zone_id, dns_name, evaluate_target_health } => {
            let _ = writeln!(
                out,
                "\n  alias {{\n    name                   = {}\n    zone_id                = {}\n    evaluate_target_health = {evaluate_target_health}\n  }}",
                quoted(dns_name.without_dot()),
                quoted(hosted_zone_id)
            );
        }
        Answer::Values { ttl_s, values } => {
            let values: Vec<String> = values.iter().map(|value| quoted(value)).collect();
            let _ = writeln!(out, "  ttl     = {ttl_s}\n  records = [{}]", values.join(", "));
        }
    }
}
