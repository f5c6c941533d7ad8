//! The whole lab: a world, its ground, and Route 53, started together and described by facts.
//!
//! Wires and writes files; decides nothing. What the zone starts with is written as another tool would have.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::apigateway::faults::DomainFaults;
use crate::cloudwatch::CloudWatch;
use crate::endpoint::FaultHandle;
use crate::facts::{Facts, Wiring, endpoint_facts, nearside_toml, target_facts, vantage_facts};
use crate::ground::{Ground, GroundError};
use crate::resolver::Resolver;
use crate::route53::error::ApiError;
use crate::route53::model::{
    Action, AliasTarget, Change, ChangeBatch, Data, Policy, RecordSet, Routing, RrType,
};
use crate::route53::name::{Name, NameError};
use crate::route53::regions::CLOUDFRONT_ZONE;
use crate::route53::{Internet, Options, Resource, Route53, StartError};
use crate::scenario::{Scenario, ScenarioError};
use crate::world::{AwsResource, Endpoint, World};

/// What to start.
#[derive(Clone, Debug)]
pub struct LabOptions {
    /// What the world is like.
    pub scenario: Scenario,
    /// From which every draw comes.
    pub seed: u64,
    /// Folder for the CA file, the clients and the configuration; made when it is missing.
    pub dir: PathBuf,
}

