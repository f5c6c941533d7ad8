//! A hosted zone of Route 53 behind the advisor's trait.
//!
//! Every call is bounded in time. Reads are repeated by the SDK; a change of records never is,
//! because a repeated batch is refused when the first was taken and only its reply was lost.

use advisor::name::Name;
use advisor::record::{ChangeBatch, RecordSet, RecordType};
use advisor::zone::{
    BrakeSpec, ChangeId, ChangeStatus, ExistingHealthCheck, HealthCheckSpec, Observations,
    Protection, Zone, ZoneError, ZoneFacts,
};
use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_route53::Client;
use aws_sdk_route53::config::Config;
use aws_sdk_route53::types as sdk;
use probe::url::IpPrefix;

use crate::convert::{from_sdk, to_sdk};
use crate::error::{Effect, translate, translate_change};
use crate::protections;
use crate::session::{Access, account, configured_endpoint, session, without_user};
use crate::signed::Signed;

/// Pages of one listing: 10,000 record sets a zone (Route 53's quota) at 300 a page, and room.
const MAX_PAGES: usize = 100;
/// Where Route 53 is, when nothing says otherwise, and the Region that requests to it are signed for.
const PUBLIC_API: (&str, &str) = ("https://route53.amazonaws.com", "us-east-1");

/// One hosted zone.
#[derive(Debug, Clone)]
pub struct Route53Zone {
    api: Api,
    access: Access,
    facts: ZoneFacts,
}

/// Route 53 as the environment leads to it.
#[derive(Debug, Clone)]
struct Api {
    client: Client,
    config: SdkConfig,
    signed: Signed,
    base: String,
}

impl Api {
    async fn open(access: &Access) -> Result<Self, ZoneError> {
        let config = session(access, access.zone_role.as_deref()).await;
        let configured = || configured_endpoint(&config, "route 53");
        let over = access.endpoint_url.clone().or_else(configured);
        let base = over.clone().unwrap_or_else(|| PUBLIC_API.0.to_owned());
        let mut settings = Config::from(&config).to_builder();
        settings.set_endpoint_url(over);
        let client = Client::from_conf(settings.build());
        let signed = Signed::new(&config).map_err(|error| ZoneError::Failed(error.to_string()))?;
        Ok(Self { client, config, signed, base })
    }

    /// The account of the credentials, as [`Route53Zone::account`] has it.
    async fn account(&self, access: &Access) -> Option<Result<String, ZoneError>> {
        let elsewhere = self.base != PUBLIC_API.0;
        let own_sts =
            access.sts_url.is_some() || configured_endpoint(&self.config, "sts").is_some();
        if elsewhere && !own_sts {
            return None;
        }
        Some(account(&self.config, access).await)
    }
}

/// What Route 53's clock says, in ms since 1970. Any answer tells it, also to nobody.
pub async fn server_time_ms(access: &Access) -> Result<i64, ZoneError> {
    let api = Api::open(access).await?;
    api.signed.time_ms(&api.base).await.map_err(|error| ZoneError::Failed(error.to_string()))
}

/// The account of the credentials that Route 53 is asked with. `None` where its address is not AWS's own
/// and the token service has none either.
pub async fn caller_account(access: &Access) -> Result<Option<String>, ZoneError> {
    let account = Api::open(access).await?.account(access).await;
    account.transpose()
}

impl Route53Zone {
    /// Finds a public hosted zone by its name, or by its id (which starts with `Z`).
    pub async fn open(zone: &str, access: &Access) -> Result<Self, ZoneError> {
        let api = Api::open(access).await?;
        let id = if is_zone_id(zone) { zone.to_owned() } else { find(&api.client, zone).await? };
        Self::of_id(api, &id, zone, access).await
    }

    /// Finds the public hosted zone that holds a name: the longest whose name ends it.
    pub async fn holding(name: &Name, access: &Access) -> Result<Self, ZoneError> {
        let api = Api::open(access).await?;
        let mut rest = name.without_dot();
        while rest.contains('.') {
            match find(&api.client, rest).await {
                Ok(id) => return Self::of_id(api, &id, rest, access).await,
                Err(ZoneError::Missing(_)) => {}
                Err(error) => return Err(error),
            }
            rest = rest.split_once('.').map_or("", |(_, parent)| parent);
        }
        Err(ZoneError::Missing(name.without_dot().to_owned()))
    }

