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
        Clock, Context, Duration, Instant, Poll, ReadBuf, Receiver, STAMP_AGE_MAX, TcpStream, io,
        ready,
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

    impl Receiver {
        /// Asks the kernel for timestamps on this socket.
        pub(in super::super) fn new(stream: &TcpStream) -> Self {
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
                let read = stream.try_io(Interest::READABLE, || {
                    receive(stream, &mut self.control, buffer.initialize_unfilled())
                });
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
        let room = (!control.is_empty()).then_some(control.as_mut_slice());
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

    /// The monotonic instant of a wall time just passed.
    fn to_monotonic(clock: &dyn Clock, stamp_ns: i64) -> Option<Instant> {
        let (now, wall_ns) = (clock.now(), clock.wall_ns());
        let age = Duration::from_nanos(u64::try_from(wall_ns.checked_sub(stamp_ns)?).ok()?);
        if age > STAMP_AGE_MAX { None } else { now.checked_sub(age) }
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::first_round_trip;

#[cfg(not(target_os = "linux"))]
pub(super) fn first_round_trip(_stream: &TcpStream) -> Option<Duration> {
    None
}

#[cfg(not(target_os = "linux"))]
impl Receiver {
    pub(super) fn new(_stream: &TcpStream) -> Self {
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
