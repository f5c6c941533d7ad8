//! A stage for tests on sockets: the ground of a world, and small clients that share no code with it.

#![allow(dead_code, reason = "each test file uses its part of the stage")]

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full};
use hyper::client::conn::{http1, http2};
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lab::scenario::{Faults, Scenario};
use lab::world::World;
use lab::{Ground, NameLookup};
use rustls::{ClientConfig, HandshakeKind, ProtocolVersion, RootCertStore};
use rustls_pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;

#[expect(clippy::disallowed_methods, reason = "tests measure the real clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

pub(crate) fn millis_since(start: Instant) -> f64 {
    (now() - start).as_secs_f64() * 1000.0
}

/// Answers `api.nearside.test` with what Route 53's table prefers for the caller.
struct ByTable(Arc<World>);

impl NameLookup for ByTable {
    fn lookup<'a>(
        &'a self,
        name: &'a str,
        client: IpAddr,
    ) -> Pin<Box<dyn Future<Output = Vec<IpAddr>> + Send + 'a>> {
        let label = self.0.nearest_label(client, &self.0.initial_labels());
        let known = (name == "api.nearside.test").then_some(label).flatten();
        let endpoint = known.and_then(|label| self.0.endpoint(label));
        Box::pin(std::future::ready(endpoint.map(|e| e.ipv4.into()).into_iter().collect()))
    }
}

/// A server that sends back what it gets, at the address of the endpoint in us-east-1.
pub(crate) struct Echo {
    pub(crate) addr: SocketAddr,
}

pub(crate) struct Stage {
    pub(crate) world: Arc<World>,
    pub(crate) ground: Ground,
    pub(crate) echo: Option<Echo>,
}

impl Stage {
    pub(crate) async fn start(scenario: Scenario) -> Self {
        let world = Arc::new(World::generate(&scenario, 1).unwrap());
        let names = Arc::new(ByTable(Arc::clone(&world)));
        let ground = Ground::start(Arc::clone(&world), names).await.unwrap();
        Self { world, ground, echo: None }
    }

    pub(crate) async fn start_with_echo(scenario: Scenario) -> Self {
        let mut stage = Self::start(scenario).await;
        let ip = stage.world.endpoint("us-east-1").unwrap().ipv4;
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        stage.echo = Some(Echo { addr: listener.local_addr().unwrap() });
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    tokio::io::copy(&mut read, &mut write).await.unwrap();
                    write.shutdown().await.unwrap();
                });
            }
        });
        stage
    }

    pub(crate) fn faults(&self, region: &str, faults: Faults) {
        self.ground.endpoint_faults(region).unwrap().set(faults).unwrap();
    }

    pub(crate) fn tls_config(&self, h2: bool, tls12: bool) -> Arc<ClientConfig> {
        tls_config(self.ground.ca_pem(), h2, tls12)
    }

    pub(crate) async fn https(&self, stream: TcpStream, sni: &str, h2: bool) -> Https {
        Https::open(&self.tls_config(h2, false), stream, sni).await
    }

    pub(crate) async fn direct(&self, region: &str, sni: &str, h2: bool) -> Https {
        self.direct_with(&self.tls_config(h2, false), region, sni).await
    }

    pub(crate) async fn direct_with(
        &self,
        config: &Arc<ClientConfig>,
        region: &str,
        sni: &str,
    ) -> Https {
        let addr = (self.world.endpoint(region).unwrap().ipv4, self.ground.port());
        Https::open(config, TcpStream::connect(addr).await.unwrap(), sni).await
    }

    pub(crate) async fn stop(self) {
        let stopping = self.ground.shutdown();
        tokio::time::timeout(std::time::Duration::from_secs(5), stopping).await.unwrap();
    }
}

/// HTTP/1.1 over TLS 1.3, trusting one authority.
pub(crate) fn roots(pem: &str) -> Arc<ClientConfig> {
    tls_config(pem, false, false)
}

fn tls_config(pem: &str, h2: bool, tls12: bool) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    let version = if tls12 { &rustls::version::TLS12 } else { &rustls::version::TLS13 };
    let ring = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(ring)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let alpn: &[u8] = if h2 { b"h2" } else { b"http/1.1" };
    config.alpn_protocols = vec![alpn.to_vec()];
    Arc::new(config)
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: String,
    pub(crate) body: String,
    headers: HeaderMap,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|v| v.to_str().unwrap())
    }

    async fn read(response: Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self {
            status: head.status.as_u16(),
            version: format!("{:?}", head.version),
            body: String::from_utf8(body.to_vec()).unwrap(),
            headers: head.headers,
        }
    }
}

enum Sender {
    One(http1::SendRequest<Empty<Bytes>>),
    Two(http2::SendRequest<Empty<Bytes>>),
}

pub(crate) struct Https {
    sender: Sender,
    pub(crate) tls12: bool,
    pub(crate) resumed: bool,
}

