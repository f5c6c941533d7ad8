//! The survey: everything that deciding needs, gathered once from zone, store and DNS.
//!
//! The shell around the pure core: it asks and reads, and decides nothing.

mod loads;

use std::collections::BTreeMap;

use probe::config::Config;

use crate::advice::{Advice, Eyeballs, LabelAdvice, Routing, advise};
use crate::answers::Answers;
use crate::apply::HEALTH_CHECK_PREFIX;
use crate::evidence::EvidenceRule;
use crate::group::{EndpointTarget, GroupError, LiveGroup, Prior};
use crate::journal::{Operation, cooling};
use crate::light::believable;
use crate::mark::Marks;
use crate::matrix::{Matrix, MatrixSource, SourceError};
use crate::name::{Label, Name};
use crate::plan::{Effect, Ground, Intent, Move, Plan, VantageEffect, home};
use crate::preferred::{self, Preference, PreferredError};
use crate::record::RecordSet;
use crate::settings::{self, SettingsError};
use crate::shares::{self, Shares, TrafficError};
use crate::topology::{self, Tree};
use crate::weights::WeightChange;
use crate::zone::{Zone, ZoneError, ZoneFacts};

/// What shares may lack of 1 by rounding.
const ROUNDING: f64 = 1e-9;

/// Why a survey could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SurveyError {
    /// The zone.
    #[error(transparent)]
    Zone(#[from] ZoneError),
    /// The store.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The configuration.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The group at the service name.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// Preferred labels could not be asked.
    #[error(transparent)]
    Preferred(#[from] PreferredError),
    /// The traffic file.
    #[error(transparent)]
    Traffic(#[from] TrafficError),
    /// The traffic file could not be read.
    #[error("cannot read traffic file {0}: {1}")]
    TrafficFile(String, std::io::Error),
}

impl SurveyError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Zone(error) => error.hint(),
            Self::Source(error) => Some(error.hint),
            Self::Settings(error) => Some(error.hint()),
            Self::Group(error) => Some(error.hint()),
            Self::Preferred(error) => Some(error.hint()),
            Self::Traffic(_) => Some("traffic.file is CSV with the header client,weight"),
            Self::TrafficFile(..) => Some("check traffic.file in nearside.toml"),
        }
    }
}

/// What the zone holds for the service.
#[derive(Debug, Clone, PartialEq)]
pub struct ZoneView {
    /// The zone.
    pub zone: ZoneFacts,
    /// The service name.
    pub service: Name,
    /// The record sets at and below it.
    pub records: Vec<RecordSet>,
    /// The endpoints, with the health checks that exist.
    pub endpoints: Vec<EndpointTarget>,
}

impl ZoneView {
    /// Reads the zone.
    pub async fn read<Z: Zone>(zone: &Z, config: &Config) -> Result<Self, SurveyError> {
        let service = settings::service(config)?;
        let records = zone.record_sets(&service).await?;
        let existing = zone.health_checks(HEALTH_CHECK_PREFIX).await?;
        let generation = Marks::of(&service).generation(&records) + 1;
        let endpoints = settings::endpoint_targets(config, &existing, generation)?;
        Ok(Self { zone: zone.facts().clone(), service, records, endpoints })
    }

    /// The latency group at the service name, or in the one arm below its wrapper.
    pub fn live(&self) -> Result<LiveGroup, GroupError> {
        let home = home(&self.service, &self.records)
            .ok_or_else(|| GroupError::TwoArms(self.service.clone()))?;
        topology::standing(&self.service, &home, &self.records, &self.endpoints)
    }

    /// The ground for plans.
    #[must_use]
    pub fn ground(&self, now_ms: i64) -> Ground<'_> {
        Ground {
            zone: &self.zone,
            service: &self.service,
            records: &self.records,
            endpoints: &self.endpoints,
            now_ms,
        }
    }
}

/// Everything that deciding needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Survey {
    /// What the zone holds.
    pub view: ZoneView,
    /// The group at the service name.
    pub live: LiveGroup,
    /// What was measured.
    pub matrix: Matrix,
    /// Who is sent where.
    pub routing: Routing,
    /// How that is known.
    pub preference: Preference,
    /// Who the users are.
    pub traffic: Shares,
    /// The share of the traffic that prefers each label, of clients that no vantage stands for.
    pub clients: BTreeMap<Label, f64>,
    /// The median network round trip between vantages and endpoints, in ms, where it is known.
    pub round_trips: BTreeMap<(String, String), f64>,
}

