//! What stands around the endpoints, as text and as JSON: kinds side by side, the data tier, journeys,
//! what edges pass on and what they could answer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use advisor::placement::{
    Answerable, DOUBLE_HOP, DOUBLE_HOP_MIGRATION, DataTier, EDGE_OPTIMIZED_MIGRATION,
    EDGE_OPTIMIZED_TRAP, EDGE_TECHNIQUES, EdgePath, EdgeSaving, Effective, FarStorage, JourneyStep,
    KindComparison, KindVerdict, ORIGIN_BY_NAME, Replica, TierMove, TierVerdict,
};
use serde_json::{Map, Value, json};

use super::table::{Table, ms, percent};

/// What there is instead of it where it is not known.
const UNKNOWN: &str = "not known from CloudWatch: kinds of endpoints side by side, the data tier, journeys, and \
    what edges pass on and would save; a machine's own store tells (--store sqlite:PATH)\n";

/// What stands around the endpoints.
#[derive(Debug, Clone)]
pub struct Around {
    /// Endpoints of different kinds in one Region, and what stands behind and before the endpoints; `None`
    /// from CloudWatch, which does not hold it.
    pub known: Option<(Vec<KindComparison>, Tiers)>,
    /// Whether an edge-optimized domain is among several endpoints.
    pub is_trapped: bool,
}

/// Of a matrix, which has nothing around it.
impl Default for Around {
    fn default() -> Self {
        Self { known: Some((Vec::new(), Tiers::default())), is_trapped: false }
    }
}

/// What stands behind and before the endpoints.
#[derive(Debug, Clone, Default)]
pub struct Tiers {
    /// Storage that functions told of.
    pub storage: Vec<DataTier>,
    /// The round trip between each Region that has a vantage and the data tier, in ms; empty where
    /// its place is not known.
    pub to_data_ms: BTreeMap<String, f64>,
    /// The steps of journeys.
    pub steps: Vec<JourneyStep>,
    /// Steps that another Region's tier of the same kind could serve.
    pub moves: Vec<TierMove>,
    /// What edges passed on.
    pub paths: Vec<EdgePath>,
    /// What answers at the edge would save.
    pub savings: Vec<EdgeSaving>,
    /// Where each endpoint and tier could be answered.
    pub answerable: Vec<(String, Answerable)>,
}

impl Around {
    /// The paragraphs; those without a finding are left out, but for the data tier's.
    #[must_use]
    pub fn text(&self) -> String {
        let Some((kinds, tiers)) = &self.known else {
            return UNKNOWN.to_owned() + &self.trap();
        };
        let parts = [
            endpoint_kinds(kinds),
            self.trap(),
            tiers.paths(),
            tiers.storage(),
            tiers.journeys(),
            tiers.at_the_edge(),
        ];
        parts.concat()
    }

    /// How to leave the trap of an edge-optimized domain.
    fn trap(&self) -> String {
        if !self.is_trapped {
            return String::new();
        }
        format!("{EDGE_OPTIMIZED_TRAP} (reason: edge-optimized)\n")
            + &numbered(&EDGE_OPTIMIZED_MIGRATION)
    }

    /// The same, complete. What is not known is null.
    #[must_use]
    pub fn json(&self) -> Map<String, Value> {
        let mut whole = Map::new();
        let mut put = |key: &str, value: Value| whole.insert(key.to_owned(), value);
        let migration = if self.is_trapped { &EDGE_OPTIMIZED_MIGRATION[..] } else { &[] };
        put("migration", json!(migration));
        let Some((kinds, tiers)) = &self.known else {
            let keys = ["endpoint_kinds", "edge_paths", "data_tier", "journeys", "tier_moves"];
            keys.into_iter().chain(["edge_compute"]).for_each(|key| {
                put(key, Value::Null);
            });
            return whole;
        };
        put("endpoint_kinds", kinds.iter().map(kind_json).collect());
        put("edge_paths", tiers.paths.iter().map(path_json).collect());
        put("data_tier", tiers.storage.iter().map(storage_json).collect());
        put("journeys", tiers.steps.iter().map(step_json).collect());
        put("tier_moves", tiers.moves.iter().map(move_json).collect());
        put("edge_compute", tiers.edge_compute_json());
        whole
    }
}

/// Which kind of endpoint is faster where there are several.
fn endpoint_kinds(kinds: &[KindComparison]) -> String {
    let line = |kind: &KindComparison| {
        format!(
            "endpoint kind in {}, {}: {} against {}: {}{}\n",
            kind.region,
            kind.connection.as_str(),
            kind.first,
            kind.second,
            kind.verdict.code(),
            gains(&kind.verdict)
        )
    };
    kinds.iter().map(line).collect()
}

