//! Everything Route 53 remembers: zones, changes, health checks, references, tags, protections
//! and token buckets. Pure: every call is told `now`, the time since the lab started.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Internet;
use super::cidr::CidrCollection;
use super::error::{ApiError, Code, ProtectionError};
use super::health::config::{self, Config, RawConfig};
use super::health::{Checks, HealthCheck};
use super::ids::Ids;
use super::limits::{self, Buckets, Throttling};
use super::model::{ChangeBatch, RrType};
use super::name::Name;
use super::operation::Operation;
use super::validate::{self, Context};
use super::zone::Zone;

/// Changes that are remembered; older ones are forgotten and then unknown.
const CHANGES_MAX: usize = 100_000;
/// Changes of one zone that may wait to be in sync.
const PENDING_MAX: usize = 1_000;

/// The delays and tables of a state.
#[derive(Debug, Clone)]
pub struct Settings {
    /// From the acceptance of a change to INSYNC.
    pub insync_delay: Duration,
    /// How long a change is processed; another one of the same zone is refused meanwhile.
    pub processing: Duration,
    /// From the creation of a health check to its first request.
    pub first_observation: Duration,
    /// Token buckets; `None` never throttles.
    pub throttling: Option<Throttling>,
    /// CIDR collections.
    pub cidr_collections: Vec<CidrCollection>,
    /// Ids are drawn from this.
    pub seed: u64,
}

/// A change, as `GetChange` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeInfo {
    /// The id, without `/change/`.
    pub id: String,
    /// Whether DNS serves it.
    pub insync: bool,
    /// When it was accepted.
    pub submitted_at: Duration,
    /// The comment of the batch.
    pub comment: Option<String>,
}

#[derive(Debug, Clone)]
struct Submitted {
    at: Duration,
    insync_at: Duration,
    comment: Option<String>,
}

/// The kind of a tagged resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tagged {
    /// A health check.
    HealthCheck,
    /// A hosted zone.
    HostedZone,
}

/// The tags of a resource.
pub type Tags = BTreeMap<String, String>;

/// One entry of a protection batch, as the request spells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawProtection {
    /// The name.
    pub name: String,
    /// The type.
    pub kind: String,
    /// The comment, when one is created.
    pub comment: Option<String>,
}

/// The state of the service.
pub struct State {
    settings: Settings,
    ids: Ids,
    zones: BTreeMap<String, Zone>,
    zone_references: BTreeMap<String, String>,
    changes: BTreeMap<String, Submitted>,
    change_order: VecDeque<String>,
    checks: Checks,
    check_references: BTreeMap<String, String>,
    tags: BTreeMap<(Tagged, String), Tags>,
    buckets: Buckets,
}

impl State {
    /// An account without zones.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            ids: Ids::new(settings.seed),
            buckets: Buckets::new(settings.throttling),
            settings,
            zones: BTreeMap::new(),
            zone_references: BTreeMap::new(),
            changes: BTreeMap::new(),
            change_order: VecDeque::new(),
            checks: Checks::default(),
            check_references: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Takes a request's tokens, or refuses it.
    pub fn admit(&mut self, operation: Operation, now: Duration) -> Result<(), ApiError> {
        if self.buckets.take(operation, now) {
            Ok(())
        } else {
            Err(ApiError::new(Code::Throttling, "Rate exceeded"))
        }
    }

    /// A request id.
    pub fn request_id(&mut self) -> String {
        self.ids.uuid()
    }

    /// The CIDR collections.
    #[must_use]
    pub fn cidr_collections(&self) -> &[CidrCollection] {
        &self.settings.cidr_collections
    }

    /// The health checks.
    #[must_use]
    pub fn checks(&self) -> &Checks {
        &self.checks
    }

    /// The health checks, to be observed.
    pub fn checks_mut(&mut self) -> &mut Checks {
        &mut self.checks
    }

    /// All zones by id.
    pub fn zones(&self) -> impl Iterator<Item = &Zone> {
        self.zones.values()
    }

    /// The zone of an id.
    pub fn zone(&self, id: &str) -> Result<&Zone, ApiError> {
        self.zones.get(id).ok_or_else(|| ApiError::no_zone(id))
    }

    fn zone_mut(&mut self, id: &str) -> Result<&mut Zone, ApiError> {
        self.zones.get_mut(id).ok_or_else(|| ApiError::no_zone(id))
    }

