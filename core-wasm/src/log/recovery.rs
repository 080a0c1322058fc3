//! Reading a log back, and telling a torn tail from damage.
//!
//! Groups are taken whole, in order, up to the first one, X, that does not hold. What lies after
//! X decides what it is:
//!
//! - no later valid frame of this database and epoch: a torn tail, to be cut off;
//! - later frames, one of which says that its writer knew X to be synced: acknowledged data is
//!   damaged, and nothing is repaired on its own;
//! - later frames, none of which reaches X: an unsynced batch that reached the disk out of
//!   order, to be cut off as well.
//!
//! In a snapshot ([`super::snapshot`]) there is no torn tail: its file appeared when it was whole, so
//! whatever does not hold in it is damage.
//!
//! Bytes are pulled: [`Recovery::feed`] says from which offset it wants bytes next, and how many.
//! Memory is bounded by the largest group. Linear time.

use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_FRAME_PAYLOAD_BYTES};
use crate::log::chain::Commit;
use crate::log::frame::{ALIGNMENT, FRAME_HEADER_BYTES, Found, FrameHeader, FrameType, Framing};
use crate::log::header::{HEADER_BYTES, Header};
use crate::log::record::{Erasure, Record};
use crate::log::snapshot::{Gap, Snapshot};

/// No sequence that a snapshot says is later than this: those after it have room.
const MAX_SEQUENCE: u64 = u64::MAX >> 1;

/// The least that a disk writes whole or not at all.
const SECTOR_BYTES: usize = 512;

/// What one frame of a group did.
#[derive(Debug)]
pub enum Entry {
    /// A version was written; its frame begins at this offset.
    Version(Record, u64),
    /// A key was erased.
    Erasure(Erasure),
    /// Of a part: versions that are gone.
    Gap(Gap),
}

/// A group whose every checksum holds.
#[derive(Debug)]
pub struct Group {
    /// What it did, in order.
    pub entries: Vec<Entry>,
    /// Its commit.
    pub commit: Commit,
    /// Sequence of the commit frame.
    pub sequence: u64,
}

/// What is taken whole, with those vectors of its versions that were not [taken ahead](Intake::ahead), one
/// after the other as float32 bytes.
#[derive(Debug)]
pub enum Unit<'a> {
    /// A commit.
    Group(Group, &'a [u8]),
    /// A part of the snapshot that the file begins with.
    Part(Group, &'a [u8]),
    /// The end of that snapshot.
    Snapshot(Snapshot),
}

/// Takes units in.
pub trait Intake {
    /// Takes what is whole.
    ///
    /// # Errors
    /// Whatever keeps it from that; nothing more is read then.
    fn unit(&mut self, unit: Unit<'_>) -> Result<()>;

    /// Takes the vector of a version whose group is not whole yet, if it has a place for it: that saves
    /// copying it twice. Those of a group that never becomes whole are to be let go of.
    fn ahead(&mut self, _record: &Record, _vector: &[u8]) -> bool {
        false
    }
}

impl<F: FnMut(Unit<'_>) -> Result<()>> Intake for F {
    fn unit(&mut self, unit: Unit<'_>) -> Result<()> {
        self(unit)
    }
}

/// What came of a piece of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Feed the bytes from `offset` on, at least `want` of them unless the file ends before.
    More {
        /// Where in the file.
        offset: u64,
        /// How many bytes at least.
        want: usize,
    },
    /// The file has been read.
    Done(Outcome),
}

/// What a whole file came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes that hold; the rest is to be cut off.
    pub valid_bytes: u64,
    /// Bytes after them that are not merely zeros.
    pub dropped_bytes: u64,
}

/// Reads one file, piece by piece.
#[derive(Debug, Default)]
pub struct Recovery {
    writable: bool,
    header: Option<(Header, Framing)>,
    entries: Vec<Entry>,
    vectors: Vec<u8>,
    pending_bytes: usize,
    /// Sequence of the last frame read, and of the last whole group.
    sequence: u64,
    committed_sequence: u64,
    /// Where the current group begins.
    group_offset: u64,
    /// Whether the snapshot's end is still to come, and the versions that it has so far.
    in_snapshot: bool,
    snapshot_versions: u64,
    /// Set once a group did not hold.
    scan: Option<Scan>,
}

#[derive(Clone, Copy, Debug)]
struct Scan {
    /// End of the last byte after the group that is not zero.
    end_of_data: u64,
}

enum Step {
    Frame(usize),
    NeedMore(usize),
    Broken,
}

impl Recovery {
    /// A recovery that has seen nothing. `writable` says whether the database is to be written
    /// to.
    #[must_use]
    pub fn new(writable: bool) -> Self {
        Self { writable, ..Self::default() }
    }

