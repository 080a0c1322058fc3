//! The way from an id to a version's place.
//!
//! Half of the hash is kept beside each place: growing the table, and looking for an id that it does
//! not have, read no version. Among a million each such read would wait for memory.

use core::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::codec::hex::VersionId;
use crate::error::Result;

use super::super::commit::out_of_memory;
use super::Place;

/// Ids of versions and their places.
#[derive(Debug, Default)]
pub(super) struct Ids(HashTable<Entry>);

#[derive(Debug)]
struct Entry {
    tag: u32,
    place: Place,
}

/// Ids are hashes already, but a hostile file chooses them freely: mix them.
fn tag(id: &VersionId) -> u32 {
    let mut hasher = FixedState::with_seed(0x6b6f_7275).build_hasher();
    hasher.write(id);
    u32::try_from(hasher.finish() >> 32).unwrap_or_default()
}

/// A table takes bits from both ends of a hash.
fn hash(tag: u32) -> u64 {
    u64::from(tag) << 32 | u64::from(tag)
}

impl Ids {
    /// Makes room for `count` more, so that inserting cannot run out of memory.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        self.0.try_reserve(count, |entry| hash(entry.tag)).map_err(|_| out_of_memory())
    }

    /// Takes an id in that is not there yet.
    pub(super) fn insert(&mut self, id: &VersionId, place: Place) {
        let tag = tag(id);
        self.0.insert_unique(hash(tag), Entry { tag, place }, |entry| hash(entry.tag));
    }

    /// The place of an id, of those that `is_it` says to have it.
    pub(super) fn find(&self, id: &VersionId, is_it: impl Fn(Place) -> bool) -> Option<Place> {
        let tag = tag(id);
        let found = self.0.find(hash(tag), |entry| entry.tag == tag && is_it(entry.place));
        found.map(|entry| entry.place)
    }

    /// Lets go of the id of a place.
    pub(super) fn remove(&mut self, id: &VersionId, place: Place) {
        if let Ok(entry) = self.0.find_entry(hash(tag(id)), |entry| entry.place == place) {
            entry.remove();
        }
    }
}
