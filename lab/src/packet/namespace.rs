//! A network namespace with one TUN device, made by `ip` and taken away when dropped.

use std::io;
use std::net::Ipv4Addr;
use std::process::{Command, Stdio};

use tun_rs::{DeviceBuilder, Layer, SyncDevice};

use super::{PacketError, failed};

/// Bytes of a packet at most.
const MTU: u16 = 1500;
/// Packets that may wait in a device for a carrier.
const QUEUE: &str = "4096";

/// A namespace of our own.
pub(super) struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes the namespace and puts a new device into it that is `own` and leads to `peer`.
    pub(super) fn with_tun(
        name: &str,
        own: Ipv4Addr,
        peer: Ipv4Addr,
    ) -> Result<(Self, SyncDevice), PacketError> {
        ip(&["netns", "add", name])?;
        let namespace = Self { name: name.to_owned() };
        let mut device = name.to_owned();
        device.truncate(15);
        // It is made out here and then moved: its file descriptor stays with us.
        let tun = DeviceBuilder::new()
            .name(&device)
            .layer(Layer::L3)
            .mtu(MTU)
            .packet_information(false)
            .enable(false)
            .build_sync()
            .map_err(failed(format!("TUN device {device}")))?;
        ip(&["link", "set", &device, "netns", name])?;
        let inside = |words: &[&str]| ip(&[&["-n", name], words].concat());
        let (own, peer) = (own.to_string(), peer.to_string());
        inside(&["link", "set", "lo", "up"])?;
        inside(&["link", "set", &device, "mtu", &MTU.to_string(), "txqueuelen", QUEUE])?;
        inside(&["addr", "add", &own, "peer", &peer, "dev", &device])?;
        inside(&["link", "set", &device, "up"])?;
        Ok((namespace, tun))
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// A command inside.
    pub(super) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Err(error) = ip(&["netns", "del", &self.name]) {
            tracing::warn!(%error, name = self.name, "a network namespace is left behind");
        }
    }
}

fn ip(words: &[&str]) -> Result<(), PacketError> {
    let line = || format!("ip {}", words.join(" "));
    let ended = Command::new("ip").args(words).stdin(Stdio::null()).output();
    let ended = ended.map_err(failed(line()))?;
    if ended.status.success() {
        return Ok(());
    }
    let told = String::from_utf8_lossy(&ended.stderr).trim().to_owned();
    Err(failed(line())(io::Error::other(told)))
}
