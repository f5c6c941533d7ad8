//! Makes a world from a scenario and a seed, by the fixed formulas.
//!
//! With d the great-circle distance in km and h any commercial Region:
//! `a(c, r) = (10.7 ms x min(1, (d + 50) / 600) + 0.01568 ms/km x d) x exp(N(0.12, 0.2))`,
//! `rtt(c, r) = 8 ms x exp(N(0, 0.6)) + min(a(c, r), min over h of a(c, h) + p50[h][r]) x exp(N(0, 0.08))`,
//! never below `2 d / 200`; the first factor is drawn once for each client. For a vantage in Region h the
//! round trip is `p50[h][r]`. Route 53's table is the round trip x exp(N(0, 0.1)).

use std::net::{Ipv4Addr, Ipv6Addr};

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::app::{App, Around};
use super::{Client, Endpoint, LEN4, LEN6, PlaceId, STRANGERS, Vantage, World};
use crate::atlas::{Atlas, City, distance_km, light_ms};
use crate::prefix::Prefix;
use crate::random::{alphanumeric, choose, lognormal, stream};
use crate::scenario::{EndpointKind, EndpointSpec, Scenario, ScenarioError};

/// /24 prefixes of 198.18.0.0/15 kept for vantages; the rest are for clients.
const VANTAGE_PREFIXES: u32 = 64;
const PREFIXES4: u32 = 512;
/// Zone id of every CloudFront distribution.
pub(super) const CLOUDFRONT_ZONE: &str = "Z2FDTNDATAQYW2";

impl World {
    /// The world of a scenario under a seed.
    pub fn generate(scenario: &Scenario, seed: u64) -> Result<Self, ScenarioError> {
        let scenario = scenario.clone().validated()?;
        let atlas = Atlas::built_in()?;
        let vantages = make_vantages(&scenario);
        let clients = make_clients(&scenario, &atlas, seed, vantages.len());
        let rtt_ms = round_trips(&atlas, &vantages, &clients, seed);
        let table_ms = rtt_ms.iter().enumerate().map(|(i, row)| table_row(row, i, seed)).collect();
        let subnets = vantages.iter().flat_map(|v| [(v.subnet4, v.place), (v.subnet6, v.place)]);
        let prefixes = subnets.chain(clients.iter().map(|c| (c.prefix, c.place))).collect();
        let endpoints = scenario.endpoints.iter().enumerate();
        let endpoints = endpoints
            .filter_map(|(i, spec)| make_endpoint(&scenario, &atlas, seed, i, spec))
            .collect();
        let around = Around {
            scenario: &scenario,
            atlas: &atlas,
            vantages: &vantages,
            clients: &clients,
            seed,
        };
        let app = scenario.app.as_ref().map(|spec| App::generate(spec, &around));
        Ok(Self {
            scenario,
            seed,
            atlas,
            vantages,
            clients,
            endpoints,
            rtt_ms,
            table_ms,
            prefixes,
            app,
        })
    }
}

fn subnet4(number: u32) -> Prefix {
    Prefix::v4(Ipv4Addr::from(0xC612_0000 + (number << 8)), LEN4)
}

fn subnet6(number: u32) -> Prefix {
    let [_, _, high, low] = number.to_be_bytes();
    Prefix::v6(Ipv6Addr::new(0x2001, 0xdb8, u16::from_be_bytes([high, low]), 0, 0, 0, 0, 0), LEN6)
}

fn make_vantages(scenario: &Scenario) -> Vec<Vantage> {
    (1..)
        .zip(&scenario.vantages)
        .enumerate()
        .map(|(place, (number, id))| Vantage {
            place: PlaceId(place),
            id: id.clone(),
            subnet4: subnet4(number),
            subnet6: subnet6(number),
        })
        .collect()
}

fn make_clients(scenario: &Scenario, atlas: &Atlas, seed: u64, first: usize) -> Vec<Client> {
    let mut rng = stream(seed, "cities", 0);
    let cities: Vec<&City> = choose(&mut rng, atlas.cities.len(), scenario.clients)
        .into_iter()
        .map(|i| &atlas.cities[i])
        .collect();
    let people: f64 = cities.iter().map(|c| c.population).sum();
    let mut free4 = VANTAGE_PREFIXES..PREFIXES4;
    let mut free6 = 0x1000_u32..;
    let mut prefix = |number: usize| {
        let four = if number % 4 == 3 { None } else { free4.next() };
        four.map_or_else(|| subnet6(free6.next().unwrap_or_default()), subnet4)
    };
    let client = |(number, city): (usize, &&City)| Client {
        place: PlaceId(first + number),
        prefix: prefix(number),
        weight: city.population / people,
        city: format!("{} ({})", city.name, city.country),
        lat: city.lat,
        lon: city.lon,
    };
    cities.iter().enumerate().map(client).collect()
}

