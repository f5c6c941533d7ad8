//! Addresses of the things that are measured: URLs, HOST:PORT pairs, proxies. Parsing only.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use hyper::http::Uri;
use hyper::http::uri::Scheme;

/// An `http` or `https` URL without user name and fragment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpUrl {
    /// Whether TLS is spoken.
    pub https: bool,
    /// Host name or address; an IPv6 address stands without its brackets.
    pub host: String,
    /// The port, also where the URL does not say it.
    pub port: u16,
    /// Path and query; at least `/`.
    pub path: String,
}

/// A text is not an address of the kind that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("must be an http or https URL with a host, without user name")]
    Url,
    /// Not a HOST:PORT pair.
    #[error("must be HOST:PORT with a port from 1 to 65535")]
    HostPort,
    /// Not a proxy URL.
    #[error(
        "must be socks5://[USER[:PASSWORD]@]HOST:PORT or socks5h://..., \
             user and password at most 255 bytes each"
    )]
    Proxy,
    /// Not an address prefix.
    #[error("must be an address and a prefix length, such as 198.18.0.0/24")]
    Prefix,
}

impl FromStr for HttpUrl {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let uri = Uri::from_str(text).map_err(|_| AddressError::Url)?;
        let https = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            Some(scheme) if *scheme == Scheme::HTTP => false,
            _ => return Err(AddressError::Url),
        };
        let authority = uri.authority().ok_or(AddressError::Url)?;
        let host = unbracket(authority.host());
        let has_user = authority.as_str().contains('@');
        let bad_port = authority.port().is_some() && authority.port_u16().is_none_or(|p| p == 0);
        if host.is_empty() || has_user || bad_port || authority.as_str().ends_with(':') {
            return Err(AddressError::Url);
        }
        let path = match uri.path_and_query().map(hyper::http::uri::PathAndQuery::as_str) {
            None | Some("") => "/".to_owned(),
            Some(path) if path.starts_with('/') => path.to_owned(),
            Some(query) => format!("/{query}"),
        };
        let port = authority.port_u16().unwrap_or(if https { 443 } else { 80 });
        Ok(Self { https, host: host.to_ascii_lowercase(), port, path })
    }
}

impl HttpUrl {
    /// Whether the port is the scheme's own, which a `Host` header leaves out.
    #[must_use]
    pub fn is_default_port(&self) -> bool {
        self.port == if self.https { 443 } else { 80 }
    }

    /// What stands in a `Host` header.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = bracketed(&self.host);
        if self.is_default_port() { host } else { format!("{host}:{}", self.port) }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

/// A host and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostPort {
    /// Host name or address; an IPv6 address stands without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl FromStr for HostPort {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (host, port) = text.rsplit_once(':').ok_or(AddressError::HostPort)?;
        let port = port.parse().ok().filter(|port| *port != 0).ok_or(AddressError::HostPort)?;
        let inner = unbracket(host);
        let is_v6 = inner.parse::<Ipv6Addr>().is_ok();
        if !(is_host(inner) || is_v6 && host.starts_with('[')) {
            return Err(AddressError::HostPort);
        }
        Ok(Self { host: inner.to_ascii_lowercase(), port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", bracketed(&self.host), self.port)
    }
}

/// A SOCKS5 proxy. Its text form never shows the password.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Proxy {
    /// `socks5h`: the proxy resolves names; `socks5`: we do.
    pub remote_dns: bool,
    /// User name and password, percent-decoded; the password may be empty.
    pub login: Option<(String, String)>,
    /// Where the proxy listens.
    pub at: HostPort,
}

impl FromStr for Proxy {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (remote_dns, rest) = match text.split_once("://") {
            Some(("socks5h", rest)) => (true, rest),
            Some(("socks5", rest)) => (false, rest),
            _ => return Err(AddressError::Proxy),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        let (login, at) = match rest.rsplit_once('@') {
            Some((login, at)) => (Some(parse_login(login)?), at),
            None => (None, rest),
        };
        let at = at.parse().map_err(|_| AddressError::Proxy)?;
        Ok(Self { remote_dns, login, at })
    }
}

