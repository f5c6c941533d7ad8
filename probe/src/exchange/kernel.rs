//! Kernel time: the first round trip of a connection, and when bytes arrived. On other systems
//! than Linux there is none, and samples say that they used the user clock.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use tokio::io::ReadBuf;
use tokio::net::TcpStream;

use crate::clock::Clock;

/// A receive timestamp older than this is from another wall clock than ours.
#[cfg(target_os = "linux")]
const STAMP_AGE_MAX: Duration = Duration::from_secs(1);

/// The two clocks are read this close to each other, or again, so many times.
#[cfg(target_os = "linux")]
const READING_MAX: Duration = Duration::from_micros(20);
#[cfg(target_os = "linux")]
const READINGS_MAX: usize = 3;

/// Reads from the socket, with the kernel's receive timestamp where there is one.
#[derive(Debug, Default)]
pub(super) struct Receiver {
    /// Room for one control message; empty where timestamps are off.
    #[cfg(target_os = "linux")]
    control: Vec<u8>,
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{
        Clock, Context, Duration, Instant, Poll, READING_MAX, READINGS_MAX, ReadBuf, Receiver,
        STAMP_AGE_MAX, TcpStream, io, ready,
    };
    use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg, setsockopt, sockopt};
    use nix::sys::time::TimeSpec;
    use nix::{getsockopt_impl, sockopt_impl};
    use std::io::IoSliceMut;
    use std::os::fd::AsRawFd;
    use tokio::io::Interest;

    sockopt_impl!(
        /// What the kernel knows of a TCP connection.
        TcpInfo,
        GetOnly,
        libc::IPPROTO_TCP,
        libc::TCP_INFO,
        libc::tcp_info
    );

    /// The first round trip, where nothing was sent twice.
    pub(in super::super) fn first_round_trip(stream: &TcpStream) -> Option<Duration> {
        let info = nix::sys::socket::getsockopt(stream, TcpInfo).ok()?;
        let clean = info.tcpi_total_retrans == 0 && info.tcpi_retransmits == 0;
        (clean && info.tcpi_rtt > 0).then(|| Duration::from_micros(u64::from(info.tcpi_rtt)))
    }

    /// How many segments were sent twice since the connection began.
    pub(in super::super) fn segments_resent(stream: &TcpStream) -> Option<u32> {
        let info = nix::sys::socket::getsockopt(stream, TcpInfo).ok()?;
        Some(info.tcpi_total_retrans)
    }

    impl Receiver {
        /// Asks the kernel for timestamps on this socket, where they are `wanted`.
        pub(in super::super) fn new(stream: &TcpStream, wanted: bool) -> Self {
            if !wanted {
                return Self::default();
            }
            match setsockopt(stream, sockopt::ReceiveTimestampns, &true) {
                Ok(()) => {
                    let mut control = nix::cmsg_space!(TimeSpec);
                    control.resize(control.capacity(), 0);
                    Self { control }
                }
                Err(_) => Self::default(),
            }
        }

        pub(in super::super) fn poll_read(
            &mut self,
            stream: &TcpStream,
            clock: &dyn Clock,
            context: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<Option<Instant>>> {
            loop {
                ready!(stream.poll_read_ready(context))?;
                let read = if self.control.is_empty() {
                    stream.try_read(buffer.initialize_unfilled()).map(|len| (len, None))
                } else {
                    stream.try_io(Interest::READABLE, || {
                        receive(stream, &mut self.control, buffer.initialize_unfilled())
                    })
                };
                match read {
                    Ok((len, stamp)) => {
                        buffer.advance(len);
                        return Poll::Ready(Ok(stamp.and_then(|ns| to_monotonic(clock, ns))));
                    }
                    Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                    Err(cause) => return Poll::Ready(Err(cause)),
                }
            }
        }
    }

    fn receive(
        stream: &TcpStream,
        control: &mut Vec<u8>,
        bytes: &mut [u8],
    ) -> io::Result<(usize, Option<i64>)> {
        let mut parts = [IoSliceMut::new(bytes)];
        let room = Some(control.as_mut_slice());
        let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, room, MsgFlags::empty())?;
        let stamp = message.cmsgs().ok().and_then(|mut all| {
            all.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampns(at) => {
                    Some(at.tv_sec().saturating_mul(1_000_000_000).saturating_add(at.tv_nsec()))
                }
                _ => None,
            })
        });
        Ok((message.bytes, stamp))
    }

    /// The monotonic instant of a wall time just passed; `None` where the two clocks cannot be
    /// read close enough to each other, or the stamp is not from just now.
    pub(super) fn to_monotonic(clock: &dyn Clock, stamp_ns: i64) -> Option<Instant> {
        for _ in 0..READINGS_MAX {
            let (before, wall_ns, after) = (clock.now(), clock.wall_ns(), clock.now());
            if after.saturating_duration_since(before) > READING_MAX {
                continue;
            }
            let age = Duration::from_nanos(u64::try_from(wall_ns.checked_sub(stamp_ns)?).ok()?);
            return if age > STAMP_AGE_MAX { None } else { before.checked_sub(age) };
        }
        None
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::{first_round_trip, segments_resent};

#[cfg(not(target_os = "linux"))]
pub(super) fn first_round_trip(_stream: &TcpStream) -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
pub(super) fn segments_resent(_stream: &TcpStream) -> Option<u32> {
    None
}

#[cfg(not(target_os = "linux"))]
impl Receiver {
    pub(super) fn new(_stream: &TcpStream, _wanted: bool) -> Self {
        Self::default()
    }

    pub(super) fn poll_read(
        &mut self,
        stream: &TcpStream,
        _clock: &dyn Clock,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<Option<Instant>>> {
        loop {
            ready!(stream.poll_read_ready(context))?;
            match stream.try_read(buffer.initialize_unfilled()) {
                Ok(len) => {
                    buffer.advance(len);
                    return Poll::Ready(Ok(None));
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Poll::Ready(Err(cause)),
            }
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::linux::to_monotonic;
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_stamp_of_another_wall_clock_is_not_believed() {
        let clock = ManualClock::new(1_000_000);
        clock.advance(Duration::from_millis(50));
        let stamp_ns = clock.wall_ns() - 3_000_000;
        let arrived = clock.now().checked_sub(Duration::from_millis(3));
        assert_eq!(to_monotonic(&clock, stamp_ns), arrived);
        for step_ms in [10_000, -10_000] {
            clock.step_wall_ms(step_ms);
            assert_eq!(to_monotonic(&clock, stamp_ns), None);
            clock.step_wall_ms(-step_ms);
        }
    }
}
