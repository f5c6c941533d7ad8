//! Reports of what was measured, advised and applied, for people who were not there.
//!
//! Pure: the same input gives the same bytes. It reads no clock and writes no file, and it cannot
//! write DNS.

mod markdown;

pub use markdown::{Applied, Input, Measured, Truth, markdown};
