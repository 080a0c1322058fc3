//! The slab of versions in commit order, and the way from an id to its place.
//!
//! A version's record is in memory, or it was set aside ([`aside`]): then it is in the file only, and
//! [`Versions::record`] notes that it is wanted. Whoever gets nothing may go on as if the version were
//! not there, as long as it changes nothing: its answer is not used, and it is asked again once what
//! it wanted was fetched.

mod aside;
mod ids;
mod wanted;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use crate::codec::hex::VersionId;
use crate::error::Result;
use crate::index::Names;
use crate::log::frame::ALIGNMENT;
use crate::log::record::{Record, ValueKind};
use crate::log::snapshot::Gap;

use super::slab::Slab;
use super::vectors::At;
use aside::{Shelf, Stub};
use ids::Ids;
pub use wanted::Wanted;

/// Place of a version in the slab.
pub(super) type Place = u32;

/// Stands where there is no version.
pub(super) const NO_PLACE: Place = Place::MAX;

/// A version in the slab.
#[derive(Debug)]
pub(super) struct Version {
    /// Cached from the record: as-of reads search by it.
    pub(super) timestamp: u64,
    /// `None` once set aside or erased. Without its vector.
    record: Option<Record>,
    /// Where its vector is; packed, for there are many versions.
    vector: (u32, u32),
    /// The key's version after it; [`NO_PLACE`] for the latest.
    next: Place,
    /// With a record, where its frame begins in the file, by eights of bytes; 0 for nowhere. Without
    /// one, one more than its number among those set aside; 0 once erased.
    file: u32,
}

impl Version {
    /// Where its vector is.
    pub(super) fn vector(&self) -> Option<At> {
        At::unpack(self.vector)
    }
}

/// Versions in commit order.
#[derive(Debug, Default)]
pub(super) struct Versions {
    slab: Slab<Version>,
    erased: usize,
    by_id: Ids,
    /// Pairs of cause and effect, sorted; written rarely, walked by binary search.
    effects: BTreeSet<(Place, Place)>,
    /// Bytes of records in memory.
    record_bytes: u64,
    /// Those that were set aside, and what was fetched of them for the request under way.
    shelf: Shelf,
    fetched: BTreeMap<Place, Record>,
    fetched_bytes: usize,
    wanted: Rc<Wanted>,
    /// Overwritten versions that may be set aside, in the order in which they were overwritten.
    superseded: VecDeque<Place>,
    /// Whether versions may be set aside at all.
    may_set_aside: bool,
    /// What is gone from before a version, as a snapshot says. Sparse.
    gaps: BTreeMap<Place, Gap>,
}

impl Versions {
    /// No versions. `may_set_aside` says whether overwritten ones may be set aside.
    pub(super) fn new(may_set_aside: bool) -> Self {
        Self { may_set_aside, ..Self::default() }
    }

    /// Leaves ids for [`Versions::catch_up`], none having come yet.
    pub(super) fn leave_ids_for_later(&mut self) {
        self.by_id.leave_for_later();
    }

    pub(super) fn len(&self) -> usize {
        self.slab.len()
    }

    /// The place of the next version.
    fn end(&self) -> Place {
        Place::try_from(self.len()).unwrap_or(NO_PLACE)
    }

    pub(super) fn live(&self) -> usize {
        self.len() - self.erased
    }

    /// Bytes of the records of all versions, in memory or set aside.
    pub(super) fn record_bytes(&self) -> u64 {
        self.record_bytes + self.shelf.bytes()
    }

