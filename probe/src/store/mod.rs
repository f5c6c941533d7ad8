//! The embedded store: one SQLite file. Windows come in, blocks, hours and days are made of them.
//!
//! It reads no clock: "now" is the end of the newest window that was written, or an argument. One
//! process writes at a time; others may read. A kill loses what was not yet written, no more.

mod blob;
mod cover;
mod lease;
mod read;
mod schema;
mod screen;
mod span;
mod told;
mod window_set;
mod write;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::histogram::{Encoded, Histogram};
use crate::sample::Series;
use crate::window::{BelowLight, PhaseHistograms, Sink, SinkError, Window};

pub use blob::BlobError;
pub use screen::{FailedWindow, SpanRow, SpanTable};
pub use told::{TimingRow, WayRow};
pub use window_set::WindowSet;

/// The store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such file.
    #[error("store {} does not exist", path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no table: whoever makes the store has not come to it yet.
    #[error("store {} is an empty file", path.display())]
    Blank {
        /// The file.
        path: PathBuf,
    },
    /// There is a folder.
    #[error("store {} is a folder", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// The file holds something else.
    #[error("{} is no store of measurements", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The file was written by a newer version.
    #[error("store {} has schema {found}, newer than {known}, the newest known here", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema of this version.
        known: i64,
    },
    /// There is no room left; nothing was written.
    #[error("store {} cannot grow: the disk is full", path.display())]
    Full {
        /// The file.
        path: PathBuf,
    },
    /// Another process holds the file.
    #[error("store {} is locked by another process", path.display())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite says.
    #[error("store {} cannot be used: {cause}", path.display())]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        cause: rusqlite::Error,
    },
    /// A row does not hold what this version writes.
    #[error("store {} holds a row that cannot be read: {cause}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: BlobError,
    },
    /// A grid that is not one.
    #[error("a block of {block_ms} ms is not a multiple of a window of {window_ms} ms")]
    Grid {
        /// The window's length.
        window_ms: i64,
        /// The block's length.
        block_ms: i64,
    },
}

impl StoreError {
    fn from_sqlite(path: &Path, cause: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match cause.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Self::Full { path },
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => {
                Self::Busy { path }
            }
            Some(rusqlite::ErrorCode::NotADatabase) => Self::Foreign { path },
            _ => Self::Sqlite { path, cause },
        }
    }

    /// What to try.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Absent { .. } | Self::Blank { .. } => {
                Some("measure first, or name another store with --store")
            }
            Self::Folder { .. } => Some("name a file in it with --store sqlite:FOLDER/FILE"),
            Self::Foreign { .. } => Some("name another file with --store: this one stays as it is"),
            Self::Newer { .. } => Some("use the version that wrote it, or name another store"),
            Self::Full { .. } => Some("free some space; the windows are kept and written then"),
            Self::Busy { .. } => Some("end the other writer, or name another store"),
            Self::Sqlite { .. } => Some("check that it is a store and that it can be written"),
            Self::Row { .. } | Self::Grid { .. } => None,
        }
    }
}

/// How windows are laid into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Length of a window, in ms.
    pub window_ms: i64,
    /// Length of a block, in ms: a multiple of `window_ms`.
    pub block_ms: i64,
}

impl Default for Grid {
    /// 60 s and 4 h.
    fn default() -> Self {
        Self { window_ms: 60_000, block_ms: 14_400_000 }
    }
}

impl Grid {
    /// The grid of these settings.
    #[must_use]
    pub fn of(evidence: &crate::config::EvidenceSettings) -> Self {
        let ms = |d: std::time::Duration| i64::try_from(d.as_millis()).unwrap_or(i64::MAX);
        Self { window_ms: ms(evidence.window), block_ms: ms(evidence.block) }
    }
}

/// Quantiles of the response in a block, in microseconds; failures weigh in as slower than the
/// timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Quantiles {
    /// The 10th percentile.
    pub p10_us: u64,
    /// The 25th percentile.
    pub p25_us: u64,
    /// The median.
    pub p50_us: u64,
    /// The 75th percentile.
    pub p75_us: u64,
    /// The 90th percentile.
    pub p90_us: u64,
    /// The 95th percentile.
    pub p95_us: u64,
    /// The 99th percentile.
    pub p99_us: u64,
}

impl Quantiles {
    /// The quantiles of this histogram; `None` when it is empty.
    #[must_use]
    pub fn of(histogram: &Histogram) -> Option<Self> {
        Some(Self {
            p10_us: histogram.quantile_us(0.10)?,
            p25_us: histogram.quantile_us(0.25)?,
            p50_us: histogram.quantile_us(0.50)?,
            p75_us: histogram.quantile_us(0.75)?,
            p90_us: histogram.quantile_us(0.90)?,
            p95_us: histogram.quantile_us(0.95)?,
            p99_us: histogram.quantile_us(0.99)?,
        })
    }

    /// The kept quantile, one of 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99.
    #[must_use]
    pub fn get(&self, quantile: f64) -> Option<u64> {
        let kept = [
            (0.10, self.p10_us),
            (0.25, self.p25_us),
            (0.50, self.p50_us),
            (0.75, self.p75_us),
            (0.90, self.p90_us),
            (0.95, self.p95_us),
            (0.99, self.p99_us),
        ];
        kept.iter().find(|(q, _)| (q - quantile).abs() < 1e-9).map(|(_, us)| *us)
    }
}

/// A closed block of one series: the unit of statistical evidence. A block without a sample has
/// no row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRow {
    /// Whose block.
    pub series: Series,
    /// Wall time of its start, in ms since 1970; a multiple of `len_ms`.
    pub start_ms: i64,
    /// Its length, in ms.
    pub len_ms: i64,
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Quantiles of the response, over the whole block.
    pub quantiles: Quantiles,
    /// Bit i: window i of the block had attempts and no missed slot.
    pub valid: WindowSet,
}

