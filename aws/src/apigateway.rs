//! The custom domains of API Gateway behind the advisor's trait, read in both forms of its API.
//!
//! It lists; what a status means is for the guards. One call a page, signed for the Region asked.

use std::collections::BTreeMap;

use advisor::denial::Denial;
use advisor::domains::{CustomDomain, DomainError, DomainTarget, Domains, Face, ListedDomain};
use advisor::name::Name;
use probe::config::EndpointKind;
use serde::Deserialize;

use crate::protections::escape;
use crate::session::{Access, configured_endpoint, session};
use crate::signed::{Call, CallError, Reply, Signed};

/// Pages of one listing, at 500 domains each.
const MAX_PAGES: usize = 10;

/// API Gateway, in every Region.
#[derive(Debug, Clone)]
pub struct ApiGateway {
    signed: Signed,
    /// Other addresses than AWS's own, of the first and the second form.
    overrides: [Option<String>; 2],
}

/// The two forms of the API. Domains of HTTP APIs may be known to the second alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    V1,
    V2,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageV1 {
    #[serde(default)]
    item: Vec<DomainV1>,
    position: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DomainV1 {
    domain_name: String,
    domain_name_status: Option<String>,
    domain_name_status_message: Option<String>,
    regional_domain_name: Option<String>,
    regional_hosted_zone_id: Option<String>,
    distribution_domain_name: Option<String>,
    distribution_hosted_zone_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageV2 {
    #[serde(default)]
    items: Vec<DomainV2>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DomainV2 {
    domain_name: String,
    #[serde(default)]
    domain_name_configurations: Vec<ConfigurationV2>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConfigurationV2 {
    api_gateway_domain_name: Option<String>,
    hosted_zone_id: Option<String>,
    endpoint_type: Option<String>,
    domain_name_status: Option<String>,
    domain_name_status_message: Option<String>,
}

impl ApiGateway {
    /// API Gateway as the environment leads to it.
    pub async fn open(access: &Access) -> Result<Self, DomainError> {
        let config = session(access, access.api_role.as_deref()).await;
        let signed = Signed::new(&config).map_err(unanswered)?;
        let over = |id| access.apigateway_url.clone().or_else(|| configured_endpoint(&config, id));
        Ok(Self { signed, overrides: [over("api gateway"), over("apigatewayv2")] })
    }

    /// One page of the domains in one form of the API, and where the next page begins.
    async fn page(
        &self,
        (form, region): (Form, &str),
        from: Option<&str>,
    ) -> Result<(Vec<ListedDomain>, Option<String>), DomainError> {
        let suffix = if region.starts_with("cn-") { ".cn" } else { "" };
        let public = format!("https://apigateway.{region}.amazonaws.com{suffix}");
        let base = self.overrides[form as usize].as_deref().unwrap_or(&public);
        let from = from.map(escape).unwrap_or_default();
        let path = match (form, from.as_str()) {
            (Form::V1, "") => "/domainnames?limit=500".to_owned(),
            (Form::V1, from) => format!("/domainnames?limit=500&position={from}"),
            (Form::V2, "") => "/v2/domainnames?maxResults=500".to_owned(),
            (Form::V2, from) => format!("/v2/domainnames?maxResults=500&nextToken={from}"),
        };
        let accept = "application/json";
        let service = "apigateway";
        let call = Call { service, region, base, path: &path, accept, asks_to_wait };
        let reply = self.signed.get(&call).await.map_err(unanswered)?;
        if !reply.status.is_success() {
            return Err(refused(&reply));
        }
        Ok(match form {
            Form::V1 => {
                let page: PageV1 = read(&reply)?;
                (page.item.into_iter().filter_map(from_v1).collect(), page.position)
            }
            Form::V2 => {
                let page: PageV2 = read(&reply)?;
                (page.items.into_iter().filter_map(from_v2).collect(), page.next_token)
            }
        })
    }

    /// The domains that are wanted, in both forms; no page is read after the first find if one suffices.
    async fn pages(
        &self,
        region: &str,
        wanted: impl Fn(&ListedDomain) -> bool + Send + Sync,
        first_only: bool,
    ) -> Result<Vec<ListedDomain>, DomainError> {
        let mut all = Vec::new();
        for form in [Form::V1, Form::V2] {
            let mut from: Option<String> = None;
            for page in 1..=MAX_PAGES {
                let (found, next) = self.page((form, region), from.as_deref()).await?;
                all.extend(found.into_iter().filter(&wanted));
                if first_only && !all.is_empty() {
                    return Ok(all);
                }
                from = next;
                if from.is_none() {
                    break;
                }
                if page == MAX_PAGES {
                    let cause = format!("{region} lists more than {MAX_PAGES} pages of domains");
                    return Err(DomainError::Failed(cause));
                }
            }
        }
        Ok(all)
    }
}

impl Domains for ApiGateway {
    async fn domain(&self, region: &str, name: &Name) -> Result<Option<CustomDomain>, DomainError> {
        let found = self.pages(region, |one| one.name == *name, true).await?;
        Ok(found.into_iter().next().map(CustomDomain::from))
    }

    async fn list(&self, region: &str) -> Result<Vec<ListedDomain>, DomainError> {
        let mut each: BTreeMap<Name, ListedDomain> = BTreeMap::new();
        for one in self.pages(region, |_| true, false).await? {
            // The first form tells more of a domain; the second has those that the first does not know.
            let known = each.entry(one.name.clone()).or_insert_with(|| one.clone());
            if known.faces.is_empty() {
                *known = one;
            }
        }
        Ok(each.into_values().collect())
    }
}

fn asks_to_wait(reply: &Reply) -> bool {
    let throttled = Some("TooManyRequestsException") == reply.error_type.as_deref();
    throttled || reply.status.as_u16() == 429
}

fn read<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, DomainError> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        DomainError::Failed(format!("the list of domains is not readable: {error}"))
    })
}

fn unanswered(error: CallError) -> DomainError {
    match error {
        CallError::Credentials(cause) => DomainError::Denied(Denial::NoCredentials(cause)),
        CallError::NoReply(cause) => DomainError::Failed(cause),
    }
}

fn refused(reply: &Reply) -> DomainError {
    let kind = reply.error_type.clone().unwrap_or_else(|| reply.status.to_string());
    let body = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let message = body.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or("");
    match (reply.is_denied(), message) {
        (true, message) => DomainError::Denied(Denial::of(&kind, message)),
        (false, "") => DomainError::Failed(kind),
        (false, message) => DomainError::Failed(format!("{kind}: {message}")),
    }
}

/// A face, where the target is there; a name that cannot stand in DNS is none.
fn face(
    kind: EndpointKind,
    (dns_name, zone): (Option<String>, Option<String>),
    (status, status_message): (Option<String>, Option<String>),
) -> Option<Face> {
    let dns_name = Name::parse(&dns_name?).ok()?;
    let target = DomainTarget { dns_name, hosted_zone_id: zone.unwrap_or_default() };
    Some(Face { kind, target, status: status.unwrap_or_default(), status_message })
}

fn from_v1(listed: DomainV1) -> Option<ListedDomain> {
    let status = (listed.domain_name_status, listed.domain_name_status_message);
    let regional = (listed.regional_domain_name, listed.regional_hosted_zone_id);
    let edge = (listed.distribution_domain_name, listed.distribution_hosted_zone_id);
    let faces = [(EndpointKind::Regional, regional), (EndpointKind::EdgeOptimized, edge)];
    let faces = faces.into_iter().filter_map(|(kind, target)| face(kind, target, status.clone()));
    Some(ListedDomain { name: Name::parse(&listed.domain_name).ok()?, faces: faces.collect() })
}

fn from_v2(listed: DomainV2) -> Option<ListedDomain> {
    let one = |one: ConfigurationV2| {
        let kind = match one.endpoint_type.as_deref() {
            Some("EDGE") => EndpointKind::EdgeOptimized,
            _ => EndpointKind::Regional,
        };
        let status = (one.domain_name_status, one.domain_name_status_message);
        face(kind, (one.api_gateway_domain_name, one.hosted_zone_id), status)
    };
    let faces = listed.domain_name_configurations.into_iter().filter_map(one).collect();
    Some(ListedDomain { name: Name::parse(&listed.domain_name).ok()?, faces })
}
