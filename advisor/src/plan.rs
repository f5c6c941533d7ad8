//! The plan: the exact record changes, with the state they were made from and what they are for.
//!
//! Pure. A plan is a document: it is written to `plan.json`, read by people, and hashed, so that an
//! edited one is known. It can be applied only after `guard` has cleared it.

mod arms;
mod moves;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::batch::{applied, difference};
use crate::digest::sha256_hex;
use crate::group::{EndpointTarget, LiveGroup, Prior};
use crate::mark::{Marks, Shadow};
use crate::name::{Label, Name};
use crate::record::{Action, Change, HealthCheck, RecordSet};
use crate::topology::{Shares, Tree};
use crate::zone::{BrakeSpec, HealthCheckSpec, ZoneFacts};

pub(crate) use arms::BRAKE;
pub use arms::{CanaryPlanError, home};
pub use moves::{Move, moved};

/// The version of the plan document. Others are refused.
pub const FORMAT: u32 = 1;

/// What a plan is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Intent {
    /// Points labels at endpoints.
    Route,
    /// Installs the shadow groups alone.
    InstallShadow,
    /// Removes them.
    RemoveShadow,
    /// Restores what was there before the plan with this id.
    Rollback(String),
    /// Takes this Region out of answers.
    Drain(String),
    /// Puts a drained Region back into answers.
    Restore(String),
    /// One step of a canary.
    Canary {
        /// The new arm's share of 100; 0 only puts the wrapper around what stands.
        percent: u8,
        /// What all steps have in common.
        terms: CanaryTerms,
    },
}

/// What all steps of a canary have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanaryTerms {
    /// The id of the plan whose labels the new arm has.
    pub plan: String,
    /// The new arm's shares of 100, rising to 100.
    pub percents: Vec<u8>,
    /// How long a step is observed at least, once answers of before it have expired, milliseconds.
    pub observe_ms: i64,
    /// From one sample of an arm to the next, milliseconds.
    pub every_ms: i64,
    /// What takes the new arm out of answers when the advisor is silent.
    pub brake: BrakeSpec,
}

impl Intent {
    /// Whether clients are sent elsewhere, and not merely back.
    #[must_use]
    pub fn routes(&self) -> bool {
        matches!(self, Self::Route | Self::Drain(_) | Self::Restore(_) | Self::Canary { .. })
    }

    /// Whether what it does rests on evidence.
    #[must_use]
    pub fn rests_on_evidence(&self) -> bool {
        matches!(self, Self::Route | Self::Canary { .. })
    }

    /// Of a step of a canary: what its steps have in common.
    #[must_use]
    pub fn canary(&self) -> Option<&CanaryTerms> {
        match self {
            Self::Canary { terms, .. } => Some(terms),
            _ => None,
        }
    }
}

/// What is expected of one vantage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VantageEffect {
    /// The vantage.
    pub vantage: String,
    /// The label that Route 53 prefers for it.
    pub label: String,
    /// The label that it will prefer, where other labels are installed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_after: Option<String>,
    /// The endpoint it is sent to now.
    pub from: String,
    /// The endpoint it will be sent to.
    pub to: String,
    /// Its share of the traffic.
    pub share: f64,
    /// Median cost where it is sent now.
    pub cost_before_ms: Option<f64>,
    /// Median cost where it will be sent.
    pub cost_after_ms: Option<f64>,
}

/// What the plan is expected to do.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Effect {
    /// The share whose endpoint changes, of the traffic of which it is known where it goes.
    pub traffic_moved: f64,
    /// The share of the traffic of which nothing is known.
    #[serde(default)]
    pub traffic_unknown: f64,
    /// Where the shares come from: `equal weights over vantages`, or a file.
    pub weights: String,
    /// How preferred labels are known: `asked` or `modelled`.
    pub preferred: String,
    /// How those of the planned labels are known, where other labels are installed then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preferred_after: Option<String>,
    /// The end of the newest evidence, milliseconds since the epoch.
    pub evidence_until_ms: Option<i64>,
    /// One line a vantage.
    pub vantages: Vec<VantageEffect>,
}

