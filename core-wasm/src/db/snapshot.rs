//! Writing everything that is held as a snapshot, a part at a time.
//!
//! The database does not change, and keeps no note of a snapshot under way: a [`Place`] has all that
//! the next part needs. Parts before the last have what is acknowledged; the last has everything.
//!
//! **Retention** is judged by what was there when the snapshot began: whatever was written since is
//! kept. So what is kept of a key is the end of its chain, whenever its parts were written.
//!
//! Erasing a key takes versions away that parts may have already, so a snapshot then begins anew.

use serde::{Deserialize, Serialize};

use crate::codec::hex;
use crate::codec::names;
use crate::error::{Error, Result};
use crate::log::chain::{Commit, Digest, Link, digest};
use crate::log::frame::{ALIGNMENT, FRAME_HEADER_BYTES, FrameType, Framing};
use crate::log::header::{HEADER_BYTES, Header};
use crate::log::record::{Erasure, Record, ValueKind};
use crate::log::snapshot::{GAP_BYTES, Gap, SNAPSHOT_BYTES, Snapshot};

use super::commit::out_of_memory;
use super::versions;
use super::{Database, Strings};

/// Most versions that are looked at for one part.
const MAX_SCANNED: usize = 50_000;
/// Most bytes of a part, but for a version that is longer by itself.
const MAX_PART_BYTES: usize = 1 << 20;
/// Bytes of a commit frame.
const COMMIT_BYTES: usize = FRAME_HEADER_BYTES + 40;
/// What may come behind the versions of a part: a gap, a commit, and the end of the snapshot.
const END_BYTES: usize = 4 * COMMIT_BYTES + FRAME_HEADER_BYTES + GAP_BYTES + SNAPSHOT_BYTES;

/// Which versions stay. Each rule keeps; without any, all do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// Keeps the last so many versions of each key.
    pub versions: Option<usize>,
    /// Keeps what was some key's value at a moment from this time on.
    pub since: Option<u64>,
}

/// How far a snapshot has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The next version to look at.
    next: versions::Place,
    /// Sequence of the last frame.
    sequence: u64,
    /// Head of the chain of parts.
    head: Digest,
    /// Retention is judged as of this time.
    as_of: u64,
    /// Erasures that there were when it began.
    erasures: u64,
    /// Versions written, and dropped by retention.
    versions: u64,
    dropped: u64,
    /// Versions that are gone since the last that was written.
    gone: u32,
    gone_of_commit: u32,
    gone_until: u64,
}

/// What to write next.
#[derive(Clone, Debug, Default)]
pub struct Part {
    /// Where to go on; `None` to begin.
    pub after: Option<Place>,
    /// About how many bytes.
    pub max_bytes: usize,
    /// Which versions stay.
    pub retention: Retention,
    /// Id of a new database, for a copy; `None` for a file in place of the present one.
    pub new_id: Option<[u8; 16]>,
    /// Whether to end the snapshot when everything is written.
    pub last: bool,
}

/// A part that was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Bytes of the file, to follow those before.
    pub bytes: Vec<u8>,
    /// Where to go on; `None` if a key was erased and the snapshot must begin anew.
    pub next: Option<Place>,
    /// Whether all that was to be had is written.
    pub is_complete: bool,
    /// Whether the snapshot has its end.
    pub is_ended: bool,
    /// Versions written so far.
    pub versions: u64,
    /// Versions that retention dropped so far.
    pub dropped: u64,
}

/// What a snapshot would come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Bytes of the file, to within a hundredth.
    pub bytes: u64,
    /// Versions in it.
    pub versions: u64,
    /// Versions that retention would drop.
    pub dropped: u64,
}

/// A part on its way.
struct Writer {
    framing: Framing,
    bytes: Vec<u8>,
    entries: usize,
    link: Link,
    place: Place,
}

