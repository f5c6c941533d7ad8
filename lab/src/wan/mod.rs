//! The WAN: a SOCKS5 server that is the ocean between a place and an endpoint.
//!
//! The user's name says where the caller stands: a vantage's id or a client's prefix. CONNECT is answered after
//! one round trip, bytes take half each way. It must never let a connection be faster than the world's figure.

mod pipe;
mod socks;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accept::{accept, stopped};
use crate::clock::{Timer, millis, now};
use crate::random::stream;
use crate::scenario::WanSpec;
use crate::world::{PlaceId, World};
use pipe::Way;
use socks::{Reply, Target};

/// Connections at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 4096;
/// How long greeting, name look-up and dialling may take each.
const PATIENCE: Duration = Duration::from_secs(15);

/// Resolves names of the hosted zone as a client at an address would see them.
pub trait NameLookup: Send + Sync + 'static {
    /// The addresses of a name, in the order to try them; empty when there are none.
    fn lookup<'a>(
        &'a self,
        name: &'a str,
        client: IpAddr,
    ) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send + 'a>>;
}

/// The running WAN.
pub struct Wan {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

struct Shared {
    world: Arc<World>,
    names: Arc<dyn NameLookup>,
    timer: Timer,
    weather: Arc<WanSpec>,
    connections: AtomicU64,
}

impl Wan {
    /// Listens on 127.0.0.1 until `stop` changes.
    pub(crate) async fn start(
        world: Arc<World>,
        names: Arc<dyn NameLookup>,
        timer: Timer,
        stop: watch::Receiver<bool>,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let weather = Arc::new(world.scenario().wan.clone());
        let connections = AtomicU64::new(0);
        let shared = Arc::new(Shared { world, names, timer, weather, connections });
        let serving = move |stream, _| Arc::clone(&shared).serve(stream);
        let task = tokio::spawn(accept(listener, CONNECTIONS_MAX, stopped(stop), serving));
        Ok(Self { addr, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    pub(crate) async fn join(self) {
        // A task that panicked has been reported by the runtime already.
        let _ = self.task.await;
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, stream: TcpStream) {
        if let Err(error) = self.connection(stream).await {
            tracing::debug!(%error, "connection to the WAN ended");
        }
    }

    async fn connection(&self, mut near: TcpStream) -> io::Result<()> {
        near.set_nodelay(true)?;
        let Some(place) = patient(self.greet(&mut near)).await? else { return Ok(()) };
        let (target, port) = match patient(socks::request(&mut near)).await? {
            Ok(wanted) => wanted,
            Err(refusal) => return socks::reply(&mut near, refusal).await,
        };
        let Some((addr, rtt_ms)) = self.find(place, &target).await else {
            return socks::reply(&mut near, Reply::HostUnreachable).await;
        };
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let (mut out, mut back) = (self.way(rtt_ms, number * 2), self.way(rtt_ms, number * 2 + 1));
        let answered_at = now() + millis(out.one_way_ms() + back.one_way_ms());
        let dialled = patient(TcpStream::connect((addr, port))).await;
        self.timer.sleep_until(answered_at).await;
        match dialled {
            Ok(far) => {
                far.set_nodelay(true)?;
                socks::reply(&mut near, Reply::Succeeded).await?;
                pipe::carry(near, far, out, back).await;
                Ok(())
            }
            Err(error) => socks::reply(&mut near, refusal(&error)).await,
        }
    }

    /// The caller's place; a stranger is told so and gets none.
    async fn greet(&self, near: &mut TcpStream) -> io::Result<Option<PlaceId>> {
        let user = socks::user(near).await?;
        let place = self.world.place(&user);
        socks::login(near, place.is_some()).await?;
        Ok(place)
    }

    /// The loopback address behind a target, and the round trip there in ms.
    async fn find(&self, place: PlaceId, target: &Target) -> Option<(IpAddr, f64)> {
        let addresses = match target {
            Target::Addr(addr) => vec![*addr],
            Target::Name(name) => self.resolve(place, name).await,
        };
        let (ipv4, rtt_ms) = addresses.iter().find_map(|&addr| self.world.way_to(place, addr))?;
        Some((ipv4.into(), rtt_ms))
    }

    /// An AWS name leads to its resource from anywhere; others are asked for as the caller would.
    async fn resolve(&self, place: PlaceId, name: &str) -> Vec<IpAddr> {
        let asks = self.world.address_of(place);
        if let Some(known) = self.world.resource_for(name, asks) {
            return known.ipv4.into_iter().map(IpAddr::from).collect();
        }
        patient(async { Ok(self.names.lookup(name, asks).await) }).await.unwrap_or_default()
    }

    fn way(&self, rtt_ms: f64, number: u64) -> Way {
        Way {
            rtt_ms,
            wan: Arc::clone(&self.weather),
            timer: self.timer.clone(),
            rng: stream(self.world.seed(), "wan", number),
        }
    }
}

fn refusal(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reply::ConnectionRefused,
        io::ErrorKind::TimedOut
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable => Reply::HostUnreachable,
        _ => Reply::GeneralFailure,
    }
}

async fn patient<T>(work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(done) => done,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}
