//! The change batches of a canary, step by step, as JSON with the AWS CLI's member names: for clients of
//! others that submit them and read the zone in between. It talks to nobody.
//!
//! stdin: `{"zone_id", "service", "records", "endpoints": [{"id", "dns_name", "hosted_zone_id",
//! "health_check_id"}], "labels": {LABEL: ENDPOINT}, "percents", "brake"}`; stdout:
//! `[{"percent", "batch", "desired"}]`.

#![expect(clippy::print_stdout, reason = "the batches are the result")]

use std::collections::BTreeMap;
use std::error::Error;

use advisor::batch::{applied, batch};
use advisor::group::EndpointTarget;
use advisor::name::{Label, Name};
use advisor::plan::{Ground, Intent};
use advisor::record::{HealthCheck, RecordSet};
use advisor::topology::{Shares, Tree, steps};
use advisor::zone::{HealthCheckSpec, ZoneFacts};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Asked {
    zone_id: String,
    service: String,
    records: Vec<RecordSet>,
    endpoints: Vec<Endpoint>,
    labels: BTreeMap<String, String>,
    percents: Vec<u8>,
    brake: String,
}

#[derive(Deserialize)]
struct Endpoint {
    id: String,
    dns_name: String,
    hosted_zone_id: String,
    health_check_id: String,
}

impl Endpoint {
    fn target(&self) -> Result<EndpointTarget, Box<dyn Error>> {
        Ok(EndpointTarget {
            id: self.id.clone(),
            region: self.id.clone(),
            dns_name: Name::parse(&self.dns_name)?,
            hosted_zone_id: self.hosted_zone_id.clone(),
            health_check: HealthCheckSpec {
                caller_reference: format!("nearside-{}", self.id),
                endpoint: self.id.clone(),
                https: true,
                host: self.dns_name.clone(),
                port: 443,
                path: "/health".into(),
            },
            health_check_id: Some(self.health_check_id.clone()),
            proves_region: true,
        })
    }
}

fn ground<'a>(
    (zone, service): (&'a ZoneFacts, &'a Name),
    records: &'a [RecordSet],
    endpoints: &'a [EndpointTarget],
) -> Ground<'a> {
    Ground { zone, service, records, endpoints, now_ms: 0 }
}

fn main() -> Result<(), Box<dyn Error>> {
    let asked: Asked = serde_json::from_reader(std::io::stdin())?;
    let service = Name::parse(&asked.service)?;
    let endpoints: Vec<EndpointTarget> =
        asked.endpoints.iter().map(Endpoint::target).collect::<Result<_, _>>()?;
    let zone = ZoneFacts {
        id: asked.zone_id,
        name: service.clone(),
        name_servers: Vec::new(),
        api: String::new(),
    };
    let mut records = asked.records;
    let one = |(label, id): (&String, &String)| (Label::new(label), Shares::one(id));
    let tree: Tree = asked.labels.iter().map(one).collect();
    let brake = HealthCheck::Id(asked.brake);
    let start = ground((&zone, &service), &records, &endpoints).topology()?;
    let way = steps(&start, &tree, &asked.percents, Some(&brake))?;
    let mut shown = Vec::with_capacity(way.len());
    for step in way {
        let plan =
            ground((&zone, &service), &records, &endpoints).stand(Intent::Route, &step.topology)?;
        let comment = format!("canary at {} %", step.percent);
        let batch = batch(&plan.changes, &comment, &BTreeMap::new())?;
        shown.push(json!({"percent": step.percent, "batch": batch, "desired": plan.desired()}));
        records = applied(&records, &plan.changes);
    }
    println!("{}", serde_json::to_string(&shown)?);
    Ok(())
}
