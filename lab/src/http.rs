//! A plain HTTP/1.1 server on loopback for the lab's AWS APIs: bounded, and stopped from outside.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::accept::{accept, stopped};

/// Connections of one API at a time; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 256;
/// How long a connection may stay silent.
const IDLE: Duration = Duration::from_mins(2);

/// Bytes of a request's body; a longer one is refused. Twice what the largest request of an API may hold.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What an API answers; `None` ends the connection without an answer.
pub(crate) type Handler = dyn Fn(&Request<Bytes>) -> Option<Response<Full<Bytes>>> + Send + Sync;

/// A running API.
pub(crate) struct HttpServer {
    addr: SocketAddr,
    task: JoinHandle<()>,
}

impl HttpServer {
    /// Listens on a port of the system's choice on 127.0.0.1 until `stop` changes.
    pub(crate) async fn start(
        handler: Arc<Handler>,
        stop: watch::Receiver<bool>,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let serving = move |stream, _| serve(stream, Arc::clone(&handler));
        let task = tokio::spawn(accept(listener, CONNECTIONS_MAX, stopped(stop), serving));
        Ok(Self { addr, task })
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Waits until it has stopped.
    pub(crate) async fn join(self) {
        // A task that panicked has been reported by the runtime already.
        let _ = self.task.await;
    }
}

async fn serve(stream: TcpStream, handler: Arc<Handler>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let handler = Arc::clone(&handler);
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
                let mut refused = Response::new(Full::default());
                *refused.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
                return Ok(refused);
            };
            let request = Request::from_parts(head, body.to_bytes());
            handler(&request).ok_or("the connection is to end without an answer")
        }
    });
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(IDLE);
    if let Err(error) = builder.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection to a lab API ended");
    }
}
