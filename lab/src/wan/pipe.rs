//! Carries the bytes of one connection over the ocean: each chunk arrives half a round trip later.
//!
//! Chunks keep their order, many are under way at once, and a slow reader holds back the writer. Half-close
//! travels as a chunk does; a reset ends both directions when it would have arrived.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use rand_chacha::ChaCha8Rng;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use crate::clock::{Timer, millis, now};
use crate::scenario::WanSpec;
use crate::world::one_way_ms;

/// Bytes read at once.
const CHUNK_BYTES: usize = 16 * 1024;
/// Chunks under way in one direction: with the above at most 1 MiB, then the sender waits.
const CHUNKS_MAX: usize = 64;

/// The way between a place and a Region.
pub(super) struct Way {
    pub(super) rtt_ms: f64,
    pub(super) wan: Arc<WanSpec>,
    pub(super) timer: Timer,
    pub(super) rng: ChaCha8Rng,
}

impl Way {
    /// Draws how long the next chunk takes one way, ms.
    pub(super) fn one_way_ms(&mut self) -> f64 {
        one_way_ms(&self.wan, self.rtt_ms, &mut self.rng)
    }
}

struct Chunk {
    at: Instant,
    what: What,
}

enum What {
    Data(Bytes),
    End,
    Reset,
}

/// Carries both directions until both have ended. After an error both sockets are reset.
pub(super) async fn carry(mut near: TcpStream, mut far: TcpStream, out: Way, back: Way) {
    let (near_read, near_write) = near.split();
    let (far_read, far_write) = far.split();
    let ended = tokio::try_join!(pump(near_read, far_write, out), pump(far_read, near_write, back));
    if ended.is_err() {
        // Sockets that are gone already need no reset.
        let _ = near.set_zero_linger();
        let _ = far.set_zero_linger();
    }
}

async fn pump<R, W>(from: R, to: W, way: Way) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let timer = way.timer.clone();
    let (sent, under_way) = mpsc::channel(CHUNKS_MAX);
    tokio::try_join!(send(from, sent, way), deliver(under_way, to, timer)).map(|_| ())
}

async fn send<R>(mut from: R, sent: mpsc::Sender<Chunk>, mut way: Way) -> io::Result<()>
where
    R: AsyncRead + Unpin,
{
    let mut buffer = BytesMut::new();
    let mut last = now();
    loop {
        buffer.reserve(CHUNK_BYTES);
        let what = match from.read_buf(&mut buffer).await {
            Ok(0) => What::End,
            Ok(_) => What::Data(buffer.split().freeze()),
            Err(_) => What::Reset,
        };
        // A chunk never overtakes the one before.
        last = last.max(now() + millis(way.one_way_ms()));
        let more = matches!(what, What::Data(_));
        if sent.send(Chunk { at: last, what }).await.is_err() || !more {
            return Ok(());
        }
    }
}

async fn deliver<W>(mut chunks: mpsc::Receiver<Chunk>, mut to: W, timer: Timer) -> io::Result<()>
where
    W: AsyncWrite + Unpin,
{
    while let Some(chunk) = chunks.recv().await {
        timer.sleep_until(chunk.at).await;
        match chunk.what {
            What::Data(bytes) => to.write_all(&bytes).await?,
            What::End => return to.shutdown().await,
            What::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        }
    }
    Ok(())
}
