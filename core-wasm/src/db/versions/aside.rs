//! Versions whose records are in the file only.
//!
//! What is kept of one in memory: 32 bytes of the slab, 24 here, and what its id and its key's chain
//! take to find it, some 70 bytes together.
//!
//! | bytes here | |
//! |---|---|
//! | 16 | id |
//! | 4 | where its frame begins in the file, by eights of bytes |
//! | 4 | length of its record; in the upper byte, its kind |

use crate::codec::hex::VersionId;
use crate::codec::names;
use crate::limits::MIN_ASIDE_BYTES;
use crate::log::frame::ALIGNMENT;
use crate::log::record::{Record, ValueKind};

use super::super::slab::{CHUNK, Slab, index_of};
use super::{NO_PLACE, Place, Version, Versions};

const LENGTH_BITS: u32 = 24;
const LENGTH_MASK: u32 = (1 << LENGTH_BITS) - 1;

/// What stays of a version that was set aside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stub {
    pub(super) id: VersionId,
    file: u32,
    length_and_kind: u32,
}

impl Stub {
    /// `None` for a record that is longer than any.
    fn new(record: &Record, file: u32) -> Option<Self> {
        let length = u32::try_from(record.as_bytes().len()).ok();
        let length = length.filter(|length| *length <= LENGTH_MASK)?;
        let length_and_kind = length | (record.kind() as u32) << LENGTH_BITS;
        Some(Self { id: record.id(), file, length_and_kind })
    }

    pub(super) fn kind(&self) -> ValueKind {
        match self.length_and_kind >> LENGTH_BITS {
            0 => ValueKind::Json,
            1 => ValueKind::Bytes,
            _ => ValueKind::Deleted,
        }
    }

    fn length(&self) -> usize {
        index_of(self.length_and_kind & LENGTH_MASK)
    }
}

/// The stubs, by numbers from 1 on.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    stubs: Slab<Stub>,
    len: usize,
    bytes: u64,
}

impl Shelf {
    /// Bytes of the records that were set aside.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The stub of a number; `None` for 0.
    pub(super) fn get(&self, number: u32) -> Option<&Stub> {
        self.stubs.get(number.checked_sub(1)?)
    }

    /// Takes a stub in, and gives it a number; `None` if memory has no room for it.
    fn add(&mut self, stub: Stub) -> Option<u32> {
        let number = self.stubs.try_add(stub).ok()?;
        self.len += 1;
        self.bytes += stub.length() as u64;
        Some(number + 1)
    }

    pub(super) fn remove(&mut self, number: u32) {
        if let Some(stub) = self.get(number).copied() {
            self.bytes -= stub.length() as u64;
            self.len -= 1;
            self.stubs.remove(number - 1, stub);
        }
    }
}

/// Where the frame of a version that was set aside lies.
#[derive(Clone, Copy, Debug)]
pub(in crate::db) struct Frame {
    pub(in crate::db) offset: u64,
    /// Bytes of its record, without its vector.
    pub(in crate::db) record_len: usize,
}

impl Version {
    /// Whether it is in the file, and setting it aside would give back more than what stays.
    pub(super) fn is_worth_it(&self) -> bool {
        let long = |record: &Record| record.as_bytes().len() >= MIN_ASIDE_BYTES;
        self.file > 0 && self.record.as_ref().is_some_and(long)
    }
}

impl Versions {
    /// Sets the version aside that was overwritten first, if it was by a commit of a time up to
    /// `until`; whether it was, or need not be asked about again. `is_needed` says of a place that it
    /// must stay.
    pub(in crate::db) fn set_next_aside(
        &mut self,
        until: u64,
        is_needed: impl FnOnce(Place) -> bool,
    ) -> bool {
        let Some(&place) = self.superseded.front() else { return false };
        let Some(version) = self.get(place) else { return false };
        let overwritten = self.get(version.next).is_some_and(|next| next.timestamp <= until);
        let still_there = version.is_worth_it() && version.next != NO_PLACE;
        if still_there && (!overwritten || is_needed(place)) {
            return false;
        }
        self.superseded.pop_front();
        if self.superseded.capacity() > 4 * CHUNK.max(self.superseded.len()) {
            self.superseded.shrink_to(2 * self.superseded.len());
        }
        let Self { slab, shelf, record_bytes, .. } = self;
        let Some(version) = slab.get_mut(place).filter(|_| still_there) else { return true };
        let Some(record) = &version.record else { return true };
        if record.fields().namespace == names::SYSTEM {
            return true; // What defines indexes and views is little, and asked for by itself.
        }
        let Some(number) = Stub::new(record, version.file).and_then(|stub| shelf.add(stub)) else {
            return false;
        };
        *record_bytes -= record.as_bytes().len() as u64;
        version.record = None;
        version.file = number;
        true
    }

    /// Versions that were set aside, and the bytes of their records.
    pub(in crate::db) fn aside(&self) -> (usize, u64) {
        (self.shelf.len, self.shelf.bytes)
    }

    /// Whether a version's record can be had without the file.
    pub(in crate::db) fn is_here(&self, place: Place) -> bool {
        self.frame(place).is_none() || self.fetched.contains_key(&place)
    }

    /// Where a version lies that was set aside; `None` for any other.
    pub(in crate::db) fn frame(&self, place: Place) -> Option<Frame> {
        let version = self.get(place).filter(|version| version.record.is_none())?;
        let stub = self.shelf.get(version.file)?;
        let offset = u64::from(stub.file) * ALIGNMENT as u64;
        Some(Frame { offset, record_len: stub.length() })
    }

    /// Bytes of a version's record, wherever it is; 0 once erased.
    pub(in crate::db) fn record_len(&self, place: Place) -> usize {
        let Some(version) = self.get(place) else { return 0 };
        match &version.record {
            Some(record) => record.as_bytes().len(),
            None => self.shelf.get(version.file).map_or(0, Stub::length),
        }
    }

    #[cold]
    pub(super) fn fetched_record(&self, place: Place, version: &Version) -> Option<&Record> {
        let stub = self.shelf.get(version.file)?;
        let fetched = self.fetched.get(&place);
        if fetched.is_none() {
            self.wanted.note(place, stub.length());
        }
        fetched
    }

    /// What is wanted of the file.
    pub(in crate::db) fn wanted(&self) -> &std::rc::Rc<super::Wanted> {
        &self.wanted
    }

    /// Takes in the record of a version that was set aside.
    pub(in crate::db) fn take_fetched(&mut self, place: Place, record: Record) {
        self.fetched_bytes += record.as_bytes().len();
        self.fetched.insert(place, record);
    }

    /// Bytes of the records that were fetched for the request under way.
    pub(in crate::db) fn fetched_bytes(&self) -> usize {
        self.fetched_bytes
    }

    /// Gives back what was fetched.
    pub(in crate::db) fn release_fetched(&mut self) {
        if self.fetched_bytes > 0 {
            self.fetched.clear();
            self.fetched_bytes = 0;
        }
    }
}
