//! The custom domains of API Gateway behind the advisor's trait, read in both forms of its API.
//!
//! It lists; what a status means is for the guards. One call a page, signed for the Region asked.

use advisor::domains::{CustomDomain, DomainError, DomainTarget, Domains};
use advisor::name::Name;
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

    /// The domain of this name in one form of the API, and where the next page begins.
    async fn page(
        &self,
        (form, region): (Form, &str),
        name: &Name,
        from: Option<&str>,
    ) -> Result<(Option<CustomDomain>, Option<String>), DomainError> {
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
        match form {
            Form::V1 => {
                let page: PageV1 = read(&reply)?;
                let found = page.item.into_iter().find(|one| is(&one.domain_name, name));
                Ok((found.map(from_v1), page.position))
            }
            Form::V2 => {
                let page: PageV2 = read(&reply)?;
                let found = page.items.into_iter().find(|one| is(&one.domain_name, name));
                Ok((found.map(from_v2), page.next_token))
            }
        }
    }
}

impl Domains for ApiGateway {
    async fn domain(&self, region: &str, name: &Name) -> Result<Option<CustomDomain>, DomainError> {
        for form in [Form::V1, Form::V2] {
            let mut from: Option<String> = None;
            for page in 1..=MAX_PAGES {
                let (found, next) = self.page((form, region), name, from.as_deref()).await?;
                if found.is_some() {
                    return Ok(found);
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
        Ok(None)
    }
}

fn asks_to_wait(reply: &Reply) -> bool {
    let throttled = Some("TooManyRequestsException") == reply.error_type.as_deref();
    throttled || reply.status.as_u16() == 429
}

fn is(listed: &str, name: &Name) -> bool {
    Name::parse(listed).as_ref() == Ok(name)
}

fn read<'a, T: Deserialize<'a>>(reply: &'a Reply) -> Result<T, DomainError> {
    serde_json::from_slice(&reply.body).map_err(|error| {
        DomainError::Failed(format!("the list of domains is not readable: {error}"))
    })
}

fn unanswered(error: CallError) -> DomainError {
    match error {
        CallError::Credentials(cause) => DomainError::Denied(cause),
        CallError::NoReply(cause) => DomainError::Failed(cause),
    }
}

fn refused(reply: &Reply) -> DomainError {
    let kind = reply.error_type.clone().unwrap_or_else(|| reply.status.to_string());
    let message = serde_json::from_slice::<serde_json::Value>(&reply.body).ok();
    let message = message.as_ref().and_then(|body| body.get("message")?.as_str()).unwrap_or("");
    let cause = if message.is_empty() { kind } else { format!("{kind}: {message}") };
    if reply.is_denied() { DomainError::Denied(cause) } else { DomainError::Failed(cause) }
}

fn target(dns_name: Option<String>, zone: Option<String>) -> Option<DomainTarget> {
    let dns_name = Name::parse(&dns_name?).ok()?;
    Some(DomainTarget { dns_name, hosted_zone_id: zone.unwrap_or_default() })
}

fn from_v1(listed: DomainV1) -> CustomDomain {
    let regional = target(listed.regional_domain_name, listed.regional_hosted_zone_id);
    let edge = target(listed.distribution_domain_name, listed.distribution_hosted_zone_id);
    CustomDomain {
        status: listed.domain_name_status.unwrap_or_default(),
        status_message: listed.domain_name_status_message,
        targets: regional.into_iter().chain(edge).collect(),
    }
}

fn from_v2(listed: DomainV2) -> CustomDomain {
    let unready = |one: &&ConfigurationV2| one.domain_name_status.as_deref() != Some("AVAILABLE");
    let configurations = listed.domain_name_configurations;
    let telling = configurations.iter().find(unready).or(configurations.first());
    let status = telling.and_then(|one| one.domain_name_status.clone()).unwrap_or_default();
    let status_message = telling.and_then(|one| one.domain_name_status_message.clone());
    let targets = configurations.into_iter();
    let targets = targets.filter_map(|one| target(one.api_gateway_domain_name, one.hosted_zone_id));
    CustomDomain { status, status_message, targets: targets.collect() }
}
