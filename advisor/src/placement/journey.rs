//! The tiers that a user's journey calls itself: what each step takes of the whole, and which other
//! Region's tier of the same kind would help most. Arithmetic on measured series; it reads nothing.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::{Config, TargetKind};
use probe::histogram::Histogram;
use probe::sample::{Connection, Phase};
use probe::store::MergedRow;

use super::data_tier::Effective;
use crate::statistics::{median, median_interval};

/// One step of one journey.
#[derive(Debug, Clone, PartialEq)]
pub struct JourneyStep {
    /// The journey's id.
    pub journey: String,
    /// The endpoint's or target's id.
    pub step: String,
    /// The tier: `static`, `auth`, `data`, or `api`.
    pub kind: &'static str,
    /// The Region that it stands in, where that is known.
    pub region: Option<String>,
    /// The median over all vantages, in ms.
    pub median_ms: f64,
    /// That as a share of the whole journey's median.
    pub of_whole: f64,
    /// One round trip to it, the median over all vantages, in ms; `None` on a kept connection.
    pub round_trip_ms: Option<f64>,
}

/// The steps of every journey, in their order: over kept connections where they are measured, for
/// people stay, and otherwise over cold ones.
#[must_use]
pub fn journey_steps(config: &Config, rows: &[MergedRow]) -> Vec<JourneyStep> {
    let mut steps = Vec::new();
    for journey in &config.journeys {
        let of = |connection| {
            let own = rows.iter().filter(|row| row.series.target == journey.id);
            own.filter(|row| row.series.connection == connection).collect::<Vec<_>>()
        };
        let kept = of(Connection::Warm);
        let rows = if kept.is_empty() { of(Connection::Cold) } else { kept };
        let Some(whole_ms) = median_of(&rows, "", |row| &row.response) else { continue };
        for step in &journey.steps {
            let Some(median_ms) = median_of(&rows, step, |row| &row.response) else { continue };
            let (kind, region) = place(config, step);
            steps.push(JourneyStep {
                journey: journey.id.clone(),
                step: step.clone(),
                kind,
                region,
                median_ms,
                of_whole: median_ms / whole_ms,
                round_trip_ms: median_of(&rows, step, |row| row.phases.get(Phase::Connect)),
            });
        }
    }
    steps
}

/// The median of all vantages' samples of one path, in ms.
fn median_of(rows: &[&MergedRow], path: &str, of: fn(&MergedRow) -> &Histogram) -> Option<f64> {
    let mut all = Histogram::new();
    for row in rows.iter().filter(|row| row.series.path == path) {
        all.merge(of(row));
    }
    Some(all.quantile_us(0.5)? as f64 / 1_000.0)
}

fn place(config: &Config, id: &str) -> (&'static str, Option<String>) {
    if let Some(target) = config.targets.iter().find(|target| target.id == id) {
        return (target.kind.as_str(), target.region.clone());
    }
    let endpoint = config.endpoints.iter().find(|endpoint| endpoint.id == id);
    (TargetKind::Api.as_str(), endpoint.map(|endpoint| endpoint.region.clone()))
}

/// `cost_ms` by target, vantage and start of the block.
pub type BlockCosts = BTreeMap<(String, String, i64), f64>;

/// What a tier in another Region would gain those who call it themselves.
#[derive(Debug, Clone, PartialEq)]
pub struct TierMove {
    /// The target that is a step today.
    pub now: String,
    /// The target of the same kind in another Region.
    pub other: String,
    /// Its Region, where that is known.
    pub region: Option<String>,
    /// What the weighted mean over all vantages gains, each with the better of the two; `None` with
    /// too few blocks.
    pub gain: Option<Effective>,
    /// The share of weight that gains.
    pub share: f64,
}

