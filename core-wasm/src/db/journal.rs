//! Frames of the write under way, for the host to store.

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
}

impl Journal {
    /// A journal after the frame `sequence` of the file that `header` begins.
    pub(super) fn new(header: &Header, sequence: u64, stored: bool) -> Self {
        let framing = stored.then(|| Framing::new(header));
        Self { framing, sequence, synced_sequence: 0, bytes: Vec::new() }
    }

    pub(super) fn write(&mut self, kind: FrameType, payload: &[&[u8]]) {
        self.sequence += 1;
        if let Some(framing) = &self.framing {
            let bytes: usize = payload.iter().map(|part| part.len()).sum();
            if bytes > LONG_BYTES {
                // Not twice as much as is needed, as growing would take at the frame behind this one.
                self.bytes.reserve_exact(bytes + FRAME_ROOM_BYTES);
            }
            let sequences = (self.sequence, self.synced_sequence);
            framing.write(&mut self.bytes, kind, sequences, payload);
        }
    }

    /// Whether the host stores frames.
    pub(super) fn is_stored(&self) -> bool {
        self.framing.is_some()
    }

    pub(super) fn clear(&mut self) {
        if self.bytes.capacity() > KEPT_BYTES {
            self.bytes = Vec::new();
        }
        self.bytes.clear();
    }
}
