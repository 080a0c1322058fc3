//! The text index of a namespace: which version each of its rows is of.
//!
//! It holds the versions that are values now, those that were since it was made, and those that a
//! search of the past asked for. Rows are added when they are needed and never change.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::log::record::Record;
use crate::text::{Index, NoMemory};

use super::super::versions::{NO_PLACE, Place};
use super::indexed;

/// The text index of a namespace.
#[derive(Default)]
pub(in crate::db) struct Text {
    pub(in crate::db) index: Index,
    /// The version of each row.
    places: Vec<Place>,
    rows: HashTable<u32>,
    /// Time of the latest commit that changed which rows are current.
    changed: u64,
    /// Rows that are not current.
    old: usize,
    /// Whether words of erased versions are still in the index.
    has_erased: bool,
}

/// Rows that are not current, beside twice as many as are, before the index is made anew.
const MOST_OLD_ROWS: usize = 10_000;

fn hash(place: Place) -> u64 {
    FixedState::with_seed(0x7465_7874).hash_one(place)
}

impl Text {
    /// An empty index. `changed` is the time of the latest commit.
    pub(in crate::db) fn new(changed: u64) -> Self {
        Self { changed, ..Self::default() }
    }

    /// Adds a version. Linear in its text.
    pub(in crate::db) fn add(&mut self, place: Place, record: &Record) -> Result<u32, NoMemory> {
        self.places.try_reserve(1).map_err(|_| NoMemory)?;
        let Self { index, places, rows, .. } = self;
        let at = |row: &u32| hash(places.get(*row as usize).copied().unwrap_or(NO_PLACE));
        rows.try_reserve(1, at).map_err(|_| NoMemory)?;
        let row = index.add(indexed(record))?;
        rows.insert_unique(hash(place), row, at);
        places.push(place);
        Ok(row)
    }

    /// The row of a version.
    pub(in crate::db) fn row(&self, place: Place) -> Option<u32> {
        let is_it = |row: &u32| self.place(*row) == Some(place);
        self.rows.find(hash(place), is_it).copied()
    }

    /// The index, and the version of each row.
    pub(in crate::db) fn parts(&mut self) -> (&mut Index, &[Place]) {
        (&mut self.index, &self.places)
    }

    /// The version of a row.
    pub(in crate::db) fn place(&self, row: u32) -> Option<Place> {
        self.places.get(row as usize).copied()
    }

    /// A version was overwritten or deleted.
    pub(super) fn retire(&mut self, place: Place) {
        if let Some(row) = self.row(place) {
            self.retire_row(row);
        }
    }

    /// The version of a row, which was current, is not its key's value any more.
    pub(in crate::db) fn retire_row(&mut self, row: u32) {
        self.index.retire(row);
        self.old += 1;
    }

    /// Whether the index is mostly of what was overwritten.
    pub(super) fn is_worn(&self) -> bool {
        self.old > MOST_OLD_ROWS + 2 * (self.places.len() - self.old.min(self.places.len()))
    }

    /// Takes the words of erased versions out of memory, if there are any. Linear in the index.
    pub(super) fn compact(&mut self) -> Result<(), NoMemory> {
        if core::mem::take(&mut self.has_erased) { self.index.compact() } else { Ok(()) }
    }

    /// A commit of this time, which is not acknowledged yet, changed which rows are current.
    pub(super) fn note(&mut self, timestamp: u64) {
        self.changed = timestamp;
    }

    /// Whether the current rows are those that a read up to `visible` sees.
    pub(in crate::db) fn is_settled(&self, visible: u64) -> bool {
        self.changed <= visible
    }

    /// A version is gone for good.
    pub(super) fn erase(&mut self, place: Place) {
        let Some(row) = self.row(place) else { return };
        self.index.erase(row);
        self.has_erased = true;
        if let Ok(entry) = self.rows.find_entry(hash(place), |found| *found == row) {
            entry.remove();
        }
        if let Some(place) = self.places.get_mut(row as usize) {
            *place = NO_PLACE;
        }
    }
}
