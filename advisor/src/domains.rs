//! The seam to API Gateway: whether a Region has the custom domain that an alias record points at.
//!
//! A trait, its types, and the one function that asks for several endpoints. Judging is for `guard`.

use std::collections::BTreeMap;
use std::future::Future;

use probe::clock::Clock;
use probe::config::{Alias, Config, EndpointKind};
use tokio::task::JoinSet;

use crate::denial::Denial;
use crate::name::Name;

/// A custom domain as API Gateway lists it in one Region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomDomain {
    /// `AVAILABLE`, or what keeps it from being so.
    pub status: String,
    /// More about the status, in API Gateway's words.
    pub status_message: Option<String>,
    /// What alias records may point at: the regional and the edge-optimized target.
    pub targets: Vec<DomainTarget>,
}

/// What an alias record may point at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainTarget {
    /// Its DNS name.
    pub dns_name: Name,
    /// The hosted zone of that name.
    pub hosted_zone_id: String,
}

/// A custom domain with all that it answers by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedDomain {
    /// Its name.
    pub name: Name,
    /// Regional and edge-optimized; a private one has none.
    pub faces: Vec<Face>,
}

/// One of the ways in which a custom domain is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Face {
    /// Regional or edge-optimized.
    pub kind: EndpointKind,
    /// What alias records point at.
    pub target: DomainTarget,
    /// `AVAILABLE`, or what keeps it from being so.
    pub status: String,
    /// More about the status, in API Gateway's words.
    pub status_message: Option<String>,
}

impl ListedDomain {
    /// The face of this kind.
    #[must_use]
    pub fn face(&self, kind: EndpointKind) -> Option<&Face> {
        self.faces.iter().find(|face| face.kind == kind)
    }
}

impl From<ListedDomain> for CustomDomain {
    /// With the status of the face that is not ready, where there is one.
    fn from(listed: ListedDomain) -> Self {
        let unready = listed.faces.iter().find(|face| face.status != "AVAILABLE");
        let telling = unready.or(listed.faces.first());
        Self {
            status: telling.map(|face| face.status.clone()).unwrap_or_default(),
            status_message: telling.and_then(|face| face.status_message.clone()),
            targets: listed.faces.into_iter().map(|face| face.target).collect(),
        }
    }
}

/// Why API Gateway did not say.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DomainError {
    /// These credentials may not ask.
    #[error("{0}")]
    Denied(Denial),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
}

/// API Gateway in every Region. Each call is bounded in time by the implementation.
pub trait Domains: Sync {
    /// The custom domain of this name in a Region, `None` where there is none.
    fn domain(
        &self,
        region: &str,
        name: &Name,
    ) -> impl Future<Output = Result<Option<CustomDomain>, DomainError>> + Send;

    /// All custom domains of a Region, by name, each once.
    fn list(
        &self,
        region: &str,
    ) -> impl Future<Output = Result<Vec<ListedDomain>, DomainError>> + Send;
}

/// What each of these Regions lists, all asked at once, so that one that does not answer delays no other.
pub async fn list_all<D: Domains + Clone + Send + 'static>(
    domains: &D,
    regions: impl IntoIterator<Item = String>,
) -> BTreeMap<String, Result<Vec<ListedDomain>, DomainError>> {
    let mut asked = JoinSet::new();
    for region in regions {
        let domains = domains.clone();
        asked.spawn(async move {
            let listed = domains.list(&region).await;
            (region, listed)
        });
    }
    // The tasks neither panic nor are they aborted.
    asked.join_all().await.into_iter().collect()
}

/// What API Gateway says of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainFinding {
    /// Where it was asked.
    pub region: String,
    /// When, milliseconds since the epoch.
    pub taken_at_ms: i64,
    /// What the endpoint's alias records point at.
    pub alias: DomainTarget,
    /// Whether the endpoint proves its Region by an answer of its own (`region_proof`).
    pub proves_region: bool,
    /// What was said.
    pub answer: Result<Option<CustomDomain>, DomainError>,
}

/// Asks for the service's custom domain in the Regions of these endpoints, all at once, so that one Region
/// that does not answer makes the others' findings no older. Endpoints that are not API Gateway's own
/// (`kind = "cloudfront"`), and those without an alias, are not among the findings.
pub async fn findings<D: Domains + Clone + Send + 'static>(
    domains: &D,
    config: &Config,
    service: &Name,
    endpoints: &[String],
    clock: &dyn Clock,
) -> BTreeMap<String, DomainFinding> {
    let mut asked = JoinSet::new();
    for endpoint in config.endpoints.iter().filter(|one| endpoints.contains(&one.id)) {
        let Some(alias) = endpoint.alias.as_ref().and_then(target) else { continue };
        if endpoint.kind == EndpointKind::CloudFront {
            continue;
        }
        let (domains, service, region) =
            (domains.clone(), service.clone(), endpoint.region.clone());
        let (id, proves_region) = (endpoint.id.clone(), endpoint.region_proof.is_some());
        asked.spawn(async move {
            let answer = domains.domain(&region, &service).await;
            (id, DomainFinding { region, taken_at_ms: 0, alias, proves_region, answer })
        });
    }
    let mut findings = BTreeMap::new();
    while let Some(done) = asked.join_next().await {
        // The tasks neither panic nor are they aborted.
        if let Ok((endpoint, finding)) = done {
            let taken_at_ms = clock.wall_ms();
            findings.insert(endpoint, DomainFinding { taken_at_ms, ..finding });
        }
    }
    findings
}

fn target(alias: &Alias) -> Option<DomainTarget> {
    let dns_name = Name::parse(&alias.dns_name).ok()?;
    Some(DomainTarget { dns_name, hosted_zone_id: alias.hosted_zone_id.clone() })
}

/// What people should know of Regions where API Gateway did not answer.
#[must_use]
pub fn notes(findings: &BTreeMap<String, DomainFinding>) -> Vec<String> {
    let note = |(endpoint, finding): (&String, &DomainFinding)| {
        let cause = finding.answer.as_ref().err()?;
        Some(format!(
            "API Gateway in {} did not say whether the custom domain of {endpoint} is AVAILABLE \
             ({cause}); what the endpoint answers over TLS has to do",
            finding.region
        ))
    };
    findings.iter().filter_map(note).collect()
}
