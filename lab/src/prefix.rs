//! Network prefixes: a value that prints, parses and contains. No lookups here.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A network prefix in canonical form (host bits zero).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    addr: IpAddr,
    len: u8,
}

impl Prefix {
    /// The IPv4 prefix of `addr`, `len` at most 32 (larger is taken as 32).
    #[must_use]
    pub fn v4(addr: Ipv4Addr, len: u8) -> Self {
        let len = len.min(32);
        let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
        Self { addr: Ipv4Addr::from(u32::from(addr) & mask).into(), len }
    }

    /// The IPv6 prefix of `addr`, `len` at most 128 (larger is taken as 128).
    #[must_use]
    pub fn v6(addr: Ipv6Addr, len: u8) -> Self {
        let len = len.min(128);
        let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
        Self { addr: Ipv6Addr::from(u128::from(addr) & mask).into(), len }
    }

    /// The prefix of `addr` with the family's own length.
    #[must_use]
    pub fn of(addr: IpAddr, len4: u8, len6: u8) -> Self {
        match addr {
            IpAddr::V4(v4) => Self::v4(v4, len4),
            IpAddr::V6(v6) => Self::v6(v6, len6),
        }
    }

    /// The first address.
    #[must_use]
    pub fn addr(&self) -> IpAddr {
        self.addr
    }

    /// Whether `addr` lies in it.
    #[must_use]
    pub fn contains(&self, addr: IpAddr) -> bool {
        Self::of(addr, self.len, self.len).addr == self.addr
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.addr, self.len)
    }
}

impl FromStr for Prefix {
    type Err = ();

    fn from_str(s: &str) -> Result<Self, ()> {
        let (addr, len) = s.split_once('/').ok_or(())?;
        let addr: IpAddr = addr.parse().map_err(|_| ())?;
        let len: u8 = len.parse().map_err(|_| ())?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        if len > most { Err(()) } else { Ok(Self::of(addr, len, len)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_parses_canonically() {
        for (text, canonical) in [
            ("198.18.7.9/24", "198.18.7.0/24"),
            ("2001:db8:1:2::9/48", "2001:db8:1::/48"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("1.2.3.4/32", "1.2.3.4/32"),
        ] {
            assert_eq!(text.parse::<Prefix>().unwrap().to_string(), canonical);
        }
        for bad in ["198.18.7.0", "198.18.7.0/33", "x/24", "::/129"] {
            assert!(bad.parse::<Prefix>().is_err(), "{bad}");
        }
    }

    #[test]
    fn contains_only_its_own() {
        let prefix: Prefix = "198.18.7.0/24".parse().unwrap();
        assert!(prefix.contains("198.18.7.255".parse().unwrap()));
        assert!(!prefix.contains("198.18.8.0".parse().unwrap()));
        assert!(!prefix.contains("2001:db8::1".parse().unwrap()));
    }
}
