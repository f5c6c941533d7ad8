//! The survey: everything that deciding needs, gathered once from zone, store and DNS.
//!
//! The shell around the pure core: it asks and reads, and decides nothing.

use std::collections::BTreeMap;

use probe::config::Config;

use crate::advice::{Advice, LabelAdvice, Routing, advise};
use crate::answers::Answers;
use crate::apply::HEALTH_CHECK_PREFIX;
use crate::evidence::EvidenceRule;
use crate::group::{EndpointTarget, GroupError, LiveGroup, live_group};
use crate::guard::MODELLED;
use crate::journal::{Operation, cooling};
use crate::mark::{Marks, Shadow};
use crate::matrix::{Matrix, MatrixSource, SourceError};
use crate::name::{Label, Name};
use crate::plan::{Effect, Ground, Move, Plan, VantageEffect, home};
use crate::record::RecordSet;
use crate::settings::{self, SettingsError};
use crate::zone::{Zone, ZoneError, ZoneFacts};

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
    #[error("cannot ask Route 53's name servers for preferred labels: {0}")]
    Preferred(String),
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
            Self::Preferred(_) => Some("check [dns] servers and that port 53 is reachable"),
        }
    }
}

/// How preferred labels are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// Asked of Route 53, through a shadow group.
    Asked,
    /// The installed label with the lowest network round trip.
    Modelled,
}

impl Preference {
    /// The word in output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Modelled => MODELLED,
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
        live_group(&home, &self.records, &self.endpoints)
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
        let (preferred, preference) =
            preferred((source, answers), config, &view, &live, now_ms).await?;
        let routing = Routing {
            live: live.labels.clone(),
            preferred,
            witnesses: settings::witnesses(config),
            cloud: settings::cloud_vantages(config),
            cooling: cooling(operations, settings::millis(config.evidence.cooldown), now_ms),
        };
        Ok(Self { view, live, matrix, routing, preference })
    }

    /// The advice of rule 1.
    #[must_use]
    pub fn advise(&self, config: &Config) -> Advice {
        advise(&self.matrix, &self.routing, &settings::advice_rule(&config.evidence))
    }

    /// The plan that follows the advice.
    #[must_use]
    pub fn plan(&self, config: &Config, advice: &Advice, now_ms: i64) -> Plan {
        let moves: Vec<Move> = advice
            .moves()
            .map(|line| Move {
                label: line.label.to_string(),
                from: line.current.clone(),
                to: line.advised.clone(),
                reason: line.reason.code().to_owned(),
            })
            .collect();
        let effect = self.effect(config, advice);
        let mut plan = self.view.ground(now_ms).route(&self.live, moves, effect);
        plan.thresholds = settings::thresholds(config);
        plan
    }

    /// What following the advice does to each vantage, with equal weights.
    fn effect(&self, config: &Config, advice: &Advice) -> Effect {
        let recent = self.matrix.newest(EvidenceRule::slots(config.evidence.blocks));
        let after = advice.endpoints();
        let share = 1.0 / self.routing.preferred.len().max(1) as f64;
        let vantages: Vec<VantageEffect> = self
            .routing
            .preferred
            .iter()
            .filter_map(|(vantage, label)| {
                let (from, to) = (self.live.labels.get(label)?, after.get(label)?);
                Some(VantageEffect {
                    vantage: vantage.clone(),
                    label: label.to_string(),
                    from: from.clone(),
                    to: to.clone(),
                    share,
                    cost_before_ms: recent.median_cost_ms(vantage, from),
                    cost_after_ms: recent.median_cost_ms(vantage, to),
                })
            })
            .collect();
        let moved =
            vantages.iter().filter(|line| line.from != line.to).map(|line| line.share).sum();
        Effect {
            traffic_moved: moved,
            weights: "equal weights over vantages".into(),
            preferred: self.preference.as_str().into(),
            evidence_until_ms: evidence_until_ms(advice),
            vantages,
        }
    }
}

/// The end of the evidence of the move whose evidence is the oldest.
fn evidence_until_ms(advice: &Advice) -> Option<i64> {
    let chosen = |line: &LabelAdvice| {
        let chosen = line.considered.iter().find(|one| one.challenger == line.advised)?;
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
    let endpoints = config.endpoints.iter().map(|endpoint| endpoint.id.as_str());
    Ok(Matrix::build(&rows, rule).with_endpoints(endpoints))
}

async fn preferred<S: MatrixSource, A: Answers>(
    (source, answers): (&S, &A),
    config: &Config,
    view: &ZoneView,
    live: &LiveGroup,
    now_ms: i64,
) -> Result<(BTreeMap<String, Label>, Preference), SurveyError> {
    let shadow = Marks::of(&view.service).shadow_labels(Shadow::Live, &view.records);
    if !shadow.is_empty() && shadow.iter().eq(live.labels.keys()) {
        let asked = answers.preferred(Shadow::Live).await.map_err(SurveyError::Preferred)?;
        if let Some(other) = asked.values().find(|label| !live.labels.contains_key(label)) {
            let cause = format!("label '{other}' is preferred, and it is not installed");
            return Err(SurveyError::Preferred(cause));
        }
        return Ok((asked, Preference::Asked));
    }
    let since_ms =
        now_ms - settings::millis(config.evidence.block) * i64::from(config.evidence.blocks);
    let round_trips = source.round_trips(since_ms, now_ms).await?;
    Ok((modelled(config, live, &round_trips), Preference::Modelled))
}

/// For each vantage the installed label whose own Region's endpoint has the lowest round trip.
fn modelled(
    config: &Config,
    live: &LiveGroup,
    round_trips: &BTreeMap<(String, String), f64>,
) -> BTreeMap<String, Label> {
    let nearest = |vantage: &str| -> Option<Label> {
        let in_region = |label: &Label| -> Option<f64> {
            let here =
                config.endpoints.iter().find(|endpoint| endpoint.region == label.as_str())?;
            round_trips.get(&(vantage.to_owned(), here.id.clone())).copied()
        };
        live.labels
            .keys()
            .filter_map(|label| Some((in_region(label)?, label)))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, label)| label.clone())
    };
    config
        .vantages
        .iter()
        .filter_map(|vantage| Some((vantage.id.clone(), nearest(&vantage.id)?)))
        .collect()
}
