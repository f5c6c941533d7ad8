//! The world: places, the round trips between them, and what is true in it. Pure and seeded.
//!
//! No IO and no clock. The same scenario and seed give the same world. The formulas are fixed: a scenario
//! chooses where things are and what is slow, never how hard the network is.

mod app;
mod csv;
mod generate;
mod names;
mod sample;
mod truth;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::atlas::Atlas;
use crate::prefix::Prefix;
use crate::scenario::{EndpointKind, Faults, Scenario};

pub use app::{App, Behavior, Distribution, Pop, PopRoute, TierKind, TierServer};
pub use names::AwsResource;
pub use sample::Connection;
pub(crate) use sample::{one_way_ms, service_ms};
pub use truth::Regret;

/// Median service time of every endpoint, ms.
pub const SERVICE_MEDIAN_MS: f64 = 30.0;

/// A place that can ask, measure or browse: a vantage, a client, or the resolver every stranger is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlaceId(usize);

/// A vantage: a probe in an AWS Region.
#[derive(Clone, Debug)]
pub struct Vantage {
    /// Its place.
    pub place: PlaceId,
    /// Its id, the code of its Region.
    pub id: String,
    /// The prefix it asks DNS from.
    pub subnet4: Prefix,
    /// The same for IPv6.
    pub subnet6: Prefix,
}

/// A client: a prefix of users in a city.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its place.
    pub place: PlaceId,
    /// Its prefix: three of four have IPv4, as long as 198.18.0.0/15 lasts.
    pub prefix: Prefix,
    /// Its share of the traffic; all shares sum to 1.
    pub weight: f64,
    /// City and country code, such as `Lagos (NG)`.
    pub city: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
}

/// An endpoint of the service.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its Region, which is also its id.
    pub region: String,
    /// How it looks.
    pub kind: EndpointKind,
    /// Added to each service time after the draw, ms.
    pub slow_ms: f64,
    /// Faults from the start.
    pub faults: Faults,
    /// The loopback address it listens on.
    pub ipv4: Ipv4Addr,
    /// The address of its AAAA answers, reachable through the WAN alone.
    pub ipv6: Ipv6Addr,
    /// DNS name to alias to.
    pub dns_name: String,
    /// Hosted zone id of that name.
    pub hosted_zone_id: String,
    /// Its own custom domain, for health checks: `REGION.NAME`.
    pub health_name: String,
    /// DNS name that the health domain aliases to.
    pub health_dns_name: String,
    /// Hosted zone id of that name.
    pub health_zone_id: String,
    /// Id of its API in API Gateway.
    pub api_id: String,
    region_index: usize,
}

/// Everything that is true.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Scenario,
    seed: u64,
    atlas: Atlas,
    vantages: Vec<Vantage>,
    clients: Vec<Client>,
    endpoints: Vec<Endpoint>,
    /// Round trips, ms: place x Region.
    rtt_ms: Vec<Vec<f64>>,
    /// Route 53's own latency table, ms: place x Region.
    table_ms: Vec<Vec<f64>>,
    prefixes: BTreeMap<Prefix, PlaceId>,
    app: Option<App>,
}

/// Length of every IPv4 prefix of the world.
const LEN4: u8 = 24;
/// Length of every IPv6 prefix of the world.
const LEN6: u8 = 48;
/// The Region whose resolver an unknown address is taken for.
const STRANGERS: &str = "us-east-1";

impl World {
    /// The seed it was made from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The scenario it was made from.
    #[must_use]
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// Regions, cities and the measured matrix.
    #[must_use]
    pub fn atlas(&self) -> &Atlas {
        &self.atlas
    }

    /// The vantages, in the order of the scenario.
    #[must_use]
    pub fn vantages(&self) -> &[Vantage] {
        &self.vantages
    }

    /// The clients.
    #[must_use]
    pub fn clients(&self) -> &[Client] {
        &self.clients
    }

    /// The endpoints, in the order of the scenario.
    #[must_use]
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// The endpoint in a Region.
    #[must_use]
    pub fn endpoint(&self, region: &str) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| e.region == region)
    }

    /// The labels of the records the zone starts with: the endpoints' own Regions.
    #[must_use]
    pub fn initial_labels(&self) -> Vec<&str> {
        self.endpoints.iter().map(|e| e.region.as_str()).collect()
    }

    /// The place called by a vantage's id or by a client's or vantage's prefix (`198.18.7.0/24`).
    #[must_use]
    pub fn place(&self, user: &str) -> Option<PlaceId> {
        let vantage = self.vantages.iter().find(|v| v.id == user).map(|v| v.place);
        vantage.or_else(|| user.parse().ok().and_then(|p| self.prefixes.get(&p).copied()))
    }

    /// The place an address lies in; a stranger is taken for a resolver in us-east-1.
    #[must_use]
    pub fn place_of(&self, addr: IpAddr) -> PlaceId {
        let stranger = PlaceId(self.rtt_ms.len().saturating_sub(1));
        self.prefixes.get(&Prefix::of(addr, LEN4, LEN6)).copied().unwrap_or(stranger)
    }

    /// The address a place asks from, IPv4 where it has one; for a stranger 127.0.0.1.
    #[must_use]
    pub fn address_of(&self, place: PlaceId) -> IpAddr {
        let vantage = self.vantages.get(place.0).map(|v| v.subnet4.addr());
        let client = || {
            let number = place.0.checked_sub(self.vantages.len())?;
            self.clients.get(number).map(|c| c.prefix.addr())
        };
        vantage.or_else(client).unwrap_or(Ipv4Addr::LOCALHOST.into())
    }

    /// The network round trip between a place and a Region, ms. No jitter.
    #[must_use]
    pub fn rtt_ms(&self, place: PlaceId, region: &str) -> Option<f64> {
        let region = self.atlas.index_of(region)?;
        self.rtt_ms.get(place.0).map(|row| row[region])
    }

    /// What Route 53 believes that round trip to be, ms.
    #[must_use]
    pub fn table_ms(&self, place: PlaceId, label: &str) -> Option<f64> {
        let label = self.atlas.index_of(label)?;
        self.table_ms.get(place.0).map(|row| row[label])
    }

    /// The label that Route 53 prefers for a place among those installed: least in its table, then by name.
    /// Labels that are no Regions are never preferred.
    #[must_use]
    pub fn preferred<'a>(&self, place: PlaceId, labels: &[&'a str]) -> Option<&'a str> {
        labels
            .iter()
            .filter_map(|&label| self.table_ms(place, label).map(|ms| (ms, label)))
            .min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(b.1)))
            .map(|(_, label)| label)
    }

    /// As [`World::preferred`], for the address in a query's client subnet or of the resolver.
    #[must_use]
    pub fn preferred_label<'a>(&self, subnet: IpAddr, labels: &[&'a str]) -> Option<&'a str> {
        self.preferred(self.place_of(subnet), labels)
    }

    /// The same under the name by which a DNS server asks.
    #[must_use]
    pub fn nearest_label<'a>(&self, client: IpAddr, labels: &[&'a str]) -> Option<&'a str> {
        self.preferred_label(client, labels)
    }
}