    /// Lets DNS serve what has become in sync by `now`.
    pub fn advance(&mut self, now: Duration) {
        for zone in self.zones.values_mut() {
            zone.advance(now);
        }
    }

    /// Creates a public zone.
    pub fn create_zone(
        &mut self,
        name: &str,
        caller_reference: &str,
        comment: Option<String>,
        now: Duration,
    ) -> Result<(Zone, ChangeInfo), ApiError> {
        validate::facet::length("DNSName", 0, 1024, name)?;
        validate::facet::length("Nonce", 1, 128, caller_reference)?;
        if let Some(comment) = &comment {
            validate::facet::length("ResourceDescription", 0, 256, comment)?;
        }
        if self.zone_references.contains_key(caller_reference) {
            return Err(ApiError::new(
                Code::HostedZoneAlreadyExists,
                "A hosted zone has already been created with the specified caller reference.",
            ));
        }
        // The two texts below are unverified.
        let name = match Name::parse(name) {
            Ok(parsed) if !parsed.is_wildcard() && parsed.as_str() != "." => parsed,
            _ => {
                let text = format!("{name} is not a valid domain name.");
                return Err(ApiError::new(Code::InvalidDomainName, text));
            }
        };
        if self.zones.len() >= limits::ZONES_MAX {
            let text = format!("Limits Exceeded: at most {} hosted zones.", limits::ZONES_MAX);
            return Err(ApiError::new(Code::TooManyHostedZones, text));
        }
        let (id, servers) = (self.ids.resource('Z'), self.ids.name_servers());
        let zone = Zone::new(id.clone(), name, caller_reference.to_owned(), comment, servers);
        self.zones.insert(id.clone(), zone.clone());
        self.zone_references.insert(caller_reference.to_owned(), id);
        Ok((zone, self.submit(None, now)))
    }

    /// Deletes a zone that holds nothing but its SOA and NS sets.
    pub fn delete_zone(&mut self, id: &str, now: Duration) -> Result<ChangeInfo, ApiError> {
        let zone = self.zone(id)?;
        if zone.is_busy(now) {
            return Err(prior_request());
        }
        if !zone.is_bare() || !zone.protections.is_empty() {
            return Err(ApiError::new(
                Code::HostedZoneNotEmpty,
                "The specified hosted zone contains non-required resource record sets and so \
                 cannot be deleted.",
            ));
        }
        self.zones.remove(id);
        self.tags.remove(&(Tagged::HostedZone, id.to_owned()));
        Ok(self.submit(None, now))
    }

    /// Applies a change batch, all or nothing.
    pub fn change(
        &mut self,
        zone_id: &str,
        batch: &ChangeBatch,
        internet: &dyn Internet,
        now: Duration,
    ) -> Result<ChangeInfo, ApiError> {
        let zone = self.zone(zone_id)?;
        if zone.is_busy(now) || zone.pending() >= PENDING_MAX {
            return Err(prior_request());
        }
        let context = Context {
            zone_id,
            zone: &zone.name,
            protections: &zone.protections,
            health_checks: self.checks.ids(),
            cidr_collections: &self.settings.cidr_collections,
            internet,
        };
        let records = validate::apply(&context, zone.latest(), batch)?;
        if !self.buckets.take_changes(batch.changes.len(), now) {
            return Err(ApiError::new(Code::Throttling, "Rate exceeded"));
        }
        let (busy, insync) = (now + self.settings.processing, now + self.settings.insync_delay);
        self.zone_mut(zone_id)?.accept(records, busy, insync);
        Ok(self.submit(batch.comment.clone(), now))
    }

    fn submit(&mut self, comment: Option<String>, now: Duration) -> ChangeInfo {
        let id = self.ids.resource('C');
        let insync_at = now + self.settings.insync_delay;
        let submitted = Submitted { at: now, insync_at, comment };
        let info = info(&id, &submitted, now);
        self.changes.insert(id.clone(), submitted);
        self.change_order.push_back(id);
        if self.change_order.len() > CHANGES_MAX
            && let Some(oldest) = self.change_order.pop_front()
        {
            self.changes.remove(&oldest);
        }
        // AWS's first answer is always PENDING, however fast the change is.
        ChangeInfo { insync: false, ..info }
    }

    /// The state of a change.
    pub fn get_change(&self, id: &str, now: Duration) -> Result<ChangeInfo, ApiError> {
        let Some(submitted) = self.changes.get(id) else {
            let text = format!("Could not find resource with ID: {id}");
            return Err(ApiError::new(Code::NoSuchChange, text));
        };
        Ok(info(id, submitted, now))
    }