    async fn of_id(api: Api, id: &str, zone: &str, access: &Access) -> Result<Self, ZoneError> {
        let found = api
            .client
            .get_hosted_zone()
            .id(id)
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Reads, zone))?;
        let name_servers = found.delegation_set.map(|set| set.name_servers).unwrap_or_default();
        let hosted = found.hosted_zone.ok_or_else(|| ZoneError::Missing(zone.to_owned()))?;
        let name = Name::parse(&hosted.name)
            .map_err(|error| ZoneError::Failed(format!("zone '{zone}': {error}")))?;
        let (id, address) = (id.to_owned(), without_user(&api.base));
        let facts = ZoneFacts { id, name, name_servers, api: address };
        Ok(Self { api, access: access.clone(), facts })
    }

    /// The account that writes, for people to see before they confirm. `None` where Route 53 is at another
    /// address than AWS's own and the token service is not: credentials meant for one server are not shown
    /// to another.
    pub async fn account(&self) -> Option<Result<String, String>> {
        let account = self.api.account(&self.access).await;
        account.map(|known| known.map_err(|error| error.to_string()))
    }
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
            .api
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
                .api
                .client
                .list_resource_record_sets()
                .hosted_zone_id(&self.facts.id)
                .start_record_name(next)
                .set_start_record_type(page.next_record_type)
                .set_start_record_identifier(page.next_record_identifier);
        }
        Err(ZoneError::Failed(format!("the zone lists more than {MAX_PAGES} pages below '{name}'")))
    }

    async fn protections(&self) -> Result<Vec<Protection>, ZoneError> {
        protections::list(&self.api.signed, (&self.api.base, PUBLIC_API.1), &self.facts.id).await
    }

    async fn test_dns_answer(
        &self,
        name: &Name,
        record_type: &RecordType,
        subnet: IpPrefix,
    ) -> Result<Vec<String>, ZoneError> {
        let reply = self
            .api
            .client
            .test_dns_answer()
            .hosted_zone_id(&self.facts.id)
            .record_name(name.as_str())
            .record_type(sdk::RrType::from(record_type.as_str()))
            .edns0_client_subnet_ip(subnet.address.to_string())
            .edns0_client_subnet_mask(subnet.len.to_string())
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Reads, self.facts.name.as_str()))?;
        match reply.response_code.as_str() {
            "NOERROR" => Ok(reply.record_data),
            other => Err(ZoneError::Failed(format!("TestDNSAnswer says {other} for {name}"))),
        }
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
            .api
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
            .api
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
                .api
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
        let id = self.create_check(&spec.caller_reference, config).await?;
        self.tag(&id, &spec.endpoint).await;
        Ok(id)
    }

    async fn ensure_brake(&self, spec: &BrakeSpec) -> Result<String, ZoneError> {
        let failed =
            |error: aws_sdk_route53::error::BuildError| ZoneError::Failed(error.to_string());
        let alarm = sdk::AlarmIdentifier::builder()
            .region(sdk::CloudWatchRegion::from(spec.region.as_str()))
            .name(&spec.alarm)
            .build()
            .map_err(failed)?;
        let config = sdk::HealthCheckConfig::builder()
            .r#type(sdk::HealthCheckType::CloudwatchMetric)
            .alarm_identifier(alarm)
            .insufficient_data_health_status(sdk::InsufficientDataHealthStatus::Unhealthy)
            .build()
            .map_err(failed)?;
        let id = self.create_check(&spec.caller_reference, config).await?;
        self.tag(&id, "canary brake").await;
        Ok(id)
    }

    async fn observations(&self, id: &str) -> Result<Observations, ZoneError> {
        let reply = self
            .api
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
        let reply = self.api.client.delete_health_check().health_check_id(id).send().await;
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
    /// Creates a health check, or finds the one that its reference already made.
    async fn create_check(
        &self,
        caller_reference: &str,
        config: sdk::HealthCheckConfig,
    ) -> Result<String, ZoneError> {
        let reply = self
            .api
            .client
            .create_health_check()
            .caller_reference(caller_reference)
            .health_check_config(config)
            .send()
            .await
            .map_err(|error| translate(&error, Effect::Writes, self.facts.name.as_str()))?;
        let check = reply.health_check;
        check
            .map(|check| check.id)
            .ok_or_else(|| ZoneError::Failed("the reply names no health check".into()))
    }

    /// Names the check for people. Without the permission to tag it works all the same.
    async fn tag(&self, id: &str, of: &str) {
        let tag = |key: &str, value: &str| sdk::Tag::builder().key(key).value(value).build();
        let tagged = self
            .api
            .client
            .change_tags_for_resource()
            .resource_type(sdk::TagResourceType::Healthcheck)
            .resource_id(id)
            .add_tags(tag("Name", &format!("nearside {of}")))
            .add_tags(tag("nearside:endpoint", of))
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
    fn ids_are_told_from_names() {
        for (text, is_id) in [("Z0123ABC", true), ("example.com", false), ("Zebra.org", false)] {
            assert_eq!(is_zone_id(text), is_id, "{text}");
        }
    }
}
