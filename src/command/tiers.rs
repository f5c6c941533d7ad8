//! What the store knows of what stands behind and before the endpoints: storage, the tiers of
//! journeys, edges. It reads and merges; `advisor::placement` draws the conclusions.

use std::collections::BTreeMap;

use advisor::placement::{
    BlockCosts, Caller, DataTier, Deployment, Storage, StorageTold, Surroundings, TierVerdict,
    WindowMedians, answerable, data_tiers, edge_paths, edge_savings, journey_steps, tier_moves,
};
use probe::config::{Config, TargetKind};
use probe::histogram::Histogram;
use probe::sample::{Connection, Phase};
use probe::store::{BlockRow, MergedRow, Store, StoreError, TimingRow};

use crate::command::run::store_failure;
use crate::failure::Failure;
use crate::show::tiers::Tiers;

/// The targets that edges keep objects of.
#[must_use]
pub fn keeping_edges(config: &Config) -> Vec<String> {
    let is_static = |kind| kind == TargetKind::Static;
    config.targets.iter().filter(|t| is_static(t.kind)).map(|t| t.id.clone()).collect()
}

/// A span of one store.
pub struct Span<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The store.
    pub store: &'a Store,
    /// Everything of the span, merged.
    pub rows: &'a [MergedRow],
    /// Its start, in ms since 1970.
    pub since_ms: i64,
    /// Its end.
    pub now_ms: i64,
}

impl Span<'_> {
    /// Reads it all. `made` says which endpoint serves whom best today.
    pub fn read(&self, made: &Deployment, medians: &WindowMedians) -> Result<Tiers, Failure> {
        self.tiers(made, medians).map_err(|error| store_failure(&error))
    }

    fn tiers(&self, made: &Deployment, medians: &WindowMedians) -> Result<Tiers, StoreError> {
        let evidence = &self.config.evidence;
        let (blocks_min, alpha) =
            (usize::try_from(evidence.blocks).unwrap_or(usize::MAX), evidence.alpha);
        let best = best(made);
        let to_data_ms = self.to_data();
        let told = told(self.config, self.store.timings(self.since_ms, self.now_ms)?);
        let around = Surroundings {
            processing_ms: &self.processing(),
            to_data_ms: &to_data_ms,
            callers: &callers(made),
            blocks_min,
            alpha,
        };
        let storage = data_tiers(&told, &around);
        let weights: BTreeMap<String, f64> =
            made.matrix.clients.iter().cloned().zip(made.matrix.weights.iter().copied()).collect();
        let reads_storage = |id: &str| told.iter().any(|one| one.endpoint == id);
        let edges = keeping_edges(self.config);
        let costs = block_costs(
            self.store.blocks(self.since_ms, self.now_ms)?,
            self.config.evidence.cold_share,
        );
        Ok(Tiers {
            to_data_ms: home(&storage).map_or_else(BTreeMap::new, |home| {
                let there = to_data_ms.iter().filter(|((_, region), _)| region == home);
                there.map(|((vantage, _), ms)| (vantage.clone(), *ms)).collect()
            }),
            steps: journey_steps(self.config, self.rows),
            moves: tier_moves(self.config, &costs, &weights, (blocks_min, alpha)),
            paths: edge_paths(&self.store.ways(self.since_ms, self.now_ms)?),
            savings: edge_savings(&best, &edges, medians, (evidence.cold_share, alpha)),
            answerable: answerable(self.config, reads_storage),
            storage,
        })
    }

    /// The median processing phase of each endpoint, over all its samples, in ms.
    fn processing(&self) -> BTreeMap<String, f64> {
        let mut merged: BTreeMap<&str, Histogram> = BTreeMap::new();
        for endpoint in &self.config.endpoints {
            for row in self.rows.iter().filter(|row| row.series.target == endpoint.id) {
                merged.entry(&endpoint.id).or_default().merge(row.phases.get(Phase::Processing));
            }
        }
        let median = |(id, all): (&str, Histogram)| Some((id.to_owned(), median_ms(&all)?));
        merged.into_iter().filter_map(median).collect()
    }

    /// Round trips by vantage and Region to the data targets that say where they stand, in ms.
    fn to_data(&self) -> BTreeMap<(String, String), f64> {
        let data = self.config.targets.iter().filter(|target| target.kind == TargetKind::Data);
        let mut round_trips = BTreeMap::new();
        for (target, region) in data.filter_map(|target| Some((target, target.region.as_ref()?))) {
            let cold = self.rows.iter().filter(|row| {
                row.series.target == target.id && row.series.connection == Connection::Cold
            });
            for row in cold {
                if let Some(ms) = median_ms(row.phases.get(Phase::Connect)) {
                    round_trips.insert((row.series.vantage.clone(), region.clone()), ms);
                }
            }
        }
        round_trips
    }
}

