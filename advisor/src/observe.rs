//! What clients see, over sockets: the zone's name servers asked with client subnets, and endpoints
//! asked over TLS as clients would ask them.
//!
//! The implementation of [`Answers`]. It asks and reports; others judge.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use probe::clock::Clock;
use probe::config::{Config, Endpoint, RegionProof as ProofRule, Vantage};
use probe::dns::{Answer, Client, RecordType as DnsType, ResponseCode, SystemResolver};
use probe::exchange::{Exchange, Names, Proof, Request, Trust, TrustError};
use probe::sample::Connection;
use probe::url::{HostPort, HttpUrl, IpPrefix};

use crate::answers::{Answered, Answers, AskError, Question};
use crate::canary::Lane;
use crate::guard::{RegionProof, TargetProof};
use crate::mark::{Marks, Shadow, fields};
use crate::name::{Label, Name};
use crate::record::RecordType;

/// How long an endpoint may take to prove itself.
const PROOF_TIMEOUT: Duration = Duration::from_secs(10);
/// How often an answered address is asked before it counts as failing.
const PROOF_TRIES: u32 = 3;
/// The port of DNS.
const DNS_PORT: u16 = 53;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;

/// Why nothing can be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The roots of trust.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The zone's name servers have no addresses.
    #[error("none of the zone's name servers could be resolved ({0})")]
    NameServers(String),
}

