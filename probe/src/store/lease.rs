//! A lease in the store: of several processes that share one, one at a time does a piece of work.
//!
//! A lease ends by itself, so that a process that died holds nobody up. It reads no clock.

use super::write::{meta, set_meta};
use super::{Store, StoreError};

impl Store {
    /// Takes the lease `name` until `until_ms` for `holder`, a number that no other process has.
    /// `false` where another one holds it at `now_ms`. Who holds it may take it anew.
    pub fn take_lease(
        &mut self,
        name: &str,
        holder: i64,
        (now_ms, until_ms): (i64, i64),
    ) -> Result<bool, StoreError> {
        self.transact(|connection| {
            let held_by = meta(connection, &format!("{name}_lease_holder"), holder)?;
            let held_until_ms = meta(connection, &format!("{name}_lease_until_ms"), i64::MIN)?;
            if held_by != holder && held_until_ms > now_ms {
                return Ok(false);
            }
            set_meta(connection, &format!("{name}_lease_holder"), holder)?;
            set_meta(connection, &format!("{name}_lease_until_ms"), until_ms)?;
            Ok(true)
        })
    }

    /// Gives the lease back, where `holder` has it, and writes down how far the work has come.
    pub fn end_lease(
        &mut self,
        name: &str,
        holder: i64,
        done_ms: Option<i64>,
    ) -> Result<(), StoreError> {
        self.transact(|connection| {
            if meta(connection, &format!("{name}_lease_holder"), holder)? != holder {
                return Ok(());
            }
            if let Some(done_ms) = done_ms {
                set_meta(connection, &format!("{name}_done_ms"), done_ms)?;
            }
            set_meta(connection, &format!("{name}_lease_until_ms"), i64::MIN)?;
            Ok(())
        })
    }

    /// How far the work of the lease `name` has come: what the last holder wrote down.
    pub fn done_ms(&self, name: &str) -> Result<Option<i64>, StoreError> {
        let done = meta(&self.connection, &format!("{name}_done_ms"), i64::MIN);
        let done = done.map_err(|cause| self.fault(cause))?;
        Ok((done != i64::MIN).then_some(done))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        let (mut one, mut other) = (Store::open(&path).unwrap(), Store::open(&path).unwrap());
        assert!(one.take_lease("report", 1, (0, 100)).unwrap());
        assert!(one.take_lease("report", 1, (10, 110)).unwrap(), "renewed");
        assert!(!other.take_lease("report", 2, (50, 150)).unwrap());
        assert!(other.take_lease("other", 2, (50, 150)).unwrap(), "another name");
        assert!(other.take_lease("report", 2, (110, 210)).unwrap(), "it ended by itself");
        one.end_lease("report", 1, Some(7)).unwrap();
        assert_eq!(other.done_ms("report").unwrap(), None, "who lost it writes nothing down");
        other.end_lease("report", 2, Some(8)).unwrap();
        assert_eq!(one.done_ms("report").unwrap(), Some(8));
        assert!(one.take_lease("report", 1, (120, 220)).unwrap());
    }
}
