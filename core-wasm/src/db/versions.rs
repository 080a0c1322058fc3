//! The slab of versions in commit order, and the way from an id to its place.

use core::hash::{BuildHasher, Hasher};
use std::collections::{BTreeMap, BTreeSet};

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::codec::hex::VersionId;
use crate::error::Result;
use crate::log::record::{Record, ValueKind};
use crate::log::snapshot::Gap;

use super::commit::out_of_memory;
use super::vectors::At;

/// Place of a version in the slab.
pub(super) type Place = u32;

/// Stands where there is no version.
pub(super) const NO_PLACE: Place = Place::MAX;

const CHUNK: usize = 4096;

/// A version in the slab.
#[derive(Debug)]
pub(super) struct Version {
    /// Cached from the record: as-of reads search by it.
    pub(super) timestamp: u64,
    /// `None` once erased. Without its vector.
    pub(super) record: Option<Record>,
    /// Where its vector is.
    pub(super) vector: Option<At>,
    /// The key's version after it; [`NO_PLACE`] for the latest.
    next: Place,
}

/// Versions in commit order. Chunks keep growth from copying what is there.
#[derive(Debug, Default)]
pub(super) struct Versions {
    chunks: Vec<Vec<Version>>,
    len: usize,
    erased: usize,
    by_id: HashTable<Place>,
    /// Pairs of cause and effect, sorted; written rarely, walked by binary search.
    effects: BTreeSet<(Place, Place)>,
    /// Bytes of records held.
    record_bytes: u64,
    /// What is gone from before a version, as a snapshot says. Sparse.
    gaps: BTreeMap<Place, Gap>,
}

/// Ids are hashes already, but a hostile file chooses them freely: mix them.
fn hash(id: &VersionId) -> u64 {
    let mut hasher = FixedState::with_seed(0x6b6f_7275).build_hasher();
    hasher.write(id);
    hasher.finish()
}

impl Versions {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn live(&self) -> usize {
        self.len - self.erased
    }

    pub(super) fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Makes room for `count` more, so that pushing cannot run out of memory.
    pub(super) fn reserve(&mut self, count: usize) -> Result<()> {
        let Self { chunks, by_id, .. } = self;
        let rehash = |place: &Place| {
            let index = place_index(*place);
            let version = chunks.get(index / CHUNK).and_then(|chunk| chunk.get(index % CHUNK));
            let record = version.and_then(|version| version.record.as_ref());
            hash(&record.map(Record::id).unwrap_or_default())
        };
        by_id.try_reserve(count, rehash).map_err(|_| out_of_memory())
    }

    /// Adds a version of a time, in commit order, with the place of its vector.
    pub(super) fn push(&mut self, record: Record, timestamp: u64, vector: Option<At>) -> Place {
        let place = Place::try_from(self.len).unwrap_or(Place::MAX);
        let id = record.id();
        for cause in record.causes() {
            if let Some(cause) = self.find(&cause) {
                self.effects.insert((cause, place));
            }
        }
        self.record_bytes += record.as_bytes().len() as u64;
        let version = Version { timestamp, record: Some(record), vector, next: NO_PLACE };
        match self.chunks.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(version),
            // The first chunk grows as needed, so that an empty database stays small.
            _ => {
                let mut chunk = Vec::new();
                if self.len > 0 {
                    chunk.reserve_exact(CHUNK);
                }
                chunk.push(version);
                self.chunks.push(chunk);
            }
        }
        self.len += 1;
        let Self { chunks, by_id, .. } = self;
        by_id.insert_unique(hash(&id), place, |place| {
            let index = place_index(*place);
            let version = chunks.get(index / CHUNK).and_then(|chunk| chunk.get(index % CHUNK));
            let record = version.and_then(|version| version.record.as_ref());
            hash(&record.map(Record::id).unwrap_or_default())
        });
        place
    }

    pub(super) fn get(&self, place: Place) -> Option<&Version> {
        let index = place_index(place);
        self.chunks.get(index / CHUNK)?.get(index % CHUNK)
    }

    pub(super) fn record(&self, place: Place) -> Option<&Record> {
        self.get(place)?.record.as_ref()
    }

    pub(super) fn find(&self, id: &VersionId) -> Option<Place> {
        self.by_id
            .find(hash(id), |place| self.record(*place).is_some_and(|record| record.id() == *id))
            .copied()
    }

    fn get_mut(&mut self, place: Place) -> Option<&mut Version> {
        let index = place_index(place);
        self.chunks.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    /// Notes that a key's version is followed by another.
    pub(super) fn follow(&mut self, place: Place, next: Place) {
        if let Some(version) = self.get_mut(place) {
            version.next = next;
        }
    }

    /// Whether a version holds its key's value as of `horizon`. Constant time.
    pub(super) fn is_visible(&self, place: Place, horizon: u64) -> bool {
        let Some(version) = self.get(place) else { return false };
        let holds =
            version.record.as_ref().is_some_and(|record| record.kind() != ValueKind::Deleted);
        let since = |version: &Version| version.timestamp <= horizon;
        holds && since(version) && !self.get(version.next).is_some_and(since)
    }

    /// The first place whose version is later than a time. Logarithmic.
    pub(super) fn first_after(&self, timestamp: u64) -> Place {
        let earlier = |version: &Version| version.timestamp <= timestamp;
        let chunk = self.chunks.partition_point(|chunk| chunk.last().is_some_and(earlier));
        let within = self.chunks.get(chunk).map_or(0, |chunk| chunk.partition_point(earlier));
        Place::try_from(chunk * CHUNK + within).unwrap_or(NO_PLACE)
    }

    /// Notes what is gone from before the next version; `false` if that is known already.
    pub(super) fn note_gap(&mut self, gap: Gap) -> bool {
        self.gaps.insert(Place::try_from(self.len).unwrap_or(NO_PLACE), gap).is_none()
    }

    /// What is gone from before a version.
    pub(super) fn gap(&self, place: Place) -> Option<&Gap> {
        if self.gaps.is_empty() { None } else { self.gaps.get(&place) }
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
    pub(super) fn holds_value(&self, place: Place) -> bool {
        self.record(place).is_some_and(|record| record.kind() != ValueKind::Deleted)
    }

    pub(super) fn effects(&self, cause: Place) -> impl Iterator<Item = Place> {
        self.effects.range((cause, 0)..=(cause, Place::MAX)).map(|(_, effect)| *effect)
    }

    /// Removes a version's content and its id; returns where its vector was.
    pub(super) fn erase(&mut self, place: Place) -> Option<At> {
        let id = self.record(place).map(Record::id)?;
        if let Ok(entry) = self.by_id.find_entry(hash(&id), |found| *found == place) {
            entry.remove();
        }
        let version = self.get_mut(place);
        let vector = version.as_ref().and_then(|version| version.vector);
        if let Some(record) = version.and_then(|version| version.record.take()) {
            self.erased += 1;
            self.record_bytes -= record.as_bytes().len() as u64;
        }
        let effects: Vec<Place> = self.effects(place).collect();
        for effect in effects {
            self.effects.remove(&(place, effect));
        }
        vector
    }

    /// All versions that are left, in commit order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Place, &Record)> {
        let all = self.chunks.iter().flatten().zip(0..);
        all.filter_map(|(version, place)| Some((place, version.record.as_ref()?)))
    }
}

/// Places are indices of a slab in a 32-bit memory.
fn place_index(place: Place) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
