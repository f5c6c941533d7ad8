//! Names as the system resolves them: /etc/hosts, then the servers of /etc/resolv.conf.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::{Answer, Client, DnsError, RecordData, RecordType, ResponseCode};
use crate::sample::DnsAnswer;
use crate::url::IpPrefix;

/// Most servers that are asked, and most suffixes that are tried; as in the C library.
const SERVERS_MAX: usize = 3;
const SEARCH_MAX: usize = 6;

/// Resolves names to addresses. It caches nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemResolver {
    hosts: Vec<(String, IpAddr)>,
    clients: Vec<Client>,
    search: Vec<String>,
    ndots: u32,
}

impl SystemResolver {
    /// Reads `/etc/hosts` and `/etc/resolv.conf`; a file that is not there is empty.
    #[must_use]
    pub fn from_system() -> Self {
        let read = |path: &str| std::fs::read(Path::new(path)).unwrap_or_default();
        Self::from_files(&read("/etc/hosts"), &read("/etc/resolv.conf"))
    }

    /// A resolver made of the text of the two files; what cannot be read is left out.
    #[must_use]
    pub fn from_files(hosts: &[u8], resolv_conf: &[u8]) -> Self {
        let config = resolv_conf::Config::parse(resolv_conf).unwrap_or_default();
        let timeout = Duration::from_secs(u64::from(config.timeout.clamp(1, 30)));
        let clients = config.nameservers.iter().take(SERVERS_MAX).map(|server| Client {
            server: SocketAddr::new(IpAddr::from(server), 53),
            timeout,
            attempts: config.attempts.clamp(1, 5),
            recurse: true,
        });
        let search = config.get_last_search_or_domain().take(SEARCH_MAX);
        Self {
            hosts: parse_hosts(hosts),
            clients: clients.collect(),
            search: search.map(|suffix| suffix.trim_end_matches('.').to_owned()).collect(),
            ndots: config.ndots,
        }
    }

    /// A resolver that asks these servers and knows no hosts file.
    #[must_use]
    pub fn from_servers(servers: &[SocketAddr]) -> Self {
        let client = |server: &SocketAddr| Client { recurse: true, ..Client::new(*server) };
        Self {
            hosts: Vec::new(),
            clients: servers.iter().take(SERVERS_MAX).map(client).collect(),
            search: Vec::new(),
            ndots: 1,
        }
    }

