//! Small servers on loopback for the tests: a good one over TLS, and bad ones of every kind.
#![allow(dead_code, reason = "each test program uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may end with a panic")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use probe::clock::{Clock, SystemClock};
use probe::dns::SystemResolver;
use probe::exchange::{Due, Exchange, Request, Trust};
use probe::sample::Sample;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A certificate authority made for one test, and a certificate of it.
pub(crate) struct Ca {
    pub(crate) folder: tempfile::TempDir,
    issuer: rcgen::Issuer<'static, rcgen::KeyPair>,
}

impl Ca {
    pub(crate) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), certificate.pem()).unwrap();
        Self { folder, issuer: rcgen::Issuer::new(params, key) }
    }

    pub(crate) fn trust(&self) -> Trust {
        Trust::only(&self.folder.path().join("ca.pem")).unwrap()
    }

    /// A client's certificate and key, as two PEM files.
    pub(crate) fn client(&self) -> (std::path::PathBuf, std::path::PathBuf) {
        let key = rcgen::KeyPair::generate().unwrap();
        let params = rcgen::CertificateParams::new(vec!["client".to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let (own, secret) =
            (self.folder.path().join("client.pem"), self.folder.path().join("client.key"));
        std::fs::write(&own, certificate.pem()).unwrap();
        std::fs::write(&secret, key.serialize_pem()).unwrap();
        (own, secret)
    }

    /// As [`Ca::server`], and it takes only clients that this authority knows.
    pub(crate) fn server_for_clients(&self, name: &str) -> Arc<ServerConfig> {
        use rustls::pki_types::pem::PemObject;
        let pem = self.folder.path().join("ca.pem");
        let mut roots = rustls::RootCertStore::empty();
        roots.add(rustls::pki_types::CertificateDer::from_pem_file(pem).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let roots = Arc::new(roots);
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots, provider);
        let (chain, secret) = self.signed(name, (2020, 4000));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(chain, secret)
            .unwrap();
        Arc::new(config)
    }

    fn signed(
        &self,
        name: &str,
        years: (i32, i32),
    ) -> (Vec<rustls::pki_types::CertificateDer<'static>>, PrivateKeyDer<'static>) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        (vec![certificate.der().clone()], secret)
    }

    /// A server's configuration for this name; `years` are those in which it is valid.
    pub(crate) fn server(&self, name: &str, years: (i32, i32)) -> Arc<ServerConfig> {
        self.server_speaking(rustls::DEFAULT_VERSIONS, name, years)
    }

    /// As [`Ca::server`], with these versions of TLS only.
    pub(crate) fn server_speaking(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        name: &str,
        years: (i32, i32),
    ) -> Arc<ServerConfig> {
        let (chain, secret) = self.signed(name, years);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, secret)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Arc::new(config)
    }
}

/// A server whose certificate nobody but itself has signed.
pub(crate) fn self_signed(name: &str) -> Arc<ServerConfig> {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)
        .unwrap();
    Arc::new(config)
}

/// What the good server answers after: long enough to be told from everything else.
pub(crate) const SERVICE: Duration = Duration::from_millis(30);

async fn answer(
    request: HttpRequest<Incoming>,
) -> Result<Response<http_body_util::Full<Bytes>>, Infallible> {
    tokio::time::sleep(SERVICE).await;
    let response = Response::builder()
        .status(if request.uri().path() == "/missing" { 404 } else { 200 })
        .header("x-amz-cf-pop", "FRA2-C2")
        .header("x-cache", "Hit from cloudfront")
        .header("age", "12")
        .header("server-timing", "app;dur=30")
        .header("x-region", "eu-west-1");
    Ok(response.body(http_body_util::Full::new(Bytes::from_static(b"{\"region\":\"x\"}"))).unwrap())
}

/// A server that works, over TLS, HTTP/1.1 and HTTP/2.
pub(crate) async fn good(config: Arc<ServerConfig>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = TlsAcceptor::from(Arc::clone(&config));
            tokio::spawn(async move {
                stream.set_nodelay(true).unwrap();
                let Ok(tls) = acceptor.accept(stream).await else { return };
                let h2 = tls.get_ref().1.alpn_protocol() == Some(b"h2");
                let (io, service) = (TokioIo::new(tls), service_fn(answer));
                if h2 {
                    let builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(io, service).await;
                } else {
                    let builder = hyper::server::conn::http1::Builder::new();
                    let _ = builder.serve_connection(io, service).await;
                }
            });
        }
    });
    at
}

/// A plain server that does `behave` with each connection.
pub(crate) async fn plain<F, W>(behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    plain_at("127.0.0.1:0", behave).await
}

/// As [`plain`], at an address of choice.
pub(crate) async fn plain_at<F, W>(at: &str, behave: F) -> SocketAddr
where
    F: Fn(TcpStream) -> W + Send + 'static,
    W: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind(at).await.unwrap();
    let at = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(behave(stream));
        }
    });
    at
}

/// Closes with a reset instead of an end.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

/// Reads a request head.
pub(crate) async fn read_head(stream: &mut TcpStream) {
    let mut seen = Vec::new();
    while !seen.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => seen.push(byte),
            Err(_) => return,
        }
    }
}

/// A SOCKS5 server that takes any user with an empty password, and waits before it answers.
pub(crate) async fn socks(user: &'static str, to: SocketAddr, wait: Duration) -> SocketAddr {
    plain(move |mut stream| async move {
        stream.set_nodelay(true).unwrap();
        let mut offer = [0_u8; 4];
        stream.read_exact(&mut offer).await.unwrap();
        assert_eq!(offer, [5, 2, 0, 2]);
        stream.write_all(&[5, 2]).await.unwrap();
        let mut login = vec![0_u8; 3 + user.len()];
        stream.read_exact(&mut login).await.unwrap();
        let mut wanted = vec![1, u8::try_from(user.len()).unwrap()];
        wanted.extend_from_slice(user.as_bytes());
        wanted.push(0);
        let taken = login == wanted;
        stream.write_all(&[1, u8::from(!taken)]).await.unwrap();
        if !taken {
            return;
        }
        let mut head = [0_u8; 5];
        stream.read_exact(&mut head).await.unwrap();
        let rest = match head[3] {
            1 => 3 + 2,
            3 => usize::from(head[4]) + 2,
            _ => 15 + 2,
        };
        let mut destination = vec![0_u8; rest];
        stream.read_exact(&mut destination).await.unwrap();
        tokio::time::sleep(wait).await;
        let mut out = TcpStream::connect(to).await.unwrap();
        out.set_nodelay(true).unwrap();
        stream.write_all(&[5, 0, 0, 1, 127, 0, 0, 1, 0, 80]).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut out).await;
    })
    .await
}

/// An exchange that trusts this authority and asks no DNS server.
pub(crate) fn exchange(ca: &Ca) -> Exchange {
    let resolver = SystemResolver::from_files(b"127.0.0.1 api.example.test\n", b"");
    Exchange::new(&ca.trust(), resolver, Arc::new(SystemClock)).unwrap()
}

pub(crate) fn now() -> Due {
    let at = SystemClock.now();
    Due { origin: at, at, wall_ms: SystemClock.wall_ms() }
}

/// Measures and checks what holds for every sample.
pub(crate) async fn measure(exchange: &Exchange, request: &Request) -> Sample {
    let sample = exchange.measure(request, now()).await;
    assert_eq!(sample.phases.sum_us() + sample.local_us, sample.total_us, "{sample:?}");
    assert!(sample.response_us >= sample.total_us);
    sample
}
