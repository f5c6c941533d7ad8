//! SOCKS5 (RFC 1928, RFC 1929), by hand: crates refuse empty passwords and hide the instants.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::classify::Stage;
use super::wire::Bytes;
use crate::clock::Clock;
use crate::sample::Outcome;
use crate::url::Proxy;

/// Whom the proxy is asked to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    Address(IpAddr),
    Name(String),
}

fn fault(detail: impl Into<String>) -> Outcome {
    Outcome::Proxy { detail: detail.into() }
}

fn broken(cause: &io::Error) -> Outcome {
    fault(format!("the proxy hung up: {cause}"))
}

/// Greets the proxy, asks it to connect, and says when that was asked and answered.
pub(super) async fn connect<S: Bytes>(
    stream: &mut S,
    proxy: &Proxy,
    to: (&Destination, u16),
    clock: &dyn Clock,
    stage: &mut Stage,
) -> Result<(Instant, Instant), Outcome> {
    greet(stream, proxy).await?;
    let request = connect_request(to.0, to.1)?;
    *stage = Stage::Connect;
    let asked = clock.now();
    stream.write_all(&request).await.map_err(|cause| broken(&cause))?;
    let mut head = [0_u8; 4];
    // The first byte of the reply is the arrival; the address after it follows in its packet.
    let len = stream.read(&mut head).await.map_err(|cause| broken(&cause))?;
    let answered = clock.now();
    if len == 0 {
        return Err(fault("the proxy hung up before its reply"));
    }
    let rest = head.get_mut(len..).unwrap_or_default();
    stream.read_exact(rest).await.map_err(|cause| broken(&cause))?;
    read_reply(stream, head).await?;
    Ok((asked, answered))
}

async fn greet<S: Bytes>(stream: &mut S, proxy: &Proxy) -> Result<(), Outcome> {
    let offer: &[u8] = if proxy.login.is_some() { &[5, 2, 0, 2] } else { &[5, 1, 0] };
    stream.write_all(offer).await.map_err(|cause| broken(&cause))?;
    let mut choice = [0_u8; 2];
    stream.read_exact(&mut choice).await.map_err(|cause| broken(&cause))?;
    match (choice, &proxy.login) {
        ([5, 0], _) => Ok(()),
        ([5, 2], Some((user, password))) => log_in(stream, user, password).await,
        ([5, _], _) => Err(fault("the proxy takes none of our ways to log in")),
        ([version, _], _) => Err(fault(format!("the proxy speaks version {version}, not 5"))),
    }
}

async fn log_in<S: Bytes>(stream: &mut S, user: &str, password: &str) -> Result<(), Outcome> {
    let mut message = vec![1];
    for part in [user, password] {
        let len = u8::try_from(part.len()).map_err(|_| fault("user or password is too long"))?;
        message.push(len);
        message.extend_from_slice(part.as_bytes());
    }
    stream.write_all(&message).await.map_err(|cause| broken(&cause))?;
    let mut reply = [0_u8; 2];
    stream.read_exact(&mut reply).await.map_err(|cause| broken(&cause))?;
    let [_, status] = reply;
    if status == 0 { Ok(()) } else { Err(fault("the proxy refused user and password")) }
}

fn connect_request(to: &Destination, port: u16) -> Result<Vec<u8>, Outcome> {
    let mut request = vec![5, 1, 0];
    match to {
        Destination::Address(IpAddr::V4(v4)) => {
            request.push(1);
            request.extend_from_slice(&v4.octets());
        }
        Destination::Address(IpAddr::V6(v6)) => {
            request.push(4);
            request.extend_from_slice(&v6.octets());
        }
        Destination::Name(name) => {
            let len = u8::try_from(name.len()).map_err(|_| fault("the name is too long"))?;
            request.extend_from_slice(&[3, len]);
            request.extend_from_slice(name.as_bytes());
        }
    }
    request.extend_from_slice(&port.to_be_bytes());
    Ok(request)
}

async fn read_reply<S: Bytes>(stream: &mut S, head: [u8; 4]) -> Result<(), Outcome> {
    let [version, code, _, kind] = head;
    if version != 5 {
        return Err(fault(format!("the proxy answers in version {version}, not 5")));
    }
    match code {
        0 => {}
        3 | 4 => return Err(Outcome::ConnectUnreachable),
        5 => return Err(Outcome::ConnectRefused),
        6 => return Err(Outcome::ConnectTimeout),
        code => return Err(fault(format!("the proxy refused with code {code}"))),
    }
    let len = match kind {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(|cause| broken(&cause))?),
        kind => return Err(fault(format!("the proxy answers with address type {kind}"))),
    };
    let mut bound = vec![0_u8; len + 2];
    stream.read_exact(&mut bound).await.map(|_| ()).map_err(|cause| broken(&cause))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use proptest::prelude::*;

    /// What we make of a proxy that sends these bytes, whatever we say, and hangs up.
    fn ask(bytes: &[u8]) -> Result<(Instant, Instant), Outcome> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let proxy: Proxy = "socks5h://user@127.0.0.1:1".parse().unwrap();
        runtime.block_on(async {
            let (mut ours, mut theirs) = tokio::io::duplex(4_096);
            theirs.write_all(bytes).await.unwrap();
            let to = Destination::Name("api.example.test".to_owned());
            let mut stage = Stage::Proxy;
            let talk = connect(&mut ours, &proxy, (&to, 443), &SystemClock, &mut stage);
            let hang_up = async {
                // Everything we say is taken, so that only the bytes decide.
                let _ = theirs.shutdown().await;
                let _ = tokio::io::copy(&mut theirs, &mut tokio::io::sink()).await;
            };
            let mut talk = std::pin::pin!(talk);
            tokio::select! {
                ended = &mut talk => ended,
                () = hang_up => talk.await,
            }
        })
    }

    #[test]
    fn replies() {
        let bound = [0, 1, 127, 0, 0, 1, 0, 80];
        let with = |code: u8| [&[5, 2, 1, 0, 5, code][..], &bound[..]].concat();
        assert!(ask(&with(0)).is_ok());
        for (code, want) in [
            (3, Outcome::ConnectUnreachable),
            (4, Outcome::ConnectUnreachable),
            (5, Outcome::ConnectRefused),
            (6, Outcome::ConnectTimeout),
        ] {
            assert_eq!(ask(&with(code)), Err(want));
        }
        for bytes in [
            &[][..],
            &[4, 0],
            &[5, 255],
            &[5, 2, 1, 1],
            &with(1),
            &[5, 0, 4, 0, 0, 1],
            &[5, 0, 5, 0, 0, 9],
            &[5, 0, 5, 0, 0, 3, 200, 1],
        ] {
            assert_eq!(ask(bytes).unwrap_err().kind(), "proxy", "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_reply_ends(bytes in prop::collection::vec(any::<u8>(), 0..40), cut in 0_usize..14) {
            let _ = ask(&bytes);
            let good = [5, 2, 1, 0, 5, 0, 0, 3, 3, b'a', b'.', b'b', 0, 80];
            let mixed = [&good[..cut], &bytes[..]].concat();
            let _ = ask(&mixed);
        }
    }
}
