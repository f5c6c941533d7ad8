//! The lab's clock: the one place that asks the system for the time, and a timer finer than a millisecond.
//!
//! Tokio's timer rounds up to whole milliseconds, which a probe that judges phases within 1 ms would see. Here
//! one thread sleeps on the kernel's high-resolution timer and wakes the waiting tasks. It must not spin.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

/// Monotonic now.
#[expect(clippy::disallowed_methods, reason = "the lab's one monotonic clock")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// The calendar, for the validity of certificates and signatures alone.
pub(crate) fn calendar() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// Milliseconds as a duration; negative and absurd ones are zero.
pub(crate) fn millis(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

/// Wakes tasks at instants. Each task has at most one entry at a time, so the number of connections bounds it.
#[derive(Clone, Debug)]
pub(crate) struct Timer {
    entries: mpsc::Sender<Entry>,
}

#[derive(Debug)]
struct Entry {
    at: Instant,
    wake: oneshot::Sender<()>,
}

impl Timer {
    /// Starts the thread; it ends when the last clone is dropped.
    pub(crate) fn start() -> io::Result<Self> {
        let (entries, queue) = mpsc::channel();
        std::thread::Builder::new().name("lab timer".into()).spawn(move || run(&queue))?;
        Ok(Self { entries })
    }

    /// Returns at `at`, or at once when it has passed.
    pub(crate) async fn sleep_until(&self, at: Instant) {
        if at <= now() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        if self.entries.send(Entry { at, wake }).is_err() || woken.await.is_err() {
            tokio::time::sleep_until(at.into()).await;
        }
    }
}

/// Fires what is due, then sleeps until the next entry is due or a new one comes.
fn run(queue: &mpsc::Receiver<Entry>) {
    let mut heap: BinaryHeap<Entry> = BinaryHeap::new();
    loop {
        let time = now();
        while heap.peek().is_some_and(|e| e.at <= time) {
            if let Some(entry) = heap.pop() {
                // A task that no longer waits was cancelled.
                let _ = entry.wake.send(());
            }
        }
        let next = match heap.peek() {
            Some(first) => queue.recv_timeout(first.at.saturating_duration_since(time)),
            None => queue.recv().map_err(|_| mpsc::RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(entry) => heap.push(entry),
            Err(mpsc::RecvTimeoutError::Timeout) => {}
            Err(mpsc::RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// The earliest is the greatest, as `BinaryHeap` gives the greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.cmp(&self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn wakes_in_order_never_early_and_soon() {
        let timer = Timer::start().unwrap();
        let mut late: Vec<f64> = Vec::new();
        for step in 0..40_u32 {
            let at = now() + Duration::from_micros(1700 + u64::from(step) * 10);
            timer.sleep_until(at).await;
            let woken = now();
            assert!(woken >= at);
            late.push((woken - at).as_secs_f64() * 1000.0);
        }
        late.sort_by(f64::total_cmp);
        assert!(late[20] < 1.0, "median {} ms late", late[20]);
    }

    #[tokio::test]
    async fn a_cancelled_sleep_stops_no_other() {
        let timer = Timer::start().unwrap();
        let start = now();
        let soon = tokio::time::timeout(
            Duration::from_millis(5),
            timer.sleep_until(start + Duration::from_mins(1)),
        );
        assert!(soon.await.is_err());
        timer.sleep_until(start + Duration::from_millis(20)).await;
        let took = now() - start;
        assert!(took >= Duration::from_millis(20) && took < Duration::from_secs(5));
    }
}
