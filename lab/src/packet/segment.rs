//! Reads IPv4 and TCP headers as they lie in a captured packet. Pure; what is not whole is nothing.

use std::net::{Ipv4Addr, SocketAddrV4};

/// A TCP segment, without its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are the flags of a TCP header")]
pub struct Segment {
    /// From whom.
    pub from: SocketAddrV4,
    /// To whom.
    pub to: SocketAddrV4,
    /// Number of its first byte.
    pub seq: u32,
    /// SYN.
    pub syn: bool,
    /// ACK.
    pub ack: bool,
    /// FIN.
    pub fin: bool,
    /// RST.
    pub rst: bool,
    /// Bytes of payload, by the IP header: captured or not.
    pub payload_bytes: usize,
}

/// The segment in a packet that begins with its IP header; `None` for anything else.
#[must_use]
pub fn segment(packet: &[u8]) -> Option<Segment> {
    let byte = |at: usize| packet.get(at).copied();
    let pair = |at: usize| Some(u16::from_be_bytes([byte(at)?, byte(at + 1)?]));
    let four = |at: usize| Some([byte(at)?, byte(at + 1)?, byte(at + 2)?, byte(at + 3)?]);
    let first = byte(0)?;
    // Version 4, protocol TCP, not a later fragment.
    if first >> 4 != 4 || byte(9)? != 6 || pair(6)? & 0x1fff != 0 {
        return None;
    }
    let ip_bytes = usize::from(first & 0x0f) * 4;
    let tcp_bytes = usize::from(byte(ip_bytes + 12)? >> 4) * 4;
    let flags = byte(ip_bytes + 13)?;
    let payload_bytes = usize::from(pair(2)?).checked_sub(ip_bytes + tcp_bytes)?;
    let at = |ip: usize, port: usize| {
        Some(SocketAddrV4::new(Ipv4Addr::from(four(ip)?), pair(ip_bytes + port)?))
    };
    Some(Segment {
        from: at(12, 0)?,
        to: at(16, 2)?,
        seq: u32::from_be_bytes(four(ip_bytes + 4)?),
        syn: flags & 0x02 != 0,
        ack: flags & 0x10 != 0,
        fin: flags & 0x01 != 0,
        rst: flags & 0x04 != 0,
        payload_bytes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(flags: u8, payload: usize) -> Vec<u8> {
        let total = u16::try_from(40 + payload).unwrap().to_be_bytes();
        let mut bytes = vec![0x45, 0, total[0], total[1], 0, 1, 0x40, 0, 64, 6, 0, 0];
        bytes.extend([10, 53, 0, 1, 10, 53, 0, 2]);
        bytes.extend([0xc0, 0x01, 0x20, 0xfb, 0, 0, 1, 2, 0, 0, 0, 0, 0x50, flags]);
        bytes.extend([0xff; 6]);
        bytes
    }

    #[test]
    fn headers_are_read() {
        let found = segment(&packet(0x12, 7)).unwrap();
        assert_eq!(found.from, "10.53.0.1:49153".parse().unwrap());
        assert_eq!(found.to, "10.53.0.2:8443".parse().unwrap());
        assert_eq!((found.seq, found.payload_bytes), (258, 7));
        assert_eq!((found.syn, found.ack, found.fin, found.rst), (true, true, false, false));
        let mut other = packet(0, 0);
        other[9] = 17;
        assert_eq!(segment(&other), None, "UDP");
        other[9] = 6;
        other[7] = 1;
        assert_eq!(segment(&other), None, "a fragment");
        assert_eq!(segment(&packet(0, 0)[..30]), None, "cut");
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Some(found) = segment(&bytes) {
                prop_assert!(found.payload_bytes <= 65_535);
            }
        }
    }
}
