//! Edges and tiers of a world: where `CloudFront`'s POPs stand, who is sent to which, what lies behind.
//!
//! A POP is the location of `CloudFront`'s table nearest to a vantage's Region, so there are at most as many as
//! vantages. The round trip of a client to a POP at d km is `last mile + (10.7 ms x min(1, (d + 50) / 600) +
//! 0.01568 ms/km x d) x exp(N(0.12, 0.2))`, never below `2 d / 200`, with the client's own last mile; that of a
//! vantage has the median inside its Region in place of the last mile. From a POP to an origin it is
//! `p50[nearest Region][origin]`.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::RngExt;

use super::generate::{CLOUDFRONT_ZONE, access_ms, last_mile_ms};
use super::{AwsResource, Client, PlaceId, STRANGERS, Vantage, World};
use crate::atlas::{Atlas, Location, distance_km, light_ms};
use crate::random::{alphanumeric, stream};
use crate::scenario::{AppSpec, Scenario};

/// A point of presence of `CloudFront`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pop {
    /// As `x-amz-cf-pop` names it, such as `FRA56-P4`.
    pub id: String,
    /// The first letters of it, as in `CloudFront`'s table of locations.
    pub code: String,
    /// Its city.
    pub city: String,
    /// Degrees north.
    pub lat: f64,
    /// Degrees east.
    pub lon: f64,
    /// The commercial Region nearest to it, from which its hops to origins are measured.
    pub near: String,
    /// The loopback address it listens on.
    pub ipv4: Ipv4Addr,
    /// The address of its AAAA answers, reachable through the WAN alone.
    pub ipv6: Ipv6Addr,
}

/// What a distribution does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behavior {
    /// Keeps what the bucket gives.
    Static,
    /// Forwards every request to the API.
    Forward,
    /// The same, by API Gateway itself: an edge-optimized domain. It never speaks of its timing.
    EdgeOptimized,
    /// Forwards every request to the edge-optimized domain: two edges, one behind the other.
    Twice,
    /// Forwards every request to the service's name, so that each edge reaches the endpoint nearest to itself.
    ByName,
}

/// A name that is served at the edges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Distribution {
    /// What it does.
    pub behavior: Behavior,
    /// The name in the zone.
    pub name: String,
    /// The name that it aliases to.
    pub dns_name: String,
    /// The Region of its origin; by name, that of one of them.
    pub origin: String,
}

/// What a tier is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TierKind {
    /// A user pool of Cognito.
    SignIn,
    /// A `DynamoDB` endpoint.
    Data,
}

/// A server of a tier that no edge stands before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierServer {
    /// `auth`, or `data-` and the Region.
    pub id: String,
    /// What it is.
    pub kind: TierKind,
    /// Its Region.
    pub region: String,
    /// Its DNS name.
    pub name: String,
    /// The path that can be read without a login.
    pub path: String,
    /// The loopback address it listens on.
    pub ipv4: Ipv4Addr,
    /// The address of its AAAA answers, reachable through the WAN alone.
    pub ipv6: Ipv6Addr,
}

/// All edges and tiers.
#[derive(Clone, Debug)]
pub struct App {
    /// The POPs, by vantage.
    pub pops: Vec<Pop>,
    /// What is served there: the static page, the API behind a distribution, the API's edge-optimized domain.
    pub distributions: Vec<Distribution>,
    /// Sign-in, then data by Region.
    pub tiers: Vec<TierServer>,
    /// The Region of the one API behind the edges.
    pub api_region: String,
    /// Round trips, ms: place x POP.
    rtt_ms: Vec<Vec<f64>>,
}

/// The POP that a place is sent to, and the round trip there in ms.
pub type PopRoute<'a> = (&'a Pop, f64);

impl World {
    /// Edges and tiers, where the scenario has them.
    #[must_use]
    pub fn app(&self) -> Option<&App> {
        self.app.as_ref()
    }

    /// The POP that `CloudFront`'s DNS sends a place to: the one with the least round trip.
    #[must_use]
    pub fn nearest_pop(&self, place: PlaceId) -> Option<PopRoute<'_>> {
        let app = self.app.as_ref()?;
        let row = app.rtt_ms.get(place.0)?;
        app.pops.iter().zip(row.iter().copied()).min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// The network round trip between a place and a POP by its id, ms. No jitter.
    #[must_use]
    pub fn pop_rtt_ms(&self, place: PlaceId, pop: &str) -> Option<f64> {
        let app = self.app.as_ref()?;
        let number = app.pops.iter().position(|p| p.id == pop)?;
        app.rtt_ms.get(place.0).map(|row| row[number])
    }