    /// Creates a health check, or finds the one of the same reference and settings; `true` if new.
    pub fn create_check(
        &mut self,
        caller_reference: &str,
        raw: &RawConfig,
        now: Duration,
    ) -> Result<(HealthCheck, bool), ApiError> {
        validate::facet::length("HealthCheckNonce", 1, 64, caller_reference)?;
        let config = config::create(raw)?;
        if let Some(id) = self.check_references.get(caller_reference) {
            return match self.checks.get(id) {
                Some(check) if check.version == 1 && check.config == config => {
                    Ok((check.clone(), false))
                }
                // Unverified texts.
                Some(_) => Err(ApiError::new(
                    Code::HealthCheckAlreadyExists,
                    "A health check with the same caller reference and other settings already \
                     exists.",
                )),
                None => Err(ApiError::new(
                    Code::HealthCheckAlreadyExists,
                    "A health check with the same caller reference was created and deleted.",
                )),
            };
        }
        self.check_children(&config)?;
        if self.checks.ids().len() >= limits::HEALTH_CHECKS_MAX {
            let text =
                format!("Limits Exceeded: at most {} health checks.", limits::HEALTH_CHECKS_MAX);
            return Err(ApiError::new(Code::TooManyHealthChecks, text));
        }
        let due = now + self.settings.first_observation;
        let check = HealthCheck::new(self.ids.uuid(), caller_reference.to_owned(), config, due);
        self.check_references.insert(caller_reference.to_owned(), check.id.clone());
        self.checks.add(check.clone());
        Ok((check, true))
    }

    fn check_children(&self, config: &Config) -> Result<(), ApiError> {
        let missing = config.children.iter().find(|id| self.checks.get(id).is_none());
        // Unverified text.
        missing.map_or(Ok(()), |id| {
            Err(ApiError::input(format!("Invalid parameter : child health check {id} not found")))
        })
    }

    /// The health check of an id.
    pub fn check(&self, id: &str) -> Result<&HealthCheck, ApiError> {
        self.checks.get(id).ok_or_else(|| ApiError::no_check(id))
    }

    /// Changes the settings of a health check.
    pub fn update_check(
        &mut self,
        id: &str,
        version: Option<u64>,
        raw: &RawConfig,
        reset: &[String],
    ) -> Result<HealthCheck, ApiError> {
        let check = self.check(id)?;
        if version.is_some_and(|version| version != check.version) {
            // Unverified text.
            return Err(ApiError::new(
                Code::HealthCheckVersionMismatch,
                format!("The version of health check {id} is {}.", check.version),
            ));
        }
        let config = config::updated(&check.config, raw, reset)?;
        self.check_children(&config)?;
        let check = self.checks.get_mut(id).ok_or_else(|| ApiError::no_check(id))?;
        check.set_config(config);
        Ok(check.clone())
    }

    /// Deletes a health check, whether record sets name it or not. Its reference stays taken.
    pub fn delete_check(&mut self, id: &str) -> Result<(), ApiError> {
        self.check(id)?;
        self.checks.remove(id);
        self.tags.remove(&(Tagged::HealthCheck, id.to_owned()));
        Ok(())
    }

    /// The tags of a resource.
    pub fn tags(&self, kind: Tagged, id: &str) -> Result<Tags, ApiError> {
        match kind {
            Tagged::HealthCheck => self.check(id).map(|_| ())?,
            Tagged::HostedZone => self.zone(id).map(|_| ())?,
        }
        Ok(self.tags.get(&(kind, id.to_owned())).cloned().unwrap_or_default())
    }

    /// Adds and removes tags.
    pub fn change_tags(
        &mut self,
        kind: Tagged,
        id: &str,
        add: Tags,
        remove: &[String],
    ) -> Result<(), ApiError> {
        let mut tags = self.tags(kind, id)?;
        tags.retain(|key, _| !remove.contains(key));
        tags.extend(add);
        if tags.len() > limits::TAGS_MAX {
            // Unverified text.
            let text = format!("at most {} tags may be set on a resource", limits::TAGS_MAX);
            return Err(ApiError::input(text));
        }
        self.tags.insert((kind, id.to_owned()), tags);
        Ok(())
    }

