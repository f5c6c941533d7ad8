//! The words of SOCKS5 (RFC 1928, RFC 1929), server side. Knows nothing of the world.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Reply codes of RFC 1928 section 6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Succeeded = 0x00,
    GeneralFailure = 0x01,
    HostUnreachable = 0x04,
    ConnectionRefused = 0x05,
    CommandNotSupported = 0x07,
    AddressNotSupported = 0x08,
}

/// What a client wants to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Addr(IpAddr),
    Name(String),
}

/// Greets and reads the user's name; the password may be anything, and empty.
pub(super) async fn user<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<String> {
    if stream.read_u8().await? != 5 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not SOCKS version 5"));
    }
    let methods = counted(stream).await?;
    if !methods.contains(&2) {
        stream.write_all(&[5, 0xff]).await?;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "no user name offered"));
    }
    stream.write_all(&[5, 2]).await?;
    if stream.read_u8().await? != 1 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "unknown version of the login"));
    }
    let name = counted(stream).await?;
    counted(stream).await?;
    String::from_utf8(name).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "name"))
}

/// Accepts or refuses the user.
pub(super) async fn login<S: AsyncWrite + Unpin>(stream: &mut S, known: bool) -> io::Result<()> {
    stream.write_all(&[1, u8::from(!known)]).await
}

/// Reads a request: what to reach, and the port, or the reply that refuses it.
pub(super) async fn request<S: AsyncRead + Unpin>(
    stream: &mut S,
) -> io::Result<Result<(Target, u16), Reply>> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).await?;
    let [version, command, _, kind] = head;
    if version != 5 {
        return Ok(Err(Reply::GeneralFailure));
    }
    let target = match kind {
        1 => {
            let mut octets = [0; 4];
            stream.read_exact(&mut octets).await?;
            Target::Addr(Ipv4Addr::from(octets).into())
        }
        4 => {
            let mut octets = [0; 16];
            stream.read_exact(&mut octets).await?;
            Target::Addr(Ipv6Addr::from(octets).into())
        }
        3 => match String::from_utf8(counted(stream).await?) {
            // curl and others give an address as a name when asked to resolve nothing.
            Ok(name) => name.parse().map_or(Target::Name(name), Target::Addr),
            Err(_) => return Ok(Err(Reply::AddressNotSupported)),
        },
        _ => return Ok(Err(Reply::AddressNotSupported)),
    };
    let port = stream.read_u16().await?;
    if command != 1 {
        return Ok(Err(Reply::CommandNotSupported));
    }
    Ok(Ok((target, port)))
}

/// Answers a request; the bound address is of no use here and is given as zeros.
pub(super) async fn reply<S: AsyncWrite + Unpin>(stream: &mut S, reply: Reply) -> io::Result<()> {
    stream.write_all(&[5, reply as u8, 0, 1, 0, 0, 0, 0, 0, 0]).await
}

async fn counted<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::from(stream.read_u8().await?)];
    stream.read_exact(&mut bytes).await?;
    Ok(bytes)
}
