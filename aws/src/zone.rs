//! A hosted zone of Route 53 behind the advisor's trait.
//!
//! Every call is bounded in time. Reads are repeated by the SDK; a change of records never is,
//! because a repeated batch is refused when the first was taken and only its reply was lost.

use std::time::Duration;

use advisor::name::Name;
use advisor::record::{ChangeBatch, RecordSet};
use advisor::zone::{
    ChangeId, ChangeStatus, ExistingHealthCheck, HealthCheckSpec, Observations, Zone, ZoneError,
    ZoneFacts,
};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_route53::Client;
use aws_sdk_route53::config::{Config, Credentials};
use aws_sdk_route53::types as sdk;

use crate::convert::{from_sdk, to_sdk};
use crate::error::{Effect, translate, translate_change};

/// Pages of one listing: 10,000 record sets a zone (Route 53's quota) at 300 a page, and room.
const MAX_PAGES: usize = 100;
/// One attempt of a call.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
/// A call with its repetitions.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Route 53 is one service for all Regions; requests are signed for this one.
const SIGNING_REGION: &str = "us-east-1";
/// Where Route 53 is, when nothing says otherwise.
const PUBLIC_API: &str = "https://route53.amazonaws.com";

/// How to reach Route 53, where it is not the account's own way.
#[derive(Clone, Default)]
pub struct Access {
    /// Another API address, as `AWS_ENDPOINT_URL_ROUTE_53` would give it.
    pub endpoint_url: Option<String>,
    /// Fixed credentials (key id, secret), for servers that take any.
    pub credentials: Option<(String, String)>,
}

impl std::fmt::Debug for Access {
    /// Without the secret, and without what an address may hold of one.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access")
            .field("endpoint_url", &self.endpoint_url.as_deref().map(without_user))
            .field("credentials", &self.credentials.as_ref().map(|_| "..."))
            .finish()
    }
}

/// A URL without user name and password.
fn without_user(url: &str) -> String {
    match url.split_once("://") {
        Some((scheme, rest)) => {
            let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
            let host = authority.rfind('@').map_or(0, |at| at + 1);
            format!("{scheme}://{}", &rest[host..])
        }
        None => url.to_owned(),
    }
}

/// One hosted zone.
#[derive(Debug, Clone)]
pub struct Route53Zone {
    client: Client,
    facts: ZoneFacts,
}

impl Route53Zone {
    /// Finds a public hosted zone by its name, or by its id (which starts with `Z`).
    pub async fn open(zone: &str, access: &Access) -> Result<Self, ZoneError> {
        let (client, api) = connect(access).await;
        let id = if is_zone_id(zone) { zone.to_owned() } else { find(&client, zone).await? };
        let found = client
            .get_hosted_zone()
            .id(&id)
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Reads, zone))?;
        let name_servers = found.delegation_set.map(|set| set.name_servers).unwrap_or_default();
        let hosted = found.hosted_zone.ok_or_else(|| ZoneError::Missing(zone.to_owned()))?;
        let name = Name::parse(&hosted.name)
            .map_err(|error| ZoneError::Failed(format!("zone '{zone}': {error}")))?;
        Ok(Self { client, facts: ZoneFacts { id, name, name_servers, api } })
    }
}

async fn connect(access: &Access) -> (Client, String) {
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(aws_smithy_http_client::tls::Provider::Rustls(
            aws_smithy_http_client::tls::rustls_provider::CryptoMode::Ring,
        ))
        .build_https();
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(CALL_TIMEOUT)
        .build();
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(Region::new(SIGNING_REGION))
        .http_client(http)
        .timeout_config(timeouts);
    if let Some(url) = &access.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some((key, secret)) = &access.credentials {
        loader = loader.credentials_provider(Credentials::new(
            key,
            secret,
            None,
            None,
            "nearside-access",
        ));
    }
    let config = loader.load().await;
    (Client::new(&config), effective_api(&config))
}

/// The address that calls will go to, as the SDK itself will find it.
fn effective_api(config: &SdkConfig) -> String {
    let key = aws_types::service_config::ServiceConfigKey::builder()
        .service_id("route 53")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let of_service = match (config.service_config(), key) {
        (Some(service), Ok(key)) => service.load_config(key),
        _ => None,
    };
    let url = of_service.or_else(|| config.endpoint_url().map(str::to_owned));
    url.map_or_else(|| PUBLIC_API.to_owned(), |url| without_user(&url))
}

