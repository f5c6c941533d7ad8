//! The lab's Route 53: a strict REST-XML API and a DNS server. Rules are pure and live in
//! `validate`, `state` and `answer`; `api`, `dns` and `health::checker` are the shell around them.
//! It shares no code with what it judges.

pub mod answer;
mod api;
pub mod cidr;
mod dns;
pub mod error;
pub mod faults;
pub mod health;
pub mod ids;
pub mod limits;
pub mod model;
mod model_words;
pub mod name;
pub mod operation;
pub mod records;
pub mod regions;
mod server;
pub mod state;
pub mod validate;
pub mod value;
pub mod xml;
pub mod zone;

pub use server::{Options, Route53, StartError};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What Route 53 knows that no zone holds.
pub trait Internet: Send + Sync + 'static {
    /// Of `labels`, the one with the lowest network latency for the network of `client`; `None`
    /// if there is none. For a loopback client it is that of a resolver in us-east-1.
    fn nearest_label<'a>(&self, client: IpAddr, labels: &[&'a str]) -> Option<&'a str>;

    /// An AWS resource that an alias or a name may lead to, by DNS name (lower case, no trailing
    /// dot).
    fn resource(&self, dns_name: &str) -> Option<Resource>;

    /// The same as a network sees it: a name at the edges leads to the nearest one. By default all
    /// see the same.
    fn resource_for(&self, dns_name: &str, _client: IpAddr) -> Option<Resource> {
        self.resource(dns_name)
    }

    /// Whether the addresses of an AWS name depend on who asks; by default they do not.
    fn by_network(&self, _dns_name: &str) -> bool {
        false
    }

    /// Where the network of `client` is, for geolocation; unknown by default.
    fn location(&self, _client: IpAddr) -> Option<Location> {
        None
    }
}

/// An AWS resource that answers to a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Resource {
    /// The hosted zone that an alias to it must give.
    pub hosted_zone_id: String,
    /// Its IPv4 addresses.
    pub ipv4: Vec<Ipv4Addr>,
    /// Its IPv6 addresses; without any it is not dual-stack.
    pub ipv6: Vec<Ipv6Addr>,
    /// TTL of an alias to it, and of its own name, seconds.
    pub ttl_s: u32,
}

/// Where a network is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location {
    /// Continent code.
    pub continent: String,
    /// Country code.
    pub country: String,
    /// Subdivision code, for the United States.
    pub subdivision: Option<String>,
}
