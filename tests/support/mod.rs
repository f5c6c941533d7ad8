//! What the tests of the binaries share: programs that run bounded in time. It judges nothing.

#![allow(dead_code, reason = "each test program uses its own part")]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails as the test does")]

use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// How often a running program is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long the lab may take to start.
const LAB_START: Duration = Duration::from_mins(1);
/// How long a program may take to end when asked to.
const END: Duration = Duration::from_secs(15);

/// What a program said, and how it ended.
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Without what would lead a program of ours away from loopback or from its defaults.
fn clean(command: &mut Command) {
    for (key, _) in std::env::vars_os() {
        let name = key.to_string_lossy().to_ascii_lowercase();
        let leads = ["aws_", "nearside_", "xdg_config"].iter().any(|start| name.starts_with(start));
        if leads || name.ends_with("_proxy") || name == "home" {
            command.env_remove(key);
        }
    }
    command.env("NO_COLOR", "1");
}

fn read_all(source: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    let mut source = source;
    std::thread::spawn(move || {
        let mut text = Vec::new();
        source.read_to_end(&mut text).unwrap();
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// A command line of ours, to be run in a folder; it asks nobody but `lab` for anything of AWS.
pub(crate) fn command(line: &str, folder: &Path, lab: &Services) -> Command {
    let mut words = line.split(' ');
    let program = match words.next() {
        Some("advisor") => env!("CARGO_BIN_EXE_advisor"),
        Some("probe") => env!("CARGO_BIN_EXE_probe"),
        other => panic!("no program {other:?}"),
    };
    let mut command = Command::new(program);
    command.args(words).current_dir(folder).stdin(Stdio::null());
    command.env("AWS_EC2_METADATA_DISABLED", "true").env("AWS_REGION", "us-east-1");
    command.env("AWS_ENDPOINT_URL_ROUTE_53", &lab.route53);
    command.env("AWS_ENDPOINT_URL_API_GATEWAY", &lab.apigateway);
    command.env("AWS_ENDPOINT_URL_APIGATEWAYV2", &lab.apigateway);
    command
}

/// Where the services of a lab listen.
pub(crate) struct Services {
    pub(crate) route53: String,
    pub(crate) apigateway: String,
}

impl Services {
    /// Where nobody listens.
    pub(crate) fn none() -> Self {
        let nobody = || "http://127.0.0.1:1".to_owned();
        Self { route53: nobody(), apigateway: nobody() }
    }
}

/// What a user sees of a command: its exit code, stdout and stderr.
pub(crate) fn seen(line: &str, done: &Done) -> String {
    let code = done.code.map_or_else(|| "none".to_owned(), |code| code.to_string());
    format!("$ {line}\nexit code {code}\n--- stdout\n{}--- stderr\n{}", done.stdout, done.stderr)
}

/// Waits for the end of a program; kills it, and fails, when its time is over.
pub(crate) fn wait(child: &mut Child, most: Duration) -> ExitStatus {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if waited >= most {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("a program did not end within {most:?}");
        }
        std::thread::sleep(LOOK);
        waited += LOOK;
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: Command, most: Duration) -> Done {
    run_with(command, most, &[])
}

/// The same with these variables.
pub(crate) fn run_with(mut command: Command, most: Duration, variables: &[(&str, &str)]) -> Done {
    clean(&mut command);
    command.envs(variables.iter().copied());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let stdout = read_all(child.stdout.take().unwrap());
    let stderr = read_all(child.stderr.take().unwrap());
    let status = wait(&mut child, most);
    Done { code: status.code(), stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

/// Starts a program and leaves it running.
pub(crate) fn start(mut command: Command) -> Child {
    clean(&mut command);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Sends SIGTERM.
pub(crate) fn terminate(child: &Child) {
    kill(Pid::from_raw(i32::try_from(child.id()).unwrap()), Signal::SIGTERM).unwrap();
}

/// A lab in a process of its own; it ends with this value.
pub(crate) struct Lab {
    child: Child,
    /// What it says of itself.
    pub(crate) facts: Value,
}

impl Lab {
    /// Starts the scenario in `dir`.
    pub(crate) fn start(dir: &Path, scenario: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_advisor"));
        command.args(["lab", "--json", "--scenario", scenario, "--dir"]).arg(dir);
        clean(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let (say, heard) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(stdout).read_line(&mut line);
            // Whoever waited may have given up.
            let _ = say.send(read.map(|_| line));
        });
        let line = heard.recv_timeout(LAB_START);
        let Ok(Ok(line)) = line else {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the lab said nothing within {LAB_START:?}");
        };
        Self { child, facts: serde_json::from_str(&line).unwrap() }
    }

    /// A text among the facts.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.facts[key].as_str().unwrap()
    }

    /// The configuration that the lab wrote.
    pub(crate) fn config(&self) -> PathBuf {
        PathBuf::from(self.text("config"))
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // The test has failed already; nothing may hide why.
            let _ = self.child.kill();
            let _ = self.child.wait();
            return;
        }
        terminate(&self.child);
        assert!(wait(&mut self.child, END).success(), "the lab does not end well by SIGTERM");
    }
}