    /// The file's header, once read.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        self.header.map(|(header, _)| header)
    }

    /// Sequence of the last whole group's commit frame.
    #[must_use]
    pub fn committed_sequence(&self) -> u64 {
        self.committed_sequence
    }

    /// Bytes of the file that hold so far.
    #[must_use]
    pub fn valid_bytes(&self) -> u64 {
        self.group_offset
    }

    /// Takes the file's bytes from `offset` on; `end` says that the file ends with them. Hands each
    /// unit that is whole to `intake`.
    ///
    /// # Errors
    /// `Unsupported` and `Corrupt` as the module describes, and whatever `intake` returns.
    pub fn feed(
        &mut self,
        offset: u64,
        bytes: &[u8],
        end: bool,
        intake: &mut dyn Intake,
    ) -> Result<Progress> {
        let mut position = 0;
        let framing = match self.header {
            Some((_, framing)) => framing,
            None if bytes.len() < HEADER_BYTES && !end => {
                return Ok(Progress::More { offset, want: HEADER_BYTES });
            }
            None => {
                position = HEADER_BYTES;
                self.begin(bytes)?
            }
        };
        while self.scan.is_none() {
            let rest = bytes.get(position..).unwrap_or_default();
            let at = offset + position as u64;
            if rest.is_empty() && end {
                break;
            }
            match self.step(&framing, rest, at, intake)? {
                Step::Frame(length) => position += length,
                Step::NeedMore(want) if !end => return Ok(Progress::More { offset: at, want }),
                Step::Broken if self.in_snapshot => {
                    return Err(Error::corrupt(
                        at,
                        "the snapshot that the file begins with is damaged",
                    ));
                }
                Step::NeedMore(_) | Step::Broken => {
                    self.scan = Some(Scan { end_of_data: self.group_offset });
                }
            }
        }
        if self.in_snapshot {
            return Err(Error::corrupt(self.group_offset, "the file ends inside its snapshot"));
        }
        let rest = bytes.get(position..).unwrap_or_default();
        self.search(&framing, rest, offset + position as u64, end)
    }

    fn begin(&mut self, bytes: &[u8]) -> Result<Framing> {
        let header = Header::from_bytes(bytes, self.writable)?;
        let framing = Framing::new(&header);
        self.header = Some((header, framing));
        self.sequence = header.first_sequence.saturating_sub(1);
        self.committed_sequence = self.sequence;
        self.group_offset = HEADER_BYTES as u64;
        self.in_snapshot = header.snapshot;
        Ok(framing)
    }

    /// Takes the frame at the front of `rest`, if it is the next one.
    fn step(
        &mut self,
        framing: &Framing,
        rest: &[u8],
        at: u64,
        intake: &mut dyn Intake,
    ) -> Result<Step> {
        if rest.len() < FRAME_HEADER_BYTES {
            return Ok(Step::NeedMore(FRAME_HEADER_BYTES));
        }
        let frame = match framing.read_header(rest) {
            Found::Frame(frame) => frame,
            Found::Impossible => {
                return Err(Error::corrupt(at, "a frame has an impossible length"));
            }
            Found::Foreign(frame) if lies_in_one_sector(at) => {
                if rest.len() < frame.frame_len() {
                    return Ok(Step::NeedMore(frame.frame_len()));
                }
                // A torn write leaves no header with the checksum of a payload that is all there.
                return match frame.payload(rest) {
                    Some(_) => Err(Error::corrupt(at, "a whole frame is not of this database")),
                    None => Ok(Step::Broken),
                };
            }
            Found::Foreign(_) | Found::Nothing => return Ok(Step::Broken),
        };
        if frame.sequence != self.sequence + 1 {
            return Ok(Step::Broken);
        }
        if rest.len() < frame.frame_len() {
            return Ok(Step::NeedMore(frame.frame_len()));
        }
        let Some(payload) = frame.payload(rest) else { return Ok(Step::Broken) };
        self.take(&frame, payload, at, intake)?;
        Ok(Step::Frame(frame.frame_len()))
    }

    /// Takes a frame whose checksums hold: from here on, what does not fit is damage or a forgery,
    /// never a torn write.
    fn take(
        &mut self,
        frame: &FrameHeader,
        payload: &[u8],
        at: u64,
        intake: &mut dyn Intake,
    ) -> Result<()> {
        let entry = match frame.kind {
            Some(FrameType::Version) => self.take_version(payload, at, intake)?,
            Some(FrameType::Erasure) if !self.in_snapshot => {
                Erasure::parse(payload).map(Entry::Erasure)
            }
            Some(FrameType::Gap) if self.in_snapshot => Gap::parse(payload).map(Entry::Gap),
            Some(FrameType::Snapshot) => return self.end_snapshot(frame, payload, at, intake),
            Some(FrameType::Commit) => {
                let commit = Commit::from_bytes(payload)
                    .filter(|commit| usize::try_from(commit.count) == Ok(self.entries.len()))
                    .ok_or_else(|| Error::corrupt(at, "a commit does not match its group"))?;
                let entries = core::mem::take(&mut self.entries);
                let group = Group { entries, commit, sequence: frame.sequence };
                let unit = if self.in_snapshot {
                    Unit::Part(group, &self.vectors)
                } else {
                    Unit::Group(group, &self.vectors)
                };
                intake.unit(unit).map_err(|error| error.at(self.group_offset))?;
                // Its room stays for the next group: growing it anew would copy every vector twice.
                self.vectors.clear();
                self.pending_bytes = 0;
                self.end_unit(frame.sequence, at + frame.frame_len() as u64);
                return Ok(());
            }
            _ => None,
        };
        let entry = entry.ok_or_else(|| Error::corrupt(at, "a frame holds no valid record"))?;
        self.pending_bytes += payload.len();
        // A group may exceed the batch limits by what headers, causes and vectors add to them.
        let bound = 4 * MAX_BATCH_BYTES + MAX_FRAME_PAYLOAD_BYTES;
        if self.entries.len() >= MAX_BATCH_ITEMS || self.pending_bytes > bound {
            return Err(Error::corrupt(at, "a group is longer than any the engine writes"));
        }
        self.entries.push(entry);
        self.sequence = frame.sequence;
        Ok(())
    }

    /// Takes the frame that ends a snapshot.
    fn end_snapshot(
        &mut self,
        frame: &FrameHeader,
        payload: &[u8],
        at: u64,
        intake: &mut dyn Intake,
    ) -> Result<()> {
        let expected = self.in_snapshot && self.entries.is_empty();
        let sound = |snapshot: &Snapshot| {
            expected
                && snapshot.versions == self.snapshot_versions
                && (frame.sequence..=MAX_SEQUENCE).contains(&snapshot.sequence)
        };
        let snapshot = Snapshot::parse(payload).filter(sound);
        let snapshot = snapshot
            .ok_or_else(|| Error::corrupt(at, "a snapshot's end does not match its parts"))?;
        intake.unit(Unit::Snapshot(snapshot)).map_err(|error| error.at(at))?;
        self.in_snapshot = false;
        self.end_unit(snapshot.sequence, at + frame.frame_len() as u64);
        Ok(())
    }

    /// What lies before `offset` holds; frames go on after `sequence`.
    fn end_unit(&mut self, sequence: u64, offset: u64) {
        self.sequence = sequence;
        self.committed_sequence = sequence;
        self.group_offset = offset;
    }

    /// Takes a stored version: the record by itself, the vector to those of its group. Together they
    /// would leave holes of the vectors' size between the records that stay.
    fn take_version(
        &mut self,
        stored: &[u8],
        at: u64,
        intake: &mut dyn Intake,
    ) -> Result<Option<Entry>> {
        let Some((record, vector)) = Record::split(stored) else { return Ok(None) };
        let Some(record) = Record::parse(copy(record)?) else { return Ok(None) };
        self.snapshot_versions += u64::from(self.in_snapshot);
        if !vector.is_empty() && !intake.ahead(&record, vector) {
            self.vectors.try_reserve(vector.len()).map_err(|_| no_room())?;
            self.vectors.extend_from_slice(vector);
        }
        Ok(Some(Entry::Version(record, at)))
    }

    /// Looks for frames after a group that did not hold.
    fn search(&mut self, framing: &Framing, bytes: &[u8], at: u64, end: bool) -> Result<Progress> {
        let mut position = 0;
        if let Some(scan) = &mut self.scan {
            while bytes.len() - position >= FRAME_HEADER_BYTES {
                let rest = bytes.get(position..).unwrap_or_default();
                if let Found::Frame(frame) = framing.read_header(rest)
                    && frame.sequence > self.committed_sequence
                    && frame.durable_sequence > self.committed_sequence
                {
                    return Err(Error::corrupt(
                        self.group_offset,
                        "acknowledged data is damaged: a batch does not hold although later ones do",
                    ));
                }
                position += ALIGNMENT;
            }
            if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
                scan.end_of_data = scan.end_of_data.max(at + last as u64 + 1);
            }
        }
        if !end {
            let position = position.min(bytes.len());
            return Ok(Progress::More { offset: at + position as u64, want: FRAME_HEADER_BYTES });
        }
        // A group without its commit is a torn tail although each of its frames holds.
        let end_of_data = match &self.scan {
            Some(scan) => scan.end_of_data,
            None => at + bytes.len() as u64,
        };
        self.entries.clear();
        self.sequence = self.committed_sequence;
        Ok(Progress::Done(Outcome {
            valid_bytes: self.group_offset,
            dropped_bytes: end_of_data.saturating_sub(self.group_offset),
        }))
    }
}

/// Whether a header at this offset was written whole or not at all. One that lies in two sectors may
/// be half of the frame written last and half of what the disk held there, its payload included.
fn lies_in_one_sector(at: u64) -> bool {
    at % SECTOR_BYTES as u64 <= (SECTOR_BYTES - FRAME_HEADER_BYTES) as u64
}

fn no_room() -> Error {
    let message = "the database does not fit the memory";
    Error::new(Kind::Limit, message, "raise Config.max_memory_mb to open it")
}

/// A copy of bytes, to be kept.
fn copy(payload: &[u8]) -> Result<Box<[u8]>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(payload.len()).map_err(|_| no_room())?;
    bytes.extend_from_slice(payload);
    Ok(bytes.into_boxed_slice())
}

#[cfg(test)]
mod tests;