/// For each step that is a tier with others of its kind: those others, the most helpful first.
#[must_use]
pub fn tier_moves(
    config: &Config,
    costs: &BlockCosts,
    weights: &BTreeMap<String, f64>,
    (blocks_min, alpha): (usize, f64),
) -> Vec<TierMove> {
    let steps: BTreeSet<&String> = config.journeys.iter().flat_map(|all| &all.steps).collect();
    let tiers = [TargetKind::Static, TargetKind::Auth, TargetKind::Data];
    let mut moves = Vec::new();
    for now in config.targets.iter().filter(|t| tiers.contains(&t.kind) && steps.contains(&t.id)) {
        let others =
            config.targets.iter().filter(|other| other.kind == now.kind && other.id != now.id);
        let mut found: Vec<TierMove> = others
            .map(|other| {
                let (gains, share) = gains(costs, weights, &now.id, &other.id);
                let interval = median_interval(&gains, alpha);
                let told = median(&gains).zip(interval).filter(|_| gains.len() >= blocks_min);
                TierMove {
                    now: now.id.clone(),
                    other: other.id.clone(),
                    region: other.region.clone(),
                    gain: told.map(|(ms, interval_ms)| Effective {
                        ms,
                        interval_ms,
                        blocks: gains.len(),
                    }),
                    share,
                }
            })
            .collect();
        let ms = |one: &TierMove| one.gain.map_or(f64::MIN, |gain| gain.ms);
        found.sort_by(|a, b| ms(b).total_cmp(&ms(a)));
        moves.extend(found);
    }
    moves
}

/// The weighted gain of each block, and the share of weight that gains. Who gains is settled over all
/// blocks, so that the better of two noisy values is never taken block by block.
fn gains(
    costs: &BlockCosts,
    weights: &BTreeMap<String, f64>,
    now: &str,
    other: &str,
) -> (Vec<f64>, f64) {
    let whole: f64 = weights.values().sum();
    let mut by_block: BTreeMap<i64, f64> = BTreeMap::new();
    let mut gaining = 0.0;
    for (vantage, weight) in weights {
        let of = |target: &str| {
            let from = (target.to_owned(), vantage.clone(), i64::MIN);
            let to = (target.to_owned(), vantage.clone(), i64::MAX);
            costs.range(from..=to).map(|((.., at), ms)| (*at, *ms)).collect::<BTreeMap<i64, f64>>()
        };
        let there = of(other);
        let here = of(now).into_iter();
        let own: Vec<(i64, f64)> =
            here.filter_map(|(at, ms)| Some((at, ms - there.get(&at)?))).collect();
        let values: Vec<f64> = own.iter().map(|(_, gain)| *gain).collect();
        let gains = median(&values).is_some_and(|gain| gain > 0.0);
        gaining += if gains { *weight } else { 0.0 };
        for (at, gain) in own {
            *by_block.entry(at).or_insert(0.0) += if gains { weight * gain / whole } else { 0.0 };
        }
    }
    (by_block.into_values().collect(), gaining / whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_gain_move_and_the_others_stay() {
        let mut costs = BlockCosts::new();
        let series = [
            ("us", "v", 20.0),
            ("us", "w", 200.0),
            ("us", "x", 90.0),
            ("eu", "v", 100.0),
            ("eu", "w", 30.0),
            ("eu", "x", 90.5),
        ];
        for (target, vantage, ms) in series {
            for block in 0..18 {
                costs.insert((target.to_owned(), vantage.to_owned(), block), ms);
            }
        }
        let weights = [("v", 2.0), ("w", 1.0), ("x", 1.0)].map(|(v, w)| (v.to_owned(), w)).into();
        let (all, share) = gains(&costs, &weights, "us", "eu");
        assert_eq!((all.len(), share), (18, 0.25));
        assert!(all.iter().all(|gain| (gain - 170.0 / 4.0).abs() < 1e-9), "{all:?}");
        let (all, share) = gains(&costs, &weights, "us", "none");
        assert!(all.is_empty() && share == 0.0);
    }
}
