//! Comparison of bytes, eight at a time.
//!
//! Names are found by comparing them, and the comparison that comes with the target goes byte by
//! byte: it was the engine's busiest function. Both symbols follow the C standard.

#[expect(unsafe_code, reason = "a C symbol over raw pointers")]
// SAFETY: the signature and the contract are those of C's memcmp.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    let mut at = 0;
    while at + 8 <= len {
        // SAFETY: the caller promises that both ranges are readable for `len` bytes.
        let (left, right) = unsafe {
            (
                one.add(at).cast::<u64>().read_unaligned(),
                other.add(at).cast::<u64>().read_unaligned(),
            )
        };
        if left != right {
            return if left.swap_bytes() < right.swap_bytes() { -1 } else { 1 };
        }
        at += 8;
    }
    while at < len {
        // SAFETY: as above.
        let (left, right) = unsafe { (*one.add(at), *other.add(at)) };
        if left != right {
            return i32::from(left) - i32::from(right);
        }
        at += 1;
    }
    0
}

#[expect(unsafe_code, reason = "a C symbol over raw pointers")]
// SAFETY: the signature and the contract are those of C's bcmp.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(one: *const u8, other: *const u8, len: usize) -> i32 {
    // SAFETY: the caller makes the same promises.
    unsafe { memcmp(one, other, len) }
}
