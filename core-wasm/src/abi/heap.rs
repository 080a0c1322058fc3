//! The module's allocator: the standard one, counting the bytes in use.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;
static USED: AtomicUsize = AtomicUsize::new(0);

/// What an allocation takes of the heap: a header, and a multiple of eight, at least sixteen.
fn taken(size: usize) -> usize {
    (size.saturating_add(11) & !7).max(16)
}

/// Bytes of heap in use.
pub(super) fn memory_used() -> usize {
    USED.load(Ordering::Relaxed)
}

#[expect(unsafe_code, reason = "GlobalAlloc is an unsafe trait")]
// SAFETY: every call is handed on unchanged to the standard allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        USED.fetch_add(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: the caller's promises are the ones that `System` asks for.
        let pointer = unsafe { System.alloc(layout) };
        if pointer.is_null() {
            USED.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        }
        pointer
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        USED.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        if !moved.is_null() {
            USED.fetch_add(taken(size), Ordering::Relaxed);
            USED.fetch_sub(taken(layout.size()), Ordering::Relaxed);
        }
        moved
    }
}
