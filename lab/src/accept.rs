//! The accept loop of the lab's servers: bounded, and stopped from outside. It knows no protocol.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// The wait after a failed accept.
const PAUSE: Duration = Duration::from_millis(50);

/// Serves at most `connections_max` connections at a time until `stopped`; more wait in the kernel's
/// queue. Those that are open then are dropped.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    connections_max: usize,
    stopped: impl Future<Output = ()>,
    serve: impl Fn(TcpStream, SocketAddr) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let permits = Arc::new(Semaphore::new(connections_max));
    let mut connections = JoinSet::new();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => break,
            Some(_) = connections.join_next() => {}
            accepted = async {
                let permit = Arc::clone(&permits).acquire_owned().await;
                (permit, listener.accept().await)
            } => {
                let (Ok(permit), Ok((stream, peer))) = accepted else {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                };
                let serving = serve(stream, peer);
                connections.spawn(async move {
                    serving.await;
                    drop(permit);
                });
            }
        }
    }
    connections.shutdown().await;
}

/// Waits until a server is told to stop.
pub(crate) async fn stopped(mut stop: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is an end too.
    let _ = stop.wait_for(|stopped| *stopped).await;
}