fn is_zone_id(text: &str) -> bool {
    text.starts_with('Z') && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

async fn find(client: &Client, zone: &str) -> Result<String, ZoneError> {
    let wanted =
        Name::parse(zone).map_err(|error| ZoneError::Failed(format!("zone '{zone}': {error}")))?;
    let listed = client
        .list_hosted_zones_by_name()
        .dns_name(wanted.as_str())
        .send()
        .await
        .map_err(|error| translate(&error, Effect::Reads, zone))?;
    let is_private = |hosted: &&sdk::HostedZone| {
        hosted.config.as_ref().is_some_and(|config| config.private_zone)
    };
    let found: Vec<&sdk::HostedZone> = listed
        .hosted_zones
        .iter()
        .filter(|hosted| Name::parse(&hosted.name).as_ref() == Ok(&wanted))
        .filter(|hosted| !is_private(hosted))
        .collect();
    match found.as_slice() {
        [one] => Ok(one.id.rsplit('/').next().unwrap_or(&one.id).to_owned()),
        [] => Err(ZoneError::Missing(zone.to_owned())),
        several => Err(ZoneError::Failed(format!(
            "{} public hosted zones are named '{zone}': write the id of the right one as `zone`",
            several.len()
        ))),
    }
}

impl Zone for Route53Zone {
    fn facts(&self) -> &ZoneFacts {
        &self.facts
    }

    /// Route 53 lists names with their labels reversed, so that everything below a name follows it.
    async fn record_sets(&self, name: &Name) -> Result<Vec<RecordSet>, ZoneError> {
        let mut sets = Vec::new();
        let mut request = self
            .client
            .list_resource_record_sets()
            .hosted_zone_id(&self.facts.id)
            .start_record_name(name.as_str());
        for _ in 0..MAX_PAGES {
            let page = request
                .send()
                .await
                .map_err(|error| translate(&error, Effect::Reads, self.facts.name.as_str()))?;
            for set in &page.resource_record_sets {
                let set = from_sdk(set)?;
                if !set.name.is_within(name) {
                    return Ok(sets);
                }
                sets.push(set);
            }
            let Some(next) = page.next_record_name.filter(|_| page.is_truncated) else {
                return Ok(sets);
            };
            request = self
                .client
                .list_resource_record_sets()
                .hosted_zone_id(&self.facts.id)
                .start_record_name(next)
                .set_start_record_type(page.next_record_type)
                .set_start_record_identifier(page.next_record_identifier);
        }
        Err(ZoneError::Failed(format!("the zone lists more than {MAX_PAGES} pages below '{name}'")))
    }

    async fn change(&self, batch: &ChangeBatch) -> Result<ChangeId, ZoneError> {
        let changes: Vec<sdk::Change> =
            batch.changes.iter().map(to_sdk).collect::<Result<_, _>>()?;
        let batch = sdk::ChangeBatch::builder()
            .comment(&batch.comment)
            .set_changes(Some(changes))
            .build()
            .map_err(|error| ZoneError::Failed(error.to_string()))?;
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let taken = self
            .client
            .change_resource_record_sets()
            .hosted_zone_id(&self.facts.id)
            .change_batch(batch)
            .customize()
            .config_override(once)
            .send()
            .await
            .map_err(|error| translate_change(&error, self.facts.name.as_str()))?;
        match taken.change_info {
            Some(info) => Ok(ChangeId(info.id.trim_start_matches("/change/").to_owned())),
            None => Err(ZoneError::Unsettled("the reply names no change".into())),
        }
    }

    async fn change_status(&self, id: &ChangeId) -> Result<ChangeStatus, ZoneError> {
        let reply = self
            .client
            .get_change()
            .id(&id.0)
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Reads, self.facts.name.as_str()))?;
        match reply.change_info.map(|info| info.status) {
            Some(sdk::ChangeStatus::Insync) => Ok(ChangeStatus::InSync),
            _ => Ok(ChangeStatus::Pending),
        }
    }

    async fn health_checks(&self, prefix: &str) -> Result<Vec<ExistingHealthCheck>, ZoneError> {
        let mut found = Vec::new();
        let mut marker = None;
        for _ in 0..MAX_PAGES {
            let page = self
                .client
                .list_health_checks()
                .set_marker(marker)
                .send()
                .await
                .map_err(|error| translate(&error, Effect::Reads, self.facts.name.as_str()))?;
            let ours = page
                .health_checks
                .into_iter()
                .filter(|check| check.caller_reference.starts_with(prefix));
            found.extend(ours.map(existing));
            marker = page.next_marker.filter(|_| page.is_truncated);
            if marker.is_none() {
                return Ok(found);
            }
        }
        Err(ZoneError::Failed(format!(
            "the account lists more than {MAX_PAGES} pages of health checks"
        )))
    }

    async fn ensure_health_check(&self, spec: &HealthCheckSpec) -> Result<String, ZoneError> {
        let kind =
            if spec.https { sdk::HealthCheckType::Https } else { sdk::HealthCheckType::Http };
        let config = sdk::HealthCheckConfig::builder()
            .r#type(kind)
            .fully_qualified_domain_name(&spec.host)
            .port(i32::from(spec.port))
            .resource_path(&spec.path)
            .enable_sni(spec.https)
            .build()
            .map_err(|error| ZoneError::Failed(error.to_string()))?;
        let reply = self
            .client
            .create_health_check()
            .caller_reference(&spec.caller_reference)
            .health_check_config(config)
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Writes, self.facts.name.as_str()))?;
        let id = reply
            .health_check
            .map(|check| check.id)
            .ok_or_else(|| ZoneError::Failed("the reply names no health check".into()))?;
        self.tag(&id, spec).await;
        Ok(id)
    }

    async fn observations(&self, id: &str) -> Result<Observations, ZoneError> {
        let reply = self
            .client
            .get_health_check_status()
            .health_check_id(id)
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Reads, self.facts.name.as_str()))?;
        let reports: Vec<String> = reply
            .health_check_observations
            .into_iter()
            .filter_map(|observation| observation.status_report?.status)
            .collect();
        let healthy = reports.iter().filter(|status| status.starts_with("Success")).count();
        Ok(Observations { reported: reports.len(), healthy })
    }

    async fn delete_health_check(&self, id: &str) -> Result<(), ZoneError> {
        let reply = self.client.delete_health_check().health_check_id(id).send().await;
        match reply.map_err(|error| translate(&error, Effect::Reads, self.facts.name.as_str())) {
            Ok(_) => Ok(()),
            // Repeating a delete whose reply was lost finds nothing, which is what was wanted.
            Err(ZoneError::Refused { code, .. }) if code == "NoSuchHealthCheck" => Ok(()),
            Err(error) => Err(error),
        }
    }
}

