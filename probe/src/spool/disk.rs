//! Batches that wait on disk: one file each, oldest first, bounded in bytes. What the disk does not
//! take waits in memory. It sends nothing and reads no clock.
//!
//! A batch is written whole under another name, flushed, and then renamed, so that a kill leaves it
//! there or not. Before a request is made with it, its file is renamed to say so: after a kill nobody
//! could tell otherwise whether it was taken.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::publish::Batch;

/// A batch that nobody has been sent.
const WAITING: &str = "json";
/// A batch that was sent, and that nobody is known to have taken.
const DOUBTFUL: &str = "sent";
/// A batch on its way to the disk.
const NEW: &str = "new";
/// Batches that wait in memory, at most.
const MEMORY_MAX: usize = 64;

/// The spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder cannot be made or read.
    #[error("cannot use spool {}: {cause}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// Another process holds it.
    #[error("spool {} is in use by another probe", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
}

/// Whether a batch was sent already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody was sent it.
    Waiting,
    /// A request was made with it, at this wall time in ms, and its end is not known.
    Doubtful(i64),
}

/// What is known of a batch whose end is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Doubt {
    /// When a request was made with it, in ms since 1970.
    pub since_ms: i64,
    /// The time of its oldest datum, in ms since 1970.
    pub oldest_ms: i64,
}

#[derive(Debug)]
struct Entry {
    state: State,
    windows: u64,
    bytes: u64,
    /// The time of its oldest datum.
    oldest_ms: i64,
    /// The batch itself, where the disk did not take it.
    held: Option<Batch>,
}

/// The batches of one folder.
#[derive(Debug)]
pub struct Disk {
    folder: PathBuf,
    bytes_max: u64,
    entries: BTreeMap<u64, Entry>,
    next: u64,
    /// Held as long as the spool is used.
    _lock: File,
}