    /// The addresses of a name, IPv4 first. Both families are asked at the same time.
    pub async fn lookup(&self, name: &str) -> Result<Vec<DnsAnswer>, DnsError> {
        let bare = name.trim_end_matches('.').to_ascii_lowercase();
        let known = self.hosts(&bare);
        if !known.is_empty() {
            return Ok(known);
        }
        let mut last = DnsError::NoServer;
        for candidate in self.candidates(name, &bare) {
            match self.ask(&candidate).await {
                Ok(answers) => return Ok(answers),
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }

    fn hosts(&self, bare: &str) -> Vec<DnsAnswer> {
        let answer = |address: IpAddr| DnsAnswer { address, ttl_s: None };
        let mut known: Vec<DnsAnswer> = self
            .hosts
            .iter()
            .filter(|(host, _)| host == bare)
            .map(|(_, address)| answer(*address))
            .collect();
        if known.is_empty() && (bare == "localhost" || bare.ends_with(".localhost")) {
            known.push(answer(IpAddr::from([127, 0, 0, 1])));
        }
        known.sort_by_key(|answer| answer.address.is_ipv6());
        known
    }

    fn candidates(&self, name: &str, bare: &str) -> Vec<String> {
        let with_suffix = self.search.iter().map(|suffix| format!("{bare}.{suffix}"));
        if name.ends_with('.') || self.search.is_empty() {
            return vec![bare.to_owned()];
        }
        let dots = u32::try_from(bare.matches('.').count()).unwrap_or(u32::MAX);
        if dots >= self.ndots {
            std::iter::once(bare.to_owned()).chain(with_suffix).collect()
        } else {
            with_suffix.chain(std::iter::once(bare.to_owned())).collect()
        }
    }

    async fn ask(&self, name: &str) -> Result<Vec<DnsAnswer>, DnsError> {
        addresses(&self.clients, name, None).await.map(|found| found.answers)
    }

    /// What the servers of `/etc/resolv.conf` say of another record type; the first that answers.
    pub(super) async fn records(
        &self,
        name: &str,
        record_type: RecordType,
    ) -> Result<Answer, DnsError> {
        let mut last = DnsError::NoServer;
        for client in &self.clients {
            match client.query(name, record_type, None).await {
                Ok(answer) => return Ok(answer),
                Err(cause) => last = cause,
            }
        }
        Err(last)
    }
}

/// Addresses of a name, or the name that it is an alias of.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub answers: Vec<DnsAnswer>,
    pub alias: Option<String>,
}

/// Asks these servers in turn for both families at the same time, IPv4 first in the answer. Where
/// there is no address and no alias, that is an error.
pub(super) async fn addresses(
    clients: &[Client],
    name: &str,
    subnet: Option<IpPrefix>,
) -> Result<Found, DnsError> {
    let mut last = DnsError::NoServer;
    for client in clients {
        let (v4, v6) = tokio::join!(
            client.query(name, RecordType::A, subnet),
            client.query(name, RecordType::AAAA, subnet)
        );
        let mut found = Found::default();
        for answer in [v4, v6] {
            match answer {
                Ok(answer) if answer.rcode == ResponseCode::NoError => {
                    let own = answer.addresses();
                    found
                        .answers
                        .extend(own.map(|(address, ttl)| DnsAnswer { address, ttl_s: Some(ttl) }));
                    found.alias = found.alias.or_else(|| last_alias(&answer));
                    last = DnsError::NoAddress { name: name.to_owned() };
                }
                Ok(answer) => {
                    let rcode = answer.rcode.to_string();
                    let name = name.to_owned();
                    last = DnsError::Refused { server: client.server, name, rcode };
                }
                Err(cause) => last = cause,
            }
        }
        // A server that says the name is not there has answered; others are not asked.
        if !found.answers.is_empty() || found.alias.is_some() {
            return Ok(found);
        }
        if matches!(last, DnsError::NoAddress { .. }) {
            return Err(last);
        }
    }
    Err(last)
}

fn last_alias(answer: &Answer) -> Option<String> {
    answer.records.iter().rev().find_map(|record| match &record.data {
        RecordData::Cname(name) => Some(name.clone()),
        _ => None,
    })
}

fn parse_hosts(text: &[u8]) -> Vec<(String, IpAddr)> {
    let text = String::from_utf8_lossy(text);
    let mut hosts = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(Ok(address)) = words.next().map(str::parse::<IpAddr>) else { continue };
        hosts.extend(words.map(|name| (name.to_ascii_lowercase(), address)));
    }
    hosts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hosts_come_first_and_ipv4_before_ipv6() {
        let hosts = b"::1 box\n127.0.0.9\tbox other # comment\nnonsense line\n";
        let resolver = SystemResolver::from_files(hosts, b"");
        let found: Vec<IpAddr> = resolver.hosts("box").iter().map(|a| a.address).collect();
        assert_eq!(found, ["127.0.0.9".parse::<IpAddr>().unwrap(), "::1".parse().unwrap()]);
        assert!(resolver.hosts("comment").is_empty());
    }

    #[test]
    fn suffixes_follow_ndots() {
        let text = b"nameserver 192.0.2.1\nsearch corp.test lan.test\noptions ndots:2\n";
        let resolver = SystemResolver::from_files(b"", text);
        assert_eq!(resolver.candidates("a.b", "a.b"), ["a.b.corp.test", "a.b.lan.test", "a.b"]);
        assert_eq!(resolver.candidates("a.b.c", "a.b.c")[0], "a.b.c");
        assert_eq!(resolver.candidates("a.", "a"), ["a"]);
    }

    #[tokio::test]
    async fn without_a_server_there_is_an_error() {
        let resolver = SystemResolver::from_files(b"", b"");
        assert_eq!(resolver.lookup("a.test").await, Err(DnsError::NoServer));
        let local = resolver.lookup("localhost").await.unwrap();
        assert_eq!(local[0].address, IpAddr::from([127, 0, 0, 1]));
    }

    proptest! {
        #[test]
        fn any_files_are_read(hosts in prop::collection::vec(any::<u8>(), 0..120),
                              text in "[a-z0-9.: \n-]{0,120}") {
            let lines = format!("nameserver {text}\nsearch {text}\noptions {text}\n");
            for conf in [&hosts[..], lines.as_bytes()] {
                let resolver = SystemResolver::from_files(&hosts, conf);
                prop_assert!(resolver.clients.len() <= SERVERS_MAX);
                prop_assert!(resolver.candidates("a.test", "a.test").len() <= SEARCH_MAX + 1);
            }
        }
    }
}
