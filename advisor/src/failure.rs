//! When one endpoint is down: where its clients go, what that costs them, and which limit breaks.
//!
//! Route 53 skips the labels of an endpoint that is not healthy and answers with the label that is
//! preferred next. Pure: computed from what is measured, for every endpoint in turn.

use std::collections::BTreeMap;

use crate::matrix::Matrix;
use crate::name::Label;

/// API Gateway's default limit of requests a second, for an account in one Region.
const QUOTA_PER_S: f64 = 10_000.0;
/// The same in Regions where it is lower.
const LOW_QUOTA_PER_S: f64 = 2_500.0;
/// Those Regions, from the page "Amazon API Gateway quotas" of its Developer Guide.
const LOW_QUOTA_REGIONS: [&str; 13] = [
    "af-south-1",
    "ap-south-2",
    "ap-southeast-3",
    "ap-southeast-4",
    "ap-southeast-5",
    "ap-southeast-7",
    "ca-west-1",
    "eu-central-2",
    "eu-south-1",
    "eu-south-2",
    "il-central-1",
    "me-central-1",
    "mx-central-1",
];

/// What an endpoint can take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Requests a second.
    pub per_s: f64,
    /// Whether the configuration says so (`endpoint.capacity`), or it is API Gateway's default quota.
    pub configured: bool,
}

impl Limit {
    /// The lower of the configured capacity and the Region's default quota.
    #[must_use]
    pub fn of(region: &str, capacity_per_s: Option<f64>) -> Self {
        let is_low = LOW_QUOTA_REGIONS.contains(&region);
        let quota_per_s = if is_low { LOW_QUOTA_PER_S } else { QUOTA_PER_S };
        match capacity_per_s {
            Some(per_s) if per_s <= quota_per_s => Self { per_s, configured: true },
            _ => Self { per_s: quota_per_s, configured: false },
        }
    }
}

/// Who is sent where, and what everything can take.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    /// What was measured, over the blocks that count.
    pub recent: &'a Matrix,
    /// The endpoint of each installed label.
    pub live: &'a BTreeMap<Label, String>,
    /// The label that each vantage is sent to now.
    pub preferred: &'a BTreeMap<String, Label>,
    /// Each vantage's labels, the most preferred first, as far as they are known.
    pub orders: &'a BTreeMap<String, Vec<Label>>,
    /// Each vantage's share of the traffic.
    pub shares: &'a BTreeMap<String, f64>,
    /// What each endpoint can take.
    pub limits: &'a BTreeMap<String, Limit>,
}

/// A vantage whose endpoint is down.
#[derive(Debug, Clone, PartialEq)]
pub struct Diverted {
    /// The vantage.
    pub vantage: String,
    /// Its share of the traffic.
    pub share: f64,
    /// The endpoint that takes over; `None` where that is not known, or none is left.
    pub to: Option<String>,
    /// Its cost before.
    pub cost_before_ms: Option<f64>,
    /// Its cost at the endpoint that takes over.
    pub cost_after_ms: Option<f64>,
}

/// An endpoint that stays up.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The endpoint.
    pub endpoint: String,
    /// Its share of the traffic before.
    pub share_before: f64,
    /// Its share afterwards.
    pub share_after: f64,
    /// What it can take.
    pub limit: Limit,
    /// Requests a second of the whole service from which its limit breaks; `None` without traffic.
    pub breaks_at_per_s: Option<f64>,
}

/// What the loss of one endpoint does.
#[derive(Debug, Clone, PartialEq)]
pub struct Loss {
    /// The endpoint that is down.
    pub down: String,
    /// Its clients.
    pub diverted: Vec<Diverted>,
    /// The endpoints that stay up, the one that breaks first before the others.
    pub loads: Vec<Load>,
}