    /// The round trip between a POP and a Region, ms.
    #[must_use]
    pub fn hop_ms(&self, pop: &Pop, region: &str) -> Option<f64> {
        let (from, to) = (self.atlas.index_of(&pop.near)?, self.atlas.index_of(region)?);
        Some(self.atlas.p50_ms(from, to))
    }

    /// The resource of an AWS DNS name as a client's network sees it: at the edges, the nearest POP.
    #[must_use]
    pub fn resource_for(&self, dns_name: &str, client: IpAddr) -> Option<AwsResource> {
        let name = dns_name.strip_suffix('.').unwrap_or(dns_name).to_ascii_lowercase();
        if self.by_network(&name) {
            let (pop, _) = self.nearest_pop(self.place_of(client))?;
            return Some(at(CLOUDFRONT_ZONE, pop.ipv4, pop.ipv6));
        }
        self.resource(&name)
    }

    /// Whether the answers of an AWS name (lower case, no final dot) depend on who asks.
    #[must_use]
    pub fn by_network(&self, name: &str) -> bool {
        self.app.as_ref().is_some_and(|app| app.distributions.iter().any(|d| d.dns_name == name))
    }

    /// The resource of an edge's or tier's name for a stranger.
    pub(super) fn app_resource(&self, name: &str) -> Option<AwsResource> {
        let app = self.app.as_ref()?;
        if self.by_network(name) {
            let (pop, _) = self.nearest_pop(self.place_of(Ipv4Addr::LOCALHOST.into()))?;
            return Some(at(CLOUDFRONT_ZONE, pop.ipv4, pop.ipv6));
        }
        let tier = app.tiers.iter().find(|tier| tier.name == name)?;
        // Nothing can alias to it: there is no zone that an alias could give.
        Some(at("", tier.ipv4, tier.ipv6))
    }

    /// The loopback address behind an address of the world, and the round trip there from a place, ms.
    #[must_use]
    pub fn way_to(&self, place: PlaceId, addr: IpAddr) -> Option<(Ipv4Addr, f64)> {
        if let Some(endpoint) = self.endpoint_at(addr) {
            return Some((endpoint.ipv4, self.rtt_ms(place, &endpoint.region)?));
        }
        let app = self.app.as_ref()?;
        let here = |v4: Ipv4Addr, v6: Ipv6Addr| addr == IpAddr::V4(v4) || addr == IpAddr::V6(v6);
        if let Some(pop) = app.pops.iter().find(|pop| here(pop.ipv4, pop.ipv6)) {
            return Some((pop.ipv4, self.pop_rtt_ms(place, &pop.id)?));
        }
        let tier = app.tiers.iter().find(|tier| here(tier.ipv4, tier.ipv6))?;
        Some((tier.ipv4, self.rtt_ms(place, &tier.region)?))
    }
}

fn at(zone: &str, ipv4: Ipv4Addr, ipv6: Ipv6Addr) -> AwsResource {
    AwsResource { hosted_zone_id: zone.to_owned(), ipv4: vec![ipv4], ipv6: vec![ipv6] }
}

/// The people and places that POPs are chosen and measured for.
pub(super) struct Around<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) atlas: &'a Atlas,
    pub(super) vantages: &'a [Vantage],
    pub(super) clients: &'a [Client],
    pub(super) seed: u64,
}

impl App {
    /// The edges and tiers of a world.
    pub(super) fn generate(spec: &AppSpec, around: &Around<'_>) -> Self {
        let pops = pops(around);
        let rtt_ms = round_trips(&pops, around);
        Self {
            distributions: distributions(spec, around),
            tiers: tiers(spec, around),
            api_region: spec.api_region.clone(),
            rtt_ms,
            pops,
        }
    }
}

