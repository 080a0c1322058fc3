//! Snapshots: a file that begins with all that a database holds, written anew.
//!
//! A file whose header says so begins with *parts* and one snapshot frame; ordinary groups follow.
//!
//! - A part is a group of version and gap frames in commit order, of several commits. Times never
//!   decrease from one version to the next. The chain of the parts begins at a head of zeros, so that
//!   a part is verified as any group is.
//! - The snapshot frame, which belongs to no group, says where the chain of commits was, and from
//!   which sequence the frames go on.
//! - A version may name a previous version that is not there: retention or damage took it.
//! - The file only appears once it was synced, so each of these frames claims as durable everything
//!   before it, and nothing of a snapshot can be a torn tail.
//!
//! | bytes | snapshot frame's payload |
//! |---|---|
//! | 0..32 | head of the chain of commits |
//! | 32..40 | number of commits |
//! | 40..48 | time of the last commit in microseconds since 1970 |
//! | 48..56 | number of versions in the parts |
//! | 56..64 | number of versions that retention has dropped since the database was made |
//! | 64..72 | sequence after which the frames go on: this frame's, or a later one |
//!
//! | bytes | gap frame's payload |
//! |---|---|
//! | 0..4 | how many versions stood between the one before and the one after that are gone |
//! | 4..8 | how many of them are of the commit of the one after |
//! | 8..16 | time of the last of them in microseconds since 1970 |

use crate::codec::bytes::{u32_at, u64_at};
use crate::log::chain::Digest;

/// Bytes of a snapshot frame's payload.
pub const SNAPSHOT_BYTES: usize = 72;
/// Bytes of a gap frame's payload.
pub const GAP_BYTES: usize = 16;

/// What a snapshot frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Head of the chain of commits.
    pub head: Digest,
    /// Commits since the database was made.
    pub commits: u64,
    /// Time of the last of them in microseconds since 1970.
    pub timestamp: u64,
    /// Versions in the parts.
    pub versions: u64,
    /// Versions that retention has dropped since the database was made.
    pub dropped: u64,
    /// Frames go on after this sequence.
    pub sequence: u64,
}

impl Snapshot {
    /// The payload as stored.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.head.to_vec();
        let numbers = [self.commits, self.timestamp, self.versions, self.dropped, self.sequence];
        bytes.extend(numbers.into_iter().flat_map(u64::to_le_bytes));
        bytes
    }

    /// Reads a payload; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        if bytes.len() != SNAPSHOT_BYTES {
            return None;
        }
        Some(Self {
            head: bytes.get(..32)?.try_into().ok()?,
            commits: u64_at(bytes, 32)?,
            timestamp: u64_at(bytes, 40)?,
            versions: u64_at(bytes, 48)?,
            dropped: u64_at(bytes, 56)?,
            sequence: u64_at(bytes, 64)?,
        })
    }
}

/// Versions that are gone from where they stood: readers of changes count them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gap {
    /// How many, between the version before and the one after.
    pub versions: u32,
    /// How many of them are of the commit of the version after.
    pub of_commit: u32,
    /// Time of the last of them in microseconds since 1970.
    pub until: u64,
}

impl Gap {
    /// The payload as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; GAP_BYTES] {
        let mut bytes = [0; GAP_BYTES];
        let (counts, until) = bytes.split_at_mut(8);
        let both = (u64::from(self.of_commit) << 32) | u64::from(self.versions);
        counts.copy_from_slice(&both.to_le_bytes());
        until.copy_from_slice(&self.until.to_le_bytes());
        bytes
    }

    /// Reads a payload; `None` if it is not one.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (versions, of_commit) = (u32_at(bytes, 0)?, u32_at(bytes, 4)?);
        let gap = Self { versions, of_commit, until: u64_at(bytes, 8)? };
        let sound = bytes.len() == GAP_BYTES && gap.versions > 0 && gap.of_commit <= gap.versions;
        sound.then_some(gap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_payloads_survive() {
        let snapshot = Snapshot {
            head: [7; 32],
            commits: 1,
            timestamp: 2,
            versions: 3,
            dropped: 4,
            sequence: 5,
        };
        assert_eq!(Snapshot::parse(&snapshot.to_bytes()), Some(snapshot));
        assert_eq!(Snapshot::parse(&[0; SNAPSHOT_BYTES - 1]), None);
        assert_eq!(Snapshot::parse(&[0; SNAPSHOT_BYTES + 1]), None);
        let gap = Gap { versions: 9, of_commit: 8, until: 7 };
        assert_eq!(Gap::parse(&gap.to_bytes()), Some(gap));
        assert_eq!(Gap::parse(&gap.to_bytes()[1..]), None);
        for wrong in [Gap { versions: 0, ..gap }, Gap { versions: 7, ..gap }] {
            assert_eq!(Gap::parse(&wrong.to_bytes()), None);
        }
    }
}
