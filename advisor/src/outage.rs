//! What the loss of one endpoint does: where each catchment goes, what that costs, and who gets more
//! than it takes.
//!
//! Route 53 answers with the most preferred label of which any endpoint is healthy; where none is, as if
//! all were. Pure; a drain, which decides where labels should point instead, is told beside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::name::Label;
use crate::quota::Quota;
use crate::topology::{Shares, Tree};

/// Clients who are sent the same way.
#[derive(Debug, Clone, PartialEq)]
pub struct Catchment {
    /// The vantage that stands for them; `None` for clients that nothing measures.
    pub vantage: Option<String>,
    /// Their part of the known traffic.
    pub share: f64,
    /// The installed labels, the one that Route 53 prefers first.
    pub order: Vec<Label>,
    /// What each endpoint costs them, where it is known.
    pub cost_ms: BTreeMap<String, f64>,
}

impl Catchment {
    /// Where they are sent, with one endpoint down: `None` where nothing else answers.
    fn sent<'a>(&'a self, tree: &Tree, down: Option<&str>) -> Option<(&'a Label, Shares)> {
        self.order.iter().find_map(|label| {
            let left = tree.get(label)?.without(|endpoint| Some(endpoint) == down)?;
            Some((label, left))
        })
    }

    /// What they pay on average; `None` where a cost is not known.
    fn paid_ms(&self, shares: &Shares) -> Option<f64> {
        let parts = shares.iter().map(|(id, _)| Some(shares.part(id) * self.cost_ms.get(id)?));
        parts.sum()
    }
}

/// Clients who lose their endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Moved {
    /// The vantage that stands for them; `None` for clients that nothing measures.
    pub vantage: Option<String>,
    /// The label that they are sent by today.
    pub label: Label,
    /// Their part of the known traffic.
    pub share: f64,
    /// The label and the endpoints that they are sent to; `None` where nothing else answers.
    pub to: Option<(Label, Shares)>,
    /// What they pay at the endpoint that is lost.
    pub cost_before_ms: Option<f64>,
    /// What they pay then.
    pub cost_after_ms: Option<f64>,
}

/// What one of the other endpoints gets.
#[derive(Debug, Clone, PartialEq)]
pub struct Load {
    /// The endpoint.
    pub endpoint: String,
    /// Its part of the known traffic today.
    pub share_before: f64,
    /// Its part then.
    pub share_after: f64,
    /// Its requests a second then, where the rate of all is known.
    pub per_s: Option<f64>,
    /// What it takes.
    pub quota: Quota,
}

impl Load {
    /// Whether it gets more than it takes; `None` where the rate is not known.
    #[must_use]
    pub fn breaks(&self) -> Option<bool> {
        self.per_s.map(|per_s| per_s > self.quota.per_s)
    }
}

/// The loss of one endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Outage {
    /// The endpoint.
    pub endpoint: String,
    /// Who is sent elsewhere.
    pub moved: Vec<Moved>,
    /// What the others get, in order of name.
    pub loads: Vec<Load>,
}

impl Outage {
    /// The part of the known traffic that is sent elsewhere.
    #[must_use]
    pub fn share(&self) -> f64 {
        // An empty sum of floats is minus zero; adding zero makes it plain.
        self.moved.iter().map(|moved| moved.share).sum::<f64>() + 0.0
    }

    /// What those pay on average before and then, by traffic, of whom both are known.
    #[must_use]
    pub fn mean_cost_ms(&self) -> Option<(f64, f64)> {
        let known = |one: &Moved| Some((one.share, one.cost_before_ms?, one.cost_after_ms?));
        let known: Vec<(f64, f64, f64)> = self.moved.iter().filter_map(known).collect();
        let weight: f64 = known.iter().map(|one| one.0).sum();
        let mean = |pick: fn(&(f64, f64, f64)) -> f64| {
            known.iter().map(|one| one.0 * pick(one)).sum::<f64>() / weight
        };
        (weight > 0.0).then(|| (mean(|one| one.1), mean(|one| one.2)))
    }
}