impl Survey {
    /// Gathers everything. `operations` are the journal's.
    pub async fn make<Z: Zone, S: MatrixSource + Sync, A: Answers>(
        (zone, source, answers): (&Z, &S, &A),
        config: &Config,
        operations: &[Operation],
        now_ms: i64,
    ) -> Result<Self, SurveyError> {
        let view = ZoneView::read(zone, config).await?;
        let live = view.live()?;
        let matrix = read_matrix(source, config, now_ms).await?;
        let (preferred, preference, round_trips) =
            preferred((zone, answers), source, config, &view, &live, now_ms).await?;
        let traffic = read_traffic(config)?;
        let clients = match preference {
            Preference::Asked => preferred::ask_clients(answers, &traffic.clients).await?,
            Preference::AskedApi | Preference::Only | Preference::Modelled => BTreeMap::new(),
        };
        let routing = Routing {
            live: live.labels.clone(),
            preferred,
            witnesses: settings::witnesses(config),
            cloud: settings::cloud_vantages(config),
            cooling: cooling(operations, settings::millis(config.evidence.cooldown), now_ms),
            eyeballs: Eyeballs::default(),
        };
        let survey =
            Self { view, live, matrix, routing, preference, traffic, clients, round_trips };
        Ok(survey.with_costliest(config))
    }

    /// The advice of rule 1.
    #[must_use]
    pub fn advise(&self, config: &Config) -> Advice {
        advise(&self.matrix, &self.routing, &settings::advice_rule(&config.evidence))
    }

    /// The plan that follows the advice.
    #[must_use]
    pub fn plan(&self, config: &Config, advice: &Advice, now_ms: i64) -> Plan {
        let moves = if config.stateless {
            self.weigh(config, advice).changes.iter().map(WeightChange::to_move).collect()
        } else {
            let tree = self.live.tree();
            let step = |line: &LabelAdvice| {
                let before = tree.get(&line.label)?;
                Some(Move::whole(&line.label, before, line.advised.as_ref()?, line.reason.code()))
            };
            advice.moves().filter_map(step).collect()
        };
        let mut plan = self.plan_of(config, moves, Intent::Route, now_ms);
        // What leaves an endpoint over its capacity rests on the newest costs alone.
        let costs_until_ms = self.matrix.end_ms().filter(|_| config.stateless);
        plan.effect.evidence_until_ms = evidence_until_ms(advice).or(costs_until_ms);
        plan
    }

    /// The plan of these moves, with what it does to the traffic.
    #[must_use]
    pub fn plan_of(&self, config: &Config, moves: Vec<Move>, intent: Intent, now_ms: i64) -> Plan {
        let mut after = self.live.tree();
        for step in &moves {
            after.insert(Label::new(&step.label), step.after());
        }
        let effect = self.effect(config, &after);
        let mut plan = self.view.ground(now_ms).route(&self.live, moves, effect);
        plan.intent = intent;
        plan.thresholds = settings::thresholds(config);
        plan
    }

    /// The share of a label's clients that are answered with another endpoint than before.
    fn leaving(&self, label: &Label, to: Option<&topology::Shares>) -> f64 {
        match (&self.live.prior, self.live.tree().get(label), to) {
            (Prior::Weighted(weights), _, Some(to)) => {
                let all: u32 = weights.values().sum();
                let stay = |(id, _)| {
                    let before = weights.get(id).copied().unwrap_or(0);
                    (f64::from(before) / f64::from(all.max(1))).min(to.part(id))
                };
                1.0 - to.iter().map(stay).sum::<f64>()
            }
            (_, Some(before), Some(to)) => before.moved(to),
            (_, before, to) => f64::from(u8::from(before.is_some() != to.is_some())),
        }
    }

