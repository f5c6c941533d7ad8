//! The probers: how each is run, and how its own figures are read.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use lab::packet::{FAR, PacketWan};
use serde_json::Value;

use crate::run::{Failure, Plan};
use crate::server::PORT;

/// Names of the phases that are compared.
pub(crate) const PHASES: [&str; 4] = ["connect", "tls", "processing", "transfer"];

/// What a prober says of one exchange, us, in the order of [`PHASES`]; `None` where it says nothing.
pub(crate) type Measured = [Option<f64>; 4];

/// Someone who measures.
#[derive(Clone, Debug)]
pub(crate) enum Prober {
    /// Our own agent; the connection series is `cold` or `warm`.
    Probe(PathBuf, &'static str),
    /// curl, one process for each exchange.
    Curl,
    /// Prometheus's exporter.
    Blackbox(PathBuf),
}

impl Prober {
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Probe(_, series) => format!("probe {series}"),
            Self::Curl => "curl".to_owned(),
            Self::Blackbox(_) => "blackbox".to_owned(),
        }
    }

    /// Measures in the near namespace; the exchanges in the order they were started.
    pub(crate) fn measure(
        &self,
        wan: &PacketWan,
        plan: &Plan,
        dir: &Path,
    ) -> Result<Vec<Measured>, Failure> {
        match self {
            Self::Probe(path, series) => probe(wan, path, series, plan, dir),
            Self::Curl => curl(wan, plan.others, dir),
            Self::Blackbox(path) => blackbox(wan, path, plan.others, dir),
        }
    }
}

fn url() -> String {
    format!("https://{FAR}:{PORT}/")
}

fn output(mut command: Command) -> Result<String, Failure> {
    let ended = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() || !text.is_empty() {
        return Ok(text);
    }
    let told = String::from_utf8_lossy(&ended.stderr);
    Err(format!("{command:?} ended with {}: {}", ended.status, told.trim()).into())
}

fn probe(
    wan: &PacketWan,
    path: &Path,
    series: &str,
    plan: &Plan,
    dir: &Path,
) -> Result<Vec<Measured>, Failure> {
    let mut command = wan.near(&path.to_string_lossy());
    command.args(["once", &url(), "--json", "--connection", series, "--http", "1.1"]);
    // A kept connection takes one request at a time, so its slots must not overlap.
    let interval_ms = if series == "warm" { 0 } else { plan.interval_ms };
    let samples = if series == "warm" { plan.others } else { plan.samples };
    command.args(["--count", &samples.to_string(), "--interval", &interval_ms.to_string()]);
    command.args(["--timeout", "10000", "--cacert"]).arg(dir.join("ca.pem"));
    let told: Value = serde_json::from_str(&output(command)?)?;
    let mut samples = told["samples"].as_array().cloned().ok_or("no samples")?;
    samples.sort_by_key(|sample| sample["sent_us"].as_i64());
    let failed = samples.iter().find(|sample| sample["outcome"]["kind"] != "ok");
    if let Some(failed) = failed {
        return Err(format!("the probe failed: {}", failed["outcome"]).into());
    }
    let user = samples.iter().filter(|sample| sample["clock"] != "kernel").count();
    let torn = samples.iter().filter(|sample| !sums_up(sample)).count();
    println!(
        "# {series}: {} samples, {user} by the user clock, {torn} whose parts miss the total by over 10 us",
        samples.len()
    );
    Ok(samples.iter().map(|sample| PHASES.map(|name| sample["phases_us"][name].as_f64())).collect())
}

/// Whether phases and `local` are the total, within 10 us.
fn sums_up(sample: &Value) -> bool {
    let phases = sample["phases_us"].as_object();
    let parts: f64 = phases.into_iter().flat_map(|p| p.values()).filter_map(Value::as_f64).sum();
    let local = sample["local_us"].as_f64().unwrap_or_default();
    (parts + local - sample["total_us"].as_f64().unwrap_or_default()).abs() <= 10.0
}

fn curl(wan: &PacketWan, count: usize, dir: &Path) -> Result<Vec<Measured>, Failure> {
    const FIGURES: &str = "%{time_namelookup} %{time_connect} %{time_appconnect} \
                           %{time_pretransfer} %{time_starttransfer} %{time_total}";
    let one = || -> Result<Measured, Failure> {
        let mut command = wan.near("curl");
        command.args(["-s", "-S", "--http1.1", "-o", "/dev/null", "-w", FIGURES, &url()]);
        command.arg("--cacert").arg(dir.join("ca.pem"));
        let text = output(command)?;
        let at: Vec<f64> = text.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [looked, connected, secured, asked, answered, ended] = at[..] else {
            return Err(format!("curl said {text:?}").into());
        };
        let spans = [connected - looked, secured - connected, answered - asked, ended - answered];
        Ok(spans.map(|seconds| Some(seconds * 1e6)))
    };
    (0..count).map(|_| one()).collect()
}

/// A process that is ended with its value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended by itself needs no more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn blackbox(
    wan: &PacketWan,
    path: &Path,
    count: usize,
    dir: &Path,
) -> Result<Vec<Measured>, Failure> {
    const LISTEN: &str = "127.0.0.1:9115";
    let config = dir.join("blackbox.yml");
    let module = format!(
        "modules:\n  web:\n    prober: http\n    timeout: 10s\n    http:\n      enable_http2: false\n      \
         preferred_ip_protocol: ip4\n      tls_config:\n        ca_file: {}\n",
        dir.join("ca.pem").display()
    );
    std::fs::write(&config, module)?;
    let mut command = wan.near(&path.to_string_lossy());
    command.arg(format!("--config.file={}", config.display()));
    command.arg(format!("--web.listen-address={LISTEN}"));
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _running = Running(command.spawn()?);
    let scrape = |path: String| {
        let mut command = wan.near("curl");
        command.args(["-s", "-S", &format!("http://{LISTEN}{path}")]);
        output(command)
    };
    for _ in 0..100 {
        if scrape("/-/healthy".to_owned()).is_ok_and(|text| text.contains("ealthy")) {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let one = || -> Result<Measured, Failure> {
        let text = scrape(format!("/probe?module=web&target={}", url()))?;
        if !text.contains("probe_success 1") {
            return Err(format!("blackbox_exporter failed: {text}").into());
        }
        let phase = |name: &str| {
            let line = format!("probe_http_duration_seconds{{phase=\"{name}\"}} ");
            let found = text.lines().find_map(|l| l.strip_prefix(line.as_str()));
            found.and_then(|seconds| seconds.parse::<f64>().ok()).map(|seconds| seconds * 1e6)
        };
        Ok(PHASES.map(phase))
    };
    (0..count).map(|_| one()).collect()
}
