//! Frames: the unit of the log. A header of 40 bytes, a payload, zeros up to a multiple of 8.
//!
//! | bytes | field |
//! |---|---|
//! | 0..4 | magic `KFRM` |
//! | 4..8 | payload length |
//! | 8 | type: 1 version, 2 commit, 3 erasure, 4 snapshot, 5 gap |
//! | 9..12 | zero |
//! | 12..16 | epoch |
//! | 16..24 | sequence: one more than the frame before, or than a snapshot frame says |
//! | 24..32 | durable sequence: what the writer knew to be synced |
//! | 32..36 | crc32c of the payload |
//! | 36..40 | crc32c of the database id and bytes 0..36 |
//!
//! The header has its own checksum, so a length is never trusted unchecked; the database id and
//! the epoch in it keep old or foreign bytes from passing as ours.

use crate::codec::bytes::{u32_at, u64_at, wire_len};
use crate::limits::MAX_FRAME_PAYLOAD_BYTES;
use crate::log::crc::{crc32c, crc32c_append};
use crate::log::header::Header;

/// Bytes of a frame header.
pub const FRAME_HEADER_BYTES: usize = 40;
/// Frames begin at multiples of this.
pub const ALIGNMENT: usize = 8;
const MAGIC: [u8; 4] = *b"KFRM";

/// What a frame carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum FrameType {
    /// A version's [`crate::log::record`].
    Version = 1,
    /// The end of a group: [`crate::log::chain::Commit`].
    Commit = 2,
    /// The removal of a key with all its versions: [`crate::log::record::Erasure`].
    Erasure = 3,
    /// The end of a snapshot: [`crate::log::snapshot::Snapshot`].
    Snapshot = 4,
    /// Versions that a snapshot does not have any more: [`crate::log::snapshot::Gap`].
    Gap = 5,
}

impl FrameType {
    fn from_byte(byte: u8) -> Option<Self> {
        let all = [Self::Version, Self::Commit, Self::Erasure, Self::Snapshot, Self::Gap];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// Where a log stands: what writes and checks frames of one database and epoch.
#[derive(Clone, Copy, Debug)]
pub struct Framing {
    seed: u32,
    epoch: u32,
}

/// What stands where a frame may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// A frame of this database and epoch, as far as its header goes.
    Frame(FrameHeader),
    /// A header whose checksum holds, but which no engine writes.
    Impossible,
    /// A header of another database or a later epoch, or a damaged or half-written one. If its payload
    /// is whole, something else than a torn write made it.
    Foreign(FrameHeader),
    /// Anything else: the end of the log, a torn write, damage, what the disk still holds of the file
    /// that a compaction replaced.
    Nothing,
}

/// What a frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// What the frame carries; `None` for a type that this release does not know.
    pub kind: Option<FrameType>,
    /// Bytes of payload.
    pub payload_len: usize,
    /// One more than the frame before.
    pub sequence: u64,
    /// What the writer knew to be synced when it wrote this frame.
    pub durable_sequence: u64,
    payload_crc: u32,
}

