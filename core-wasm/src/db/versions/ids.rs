//! The way from an id to a version's place.
//!
//! Few ask for a version by its id, and a file may bring a million: while one is read, ids are left
//! for later. Whoever looks for one first takes in what is missing, and so does maintenance, a slice at
//! a time; from then on each version comes in when it is written. Room is made with the versions, so
//! that taking ids in cannot run out of memory.

use core::cell::{Cell, RefCell};

use crate::codec::hex::VersionId;
use crate::error::Result;

use super::super::slab::index_of;
use super::super::table::{Table, Tag};
use super::Place;

/// Ids of versions and their places.
#[derive(Debug, Default)]
pub(super) struct Ids {
    table: RefCell<Table>,
    /// The place up to which all are in; `None` if later ones come in when they are written.
    until: Cell<Option<Place>>,
}

impl Ids {
    /// Leaves those that are to come for later, none having come yet.
    pub(super) fn leave_for_later(&mut self) {
        self.until.set(Some(0));
    }

    /// Makes room for those of `count` more versions, `len` being there.
    pub(super) fn reserve(&mut self, len: usize, count: usize) -> Result<()> {
        let left = self.until.get().map_or(0, |until| len - index_of(until));
        self.table.get_mut().reserve(left + count)
    }

    /// Takes in the id of a version that was written, unless it is left for later.
    pub(super) fn wrote(&mut self, id: &VersionId, place: Place) {
        if self.until.get().is_none() {
            self.table.get_mut().insert(tag(id), place);
        }
    }

    /// Takes in `budget` of those that were left for later, `len` versions being there; whether none is
    /// left. `id` is that of a place, `None` if it was erased.
    pub(super) fn catch_up(
        &self,
        budget: usize,
        len: Place,
        id: impl Fn(Place) -> Option<VersionId>,
    ) -> bool {
        let Some(from) = self.until.get() else { return true };
        let budget = Place::try_from(budget).unwrap_or(Place::MAX);
        let until = len.min(from.saturating_add(budget));
        let mut table = self.table.borrow_mut();
        for place in from..until {
            if let Some(id) = id(place) {
                table.insert(tag(&id), place);
            }
        }
        self.until.set((until < len).then_some(until));
        until == len
    }

    /// The place of an id that came in, of those that `is_it` says to have it.
    pub(super) fn find(&self, id: &VersionId, is_it: impl Fn(Place) -> bool) -> Option<Place> {
        self.table.borrow().find(tag(id), is_it)
    }

    /// Lets go of the id of a place, if it came in.
    pub(super) fn remove(&mut self, id: &VersionId, place: Place) {
        self.table.get_mut().remove(tag(id), place);
    }
}

/// Ids are hashes already, but a hostile file chooses them freely: they are hashed again.
fn tag(id: &VersionId) -> Tag {
    Tag::new(0x6b6f_7275, &[id])
}
