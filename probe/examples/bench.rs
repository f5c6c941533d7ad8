//! The two ends of the benchmark: a small TLS 1.3 server, and drivers of the measuring engine.
//! It is run by `tests/bench/probe.sh` and is in no binary that is shipped.

#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use probe::clock::{Clock, SystemClock};
use probe::config::{DEFAULTS, Flags, build};
use probe::dns::SystemResolver;
use probe::exchange::{Due, Exchange, Request, Trust};
use probe::sample::Connection;
use probe::store::{Grid, Store};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

type Outcome = Result<(), Box<dyn Error + Send + Sync>>;

/// Ticks of `/proc/self/stat` in a second, on every Linux there is.
const TICKS: f64 = 100.0;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["server", folder] => runtime()?.block_on(server(Path::new(folder))),
        ["load", url, ca, connection, clock, lanes, seconds] => {
            let load = Load {
                url: (*url).to_owned(),
                ca: PathBuf::from(ca),
                connection: Connection::parse(connection).ok_or("cold, resumed or warm")?,
                kernel_time: *clock == "kernel",
                lanes: lanes.parse()?,
                length: Duration::from_secs_f64(seconds.parse()?),
            };
            runtime()?.block_on(drive(load))
        }
        ["count", url, ca, connection, samples] => {
            let connection = Connection::parse(connection).ok_or("cold, resumed or warm")?;
            runtime()?.block_on(count(url, Path::new(ca), connection, samples.parse()?))
        }
        ["agent", url, ca, connection, targets, interval, seconds] => {
            let made = (*connection, targets.parse()?, *interval);
            runtime()?.block_on(agent(url, ca, made, seconds.parse()?))
        }
        _ => Err("usage: server DIR | load URL CA CONNECTION CLOCK LANES SECONDS | \
                  count URL CA CONNECTION SAMPLES | \
                  agent URL CA CONNECTION TARGETS INTERVAL SECONDS"
            .into()),
    }
}

/// One thread, as the agent measures.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

/// Writes DIR/ca.pem, prints its address, and answers until it is killed.
async fn server(folder: &Path) -> Outcome {
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(Vec::new())?;
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    // A name of its own: OpenSSL takes a certificate whose issuer is called like itself for self-signed.
    params.distinguished_name.push(rcgen::DnType::CommonName, "benchmark authority");
    let authority = params.self_signed(&key)?;
    let issuer = rcgen::Issuer::new(params, key);
    let own = rcgen::KeyPair::generate()?;
    let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
    let certificate = rcgen::CertificateParams::new(names)?.signed_by(&own, &issuer)?;
    std::fs::write(folder.join("ca.pem"), authority.pem())?;
    let secret = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(own.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], secret)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // No tickets: cold is a full handshake, also for clients that would resume.
    config.send_tls13_tickets = 0;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("https://localhost:{}/", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        // A client that goes away ends its connection only.
        tokio::spawn(async move { answer(stream, acceptor).await.unwrap_or_default() });
    }
}

async fn answer(stream: TcpStream, acceptor: TlsAcceptor) -> std::io::Result<()> {
    const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    stream.set_nodelay(true)?;
    let mut tls = acceptor.accept(stream).await?;
    let (mut buffer, mut have) = (vec![0_u8; 8_192], 0);
    loop {
        let room = buffer.get_mut(have..).unwrap_or_default();
        let len = tls.read(room).await?;
        if len == 0 {
            return Ok(());
        }
        have += len;
        if buffer.get(..have).is_some_and(|head| head.ends_with(b"\r\n\r\n")) {
            tls.write_all(RESPONSE).await?;
            tls.flush().await?;
            have = 0;
        }
    }
}

/// Processor time of this process so far, in seconds.
fn cpu_s() -> Result<f64, Box<dyn Error + Send + Sync>> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let (_, rest) = stat.rsplit_once(')').ok_or("no stat")?;
    let ticks: Vec<f64> =
        rest.split_whitespace().skip(11).take(2).filter_map(|word| word.parse().ok()).collect();
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

fn memory_kb(field: &str) -> Result<u64, Box<dyn Error + Send + Sync>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with(field)).ok_or("no such field")?;
    Ok(line.split_whitespace().nth(1).ok_or("no value")?.parse()?)
}

struct Load {
    url: String,
    ca: PathBuf,
    connection: Connection,
    kernel_time: bool,
    lanes: usize,
    length: Duration,
}

