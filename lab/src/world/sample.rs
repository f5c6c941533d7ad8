//! Draws one measured response time, with no sockets: what a probe in a place would see.
//!
//! The same draws move the bytes of the WAN and delay the endpoints, so that a planner tested here meets the
//! same distribution on real sockets.

use rand::{Rng, RngExt};

use super::{PlaceId, SERVICE_MEDIAN_MS, World};
use crate::random::lognormal;
use crate::scenario::WanSpec;

/// The kind of connection of a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// New TCP and full TLS 1.3: three round trips with the request.
    Cold,
    /// Kept alive: one round trip.
    Warm,
}

impl World {
    /// One response time in ms: round trips with the weather of the scenario, a service time, and the constant
    /// of a slow backend. `None` when the Region has no endpoint.
    pub fn sample_ms<R: Rng + ?Sized>(
        &self,
        place: PlaceId,
        endpoint: &str,
        connection: Connection,
        rng: &mut R,
    ) -> Option<f64> {
        let endpoint = self.endpoint(endpoint)?;
        let rtt_ms = self.rtt_ms.get(place.0)?[endpoint.region_index];
        let ways = match connection {
            Connection::Cold => 6,
            Connection::Warm => 2,
        };
        let network: f64 = (0..ways).map(|_| one_way_ms(&self.scenario.wan, rtt_ms, rng)).sum();
        Some(network + service_ms(self.scenario.service.sigma, rng) + endpoint.slow_ms)
    }
}

/// How long one chunk takes one way, ms: half the round trip, jitter, and when it was lost once, a round trip
/// and the least retransmission delay.
pub(crate) fn one_way_ms<R: Rng + ?Sized>(wan: &WanSpec, rtt_ms: f64, rng: &mut R) -> f64 {
    let jitter_ms = wan.jitter_ms * lognormal(rng, 0.0, wan.jitter_sigma);
    let lost = rng.random_bool(wan.loss.clamp(0.0, 1.0));
    let again_ms = if lost { wan.retransmit_ms + rtt_ms } else { 0.0 };
    rtt_ms / 2.0 + jitter_ms + again_ms
}

/// One service time in ms: 30 ms x lognormal.
pub(crate) fn service_ms<R: Rng + ?Sized>(sigma: f64, rng: &mut R) -> f64 {
    SERVICE_MEDIAN_MS * lognormal(rng, 0.0, sigma)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::stream;
    use crate::scenario::Scenario;

    #[test]
    fn medians_are_the_true_ones() {
        let world = World::generate(&Scenario::demo(), 1).unwrap();
        let place = world.place("eu-west-1").unwrap();
        let mut rng = stream(1, "test", 0);
        for (endpoint, slow) in [("us-east-1", 0.0), ("ap-southeast-1", 150.0)] {
            let rtt = world.rtt_ms(place, endpoint).unwrap();
            for (connection, trips) in [(Connection::Cold, 3.0), (Connection::Warm, 1.0)] {
                let mut draws: Vec<f64> = (0..2001)
                    .map(|_| world.sample_ms(place, endpoint, connection, &mut rng).unwrap())
                    .collect();
                draws.sort_by(f64::total_cmp);
                let expected = trips * (rtt + 0.75) + 30.0 + slow;
                assert!((draws[1000] - expected).abs() < 2.0, "{} {expected}", draws[1000]);
            }
        }
        assert_eq!(world.sample_ms(place, "sa-east-1", Connection::Warm, &mut rng), None);
    }

    #[test]
    fn loss_costs_a_retransmission() {
        let wan = WanSpec { jitter_ms: 0.0, loss: 0.5, ..WanSpec::default() };
        let mut rng = stream(2, "test", 0);
        let draws: Vec<f64> = (0..1000).map(|_| one_way_ms(&wan, 100.0, &mut rng)).collect();
        let late = draws.iter().filter(|&&ms| (ms - 350.0).abs() < 1e-9).count();
        let fine = draws.iter().filter(|&&ms| (ms - 50.0).abs() < 1e-9).count();
        assert_eq!(late + fine, 1000);
        assert!((430..570).contains(&late), "{late}");
    }
}
