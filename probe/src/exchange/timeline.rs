//! The instants of one exchange, and the phases that follow from them. Pure: it reads no clock.

use std::time::{Duration, Instant};

use crate::sample::{ClockKind, Phase, Phases};

/// When bytes arrived: as the process saw it, and as the kernel says where it does.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub user: Instant,
    pub kernel: Option<Instant>,
}

/// The instants of one exchange, as far as it went.
#[derive(Debug, Clone)]
pub(super) struct Timeline {
    /// When it began.
    pub sent: Instant,
    /// Question to answer.
    pub resolve: Option<(Instant, Instant)>,
    /// SYN to SYN-ACK, or CONNECT to its reply.
    pub connect: Option<(Instant, Instant)>,
    /// The kernel's first round trip of the connection, where its conditions hold.
    pub connect_kernel: Option<Duration>,
    /// `ClientHello` to the last handshake byte.
    pub tls: Option<(Instant, Arrival)>,
    /// The last request byte.
    pub request_end: Option<Instant>,
    /// The first byte of the response head.
    pub head: Option<Arrival>,
    /// The last byte of the body.
    pub end: Option<Arrival>,
    /// Whether the connection goes through a proxy, whose times the kernel cannot know.
    pub proxied: bool,
    /// Whether we sent anything twice, after which the kernel's first round trip and the arrivals
    /// are no longer those of one question and its answer.
    pub resent: bool,
}

/// What a timeline comes to, in microseconds. Phases and `local_us` sum to `total_us`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measured {
    pub phases: Phases,
    pub local_us: u64,
    pub total_us: u64,
    pub clock: ClockKind,
}

impl Timeline {
    pub(super) fn new(sent: Instant) -> Self {
        Self {
            sent,
            resolve: None,
            connect: None,
            connect_kernel: None,
            tls: None,
            request_end: None,
            head: None,
            end: None,
            proxied: false,
            resent: false,
        }
    }

    /// The phases. `finished` is when the process knew the end; `wall_steady` says that the wall
    /// clock's offset did not move meanwhile, without which receive timestamps mean nothing.
    pub(super) fn measure(&self, finished: Instant, wall_steady: bool) -> Measured {
        let kernel = wall_steady && self.kernel_is_whole();
        let at = |arrival: Arrival| match arrival.kernel {
            Some(instant) if kernel => instant,
            _ => arrival.user,
        };
        let mut phases = Phases::default();
        let mut put = |phase: Phase, from: Instant, to: Instant| {
            phases.set(phase, micros(to.saturating_duration_since(from)));
        };
        if let Some((from, to)) = self.resolve {
            put(Phase::Resolve, from, to);
        }
        if let Some((from, to)) = self.connect {
            let seen = to.saturating_duration_since(from);
            let took = self.connect_kernel.filter(|rtt| kernel && *rtt <= seen).unwrap_or(seen);
            put(Phase::Connect, from, from + took);
        }
        if let Some((from, to)) = self.tls {
            put(Phase::Tls, from, at(to));
        }
        if let (Some(from), Some(head)) = (self.request_end, self.head) {
            put(Phase::Processing, from, at(head));
        }
        if let (Some(head), Some(end)) = (self.head, self.end) {
            put(Phase::Transfer, at(head), at(end));
        }
        let last = self.end.map_or(finished, at);
        let sum_us = phases.sum_us();
        // Rounding and the conversion of wall time may leave the phases a few us ahead.
        let total_us = micros(last.saturating_duration_since(self.sent)).max(sum_us);
        let clock = if kernel { ClockKind::Kernel } else { ClockKind::User };
        Measured { phases, local_us: total_us - sum_us, total_us, clock }
    }

    /// Whether the kernel's time is there for every wire event, so that clocks are never mixed.
    fn kernel_is_whole(&self) -> bool {
        let arrivals = [self.tls.map(|(_, arrival)| arrival), self.head, self.end];
        !self.proxied
            && !self.resent
            && (self.connect.is_none() || self.connect_kernel.is_some())
            && self.end.is_some()
            && arrivals.iter().flatten().all(|arrival| arrival.kernel.is_some())
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SystemClock};
    use proptest::prelude::*;

    fn timeline(steps_us: [u64; 9], early_us: u64) -> (Timeline, Instant) {
        let mut at = SystemClock.now();
        let mut timeline = Timeline::new(at);
        let mut next = |us: u64| {
            at += Duration::from_micros(us);
            at
        };
        let arrival = |user: Instant| Arrival {
            user,
            kernel: user.checked_sub(Duration::from_micros(early_us)),
        };
        timeline.resolve = Some((next(steps_us[0]), next(steps_us[1])));
        timeline.connect = Some((next(steps_us[2]), next(steps_us[3])));
        timeline.connect_kernel = Some(Duration::from_micros(steps_us[3].saturating_sub(early_us)));
        timeline.tls = Some((next(steps_us[4]), arrival(next(steps_us[5]))));
        timeline.request_end = Some(next(steps_us[6]));
        timeline.head = Some(arrival(next(steps_us[7])));
        let end = next(steps_us[8]);
        timeline.end = Some(arrival(end));
        (timeline, end)
    }

    #[test]
    fn borders() {
        let (timeline, end) = timeline([1, 20, 3, 40, 5, 60, 7, 80, 9], 2);
        let user = timeline.measure(end, false);
        assert_eq!(user.clock, ClockKind::User);
        assert_eq!(user.phases.connect_us, Some(40));
        assert_eq!((user.phases.processing_us, user.phases.transfer_us), (Some(80), Some(9)));
        assert_eq!((user.local_us, user.total_us), (1 + 3 + 5 + 7, 225));
        let kernel = timeline.measure(end, true);
        assert_eq!(kernel.clock, ClockKind::Kernel);
        assert_eq!(kernel.phases.connect_us, Some(38));
        assert_eq!(kernel.phases.tls_us, Some(58));
        assert_eq!(kernel.total_us, 223);
    }

    #[test]
    fn behind_a_proxy_or_with_one_time_missing_it_is_the_user_clock() {
        let (mut timeline, end) = timeline([1; 9], 0);
        timeline.proxied = true;
        assert_eq!(timeline.measure(end, true).clock, ClockKind::User);
        timeline.proxied = false;
        timeline.resent = true;
        assert_eq!(timeline.measure(end, true).clock, ClockKind::User);
        timeline.resent = false;
        assert_eq!(timeline.measure(end, true).clock, ClockKind::Kernel);
        timeline.connect_kernel = None;
        assert_eq!(timeline.measure(end, true).clock, ClockKind::User);
    }

    proptest! {
        #[test]
        fn phases_and_local_sum_to_the_total(steps in prop::array::uniform9(0_u64..100_000),
                                             early in 0_u64..50_000, steady: bool) {
            let (timeline, end) = timeline(steps, early);
            let measured = timeline.measure(end, steady);
            prop_assert_eq!(measured.phases.sum_us() + measured.local_us, measured.total_us);
        }
    }
}
