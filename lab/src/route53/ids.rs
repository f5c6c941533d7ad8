//! Ids like AWS's, drawn from a seed, so that the same run gives the same ids.

use sha2::{Digest as _, Sha256};

/// A source of ids.
#[derive(Debug, Clone)]
pub struct Ids {
    seed: u64,
    count: u64,
}

impl Ids {
    /// Ids of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, count: 0 }
    }

    fn next_bytes(&mut self) -> [u8; 32] {
        self.count += 1;
        let mut hash = Sha256::new();
        hash.update(self.seed.to_be_bytes());
        hash.update(self.count.to_be_bytes());
        hash.finalize().into()
    }

    /// `Z` or `C` and 20 upper-case letters and digits.
    pub fn resource(&mut self, first: char) -> String {
        const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let bytes = self.next_bytes();
        let rest = bytes.iter().take(20).map(|byte| char::from(ALPHABET[usize::from(byte % 36)]));
        std::iter::once(first).chain(rest).collect()
    }

    /// A UUID.
    pub fn uuid(&mut self) -> String {
        use std::fmt::Write as _;
        let mut text = String::with_capacity(36);
        for (at, byte) in self.next_bytes().iter().take(16).enumerate() {
            if matches!(at, 4 | 6 | 8 | 10) {
                text.push('-');
            }
            // Writing to a String cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text
    }

    /// Numbers of four name servers.
    pub fn name_servers(&mut self) -> [String; 4] {
        let bytes = self.next_bytes();
        let number = |at: u8| u32::from(bytes[usize::from(at)]) + 512 * u32::from(at);
        let pool = |at: u8| bytes[usize::from(at) + 8] % 64;
        [(0, "com"), (1, "net"), (2, "org"), (3, "co.uk")]
            .map(|(at, tld)| format!("ns-{}.awsdns-{:02}.{tld}.", number(at), pool(at)))
    }
}
