//! `advisor report` as a user runs it: files, exit codes, deliveries, and what it does not tell.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test fails as the test does"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use probe::sample::{Connection, Series};
use probe::store::{Grid, Store};
use probe::window::Window;
use serde_json::Value;

mod support;

const MOST: Duration = Duration::from_mins(1);
const SECRET: &str = "s3cret-token";
const MINUTE_MS: i64 = 60_000;
/// 2026-11-26T00:00:00Z
const END_MS: i64 = 1_795_651_200_000;

/// A folder with a configuration and a store of one hour: 100 ms, cold and warm.
fn stage() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "name = \"api.myapp.com\"\nzone = \"myapp.com\"\n\
                [evidence]\nwindow = \"1m\"\nblock = \"10m\"\n\
                [[slo]]\ntarget = \"eu-west-1\"\nquantile = 0.95\nlimit_ms = 50\nshare = 0.9\n\
                [[vantage]]\nid = \"us-east-1\"\n\
                [[endpoint]]\nid = \"eu-west-1\"\nregion = \"eu-west-1\"\nkind = \"regional\"\n\
                url = \"https://eu-west-1.api.myapp.com/ping\"\n";
    std::fs::write(folder.path().join("nearside.toml"), text).unwrap();
    let mut store = Store::open(folder.path().join("nearside.sqlite")).unwrap();
    store.set_grid(Grid { window_ms: MINUTE_MS, block_ms: 10 * MINUTE_MS }).unwrap();
    for minute in 0..60 {
        let windows: Vec<Window> = [Connection::Cold, Connection::Warm]
            .map(|connection| {
                let series = Series {
                    vantage: "us-east-1".into(),
                    target: "eu-west-1".into(),
                    connection,
                    path: String::new(),
                };
                let start_ms = END_MS - (60 - minute) * MINUTE_MS;
                let mut window = Window::new(series, start_ms, MINUTE_MS);
                window.attempts = 6;
                window.response.record_n(100_000, 6);
                window.service.record_n(100_000, 6);
                window
            })
            .into();
        store.write(&windows).unwrap();
    }
    folder
}

fn report(folder: &Path, arguments: &[&str]) -> support::Done {
    let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
    command.current_dir(folder).arg("report").args(arguments).stdin(Stdio::null());
    // Nobody is there: the report is made without routing.
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    support::run_with(
        command,
        MOST,
        &[
            ("AWS_ENDPOINT_URL_ROUTE_53", &format!("http://{nowhere}")),
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_MAX_ATTEMPTS", "1"),
        ],
    )
}

#[test]
fn files_are_written_and_the_same_when_made_again() {
    let folder = stage();
    let read = |name: &str| std::fs::read(folder.path().join("out").join(name)).unwrap();
    let made = || {
        let done = report(folder.path(), &["--json", "--out", "out", "--png"]);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        assert!(done.stderr.contains("no routing and no advice"), "{}", done.stderr);
        let document: Value = serde_json::from_str(&done.stdout).unwrap();
        assert_eq!(document["breached"], true);
        assert!(Path::new(document["report"].as_str().unwrap()).is_absolute());
        ["report.html", "report.md", "report.json", "heat-cloud.png"].map(read)
    };
    let (once, again) = (made(), made());
    assert!(once == again);
    assert!(once[3].starts_with(b"\x89PNG"));
    let json: Value = serde_json::from_slice(&once[2]).unwrap();
    assert_eq!(json["objectives"][0]["vantages"][0]["value_ms"], 100.031);
    assert_eq!(json["period"]["until"], "2026-11-26T00:00:00+00:00");
    assert_eq!(json["routing"]["preferred"], "unknown");
}

#[test]
fn a_breach_has_an_exit_code_of_its_own() {
    let folder = stage();
    let done = report(folder.path(), &["--out", "out", "--fail-on-breach"]);
    assert_eq!(done.code, Some(6), "{}", done.stderr);
    assert!(done.stderr.contains("1 objectives are breached"), "{}", done.stderr);
    assert!(folder.path().join("out/report.html").exists());
}

#[test]
fn what_cannot_be_asked_for_is_usage() {
    let folder = stage();
    for (arguments, told) in [
        (&["--time-zone", "Mars/Olympus"][..], "time zone 'Mars/Olympus'"),
        (&["--schedule", "every monday"], "schedule 'every monday'"),
        (&["--deliver", "ftp://host/s3cret-token"], "--deliver: an address of an unknown kind"),
        (&["--since", "7d", "--period", "week"], "cannot be used with"),
        (&["--schedule", "0 7 * * *", "--fail-on-breach"], "cannot be used with"),
    ] {
        let done = report(folder.path(), arguments);
        assert_eq!(done.code, Some(2), "{arguments:?}: {}", done.stderr);
        assert!(done.stderr.contains(told), "{arguments:?}: {}", done.stderr);
        assert!(!done.stderr.contains(SECRET) && !done.stdout.contains(SECRET));
    }
}

/// Answers one request with 204 and gives its body.
fn hook() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/{SECRET}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut text = String::new();
        let mut buffer = [0; 4_096];
        while !text.ends_with("}\n") && !text.ends_with("]}") {
            let n = stream.read(&mut buffer).unwrap();
            text.push_str(&String::from_utf8_lossy(&buffer[..n]));
        }
        stream.write_all(b"HTTP/1.1 204 done\r\nconnection: close\r\n\r\n").unwrap();
        text.split_once("\r\n\r\n").unwrap().1.to_owned()
    });
    (url, served)
}

#[test]
fn it_is_delivered_and_secrets_are_not_told() {
    let folder = stage();
    let (url, served) = hook();
    let done =
        report(folder.path(), &["--json", "--out", "out", "--deliver", &url, "--deliver", "shelf"]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let body = served.join().unwrap();
    assert_eq!(body.as_bytes(), std::fs::read(folder.path().join("out/report.json")).unwrap());
    let shelf = folder.path().join("shelf/api.myapp.com-2026-11-26T000000/report.html");
    assert!(shelf.exists());
    let document: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(document["delivered"][0]["delivered"], true, "{document}");
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(SECRET), "{text}");
    }
}

#[test]
fn a_service_ends_when_it_is_asked_to() {
    let folder = stage();
    let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
    command.current_dir(folder.path()).args([
        "report",
        "--schedule",
        "0 7 * * MON",
        "--out",
        "out",
    ]);
    let mut child = support::start(command);
    std::thread::sleep(Duration::from_secs(1));
    support::terminate(&child);
    assert_eq!(support::wait(&mut child, Duration::from_secs(10)).code(), Some(0));
    let store = Store::open_existing(folder.path().join("nearside.sqlite")).unwrap();
    assert!(store.done_ms("report").unwrap().is_some(), "it wrote down from when on it counts");
}