/// Observes one service.
pub struct Observer {
    config: Config,
    service: Name,
    servers: Vec<SocketAddr>,
    /// Why there are no servers, where there are none.
    unresolved: Option<String>,
    resolver: SystemResolver,
    exchange: Arc<Exchange>,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Observer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Observer").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Observer {
    /// An observer of `service`. Without `[dns] servers` the zone's own name servers are asked; where
    /// none of them has an address, DNS cannot be asked, which [`Observer::reaches_dns`] tells.
    pub async fn new(
        config: &Config,
        service: Name,
        name_servers: &[String],
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ObserveError> {
        let system = SystemResolver::from_system();
        let (servers, unresolved) = if config.dns.servers.is_empty() {
            match addresses_of(&system, name_servers).await {
                Ok(servers) => (servers, None),
                Err(cause) => (Vec::new(), Some(cause)),
            }
        } else {
            (config.dns.servers.clone(), None)
        };
        let resolver = if config.dns.servers.is_empty() {
            system
        } else {
            SystemResolver::from_servers(&config.dns.servers)
        };
        let trust = Trust::system(config.probe.ca_file.as_deref())?;
        let exchange = Arc::new(Exchange::new(&trust, resolver.clone(), Arc::clone(&clock))?);
        let config = config.clone();
        Ok(Self { config, service, servers, unresolved, resolver, exchange, clock })
    }

    /// Whether there is anybody to ask by DNS: without that, nothing written could be verified.
    pub fn reaches_dns(&self) -> Result<(), ObserveError> {
        match &self.unresolved {
            None => Ok(()),
            Some(cause) => Err(ObserveError::NameServers(cause.clone())),
        }
    }

    /// Asks the servers in turn until one answers.
    async fn ask(
        &self,
        name: &Name,
        record_type: DnsType,
        subnet: Option<IpPrefix>,
    ) -> Result<Answer, AskError> {
        let nobody = "there is no name server to ask".to_owned();
        let mut last = AskError::Unreachable(self.unresolved.clone().unwrap_or(nobody));
        for server in &self.servers {
            match Client::new(*server).query(name.without_dot(), record_type, subnet).await {
                Ok(answer) if answer.rcode == ResponseCode::NoError => return Ok(answer),
                Ok(answer) => {
                    let said = format!("{server} answers {} for {name}", answer.rcode);
                    last = AskError::Unusable(said);
                }
                // One that answered says more than one that did not.
                Err(error) if matches!(last, AskError::Unreachable(_)) => {
                    last = AskError::Unreachable(error.to_string());
                }
                Err(_) => {}
            }
        }
        Err(last)
    }

    /// The IPv4 addresses that a name server of the zone answers for a name.
    pub async fn addresses(&self, name: &Name) -> Result<BTreeSet<IpAddr>, AskError> {
        let answer = self.ask(name, DnsType::A, None).await?;
        Ok(answer.addresses().map(|(address, _)| address).collect())
    }

    /// What an endpoint shows of itself when it is asked as the service, through its alias target.
    pub async fn show(&self, id: &str) -> Result<Proof, String> {
        let endpoint =
            self.endpoint(id).ok_or_else(|| "it is not in the configuration".to_owned())?;
        let addresses = self.alias_addresses(endpoint).await?;
        // IPv4 where there is any: health checkers and many probes have no IPv6.
        let address = addresses.iter().find(|address| address.is_ipv4()).or(addresses.first());
        let address = address.ok_or_else(|| "its alias target has no address".to_owned())?;
        self.healthy_proof(endpoint, *address).await
    }

    /// The measured path, as this observer uses it.
    #[must_use]
    pub fn exchange(&self) -> Arc<Exchange> {
        Arc::clone(&self.exchange)
    }

    /// How long resolvers may keep the service's answers: the longest of those that vantages get.
    pub async fn ttl(&self) -> Option<Duration> {
        let mut longest = None;
        for vantage in &self.config.vantages {
            let Some(subnet) = vantage.subnet4.or(vantage.subnet6) else { continue };
            let dns_type = if subnet.address.is_ipv4() { DnsType::A } else { DnsType::AAAA };
            let answer = self.ask(&self.service, dns_type, Some(subnet)).await.ok()?;
            longest = longest.max(answer.addresses().map(|(_, ttl_s)| ttl_s).max());
        }
        longest.map(|ttl_s| Duration::from_secs(u64::from(ttl_s)))
    }

    /// What a vantage asks of both arms, the old one first: each by the arm's own name, with SNI and
    /// Host of the service, for the path that is measured of the endpoint behind it; by new and by kept
    /// connections, as they share the cost. `None` where the configuration has no such vantage or endpoint.
    #[must_use]
    pub fn lane(&self, vantage: &str, arms: [(&Name, &str); 2]) -> Option<Lane> {
        let vantage = self.config.vantages.iter().find(|one| one.id == vantage)?;
        let request = |(arm, endpoint): (&Name, &str)| {
            let endpoint = self.endpoint(endpoint)?;
            let service = service_url(endpoint, &self.service);
            let url = HttpUrl { path: endpoint.url.path.clone(), ..service };
            let host = arm.without_dot().to_owned();
            let by = |(connection, share): (Connection, f64)| {
                let request = Request {
                    key: format!("{} {arm} {}", vantage.id, connection.as_str()),
                    connect_to: Some(HostPort { host: host.clone(), port: url.port }),
                    proxy: vantage.proxy.clone(),
                    connection,
                    timeout: self.config.probe.timeout,
                    names: Names::Authoritative(self.servers.clone()),
                    subnet: vantage.subnet4.or(vantage.subnet6),
                    ..Request::get(url.clone())
                };
                (share, Arc::new(request))
            };
            Some(cost_shares(&self.config).into_iter().map(by).collect())
        };
        let [old, new] = arms.map(request);
        Some(Lane { vantage: vantage.id.clone(), old: old?, new: new? })
    }

    fn endpoint(&self, id: &str) -> Option<&Endpoint> {
        self.config.endpoints.iter().find(|endpoint| endpoint.id == id)
    }

    /// The addresses of an endpoint's alias target.
    async fn alias_addresses(&self, endpoint: &Endpoint) -> Result<BTreeSet<IpAddr>, String> {
        let alias = endpoint.alias.as_ref().ok_or_else(|| "it has no alias".to_owned())?;
        let found =
            self.resolver.lookup(&alias.dns_name).await.map_err(|error| error.to_string())?;
        Ok(found.into_iter().map(|answer| answer.address).collect())
    }

    /// Asks an address over TLS with SNI and Host of the service, for the path of the health URL.
    async fn prove_at(&self, endpoint: &Endpoint, address: IpAddr) -> Result<Proof, String> {
        let mut request = Request::get(service_url(endpoint, &self.service));
        let port = request.url.port;
        request.connect_to = Some(HostPort { host: address.to_string(), port });
        request.timeout = PROOF_TIMEOUT;
        self.exchange.prove(&request).await.map_err(|outcome| match outcome.detail() {
            Some(detail) => format!("{} ({detail})", outcome.kind()),
            None => outcome.kind().to_owned(),
        })
    }

    /// The same, where the answer is one that a health checker would count as healthy.
    async fn healthy_proof(&self, endpoint: &Endpoint, address: IpAddr) -> Result<Proof, String> {
        let proof = self.prove_at(endpoint, address).await?;
        if (200..400).contains(&proof.status) {
            Ok(proof)
        } else {
            Err(format!("status {}", proof.status))
        }
    }

    async fn prove_endpoint(&self, id: &str) -> Result<(i64, RegionProof), String> {
        let endpoint =
            self.endpoint(id).ok_or_else(|| "it is not in the configuration".to_owned())?;
        let proof = self.show(id).await?;
        let not_after_s =
            proof.certificate_not_after_s.ok_or_else(|| "it shows no certificate".to_owned())?;
        Ok((not_after_s.saturating_mul(1_000), region_proof(endpoint, &proof)))
    }

    /// Which endpoint an answered address belongs to, by what it proves over TLS. `None` where no
    /// endpoint says how to prove a Region.
    async fn proven(&self, address: IpAddr) -> Option<Result<String, String>> {
        let rule = |endpoint: &&Endpoint| endpoint.region_proof.is_some();
        let asked = self.config.endpoints.iter().find(rule)?;
        let mut tried = self.healthy_proof(asked, address).await;
        // One lost request must not take a change back.
        for _ in 1..PROOF_TRIES {
            if tried.is_ok() {
                break;
            }
            tried = self.healthy_proof(asked, address).await;
        }
        let proof = match tried {
            Ok(proof) => proof,
            Err(cause) => return Some(Err(cause)),
        };
        let named = self
            .config
            .endpoints
            .iter()
            .filter(rule)
            .find(|endpoint| region_proof(endpoint, &proof) == RegionProof::Proven);
        Some(named.map(|endpoint| endpoint.id.clone()).ok_or_else(|| "proves no Region".to_owned()))
    }

    fn subnet(vantage: &Vantage, family: &RecordType) -> Option<IpPrefix> {
        match family {
            RecordType::Aaaa => vantage.subnet6.or(vantage.subnet4),
            _ => vantage.subnet4.or(vantage.subnet6),
        }
    }
}

/// The connections that are measured, with their shares of the cost.
fn cost_shares(config: &Config) -> Vec<(Connection, f64)> {
    let cold_share = config.evidence.cold_share;
    let is_measured = |connection| config.probe.connections.contains(&connection);
    match (is_measured(Connection::Cold), is_measured(Connection::Warm)) {
        (true, true) if cold_share <= 0.0 => vec![(Connection::Warm, 1.0)],
        (true, true) if cold_share < 1.0 => {
            vec![(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)]
        }
        (false, true) => vec![(Connection::Warm, 1.0)],
        _ => vec![(Connection::Cold, 1.0)],
    }
}

/// What a client of the service would ask this endpoint: the service's name, never that of the URL which
/// is measured. Only the port is that of the endpoint, and the path that of its health URL.
fn service_url(endpoint: &Endpoint, service: &Name) -> HttpUrl {
    let path = endpoint.health_url.as_ref().map_or(&endpoint.url.path, |health| &health.path);
    let port_of_url = if endpoint.url.https { endpoint.url.port } else { HTTPS_PORT };
    let port = endpoint.connect_to.as_ref().map_or(port_of_url, |to| to.port);
    let host = service.without_dot().to_owned();
    HttpUrl { https: true, host, port, path: path.clone() }
}

/// What all addresses of one answer prove: clients pick any of them, so that one that proves
/// something else decides.
fn unanimous(proofs: Vec<Result<String, String>>) -> Option<Result<String, String>> {
    let mut proofs = proofs.into_iter();
    let first = proofs.next()?;
    let other = proofs.find(|other| *other != first);
    match (&first, other) {
        (Ok(here), Some(Ok(there))) => Some(Err(format!("is {here} and {there} at once"))),
        (Ok(_), Some(failed)) => Some(failed),
        _ => Some(first),
    }
}

async fn addresses_of(
    resolver: &SystemResolver,
    names: &[String],
) -> Result<Vec<SocketAddr>, String> {
    let mut servers = Vec::new();
    let mut cause = "the zone names none".to_owned();
    for name in names {
        match resolver.lookup(name).await {
            Ok(found) => {
                let v4 = found.iter().find(|answer| answer.address.is_ipv4());
                servers.extend(v4.map(|answer| SocketAddr::new(answer.address, DNS_PORT)));
            }
            Err(error) => cause = error.to_string(),
        }
    }
    if servers.is_empty() { Err(cause) } else { Ok(servers) }
}

/// Whether a response names the endpoint's Region, by the endpoint's own rule.
fn region_proof(endpoint: &Endpoint, proof: &Proof) -> RegionProof {
    let named = match &endpoint.region_proof {
        None => return RegionProof::Unproven,
        Some(ProofRule::Header(wanted)) => {
            proof.headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.clone())
        }
        Some(ProofRule::Pointer(pointer)) => serde_json::from_slice(&proof.body)
            .ok()
            .and_then(|body: serde_json::Value| Some(body.pointer(pointer)?.as_str()?.to_owned())),
    };
    match named {
        Some(region) if region == endpoint.region => RegionProof::Proven,
        Some(other) => RegionProof::Wrong(format!(
            "it says '{}', not '{}'",
            other.escape_debug(),
            endpoint.region
        )),
        None => RegionProof::Wrong("it names no Region".to_owned()),
    }
}

