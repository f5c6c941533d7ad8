//! The survey: everything that deciding needs, gathered once from zone, store and DNS.
//!
//! The shell around the pure core: it asks and reads, and decides nothing.

mod asking;
mod effect;
mod loads;

use std::collections::BTreeMap;

use probe::config::Config;

pub use asking::{Findings, Inquiry, ROUNDS, Step};

use crate::advice::{Advice, Basis, Considered, Eyeballs, LabelAdvice, Routing, Verdict, advise};
use crate::answers::Answers;
use crate::apply::HEALTH_CHECK_PREFIX;
use crate::group::{EndpointTarget, GroupError, LiveGroup};
use crate::journal::{Operation, cooling};
use crate::light::believable;
use crate::mark::{Marks, Shadow};
use crate::matrix::{Matrix, MatrixSource, SourceError};
use crate::name::{Label, Name};
use crate::plan::{Ground, Intent, Move, Plan, home, moved};
use crate::preferred::{self, Next, Preference, PreferredError};
use crate::record::RecordSet;
use crate::settings::{self, SettingsError};
use crate::shares::{self, Shares, TrafficError};
use crate::topology;
use crate::weights::WeightChange;
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
    /// The clients of whom Route 53 was not asked: how many prefixes, and their share of the traffic.
    pub unasked: (usize, f64),
    /// The median network round trip between vantages and endpoints, in ms, where it is known.
    pub round_trips: BTreeMap<(String, String), f64>,
    /// Every label, for each vantage, the one that Route 53 is taken to prefer first: modelled from round
    /// trips, and corrected by what was asked.
    pub orders: BTreeMap<String, Vec<Label>>,
    /// What Route 53 says of the labels of the `next` shadow, where those are not the installed ones.
    pub next: Option<Next>,
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
        let known = preferred((zone, answers), source, config, &view, &live, now_ms).await?;
        let traffic = read_traffic(config)?;
        let mut survey = Self {
            routing: Routing {
                live: live.labels.clone(),
                preferred: known.preferred,
                witnesses: settings::witnesses(config),
                cloud: settings::cloud_vantages(config),
                cooling: cooling(operations, settings::millis(config.evidence.cooldown), now_ms),
                eyeballs: Eyeballs::default(),
            },
            view,
            live,
            matrix,
            preference: known.how,
            traffic,
            clients: BTreeMap::new(),
            unasked: (0, 0.0),
            round_trips: known.round_trips,
            orders: BTreeMap::new(),
            next: known.next,
        };
        survey.ask_clients((zone, answers)).await?;
        survey.learn(config, &[]);
        Ok(survey.with_costliest(config))
    }

    /// The clients that no vantage stands for: what they prefer now, and of the labels asked about.
    async fn ask_clients<Z: Zone, A: Answers>(
        &mut self,
        seams: (&Z, &A),
    ) -> Result<(), SurveyError> {
        let (service, clients) = (&self.view.service, &self.traffic.clients);
        let way = (Shadow::Live, self.preference);
        let now = preferred::ask_clients(seams, service, way, clients).await?;
        let unasked = &clients[now.len()..];
        self.unasked = (unasked.len(), unasked.iter().map(|(_, share)| share).sum::<f64>() + 0.0);
        for (label, (_, share)) in now.iter().zip(clients) {
            *self.clients.entry(label.clone()).or_default() += share;
        }
        let Some(next) = &mut self.next else { return Ok(()) };
        let way = (Shadow::Next, next.how);
        let known = &clients[..now.len()];
        let then = preferred::ask_clients(seams, service, way, known).await?;
        for ((now, then), (_, share)) in now.into_iter().zip(then).zip(clients) {
            *next.clients.entry((now, then)).or_default() += share;
        }
        Ok(())
    }

    /// The advice: by measured clients where they suffice, else by cloud evidence.
    #[must_use]
    pub fn advise(&self, config: &Config) -> Advice {
        advise(&self.matrix, &self.routing, &settings::advice_rule(&config.evidence))
    }

    /// The plan that follows the advice. With weights, labels that are added and removed go first and whole:
    /// what each carries is known once they are installed, and weights follow in the next plan.
    #[must_use]
    pub fn plan(&self, config: &Config, advice: &Advice, now_ms: i64) -> Plan {
        let weighs = config.stateless && !advice.changes_the_set();
        let moves = if weighs {
            self.weigh(config, advice).changes.iter().map(WeightChange::to_move).collect()
        } else {
            let tree = self.live.tree();
            let step = |line: &LabelAdvice| {
                let after = line.advised.as_deref().map(topology::Shares::one);
                let before = tree.get(&line.label);
                Move::new(&line.label, before, after.as_ref(), line.reason.code())
            };
            advice.moves().map(step).collect()
        };
        let mut plan = self.plan_of(config, moves, Intent::Route, now_ms);
        // What leaves an endpoint over its capacity rests on the newest costs alone.
        let costs_until_ms = self.matrix.end_ms().filter(|_| weighs);
        plan.effect.evidence_until_ms = evidence_until_ms(advice).or(costs_until_ms);
        plan
    }

    /// The plan of these moves, with what it does to the traffic.
    #[must_use]
    pub fn plan_of(&self, config: &Config, moves: Vec<Move>, intent: Intent, now_ms: i64) -> Plan {
        let effect = self.effect(config, &moved(&self.live.tree(), &moves));
        let mut plan = self.view.ground(now_ms).route(&self.live, moves, effect);
        plan.intent = intent;
        plan.thresholds = settings::thresholds(config);
        plan
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

/// The end of the evidence of the move whose evidence is the oldest. A label that goes rests on what makes
/// the others better.
fn evidence_until_ms(advice: &Advice) -> Option<i64> {
    let until = |one: &Considered| one.comparison.until_ms;
    let chosen = |line: &LabelAdvice| {
        let is_chosen = |one: &&Considered| Some(&one.challenger) == line.advised.as_ref();
        line.considered.iter().find(is_chosen).and_then(until)
    };
    let all = || advice.labels.iter().flat_map(|line| &line.considered);
    let shown = || all().filter(|one| one.verdict == Verdict::Admissible).filter_map(until).min();
    let of_move = |line: &LabelAdvice| match (advice.basis, &line.advised) {
        (Basis::Eyeball, None) => shown(),
        _ => chosen(line),
    };
    advice.moves().map(of_move).min().flatten()
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

/// What is known of preferences.
struct Preferences {
    preferred: BTreeMap<String, Label>,
    how: Preference,
    round_trips: BTreeMap<(String, String), f64>,
    next: Option<Next>,
}

/// The preferred labels, how they are known, and the round trips. Where Route 53 told the labels, round
/// trips only say who comes next: they may be missing.
async fn preferred<Z: Zone, S: MatrixSource, A: Answers>(
    seams: (&Z, &A),
    source: &S,
    config: &Config,
    view: &ZoneView,
    live: &LiveGroup,
    now_ms: i64,
) -> Result<Preferences, SurveyError> {
    let (service, records) = (&view.service, &view.records);
    let asked = preferred::ask(seams, config, service, records, live).await?;
    let next = preferred::ask_next(seams, config, service, records, live).await?;
    let since_ms =
        now_ms - settings::millis(config.evidence.block) * i64::from(config.evidence.blocks);
    let round_trips = source.round_trips(since_ms, now_ms).await;
    if let Some((preferred, how)) = asked {
        let round_trips = round_trips.unwrap_or_else(|error| {
            tracing::warn!(%error, "round trips are not known: the nearest label comes next");
            BTreeMap::new()
        });
        return Ok(Preferences { preferred, how, round_trips, next });
    }
    let round_trips = round_trips?;
    let preferred = preferred::modelled(config, live, &round_trips);
    Ok(Preferences { preferred, how: Preference::Modelled, round_trips, next })
}
