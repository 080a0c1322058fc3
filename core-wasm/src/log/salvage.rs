//! What is intact in a damaged file.
//!
//! Every group and part whose frames all hold is taken, and what lies between is skipped, byte by
//! aligned byte, until a frame of this database and epoch holds again. A commit frame counts the
//! frames before it, so a group of which the beginning is lost is known by that. Sequences must rise:
//! a copy of an older file inside a value is not taken for the log.
//!
//! Nothing is said about what was lost but where it was. Linear time.

use crate::error::{Error, Kind, Result};
use crate::limits::{MAX_BATCH_BYTES, MAX_BATCH_ITEMS, MAX_FRAME_PAYLOAD_BYTES};
use crate::log::chain::Commit;
use crate::log::frame::{ALIGNMENT, FRAME_HEADER_BYTES, Found, FrameHeader, FrameType, Framing};
use crate::log::header::{HEADER_BYTES, Header};
use crate::log::record::{Erasure, Record};
use crate::log::recovery::{Entry, Group, Intake, Outcome, Progress, Unit};
use crate::log::snapshot::{Gap, Snapshot};

/// Most stretches that are reported one by one; later ones become part of the last.
const MAX_STRETCHES: usize = 1000;

/// Reads one file, piece by piece, and takes what holds.
#[derive(Debug, Default)]
pub struct Salvage {
    header: Option<(Header, Framing)>,
    entries: Vec<Entry>,
    vectors: Vec<u8>,
    pending_bytes: usize,
    /// Where the group under way begins.
    begin: u64,
    /// Sequence of the last frame that was read.
    sequence: u64,
    /// Where the last unit that was taken ends.
    taken: u64,
    /// End of the last byte that is not zero.
    end_of_data: u64,
    lost: Vec<(u64, u64)>,
}

impl Salvage {
    /// The file's header, once read.
    #[must_use]
    pub fn header(&self) -> Option<Header> {
        self.header.map(|(header, _)| header)
    }

    /// Sequence of the last frame that was read.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Where what was not taken lies: from, to.
    #[must_use]
    pub fn lost(&self) -> &[(u64, u64)] {
        &self.lost
    }

    /// Takes the file's bytes from `offset` on, as [`crate::log::recovery::Recovery::feed`] does. A
    /// unit that `intake` finds wrong is lost.
    ///
    /// # Errors
    /// `Unsupported` or `Corrupt` if the file's header cannot be read, `Limit` for want of memory.
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
                let header = Header::from_bytes(bytes, false)?;
                let framing = Framing::new(&header);
                self.header = Some((header, framing));
                self.sequence = header.first_sequence.saturating_sub(1);
                (self.taken, position) = (HEADER_BYTES as u64, HEADER_BYTES);
                framing
            }
        };
        if let Some(last) = bytes.iter().rposition(|&byte| byte != 0) {
            self.end_of_data = self.end_of_data.max(offset + last as u64 + 1);
        }
        while let Some(rest) = bytes.get(position..) {
            let at = offset + position as u64;
            if rest.len() < FRAME_HEADER_BYTES {
                if end {
                    break;
                }
                return Ok(Progress::More { offset: at, want: FRAME_HEADER_BYTES });
            }
            let frame = match framing.read_header(rest) {
                Found::Frame(frame) if frame.sequence > self.sequence => frame,
                _ => {
                    position += ALIGNMENT;
                    continue;
                }
            };
            if rest.len() < frame.frame_len() && !end {
                return Ok(Progress::More { offset: at, want: frame.frame_len() });
            }
            let Some(payload) = frame.payload(rest) else {
                position += ALIGNMENT;
                continue;
            };
            self.take(&frame, payload, at, intake)?;
            position += frame.frame_len();
        }
        self.lose_until(self.end_of_data);
        let dropped_bytes = self.lost.iter().map(|(from, to)| to - from).sum();
        let valid_bytes = self.end_of_data.saturating_sub(dropped_bytes);
        Ok(Progress::Done(Outcome { valid_bytes, dropped_bytes }))
    }

    fn take(
        &mut self,
        frame: &FrameHeader,
        payload: &[u8],
        at: u64,
        intake: &mut dyn Intake,
    ) -> Result<()> {
        if frame.sequence != self.sequence + 1 {
            self.begin_group();
        }
        self.sequence = frame.sequence;
        if self.entries.is_empty() {
            self.begin = at;
        }
        let end = at + frame.frame_len() as u64;
        let entry = match frame.kind {
            Some(FrameType::Version) => self.version(payload, at)?,
            Some(FrameType::Erasure) => Erasure::parse(payload).map(Entry::Erasure),
            Some(FrameType::Gap) => Gap::parse(payload).map(Entry::Gap),
            Some(FrameType::Commit) => {
                let whole = Commit::from_bytes(payload)
                    .filter(|commit| usize::try_from(commit.count) == Ok(self.entries.len()));
                if let Some(commit) = whole {
                    let entries = core::mem::take(&mut self.entries);
                    let group = Group { entries, commit, sequence: frame.sequence };
                    let outcome = intake.unit(Unit::Group(group, &self.vectors));
                    self.settle(outcome, end)?;
                }
                self.begin_group();
                return Ok(());
            }
            Some(FrameType::Snapshot) => {
                self.begin_group();
                self.begin = at;
                if let Some(snapshot) = Snapshot::parse(payload) {
                    self.settle(intake.unit(Unit::Snapshot(snapshot)), end)?;
                }
                return Ok(());
            }
            None => None,
        };
        self.pending_bytes += payload.len();
        let bound = 4 * MAX_BATCH_BYTES + MAX_FRAME_PAYLOAD_BYTES;
        match entry {
            Some(entry) if self.entries.len() < MAX_BATCH_ITEMS && self.pending_bytes <= bound => {
                self.entries.push(entry);
            }
            _ => self.begin_group(),
        }
        Ok(())
    }

    /// Takes the record by itself, and the vector to those of its group.
    fn version(&mut self, stored: &[u8], at: u64) -> Result<Option<Entry>> {
        let Some((record, vector)) = Record::split(stored) else { return Ok(None) };
        let mut bytes = Vec::new();
        let room = bytes.try_reserve_exact(record.len());
        room.and_then(|()| self.vectors.try_reserve(vector.len())).map_err(|_| no_room())?;
        bytes.extend_from_slice(record);
        self.vectors.extend_from_slice(vector);
        let record = Record::parse(bytes.into_boxed_slice());
        Ok(record.map(|record| Entry::Version(record, at)))
    }

    /// Forgets what is there of a group.
    fn begin_group(&mut self) {
        self.entries.clear();
        self.vectors.clear();
        self.pending_bytes = 0;
    }

    /// Notes that a unit that ends here was taken, or was not.
    fn settle(&mut self, outcome: Result<()>, end: u64) -> Result<()> {
        match outcome {
            Err(error) if error.kind == Kind::Limit => Err(error),
            Err(_) => Ok(()), // Damage that no checksum shows: it stays within what is lost.
            Ok(()) => {
                self.lose_until(self.begin);
                self.taken = end;
                Ok(())
            }
        }
    }

    fn lose_until(&mut self, to: u64) {
        if to <= self.taken {
            return;
        }
        if self.lost.len() < MAX_STRETCHES {
            self.lost.push((self.taken, to));
        } else if let Some(last) = self.lost.last_mut() {
            last.1 = to;
        }
    }
}

fn no_room() -> Error {
    let message = "what is intact of the file does not fit the memory";
    Error::new(Kind::Limit, message, "raise max_memory_mb")
}
