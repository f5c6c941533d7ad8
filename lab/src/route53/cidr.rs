//! CIDR collections: named locations, each a list of networks. They are given when the lab starts;
//! the API to edit them is not part of it.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network: address and prefix length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Any address of the network.
    pub address: IpAddr,
    /// How many leading bits count.
    pub prefix: u8,
}

impl Network {
    /// Whether the address lies in the network.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let shift = 32u32.saturating_sub(u32::from(self.prefix));
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let shift = 128u32.saturating_sub(u32::from(self.prefix));
                let differ = own.to_bits() ^ other.to_bits();
                differ.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// A collection of named locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CidrCollection {
    /// A UUID.
    pub id: String,
    /// Networks by location name.
    pub locations: BTreeMap<String, Vec<Network>>,
}

impl CidrCollection {
    /// The location whose network is the longest that holds `address`, with its prefix length.
    #[must_use]
    pub fn locate(&self, address: IpAddr) -> Option<(&str, u8)> {
        self.locations
            .iter()
            .flat_map(|(name, networks)| networks.iter().map(move |net| (name.as_str(), net)))
            .filter(|(_, network)| network.contains(address))
            .map(|(name, network)| (name, network.prefix))
            .max_by_key(|(_, prefix)| *prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longest_network_wins() {
        let network = |text: &str, prefix| Network { address: text.parse().unwrap(), prefix };
        let collection = CidrCollection {
            id: String::new(),
            locations: BTreeMap::from([
                ("wide".to_owned(), vec![network("198.18.0.0", 15), network("2001:db8::", 32)]),
                ("narrow".to_owned(), vec![network("198.18.7.0", 24)]),
            ]),
        };
        let check = |address: &str, expect: Option<(&str, u8)>| {
            assert_eq!(collection.locate(address.parse().unwrap()), expect, "{address}");
        };
        check("198.18.7.9", Some(("narrow", 24)));
        check("198.19.7.9", Some(("wide", 15)));
        check("2001:db8:1::1", Some(("wide", 32)));
        check("192.0.2.1", None);
    }
}
