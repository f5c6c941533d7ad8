//! The arguments of `advisor init`. Shapes and help only.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

/// `advisor init`
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The name that users ask for [default: the custom domain that most Regions serve]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The hosted zone, by name or id [default: the longest that holds the name]
    #[arg(long, value_name = "ZONE")]
    pub zone: Option<String>,
    /// A Region to look in; several may be named [default: all commercial Regions]
    #[arg(long, value_name = "REGION")]
    pub region: Vec<String>,
    /// The path that is measured
    #[arg(long, value_name = "PATH", default_value = "/", value_parser = path)]
    pub path: String,
    /// The path that health checks ask for
    #[arg(long, value_name = "PATH", default_value = "/health", value_parser = path)]
    pub health_path: String,
    /// The port of the service
    #[arg(long, default_value_t = 443, value_parser = clap::value_parser!(u16).range(1..))]
    pub port: u16,
    /// A name server to ask instead of the zone's own; several may be named
    #[arg(long, value_name = "IP:PORT")]
    pub server: Vec<SocketAddr>,
    /// More roots of trust, in PEM
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// The role to assume for the hosted zone, where it belongs to another account
    #[arg(long, value_name = "ARN")]
    pub zone_role: Option<String>,
    /// The role to assume for API Gateway, where it belongs to another account
    #[arg(long, value_name = "ARN")]
    pub api_role: Option<String>,
    /// Write what a fleet of functions needs: vantages in all Regions that every account has, one round a
    /// minute, and the metrics of all of them in this Region
    #[arg(long, value_name = "REGION")]
    pub fleet: Option<String>,
    /// Replace a configuration that is there
    #[arg(long)]
    pub force: bool,
    /// Prove what AWS does not document, an alias at an intermediate name: one throwaway record is
    /// created, read by DNS and deleted. A configuration that is there is used as it is
    #[arg(long)]
    pub prove_alias: bool,
    /// Do not ask before the throwaway record is written
    #[arg(long, requires = "prove_alias")]
    pub yes: bool,
}

fn path(text: &str) -> Result<String, String> {
    if text.starts_with('/') {
        Ok(text.to_owned())
    } else {
        Err(format!("'{text}' does not begin with /"))
    }
}
