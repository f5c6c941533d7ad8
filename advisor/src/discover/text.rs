//! The draft as a commented `nearside.toml`. Pure; what it writes is read back by the tests.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use probe::config::EndpointKind;

use super::draft::at;
use super::{Draft, DraftEndpoint, Findings, Wishes};
use crate::name::Name;

/// Records and health checks that are told in comments, each.
const TOLD_MAX: usize = 60;

/// The Regions that every account has, without being asked to enable them: a fleet measures from each.
const FLEET: [&str; 17] = [
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
];

/// The whole file.
#[must_use]
pub fn text(findings: &Findings, draft: &Draft, wishes: &Wishes) -> String {
    let service = quoted(findings.service.without_dot());
    let zone = quoted(findings.zone.name.without_dot());
    let mut text = format!(
        "# Written by `advisor init` from what API Gateway and Route 53 said. docs/configuration.md has every\n\
         # key with its meaning and its bound; docs/nearside.schema.json lets editors complete them.\n\n\
         # The name that users ask for, and its hosted zone ({}).\n\
         name = {service}\nzone = {zone}\n\
         # Whether any endpoint may answer any request. Weights need it.\n\
         # stateless = true\n\
         # Regions where nothing is deployed yet, to be measured as well.\n\
         # candidates = \"all\"\n\n",
        findings.zone.id
    );
    text.push_str(&vantages(draft, wishes));
    for endpoint in &draft.endpoints {
        text.push_str(&endpoint_text(findings, draft, wishes, endpoint));
    }
    text.push_str(&guard(findings, draft));
    text.push_str(&asked(wishes));
    text.push_str(&cloudwatch(wishes));
    text
}

/// A basic string: JSON's escapes are TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A comment of one line, whatever the text holds.
fn comment(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("# {plain}\n")
}

fn vantages(draft: &Draft, wishes: &Wishes) -> String {
    let mut text = "# Places that measure. One in the Region of each endpoint is its witness: without it nothing is\n\
                    # advised for that endpoint. More Regions say more of where users are; `probe run --vantage ID`\n\
                    # measures as one of them. Give it the client subnet that it asks DNS for, if you know it:\n\
                    # subnet4 = \"198.51.100.0/24\"\n"
        .to_owned();
    let fleet = if wishes.fleet.is_some() { &FLEET[..] } else { &[] };
    let own = draft.endpoints.iter().map(|endpoint| endpoint.region.as_str());
    let regions: BTreeSet<&str> = own.chain(fleet.iter().copied()).collect();
    for region in regions {
        let id = quoted(region);
        let _ = write!(text, "[[vantage]]\nid = {id}\npopulation = \"cloud\"\n\n");
    }
    text
}

fn endpoint_text(
    findings: &Findings,
    draft: &Draft,
    wishes: &Wishes,
    endpoint: &DraftEndpoint,
) -> String {
    let region = quoted(&endpoint.region);
    let mut text = match &endpoint.status {
        Some((status, _)) => comment(&format!("API Gateway in {}: {status}.", endpoint.region)),
        None => comment("Known from DNS alone: API Gateway was not asked, or did not answer."),
    };
    let kind = match endpoint.kind {
        EndpointKind::EdgeOptimized => "edge_optimized",
        EndpointKind::Regional | EndpointKind::CloudFront => "regional",
    };
    let target = &endpoint.alias.dns_name;
    let url = url(&findings.service, wishes.port, &wishes.path);
    let connect_to = quoted(&format!("{target}:{}", wishes.port));
    let _ = write!(
        text,
        "[[endpoint]]\nid = {region}\nregion = {region}\nkind = \"{kind}\"\n\
         # What is measured. Its host is SNI and Host; connect_to leads to this Region.\n\
         url = {url}\nconnect_to = {connect_to}\n"
    );
    text.push_str(&health(findings, wishes, endpoint));
    match &draft.region_proof {
        Some(proof) => {
            let _ = writeln!(text, "region_proof = {}", quoted(proof));
        }
        None => text.push_str(
            "# A header of the health URL that names the Region, or a JSON pointer into its body:\n\
             # region_proof = \"x-region\"\n",
        ),
    }
    let (dns_name, zone) = (quoted(target.without_dot()), quoted(&endpoint.alias.hosted_zone_id));
    let _ = writeln!(text, "alias = {{ dns_name = {dns_name}, hosted_zone_id = {zone} }}\n");
    text
}

