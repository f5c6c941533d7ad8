//! Hands windows to the sink in a thread of its own, so that a slow disk delays no sample.
//! Windows that cannot be written wait and are tried again; how many wait is bounded.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::window::{Sink, Window};

/// Most batches between the agent and the thread.
const BATCHES_MAX: usize = 64;
/// Most windows that wait for a sink that fails: a day of one-minute windows of 69 series.
const WAITING_MAX: usize = 100_000;
/// How long after a failure the thread tries again by itself.
const RETRY: Duration = Duration::from_secs(5);

/// What was written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub windows: u64,
    pub lost: u64,
    pub failure: Option<String>,
}

/// The agent's end.
#[derive(Debug)]
pub(super) struct Writer {
    batches: SyncSender<Vec<Window>>,
    /// What did not fit into the channel.
    held: VecDeque<Window>,
    held_lost: u64,
    failure: Arc<Mutex<Option<String>>>,
    thread: JoinHandle<Written>,
}

impl Writer {
    pub(super) fn start<S: Sink + 'static>(sink: S) -> io::Result<Self> {
        let (batches, receiver) = sync_channel(BATCHES_MAX);
        let failure = Arc::new(Mutex::new(None));
        let told = Arc::clone(&failure);
        let thread = std::thread::Builder::new()
            .name("windows".to_owned())
            .spawn(move || write_all(sink, &receiver, &told))?;
        Ok(Self { batches, held: VecDeque::new(), held_lost: 0, failure, thread })
    }

    /// Gives windows to the thread; never waits.
    pub(super) fn give(&mut self, windows: Vec<Window>) {
        self.held.extend(windows);
        if self.held.is_empty() {
            return;
        }
        let batch: Vec<Window> = self.held.drain(..).collect();
        match self.batches.try_send(batch) {
            Ok(()) => {}
            Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) => {
                self.held.extend(batch);
                self.held_lost += trim(&mut self.held);
            }
        }
    }

    /// The newest failure that was not yet told.
    pub(super) fn take_failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Waits until everything is written, or cannot be.
    pub(super) async fn finish(self) -> Written {
        let Self { batches, held, held_lost, thread, .. } = self;
        let rest: Vec<Window> = held.into();
        let joined = tokio::task::spawn_blocking(move || {
            let lost = u64::try_from(rest.len()).unwrap_or(u64::MAX);
            let unsent = if rest.is_empty() { Ok(()) } else { batches.send(rest) };
            drop(batches);
            let mut written = thread.join().unwrap_or_default();
            if unsent.is_err() {
                written.lost += lost;
            }
            written
        });
        let mut written = joined.await.unwrap_or_default();
        written.lost += held_lost;
        written
    }
}

/// Drops the oldest above the bound; says how many.
fn trim(waiting: &mut VecDeque<Window>) -> u64 {
    let over = waiting.len().saturating_sub(WAITING_MAX);
    waiting.drain(..over);
    u64::try_from(over).unwrap_or(u64::MAX)
}

fn write_all<S: Sink>(
    mut sink: S,
    batches: &Receiver<Vec<Window>>,
    told: &Mutex<Option<String>>,
) -> Written {
    let mut written = Written::default();
    let mut waiting: VecDeque<Window> = VecDeque::new();
    loop {
        let ended = match batches.recv_timeout(RETRY) {
            Ok(batch) => {
                waiting.extend(batch);
                written.lost += trim(&mut waiting);
                false
            }
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => true,
        };
        if !waiting.is_empty() {
            let batch: Vec<Window> = waiting.drain(..).collect();
            let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
            match sink.write(batch) {
                Ok(()) => {
                    written.windows += count;
                    written.failure = None;
                }
                Err(error) => {
                    let cause = error.cause.to_string();
                    waiting.extend(error.windows);
                    *told.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause.clone());
                    written.failure = Some(cause);
                }
            }
        }
        if ended {
            written.lost += u64::try_from(waiting.len()).unwrap_or(u64::MAX);
            return written;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::SinkError;
    use crate::window::tests::series;

    struct Flaky {
        fail: u32,
        kept: Arc<Mutex<Vec<Window>>>,
    }

    impl Sink for Flaky {
        fn write(&mut self, windows: Vec<Window>) -> Result<(), SinkError> {
            if self.fail > 0 {
                self.fail -= 1;
                return Err(SinkError { windows, cause: "no room".into() });
            }
            self.kept.lock().unwrap().extend(windows);
            Ok(())
        }
    }

    #[tokio::test]
    async fn windows_that_failed_are_tried_again() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mut writer = Writer::start(Flaky { fail: 1, kept: Arc::clone(&kept) }).unwrap();
        for index in 0..3 {
            writer.give(vec![Window::new(series("a"), index * 2_000, 2_000)]);
        }
        let written = writer.finish().await;
        assert_eq!((written.windows, written.lost, written.failure), (3, 0, None));
        let starts: Vec<i64> = kept.lock().unwrap().iter().map(|window| window.start_ms).collect();
        assert_eq!(starts, [0, 2_000, 4_000]);
    }

    #[tokio::test]
    async fn a_sink_that_never_works_is_told() {
        let kept = Arc::new(Mutex::new(Vec::new()));
        let mut writer = Writer::start(Flaky { fail: u32::MAX, kept }).unwrap();
        writer.give(vec![Window::new(series("a"), 0, 2_000)]);
        let written = writer.finish().await;
        assert_eq!((written.windows, written.lost), (0, 1));
        assert_eq!(written.failure.as_deref(), Some("no room"));
    }
}
