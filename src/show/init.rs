//! What `advisor init` found, as text and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use advisor::discover::{Draft, DraftEndpoint, Findings, Gap, not_enabled};
use advisor::name::Name;
use serde_json::{Value, json};

use super::escape_lines;

/// What was found, what was written, and what is missing in the order to fix it.
#[must_use]
pub fn text(found: &Findings, draft: &Draft, gaps: &[Gap], path: &Path) -> String {
    let zone = &found.zone;
    let mut text = format!(
        "found {} in zone {} ({}), {} record sets\n",
        found.service,
        zone.name,
        zone.id,
        found.records.len()
    );
    for endpoint in &draft.endpoints {
        let own = match &endpoint.own {
            Some(own) => format!("watched as {own}"),
            None => "no domain of its own".to_owned(),
        };
        let (kind, status) = (endpoint.kind.as_str(), status(endpoint));
        let _ = writeln!(text, "  {}: {kind}, {status}, {own}", endpoint.region);
    }
    let off: Vec<&str> = not_enabled(&found.listings).into_iter().map(String::as_str).collect();
    if !off.is_empty() {
        let _ = writeln!(text, "  not enabled: {}", off.join(", "));
    }
    if let Some(proof) = &draft.region_proof {
        let _ = writeln!(text, "  each names its Region by {proof}");
    }
    let _ = writeln!(text, "wrote {}", path.display());
    if gaps.is_empty() {
        text.push_str("nothing is missing\n");
    } else {
        text.push_str("\nmissing, in the order to fix it:\n");
    }
    for (number, gap) in gaps.iter().enumerate() {
        let _ = writeln!(text, "{:2}. {}\n    {}", number + 1, gap.what, gap.fix);
    }
    text.push_str(
        "\nnext: `advisor doctor` checks it again; `probe run` in each [[vantage]] measures; `advisor regret`\n",
    );
    escape_lines(&text)
}

fn status(endpoint: &DraftEndpoint) -> &str {
    endpoint.status.as_ref().map_or("known from DNS alone", |(status, _)| status)
}

/// The same for scripts.
#[must_use]
pub fn json(found: &Findings, draft: &Draft, gaps: &[Gap], path: &Path) -> Value {
    let endpoint = |one: &DraftEndpoint| {
        json!({
            "region": one.region,
            "kind": one.kind.as_str(),
            "status": one.status.as_ref().map(|(status, _)| status),
            "alias": {
                "dns_name": one.alias.dns_name.without_dot(),
                "hosted_zone_id": one.alias.hosted_zone_id,
            },
            "own_domain": one.own.as_ref().map(Name::without_dot),
        })
    };
    let gap = |one: &Gap| json!({ "what": one.what, "fix": one.fix });
    json!({
        "config": path.display().to_string(),
        "name": found.service.without_dot(),
        "zone": { "id": found.zone.id, "name": found.zone.name.without_dot() },
        "region_proof": draft.region_proof,
        "endpoints": draft.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "not_enabled": not_enabled(&found.listings),
        "missing": gaps.iter().map(gap).collect::<Vec<_>>(),
    })
}
