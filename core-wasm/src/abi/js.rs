//! The JavaScript face: an instance as a class made by wasm-bindgen, for the npm package.
//!
//! The class has the functions of the C ABI for methods, over the same state. Bytes are not passed
//! through wasm-bindgen: the package copies them into the request buffer and out of the reply, as
//! any other host does, which takes one copy less.

use wasm_bindgen::prelude::wasm_bindgen;

use super::State;
use crate::codec::bytes::wire_len;
use crate::protocol::ABI_VERSION;

/// An instance of the engine: one database.
#[wasm_bindgen]
pub struct Engine(State);

#[wasm_bindgen]
impl Engine {
    /// An instance in which nothing is open.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self(State::new())
    }

    /// Version of the protocol that the engine follows.
    #[wasm_bindgen(js_name = abiVersion)]
    pub fn abi_version() -> u32 {
        ABI_VERSION
    }

    /// Address of a request buffer of at least `len` bytes; 0 if there is no memory for it.
    pub fn request(&mut self, len: u32) -> u32 {
        wire_len(self.0.request_buffer(len).addr())
    }

    /// Carries out the request in the first `len` bytes of the buffer; the address of the reply
    /// header.
    pub fn call(&mut self, opcode: u32, len: u32) -> u32 {
        wire_len(self.0.call(opcode, len).addr())
    }
}
