//! One HTTPS server: accepts, speaks TLS and HTTP, and applies faults of connections. What is answered is decided
//! by an [`Answers`].

use std::io;
use std::net::SocketAddr;
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
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::asked::{Answers, Asked};
use crate::scenario::{ConnectionFault, Faults};

/// Connections of one server at a time; more are closed and counted.
const CONNECTIONS_MAX: usize = 2048;
/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;
/// How long a TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);
/// How long a connection may stay silent, as API Gateway's 310 s.
const IDLE: Duration = Duration::from_secs(310);

pub(super) fn listen(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    // So that an endpoint that refused for a while can listen again beside its old connections.
    socket.set_reuseaddr(addr.port() != 0)?;
    socket.bind(addr)?;
    socket.listen(BACKLOG)
}

/// What one server is made of.
pub(super) struct Server {
    pub(super) addr: SocketAddr,
    pub(super) acceptor: TlsAcceptor,
    pub(super) answers: Arc<dyn Answers>,
    pub(super) faults: watch::Receiver<Faults>,
    pub(super) refused: Arc<AtomicU64>,
    pub(super) stop: watch::Receiver<bool>,
}

impl Server {
    pub(super) async fn run(mut self, listener: TcpListener) {
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
        let answers = Arc::clone(&self.answers);
        async move {
            if faults.borrow().connections == ConnectionFault::Reset {
                // After the first bytes, so that it is the handshake that is cut and not the connect.
                let _ = tokio::time::timeout(HANDSHAKE, stream.peek(&mut [0])).await;
            }
            let reset = Arc::new(AtomicBool::new(false));
            let stream = Cuttable { stream, reset: Arc::clone(&reset) };
            let serving = connection(stream, acceptor, answers, faults.clone());
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
    answers: Arc<dyn Answers>,
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
        let (answers, sni, mut faults) = (Arc::clone(&answers), sni.clone(), faults.clone());
        async move {
            let now = flowing(&mut faults).await.unwrap_or_default();
            let asked = Asked::read(request, sni).await?;
            Ok::<_, hyper::Error>(answers.answer(&asked, &now).await)
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