impl Tiers {
    fn paths(&self) -> String {
        let mut text = String::new();
        for path in &self.paths {
            if path.is_double_hop() == Some(true) {
                let _ = writeln!(
                    text,
                    "{}: {} of {} answers passed two edges. {DOUBLE_HOP} (reason: double-hop)",
                    path.target,
                    percent(path.twice_share),
                    path.answers
                );
                text.push_str(&numbered(&DOUBLE_HOP_MIGRATION));
            }
            if path.is_origin_by_name() == Some(true) {
                let regions = path.regions.iter();
                let regions: Vec<String> =
                    regions.map(|(region, count)| format!("{region} {count}")).collect();
                let _ = writeln!(
                    text,
                    "{}: answers came from {}. {ORIGIN_BY_NAME} (reason: origin-by-name)",
                    path.target,
                    regions.join(", ")
                );
            }
        }
        text
    }

    fn storage(&self) -> String {
        if self.storage.is_empty() {
            return "data tier: no function tells what its storage takes (reason: untold); have it \
                    answer with server-timing, such as dynamodb;dur=12.5\n"
                .to_owned();
        }
        self.storage.iter().map(storage_text).collect()
    }

    fn journeys(&self) -> String {
        let mut text = String::new();
        let mut table = Table::new([
            "step",
            "tier",
            "Region",
            "median, ms",
            "of the whole",
            "one round trip, ms",
        ]);
        for step in &self.steps {
            table.row([
                format!("{} {}", step.journey, step.step),
                step.kind.to_owned(),
                step.region.clone().unwrap_or_else(|| "-".to_owned()),
                ms(Some(step.median_ms)),
                percent(step.of_whole),
                ms(step.round_trip_ms),
            ]);
        }
        if !self.steps.is_empty() {
            let _ = write!(text, "\n{}", table.text());
        }
        self.moves.iter().for_each(|one| text.push_str(&move_text(one)));
        text
    }

    fn at_the_edge(&self) -> String {
        if self.savings.is_empty() {
            return String::new();
        }
        let mut text = "\nat the edge: what an answer from the nearest edge would save, by what a \
                        cached object costs there\n"
            .to_owned();
        let headings = ["vantage", "endpoint", "saves, ms", "interval, ms", "pairs", "reason"];
        let mut table = Table::new(headings);
        for saving in &self.savings {
            let told = saving.verdict.difference();
            let interval =
                told.map(|t| format!("{:.1} to {:.1}", t.interval_ms.0, t.interval_ms.1));
            table.row([
                saving.vantage.clone(),
                saving.endpoint.clone(),
                ms(told.map(|told| told.gain_ms)),
                interval.unwrap_or_else(|| "-".to_owned()),
                told.map_or_else(|| "-".to_owned(), |told| told.pairs.to_string()),
                saving.verdict.code().to_owned(),
            ]);
        }
        text.push_str(&table.text());
        let answerable: Vec<String> =
            self.answerable.iter().map(|(id, what)| format!("{id} {}", what.code())).collect();
        let _ = writeln!(text, "what could be answered there: {}", answerable.join(", "));
        for technique in &EDGE_TECHNIQUES {
            let _ = writeln!(
                text,
                "  {}: {}; limits: {}",
                technique.name, technique.can, technique.limits
            );
        }
        text
    }

    fn edge_compute_json(&self) -> Value {
        let answerable = self.answerable.iter();
        let answerable: Vec<Value> =
            answerable.map(|(id, what)| json!({"target": id, "reason": what.code()})).collect();
        let techniques = EDGE_TECHNIQUES.iter().map(|technique| {
            json!({"name": technique.name, "can": technique.can, "limits": technique.limits})
        });
        json!({
            "savings": self.savings.iter().map(saving_json).collect::<Vec<_>>(),
            "answerable": answerable,
            "techniques": techniques.collect::<Vec<_>>(),
        })
    }
}

fn numbered(steps: &[&str]) -> String {
    let line = |(at, step): (usize, &&str)| format!("  {}. {step}\n", at + 1);
    steps.iter().enumerate().map(line).collect()
}

fn gains(verdict: &KindVerdict) -> String {
    verdict.difference().map_or_else(String::new, |told| {
        format!(
            ", gains {:.1} ms ({:.1} to {:.1}; {} pairs)",
            told.gain_ms, told.interval_ms.0, told.interval_ms.1, told.pairs
        )
    })
}

fn effective(told: &Effective) -> String {
    let (low, high) = told.interval_ms;
    format!("{:.1} ms ({low:.1} to {high:.1}; {} blocks)", told.ms, told.blocks)
}

fn storage_text(tier: &DataTier) -> String {
    let mut table = Table::new(["endpoint", "told, ms", "of processing", "far", "round trips"]);
    for one in &tier.endpoints {
        table.row([
            one.endpoint.clone(),
            ms(Some(one.told_ms)),
            one.of_processing.map_or_else(|| "-".to_owned(), percent),
            one.far.map_or_else(|| "-".to_owned(), |far| effective(&far)),
            one.trips.map_or_else(|| "-".to_owned(), |trips| format!("{trips:.2}")),
        ]);
    }
    let code = tier.verdict.code();
    let verdict = match &tier.verdict {
        TierVerdict::InsufficientData { blocks } => {
            format!("{blocks} blocks in which every endpoint told are too few (reason: {code})\n")
        }
        TierVerdict::OneEndpoint => {
            format!("one endpoint alone does not tell work from distance (reason: {code})\n")
        }
        TierVerdict::Near => format!("no replica would help (reason: {code})\n"),
        TierVerdict::NotDistance => format!(
            "what differs is far less than a round trip: a replica would not help (reason: {code})\n"
        ),
        TierVerdict::Replica(replica) => replica_text(tier, replica),
    };
    let (metric, home) = (&tier.metric, &tier.home);
    format!("\ndata tier, {metric}: nearest in {home}\n{}{verdict}", table.text())
}