/// The loss of each endpoint that is answered today, in order of name.
#[must_use]
pub fn outages(
    tree: &Tree,
    catchments: &[Catchment],
    quotas: &BTreeMap<String, Quota>,
    requests_per_s: Option<f64>,
) -> Vec<Outage> {
    let answered: BTreeSet<&str> =
        tree.values().flat_map(|shares| shares.iter().map(|(id, _)| id)).collect();
    let outage = |down: &str| {
        let before = loads(tree, catchments, None);
        let after = loads(tree, catchments, Some(down));
        let part = |of: &BTreeMap<String, f64>, id: &str| of.get(id).copied().unwrap_or(0.0);
        let load = |(id, quota): (&String, &Quota)| {
            let share_after = part(&after, id);
            Load {
                endpoint: id.clone(),
                share_before: part(&before, id),
                share_after,
                per_s: requests_per_s.map(|per_s| per_s * share_after),
                quota: *quota,
            }
        };
        Outage {
            endpoint: down.to_owned(),
            moved: catchments.iter().filter_map(|one| moved(tree, one, down)).collect(),
            loads: quotas.iter().filter(|(id, _)| *id != down).map(load).collect(),
        }
    };
    answered.into_iter().map(outage).collect()
}

/// What each endpoint gets of the known traffic.
fn loads(tree: &Tree, catchments: &[Catchment], down: Option<&str>) -> BTreeMap<String, f64> {
    let mut loads = BTreeMap::new();
    for catchment in catchments {
        let Some((_, shares)) = catchment.sent(tree, down) else { continue };
        for (endpoint, _) in shares.iter() {
            *loads.entry(endpoint.to_owned()).or_default() +=
                catchment.share * shares.part(endpoint);
        }
    }
    loads
}

