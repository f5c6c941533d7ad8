//! What the tests of the lab's Route 53 share: a small fake internet, and a short notation for
//! change batches. It judges nothing.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use lab::route53::error::ApiError;
use lab::route53::model::ChangeBatch;
use lab::route53::state::{Settings, State};
use lab::route53::validate::shape::{self, RawChange, RawGeoproximity, RawSet};
use lab::route53::{Internet, Location, Resource};

/// An API Gateway domain of eu-west-1 that exists, dual-stack.
pub(crate) const EU_GATEWAY: &str = "d-eu.execute-api.eu-west-1.amazonaws.com";
pub(crate) const EU_ZONE: &str = "ZLY8HYME6SFDD";
/// An API Gateway domain of us-east-1 that exists, IPv4 only.
pub(crate) const US_GATEWAY: &str = "d-us.execute-api.us-east-1.amazonaws.com";
pub(crate) const US_ZONE: &str = "Z1UJRXOUMOOFQ8";
pub(crate) const CLOUDFRONT: &str = "d111.cloudfront.net";
pub(crate) const CLOUDFRONT_ZONE: &str = "Z2FDTNDATAQYW2";

/// Clients of 198.18.0.0/16 are nearest to eu-west-1 and then ap-south-1, all others to us-east-1.
pub(crate) struct FakeInternet;

impl Internet for FakeInternet {
    fn nearest_label<'a>(&self, client: IpAddr, labels: &[&'a str]) -> Option<&'a str> {
        let european = matches!(client, IpAddr::V4(v4) if v4.octets()[..2] == [198, 18]);
        let order = if european {
            ["eu-west-1", "ap-south-1", "us-east-1"]
        } else {
            ["us-east-1", "eu-west-1", "ap-south-1"]
        };
        order.iter().find_map(|wanted| labels.iter().copied().find(|label| label == wanted))
    }

    fn resource(&self, dns_name: &str) -> Option<Resource> {
        let resource = |zone: &str, last: u8, dual: bool| Resource {
            hosted_zone_id: zone.to_owned(),
            ipv4: vec![Ipv4Addr::new(127, 0, 10, last)],
            ipv6: if dual { vec!["2001:db8::1".parse().unwrap()] } else { Vec::new() },
            ttl_s: 60,
        };
        match dns_name {
            EU_GATEWAY => Some(resource(EU_ZONE, 1, true)),
            US_GATEWAY => Some(resource(US_ZONE, 2, false)),
            CLOUDFRONT => Some(resource(CLOUDFRONT_ZONE, 3, true)),
            _ => None,
        }
    }

    fn location(&self, client: IpAddr) -> Option<Location> {
        let IpAddr::V4(v4) = client else { return None };
        let (continent, country, subdivision) = match v4.octets()[..2] {
            [198, 18] => ("EU", "DE", None),
            [198, 19] => ("NA", "US", Some("WA".to_owned())),
            _ => return None,
        };
        Some(Location { continent: continent.to_owned(), country: country.to_owned(), subdivision })
    }
}

pub(crate) fn settings() -> Settings {
    Settings {
        insync_delay: Duration::from_secs(1),
        processing: Duration::ZERO,
        first_observation: Duration::from_secs(1),
        throttling: None,
        cidr_collections: Vec::new(),
        seed: 7,
    }
}

/// A state with the zone `example.com`; also its id.
pub(crate) fn state_with(settings: Settings) -> (State, String) {
    let mut state = State::new(settings);
    let (zone, _) = state.create_zone("example.com", "ref", None, Duration::ZERO).unwrap();
    (state, zone.id)
}

/// Reads a batch: a change a line, `ACTION TYPE NAME key=value...`; a value goes to the end of the
/// word, `_` in it stands for a space. `ZONE` is the zone's id. Keys: ttl, v (repeated), alias
/// (`ZONEID:TARGET:BOOL`), id, weight, region, failover, geo (`CONTINENT/COUNTRY/SUBDIVISION`),
/// multivalue, hc, cidr (`ID/LOCATION`), near (a Region), bias, latlon (`LAT/LON`), instance.
pub(crate) fn batch(text: &str, zone_id: &str) -> Result<ChangeBatch, ApiError> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    shape::batch(None, lines.map(|line| change(line, zone_id)).collect())
}

fn change(line: &str, zone_id: &str) -> RawChange {
    let mut words = line.split_ascii_whitespace();
    let mut next = || Some(words.next().expect("a word").to_owned());
    let (action, kind, name) = (next(), next(), next());
    let mut set = RawSet { name, kind, ..RawSet::default() };
    for word in words {
        let (key, value) = word.split_once('=').expect("key=value");
        let value = value.replace("ZONE", zone_id).replace('_', " ");
        field(&mut set, key, value);
    }
    RawChange { action, set: Some(set) }
}

fn field(set: &mut RawSet, key: &str, value: String) {
    let parts = |separator: char| {
        let mut parts = value.split(separator).map(|part| Some(part.to_owned()));
        move || parts.next().flatten().filter(|part| !part.is_empty())
    };
    match key {
        "ttl" => set.ttl = Some(value),
        "v" => set.values.get_or_insert_default().push(value),
        "id" => set.set_identifier = Some(value),
        "weight" => set.weight = Some(value),
        "region" => set.region = Some(value),
        "failover" => set.failover = Some(value),
        "multivalue" => set.multivalue = Some(value),
        "hc" => set.health_check_id = Some(value),
        "instance" => set.traffic_policy_instance_id = Some(value),
        "alias" => {
            let mut part = parts(':');
            set.alias = Some([part(), part(), part()]);
        }
        "geo" => {
            let mut part = parts('/');
            set.geo = Some([part(), part(), part()]);
        }
        "cidr" => {
            let mut part = parts('/');
            set.cidr = Some([part(), part()]);
        }
        "near" => set.geoproximity.get_or_insert_default().region = Some(value),
        "bias" => set.geoproximity.get_or_insert_default().bias = Some(value),
        "latlon" => {
            let mut part = parts('/');
            let place: &mut RawGeoproximity = set.geoproximity.get_or_insert_default();
            place.coordinates = Some([part(), part()]);
        }
        other => panic!("unknown key {other}"),
    }
}

/// Applies a batch in the notation.
pub(crate) fn apply(state: &mut State, zone_id: &str, text: &str) -> Result<(), ApiError> {
    let batch = batch(text, zone_id)?;
    state.change(zone_id, &batch, &FakeInternet, Duration::ZERO).map(|_| ())
}