impl Framing {
    /// Framing for the file that `header` begins.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        Self { seed: crc32c(&header.database_id), epoch: header.epoch }
    }

    /// Appends a frame to `journal`, its payload in parts.
    pub fn write(
        &self,
        journal: &mut Vec<u8>,
        kind: FrameType,
        (sequence, durable_sequence): (u64, u64),
        payload: &[&[u8]],
    ) {
        let start = journal.len();
        let payload_len = payload.iter().map(|part| part.len()).sum();
        let payload_crc = payload.iter().fold(0, |crc, part| crc32c_append(crc, part));
        journal.extend_from_slice(&MAGIC);
        journal.extend_from_slice(&wire_len(payload_len).to_le_bytes());
        journal.extend_from_slice(&[kind as u8, 0, 0, 0]);
        journal.extend_from_slice(&self.epoch.to_le_bytes());
        journal.extend_from_slice(&sequence.to_le_bytes());
        journal.extend_from_slice(&durable_sequence.to_le_bytes());
        journal.extend_from_slice(&payload_crc.to_le_bytes());
        let crc = crc32c_append(self.seed, journal.get(start..).unwrap_or_default());
        journal.extend_from_slice(&crc.to_le_bytes());
        for part in payload {
            journal.extend_from_slice(part);
        }
        journal.resize(journal.len().next_multiple_of(ALIGNMENT), 0);
    }

    /// What stands at the front of `bytes`.
    #[must_use]
    pub fn read_header(&self, bytes: &[u8]) -> Found {
        if !bytes.starts_with(&MAGIC) {
            return Found::Nothing;
        }
        self.read_magic_header(bytes).unwrap_or(Found::Nothing)
    }

    fn read_magic_header(&self, bytes: &[u8]) -> Option<Found> {
        let header = bytes.get(..FRAME_HEADER_BYTES)?;
        let payload_len = usize::try_from(u32_at(header, 4)?).unwrap_or(usize::MAX);
        let is_possible = payload_len <= MAX_FRAME_PAYLOAD_BYTES;
        let frame = FrameHeader {
            kind: FrameType::from_byte(*header.get(8)?),
            payload_len,
            sequence: u64_at(header, 16)?,
            durable_sequence: u64_at(header, 24)?,
            payload_crc: u32_at(header, 32)?,
        };
        let checked = header.get(..FRAME_HEADER_BYTES - 4)?;
        let is_checked = u32_at(header, 36)? == crc32c_append(self.seed, checked);
        let epoch = u32_at(header, 12)?;
        if is_checked && epoch < self.epoch {
            return Some(Found::Nothing);
        }
        let is_ours = is_checked && epoch == self.epoch;
        Some(match (is_ours, is_possible) {
            (true, true) => Found::Frame(frame),
            (true, false) => Found::Impossible,
            (false, true) if payload_len > 0 => Found::Foreign(frame),
            (false, _) => Found::Nothing,
        })
    }
}

impl FrameHeader {
    /// Bytes of the whole frame, padding included.
    #[must_use]
    pub fn frame_len(&self) -> usize {
        (FRAME_HEADER_BYTES + self.payload_len).next_multiple_of(ALIGNMENT)
    }

    /// The payload of this frame, which begins `frame`; `None` if its checksum does not hold or
    /// its padding is not zero.
    #[must_use]
    pub fn payload<'a>(&self, frame: &'a [u8]) -> Option<&'a [u8]> {
        let body = frame.get(FRAME_HEADER_BYTES..self.frame_len())?;
        let (payload, padding) = body.split_at_checked(self.payload_len)?;
        let whole = padding.iter().all(|&byte| byte == 0);
        (whole && crc32c(payload) == self.payload_crc).then_some(payload)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { database_id: [7; 16], epoch: 3, first_sequence: 1, snapshot: false };

    #[test]
    fn every_flipped_bit_is_seen() {
        let framing = Framing::new(&HEADER);
        let mut log = Vec::new();
        framing.write(&mut log, FrameType::Version, (5, 4), &[b"pay", b"load"]);
        assert_eq!(log.len(), 48);
        let Found::Frame(header) = framing.read_header(&log) else { panic!("no frame") };
        assert_eq!((header.sequence, header.durable_sequence, header.frame_len()), (5, 4, 48));
        assert_eq!(header.payload(&log), Some(&b"payload"[..]));
        for bit in 0..8 * log.len() {
            let mut flipped = log.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Found::Frame(header) = framing.read_header(&flipped) {
                assert_eq!(header.payload(&flipped), None, "bit {bit}");
            }
        }
    }

    #[test]
    fn frames_of_another_database_or_epoch_are_not_ours() {
        let mut log = Vec::new();
        Framing::new(&HEADER).write(&mut log, FrameType::Commit, (1, 0), &[b"commits!"]);
        let foreign = Header { database_id: [8; 16], ..HEADER };
        let before = Header { epoch: 2, ..HEADER };
        for other in [foreign, before] {
            let found = Framing::new(&other).read_header(&log);
            let Found::Foreign(header) = found else { panic!("{found:?}") };
            assert_eq!(header.payload(&log), Some(&b"commits!"[..]));
            assert_eq!(header.payload(&log[..log.len() - 1]), None, "a torn one");
        }
        let after = Framing::new(&Header { epoch: 4, ..HEADER });
        assert_eq!(after.read_header(&log), Found::Nothing, "a frame of the replaced file");
    }
}