/// A lab that could not start.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The scenario is not valid.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// A server could not start.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// Route 53 could not start.
    #[error("the lab's Route 53 could not start: {0}")]
    Route53(#[from] StartError),
    /// A name is not one that Route 53 can hold.
    #[error("the lab's zone: {0}")]
    Name(#[from] NameError),
    /// Route 53 refused the records that the zone starts with.
    #[error("the lab's zone could not be filled: {0:?}")]
    Zone(ApiError),
    /// A file could not be written.
    #[error("cannot write {path}: {cause}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The configuration could not be written as TOML.
    #[error("the lab's configuration: {0}")]
    Config(#[from] toml::ser::Error),
}

/// A running lab. Dropping it stops it too, without waiting until it has.
pub struct Lab {
    world: Arc<World>,
    ground: Ground,
    route53: Route53,
    facts: Facts,
}

impl Lab {
    /// Starts everything, fills the zone and writes the files.
    pub async fn start(options: LabOptions) -> Result<Self, LabError> {
        Self::start_with(options, Options::default()).await
    }

    /// As [`Lab::start`], with a Route 53 that behaves as `settings` say; their seed is not used.
    pub async fn start_with(options: LabOptions, settings: Options) -> Result<Self, LabError> {
        let world = Arc::new(World::generate(&options.scenario, options.seed)?);
        let settings = Options { seed: options.seed, ..settings };
        let internet: Arc<dyn Internet> = Arc::<World>::clone(&world);
        let mut route53 = Route53::start(settings, internet).await?;
        let zone_id = route53.create_zone(&world.scenario().zone).map_err(LabError::Zone)?;
        let filled = route53.change(&zone_id, &initial_records(&world)?).map_err(LabError::Zone)?;
        let names = Arc::new(Resolver::new(route53.dns_addr()));
        let ground = Ground::start(Arc::clone(&world), names).await?;
        let metrics = ground.cloudwatch().clone();
        route53.follow_alarms(move || metrics.streams());
        let facts = write_files(&options.dir, &world, &ground, &route53, zone_id)?;
        in_sync(&route53, &filled.id).await?;
        Ok(Self { world, ground, route53, facts })
    }

    /// What a user needs to know, as `advisor lab --json` prints it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// What is true.
    #[must_use]
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Route 53: its faults and counters.
    #[must_use]
    pub fn route53(&self) -> &Route53 {
        &self.route53
    }

    /// CloudWatch: its faults and counters.
    #[must_use]
    pub fn cloudwatch(&self) -> &CloudWatch {
        self.ground.cloudwatch()
    }

    /// The faults of a server: the endpoint in a Region, an edge by its POP's id, a tier by its id.
    #[must_use]
    pub fn endpoint_faults(&self, id: &str) -> Option<FaultHandle> {
        self.ground.endpoint_faults(id)
    }

    /// What is wrong with the service's custom domains, by Region.
    #[must_use]
    pub fn domain_faults(&self) -> DomainFaults {
        self.ground.domain_faults()
    }

    /// Stops everything. The files stay.
    pub async fn shutdown(self) {
        self.ground.shutdown().await;
        self.route53.shutdown().await;
    }
}

/// Waits until the name servers answer with the first records: the lab's world has long been there.
async fn in_sync(route53: &Route53, change: &str) -> Result<(), LabError> {
    // The delay is bounded by the options, and each round waits a small part of it.
    while !route53.get_change(change).map_err(LabError::Zone)?.insync {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

impl Internet for World {
    fn nearest_label<'a>(&self, client: IpAddr, labels: &[&'a str]) -> Option<&'a str> {
        self.preferred_label(client, labels)
    }

    fn resource(&self, dns_name: &str) -> Option<Resource> {
        Self::resource(self, dns_name).map(|found| resource(found, self.scenario().answer_ttl_s))
    }

    fn resource_for(&self, dns_name: &str, client: IpAddr) -> Option<Resource> {
        let found = Self::resource_for(self, dns_name, client);
        found.map(|found| resource(found, self.scenario().answer_ttl_s))
    }

    fn by_network(&self, dns_name: &str) -> bool {
        Self::by_network(self, dns_name)
    }
}

fn resource(found: AwsResource, ttl_s: u32) -> Resource {
    let AwsResource { hosted_zone_id, ipv4, ipv6 } = found;
    Resource { hosted_zone_id, ipv4, ipv6, ttl_s }
}

/// One latency alias A and AAAA at the service name for each endpoint, and each endpoint's own domain.
fn initial_records(world: &World) -> Result<ChangeBatch, NameError> {
    let service = &world.scenario().name;
    let mut changes = Vec::new();
    for endpoint in world.endpoints() {
        for kind in [RrType::A, RrType::Aaaa] {
            let set = alias(service, kind, &endpoint.dns_name, &endpoint.hosted_zone_id)?;
            changes.push(create(RecordSet { routing: Some(latency(endpoint)), ..set }));
            let (own, target) = (&endpoint.health_name, &endpoint.health_dns_name);
            changes.push(create(alias(own, kind, target, &endpoint.health_zone_id)?));
        }
    }
    for distribution in world.app().iter().flat_map(|app| &app.distributions) {
        for kind in [RrType::A, RrType::Aaaa] {
            let (name, target) = (&distribution.name, &distribution.dns_name);
            changes.push(create(alias(name, kind, target, CLOUDFRONT_ZONE)?));
        }
    }
    Ok(ChangeBatch { comment: Some("deployed by another tool".to_owned()), changes })
}

fn create(set: RecordSet) -> Change {
    Change { action: Action::Create, set }
}

fn latency(endpoint: &Endpoint) -> Routing {
    Routing {
        set_identifier: format!("stack-{}", endpoint.region),
        policy: Policy::Latency(endpoint.region.clone()),
    }
}

fn alias(name: &str, kind: RrType, target: &str, zone: &str) -> Result<RecordSet, NameError> {
    Ok(RecordSet {
        name: Name::parse(name)?,
        kind,
        routing: None,
        data: Data::Alias(AliasTarget {
            hosted_zone_id: zone.to_owned(),
            dns_name: Name::parse(target)?,
            evaluate_target_health: false,
        }),
        health_check_id: None,
    })
}

fn write_files(
    dir: &Path,
    world: &World,
    ground: &Ground,
    route53: &Route53,
    hosted_zone_id: String,
) -> Result<Facts, LabError> {
    let fail = |cause| LabError::File { path: dir.to_owned(), cause };
    std::fs::create_dir_all(dir).map_err(fail)?;
    let dir = std::path::absolute(dir).map_err(fail)?;
    let ca = write(dir.join("ca.pem"), ground.ca_pem())?;
    let clients = write(dir.join("clients.csv"), &world.clients_csv())?;
    let wiring = Wiring {
        port: ground.port(),
        dns: route53.dns_addr(),
        socks5: ground.socks5(),
        ca: &ca.to_string_lossy(),
    };
    let config = write(dir.join("nearside.toml"), &nearside_toml(world, &wiring)?)?;
    Ok(Facts {
        route53: route53.api_url(),
        cloudwatch: ground.cloudwatch_url(),
        apigateway: ground.apigateway_url(),
        dns: route53.dns_addr(),
        socks5: ground.socks5(),
        ca,
        hosted_zone_id,
        zone: world.scenario().zone.clone(),
        name: world.scenario().name.clone(),
        config,
        endpoints: endpoint_facts(world, ground.port()),
        vantages: vantage_facts(world),
        clients,
        targets: target_facts(world, ground.port()),
    })
}

fn write(path: PathBuf, text: &str) -> Result<PathBuf, LabError> {
    match std::fs::write(&path, text) {
        Ok(()) => Ok(path),
        Err(cause) => Err(LabError::File { path, cause }),
    }
}
