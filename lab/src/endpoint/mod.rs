//! Regional endpoints: real HTTPS servers, one for each endpoint of the world, on one port they share.
//!
//! DNS answers carry no port, so every endpoint listens on its own 127/8 address and on the same port. This file
//! binds, accepts and applies faults of connections; what is answered is in `respond`.

mod respond;

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;

use crate::ca::{Authority, CaError};
use crate::clock::Timer;
use crate::scenario::{ConnectionFault, Faults, ScenarioError, check_faults};
use crate::world::World;
use respond::Responder;

/// Connections of one endpoint at a time; more are closed and counted.
const CONNECTIONS_MAX: usize = 2048;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// How long a connection may stay silent, as API Gateway's 310 s.
const IDLE: Duration = Duration::from_secs(310);
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

/// All running endpoints.
pub struct Endpoints {
    port: u16,
    handles: Vec<(String, FaultHandle)>,
    tasks: Vec<JoinHandle<()>>,
}

impl Endpoints {
    /// Starts the endpoints of a world until `stop` changes.
    pub(crate) fn start(
        world: &World,
        authority: &Authority,
        timer: &Timer,
        stop: &watch::Receiver<bool>,
    ) -> Result<Self, EndpointError> {
        let addresses: Vec<Ipv4Addr> = world.endpoints().iter().map(|e| e.ipv4).collect();
        let (port, listeners) = bind_all(&addresses)?;
        let mut handles = Vec::new();
        let mut tasks = Vec::new();
        for (endpoint, listener) in world.endpoints().iter().zip(listeners) {
            let names = [
                world.scenario().name.clone(),
                endpoint.health_name.clone(),
                endpoint.dns_name.clone(),
                endpoint.health_dns_name.clone(),
            ];
            let (faults, seen) = watch::channel(endpoint.faults.clone());
            let refused = Arc::new(AtomicU64::new(0));
            let server = Server {
                addr: SocketAddr::from((endpoint.ipv4, port)),
                acceptor: TlsAcceptor::from(authority.server_config(&names)?),
                responder: Arc::new(Responder::new(world, endpoint, timer.clone())),
                faults: seen,
                refused: Arc::clone(&refused),
                stop: stop.clone(),
            };
            let handle = FaultHandle { faults: Arc::new(faults), refused };
            handles.push((endpoint.region.clone(), handle));
            tasks.push(tokio::spawn(server.run(listener)));
        }
        Ok(Self { port, handles, tasks })
    }

    /// The port they share.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The faults of the endpoint in a Region.
    #[must_use]
    pub fn faults(&self, region: &str) -> Option<FaultHandle> {
        self.handles.iter().find(|(r, _)| r == region).map(|(_, handle)| handle.clone())
    }

    pub(crate) async fn join(self) {
        for task in self.tasks {
            // A task that panicked has been reported by the runtime already.
            let _ = task.await;
        }
    }
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

fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // So that an endpoint that refused for a while can listen again beside its old connections.
    socket.set_reuseaddr(addr.port() != 0)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

struct Server {
    addr: SocketAddr,
    acceptor: TlsAcceptor,
    responder: Arc<Responder>,
    faults: watch::Receiver<Faults>,
    refused: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
}

impl Server {
    async fn run(mut self, listener: TcpListener) {
        let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        let mut connections = JoinSet::new();
        let mut listener = Some(listener);
        let mut stop = self.stop.clone();
        loop {
            let refuse = self.faults.borrow_and_update().connections == ConnectionFault::Refuse;
            if refuse {
                listener = None;
            } else if listener.is_none() {
                listener = self.listen_again().await;
            }
            tokio::select! {
                _ = stop.wait_for(|stopped| *stopped) => return,
                changed = self.faults.changed() => if changed.is_err() { return },
                Some(_) = connections.join_next() => {}
                Some(stream) = accept(listener.as_ref()) => {
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                        self.refused.fetch_add(1, Ordering::Relaxed);
                        continue;
                    };
                    let serve = self.serve(stream);
                    connections.spawn(async move {
                        let _permit = permit;
                        serve.await;
                    });
                }
            }
        }
    }

    async fn listen_again(&self) -> Option<TcpListener> {
        let bound = listen(self.addr);
        if let Err(error) = &bound {
            tracing::warn!(addr = %self.addr, %error, "endpoint cannot listen again yet");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bound.ok()
    }

    /// One connection, until it ends or a fault cuts it.
    fn serve(&self, stream: TcpStream) -> impl Future<Output = ()> + Send + 'static {
        let (mut faults, acceptor) = (self.faults.clone(), self.acceptor.clone());
        let responder = Arc::clone(&self.responder);
        async move {
            if faults.borrow().connections == ConnectionFault::Reset {
                // After the first bytes, so that it is the handshake that is cut and not the connect.
                let _ = tokio::time::timeout(HANDSHAKE, stream.peek(&mut [0])).await;
            }
            let reset = Arc::new(AtomicBool::new(false));
            let stream = Cuttable { stream, reset: Arc::clone(&reset) };
            let serving = connection(stream, acceptor, responder, faults.clone());
            let cut = async {
                let cuts = |f: &Faults| {
                    matches!(f.connections, ConnectionFault::Refuse | ConnectionFault::Reset)
                };
                let how = faults.wait_for(cuts).await.map(|f| f.connections);
                match how {
                    Ok(how) => reset.store(how == ConnectionFault::Reset, Ordering::Relaxed),
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = cut => {}
                () = serving => {}
            }
        }
    }
}

/// The next connection; never, without a listener. `None` is an accept that failed.
async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => match listener.accept().await {
            Ok((stream, _)) => {
                // Without it small answers would wait for acknowledgements; a socket already gone errs later.
                let _ = stream.set_nodelay(true);
                Some(stream)
            }
            Err(error) => {
                tracing::warn!(%error, "endpoint could not accept");
                tokio::time::sleep(Duration::from_millis(10)).await;
                None
            }
        },
        None => std::future::pending().await,
    }
}

async fn connection(
    stream: Cuttable,
    acceptor: TlsAcceptor,
    responder: Arc<Responder>,
    mut faults: watch::Receiver<Faults>,
) {
    if flowing(&mut faults).await.is_none() {
        return;
    }
    let Ok(Ok(tls)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await else {
        return;
    };
    let session = tls.get_ref().1;
    let sni = session.server_name().map(str::to_ascii_lowercase);
    let h2 = session.alpn_protocol() == Some(b"h2");
    let service = service_fn(move |request| {
        let (responder, sni, mut faults) = (Arc::clone(&responder), sni.clone(), faults.clone());
        async move {
            let now = flowing(&mut faults).await.unwrap_or_default();
            Ok::<_, std::convert::Infallible>(
                responder.respond(&request, sni.as_deref(), &now).await,
            )
        }
    });
    let io = TokioIo::new(tls);
    let ended = if h2 {
        let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).max_concurrent_streams(128);
        builder.serve_connection(io, service).await
    } else {
        let mut builder = hyper::server::conn::http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
        builder.serve_connection(io, service).await
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "connection to an endpoint ended");
    }
}

/// The faults as soon as they let connections be; `None` when the lab is gone.
///
/// Where the fault cuts connections nothing may be answered either, even if the cut comes a moment later.
async fn flowing(faults: &mut watch::Receiver<Faults>) -> Option<Faults> {
    let flows = |f: &Faults| f.connections == ConnectionFault::None;
    faults.wait_for(flows).await.ok().map(|f| f.clone())
}

/// A stream that can be told to end in a reset.
struct Cuttable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Cuttable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // A socket already gone cannot be reset, and need not be.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Cuttable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Cuttable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