impl Disk {
    /// Opens a folder, which is made where it is missing. Batches of earlier runs are found again;
    /// those that were sent count as doubtful since `now_ms`.
    pub fn open(folder: &Path, bytes_max: u64, now_ms: i64) -> Result<Self, SpoolError> {
        let failed = |cause| SpoolError::Folder { path: folder.to_owned(), cause };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SpoolError::InUse { path: folder.to_owned() });
            }
            Err(TryLockError::Error(cause)) => return Err(failed(cause)),
        }
        let mut entries = BTreeMap::new();
        for file in fs::read_dir(folder).map_err(failed)? {
            let path = file.map_err(failed)?.path();
            if path.extension().is_some_and(|end| end == NEW) {
                // Cut short by a kill: its windows were never accepted.
                fs::remove_file(&path).map_err(failed)?;
            } else if let Some((number, entry)) = found(&path, now_ms) {
                entries.insert(number, entry);
            }
        }
        let next = entries.keys().next_back().map_or(0, |last| last + 1);
        Ok(Self { folder: folder.to_owned(), bytes_max, entries, next, _lock: lock })
    }

    fn path(&self, number: u64, end: &str) -> PathBuf {
        self.folder.join(format!("{number:016}.{end}"))
    }

    /// Takes a batch. Says how many windows had to be dropped for it: the oldest.
    pub fn push(&mut self, batch: Batch) -> u64 {
        let number = self.next;
        self.next += 1;
        let (windows, oldest_ms) = (batch.windows, oldest_ms(&batch));
        let text = serde_json::to_vec(&batch).unwrap_or_default();
        let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let mut dropped = self.make_room(bytes);
        let held = match self.keep(number, &text, WAITING) {
            Ok(()) => None,
            Err(error) => {
                tracing::warn!(%error, "the spool's disk takes nothing: windows wait in memory");
                Some(batch)
            }
        };
        let entry = Entry { state: State::Waiting, windows, bytes, oldest_ms, held };
        self.entries.insert(number, entry);
        if self.held().count() > MEMORY_MAX {
            let oldest = self.held().next();
            dropped += oldest.map_or(0, |number| self.remove(number));
        }
        dropped
    }

    /// Drops the oldest until so many more bytes fit; says how many windows.
    fn make_room(&mut self, bytes: u64) -> u64 {
        let mut dropped = 0;
        while self.bytes() + bytes > self.bytes_max {
            let Some(oldest) = self.entries.keys().next().copied() else { break };
            dropped += self.remove(oldest);
        }
        dropped
    }

    fn bytes(&self) -> u64 {
        self.entries.values().map(|entry| entry.bytes).sum()
    }

    fn keep(&self, number: u64, text: &[u8], end: &str) -> io::Result<()> {
        let beside = self.path(number, NEW);
        let written = File::create(&beside).and_then(|mut file| {
            file.write_all(text)?;
            file.sync_all()
        });
        let kept = written.and_then(|()| fs::rename(&beside, self.path(number, end)));
        if kept.is_err() {
            // What is left of the attempt goes away with the next start, if not now.
            let _ = fs::remove_file(&beside);
        }
        kept?;
        self.sync()
    }

    /// Tries again to put on disk what waits in memory, oldest first, up to the first failure.
    pub fn keep_held(&mut self) {
        let held: Vec<u64> = self.held().collect();
        for number in held {
            let Some(entry) = self.entries.get(&number) else { return };
            let end = if entry.state == State::Waiting { WAITING } else { DOUBTFUL };
            let text = serde_json::to_vec(&entry.held).unwrap_or_default();
            if self.keep(number, &text, end).is_err() {
                return;
            }
            if let Some(entry) = self.entries.get_mut(&number) {
                entry.held = None;
            }
        }
    }

    /// Forgets what only memory holds, as the end of the process would; says how many windows.
    pub fn lose_held(&mut self) -> u64 {
        let held: Vec<u64> = self.held().collect();
        held.into_iter().map(|number| self.remove(number)).sum()
    }

    /// Numbers of what waits in memory, oldest first.
    fn held(&self) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(|(_, entry)| entry.held.is_some()).map(|(number, _)| *number)
    }

    /// Flushes the names of the folder.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    /// Numbers of the batches that wait, oldest first.
    #[must_use]
    pub fn waiting(&self) -> Vec<u64> {
        let waits = |(_, entry): &(&u64, &Entry)| entry.state == State::Waiting;
        self.entries.iter().filter(waits).map(|(number, _)| *number).collect()
    }

    /// Numbers of the doubtful batches, and what is known of each.
    #[must_use]
    pub fn doubtful(&self) -> Vec<(u64, Doubt)> {
        let doubt = |(number, entry): (&u64, &Entry)| match entry.state {
            State::Doubtful(since_ms) => {
                Some((*number, Doubt { since_ms, oldest_ms: entry.oldest_ms }))
            }
            State::Waiting => None,
        };
        self.entries.iter().filter_map(doubt).collect()
    }

    /// The windows of all batches.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.entries.values().map(|entry| entry.windows).sum()
    }

    /// Reads a batch. `None`: its file does not hold one any more.
    #[must_use]
    pub fn read(&self, number: u64) -> Option<Batch> {
        let entry = self.entries.get(&number)?;
        if let Some(batch) = &entry.held {
            return Some(batch.clone());
        }
        let end = if entry.state == State::Waiting { WAITING } else { DOUBTFUL };
        let text = fs::read(self.path(number, end)).ok()?;
        serde_json::from_slice(&text).ok()
    }

    /// Notes, on disk too, that a request is made with a batch, or that it was not taken.
    pub fn mark(&mut self, number: u64, state: State) -> io::Result<()> {
        let Some(entry) = self.entries.get_mut(&number) else { return Ok(()) };
        let was_waiting = entry.state == State::Waiting;
        let is_waiting = state == State::Waiting;
        entry.state = state;
        if entry.held.is_some() || was_waiting == is_waiting {
            return Ok(());
        }
        let (from, to) = if is_waiting { (DOUBTFUL, WAITING) } else { (WAITING, DOUBTFUL) };
        fs::rename(self.path(number, from), self.path(number, to))?;
        self.sync()
    }

    /// Removes a batch; says how many windows it had.
    pub fn remove(&mut self, number: u64) -> u64 {
        let Some(entry) = self.entries.remove(&number) else { return 0 };
        for end in [WAITING, DOUBTFUL] {
            // Only one of the two is there, and none of a batch in memory.
            let _ = fs::remove_file(self.path(number, end));
        }
        entry.windows
    }
}

/// The batch of a file, if it is one.
fn found(path: &Path, now_ms: i64) -> Option<(u64, Entry)> {
    let number = path.file_stem()?.to_str()?.parse().ok()?;
    let state = match path.extension()?.to_str()? {
        WAITING => State::Waiting,
        DOUBTFUL => State::Doubtful(now_ms),
        _ => return None,
    };
    let text = fs::read(path).ok()?;
    let batch: Batch = serde_json::from_slice(&text).ok()?;
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let (windows, oldest_ms) = (batch.windows, oldest_ms(&batch));
    Some((number, Entry { state, windows, bytes, oldest_ms, held: None }))
}

fn oldest_ms(batch: &Batch) -> i64 {
    batch.datums.iter().map(|datum| datum.at_ms).min().unwrap_or(i64::MAX)
}
