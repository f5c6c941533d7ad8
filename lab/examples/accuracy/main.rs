//! How exact a prober's phases are: each against what the kernel saw of its packets, over real round trips.
//!
//! Needs root and Linux. Two network namespaces are made and taken away again; in the far one stands a TLS 1.3
//! server with a fixed service time, in the near one the prober runs. `--help` says what can be chosen.

#![allow(clippy::print_stdout, reason = "a table on stdout is what it is for")]

#[cfg(target_os = "linux")]
mod probers;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod server;
#[cfg(target_os = "linux")]
mod table;

#[cfg(target_os = "linux")]
fn main() -> Result<(), run::Failure> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().is_some_and(|word| word == "serve") {
        return server::serve(&words[1..]);
    }
    run::run(&words)
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("this needs the network namespaces of Linux");
    std::process::exit(1);
}
