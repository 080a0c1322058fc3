//! A hash table of numbers: at which number what has a hash is.
//!
//! Half of each hash is kept beside its number: growing the table, and looking for what it does not
//! have, read nothing else. Among a million each such read would wait for memory.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::error::Result;

use super::commit::out_of_memory;

/// Half of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tag(u32);

impl Tag {
    /// That of some parts, one after the other. Whoever chooses them does not know `seed`, if a hostile
    /// choice of what is equal here would matter.
    #[inline(never)]
    pub(super) fn new(seed: u64, parts: &[&[u8]]) -> Self {
        let mut hasher = FixedState::with_seed(seed).build_hasher();
        for part in parts {
            hasher.write(part);
        }
        Self(u32::try_from(hasher.finish() >> 32).unwrap_or_default())
    }

    /// A table takes bits from both ends of a hash.
    #[inline(always)]
    fn hash(self) -> u64 {
        u64::from(self.0) << 32 | u64::from(self.0)
    }
}

#[derive(Debug)]
struct Entry {
    tag: Tag,
    number: u32,
}

/// Numbers by tags. Finding, adding and removing take constant time.
#[derive(Debug, Default)]
pub(super) struct Table(HashTable<Entry>);

impl Table {
    /// Makes room for `count` more, so that inserting cannot run out of memory.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        self.0.try_reserve(count, |entry| entry.tag.hash()).map_err(|_| out_of_memory())
    }

    /// Takes a number in.
    #[inline(never)]
    pub(super) fn insert(&mut self, tag: Tag, number: u32) {
        self.0.insert_unique(tag.hash(), Entry { tag, number }, |entry| entry.tag.hash());
    }

    /// The number of this tag that `is_it` says to be the one.
    #[inline(always)]
    pub(super) fn find(&self, tag: Tag, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let found = self.0.find(tag.hash(), |entry| entry.tag == tag && is_it(entry.number));
        found.map(|entry| entry.number)
    }

    /// Lets go of a number.
    pub(super) fn remove(&mut self, tag: Tag, number: u32) {
        if let Ok(entry) = self.0.find_entry(tag.hash(), |entry| entry.number == number) {
            entry.remove();
        }
    }
}