/// One row a place: the vantages, the clients, and last the resolver that strangers are taken for.
fn round_trips(
    atlas: &Atlas,
    vantages: &[Vantage],
    clients: &[Client],
    seed: u64,
) -> Vec<Vec<f64>> {
    let cloud = |code: &str| {
        let from = atlas.index_of(code).unwrap_or_default();
        (0..atlas.regions.len()).map(|to| atlas.p50_ms(from, to)).collect()
    };
    let clients =
        (0_u64..).zip(clients).map(|(i, c)| client_row(atlas, (c.lat, c.lon), &mut draws(seed, i)));
    let vantages = vantages.iter().map(|v| cloud(&v.id));
    vantages.chain(clients).chain([cloud(STRANGERS)]).collect()
}

/// The three streams of one client.
struct Draws {
    last_mile: ChaCha8Rng,
    access: ChaCha8Rng,
    path: ChaCha8Rng,
}

fn draws(seed: u64, client: u64) -> Draws {
    Draws {
        last_mile: stream(seed, "last mile", client),
        access: stream(seed, "access", client),
        path: stream(seed, "path", client),
    }
}

fn draw_last_mile_ms(rng: &mut ChaCha8Rng) -> f64 {
    8.0 * lognormal(rng, 0.0, 0.6)
}

/// The last mile of a client by its number, ms: the same wherever it goes.
pub(super) fn last_mile_ms(seed: u64, client: u64) -> f64 {
    draw_last_mile_ms(&mut stream(seed, "last mile", client))
}

/// Draws the way over so many km without the last mile, ms.
pub(super) fn access_ms(km: f64, rng: &mut ChaCha8Rng) -> f64 {
    let fixed = 10.7 * ((km + 50.0) / 600.0).min(1.0);
    (fixed + 0.015_68 * km) * lognormal(rng, 0.12, 0.2)
}

fn client_row(atlas: &Atlas, at: (f64, f64), draws: &mut Draws) -> Vec<f64> {
    let last_mile_ms = draw_last_mile_ms(&mut draws.last_mile);
    let km: Vec<f64> = atlas.regions.iter().map(|r| distance_km(at, (r.lat, r.lon))).collect();
    let access_ms: Vec<f64> = km.iter().map(|&d| access_ms(d, &mut draws.access)).collect();
    let hubs = || atlas.regions.iter().enumerate().filter(|(_, r)| r.commercial()).map(|(h, _)| h);
    (0..atlas.regions.len())
        .map(|r| {
            let through = hubs().map(|h| access_ms[h] + atlas.p50_ms(h, r));
            let path_ms = through.fold(access_ms[r], f64::min);
            let noise = lognormal(&mut draws.path, 0.0, 0.08);
            (last_mile_ms + path_ms * noise).max(light_ms(km[r]))
        })
        .collect()
}

fn table_row(rtt_ms: &[f64], place: usize, seed: u64) -> Vec<f64> {
    let mut rng = stream(seed, "route 53 table", place as u64);
    rtt_ms.iter().map(|ms| ms * lognormal(&mut rng, 0.0, 0.1)).collect()
}

