//! Taking one Region out of answers, and putting it back: which labels move, and where.
//!
//! Pure. It decides destinations; the plan, the guards and the writing are those of every other change.

use std::collections::{BTreeMap, BTreeSet};

use probe::config::{Config, Endpoint};
use probe::place;

use crate::group::LiveGroup;
use crate::journal::Operation;
use crate::matrix::Matrix;
use crate::name::Label;
use crate::plan::{Intent, Move};
use crate::topology::Shares;

/// The reason code of a label that leaves a drained Region.
pub const DRAIN: &str = "drain";
/// The reason code of a label that returns.
pub const RESTORE: &str = "restore";

/// Why a Region cannot be drained or put back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DrainError {
    /// Nothing stands there.
    #[error("no [[endpoint]] is in Region '{0}'")]
    NoEndpoint(String),
    /// Nothing would answer.
    #[error("no other endpoint could answer if '{0}' were drained: it is the last one")]
    Last(String),
    /// Nothing to put back.
    #[error("no drain of '{0}' stands")]
    NotDrained(String),
}

impl DrainError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoEndpoint(_) => "write the Region as in endpoint.region of nearside.toml",
            Self::Last(_) => "add another endpoint with an alias first",
            Self::NotDrained(_) => {
                "`advisor history` tells what was applied and what was taken back"
            }
        }
    }
}

/// What is known of where clients would fare well.
#[derive(Debug, Clone, Copy)]
pub struct Knowledge<'a> {
    /// The newest evidence.
    pub recent: &'a Matrix,
    /// The label that Route 53 prefers for each vantage.
    pub preferred: &'a BTreeMap<String, Label>,
}

/// The moves that take a Region out of answers. Of a label with weights the other endpoints stay; each
/// other label goes to the endpoint with the lowest mean cost over the vantages that prefer the label, or,
/// where that is not known, to the nearest one.
pub fn drain(
    region: &str,
    config: &Config,
    live: &LiveGroup,
    known: Knowledge<'_>,
) -> Result<Vec<Move>, DrainError> {
    let drained: BTreeSet<&str> = config
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.region == region)
        .map(|endpoint| endpoint.id.as_str())
        .collect();
    if drained.is_empty() {
        return Err(DrainError::NoEndpoint(region.to_owned()));
    }
    let candidates = candidates(config, live, &drained);
    let mut moves = Vec::new();
    for (label, shares) in live.tree() {
        let Some(from) = shares.iter().map(|(id, _)| id).find(|id| drained.contains(id)) else {
            continue;
        };
        let left = shares.without(|id| drained.contains(id));
        let to = destination(region, &label, &candidates, known).map(|one| Shares::one(&one.id));
        let to = left.or(to).ok_or_else(|| DrainError::Last(region.to_owned()))?;
        let whole = Move::new(&label, Some(&shares), Some(&to), DRAIN);
        moves.push(Move { from: Some(from.to_owned()), ..whole });
    }
    Ok(moves)
}

/// Endpoints that are answered with today, without the drained ones; where none is left, all others
/// that DNS can answer with.
fn candidates<'a>(
    config: &'a Config,
    live: &LiveGroup,
    drained: &BTreeSet<&str>,
) -> Vec<&'a Endpoint> {
    let able: Vec<&Endpoint> = config
        .endpoints
        .iter()
        .filter(|endpoint| endpoint.alias.is_some() && !drained.contains(endpoint.id.as_str()))
        .collect();
    let tree = live.tree();
    let answered = |endpoint: &&Endpoint| tree.values().any(|one| one.part(&endpoint.id) > 0.0);
    let today: Vec<&Endpoint> = able.iter().copied().filter(answered).collect();
    if today.is_empty() { able } else { today }
}

fn destination<'a>(
    region: &str,
    label: &Label,
    candidates: &[&'a Endpoint],
    known: Knowledge<'_>,
) -> Option<&'a Endpoint> {
    let vantages: Vec<&String> = known
        .preferred
        .iter()
        .filter(|(_, preferred)| *preferred == label)
        .map(|(vantage, _)| vantage)
        .collect();
    let cost = |endpoint: &Endpoint| -> Option<f64> {
        let costs = vantages.iter().map(|v| known.recent.median_cost_ms(v, &endpoint.id));
        let costs: Option<Vec<f64>> = costs.collect();
        costs.filter(|costs| !costs.is_empty()).map(|c| c.iter().sum::<f64>() / c.len() as f64)
    };
    let measured = candidates.iter().filter_map(|endpoint| Some((cost(endpoint)?, *endpoint)));
    let distance = |endpoint: &Endpoint| -> f64 {
        match (place::region(region), place::region(&endpoint.region)) {
            (Some(from), Some(to)) => place::distance_km(from, to),
            _ => f64::INFINITY,
        }
    };
    measured
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, endpoint)| endpoint)
        .or_else(|| candidates.iter().copied().min_by(|a, b| distance(a).total_cmp(&distance(b))))
}