/// Where the data stands, if functions show that it is far for some of them and round trips bear it
/// out. A slow backend alone must not be taken for a far table.
fn home(storage: &[DataTier]) -> Option<&str> {
    let shown = |tier: &&DataTier| match &tier.verdict {
        TierVerdict::Replica(replica) => replica.is_borne_out,
        _ => false,
    };
    storage.iter().find(shown).map(|tier| tier.home.as_str())
}

fn median_ms(histogram: &Histogram) -> Option<f64> {
    Some(histogram.quantile_us(0.5)? as f64 / 1_000.0)
}

/// The endpoint that serves each vantage best, of those that are measured.
fn best(made: &Deployment) -> BTreeMap<String, String> {
    let matrix = &made.matrix;
    let measured: Vec<usize> =
        (0..matrix.columns.len()).filter(|column| !made.estimated.contains(column)).collect();
    let best = |(client, name): (usize, &String)| {
        let (column, _) = matrix.served(client, &measured)?;
        Some((name.clone(), matrix.columns[column].clone()))
    };
    matrix.clients.iter().enumerate().filter_map(best).collect()
}

/// The vantages as they weigh, with what each measured endpoint costs them.
fn callers(made: &Deployment) -> Vec<Caller> {
    let matrix = &made.matrix;
    let caller = |(client, weight): (usize, &f64)| {
        let costs = matrix.columns.iter().zip(matrix.costs(client)).enumerate();
        let known = costs.filter(|(at, _)| !made.estimated.contains(at));
        let known = known.filter_map(|(_, (name, cost))| Some((name.clone(), (*cost)?)));
        Caller { weight: *weight, costs: known.collect() }
    };
    matrix.weights.iter().enumerate().map(caller).collect()
}

/// What the functions of each endpoint told of storage, by block: all its samples together.
fn told(config: &Config, timings: Vec<TimingRow>) -> Vec<StorageTold> {
    let mut merged: BTreeMap<(String, String, i64), Histogram> = BTreeMap::new();
    for row in timings {
        if Storage::of_metric(&row.name).is_some() {
            let key = (row.series.target, row.name, row.start_ms);
            merged.entry(key).or_default().merge(&row.took);
        }
    }
    let one = |((target, metric, block_ms), took): ((String, String, i64), Histogram)| {
        let endpoint = config.endpoints.iter().find(|endpoint| endpoint.id == target)?;
        Some(StorageTold {
            endpoint: target,
            region: endpoint.region.clone(),
            storage: Storage::of_metric(&metric)?,
            metric,
            block_ms,
            took_ms: median_ms(&took)?,
        })
    };
    merged.into_iter().filter_map(one).collect()
}

/// `cost_ms` of each target, vantage and block, where the series it is made of are all there; of
/// several paths the one that most samples took.
fn block_costs(blocks: Vec<BlockRow>, cold_share: f64) -> BlockCosts {
    let parts = [(Connection::Cold, cold_share), (Connection::Warm, 1.0 - cold_share)];
    let parts: Vec<(Connection, f64)> =
        parts.into_iter().filter(|(_, share)| *share > 0.0).collect();
    let mut heaviest: BTreeMap<(String, String, i64, Connection), (u64, f64)> = BTreeMap::new();
    for block in blocks {
        let series = block.series;
        let key = (series.target, series.vantage, block.start_ms, series.connection);
        let ms = block.quantiles.p50_us as f64 / 1_000.0;
        let kept = heaviest.entry(key).or_default();
        if block.attempts > kept.0 {
            *kept = (block.attempts, ms);
        }
    }
    let mut costs: BTreeMap<(String, String, i64), (f64, usize)> = BTreeMap::new();
    for ((target, vantage, start_ms, connection), (_, ms)) in heaviest {
        if let Some((_, share)) = parts.iter().find(|(part, _)| *part == connection) {
            let cost = costs.entry((target, vantage, start_ms)).or_default();
            *cost = (cost.0 + share * ms, cost.1 + 1);
        }
    }
    let whole = costs.into_iter().filter(|(_, (_, seen))| *seen == parts.len());
    whole.map(|(key, (ms, _))| (key, ms)).collect()
}