fn parse_login(text: &str) -> Result<(String, String), AddressError> {
    let (user, password) = text.split_once(':').unwrap_or((text, ""));
    let user = percent_decode(user).ok_or(AddressError::Proxy)?;
    let password = percent_decode(password).ok_or(AddressError::Proxy)?;
    // RFC 1929 writes each length in one byte.
    let fits = !user.is_empty() && user.len() <= 255 && password.len() <= 255;
    if fits { Ok((user, password)) } else { Err(AddressError::Proxy) }
}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.remote_dns { "socks5h" } else { "socks5" };
        match &self.login {
            Some((user, _)) => write!(f, "{scheme}://{user}@{}", self.at),
            None => write!(f, "{scheme}://{}", self.at),
        }
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An address and the number of its leading bits that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IpPrefix {
    /// The address; bits beyond `len` are zero.
    pub address: IpAddr,
    /// 0 to 32, or 0 to 128.
    pub len: u8,
}

impl IpPrefix {
    /// A prefix of this address; bits beyond `len` are cleared. `None` when `len` is too large.
    #[must_use]
    pub fn new(address: IpAddr, len: u8) -> Option<Self> {
        let address = match address {
            IpAddr::V4(v4) if len <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(len)).unwrap_or(0);
                IpAddr::from((v4.to_bits() & mask).to_be_bytes())
            }
            IpAddr::V6(v6) if len <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(len)).unwrap_or(0);
                IpAddr::from((v6.to_bits() & mask).to_be_bytes())
            }
            _ => return None,
        };
        Some(Self { address, len })
    }
}

impl FromStr for IpPrefix {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let (address, len) = text.split_once('/').ok_or(AddressError::Prefix)?;
        let address = address.parse().map_err(|_| AddressError::Prefix)?;
        let len = len.parse().map_err(|_| AddressError::Prefix)?;
        Self::new(address, len).ok_or(AddressError::Prefix)
    }
}

impl fmt::Display for IpPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.len)
    }
}

/// Whether this is an IPv4 address or a host name: labels of letters, digits, `-` and `_`.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    !name.is_empty()
        && name.len() <= 253
        && name.split('.').all(|label| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        })
}

fn unbracket(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urls() {
        for (text, want) in [
            ("https://api.example.test", "https://api.example.test/"),
            ("http://API.example.test:80/a?b=c", "http://api.example.test/a?b=c"),
            ("https://[::1]:8443/x", "https://[::1]:8443/x"),
            ("https://h:443?q", "https://h/?q"),
        ] {
            assert_eq!(text.parse::<HttpUrl>().unwrap().to_string(), want, "{text}");
        }
        for bad in ["", "ftp://h/", "h", "/x", "https://", "https://u:p@h/", "https://h:0/"] {
            assert_eq!(bad.parse::<HttpUrl>(), Err(AddressError::Url), "{bad}");
        }
    }

    #[test]
    fn pairs() {
        for good in ["127.0.0.1:80", "h.example.test:1", "[::1]:443"] {
            assert_eq!(good.parse::<HostPort>().unwrap().to_string(), good);
        }
        for bad in ["h", "h:0", "h:65536", "::1:80", ":80", "a b:1"] {
            assert_eq!(bad.parse::<HostPort>(), Err(AddressError::HostPort), "{bad}");
        }
    }

    #[test]
    fn proxies_allow_an_empty_password_and_never_show_one() {
        let proxy: Proxy = "socks5h://us-east-1:s3cret@127.0.0.1:1080".parse().unwrap();
        assert_eq!(format!("{proxy:?}"), "socks5h://us-east-1@127.0.0.1:1080");
        let empty: Proxy = "socks5://198.18.0.0%2F24@h:9".parse().unwrap();
        assert_eq!(empty.login, Some(("198.18.0.0/24".into(), String::new())));
        assert!(!empty.remote_dns);
        for bad in ["http://h:1", "socks5h://h", "socks5h://@h:1", "socks5://%zz@h:1"] {
            assert_eq!(bad.parse::<Proxy>(), Err(AddressError::Proxy), "{bad}");
        }
    }

    #[test]
    fn prefixes_clear_the_bits_that_do_not_count() {
        for (text, want) in
            [("198.18.1.77/24", "198.18.1.0/24"), ("1.2.3.4/0", "0.0.0.0/0"), ("::1/64", "::/64")]
        {
            assert_eq!(text.parse::<IpPrefix>().unwrap().to_string(), want);
        }
        for bad in ["1.2.3.4", "1.2.3.4/33", "::/129", "x/1"] {
            assert_eq!(bad.parse::<IpPrefix>(), Err(AddressError::Prefix), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_is_refused(text in ".{0,40}") {
            let _ = text.parse::<HttpUrl>();
            let _ = text.parse::<HostPort>();
            let _ = text.parse::<Proxy>();
            let _ = text.parse::<IpPrefix>();
        }
    }
}