    /// Protects names and types, all or nothing.
    pub fn protect(&mut self, zone_id: &str, batch: &[RawProtection]) -> Result<(), ApiError> {
        let zone = self.zone_mut(zone_id)?;
        let entries = protection_entries(zone, batch)?;
        let taken: Vec<ProtectionError> = entries
            .iter()
            .filter(|entry| zone.protections.contains_key(&entry.key))
            .map(|entry| entry.raw.error("ProtectionAlreadyExists", "A protection already exists"))
            .collect();
        if !taken.is_empty() {
            let code = if taken.len() == entries.len() {
                Code::ProtectionAlreadyExists
            } else {
                Code::InvalidResourceRecordSetProtectionBatch
            };
            return Err(protection_refusal(code, taken));
        }
        if zone.protections.len() + entries.len() > limits::PROTECTIONS_MAX {
            let text = format!("at most {} protections in a zone", limits::PROTECTIONS_MAX);
            return Err(ApiError::new(Code::LimitsExceeded, text));
        }
        for entry in entries {
            zone.protections.insert(entry.key, entry.raw.comment.clone());
        }
        Ok(())
    }

    /// Takes protections away, all or nothing.
    pub fn unprotect(&mut self, zone_id: &str, batch: &[RawProtection]) -> Result<(), ApiError> {
        let zone = self.zone_mut(zone_id)?;
        let entries = protection_entries(zone, batch)?;
        let missing: Vec<ProtectionError> = entries
            .iter()
            .filter(|entry| !zone.protections.contains_key(&entry.key))
            .map(|entry| entry.raw.error("ProtectionNotFound", "No protection exists"))
            .collect();
        if !missing.is_empty() {
            let code = Code::InvalidResourceRecordSetProtectionBatch;
            return Err(protection_refusal(code, missing));
        }
        for entry in entries {
            zone.protections.remove(&entry.key);
        }
        Ok(())
    }
}

fn info(id: &str, submitted: &Submitted, now: Duration) -> ChangeInfo {
    ChangeInfo {
        id: id.to_owned(),
        insync: submitted.insync_at <= now,
        submitted_at: submitted.at,
        comment: submitted.comment.clone(),
    }
}

/// The refusal while an earlier change of the zone is processed.
#[must_use]
pub fn prior_request() -> ApiError {
    ApiError::new(
        Code::PriorRequestNotComplete,
        "The request was rejected because Route 53 was still processing a prior request.",
    )
}

impl RawProtection {
    fn error(&self, code: &'static str, message: &str) -> ProtectionError {
        let message = message.to_owned();
        ProtectionError { name: self.name.clone(), kind: self.kind.clone(), code, message }
    }
}

fn protection_refusal(code: Code, protections: Vec<ProtectionError>) -> ApiError {
    // Unverified text.
    let text = format!("{} protections could not be processed", protections.len());
    ApiError { protections, ..ApiError::new(code, text) }
}

struct ProtectionEntry<'a> {
    key: (Name, RrType),
    raw: &'a RawProtection,
}

/// The entries of a batch, if all of them are valid: in the zone, of a known type, and once each.
fn protection_entries<'a>(
    zone: &Zone,
    batch: &'a [RawProtection],
) -> Result<Vec<ProtectionEntry<'a>>, ApiError> {
    if batch.is_empty() || batch.len() > limits::PROTECTION_BATCH_MAX {
        let max = limits::PROTECTION_BATCH_MAX;
        let text = format!("{} protections in a request, 1 to {max} allowed", batch.len());
        return Err(ApiError::input(text));
    }
    let (mut entries, mut errors) = (Vec::<ProtectionEntry<'_>>::new(), Vec::new());
    for raw in batch {
        let refuse = |message: &str| raw.error("InvalidInput", message);
        match (Name::parse(&raw.name), RrType::parse(&raw.kind)) {
            (Ok(name), Some(kind)) if name.is_within(&zone.name) => {
                let key = (name, kind);
                if entries.iter().any(|entry| entry.key == key) {
                    errors.push(refuse("The name and type appear more than once"));
                } else {
                    entries.push(ProtectionEntry { key, raw });
                }
            }
            (Err(_), _) => errors.push(refuse("The name is not a valid DNS name")),
            (_, None) => errors.push(refuse("The type cannot be protected")),
            _ => errors.push(refuse("The name is not in the hosted zone")),
        }
    }
    if errors.is_empty() {
        Ok(entries)
    } else {
        Err(protection_refusal(Code::InvalidResourceRecordSetProtectionBatch, errors))
    }
}
