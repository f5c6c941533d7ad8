//! A WAN of packets between two network namespaces, and the truth about what crossed it. Linux only, needs root.
//!
//! The near namespace holds those who measure, the far one the server; a TUN device stands in each, and two threads
//! carry every packet from one to the other half a round trip later. The truth is not the carriers' clock but the
//! kernel's: a packet socket in the near namespace stamps each packet as it leaves and enters there, which is where
//! a prober's own kernel stamps it. Nothing here is needed by the rest of the lab, and it imposes no error: a
//! carrier that is late makes the round trip longer, which the capture sees too.

mod capture;
mod carrier;
mod flow;
mod namespace;
mod segment;

use std::io;
use std::net::Ipv4Addr;
use std::process::Command;
use std::time::Duration;

pub use capture::{Capture, Captured};
pub use carrier::CarrierCounts;
pub use flow::{Exchange, exchanges};
pub use segment::{Segment, segment};

use carrier::Carriers;
use namespace::Namespace;

/// Where probers stand.
pub const NEAR: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 1);
/// Where the server stands.
pub const FAR: Ipv4Addr = Ipv4Addr::new(10, 53, 0, 2);

/// Packets that could not be made to flow.
#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    /// `ip` or a device failed: most often for want of root.
    #[error("{what}: {cause}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        cause: io::Error,
    },
}

pub(crate) fn failed(what: impl Into<String>) -> impl FnOnce(io::Error) -> PacketError {
    let what = what.into();
    move |cause| PacketError::System { what, cause }
}

/// Two namespaces and what flows between them. Dropping it takes them away.
pub struct PacketWan {
    // Namespaces go first: their devices end the carriers, which are waited for.
    near: Namespace,
    far: Namespace,
    carriers: Carriers,
}

impl PacketWan {
    /// Makes them with a round trip; `tag` (letters and digits, at most 8) tells several runs apart.
    pub fn start(tag: &str, rtt: Duration) -> Result<Self, PacketError> {
        let (near, near_device) = Namespace::with_tun(&format!("near-{tag}"), NEAR, FAR)?;
        let (far, far_device) = Namespace::with_tun(&format!("far-{tag}"), FAR, NEAR)?;
        let carriers = Carriers::start(near_device, far_device, rtt / 2)?;
        Ok(Self { near, far, carriers })
    }

    /// A command that runs where the probers stand.
    #[must_use]
    pub fn near(&self, program: &str) -> Command {
        self.near.command(program)
    }

    /// A command that runs where the server stands.
    #[must_use]
    pub fn far(&self, program: &str) -> Command {
        self.far.command(program)
    }

    /// Starts to capture what leaves and enters the near namespace.
    pub fn capture(&self) -> Result<Capture, PacketError> {
        Capture::start(self.near.name())
    }

    /// Packets carried and dropped so far.
    #[must_use]
    pub fn counts(&self) -> CarrierCounts {
        self.carriers.counts()
    }
}
