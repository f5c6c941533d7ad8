//! The far end: HTTP/1.1 over TLS 1.3, a fixed service time, the head in a record of its own.
//!
//! By hand, so that nothing between request and response is left to a library: the head is one TLS record, so that
//! a prober can know it as soon as its packet is there.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lab::Authority;
use lab::packet::FAR;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::run::Failure;

/// Where it listens.
pub(crate) const PORT: u16 = 8443;
/// Bytes of a request's head at most.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// `serve DIR SERVICE_MS BODY_BYTES`: writes `DIR/ca.pem`, says `ready` on stdout, serves until it is killed.
pub(crate) fn serve(words: &[String]) -> Result<(), Failure> {
    let [dir, service_ms, body_bytes] = words else {
        return Err("serve DIR SERVICE_MS BODY_BYTES".into());
    };
    let service = Duration::from_millis(service_ms.parse()?);
    let body = vec![b'x'; body_bytes.parse()?];
    let authority = Authority::new(jiff::Timestamp::now())?;
    std::fs::write(Path::new(dir).join("ca.pem"), authority.pem())?;
    let config = authority.server_config(&[FAR.to_string()])?;
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async move {
        let listener = TcpListener::bind((FAR, PORT)).await?;
        println!("ready");
        let body: Arc<[u8]> = body.into();
        loop {
            let (stream, _) = listener.accept().await?;
            let (acceptor, body) = (acceptor.clone(), Arc::clone(&body));
            tokio::spawn(async move {
                // A prober that goes away in the middle is its own affair: the capture shows it.
                let _ = converse(stream, acceptor, service, &body).await;
            });
        }
    })
}

async fn converse(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    service: Duration,
    body: &[u8],
) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut tls = acceptor.accept(stream).await?;
    let mut head = Vec::new();
    loop {
        while !head.windows(4).any(|bytes| bytes == b"\r\n\r\n") {
            if head.len() > HEAD_BYTES_MAX || tls.read_buf(&mut head).await? == 0 {
                return tls.shutdown().await;
            }
        }
        head.clear();
        tokio::time::sleep(service).await;
        let answer = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        tls.write_all(answer.as_bytes()).await?;
        tls.flush().await?;
        tls.write_all(body).await?;
        tls.flush().await?;
    }
}