/// The limits the plan was made under, for the reader; applying checks the configuration's own.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Thresholds {
    /// Blocks a verdict needs.
    pub blocks: u32,
    /// Length of a block in milliseconds.
    pub block_ms: i64,
    /// Family-wise level.
    pub alpha: f64,
    /// Least gain.
    pub min_gain_ms: f64,
    /// Least gain as a share.
    pub min_gain_share: f64,
    /// The witness's extra margin.
    pub triangle_ms: f64,
    /// What a vantage may lose.
    pub harm_ms: f64,
    /// How much traffic may move.
    pub max_traffic_moved: f64,
}

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `FORMAT`.
    pub format: u32,
    /// What it is for.
    pub intent: Intent,
    /// When it was made, milliseconds since the epoch.
    pub made_at_ms: i64,
    /// The hosted zone.
    pub zone_id: String,
    /// Its name.
    pub zone: String,
    /// The service name.
    pub service: String,
    /// The lock's generation once applied.
    pub generation: u64,
    /// The endpoint of each label once applied, of several with weights the one with the most.
    pub labels: BTreeMap<String, String>,
    /// The weights of the labels that lead to several endpoints once applied.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weights: BTreeMap<String, Shares>,
    /// The labels that move.
    pub moves: Vec<Move>,
    /// What is expected.
    pub effect: Effect,
    /// Under which limits.
    pub thresholds: Thresholds,
    /// Health checks to find or create first.
    pub health_checks: Vec<HealthCheckSpec>,
    /// Health checks that exist and are named anew, by endpoint: they too must see it first.
    #[serde(default)]
    pub reused_health_checks: BTreeMap<String, String>,
    /// Endpoints whose Region no answer of their own proves: API Gateway and the alias must agree.
    #[serde(default)]
    pub unproven: BTreeSet<String>,
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// Every record set in scope before the change, in full.
    pub prior: Vec<RecordSet>,
}

/// Why a plan file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// Not JSON, or not a plan.
    #[error("not a plan: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another version's.
    #[error("plan format {found} is not the one this version writes ({FORMAT})")]
    Format {
        /// What the file says.
        found: u32,
    },
    /// Its contents do not have the hash that stands beside them.
    #[error("the plan was edited: its contents have hash {actual}, the file says {stated}")]
    Edited {
        /// Of the contents.
        actual: String,
        /// In the file.
        stated: String,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile<P> {
    id: String,
    hash: String,
    plan: P,
}

impl Plan {
    /// The SHA-256 of the document, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        sha256_hex(&bytes)
    }

    /// The first twelve digits of the hash: how people name a plan.
    #[must_use]
    pub fn id(&self) -> String {
        self.hash()[..12].to_owned()
    }

    /// The plan file.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        let file = PlanFile { id: self.id(), hash: self.hash(), plan: self };
        serde_json::to_string_pretty(&file).map(|text| text + "\n")
    }

    /// Reads a plan file, and refuses one that was edited or is of another version.
    pub fn from_json(text: &str) -> Result<Self, PlanFileError> {
        let file: PlanFile<serde_json::Value> = serde_json::from_str(text)?;
        let format = file.plan.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        if format != u64::from(FORMAT) {
            let found = u32::try_from(format).unwrap_or(u32::MAX);
            return Err(PlanFileError::Format { found });
        }
        let plan: Self = serde_json::from_value(file.plan)?;
        let actual = plan.hash();
        if actual != file.hash || !actual.starts_with(&file.id) {
            return Err(PlanFileError::Edited { actual, stated: file.hash });
        }
        Ok(plan)
    }

    /// The id by which it is taken back: of a canary's step that of the plan it leads to.
    #[must_use]
    pub fn undone_by(&self) -> String {
        self.intent.canary().map_or_else(|| self.id(), |terms| terms.plan.clone())
    }

    /// The endpoints that a label may be answered with once the plan is applied: more than one while
    /// two arms stand.
    #[must_use]
    pub fn endpoints_of(&self, label: &str) -> Vec<&str> {
        let new: Vec<&str> = match (self.weights.get(label), self.labels.get(label)) {
            (Some(shares), _) => shares.iter().map(|(endpoint, _)| endpoint).collect(),
            (None, one) => one.map(String::as_str).into_iter().collect(),
        };
        let Intent::Canary { percent, .. } = self.intent else { return new };
        let moved = self.moves.iter().find(|step| step.label == label);
        let old: Vec<&str> = match moved.map(|step| (&step.weights_before, &step.from)) {
            Some((Some(shares), _)) => shares.iter().map(|(endpoint, _)| endpoint).collect(),
            Some((None, from)) => from.as_deref().into_iter().collect(),
            None => Vec::new(),
        };
        match percent {
            0 if !old.is_empty() => old,
            0 | 100.. => new,
            _ => new.into_iter().chain(old).collect(),
        }
    }

    /// The record sets in scope once the plan is applied, with CallerReferences for checks.
    #[must_use]
    pub fn desired(&self) -> Vec<RecordSet> {
        applied(&self.prior, &self.changes)
    }

    /// The endpoints that are answered once it is applied.
    #[must_use]
    pub fn targets(&self) -> BTreeSet<&str> {
        let weighted = self.weights.values().flat_map(|shares| shares.iter().map(|(id, _)| id));
        self.labels.values().map(String::as_str).chain(weighted).collect()
    }

    /// Where each label leads once applied.
    #[must_use]
    pub fn tree(&self) -> Tree {
        let whole = self.labels.iter().map(|(label, id)| {
            let shares = self.weights.get(label).cloned();
            (Label::new(label), shares.unwrap_or_else(|| Shares::one(id)))
        });
        whole.collect()
    }

    /// Says where each label leads once applied.
    fn lead(&mut self, tree: &Tree) {
        let first = |(label, shares): (&Label, &Shares)| (label.to_string(), shares.first().into());
        self.labels = tree.iter().map(first).collect();
        let split = tree.iter().filter(|(_, shares)| shares.only().is_none());
        self.weights = split.map(|(label, shares)| (label.to_string(), shares.clone())).collect();
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// The record sets a plan for `service` may touch or depends on: those at the name itself, ours
/// below it, and what they alias to within `records`. Sorted.
#[must_use]
pub fn scope(service: &Name, records: &[RecordSet]) -> Vec<RecordSet> {
    let marks = Marks::of(service);
    let mut names: BTreeSet<Name> = records
        .iter()
        .map(|set| set.name.clone())
        .filter(|name| name == service || marks.is_ours(name))
        .collect();
    let standing: BTreeSet<&Name> = records.iter().map(|set| &set.name).collect();
    loop {
        let targets: BTreeSet<Name> = records
            .iter()
            .filter(|set| names.contains(&set.name))
            .filter_map(|set| set.alias_target().cloned())
            .filter(|target| standing.contains(target))
            .collect();
        if targets.is_subset(&names) {
            break;
        }
        names.extend(targets);
    }
    let mut sets: Vec<RecordSet> =
        records.iter().filter(|set| names.contains(&set.name)).cloned().collect();
    sets.sort();
    sets
}

/// What every plan is made from.
#[derive(Debug, Clone, Copy)]
pub struct Ground<'a> {
    /// The zone.
    pub zone: &'a ZoneFacts,
    /// The service name.
    pub service: &'a Name,
    /// The record sets at and below the service name.
    pub records: &'a [RecordSet],
    /// The endpoints of the configuration.
    pub endpoints: &'a [EndpointTarget],
    /// The time of planning, milliseconds since the epoch.
    pub now_ms: i64,
}