    /// What it does to each vantage, and to the traffic, when labels lead where `after` says.
    #[must_use]
    pub fn effect(&self, config: &Config, after: &Tree) -> Effect {
        let recent = self.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let before = self.live.tree();
        let paid_ms = |vantage: &str, shares: &topology::Shares| -> Option<f64> {
            let parts = shares
                .iter()
                .map(|(id, _)| Some(shares.part(id) * recent.median_cost_ms(vantage, id)?));
            parts.sum()
        };
        let vantages: Vec<VantageEffect> = self
            .routing
            .preferred
            .iter()
            .filter_map(|(vantage, label)| {
                let (from, to) = (before.get(label)?, after.get(label)?);
                Some(VantageEffect {
                    vantage: vantage.clone(),
                    label: label.to_string(),
                    from: from.first().to_owned(),
                    to: to.first().to_owned(),
                    share: self.traffic.of_vantage(vantage),
                    cost_before_ms: paid_ms(vantage, from),
                    cost_after_ms: paid_ms(vantage, to),
                })
            })
            .collect();
        let leaves = |label: &Label| self.leaving(label, after.get(label));
        let known = vantages.iter().map(|line| line.share).sum::<f64>()
            + self.clients.values().sum::<f64>();
        let of_vantages = vantages.iter().map(|line| line.share * leaves(&Label::new(&line.label)));
        let of_clients = self.clients.iter().map(|(label, share)| share * leaves(label));
        let moved: f64 = of_vantages.chain(of_clients).sum();
        // Of traffic that nothing represents the worst is assumed.
        let moves_any = *after != before || self.live.prior != Prior::Latency;
        let worst = f64::from(u8::from(moves_any));
        let unknown = 1.0 - known;
        Effect {
            traffic_moved: if known > 0.0 { moved / known } else { worst },
            traffic_unknown: if unknown > ROUNDING { unknown } else { 0.0 },
            weights: self.traffic.source.clone(),
            preferred: self.preference.as_str().into(),
            evidence_until_ms: None,
            vantages,
        }
    }
}

/// Who the users are, as the configuration says; without a file all vantages weigh the same.
pub fn read_traffic(config: &Config) -> Result<Shares, SurveyError> {
    let Some(settings) = &config.traffic else { return Ok(Shares::equal(config)) };
    let file = settings.file.display().to_string();
    let text = std::fs::read_to_string(&settings.file)
        .map_err(|cause| SurveyError::TrafficFile(file.clone(), cause))?;
    Ok(Shares::of(&shares::parse(&text, &file)?, config, &file))
}

/// The end of the evidence of the move whose evidence is the oldest.
fn evidence_until_ms(advice: &Advice) -> Option<i64> {
    let chosen = |line: &LabelAdvice| {
        let chosen =
            line.considered.iter().find(|one| Some(&one.challenger) == line.advised.as_ref())?;
        chosen.comparison.until_ms
    };
    advice.moves().map(chosen).min().flatten()
}

/// Reads as much history as any verdict looks at, up to the last block that has ended.
pub async fn read_matrix<S: MatrixSource>(
    source: &S,
    config: &Config,
    now_ms: i64,
) -> Result<Matrix, SourceError> {
    let rule = settings::cost_rule(&config.evidence);
    let slots = settings::evidence_rule(&config.evidence).longest_slots();
    let until_ms = now_ms.div_euclid(rule.block_ms) * rule.block_ms;
    let stale_ms = settings::millis(config.evidence.stale);
    let since_ms = until_ms - i64::from(slots) * rule.block_ms - stale_ms;
    let rows = source.cell_blocks(config.evidence.quantile, since_ms, until_ms).await?;
    let (rows, refused) = believable(rows, &settings::places(config));
    for one in &refused {
        tracing::warn!(
            vantage = one.vantage,
            endpoint = one.endpoint,
            value_ms = one.value_ms,
            least_ms = one.least_ms,
            "a vantage is not believed: it measured less than light takes"
        );
    }
    let endpoints = config.endpoints.iter().map(|endpoint| endpoint.id.as_str());
    Ok(Matrix::build(&rows, rule).with_endpoints(endpoints))
}

type Asked = (BTreeMap<String, Label>, Preference, BTreeMap<(String, String), f64>);

/// The preferred labels, how they are known, and the round trips. Where Route 53 told the labels, round
/// trips only say who comes next: they may be missing.
async fn preferred<Z: Zone, S: MatrixSource, A: Answers>(
    (zone, answers): (&Z, &A),
    source: &S,
    config: &Config,
    view: &ZoneView,
    live: &LiveGroup,
    now_ms: i64,
) -> Result<Asked, SurveyError> {
    let (service, records) = (&view.service, &view.records);
    let asked = preferred::ask((zone, answers), config, service, records, live).await?;
    let since_ms =
        now_ms - settings::millis(config.evidence.block) * i64::from(config.evidence.blocks);
    let round_trips = source.round_trips(since_ms, now_ms).await;
    if let Some((preferred, how)) = asked {
        let round_trips = round_trips.unwrap_or_else(|error| {
            tracing::warn!(%error, "round trips are not known: the nearest label comes next");
            BTreeMap::new()
        });
        return Ok((preferred, how, round_trips));
    }
    let round_trips = round_trips?;
    let preferred = preferred::modelled(config, live, &round_trips);
    Ok((preferred, Preference::Modelled, round_trips))
}
