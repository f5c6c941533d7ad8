//! Captures what leaves and enters a namespace, with the kernel's own time of each packet.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType,
    SockaddrStorage, recvmsg, setsockopt, socket, sockopt,
};
use nix::sys::time::{TimeSpec, TimeVal, TimeValLike};

use super::segment::{Segment, segment};
use super::{PacketError, failed};

/// Bytes of a packet that are looked at: both headers with all options.
const SNAP_BYTES: usize = 128;
/// Segments kept at most; later ones are counted.
const SEGMENTS_MAX: usize = 2_000_000;
/// Bytes that may wait in the socket.
const SOCKET_BYTES: usize = 32 * 1024 * 1024;
/// How often the thread looks whether it is over, ms.
const LOOK_MS: i64 = 50;

/// A segment and when the kernel saw it, ns since 1970 by the system's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured {
    /// When.
    pub at_ns: i64,
    /// What.
    pub segment: Segment,
}

/// A capture that runs.
pub struct Capture {
    over: Arc<AtomicBool>,
    thread: JoinHandle<Found>,
}

#[derive(Default)]
struct Found {
    segments: Vec<Captured>,
    beyond: u64,
}

impl Capture {
    /// Captures in a namespace that `ip` has named, from now on.
    pub(super) fn start(namespace: &str) -> Result<Self, PacketError> {
        let path = format!("/var/run/netns/{namespace}");
        let file = File::open(&path).map_err(failed(path))?;
        let over = Arc::new(AtomicBool::new(false));
        let (ready, opened) = sync_channel(1);
        let seen = Arc::clone(&over);
        let thread = std::thread::Builder::new()
            .name("capture".into())
            .spawn(move || run(&file, &ready, &seen))
            .map_err(failed("the capture's thread"))?;
        let refused = |errno: Errno| failed("packet socket")(errno.into());
        match opened.recv() {
            Ok(Ok(())) => Ok(Self { over, thread }),
            Ok(Err(errno)) => Err(refused(errno)),
            Err(_) => Err(refused(Errno::ECANCELED)),
        }
    }

    /// Ends it: the segments in the order the kernel saw them, and how many more there were.
    #[must_use]
    pub fn stop(self) -> (Vec<Captured>, u64) {
        self.over.store(true, Ordering::Relaxed);
        let mut found = self.thread.join().unwrap_or_default();
        found.segments.sort_by_key(|captured| captured.at_ns);
        (found.segments, found.beyond)
    }
}

/// Moves this thread into the namespace; it never comes back, and ends there.
fn run(namespace: &File, ready: &SyncSender<Result<(), Errno>>, over: &AtomicBool) -> Found {
    let opened = setns(namespace, CloneFlags::CLONE_NEWNET).and_then(|()| open());
    let socket = match opened {
        Ok(socket) => socket,
        Err(errno) => {
            // Nobody waits any more: the capture was given up.
            let _ = ready.send(Err(errno));
            return Found::default();
        }
    };
    let _ = ready.send(Ok(()));
    let mut found = Found::default();
    let mut buffer = [0; SNAP_BYTES];
    let mut control = nix::cmsg_space!(TimeSpec);
    loop {
        match receive(&socket, &mut buffer, &mut control) {
            Ok(Some(captured)) if found.segments.len() < SEGMENTS_MAX => {
                found.segments.push(captured);
            }
            Ok(Some(_)) => found.beyond += 1,
            // Nothing came for a while.
            Err(Errno::EAGAIN) if over.load(Ordering::Relaxed) => return found,
            Ok(None) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(errno) => {
                tracing::warn!(%errno, "the capture ended early");
                return found;
            }
        }
    }
}

fn open() -> Result<OwnedFd, Errno> {
    let (family, kind) = (AddressFamily::Packet, SockType::Datagram);
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::RcvBufForce, &SOCKET_BYTES)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(LOOK_MS))?;
    Ok(socket)
}

/// The next TCP segment; `None` for another packet.
fn receive(
    socket: &OwnedFd,
    buffer: &mut [u8],
    control: &mut [u8],
) -> Result<Option<Captured>, Errno> {
    let mut into = [IoSliceMut::new(buffer)];
    let flags = MsgFlags::empty();
    let message = recvmsg::<SockaddrStorage>(socket.as_raw_fd(), &mut into, Some(control), flags)?;
    let stamp = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmTimestampns(at) => Some(at.tv_sec() * 1_000_000_000 + at.tv_nsec()),
        _ => None,
    });
    let length = message.bytes;
    let found = segment(buffer.get(..length).unwrap_or_default());
    Ok(stamp.zip(found).map(|(at_ns, segment)| Captured { at_ns, segment }))
}
