//! A lab with a configuration whose store is CloudWatch, and what was measured put into it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use aws::{Access, CloudWatchCourier};
use probe::clock::{Clock as _, SystemClock};
use probe::publish::Shape;
use probe::sample::Phase;
use probe::spool::{Disk, Rules, Spool};
use probe::window::{Sink as _, Window};
use serde_json::Value;

use crate::support::{self, Done, Lab};

pub(crate) const STORE: &str = "cloudwatch:Nearside";

/// The lab's configuration with the product's own windows and blocks, and a section for CloudWatch.
pub(crate) fn configuration(lab: &Path, folder: &Path, more: &str) -> PathBuf {
    let mut config: toml::Table = std::fs::read_to_string(lab).unwrap().parse().unwrap();
    let evidence = config["evidence"].as_table_mut().unwrap();
    for key in ["window", "block", "volatility_history"] {
        evidence.remove(key);
    }
    config["guard"].as_table_mut().unwrap().insert("max_traffic_moved".into(), 1.0.into());
    let spool = folder.join("spool");
    let section = format!(
        "\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\nphases = ['connect']\n\
         spool = '{}'\n{more}",
        spool.display()
    );
    let path = folder.join("fleet.toml");
    std::fs::write(&path, config.to_string() + &section).unwrap();
    path
}

pub(crate) fn command(folder: &Path, config: &Path, line: &str) -> Command {
    let mut words = line.split(' ');
    let program = match words.next().unwrap() {
        "probe" => env!("CARGO_BIN_EXE_probe"),
        _ => env!("CARGO_BIN_EXE_advisor"),
    };
    let mut command = Command::new(program);
    command.args(words).arg("--config").arg(config).current_dir(folder);
    command
}

pub(crate) fn run(lab: &Lab, folder: &Path, config: &Path, line: &str) -> Done {
    let command = command(folder, config, line);
    let variables = [
        ("AWS_ENDPOINT_URL_ROUTE_53", lab.text("route53")),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", lab.text("cloudwatch")),
        ("AWS_ACCESS_KEY_ID", "lab"),
        ("AWS_SECRET_ACCESS_KEY", "lab"),
    ];
    support::run_with(command, Duration::from_mins(1), &variables)
}

pub(crate) fn document(done: &Done) -> Value {
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// Sends all windows to the lab's CloudWatch, connects too.
pub(crate) fn send(lab: &Lab, windows: Vec<Window>, timeouts_us: BTreeMap<String, u64>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let access = Access {
        cloudwatch_url: Some(lab.text("cloudwatch").to_owned()),
        credentials: Some(("lab".to_owned(), "lab".to_owned())),
        ..Access::default()
    };
    let courier = runtime.block_on(CloudWatchCourier::open(&access, "eu-west-1", "Nearside"));
    let folder = tempfile::tempdir().unwrap();
    let disk = Disk::open(folder.path(), 1 << 26, SystemClock.wall_ms()).unwrap();
    let shape = Shape { phases: vec![Phase::Connect], timeouts_us };
    let rules = Rules { shape, metrics_max: 10_000, settle: Duration::ZERO };
    let mut spool = Spool::new(disk, courier, Arc::new(SystemClock), rules);
    let (counts, all) = (spool.counts(), windows.len() as u64);
    spool.write(windows).unwrap();
    while counts.lock().unwrap().spooled > 0 {
        spool.write(Vec::new()).unwrap();
    }
    assert_eq!(counts.lock().unwrap().sent, all);
}
