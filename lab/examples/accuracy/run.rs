//! What is run: for each round trip a WAN, a server, and each prober under a capture.

use std::io::{BufRead, BufReader, Write as _};
use std::net::SocketAddrV4;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use lab::packet::{Captured, Exchange, FAR, PacketWan, exchanges};

use crate::probers::Prober;
use crate::server::PORT;
use crate::table;

/// Whatever ends it early.
pub(crate) type Failure = Box<dyn std::error::Error>;

const HELP: &str = "accuracy [--rtt MS,MS...] [--samples N] [--others N] [--interval MS] [--service MS] \
                    [--body BYTES] [--probe FILE] [--curl] [--blackbox FILE] [--log FILE]";

/// What was chosen.
pub(crate) struct Plan {
    rtts_ms: Vec<u64>,
    /// Cold exchanges of our own probe for each round trip.
    pub(crate) samples: usize,
    /// Exchanges of everyone else, who come one after the other.
    pub(crate) others: usize,
    /// Between two due instants of our own probe, ms.
    pub(crate) interval_ms: u64,
    service_ms: u64,
    body_bytes: usize,
    probers: Vec<Prober>,
    log: Option<PathBuf>,
}

fn parse(words: &[String]) -> Result<Plan, Failure> {
    let mut plan = Plan {
        rtts_ms: vec![1, 20, 80, 300],
        samples: 1000,
        others: 50,
        interval_ms: 50,
        // Long beside the stalls of a busy machine, so that tickets are told from the response.
        service_ms: 60,
        body_bytes: 40_000,
        probers: Vec::new(),
        log: None,
    };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || words.next().ok_or_else(|| format!("{word} wants a value"));
        match word.as_str() {
            "--rtt" => {
                let each = value()?.split(',').map(str::parse);
                plan.rtts_ms = each.collect::<Result<_, _>>()?;
            }
            "--samples" => plan.samples = value()?.parse()?,
            "--others" => plan.others = value()?.parse()?,
            "--interval" => plan.interval_ms = value()?.parse()?,
            "--service" => plan.service_ms = value()?.parse()?,
            "--body" => plan.body_bytes = value()?.parse()?,
            "--probe" => {
                let path = PathBuf::from(value()?);
                plan.probers.push(Prober::Probe(path.clone(), "cold"));
                plan.probers.push(Prober::Probe(path, "warm"));
            }
            "--curl" => plan.probers.push(Prober::Curl),
            "--blackbox" => plan.probers.push(Prober::Blackbox(value()?.into())),
            "--log" => plan.log = Some(value()?.into()),
            _ => return Err(HELP.into()),
        }
    }
    if plan.probers.is_empty() { Err(HELP.into()) } else { Ok(plan) }
}

/// Runs the plan and prints the table.
pub(crate) fn run(words: &[String]) -> Result<(), Failure> {
    let plan = parse(words)?;
    let dir = tempfile::tempdir()?;
    let mut lines = Vec::new();
    for &rtt_ms in &plan.rtts_ms {
        let tag = format!("{}{rtt_ms}", std::process::id() % 10_000);
        let wan = PacketWan::start(&tag, Duration::from_millis(rtt_ms))?;
        let server = Server::start(&wan, &plan, dir.path())?;
        for prober in &plan.probers {
            lines.extend(one(&wan, &plan, prober, rtt_ms, dir.path())?);
        }
        let counts = wan.counts();
        println!("# {rtt_ms} ms: {} packets carried, {} dropped", counts.carried, counts.dropped);
        drop(server);
    }
    let load = std::fs::read_to_string("/proc/loadavg")?;
    println!("# load average at the end: {}", load.trim());
    println!("{}", table::heading());
    for line in &lines {
        println!("{line}");
    }
    Ok(())
}

/// The lines of one prober at one round trip.
fn one(
    wan: &PacketWan,
    plan: &Plan,
    prober: &Prober,
    rtt_ms: u64,
    dir: &Path,
) -> Result<Vec<String>, Failure> {
    let capture = wan.capture()?;
    let measured = prober.measure(wan, plan, dir);
    let (captured, beyond) = capture.stop();
    let measured = measured?;
    if let Some(log) = &plan.log {
        append(log, &prober.name(), rtt_ms, &captured)?;
    }
    let ns = |ms: u64| i64::try_from(ms * 1_000_000);
    let server = SocketAddrV4::new(FAR, PORT);
    let found = exchanges(&captured, server, ns(rtt_ms)?, ns(plan.service_ms)?);
    let again = found.iter().filter(|e| e.retransmitted).count();
    println!("# {rtt_ms} ms, {}: {again} exchanges with retransmissions left out", prober.name());
    if found.len() != measured.len() || beyond > 0 {
        let (seen, said) = (found.len(), measured.len());
        return Err(format!("{}: {said} measured, {seen} captured", prober.name()).into());
    }
    told_rtt(&found, rtt_ms);
    let errors = table::errors(&measured, &found);
    Ok(errors.iter().map(|errors| table::line(&prober.name(), rtt_ms, errors)).collect())
}

/// What the WAN really took: the median of SYN to SYN-ACK.
fn told_rtt(found: &[Exchange], rtt_ms: u64) {
    let mut connects: Vec<i64> = found.iter().filter_map(|e| e.connect_ns).collect();
    connects.sort_unstable();
    if let Some(median) = connects.get(connects.len() / 2) {
        println!("# {rtt_ms} ms asked for, {:.3} ms at the median", *median as f64 / 1e6);
    }
}

/// The event log: what was seen when, one line a segment.
fn append(log: &Path, prober: &str, rtt_ms: u64, captured: &[Captured]) -> Result<(), Failure> {
    let file = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
    let mut file = std::io::BufWriter::new(file);
    writeln!(file, "# {prober}, {rtt_ms} ms: ns from to seq flags payload_bytes")?;
    for Captured { at_ns, segment } in captured {
        let flag = |set: bool, letter: char| if set { letter } else { '-' };
        let flags: String = [
            flag(segment.syn, 'S'),
            flag(segment.ack, 'A'),
            flag(segment.fin, 'F'),
            flag(segment.rst, 'R'),
        ]
        .iter()
        .collect();
        let (from, to, seq, bytes) = (segment.from, segment.to, segment.seq, segment.payload_bytes);
        writeln!(file, "{at_ns} {from} {to} {seq} {flags} {bytes}")?;
    }
    Ok(file.flush()?)
}

/// The far server; it ends with its value.
struct Server(Child);

impl Server {
    fn start(wan: &PacketWan, plan: &Plan, dir: &Path) -> Result<Self, Failure> {
        let own = std::env::current_exe()?;
        let mut command = wan.far(&own.to_string_lossy());
        command.arg("serve").arg(dir);
        command.args([plan.service_ms.to_string(), plan.body_bytes.to_string()]);
        let mut server = Self(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
        let stdout = server.0.stdout.take().ok_or("no stdout")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line.trim() == "ready" { Ok(server) } else { Err("the server did not start".into()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended by itself needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
