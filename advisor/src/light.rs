//! Evidence that cannot be: answers faster than light goes there and back.
//!
//! A vantage with such a block is not where its id says, or something near it answers for the
//! endpoint. Nothing it measured is believed. Pure.

use std::collections::BTreeMap;

use probe::place::least_round_trip_us;

use crate::matrix::CellBlock;

/// A vantage that is not believed, by its worst figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// The vantage.
    pub vantage: String,
    /// The endpoint that it says it reaches.
    pub endpoint: String,
    /// What it measured.
    pub value_ms: f64,
    /// What light needs in fibre, there and back.
    pub least_ms: f64,
}

/// Leaves out every row of the vantages that measured the impossible, and names them.
///
/// `regions` has the Region of each endpoint that is answered from there alone, not from an edge. A
/// vantage has a place when its id is a Region's name.
#[must_use]
pub fn believable(
    rows: Vec<CellBlock>,
    regions: &BTreeMap<String, String>,
) -> (Vec<CellBlock>, Vec<Refused>) {
    let mut least: BTreeMap<(&str, &str), Option<f64>> = BTreeMap::new();
    let mut refused: BTreeMap<String, Refused> = BTreeMap::new();
    for row in &rows {
        let cell = (row.vantage.as_str(), row.endpoint.as_str());
        let least_ms = *least.entry(cell).or_insert_with(|| {
            let least_us = least_round_trip_us(&row.vantage, regions.get(&row.endpoint)?)?;
            Some(least_us as f64 / 1_000.0)
        });
        let Some(least_ms) = least_ms.filter(|least_ms| row.value_ms < *least_ms) else { continue };
        let found = Refused {
            vantage: row.vantage.clone(),
            endpoint: row.endpoint.clone(),
            value_ms: row.value_ms,
            least_ms,
        };
        let held = refused.entry(row.vantage.clone()).or_insert_with(|| found.clone());
        if found.value_ms / found.least_ms < held.value_ms / held.least_ms {
            *held = found;
        }
    }
    let rows = rows.into_iter().filter(|row| !refused.contains_key(&row.vantage)).collect();
    (rows, refused.into_values().collect())
}

#[cfg(test)]
mod tests {
    use probe::sample::Connection;
    use probe::store::WindowSet;

    use super::*;

    fn row(vantage: &str, endpoint: &str, value_ms: f64) -> CellBlock {
        CellBlock {
            vantage: vantage.into(),
            endpoint: endpoint.into(),
            connection: Connection::Warm,
            start_ms: 0,
            value_ms,
            attempts: 1,
            failures: 0,
            valid: WindowSet::from_bytes(1, &[1]),
        }
    }

    #[test]
    fn a_vantage_that_beats_light_once_is_not_believed_at_all() {
        let regions =
            [("a", "us-east-1"), ("b", "eu-west-1")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let rows = vec![
            row("eu-west-1", "a", 80.0),
            row("eu-west-1", "b", 4.0),
            // 5,500 km are 55 ms there and back.
            row("us-east-1", "b", 20.0),
            row("us-east-1", "a", 3.0),
            row("us-east-1", "b", 90.0),
            // Nobody knows where that is.
            row("office", "b", 0.1),
        ];
        let (kept, refused) = believable(rows, &regions.into());
        let kept: Vec<&str> = kept.iter().map(|row| row.vantage.as_str()).collect();
        assert_eq!(kept, ["eu-west-1", "eu-west-1", "office"]);
        let [one] = refused.as_slice() else { panic!("{refused:?}") };
        assert_eq!((one.vantage.as_str(), one.endpoint.as_str()), ("us-east-1", "b"));
        assert!((one.value_ms - 20.0).abs() < 1e-9 && (50.0..60.0).contains(&one.least_ms));
    }
}
