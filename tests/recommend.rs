//! `advisor recommend` and `advisor traffic` as users meet them: answers, messages, exit codes.

#![allow(clippy::unwrap_used, reason = "a helper of a test fails as the test does")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::Done;

mod support;

/// The longest that one command may take.
const COMMAND_MAX: Duration = Duration::from_mins(1);
/// A small matrix that is whole.
const MATRIX: &str =
    "client,tokyo,paris,ohio\nkyoto,12.5,240,150\nlyon,230,11,95\nboston,160,85,22\n";

struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), bytes).unwrap();
    }

    fn run(&self, line: &str) -> Done {
        let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
        command.args(line.split(' ')).current_dir(self.folder.path()).stdin(Stdio::null());
        support::run(command, COMMAND_MAX)
    }

    fn json(&self, line: &str) -> Value {
        let done = self.run(&format!("{line} --json"));
        assert_eq!(done.code, Some(0), "{line}: {}", done.stderr);
        serde_json::from_str(&done.stdout).unwrap()
    }
}

/// Exit code and both streams.
fn seen(place: &Place, line: &str) -> String {
    let done = place.run(line);
    format!("$ advisor {line}\nexit {:?}\n{}{}", done.code.unwrap(), done.stdout, done.stderr)
}

fn check(name: &str, seen: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.bind(|| insta::assert_snapshot!(name, seen));
}

fn between_regions() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lab/data/p50.csv")
}

#[test]
fn three_of_the_regions() {
    let place = Place::new();
    std::fs::copy(between_regions(), place.folder.path().join("p50.csv")).unwrap();
    let answer = place.json("recommend --matrix p50.csv --regions 3");
    let regions = &answer["regions"];
    let chosen: Vec<&str> =
        regions["chosen"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(chosen, ["ap-southeast-1", "eu-west-3", "us-east-2"]);
    assert_eq!(regions["total"].as_f64(), Some(1565.246));
    assert_eq!((regions["optimal"].as_bool(), regions["gap"].as_f64()), (Some(true), Some(0.0)));
    let frontier = regions["frontier"].as_array().unwrap();
    assert_eq!(frontier.len(), 3);
    assert_eq!(frontier[2]["total"], regions["total"]);
    check("recommend_three", &seen(&place, "recommend --matrix p50.csv --regions 3"));
    check(
        "recommend_p95_down",
        &seen(
            &place,
            "recommend --matrix p50.csv --regions 4 --objective p95 --n-minus-1 --pin eu-west-1 --forbid us-east-1",
        ),
    );
    let again = place.run("recommend --matrix p50.csv --regions 3 --json");
    assert_eq!(serde_json::from_str::<Value>(&again.stdout).unwrap(), answer);
}

#[test]
fn incomplete_matrices() {
    let place = Place::new();
    place.write("m.csv", "client,a,b,c\nx,10,,30\ny,,20,\nz,,,\nw,5,6,\n");
    place.write("f.csv", "column,cost\na,7\n");
    check("recommend_infeasible", &seen(&place, "recommend --matrix m.csv --regions 1"));
    check(
        "recommend_left_out",
        &seen(&place, "recommend --matrix m.csv --regions 2 --fixed-cost f.csv --objective slo:15"),
    );
}

#[test]
fn bad_input() {
    let place = Place::new();
    place.write("good.csv", MATRIX);
    let matrices = [
        ("ragged", "client,a,b\nx,1,2\ny,1\n"),
        ("negative", "client,a,b\nx,10,-2\n"),
        ("nan", "client,a,b\nx,NaN,2\n"),
        ("word", "client,a,b\nx,10,fast\n"),
        ("huge", "client,a,b\nx,10,1e308\n"),
        ("seconds", "client,a,b\nx,0.012,0.24\ny,0.2,0.011\n"),
        ("twice", "client,a,b\nx,10,20\ny,10,20\nx,11,21\n"),
        ("column_twice", "client,a,a\nx,10,20\n"),
        ("no_columns", "client\nx\n"),
        ("no_clients", "client,a,b\n"),
        ("empty", ""),
        ("quote", "client,a\n\"x,10\n"),
    ];
    let mut all = String::new();
    for (name, text) in matrices {
        place.write(&format!("{name}.csv"), text);
        all += &seen(&place, &format!("recommend --matrix {name}.csv --regions 1"));
    }
    place.write("latin.csv", b"client,a\nM\xfcnchen,10\n");
    all += &seen(&place, "recommend --matrix latin.csv --regions 1");
    all += &seen(&place, "recommend --matrix none.csv --regions 1");
    check("recommend_bad_matrices", &all);

    let weights = [
        ("w_negative", "client,weight\nlyon,-1\n"),
        ("w_infinite", "client,weight\nlyon,inf\n"),
        ("w_huge", "client,weight\nlyon,1e308\nkyoto,1e308\n"),
        ("w_unknown", "client,weight\nlyon,1\nnantes,1\n"),
        ("w_twice", "client,weight\nlyon,1\nlyon,2\n"),
        ("w_zero", "client,weight\nlyon,0\nkyoto,0\nboston,0\n"),
        ("w_header", "client,share\nlyon,1\n"),
    ];
    let mut all = String::new();
    for (name, text) in weights {
        place.write(&format!("{name}.csv"), text);
        all +=
            &seen(&place, &format!("recommend --matrix good.csv --weights {name}.csv --regions 1"));
    }
    check("recommend_bad_weights", &all);

    let flags = [
        "--regions 1 --pin rome",
        "--regions 1 --forbid rome",
        "--regions 2 --pin ohio --forbid ohio",
        "--regions 4",
        "--regions 0",
        "--regions 1 --pin ohio --pin paris",
        "--regions 1 --objective fastest",
        "--regions 1 --time-limit 0",
    ];
    let mut all = String::new();
    for flags in flags {
        all += &seen(&place, &format!("recommend --matrix good.csv {flags}"));
    }
    check("recommend_bad_flags", &all);
}

#[test]
fn traffic_from_logs_becomes_weights() {
    let place = Place::new();
    let log = "#Fields: date c-ip x-edge-location\nd\t192.0.2.1\tFRA2\nd\t192.0.2.9\tFRA50-P1\n\
               broken\nd\t198.51.100.1\tNRT57-P4\nd\t203.0.113.1\tZZZ1\n";
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(log.as_bytes()).unwrap();
    place.write("log.gz", gzip.finish().unwrap());
    place.write("log.txt", log);
    let line = "traffic --cloudfront log.gz log.txt --out weights.csv";
    check("traffic_cloudfront", &seen(&place, line));
    let weights = std::fs::read_to_string(place.folder.path().join("weights.csv")).unwrap();
    assert_eq!(weights, "client,weight\nap-northeast-1,2\neu-central-1,4\n");
    let counted = place.json("traffic --cloudfront log.gz");
    assert_eq!((counted["counted"].as_u64(), counted["malformed"].as_u64()), (Some(4), Some(1)));
    assert_eq!(counted["unplaced_share"].as_f64(), Some(0.25));

    std::fs::copy(between_regions(), place.folder.path().join("p50.csv")).unwrap();
    let answer = place.json("recommend --matrix p50.csv --weights weights.csv --regions 1");
    assert_eq!(answer["coverage"]["clients"].as_u64(), Some(33));

    check(
        "traffic_population",
        &seen(&place, "traffic --population --vantage eu-west-1 --vantage us-east-1"),
    );
    check("traffic_no_file", &seen(&place, "traffic --apigateway none.log"));
    place.write("noise.log", "neither fields\nnor clients\n");
    check("traffic_nobody", &seen(&place, "traffic --cloudfront noise.log"));
}
