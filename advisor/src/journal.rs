//! The apply journal: what was about to be done, written before it is done.
//!
//! One file of JSON lines beside the store, locked exclusively and fsynced at each entry, so that
//! after a crash at any point `--resume` or `rollback` knows where things stand. Reading and
//! writing entries only; what to do about them is decided in `apply`.

mod standing;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::name::Label;
use crate::plan::{Intent, Plan};
use crate::record::ChangeBatch;
use crate::zone::ChangeId;

pub use standing::{canary_under_way, newest_standing, standing};

/// How an operation ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// In sync, read back, and answered as planned.
    Applied,
    /// In place, but not verified; it was taken back or waits for `rollback`.
    Unverified(String),
    /// Nothing was changed.
    Abandoned(String),
}

/// One step of an operation. Those in the present tense are written before the call they name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A cleared plan is about to be applied.
    Begins(Box<Plan>),
    /// A health check is about to be found or created.
    EnsuresHealthCheck {
        /// Its CallerReference.
        caller_reference: String,
    },
    /// A health check exists.
    HasHealthCheck {
        /// Its CallerReference.
        caller_reference: String,
        /// Its id.
        id: String,
    },
    /// The batch is about to be sent.
    Submits {
        /// The batch, with ids.
        batch: ChangeBatch,
        /// The applier's token, which stands in the lock.
        run: String,
    },
    /// Route 53 took the batch.
    Accepted {
        /// The change; `None` where only reading back showed that it was taken.
        change_id: Option<ChangeId>,
    },
    /// The change is on all name servers.
    InSync,
    /// The operation is over.
    Ends(Ending),
}

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the epoch.
    pub at_ms: i64,
    /// Which operation, from 1.
    pub operation: u64,
    /// What.
    pub event: Event,
}

/// An operation, folded from its entries.
#[derive(Debug, Clone, PartialEq)]
pub struct Operation {
    /// From 1.
    pub number: u64,
    /// When it began, milliseconds since the epoch.
    pub began_at_ms: i64,
    /// When its last entry was written.
    pub last_at_ms: i64,
    /// What is applied.
    pub plan: Plan,
    /// Ids of health checks by CallerReference.
    pub health_checks: BTreeMap<String, String>,
    /// The batch and the token, once it was about to be sent.
    pub submitted: Option<(ChangeBatch, String)>,
    /// Whether Route 53 is known to have taken it, with the change's id where that is known.
    pub accepted: Option<Option<ChangeId>>,
    /// Whether it is on all name servers.
    pub in_sync: bool,
    /// How it ended.
    pub ending: Option<Ending>,
}

impl Operation {
    fn begin(entry: &Entry, plan: Plan) -> Self {
        Self {
            number: entry.operation,
            began_at_ms: entry.at_ms,
            last_at_ms: entry.at_ms,
            plan,
            health_checks: BTreeMap::new(),
            submitted: None,
            accepted: None,
            in_sync: false,
            ending: None,
        }
    }

    fn update(&mut self, entry: &Entry) {
        self.last_at_ms = entry.at_ms;
        match &entry.event {
            Event::Begins(_) | Event::EnsuresHealthCheck { .. } => {}
            Event::HasHealthCheck { caller_reference, id } => {
                self.health_checks.insert(caller_reference.clone(), id.clone());
            }
            Event::Submits { batch, run } => {
                self.submitted = Some((batch.clone(), run.clone()));
            }
            Event::Accepted { change_id } => self.accepted = Some(change_id.clone()),
            Event::InSync => self.in_sync = true,
            Event::Ends(ending) => self.ending = Some(ending.clone()),
        }
    }

    /// Whether its changes stand in the zone, as far as the journal knows.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        self.accepted.is_some() && !matches!(self.ending, Some(Ending::Abandoned(_)))
    }
}

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds it.
    #[error("journal {0} is in use by another advisor")]
    Locked(PathBuf),
    /// The file system refused.
    #[error("cannot {what} journal {path}: {cause}")]
    Io {
        /// `open`, `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The cause.
        cause: std::io::Error,
    },
    /// A line that no version of ours wrote.
    #[error("journal {path}, line {line}, is not readable: {cause}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// Why.
        cause: String,
    },
}

impl JournalError {
    /// What to try.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Locked(_) => "wait until it ends: two appliers must never share a journal",
            Self::Io { .. } => "check the folder's permissions and free space",
            Self::Corrupt { .. } => {
                "keep the file, and compare the zone with `advisor history` by hand"
            }
        }
    }
}

/// An open journal. It is locked until dropped.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole entries.
    len: u64,
    operations: Vec<Operation>,
}