fn moved(tree: &Tree, catchment: &Catchment, down: &str) -> Option<Moved> {
    let (label, shares) = catchment.sent(tree, None)?;
    let part = shares.part(down);
    if part == 0.0 {
        return None;
    }
    let to = catchment.sent(tree, Some(down)).map(|(label, shares)| (label.clone(), shares));
    let cost_after_ms = to.as_ref().and_then(|(_, shares)| catchment.paid_ms(shares));
    Some(Moved {
        vantage: catchment.vantage.clone(),
        label: label.clone(),
        share: catchment.share * part,
        cost_before_ms: catchment.cost_ms.get(down).copied(),
        cost_after_ms,
        to,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::QuotaKind;
    use proptest::prelude::*;

    const REGIONS: [&str; 3] = ["ap-south-1", "eu-west-1", "us-east-1"];

    fn label(number: usize) -> Label {
        Label::new(REGIONS[number])
    }

    fn quotas(per_s: f64) -> BTreeMap<String, Quota> {
        let quota = Quota { per_s, kind: QuotaKind::Capacity };
        REGIONS.map(|id| (id.to_owned(), quota)).into()
    }

    fn catchment(order: &[usize], share: f64, cost_ms: [f64; 3]) -> Catchment {
        Catchment {
            vantage: Some(REGIONS[order[0]].into()),
            share,
            order: order.iter().map(|number| label(*number)).collect(),
            cost_ms: REGIONS.iter().map(|id| (*id).to_owned()).zip(cost_ms).collect(),
        }
    }

    fn plain() -> Tree {
        REGIONS.map(|id| (Label::new(id), Shares::one(id))).into()
    }

    #[test]
    fn clients_go_to_the_next_label_and_the_load_with_them() {
        let catchments = [
            catchment(&[0, 1, 2], 0.5, [20.0, 120.0, 200.0]),
            catchment(&[1, 2, 0], 0.3, [130.0, 10.0, 80.0]),
            catchment(&[2, 1, 0], 0.2, [210.0, 80.0, 10.0]),
        ];
        let found = outages(&plain(), &catchments, &quotas(700.0), Some(1_000.0));
        let south = &found[0];
        assert_eq!(south.endpoint, "ap-south-1");
        assert!((south.share() - 0.5).abs() < 1e-12);
        assert_eq!(south.moved[0].to, Some((label(1), Shares::one("eu-west-1"))));
        assert_eq!(south.mean_cost_ms(), Some((20.0, 120.0)));
        let ids: Vec<_> = south.loads.iter().map(|load| load.endpoint.as_str()).collect();
        assert_eq!(ids, ["eu-west-1", "us-east-1"], "what is down gets nothing");
        let breaks: Vec<_> = south.loads.iter().map(Load::breaks).collect();
        assert_eq!(breaks, [Some(true), Some(false)], "800 and 200 of 700 a second");
        let unknown = outages(&plain(), &catchments, &quotas(700.0), None);
        assert_eq!(unknown[0].loads[0].breaks(), None);
    }

    #[test]
    fn the_rest_of_a_weighted_label_takes_over() {
        let weights = [("ap-south-1".to_owned(), 1), ("eu-west-1".to_owned(), 3)];
        let tree = Tree::from([
            (label(0), Shares::weighted(weights).unwrap()),
            (label(2), Shares::one("us-east-1")),
        ]);
        let catchments = [catchment(&[0, 2], 1.0, [20.0, 120.0, 200.0])];
        let found = outages(&tree, &catchments, &quotas(1.0), None);
        assert_eq!(found[1].endpoint, "eu-west-1");
        assert!((found[1].share() - 0.75).abs() < 1e-12);
        assert_eq!(found[1].moved[0].to, Some((label(0), Shares::one("ap-south-1"))));
        assert_eq!(found[1].mean_cost_ms(), Some((120.0, 20.0)));
    }

    #[test]
    fn without_another_endpoint_nobody_answers() {
        let tree = Tree::from([(label(0), Shares::one("ap-south-1"))]);
        let catchments = [catchment(&[0], 1.0, [20.0, 120.0, 200.0])];
        let found = outages(&tree, &catchments, &quotas(1.0), None);
        assert_eq!((found.len(), &found[0].moved[0].to), (1, &None));
        assert_eq!(found[0].mean_cost_ms(), None);
    }

    #[test]
    fn an_endpoint_without_clients_moves_nothing_and_not_minus_nothing() {
        let catchments = [catchment(&[0, 1, 2], 1.0, [20.0, 120.0, 200.0])];
        let found = outages(&plain(), &catchments, &quotas(1.0), None);
        let said: Vec<String> = found.iter().map(|one| format!("{:.1}", one.share())).collect();
        assert_eq!(said, ["1.0", "0.0", "0.0"]);
    }

    proptest! {
        #[test]
        fn traffic_is_neither_lost_nor_made(
            shares in prop::collection::vec(0.0_f64..1.0, 1..6),
            turns in prop::collection::vec(0_usize..3, 6),
            weights in prop::collection::vec(1_u8..=255, 3),
        ) {
            let all: f64 = shares.iter().sum::<f64>().max(1e-9);
            let order = |turn: usize| [turn, (turn + 1) % 3, (turn + 2) % 3];
            let catchments: Vec<Catchment> = shares.iter().zip(&turns)
                .map(|(share, turn)| catchment(&order(*turn), share / all, [1.0, 2.0, 3.0])).collect();
            let named = REGIONS.iter().map(|id| (*id).to_owned()).zip(weights);
            let mut tree = plain();
            tree.insert(label(1), Shares::weighted(named).unwrap());
            let known: f64 = catchments.iter().map(|one| one.share).sum();
            for outage in outages(&tree, &catchments, &quotas(1.0), Some(1.0)) {
                let after: f64 = outage.loads.iter().map(|load| load.share_after).sum();
                prop_assert!((after - known).abs() < 1e-9);
                let before: f64 = outage.loads.iter().map(|load| load.share_before).sum();
                prop_assert!((known - before - outage.share()).abs() < 1e-9);
                // Nobody but the lost endpoint gets less.
                prop_assert!(outage.loads.iter().all(|l| l.share_after >= l.share_before - 1e-9));
            }
        }
    }
}