impl Ground<'_> {
    fn document(&self, intent: Intent, desired: &[RecordSet]) -> Plan {
        let prior = scope(self.service, self.records);
        Plan {
            format: FORMAT,
            intent,
            made_at_ms: self.now_ms,
            zone_id: self.zone.id.clone(),
            zone: self.zone.name.to_string(),
            service: self.service.to_string(),
            generation: self.generation(),
            labels: BTreeMap::new(),
            weights: BTreeMap::new(),
            moves: Vec::new(),
            effect: Effect::default(),
            thresholds: Thresholds::default(),
            health_checks: Vec::new(),
            reused_health_checks: BTreeMap::new(),
            unproven: BTreeSet::new(),
            changes: difference(&prior, desired),
            prior,
        }
    }

    /// The lock's next generation.
    #[must_use]
    pub fn generation(&self) -> u64 {
        Marks::of(self.service).generation(self.records) + 1
    }

    /// `prior` with the sets of some names replaced, and the lock and the marker renewed.
    fn replacing(&self, names: &[Name], with: Vec<RecordSet>) -> Vec<RecordSet> {
        let marks = Marks::of(self.service);
        let ours = [marks.lock(), marks.owner()];
        let mut desired = scope(self.service, self.records);
        desired.retain(|set| !names.contains(&set.name) && !ours.contains(&set.name));
        desired.extend(with);
        desired.push(marks.lock_set(self.generation(), None));
        desired.push(marks.owner_set(self.generation()));
        desired
    }

    /// The plan that points labels at endpoints, with the shadow groups beside them, at the service
    /// name or in the one arm below the wrapper. It is empty where a latency group stands and no label
    /// moves: a group that is right is left as it is. A simple or a weighted group is converted in the
    /// same batch.
    #[must_use]
    pub fn route(&self, live: &LiveGroup, moves: Vec<Move>, effect: Effect) -> Plan {
        let tree = moved(&live.tree(), &moves);
        let marks = Marks::of(self.service);
        let shadows = [Shadow::Live, Shadow::Next];
        let home = home(self.service, self.records).unwrap_or_else(|| self.service.clone());
        let mut sets = if home == *self.service { self.kept_at_service() } else { Vec::new() };
        sets.extend(self.tree_sets(&home, &live.families, &tree));
        sets.extend(shadows.iter().flat_map(|shadow| marks.shadow_sets(*shadow, tree.keys())));
        let mut names: Vec<Name> = shadows.iter().map(|shadow| marks.shadow(*shadow)).collect();
        names.push(home);
        names.extend(live.labels.keys().chain(tree.keys()).map(|label| marks.weighted(label)));
        let is_right = moves.is_empty() && live.prior == Prior::Latency;
        let desired =
            if is_right { scope(self.service, self.records) } else { self.replacing(&names, sets) };
        let mut plan = self.document(Intent::Route, &desired);
        plan.health_checks = self.health_checks(&plan.changes);
        plan.reused_health_checks = self.reused_health_checks(&plan.changes);
        plan.lead(&tree);
        let unproven =
            |one: &&EndpointTarget| !one.proves_region && plan.targets().contains(one.id.as_str());
        let unproven = self.endpoints.iter().filter(unproven).map(|one| one.id.clone());
        plan.unproven = unproven.collect();
        (plan.moves, plan.effect) = (moves, effect);
        plan
    }

    /// Sets at the service name that are not addresses: never ours to change.
    fn kept_at_service(&self) -> Vec<RecordSet> {
        let kept = |set: &&RecordSet| set.name == *self.service && !set.record_type.is_address();
        self.records.iter().filter(kept).cloned().collect()
    }

    fn health_checks(&self, changes: &[Change]) -> Vec<HealthCheckSpec> {
        let named: BTreeSet<&str> = changes
            .iter()
            .filter_map(|change| match &change.resource_record_set.health_check {
                Some(HealthCheck::Reference(reference)) => Some(reference.as_str()),
                _ => None,
            })
            .collect();
        self.endpoints
            .iter()
            .map(|endpoint| &endpoint.health_check)
            .filter(|check| named.contains(check.caller_reference.as_str()))
            .cloned()
            .collect()
    }

    fn reused_health_checks(&self, changes: &[Change]) -> BTreeMap<String, String> {
        let is_named = |id: &String| {
            changes.iter().any(|change| {
                change.action == Action::Create
                    && change.resource_record_set.health_check == Some(HealthCheck::Id(id.clone()))
            })
        };
        self.endpoints
            .iter()
            .filter_map(|one| Some((one.id.clone(), one.health_check_id.clone()?)))
            .filter(|(_, id)| is_named(id))
            .collect()
    }

    /// The plan that installs both shadow groups, one with the installed labels and one with those
    /// that are to be asked about, and nothing else.
    #[must_use]
    pub fn install_shadow<'a>(
        &self,
        live: &LiveGroup,
        next: impl Iterator<Item = &'a Label>,
    ) -> Plan {
        let marks = Marks::of(self.service);
        let mut sets = marks.shadow_sets(Shadow::Live, live.labels.keys());
        sets.extend(marks.shadow_sets(Shadow::Next, next));
        self.shadows_only(Intent::InstallShadow, sets)
    }

    /// The plan that removes both shadow groups.
    #[must_use]
    pub fn remove_shadow(&self) -> Plan {
        self.shadows_only(Intent::RemoveShadow, Vec::new())
    }

    fn shadows_only(&self, intent: Intent, sets: Vec<RecordSet>) -> Plan {
        let marks = Marks::of(self.service);
        let names = [marks.shadow(Shadow::Live), marks.shadow(Shadow::Next)];
        let current: Vec<RecordSet> =
            self.records.iter().filter(|set| names.contains(&set.name)).cloned().collect();
        let unchanged = difference(&current, &sets).is_empty();
        let desired = if unchanged {
            scope(self.service, self.records)
        } else {
            self.replacing(&names, sets)
        };
        self.document(intent, &desired)
    }

    /// The plan that restores the record sets that `undone` found, except lock and marker, whose
    /// generation only rises.
    #[must_use]
    pub fn rollback(&self, undone: &Plan) -> Plan {
        self.rollback_all(undone, &[])
    }

    /// The same for a canary: what its first step found, at all names that any of its steps changed.
    #[must_use]
    pub fn rollback_all(&self, first: &Plan, later: &[&Plan]) -> Plan {
        let marks = Marks::of(self.service);
        let ours = [marks.lock(), marks.owner()];
        let names: BTreeSet<Name> = std::iter::once(&first)
            .chain(later)
            .flat_map(|step| &step.changes)
            .map(|change| change.resource_record_set.name.clone())
            .filter(|name| !ours.contains(name))
            .collect();
        let names: Vec<Name> = names.into_iter().collect();
        let prior = first.prior.iter().filter(|set| names.contains(&set.name)).cloned().collect();
        let intent = Intent::Rollback(first.undone_by());
        let mut plan = self.document(intent, &self.replacing(&names, prior));
        plan.moves = first.moves.iter().map(|step| step.back("rollback")).collect();
        plan.lead(&moved(&first.tree(), &plan.moves));
        plan
    }
}

#[cfg(test)]
mod tests;
