//! The packet WAN on real network namespaces. Needs root, and says so where it has none.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on stops where it stands")]

use std::process::Command;
use std::time::Duration;

use lab::packet::{Captured, FAR, PacketWan};

/// Whether a namespace of our own is there.
fn stands(tag: &str) -> bool {
    let told = Command::new("ip").args(["netns", "list"]).output().unwrap();
    String::from_utf8_lossy(&told.stdout).contains(tag)
}

/// From each SYN to the refusal of it, ms, sorted.
fn round_trips_ms(captured: &[Captured]) -> Vec<f64> {
    let syns = captured.iter().filter(|c| c.segment.syn && *c.segment.to.ip() == FAR);
    let refusal = |syn: &&Captured| {
        let port = syn.segment.from;
        let answer = captured.iter().find(|c| c.segment.rst && c.segment.to == port)?;
        Some((answer.at_ns - syn.at_ns) as f64 / 1e6)
    };
    let mut all: Vec<f64> = syns.filter_map(|syn| refusal(&syn)).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[test]
fn packets_take_half_a_round_trip_each_way_and_nothing_is_left_behind() {
    let tag = format!("t{}", std::process::id() % 10_000);
    for rtt_ms in [1_u32, 20, 80] {
        let wan = PacketWan::start(&tag, Duration::from_millis(u64::from(rtt_ms)));
        let wan = wan.unwrap_or_else(|error| panic!("needs root: {error}"));
        let capture = wan.capture().unwrap();
        // Nobody listens there: the far kernel refuses at once.
        let ask =
            "for i in 1 2 3 4 5 6 7 8 9; do (exec 3<>/dev/tcp/10.53.0.2/9) 2>/dev/null; done; true";
        let ended = wan.near("bash").args(["-c", ask]).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        let (captured, beyond) = capture.stop();
        let all = round_trips_ms(&captured);
        assert_eq!((all.len(), beyond), (9, 0));
        let (least, median) = (all[0], all[4]);
        let rtt_ms = f64::from(rtt_ms);
        assert!(least >= rtt_ms - 0.05 && median < rtt_ms + 3.0, "{rtt_ms}: {all:?}");
        let counts = wan.counts();
        // The kernels may have words of their own, such as those of IPv6.
        assert!(counts.carried >= 18 && counts.dropped == 0, "{counts:?}");
        assert!(stands(&tag));
        drop(wan);
        assert!(!stands(&tag));
    }
}