/// The location nearest to each vantage, each once, in the order of the vantages.
fn pops(around: &Around<'_>) -> Vec<Pop> {
    let mut pops: Vec<Pop> = Vec::new();
    let locations = &around.atlas.locations;
    let mut rng = stream(around.seed, "pops", 0);
    for vantage in around.vantages {
        let Some(region) = around.atlas.index_of(&vantage.id) else { continue };
        let region = &around.atlas.regions[region];
        let km = |l: &Location| distance_km((l.lat, l.lon), (region.lat, region.lon));
        let nearest = locations.iter().min_by(|a, b| km(a).total_cmp(&km(b)));
        let Some(location) = nearest else { continue };
        let low = u8::try_from(pops.len() + 10).unwrap_or(u8::MAX);
        let (cluster, host) = (rng.random_range(50..99), rng.random_range(1..9));
        if pops.iter().all(|pop| pop.code != location.code) {
            pops.push(Pop {
                id: format!("{}{cluster}-P{host}", location.code),
                code: location.code.clone(),
                city: location.city.clone(),
                lat: location.lat,
                lon: location.lon,
                near: nearest_region(around.atlas, location),
                ipv4: Ipv4Addr::new(127, 53, 1, low),
                ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0xfffe, low.into(), 0, 0, 0, 1),
            });
        }
    }
    pops
}

fn nearest_region(atlas: &Atlas, location: &Location) -> String {
    let km = |lat: f64, lon: f64| distance_km((location.lat, location.lon), (lat, lon));
    let commercial = atlas.regions.iter().filter(|region| region.commercial());
    let nearest = commercial.min_by(|a, b| km(a.lat, a.lon).total_cmp(&km(b.lat, b.lon)));
    nearest.map_or_else(String::new, |region| region.code.clone())
}

/// One row a place, as in the world: vantages, clients, and last the resolver of strangers.
fn round_trips(pops: &[Pop], around: &Around<'_>) -> Vec<Vec<f64>> {
    let row = |place: usize, here: (f64, f64), first_ms: f64| -> Vec<f64> {
        let mut rng = stream(around.seed, "pop access", place as u64);
        let one = |pop: &Pop| {
            let km = distance_km(here, (pop.lat, pop.lon));
            (first_ms + access_ms(km, &mut rng)).max(light_ms(km))
        };
        pops.iter().map(one).collect()
    };
    let cloud = |place: usize, code: &str| {
        let number = around.atlas.index_of(code).unwrap_or_default();
        let region = &around.atlas.regions[number];
        row(place, (region.lat, region.lon), around.atlas.p50_ms(number, number))
    };
    let (vantages, clients) = (around.vantages.len(), around.clients.len());
    let from_vantages = around.vantages.iter().enumerate().map(|(i, v)| cloud(i, &v.id));
    let from_clients = (0_u64..).zip(around.clients).map(|(i, client)| {
        let place = client.place.0;
        row(place, (client.lat, client.lon), last_mile_ms(around.seed, i))
    });
    from_vantages.chain(from_clients).chain([cloud(vantages + clients, STRANGERS)]).collect()
}

fn distributions(spec: &AppSpec, around: &Around<'_>) -> Vec<Distribution> {
    let mut rng = stream(around.seed, "distributions", 0);
    let zone = &around.scenario.zone;
    [
        (Behavior::Static, "www", &spec.static_region),
        (Behavior::Forward, "cdn", &spec.api_region),
        (Behavior::EdgeOptimized, "edge", &spec.api_region),
        (Behavior::Twice, "cdn-edge", &spec.api_region),
        (Behavior::ByName, "cdn-name", &spec.api_region),
    ]
    .map(|(behavior, label, origin)| Distribution {
        behavior,
        name: format!("{label}.{zone}"),
        dns_name: format!("d{}.cloudfront.net", alphanumeric(&mut rng, 13)),
        origin: origin.clone(),
    })
    .to_vec()
}

fn tiers(spec: &AppSpec, around: &Around<'_>) -> Vec<TierServer> {
    let pool = alphanumeric(&mut stream(around.seed, "user pool", 0), 9);
    let region = &spec.sign_in_region;
    let path = format!("/{region}_{pool}/.well-known/jwks.json");
    let sign_in = (TierKind::SignIn, "auth".to_owned(), region.clone(), path);
    let data = spec.data_regions.iter().map(|region| {
        (TierKind::Data, format!("data-{region}"), region.clone(), "/ping".to_owned())
    });
    let server = |(number, (kind, id, region, path)): (u8, (TierKind, String, String, String))| {
        let service = match kind {
            TierKind::SignIn => "cognito-idp",
            TierKind::Data => "dynamodb",
        };
        TierServer {
            name: format!("{service}.{region}.amazonaws.com"),
            ipv4: Ipv4Addr::new(127, 53, 2, number),
            ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0xfffd, number.into(), 0, 0, 0, 1),
            id,
            kind,
            region,
            path,
        }
    };
    (10_u8..).zip(std::iter::once(sign_in).chain(data)).map(server).collect()
}

