//! Everything that answers over HTTPS: the endpoints, and where a scenario has them the edges and the tiers, all on
//! one port they share.
//!
//! DNS answers carry no port, so every server listens on its own 127/8 address and on the same port. This file
//! gathers and binds; `server` serves; what is answered is in `respond`, `edge` and `tier`.

mod asked;
mod cache;
mod edge;
mod respond;
mod server;
mod tier;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::ca::{Authority, CaError};
use crate::clock::Timer;
use crate::cloudwatch::CloudWatch;
use crate::scenario::{Faults, ScenarioError, check_faults};
use crate::world::World;
use asked::Answers;
use edge::Edge;
use respond::Responder;
use server::{Server, listen};
use tier::Tier;

/// Ports tried before giving up.
const PORT_TRIES: usize = 32;

/// Endpoints that could not start.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// No port was free on every address.
    #[error(
        "no common port on {addresses} loopback addresses from 127.53.0.10 in {PORT_TRIES} tries: {cause}"
    )]
    Port {
        /// How many addresses were wanted.
        addresses: usize,
        /// The last refusal.
        cause: io::Error,
    },
    /// Certificates failed.
    #[error(transparent)]
    Ca(#[from] CaError),
}

/// Sets the faults of one endpoint while it runs.
#[derive(Clone, Debug)]
pub struct FaultHandle {
    faults: Arc<watch::Sender<Faults>>,
    refused: Arc<AtomicU64>,
}

impl FaultHandle {
    /// Replaces all faults at once; values outside their bounds change nothing.
    pub fn set(&self, faults: Faults) -> Result<(), ScenarioError> {
        check_faults(&faults)?;
        self.faults.send_replace(faults);
        Ok(())
    }

    /// No faults any more.
    pub fn clear(&self) {
        self.faults.send_replace(Faults::default());
    }

    /// The faults now.
    #[must_use]
    pub fn get(&self) -> Faults {
        self.faults.borrow().clone()
    }

    /// Connections closed because too many were open.
    #[must_use]
    pub fn dropped_connections(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// One server to be.
struct Site {
    id: String,
    ipv4: Ipv4Addr,
    names: Vec<String>,
    faults: watch::Sender<Faults>,
    answers: Arc<dyn Answers>,
}

/// All running servers.
pub struct Endpoints {
    port: u16,
    handles: Vec<(String, FaultHandle)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Endpoints {
    /// Starts the servers of a world until `stop` changes.
    pub(crate) fn start(
        world: &Arc<World>,
        authority: &Authority,
        timer: &Timer,
        metrics: &CloudWatch,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, EndpointError> {
        let sites = sites(world, timer, metrics);
        let addresses: Vec<Ipv4Addr> = sites.iter().map(|site| site.ipv4).collect();
        let (port, listeners) = bind_all(&addresses)?;
        let mut handles = Vec::new();
        let mut tasks = Vec::new();
        for (site, listener) in sites.into_iter().zip(listeners) {
            let refused = Arc::new(AtomicU64::new(0));
            let server = Server {
                addr: SocketAddr::from((site.ipv4, port)),
                acceptor: TlsAcceptor::from(authority.server_config(&site.names)?),
                answers: site.answers,
                faults: site.faults.subscribe(),
                refused: Arc::clone(&refused),
                stop: stop.clone(),
            };
            let handle = FaultHandle { faults: Arc::new(site.faults), refused };
            handles.push((site.id, handle));
            tasks.push(tokio::spawn(server.run(listener)));
        }
        Ok(Self { port, handles, tasks })
    }

    /// The port they share.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The faults of a server: the endpoint in a Region, an edge by its POP's id, a tier by its id.
    #[must_use]
    pub fn faults(&self, id: &str) -> Option<FaultHandle> {
        self.handles.iter().find(|(known, _)| known == id).map(|(_, handle)| handle.clone())
    }

    pub(crate) async fn join(self) {
        for task in self.tasks {
            // A task that panicked has been reported by the runtime already.
            let _ = task.await;
        }
    }
}

/// The endpoints first, then edges and tiers.
fn sites(world: &Arc<World>, timer: &Timer, metrics: &CloudWatch) -> Vec<Site> {
    let mut sites = Vec::new();
    let mut origins = Vec::new();
    for endpoint in world.endpoints() {
        let (faults, seen) = watch::channel(endpoint.faults.clone());
        let responder = Arc::new(Responder::new(world, endpoint, timer.clone(), metrics.clone()));
        let region = endpoint.region.clone();
        origins.push(edge::Origin { region, api: Arc::clone(&responder), faults: seen });
        let names = [
            &world.scenario().name,
            &endpoint.health_name,
            &endpoint.dns_name,
            &endpoint.health_dns_name,
        ];
        let (id, ipv4) = (endpoint.region.clone(), endpoint.ipv4);
        let names = names.map(Clone::clone).to_vec();
        sites.push(Site { id, ipv4, names, faults, answers: responder });
    }
    let Some(app) = world.app() else { return sites };
    let behind: Vec<String> =
        (app.distributions.iter()).flat_map(|d| [d.name.clone(), d.dns_name.clone()]).collect();
    for pop in &app.pops {
        let answers = Arc::new(Edge::new(world, pop, &origins, timer.clone()));
        let (id, names) = (pop.id.clone(), behind.clone());
        let faults = watch::Sender::new(Faults::default());
        sites.push(Site { id, ipv4: pop.ipv4, names, faults, answers });
    }
    for tier in &app.tiers {
        let answers = Arc::new(Tier::new(world, tier, timer.clone()));
        let (id, names) = (tier.id.clone(), vec![tier.name.clone()]);
        let faults = watch::Sender::new(Faults::default());
        sites.push(Site { id, ipv4: tier.ipv4, names, faults, answers });
    }
    sites
}

/// One port that is free on every address: the system chooses for the first, the others must follow.
fn bind_all(addresses: &[Ipv4Addr]) -> Result<(u16, Vec<TcpListener>), EndpointError> {
    let mut last = io::Error::other("no address");
    for _ in 0..PORT_TRIES {
        match try_bind_all(addresses) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = error,
        }
    }
    Err(EndpointError::Port { addresses: addresses.len(), cause: last })
}

fn try_bind_all(addresses: &[Ipv4Addr]) -> io::Result<(u16, Vec<TcpListener>)> {
    let mut port = 0;
    let mut listeners = Vec::with_capacity(addresses.len());
    for &address in addresses {
        let listener = listen(SocketAddr::from((address, port)))?;
        port = listener.local_addr()?.port();
        listeners.push(listener);
    }
    Ok((port, listeners))
}
