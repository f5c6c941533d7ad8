//! The socket, with the instants of what goes over it, below TLS; and the same watch above TLS.
//!
//! Times are taken at the system call. Bytes are counted and passed on, never changed or kept.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, RuntimeFlavor};

use super::kernel;
use super::timeline::Arrival;
use crate::clock::Clock;

/// What the wire saw last.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Seen {
    /// The first write since the log was cleared.
    pub first_write: Option<Instant>,
    /// The newest write.
    pub last_write: Option<Instant>,
    /// The newest arrival.
    pub last_read: Option<Arrival>,
    /// The first byte of the newest TLS record, where it was read by itself.
    pub record: Option<Arrival>,
    /// The last write of the request, above TLS.
    pub request_end: Option<Instant>,
    /// The first byte of the response head, above TLS.
    pub head: Option<Arrival>,
}

/// A log shared by the wire, the watch above TLS and the exchange.
#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Seen>>);

impl Log {
    pub(super) fn lock(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn clear(&self) {
        *self.lock() = Seen::default();
    }
}

/// The socket.
pub(super) struct Wire {
    pub stream: Arc<TcpStream>,
    pub log: Log,
    pub clock: Arc<dyn Clock>,
    pub receiver: kernel::Receiver,
    /// Where the records end, under TLS.
    pub records: Option<Records>,
}

/// A read of a server's part of the handshake is at least so long, in bytes.
const FLIGHT_MIN: usize = 64;

/// Lets another thread of the runtime watch the sockets while this one checks signatures, which
/// takes some 100 us: what arrives meanwhile would be stamped by the kernel with what follows it.
/// The runtime wakes a thread when two tasks wait behind this one; these do nothing.
fn relieve() {
    if Handle::current().runtime_flavor() == RuntimeFlavor::CurrentThread {
        return;
    }
    for _ in 0..2 {
        tokio::spawn(std::future::ready(()));
    }
}

impl Wire {
    /// Whether no request was sent yet.
    fn is_handshake(&self) -> bool {
        self.log.lock().request_end.is_none()
    }

