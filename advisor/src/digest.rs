//! SHA-256 in hexadecimal: how plans, runs and references are named.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

/// The digest, 64 digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