impl Journal {
    /// Opens or creates the journal, locks it, and drops a last line that a crash left unfinished.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let io = |what| {
            let path = path.to_owned();
            move |cause| JournalError::Io { what, path, cause }
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io("open"))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => JournalError::Locked(path.to_owned()),
            TryLockError::Error(cause) => io("lock")(cause),
        })?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(io("read"))?;
        let whole = whole_lines(&bytes);
        let operations = fold(&read_entries(path, whole)?);
        let len = whole.len() as u64;
        if whole.len() < bytes.len() {
            file.set_len(len).map_err(io("repair"))?;
        }
        file.seek(SeekFrom::Start(len)).map_err(io("read"))?;
        sync_folder(path).map_err(io("write"))?;
        Ok(Self { path: path.to_owned(), file, len, operations })
    }

    /// What the journal tells, oldest first, without opening it for writing.
    pub fn read(path: &Path) -> Result<Vec<Operation>, JournalError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(cause) => {
                return Err(JournalError::Io { what: "read", path: path.to_owned(), cause });
            }
        };
        Ok(fold(&read_entries(path, whole_lines(&bytes))?))
    }

    /// All operations, oldest first.
    #[must_use]
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The operation that has begun and not ended. There is at most one.
    #[must_use]
    pub fn unfinished(&self) -> Option<&Operation> {
        self.operations.last().filter(|operation| operation.ending.is_none())
    }

    /// Begins an operation and returns its number.
    pub fn begin(&mut self, at_ms: i64, plan: &Plan) -> Result<u64, JournalError> {
        let number = self.operations.last().map_or(0, |last| last.number) + 1;
        let event = Event::Begins(Box::new(plan.clone()));
        self.append(&Entry { at_ms, operation: number, event })?;
        Ok(number)
    }

    /// Adds an event to the newest operation.
    pub fn note(&mut self, at_ms: i64, event: Event) -> Result<(), JournalError> {
        let operation = self.operations.last().map_or(0, |last| last.number);
        self.append(&Entry { at_ms, operation, event })
    }

    fn append(&mut self, entry: &Entry) -> Result<(), JournalError> {
        let io = |cause: std::io::Error| JournalError::Io {
            what: "write",
            path: self.path.clone(),
            cause,
        };
        let mut line = serde_json::to_vec(entry).map_err(|error| io(error.into()))?;
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        if let Err(cause) = written {
            // What is there of the entry must not become the head of the next one. If even this
            // fails, the next one to open the journal drops it.
            let _ = self.file.set_len(self.len);
            let _ = self.file.seek(SeekFrom::Start(self.len));
            return Err(io(cause));
        }
        self.len += line.len() as u64;
        fold_entry(&mut self.operations, entry);
        Ok(())
    }
}

/// What a crash left unfinished after the last line is no entry, and need not even be text.
fn whole_lines(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
    &bytes[..end]
}

/// Makes a new file's name as durable as its contents: without this a power cut may lose the file.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn read_entries(path: &Path, bytes: &[u8]) -> Result<Vec<Entry>, JournalError> {
    let parse = |(index, line): (usize, &[u8])| {
        serde_json::from_slice(line).map_err(|error| JournalError::Corrupt {
            path: path.to_owned(),
            line: index + 1,
            cause: error.to_string(),
        })
    };
    let lines = bytes.strip_suffix(b"\n").into_iter().flat_map(|all| all.split(|b| *b == b'\n'));
    lines.enumerate().map(parse).collect()
}

fn fold(entries: &[Entry]) -> Vec<Operation> {
    let mut operations = Vec::new();
    for entry in entries {
        fold_entry(&mut operations, entry);
    }
    operations
}

fn fold_entry(operations: &mut Vec<Operation>, entry: &Entry) {
    if let Event::Begins(plan) = &entry.event {
        operations.push(Operation::begin(entry, (**plan).clone()));
    } else if let Some(last) = operations.last_mut() {
        last.update(entry);
    }
}

/// The labels that may not move yet, with the time from which they may.
///
/// A label rests for `cooldown_ms` after each change, doubled each time it was reversed.
#[must_use]
pub fn cooling(operations: &[Operation], cooldown_ms: i64, now_ms: i64) -> BTreeMap<Label, i64> {
    // When it changed, how often it was reversed, and where it came from, which may be nowhere.
    let mut last: BTreeMap<Label, (i64, u32, Option<&Option<String>>)> = BTreeMap::new();
    for operation in operations.iter().filter(|operation| operation.is_in_place()) {
        let taken_back = matches!(operation.plan.intent, Intent::Rollback(_));
        for step in &operation.plan.moves {
            let entry = last.entry(Label::new(&step.label)).or_default();
            // By rollback or by advice: a label that returns where it came from was reversed.
            let reversed = taken_back || entry.2 == Some(&step.to);
            *entry = (operation.last_at_ms, entry.1 + u32::from(reversed), Some(&step.from));
        }
    }
    last.into_iter()
        .map(|(label, (at_ms, reversals, _))| {
            (label, at_ms.saturating_add(cooldown_ms.saturating_mul(1 << reversals.min(16))))
        })
        .filter(|(_, until_ms)| *until_ms > now_ms)
        .collect()
}

#[cfg(test)]
mod tests;
