//! Names and addresses of AWS resources in the world.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Endpoint, World};

/// What stands behind an AWS DNS name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AwsResource {
    /// The hosted zone an alias must name.
    pub hosted_zone_id: String,
    /// A answers.
    pub ipv4: Vec<Ipv4Addr>,
    /// AAAA answers.
    pub ipv6: Vec<Ipv6Addr>,
}

impl World {
    /// The resource of an AWS DNS name, upper or lower case, with or without a final dot.
    #[must_use]
    pub fn resource(&self, dns_name: &str) -> Option<AwsResource> {
        let name = dns_name.strip_suffix('.').unwrap_or(dns_name).to_ascii_lowercase();
        let endpoint = self.endpoints.iter().find_map(|e| {
            let zone = match name.as_str() {
                n if n == e.dns_name => &e.hosted_zone_id,
                n if n == e.health_dns_name => &e.health_zone_id,
                _ => return None,
            };
            let hosted_zone_id = zone.clone();
            Some(AwsResource { hosted_zone_id, ipv4: vec![e.ipv4], ipv6: vec![e.ipv6] })
        });
        endpoint.or_else(|| self.app_resource(&name))
    }

    /// The endpoint that answers at an address.
    #[must_use]
    pub fn endpoint_at(&self, addr: IpAddr) -> Option<&Endpoint> {
        self.endpoints.iter().find(|e| match addr {
            IpAddr::V4(v4) => v4 == e.ipv4,
            IpAddr::V6(v6) => v6 == e.ipv6,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::{EndpointKind, Scenario};

    #[test]
    fn resources_resolve_both_ways() {
        let mut scenario = Scenario::demo();
        scenario.endpoints[1].kind = EndpointKind::Cloudfront;
        let world = World::generate(&scenario, 1).unwrap();
        for endpoint in world.endpoints() {
            let found = world.resource(&format!("{}.", endpoint.dns_name.to_uppercase())).unwrap();
            assert_eq!(found.hosted_zone_id, endpoint.hosted_zone_id);
            assert_eq!(world.endpoint_at(found.ipv6[0].into()).unwrap().region, endpoint.region);
            assert_eq!(world.endpoint_at(found.ipv4[0].into()).unwrap().region, endpoint.region);
            assert!(world.resource(&endpoint.health_dns_name).is_some());
        }
        assert_eq!(world.endpoints()[0].hosted_zone_id, "Z1UJRXOUMOOFQ8");
        assert_eq!(world.endpoints()[1].hosted_zone_id, "Z2FDTNDATAQYW2");
        assert!(world.endpoints()[1].dns_name.ends_with(".cloudfront.net"));
        assert_eq!(world.resource("d-nothing.execute-api.us-east-1.amazonaws.com"), None);
        assert!(world.endpoint_at("127.0.0.1".parse().unwrap()).is_none());
    }
}