fn make_endpoint(
    scenario: &Scenario,
    atlas: &Atlas,
    seed: u64,
    number: usize,
    spec: &EndpointSpec,
) -> Option<Endpoint> {
    let region_index = atlas.index_of(&spec.region)?;
    let zone = atlas.regions[region_index].apigateway_zone.clone()?;
    let low = u8::try_from(number + 10).ok()?;
    let mut rng = stream(seed, "aws names", region_index as u64);
    let mut gateway =
        || format!("d-{}.execute-api.{}.amazonaws.com", alphanumeric(&mut rng, 10), spec.region);
    let (regional, health_dns_name) = (gateway(), gateway());
    let api_id = alphanumeric(&mut rng, 10);
    let (dns_name, hosted_zone_id) = if spec.kind == EndpointKind::Cloudfront {
        let name = format!("d{}.cloudfront.net", alphanumeric(&mut rng, 13));
        (name, CLOUDFRONT_ZONE.to_owned())
    } else {
        (regional, zone.clone())
    };
    let interface = rng.random_range(1..0xffff_u16);
    Some(Endpoint {
        region: spec.region.clone(),
        kind: spec.kind,
        slow_ms: spec.slow_ms,
        faults: spec.faults.clone(),
        ipv4: Ipv4Addr::new(127, 53, 0, low),
        ipv6: Ipv6Addr::new(0x2001, 0xdb8, 0xffff, u16::from(low), 0, 0, 0, interface),
        dns_name,
        hosted_zone_id,
        health_name: format!("{}.{}", spec.region, scenario.name),
        health_dns_name,
        health_zone_id: zone,
        api_id,
        region_index,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::net::IpAddr;

    fn demo(seed: u64) -> World {
        World::generate(&Scenario::demo(), seed).unwrap()
    }

    #[test]
    fn nothing_is_faster_than_light() {
        for seed in 0..5 {
            let world = demo(seed);
            for client in world.clients() {
                for region in &world.atlas().regions {
                    let km = distance_km((client.lat, client.lon), (region.lat, region.lon));
                    let rtt = world.rtt_ms(client.place, &region.code).unwrap();
                    assert!(rtt >= 2.0 * km / 200.0 && rtt.is_finite() && rtt < 1500.0);
                }
            }
        }
    }

    #[test]
    fn vantages_have_the_real_medians_and_the_real_diagonal() {
        let world = demo(1);
        let atlas = world.atlas();
        for vantage in world.vantages() {
            let from = atlas.index_of(&vantage.id).unwrap();
            for (to, region) in atlas.regions.iter().enumerate() {
                let rtt = world.rtt_ms(vantage.place, &region.code).unwrap();
                assert!((rtt - atlas.p50_ms(from, to)).abs() < 1e-12);
            }
            assert!(world.rtt_ms(vantage.place, &vantage.id).unwrap() < 9.0);
        }
    }

    #[test]
    fn weights_are_shares_and_prefixes_distinct_and_in_range() {
        let world = demo(2);
        assert_eq!(world.clients().len(), 400);
        let total: f64 = world.clients().iter().map(|c| c.weight).sum();
        assert!((total - 1.0).abs() < 1e-9);
        let four = Prefix::v4(Ipv4Addr::new(198, 18, 0, 0), 15);
        let six = Prefix::v6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32);
        let subnets = world.vantages().iter().flat_map(|v| [v.subnet4, v.subnet6]);
        let all: Vec<Prefix> = world.clients().iter().map(|c| c.prefix).chain(subnets).collect();
        assert!(all.iter().all(|p| four.contains(p.addr()) || six.contains(p.addr())));
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(world.clients().iter().filter(|c| c.prefix.addr().is_ipv6()).count() >= 100);
        assert!(world.endpoints().iter().all(|e| six.contains(e.ipv6.into())));
    }

    #[test]
    fn the_largest_world_still_has_distinct_prefixes() {
        let scenario = Scenario { clients: crate::scenario::CLIENTS_MAX, ..Scenario::calm() };
        let world = World::generate(&scenario, 1).unwrap();
        let distinct: BTreeSet<_> = world.clients().iter().map(|c| c.prefix).collect();
        assert_eq!(distinct.len(), crate::scenario::CLIENTS_MAX);
    }

    #[test]
    fn the_seed_decides_everything() {
        let (one, again, other) = (demo(7), demo(7), demo(8));
        assert_eq!(one.rtt_ms, again.rtt_ms);
        assert_eq!(one.table_ms, again.table_ms);
        assert_eq!(one.clients_csv(), again.clients_csv());
        assert_eq!(one.endpoints[0].dns_name, again.endpoints[0].dns_name);
        assert_ne!(one.table_ms, other.table_ms);
        assert_ne!(one.clients_csv(), other.clients_csv());
        assert_ne!(one.endpoints[0].dns_name, other.endpoints[0].dns_name);
    }

    #[test]
    fn more_clients_change_no_draw_of_the_first() {
        let few = demo(3);
        let many = World::generate(&Scenario { clients: 800, ..Scenario::demo() }, 3).unwrap();
        assert_eq!(few.clients[399].city, many.clients[399].city);
        assert_eq!(few.rtt_ms[..412], many.rtt_ms[..412]);
        assert_eq!(few.table_ms[..412], many.table_ms[..412]);
    }

    #[test]
    fn the_table_errs_by_a_tenth() {
        let world = demo(4);
        let ratios: Vec<f64> = (world.rtt_ms.iter().flatten())
            .zip(world.table_ms.iter().flatten())
            .map(|(rtt, table)| (table / rtt).ln())
            .collect();
        let count = ratios.len() as f64;
        let mean = ratios.iter().sum::<f64>() / count;
        let sigma = (ratios.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count).sqrt();
        assert!(mean.abs() < 0.005, "{mean}");
        assert!((sigma - 0.1).abs() < 0.005, "{sigma}");
    }

    #[test]
    fn strangers_are_taken_for_a_resolver_in_virginia() {
        let world = demo(1);
        let labels = ["eu-west-1", "us-east-1", "ap-south-1"];
        for stranger in ["127.0.0.1", "198.19.255.255", "::1", "192.0.2.7"] {
            let addr: IpAddr = stranger.parse().unwrap();
            assert_eq!(world.preferred_label(addr, &labels), Some("us-east-1"));
        }
        assert_eq!(world.preferred_label("127.0.0.1".parse().unwrap(), &["mars-1"]), None);
    }

    #[test]
    fn places_are_found_by_id_prefix_and_address() {
        let world = demo(1);
        let client = &world.clients()[17];
        assert_eq!(world.place(&client.prefix.to_string()), Some(client.place));
        assert_eq!(world.place_of(client.prefix.addr()), client.place);
        let vantage = &world.vantages()[3];
        assert_eq!(world.place(&vantage.id), Some(vantage.place));
        assert_eq!(world.place_of(vantage.subnet6.addr()), vantage.place);
        assert_eq!(world.place("nobody"), None);
        assert_eq!(world.place("198.18.7.0/23"), None);
        let labels = world.initial_labels();
        assert_eq!(
            world.preferred(world.place("ap-south-1").unwrap(), &labels),
            Some("ap-south-1")
        );
    }
}
