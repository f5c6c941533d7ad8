//! Waits until an instant, to some microseconds. The runtime's own timer counts whole
//! milliseconds, which is too coarse for due instants. It only waits; it decides nothing.

use std::io;
use std::time::Instant;

use crate::clock::Clock;

#[cfg(target_os = "linux")]
mod exact {
    use super::{Clock, Instant, io};
    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use std::os::fd::{AsFd, AsRawFd, RawFd};
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    struct Descriptor(TimerFd);

    impl AsRawFd for Descriptor {
        fn as_raw_fd(&self) -> RawFd {
            self.0.as_fd().as_raw_fd()
        }
    }

    /// A timer of the kernel, on the monotonic clock.
    pub(crate) struct Timer {
        fd: AsyncFd<Descriptor>,
        armed: Option<Instant>,
    }

    impl Timer {
        #[expect(
            deprecated,
            reason = "its successor is unsafe, for descriptors that may be closed meanwhile; this \
                      one owns its descriptor and lives as long"
        )]
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            let fd = AsyncFd::with_interest(Descriptor(timer), Interest::READABLE)?;
            Ok(Self { fd, armed: None })
        }

        /// Waits until `at`; at once where it has passed. It may be dropped and called again.
        pub(crate) async fn until(&mut self, clock: &dyn Clock, at: Instant) {
            loop {
                let left = at.saturating_duration_since(clock.now());
                if left.is_zero() {
                    return;
                }
                if self.armed != Some(at) {
                    let once = Expiration::OneShot(TimeSpec::from_duration(left));
                    if self.fd.get_ref().0.set(once, TimerSetTimeFlags::empty()).is_err() {
                        return tokio::time::sleep(left).await;
                    }
                    self.armed = Some(at);
                }
                let Ok(mut ready) = self.fd.readable().await else {
                    return tokio::time::sleep(left).await;
                };
                self.armed = None;
                // What is left of an earlier setting is no expiry: it is read and waited again.
                let _ = ready.try_io(|fd| fd.get_ref().0.wait().map_err(io::Error::from));
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod exact {
    use super::{Clock, Instant, io};

    /// The runtime's timer, for want of a better one.
    pub(crate) struct Timer;

    impl Timer {
        pub(crate) fn new() -> io::Result<Self> {
            Ok(Self)
        }

        pub(crate) async fn until(&mut self, clock: &dyn Clock, at: Instant) {
            tokio::time::sleep(at.saturating_duration_since(clock.now())).await;
        }
    }
}

pub(crate) use exact::Timer;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use std::time::Duration;

    #[tokio::test]
    async fn it_never_wakes_early_and_can_be_set_anew() {
        let mut timer = Timer::new().unwrap();
        for us in [0, 50, 700, 3_300] {
            let at = SystemClock.now() + Duration::from_micros(us);
            timer.until(&SystemClock, at).await;
            assert!(SystemClock.now() >= at);
        }
        let far = SystemClock.now() + Duration::from_hours(1);
        let dropped = tokio::time::timeout(Duration::from_millis(5), async {
            timer.until(&SystemClock, far).await;
        });
        assert!(dropped.await.is_err());
        let at = SystemClock.now() + Duration::from_millis(2);
        timer.until(&SystemClock, at).await;
        let late = SystemClock.now().saturating_duration_since(at);
        assert!(late < Duration::from_secs(1), "{late:?}");
    }
}
