//! The C ABI: three exported functions over one instance.

#![expect(unsafe_code, reason = "exports")]

use core::cell::RefCell;

use super::State;
use crate::protocol::ABI_VERSION;

thread_local! {
    static STATE: RefCell<State> = const { RefCell::new(State::new()) };
}

/// Version of the protocol that this module follows.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
extern "C" fn koru_abi_version() -> u32 {
    ABI_VERSION
}

/// Address of a request buffer of at least `len` bytes; 0 if there is no memory for it. It stays
/// where it is until a longer one is asked for, or until a call that used more than a mebibyte.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
extern "C" fn koru_request(len: u32) -> *const u8 {
    STATE.with_borrow_mut(|state| state.request_buffer(len))
}

/// Carries out the request in the first `len` bytes of the buffer; the address of the reply
/// header.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
extern "C" fn koru_call(opcode: u32, len: u32) -> *const u8 {
    STATE.with_borrow_mut(|state| state.call(opcode, len))
}

/// Runs the tests of the kernels where they are meant to run: 0, or the first check that failed.
#[cfg(feature = "selftest")]
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
extern "C" fn koru_selftest() -> u32 {
    crate::vector::kernels::suite::run()
}
