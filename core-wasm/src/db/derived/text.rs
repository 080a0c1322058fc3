//! The text index of a namespace: which version each of its rows is of.
//!
//! It holds the versions that are values now, those that were since it was made, and those that a
//! search of the past asked for. Rows are added when they are needed and never change.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::log::record::Record;
use crate::query::Field;
use crate::text::{Index, NoMemory};
use crate::vector::bitmap;

use super::super::versions::{NO_PLACE, Place, Versions};
use super::indexed;

/// The text index of a namespace.
#[derive(Default)]
pub(in crate::db) struct Text {
    pub(in crate::db) index: Index,
    /// The version of each row.
    places: Vec<Place>,
    /// The importance of each row, as far as recalls asked for it; NaN where the version was set aside
    /// by then.
    importances: Vec<f64>,
    /// Rows of NaN.
    unknown: Vec<u32>,
    rows: HashTable<u32>,
    /// Time of the latest commit that changed which rows are current.
    changed: u64,
    /// Rows that are not current.
    old: usize,
    /// Whether words of erased versions are still in the index.
    has_erased: bool,
    /// The rows that a search of the past saw last, and the first version that it did not see.
    past: Option<(Place, Vec<u64>)>,
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

    /// Finds out the importance of each row that is `seen`; without that, of the current ones: its
    /// value's number `importance`, brought into 0 to 1; 0 without one. Reads the values that came since
    /// this was last asked.
    pub(in crate::db) fn find_importances(
        &mut self,
        seen: Option<&[u64]>,
        versions: &Versions,
    ) -> Result<(), NoMemory> {
        let Self { places, importances, unknown, .. } = self;
        let fresh = places.get(importances.len()..).unwrap_or_default();
        importances.try_reserve(fresh.len())?;
        let field = Field::new("importance");
        let importance = |record: Option<&Record>| {
            let number = record.and_then(|record| field.number(indexed(record)));
            number.unwrap_or(0.0).clamp(0.0, 1.0)
        };
        for place in fresh {
            let is_here = versions.is_here(*place);
            if !is_here {
                unknown.try_reserve(1)?;
                unknown.push(u32::try_from(importances.len()).unwrap_or(u32::MAX));
            }
            importances.push(if is_here { importance(versions.record(*place)) } else { f64::NAN });
        }
        // The current ones are never set aside.
        let Some(seen) = seen else { return Ok(()) };
        unknown.retain(|&row| {
            let place = places.get(row as usize).filter(|_| bitmap::contains(seen, row));
            let record = place.and_then(|place| versions.record(*place));
            if let Some((record, known)) = record.zip(importances.get_mut(row as usize)) {
                *known = importance(Some(record));
                return false;
            }
            true
        });
        Ok(())
    }

    /// The index, the version of each row, and the importances that were asked for.
    pub(in crate::db) fn columns(&mut self) -> (&mut Index, &[Place], &[f64]) {
        (&mut self.index, &self.places, &self.importances)
    }

    /// The importance of a row, once it was found out.
    pub(in crate::db) fn importance(&self, row: u32) -> Option<f64> {
        self.importances.get(row as usize).copied().filter(|known| !known.is_nan())
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

    /// The rows of the values before a version was written, if they were kept. What was written until
    /// then does not change, other than by erasure, and rows added since are of other versions.
    pub(in crate::db) fn past(&self, before: Place) -> Option<&[u64]> {
        let (kept, rows) = self.past.as_ref()?;
        (*kept == before).then_some(rows)
    }

    /// Keeps the rows of the values before a version was written.
    pub(in crate::db) fn keep_past(&mut self, before: Place, rows: Vec<u64>) {
        self.past = Some((before, rows));
    }

    /// A version is gone for good.
    pub(super) fn erase(&mut self, place: Place) {
        self.past = None;
        let Some(row) = self.row(place) else { return };
        self.index.erase(row);
        self.has_erased = true;
        if let Ok(entry) = self.rows.find_entry(hash(place), |found| *found == row) {
            entry.remove();
        }
        if let Some(place) = self.places.get_mut(row as usize) {
            *place = NO_PLACE;
        }
        if let Some(importance) = self.importances.get_mut(row as usize) {
            *importance = 0.0;
        }
    }
}
