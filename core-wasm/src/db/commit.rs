//! The one way in: a group of drafts becomes versions, log frames and a link of the chain.

use crate::codec::{json, names};
use crate::error::{Error, Kind, Result};
use crate::limits::{
    MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_CAUSES, MAX_DIMENSION, MAX_TIMESTAMP_US, MAX_VALUE_BYTES,
    MIN_MEMORY_RESERVE_BYTES,
};
use crate::log::chain::{Commit, Link};
use crate::log::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameType};
use crate::log::record::{Fields, RECORD_HEADER_BYTES, ValueKind};
use crate::vector::Codes;

use super::Database;
use super::vectors::At;
use super::versions::Place;

/// When a write happens, as far as the host knows.
#[derive(Clone, Copy, Debug)]
pub struct Write {
    /// Host time in microseconds since 1970. The commit's time is later than any before it.
    pub now_us: u64,
    /// Sequence up to which the log is synced: the write's frames say so.
    pub synced_sequence: u64,
}

/// A version to be written.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Namespace, not checked yet.
    pub namespace: &'a [u8],
    /// Key, not checked yet.
    pub key: &'a [u8],
    /// What the value is.
    pub kind: ValueKind,
    /// The value, not checked yet.
    pub value: &'a [u8],
    /// Model that made the vector; empty for the default one.
    pub model: &'a str,
    /// Ids of the versions it is derived from, 16 bytes each; known to exist.
    pub causes: &'a [u8],
    /// Components of the vector, float32 each.
    pub vector: &'a [u8],
}

/// Most bytes that a set of vectors grows by at a time.
const ROWS_GROWTH_BYTES: usize = 3 << 19;
/// What all that is small may take. Memory grows by pages of 64 KiB, so the last of them may be out of
/// reach.
const SMALL_ROOM_BYTES: usize = 256 * 1024;

/// How much of the memory kept free must stay free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reserve {
    /// New data leaves all of it.
    Whole,
    /// Opening may use all of it: what was written once must open again.
    Nothing,
}

impl<'a> Draft<'a> {
    /// A draft of a JSON value and nothing else.
    #[must_use]
    pub fn json(namespace: &'a str, key: &'a str, value: &'a [u8]) -> Self {
        let (namespace, key) = (namespace.as_bytes(), key.as_bytes());
        Self { namespace, key, kind: ValueKind::Json, value, model: "", causes: &[], vector: &[] }
    }

    /// A draft of a deletion.
    #[must_use]
    pub fn deleted(namespace: &'a str, key: &'a str) -> Self {
        Self { kind: ValueKind::Deleted, ..Self::json(namespace, key, b"") }
    }

    fn len(&self) -> usize {
        self.namespace.len()
            + self.key.len()
            + self.causes.len()
            + self.value.len()
            + self.vector.len()
    }

    /// Checks everything that can be wrong with a draft.
    pub(super) fn check(&self) -> Result<()> {
        names::check("namespace", self.namespace)?;
        names::check("key", self.key)?;
        if !self.model.is_empty() {
            names::check("model", self.model.as_bytes())?;
        }
        if self.value.len() > MAX_VALUE_BYTES {
            return Err(too_large("value bytes", self.value.len(), MAX_VALUE_BYTES));
        }
        if self.causes.len() / 16 > MAX_CAUSES {
            return Err(too_large("causes", self.causes.len() / 16, MAX_CAUSES));
        }
        match self.kind {
            ValueKind::Json => json::validate(self.value)?,
            ValueKind::Bytes => {}
            ValueKind::Deleted if self.value.is_empty() && self.vector.is_empty() => {}
            ValueKind::Deleted => {
                let message = "a deletion has neither a value nor a vector";
                return Err(Error::new(
                    Kind::Invalid,
                    message,
                    "write the value, or delete the key",
                ));
            }
        }
        let dimension = self.vector.len() / 4;
        if dimension > MAX_DIMENSION || !self.vector.len().is_multiple_of(4) {
            let message =
                format!("the vector has {dimension} components; the limit is {MAX_DIMENSION}");
            return Err(Error::new(Kind::Invalid, message, "use a model of fewer dimensions"));
        }
        Ok(())
    }
}

pub(super) fn too_large(what: &str, size: usize, limit: usize) -> Error {
    let message = format!("{size} {what}; the limit is {limit}");
    Error::new(Kind::Limit, message, "split it into smaller parts; nothing was written")
}

#[cold]
fn no_room(bytes: usize) -> Error {
    Error::new(
        Kind::Limit,
        format!("the answer may take {bytes} bytes, more than the memory has left"),
        "raise Config.max_memory_mb, or ask for less",
    )
}

