//! A relay that lets so many bytes of the server pass, and then ends the connection.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use probe::exchange::{Exchange, Request};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How it ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    Reset,
    Close,
    Silence,
}

/// How many bytes the server says in a whole cold exchange.
pub(crate) async fn length(
    server: SocketAddr,
    exchange: &Exchange,
    request: &impl Fn(SocketAddr) -> Request,
) -> usize {
    let counted = Arc::new(AtomicUsize::new(0));
    let relay = relay(server, usize::MAX, End::Close, Arc::clone(&counted)).await;
    let sample = super::measure(exchange, &request(relay)).await;
    assert!(sample.outcome.is_ok(), "{sample:?}");
    counted.load(Ordering::SeqCst)
}

/// A relay for one connection that ends it after so many bytes of the server.
pub(crate) async fn cut_after(server: SocketAddr, bytes: usize, end: End) -> SocketAddr {
    relay(server, bytes, end, Arc::new(AtomicUsize::new(0))).await
}

async fn relay(server: SocketAddr, most: usize, end: End, counted: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (near, _) = listener.accept().await.unwrap();
        let far = TcpStream::connect(server).await.unwrap();
        near.set_nodelay(true).unwrap();
        far.set_nodelay(true).unwrap();
        let (near, out) = carry(near, far, most, &counted).await;
        match end {
            End::Reset => near.set_zero_linger().unwrap(),
            End::Close => {}
            // Held until the client has given up.
            End::Silence => tokio::time::sleep(2 * super::TIMEOUT).await,
        }
        drop((near, out));
    });
    at
}

/// Carries both ways until the server has said enough, or either side has gone.
async fn carry(
    mut near: TcpStream,
    mut far: TcpStream,
    most: usize,
    counted: &AtomicUsize,
) -> (TcpStream, TcpStream) {
    let (mut asked, mut said) = (vec![0; 4_096], vec![0; 4_096]);
    while counted.load(Ordering::SeqCst) < most {
        let room = said.len().min(most - counted.load(Ordering::SeqCst));
        tokio::select! {
            len = near.read(&mut asked) => match len {
                Ok(len) if len > 0 && far.write_all(&asked[..len]).await.is_ok() => {}
                _ => break,
            },
            len = far.read(&mut said[..room]) => match len {
                Ok(len) if len > 0 && near.write_all(&said[..len]).await.is_ok() => {
                    counted.fetch_add(len, Ordering::SeqCst);
                }
                _ => break,
            },
        }
    }
    (near, far)
}
