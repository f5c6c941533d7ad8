//! The beats of a brake, in a task of their own, for as long as whoever steers says that it lives.
//!
//! A task that beats by itself would tell of the process and not of the canary: each time is granted,
//! and without a new grant the beats stop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use probe::clock::Clock;
use tokio::task::JoinHandle;

use super::brake::{Brake, beat};

/// From one beat to the next: a lost one, or two, do not matter.
pub const BEAT: Duration = Duration::from_secs(10);
/// Without a beat that was taken for so long the brake pulls before long, whoever lives.
const SILENCE_MAX_MS: i64 = 45_000;

#[derive(Debug)]
struct Shared {
    granted_until_ms: AtomicI64,
    taken_at_ms: AtomicI64,
    stopped: AtomicBool,
}

/// A running pulse. Dropping it stops it.
pub struct Pulse {
    shared: Arc<Shared>,
    clock: Arc<dyn Clock>,
    task: JoinHandle<()>,
}

impl Pulse {
    /// Publishes the first beat, and goes on, one each `every`, for as long as it is granted.
    pub async fn start<B: Brake + 'static>(
        brake: Arc<B>,
        clock: Arc<dyn Clock>,
        grant: Duration,
        every: Duration,
    ) -> Result<Self, String> {
        let now_ms = clock.wall_ms();
        brake.publish(&beat(now_ms, true)).await?;
        let shared = Arc::new(Shared {
            granted_until_ms: AtomicI64::new(later(now_ms, grant)),
            taken_at_ms: AtomicI64::new(now_ms),
            stopped: AtomicBool::new(false),
        });
        let task = tokio::spawn(run(brake, Arc::clone(&clock), Arc::clone(&shared), every));
        Ok(Self { shared, clock, task })
    }

    /// Lets the beats go on for so long from now.
    pub fn grant(&self, time: Duration) {
        let until_ms = later(self.clock.wall_ms(), time);
        self.shared.granted_until_ms.store(until_ms, Ordering::SeqCst);
    }

    /// Ends the beats for good: within two minutes the old arm has all of the traffic.
    pub fn stop(&self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        self.task.abort();
    }

    /// Whether beats are taken: without any the new arm is about to lose its traffic.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        let silent_ms = self.clock.wall_ms() - self.shared.taken_at_ms.load(Ordering::SeqCst);
        !self.shared.stopped.load(Ordering::SeqCst) && silent_ms <= SILENCE_MAX_MS
    }
}

impl fmt::Debug for Pulse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pulse").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn later(now_ms: i64, by: Duration) -> i64 {
    now_ms.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX))
}

async fn run<B: Brake>(brake: Arc<B>, clock: Arc<dyn Clock>, shared: Arc<Shared>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let now_ms = clock.wall_ms();
        if now_ms > shared.granted_until_ms.load(Ordering::SeqCst) {
            continue;
        }
        match brake.publish(&beat(now_ms, false)).await {
            Ok(()) => shared.taken_at_ms.store(now_ms, Ordering::SeqCst),
            Err(cause) => tracing::warn!(cause, "a beat of the canary's brake was not taken"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use probe::clock::ManualClock;
    use std::sync::Mutex;

    /// Takes what is published, unless it refuses.
    #[derive(Default)]
    struct Book {
        taken: Mutex<Vec<i64>>,
        refuses: AtomicBool,
    }

    impl Brake for Book {
        async fn arm(&self) -> Result<(), String> {
            Ok(())
        }

        async fn publish(&self, values: &[(i64, f64)]) -> Result<(), String> {
            if self.refuses.load(Ordering::SeqCst) {
                return Err("refused".into());
            }
            self.taken.lock().unwrap().extend(values.iter().map(|(at_ms, _)| *at_ms));
            Ok(())
        }

        async fn disarm(&self) -> Result<(), String> {
            Ok(())
        }
    }

    /// Lets time pass, and the pulse do what is due: it looks every 2 ms.
    async fn pass(clock: &ManualClock, seconds: u64) {
        clock.advance(Duration::from_secs(seconds));
        tokio::time::sleep(Duration::from_millis(40)).await;
    }

    async fn start(book: &Arc<Book>, clock: &Arc<ManualClock>, grant_s: u64) -> Pulse {
        let (clock, grant) = (Arc::<ManualClock>::clone(clock), Duration::from_secs(grant_s));
        Pulse::start(Arc::clone(book), clock, grant, Duration::from_millis(2)).await.unwrap()
    }

    #[tokio::test]
    async fn beats_stop_without_a_grant_and_for_good_when_told() {
        let clock = Arc::new(ManualClock::new(600_000));
        let book = Arc::new(Book::default());
        let pulse = start(&book, &clock, 35).await;
        let count = || book.taken.lock().unwrap().len();
        assert!(count() >= 3, "the first beat is there at once");
        let before = count();
        pass(&clock, 30).await;
        assert!(count() > before && pulse.is_heard());
        pass(&clock, 10).await;
        let before = count();
        pass(&clock, 60).await;
        assert_eq!(count(), before, "nobody granted more");
        assert!(!pulse.is_heard());
        pulse.grant(Duration::from_mins(1));
        pass(&clock, 10).await;
        assert!(count() > before && pulse.is_heard());
        pulse.stop();
        let before = count();
        pulse.grant(Duration::from_mins(10));
        pass(&clock, 60).await;
        assert_eq!(count(), before);
        assert!(!pulse.is_heard());
    }

    #[tokio::test]
    async fn beats_that_are_refused_are_not_heard() {
        let clock = Arc::new(ManualClock::new(600_000));
        let book = Arc::new(Book::default());
        let pulse = start(&book, &clock, 3_600).await;
        pass(&clock, 30).await;
        book.refuses.store(true, Ordering::SeqCst);
        pass(&clock, 40).await;
        assert!(pulse.is_heard(), "some may be lost");
        pass(&clock, 20).await;
        assert!(!pulse.is_heard());
        book.refuses.store(false, Ordering::SeqCst);
        pass(&clock, 1).await;
        assert!(pulse.is_heard());
        book.refuses.store(true, Ordering::SeqCst);
        let (grant, every) = (Duration::from_mins(1), Duration::from_secs(1));
        assert!(Pulse::start(book, clock, grant, every).await.is_err());
    }
}
