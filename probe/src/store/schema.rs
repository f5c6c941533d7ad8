//! The store's tables, how a file is opened, and which versions are known.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Grid, StoreError};

/// The schema this code writes; kept in `user_version`.
pub(super) const SCHEMA: i64 = 3;

/// How long a writer waits for another process.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// The same for a screen, which asks again anyway.
const BUSY_TIMEOUT_READER: Duration = Duration::from_millis(100);

const SPAN_COLUMNS: &str = "
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series(id),
    start_ms INTEGER NOT NULL,
    len_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    missed INTEGER NOT NULL,
    late INTEGER NOT NULL,
    by_kind TEXT NOT NULL,
    p10_us INTEGER, p25_us INTEGER, p50_us INTEGER, p75_us INTEGER,
    p90_us INTEGER, p95_us INTEGER, p99_us INTEGER,
    response BLOB NOT NULL,
    service BLOB NOT NULL,
    phases BLOB NOT NULL,
    UNIQUE (start_ms, series)";

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE series (
    id INTEGER PRIMARY KEY,
    vantage TEXT NOT NULL, target TEXT NOT NULL, connection TEXT NOT NULL, path TEXT NOT NULL,
    UNIQUE (vantage, target, connection, path));
CREATE TABLE blocks (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series(id),
    start_ms INTEGER NOT NULL, len_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL, failures INTEGER NOT NULL, missed INTEGER NOT NULL,
    p10_us INTEGER NOT NULL, p25_us INTEGER NOT NULL, p50_us INTEGER NOT NULL,
    p75_us INTEGER NOT NULL, p90_us INTEGER NOT NULL, p95_us INTEGER NOT NULL,
    p99_us INTEGER NOT NULL,
    windows INTEGER NOT NULL, valid BLOB NOT NULL,
    UNIQUE (start_ms, series));
CREATE TABLE unfinished (
    level TEXT NOT NULL, start_ms INTEGER NOT NULL, series INTEGER NOT NULL,
    len_ms INTEGER NOT NULL, window_ms INTEGER NOT NULL,
    PRIMARY KEY (level, start_ms, series)) WITHOUT ROWID;
";

/// New in schema 2: what was seen that cannot be.
const FLAGS: &str = "
CREATE TABLE flags (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series(id),
    start_ms INTEGER NOT NULL, len_ms INTEGER NOT NULL, kind TEXT NOT NULL,
    count INTEGER NOT NULL, fastest_us INTEGER NOT NULL, least_us INTEGER NOT NULL);
CREATE INDEX flags_by_start ON flags (start_ms);
";

/// New in schema 3: what headers told, by block.
const TOLD: &str = "
CREATE TABLE timings (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series(id),
    start_ms INTEGER NOT NULL, name TEXT NOT NULL, took BLOB NOT NULL,
    UNIQUE (start_ms, series, name));
CREATE TABLE ways (
    id INTEGER PRIMARY KEY,
    series INTEGER NOT NULL REFERENCES series(id),
    start_ms INTEGER NOT NULL,
    edges INTEGER NOT NULL, is_api INTEGER NOT NULL, region TEXT NOT NULL, count INTEGER NOT NULL,
    UNIQUE (start_ms, series, edges, is_api, region));
";

/// Opens the file, makes the tables where there are none and they may be made, refuses what it does
/// not know.
pub(super) fn open(path: &Path, create: bool) -> Result<Connection, StoreError> {
    check_path(path, create)?;
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let fault = |cause| StoreError::from_sqlite(path, cause);
    let mut connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
    check_contents(path, &connection, create)?;
    connection.pragma_update(None, "journal_mode", "wal").map_err(fault)?;
    connection.pragma_update(None, "synchronous", "normal").map_err(fault)?;
    make_tables(path, &mut connection)?;
    Ok(connection)
}

/// Opens a store that is there and of this version, to read only.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    check_path(path, false)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fault = |cause| StoreError::from_sqlite(path, cause);
    let connection = Connection::open_with_flags(path, flags).map_err(fault)?;
    connection.busy_timeout(BUSY_TIMEOUT_READER).map_err(fault)?;
    check_contents(path, &connection, false)?;
    Ok(connection)
}

/// SQLite says of a folder that it cannot be opened, or that there is an I/O error.
fn check_path(path: &Path, create: bool) -> Result<(), StoreError> {
    let path = || path.to_owned();
    match std::fs::metadata(path()) {
        Ok(found) if found.is_dir() => Err(StoreError::Folder { path: path() }),
        Err(_) if !create => Err(StoreError::Absent { path: path() }),
        _ => Ok(()),
    }
}

fn version(path: &Path, connection: &Connection) -> Result<i64, StoreError> {
    connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(|cause| StoreError::from_sqlite(path, cause))
}

/// Looks before anything is written: what is newer, or no store at all, stays byte for byte.
fn check_contents(path: &Path, connection: &Connection, create: bool) -> Result<(), StoreError> {
    let found = version(path, connection)?;
    if found > SCHEMA {
        return Err(StoreError::Newer { path: path.to_owned(), found, known: SCHEMA });
    }
    let sql = "SELECT count(*), count(*) FILTER (WHERE name IN ('meta', 'series', 'blocks'))
        FROM sqlite_master";
    let counted = connection.query_row(sql, (), |row| Ok((row.get(0)?, row.get(1)?)));
    match counted.map_err(|cause| StoreError::from_sqlite(path, cause))? {
        (0, _) if create => Ok(()),
        (0, _) => Err(StoreError::Blank { path: path.to_owned() }),
        (_, 3) => Ok(()),
        (_, _) => Err(StoreError::Foreign { path: path.to_owned() }),
    }
}

fn make_tables(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    if version(path, connection)? == SCHEMA {
        return Ok(());
    }
    let fault = |cause| StoreError::from_sqlite(path, cause);
    let behavior = rusqlite::TransactionBehavior::Immediate;
    let transaction = connection.transaction_with_behavior(behavior).map_err(fault)?;
    // Another process may have made them while this one waited for the lock.
    let found = version(path, &transaction)?;
    if found == 0 {
        transaction.execute_batch(TABLES).map_err(fault)?;
        for table in ["windows", "hours", "days"] {
            let sql = format!("CREATE TABLE {table} ({SPAN_COLUMNS});");
            transaction.execute_batch(&sql).map_err(fault)?;
        }
        let grid = Grid::default();
        for (key, value) in [("window_ms", grid.window_ms), ("block_ms", grid.block_ms)] {
            let sql = "INSERT INTO meta (key, value) VALUES (?1, ?2)";
            transaction.execute(sql, (key, value)).map_err(fault)?;
        }
    }
    if found < 2 {
        transaction.execute_batch(FLAGS).map_err(fault)?;
    }
    if found < 3 {
        transaction.execute_batch(TOLD).map_err(fault)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA).map_err(fault)?;
    transaction.commit().map_err(fault)
}