/// The moves that put a drained Region back: the labels that the newest drain of it moved, and that
/// still point where it sent them.
pub fn restore(
    region: &str,
    operations: &[Operation],
    live: &LiveGroup,
) -> Result<Vec<Move>, DrainError> {
    let undone: Vec<&str> = operations
        .iter()
        .filter(|operation| operation.is_in_place())
        .filter_map(|operation| match &operation.plan.intent {
            Intent::Rollback(id) => Some(id.as_str()),
            _ => None,
        })
        .collect();
    let is_it = |operation: &&Operation| {
        operation.is_in_place()
            && matches!(&operation.plan.intent, Intent::Drain(drained) if drained == region)
            && !undone.contains(&operation.plan.id().as_str())
    };
    let newest = operations.iter().rev().find(is_it);
    let newest = newest.ok_or_else(|| DrainError::NotDrained(region.to_owned()))?;
    let tree = live.tree();
    let still = |step: &&Move| tree.get(&Label::new(&step.label)) == step.after().as_ref();
    Ok(newest.plan.moves.iter().filter(still).map(|step| step.back(RESTORE)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::CostRule;

    fn config(regions: &[&str]) -> Config {
        let head = "name = \"api.example.com\"\nzone = \"example.com\"\n[[vantage]]\n\
                    id = \"eu-west-1\"\npopulation = \"cloud\"\n";
        let endpoint = |region: &&str| {
            format!(
                "[[endpoint]]\nid = \"{region}\"\nregion = \"{region}\"\nkind = \"regional\"\n\
                 url = \"https://api.example.com/\"\nalias = {{ dns_name = \
                 \"d.execute-api.{region}.amazonaws.com\", hosted_zone_id = \"Z1\" }}\n"
            )
        };
        let endpoints: Vec<String> = regions.iter().map(endpoint).collect();
        let text = format!("{head}{}", endpoints.concat());
        let (nothing, flags) = (BTreeMap::new(), probe::config::Flags::default());
        probe::config::build(probe::config::DEFAULTS, &text, &nothing, &flags).unwrap()
    }

    fn live(labels: &[(&str, &str)]) -> LiveGroup {
        let labels = labels.iter().map(|(label, id)| (Label::new(label), (*id).to_owned()));
        LiveGroup { labels: labels.collect(), ..LiveGroup::default() }
    }

    fn nothing() -> Matrix {
        Matrix::build(&[], CostRule { cold_share: 0.2, block_ms: 1_000 })
    }

    #[test]
    fn labels_leave_for_the_nearest_answered_endpoint_where_nothing_is_measured() {
        let config = config(&["eu-west-1", "eu-central-1", "us-east-1", "ap-south-1"]);
        let live = live(&[
            ("eu-west-1", "eu-west-1"),
            ("eu-west-2", "eu-west-1"),
            ("us-east-1", "us-east-1"),
            ("ap-south-1", "ap-south-1"),
        ]);
        let (recent, preferred) = (nothing(), BTreeMap::new());
        let known = Knowledge { recent: &recent, preferred: &preferred };
        let moves = drain("eu-west-1", &config, &live, known).unwrap();
        let shown: Vec<String> =
            moves.iter().map(|m| format!("{}: {:?} -> {:?}", m.label, m.from, m.to)).collect();
        // eu-central-1 is nearer, and nobody is answered with it today.
        assert_eq!(
            shown,
            [
                r#"eu-west-1: Some("eu-west-1") -> Some("us-east-1")"#,
                r#"eu-west-2: Some("eu-west-1") -> Some("us-east-1")"#,
            ]
        );
        assert!(drain("eu-central-1", &config, &live, known).unwrap().is_empty());
        let error = drain("sa-east-1", &config, &live, known).unwrap_err();
        assert_eq!(error, DrainError::NoEndpoint("sa-east-1".into()));
    }

    #[test]
    fn the_last_endpoint_is_never_drained() {
        let (recent, preferred) = (nothing(), BTreeMap::new());
        let known = Knowledge { recent: &recent, preferred: &preferred };
        let group = live(&[("eu-west-1", "eu-west-1")]);
        let error = drain("eu-west-1", &config(&["eu-west-1"]), &group, known).unwrap_err();
        assert_eq!(error, DrainError::Last("eu-west-1".into()));
        // Another one that is configured, and not answered with yet, takes over.
        let two = config(&["eu-west-1", "us-east-1"]);
        let moves = drain("eu-west-1", &two, &group, known).unwrap();
        assert_eq!(moves[0].to.as_deref(), Some("us-east-1"));
    }
}
