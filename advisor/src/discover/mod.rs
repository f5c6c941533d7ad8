//! A first configuration from what is deployed: which Regions serve the name, what stands in DNS, and
//! what is missing, in the order to fix it.
//!
//! Pure, but for [`trial`], which writes one throwaway record when it is asked to: findings in, a draft, its
//! text and its gaps out. It writes no file and asks nobody.

mod draft;
mod gaps;
mod proof;
mod text;
pub mod trial;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use probe::config::EndpointKind;

use crate::denial::Denial;
use crate::domains::{DomainError, ListedDomain};
use crate::name::Name;
use crate::record::RecordSet;
use crate::zone::{ExistingHealthCheck, ZoneError, ZoneFacts};

pub use draft::{Draft, DraftEndpoint, draft};
pub use gaps::{Gap, gaps};
pub use proof::region_proof;
pub use text::text;

/// What each Region answered.
pub type Listings = BTreeMap<String, Result<Vec<ListedDomain>, DomainError>>;

/// Everything that was found.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The name that users ask for.
    pub service: Name,
    /// The hosted zone that holds it.
    pub zone: ZoneFacts,
    /// The custom domains, by Region.
    pub listings: Listings,
    /// The record sets of the whole zone, as they are.
    pub records: Vec<RecordSet>,
    /// The account's health checks.
    pub health_checks: Result<Vec<ExistingHealthCheck>, ZoneError>,
}

/// What nobody can find out, with what is usual where it is not said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wishes {
    /// The port of the service.
    pub port: u16,
    /// The path that is measured.
    pub path: String,
    /// The path that health checks ask for.
    pub health_path: String,
    /// Name servers to ask instead of the zone's own.
    pub servers: Vec<SocketAddr>,
    /// More roots of trust, a PEM file.
    pub ca_file: Option<String>,
    /// The role to assume for the hosted zone.
    pub zone_role: Option<String>,
    /// The role to assume for API Gateway.
    pub api_role: Option<String>,
    /// The Region that holds the metrics of a fleet of functions, where there is to be one.
    pub fleet: Option<String>,
}

/// Why there is no name to configure.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoService {
    /// No Region let itself be asked, all for the same kind of reason.
    #[error("API Gateway could not be asked in any of {regions} Regions: {cause}")]
    Nowhere {
        /// Regions asked.
        regions: usize,
        /// The first Region's reason.
        cause: DomainError,
    },
    /// There is no custom domain.
    #[error("API Gateway has no custom domain in any of the {0} Regions that answered")]
    None(usize),
    /// Several names could be meant.
    #[error("several custom domains could be meant: {}", names(.0))]
    Several(Vec<Name>),
}

fn names(all: &[Name]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl NoService {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Nowhere { cause: DomainError::Denied(denial), .. } => denial.hint(),
            Self::Nowhere { .. } => "check the network, and AWS_ENDPOINT_URL where it is set",
            Self::None(_) => {
                "create the custom domain in each Region first (endpoint type REGIONAL), or name it with --name"
            }
            Self::Several(_) => "choose one with --name",
        }
    }
}

/// The name that most Regions serve, where one is ahead of all others.
pub fn service(listings: &Listings) -> Result<Name, NoService> {
    let answered = listings.values().filter(|listed| listed.is_ok()).count();
    if let (0, Some(Err(cause))) = (answered, listings.values().next()) {
        return Err(NoService::Nowhere { regions: listings.len(), cause: cause.clone() });
    }
    let mut regions: BTreeMap<&Name, BTreeSet<&String>> = BTreeMap::new();
    for (region, domain) in domains(listings) {
        // A wildcard is no name that people ask for.
        if !domain.faces.is_empty() && !domain.name.as_str().starts_with('\\') {
            regions.entry(&domain.name).or_default().insert(region);
        }
    }
    let most = regions.values().map(BTreeSet::len).max().ok_or(NoService::None(answered))?;
    let ahead: Vec<Name> = regions
        .into_iter()
        .filter(|(_, found)| found.len() == most)
        .map(|(name, _)| name.clone())
        .collect();
    match ahead.as_slice() {
        [one] => Ok(one.clone()),
        _ => Err(NoService::Several(ahead)),
    }
}

/// All domains of the Regions that answered.
pub(crate) fn domains(listings: &Listings) -> impl Iterator<Item = (&String, &ListedDomain)> {
    listings
        .iter()
        .flat_map(|(region, listed)| listed.iter().flatten().map(move |domain| (region, domain)))
}

/// Regions that AWS does not know the credentials in, while it does elsewhere: they are not enabled.
#[must_use]
pub fn not_enabled(listings: &Listings) -> BTreeSet<&String> {
    let known_elsewhere = listings.values().any(Result::is_ok);
    let refuses = |listed: &Result<_, DomainError>| {
        matches!(listed, Err(DomainError::Denied(Denial::Unknown(_) | Denial::NotEnabled(_))))
    };
    let off = listings.iter().filter(|(_, listed)| known_elsewhere && refuses(listed));
    off.map(|(region, _)| region).collect()
}

/// The Region in the name of a regional API Gateway target: `d-1.execute-api.REGION.amazonaws.com`.
pub(crate) fn region_of_target(target: &Name) -> Option<&str> {
    let mut labels = target.without_dot().split('.');
    let (_, service, region) = (labels.next()?, labels.next()?, labels.next()?);
    let rest: Vec<&str> = labels.collect();
    let aws = matches!(rest.as_slice(), ["amazonaws", "com"] | ["amazonaws", "com", "cn"]);
    (service == "execute-api" && aws).then_some(region)
}

/// The kinds of endpoint that a custom domain can be, the one that can stand in several Regions first.
pub(crate) const KINDS: [EndpointKind; 2] = [EndpointKind::Regional, EndpointKind::EdgeOptimized];

#[cfg(test)]
mod tests;