    /// How much one read may take. The kernel stamps a read with the arrival of its *last* segment,
    /// so while the response is awaited the first byte is read by itself: of each TLS record, which
    /// may be the head's, or of a plain response.
    fn room(&self) -> usize {
        let seen = self.log.lock();
        match &self.records {
            _ if seen.request_end.is_none() || seen.head.is_some() => usize::MAX,
            Some(records) => records.room(),
            None => 1,
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let wire = &mut *self;
        let room = wire.room().min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(room));
        let read = wire.receiver.poll_read(&wire.stream, &*wire.clock, context, &mut part);
        let kernel = ready!(read)?;
        let new = part.filled();
        if new.len() >= FLIGHT_MIN && wire.records.is_some() && wire.is_handshake() {
            relieve();
        }
        if !new.is_empty() {
            let arrival = Some(Arrival { user: wire.clock.now(), kernel });
            let mut seen = wire.log.lock();
            seen.last_read = arrival;
            if wire.records.as_mut().is_some_and(|records| records.take(new)) {
                seen.record = arrival;
            }
        }
        let len = new.len();
        buffer.advance(len);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// The records of one flight go out with one call, and in one segment where they fit.
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_write_ready(context))?;
            let at = self.clock.now();
            match self.stream.try_write_vectored(parts) {
                Ok(len) => {
                    let mut seen = self.log.lock();
                    seen.first_write.get_or_insert(at);
                    seen.last_write = Some(at);
                    return Poll::Ready(Ok(len));
                }
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {}
                Err(cause) => return Poll::Ready(Err(cause)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Nothing: the socket is closed when it is dropped, right after.
    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Anything that bytes go over.
pub(super) trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

/// How the watch knows the request and the response head.
#[derive(Debug)]
pub(super) enum Speech {
    /// HTTP/1.1: every write belongs to the request, the first byte after it is the head.
    Http11,
    /// HTTP/2: frames say what they are.
    Http2 {
        /// What is written.
        out: Frames,
        /// What is read.
        back: Frames,
    },
}

/// The watch above TLS: it marks the end of the request and the start of the response head.
pub(super) struct Watch {
    pub inner: Box<dyn Bytes>,
    pub log: Log,
    pub speech: Speech,
}

impl AsyncRead for Watch {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let watch = &mut *self;
        let before = buffer.filled().len();
        ready!(Pin::new(&mut watch.inner).poll_read(context, buffer))?;
        let new = buffer.filled().get(before..).unwrap_or_default();
        let is_head = match &mut watch.speech {
            Speech::Http11 => !new.is_empty(),
            Speech::Http2 { back, .. } => back.scan(new),
        };
        let mut seen = watch.log.lock();
        if is_head && seen.head.is_none() && seen.request_end.is_some() {
            seen.head = seen.record.or(seen.last_read);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watch {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let watch = &mut *self;
        let written = ready!(Pin::new(&mut watch.inner).poll_write(context, bytes))?;
        let taken = bytes.get(..written).unwrap_or_default();
        let is_request = match &mut watch.speech {
            Speech::Http11 => !taken.is_empty(),
            Speech::Http2 { out, .. } => out.scan(taken),
        };
        let mut seen = watch.log.lock();
        if is_request && seen.head.is_none() {
            seen.request_end = seen.last_write;
        }
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

/// TLS records as they come (RFC 8446, 5.1).
#[derive(Debug, Default)]
pub(super) struct Records {
    header: [u8; Self::HEADER],
    have: usize,
    /// Bytes of the current record's payload that are still to come.
    left: usize,
}

impl Records {
    /// Type, version and length.
    const HEADER: usize = 5;

    /// How much can be read without crossing the border of a record, or of a header.
    fn room(&self) -> usize {
        if self.left > 0 { self.left } else { Self::HEADER - self.have }
    }

    /// Reads on; says whether a record begins in these bytes.
    fn take(&mut self, mut bytes: &[u8]) -> bool {
        let mut begins = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.left > 0 {
                let step = self.left.min(bytes.len());
                self.left -= step;
                bytes = bytes.get(step..).unwrap_or_default();
                continue;
            }
            begins |= self.have == 0;
            if let Some(slot) = self.header.get_mut(self.have) {
                *slot = *first;
            }
            self.have += 1;
            bytes = rest;
            if self.have == Self::HEADER {
                let [.., high, low] = self.header;
                (self.left, self.have) = (usize::from(u16::from_be_bytes([high, low])), 0);
            }
        }
        begins
    }
}

/// Finds HEADERS, CONTINUATION and DATA frames in a stream of HTTP/2 bytes (RFC 9113, 4.1).
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// Bytes of the preface or of the current frame's payload that are still to come.
    skip: usize,
    /// The frame header, as far as it came.
    header: [u8; 9],
    have: usize,
    /// Whether the current frame carries the message.
    carries: bool,
}

impl Frames {
    /// Frames after `preface` bytes that are none.
    pub(super) fn after(preface: usize) -> Self {
        Self { skip: preface, ..Self::default() }
    }

    /// Reads on; says whether any of these bytes belong to a message.
    fn scan(&mut self, mut bytes: &[u8]) -> bool {
        let mut found = false;
        while let Some((first, rest)) = bytes.split_first() {
            if self.skip > 0 {
                found |= self.carries;
                let step = self.skip.min(bytes.len());
                self.skip -= step;
                bytes = bytes.get(step..).unwrap_or_default();
                continue;
            }
            if let Some(slot) = self.header.get_mut(self.have) {
                *slot = *first;
            }
            self.have += 1;
            bytes = rest;
            if self.have == 9 {
                let [a, b, c, kind, ..] = self.header;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.carries = matches!(kind, 0 | 1 | 9);
                found |= self.carries;
                self.have = 0;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, len: u8) -> Vec<u8> {
        let mut bytes = vec![0, 0, len, kind, 0, 0, 0, 0, 1];
        bytes.extend(std::iter::repeat_n(0, usize::from(len)));
        bytes
    }

    #[test]
    fn settings_are_not_the_head() {
        let mut frames = Frames::default();
        assert!(!frames.scan(&frame(4, 18)));
        assert!(!frames.scan(&frame(8, 4)));
        assert!(frames.scan(&frame(1, 30)));
        assert!(!frames.scan(&frame(6, 8)));
        assert!(frames.scan(&frame(0, 3)));
    }

    proptest! {
        #[test]
        fn each_record_begins_once_however_it_is_cut(
            lens in prop::collection::vec(0_u16..300, 1..8),
            cut in 1_usize..50,
        ) {
            let record = |len: &u16| {
                let [high, low] = len.to_be_bytes();
                [vec![23, 3, 3, high, low], vec![0; usize::from(*len)]].concat()
            };
            let bytes: Vec<u8> = lens.iter().flat_map(record).collect();
            let mut whole = Records::default();
            prop_assert!(whole.take(&bytes));
            prop_assert_eq!(whole.room(), Records::HEADER);
            let (mut records, mut rest, mut begun) = (Records::default(), bytes.as_slice(), 0);
            while !rest.is_empty() {
                let (part, later) = rest.split_at(records.room().min(cut).min(rest.len()));
                begun += usize::from(records.take(part));
                rest = later;
            }
            prop_assert_eq!(begun, lens.len());
            prop_assert_eq!(records.room(), Records::HEADER);
        }

        #[test]
        fn cuts_change_nothing(lens in prop::collection::vec((0_u8..10, 0_u8..40), 1..8),
                               cut in 1_usize..20) {
            let bytes: Vec<u8> = lens.iter().flat_map(|(kind, len)| frame(*kind, *len)).collect();
            let whole = Frames::default().scan(&bytes);
            let mut frames = Frames::default();
            let parts = bytes.chunks(cut).fold(false, |found, part| frames.scan(part) | found);
            prop_assert_eq!(parts, whole);
        }
    }
}