impl Answers for Observer {
    async fn preferred(&self, shadow: Shadow) -> Result<BTreeMap<String, Label>, AskError> {
        let mut preferred = BTreeMap::new();
        for vantage in &self.config.vantages {
            let Some(subnet) = vantage.subnet4.or(vantage.subnet6) else { continue };
            preferred.insert(vantage.id.clone(), self.preferred_for(shadow, subnet).await?);
        }
        Ok(preferred)
    }

    async fn preferred_for(&self, shadow: Shadow, subnet: IpPrefix) -> Result<Label, AskError> {
        let name = Marks::of(&self.service).shadow(shadow);
        let answer = self.ask(&name, DnsType::TXT, Some(subnet)).await?;
        let label = answer.texts().find_map(|text| fields(text).get("label").copied());
        let unlabelled = || AskError::Unusable(format!("{name} answers without a label"));
        Ok(Label::new(label.ok_or_else(unlabelled)?))
    }

    async fn prove(&self, endpoints: &[String]) -> Vec<TargetProof> {
        let mut proofs = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            let answer = self.prove_endpoint(endpoint).await;
            let taken_at_ms = self.clock.wall_ms();
            proofs.push(TargetProof { endpoint: endpoint.clone(), taken_at_ms, answer });
        }
        proofs
    }

    async fn target_addresses(
        &self,
        endpoint: &str,
        family: &RecordType,
    ) -> Result<BTreeSet<IpAddr>, String> {
        let endpoint =
            self.endpoint(endpoint).ok_or_else(|| "it is not in the configuration".to_owned())?;
        let addresses = self.alias_addresses(endpoint).await?;
        let wants_v6 = *family == RecordType::Aaaa;
        Ok(addresses.into_iter().filter(|address| address.is_ipv6() == wants_v6).collect())
    }

    async fn answers(&self, families: &[RecordType]) -> Vec<Answered> {
        let mut answers = Vec::new();
        let mut proven: BTreeMap<IpAddr, Option<Result<String, String>>> = BTreeMap::new();
        for vantage in &self.config.vantages {
            for family in families {
                let Some(subnet) = Self::subnet(vantage, family) else { continue };
                let dns_type = if *family == RecordType::Aaaa { DnsType::AAAA } else { DnsType::A };
                let asked = self.ask(&self.service, dns_type, Some(subnet)).await;
                let addresses: Result<BTreeSet<IpAddr>, String> = asked
                    .map_err(|error| error.to_string())
                    .map(|answer| answer.addresses().map(|(address, _)| address).collect());
                let mut proofs = Vec::new();
                for address in addresses.iter().flatten().filter(|address| address.is_ipv4()) {
                    if !proven.contains_key(address) {
                        proven.insert(*address, self.proven(*address).await);
                    }
                    proofs.extend(proven.get(address).cloned().flatten());
                }
                let proof = unanimous(proofs);
                let question = Question { vantage: vantage.id.clone(), family: family.clone() };
                answers.push(Answered { question, addresses, proven: proof });
            }
        }
        answers
    }

    async fn lock_is_everywhere(&self, run: &str) -> bool {
        let name = Marks::of(&self.service).lock();
        for server in &self.servers {
            let asked = Client::new(*server).query(name.without_dot(), DnsType::TXT, None).await;
            let shows = asked.is_ok_and(|answer| {
                answer.texts().any(|text| fields(text).get("run") == Some(&run))
            });
            if !shows {
                return false;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_is_asked_for_whatever_is_measured() {
        let config = |endpoint: &str| {
            let text = format!(
                "name = \"api.example.com\"\nzone = \"example.com\"\n[[vantage]]\nid = \"v\"\n\
                 population = \"cloud\"\n[[endpoint]]\nid = \"e\"\nregion = \"eu-west-1\"\n{endpoint}"
            );
            let nothing = BTreeMap::new();
            let flags = probe::config::Flags::default();
            probe::config::build(probe::config::DEFAULTS, &text, &nothing, &flags).unwrap()
        };
        for (endpoint, expected) in [
            ("url = \"https://eu.api.example.com/ping\"", "https://api.example.com/ping"),
            ("url = \"http://eu.api.example.com:8080/x\"", "https://api.example.com/x"),
            (
                "url = \"https://x.example.com/ping\"\nconnect_to = \"192.0.2.1:8443\"\n\
                 health_url = \"https://eu.api.example.com/health\"",
                "https://api.example.com:8443/health",
            ),
        ] {
            let config = config(endpoint);
            let service = Name::parse(&config.name).unwrap();
            let url = service_url(&config.endpoints[0], &service).to_string();
            assert_eq!(url, expected);
        }
    }
}
