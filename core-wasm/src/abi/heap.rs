//! The module's allocator: the standard one, counting the bytes in use and growing memory in steps.
//!
//! The standard allocator asks for what it needs at the moment, often one page of 64 KiB. Each time
//! the host changes the protection of that page, and a memory that ends in the middle of what the
//! system could map at once is mapped piece by piece. So once memory has grown, and again while half
//! of that is left, some more is taken and given back to the allocator, which keeps it: a quarter of
//! what there is, up to where large pages end. It is not touched until it is needed, and a host may
//! have it present by then.

use core::alloc::{GlobalAlloc, Layout};
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

struct Counting;

#[global_allocator]
static HEAP: Counting = Counting;
static USED: AtomicUsize = AtomicUsize::new(0);
/// Pages of linear memory when it was last looked at.
static PAGES: AtomicUsize = AtomicUsize::new(0);
/// Bytes of heap in use from which on more memory is to be taken ahead.
static ENOUGH_UP_TO: AtomicUsize = AtomicUsize::new(usize::MAX);

const PAGE_BYTES: usize = 1 << 16;
/// Memory ends at multiples of this: a large page on x86-64 and AArch64.
const LARGE_PAGE_BYTES: usize = 1 << 21;
/// A memory below this grows as it needs to: small databases stay small.
const SMALL_BYTES: usize = 1 << 22;
const MAX_STEP_BYTES: usize = 1 << 24;
/// More than the allocator adds to a request for its own purposes.
const ALLOCATOR_BYTES: usize = 1 << 12;

/// What an allocation takes of the heap: a header, and a multiple of eight, at least sixteen.
#[inline(always)]
fn taken(size: usize) -> usize {
    (size.saturating_add(11) & !7).max(16)
}

/// Bytes of heap in use.
pub(super) fn memory_used() -> usize {
    USED.load(Ordering::Relaxed)
}

/// Takes memory ahead if it has grown since the last call, or is used up to where that is due.
#[inline(always)]
fn keep_ahead() {
    let pages = core::arch::wasm32::memory_size(0);
    if pages != PAGES.load(Ordering::Relaxed)
        || memory_used() > ENOUGH_UP_TO.load(Ordering::Relaxed)
    {
        grow_ahead(pages.saturating_mul(PAGE_BYTES));
    }
}

#[cold]
fn grow_ahead(end: usize) {
    let step = (end / 4).min(MAX_STEP_BYTES);
    if end >= SMALL_BYTES {
        let target = end.saturating_add(step).checked_next_multiple_of(LARGE_PAGE_BYTES);
        // What is free at the end of memory would be taken first.
        let free = end.saturating_sub(memory_used()).min(step / 2);
        let size = target.map_or(0, |target| target - end + free - ALLOCATOR_BYTES);
        if let Ok(layout) = Layout::from_size_align(size, 1) {
            take_and_return(layout);
        }
    }
    let pages = core::arch::wasm32::memory_size(0);
    PAGES.store(pages, Ordering::Relaxed);
    let grown = pages.saturating_mul(PAGE_BYTES);
    // It is tried again when the allocator has had to grow it.
    let enough = if grown > end { grown - step / 2 } else { usize::MAX };
    ENOUGH_UP_TO.store(enough, Ordering::Relaxed);
}

/// Has the allocator make room, as far as memory may grow.
#[expect(unsafe_code, reason = "the allocator's methods are unsafe")]
fn take_and_return(layout: Layout) {
    if layout.size() > 0 {
        // SAFETY: the size is not zero.
        let pointer = unsafe { System.alloc(layout) };
        if !pointer.is_null() {
            // SAFETY: it was allocated above, with this layout, and nobody has it.
            unsafe { System.dealloc(pointer, layout) }
        }
    }
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
        keep_ahead();
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
        keep_ahead();
        moved
    }
}
