//! Following one store file: opened to read, opened again when it was replaced, polled for changes.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use probe::sample::Series;
use probe::store::{MergedRow, Store, StoreError};

use super::history::{History, Kept};
use crate::log::Entry;
use crate::range::Range;
use crate::words::shown;

/// Most failed windows that one reading tells of.
const FAILED_MAX: u32 = 200;
/// A window grows until its last sample is in: so many spans are read again.
const GROWING: i64 = 2;

/// An open store, with what was read of it.
#[derive(Debug)]
pub(super) struct Open {
    store: Store,
    inode: u64,
    version: Option<i64>,
    pub(super) kept: Kept,
    /// The range that the history is of.
    range: Range,
}

/// Where the store is, and what is known of it.
#[derive(Debug)]
pub(super) struct Follower {
    path: PathBuf,
    open: Option<Open>,
}

impl Follower {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, open: None }
    }

    /// What was read, if it ever was.
    pub(super) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// Reads what is new; says whether anything was. `now_ms` only bounds windows from a future that
    /// a clock once claimed.
    pub(super) fn poll(&mut self, range: Range, now_ms: i64) -> Result<bool, StoreError> {
        let inode = std::fs::metadata(&self.path).ok().map(|found| found.ino());
        let Some(inode) = inode else {
            return Err(StoreError::Absent { path: self.path.clone() });
        };
        let open = match self.open.take().filter(|open| open.inode == inode) {
            Some(open) => self.open.insert(open),
            None => self.open.insert(Open::new(&self.path, inode, range)?),
        };
        let version = open.store.data_version()?;
        if open.version == Some(version) && open.range == range {
            return Ok(false);
        }
        if open.range != range {
            (open.range, open.kept.history) = (range, History::default());
        }
        open.read(now_ms)?;
        open.version = Some(version);
        Ok(true)
    }
}

impl Open {
    fn new(path: &Path, inode: u64, range: Range) -> Result<Self, StoreError> {
        let store = Store::open_read_only(path)?;
        let kept = Kept { grid: store.grid(), ..Kept::default() };
        Ok(Self { store, inode, version: None, kept, range })
    }

    fn read(&mut self, now_ms: i64) -> Result<(), StoreError> {
        let kept = &mut self.kept;
        let (table, span_ms) = self.range.table(kept.grid);
        kept.newest_ms = self.store.newest_ms()?;
        let Some(newest_ms) = kept.newest_ms else { return Ok(()) };
        // Windows from a future that a clock once claimed must not hide those of today.
        let end_ms = if newest_ms > now_ms + 2 * span_ms { now_ms } else { newest_ms };
        let since_ms = end_ms.saturating_sub(self.range.len_ms(kept.grid));
        let known_ms = kept.history.newest_ms().map_or(i64::MIN, |ms| ms - GROWING * span_ms);
        let Kept { history, names, .. } = kept;
        let mut stranger = false;
        self.store.spans(table, (since_ms.max(known_ms), end_ms), |row| {
            stranger |= !names.contains_key(&row.series);
            history.put(&row);
        })?;
        history.forget_before(since_ms);
        if stranger {
            *names = self.store.series()?;
        }
        Ok(())
    }

    /// The histograms of one cell in this range, merged.
    pub(super) fn merged_of(&self, cell: &(String, String), range: Range) -> Vec<MergedRow> {
        let Some(newest_ms) = self.kept.newest_ms else { return Vec::new() };
        let names: BTreeMap<i64, Series> = self
            .kept
            .names
            .iter()
            .filter(|(_, series)| series.vantage == cell.0 && series.target == cell.1)
            .map(|(id, series)| (*id, series.clone()))
            .collect();
        let span = (newest_ms - range.len_ms(self.kept.grid), newest_ms);
        // A store that fails here fails at the next poll too, which says so.
        self.store.merged_of(&names, range.table(self.kept.grid).0, span).unwrap_or_default()
    }

    /// What the log should hold of the windows that begin at `since_ms` or later.
    pub(super) fn failures(&self, since_ms: i64) -> Result<Vec<Entry>, StoreError> {
        let failed = self.store.failed_windows(since_ms, FAILED_MAX)?;
        let entry = |row: probe::store::FailedWindow| {
            let series = &row.series;
            let name = format!("{} > {} {}", series.vantage, series.target, series.connection);
            let kinds = row.by_kind.replace('=', " ").replace(',', ", ");
            let text = format!("{name}: failed {kinds}, of {} samples", row.attempts);
            Entry::failure(row.start_ms, shown(&text)).keyed(format!("{}/{}", row.start_ms, name))
        };
        let flags = self.store.flags(since_ms, i64::MAX)?.into_iter().map(|row| {
            let name = format!("{} > {}", row.series.vantage, row.series.target);
            let text = format!(
                "{name}: {} us is faster than light allows ({} us)",
                row.found.fastest_us, row.found.least_us
            );
            Entry::failure(row.start_ms, shown(&text))
                .keyed(format!("{}/{name}/light", row.start_ms))
        });
        Ok(failed.into_iter().map(entry).chain(flags).collect())
    }
}
