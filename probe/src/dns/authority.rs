//! Names straight from the servers that speak for them, as a client of some subnet would see them.

use std::net::SocketAddr;

use super::system::addresses;
use super::{Client, DnsError, RecordData, RecordType, SystemResolver};
use crate::sample::DnsAnswer;
use crate::url::IpPrefix;

/// Most name servers of a zone that are asked.
const SERVERS_MAX: usize = 4;
/// Most aliases that are followed.
const ALIASES_MAX: usize = 8;

/// The name servers of the zone that `name` lies in: the nearest ancestor with NS records.
pub async fn authorities(system: &SystemResolver, name: &str) -> Result<Vec<SocketAddr>, DnsError> {
    let mut zone = name.trim_end_matches('.');
    loop {
        let answer = system.records(zone, RecordType::NS).await?;
        let mut servers = Vec::new();
        for record in &answer.records {
            let RecordData::Ns(host) = &record.data else { continue };
            let Ok(found) = system.lookup(host).await else { continue };
            servers.extend(found.first().map(|answer| SocketAddr::new(answer.address, 53)));
            if servers.len() >= SERVERS_MAX {
                break;
            }
        }
        if !servers.is_empty() {
            return Ok(servers);
        }
        // Each round drops a label, so that it ends.
        match zone.split_once('.') {
            Some((_, parent)) if !parent.is_empty() => zone = parent,
            _ => return Err(DnsError::NoAddress { name: format!("a name server of {name}") }),
        }
    }
}

/// The addresses of `name` as these servers give them to a client in `subnet`. `recurse` says
/// that they are resolvers; authoritative servers are asked on for an alias outside their zone,
/// through the servers of that zone.
pub async fn lookup_at(
    system: &SystemResolver,
    (servers, recurse): (&[SocketAddr], bool),
    name: &str,
    subnet: Option<IpPrefix>,
) -> Result<Vec<DnsAnswer>, DnsError> {
    let clients = |servers: &[SocketAddr]| -> Vec<Client> {
        servers.iter().map(|server| Client { recurse, ..Client::new(*server) }).collect()
    };
    let mut name = name.trim_end_matches('.').to_ascii_lowercase();
    let mut found = addresses(&clients(servers), &name, subnet).await?;
    for _ in 0..ALIASES_MAX {
        let alias = match found.alias {
            Some(alias) if found.answers.is_empty() && !recurse => alias,
            _ => break,
        };
        let next = authorities(system, &alias).await?;
        found = addresses(&clients(&next), &alias, subnet).await?;
        name = alias;
    }
    if found.answers.is_empty() { Err(DnsError::NoAddress { name }) } else { Ok(found.answers) }
}