    /// Makes room for `count` more, so that pushing cannot run out of memory.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        self.by_id.reserve(self.len(), count)
    }

    /// Adds a version of a time, in commit order, with the place of its vector, and where its frame
    /// is in the file; 0 for nowhere.
    pub(super) fn push(
        &mut self,
        record: Record,
        timestamp: u64,
        vector: Option<At>,
        offset: u64,
    ) -> Place {
        let place = self.end();
        let id = record.id();
        for cause in record.causes() {
            if let Some(cause) = self.find(&cause) {
                self.effects.insert((cause, place));
            }
        }
        self.record_bytes += record.as_bytes().len() as u64;
        let file = u32::try_from(offset / ALIGNMENT as u64).unwrap_or(0);
        let vector = At::pack(vector);
        let version = Version { timestamp, record: Some(record), vector, next: NO_PLACE, file };
        self.slab.add(version);
        self.by_id.wrote(&id, place);
        place
    }

    #[inline(always)]
    pub(super) fn get(&self, place: Place) -> Option<&Version> {
        self.slab.get(place)
    }

    /// A version's record. One that was set aside and not fetched yet is noted as wanted.
    #[inline(always)]
    pub(super) fn record(&self, place: Place) -> Option<&Record> {
        let version = self.get(place)?;
        match &version.record {
            Some(record) => Some(record),
            None => self.fetched_record(place, version),
        }
    }

    /// A version's id; `None` once erased.
    pub(super) fn id(&self, place: Place) -> Option<VersionId> {
        let version = self.get(place)?;
        match &version.record {
            Some(record) => Some(record.id()),
            None => self.shelf.get(version.file).map(|stub| stub.id),
        }
    }

    /// What a version holds; `None` once erased.
    pub(super) fn kind(&self, place: Place) -> Option<ValueKind> {
        let version = self.get(place)?;
        match &version.record {
            Some(record) => Some(record.kind()),
            None => self.shelf.get(version.file).map(Stub::kind),
        }
    }

    /// Takes in the ids of `budget` versions that were left for later; whether none is left.
    #[inline(never)]
    pub(super) fn catch_up(&self, budget: usize) -> bool {
        self.by_id.catch_up(budget, self.end(), |place| self.id(place))
    }

    /// The place of a version by its id. Constant time, but for what was left for later.
    pub(super) fn find(&self, id: &VersionId) -> Option<Place> {
        self.catch_up(usize::MAX);
        self.by_id.find(id, |place| self.id(place).is_some_and(|held| held == *id))
    }

    #[inline(always)]
    fn get_mut(&mut self, place: Place) -> Option<&mut Version> {
        self.slab.get_mut(place)
    }

    /// Notes that a key's version is followed by another.
    pub(super) fn follow(&mut self, place: Place, next: Place) {
        let may_set_aside = self.may_set_aside;
        if let Some(version) = self.get_mut(place) {
            version.next = next;
            if may_set_aside && version.is_worth_it() {
                self.superseded.push_back(place);
            }
        }
    }

    /// Whether a version holds its key's value as of `horizon`. Constant time.
    pub(super) fn is_visible(&self, place: Place, horizon: u64) -> bool {
        self.holds_value(place) && self.is_visible_value(place, horizon)
    }

    /// [`Versions::is_visible`] of a version that holds a value, as those in indexes and views do: its
    /// record, which lies elsewhere, is not looked at.
    pub(super) fn is_visible_value(&self, place: Place, horizon: u64) -> bool {
        let since = |version: &Version| version.timestamp <= horizon;
        self.get(place).is_some_and(|version| {
            since(version) && !version.is_erased() && !self.get(version.next).is_some_and(since)
        })
    }

    /// The first place whose version is later than a time. Logarithmic.
    pub(super) fn first_after(&self, timestamp: u64) -> Place {
        let earlier = |version: &Version| version.timestamp <= timestamp;
        Place::try_from(self.slab.partition_point(earlier)).unwrap_or(NO_PLACE)
    }

    /// Notes what is gone from before the next version; `false` if that is known already.
    pub(super) fn note_gap(&mut self, gap: Gap) -> bool {
        self.gaps.insert(self.end(), gap).is_none()
    }

    /// What is gone from before a version.
    pub(super) fn gap(&self, place: Place) -> Option<&Gap> {
        if self.gaps.is_empty() { None } else { self.gaps.get(&place) }
    }

    /// What is gone from before the first version from `place` on of which something is.
    pub(super) fn next_gap(&self, place: Place) -> Option<&Gap> {
        self.gaps.range(place..).next().map(|(_, gap)| gap)
    }

    /// How many entries of its commit, gone ones included, stood before a version. `first` is the
    /// first version of that commit that is left.
    pub(super) fn ordinal(&self, first: Place, place: Place) -> u64 {
        let gone = self.gaps.range(first..=place).map(|(_, gap)| u64::from(gap.of_commit));
        u64::from(place.saturating_sub(first)) + gone.sum::<u64>()
    }

    /// The first version that has as many entries of its commit before it, or the one after the
    /// commit.
    pub(super) fn nth_of_commit(&self, timestamp: u64, ordinal: u64) -> Place {
        let first = self.first_of_commit(timestamp);
        let end = self.first_after(timestamp);
        let mut gone = 0;
        let at = |gone: u64| {
            let within = Place::try_from(ordinal.saturating_sub(gone)).unwrap_or(NO_PLACE);
            first.saturating_add(within)
        };
        for (place, gap) in self.gaps.range(first..end) {
            if at(gone) < *place {
                break;
            }
            gone += u64::from(gap.of_commit);
            if self.ordinal(first, *place) >= ordinal {
                return *place;
            }
        }
        at(gone).min(end)
    }

    /// The first version of the commit of a time, or the one after it.
    pub(super) fn first_of_commit(&self, timestamp: u64) -> Place {
        timestamp.checked_sub(1).map_or(0, |before| self.first_after(before))
    }

    /// Whether a version holds a value, as opposed to a deletion.
    #[inline(always)]
    pub(super) fn holds_value(&self, place: Place) -> bool {
        self.kind(place).is_some_and(|kind| kind != ValueKind::Deleted)
    }

    pub(super) fn effects(&self, cause: Place) -> impl Iterator<Item = Place> {
        self.effects.range((cause, 0)..=(cause, Place::MAX)).map(|(_, effect)| *effect)
    }

    /// Removes a version's content and its id; returns where its vector was.
    pub(super) fn erase(&mut self, place: Place) -> Option<At> {
        let id = self.id(place)?;
        self.by_id.remove(&id, place);
        let version = self.get_mut(place)?;
        let vector = version.vector();
        let (record, file) = (version.record.take(), core::mem::take(&mut version.file));
        match record {
            Some(record) => self.record_bytes -= record.as_bytes().len() as u64,
            None => self.shelf.remove(file),
        }
        self.fetched.remove(&place);
        self.erased += 1;
        let effects: Vec<Place> = self.effects(place).collect();
        for effect in effects {
            self.effects.remove(&(place, effect));
        }
        vector
    }

    /// All versions that are left, in commit order.
    pub(super) fn places(&self) -> impl Iterator<Item = Place> {
        let all = self.slab.iter().zip(0..);
        all.filter(|(version, _)| !version.is_erased()).map(|(_, place)| place)
    }
}

impl Version {
    /// Whether it is gone for good.
    pub(super) fn is_erased(&self) -> bool {
        self.record.is_none() && self.file == 0
    }

    /// The key's version after it; [`NO_PLACE`] for the latest.
    pub(super) fn next(&self) -> Place {
        self.next
    }
}

/// Indexes sort by key what is equal in their field. A version leaves them before it is erased.
impl Names for Versions {
    fn name(&self, place: Place) -> &[u8] {
        self.record(place).map_or(b"", Record::key)
    }
}
