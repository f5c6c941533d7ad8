//! The threads that carry packets from one device to the other, each exactly so long after it left.
//!
//! One thread reads and stamps, one waits and writes, in each direction. Bounded: a packet that finds too many under
//! way is dropped and counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tun_rs::SyncDevice;

use super::{PacketError, failed};
use crate::clock::now;

/// Packets under way in one direction: 300 ms at 10,000 packets a second, and some more.
const UNDER_WAY_MAX: usize = 8192;
/// Largest packet.
const PACKET_BYTES: usize = 65_536;
/// How often an idle thread looks whether it is over.
const LOOK: Duration = Duration::from_millis(100);

/// Packets so far, both directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarrierCounts {
    /// Carried.
    pub carried: u64,
    /// Dropped because too many were under way, or because a device refused them.
    pub dropped: u64,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    carried: AtomicU64,
    dropped: AtomicU64,
}

struct Packet {
    due: Instant,
    bytes: Vec<u8>,
}

/// All four threads.
pub(super) struct Carriers {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Carriers {
    /// Carries each way after `one_way`.
    pub(super) fn start(
        near: SyncDevice,
        far: SyncDevice,
        one_way: Duration,
    ) -> Result<Self, PacketError> {
        let shared = Arc::new(Shared::default());
        let (near, far) = (Arc::new(near), Arc::new(far));
        let mut threads = Vec::new();
        for (name, from, to) in [("out", &near, &far), ("back", &far, &near)] {
            let (sent, under_way) = sync_channel(UNDER_WAY_MAX);
            let (from, reads) = (Arc::clone(from), Arc::clone(&shared));
            let (to, writes) = (Arc::clone(to), Arc::clone(&shared));
            let read = move || read(&from, &sent, one_way, &reads);
            let write = move || write(&to, &under_way, &writes);
            threads.push(spawn(&format!("{name} read"), read)?);
            threads.push(spawn(&format!("{name} write"), write)?);
        }
        Ok(Self { shared, threads })
    }

    pub(super) fn counts(&self) -> CarrierCounts {
        CarrierCounts {
            carried: self.shared.carried.load(Ordering::Relaxed),
            dropped: self.shared.dropped.load(Ordering::Relaxed),
        }
    }
}

impl Drop for Carriers {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so already.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, PacketError> {
    let builder = std::thread::Builder::new().name(format!("wan {name}"));
    let work = move || {
        // Fifty microseconds of slack are a thread's default; without the permission they remain.
        let _ = nix::sys::prctl::set_timerslack(1);
        work();
    };
    builder.spawn(work).map_err(failed("a carrier's thread"))
}

fn read(from: &SyncDevice, sent: &SyncSender<Packet>, one_way: Duration, shared: &Shared) {
    let mut buffer = vec![0; PACKET_BYTES];
    let look = PollTimeout::try_from(LOOK).unwrap_or(PollTimeout::ZERO);
    while !shared.over.load(Ordering::Relaxed) {
        let mut waited = [PollFd::new(std::os::fd::AsFd::as_fd(from), PollFlags::POLLIN)];
        match poll(&mut waited, look) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        let length = match from.recv(&mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            // The device has gone with its namespace.
            Err(_) => return,
        };
        let packet = Packet { due: now() + one_way, bytes: buffer[..length].to_vec() };
        match sent.try_send(packet) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
            Err(TrySendError::Disconnected(_)) => return,
        }
    }
}

fn write(to: &SyncDevice, under_way: &Receiver<Packet>, shared: &Shared) {
    while !shared.over.load(Ordering::Relaxed) {
        let packet = match under_way.recv_timeout(LOOK) {
            Ok(packet) => packet,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        // All take equally long, so the first to leave is the first to come.
        std::thread::sleep(packet.due.saturating_duration_since(now()));
        let counter = match to.send(&packet.bytes) {
            Ok(_) => &shared.carried,
            Err(_) => &shared.dropped,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