fn existing(check: sdk::HealthCheck) -> ExistingHealthCheck {
    let config = check.health_check_config;
    let port = config.as_ref().and_then(|config| config.port);
    ExistingHealthCheck {
        id: check.id,
        caller_reference: check.caller_reference,
        host: config
            .as_ref()
            .and_then(|config| config.fully_qualified_domain_name.clone())
            .unwrap_or_default(),
        port: port.and_then(|port| u16::try_from(port).ok()).unwrap_or_default(),
        path: config.and_then(|config| config.resource_path).unwrap_or_default(),
    }
}

impl Route53Zone {
    /// Names the check for people. Without the permission to tag it works all the same.
    async fn tag(&self, id: &str, spec: &HealthCheckSpec) {
        let tag = |key: &str, value: &str| sdk::Tag::builder().key(key).value(value).build();
        let tagged = self
            .client
            .change_tags_for_resource()
            .resource_type(sdk::TagResourceType::Healthcheck)
            .resource_id(id)
            .add_tags(tag("Name", &format!("nearside {}", spec.endpoint)))
            .add_tags(tag("nearside:endpoint", &spec.endpoint))
            .send()
            .await;
        if let Err(error) = tagged {
            let cause = translate(&error, Effect::Reads, self.facts.name.as_str());
            tracing::warn!(health_check = id, %cause, "the health check could not be tagged");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_shown() {
        let access = Access {
            endpoint_url: Some("https://me:hunter2@example.com/x?y#@z".into()),
            credentials: Some(("AKIDEXAMPLE".into(), "wJalrXUtnFEMI".into())),
        };
        let shown = format!("{access:?}");
        for secret in ["hunter2", "me:", "AKIDEXAMPLE", "wJalrXUtnFEMI"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        assert!(shown.contains("https://example.com/x?y#@z"), "{shown}");
    }

    #[test]
    fn addresses_lose_only_the_user() {
        for (url, shown) in [
            ("http://127.0.0.1:4566", "http://127.0.0.1:4566"),
            ("https://a@b@route53.amazonaws.com/", "https://route53.amazonaws.com/"),
            ("https://h/p@q", "https://h/p@q"),
            ("nonsense", "nonsense"),
        ] {
            assert_eq!(without_user(url), shown);
        }
    }

    #[test]
    fn ids_are_told_from_names() {
        for (text, is_id) in [("Z0123ABC", true), ("example.com", false), ("Zebra.org", false)] {
            assert_eq!(is_zone_id(text), is_id, "{text}");
        }
    }
}