fn url(host: &Name, port: u16, path: &str) -> String {
    match port {
        443 => quoted(&format!("https://{host}{path}")),
        port => quoted(&format!("https://{host}:{port}{path}")),
    }
}

fn health(findings: &Findings, wishes: &Wishes, endpoint: &DraftEndpoint) -> String {
    if let Some(own) = &endpoint.own {
        let url = url(own, wishes.port, &wishes.health_path);
        return format!(
            "# What its health check asks: the domain of this Region alone.\nhealth_url = {url}\n"
        );
    }
    let url = url(&findings.service.child(&endpoint.region), wishes.port, &wishes.health_path);
    format!(
        "# Missing: a custom domain of this Region alone, so that a health check can ask for it.\n\
         # health_url = {url}\n"
    )
}

fn guard(findings: &Findings, draft: &Draft) -> String {
    let service = quoted(findings.service.without_dot());
    let mut text = comment(&format!("The records at {} as they are:", findings.service));
    let mut sets: Vec<String> =
        at(&findings.records, &findings.service).map(ToString::to_string).collect();
    sets.extend(checks_in_zone(findings));
    if sets.is_empty() {
        sets.push("none".to_owned());
    }
    let more = sets.len().saturating_sub(TOLD_MAX);
    for line in sets.iter().take(TOLD_MAX) {
        text.push_str(&comment(&format!("  {line}")));
    }
    if more > 0 {
        text.push_str(&comment(&format!("  and {more} more")));
    }
    let adopt = if draft.adopt {
        format!(
            "# Names whose records another tool made, and that may be replaced.\nadopt = [{service}]\n"
        )
    } else {
        String::new()
    };
    let _ = write!(
        text,
        "[guard]\n# Names that may be written.\nallow = [{service}]\n{adopt}\
         # The largest share of the traffic that one plan may move.\nmax_traffic_moved = 0.25\n\n"
    );
    text
}

/// The health checks that watch a host of the zone, as people would list them.
fn checks_in_zone(findings: &Findings) -> Vec<String> {
    let checks = findings.health_checks.iter().flatten();
    let inside = checks.filter(|check| {
        Name::parse(&check.host).is_ok_and(|host| host.is_within(&findings.zone.name))
    });
    inside
        .map(|check| {
            format!("health check {} watches {}:{}{}", check.id, check.host, check.port, check.path)
        })
        .collect()
}

/// The fleet's store; a comment where there is to be no fleet.
fn cloudwatch(wishes: &Wishes) -> String {
    let text = "# CloudWatch as the store of a fleet (`--store cloudwatch:Nearside`); `advisor cost` tells its price.\n";
    match &wishes.fleet {
        None => {
            format!("{text}# [cloudwatch]\n# namespace = \"Nearside\"\n# region = \"us-east-1\"\n")
        }
        Some(region) => format!(
            "{text}[cloudwatch]\nnamespace = \"Nearside\"\n# Holds the metrics of all Regions; the advisor works \
             there.\nregion = {}\n# Which label is preferred is modelled by it, while no shadow group is asked.\n\
             phases = [\"connect\"]\n",
            quoted(region)
        ),
    }
}

fn asked(wishes: &Wishes) -> String {
    let mut text = String::new();
    let file = wishes.ca_file.as_ref().map(|file| format!("ca_file = {}\n", quoted(file)));
    let minutes =
        "# A function measures once a minute.\ninterval = \"1m\"\ninterval_warm = \"1m\"\n";
    let minutes = wishes.fleet.as_ref().map(|_| minutes.to_owned());
    let probe: Vec<String> = minutes.into_iter().chain(file).collect();
    if !probe.is_empty() {
        let _ = write!(text, "[probe]\n{}\n", probe.concat());
    }
    let roles = [("zone_role", &wishes.zone_role), ("api_role", &wishes.api_role)];
    let roles = roles.into_iter().filter_map(|(key, role)| Some((key, role.as_ref()?)));
    let roles: Vec<String> =
        roles.map(|(key, role)| format!("{key} = {}\n", quoted(role))).collect();
    if !roles.is_empty() {
        let _ = write!(
            text,
            "# Roles to assume: zone or APIs belong to another account.\n[aws]\n{}\n",
            roles.concat()
        );
    }
    if !wishes.servers.is_empty() {
        let servers: Vec<String> =
            wishes.servers.iter().map(|server| quoted(&server.to_string())).collect();
        let _ = write!(
            text,
            "[dns]\n# Asked instead of the zone's own name servers.\nservers = [{}]\n\n",
            servers.join(", ")
        );
    }
    text
}