impl World {
    /// Share of the traffic by POP id: all of it, over the POPs that serve anyone.
    #[must_use]
    pub fn pop_shares(&self) -> BTreeMap<&str, f64> {
        let mut shares = BTreeMap::new();
        for client in &self.clients {
            if let Some((pop, _)) = self.nearest_pop(client.place) {
                *shares.entry(pop.id.as_str()).or_insert(0.0) += client.weight;
            }
        }
        shares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn world() -> World {
        World::generate(&Scenario::app(), 1).unwrap()
    }

    #[test]
    fn pops_are_real_near_the_vantages_and_have_addresses_of_their_own() {
        let world = world();
        let app = world.app().unwrap();
        let codes: Vec<&str> = app.pops.iter().map(|pop| pop.code.as_str()).collect();
        assert!((8..=12).contains(&codes.len()), "{codes:?}");
        assert!(["IAD", "DUB", "SIN", "GRU"].iter().all(|code| codes.contains(code)), "{codes:?}");
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
        let all: BTreeSet<Ipv4Addr> = (app.pops.iter().map(|pop| pop.ipv4))
            .chain(app.tiers.iter().map(|tier| tier.ipv4))
            .chain(world.endpoints().iter().map(|e| e.ipv4))
            .collect();
        assert_eq!(all.len(), app.pops.len() + app.tiers.len() + world.endpoints().len());
        for vantage in world.vantages() {
            let (pop, rtt_ms) = world.nearest_pop(vantage.place).unwrap();
            let hop_ms = world.hop_ms(pop, &vantage.id).unwrap();
            assert!(rtt_ms < 15.0, "{} {} {rtt_ms}", vantage.id, pop.id);
            assert!(hop_ms < 25.0, "{} {} {hop_ms}", vantage.id, pop.near);
        }
    }

    #[test]
    fn clients_go_to_the_nearest_pop_never_faster_than_light() {
        let world = world();
        let app = world.app().unwrap();
        for client in world.clients() {
            let (nearest, least_ms) = world.nearest_pop(client.place).unwrap();
            for pop in &app.pops {
                let rtt_ms = world.pop_rtt_ms(client.place, &pop.id).unwrap();
                let km = distance_km((client.lat, client.lon), (pop.lat, pop.lon));
                assert!(rtt_ms >= light_ms(km) && rtt_ms >= least_ms, "{}", client.city);
            }
            let found = world.resource_for(&app.distributions[0].dns_name, client.prefix.addr());
            assert_eq!(found.unwrap().ipv4, [nearest.ipv4]);
        }
        let shares = world.pop_shares();
        assert!(shares.len() >= 6 && (shares.values().sum::<f64>() - 1.0).abs() < 1e-9);
    }

    #[test]
    fn edges_change_no_other_draw() {
        let (with, without) = (world(), World::generate(&Scenario::calm(), 1).unwrap());
        assert_eq!(with.rtt_ms, without.rtt_ms);
        assert_eq!(with.table_ms, without.table_ms);
        assert_eq!(with.endpoints[0].dns_name, without.endpoints[0].dns_name);
        assert!(without.app().is_none());
        assert_eq!(with.app().unwrap().rtt_ms, world().app().unwrap().rtt_ms);
    }

    #[test]
    fn every_address_leads_somewhere() {
        let world = world();
        let place = world.place("eu-west-1").unwrap();
        let app = world.app().unwrap();
        for pop in &app.pops {
            let expect = Some((pop.ipv4, world.pop_rtt_ms(place, &pop.id).unwrap()));
            assert_eq!(world.way_to(place, pop.ipv6.into()), expect);
        }
        for tier in &app.tiers {
            let expect = Some((tier.ipv4, world.rtt_ms(place, &tier.region).unwrap()));
            assert_eq!(world.way_to(place, tier.ipv4.into()), expect);
            let found = world.resource(&format!("{}.", tier.name)).unwrap();
            assert_eq!((found.ipv4, found.hosted_zone_id.as_str()), (vec![tier.ipv4], ""));
        }
        assert_eq!(world.way_to(place, Ipv4Addr::LOCALHOST.into()), None);
        for distribution in &app.distributions {
            let found = world.resource(&distribution.dns_name).unwrap();
            assert_eq!(found.hosted_zone_id, "Z2FDTNDATAQYW2");
        }
    }
}