/// Everything of one series in a span of time, merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedRow {
    /// Whose.
    pub series: Series,
    /// Samples that were sent.
    pub attempts: u64,
    /// Those that failed.
    pub failures: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Samples that the prober started late.
    pub late: u64,
    /// Failures by outcome kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// From due to the end; a failure is slower than the timeout.
    pub response: Histogram,
    /// From sent to the end; a failure is slower than the timeout.
    pub service: Histogram,
    /// The phases of successes.
    pub phases: PhaseHistograms,
    /// The end of the newest span in it, in ms since 1970: how old the evidence is.
    pub last_ms: i64,
}

/// A window, an hour or a day of one series, its histograms not yet decoded.
#[derive(Debug, Clone)]
pub struct Span<'a> {
    /// Samples that were sent.
    pub attempts: u64,
    /// Slots that could not start.
    pub missed: u64,
    /// Samples that the prober started late.
    pub late: u64,
    /// Failures by outcome kind.
    pub by_kind: BTreeMap<&'static str, u64>,
    /// From due to the end; a failure is slower than the timeout.
    pub response: Encoded<'a>,
    /// The phases of successes and `local`, in the order of time.
    pub phases: [Encoded<'a>; 6],
    /// Its end, in ms since 1970.
    pub end_ms: i64,
}

/// One window of one series, as far as an export needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowRow {
    /// Whose.
    pub series: Series,
    /// Wall time of its start, in ms since 1970.
    pub start_ms: i64,
    /// Its length, in ms.
    pub len_ms: i64,
    /// From due to the end; a failure is slower than the timeout.
    pub response: Histogram,
}

/// A window in which something was seen that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagRow {
    /// Whose.
    pub series: Series,
    /// Wall time of the window's start, in ms since 1970.
    pub start_ms: i64,
    /// The window's length, in ms.
    pub len_ms: i64,
    /// Round trips faster than light allows.
    pub found: BelowLight,
}

/// The embedded store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    connection: Connection,
    grid: Grid,
}

impl Store {
    /// Opens the store, and makes it where there is none.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), true)
    }

    /// Opens a store that is there.
    pub fn open_existing(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open_as(path.as_ref(), false)
    }

    fn open_as(path: &Path, create: bool) -> Result<Self, StoreError> {
        let connection = schema::open(path, create)?;
        let mut store = Self { path: path.to_owned(), connection, grid: Grid::default() };
        store.grid =
            Grid { window_ms: store.meta("window_ms")?, block_ms: store.meta("block_ms")? };
        Ok(store)
    }

    /// Sets how windows are laid into blocks from now on, and keeps it in the file.
    pub fn set_grid(&mut self, grid: Grid) -> Result<(), StoreError> {
        let Grid { window_ms, block_ms } = grid;
        if window_ms <= 0 || block_ms < window_ms || block_ms % window_ms != 0 {
            return Err(StoreError::Grid { window_ms, block_ms });
        }
        if grid == self.grid {
            return Ok(());
        }
        let fault = |cause| StoreError::from_sqlite(&self.path, cause);
        let transaction = self.connection.transaction().map_err(fault)?;
        for (key, value) in [("window_ms", window_ms), ("block_ms", block_ms)] {
            write::set_meta(&transaction, key, value).map_err(fault)?;
        }
        transaction.commit().map_err(fault)?;
        self.grid = grid;
        Ok(())
    }

    /// Lets the file grow to at most so many pages of 4 KiB, or without a bound. What does not fit
    /// is refused as by a full disk.
    pub fn limit_pages(&mut self, pages: Option<u32>) -> Result<(), StoreError> {
        let most = pages.unwrap_or(u32::MAX - 1);
        // The pragma answers with the bound that is now in force.
        self.connection
            .query_row(&format!("PRAGMA max_page_count = {most}"), [], |row| row.get::<_, i64>(0))
            .map(|_| ())
            .map_err(|cause| self.fault(cause))
    }

    /// How windows are laid into blocks.
    #[must_use]
    pub fn grid(&self) -> Grid {
        self.grid
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn meta(&self, key: &str) -> Result<i64, StoreError> {
        write::meta(&self.connection, key, 0).map_err(|cause| self.fault(cause))
    }

    fn fault(&self, cause: rusqlite::Error) -> StoreError {
        StoreError::from_sqlite(&self.path, cause)
    }

    fn row_fault(&self, cause: RowError) -> StoreError {
        match cause {
            RowError::Sqlite(cause) => self.fault(cause),
            RowError::Blob(cause) => StoreError::Row { path: self.path.clone(), cause },
        }
    }
}

impl Sink for Store {
    fn write(&mut self, windows: Vec<Window>) -> Result<(), SinkError> {
        match Store::write(self, &windows) {
            Ok(()) => Ok(()),
            Err(cause) => Err(SinkError { windows, cause: Box::new(cause) }),
        }
    }
}

/// What can go wrong inside one statement.
#[derive(Debug)]
enum RowError {
    Sqlite(rusqlite::Error),
    Blob(BlobError),
}

impl From<rusqlite::Error> for RowError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Sqlite(cause)
    }
}

impl From<BlobError> for RowError {
    fn from(cause: BlobError) -> Self {
        Self::Blob(cause)
    }
}

impl From<crate::histogram::HistogramError> for RowError {
    fn from(cause: crate::histogram::HistogramError) -> Self {
        Self::Blob(cause.into())
    }
}
