//! Which windows of a block may be evidence: one bit for each.

/// A set of windows of one block. Bit i stands for window i, counted from the block's start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowSet {
    len: u32,
    bytes: Vec<u8>,
}

impl WindowSet {
    /// An empty set for a block of `len` windows.
    #[must_use]
    pub fn new(len: u32) -> Self {
        Self { len, bytes: vec![0; (len as usize).div_ceil(8)] }
    }

    /// The set whose bits lie in `bytes`, lowest bit first; bits beyond `len` are dropped.
    #[must_use]
    pub fn from_bytes(len: u32, bytes: &[u8]) -> Self {
        let mut set = Self::new(len);
        for index in 0..len {
            let bit = bytes.get((index / 8) as usize).is_some_and(|b| (b >> (index % 8)) & 1 == 1);
            if bit {
                set.insert(index);
            }
        }
        set
    }

    /// The bits, lowest first.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts window `index` in; nothing happens where the block has no such window.
    pub fn insert(&mut self, index: u32) {
        if index < self.len
            && let Some(byte) = self.bytes.get_mut((index / 8) as usize)
        {
            *byte |= 1 << (index % 8);
        }
    }

    /// Whether window `index` is in.
    #[must_use]
    pub fn contains(&self, index: u32) -> bool {
        self.bytes.get((index / 8) as usize).is_some_and(|byte| (byte >> (index % 8)) & 1 == 1)
    }

    /// How many windows are in both.
    #[must_use]
    pub fn shared(&self, other: &Self) -> u32 {
        self.bytes.iter().zip(&other.bytes).map(|(a, b)| (a & b).count_ones()).sum()
    }

    /// How many windows are in.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.bytes.iter().map(|byte| byte.count_ones()).sum()
    }

    /// How many windows the block has.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether no window is in.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(len in 0_u32..300,
                       left in prop::collection::btree_set(0_u32..320, 0..60),
                       right in prop::collection::btree_set(0_u32..320, 0..60)) {
            let of = |indexes: &BTreeSet<u32>| {
                let mut set = WindowSet::new(len);
                for index in indexes {
                    set.insert(*index);
                }
                set
            };
            let (a, b) = (of(&left), of(&right));
            let within = |index: &&u32| **index < len;
            prop_assert_eq!(a.count() as usize, left.iter().filter(within).count());
            prop_assert_eq!(a.shared(&b) as usize, left.intersection(&right).filter(within).count());
            prop_assert_eq!(a.len(), len);
            prop_assert_eq!(WindowSet::from_bytes(len, a.as_bytes()), a);
        }
    }
}
