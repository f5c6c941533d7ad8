//! The thread that measures: one, with a runtime of its own.
//!
//! Nothing else that the process does (a dashboard, `/metrics`, a spool) can delay a due instant, and
//! no thread has to wake another inside a measured path. One is enough: a sample takes some 13 us of
//! it warm and 180 us cold.

use std::io;
use std::panic::resume_unwind;
use std::thread::{self, JoinHandle};

use tokio::sync::oneshot;

use super::{AgentError, Summary};

type Ended = Result<Summary, AgentError>;

/// The thread, until it is asked what it came to.
pub(super) struct OwnThread {
    ended: oneshot::Receiver<Ended>,
    thread: Option<JoinHandle<()>>,
}

impl OwnThread {
    /// Starts the thread; `work` is called in it.
    pub(super) fn start<F: Future<Output = Ended>>(
        work: impl FnOnce() -> F + Send + 'static,
    ) -> Result<Self, AgentError> {
        let failed = |cause: io::Error| AgentError::Thread { cause };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (told, ended) = oneshot::channel();
        let body = move || {
            // Nobody waits any more where it cannot be sent.
            told.send(runtime.block_on(work())).unwrap_or_default();
        };
        let thread = thread::Builder::new().name("measuring".to_owned()).spawn(body);
        Ok(Self { ended, thread: Some(thread.map_err(failed)?) })
    }

    /// What the work came to. A panic of the thread goes on in the caller.
    pub(super) async fn result(&mut self) -> Ended {
        if let Ok(ended) = (&mut self.ended).await {
            return ended;
        }
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => resume_unwind(panic),
            // It sends before it ends, so that it cannot have ended in peace.
            Some(Ok(())) | None => {
                Err(AgentError::Thread { cause: io::Error::other("it ended without a result") })
            }
        }
    }
}
