//! The ABI: functions over one instance, for C as for JavaScript. [`crate::protocol`] has the layouts.
//!
//! The request buffer and the reply header belong to the module. A host asks for a buffer of
//! `len` bytes, fills it, and calls; the reply header's address never changes. Payload and journal
//! addresses hold until the next call.

#[cfg(not(feature = "js"))]
mod c;
#[cfg(target_arch = "wasm32")]
mod compare;
#[cfg(target_arch = "wasm32")]
mod heap;
#[cfg(feature = "js")]
mod js;

use crate::codec::bytes::wire_len;
use crate::dispatch::Instance;
use crate::protocol::REPLY_HEADER_BYTES;
#[cfg(target_arch = "wasm32")]
use crate::vector::owed_bytes;

/// Bytes of memory in use, and those that codes of vectors are still to take.
#[cfg(target_arch = "wasm32")]
fn memory_used() -> usize {
    heap::memory_used() + owed_bytes()
}

/// Natively the engine is a library and its host counts memory.
#[cfg(not(target_arch = "wasm32"))]
fn memory_used() -> usize {
    0
}

struct State {
    instance: Instance,
    request: Vec<u8>,
    /// Holds a payload that is not part of the database.
    payload: Vec<u8>,
    header: Header,
}

/// A reply header, aligned as the record of the component is.
#[repr(align(8))]
struct Header([u8; REPLY_HEADER_BYTES]);

/// A request buffer much larger than this is given back after use.
const KEPT_REQUEST_BYTES: usize = 1 << 21;

impl State {
    const fn new() -> Self {
        Self {
            instance: Instance::Closed,
            request: Vec::new(),
            payload: Vec::new(),
            header: Header([0; REPLY_HEADER_BYTES]),
        }
    }

    fn request_buffer(&mut self, len: u32) -> *const u8 {
        let len = usize::try_from(len).unwrap_or(usize::MAX);
        let missing = len.saturating_sub(self.request.len());
        if missing > 0 {
            if self.request.try_reserve_exact(missing).is_err() {
                return core::ptr::null();
            }
            self.request.resize(len, 0);
        }
        self.request.as_ptr()
    }

    fn call(&mut self, opcode: u32, len: u32) -> *const u8 {
        self.answer(opcode, usize::try_from(len).unwrap_or(usize::MAX));
        if self.request.len() > KEPT_REQUEST_BYTES {
            self.request = Vec::new();
        }
        self.header.0.as_ptr()
    }

    fn answer(&mut self, opcode: u32, len: usize) {
        let Self { instance, request, payload, header } = self;
        let request = request.get(..len).unwrap_or_default();
        *payload = Vec::new();
        let outcome = instance.call(opcode, request, memory_used);
        let (status, flags, payload) = match outcome {
            Ok(reply) => match reply.payload {
                std::borrow::Cow::Borrowed(bytes) => (0, reply.flags, address(bytes)),
                std::borrow::Cow::Owned(bytes) => {
                    *payload = bytes;
                    (0, reply.flags, address(payload))
                }
            },
            Err(error) => {
                *payload = error.to_json();
                (error.kind as u32, 0, address(payload))
            }
        };
        let database = instance.database();
        let journal = match database {
            Some(database) if status == 0 => address(database.journal()),
            _ => (0, 0),
        };
        let words = [status, flags, payload.0, payload.1, journal.0, journal.1];
        let sequence = database.map_or(0, crate::db::Database::sequence);
        let (front, back) = header.0.split_at_mut(24);
        for (slot, word) in front.chunks_exact_mut(4).zip(words) {
            slot.copy_from_slice(&word.to_le_bytes());
        }
        back.copy_from_slice(&sequence.to_le_bytes());
    }
}

/// Where bytes are in linear memory, and how many.
fn address(bytes: &[u8]) -> (u32, u32) {
    (wire_len(bytes.as_ptr().addr()), wire_len(bytes.len()))
}