impl Loss {
    /// The share of the traffic that is left without an answer, or of which it is not known where
    /// it goes.
    #[must_use]
    pub fn share_lost(&self) -> f64 {
        self.diverted.iter().filter(|one| one.to.is_none()).map(|one| one.share).sum()
    }

    /// The mean cost of the diverted before and after, weighted by traffic, over those whose costs
    /// are known.
    #[must_use]
    pub fn mean_costs_ms(&self) -> Option<(f64, f64)> {
        let known = self
            .diverted
            .iter()
            .filter_map(|one| Some((one.share, one.cost_before_ms?, one.cost_after_ms?)));
        let sums = known.fold((0.0, 0.0, 0.0), |sum, (share, before, after)| {
            (sum.0 + share, sum.1 + share * before, sum.2 + share * after)
        });
        (sums.0 > 0.0).then_some((sums.1 / sums.0, sums.2 / sums.0))
    }
}

/// The loss of each endpoint that a label points at, in order of name.
#[must_use]
pub fn losses(standing: Standing<'_>) -> Vec<Loss> {
    let mut endpoints: Vec<&String> = standing.live.values().collect();
    endpoints.sort();
    endpoints.dedup();
    endpoints.iter().map(|down| standing.loss(down, &endpoints)).collect()
}

impl Standing<'_> {
    fn share(&self, vantage: &str) -> f64 {
        self.shares.get(vantage).copied().unwrap_or_default()
    }

    /// Where a vantage goes while `down` does not answer.
    fn answer(&self, vantage: &str, label: &Label, down: Option<&str>) -> Option<&String> {
        let here = self.live.get(label)?;
        if Some(here.as_str()) != down {
            return Some(here);
        }
        let order = self.orders.get(vantage)?;
        let up = order.iter().filter_map(|label| self.live.get(label));
        up.into_iter().find(|endpoint| Some(endpoint.as_str()) != down)
    }

    /// The share of each endpoint.
    fn loads(&self, down: Option<&str>) -> BTreeMap<&str, f64> {
        let mut loads = BTreeMap::new();
        for (vantage, label) in self.preferred {
            if let Some(endpoint) = self.answer(vantage, label, down) {
                *loads.entry(endpoint.as_str()).or_default() += self.share(vantage);
            }
        }
        loads
    }

    fn loss(&self, down: &str, endpoints: &[&String]) -> Loss {
        let theirs = self
            .preferred
            .iter()
            .filter(|(_, label)| self.live.get(*label).is_some_and(|endpoint| endpoint == down));
        let diverted = theirs.map(|(vantage, label)| {
            let to = self.answer(vantage, label, Some(down)).cloned();
            Diverted {
                vantage: vantage.clone(),
                share: self.share(vantage),
                cost_before_ms: self.recent.median_cost_ms(vantage, down),
                cost_after_ms: to.as_ref().and_then(|to| self.recent.median_cost_ms(vantage, to)),
                to,
            }
        });
        let (before, after) = (self.loads(None), self.loads(Some(down)));
        let load = |endpoint: &&&String| {
            let id = endpoint.as_str();
            let share = |of: &BTreeMap<&str, f64>| of.get(id).copied().unwrap_or_default();
            let limit = self.limits.get(id).copied();
            let limit = limit.unwrap_or(Limit { per_s: QUOTA_PER_S, configured: false });
            let share_after = share(&after);
            Load {
                endpoint: id.to_owned(),
                share_before: share(&before),
                share_after,
                limit,
                breaks_at_per_s: (share_after > 0.0).then(|| limit.per_s / share_after),
            }
        };
        let mut loads: Vec<Load> = endpoints
            .iter()
            .filter(|endpoint| endpoint.as_str() != down)
            .map(|e| load(&e))
            .collect();
        let breaks = |load: &Load| load.breaks_at_per_s.unwrap_or(f64::INFINITY);
        loads.sort_by(|a, b| breaks(a).total_cmp(&breaks(b)));
        Loss { down: down.to_owned(), diverted: diverted.collect(), loads }
    }
}

