//! `probe lambda` as AWS Lambda would run it: through a runtime API served here, against the lab.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use probe::clock::{Clock as _, SystemClock};
use serde_json::Value;
use support::{Done, Lab};

/// What the function said of one invocation: where it was posted, and the body.
type Told = (String, Value);

/// Serves the runtime API for invocations with these times left, in ms, then goes away.
fn serve(listener: TcpListener, left_ms: Vec<i64>) -> mpsc::Receiver<Told> {
    let (say, told) = mpsc::channel();
    std::thread::spawn(move || {
        for (at, left_ms) in left_ms.into_iter().enumerate() {
            let (path, _, mut stream) = request(&listener);
            assert_eq!(path, "GET /2018-06-01/runtime/invocation/next HTTP/1.1");
            let deadline_ms = SystemClock.wall_ms() + left_ms;
            let head = format!(
                "HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: id-{at}\r\n\
                 lambda-runtime-deadline-ms: {deadline_ms}\r\ncontent-length: 2\r\n\
                 connection: close\r\n\r\n{{}}"
            );
            stream.write_all(head.as_bytes()).unwrap();
            let (path, body, mut stream) = request(&listener);
            let head = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(head).unwrap();
            say.send((path, serde_json::from_str(&body).unwrap())).unwrap();
        }
    });
    told
}

/// The first line and the body of the next request.
fn request(listener: &TcpListener) -> (String, String, TcpStream) {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first.trim().to_owned(), String::from_utf8(body).unwrap(), stream)
}

/// `probe lambda` for as many invocations as there are times left, in ms: what it answered, and its log.
fn invoke(
    words: &[&str],
    config: &Path,
    left_ms: Vec<i64>,
    more: &[(&str, &str)],
) -> (Vec<Told>, Done) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let told = serve(listener, left_ms);
    let mut command = Command::new(env!("CARGO_BIN_EXE_probe"));
    command.arg("lambda").args(words).arg("--config").arg(config);
    command.current_dir(config.parent().unwrap());
    // The runtime's variables pass the cleaning of the helper, which takes away what AWS's may be here.
    let own = [
        ("AWS_LAMBDA_RUNTIME_API", address.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_LAMBDA_FUNCTION_NAME", "nearside-probe"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
    ];
    let done = support::run_with(command, Duration::from_mins(1), &[&own, more].concat());
    (told.iter().collect(), done)
}

fn lines(done: &Done) -> Vec<Value> {
    let lines = done.stdout.lines().filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn each_invocation_is_one_round() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let config = folder.path().join("nearside.toml");
    let text = std::fs::read_to_string(lab.config()).unwrap();
    let text = format!("{text}\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\n");
    std::fs::write(&config, text).unwrap();
    // Time for all, for all, and for nothing: a sample may take 3 s.
    let (told, done) = invoke(&[], &config, vec![60_000, 60_000, 2_000], &[]);
    let said = |at: usize, key: &str| told[at].1[key].clone();
    for (at, (path, _)) in told.iter().enumerate() {
        let expected = format!("POST /2018-06-01/runtime/invocation/id-{at}/response HTTP/1.1");
        assert_eq!(*path, expected, "{}", done.stderr);
    }
    // Four endpoints, cold and warm.
    let counts = |at| (said(at, "cold_start"), said(at, "samples"), said(at, "skipped"));
    assert_eq!(counts(0), (true.into(), 8.into(), 0.into()));
    assert_eq!(counts(1), (false.into(), 8.into(), 0.into()));
    assert_eq!(counts(2), (false.into(), 0.into(), 8.into()));
    assert!(done.stderr.contains("1769 MB"), "{}", done.stderr);
    assert!(done.stderr.contains("cannot reach Lambda's runtime API"), "{}", done.stderr);
    let lines = lines(&done);
    let of = |name: &str| lines.iter().filter(|line| line.get(name).is_some()).count();
    assert_eq!((of("ColdStarts"), of("Response"), lines.len()), (1, 8, 9), "{}", done.stdout);
    let warm: Vec<&Value> = lines.iter().filter(|line| line["connection"] == "warm").collect();
    assert_eq!(warm.len(), 4);
    for line in &lines {
        assert_eq!(line["_aws"]["CloudWatchMetrics"][0]["Namespace"], "Nearside");
        assert_eq!(line["vantage"], "us-east-1");
    }
    let response = |connection: &str, target: &str| {
        let one = lines.iter().find(|l| l["connection"] == connection && l["target"] == target);
        one.unwrap()["Response"].as_f64().unwrap()
    };
    let (fresh, kept) = (response("cold", "ap-south-1"), response("warm", "ap-south-1"));
    assert!(kept < 0.7 * fresh, "warm is the second request of its round: {kept} and {fresh} ms");
}

#[test]
fn a_round_may_be_sent_to_the_region_that_holds_all() {
    let folder = tempfile::tempdir().unwrap();
    let lab = Lab::start(&folder.path().join("lab"), "calm");
    let mut config: toml::Table = std::fs::read_to_string(lab.config()).unwrap().parse().unwrap();
    // CloudWatch wants whole minutes: the built-in ones.
    let evidence = config["evidence"].as_table_mut().unwrap();
    for key in ["window", "block", "volatility_history"] {
        evidence.remove(key);
    }
    let section = "\n[cloudwatch]\nnamespace = 'Nearside'\nregion = 'eu-west-1'\n";
    let path = folder.path().join("nearside.toml");
    std::fs::write(&path, config.to_string() + section).unwrap();
    let store = ["--store", "cloudwatch:Nearside"];
    let invoked = |cloudwatch: &str| {
        let more = [
            ("AWS_ENDPOINT_URL_CLOUDWATCH", cloudwatch),
            ("AWS_ACCESS_KEY_ID", "lab"),
            ("AWS_SECRET_ACCESS_KEY", "lab"),
        ];
        let (told, done) = invoke(&store, &path, vec![60_000, 60_000], &more);
        let counts = |key: &str| told[1].1["cloudwatch"][key].as_u64().unwrap();
        assert_eq!(told[0].1["cloudwatch"], Value::Null, "the first is thrown away");
        // Its log holds the cold start, and no sample.
        assert_eq!(lines(&done).len(), 1, "{}", done.stdout);
        ((counts("sent"), counts("spooled"), counts("dropped")), done.stderr)
    };
    // An address where nobody listens any more.
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (lost, said) = invoked(&format!("http://{nobody}"));
    assert_eq!(lost, (0, 8, 0), "{said}");
    assert!(said.contains("8 spooled"), "{said}");
    // The same folder again: what waited goes first.
    let (found, said) = invoked(lab.text("cloudwatch"));
    assert_eq!(found, (16, 0, 0), "{said}");
}