/// Whether memory has so many bytes in one piece.
pub(super) fn has_piece(bytes: usize) -> bool {
    let mut piece = Vec::<u8>::new();
    let found = piece.try_reserve_exact(bytes).is_ok();
    core::hint::black_box(piece); // Else the compiler leaves out an allocation that nobody uses.
    found
}

pub(super) fn out_of_memory() -> Error {
    Error::new(
        Kind::Limit,
        "the database's memory is full",
        "raise Config.max_memory_mb, or delete or erase what is not needed; nothing was written \
         and everything acknowledged can still be read",
    )
}

impl Database {
    /// Writes a group of drafts, all or none, and returns the place of the first.
    ///
    /// Costs linear time in the group's bytes, logarithmic in the number of keys.
    pub(super) fn commit(&mut self, write: Write, drafts: &[Draft<'_>]) -> Result<Place> {
        self.check_drafts(drafts, 0)?;
        let mut vectors = Vec::with_capacity(drafts.len());
        for draft in drafts {
            match self.add_vector(draft) {
                Ok(vector) => vectors.push(vector),
                Err(error) => {
                    vectors.into_iter().flatten().for_each(|added| self.vectors.erase(added));
                    return Err(error);
                }
            }
        }
        self.commit_checked(write, drafts, &vectors)
    }

    /// Checks everything that can be wrong with a group, and that there is memory for it. `beside` is
    /// bytes of vectors that are in their rows already.
    pub(super) fn check_drafts(&mut self, drafts: &[Draft<'_>], beside: usize) -> Result<()> {
        if drafts.len() > MAX_BATCH_ITEMS {
            return Err(too_large("items in a batch", drafts.len(), MAX_BATCH_ITEMS));
        }
        for (index, draft) in drafts.iter().enumerate() {
            draft.check().map_err(|error| match drafts {
                [_] => error,
                _ => error.with("index", index),
            })?;
        }
        let bytes = drafts.iter().map(Draft::len).sum();
        if drafts.len() > 1 && bytes > MAX_BATCH_BYTES {
            return Err(too_large("bytes in a batch", bytes, MAX_BATCH_BYTES));
        }
        if drafts.iter().any(|draft| draft.kind != ValueKind::Deleted) {
            let grows = drafts.iter().any(|draft| {
                let names = (draft.namespace, draft.model.as_bytes());
                !draft.vector.is_empty() && !self.vectors.has_room(names)
            });
            let derived =
                drafts.iter().map(|draft| self.derived.entry_bytes(draft.namespace, draft.value));
            let bytes =
                bytes + if grows { ROWS_GROWTH_BYTES / 2 } else { 0 } + derived.sum::<usize>();
            self.set_aside(2 * bytes, self.visible_timestamp);
            if let Err(error) = self.check_budget(drafts.len(), bytes, Reserve::Whole) {
                self.make_room(drafts.len(), bytes).map_err(|()| error)?;
            }
        }
        self.keyspace.reserve(drafts.len())?;
        self.versions.reserve(drafts.len())?;
        let bytes =
            bytes + beside + drafts.len() * (RECORD_HEADER_BYTES + FRAME_HEADER_BYTES + ALIGNMENT);
        self.journal.reserve(bytes).map_err(|_| out_of_memory())?;
        // Memory that is in use may fit the budget, and what is free be in pieces.
        let longest = drafts.iter().map(Draft::len).max().unwrap_or_default();
        if longest > SMALL_ROOM_BYTES && !has_piece(longest + RECORD_HEADER_BYTES) {
            return Err(out_of_memory());
        }
        Ok(())
    }

    /// Lets go of what can be had again, until there is memory for a group that has to fit.
    fn make_room(&mut self, count: usize, bytes: usize) -> core::result::Result<(), ()> {
        let fits = |database: &Self| database.check_budget(count, bytes, Reserve::Whole).is_ok();
        if (self.set_all_aside(self.visible_timestamp) && fits(self))
            || (self.derived.drop_texts() && fits(self))
        {
            Ok(())
        } else {
            Err(())
        }
    }

    fn add_vector(&mut self, draft: &Draft<'_>) -> Result<Option<At>> {
        if draft.vector.is_empty() {
            return Ok(None);
        }
        let names = (draft.namespace, draft.model.as_bytes());
        self.vectors.add(names, draft.vector, Codes::Now).map(Some)
    }

    /// Writes a checked group whose vectors are in their rows.
    pub(super) fn commit_checked(
        &mut self,
        write: Write,
        drafts: &[Draft<'_>],
        vectors: &[Option<At>],
    ) -> Result<Place> {
        let timestamp = self.begin(write)?;
        let mut link = Link::after(&self.head);
        let mut first = None;
        for (draft, vector) in drafts.iter().zip(vectors) {
            let place = self.write_draft(timestamp, draft, *vector, &mut link);
            first = first.or(Some(place));
        }
        self.finish(drafts.len(), timestamp, &link);
        Ok(first.unwrap_or_default())
    }

    fn write_draft(
        &mut self,
        timestamp: u64,
        draft: &Draft<'_>,
        held: Option<At>,
        link: &mut Link,
    ) -> Place {
        let Self { keyspace, versions, vectors, derived, journal, .. } = self;
        let vector = held.map(|held| vectors.bytes(held)).unwrap_or_default();
        // Both were checked to be UTF-8.
        let namespace = core::str::from_utf8(draft.namespace).unwrap_or_default();
        let key = core::str::from_utf8(draft.key).unwrap_or_default();
        let chain = keyspace.find((draft.namespace, draft.key), versions);
        let before = chain.ok().and_then(|chain| keyspace.latest(chain));
        let previous = before.and_then(|place| versions.id(place));
        let (kind, value) = (draft.kind, draft.value);
        let (model, causes) = (draft.model, draft.causes);
        let dimension = vector.len() / 4;
        let fields =
            Fields { timestamp, previous, namespace, key, model, causes, kind, value, dimension };
        let (record, digest) = fields.seal(&vector);
        link.add(&digest);
        let offset = journal.write(FrameType::Version, &[record.as_bytes(), &vector]);
        let latest = before.and_then(|place| versions.get(place)?.vector());
        let place = versions.push(record, timestamp, held, offset);
        match chain {
            Ok(chain) => keyspace.push(chain, place),
            Err(absent) => keyspace.insert((draft.namespace, draft.key), absent, place),
        }
        if let Some(before) = before {
            versions.follow(before, place);
        }
        let unacknowledged = journal.is_stored().then_some(timestamp);
        if let Some(overwritten) = latest {
            vectors.retire(overwritten, unacknowledged);
        }
        if let Some(held) = held {
            vectors.attach(held, place, unacknowledged);
        }
        derived.wrote(place, before, unacknowledged, versions);
        place
    }

    /// Begins a commit: its time, later than any before.
    pub(super) fn begin(&mut self, write: Write) -> Result<u64> {
        self.journal.synced_sequence = write.synced_sequence;
        let timestamp = write.now_us.max(self.timestamp + 1);
        if timestamp > MAX_TIMESTAMP_US {
            let message = format!("the time of the write, {timestamp} us, is past the year 9999");
            return Err(Error::new(Kind::Invalid, message, "set the clock of the host"));
        }
        Ok(timestamp)
    }

    /// Ends a commit of `count` frames. Without a journal it is durable at once.
    pub(super) fn finish(&mut self, count: usize, timestamp: u64, link: &Link) {
        self.head = link.head();
        self.commits += 1;
        self.journal.write(FrameType::Commit, &[&Commit::new(count, self.head).to_bytes()]);
        self.timestamp = timestamp;
        if self.journal.is_stored() {
            self.pending.push_back((self.journal.sequence, timestamp));
        } else {
            self.visible_timestamp = timestamp;
        }
    }

    /// Refuses an answer whose making would take more memory than there is.
    ///
    /// # Errors
    /// `Limit` with the number of bytes.
    #[inline(always)]
    pub fn check_room(&self, bytes: usize) -> Result<()> {
        let budget = self.options.memory_budget;
        if budget > 0 && (self.options.memory_used)().saturating_add(bytes) > budget {
            return Err(no_room(bytes));
        }
        Ok(())
    }

    /// [`Database::check_room`] for what is made on the way, and for all that is small beside it: what
    /// asks so as it goes on finds memory for each step.
    ///
    /// # Errors
    /// As [`Database::check_room`].
    #[inline(always)]
    pub fn check_room_to_work(&self, bytes: usize) -> Result<()> {
        self.check_room(bytes.saturating_add(SMALL_ROOM_BYTES))
    }

    /// Refuses new data that would leave too little memory to go on reading and deleting.
    pub(super) fn check_budget(&self, count: usize, bytes: usize, reserve: Reserve) -> Result<()> {
        let budget = self.options.memory_budget;
        if budget == 0 {
            return Ok(());
        }
        // A record and its journal frame, and the places that find it.
        let needed = 2 * bytes + 384 * count;
        let whole = MIN_MEMORY_RESERVE_BYTES.max(budget / 16);
        let reserve = match reserve {
            Reserve::Whole => whole,
            Reserve::Nothing => 0,
        };
        let available = budget.saturating_sub(reserve);
        if (self.options.memory_used)().saturating_add(needed) > available {
            return Err(out_of_memory());
        }
        Ok(())
    }
}
