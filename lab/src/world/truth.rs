//! What is true: cost and regret of clients, by the lab's own figures.
//!
//! Judges what others decide; it must never be given to them.

use std::collections::BTreeMap;

use super::{PlaceId, SERVICE_MEDIAN_MS, World};

/// Traffic-weighted figures of one routing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regret {
    /// Mean of true cost minus least true cost, ms.
    pub mean_ms: f64,
    /// Mean true cost, ms.
    pub cost_ms: f64,
    /// Share of the traffic that is not at its best endpoint.
    pub misrouted_share: f64,
}

impl World {
    /// True cost in ms of a place at the endpoint of a Region: `cold_share x (3 rtt + service) +
    /// (1 - cold_share) x (rtt + service)`, service being the median plus the backend's constant.
    ///
    /// A cold response over TLS 1.3 is three round trips: TCP, handshake, request.
    #[must_use]
    pub fn true_cost_ms(&self, place: PlaceId, endpoint: &str, cold_share: f64) -> Option<f64> {
        let endpoint = self.endpoint(endpoint)?;
        let rtt_ms = self.rtt_ms.get(place.0)?[endpoint.region_index];
        Some((1.0 + 2.0 * cold_share) * rtt_ms + SERVICE_MEDIAN_MS + endpoint.slow_ms)
    }

    /// The endpoint with the least true cost for a place, and that cost in ms.
    #[must_use]
    pub fn best_endpoint(&self, place: PlaceId, cold_share: f64) -> Option<(&str, f64)> {
        self.endpoints
            .iter()
            .filter_map(|e| {
                Some((e.region.as_str(), self.true_cost_ms(place, &e.region, cold_share)?))
            })
            .min_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Where each client goes when each label points at the endpoint of the Region given, in the order of
    /// [`World::clients`]. `None` when no label can be preferred.
    #[must_use]
    pub fn routed<'a>(&self, targets: &BTreeMap<&'a str, &'a str>) -> Option<Vec<&'a str>> {
        let labels: Vec<&str> = targets.keys().copied().collect();
        let one = |place| self.preferred(place, &labels).and_then(|l| targets.get(l).copied());
        self.clients.iter().map(|c| one(c.place)).collect()
    }

    /// Regret over all clients of a routing: one endpoint Region for each client, in their order.
    /// `None` when the lengths differ or a Region has no endpoint.
    #[must_use]
    pub fn regret(&self, answers: &[&str], cold_share: f64) -> Option<Regret> {
        if answers.len() != self.clients.len() {
            return None;
        }
        let mut sum = Regret { mean_ms: 0.0, cost_ms: 0.0, misrouted_share: 0.0 };
        for (client, answer) in self.clients.iter().zip(answers) {
            let cost_ms = self.true_cost_ms(client.place, answer, cold_share)?;
            let (_, least_ms) = self.best_endpoint(client.place, cold_share)?;
            sum.mean_ms += client.weight * (cost_ms - least_ms);
            sum.cost_ms += client.weight * cost_ms;
            if cost_ms > least_ms {
                sum.misrouted_share += client.weight;
            }
        }
        Some(sum)
    }

    /// Traffic-weighted mean regret in ms.
    #[must_use]
    pub fn regret_ms(&self, answers: &[&str], cold_share: f64) -> Option<f64> {
        self.regret(answers, cold_share).map(|r| r.mean_ms)
    }

    /// Share of the traffic whose true cost is more than `over_ms` higher after than before.
    #[must_use]
    pub fn harmed_share(
        &self,
        before: &[&str],
        after: &[&str],
        cold_share: f64,
        over_ms: f64,
    ) -> Option<f64> {
        if before.len() != self.clients.len() || after.len() != self.clients.len() {
            return None;
        }
        let mut harmed = 0.0;
        for (client, (before, after)) in self.clients.iter().zip(before.iter().zip(after)) {
            let loss_ms = self.true_cost_ms(client.place, after, cold_share)?
                - self.true_cost_ms(client.place, before, cold_share)?;
            if loss_ms > over_ms {
                harmed += client.weight;
            }
        }
        Some(harmed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    fn own(world: &World) -> BTreeMap<&str, &str> {
        world.initial_labels().into_iter().map(|l| (l, l)).collect()
    }

    #[test]
    fn cost_follows_the_formula() {
        let world = World::generate(&Scenario::demo(), 1).unwrap();
        let place = world.clients()[5].place;
        let rtt = world.rtt_ms(place, "ap-southeast-1").unwrap();
        for share in [0.0, 0.2, 1.0] {
            let expected = share * (3.0 * rtt + 180.0) + (1.0 - share) * (rtt + 180.0);
            let cost = world.true_cost_ms(place, "ap-southeast-1", share).unwrap();
            assert!((cost - expected).abs() < 1e-9);
        }
        assert_eq!(world.true_cost_ms(place, "eu-north-1", 0.2), None);
    }

    #[test]
    fn the_best_routing_has_no_regret() {
        let world = World::generate(&Scenario::demo(), 1).unwrap();
        let best: Vec<&str> =
            world.clients().iter().map(|c| world.best_endpoint(c.place, 0.2).unwrap().0).collect();
        let regret = world.regret(&best, 0.2).unwrap();
        assert!(regret.mean_ms.abs() < 1e-12 && regret.misrouted_share.abs() < 1e-12);
        assert_eq!(world.regret(&best[1..], 0.2), None);
    }

    /// Repointing the slow label where its own witness gains most must be visibly right in every world.
    #[test]
    fn the_demo_can_be_won_without_harm_and_calm_has_little_to_win() {
        for seed in 1..=5 {
            let world = World::generate(&Scenario::demo(), seed).unwrap();
            let before = world.routed(&own(&world)).unwrap();
            let mut targets = own(&world);
            let witness = world.place("ap-southeast-1").unwrap();
            targets.insert("ap-southeast-1", world.best_endpoint(witness, 0.2).unwrap().0);
            let after = world.routed(&targets).unwrap();
            let (was, is) =
                (world.regret(&before, 0.2).unwrap(), world.regret(&after, 0.2).unwrap());
            let harmed = world.harmed_share(&before, &after, 0.2, 5.0).unwrap();
            let moved: f64 = (world.clients().iter().zip(before.iter().zip(&after)))
                .filter(|(_, (b, a))| b != a)
                .map(|(c, _)| c.weight)
                .sum();
            println!(
                "seed {seed}: regret {:.2} -> {:.2} ms, harmed {harmed:.4}, moved {moved:.3}, cost {:.1} -> {:.1} ms",
                was.mean_ms, is.mean_ms, was.cost_ms, is.cost_ms
            );
            assert!(is.mean_ms * 3.0 < was.mean_ms, "seed {seed}: {was:?} {is:?}");
            assert!(harmed <= 0.01, "seed {seed}: {harmed}");
            assert!(moved <= world.scenario().config.max_traffic_moved, "seed {seed}: {moved}");
            let calm = World::generate(&Scenario::calm(), seed).unwrap();
            let calm_regret = calm.regret_ms(&calm.routed(&own(&calm)).unwrap(), 0.2).unwrap();
            assert!(calm_regret > 0.0 && calm_regret * 5.0 < was.mean_ms, "{calm_regret}");
        }
    }
}
