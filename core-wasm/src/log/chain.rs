//! The chain of commits: each commit's hash covers the one before and everything in its group.
//!
//! `head' = BLAKE3(head, digest of each record of the group)`, where a record's digest is the
//! whole BLAKE3 hash whose first half is the version's id. An unkeyed chain shows damage, not
//! tampering by someone who can write the file: anchor the head elsewhere for that.
//!
//! | bytes | commit frame's payload |
//! |---|---|
//! | 0..4 | number of frames in the group before this one |
//! | 4..8 | zero |
//! | 8..40 | head after this commit |

use crate::codec::bytes::{u32_at, wire_len};

/// A BLAKE3 hash.
pub type Digest = [u8; 32];

/// A BLAKE3 hash in one go.
#[must_use]
pub fn digest(body: &[u8]) -> Digest {
    *blake3::hash(body).as_bytes()
}

/// Builds the head of the next commit out of the digests of its group.
pub struct Link(Vec<u8>);

impl Link {
    /// A link that continues from `head`.
    #[must_use]
    pub fn after(head: &Digest) -> Self {
        let mut covered = Vec::with_capacity(2 * head.len());
        covered.extend_from_slice(head);
        Self(covered)
    }

    /// Adds the digest of the group's next record.
    pub fn add(&mut self, digest: &Digest) {
        self.0.extend_from_slice(digest);
    }

    /// The head after the commit.
    #[must_use]
    pub fn head(&self) -> Digest {
        digest(&self.0)
    }
}

/// What a commit frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Frames in the group before the commit frame.
    pub count: u32,
    /// Head after this commit.
    pub head: Digest,
}

impl Commit {
    /// The commit as stored.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 40] {
        let mut bytes = [0; 40];
        let (count, rest) = bytes.split_at_mut(8);
        count.copy_from_slice(&u64::from(self.count).to_le_bytes());
        rest.copy_from_slice(&self.head);
        bytes
    }

    /// Reads a commit; `None` if it is not one.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(8..)?.try_into().ok()?;
        (u32_at(bytes, 4)? == 0).then_some(Self { count: u32_at(bytes, 0)?, head })
    }

    /// A commit of `count` frames that leads to `head`.
    #[must_use]
    pub fn new(count: usize, head: Digest) -> Self {
        Self { count: wire_len(count), head }
    }
}
