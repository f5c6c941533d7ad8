//! `probe once`: measure URLs now and show where the time went.

use std::sync::Arc;
use std::time::Duration;

use probe::clock::SystemClock;
use probe::once::json::Document;
use probe::once::{Options, TextOptions, render};
use probe::sample::HttpVersion;

use crate::cli::OnceArgs;
use crate::failure::{Exit, Failure};
use crate::terminal::Terminal;

/// Measures and prints. It fails where no sample succeeded.
pub async fn run(terminal: Terminal, args: &OnceArgs) -> Result<(), Failure> {
    let report =
        probe::once::run(&options(args)?, Arc::new(SystemClock)).await.map_err(|error| {
            Failure::new(Exit::Usage, &error).hint("check the file that --cacert names")
        })?;
    let text = render(&report, TextOptions { color: terminal.color });
    terminal.result(&text, &Document::from(&report))?;
    if report.any_ok() { Ok(()) } else { Err(Failure::new(Exit::Failed, "no sample succeeded")) }
}

fn options(args: &OnceArgs) -> Result<Options, Failure> {
    let urls = args.urls.iter().map(|url| parse("URL", url)).collect::<Result<_, _>>()?;
    let http = HttpVersion::parse(&args.http)
        .ok_or_else(|| Failure::new(Exit::Usage, format!("--http {}: not 1.1 or 2", args.http)))?;
    Ok(Options {
        count: args.count,
        interval: Duration::from_millis(args.interval),
        connection: args.connection.into(),
        http,
        connect_to: args.connect_to.as_deref().map(|to| parse("--connect-to", to)).transpose()?,
        proxy: args.proxy.as_deref().map(|proxy| parse("--proxy", proxy)).transpose()?,
        ca_file: args.cacert.clone(),
        insecure: args.insecure,
        server_timing: args.server_timing,
        kernel_time: !args.user_clock,
        timeout: Duration::from_millis(args.timeout),
        ..Options::new(urls)
    })
}

fn parse<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error| Failure::new(Exit::Usage, format!("{what} {text}: {error}")))
}