#[cfg(test)]
mod tests {
    use probe::sample::Connection;
    use probe::store::WindowSet;

    use super::*;
    use crate::matrix::{CellBlock, CostRule};

    const COSTS: [(&str, &str, f64); 6] = [
        ("a", "x", 10.0),
        ("a", "y", 60.0),
        ("a", "z", 90.0),
        ("b", "x", 20.0),
        ("b", "z", 50.0),
        ("c", "y", 5.0),
    ];

    fn matrix() -> Matrix {
        let row = |(vantage, endpoint, value_ms): (&str, &str, f64)| CellBlock {
            vantage: vantage.into(),
            endpoint: endpoint.into(),
            connection: Connection::Warm,
            start_ms: 0,
            value_ms,
            attempts: 1,
            failures: 0,
            valid: WindowSet::from_bytes(1, &[1]),
        };
        Matrix::build(&COSTS.map(row), CostRule { cold_share: 0.0, block_ms: 1 })
    }

    fn of<V: Clone>(pairs: &[(&str, V)]) -> BTreeMap<String, V> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect()
    }

    #[test]
    fn clients_go_to_the_label_they_prefer_next_and_the_tightest_limit_is_first() {
        let live = [("r1", "x"), ("r2", "x"), ("r3", "y"), ("r4", "z")];
        let live = live.map(|(label, id)| (Label::new(label), id.to_owned())).into();
        let orders = of(&[
            ("a", ["r1", "r2", "r3", "r4"].map(Label::new).to_vec()),
            ("b", ["r2", "r4", "r3", "r1"].map(Label::new).to_vec()),
        ]);
        let preferred =
            of(&[("a", Label::new("r1")), ("b", Label::new("r2")), ("c", Label::new("r3"))]);
        let limits =
            of(&[("y", Limit::of("ap-south-2", None)), ("z", Limit::of("eu-west-1", Some(900.0)))]);
        let recent = matrix();
        let shares = of(&[("a", 0.5), ("b", 0.3), ("c", 0.2)]);
        let standing = Standing {
            recent: &recent,
            live: &live,
            preferred: &preferred,
            orders: &orders,
            shares: &shares,
            limits: &limits,
        };
        let losses = losses(standing);
        let to: Vec<Option<&str>> =
            losses[0].diverted.iter().map(|one| one.to.as_deref()).collect();
        assert_eq!((losses[0].down.as_str(), to), ("x", vec![Some("y"), Some("z")]));
        let (before_ms, after_ms) = losses[0].mean_costs_ms().unwrap();
        assert!((before_ms - 13.75).abs() < 1e-9 && (after_ms - 56.25).abs() < 1e-9);
        let first = &losses[0].loads[0];
        assert_eq!((first.endpoint.as_str(), first.limit.per_s), ("z", 900.0));
        assert!((first.breaks_at_per_s.unwrap() - 3_000.0).abs() < 1e-6, "{first:?}");
        let second = &losses[0].loads[1];
        assert!(
            (second.share_before - 0.2).abs() < 1e-9 && (second.share_after - 0.7).abs() < 1e-9
        );
        assert!(!second.limit.configured && (second.limit.per_s - 2_500.0).abs() < 1e-9);
        // Nobody knows what client c prefers after its first label.
        assert_eq!((losses[1].down.as_str(), losses[1].diverted[0].to.as_deref()), ("y", None));
        assert!((losses[1].share_lost() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn the_lower_of_capacity_and_quota_counts() {
        assert_eq!(Limit::of("us-east-1", Some(99_999.0)), Limit { per_s: 1e4, configured: false });
        assert_eq!(Limit::of("us-east-1", Some(10.0)), Limit { per_s: 10.0, configured: true });
        assert_eq!(Limit::of("mx-central-1", None), Limit { per_s: 2.5e3, configured: false });
    }
}