fn replica_text(tier: &DataTier, replica: &Replica) -> String {
    let refused = replica.refused.iter().map(|(region, gain)| format!("{region} {gain:.1} ms"));
    let refused = refused.collect::<Vec<_>>().join(", ");
    let refused = if refused.is_empty() { String::new() } else { format!("; refused: {refused}") };
    let borne_out = if replica.is_borne_out { "" } else { ", not borne out by round trips" };
    let mut text = format!(
        "replica in {}: the mean cost gains {}, {} of the weight gains{borne_out} \
         (reason: replica{refused})\n",
        replica.region,
        effective(&replica.gain),
        percent(replica.share)
    );
    for limit in tier.storage.replica_limits() {
        let _ = writeln!(text, "  limit: {limit}");
    }
    text
}

fn move_text(one: &TierMove) -> String {
    match &one.gain {
        Some(gain) if gain.interval_ms.0 > 0.0 => format!(
            "{} beside {}: the mean over vantages gains {}, {} of the weight gains \
             (reason: replica)\n",
            one.other,
            one.now,
            effective(gain),
            percent(one.share)
        ),
        Some(_) => format!("{} beside {}: gains nothing (reason: near)\n", one.other, one.now),
        None => {
            format!(
                "{} beside {}: too few blocks (reason: insufficient-data)\n",
                one.other, one.now
            )
        }
    }
}

fn kind_json(kind: &KindComparison) -> Value {
    let mut line = verdict_json(&kind.verdict);
    line["region"] = json!(kind.region);
    line["connection"] = json!(kind.connection.as_str());
    line["first"] = json!(kind.first);
    line["second"] = json!(kind.second);
    line
}

fn saving_json(saving: &EdgeSaving) -> Value {
    let mut line = verdict_json(&saving.verdict);
    line["vantage"] = json!(saving.vantage);
    line["endpoint"] = json!(saving.endpoint);
    line["at_edge"] = json!(saving.at_edge);
    line
}

fn verdict_json(verdict: &KindVerdict) -> Value {
    let told = verdict.difference();
    json!({
        "reason": verdict.code(),
        "gain_ms": told.map(|told| told.gain_ms),
        "gain_low_ms": told.map(|told| told.interval_ms.0),
        "gain_high_ms": told.map(|told| told.interval_ms.1),
        "pairs": told.map(|told| told.pairs),
    })
}

fn path_json(path: &EdgePath) -> Value {
    let is_double = path.is_double_hop() == Some(true);
    let steps = if is_double { &DOUBLE_HOP_MIGRATION[..] } else { &[] };
    json!({
        "target": path.target,
        "answers": path.answers,
        "twice_share": path.twice_share,
        "regions": path.regions,
        "region_by_vantage": path.by_vantage,
        "reasons": path.codes(),
        "migration": steps,
    })
}

fn effective_json(told: Option<Effective>) -> Value {
    told.map_or(Value::Null, |told| {
        let (low, high) = told.interval_ms;
        json!({"ms": told.ms, "low_ms": low, "high_ms": high, "blocks": told.blocks})
    })
}

fn storage_json(tier: &DataTier) -> Value {
    let endpoint = |one: &FarStorage| {
        json!({
            "endpoint": one.endpoint,
            "region": one.region,
            "told_ms": one.told_ms,
            "processing_share": one.of_processing,
            "far": effective_json(one.far),
            "round_trips": one.trips,
        })
    };
    let replica = match &tier.verdict {
        TierVerdict::Replica(replica) => json!({
            "region": replica.region,
            "gain": effective_json(Some(replica.gain)),
            "weight_share": replica.share,
            "borne_out": replica.is_borne_out,
            "refused": replica.refused.iter()
                .map(|(region, gain)| json!({"region": region, "gain_ms": gain}))
                .collect::<Vec<_>>(),
            "limits": tier.storage.replica_limits(),
        }),
        _ => Value::Null,
    };
    json!({
        "metric": tier.metric,
        "storage": tier.storage.as_str(),
        "home": tier.home,
        "endpoints": tier.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "reason": tier.verdict.code(),
        "replica": replica,
    })
}

fn step_json(step: &JourneyStep) -> Value {
    json!({
        "journey": step.journey,
        "step": step.step,
        "tier": step.kind,
        "region": step.region,
        "median_ms": step.median_ms,
        "whole_share": step.of_whole,
        "round_trip_ms": step.round_trip_ms,
    })
}

fn move_json(one: &TierMove) -> Value {
    json!({
        "now": one.now,
        "other": one.other,
        "region": one.region,
        "gain": effective_json(one.gain),
        "weight_share": one.share,
    })
}
