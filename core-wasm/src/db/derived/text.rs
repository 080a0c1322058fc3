//! The text indexes of a namespace: which version each of their rows is of.
//!
//! One holds the versions that are values now, those that were since it was made, and those that a
//! search of the past asked for. Rows are added when they are needed and never change.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use serde::{Deserialize, Serialize};

use crate::log::record::Record;
use crate::query::Field;
use crate::text::{Index, NoMemory};
use crate::vector::bitmap;

use super::super::versions::{NO_PLACE, Place, Versions};
use super::indexed;

/// Which strings of values a text index has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Strings {
    /// All: for searches.
    All,
    /// The contents of memories: for recalls, which read nothing else and need no other field's
    /// words told apart.
    Contents,
}

impl Strings {
    /// Each.
    pub(in crate::db) const EACH: [Self; 2] = [Self::All, Self::Contents];

    /// The field that they are in; `None` for all fields.
    pub(super) fn field(self) -> Option<&'static str> {
        match self {
            Self::All => None,
            Self::Contents => Some("content"),
        }
    }

    fn index(self) -> Index {
        self.field().map_or_else(Index::new, Index::of)
    }
}

/// The text indexes of a namespace, once somebody searched or recalled.
#[derive(Default)]
pub(in crate::db) struct Texts {
    all: Option<Text>,
    contents: Option<Text>,
}

impl Texts {
    /// The index of these strings.
    pub(in crate::db) fn get(&self, strings: Strings) -> Option<&Text> {
        match strings {
            Strings::All => self.all.as_ref(),
            Strings::Contents => self.contents.as_ref(),
        }
    }

    /// The place of the index of these strings.
    pub(in crate::db) fn slot(&mut self, strings: Strings) -> &mut Option<Text> {
        match strings {
            Strings::All => &mut self.all,
            Strings::Contents => &mut self.contents,
        }
    }

    /// The places of all.
    pub(super) fn slots(&mut self) -> [&mut Option<Text>; 2] {
        [&mut self.all, &mut self.contents]
    }

    /// Does something to each that there is. One that is to be let go, or that memory was refused to,
    /// is not there any more: the next search or recall makes it anew, or says that there is no
    /// memory.
    pub(super) fn keep(&mut self, mut keep: impl FnMut(&mut Text) -> bool) {
        for slot in self.slots() {
            if slot.as_mut().is_some_and(|text| !keep(text)) {
                *slot = None;
            }
        }
    }
}

/// A text index of a namespace.
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

/// What is known of the rows of an index.
#[derive(Clone, Copy)]
pub(in crate::db) struct Columns<'a> {
    places: &'a [Place],
    importances: &'a [f64],
    rows: &'a HashTable<u32>,
}

impl Columns<'_> {
    /// The row of a version.
    pub(in crate::db) fn row(&self, place: Place) -> Option<u32> {
        find(self.rows, self.places, place)
    }

    /// The version of a row and its importance, once that was found out.
    #[inline]
    pub(in crate::db) fn known(&self, row: u32) -> Option<(Place, f64)> {
        let at = row as usize;
        let importance = self.importances.get(at).copied().filter(|known| !known.is_nan());
        self.places.get(at).copied().zip(importance)
    }
}

fn find(rows: &HashTable<u32>, places: &[Place], place: Place) -> Option<u32> {
    let is_it = |row: &u32| places.get(*row as usize) == Some(&place);
    rows.find(hash(place), is_it).copied()
}

impl Text {
    /// An empty index. `changed` is the time of the latest commit.
    pub(in crate::db) fn new(strings: Strings, changed: u64) -> Self {
        Self { index: strings.index(), changed, ..Self::default() }
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
        find(&self.rows, &self.places, place)
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

    /// The index, and what is known of its rows.
    pub(in crate::db) fn columns(&mut self) -> (&mut Index, Columns<'_>) {
        let Self { index, places, importances, rows, .. } = self;
        (index, Columns { places, importances, rows })
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