impl Database {
    /// Writes the next part of a snapshot. Linear in its bytes, logarithmic in the number of keys if
    /// there is a rule.
    ///
    /// # Errors
    /// `Corrupt` if a version is not what its id says; `Limit` if there is no memory for the part;
    /// `Internal` for a last part while commits are not acknowledged.
    pub fn snapshot(&self, part: &Part) -> Result<Written> {
        let (header, sequence) = self.snapshot_header(part.new_id);
        let limit = if part.last { self.timestamp } else { self.visible_timestamp };
        if limit != self.visible_timestamp {
            return Err(Error::protocol("a snapshot ends before all commits are acknowledged"));
        }
        let mut bytes = room(part.max_bytes.min(MAX_PART_BYTES))?;
        let place = match &part.after {
            Some(place) if place.erasures != self.erasure_count => return Ok(Written::anew()),
            Some(place) => place.clone(),
            None => {
                bytes.extend_from_slice(&header.to_bytes());
                Place::first(sequence, self.visible_timestamp, self.erasure_count)
            }
        };
        let link = Link::after(&place.head);
        let mut writer = Writer { framing: Framing::new(&header), bytes, entries: 0, link, place };
        let is_complete = self.write_part(&mut writer, part, limit)?;
        let is_ended = is_complete && part.last;
        writer.bytes.try_reserve(END_BYTES).map_err(|_| out_of_memory())?;
        if is_ended {
            writer.end_gap();
        }
        writer.end_part();
        if is_ended {
            writer.end(&Snapshot {
                head: self.head,
                commits: self.commits,
                timestamp: self.timestamp,
                versions: writer.place.versions,
                dropped: self.dropped + writer.place.dropped,
                sequence: if part.new_id.is_some() { 0 } else { self.journal.sequence },
            });
        }
        let Writer { bytes, place, .. } = writer;
        let (versions, dropped) = (place.versions, place.dropped);
        Ok(Written { bytes, next: Some(place), is_complete, is_ended, versions, dropped })
    }

    /// The header of a snapshot, and the sequence before its first frame. In place of the present file
    /// sequences go on, so that an older one never means something of the new file.
    fn snapshot_header(&self, new_id: Option<[u8; 16]>) -> (Header, u64) {
        let header = match new_id {
            Some(database_id) => {
                Header { database_id, epoch: 1, first_sequence: 1, snapshot: true }
            }
            None => Header {
                database_id: self.header.database_id,
                epoch: self.header.epoch.wrapping_add(1),
                first_sequence: self.journal.sequence + 1,
                snapshot: true,
            },
        };
        (header, header.first_sequence.saturating_sub(1))
    }

    /// Writes versions until the part is full; whether there are no more up to a time.
    fn write_part(&self, writer: &mut Writer, part: &Part, limit: u64) -> Result<bool> {
        let max_bytes = part.max_bytes.min(MAX_PART_BYTES);
        // With one that is to be fetched the part is not used, and only as long as it would be.
        let mut fetched_bytes = 0;
        for _ in 0..MAX_SCANNED {
            let place = writer.place.next;
            let Some(version) = self.versions.get(place) else { return Ok(true) };
            if version.timestamp > limit {
                return Ok(true);
            }
            let gap = self.versions.gap(place).copied().unwrap_or_default();
            let is_held = !version.is_erased();
            if is_held && self.keeps(place, &part.retention, writer.place.as_of) {
                let vector = version.vector().map(|held| self.vectors.bytes(held));
                let vector = vector.unwrap_or_default();
                let needed = COMMIT_BYTES
                    + 2 * FRAME_HEADER_BYTES
                    + GAP_BYTES
                    + self.versions.record_len(place)
                    + vector.len();
                let length = writer.bytes.len() + fetched_bytes + needed;
                if writer.entries > 0 && length > max_bytes {
                    return Ok(false);
                }
                writer.place.pass(gap);
                match self.versions.record(place) {
                    Some(record) => {
                        writer.bytes.try_reserve(needed).map_err(|_| out_of_memory())?;
                        writer.version(record, &vector)?;
                    }
                    None => {
                        fetched_bytes += needed;
                        writer.entries += 1;
                    }
                }
            } else {
                writer.place.pass(gap);
                writer.place.dropped += u64::from(is_held);
                writer.place.pass(Gap { versions: 1, of_commit: 1, until: version.timestamp });
            }
            writer.place.next = place + 1;
            let next = self.versions.get(place + 1);
            if next.is_none_or(|next| next.timestamp != version.timestamp) {
                writer.place.gone_of_commit = 0;
            }
        }
        Ok(false)
    }

