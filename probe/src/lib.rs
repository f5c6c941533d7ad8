//! Measures: exchange, schedule, windows, and the embedded store.