/// Each lane sends as its last sample ends.
async fn drive(load: Load) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let exchange =
        Exchange::new(&Trust::only(&load.ca)?, SystemResolver::from_system(), Arc::clone(&clock))?
            .with_kernel_time(load.kernel_time);
    let exchange = Arc::new(exchange);
    let (done, failed, kernel) =
        (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let mut requests = Vec::new();
    for lane in 0..load.lanes {
        let key = format!("lane {lane}");
        let connection = load.connection;
        let request = Request { key, connection, ..Request::get(load.url.parse()?) };
        exchange.prime(&request).await;
        requests.push(request);
    }
    let (begin, cpu) = (clock.now(), cpu_s()?);
    let mut tasks = tokio::task::JoinSet::new();
    for request in requests {
        let (exchange, clock) = (Arc::clone(&exchange), Arc::clone(&clock));
        let (done, failed, kernel) = (Arc::clone(&done), Arc::clone(&failed), Arc::clone(&kernel));
        tasks.spawn(async move {
            while clock.now() < begin + load.length {
                let due = Due { origin: begin, at: clock.now(), wall_ms: clock.wall_ms() };
                let sample = exchange.measure(&request, due).await;
                done.fetch_add(1, Ordering::Relaxed);
                failed.fetch_add(u64::from(!sample.outcome.is_ok()), Ordering::Relaxed);
                let by_kernel = sample.clock == probe::sample::ClockKind::Kernel;
                kernel.fetch_add(u64::from(by_kernel), Ordering::Relaxed);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let (samples, used) = (done.load(Ordering::Relaxed), cpu_s()? - cpu);
    println!(
        "samples {samples} failed {} kernel {} cpu_s {used:.2} per_cpu_s {:.0}",
        failed.load(Ordering::Relaxed),
        kernel.load(Ordering::Relaxed),
        samples as f64 / used
    );
    Ok(())
}

/// So many samples one after the other, for counting instructions: the difference of two runs is
/// that of their samples.
async fn count(url: &str, ca: &Path, connection: Connection, samples: u32) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let resolver = SystemResolver::from_system();
    let exchange = Exchange::new(&Trust::only(ca)?, resolver, Arc::clone(&clock))?;
    let request = Request { connection, ..Request::get(url.parse()?) };
    exchange.prime(&request).await;
    let origin = clock.now();
    for _ in 0..samples {
        let due = Due { origin, at: clock.now(), wall_ms: clock.wall_ms() };
        let sample = exchange.measure(&request, due).await;
        if !sample.outcome.is_ok() {
            return Err(format!("a sample failed: {:?}", sample.outcome).into());
        }
    }
    Ok(())
}

/// The whole agent with its store, on its grid.
async fn agent(
    url: &str,
    ca: &str,
    (connection, targets, interval): (&str, u32, &str),
    seconds: u64,
) -> Outcome {
    let mut text = format!(
        "name = 'api.example.test'\nzone = 'example.test'\n[[vantage]]\nid = 'here'\n\
         [evidence]\nwindow = '10s'\nblock = '10s'\n[probe]\nca_file = '{ca}'\n\
         interval = '{interval}'\ninterval_warm = '{interval}'\nconnections = ['{connection}']\n"
    );
    for index in 0..targets {
        write!(text, "[[target]]\nid = 't{index}'\nkind = 'api'\nurl = '{url}'\n")?;
    }
    let config = build(DEFAULTS, &text, &std::collections::BTreeMap::new(), &Flags::default())?;
    let folder = tempfile::tempdir()?;
    let mut store = Store::open(folder.path().join("bench.sqlite"))?;
    store.set_grid(Grid::of(&config.evidence))?;
    let options = probe::agent::Options {
        until: Some(Duration::from_secs(seconds)),
        ..probe::agent::Options::default()
    };
    let (clock, cpu): (Arc<dyn Clock>, f64) = (Arc::new(SystemClock), cpu_s()?);
    let watch = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(seconds.saturating_sub(1))).await;
        memory_kb("VmRSS:").unwrap_or(0)
    });
    let summary = probe::agent::run(&config, store, options, clock, std::future::pending()).await?;
    let late = |quantile| summary.lateness.quantile_us(quantile).unwrap_or(0);
    println!(
        "samples {} failed {} missed {} late_p50_us {} late_p99_us {} late_p999_us {} \
         rss_kb {} peak_kb {} cpu_s {:.2}",
        summary.samples,
        summary.failures,
        summary.missed,
        late(0.5),
        late(0.99),
        late(0.999),
        watch.await?,
        memory_kb("VmHWM:")?,
        cpu_s()? - cpu
    );
    Ok(())
}