    /// Whether retention keeps a version. Of the engine's own namespace definitions that hold stay.
    fn keeps(&self, place: versions::Place, rules: &Retention, as_of: u64) -> bool {
        if *rules == Retention::default() {
            return true;
        }
        if self.versions.frame(place).is_some() {
            return self.keeps_aside(place, rules, as_of);
        }
        let Some(record) = self.versions.record(place) else { return true };
        let fields = record.fields();
        let Some(chain) = self.keyspace.chain(fields.namespace, fields.key, &self.versions) else {
            return true;
        };
        let chain = chain.until(as_of, &self.versions);
        let Ok(index) = chain.binary_search(&place) else { return true }; // Written since.
        let after = chain.len() - index - 1;
        let since = rules.since.filter(|_| fields.namespace != names::SYSTEM);
        let next = chain.get(index + 1).and_then(|next| self.versions.get(*next));
        let next = next.map(|next| next.timestamp);
        let is_deletion = record.kind() == ValueKind::Deleted;
        let held_until = match next {
            Some(next) => next,
            None if is_deletion => fields.timestamp,
            None => return true,
        };
        since.is_some_and(|since| held_until > since)
            || (fields.namespace != names::SYSTEM
                && rules.versions.is_some_and(|versions| after < versions))
    }

    /// [`Database::keeps`] of a version that was set aside, without its names: it is none of the
    /// engine's own, and not the last of its key. Linear in the versions that the rule keeps.
    fn keeps_aside(&self, place: versions::Place, rules: &Retention, as_of: u64) -> bool {
        let next = |place: versions::Place| {
            let next = self.versions.get(place)?.next();
            let time = self.versions.get(next)?.timestamp;
            (time <= as_of).then_some((next, time))
        };
        let Some(version) = self.versions.get(place) else { return true };
        if version.timestamp > as_of {
            return true; // Written since.
        }
        let held_until = match next(place) {
            Some((_, time)) => time,
            None if self.versions.holds_value(place) => return true,
            None => version.timestamp,
        };
        let mut later = core::iter::successors(Some(place), |place| Some(next(*place)?.0));
        rules.since.is_some_and(|since| held_until > since)
            || rules.versions.is_some_and(|kept| later.nth(kept).is_none())
    }

    /// What a snapshot of what is acknowledged would come to. Linear in the versions held.
    #[must_use]
    pub fn snapshot_size(&self, retention: &Retention) -> Size {
        let mut size = Size { bytes: 0, versions: 0, dropped: 0 };
        for place in self.versions.places() {
            if self.keeps(place, retention, self.visible_timestamp) {
                let vector = self.versions.get(place).and_then(versions::Version::vector);
                let dimension = vector.map_or(0, |held| self.vectors.dimension(held));
                let payload = self.versions.record_len(place) + 4 * dimension;
                size.bytes += (FRAME_HEADER_BYTES + payload).next_multiple_of(ALIGNMENT) as u64;
                size.versions += 1;
            } else {
                size.dropped += 1;
            }
        }
        size.bytes += (HEADER_BYTES + FRAME_HEADER_BYTES + SNAPSHOT_BYTES + COMMIT_BYTES) as u64;
        size.bytes += size.bytes / MAX_PART_BYTES as u64 * COMMIT_BYTES as u64;
        size
    }