impl Https {
    pub(crate) async fn open(config: &Arc<ClientConfig>, stream: TcpStream, sni: &str) -> Self {
        stream.set_nodelay(true).unwrap();
        let name = ServerName::try_from(sni.to_owned()).unwrap();
        let tls = TlsConnector::from(Arc::clone(config)).connect(name, stream).await.unwrap();
        let session = tls.get_ref().1;
        let tls12 = session.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
        let h2 = session.alpn_protocol() == Some(b"h2");
        let io = TokioIo::new(tls);
        let sender = if h2 {
            let (sender, driver) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(driver);
            Sender::Two(sender)
        } else {
            let (sender, driver) = http1::handshake(io).await.unwrap();
            tokio::spawn(driver);
            Sender::One(sender)
        };
        Self { sender, tls12, resumed }
    }

    pub(crate) async fn try_ask(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> hyper::Result<Answer> {
        let mut request = Request::builder().method(method);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = match &mut self.sender {
            Sender::One(sender) => {
                let request = request.uri(path).header("host", format!("{host}:8443"));
                sender.ready().await?;
                sender.send_request(request.body(Empty::new()).unwrap()).await?
            }
            Sender::Two(sender) => {
                let request = request.uri(format!("https://{host}:8443{path}"));
                sender.ready().await?;
                sender.send_request(request.body(Empty::new()).unwrap()).await?
            }
        };
        Ok(Answer::read(response).await)
    }

    pub(crate) async fn try_get(&mut self, host: &str, path: &str) -> hyper::Result<Answer> {
        self.try_ask("GET", host, path, &[]).await
    }

    pub(crate) async fn ask(
        &mut self,
        method: &str,
        host: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        self.try_ask(method, host, path, headers).await.unwrap()
    }

    pub(crate) async fn get(&mut self, host: &str, path: &str) -> Answer {
        self.try_get(host, path).await.unwrap()
    }
}

pub(crate) async fn plain_get(url: &str, path: &str) -> Answer {
    let host = url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let request = Request::get(path).header("host", host).body(Empty::<Bytes>::new()).unwrap();
    Answer::read(sender.send_request(request).await.unwrap()).await
}

/// A signed call of a plain API, with a body.
pub(crate) async fn plain_call(url: &str, method: &str, path: &str, body: &str) -> Answer {
    let host = url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(host).await.unwrap();
    let (mut sender, driver) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(driver);
    let request = Request::builder().method(method).uri(path).header("host", host);
    let request = request.header("authorization", "AWS4-HMAC-SHA256 Credential=x");
    let request = request.body(Full::new(Bytes::from(body.to_owned()))).unwrap();
    Answer::read(sender.send_request(request).await.unwrap()).await
}

/// A SOCKS5 client that has logged in.
#[derive(Debug)]
pub(crate) struct Socks {
    stream: TcpStream,
}

impl Socks {
    pub(crate) async fn connect(
        proxy: SocketAddr,
        user: &str,
        password: &str,
    ) -> Result<Self, String> {
        let mut stream = TcpStream::connect(proxy).await.unwrap();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&[5, 2, 0, 2]).await.unwrap();
        let mut two = [0; 2];
        stream.read_exact(&mut two).await.unwrap();
        assert_eq!(two, [5, 2]);
        let mut login = vec![1, u8::try_from(user.len()).unwrap()];
        login.extend(user.as_bytes());
        login.push(u8::try_from(password.len()).unwrap());
        login.extend(password.as_bytes());
        stream.write_all(&login).await.unwrap();
        stream.read_exact(&mut two).await.unwrap();
        if two == [1, 0] { Ok(Self { stream }) } else { Err(format!("login {}", two[1])) }
    }

    pub(crate) async fn reach_name(self, name: &str, port: u16) -> Result<TcpStream, String> {
        let mut address = vec![3, u8::try_from(name.len()).unwrap()];
        address.extend(name.as_bytes());
        self.request(address, port).await
    }

    pub(crate) async fn reach_addr(self, addr: IpAddr, port: u16) -> Result<TcpStream, String> {
        let address = match addr {
            IpAddr::V4(v4) => [vec![1], v4.octets().to_vec()].concat(),
            IpAddr::V6(v6) => [vec![4], v6.octets().to_vec()].concat(),
        };
        self.request(address, port).await
    }

    async fn request(mut self, address: Vec<u8>, port: u16) -> Result<TcpStream, String> {
        let request = [vec![5, 1, 0], address, port.to_be_bytes().to_vec()].concat();
        self.stream.write_all(&request).await.unwrap();
        let mut reply = [0; 10];
        self.stream.read_exact(&mut reply).await.unwrap();
        assert_eq!((reply[0], reply[3]), (5, 1));
        if reply[1] == 0 { Ok(self.stream) } else { Err(format!("reply {}", reply[1])) }
    }
}
