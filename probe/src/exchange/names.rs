//! From a host to its addresses, by the source that the request names; with the instants of the
//! question. It remembers who speaks for a zone, for a while, and never an address.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::request::{Names, Request};
use crate::clock::Clock;
use crate::dns::{DnsError, SystemResolver, authorities, lookup_at};
use crate::sample::DnsAnswer;

/// How long the servers of a zone are believed.
const AUTHORITIES_AGE_MAX: Duration = Duration::from_mins(5);
/// Most zones whose servers are remembered.
const AUTHORITIES_MAX: usize = 1_024;

/// Resolves.
#[derive(Debug)]
pub(super) struct NameBook {
    pub resolver: SystemResolver,
    authorities: Mutex<BTreeMap<String, (Instant, Vec<SocketAddr>)>>,
}

/// When it was asked, when the answer came, and the answer.
pub(super) type Asked = (Instant, Instant, Result<Vec<DnsAnswer>, DnsError>);

impl NameBook {
    pub(super) fn new(resolver: SystemResolver) -> Self {
        Self { resolver, authorities: Mutex::new(BTreeMap::new()) }
    }

    /// The addresses of a host. Finding out who speaks for it comes before the question.
    pub(super) async fn ask(&self, request: &Request, host: &str, clock: &dyn Clock) -> Asked {
        let servers = match &request.names {
            Names::System => {
                let asked = clock.now();
                let answer = self.resolver.lookup(host).await;
                return (asked, clock.now(), answer);
            }
            Names::Server(server) => Ok((vec![*server], true)),
            Names::Authoritative(servers) if !servers.is_empty() => Ok((servers.clone(), false)),
            Names::Authoritative(_) => {
                self.authorities_of(host, clock).await.map(|servers| (servers, false))
            }
        };
        let asked = clock.now();
        let answer = match &servers {
            Ok((servers, recurse)) => {
                let whom = (servers.as_slice(), *recurse);
                lookup_at(&self.resolver, whom, host, request.subnet).await
            }
            Err(cause) => Err(cause.clone()),
        };
        (asked, clock.now(), answer)
    }

    async fn authorities_of(
        &self,
        host: &str,
        clock: &dyn Clock,
    ) -> Result<Vec<SocketAddr>, DnsError> {
        let now = clock.now();
        if let Some((since, servers)) = self.lock().get(host)
            && now.saturating_duration_since(*since) < AUTHORITIES_AGE_MAX
        {
            return Ok(servers.clone());
        }
        let servers = authorities(&self.resolver, host).await?;
        let mut known = self.lock();
        if known.len() >= AUTHORITIES_MAX {
            known.clear();
        }
        known.insert(host.to_owned(), (now, servers.clone()));
        Ok(servers)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (Instant, Vec<SocketAddr>)>> {
        self.authorities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
