//! Frames of the write under way, for the host to store.

use std::collections::TryReserveError;

use crate::log::frame::{FrameType, Framing};
use crate::log::header::Header;

/// A journal longer than this is given back once it was read.
const KEPT_BYTES: usize = 1 << 20;
/// A frame longer than this gets exactly the room that it needs.
const LONG_BYTES: usize = 1 << 16;
/// Room for the headers of a frame and of the commit behind it, and for that.
const FRAME_ROOM_BYTES: usize = 256;

/// Writes frames in sequence, or only counts them where the host stores nothing.
#[derive(Debug)]
pub(super) struct Journal {
    framing: Option<Framing>,
    /// Sequence of the last frame.
    pub(super) sequence: u64,
    /// What the host knew to be synced at the last write.
    pub(super) synced_sequence: u64,
    pub(super) bytes: Vec<u8>,
    /// Where the file ends before `bytes`.
    begin: u64,
}

impl Journal {
    /// A journal after the frame `sequence`, which ends at `end`, of the file that `header` begins.
    pub(super) fn new(header: &Header, (sequence, end): (u64, u64), stored: bool) -> Self {
        let framing = stored.then(|| Framing::new(header));
        Self { framing, sequence, synced_sequence: 0, bytes: Vec::new(), begin: end }
    }

    /// Makes room for frames of so many bytes, and for a commit behind them, so that writing them cannot
    /// run out of memory.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), TryReserveError> {
        match self.framing {
            None => Ok(()),
            Some(_) if bytes > LONG_BYTES => self.bytes.try_reserve_exact(bytes + FRAME_ROOM_BYTES),
            Some(_) => self.bytes.try_reserve(bytes + FRAME_ROOM_BYTES),
        }
    }

    /// Writes a frame; where it begins in the file, 0 if the host stores none.
    pub(super) fn write(&mut self, kind: FrameType, payload: &[&[u8]]) -> u64 {
        self.sequence += 1;
        let offset = self.begin + self.bytes.len() as u64;
        if let Some(framing) = &self.framing {
            let bytes: usize = payload.iter().map(|part| part.len()).sum();
            if bytes > LONG_BYTES {
                // Not twice as much as is needed, as growing would take at the frame behind this one.
                self.bytes.reserve_exact(bytes + FRAME_ROOM_BYTES);
            }
            let sequences = (self.sequence, self.synced_sequence);
            framing.write(&mut self.bytes, kind, sequences, payload);
            return offset;
        }
        0
    }

    /// Whether the host stores frames.
    pub(super) fn is_stored(&self) -> bool {
        self.framing.is_some()
    }

    /// Forgets the frames: the host has them.
    pub(super) fn clear(&mut self) {
        self.begin += self.bytes.len() as u64;
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }
}
