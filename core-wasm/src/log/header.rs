//! The file header: 64 bytes.
//!
//! | bytes | field |
//! |---|---|
//! | 0..8 | magic `\x89KORU\r\n\x1a` |
//! | 8..10, 10..12 | format major and minor version |
//! | 12..16 | incompatible features: an unknown bit refuses the file |
//! | 16..20 | read-only-compatible features: an unknown bit allows reading only |
//! | 20..24 | compatible features: unknown bits are ignored |
//! | 24..40 | database id |
//! | 40..44 | epoch: raised by each compaction |
//! | 44..48 | 1 if the file begins with a [`super::snapshot`], else 0 |
//! | 48..56 | sequence of the first frame |
//! | 56..60 | zero |
//! | 60..64 | crc32c of the bytes before |

use crate::codec::bytes::{id_at, u16_at, u32_at, u64_at};
use crate::error::{Error, Kind, Result};

/// Bytes of a file header.
pub const HEADER_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"\x89KORU\r\n\x1a";
const MAJOR: u16 = 1;
const MINOR: u16 = 0;
/// Sequences are counted up from here by one a frame: with this, none ever reaches the end of 64 bits.
const MAX_FIRST_SEQUENCE: u64 = 1 << 62;

/// What a file header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Random id given at creation.
    pub database_id: [u8; 16],
    /// Raised by each compaction.
    pub epoch: u32,
    /// Sequence of the first frame.
    pub first_sequence: u64,
    /// Whether the file begins with a snapshot.
    pub snapshot: bool,
}

impl Header {
    /// The header as stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&MAJOR.to_le_bytes());
        bytes.extend_from_slice(&MINOR.to_le_bytes());
        bytes.extend_from_slice(&[0; 12]);
        bytes.extend_from_slice(&self.database_id);
        bytes.extend_from_slice(&self.epoch.to_le_bytes());
        bytes.extend_from_slice(&u32::from(self.snapshot).to_le_bytes());
        bytes.extend_from_slice(&self.first_sequence.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads a header. `writable` says whether the database is to be written to.
    ///
    /// # Errors
    /// `Unsupported` for a foreign file, a higher major version or an unknown feature;
    /// `Corrupt` for a file that is cut inside the header or whose checksum does not hold.
    pub fn from_bytes(bytes: &[u8], writable: bool) -> Result<Self> {
        let magic = bytes.get(..MAGIC.len()).unwrap_or(bytes);
        if bytes.is_empty() {
            return Err(Error::corrupt(0, "the file is empty: not even a header is left"));
        }
        if !MAGIC.starts_with(magic) {
            return Err(unsupported("the file is not a koru-delta database"));
        }
        let cut = || Error::corrupt(bytes.len() as u64, "the file ends inside its header");
        let header = bytes.get(..HEADER_BYTES).ok_or_else(cut)?;
        let major = u16_at(header, 8).ok_or_else(cut)?;
        if major > MAJOR {
            let message =
                format!("the file has format version {major}; this release reads {MAJOR}");
            return Err(unsupported(&message));
        }
        let stored = u32_at(header, HEADER_BYTES - 4).ok_or_else(cut)?;
        if crc32c::crc32c(header.get(..HEADER_BYTES - 4).unwrap_or_default()) != stored {
            return Err(Error::corrupt(0, "the checksum of the file header does not hold"));
        }
        if u32_at(header, 12) != Some(0) {
            return Err(unsupported("the file uses a feature that this release does not know"));
        }
        if writable && u32_at(header, 16) != Some(0) {
            return Err(unsupported(
                "the file uses a feature that this release can only read (open it read-only)",
            ));
        }
        let first_sequence = u64_at(header, 48).ok_or_else(cut)?;
        if first_sequence > MAX_FIRST_SEQUENCE {
            return Err(Error::corrupt(
                48,
                "the file begins at a sequence that no database reaches",
            ));
        }
        let snapshot = match u32_at(header, 44) {
            Some(0) => false,
            Some(1) => true,
            _ => {
                return Err(unsupported(
                    "the file begins in a way that this release does not know",
                ));
            }
        };
        Ok(Self {
            snapshot,
            database_id: id_at(header, 24).ok_or_else(cut)?,
            epoch: u32_at(header, 40).ok_or_else(cut)?,
            first_sequence,
        })
    }
}

fn unsupported(message: &str) -> Error {
    Error::new(
        Kind::Unsupported,
        message,
        "check the path, or open the file with the release that wrote it",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header =
        Header { database_id: [7; 16], epoch: 3, first_sequence: 9, snapshot: true };

    fn resealed(mut bytes: Vec<u8>, offset: usize, value: u8) -> Vec<u8> {
        bytes[offset] = value;
        let crc = crc32c::crc32c(&bytes[..60]);
        bytes[60..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    #[test]
    fn headers_survive() {
        let bytes = HEADER.to_bytes();
        assert_eq!(bytes.len(), HEADER_BYTES);
        assert_eq!(Header::from_bytes(&bytes, true), Ok(HEADER));
    }

    #[test]
    fn a_first_sequence_that_would_overflow_is_refused() {
        let reached = Header { first_sequence: MAX_FIRST_SEQUENCE, ..HEADER };
        assert_eq!(Header::from_bytes(&reached.to_bytes(), true), Ok(reached));
        for first_sequence in [MAX_FIRST_SEQUENCE + 1, u64::MAX] {
            let bytes = Header { first_sequence, ..HEADER }.to_bytes();
            assert_eq!(Header::from_bytes(&bytes, true).unwrap_err().kind, Kind::Corrupt);
        }
    }

    #[test]
    fn other_files_are_refused() {
        let kind = |bytes: &[u8], writable| Header::from_bytes(bytes, writable).unwrap_err().kind;
        let good = HEADER.to_bytes();
        assert_eq!(kind(b"", true), Kind::Corrupt);
        assert_eq!(kind(b"SQLite format 3\0", true), Kind::Unsupported);
        assert_eq!(kind(&good[..63], true), Kind::Corrupt);
        assert_eq!(kind(&resealed(good.clone(), 8, 2), true), Kind::Unsupported);
        assert_eq!(kind(&resealed(good.clone(), 12, 1), false), Kind::Unsupported);
        assert_eq!(kind(&resealed(good.clone(), 16, 1), true), Kind::Unsupported);
        assert_eq!(kind(&resealed(good.clone(), 44, 2), false), Kind::Unsupported);
        assert!(Header::from_bytes(&resealed(good.clone(), 16, 1), false).is_ok());
        assert!(Header::from_bytes(&resealed(good.clone(), 20, 1), true).is_ok());
        for bit in 0..8 * HEADER_BYTES {
            let mut flipped = good.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(Header::from_bytes(&flipped, true).is_err(), "bit {bit}");
        }
    }
}