    /// The erasures that readers of changes may still ask for. They are not part of a snapshot: it
    /// must not name what was erased.
    #[must_use]
    pub fn remembered_erasures(&self) -> impl ExactSizeIterator<Item = &Erasure> {
        self.erasures.iter()
    }

    /// The indexes of text that there are: their namespaces, and which strings they have.
    #[must_use]
    pub fn text_indexes(&self) -> Vec<(&str, Strings)> {
        let of = |strings| self.derived.texts(strings).map(move |namespace| (namespace, strings));
        Strings::EACH.into_iter().flat_map(of).collect()
    }
}

impl Place {
    fn first(sequence: u64, as_of: u64, erasures: u64) -> Self {
        Self {
            next: 0,
            sequence,
            head: [0; 32],
            as_of,
            erasures,
            versions: 0,
            dropped: 0,
            gone: 0,
            gone_of_commit: 0,
            gone_until: 0,
        }
    }

    /// Notes versions that are gone from before the next one.
    fn pass(&mut self, gap: Gap) {
        self.gone = self.gone.saturating_add(gap.versions);
        self.gone_of_commit = self.gone_of_commit.saturating_add(gap.of_commit);
        self.gone_until = self.gone_until.max(gap.until);
    }

    /// What is gone from before the next version, noted no more.
    fn take_gap(&mut self) -> Gap {
        let gap =
            Gap { versions: self.gone, of_commit: self.gone_of_commit, until: self.gone_until };
        (self.gone, self.gone_of_commit, self.gone_until) = (0, 0, 0);
        gap
    }
}

impl Written {
    fn anew() -> Self {
        let bytes = Vec::new();
        let (is_complete, is_ended) = (false, false);
        Self { bytes, next: None, is_complete, is_ended, versions: 0, dropped: 0 }
    }
}

impl Writer {
    /// Writes a version, after a gap if readers of changes would miss it: within its commit at once,
    /// else once a part.
    fn version(&mut self, record: &Record, vector: &[u8]) -> Result<()> {
        let digest = record.digest(vector);
        if !digest.starts_with(&record.id()) {
            let id = hex::encode(&record.id());
            return Err(Error::corrupt(0, &format!("version {id} is damaged in memory")));
        }
        if self.place.gone_of_commit > 0 || self.entries == 0 {
            self.end_gap();
        }
        self.frame(FrameType::Version, &[record.as_bytes(), vector]);
        self.link.add(&digest);
        self.place.versions += 1;
        Ok(())
    }

    /// Writes what is gone, if anything is.
    fn end_gap(&mut self) {
        if self.place.gone > 0 {
            let gap = self.place.take_gap().to_bytes();
            self.frame(FrameType::Gap, &[&gap]);
            self.link.add(&digest(&gap));
        }
    }

    fn frame(&mut self, kind: FrameType, payload: &[&[u8]]) {
        // Everything before is durable: the file appears when it is whole.
        let sequences = (self.place.sequence + 1, self.place.sequence);
        self.framing.write(&mut self.bytes, kind, sequences, payload);
        self.place.sequence += 1;
        self.entries += 1;
    }

    /// Closes the part, if there is anything in it.
    fn end_part(&mut self) {
        if self.entries > 0 {
            self.place.head = self.link.head();
            let commit = Commit::new(self.entries, self.place.head).to_bytes();
            self.frame(FrameType::Commit, &[&commit]);
        }
    }

    /// Writes the frame that ends the snapshot.
    fn end(&mut self, snapshot: &Snapshot) {
        let sequence = snapshot.sequence.max(self.place.sequence + 1);
        let payload = Snapshot { sequence, ..*snapshot }.to_bytes();
        self.frame(FrameType::Snapshot, &[&payload]);
    }
}

/// Room for a part.
fn room(bytes: usize) -> Result<Vec<u8>> {
    let mut room = Vec::new();
    room.try_reserve_exact(bytes + END_BYTES).map_err(|_| out_of_memory())?;
    Ok(room)
}

#[cfg(test)]
mod tests;
